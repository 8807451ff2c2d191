//! Subscriptions: creation, renewal, expiry and deletion.

use crate::common::*;
use fake_graph::{Populate, Request, Response};
use serde_json::{Value, json};

const MINUTE: u64 = 60_000;
const DAY: u64 = 1440 * MINUTE;
const URL: &str = "https://worker.example/notifications";

fn call(c: &mut Client, method: &str, path: &str, body: &Value) -> Response {
    let mut request = Request::get(format!("/w/abc/v1.0/subscriptions{path}"), &c.app);
    request.method = method.to_owned();
    if !body.is_null() {
        request.body = body.to_string().into_bytes();
    }
    c.world.handle(&request, c.now)
}

/// A date after `c.now`.
fn after(c: &Client, ms: u64) -> String {
    let total = (c.now + ms) / 1000;
    let (days, seconds) = (total / 86_400 - NOW / 86_400_000, total % 86_400);
    assert!(days < 40, "the tests use dates from 21 November to 30 December 2026");
    let (month, day) = if days < 10 { (11, 21 + days) } else { (12, days - 9) };
    format!("2026-{month}-{day:02}T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn wanted(c: &Client, resource: &str, change_type: &str, minutes: u64) -> Value {
    json!({
        "resource": resource, "changeType": change_type, "notificationUrl": URL, "lifecycleNotificationUrl": URL,
        "clientState": "secret", "expirationDateTime": after(c, minutes * MINUTE),
    })
}

fn ids(c: &mut Client) -> Vec<String> {
    let list = call(c, "GET", "", &Value::Null).json();
    list["value"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_subscription_is_created_listed_and_deleted() {
    let mut c = Client::new(1, &Populate::default());
    let body = wanted(&c, "users/ann@contoso.example/events", "created,updated,deleted", 10_080);
    let made = call(&mut c, "POST", "", &body);
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(made["@odata.context"], format!("{ROOT}/$metadata#subscriptions/$entity"));
    for name in ["resource", "changeType", "notificationUrl", "lifecycleNotificationUrl", "clientState"] {
        assert_eq!(made[name], body[name], "{name}");
    }
    assert_eq!(made["expirationDateTime"], "2026-11-28T00:00:00.0000000Z");
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(call(&mut c, "GET", &format!("/{id}"), &Value::Null).json(), made);
    assert_eq!(ids(&mut c), [id.as_str()]);
    assert_eq!(c.world.subscriptions(NOW)[0]["id"], id.as_str());
    let gone = call(&mut c, "DELETE", &format!("/{id}"), &Value::Null);
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    for method in ["GET", "DELETE", "PATCH"] {
        let r = call(&mut c, method, &format!("/{id}"), &json!({}));
        assert_eq!((r.status, code(&r).as_str()), (404, "ResourceNotFound"), "{method}");
    }
    assert_eq!(ids(&mut c), [""; 0]);
    assert!(log(&c).iter().all(|entry| entry["kind"] == "subscription"));
}

#[test]
fn each_resource_has_its_longest_lifetime_and_its_change_types() {
    for (resource, minutes, allowed, refused) in [
        ("users", 41_760, "updated,deleted", "created"),
        ("/groups/g/members", 41_760, "updated", "created"),
        ("me/mailFolders('inbox')/messages?$filter=isRead eq false", 10_080, "created", "moved"),
        ("users('u')/contacts", 10_080, "Deleted, Created", "updated,read"),
        ("users/u/drive/root", 42_300, "updated", "deleted"),
        ("sites/s/lists/l", 42_300, "updated", "created"),
        ("users/u/onlineMeetings/getAllRecordings", 4320, "created", "updated"),
        ("communications/onlineMeetings/getAllTranscripts", 4320, "created", "deleted"),
        ("teams/t/channels/c/messages", 4320, "created,updated,deleted", ""),
        ("me/todo/lists/l/tasks", 4230, "created", "none"),
    ] {
        let mut c = Client::new(1, &Populate::default());
        for (change_type, minutes, status) in
            [(refused, minutes, 400), (allowed, minutes + 1, 400), (allowed, 0, 400), (allowed, minutes, 201)]
        {
            let body = wanted(&c, resource, change_type, minutes);
            let r = call(&mut c, "POST", "", &body);
            assert_eq!(r.status, status, "{resource} {change_type} {minutes}: {}", r.json());
        }
    }
    let mut c = Client::new(1, &Populate::default());
    for resource in ["contacts", "devices", "users//events", "me", "users/a/b/events"] {
        let body = wanted(&c, resource, "updated", 60);
        assert_eq!(call(&mut c, "POST", "", &body).status, 400, "{resource}");
        assert_eq!(log(&c).last().unwrap()["kind"], "unexpected", "{resource}");
    }
}

#[test]
fn a_subscription_with_a_missing_or_wrong_property_is_refused() {
    let mut c = Client::new(1, &Populate::default());
    let good = wanted(&c, "users/u/onlineMeetings/getAllRecordings", "created", 61);
    for (name, value) in [
        ("resource", Value::Null),
        ("changeType", json!("")),
        ("notificationUrl", Value::Null),
        ("notificationUrl", json!("http://worker.example/")),
        ("lifecycleNotificationUrl", json!("ftp://worker.example/")),
        ("clientState", json!("x".repeat(129))),
        ("clientState", json!(7)),
        ("expirationDateTime", json!("tomorrow")),
        ("expirationDateTime", Value::Null),
    ] {
        let mut body = good.clone();
        body[name] = value.clone();
        let r = call(&mut c, "POST", "", &body);
        assert_eq!((r.status, code(&r).as_str()), (400, "InvalidRequest"), "{name} {value}");
    }
    assert_eq!(call(&mut c, "POST", "", &json!([])).status, 400);
    assert_eq!(ids(&mut c), [""; 0]);

    let mut body = good;
    body["clientState"] = json!("\u{e9}".repeat(128));
    body.as_object_mut().unwrap().remove("lifecycleNotificationUrl");
    let r = call(&mut c, "POST", "", &body);
    assert_eq!(r.status, 400, "recordings need a lifecycle URL for more than an hour");
    body["expirationDateTime"] = after(&c, 60 * MINUTE).into();
    assert_eq!(call(&mut c, "POST", "", &body).status, 201);
    assert_eq!(call(&mut c, "PUT", "", &body).status, 405);
    assert_eq!(c.get("/subscriptions").status, 200, "delegated");
    assert_eq!(c.send("/subscriptions", "nonsense").status, 401);
}

#[test]
fn a_second_subscription_of_the_same_resource_and_changes_is_a_conflict() {
    let mut c = Client::new(1, &Populate::default());
    let first = wanted(&c, "users/u/messages", "created,updated", 60);
    let id = call(&mut c, "POST", "", &first).json()["id"].as_str().unwrap().to_owned();
    for (resource, change_type, status) in [
        ("users/u/messages", "updated, created", 409),
        ("/Users('u')/messages", "created,updated", 409),
        ("users/u/messages", "created", 201),
        ("users/u/events", "created,updated", 201),
        ("me/messages", "created,updated", 201),
    ] {
        let body = wanted(&c, resource, change_type, 60);
        let r = call(&mut c, "POST", "", &body);
        assert_eq!(r.status, status, "{resource} {change_type}");
        if status == 409 {
            let message = r.json()["error"]["message"].clone();
            assert_eq!(message, format!("Subscription Id {id} already exists for the requested combination"));
        }
    }
    call(&mut c, "DELETE", &format!("/{id}"), &Value::Null);
    assert_eq!(call(&mut c, "POST", "", &first).status, 201);
}

#[test]
fn a_subscription_expires_unless_it_is_renewed() {
    let mut c = Client::new(1, &Populate::default());
    let body = wanted(&c, "users", "updated", 10 * 1440);
    let made = call(&mut c, "POST", "", &body).json();
    let path = format!("/{}", made["id"].as_str().unwrap());
    c.now += 9 * DAY;
    for (minutes, status) in [(41_761, 400), (0, 400), (20 * 1440, 200)] {
        let body = json!({ "expirationDateTime": after(&c, minutes * MINUTE) });
        assert_eq!(call(&mut c, "PATCH", &path, &body).status, status, "{minutes}");
    }
    for (patch, status) in [
        (json!({ "notificationUrl": "https://moved.example/" }), 200),
        (json!({ "notificationUrl": "http://moved.example/" }), 400),
        (json!({ "resource": "groups" }), 400),
    ] {
        assert_eq!(call(&mut c, "PATCH", &path, &patch).status, status, "{patch}");
    }
    let again = call(&mut c, "POST", &format!("{path}/reauthorize"), &Value::Null);
    assert_eq!((again.status, again.body.len()), (204, 0));
    let now = call(&mut c, "GET", &path, &Value::Null).json();
    assert_eq!(now["expirationDateTime"], "2026-12-20T00:00:00.0000000Z", "reauthorization renews nothing");
    assert_eq!(now["notificationUrl"], "https://moved.example/");
    c.now += 20 * DAY - 1;
    assert_eq!(ids(&mut c).len(), 1);
    c.now += 1;
    assert_eq!(ids(&mut c), [""; 0]);
    for (method, action) in [("PATCH", ""), ("POST", "/reauthorize")] {
        let r = call(&mut c, method, &format!("{path}{action}"), &json!({}));
        assert_eq!(r.status, 404, "{method}{action}");
    }
    let body = wanted(&c, "users", "updated", 60);
    assert_eq!(call(&mut c, "POST", "", &body).status, 201);
}

#[test]
fn a_fault_can_match_requests_for_subscriptions() {
    let mut c = Client::new(1, &filled());
    c.fault(json!({ "match": { "kind": "subscription" }, "fault": { "name": "status", "status": 429 } }));
    assert_eq!(c.get(WINDOW).status, 200);
    assert_eq!(call(&mut c, "GET", "", &Value::Null).status, 429);
    assert_eq!(call(&mut c, "GET", "", &Value::Null).status, 200);
}
