//! Requests and their faults. `tests/http/` runs these tests on a server too.

use js_sys::Reflect;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

#[test]
async fn every_request_has_the_requested_headers_and_no_content_type() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let options = json!({
        "start": "2026-11-01T00:00:00+01:00", "end": "2026-12-20", "pageSize": 15,
        "timeZone": "Pacific Standard Time", "immutableIds": true,
    });
    let query = query(&client, "events", options);
    sync(&query).await.unwrap();
    sync(&query).await.unwrap();
    let log = world.log().await;
    assert!(
        log.len() > 3
            && log[0]["url"].as_str().unwrap().contains("startDateTime=2026-11-01T00:00:00%2B01:00"),
        "{log:?}"
    );
    let mut names = Vec::new();
    let prefer = "odata.maxpagesize=15, outlook.timezone=\"Pacific Standard Time\", IdType=\"ImmutableId\"";
    for entry in &log {
        assert_eq!(entry["headers"]["prefer"], prefer);
        assert_eq!((&entry["headers"]["content-type"], &entry["status"]), (&Value::Null, &json!(200)));
        names.push(entry["headers"]["client-request-id"].as_str().unwrap().to_owned());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), log.len(), "each request has its own id");
}

#[test]
async fn a_request_without_data_is_aborted_and_a_slow_body_is_not() {
    let world = World::new().await;
    let retry = to_js(&json!({"base": 10, "cap": 50, "timeout": 400}));
    for (fault, waits) in [
        (json!("hang"), json!(["timeout"])),
        (json!({"name": "slow", "bytes_per_second": 1, "delay_ms": 3000}), json!(["timeout"])),
        (json!({"name": "slow", "bytes_per_second": 6000}), json!([])),
    ] {
        world.fault(json!({"match": {"kind": "initial"}, "fault": fault})).await;
        let client = try_open(&world, &unique_name("a"), &[("retry", retry.clone())]).await.unwrap();
        let round = round(&contacts(&client));
        finish(&round).await.unwrap();
        let report = report(&round);
        let reasons: Vec<Value> =
            report["waits"].as_array().unwrap().iter().map(|wait| wait["reason"].clone()).collect();
        assert_eq!(json!(reasons), waits, "{fault}");
    }
}

/// Replaces `navigator.onLine`; undefined restores it.
fn set_online(state: JsValue) {
    js(
        "if (a === undefined) delete navigator.onLine;
         else Object.defineProperty(navigator, 'onLine', { value: a, configurable: true });
         if (a !== false) dispatchEvent(new Event('online'))",
        &state,
    );
}

#[test]
async fn an_offline_round_waits_for_the_event_online() {
    let world = World::new().await;
    let own = world.wrapped_fetch(
        "return async (url, init) => {
           if (!navigator.onLine) throw new TypeError('no network');
           return a(url, init);
         }",
    );
    let client = try_open(&world, &unique_name("a"), &[("fetch", own.clone())]).await.unwrap();
    let query = contacts(&client);
    set_online(JsValue::FALSE);
    let round = round(&query);
    let pending = round.next();
    round.until_phase("waiting").await;
    assert!(world.log().await.is_empty());
    set_online(JsValue::TRUE);
    assert!(!settled(pending).await.unwrap().is_undefined());
    let waits = report(&round)["waits"].clone();
    assert_eq!(waits[0]["reason"], "offline");
    assert!(waits[0]["ms"].as_f64().unwrap() < 60_000.0, "{waits}");
    drop(round);
    // It waits no longer than `retry.maxWait`.
    set_online(JsValue::FALSE);
    let retry = to_js(&json!({"base": 10, "cap": 50, "maxWait": 80}));
    let short = try_open(&world, &unique_name("a"), &[("fetch", own), ("retry", retry)]).await.unwrap();
    let refused = sync(&contacts(&short)).await.unwrap_err();
    set_online(JsValue::UNDEFINED);
    assert_eq!(refused.code(), "offline");
}

#[test]
async fn the_end_of_a_throttle_survives_a_reload() {
    let world = World::new().await;
    let throttle =
        json!({"name": "status", "status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "2"}});
    world.fault(json!({"match": {}, "fault": throttle})).await;
    let account = unique_name("a");
    let first = client(&world, &account).await;
    let round_one = round(&contacts(&first));
    let pending = round_one.next();
    round_one.until_phase("waiting").await;
    settled(first.close()).await.unwrap();
    assert_eq!(settled(pending).await.unwrap_err().code(), "closed");
    let second = client(&world, &account).await;
    let round_two = round(&track(&second, "/users/delta", json!({})));
    finish(&round_two).await.unwrap();
    assert_eq!(report(&round_two)["waits"][0]["reason"], "throttled");
    let log = world.log().await;
    let waited = log[1]["at"].as_f64().unwrap() - log[0]["at"].as_f64().unwrap();
    assert!(waited >= 1990.0, "{waited}");
}

#[test]
async fn a_page_of_50_mb_and_an_item_of_10_mb_are_stored() {
    let world = World::new().await;
    let own = js(
        "const item = (_, at) => ({ id: 'i' + at, body: at + 'x'.repeat(10000) });
         const many = Array.from({ length: 5000 }, item);
         const large = { id: 'large', body: 'x'.repeat(10000000) };
         const pages = [
           { value: many, '@odata.nextLink': a + '/contacts/delta?t=1' },
           { value: [large], '@odata.deltaLink': a + '/contacts/delta?t=2' },
         ];
         const headers = { 'Content-Type': 'application/json' };
         return async (url) => new Response(JSON.stringify(pages[url.includes('t=1') ? 1 : 0]), { headers })",
        &world.root.as_str().into(),
    );
    let client = try_open(&world, &unique_name("a"), &[("fetch", own)]).await.unwrap();
    let query = contacts(&client);
    sync(&query).await.unwrap();
    assert_eq!(count(&query).await, 5001);
    let large = settled(query.get("large".into(), false)).await.unwrap();
    assert_eq!(js("return a.body.length", &large), 10_000_000);
    settled(client.forget()).await.unwrap();
}

#[test]
async fn faults_during_a_round_lose_no_change() {
    for fault in [
        json!("network"),
        json!({"name": "cut", "n": 300}),
        json!("empty503"),
        json!({"name": "status", "status": 504, "code": "UnknownError"}),
        json!({"name": "html", "status": 200}),
        json!("no_value"),
        json!("neither_link"),
        json!("same_link"),
    ] {
        let world = World::new().await;
        for kind in ["initial", "next"] {
            world.fault(json!({"match": {"kind": kind}, "fault": fault})).await;
        }
        let client = client(&world, &unique_name("a")).await;
        let query = contacts(&client);
        let round = round(&query);
        finish(&round).await.unwrap_or_else(|refused| panic!("{fault}: {}", refused.message()));
        let log = world.log().await;
        let faults = log.iter().filter(|entry| !entry["fault"].is_null()).count();
        assert_eq!(faults, 2, "{fault}");
        let requests = report(&round)["requests"].as_u64().unwrap();
        // Firefox itself repeats a request that gets no response.
        if fault != "network" {
            // A page that is cut or malformed may already have revealed its link. The request for
            // the page after it is then aborted, maybe before the server receives it.
            let unseen = requests.checked_sub(log.len() as u64);
            assert!(unseen.is_some_and(|unseen| unseen <= 2), "{fault}: {requests} of {}", log.len());
        }
        assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await), "{fault}");
    }
}

#[test]
async fn a_server_that_does_not_recover_ends_the_round_and_the_stored_record_stays() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    world.fault(json!({"match": {}, "times": null, "fault": "empty503"})).await;
    world.clear_log().await;
    let refused = sync(&query).await.unwrap_err();
    assert_eq!((refused.code().as_str(), refused.field("status").as_f64()), ("network", Some(503.0)));
    assert_eq!(refused.field("retryable"), JsValue::TRUE);
    assert_eq!(from_js(&refused.field("report"))["outcome"], "failed");
    assert_eq!(kinds(&world.log().await), ["delta"; 6]);
    assert_eq!(all(&query).await.len(), 30);
}

#[test]
async fn a_redirect_is_not_followed() {
    let world = World::new().await;
    let redirect =
        json!({"name": "redirect", "location": format!("{}/control/worlds", world.origin()), "status": 302});
    world.fault(json!({"match": {}, "fault": redirect})).await;
    let client = client(&world, &unique_name("a")).await;
    let refused = sync(&contacts(&client)).await.unwrap_err();
    assert_eq!(refused.code(), "foreign-link");
    assert!(refused.message().contains("a redirect is not followed"), "{}", refused.message());
    assert_eq!(world.log().await.len(), 1);
}

#[test]
async fn a_foreign_link_gets_no_token() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    let other = World::new().await;
    // On a server, this is another name of its host; in this wasm, another host.
    let foreign = other.root.replace("127.0.0.1", "localhost").replace("graph.contoso", "graph.fabrikam");
    for link in [
        &format!("{foreign}/contacts/delta"),
        "https://graph.microsoft.com@evil.example/",
        "//evil.example/x",
    ] {
        world.fault(json!({"match": {}, "fault": {"name": "foreign_link", "link": link}})).await;
        let refused = sync(&query).await.unwrap_err();
        assert_eq!(refused.code(), "foreign-link", "{link}");
    }
    assert!(other.log().await.is_empty());
    assert!(world.foreign().is_empty());
    assert!(all(&query).await.is_empty(), "the page with the link is not stored");
}

#[test]
async fn a_relative_link_is_followed_below_the_root() {
    let world = World::new().await;
    world.fault(json!({"match": {"kind": "initial"}, "fault": "relative_link"})).await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    assert_eq!(all(&query).await.len(), 30);
}

#[test]
async fn the_error_for_recordings_says_that_only_an_app_can_read_them() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let refused =
        sync(&query(&client, "callRecordings", json!({"organizer": world.user}))).await.unwrap_err();
    assert_eq!((refused.code().as_str(), refused.field("status").as_f64()), ("forbidden", Some(403.0)));
    assert!(
        refused.message().contains("a signed-in user, who cannot read this kind"),
        "{}",
        refused.message()
    );
}

#[test]
async fn a_custom_fetch_may_fail_in_any_way() {
    let world = World::new().await;
    let own = world.wrapped_fetch(
        "const own = (url, init) => {
           own.seen.push([url, init.method, init.redirect]);
           return a(url, init);
         };
         return Object.assign(own, { seen: [] })",
    );
    let client = try_open(&world, &unique_name("a"), &[("fetch", own.clone())]).await.unwrap();
    sync(&contacts(&client)).await.unwrap();
    let seen = from_js(&Reflect::get(&own, &"seen".into()).unwrap());
    assert_eq!(
        (seen.as_array().unwrap().len(), &seen[0]),
        (3, &json!([format!("{}/contacts/delta", world.root), "GET", "manual"]))
    );
    for (source, code) in [
        ("return () => Promise.reject('a text')", "network"),
        ("return () => { throw undefined }", "network"),
        ("return () => 7", "bad-request"),
        (
            "return async () => new Response(new ReadableStream({ start(c) { c.error('a text') } }))",
            "network",
        ),
    ] {
        let client = try_open(&world, &unique_name("a"), &[("fetch", run(source))]).await.unwrap();
        assert_eq!(sync(&contacts(&client)).await.unwrap_err().code(), code, "{source}");
    }
}

#[test]
async fn a_response_is_recognized_by_its_shape() {
    let world = World::new().await;
    let own = world.wrapped_fetch(
        "return async (url, init) => {
           const { status, ok, headers, ...response } = await a(url, init).then(async (real) => {
             return { status: real.status, ok: real.ok, headers: real.headers, body: await real.text() };
           });
           return { status, ok, headers, text: async () => response.body, type: 'basic' };
         }",
    );
    let client = try_open(&world, &unique_name("a"), &[("fetch", own)]).await.unwrap();
    let query = contacts(&client);
    sync(&query).await.unwrap();
    assert_eq!(all(&query).await.len(), 30);
}
