//! Options and the status of a round.

use js_sys::{Date, Function, Reflect};
use serde_json::json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

#[test]
async fn wrong_options_are_refused_before_any_request_with_advice() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let start = "start: '2026-11-01', end: '2026-12-01'";
    for (call, options, message) in [
        (
            "events",
            "undefined".to_owned(),
            "options.start is required by events(), unless it has options.window",
        ),
        ("events", "{ start: 'x' }".into(), "options.end is required by events()"),
        ("events", "7".into(), "the options of events() must be an object, got 7"),
        (
            "events",
            "{ start: new Date(NaN), end: '2026-12-01' }".into(),
            "options.start must be a valid Date",
        ),
        (
            "events",
            "{ start: 5, end: '2026-12-01' }".into(),
            "options.start must be an ISO 8601 string or a Date, got 5",
        ),
        (
            "events",
            format!("{{ {start}, pageSize: 'many' }}"),
            "options.pageSize must be a whole number, 0 or more, got a string",
        ),
        (
            "events",
            format!("{{ {start}, pageSize: 1.5 }}"),
            "options.pageSize must be a whole number, 0 or more, got 1.5",
        ),
        (
            "events",
            format!("{{ {start}, immutableIds: 1 }}"),
            "options.immutableIds must be true or false, got 1",
        ),
        (
            "events",
            format!("{{ {start}, $select: 'id' }}"),
            "options.$select is not an option of events(): Graph refuses it on a calendar view's delta",
        ),
        ("events", format!("{{ {start}, top: 5 }}"), "use options.pageSize"),
        (
            "events",
            format!("{{ {start}, colour: 'red' }}"),
            "options.colour is not an option of events(): the options are start, end",
        ),
        (
            "events",
            format!("{{ {start}, query: {{ $top: 5 }} }}"),
            "options.query must be an object of strings",
        ),
        (
            "events",
            format!("{{ {start}, refresh: 'daily' }}"),
            "options.refresh must be a number of milliseconds",
        ),
        ("events", format!("{{ {start}, name: '' }}"), "options.name must not be empty"),
        ("orgContacts", "{ ids: 'a' }".into(), "options.ids must be an array of strings, got a string"),
        ("orgContacts", "{ select: ['a', 1] }".into(), "options.select must be an array of strings"),
        ("orgContacts", "{ filter: 'x' }".into(), "use options.ids"),
        ("callRecordings", "{}".into(), "options.organizer is required by callRecordings()"),
        ("callRecordings", "{ organizer: 'o', pageSize: 5 }".into(), "use options.top"),
        ("track", "{}".into(), "path must be a string such as \"/users/delta\", got undefined"),
    ] {
        let value = run(&format!("return {options}"));
        let refused = client.query(call, JsValue::UNDEFINED, value).map(drop).unwrap_err();
        assert_eq!(refused.code(), "bad-request", "{options}");
        assert!(refused.message().contains(message), "{options}: {}", refused.message());
    }
    for (options, message) in [
        ("{ maxPages: 0 }", "options.maxPages must be at least 1"),
        ("{ ack: 'never' }", "options.ack must be \"next\" or \"manual\""),
        ("{ maxMs: -1 }", "options.maxMs must be a number of milliseconds"),
    ] {
        let value = run(&format!("return {options}"));
        let round = contacts(&client).round(value, &Function::new_no_args(""), true);
        let refused = round.map(drop).unwrap_err();
        assert!(refused.message().contains(message), "{options}: {}", refused.message());
    }
    assert!(world.log().await.is_empty());
}

#[test]
async fn wrong_options_of_open_delta_are_refused() {
    let world = World::new().await;
    for (name, value, code, message) in [
        (
            "token",
            "'a text'",
            "bad-request",
            "options.token must be a function, fromMsal(…) or an object with getToken(), got a string",
        ),
        (
            "token",
            "Promise.resolve('a text')",
            "bad-request",
            "options.token must be a function, fromMsal(…) or an object with getToken(), got a Promise",
        ),
        ("endpoint", "'http://graph.microsoft.com'", "bad-request", "http is allowed for loopback only"),
        ("cloud", "'global'", "bad-request", "options.cloud and options.endpoint exclude each other"),
        (
            "store",
            "'disk'",
            "bad-request",
            "options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got \"disk\"",
        ),
        (
            "store",
            "'sqlite://user:password@host'",
            "bad-request",
            "options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got a string",
        ),
        ("fetch", "{}", "bad-request", "options.fetch must be a function"),
        ("retry", "{ attempts: 0 }", "bad-request", "options.retry.attempts must be at least 1"),
        ("retry", "{ base: -1 }", "bad-request", "options.retry.base must be a number of milliseconds"),
        ("retry", "7", "bad-request", "options.retry must be an object, got 7"),
        ("retry", "{ tries: 1 }", "bad-request", "options.retry.tries is not an option of options.retry"),
        ("tabs", "1", "bad-request", "options.tabs is not an option of openDelta()"),
    ] {
        let value = run(&format!("return {value}"));
        let refused = try_open(&world, &unique_name("a"), &[(name, value)]).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), code, "{name}");
        assert!(refused.message().contains(message), "{name}: {}", refused.message());
    }
}

#[test]
async fn dates_may_be_strings_or_dates() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let date =
        run("return { start: new Date('2026-11-01T00:00:00Z'), end: new Date('2026-12-20T00:00:00Z') }");
    let by_date = client.query("events", JsValue::UNDEFINED, date).unwrap();
    assert_eq!(by_date.key(), query(&client, "events", weeks()).key());
}

#[test]
async fn the_status_has_the_phase_of_the_round() {
    let world = World::new().await;
    world.fault(json!({"match": {"kind": "next"}, "fault": {"name": "status", "status": 503}})).await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    let seen = run(
        "const onStatus = (status) => onStatus.seen.push(status); return Object.assign(onStatus, { seen: [] })",
    );
    let round = query.round(JsValue::UNDEFINED, seen.unchecked_ref(), true).unwrap();
    finish(&round).await.unwrap();
    let seen = from_js(&Reflect::get(&seen, &"seen".into()).unwrap());
    let mut phases: Vec<&str> =
        seen.as_array().unwrap().iter().map(|status| status["phase"].as_str().unwrap()).collect();
    phases.dedup();
    assert_eq!(phases, ["syncing", "waiting", "syncing", "idle"]);
    let waiting = seen.as_array().unwrap().iter().find(|status| status["phase"] == "waiting").unwrap();
    assert_eq!(waiting["waitReason"], "server");
    assert!(Date::parse(waiting["waitUntil"].as_str().unwrap()) > Date::now() - 60_000.0);
    assert!(seen.as_array().unwrap().last().unwrap()["lastSyncedAt"].is_string());
}
