//! What the stand-in does, said in sentences.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
use common::*;
use fake_graph::{Collection, Populate, Request, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const FROM: i64 = 1_793_491_200_000; // 2026-11-01
const TO: i64 = 1_801_440_000_000; // 2027-02-01
const RECORDINGS: &str = "/onlineMeetings/getAllRecordings(meetingOrganizerUserId='{id}')/delta?$top=4";

fn recordings(client: &Client) -> String {
    let id = client.world.me().0;
    format!("/users/{id}{}", RECORDINGS.replace("{id}", id))
}

// ---- events ----

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
fn populating_makes_exactly_so_many_rows() {
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
fn a_second_round_brings_only_the_change() {
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
    // The older deltaLink still answers with what came after it.
    assert_eq!(c.round(&first.delta).ids(), [single]);
}

#[test]
fn a_series_is_a_master_with_bare_occurrences_and_a_full_exception() {
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
    // The master stands before the first of its occurrences.
    let ids = round.ids();
    let place = |id: &str| ids.iter().position(|i| i == id).unwrap();
    for item in bare.iter().chain(&full) {
        assert!(place(item["seriesMasterId"].as_str().unwrap()) < place(item["id"].as_str().unwrap()));
    }
}

#[test]
fn a_master_is_withheld_from_an_incremental_round_and_can_be_asked_for() {
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
fn an_event_that_leaves_the_window_is_removed_and_one_outside_it_only_by_the_switch() {
    let mut c = Client::new(2, &Populate::default());
    let inside = c.edit(json!({ "collection": "events", "op": "add", "item": { "subject": "A", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z" } }));
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
fn a_deleted_occurrence_gives_a_sign_only_without_the_switch() {
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
fn what_calendar_view_does_not_support_is_refused_with_its_text() {
    let mut c = Client::new(1, &Populate::default());
    for name in ["$select=id", "$expand=x", "$filter=a", "$orderby=b", "$search=c"] {
        let r = c.get(&format!("{WINDOW}&{name}"));
        assert_eq!((r.status, code(&r).as_str()), (400, "ErrorInvalidUrlQuery"), "{name}");
    }
    let top = c.get(&format!("{WINDOW}&$top=5"));
    assert!(top.json()["error"]["message"].as_str().unwrap().contains("odata.maxpagesize"));
    let odd = c.get(&format!("{WINDOW}&colour=red"));
    assert_eq!(odd.status, 400);
    assert_eq!(log(&c).last().unwrap()["kind"], "unexpected");
}

#[test]
fn the_page_size_is_a_wish() {
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
fn a_time_zone_shapes_start_and_end_and_leaves_all_day_events_at_midnight() {
    let mut c = Client::new(1, &Populate::default());
    c.edit(json!([
        { "collection": "events", "op": "add", "item": { "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z" } },
        { "collection": "events", "op": "add", "item": { "start": "2026-12-02", "end": "2026-12-03", "isAllDay": true } },
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
fn immutable_ids_have_another_form_and_name_the_same_event() {
    let mut c = Client::new(1, &filled());
    let plain = c.round(WINDOW);
    c.prefer = Some("IdType=\"ImmutableId\"".to_owned());
    let immutable = c.round(WINDOW);
    assert_eq!(plain.ids().len(), immutable.ids().len());
    assert!(immutable.ids().iter().all(|i| !plain.ids().contains(i)));
    let item = c.get(&format!("/me/events/{}", immutable.ids()[0]));
    assert_eq!(item.json()["id"], json!(immutable.ids()[0]));
    // The links fit both forms.
    assert_eq!(c.round(&plain.delta).ids().len(), 0);
}

#[test]
fn a_named_calendar_and_another_user_have_streams_of_their_own() {
    let mut c = Client::new(1, &filled());
    c.edit(json!({ "collection": "events", "op": "add", "calendar": "team", "item": { "start": "2026-12-02", "end": "2026-12-03" } }));
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
    // A link of one person is no link for another.
    let mine = c.round(WINDOW).delta;
    assert_eq!(c.send(&mine, &alex).status, 400);
}

#[test]
fn only_the_last_generations_of_links_stay_valid_by_the_switch() {
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

// ---- links ----

#[test]
fn a_link_has_another_path_than_the_request() {
    let mut c = Client::new(1, &filled());
    let next = |r: fake_graph::Response| r.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(next(c.get(WINDOW)).starts_with(&format!("{ROOT}/me/calendarview/delta?$skiptoken=")));
    let id = c.world.me().0.to_owned();
    let users = next(c.get(&WINDOW.replace("/me/", &format!("/users/{id}/"))));
    assert!(users.starts_with(&format!("{ROOT}/users('{id}')/calendarview/delta?")), "{users}");
    assert!(c.round(&users).ids().len() > 10);
    let mail = next(c.get("/me/mailFolders/inbox/messages/delta"));
    assert!(
        mail.starts_with(&format!("{ROOT}/me/mailfolders('inbox')/messages/delta?$skiptoken=")),
        "{mail}"
    );
    assert!(c.round("/contacts/delta").delta.starts_with(&format!("{ROOT}/contacts/delta?$deltatoken=")));
    assert!(next(c.get("/contacts/microsoft.graph.delta()")).contains("/contacts/microsoft.graph.delta()?"));
    c.options(json!({ "swap_token_names": true }));
    assert!(c.round("/contacts/delta").delta.contains("$skiptoken="));
}

#[test]
fn the_link_stands_before_value_and_for_a_drive_after_it() {
    let mut c = Client::new(1, &filled());
    let text = |r: fake_graph::Response| String::from_utf8(r.body).unwrap();
    let place = |t: &str| (t.find("@odata.nextLink").unwrap(), t.find("\"value\":").unwrap());
    for url in [WINDOW, "/contacts/delta", "/users/delta", "/me/mailFolders/inbox/messages/delta"] {
        let (link, value) = place(&text(c.get(url)));
        assert!(link < value, "{url}");
    }
    let (link, value) = place(&text(c.get("/me/drive/root/delta")));
    assert!(value < link);
}

#[test]
fn a_token_changed_by_one_byte_is_refused() {
    let mut c = Client::new(1, &filled());
    let app = c.app.clone();
    let urls =
        [WINDOW.to_owned(), "/contacts/delta".to_owned(), recordings(&c), "/me/drive/root/delta".to_owned()];
    for url in urls {
        let token = if url.contains("Recordings") { app.clone() } else { c.token.clone() };
        let delta = c.round_with(&url, &token, |_, _| {}).delta;
        let cut = delta[..delta.len() - 1].to_owned();
        let (before, after) = delta.split_once('=').unwrap();
        let last = delta.chars().last().unwrap();
        let mut bent =
            vec![cut.clone(), format!("{cut}{}", if last == 'A' { 'B' } else { 'A' }), format!("{delta}A")];
        if after.contains('%') {
            bent.push(format!(
                "{before}={}",
                after.replace("%2B", "+").replace("%7B", "{").replace("%3B", ";")
            ));
            bent.push(format!("{before}={}", after.replace('%', "%25")));
        }
        for bent in bent.iter().filter(|b| **b != delta) {
            let r = c.send(bent, &token);
            assert!(matches!(r.status, 400 | 410), "{bent}: {}", r.status);
            assert_eq!(log(&c).last().unwrap()["kind"], "unexpected");
        }
        assert_eq!(c.send(&delta, &token).status, 200);
        assert_eq!(log(&c).last().unwrap()["as_issued"], true);
    }
}

#[test]
fn parameters_repeated_on_a_link_are_refused_but_for_the_documented_ones() {
    let mut c = Client::new(1, &filled());
    let delta = c.round("/contacts/delta?$select=displayName").delta;
    assert_eq!(c.get(&format!("{delta}&$filter=id eq 'x'")).status, 400);
    assert_eq!(c.get(&format!("{delta}&$select=jobTitle")).status, 200);
    assert_eq!(log(&c).last().unwrap()["as_issued"], false);
    let next = c.get("/contacts/delta").json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert_eq!(c.get(&format!("{next}&$select=jobTitle")).status, 400);
    let events = c.round(WINDOW).delta;
    assert_eq!(c.get(&format!("{events}&startDateTime=2020-01-01")).status, 200);
    c.options(json!({ "ignore_repeated_dates": false }));
    assert_eq!(c.get(&format!("{events}&startDateTime=2020-01-01")).status, 400);
}

#[test]
fn the_same_link_gives_the_same_page_again() {
    let mut c = Client::new(1, &filled());
    let next = c.get(WINDOW).json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let (a, b) = (c.get(&next).json(), c.get(&next).json());
    assert_eq!(a["value"], b["value"]);
    assert_ne!(a["@odata.nextLink"], b["@odata.nextLink"]);
}

#[test]
fn every_spelling_of_a_drive_link_is_understood() {
    for form in ["query", "path", "unquoted", "broken"] {
        let mut c = Client::new(1, &filled());
        c.options(json!({ "drive_link": form, "page_size": 6 }));
        let round = c.round("/me/drive/root/delta");
        assert_eq!(round.ids().len(), 20, "{form}");
        c.edit(json!({ "collection": "drive", "op": "random", "count": 3 }));
        // A browser encodes the quotes of a query.
        let delta = if form == "broken" { round.delta.replace('\'', "%27") } else { round.delta };
        assert!(!c.round(&delta).items().is_empty(), "{form}");
        assert_eq!(log(&c).last().unwrap()["as_issued"], true);
    }
}

// ---- directory ----

#[test]
fn return_minimal_leaves_out_what_did_not_change() {
    let mut c = Client::new(1, &Populate::default());
    let item = json!({ "displayName": "Ada", "jobTitle": "Lead", "mail": "ada@fabrikam.example" });
    let id = c.edit(json!({ "collection": "contacts", "op": "add", "item": item }))[0].clone();
    let first = c.round("/contacts/delta");
    assert_eq!(
        Value::Object(first.items()[0].clone()),
        json!({ "id": id, "displayName": "Ada", "jobTitle": "Lead", "mail": "ada@fabrikam.example" })
    );
    c.edit(json!({ "collection": "contacts", "op": "edit", "id": id, "patch": { "mail": null } }));
    let whole = c.round(&first.delta);
    assert_eq!(
        Value::Object(whole.items()[0].clone()),
        json!({ "id": id, "displayName": "Ada", "jobTitle": "Lead", "mail": null })
    );
    c.prefer = Some("return=minimal".to_owned());
    let minimal = c.round(&first.delta);
    assert_eq!(Value::Object(minimal.items()[0].clone()), json!({ "id": id, "mail": null }));
    assert!(c.get(&first.delta).header("preference-applied").unwrap().contains("return=minimal"));
}

#[test]
fn select_narrows_what_is_shown_and_what_counts_as_a_change() {
    let mut c = Client::new(1, &Populate { contacts: 3, ..Populate::default() });
    let first = c.round("/contacts/delta?$select=displayName");
    assert!(first.items().iter().all(|i| i.keys().map(String::as_str).eq(["displayName", "id"])));
    let id = first.ids()[0].clone();
    c.edit(json!({ "collection": "contacts", "op": "edit", "id": id, "patch": { "jobTitle": "Other" } }));
    assert!(c.round(&first.delta).ids().is_empty());
    c.options(json!({ "omit_unselected_id": true }));
    assert!(c.get("/contacts/delta?$select=displayName").json()["value"][0].get("id").is_none());
}

#[test]
fn at_most_fifty_ids_can_be_asked_for() {
    let mut c = Client::new(1, &Populate { contacts: 60, ..Populate::default() });
    let ids = c.round("/contacts/delta").ids();
    let filter = |n: usize| {
        ids[..n].iter().map(|i| format!("id eq '{i}'")).collect::<Vec<_>>().join(" or ").replace(' ', "%20")
    };
    let r = c.get(&format!("/contacts/delta?$filter={}", filter(51)));
    assert_eq!((r.status, code(&r).as_str()), (400, "Request_UnsupportedQuery"));
    c.options(json!({ "filter_empty_pages": 3 }));
    // The docs' own sample has a slash before the question mark and a space after the equals sign.
    let round = c.round(&format!("/contacts/delta/?$filter=%20{}", filter(12)));
    assert_eq!(round.ids().len(), 12);
    assert!(round.pages[..3].iter().all(Vec::is_empty));
    c.edit(json!([
        { "collection": "contacts", "op": "edit", "id": ids[0] },
        { "collection": "contacts", "op": "edit", "id": ids[20] },
    ]));
    assert_eq!(c.round(&round.delta).ids(), [ids[0].clone()]);
    for bad in ["$top=3", "$expand=x", "$orderby=displayName", "$search=x", "$filter=displayName%20eq%20'x'"]
    {
        assert_eq!(code(&c.get(&format!("/contacts/delta?{bad}"))), "Request_UnsupportedQuery", "{bad}");
    }
}

#[test]
fn a_soft_deleted_object_can_come_back_and_then_is_new() {
    let mut c = Client::new(1, &Populate { users: 4, ..Populate::default() });
    let first = c.round("/users/delta?$select=displayName,manager");
    let id = first.ids()[2].clone();
    let edit = |c: &mut Client, op: &str| c.edit(json!({ "collection": "users", "op": op, "id": id }));
    edit(&mut c, "soft-remove");
    let second = c.round(&first.delta);
    assert_eq!(second.items()[0]["@removed"]["reason"], "changed");
    edit(&mut c, "restore");
    c.prefer = Some("return=minimal".to_owned());
    let third = c.round(&second.delta);
    assert!(third.items()[0].contains_key("displayName") && third.items()[0].contains_key("manager@delta"));
    edit(&mut c, "soft-remove");
    edit(&mut c, "remove");
    assert_eq!(c.round(&third.delta).items()[0]["@removed"]["reason"], "deleted");
}

#[test]
fn members_come_in_slices_over_pages() {
    let mut c = Client::new(1, &Populate { users: 50, groups: 2, ..Populate::default() });
    c.options(json!({ "members_slice": 20 }));
    let round = c.round("/groups/delta");
    let group = round.ids()[0].clone();
    let slices: Vec<_> = round.items().into_iter().filter(|i| i["id"] == json!(group)).collect();
    assert_eq!(slices.len(), 3);
    let members: BTreeSet<&str> = slices
        .iter()
        .flat_map(|s| s["members@delta"].as_array().unwrap())
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert_eq!(members.len(), 50);
    for page in &round.pages {
        let ids: BTreeSet<_> = page.iter().map(id).collect();
        assert_eq!(ids.len(), page.len(), "no id twice on a page");
    }
    let one = (*members.first().unwrap()).to_owned();
    c.edit(json!({ "collection": "groups", "op": "edit", "id": group, "patch": { "members": { "remove": [one] } } }));
    let second = c.round(&round.delta);
    assert_eq!(
        second.items()[0]["members@delta"],
        json!([{ "@odata.type": "#microsoft.graph.user", "id": one, "@removed": { "reason": "deleted" } }])
    );
}

#[test]
fn a_manager_comes_only_where_selected() {
    let mut c = Client::new(1, &Populate { users: 3, ..Populate::default() });
    let plain = c.round("/users/delta");
    assert!(plain.items().iter().all(|i| !i.contains_key("manager@delta")));
    let first = c.round("/users/delta?$select=displayName,manager");
    let ids = first.ids();
    c.edit(json!({ "collection": "users", "op": "edit", "id": ids[2], "patch": { "manager": ids[1] } }));
    let list = c.round(&first.delta).items()[0]["manager@delta"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    assert_eq!(list.iter().filter(|m| m.get("@removed").is_some()).count(), 1);
    assert!(c.round(&plain.delta).ids().is_empty());
    let skills = c.get("/users/delta?$select=skills");
    assert_eq!((skills.status, code(&skills).as_str()), (501, "NotImplemented"));
}

#[test]
fn a_directory_link_dies_after_seven_days() {
    let mut c = Client::new(1, &filled());
    let delta = c.round("/contacts/delta").delta;
    let events = c.round(WINDOW).delta;
    c.now = NOW + 7 * 86_400_000;
    assert_eq!(c.get(&delta).status, 200);
    c.now += 1;
    for status in [400u16, 410] {
        c.options(json!({ "directory_expired": status }));
        let r = c.get(&delta);
        assert_eq!((r.status, code(&r).as_str()), (status, "syncStateNotFound"));
    }
    assert_eq!(c.get(&events).status, 200);
}

#[test]
fn a_round_from_now_on_has_no_data() {
    let mut c = Client::new(1, &filled());
    let round = c.round("/contacts/delta?$deltatoken=latest");
    assert!(round.ids().is_empty());
    c.edit(json!({ "collection": "contacts", "op": "add" }));
    assert_eq!(c.round(&round.delta).ids().len(), 1);
    let drive = c.round("/me/drive/root/delta?token=latest");
    assert!(drive.ids().is_empty());
    assert!(c.get(&format!("{WINDOW}&$deltatoken=latest")).json()["@odata.nextLink"].is_string());
}

// ---- recordings, drive, mail ----

#[test]
fn recordings_are_for_apps_and_need_an_organizer() {
    let mut c = Client::new(1, &filled());
    let url = recordings(&c);
    assert_eq!(c.get(&url).status, 403);
    let id = c.world.me().0.to_owned();
    assert_eq!(c.get_app(&format!("/users/{id}/onlineMeetings/getAllRecordings()/delta")).status, 400);
    let app = c.app.clone();
    let round = c.round_with(&url, &app, |_, _| {});
    assert_eq!((round.ids().len(), round.pages.len()), (25, 7));
    assert!(round.items().iter().all(|i| i["@odata.type"] == "#microsoft.graph.callRecording"));
    let page = c.get_app(&url).json();
    assert_eq!(page["@odata.count"], 4);
    let next = page["@odata.nextLink"].as_str().unwrap();
    for part in ["?skipToken=", "%2B", "%23", "~", "%3D", "%7B", "%22"] {
        assert!(next.contains(part), "{part} in {next}");
    }
    assert!(round.delta.contains("?skipToken="));
    let since = url.replace(&format!("'{id}')"), &format!("'{id}',startDateTime=2026-11-15T00:00:00Z)"));
    assert!(c.round_with(&since, &app, |_, _| {}).ids().len() < 25);
}

#[test]
fn recordings_are_only_ever_added() {
    let mut c = Client::new(1, &filled());
    let (url, app) = (recordings(&c), c.app.clone());
    let first = c.round_with(&url, &app, |_, _| {});
    c.edit(json!({ "collection": "recordings", "op": "remove", "id": first.ids()[0] }));
    let added = c.edit(json!({ "collection": "recordings", "op": "add" }));
    assert_eq!(c.round_with(&first.delta, &app, |_, _| {}).ids(), added);
    c.options(json!({ "older_artifacts": true }));
    assert_eq!(c.round_with(&first.delta, &app, |_, _| {}).ids().len(), 2);
    c.options(json!({ "top_drops_next_link": true }));
    let page = c.get_app(&url).json();
    assert!(page.get("@odata.nextLink").is_none() && page.get("@odata.deltaLink").is_none());
}

#[test]
fn a_drive_has_a_deleted_facet_and_asks_for_a_resync() {
    let mut c = Client::new(1, &filled());
    let first = c.round("/me/drive/root/delta?$top=50");
    assert_eq!(first.pages.len(), 1);
    assert!(first.items()[0].contains_key("root"));
    let folder = first
        .items()
        .into_iter()
        .find(|i| i.contains_key("folder") && !i.contains_key("root"))
        .map(id)
        .unwrap();
    let gone = c.edit(json!({ "collection": "drive", "op": "remove", "id": folder }));
    let second = c.round(&first.delta);
    assert_eq!(second.ids(), gone);
    assert!(second.items().iter().all(|i| i["deleted"]["state"] == "deleted" && !i.contains_key("@removed")));
    c.world.expire(Some(Collection::Drive));
    let r = c.get(&second.delta);
    assert_eq!((r.status, code(&r).as_str()), (410, "resyncRequired"));
    assert_eq!(r.json()["error"]["innerError"]["code"], "resyncChangesApplyDifferences");
    let fresh = r.header("location").unwrap().to_owned();
    assert_eq!(c.round(&fresh).ids().len(), 20 - gone.len());
}

#[test]
fn a_drive_can_be_asked_for_what_changed_since_a_date() {
    let mut c = client_with_a_later_change();
    assert_eq!(c.round("/me/drive/root/delta?token=2026-11-21T12:00:00Z").ids().len(), 1);
    assert_eq!(log(&c).last().unwrap()["kind"], "initial");
    let old = c.get("/me/drive/root/delta?token=2026-01-01T00%3A00%3A00Z");
    assert_eq!((old.status, code(&old).as_str()), (410, "resyncRequired"));
}

fn client_with_a_later_change() -> Client {
    let mut c = Client::new(1, &filled());
    c.now += 86_400_000;
    c.edit(json!({ "collection": "drive", "op": "add" }));
    c
}

#[test]
fn a_master_leaves_with_its_last_occurrence() {
    let mut c = Client::new(1, &Populate::default());
    let item =
        json!({ "type": "seriesMaster", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z" });
    let ids = c.edit(json!({ "collection": "events", "op": "add", "count": 2, "item": item }));
    let first = c.round(WINDOW);
    c.edit(json!([{ "collection": "events", "op": "remove", "id": ids[1] }, { "collection": "events", "op": "remove", "id": ids[2] }]));
    let mut gone = c.round(&first.delta).removed();
    gone.sort();
    let mut want = ids.clone();
    want.sort();
    assert_eq!(gone, want);
}

#[test]
fn messages_know_their_options() {
    let mut c = Client::new(1, &filled());
    let all = c.round("/me/mailFolders/inbox/messages/delta?$select=subject");
    assert_eq!(all.ids().len(), 30);
    let some =
        c.round("/me/mailFolders/inbox/messages/delta?$filter=receivedDateTime+ge+2026-11-20T12:00:00Z&$orderby=receivedDateTime+desc");
    assert!(!some.ids().is_empty() && some.ids().len() < 30);
    let created = c.round("/me/mailFolders/inbox/messages/delta?changeType=created").delta;
    c.edit(json!([{ "collection": "messages", "op": "edit", "id": all.ids()[0] }, { "collection": "messages", "op": "remove", "id": all.ids()[1] }]));
    let added = c.edit(json!({ "collection": "messages", "op": "add" }));
    assert_eq!(c.round(&created).ids(), added);
    assert_eq!(c.round(&all.delta).ids().len(), 3);
    assert_eq!(code(&c.get("/me/mailFolders/nowhere/messages/delta")), "ErrorSyncFolderNotFound");
}

// ---- rounds and changes ----

#[test]
fn a_change_during_a_round_shows_up_where_the_switch_says() {
    for (mode, here, later) in
        [("next-round", 0, 1), ("later-in-round", 1, 0), ("both", 1, 1), ("live", 0, 1)]
    {
        let mut c = Client::new(1, &Populate { contacts: 30, ..Populate::default() });
        c.options(json!({ "changes_during_round": mode }));
        let token = c.token.clone();
        let known = c.round("/contacts/delta").ids();
        let round = c.round_with("/contacts/delta", &token, |c, n| {
            if n == 0 {
                c.edit(json!({ "collection": "contacts", "op": "edit", "id": known[2], "patch": { "jobTitle": "New" } }));
                c.edit(json!({ "collection": "contacts", "op": "edit", "id": known[25], "patch": { "jobTitle": "New" } }));
            }
        });
        let new = |r: &Round, id: &str| {
            r.items().iter().filter(|i| i["id"] == json!(id) && i["jobTitle"] == "New").count()
        };
        assert_eq!(new(&round, &known[2]), here, "{mode}");
        assert_eq!(new(&round, &known[25]), if mode == "live" { 1 } else { here }, "{mode}");
        let next = c.round(&round.delta);
        assert_eq!((new(&next, &known[2]), new(&next, &known[25])), (later, later), "{mode}");
    }
}

#[test]
fn a_mirror_kept_by_rounds_is_what_the_table_holds() {
    for seed in 0..48u64 {
        let mut c = Client::new(
            seed,
            &Populate { contacts: 25, events: 30, drive: 15, messages: 12, ..Populate::default() },
        );
        let pick = |from: &[&str], n: u64| from[usize::try_from(n).unwrap() % from.len()].to_owned();
        c.options(json!({
            "page_size": 1 + seed % 7, "changes_during_round": pick(&["next-round", "later-in-round", "both", "live"], seed),
            "duplicates": pick(&["none", "page", "pages", "both"], seed / 4), "reorder": seed % 3 == 0, "empty_pages": seed % 3,
            "trailing_empty_page": seed % 2 == 0, "withhold_masters": false,
        }));
        let minimal = seed % 2 == 1;
        c.prefer = minimal.then(|| "return=minimal".to_owned());
        let token = c.token.clone();
        for (collection, url) in [
            (Collection::Contacts, "/contacts/delta"),
            (Collection::Events, WINDOW),
            (Collection::Drive, "/me/drive/root/delta"),
            (Collection::Messages, "/me/mailFolders/inbox/messages/delta"),
        ] {
            let mut mirror = BTreeMap::new();
            let mut url = url.to_owned();
            for turn in 0..6 {
                let round = c.round_with(&url, &token, |c, n| {
                    if n % 2 == 0 && turn < 4 && n < 12 {
                        c.edit(json!({ "collection": collection.name(), "op": "random", "count": 2 }));
                    }
                });
                apply(&mut mirror, &round, minimal && collection == Collection::Contacts);
                url = round.delta;
                if turn < 4 {
                    c.edit(json!({ "collection": collection.name(), "op": "random", "count": 5 }));
                }
            }
            let mut want = oracle(&c, collection, (collection == Collection::Events).then_some((FROM, TO)));
            for item in want.values_mut().chain(mirror.values_mut()) {
                for key in ["@odata.etag", "@odata.type", "eTag", "changeKey"] {
                    item.remove(key);
                }
            }
            let keys = |m: &BTreeMap<String, _>| m.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&mirror), keys(&want), "seed {seed}, {collection:?}");
            assert_eq!(mirror, want, "seed {seed}, {collection:?}");
        }
    }
}

#[test]
fn members_gathered_over_rounds_are_the_members_of_the_table() {
    for seed in 0..24u64 {
        let mut c = Client::new(seed, &Populate { users: 40, groups: 4, ..Populate::default() });
        let mode = ["next-round", "later-in-round", "both", "live"][usize::try_from(seed % 4).unwrap()];
        c.options(
            json!({ "page_size": 1 + seed % 3, "members_slice": 1 + seed % 9, "reorder": seed % 2 == 0, "changes_during_round": mode }),
        );
        let users: Vec<String> = c.round("/users/delta").ids();
        let groups: Vec<String> =
            c.round("/groups/delta").ids().into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let token = c.token.clone();
        let mut mirror: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut url = "/groups/delta".to_owned();
        let mut n = seed as usize;
        for turn in 0..6 {
            let mut change = |c: &mut Client| {
                n = n * 7 + 3;
                let (group, user) = (&groups[n % groups.len()], &users[n % users.len()]);
                let change =
                    if n.is_multiple_of(2) { json!({ "add": [user] }) } else { json!({ "remove": [user] }) };
                c.edit(json!({ "collection": "groups", "op": "edit", "id": group, "patch": { "members": change } }));
                n %= 100_003;
            };
            let round = c.round_with(&url, &token, |c, n| {
                if turn < 4 && n < 20 {
                    change(c);
                }
            });
            for item in round.items() {
                let set = mirror.entry(id(item)).or_default();
                for member in item.get("members@delta").and_then(Value::as_array).into_iter().flatten() {
                    let member_id = member["id"].as_str().unwrap().to_owned();
                    if member.get("@removed").is_some() {
                        set.remove(&member_id)
                    } else {
                        set.insert(member_id)
                    };
                }
            }
            url = round.delta;
        }
        for group in c.world.list(Collection::Groups, None, None, None, false) {
            let want: BTreeSet<String> =
                group["members"].as_array().unwrap().iter().map(|m| m.as_str().unwrap().to_owned()).collect();
            assert_eq!(mirror[group["id"].as_str().unwrap()], want, "seed {seed}, {mode}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = |seed| {
        let mut c = Client::new(seed, &filled());
        c.options(json!({ "reorder": true, "duplicates": "both", "changes_during_round": "both" }));
        let mut all = Vec::new();
        for url in [WINDOW, "/contacts/delta", "/groups/delta", "/me/drive/root/delta"] {
            c.edit(json!({ "collection": "contacts", "op": "random", "count": 3 }));
            all.push(c.get(url));
        }
        all
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

// ---- sign-in and CORS ----

#[test]
fn a_request_without_a_good_token_is_401_with_a_challenge() {
    let mut c = Client::new(1, &filled());
    let short = c.world.token("delegated", None, Some(1000), NOW);
    assert_eq!(c.send(WINDOW, &short).status, 200);
    c.now += 1000;
    for token in ["", "nonsense", &short] {
        let r = c.send(WINDOW, token);
        assert_eq!((r.status, code(&r).as_str()), (401, "InvalidAuthenticationToken"));
        assert!(r.header("www-authenticate").unwrap().starts_with("Bearer realm=\"\""));
    }
    c.world.revoke();
    assert_eq!(c.get(WINDOW).status, 401);
    let text = c.world.log().to_string();
    assert!(!text.contains(&c.token), "a token in the log");
}

#[test]
fn a_preflight_is_answered_as_graph_does() {
    let mut c = Client::new(1, &filled());
    let request = Request {
        method: "OPTIONS".to_owned(),
        url: format!("/w/abc/v1.0{WINDOW}"),
        headers: vec![
            ("Origin".to_owned(), "http://127.0.0.1:1".to_owned()),
            ("Access-Control-Request-Headers".to_owned(), "authorization,prefer".to_owned()),
        ],
        body: Vec::new(),
    };
    let r = c.world.handle(&request, NOW);
    assert_eq!(r.status, 204);
    assert_eq!(r.header("access-control-allow-origin"), Some("*"));
    assert_eq!(r.header("access-control-allow-headers"), Some("authorization,prefer"));
    assert_eq!(log(&c)[0]["kind"], "preflight");
    let exposed = |c: &mut Client| c.get(WINDOW).header("access-control-expose-headers").map(str::to_owned);
    assert!(exposed(&mut c).unwrap().contains("Retry-After"));
    c.options(json!({ "expose_retry_after": false }));
    assert!(!exposed(&mut c).unwrap().contains("Retry-After"));
    c.options(json!({ "expose_headers": false }));
    assert_eq!(exposed(&mut c), None);
}

#[test]
fn an_unknown_path_is_an_error_and_stands_in_the_log() {
    let mut c = Client::new(1, &filled());
    for url in ["/sites/delta", "/me/events/delta/x", "/users//calendarView/delta"] {
        assert_eq!(c.get(url).status, 400);
        assert_eq!(log(&c).last().unwrap()["kind"], "unexpected");
    }
    let mut request = Request::get(format!("/w/abc/v1.0{WINDOW}"), &c.token);
    request.method = "POST".to_owned();
    assert_eq!(c.world.handle(&request, NOW).status, 405);
}

#[test]
fn the_core_has_no_clock_and_no_input_or_output() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let outside = ["std::time", "std::net", "std::fs", "std::io", "std::env", "HashMap", "println!"];
        assert!(
            path.ends_with("main.rs") || !outside.iter().any(|word| text.contains(word)),
            "{}",
            path.display()
        );
    }
}

#[test]
fn no_id_is_ever_given_twice() {
    let mut c = Client::new(
        9,
        &Populate {
            events: 400,
            contacts: 200,
            messages: 200,
            drive: 100,
            recordings: 50,
            users: 50,
            groups: 3,
            around: 0,
        },
    );
    let mut seen = BTreeSet::new();
    for collection in Collection::ALL {
        for item in c.world.list(collection, None, None, None, false) {
            assert!(seen.insert(item["id"].as_str().unwrap().to_owned()));
        }
        for _ in 0..300 {
            for id in c.edit(json!({ "collection": collection.name(), "op": "add" })) {
                assert!(seen.insert(id), "{collection:?}");
            }
        }
    }
}

#[test]
fn the_fake_does_not_depend_on_deltalink() {
    for manifest in ["/Cargo.toml", "/wasm/Cargo.toml"] {
        let manifest = std::fs::read_to_string(format!("{}{manifest}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
        assert!(!dependencies.contains("deltalink"));
    }
    let core = World::new(1, ROOT.to_owned());
    assert_eq!(core.root(), ROOT);
}
