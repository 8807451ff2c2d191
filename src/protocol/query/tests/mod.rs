use super::*;
use crate::protocol::time::Duration;

mod rules;

fn graph() -> Endpoint {
    Endpoint::cloud("global").unwrap()
}

fn week() -> Options {
    Options { start: Some("2026-11-23".into()), end: Some("2026-11-30".into()), ..Options::default() }
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.code, Code::BadRequest);
    failure.message
}

fn url(query: &Query) -> String {
    query.url(&graph(), None).replace("https://graph.microsoft.com/v1.0", "")
}

fn key(query: &Query) -> String {
    query.key("alex", &graph())
}

#[test]
fn events_are_a_calendar_view_of_me_of_a_user_or_of_a_calendar() {
    assert_eq!(
        url(&events(week()).unwrap()),
        "/me/calendarView/delta?startDateTime=2026-11-23&endDateTime=2026-11-30"
    );
    let user =
        Options { user: Some("alex@contoso.example".into()), calendar: Some("AAM/k+=".into()), ..week() };
    assert_eq!(
        url(&events(user).unwrap()),
        "/users/alex@contoso.example/calendars/AAM%2Fk%2B=/calendarView/delta?startDateTime=2026-11-23&endDateTime=2026-11-30"
    );
}

#[test]
fn the_plus_of_an_offset_is_sent_encoded() {
    let query = events(Options { start: Some("2026-11-23T00:00:00+01:00".into()), ..week() }).unwrap();
    assert_eq!(
        url(&query),
        "/me/calendarView/delta?startDateTime=2026-11-23T00:00:00%2B01:00&endDateTime=2026-11-30"
    );
}

#[test]
fn the_hash_of_a_key_is_that_of_fnv_1a() {
    assert_eq!(["", "a", "foobar"].map(key_hash), ["811c9dc5", "e40c292c", "bf9cf968"]);
}

#[test]
fn two_forms_of_one_instant_give_the_same_key() {
    let offset = events(Options { start: Some("2026-11-23T01:00:00+01:00".into()), ..week() }).unwrap();
    assert_eq!(key(&offset), key(&events(week()).unwrap()));
    assert_eq!(
        key(&offset),
        "alex | https://graph.microsoft.com/v1.0 | /me/calendarView/delta | enddatetime=2026-11-30T00:00:00Z&startdatetime=2026-11-23T00:00:00Z"
    );
}

#[test]
fn a_window_needs_both_ends_in_order_and_at_most_1825_days() {
    assert_eq!(
        message(events(Options { start: Some("soon".into()), ..week() })),
        "options.start must be an ISO 8601 date such as \"2026-11-21T00:00:00Z\", or a Date, got \"soon\""
    );
    assert_eq!(
        message(events(Options { end: Some(String::new()), ..week() })),
        "options.end must be an ISO 8601 date such as \"2026-11-21T00:00:00Z\", or a Date, got \"\""
    );
    assert_eq!(
        message(events(Options { end: Some("2026-11-23T00:00:00Z".into()), ..week() })),
        "options.end must be after options.start, got 2026-11-23T00:00:00Z and 2026-11-23T00:00:00Z"
    );
    let exact =
        Options { start: Some("2021-11-22".into()), end: Some("2026-11-21".into()), ..Options::default() };
    assert!(events(exact.clone()).is_ok());
    assert_eq!(
        message(events(Options { end: Some("2026-11-21T00:00:01Z".into()), ..exact })),
        "options.start and options.end must be at most 1825 days apart, which is Graph's limit for a calendar view, got 1826 days; take a shorter window or several queries"
    );
}

#[test]
fn the_preferences_of_events_have_an_order_and_the_key_has_only_those_that_change_items() {
    let query = events(Options {
        page_size: Some(50),
        time_zone: Some("Pacific Standard Time".into()),
        immutable_ids: true,
        ..week()
    })
    .unwrap();
    assert_eq!(
        query.prefer,
        ["odata.maxpagesize=50", "outlook.timezone=\"Pacific Standard Time\"", "IdType=\"ImmutableId\""]
    );
    assert!(
        key(&query).ends_with(" | outlook.timezone=\"Pacific Standard Time\" | IdType=\"ImmutableId\""),
        "{}",
        key(&query)
    );
    let plain = events(Options { page_size: Some(9), ..week() }).unwrap();
    assert_eq!(key(&plain), key(&events(week()).unwrap()));
}

#[test]
fn an_invalid_page_size_or_time_zone_is_refused() {
    assert_eq!(
        message(events(Options { page_size: Some(0), ..week() })),
        "options.pageSize must be from 1 to 1000, got 0"
    );
    assert_eq!(
        message(events(Options { page_size: Some(1001), ..week() })),
        "options.pageSize must be from 1 to 1000, got 1001"
    );
    for zone in ["", "UTC\", x=\"", "U\nTC"] {
        assert!(
            message(events(Options { time_zone: Some(zone.into()), ..week() }))
                .starts_with("options.timeZone must be the name of a time zone"),
            "{zone}"
        );
    }
}

#[test]
fn the_option_query_overrides_the_rules_of_a_kind() {
    let query = vec![("$expand".into(), "singleValueExtendedProperties($filter=id eq 'x')".into())];
    let query = events(Options { query, ..week() }).unwrap();
    assert!(
        url(&query).ends_with("&$expand=singleValueExtendedProperties($filter%3Did%20eq%20%27x%27)"),
        "{}",
        url(&query)
    );
    let query = vec![("startdatetime".into(), "2026-11-24".into())];
    assert_eq!(
        url(&events(Options { query, ..week() }).unwrap()),
        "/me/calendarView/delta?endDateTime=2026-11-30&startdatetime=2026-11-24"
    );
    let invalid = vec![("a=b".into(), String::new())];
    assert_eq!(
        message(events(Options { query: invalid, ..week() })),
        "options.query must have query parameter names as its keys, got \"a=b\""
    );
}

#[test]
fn a_select_always_contains_the_required_properties_of_its_kind() {
    let select = |path: &str, names: &[&str]| {
        let select = Some(names.iter().map(|name| (*name).to_owned()).collect());
        url(&track(path, Options { select, ..Options::default() }).unwrap())
            .split_once('?')
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(
        select("/me/drive/root/delta", &["name"]),
        "$select=name,deleted,id",
        "the facet marks removals"
    );
    assert_eq!(
        select("/sites/s/lists/l/items/delta", &["id", "deleted", "fields"]),
        "$select=id,deleted,fields"
    );
    assert_eq!(select("/users/delta", &["displayName"]), "$select=displayName,id");
    assert_eq!(select("/unknown/things/delta", &["a"]), "$select=a,id");
}

#[test]
fn the_preference_return_minimal_equals_the_option_minimal() {
    let by_option = track("/users/delta", Options { minimal: true, ..Options::default() }).unwrap();
    for value in ["return=minimal", "Return=Minimal"] {
        let query =
            track("/users/delta", Options { prefer: vec![value.into()], ..Options::default() }).unwrap();
        assert_eq!((query.minimal, &query.prefer, key(&query)), (true, &by_option.prefer, key(&by_option)));
    }
    let both = Options { prefer: vec!["return=minimal".into()], minimal: true, ..Options::default() };
    assert_eq!(track("/users/delta", both).unwrap().prefer, ["return=minimal"]);
}

#[test]
fn a_preference_never_gives_the_key_of_another_query() {
    let with = |prefer: &str| {
        track("/users/delta", Options { prefer: vec![prefer.into()], ..Options::default() }).unwrap()
    };
    let feed = track("/users/delta", Options { feed: true, ..Options::default() }).unwrap();
    let named = track("/users/delta", Options { name: Some("x".into()), ..Options::default() }).unwrap();
    let option_top = track("/me/drive/root/delta", Options { top: Some(5), ..Options::default() }).unwrap();
    let preference_top =
        track("/me/drive/root/delta", Options { prefer: vec!["$top=5".into()], ..Options::default() })
            .unwrap();
    assert_ne!(key(&with("feed")), key(&feed));
    assert_ne!(key(&with("name=x")), key(&named));
    assert_ne!(key(&preference_top), key(&option_top));
}

#[test]
fn masters_are_requested_below_their_own_calendar() {
    let shared = events(Options { calendar: Some("AAMkShared=".into()), ..week() }).unwrap();
    assert!(shared.master(&graph(), "M1").unwrap().ends_with("/me/calendars/AAMkShared=/events/M1"));
    let query =
        vec![("startDateTime".into(), "2026-11-23".into()), ("endDateTime".into(), "2026-11-30".into())];
    for (path, master) in [
        ("/me/calendarView/delta", "/me/events/M1"),
        (
            "/users/alex@contoso.example/calendars/c/calendarView/delta",
            "/users/alex@contoso.example/calendars/c/events/M1",
        ),
        ("/me/calendar/calendarView/delta", "/me/calendar/events/M1"),
    ] {
        let tracked = track(path, Options { query: query.clone(), ..Options::default() }).unwrap();
        assert!(tracked.master(&graph(), "M1").unwrap().ends_with(master), "{path}");
    }
}

#[test]
fn contacts_take_a_select_and_at_most_50_ids() {
    let ids = |count: usize| Some((0..count).map(|n| format!("id{n}")).collect::<Vec<_>>());
    let options = Options {
        select: Some(vec!["displayName".into(), "mail".into()]),
        ids: ids(2),
        minimal: true,
        ..Options::default()
    };
    let query = org_contacts(options).unwrap();
    assert_eq!(
        url(&query),
        "/contacts/delta?$select=displayName,mail,id&$filter=id%20eq%20%27id0%27%20or%20id%20eq%20%27id1%27"
    );
    assert_eq!(query.prefer, ["return=minimal"]);
    assert!(org_contacts(Options { ids: ids(50), ..Options::default() }).is_ok());
    assert_eq!(
        message(org_contacts(Options { ids: ids(51), ..Options::default() })),
        "options.ids must contain at most 50 ids, which is Graph's limit, got 51; track the whole collection, or make several queries"
    );
    assert_eq!(
        message(org_contacts(Options { ids: ids(0), ..Options::default() })),
        "options.ids must name at least one id; leave it out for all"
    );
    assert_eq!(
        message(org_contacts(Options { select: Some(vec!["a,b".into()]), ..Options::default() })),
        "options.select must be an array of property names, got \"a,b\""
    );
}

#[test]
fn neither_the_order_of_a_select_nor_minimal_changes_the_key() {
    let query = |select: &[&str], minimal| {
        org_contacts(Options {
            select: Some(select.iter().map(|&s| s.to_owned()).collect()),
            minimal,
            ..Options::default()
        })
        .unwrap()
    };
    assert_eq!(
        key(&query(&["mail", "displayName"], false)),
        key(&query(&["displayName", "mail", "mail"], true))
    );
    assert_ne!(key(&query(&["mail"], false)), key(&query(&["displayName"], false)));
}

#[test]
fn a_quote_in_an_id_is_doubled() {
    let query =
        org_contacts(Options { ids: Some(vec!["x' or id ne '".into()]), ..Options::default() }).unwrap();
    assert_eq!(url(&query), "/contacts/delta?$filter=id%20eq%20%27x%27%27%20or%20id%20ne%20%27%27%27");
}

#[test]
fn recordings_name_their_organizer_inside_the_parentheses() {
    let organizer = Options { organizer: Some("8b08".into()), ..Options::default() };
    assert_eq!(
        url(&call_recordings(organizer.clone()).unwrap()),
        "/users/8b08/onlineMeetings/getAllRecordings(meetingOrganizerUserId='8b08')/delta"
    );
    let all = Options {
        user: Some("u".into()),
        start: Some("2026-11-01T01:00:00+01:00".into()),
        top: Some(20),
        ..organizer
    };
    assert_eq!(
        url(&call_recordings(all).unwrap()),
        "/users/u/onlineMeetings/getAllRecordings(meetingOrganizerUserId='8b08',startDateTime=2026-11-01T00:00:00Z)/delta?$top=20"
    );
}

#[test]
fn recordings_without_an_organizer_are_refused() {
    assert_eq!(
        message(call_recordings(Options::default())),
        "options.organizer must be the id of the meeting organizer: Graph refuses the query without one, got \"\""
    );
}

#[test]
fn recordings_have_no_removals_so_they_are_refreshed_daily() {
    let query = call_recordings(Options { organizer: Some("o".into()), ..Options::default() }).unwrap();
    assert_eq!(query.refresh, Some(Duration::DAY));
    assert_eq!(events(week()).unwrap().refresh, Some(Duration::DAY));
    assert_eq!(org_contacts(Options::default()).unwrap().refresh, None);
    let never = Some(None);
    assert_eq!(events(Options { refresh: never, ..week() }).unwrap().refresh, None);
    let negative = Some(Some(Duration::from_millis(-1.0)));
    assert_eq!(
        message(events(Options { refresh: negative, ..week() })),
        "options.refresh must be a number of milliseconds above 0, or false for never"
    );
}

#[test]
fn kinds_whose_removals_graph_does_not_report_are_listed_again_every_day() {
    for path in ["/education/users/delta", "/education/schools/delta", "/education/classes/delta"] {
        assert_eq!(track(path, Options::default()).unwrap().refresh, Some(Duration::DAY), "{path}");
    }
    for path in ["/users/delta", "/groups/delta", "/devices/delta"] {
        assert_eq!(track(path, Options::default()).unwrap().refresh, None, "{path}");
    }
}

#[test]
fn a_known_kind_refuses_options_that_graph_refuses_and_suggests_a_remedy() {
    let top = Options { top: Some(5), ..Options::default() };
    assert_eq!(
        message(track("/users/delta", top.clone())),
        "options.top is refused by Graph on user: leave it out, or send it unchecked by options.query: { \"$top\": … }"
    );
    assert_eq!(
        message(track("/me/contactFolders/f/contacts/delta", top)),
        "options.top is refused by Graph on contact: use options.pageSize"
    );
    let page = Options { page_size: Some(5), ..Options::default() };
    assert_eq!(
        message(track("/me/drive/root/delta", page.clone())),
        "options.pageSize is refused by Graph on driveItem: use options.top"
    );
    assert_eq!(
        message(track("/users/delta", page)),
        "options.pageSize is refused by Graph on user: Graph chooses its page size; leave it out"
    );
    assert_eq!(
        message(track("/me/drive/root/delta", Options { minimal: true, ..Options::default() })),
        "options.minimal is refused by Graph on driveItem: return=minimal works on users, groups, orgContacts and directoryObjects only; leave it out"
    );
    assert_eq!(
        message(track("/me/calendarView/delta", Options::default())),
        "a calendar view needs a start and an end; use events({ start, end }), or give startDateTime and endDateTime in options.query"
    );
    assert_eq!(
        message(track("/users/u/onlineMeetings/getAllRecordings()/delta", Options::default())),
        "call recordings need the meeting organizer; use callRecordings({ organizer })"
    );
    assert_eq!(
        message(track("/teams/t/channels/c/messages/delta", Options { top: Some(51), ..Options::default() })),
        "options.top is refused by Graph on chatMessage: its maximum is 50"
    );
}

#[test]
fn an_unknown_kind_accepts_every_option() {
    let options = Options {
        top: Some(5),
        page_size: Some(5),
        minimal: true,
        odata_options: vec![("filter", "a eq 'b'".into())],
        ..Options::default()
    };
    let query = track("/new/things/delta", options).unwrap();
    assert_eq!(url(&query), "/new/things/delta?$filter=a%20eq%20%27b%27&$top=5");
    assert_eq!(query.prefer, ["return=minimal", "odata.maxpagesize=5"]);
}

#[test]
fn a_path_that_is_not_a_delta_resource_is_refused() {
    for path in [
        "",
        "users/delta",
        "//evil.example/delta",
        "/users",
        "/users/delta?$top=1",
        "/users/delta#x",
        "/us ers/delta",
        "/\\evil/delta",
        "/users/delta/x",
        "/users/deltafoo",
        "https://graph.microsoft.com/v1.0/users/delta",
    ] {
        assert!(
            message(track(path, Options::default()))
                .starts_with("path must be a delta resource below the root, such as \"/users/delta\""),
            "{path}"
        );
    }
    for path in [
        "/users/delta",
        "/users/microsoft.graph.delta()",
        "/users/delta()",
        "/me/drive/root/delta(token='a')",
    ] {
        assert!(track(path, Options::default()).is_ok(), "{path}");
    }
}

#[test]
fn a_round_from_latest_is_not_full() {
    let latest = vec![("$deltatoken".into(), "latest".into())];
    assert!(!track("/users/delta", Options { query: latest, ..Options::default() }).unwrap().has_full_rounds);
    let token = vec![("token".into(), "latest".into())];
    assert!(
        !track("/me/drive/root/delta", Options { query: token, ..Options::default() })
            .unwrap()
            .has_full_rounds
    );
    let skip = vec![("$skiptoken".into(), "x".into())];
    assert!(!track("/users/delta", Options { query: skip, ..Options::default() }).unwrap().has_full_rounds);
    for path in [
        "/me/drive/root/delta(token='latest')",
        "/me/drive/root/DELTA(TOKEN='latest')",
        "/me/drive/root/delta(token%3D'latest')",
        "/me/drive/root/microsoft.graph.delta(%74oken='latest')",
    ] {
        assert!(!track(path, Options::default()).unwrap().has_full_rounds, "{path}");
    }
    for path in ["/users/delta", "/users/delta()", "/users('a@contoso.example')/contacts/delta"] {
        assert!(track(path, Options::default()).unwrap().has_full_rounds, "{path}");
    }
}

#[test]
fn a_refused_path_is_named_without_its_token() {
    for path in [
        "me/drive/root/delta(token='SECRET')",
        "/me/drive/root/delta (token='SECRET')",
        "/me/drive/root/delta(token='SECRET')/x",
        "/me/drive/root/delta?token=SECRET",
    ] {
        let refused = message(track(path, Options::default()));
        assert!(refused.contains("me/drive/root/delta"), "{refused}");
        assert!(refused.ends_with("…\"") && !refused.contains("SECRET"), "{refused}");
    }
}

#[test]
fn every_option_that_changes_the_items_changes_the_key() {
    let named = |name: &str| Options { name: Some(name.into()), ..week() };
    let feed = Options { feed: true, ..week() };
    let queries = [
        week(),
        named("a"),
        named("b"),
        feed,
        Options { user: Some("me".into()), ..week() },
        Options { calendar: Some("c".into()), ..week() },
        Options { time_zone: Some("UTC".into()), ..week() },
        Options { immutable_ids: true, ..week() },
        Options { end: Some("2026-12-01".into()), ..week() },
    ];
    let mut keys: Vec<String> = queries.into_iter().map(|options| key(&events(options).unwrap())).collect();
    keys.push(events(week()).unwrap().key("sam", &graph()));
    keys.push(events(week()).unwrap().key("alex", &Endpoint::cloud("china").unwrap()));
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn a_name_never_gives_the_key_of_another_query() {
    let named = |name: &str| events(Options { name: Some(name.into()), ..week() }).unwrap();
    let feed = events(Options { name: Some("a".into()), feed: true, ..week() }).unwrap();
    assert_ne!(key(&named("a | feed")), key(&feed));
    assert_ne!(named("x").key("a | b", &graph()), named("x").key("a %7C b", &graph()));
    assert!(key(&named("x")).starts_with(&key_prefix("alex")));
    assert!(!key(&named("x")).starts_with(&key_prefix("ale")));
}

#[test]
fn a_query_that_lists_only_a_part_of_its_items_is_recognized() {
    let with = |path: &str, options: Options| track(path, options).unwrap().lists_all;
    let changes = vec![("changeType".to_owned(), "created".to_owned())];
    assert!(with("/me/mailFolders/inbox/messages/delta", Options::default()));
    assert!(!with("/me/mailFolders/inbox/messages/delta", Options { query: changes, ..Options::default() }));
    let filter = vec![("filter", "receivedDateTime ge 2026-01-01T00:00:00Z".to_owned())];
    assert!(!with(
        "/me/mailFolders/inbox/messages/delta",
        Options { odata_options: filter, ..Options::default() }
    ));
    assert!(!with("/chats/c/messages/delta", Options::default()), "messages of the last 8 months");
}

#[test]
fn outlook_refuses_a_round_from_latest() {
    let query = vec![("$deltatoken".to_owned(), "latest".to_owned())];
    let refused =
        track("/me/mailFolders/inbox/messages/delta", Options { query: query.clone(), ..Options::default() });
    assert!(message(refused).contains("because Outlook does not support that"));
    assert!(track("/users/delta", Options { query, ..Options::default() }).is_ok());
}
