//! The options of the four calls, after the shell has read them.

use crate::protocol::time::Duration;

/// The options of the four calls. Each call takes some of them: `EventsOptions`,
/// `OrgContactsOptions`, `CallRecordingsOptions` and `TrackOptions` of `query-options.d.ts`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Distinguishes two queries that are otherwise equal.
    pub name: Option<String>,
    /// Stores the link only, without a mirror.
    pub feed: bool,
    /// Query parameters that override those of the other options.
    pub query: Vec<(String, String)>,
    /// The age at which the mirror is listed again; `Some(None)` for never.
    pub refresh: Option<Option<Duration>>,
    /// The start of the window of events or recordings.
    pub start: Option<String>,
    /// The end of the window of events or recordings.
    pub end: Option<String>,
    /// The owner of the calendar, or the user in the path of recordings.
    pub user: Option<String>,
    /// The id of a calendar.
    pub calendar: Option<String>,
    /// `Prefer: outlook.timezone`.
    pub time_zone: Option<String>,
    /// `Prefer: IdType="ImmutableId"`.
    pub immutable_ids: bool,
    /// `Prefer: odata.maxpagesize`.
    pub page_size: Option<u32>,
    /// `$select`.
    pub select: Option<Vec<String>>,
    /// The ids to filter by.
    pub ids: Option<Vec<String>>,
    /// `Prefer: return=minimal`.
    pub minimal: bool,
    /// `meetingOrganizerUserId`.
    pub organizer: Option<String>,
    /// `$top`.
    pub top: Option<u32>,
    /// `filter`, `expand`, `orderby` and `search` as given.
    pub odata_options: Vec<(&'static str, String)>,
    /// Drives: `deltaExcludeParent`, so that the parents of changed items are not listed.
    pub exclude_parents: bool,
    /// Drives: `Prefer: Include-Feature=AddToOneDrive`, so that shared folders are listed.
    pub shared_folders: bool,
    /// Further Prefer values.
    pub prefer: Vec<String>,
    /// A rolling window of events: days back, days ahead, time zone.
    pub window: Option<(u32, u32, String)>,
}
