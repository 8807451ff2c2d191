//! The delta resources that Graph documents, and the options that each supports (graph-facts 3).
//!
//! An unknown path is accepted: Graph adds kinds faster than a list can follow.

use super::change::Dialect;
use super::rate::Workload;
use super::time::Duration;

/// How the page size is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// By `Prefer: odata.maxpagesize`, which Graph may ignore (graph-facts 2.3).
    Prefer,
    /// By `$top`.
    Top,
    /// It cannot be requested.
    Fixed,
}

/// How many ids the id filter may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdFilter {
    /// The kind has no id filter.
    None,
    /// At most 50.
    Fifty,
    /// As many as fit into a URL.
    UrlLength,
}

/// One kind of resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// Graph's name of the kind.
    pub name: &'static str,
    /// Lower-case paths; `*` stands for one segment, `~` for `me` or `users/*`.
    paths: &'static [&'static str],
    /// The system query options that it supports, without the `$`.
    pub query_options: &'static [&'static str],
    /// Properties besides `id` that are needed to understand an item: `$select` always contains
    /// them. Graph omits the facet that marks a removal unless it is selected.
    pub required_properties: &'static [&'static str],
    /// How many ids the id filter may contain.
    pub id_filter: IdFilter,
    /// How the page size is requested.
    pub page_size: PageSize,
    /// Whether `Prefer: return=minimal` is supported.
    pub minimal: bool,
    /// Whether its items may carry relationship slices, such as `members@delta`.
    pub slices: bool,
    /// The workload whose limits apply. Outlook also supports `Prefer: IdType="ImmutableId"`.
    pub workload: Workload,
    /// Events: whether `Prefer: outlook.timezone` is supported.
    pub time_zone: bool,
    /// How removals are marked besides `@removed`.
    pub dialect: Dialect,
    /// Whether a full round lists everything. Chat messages: only those of the last 8 months
    /// (graph-facts 2.6).
    pub lists_all: bool,
    /// Whether its items contain only the properties that have changed, even without
    /// `return=minimal`. Several items of one id on a page are then successive changes.
    pub sends_partial_items: bool,
    /// Whether Graph reports removals of this kind.
    pub reports_removals: bool,
    /// Whether the `Location` of a reset is followed.
    pub follows_location: bool,
    /// The least privileged permission that can read it, from its page in Graph's reference. Empty
    /// if that was not looked up.
    pub permission: &'static str,
    /// Whether only an app-only token can read it.
    pub app_only: bool,
    /// Whether only the global cloud has it.
    pub global_only: bool,
}

impl Resource {
    /// The age at which a mirror is listed again unless the caller says otherwise: a day for kinds
    /// of which Graph does not report every removal, and a week for drives, lists and sites, whose
    /// removals are lost only after batch operations (graph-facts 9.5). `None` for other kinds.
    pub fn default_refresh(&self) -> Option<Duration> {
        if self.name == "event" || !self.reports_removals {
            Some(Duration::DAY)
        } else if self.dialect == Dialect::DeletedFacet {
            Some(Duration::DAY * 7.0)
        } else {
            None
        }
    }
}

const BASE: Resource = Resource {
    name: "",
    paths: &[],
    query_options: &[],
    required_properties: &[],
    id_filter: IdFilter::None,
    page_size: PageSize::Fixed,
    minimal: false,
    slices: false,
    workload: Workload::Other,
    time_zone: false,
    dialect: Dialect::Removed,
    lists_all: true,
    sends_partial_items: false,
    reports_removals: true,
    follows_location: false,
    permission: "",
    app_only: false,
    global_only: false,
};
const DIRECTORY: Resource = Resource {
    workload: Workload::Directory,
    query_options: &["select"],
    id_filter: IdFilter::UrlLength,
    slices: true,
    ..BASE
};
const PEOPLE: Resource = Resource { id_filter: IdFilter::Fifty, minimal: true, ..DIRECTORY };
const OUTLOOK: Resource = Resource { workload: Workload::Outlook, page_size: PageSize::Prefer, ..BASE };
const TEAMS: Resource = Resource { workload: Workload::Teams, ..BASE };
const FILES: Resource = Resource {
    workload: Workload::Files,
    query_options: &["select", "expand", "top"],
    required_properties: &["deleted"],
    page_size: PageSize::Top,
    dialect: Dialect::DeletedFacet,
    follows_location: true,
    ..BASE
};
const MESSAGE_OPTIONS: &[&str] = &["select", "top", "expand", "filter", "orderby"];

/// Every kind of Graph's reference, and some that only its metadata has.
pub const RESOURCES: &[Resource] = &[
    Resource {
        name: "event",
        paths: &["~/calendarview/delta", "~/calendar/calendarview/delta", "~/calendars/*/calendarview/delta"],
        time_zone: true,
        permission: "Calendars.Read",
        ..OUTLOOK
    },
    Resource {
        name: "event",
        // Of a group. In Graph's metadata, without a page in its reference.
        paths: &["groups/*/calendarview/delta", "groups/*/calendar/calendarview/delta"],
        time_zone: true,
        permission: "Group.Read.All",
        ..OUTLOOK
    },
    Resource {
        name: "orgContact",
        paths: &["contacts/delta"],
        slices: false,
        permission: "OrgContact.Read.All",
        ..PEOPLE
    },
    Resource {
        name: "callRecording",
        paths: &["users/*/onlinemeetings/getallrecordings/delta"],
        query_options: &["top"],
        page_size: PageSize::Top,
        reports_removals: false,
        permission: "OnlineMeetingRecording.Read.All",
        app_only: true,
        ..TEAMS
    },
    Resource {
        name: "callRecording",
        // Recordings of one meeting or call. In Graph's metadata, but not in its reference.
        paths: &["~/onlinemeetings/*/recordings/delta", "~/adhoccalls/*/recordings/delta"],
        query_options: &["top"],
        page_size: PageSize::Top,
        reports_removals: false,
        permission: "OnlineMeetingRecording.Read.All",
        ..TEAMS
    },
    Resource {
        name: "callTranscript",
        paths: &["users/*/onlinemeetings/getalltranscripts/delta"],
        query_options: &["top"],
        page_size: PageSize::Top,
        reports_removals: false,
        permission: "OnlineMeetingTranscript.Read.All",
        app_only: true,
        ..TEAMS
    },
    Resource {
        name: "callTranscript",
        paths: &["~/onlinemeetings/*/transcripts/delta", "~/adhoccalls/*/transcripts/delta"],
        query_options: &["top"],
        page_size: PageSize::Top,
        reports_removals: false,
        permission: "OnlineMeetingTranscript.Read.All",
        ..TEAMS
    },
    Resource {
        name: "administrativeUnit",
        paths: &["directory/administrativeunits/delta", "administrativeunits/delta"],
        ..DIRECTORY
    },
    Resource {
        name: "application",
        paths: &["applications/delta"],
        permission: "Directory.Read.All",
        ..DIRECTORY
    },
    Resource {
        name: "chatMessage",
        paths: &[
            "teams/*/channels/*/messages/delta",
            "teams/*/channels/*/messages/*/replies/delta",
            "chats/*/messages/delta",
        ],
        query_options: &["top", "filter", "expand"],
        page_size: PageSize::Top,
        dialect: Dialect::DeletedDate,
        lists_all: false,
        ..TEAMS
    },
    Resource {
        name: "contact",
        paths: &["~/contactfolders/*/contacts/delta"],
        query_options: &["select"],
        permission: "Contacts.Read",
        ..OUTLOOK
    },
    Resource {
        name: "contactFolder",
        paths: &["~/contactfolders/delta"],
        query_options: &["select"],
        permission: "Contacts.Read",
        ..OUTLOOK
    },
    Resource { name: "device", paths: &["devices/delta"], permission: "Device.Read.All", ..DIRECTORY },
    Resource {
        name: "directoryObject",
        paths: &["directoryobjects/delta"],
        query_options: &["select", "filter"],
        ..PEOPLE
    },
    Resource { name: "directoryRole", paths: &["directoryroles/delta"], ..DIRECTORY },
    Resource {
        name: "driveItem",
        // The root of a drive, and a folder in it. `*/*` is a user, a group or a site.
        paths: &[
            "me/drive/root/delta",
            "drives/*/root/delta",
            "*/*/drive/root/delta",
            "me/drives/*/root/delta",
            "*/*/drives/*/root/delta",
            "me/drive/items/*/delta",
            "drives/*/items/*/delta",
            "*/*/drive/items/*/delta",
            "*/*/drives/*/items/*/delta",
        ],
        permission: "Files.Read, or Files.Read.All without a user",
        ..FILES
    },
    Resource {
        name: "educationAssignment",
        paths: &[
            "education/classes/*/assignments/delta",
            "education/me/assignments/delta",
            "education/users/*/assignments/delta",
        ],
        query_options: &["top"],
        page_size: PageSize::Top,
        reports_removals: false,
        permission: "EduAssignments.ReadBasic",
        ..BASE
    },
    Resource {
        name: "educationCategory",
        paths: &[
            "education/classes/*/assignmentcategories/delta",
            "education/classes/*/assignments/*/categories/delta",
        ],
        query_options: &["top"],
        page_size: PageSize::Top,
        reports_removals: false,
        permission: "EduAssignments.ReadBasic",
        global_only: true,
        ..BASE
    },
    Resource { name: "educationClass", paths: &["education/classes/delta"], reports_removals: false, ..BASE },
    Resource {
        name: "educationSchool",
        paths: &["education/schools/delta"],
        reports_removals: false,
        ..BASE
    },
    Resource {
        name: "educationUser",
        paths: &["education/users/delta"],
        reports_removals: false,
        permission: "EduRoster.ReadBasic",
        ..BASE
    },
    Resource { name: "group", paths: &["groups/delta"], permission: "GroupMember.Read.All", ..PEOPLE },
    Resource {
        name: "listItem",
        paths: &["sites/*/lists/*/items/delta"],
        permission: "Sites.Read.All",
        ..FILES
    },
    Resource {
        name: "mailboxFolder",
        paths: &["admin/exchange/mailboxes/*/folders/delta"],
        global_only: true,
        permission: "MailboxFolder.Read",
        ..OUTLOOK
    },
    Resource {
        name: "mailboxItem",
        paths: &["admin/exchange/mailboxes/*/folders/*/items/delta"],
        query_options: &["select", "top", "filter", "orderby"],
        global_only: true,
        permission: "MailboxItem.Read",
        ..OUTLOOK
    },
    Resource {
        name: "mailFolder",
        paths: &["~/mailfolders/delta"],
        query_options: &["select"],
        permission: "Mail.ReadBasic",
        ..OUTLOOK
    },
    Resource {
        name: "message",
        paths: &["~/mailfolders/*/messages/delta"],
        query_options: MESSAGE_OPTIONS,
        permission: "Mail.ReadBasic",
        ..OUTLOOK
    },
    Resource {
        name: "note",
        paths: &["~/notes/delta"],
        query_options: &["select", "filter", "orderby", "top"],
        global_only: true,
        page_size: PageSize::Top,
        ..BASE
    },
    Resource { name: "oAuth2PermissionGrant", paths: &["oauth2permissiongrants/delta"], ..DIRECTORY },
    Resource {
        name: "plannerBucket",
        paths: &["planner/plans/*/buckets/delta"],
        permission: "Tasks.Read",
        ..BASE
    },
    Resource {
        name: "plannerPlan",
        paths: &["groups/*/planner/plans/delta", "planner/rosters/*/plans/delta"],
        permission: "Tasks.Read",
        ..BASE
    },
    Resource {
        name: "plannerTask",
        paths: &["planner/tasks/delta", "planner/plans/*/tasks/delta", "~/planner/tasks/delta"],
        permission: "Tasks.Read",
        ..BASE
    },
    Resource {
        // Changes to objects of all kinds. The objects themselves are not listed: the caller gets
        // them by other requests of Planner.
        name: "plannerUser",
        paths: &["~/planner/all/delta"],
        lists_all: false,
        sends_partial_items: true,
        permission: "Tasks.Read",
        ..BASE
    },
    Resource { name: "servicePrincipal", paths: &["serviceprincipals/delta"], ..DIRECTORY },
    Resource { name: "site", paths: &["sites/delta"], app_only: true, permission: "Sites.Read.All", ..FILES },
    Resource {
        name: "todoTask",
        paths: &["~/todo/lists/*/tasks/delta"],
        query_options: MESSAGE_OPTIONS,
        permission: "Tasks.Read",
        ..OUTLOOK
    },
    Resource { name: "todoTaskList", paths: &["~/todo/lists/delta"], query_options: &["select"], ..OUTLOOK },
    Resource {
        name: "user",
        paths: &["users/delta"],
        permission: "User.Read, or User.Read.All without a user",
        ..PEOPLE
    },
];

/// Finds a kind by Graph's name.
pub fn named(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.name == name)
}

/// Finds the documented kind that a path names.
pub fn find(path: &str) -> Option<&'static Resource> {
    let path = path.trim_start_matches('/').to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').map(segment_name).collect();
    RESOURCES.iter().find(|resource| resource.paths.iter().any(|pattern| matches(pattern, &segments)))
}

/// The workload of a path that is not documented.
pub fn workload(path: &str) -> Workload {
    let path = path.trim_start_matches('/').to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').map(segment_name).collect();
    let outlook = [
        "events",
        "calendar",
        "calendars",
        "calendarview",
        "contacts",
        "contactfolders",
        "messages",
        "mailfolders",
        "todo",
    ];
    match segments[..] {
        ["me", kind, ..] | ["users" | "groups", _, kind, ..] if outlook.contains(&kind) => Workload::Outlook,
        ["admin", "exchange", ..] => Workload::Outlook,
        ["teams" | "chats" | "communications", ..] => Workload::Teams,
        ["sites" | "drives" | "shares", ..] => Workload::Files,
        ["me", "drive" | "drives", ..] | ["users" | "groups", _, "drive" | "drives", ..] => Workload::Files,
        [
            "directory" | "contracts" | "directoryroletemplates" | "groupsettingtemplates" | "organization",
            ..,
        ] => Workload::Directory,
        _ => Workload::Other,
    }
}

/// A path segment without its arguments and without the namespace that SDKs write.
fn segment_name(segment: &str) -> &str {
    let name = segment.split_once('(').map_or(segment, |(name, _)| name);
    name.strip_prefix("microsoft.graph.").unwrap_or(name)
}

fn matches(pattern: &str, segments: &[&str]) -> bool {
    if let Some(rest) = pattern.strip_prefix('~') {
        return match segments {
            ["me", below @ ..] => matches(rest.trim_start_matches('/'), below),
            ["users", id, below @ ..] if !id.is_empty() => matches(rest.trim_start_matches('/'), below),
            _ => false,
        };
    }
    let parts: Vec<&str> = pattern.split('/').collect();
    parts.len() == segments.len()
        && parts
            .iter()
            .zip(segments)
            .all(|(part, segment)| *part == "*" && !segment.is_empty() || part == segment)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_in_every_form_that_callers_write() {
        for (path, name) in [
            ("/me/calendarView/delta", "event"),
            ("/users/alex@contoso.example/calendarView/delta", "event"),
            ("/me/calendars/AAMk=/calendarView/delta", "event"),
            ("/groups/g/calendar/calendarView/delta", "event"),
            ("/contacts/delta", "orgContact"),
            ("/users/u/onlineMeetings/getAllRecordings(meetingOrganizerUserId='u')/delta", "callRecording"),
            ("/users/microsoft.graph.delta()", "user"),
            ("/users/delta", "user"),
            ("/me/drive/root/delta(token='x')", "driveItem"),
            ("/drives/d/items/i/delta", "driveItem"),
            ("/sites/s/drives/d/root/delta", "driveItem"),
            ("/me/drive/items/i/delta", "driveItem"),
            ("/groups/g/drive/root/delta", "driveItem"),
            ("/chats/c/messages/delta", "chatMessage"),
            ("/teams/t/channels/c/messages/m/replies/delta", "chatMessage"),
            ("/teams/t/channels/c/messages/delta", "chatMessage"),
            ("/me/mailFolders/inbox/messages/delta", "message"),
            ("/directory/administrativeUnits/delta", "administrativeUnit"),
            ("/sites/s/lists/l/items/delta", "listItem"),
            ("/education/classes/c/assignmentCategories/delta", "educationCategory"),
            ("/education/classes/c/assignments/a/categories/delta", "educationCategory"),
            ("/me/planner/all/delta", "plannerUser"),
            ("/users/u/planner/tasks/delta", "plannerTask"),
            ("/planner/plans/p/buckets/delta", "plannerBucket"),
        ] {
            assert_eq!(find(path).map(|resource| resource.name), Some(name), "{path}");
        }
    }

    #[test]
    fn an_unknown_path_has_no_resource() {
        for path in [
            "/me/contacts/delta",
            "/users/a/b/delta",
            "/users//calendarView/delta",
            "/",
            "",
            "/contracts/delta",
            "/users/delta/x",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
    }

    #[test]
    fn an_undocumented_path_has_the_limits_of_its_workload() {
        for (path, expected) in [
            ("/me/events/delta", Workload::Outlook),
            ("/users/alex@contoso.example/contacts/delta", Workload::Outlook),
            ("/groups/g/events/delta", Workload::Outlook),
            ("/me/messages/delta", Workload::Outlook),
            ("/contracts/delta", Workload::Directory),
            ("/planner/plans/p/details/delta", Workload::Other),
        ] {
            assert_eq!((find(path), workload(path)), (None, expected), "{path}");
        }
    }

    #[test]
    fn no_two_kinds_share_a_path() {
        let mut paths: Vec<&str> = RESOURCES.iter().flat_map(|resource| resource.paths).copied().collect();
        let all = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
