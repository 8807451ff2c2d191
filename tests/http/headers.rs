//! Tests that need real HTTP: preflights, headers that JavaScript may not read, a large body.

use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

fn throttle(retry_after: &str) -> Value {
    let headers = json!({"Retry-After": retry_after});
    json!({"name": "status", "status": 429, "code": "TooManyRequests", "headers": headers})
}

#[cfg_attr(not(feature = "http-tests"), ignore = "needs a server: node tests/run.mjs browser")]
#[test]
async fn a_readable_retry_after_is_obeyed() {
    let world = World::new().await;
    world.fault(json!({"match": {"kind": "initial"}, "fault": throttle("1.5")})).await;
    let client = client(&world, &unique_name("a")).await;
    let round = round(&contacts(&client));
    finish(&round).await.unwrap();
    // The later waits are the jitter of requests while the throttling scope recovers.
    assert_eq!(report(&round)["waits"][0], json!({"reason": "throttled", "ms": 1500}));
    let log = world.log().await;
    assert!(log[1]["at"].as_f64().unwrap() - log[0]["at"].as_f64().unwrap() >= 1490.0);
}

#[cfg_attr(not(feature = "http-tests"), ignore = "needs a server: node tests/run.mjs browser")]
#[test]
async fn without_a_readable_retry_after_the_round_backs_off() {
    let world = World::new().await;
    world.options(json!({"expose_retry_after": false})).await;
    world.fault(json!({"match": {"kind": "initial"}, "fault": throttle("1000")})).await;
    let client = client(&world, &unique_name("a")).await;
    let round = round(&contacts(&client));
    finish(&round).await.unwrap();
    let waits = report(&round)["waits"].clone();
    assert_eq!(waits[0]["reason"], "throttled");
    assert!(waits[0]["ms"].as_f64().unwrap() <= 50.0, "{waits}");
}

#[cfg_attr(not(feature = "http-tests"), ignore = "needs a server: node tests/run.mjs browser")]
#[test]
async fn a_claims_challenge_is_read_if_its_header_is_exposed_and_is_a_plain_401_otherwise() {
    for (exposed, reason) in [(true, "claims"), (false, "unauthorized")] {
        let world = World::new().await;
        world.options(json!({"expose_headers": exposed})).await;
        world.fault(json!({"match": {"kind": "next"}, "fault": "claims"})).await;
        let calls = run("return []");
        let token = js_of_two(
            "return ({ reason, claims }) => { a.push([reason, typeof claims]); return b; }",
            &calls,
            &world.delegated.as_str().into(),
        );
        let client = try_open(&world, &unique_name("a"), &[("token", token)]).await.unwrap();
        let query = contacts(&client);
        sync(&query).await.unwrap();
        let claims = if exposed { "string" } else { "undefined" };
        assert_eq!(from_js(&calls)[2], json!([reason, claims]));
        assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
    }
}

#[cfg_attr(not(feature = "http-tests"), ignore = "needs a server: node tests/run.mjs browser")]
#[test]
async fn every_kind_of_request_passes_its_preflight() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    sync(&query(&client, "events", weeks())).await.unwrap();
    let log = world.control("GET", "log", &Value::Null).await;
    let preflights: Vec<_> =
        log.as_array().unwrap().iter().filter(|entry| entry["kind"] == "preflight").collect();
    assert!(!preflights.is_empty());
    for preflight in preflights {
        let headers = &preflight["headers"];
        assert_eq!((&preflight["status"], &headers["authorization"]), (&json!(204), &json!("none")));
        assert!(headers["origin"].is_string(), "{preflight}");
    }
}

#[cfg_attr(not(feature = "http-tests"), ignore = "needs a server: node tests/run.mjs browser")]
#[test]
async fn a_page_of_50_mb_passes_over_the_wire() {
    let world = World::new().await;
    // A fault rule whose body is the page.
    let page = "const item = (_, at) => ({ id: 'i' + at, body: at + 'x'.repeat(10000) });
        const many = Array.from({ length: 5000 }, item);
        const body = { value: many, '@odata.deltaLink': a[1] + '/contacts/delta?$deltatoken=x' };
        const fault = { name: 'status', status: 200, body: JSON.stringify(body) };
        const rules = JSON.stringify([{ match: {}, fault }]);
        const { ok } = await fetch(a[0] + '/faults', { method: 'POST', body: rules });
        return ok";
    let place = to_js(&json!([format!("{}{}", world.origin(), world.path), world.root]));
    assert_eq!(js_await(page, &place).await, JsValue::TRUE);
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    assert_eq!(count(&query).await, 5000);
    settled(client.forget()).await.unwrap();
}
