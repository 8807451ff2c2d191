//! The calendar view: windows, series, page sizes, time zones, immutable ids.

use crate::common::*;
use crate::{FROM, TO};
use fake_graph::{Collection, Populate};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn a_full_round_lists_every_event_of_the_window_once() {
    let mut c = Client::new(1, &filled());
    let round = c.round(WINDOW);
    let mut ids = round.ids();
    ids.sort();
    let oracle = oracle(&c, Collection::Events, Some((FROM, TO)));
    assert_eq!(ids, oracle.keys().cloned().collect::<Vec<_>>());
    assert!(round.pages.len() > 3);
    let mut mirror = BTreeMap::new();
    apply(&mut mirror, &round, false);
    assert_eq!(mirror, oracle);
}

#[test]
fn populating_makes_exactly_the_requested_rows() {
    for n in [1, 3, 7, 40, 133] {
        let c = Client::new(
            1,
            &Populate {
                events: n,
                drive: n,
                messages: n,
                recordings: n,
                contacts: n,
                users: n,
                groups: n,
                around: 0,
            },
        );
        for collection in Collection::ALL {
            assert_eq!(c.world.list(collection, None, None, None, false).len() as u64, n, "{collection:?}");
        }
    }
}

#[test]
fn a_second_round_returns_only_the_changes() {
    let mut c = Client::new(1, &filled());
    let first = c.round(WINDOW);
    let single = c.world.list(Collection::Events, None, None, Some((FROM, TO)), false);
    let single =
        single.iter().find(|e| e["type"] == "singleInstance").unwrap()["id"].as_str().unwrap().to_owned();
    c.edit(json!([{ "collection": "events", "op": "edit", "id": single, "patch": { "subject": "Moved" } }]));
    let second = c.round(&first.delta);
    assert_eq!(second.ids(), std::slice::from_ref(&single));
    assert_eq!(second.items()[0]["subject"], "Moved");
    let third = c.round(&second.delta);
    assert!(third.ids().is_empty());
    assert_ne!(third.delta, second.delta);
    // The older deltaLink still lists the changes after it.
    assert_eq!(c.round(&first.delta).ids(), [single]);
}

#[test]
fn a_series_is_a_master_with_short_occurrences_and_a_complete_exception() {
    let mut c = Client::new(1, &filled());
    let round = c.round(WINDOW);
    let kind = |k: &str| round.items().into_iter().filter(|i| i["type"] == k).cloned().collect::<Vec<_>>();
    let (masters, bare, full) = (kind("seriesMaster"), kind("occurrence"), kind("exception"));
    assert!(!masters.is_empty() && bare.len() > 5 && !full.is_empty());
    for item in &bare {
        let keys: BTreeSet<&str> = item.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            BTreeSet::from(["@odata.etag", "@odata.type", "end", "id", "seriesMasterId", "start", "type"])
        );
    }
    assert!(full.iter().all(|i| i.contains_key("subject") && i.contains_key("attendees")));
    // The master precedes its first occurrence.
    let ids = round.ids();
    let place = |id: &str| ids.iter().position(|i| i == id).unwrap();
    for item in bare.iter().chain(&full) {
        assert!(place(item["seriesMasterId"].as_str().unwrap()) < place(item["id"].as_str().unwrap()));
    }
}

#[test]
fn a_master_is_withheld_from_an_incremental_round_and_can_be_fetched() {
    let mut c = Client::new(1, &filled());
    let first = c.round(WINDOW);
    let master = first.items().into_iter().find(|i| i["type"] == "seriesMaster").map(id).unwrap();
    let children = first.items().iter().filter(|i| i.get("seriesMasterId") == Some(&json!(master))).count();
    c.edit(json!({ "collection": "events", "op": "edit", "id": master, "patch": { "subject": "Daily" } }));
    let second = c.round(&first.delta);
    assert_eq!(second.ids().len(), children);
    assert!(!second.ids().contains(&master));
    let item = c.get(&format!("/me/events/{master}"));
    assert_eq!((item.status, item.json()["subject"].as_str()), (200, Some("Daily")));
    assert_eq!(code(&c.get("/me/events/AAMkNothing=")), "ErrorItemNotFound");
    c.options(json!({ "withhold_masters": false }));
    let again = c.round(&first.delta);
    assert_eq!(again.ids().first(), Some(&master));
    c.options(json!({ "withhold_masters_full": true }));
    assert!(c.round(WINDOW).items().iter().all(|i| i["type"] != "seriesMaster"));
}

#[test]
fn an_event_that_leaves_the_window_is_removed_and_one_outside_it_only_by_option() {
    let mut c = Client::new(2, &Populate::default());
    let inside = c.edit(json!({
        "collection": "events", "op": "add",
        "item": { "subject": "A", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z" },
    }));
    let first = c.round(WINDOW);
    assert_eq!(first.ids(), inside);
    c.edit(json!({ "collection": "events", "op": "edit", "id": inside[0], "patch": { "start": "2027-05-01T09:00:00Z", "end": "2027-05-01T10:00:00Z" } }));
    let outside =
        c.edit(json!({ "collection": "events", "op": "add", "item": { "start": "2028-12-01T09:00:00Z", "end": "2028-12-01T10:00:00Z" } }));
    let second = c.round(&first.delta);
    assert_eq!(second.removed(), [inside[0].clone(), outside[0].clone()]);
    assert_eq!(second.items()[0]["@removed"]["reason"], "deleted");
    c.options(json!({ "outside_window_removals": false }));
    assert_eq!(c.round(&first.delta).removed(), inside);
}

#[test]
fn a_deleted_occurrence_is_not_reported_by_option() {
    for silent in [false, true] {
        let mut c = Client::new(1, &Populate::default());
        c.options(json!({ "silent_occurrence_delete": silent }));
        let item = json!({ "type": "seriesMaster", "subject": "S", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z" });
        let ids = c.edit(json!({ "collection": "events", "op": "add", "count": 4, "item": item }));
        assert_eq!(ids.len(), 5);
        let first = c.round(WINDOW);
        c.edit(json!({ "collection": "events", "op": "remove", "id": ids[2] }));
        let second = c.round(&first.delta);
        assert_eq!(second.removed().len(), usize::from(!silent));
        assert_eq!(c.round(WINDOW).ids().len(), 4);
        c.edit(json!({ "collection": "events", "op": "remove", "id": ids[0] }));
        assert_eq!(c.round(&second.delta).removed().len(), 4);
    }
}

#[test]
fn an_empty_calendar_takes_two_requests() {
    let mut c = Client::new(1, &Populate::default());
    let round = c.round(WINDOW);
    assert_eq!(round.pages, [vec![], vec![]]);
    assert_eq!(c.round(&round.delta).pages.len(), 1);
}

#[test]
fn a_raw_plus_in_a_date_is_refused() {
    let mut c = Client::new(1, &Populate::default());
    let raw = c.get(
        "/me/calendarView/delta?startDateTime=2026-11-01T00:00:00+01:00&endDateTime=2027-01-01T00:00:00Z",
    );
    assert_eq!((raw.status, code(&raw).as_str()), (400, "ErrorInvalidParameter"));
    let encoded = c.get(
        "/me/calendarView/delta?startDateTime=2026-11-01T00:00:00%2B01:00&endDateTime=2027-01-01T00:00:00Z",
    );
    assert_eq!(encoded.status, 200);
}

#[test]
fn a_window_needs_both_dates_and_at_most_1825_days() {
    let mut c = Client::new(1, &Populate::default());
    for query in ["", "?startDateTime=2026-11-01", "?startDateTime=2026-11-01&endDateTime=soon"] {
        assert_eq!(c.get(&format!("/me/calendarView/delta{query}")).status, 400, "{query}");
    }
    assert_eq!(c.get("/me/calendarView/delta?STARTDATETIME=2026-01-01&enddatetime=2030-12-31").status, 200);
    let long = c.get("/me/calendarView/delta?startDateTime=2026-01-01&endDateTime=2031-01-01");
    assert_eq!((long.status, code(&long).as_str()), (400, "ErrorInvalidRequest"));
}

#[test]
fn parameters_that_calendar_view_does_not_support_are_refused_with_the_message_of_graph() {
    let mut c = Client::new(1, &Populate::default());
    for name in ["$select=id", "$expand=x", "$filter=a", "$orderby=b", "$search=c"] {
        let r = c.get(&format!("{WINDOW}&{name}"));
        assert_eq!((r.status, code(&r).as_str()), (400, "ErrorInvalidUrlQuery"), "{name}");
    }
    let top = c.get(&format!("{WINDOW}&$top=5"));
    assert!(top.json()["error"]["message"].as_str().unwrap().contains("odata.maxpagesize"));
    let unknown = c.get(&format!("{WINDOW}&colour=red"));
    assert_eq!(unknown.status, 400);
    assert_eq!(log(&c).last().unwrap()["kind"], "unexpected");
}

#[test]
fn the_page_size_is_only_a_preference() {
    let mut c = Client::new(1, &filled());
    c.prefer = Some("odata.maxpagesize=7".to_owned());
    let response = c.get(WINDOW);
    assert_eq!(response.json()["value"].as_array().unwrap().len(), 7);
    assert_eq!(response.header("preference-applied"), Some("odata.track-changes, odata.maxpagesize=7"));
    c.options(json!({ "honour_maxpagesize": false }));
    assert_eq!(c.get(WINDOW).json()["value"].as_array().unwrap().len(), 10);
    c.options(json!({ "honour_maxpagesize": true, "page_overshoot": 4 }));
    assert_eq!(c.get(WINDOW).json()["value"].as_array().unwrap().len(), 11);
}

#[test]
fn a_time_zone_converts_start_and_end_but_not_all_day_events() {
    let mut c = Client::new(1, &Populate::default());
    c.edit(json!([
        { "collection": "events", "op": "add", "item": { "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z" } },
        {
            "collection": "events", "op": "add",
            "item": { "start": "2026-12-02", "end": "2026-12-03", "isAllDay": true },
        },
    ]));
    c.prefer = Some("outlook.timezone=\"W. Europe Standard Time\"".to_owned());
    let round = c.round(WINDOW);
    assert_eq!(
        round.items()[0]["start"],
        json!({ "dateTime": "2026-12-01T10:00:00.0000000", "timeZone": "W. Europe Standard Time" })
    );
    assert_eq!(round.items()[1]["start"]["dateTime"], "2026-12-02T00:00:00.0000000");
    c.prefer = Some("outlook.timezone=\"Middle Earth\"".to_owned());
    assert_eq!(c.get(WINDOW).status, 400);
}

#[test]
fn a_time_with_a_zone_is_stored_in_utc_and_an_unknown_zone_is_refused() {
    let mut c = Client::new(1, &Populate::default());
    let at = |time: &str, zone: &str| json!({ "dateTime": time, "timeZone": zone });
    let start = at("2026-11-30T20:00:00", "Pacific Standard Time");
    let end = at("2026-12-01T09:00:00.5", "W. Europe Standard Time");
    let id = c.edit(json!({ "collection": "events", "op": "add", "item": { "start": start, "end": end } }));
    let url = WINDOW.replace("2026-11-01", "2026-12-01");
    let times = |round: &Round| [round.items()[0]["start"].clone(), round.items()[0]["end"].clone()];
    let first = c.round(&url);
    assert_eq!(
        times(&first),
        [at("2026-12-01T04:00:00.0000000", "UTC"), at("2026-12-01T08:00:00.5000000", "UTC")]
    );
    let start = at("2026-12-01T09:00:00", "Tokyo Standard Time");
    c.edit(json!({ "collection": "events", "op": "edit", "id": id[0], "patch": { "start": start } }));
    assert_eq!(times(&c.round(&first.delta))[0], at("2026-12-01T00:00:00.0000000", "UTC"));
    let unknown = at("2026-12-02", "Europe/Berlin");
    let item = json!({ "start": "2026-12-01", "end": unknown });
    for edit in [
        json!({ "collection": "events", "op": "add", "item": item }),
        json!({ "collection": "events", "op": "edit", "id": id[0], "patch": { "end": unknown } }),
    ] {
        let error = c.world.edit(&edit, c.now).unwrap_err();
        assert!(error.contains("timeZone") && error.ends_with("got \"Europe/Berlin\""), "{error}");
    }
    assert!(c.round(&first.delta).items().len() < 2);
}

#[test]
fn an_immutable_id_is_another_id_of_the_same_event() {
    let mut c = Client::new(1, &filled());
    let plain = c.round(WINDOW);
    c.prefer = Some("IdType=\"ImmutableId\"".to_owned());
    let immutable = c.round(WINDOW);
    assert_eq!(plain.ids().len(), immutable.ids().len());
    assert!(immutable.ids().iter().all(|i| !plain.ids().contains(i)));
    let item = c.get(&format!("/me/events/{}", immutable.ids()[0]));
    assert_eq!(item.json()["id"], json!(immutable.ids()[0]));
    // The links work with both forms.
    assert_eq!(c.round(&plain.delta).ids().len(), 0);
}

#[test]
fn a_named_calendar_and_another_user_have_separate_streams() {
    let mut c = Client::new(1, &filled());
    c.edit(json!({
        "collection": "events", "op": "add", "calendar": "team",
        "item": { "start": "2026-12-02", "end": "2026-12-03" },
    }));
    let url = WINDOW.replace("/me/", "/me/calendars/team/");
    assert_eq!(c.round(&url).ids().len(), 1);
    assert_eq!(code(&c.get(&url.replace("team", "nowhere"))), "ErrorItemNotFound");
    let alex = c.world.token("delegated", Some("alex@contoso.example"), None, NOW);
    let round = c.round_with(WINDOW, &alex, |_, _| {});
    assert!(round.ids().is_empty());
    let (me, address) = c.world.me();
    let (by_id, by_address) = (
        WINDOW.replace("/me/", &format!("/users/{me}/")),
        WINDOW.replace("/me/", &format!("/users/{address}/")),
    );
    assert_eq!(code(&c.send(&by_id, &alex)), "ErrorAccessDenied");
    let app = c.app.clone();
    assert_eq!(c.round_with(&by_id, &app, |_, _| {}).ids(), c.round_with(&by_address, &app, |_, _| {}).ids());
    assert_eq!(c.get_app(WINDOW).status, 400);
    // The link of one user is invalid for another.
    let mine = c.round(WINDOW).delta;
    assert_eq!(c.send(&mine, &alex).status, 400);
}

#[test]
fn only_the_last_generations_of_links_stay_valid_by_option() {
    let mut c = Client::new(1, &filled());
    c.options(json!({ "generations": 4, "page_size": 3 }));
    let first = c.get(WINDOW).json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let mut next = first.clone();
    for _ in 0..3 {
        next = c.get(&next).json()["@odata.nextLink"].as_str().unwrap().to_owned();
    }
    assert_eq!(c.get(&next).status, 200);
    let gone = c.get(&first);
    assert_eq!((gone.status, code(&gone).as_str()), (410, "SyncStateNotFound"));
    assert!(gone.json()["error"]["message"].as_str().unwrap().contains("[highest="));
}
