//! Repeated items, items without ids, events that leave a window, refused links, and the messages
//! of errors.

use deltalink::protocol::query::{self, Options};
use deltalink::protocol::time::Duration;
use serde_json::json;

use crate::script::{Script, error, page};

#[test]
fn an_item_that_a_round_repeats_is_announced_again_only_if_it_differs() {
    let mut script = Script::new(query::org_contacts(Options::default()).unwrap());
    let start = script.start();
    let (a, b) = (json!({ "id": "a", "n": 1 }), json!({ "id": "b", "n": 1 }));
    script.on(&start, page(json!([a, b]), "next n1"));
    script.on("/n1", page(json!([a, { "id": "b", "n": 2 }]), "next n2"));
    script.on("/n2", page(json!([{ "id": "b", "n": 2 }]), "delta d1"));
    let report = script.round().unwrap();
    assert_eq!(script.changes, ["+a", "+b", "~b"]);
    assert_eq!((report.items, report.added, report.changed, report.unchanged), (5, 2, 1, 2));
    // In a later round an unchanged item is announced once, like in a full round.
    script.on("/d1", page(json!([a]), "next n3"));
    script.on("/n3", page(json!([a]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.changes, ["=a"]);
}

#[test]
fn events_that_leave_a_rolling_window_are_distinguished_from_ghosts() {
    let window = Some((1, 5, "UTC".to_owned()));
    let query = query::events(Options { window, ..Options::default() }).unwrap();
    let event = |id: &str, day: &str| {
        let time = json!({ "dateTime": format!("2026-11-{day}T09:00:00.0000000"), "timeZone": "UTC" });
        json!({ "id": id, "type": "singleInstance", "start": time, "end": time })
    };
    let mut script = Script::new(query);
    script.config.window = Some("2026-11-20T00:00:00Z/2026-11-27T00:00:00Z".into());
    let start = script.start();
    script.on(
        &start,
        page(json!([event("left", "20"), event("gone", "22"), event("stays", "23")]), "delta d1"),
    );
    script.round().unwrap();
    script.config.window = Some("2026-11-21T00:00:00Z/2026-11-28T00:00:00Z".into());
    let start = script.start();
    script.on(&start, page(json!([event("stays", "23"), event("new", "27")]), "delta d2"));
    let report = script.round().unwrap();
    assert_eq!(script.changes, ["=stays", "+new", "-gone ghost", "-left left-window"]);
    assert_eq!((report.ghosts, report.left_window), (1, 1));
}

#[test]
fn a_message_has_no_token_of_a_link_even_if_the_token_is_short() {
    let token = "aTE09MjM2MTk0MzE1";
    for message in [
        format!("The value '{token}' of parameter '$deltaToken' is invalid."),
        format!("Invalid link: delta?token={token} has gone"),
    ] {
        let mut script = Script::new(query::track("/me/drive/root/delta", Options::default()).unwrap());
        let start = script.start();
        script.on(&start, page(json!([]), &format!("next me/drive/root/delta?token={token}")));
        script.on_status(
            &format!("/me/drive/root/delta?token={token}"),
            400,
            error("invalidRequest", &message),
        );
        let failed = script.round().unwrap_err();
        assert!(!failed.message.contains(token), "{}", failed.message);
        assert!(failed.message.contains("…"), "{}", failed.message);
    }
}

#[test]
fn a_link_that_may_be_a_bare_token_is_not_in_the_message() {
    let token = "R0usmci39OQxqJrxK4".repeat(6);
    for link in [
        token.clone(),
        format!("/v1.0/me/drive/root/delta/{token}\\"),
        format!("https://other.example/{token}"),
    ] {
        let endpoint = deltalink::protocol::endpoint::Endpoint::cloud("global").unwrap();
        let failed = endpoint.admit(&link).unwrap_err();
        assert!(!failed.message.contains("R0usmci39OQxqJrxK4"), "{}", failed.message);
    }
}

#[test]
fn a_full_round_with_items_without_ids_removes_nothing() {
    for item in [json!({ "displayName": "a" }), json!({ "id": "" }), json!({ "id": 7 }), json!("text")] {
        let mut script = Script::new(query::org_contacts(Options::default()).unwrap());
        let start = script.start();
        script.on(&start, page(json!([{ "id": "a" }, { "id": "b" }]), "delta d1"));
        script.round().unwrap();
        script.on_status("/d1", 410, error("syncStateNotFound", ""));
        script.on(&start, page(json!([item]), "delta d2"));
        let report = script.round().unwrap();
        assert_eq!(script.ids(), ["a", "b"], "{item}");
        assert_eq!((report.ghosts, report.skipped.no_id + report.skipped.not_an_object), (0, 1));
    }
}

#[test]
fn a_listing_after_504_on_a_link_has_a_smaller_top() {
    let query =
        query::track("/me/drive/root/delta", Options { top: Some(200), ..Options::default() }).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    for _ in 0..4 {
        script.on(&start, page(json!([{ "id": "a", "name": "a" }]), "next n1"));
        for _ in 0..12 {
            script.on_status("/n1", 504, error("x", ""));
        }
        for top in [100, 50, 25] {
            script.on(
                &start.replace("200", &top.to_string()),
                page(json!([{ "id": "a", "name": "a" }]), "delta d1"),
            );
        }
    }
    for _ in 0..4 {
        if script.round().is_ok() {
            break;
        }
    }
    let starts: Vec<&String> = script.requests.iter().filter(|path| path.contains("top")).collect();
    assert!(starts.iter().any(|path| **path != start), "{starts:?}");
}

#[test]
fn the_message_of_a_forbidden_mirror_has_the_permission_and_the_time_of_the_mirror() {
    let query = query::track("/me/mailFolders/inbox/messages/delta", Options::default()).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    script.on(&start, page(json!([{ "id": "a" }]), "delta d1"));
    script.round().unwrap();
    for _ in 0..3 {
        script.now += Duration::HOUR * 2.0;
        script.on_status("/d1", 403, error("ErrorAccessDenied", "Access is denied."));
        script.round().unwrap_err();
    }
    script.now += Duration::HOUR * 2.0;
    script.on_status(&start, 403, error("ErrorAccessDenied", "Access is denied."));
    let failed = script.round().unwrap_err();
    assert!(failed.message.contains("Mail.Read"), "no permission: {}", failed.message);
    assert!(
        failed.message.contains("; the mirror is as of 2026-11-18T11:06:4"),
        "no age: {}",
        failed.message
    );
}
