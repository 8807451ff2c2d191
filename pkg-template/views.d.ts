import type { DeltaError } from "./errors.js";
import type { Readable } from "./query-status.js";

/** The name of a property, or the path of a nested property, such as `start.dateTime`. */
export type Path<T> = string extends keyof T
  ? string
  : {
      [K in keyof T & string]:
        | K
        | (NonNullable<T[K]> extends Record<string, unknown> | object
            ? NonNullable<T[K]> extends readonly unknown[]
              ? never
              : `${K}.${keyof NonNullable<T[K]> & string}`
            : never);
    }[keyof T & string];

/** The options of `view()`. */
export interface ViewOptions<T> extends OccurrenceOptions {
  /** Whether an item is in the list. Called once for each item, and again when the item changes. */
  where?: (item: T) => boolean;
  /**
   * A property, or a function as for `Array.sort()`. Strings are compared by the rules of the
   * user's language; missing values come last. Items that compare equal are sorted by id. Default:
   * events by their start, all others by id.
   */
  orderBy?: Path<T> | ((a: T, b: T) => number);
  /**
   * Sorts by the property in `orderBy`, or in the default order, from the largest to the smallest.
   * Missing values come last here too. Default `false`. Not together with a function in `orderBy`.
   *
   * @example recordings.view({ orderBy: "createdDateTime", descending: true, limit: 20 });
   */
  descending?: boolean;
  /** The maximum number of items. `total` counts all. Default: no limit. */
  limit?: number;
}

/** A list of items that follows the mirror. */
export interface View<T> extends Readable<ViewState<T>> {
  /** Ends all subscriptions. */
  close(): void;
}

/** The content of a view. It is the same object until the content changes. */
export interface ViewState<T> {
  /**
   * The items, in order. An item that has not changed is the same object as before. They are shared
   * by all views: do not modify them.
   */
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
   * The error of the last read of the store, or of `where` or `orderBy`. The items are those of the
   * previous read. With the code `closed` there are none: the client is closed.
   */
  error?: DeltaError;
}

/** How events of a series are returned. */
export interface OccurrenceOptions {
  /**
   * `"complete"` (default): an occurrence gets missing properties from its series master, and
   * masters are left out. `"raw"`: all events as Graph sent them, masters too.
   */
  occurrences?: "complete" | "raw";
}
