// Whose data the page shows, and where it comes from: the demo's fake Graph, or Microsoft 365 after
// a sign-in.
import type { CallRecording, DeltaClient, DeltaQuery } from "deltalink";

export interface Session {
  kind: "demo" | "microsoft365";
  /** Shown in the header. */
  name: string;
  client: DeltaClient;
  /** Undefined where this session cannot read them. */
  recordings: DeltaQuery<CallRecording> | undefined;
  /** From a click: asks the user, so that waiting rounds can go on. */
  signInAgain(claims: string | undefined): Promise<void>;
  /** Leaves what is stored. */
  close(): Promise<void>;
  /** Wipes this account from the browser, and signs out where there is a sign-in. */
  leave(): Promise<void>;
}
