// The dashboard of a session: navigation, the overview and the views of the three collections.
import type { DeltaError } from "deltalink";
import { useDeltaClient, useSignInError } from "deltalink/react";
import { CalendarDays, LayoutDashboard, LockKeyhole, Users, Video } from "lucide-react";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { type DayWindow, instantsOf } from "./calendar";
import { EventDialog, OpenEvent } from "./calendar-parts";
import { CalendarView } from "./calendar-view";
import { all, type Collection, CollectionsProvider, CONTACT_PROPERTIES } from "./collections";
import { LABELS, useCollection } from "./collections";
import { ContactsView, nameOfContact } from "./contacts-view";
import { datedTitle } from "./dates";
import type { DemoSession } from "./demo";
import { DemoPanel } from "./demo-panel";
import { Overview } from "./overview";
import { RecordingsView, startedAt } from "./recordings-view";
import type { ViewId } from "./rounds";
import { SearchDialog, ShortcutsDialog, useShortcuts } from "./search-dialog";
import type { Session, TokenKind } from "./session";
import { Button, Choices } from "./ui";
import { markedInWords } from "./view";

export type Route = "overview" | ViewId;
const ROUTES = [
  ["overview", "Overview", LayoutDashboard],
  ["calendar", LABELS.calendar, CalendarDays],
  ["contacts", LABELS.contacts, Users],
  ["recordings", LABELS.recordings, Video],
] as const;

/** The view that the hash of the URL names. */
function useRoute(): Route {
  const read = (): Route => ROUTES.find(([id]) => `#${id}` === location.hash)?.[0] ?? "overview";
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const update = () => setRoute(read());
    window.addEventListener("hashchange", update);
    return () => window.removeEventListener("hashchange", update);
  }, []);
  return route;
}

export interface DashboardProps {
  session: Session;
  days: DayWindow;
  setDays: (days: DayWindow) => void;
  isLive: boolean;
  /** The open dialog. */
  dialog: "search" | "shortcuts" | undefined;
  setDialog: (dialog: "search" | "shortcuts" | undefined) => void;
  isDemoShown: boolean;
  hideDemo: () => void;
  /** Set to the function that syncs all collections. */
  syncAll: { current: () => void };
  /** Renders the header, which shows the state of all collections. */
  children: (collections: Collection<{ id: string }>[]) => ReactNode;
}

export function Dashboard(props: DashboardProps) {
  const { session, days, setDays, isLive, dialog, setDialog, isDemoShown, hideDemo, syncAll } = props;
  const { history } = session;
  const client = useDeltaClient();
  const route = useRoute();
  const [tokenKind, setTokenKind] = useState<TokenKind>("app");
  const [onlyMarked, setOnlyMarked] = useState<ViewId>();
  const [openEvent, setOpenEvent] = useState<string>();
  const [search, setSearch] = useState("");

  const shared = { history, isLive };
  const { start, end } = instantsOf(days);
  const calendar = useCollection({
    ...shared,
    id: "calendar",
    query: client?.events({ start, end }),
    titleOf: datedTitle,
  });
  const contacts = useCollection({
    ...shared,
    id: "contacts",
    query: client?.orgContacts({ select: CONTACT_PROPERTIES }),
    titleOf: nameOfContact,
  });
  const recordings = useCollection({
    ...shared,
    id: "recordings",
    query: client && session.recordings?.[tokenKind],
    titleOf: (recording) => `Recording of ${startedAt(recording)}`,
  });
  const collections = useMemo(() => ({ calendar, contacts, recordings }), [calendar, contacts, recordings]);
  const list = all(collections);
  syncAll.current = () => list.forEach((collection) => void collection.sync());

  const isReady = list.every(({ ready }) => ready);
  useEffect(() => {
    if (isReady) document.body.dataset.ready = "true";
  }, [isReady]);

  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${ROUTES.find(([id]) => id === route)?.[1]} · deltalink`;
    if (!isFirst.current) {
      window.scrollTo(0, 0);
      document.getElementById(`${route}-heading`)?.focus({ preventScroll: true });
    }
    isFirst.current = false;
    setOnlyMarked((view) => (view === route ? view : undefined));
  }, [route]);
  const marked = onlyMarked && collections[onlyMarked].marks.size;
  useEffect(() => {
    if (marked === 0) setOnlyMarked(undefined);
  }, [marked]);

  const go = (to: Route): void => void (location.hash = to);
  useShortcuts({
    "/": () => setDialog("search"),
    "?": () => setDialog("shortcuts"),
    1: () => go("overview"),
    2: () => go("calendar"),
    3: () => go("contacts"),
    4: () => go("recordings"),
    s: () => syncAll.current(),
    t: () => document.dispatchEvent(new Event("deltalink-today")),
  });

  const demo = session.kind === "demo" ? (session as DemoSession) : undefined;
  const actionFor = (view: Collection<unknown>) => (error: DeltaError) => {
    if (demo && view.id === "recordings" && error.code === "forbidden" && tokenKind === "delegated")
      return (
        <Button className="primary" onClick={() => setTokenKind("app")}>
          Read with an app-only token
        </Button>
      );
    if (demo && error.code === "not-found")
      return (
        <Button className="primary" onClick={() => (demo.world.checkAgain(), void view.sync())}>
          Create the demo data again
        </Button>
      );
    return undefined;
  };
  // After a change of the token, a round shows what the new one can read.
  const isFirstTokenKind = useRef(true);
  useEffect(() => {
    if (!isFirstTokenKind.current) void recordings.sync();
    isFirstTokenKind.current = false;
  }, [tokenKind]);

  const viewProps = (view: Collection<unknown>) => ({
    history,
    onlyMarked: onlyMarked === view.id,
    setOnlyMarked: (isOn: boolean) => setOnlyMarked(isOn ? view.id : undefined),
    action: actionFor(view),
  });
  return (
    <CollectionsProvider value={collections}>
      <OpenEvent value={setOpenEvent}>
        {props.children(list)}
        <div className="frame" data-demo={isDemoShown && demo !== undefined}>
          <Rail route={route} collections={list} />
          <main id="main" tabIndex={-1}>
            <SignInBanner session={session} />
            {route === "overview" && (
              <Overview history={history} onShow={({ id }) => (setOnlyMarked(id), go(id))} />
            )}
            {route === "calendar" && <CalendarView {...viewProps(calendar)} days={days} setDays={setDays} />}
            {route === "contacts" && (
              <ContactsView {...viewProps(contacts)} search={search} setSearch={setSearch} />
            )}
            {route === "recordings" && (
              <RecordingsView
                {...viewProps(recordings)}
                organizer={session.name}
                control={
                  demo && (
                    <Choices
                      name="token-kind"
                      legend="Read recordings with"
                      value={tokenKind}
                      options={[
                        ["app", "an app-only token"],
                        ["delegated", "the signed-in user’s"],
                      ]}
                      onChange={setTokenKind}
                    />
                  )
                }
              />
            )}
          </main>
          {demo && isDemoShown && (
            <div className="aside">
              <DemoPanel
                session={demo}
                current={route === "overview" ? "calendar" : route}
                onClose={hideDemo}
              />
            </div>
          )}
        </div>
        {dialog === "search" && (
          <SearchDialog
            onClose={() => setDialog(undefined)}
            onEvent={setOpenEvent}
            onContact={(name) => (setSearch(name), go("contacts"))}
            onRecordings={() => go("recordings")}
          />
        )}
        {dialog === "shortcuts" && <ShortcutsDialog onClose={() => setDialog(undefined)} />}
        {openEvent && <EventDialog id={openEvent} onClose={() => setOpenEvent(undefined)} />}
      </OpenEvent>
    </CollectionsProvider>
  );
}

function Rail({ route, collections }: { route: Route; collections: Collection<unknown>[] }) {
  return (
    <nav className="rail" aria-label="Views">
      <ul>
        {ROUTES.map(([id, label, Icon]) => {
          const collection = collections.find((one) => one.id === id);
          const news = collection ? markedInWords(collection) : "";
          return (
            <li key={id}>
              <a href={`#${id}`} aria-current={id === route ? "page" : undefined}>
                <Icon className="icon" aria-hidden="true" />
                <span className="rail-label">{label}</span>
                {collection?.error ? (
                  <span className="badge failed">
                    !<span className="sr-only"> has a problem</span>
                  </span>
                ) : news ? (
                  <span className="badge news-badge" data-count={collection?.marks.size}>
                    <span className="sr-only">, {news}</span>
                  </span>
                ) : (
                  <span className="badge" aria-hidden="true">
                    {collection?.items.length || ""}
                  </span>
                )}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function SignInBanner({ session }: { session: Session }) {
  const [problem, setProblem] = useState("");
  const error = useSignInError();
  if (!error) return undefined;
  const signInAgain = async () => {
    try {
      await session.signInAgain(error.claims);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      return;
    }
    setProblem("");
    session.client.resume();
  };
  return (
    <div className="banner" role="group" aria-label="Sign in again">
      <LockKeyhole className="icon" aria-hidden="true" />
      <p>Your organization asks you to sign in again. The lists stay readable.</p>
      {problem && <span className="banner-error">{problem}</span>}
      <Button className="primary" onClick={() => void signInAgain()}>
        Sign in again
      </Button>
    </div>
  );
}
