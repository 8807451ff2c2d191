// A session: the account whose data the dashboard shows, in the demo or in Microsoft 365.
import type { CallRecording, DeltaClient, DeltaQuery } from "deltalink";
import type { History } from "./rounds";

/** The kind of token that reads the recordings: an app-only one, or the one of the user. */
export type TokenKind = "app" | "delegated";

export interface Session {
  kind: "demo" | "microsoft365";
  /** The name of the account, for the header. */
  name: string;
  client: DeltaClient;
  history: History;
  /** The recordings, read by each kind of token. Undefined if this session cannot read them. */
  recordings: Record<TokenKind, DeltaQuery<CallRecording>> | undefined;
  /** Lets the user sign in, so that waiting rounds continue. Call it from a click. */
  signInAgain(claims: string | undefined): Promise<void>;
  /** Closes the session and keeps the stored data. */
  close(): Promise<void>;
  /** Deletes the data of this account from the browser, and signs out of Microsoft 365. */
  leave(): Promise<void>;
}
