//! Tests of rules that hold for a query in every form that callers write.

use super::*;

fn calendar_view(start: &str, end: &str) -> Result<Query> {
    let query =
        vec![("startDateTime".to_owned(), start.to_owned()), ("endDateTime".to_owned(), end.to_owned())];
    track("/me/calendarView/delta", Options { query, ..Options::default() })
}

#[test]
fn a_tracked_calendar_view_has_the_window_rules_of_events() {
    assert!(calendar_view("2026-01-01", "2030-12-31").is_ok(), "1825 days");
    assert_eq!(
        message(calendar_view("2020-01-01", "2026-01-01")),
        "options.query.startDateTime and options.query.endDateTime must be at most 1825 days apart, which is \
        Graph's limit for a calendar view, got 2192 days; take a shorter window or several queries"
    );
    assert_eq!(
        message(calendar_view("2026-02-01T00:00:00Z", "2026-02-01T01:00:00+01:00")),
        "options.query.endDateTime must be after options.query.startDateTime, got 2026-02-01T00:00:00Z and \
        2026-02-01T00:00:00Z"
    );
    assert!(
        message(calendar_view("tomorrow", "2026-01-01"))
            .starts_with("options.query.startDateTime must be an ISO 8601 date")
    );
    let overridden = Options { query: vec![("enddatetime".into(), "2040-01-01".into())], ..week() };
    assert!(
        message(events(overridden)).contains("options.start and options.query.endDateTime must be at most")
    );
}

#[test]
fn the_key_of_0_1_0_has_the_parameters_of_options_query_as_they_were_given() {
    let parameters = |query: Result<Query>| {
        let key = query.unwrap().key_in_0_1_0("ada@contoso.example", &graph())?;
        Some(key.split(" | ").nth(3).unwrap().to_owned())
    };
    assert_eq!(
        parameters(calendar_view("2026-02-01", "2026-03-01T00:00:00+01:00")).unwrap(),
        "enddatetime=2026-03-01T00:00:00%2B01:00&startdatetime=2026-02-01"
    );
    assert_eq!(
        parameters(calendar_view("2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00Z")).unwrap(),
        "enddatetime=2026-03-01T00:00:00Z&startdatetime=2026-02-01T00:00:00.000Z"
    );
    let select = |path: &str, names: &str| {
        let query = vec![("$select".to_owned(), names.to_owned())];
        track(path, Options { query, ..Options::default() })
    };
    assert_eq!(parameters(select("/users/delta", "mail,displayName")).unwrap(), "$select=mail,displayName");
    // Their keys are the same in both versions.
    assert_eq!(parameters(select("/users/delta", "displayName,mail")), None);
    assert_eq!(parameters(calendar_view("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")), None);
    assert_eq!(parameters(events(Options { start: Some("2026-02-01".into()), ..week() })), None);
    assert_eq!(parameters(track("/users/delta", Options::default())), None);
    // The link of 0.1.0 never reports removals here.
    assert_eq!(parameters(select("/me/drive/root/delta", "size,name")), None);
}

#[test]
fn the_calendar_of_a_group_has_the_window_rules_and_the_masters_of_events() {
    let track = |path: &str, end: &str| {
        let query = vec![("startDateTime".into(), "2026-01-01".into()), ("endDateTime".into(), end.into())];
        track(path, Options { query, ..Options::default() })
    };
    assert!(message(track("/groups/g/calendarView/delta", "2040-01-01")).contains("at most 1825 days apart"));
    for (path, masters) in [
        ("/groups/g/calendarView/delta", "/groups/g/events/"),
        ("/groups/g/calendar/calendarView/delta", "/groups/g/calendar/events/"),
    ] {
        let query = track(path, "2026-02-01").unwrap();
        assert_eq!(query.masters_path.as_deref(), Some(masters));
        assert_eq!(query.refresh, Some(Duration::DAY), "Graph does not report moved series there either");
    }
}

#[test]
fn two_forms_of_one_instant_give_a_tracked_calendar_view_the_same_key() {
    let utc = calendar_view("2026-11-23T00:00:00Z", "2026-11-30").unwrap();
    let offset = calendar_view("2026-11-23T01:00:00+01:00", "2026-11-30T00:00:00.000Z").unwrap();
    assert_eq!(key(&utc), key(&offset));
    assert!(url(&offset).contains("startDateTime=2026-11-23T01:00:00%2B01:00"), "{}", url(&offset));
}

#[test]
fn a_url_that_is_too_long_for_graph_is_refused_with_its_length() {
    let ids = |count: usize| Some((0..count).map(|id| format!("{id:036}")).collect());
    let device = |count| track("/devices/delta", Options { ids: ids(count), ..Options::default() });
    assert!(device(200).is_ok());
    let refused = message(device(900));
    assert!(refused.starts_with("the URL of this query would have 54"), "{refused}");
    assert!(refused.ends_with("use fewer options.ids, or track the whole collection"), "{refused}");
    let query = vec![("filter".to_owned(), "x".repeat(15_000))];
    assert!(
        message(track("/users/delta", Options { query, ..Options::default() })).contains("options.filter")
    );
}

#[test]
fn only_online_meetings_need_an_organizer() {
    assert!(track("/users/u/chats/getAllMessages/delta", Options::default()).is_ok());
}

#[test]
fn recordings_and_transcripts_need_their_organizer() {
    let path = |function: &str| format!("/users/u/onlineMeetings/{function}/delta");
    for function in ["getAllTranscripts()", "getAllTranscripts(startDateTime=2026-01-01T00:00:00Z)"] {
        assert!(message(track(&path(function), Options::default())).contains("need the meeting organizer"));
    }
    assert!(message(track(&path("getAllRecordings()"), Options::default())).contains("callRecordings({"));
    let named = path("getAllTranscripts(meetingOrganizerUserId='u')");
    assert_eq!(track(&named, Options::default()).unwrap().resource.unwrap().name, "callTranscript");
}

#[test]
fn recordings_end_at_options_end() {
    let options = Options {
        organizer: Some("u".into()),
        start: Some("2026-11-01".into()),
        end: Some("2026-12-01T00:00:00+00:00".into()),
        ..Options::default()
    };
    assert_eq!(
        url(&call_recordings(options).unwrap()),
        "/users/u/onlineMeetings/getAllRecordings(meetingOrganizerUserId='u',\
        startDateTime=2026-11-01T00:00:00Z,endDateTime=2026-12-01T00:00:00Z)/delta"
    );
}

#[test]
fn recordings_and_transcripts_of_one_meeting_or_call_are_listed_again_every_day() {
    for (path, name) in [
        ("/me/onlineMeetings/m/recordings/delta", "callRecording"),
        ("/users/u/adhocCalls/c/recordings/delta()", "callRecording"),
        ("/users/u/onlineMeetings/m/transcripts/microsoft.graph.delta()", "callTranscript"),
        ("/me/adhocCalls/c/transcripts/delta", "callTranscript"),
    ] {
        let query = track(path, Options::default()).unwrap();
        assert_eq!((query.resource.unwrap().name, query.refresh), (name, Some(Duration::DAY)), "{path}");
    }
}

#[test]
fn drives_lists_and_sites_are_listed_again_every_week() {
    for path in ["/me/drive/root/delta", "/sites/s/lists/l/items/delta", "/sites/delta"] {
        let query = track(path, Options::default()).unwrap();
        assert_eq!(query.refresh, Some(Duration::DAY * 7.0), "{path}");
        let feed = track(path, Options { feed: true, ..Options::default() }).unwrap();
        assert_eq!(feed.refresh, None, "a feed has no mirror to list again");
    }
}

#[test]
fn a_slash_at_the_end_of_a_path_is_ignored_and_an_empty_segment_is_refused() {
    for path in ["/contacts/delta/", "/users/u/calendarView/delta/"] {
        let query =
            vec![("startDateTime".into(), "2026-01-01".into()), ("endDateTime".into(), "2026-02-01".into())];
        let options = || Options { query: query.clone(), ..Options::default() };
        let with = track(path, options()).unwrap();
        let without = track(path.trim_end_matches('/'), options()).unwrap();
        assert_eq!((key(&with), url(&with)), (key(&without), url(&without)));
    }
    for path in ["/users//calendarView/delta", "/me/mailFolders//messages/delta"] {
        assert!(message(track(path, Options::default())).contains("an id is missing"), "{path}");
    }
    for path in ["/v1.0/users/delta", "/Beta/groups/delta"] {
        let refused = message(track(path, Options::default()));
        assert!(refused.contains("the version belongs to options.endpoint"), "{path}: {refused}");
    }
}

#[test]
fn drives_can_leave_out_parents_and_list_shared_folders() {
    let drive = |options| track("/me/drive/root/delta", options).unwrap();
    let plain = drive(Options::default());
    let lean = drive(Options { exclude_parents: true, ..Options::default() });
    assert_eq!(lean.headers, [("deltaExcludeParent", "true")]);
    assert_eq!(key(&lean), key(&plain), "it lists fewer items, with the same content");
    let shared = drive(Options { shared_folders: true, ..Options::default() });
    assert_eq!(shared.prefer, ["Include-Feature=AddToOneDrive"]);
    assert_ne!(key(&shared), key(&plain), "it lists other items");
    let refused = track("/users/delta", Options { shared_folders: true, ..Options::default() });
    assert!(message(refused).contains("only drives have shared folders"));
}

#[test]
fn kinds_of_the_global_cloud_are_refused_in_other_clouds() {
    for path in ["/me/notes/delta", "/admin/exchange/mailboxes/m/folders/delta"] {
        let query = track(path, Options::default()).unwrap();
        assert!(query.check_cloud(&graph()).is_ok());
        assert!(query.check_cloud(&Endpoint::parse("http://localhost:4010").unwrap()).is_ok(), "a proxy");
        for cloud in ["usgov", "usgov-dod", "china"] {
            let refused = query.check_cloud(&Endpoint::cloud(cloud).unwrap()).unwrap_err();
            assert_eq!(refused.code, Code::NotSupported);
            assert!(refused.message.contains("in the global cloud only"), "{}", refused.message);
        }
    }
    let users = track("/users/delta", Options::default()).unwrap();
    assert!(users.check_cloud(&Endpoint::cloud("china").unwrap()).is_ok());
}

#[test]
fn return_minimal_has_the_effect_of_the_option_in_every_spelling() {
    for value in
        [" return=minimal", "return=minimal, odata.track-changes", "Return = Minimal", "return=\"minimal\""]
    {
        let options = Options { prefer: vec![value.to_owned()], ..Options::default() };
        assert!(track("/users/delta", options).unwrap().minimal, "{value}");
    }
    let options = Options { prefer: vec!["note=\"return=minimal, x\"".to_owned()], ..Options::default() };
    assert!(!track("/users/delta", options).unwrap().minimal);
}

#[test]
fn the_rules_of_a_mailbox_hold_for_undocumented_paths_too() {
    let with = |name: &str, value: &str| Options {
        query: vec![(name.to_owned(), value.to_owned())],
        ..Options::default()
    };
    for path in ["/me/messages/delta", "/users/u/messages/delta", "/me/events/delta", "/me/contacts/delta"] {
        let filtered = track(path, with("$filter", "receivedDateTime ge 2026-01-01")).unwrap();
        assert!(!filtered.lists_all, "{path}: a filtered listing is incomplete");
        assert!(
            message(track(path, with("$deltatoken", "latest"))).contains("Outlook does not support"),
            "{path}"
        );
    }
}

#[test]
fn a_select_by_options_query_has_the_rules_of_the_option() {
    let select = |names: &str| {
        track(
            "/me/drive/root/delta",
            Options { query: vec![("$select".to_owned(), names.to_owned())], ..Options::default() },
        )
    };
    assert!(url(&select("name, size").unwrap()).contains("$select=name,size,deleted,id"));
    let by_option =
        Options { select: Some(vec!["name".to_owned(), "size".to_owned()]), ..Options::default() };
    assert_eq!(key(&select("size,name").unwrap()), key(&track("/me/drive/root/delta", by_option).unwrap()));
    assert!(message(select("name,,size")).contains("options.select must be an array of property names"));
}
