import type { CollectionConfig } from "@tanstack/db";
import type { DeltaQuery, LiveOptions, OccurrenceOptions } from "deltalink";

/** The options of `deltaCollectionOptions()`. They include some options of `createCollection()`. */
export interface DeltaCollectionOptions<T extends object>
  extends
    OccurrenceOptions,
    Pick<CollectionConfig<T, string>, "id" | "gcTime" | "startSync" | "autoIndex" | "defaultIndexType"> {
  query: DeltaQuery<T>;
  /** Whether, or how, to keep the mirror fresh while the collection is in use. Default `true`. */
  live?: boolean | LiveOptions;
}

/**
 * Returns the options of a collection of TanStack DB with the items of a query. Its key is the id
 * of an item. The collection is read-only: to change items, call Graph.
 *
 * The collection is ready when the mirror has been read, even without network. It may be empty
 * then: see `query.status`. Each commit of any tab updates it; removed items and ghosts are
 * deleted.
 *
 * @example
 *   const contacts = createCollection(deltaCollectionOptions({ query: client.orgContacts() }));
 */
export function deltaCollectionOptions<T extends { id?: string }>(
  options: DeltaCollectionOptions<T>,
): CollectionConfig<T, string, never> & { schema?: never };
