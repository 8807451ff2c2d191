import type {
  DeltaClient,
  DeltaError,
  DeltaFeed,
  DeltaQuery,
  LiveOptions,
  QueryStatus,
  ViewOptions,
} from "deltalink";
import type { ReactElement, ReactNode } from "react";
import type { DescribeOptions } from "./describe.js";

/** The properties of `DeltaProvider`. */
export interface DeltaProviderProps {
  /**
   * The client of the signed-in account, the promise that `openDelta()` has returned, or undefined
   * while no user is signed in. Make it once, not in each render. The provider does not close it.
   */
  client: DeltaClient | PromiseLike<DeltaClient | undefined> | undefined;
  children?: ReactNode;
}

/**
 * Provides the client to the hooks below it. When `client` changes, the rows of the previous client
 * are no longer rendered.
 *
 * If a promise rejects, `useDelta()` and `useDeltaStatus()` without a query have the phase `failed`
 * and the error. After the client is closed, here or by `forget()` in another tab, they have the
 * phase `closed`, and `useDeltaClient()` returns undefined.
 *
 * @example
 *   const client = openDelta({ token, account }); // once, in the browser
 *   <DeltaProvider client={client}><Contacts /></DeltaProvider>;
 */
export function DeltaProvider(props: DeltaProviderProps): ReactElement;

/**
 * Returns the client of the provider. Undefined on a server, during hydration, until the promise
 * has resolved, after the client was closed, and while no user is signed in. Throws `bad-request`
 * if there is no provider.
 */
export function useDeltaClient(): DeltaClient | undefined;

/**
 * Returns the status of a query, and renders again when it changes. Starts no round. Without a
 * query it is that of the provider's client: `new`, `failed` if its promise has rejected, or
 * `closed`.
 */
export function useDeltaStatus(query: Pick<DeltaFeed<unknown>, "status"> | undefined): QueryStatus;

/**
 * Returns the error because of which the user has to sign in again, for any query of the client.
 * Undefined while no sign-in is needed, and without a client. Throws `bad-request` if there is no
 * provider.
 *
 * @example
 *   const error = useSignInError();
 *   const signInAgain = () => signIn(error?.claims).then(() => client?.resume());
 *   return error && <button onClick={signInAgain}>Sign in again</button>;
 */
export function useSignInError(): DeltaError | undefined;

/**
 * Returns the status in words that a user understands, as `describe()` of `deltalink/describe`
 * does, and renders again when time changes them: "Updated 2 minutes ago."
 *
 * @example
 *   const { items, status } = useDelta(contacts);
 *   const words = useDescription(status);
 */
export function useDescription(status: QueryStatus, options?: Omit<DescribeOptions, "now">): string;

/** The options of `useDelta()`. */
export interface UseDeltaOptions<T> extends ViewOptions<T> {
  /** Whether, or how, to keep the mirror fresh while the component is mounted. Default `true`. */
  live?: boolean | LiveOptions;
}

/** The result of `useDelta()`. It is the same object until the content changes. */
export interface UseDeltaResult<T> {
  /** The items, in order. An item that has not changed is the same object as before. */
  items: readonly T[];
  /** Whether the mirror has been read. Before its first round it is empty: see `synced`. */
  ready: boolean;
  /**
   * Whether the list has all items of a complete round. While this is false, an empty list may only
   * mean that nothing has arrived yet.
   */
  synced: boolean;
  /** The number of items without `limit`. */
  total: number;
  /**
   * The status of the query. It is `failed` if the list has an error of its own (see `ViewState`).
   * Instead of `idle`, it is `new` until the mirror has been read, and `syncing` until the list has
   * all items of the first round.
   */
  status: QueryStatus;
  /** The error in `status`. */
  error?: DeltaError | undefined;
  /**
   * Runs a round now. Resolves when the round has ended. If it has failed, `error` has the error.
   * `syncNow` is the same function in each render.
   */
  syncNow(): Promise<void>;
}

/**
 * Returns the items of a query, and renders again when they or the status change. While the
 * component is mounted, the query is live. Without a query, the list is empty.
 *
 * Queries with the same options count as the same query, so that `client.events({ … })` may be
 * called in render. Options are compared by value. New functions in them (`where`, `orderBy`) are
 * used only when a value in `deps` changes.
 *
 * @example
 *   const contacts = useDeltaClient()?.orgContacts();
 *   const { items } = useDelta(
 *     contacts,
 *     { where: ({ displayName }) => displayName?.includes(text) ?? false, orderBy: "displayName" },
 *     [text],
 *   );
 */
export function useDelta<T>(
  query: DeltaQuery<T> | undefined,
  options?: UseDeltaOptions<T>,
  deps?: readonly unknown[],
): UseDeltaResult<T>;
