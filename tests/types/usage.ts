// Code of users, which is only compiled. `@ts-expect-error` marks lines that must not compile.
import type { PublicClientApplication } from "@azure/msal-browser";
import { DeltaError, init, openDelta } from "deltalink";
import type {
  CallRecording,
  Change,
  CommitInfo,
  DeltaClient,
  DeltaErrorCode,
  DeltaFeed,
  DeltaQuery,
  DeltaStore,
  Entity,
  Event,
  EventQuery,
  EventsOptions,
  LogEntry,
  MirrorOption,
  Narrowed,
  OrgContact,
  OrgContactsOptions,
  Page,
  PropertyName,
  Readable,
  RoundReport,
  TokenCredential,
  TokenRequest,
  TrackOptions,
  WithId,
} from "deltalink";
import type {
  AdministrativeUnit,
  CallTranscript,
  ChatMessage,
  Contact,
  ContactFolder,
  DriveItem,
  EducationAssignment,
  EducationCategory,
  EducationUser,
  Group,
  ListItem,
  MailFolder,
  Message,
  PlannerBucket,
  PlannerPlan,
  PlannerTask,
  Site,
  TodoTask,
  TodoTaskList,
  User,
} from "@microsoft/microsoft-graph-types";
import type { Selected, Tracked } from "deltalink";
import { clientCredentials } from "deltalink/auth";
import {
  clientStateFor,
  handleNotification,
  type NextAlarm,
  nextAlarm,
  type Subscription,
  subscriptionLimits,
  subscriptions,
} from "deltalink/notifications";
import { dayOf, days, endOf, isAllDay, startOf } from "deltalink/calendar";
import { describe as describeStatus, english } from "deltalink/describe";
import type { Sentences } from "deltalink/describe";
import { fromMsal } from "deltalink/msal";
import { fakeGraph, storeContract } from "deltalink/testing";
import wasm from "deltalink/deltalink.wasm";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_proof: Same<A, B>): void {}

declare const pca: PublicClientApplication;
declare const credential: TokenCredential;
declare const store: DeltaStore;

export async function clients(): Promise<void> {
  await init();
  await init(new URL("https://cdn.contoso.example/deltalink.wasm"));
  await init(fetch("/deltalink.wasm"));
  const origin = await init(wasm);
  same<typeof origin, "url" | "file" | "module" | "inline" | "given">(true);
  void origin;
  const account = pca.getAllAccounts()[0];
  if (account) await openDelta({ token: fromMsal(pca, { account, scopes: ["Calendars.Read"] }) });
  await openDelta({ token: () => "t", account: "a", cloud: "china" });
  await openDelta({
    token: async ({ reason, scopes, signal }: TokenRequest) => ({
      accessToken: reason + scopes.join() + String(signal.aborted),
      expiresOn: null,
    }),
    account: "a",
  });
  await openDelta({
    token: clientCredentials({ tenant: "t", clientId: "c", assertion: async () => "jwt" }),
    store,
  });
  await openDelta({
    token: credential,
    store,
    account: "a",
    endpoint: "http://127.0.0.1:4010",
    fetch,
    retry: { maxWait: 1000 },
  });
  await openDelta({ token: () => "t", store: "memory" });
  // @ts-expect-error a token source is required
  await openDelta({ account: "a" });
  // @ts-expect-error there is no such cloud
  await openDelta({ token: () => "t", cloud: "germany" });
  // @ts-expect-error a token source is a function or an object
  await openDelta({ token: "eyJ0eXAiOiJKV1Qi", account: "a" });
  // @ts-expect-error a token is a string
  await openDelta({ token: () => 7, account: "a" });
  // @ts-expect-error there is no such store
  await openDelta({ token: () => "t", store: "disk" });
}

export async function notifications(request: Request, stored?: Subscription): Promise<Response> {
  const clientState: string = await clientStateFor("secret", "ann");
  const handled = await handleNotification(request, { clientState: [clientState, "old"] });
  for (const { subscriptionId, changeType, lifecycleEvent } of handled.notifications)
    void [subscriptionId.length, changeType?.length, lifecycleEvent?.length];
  const push = subscriptions({
    token: clientCredentials({ tenant: "t", clientId: "c", secret: "s" }),
    resource: "users",
    notificationUrl: "https://worker.example/",
    clientState,
    cloud: "usgov",
    fetch,
  });
  try {
    const { signal } = new AbortController();
    const made = await push.ensure(stored, { renew: handled.renew.length > 0, signal });
    void new Date(Math.min(made.renewAt, made.expiresAt));
    await push.delete(made);
  } catch (error) {
    const alarm: NextAlarm = nextAlarm(error, 1, { now: Date.now(), random: 0.5, base: 1000 });
    if (alarm.reason === "gone") void subscriptionLimits("users")?.lifetime.toFixed();
  }
  // @ts-expect-error the client state is required
  await handleNotification(request, {});
  // @ts-expect-error a notification URL is required
  subscriptions({ token: () => "t", resource: "users", clientState });
  return handled.response;
}

export async function contract(disk: DeltaStore & { file: string }): Promise<void> {
  for (const { name, run } of storeContract(() => store)) await run().then(() => name.length);
  storeContract(async () => disk, { reopen: ({ file }) => ({ ...disk, file }) });
  // @ts-expect-error the object is not a store
  storeContract(() => ({ load: async () => undefined }));
}

export async function testing(): Promise<void> {
  const graph = await fakeGraph({
    seed: 3,
    populate: { events: 4, around: new Date() },
    settings: { pageSize: 3, duplicates: "both" },
  });
  await openDelta({ fetch: graph.fetch, token: graph.token });
  await openDelta({ fetch: graph.fetch, token: graph.appToken, store: "memory" });
  const id: string = graph.add("events", { subject: "x", start: "2026-11-01T00:00:00Z" }, { calendar: "c" });
  graph.edit("events", id, { subject: "y" });
  graph.remove("groups", id, { soft: true });
  const subjects: (string | null | undefined)[] = graph
    .items("events", { start: "2026-11-01", end: new Date() })
    .map(({ subject }) => subject);
  graph.fault("neitherLink", { collection: "users", kind: "next", times: Infinity });
  const remove: () => void = graph.fault({ name: "throttle", retryAfter: 2 });
  const status: number | undefined = graph.requests()[0]?.status;
  // @ts-expect-error there is no such collection
  graph.add("cars");
  // @ts-expect-error a subject is a string
  graph.add("events", { subject: 7 });
  // @ts-expect-error this fault needs the number of bytes
  graph.fault("cut");
  // @ts-expect-error there is no such fault
  graph.fault("flood");
  // @ts-expect-error there is no such setting
  graph.set({ pages: 3 });
  // @ts-expect-error recordings cannot be restored
  graph.restore("recordings", id);
  void [subjects, status, remove];
}

export async function queries(): Promise<void> {
  const client = await openDelta({ token: () => "t", account: "a" });
  const events = client.events({
    start: "2026-11-01",
    end: new Date(),
    timeZone: "UTC",
    pageSize: 50,
    immutableIds: true,
  });
  same<typeof events, EventQuery>(true);
  const contacts = client.orgContacts({ select: ["mail"], ids: ["x"], minimal: true });
  same<typeof contacts, DeltaQuery<WithId<Pick<OrgContact, "mail">>>>(true);
  const everyContact = client.orgContacts();
  same<typeof everyContact, DeltaQuery<OrgContact>>(true);
  const contactFeed = client.orgContacts({ select: ["mail", "extension_x"], mirror: false });
  same<typeof contactFeed, DeltaFeed<WithId<Pick<OrgContact, "mail"> & { extension_x?: unknown }>>>(true);
  // @ts-expect-error items have only the selected properties
  void (await contacts.all())[0]?.displayName;
  const feed = client.callRecordings({ organizer: "o", mirror: false });
  // @ts-expect-error a feed has no mirror to read
  feed.all();
  // @ts-expect-error the organizer is required
  client.callRecordings({});
  // @ts-expect-error a calendar view has no $select
  client.events({ start: "2026-11-01", end: "2026-12-01", select: ["id"] });
  // @ts-expect-error start and end, or window, are required
  client.events({});
  // @ts-expect-error an end is required
  client.events({ start: "2026-11-01" });
  client.events({
    window: { daysBack: 7, daysAhead: 30, timeZone: "Europe/Berlin" },
    timeZone: "W. Europe Standard Time",
  });
  client.events({ window: {}, mirror: false });
  // @ts-expect-error window excludes start and end
  client.events({ window: { daysBack: 7 }, start: "2026-11-01", end: "2026-12-01" });
  // @ts-expect-error days are numbers
  client.events({ window: { daysBack: "7" } });
  const users = client.track<{ id: string; mail?: string }>("/users/delta", {
    select: ["id", "mail"],
    refresh: false,
  });
  const mail: string | undefined = (await users.all())[0]?.mail;
  const picked = client.track("/users/delta", { select: ["id", "mail"] });
  same<typeof picked, DeltaQuery<Pick<WithId<User>, "id" | "mail">>>(true);
  const pickedFeed = client.track("/users/delta", { select: ["id", "mail"], mirror: false });
  same<typeof pickedFeed, DeltaFeed<Pick<WithId<User>, "id" | "mail">>>(true);
  const groups = client.track("groups/delta");
  same<typeof groups, DeltaQuery<WithId<Group>>>(true);
  const names: string[] = ["id"];
  const whole = client.track("/users/delta", { select: names });
  const frozen = client.track("/users/delta", { select: ["id", "mail"] as const, ids: ["x"] as const });
  same<typeof frozen, typeof picked>(true);
  void frozen;
  // Options in a variable of their type make a query with a mirror.
  const weekOptions: EventsOptions = { window: { daysAhead: 7 } };
  const contactOptions: OrgContactsOptions = { select: ["mail"] };
  const trackOptions: TrackOptions = { select: ["mail"] };
  const fromVariables: [EventQuery, DeltaQuery<OrgContact>, DeltaQuery<{ id: string }>] = [
    client.events(weekOptions),
    client.orgContacts(contactOptions),
    client.track<{ id: string }>("/users/delta", trackOptions),
  ];
  const feedOptions: TrackOptions & MirrorOption = { mirror: Math.random() > 0.5 };
  const eitherTyped = client.track<{ id: string }>("/users/delta", feedOptions);
  same<typeof eitherTyped, DeltaQuery<{ id: string }> | DeltaFeed<{ id: string }>>(true);
  const newest = client
    .callRecordings({ organizer: "o" })
    .view({ orderBy: "createdDateTime", descending: true });
  const claims: string | undefined = client.signInError.get()?.claims;
  const stopSignIn: () => void = client.signInError.subscribe((error) => void error?.code);
  void [fromVariables, eitherTyped, newest, claims, stopSignIn];
  const mirror: boolean = Math.random() > 0.5;
  const either = client.orgContacts({ mirror });
  same<typeof either, DeltaQuery<OrgContact> | DeltaFeed<OrgContact>>(true);
  for await (const page of either.round()) void page.last;
  if ("sync" in either) await either.sync();
  // @ts-expect-error a feed has no mirror to read
  void either.all();
  const eitherEvents = client.events({ window: {}, mirror });
  same<typeof eitherEvents, EventQuery | DeltaFeed<Event>>(true);
  const eitherUsers = client.track("/users/delta", { mirror });
  same<typeof eitherUsers, DeltaQuery<WithId<User>> | DeltaFeed<WithId<User>>>(true);
  const eitherMine = client.track<{ id: string }>("/users/delta", { mirror });
  same<typeof eitherMine, DeltaQuery<{ id: string }> | DeltaFeed<{ id: string }>>(true);
  const eitherRecordings = client.callRecordings({ organizer: "o", mirror });
  same<typeof eitherRecordings, DeltaQuery<CallRecording> | DeltaFeed<CallRecording>>(true);
  const ids: (string | undefined)[] = [
    (await events.all())[0]?.id,
    (await picked.get("x"))?.id,
    (await client.callRecordings({ organizer: "o" }).all())[0]?.id,
  ];
  events.on("change", (changes) => {
    for (const change of changes) if (change.type === "upsert") same<typeof change.item.id, string>(true);
  });
  void [either, ids, contactFeed, everyContact, eitherEvents, eitherUsers, eitherMine, eitherRecordings];
  same<typeof whole, DeltaQuery<WithId<User>>>(true);
  const folder = "inbox";
  const messages = client.track(`/me/mailFolders/${folder as string}/messages/delta`);
  same<typeof messages, DeltaQuery<WithId<Message>>>(true);
  const path: string = "/users/delta";
  const unknown = client.track(path, { top: 5 });
  same<typeof unknown, DeltaQuery<Entity>>(true);
  const extended = (
    await client.track("/users/delta", { select: ["mail", "extension_1f2_shoeSize"] }).all()
  )[0];
  const size: unknown = extended?.extension_1f2_shoeSize;
  const named = client.track<{ id: string }>("/users/delta", { mirror: false });
  same<typeof named, DeltaFeed<{ id: string }>>(true);
  // @ts-expect-error items have only the selected properties
  void (await picked.all())[0]?.displayName;
  void [groups, whole, messages, unknown, size, named, pickedFeed];
  const any = client.track("/new/things/delta", { prefer: ["x"], query: { $deltatoken: "latest" } });
  same<typeof any, DeltaQuery<Entity>>(true);
  const subject: string | null | undefined = (await events.get("x"))?.subject;
  for await (const event of events.items({ after: "x", limit: 50, occurrences: "complete" }))
    eventOnly(event);
  for (const event of await events.all()) eventOnly(event);
  for await (const contact of contacts.items({ limit: 50 })) void contact.mail;
  // @ts-expect-error contacts have no series
  contacts.items({ occurrences: "complete" });
  // @ts-expect-error all() reads the whole mirror; items() can stop early
  void events.all({ limit: 1 });
  const report: RoundReport = await events.sync({ signal: new AbortController().signal });
  const base: DeltaFeed<Event> = events;
  void [contacts, any, mail, subject, report.skipped.noId, report.startedAt.getTime(), base.key];
}

export function paths(): void {
  same<Tracked<"/users/delta">, WithId<User>>(true);
  same<Tracked<"users/delta?$select=id">, WithId<User>>(true);
  same<Tracked<"/users/microsoft.graph.delta()">, WithId<User>>(true);
  same<Tracked<"/directory/administrativeUnits/delta">, WithId<AdministrativeUnit>>(true);
  same<Tracked<"/contacts/delta">, WithId<OrgContact>>(true);
  same<Tracked<"/me/contactFolders/AAMk/contacts/delta">, WithId<Contact>>(true);
  same<Tracked<"/me/contactFolders/delta">, WithId<ContactFolder>>(true);
  same<Tracked<"/me/calendarView/delta">, WithId<Event>>(true);
  same<Tracked<"/users/u/calendars/c/calendarView/delta">, WithId<Event>>(true);
  same<
    Tracked<"/users/u/onlineMeetings/getAllRecordings(meetingOrganizerUserId='u')/delta">,
    WithId<CallRecording>
  >(true);
  same<
    Tracked<"/users/u/onlineMeetings/getAllTranscripts(meetingOrganizerUserId='u')/delta">,
    WithId<CallTranscript>
  >(true);
  same<Tracked<"/teams/t/channels/c/messages/delta">, WithId<ChatMessage>>(true);
  same<Tracked<"/teams/t/channels/c/messages/m/replies/delta">, WithId<ChatMessage>>(true);
  same<Tracked<"/chats/c/messages/delta">, WithId<ChatMessage>>(true);
  same<Tracked<"/users/u/mailFolders/inbox/messages/delta">, WithId<Message>>(true);
  same<Tracked<"/me/mailFolders/delta">, WithId<MailFolder>>(true);
  same<Tracked<"/me/todo/lists/delta">, WithId<TodoTaskList>>(true);
  same<Tracked<"/me/todo/lists/l/tasks/delta">, WithId<TodoTask>>(true);
  same<Tracked<"/me/drive/root/delta">, WithId<DriveItem>>(true);
  same<Tracked<"/me/drive/root/delta(token='x')">, WithId<DriveItem>>(true);
  same<Tracked<"/me/drive/items/i/delta">, WithId<DriveItem>>(true);
  same<Tracked<"/sites/s/drives/d/items/i/delta">, WithId<DriveItem>>(true);
  same<Tracked<"/sites/s/lists/l/items/delta">, WithId<ListItem>>(true);
  same<Tracked<"/sites/delta">, WithId<Site>>(true);
  same<Tracked<"/education/users/delta">, WithId<EducationUser>>(true);
  same<Tracked<"/education/classes/c/assignments/delta">, WithId<EducationAssignment>>(true);
  same<Tracked<"/education/classes/c/assignmentCategories/delta">, WithId<EducationCategory>>(true);
  same<Tracked<"/education/classes/c/assignments/a/categories/delta">, WithId<EducationCategory>>(true);
  same<Tracked<"/me/onlineMeetings/m/recordings/delta">, WithId<CallRecording>>(true);
  same<Tracked<"/users/u/adhocCalls/c/transcripts/delta">, WithId<CallTranscript>>(true);
  same<Tracked<"/users/u/chats/getAllMessages/delta">, WithId<ChatMessage>>(true);
  same<Tracked<"/planner/plans/p/buckets/delta">, WithId<PlannerBucket>>(true);
  same<Tracked<"/planner/plans/p/tasks/delta">, WithId<PlannerTask>>(true);
  same<Tracked<"/planner/tasks/delta">, WithId<PlannerTask>>(true);
  same<Tracked<"/users/u/planner/tasks/delta">, WithId<PlannerTask>>(true);
  same<Tracked<"/groups/g/planner/plans/delta">, WithId<PlannerPlan>>(true);
  same<Tracked<"/planner/rosters/r/plans/delta">, WithId<PlannerPlan>>(true);
  same<Tracked<"/me/planner/all/delta">, Entity>(true);
  same<Tracked<"/users/delta/x">, Entity>(true);
  same<Tracked<"/communications/delta">, Entity>(true);
  same<Tracked<string>, Entity>(true);
  same<Selected<"/new/delta", "a">, Entity>(true);
  same<Tracked<"/me/calendarView/delta">, Event>(true);
  same<Tracked<"/contacts/delta">["id"], string>(true);
}

export function listening(query: DeltaQuery<Event>): void {
  const stop: () => void = query.on("change", async (changes, info) => {
    same<typeof changes, Change<Event>[]>(true);
    same<typeof info, CommitInfo>(true);
    for (const change of changes) describe(change);
    if (info.remote) stop();
  });
  // @ts-expect-error there is no such event
  query.on("changes", () => {});
  // @ts-expect-error a feed has no mirror to compare with
  (query as DeltaFeed<Event>).on("change", () => {});
}

function eventOnly(event: Event): void {
  void event.subject;
}

export async function logging(): Promise<void> {
  await openDelta({ token: () => "t", account: "a", log: console.log });
  await openDelta({ token: () => "t", account: "a", log: async (entry) => void line(entry) });
  // @ts-expect-error log is a function
  await openDelta({ token: () => "t", account: "a", log: "console" });
}

function line(entry: LogEntry): string {
  const common = `${entry.time.toISOString()} ${entry.level} ${entry.keyHash} ${entry.ms} ${entry.code}`;
  // @ts-expect-error only a round has a report
  void entry.report;
  if (entry.event === "request")
    return `${common} ${entry.status} ${entry.requestId} ${entry.clientRequestId}`;
  const code: DeltaErrorCode | undefined = entry.code;
  return `${common} ${entry.report.outcome} ${code}`;
}

export function dates(event: Event): string[] {
  const span: Date[] = [startOf(event), endOf(event, "Europe/Berlin")];
  startOf({ start: { dateTime: "2026-11-21T10:00:00" } });
  // @ts-expect-error the zone is required
  days(event);
  // @ts-expect-error dateTime is a string
  startOf({ start: { dateTime: new Date() } });
  return isAllDay(event) ? days(event, "UTC") : span.map((instant) => dayOf(instant, "UTC"));
}

export function words(query: DeltaQuery<Event>): string[] {
  const german: Partial<Sentences> = {
    idle: "Stand: {since}.",
    "waiting-offline": ({ until }) => `Offline${until ?? ""}`,
  };
  // @ts-expect-error there is no such code
  const wrong: Partial<Sentences> = { "failed-gone": "" };
  const now = new Date();
  const words = describeStatus(query.status.get(), { now, sentences: { ...german, ...wrong }, locale: "de" });
  const { idle } = english;
  return [words, describeStatus({ phase: "closed" }), typeof idle === "string" ? idle : ""];
}

export async function rounds(query: DeltaQuery<Event>): Promise<void> {
  const round = query.round({ ack: "manual", maxPages: 1, maxMs: 20_000 });
  for await (const page of round) {
    same<typeof page, Page<Event>>(true);
    for (const change of page.changes) describe(change);
    await page.ack();
  }
  void round.report.outcome;
  const readable: Readable<{ phase: string }> = query.status;
  const stop: () => void = readable.subscribe(({ phase }) => void phase);
  stop();
}

function describe(change: Change<Event>): string {
  switch (change.type) {
    case "upsert":
      // A partial item has only the changed properties.
      if (change.partial) return change.item.subject ?? "";
      return `${change.isNew} ${change.item.subject} ${change.old?.subject}`;
    case "remove":
      same<typeof change.reason, "deleted" | "changed" | "ghost" | "left-window">(true);
      return change.reason;
  }
}

// The types of a wrapper can be named, which `declaration: true` requires.
export function contactsWith<S extends PropertyName<OrgContact>>(
  client: DeltaClient,
  select: S[],
): DeltaQuery<Narrowed<OrgContact, S>> {
  return client.orgContacts({ select });
}

export function errors(error: unknown): string {
  if (!(error instanceof DeltaError)) throw error;
  const code: DeltaErrorCode = error.code;
  switch (code) {
    case "throttled":
      return `not before ${error.retryAt?.toISOString()}`;
    case "interaction":
      return error.claims ?? "";
    default:
      return `${error.message} ${error.status} ${error.graphCode} ${error.requestId} ${error.retryable} ${error.report?.requests}`;
  }
}
// @ts-expect-error there is no such code
export const wrong: DeltaErrorCode = "gone";
