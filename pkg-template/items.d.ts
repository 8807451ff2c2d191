import type * as graph from "@microsoft/microsoft-graph-types";

/** An item with its id, which every item has and which Graph's own types declare as optional. */
export type WithId<T> = T extends { id: string } ? T : T & { id: string };

/** An event (Graph's resource type `event`). */
export type Event = WithId<graph.Event>;
/** A contact of the organization (Graph's resource type `orgContact`). */
export type OrgContact = WithId<graph.OrgContact>;
/** A recording of a meeting (Graph's resource type `callRecording`). */
export type CallRecording = WithId<graph.CallRecording>;
