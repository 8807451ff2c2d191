//! Aborted rounds.

use js_sys::Reflect;
use serde_json::json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

#[test]
async fn an_abort_ends_a_fetch_a_wait_and_a_token_call_with_its_reason_unchanged() {
    let world = World::new().await;
    let hang = json!({"match": {}, "fault": "hang"});
    let throttle =
        json!({"match": {}, "fault": {"name": "status", "status": 429, "headers": {"Retry-After": "200"}}});
    let never =
        run("const never = () => { never.called = true; return new Promise(() => {}) }; return never");
    for (at, reason) in
        (1..).zip(["'user left'", "undefined", "null", "0", "new TypeError('x')", "{ custom: true }"])
    {
        for (place, fault) in [("fetch", Some(&hang)), ("wait", Some(&throttle)), ("token", None)] {
            if let Some(fault) = fault {
                world.fault(fault.clone()).await;
            }
            let more = if place == "token" { vec![("token", never.clone())] } else { vec![] };
            let client = try_open(&world, &unique_name("a"), &more).await.unwrap();
            let controller = run("return new AbortController()");
            let query = contacts(&client);
            let round = round_with(&query, js("return { signal: a.signal }", &controller));
            Reflect::set(&never, &"called".into(), &JsValue::FALSE).unwrap();
            let pending = round.next();
            match place {
                "fetch" => world.until_fault("hang", at).await,
                "wait" => round.until_phase("waiting").await,
                _ => {
                    until("a call of the token source", async || {
                        js("return a.called", &never) == JsValue::TRUE
                    })
                    .await
                }
            }
            world.clear_log().await;
            js(&format!("a.abort({reason})"), &controller);
            let rejected = settled(pending).await.unwrap_err().0;
            assert_eq!(
                js_of_two("return a === b.signal.reason", &rejected, &controller),
                JsValue::TRUE,
                "{reason} in a {place}"
            );
            World::wait_for_pending_requests().await;
            assert!(world.log().await.is_empty(), "no request after an abort: {reason} in a {place}");
            assert!(all(&query).await.is_empty());
            assert_eq!(report(&round)["outcome"], "partial");
        }
    }
}

#[test]
async fn a_round_with_an_aborted_signal_sends_nothing() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let fired = run("return { signal: AbortSignal.abort('early') }");
    let round = round_with(&contacts(&client), fired);
    assert_eq!(next(&round).await.unwrap_err().0, "early");
    assert!(world.log().await.is_empty());
}

#[test]
async fn no_page_is_written_after_an_abort() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let controller = run("return new AbortController()");
    let query = contacts(&client);
    let round = round_with(&query, js("return { signal: a.signal }", &controller));
    next(&round).await.unwrap();
    js("a.abort('stop')", &controller);
    assert_eq!(ack(&round).await.unwrap_err().0, "stop");
    assert!(all(&query).await.is_empty());
}
