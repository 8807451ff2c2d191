import {
  Component,
  afterRenderEffect,
  provideZoneChangeDetection,
  provideZonelessChangeDetection,
} from "@angular/core";
import { toSignal } from "@angular/core/rxjs-interop";
import { bootstrapApplication } from "@angular/platform-browser";
import { Observable } from "rxjs";
import type { DeltaClient, OrgContact, ViewState } from "deltalink";
import { open, show } from "./open.js";

/** The contacts, which are live as long as this observable has a subscriber. */
const contacts = new Observable<ViewState<OrgContact>>((to) => {
  const opened = (open() as Promise<DeltaClient>).then((client) => {
    const query = client.orgContacts();
    const live = query.live();
    const unsubscribe = query.view({ orderBy: "displayName" }).subscribe((state) => to.next(state));
    return () => {
      unsubscribe();
      live.stop();
    };
  });
  return () => opened.then((stop) => stop());
});

@Component({
  selector: "app-contacts",
  template: `
    <ul>
      @for (contact of state()?.items; track contact.id) {
        <li>{{ contact.displayName }}</li>
      }
    </ul>
  `,
})
class Contacts {
  readonly state = toSignal(contacts);
  constructor() {
    afterRenderEffect(() => show(this.state()?.items.length));
  }
}

const hasZone = "Zone" in globalThis;
void bootstrapApplication(Contacts, {
  providers: [hasZone ? provideZoneChangeDetection() : provideZonelessChangeDetection()],
});
