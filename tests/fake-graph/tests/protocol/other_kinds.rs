//! Recordings, drives and mail, and the removal of a series master.

use crate::common::*;
use crate::recordings;
use fake_graph::{Collection, Populate};
use serde_json::json;

#[test]
fn recordings_need_an_app_only_token_and_an_organizer() {
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
fn recordings_are_only_added() {
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
fn a_drive_has_a_deleted_facet_and_can_require_a_resync() {
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
fn a_drive_lists_the_changes_since_a_date() {
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
fn a_master_is_removed_with_its_last_occurrence() {
    let mut c = Client::new(1, &Populate::default());
    let item =
        json!({ "type": "seriesMaster", "start": "2026-12-01T09:00:00Z", "end": "2026-12-01T10:00:00Z" });
    let ids = c.edit(json!({ "collection": "events", "op": "add", "count": 2, "item": item }));
    let first = c.round(WINDOW);
    c.edit(json!([
        { "collection": "events", "op": "remove", "id": ids[1] },
        { "collection": "events", "op": "remove", "id": ids[2] },
    ]));
    let mut gone = c.round(&first.delta).removed();
    gone.sort();
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(gone, expected);
}

#[test]
fn messages_support_their_options() {
    let mut c = Client::new(1, &filled());
    let all = c.round("/me/mailFolders/inbox/messages/delta?$select=subject");
    assert_eq!(all.ids().len(), 30);
    let some =
        c.round("/me/mailFolders/inbox/messages/delta?$filter=receivedDateTime+ge+2026-11-20T12:00:00Z&$orderby=receivedDateTime+desc");
    assert!(!some.ids().is_empty() && some.ids().len() < 30);
    let created = c.round("/me/mailFolders/inbox/messages/delta?changeType=created").delta;
    c.edit(json!([
        { "collection": "messages", "op": "edit", "id": all.ids()[0] },
        { "collection": "messages", "op": "remove", "id": all.ids()[1] },
    ]));
    let added = c.edit(json!({ "collection": "messages", "op": "add" }));
    assert_eq!(c.round(&created).ids(), added);
    assert_eq!(c.round(&all.delta).ids().len(), 3);
    assert_eq!(code(&c.get("/me/mailFolders/nowhere/messages/delta")), "ErrorSyncFolderNotFound");
}
