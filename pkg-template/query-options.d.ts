/**
 * The option that decides between a query with a mirror and a feed. The other types of options are
 * without it, so that a variable of one of them makes a query with a mirror.
 */
export interface MirrorOption<M extends boolean = boolean> {
  /**
   * `false` stores the link only, without a copy of the items, for callers that store the items
   * themselves. Default `true`.
   */
  mirror?: M;
}

/** The options that all queries have. */
export interface QueryOptions {
  /** Separates the stored state of queries with otherwise equal options. */
  name?: string;
  /**
   * Query parameters, which override options. They are not refused even if Graph does not support
   * them: only `$select`, the window of a calendar view, and tokens are checked.
   */
  query?: Record<string, string>;
  /**
   * The age of the mirror, in milliseconds, at which the next round is a full one. A full round
   * finds differences that Graph does not report as changes. Listeners get only the differences;
   * `round()` delivers all items. With `false`, age never leads to a full round. Default: a day for
   * events and for kinds whose removals Graph does not report, a week for drives, lists and sites,
   * else `false`; with `mirror: false`, `false`.
   */
  refresh?: number | false;
}

/** The options of `events()`: either `start` and `end`, or a `window` that moves with the days. */
export type EventsOptions = OptionsWithStartAndEnd | OptionsWithWindow;

/** The options of `events()` with a fixed start and end. */
export interface OptionsWithStartAndEnd extends CalendarOptions, FixedWindow {
  window?: undefined;
}

/** The options of `events()` with a window that moves with the days. */
export interface OptionsWithWindow extends CalendarOptions {
  window: RollingWindow;
  start?: undefined;
  end?: undefined;
}

/** The time between two instants. */
export interface FixedWindow {
  /**
   * The start, as ISO 8601 or a Date. A string without an offset is in UTC. At most 1825 days
   * before `end`.
   */
  start: string | Date;
  /** The end, as ISO 8601 or a Date. A string without an offset is in UTC. */
  end: string | Date;
}

/**
 * Whole days around today. The window is the same all day. The first round of another day is a full
 * one over the new window, and listeners get only the differences. Events that have left the window
 * are removed with the reason `left-window`.
 *
 * @example
 *   client.events({ window: { daysBack: 7, daysAhead: 30, timeZone: "Europe/Berlin" } });
 */
export interface RollingWindow {
  /** The number of days before today. Default 0. */
  daysBack?: number;
  /** The number of days after today. Default 0. At most 1824 together with `daysBack`. */
  daysAhead?: number;
  /**
   * The time zone in which the days begin, as an IANA name. Default `"UTC"`. It does not change the
   * time zone of the items: see `CalendarOptions.timeZone`, and `deltalink/calendar` to show them.
   */
  timeZone?: string;
}

/** The options of `events()` apart from the window. */
export interface CalendarOptions extends QueryOptions {
  /** The id or the principal name of a user. Default: the signed-in user. */
  user?: string;
  /** The id of a calendar. Default: the default calendar of the user. */
  calendar?: string;
  /**
   * The time zone of `start` and `end` of the items: a Windows name such as `"Pacific Standard
   * Time"`, or one of the IANA names of Graph's page "dateTimeTimeZone resource type". Default UTC.
   */
  timeZone?: string;
  /**
   * Whether ids stay the same when an item is moved (Graph's page "Obtain immutable identifiers for
   * Outlook resources"). Default `false`.
   */
  immutableIds?: boolean;
  /** The number of items per page, from 1 to 1000. Graph may send fewer. Default: Graph's own. */
  pageSize?: number;
}

/** The options of `orgContacts()`. */
export interface OrgContactsOptions extends QueryOptions {
  /** The properties to return; `id` is always returned. Default: Graph's own. */
  select?: readonly string[];
  /** Only the contacts with these ids, at most 50. */
  ids?: readonly string[];
  /**
   * Whether incremental rounds return only the properties that have changed. The mirror merges
   * them. Default `false`.
   */
  minimal?: boolean;
}

/** The options of `callRecordings()`. */
export interface CallRecordingsOptions extends QueryOptions {
  /** The id of the organizer of the meetings: the id of a user in Entra, not an address. */
  organizer: string;
  /** The user in the path. Default: the organizer. */
  user?: string;
  /** Only recordings of meetings from this instant on, as ISO 8601 or a Date. */
  startDateTime?: string | Date;
  /** Only recordings of meetings before this instant, as ISO 8601 or a Date. */
  endDateTime?: string | Date;
  /**
   * The number of items per page. With `top`, Graph may leave out the nextLink (known issue 22931);
   * the round then starts again without `top`.
   */
  top?: number;
}

/**
 * The options of `track()`. Options that the resource does not support are refused with
 * `bad-request`.
 */
export interface TrackOptions extends QueryOptions {
  /** `$select`: the properties to return. */
  select?: readonly string[];
  /** `$filter`. */
  filter?: string;
  /** `$expand`. */
  expand?: string;
  /** `$orderby`. */
  orderby?: string;
  /** `$search`. */
  search?: string;
  /** `$top`: the number of items per page. */
  top?: number;
  /** Only the objects with these ids, if the resource has an id filter. */
  ids?: readonly string[];
  /** Whether incremental rounds return only the properties that have changed. Default `false`. */
  minimal?: boolean;
  /** The number of items per page, sent in the `Prefer` header. */
  pageSize?: number;
  /** Whether ids stay the same when an item is moved. Default `false`. */
  immutableIds?: boolean;
  /** The time zone of dates in the items. Default UTC. */
  timeZone?: string;
  /**
   * Drives: leaves out the parents of changed items (Graph's page "driveItem: delta", header
   * `deltaExcludeParent`). Default `false`.
   */
  excludeParents?: boolean;
  /**
   * Drives: lists shared folders that were added to the drive, which personal drives otherwise
   * leave out (`Prefer: Include-Feature=AddToOneDrive`). Default `false`.
   */
  sharedFolders?: boolean;
  /** Additional values of the `Prefer` header, such as `"deltashowremovedasdeleted"`. */
  prefer?: readonly string[];
}
