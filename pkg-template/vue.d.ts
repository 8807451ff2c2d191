import type { DeltaError, DeltaQuery, LiveOptions, QueryStatus, Readable, ViewOptions } from "deltalink";
import type { DescribeOptions } from "deltalink/describe";
import type { ComputedRef, MaybeRefOrGetter, ShallowRef } from "vue";

/** The options of `useDelta()`. */
export interface UseDeltaOptions<T> extends ViewOptions<T> {
  /** Whether, or how, to keep the mirror fresh until the scope ends. Default `true`. */
  live?: boolean | LiveOptions;
}

/** The result of `useDelta()`. */
export interface UseDeltaResult<T> {
  /** The items, in order. An item that has not changed is the same object as before. */
  items: ComputedRef<readonly T[]>;
  /** Whether the mirror has been read. Before its first round it is empty: see `synced`. */
  ready: ComputedRef<boolean>;
  /**
   * Whether the list has all items of a complete round. While this is false, an empty list may only
   * mean that nothing has arrived yet.
   */
  synced: ComputedRef<boolean>;
  /** The number of items without `limit`. */
  total: ComputedRef<number>;
  /**
   * The status of the query. It is `failed` if the list has an error of its own (see `ViewState`).
   * Instead of `idle`, it is `new` until the mirror has been read, and `syncing` until the list has
   * all items of the first round.
   */
  status: ComputedRef<QueryStatus>;
  /** The error in `status`. */
  error: ComputedRef<DeltaError | undefined>;
  /**
   * Runs a round now. Resolves when the round has ended. If it has failed, `error` has the error.
   */
  syncNow(): Promise<void>;
}

/**
 * Returns the items of a query, which is live until the component or effect scope ends. Without a
 * query, and on a server, the list is empty.
 *
 * The query and the options may be refs or getters, and the list follows them. If `where` or
 * `orderBy` needs the value of a ref, read the ref before that function: Vue does not track a ref
 * that is read inside of it.
 *
 * @example
 *   const { items } = useDelta(
 *     () => client.value?.orgContacts(),
 *     () => {
 *       const wanted = text.value;
 *       return { where: ({ displayName }) => displayName?.includes(wanted) ?? false };
 *     },
 *   );
 */
export function useDelta<T>(
  query: MaybeRefOrGetter<DeltaQuery<T> | undefined>,
  options?: MaybeRefOrGetter<UseDeltaOptions<T> | undefined>,
): UseDeltaResult<T>;

/**
 * Returns a ref with a status in words that a user understands, as `describe()` of
 * `deltalink/describe` makes them. It changes with the status and with time ("Updated 2 minutes
 * ago."), until the component or effect scope ends.
 *
 * @example
 *   const { items, status } = useDelta(contacts);
 *   const words = useDescription(status);
 */
export function useDescription(
  status: MaybeRefOrGetter<QueryStatus>,
  options?: MaybeRefOrGetter<Omit<DescribeOptions, "now"> | undefined>,
): Readonly<ShallowRef<string>>;

/**
 * Returns a ref with the value of a readable, such as `client.signInError` or `query.status`, until
 * the component or effect scope ends. Undefined without a readable. On a server it has the current
 * value.
 *
 * @example
 *   const signInError = useReadable(() => client.value?.signInError);
 */
export function useReadable<V>(
  readable: MaybeRefOrGetter<Readable<V> | undefined>,
): Readonly<ShallowRef<V | undefined>>;
