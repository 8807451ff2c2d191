//! The token source.

use js_sys::Reflect;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

/// A token source in JavaScript. `a` is the token of the world; `calls` records the requests.
fn source(world: &World, body: &str) -> JsValue {
    let source = format!(
        "const source = async (request) => {{ source.calls.push(request); {body} }};
         return Object.assign(source, {{ calls: [] }})"
    );
    js(&source, &world.delegated.as_str().into())
}

fn calls(source: &JsValue) -> Value {
    from_js(&Reflect::get(source, &"calls".into()).unwrap())
}

#[test]
async fn a_token_without_expiry_is_requested_each_time_and_one_with_expiry_once() {
    let world = World::new().await;
    for (body, expected) in [
        ("return a", 3),
        ("return { accessToken: a, expiresOn: new Date(Date.now() + 3600e3) }", 1),
        ("return { token: a, expiresOnTimestamp: Date.now() + 3600e3 }", 1),
        ("return { accessToken: a, expiresOn: null }", 3),
        // Used until its last fifth, if that is shorter than five minutes.
        ("return { accessToken: a, expiresOn: new Date(Date.now() + 60e3) }", 1),
        ("return { accessToken: a, expiresOn: new Date(Date.now() + 100) }", 3),
    ] {
        // Each response takes longer than the shortest of these lifetimes.
        world.options(json!({"latency_ms": 120})).await;
        let source = source(&world, body);
        let client = try_open(&world, &unique_name("a"), &[("token", source.clone())]).await.unwrap();
        sync(&contacts(&client)).await.unwrap();
        let calls = calls(&source);
        assert_eq!(calls.as_array().unwrap().len(), expected, "{body}");
        assert_eq!(
            (&calls[0]["reason"], &calls[0]["scopes"]),
            (&json!("start"), &json!([format!("{}/.default", world.origin())]))
        );
    }
}

#[test]
async fn an_object_with_get_token_is_a_token_source() {
    let world = World::new().await;
    let credential = js(
        "return {
           seen: [],
           async getToken(scopes, options) {
             this.seen.push([scopes, options.abortSignal instanceof AbortSignal]);
             return { token: a, expiresOnTimestamp: Date.now() + 3600e3 };
           },
         }",
        &world.delegated.as_str().into(),
    );
    let client = try_open(&world, &unique_name("a"), &[("token", credential.clone())]).await.unwrap();
    sync(&contacts(&client)).await.unwrap();
    assert_eq!(
        from_js(&Reflect::get(&credential, &"seen".into()).unwrap()),
        json!([[[format!("{}/.default", world.origin())], true]])
    );
}

#[test]
async fn after_a_refused_token_one_more_is_requested_and_a_second_refusal_is_final() {
    let world = World::new().await;
    let account = unique_name("a");
    let outdated_first = source(
        &world,
        "const accessToken = request.reason === 'unauthorized' ? a : 'old';
         return { accessToken, expiresOn: new Date(Date.now() + 3600e3) }",
    );
    let opened = try_open(&world, &account, &[("token", outdated_first.clone())]).await.unwrap();
    sync(&contacts(&opened)).await.unwrap();
    let reasons: Vec<Value> =
        calls(&outdated_first).as_array().unwrap().iter().map(|call| call["reason"].clone()).collect();
    assert_eq!(reasons, ["start", "unauthorized"]);

    let revoked = source(&world, "return 'revoked'");
    let refused_client = try_open(&world, &account, &[("token", revoked)]).await.unwrap();
    world.clear_log().await;
    let refused = sync(&contacts(&refused_client)).await.unwrap_err();
    assert_eq!((refused.code().as_str(), refused.field("status").as_f64()), ("unauthorized", Some(401.0)));
    assert_eq!(refused.field("graphCode"), "InvalidAuthenticationToken");
    assert!(refused.field("requestId").as_string().is_some());
    assert_eq!(world.log().await.len(), 2);
}

#[test]
async fn a_token_source_that_fails_gives_a_delta_error() {
    let world = World::new().await;
    for (body, code, message) in [
        ("return null", "unauthorized", "got null; is the user signed in?"),
        ("return undefined", "unauthorized", "got undefined"),
        ("return ''", "unauthorized", "an empty string"),
        ("return {}", "unauthorized", "got an object"),
        (
            "return { access_token: 'a', expires_in: 3600 }",
            "unauthorized",
            "{ accessToken } or { token }, got an object with access_token, expires_in",
        ),
        ("return [a]", "unauthorized", "got an array"),
        ("return { 'ann@contoso.example': 1, 'https://x/?code=1': 2 }", "unauthorized", "got an object"),
        (
            "throw Object.assign(new Error('no such app'), { name: 'DeltaError', code: 'unauthorized', retryable: false })",
            "unauthorized",
            "the token source failed (no such app): this is a mistake in the app's code, configuration or registration",
        ),
        ("return 'two words'", "unauthorized", "is not a token"),
        ("return { accessToken: a, expiresOn: new Date(0) }", "unauthorized", "has expired"),
        (
            "throw new Error('no network at the login')",
            "unauthorized",
            "the token source failed (no network at the login)",
        ),
        ("throw 'a text'", "unauthorized", "the token source failed"),
        (
            "throw Object.assign(new Error('x'), { name: 'InteractionRequiredAuthError' })",
            "interaction",
            "the user has to sign in",
        ),
        (
            "throw Object.assign(new Error('x'), { errorCode: 'login_required' })",
            "interaction",
            "the user has to sign in",
        ),
        (
            "throw Object.assign(new Error('x'), { name: 'DeltaError', code: 'interaction' })",
            "interaction",
            "the user has to sign in",
        ),
    ] {
        let client = try_open(&world, &unique_name("a"), &[("token", source(&world, body))]).await.unwrap();
        let refused = sync(&contacts(&client)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{body}");
        assert!(refused.message().contains(message), "{body}: {}", refused.message());
        assert_eq!(refused.field("cause").is_undefined(), !body.starts_with("throw"), "{body}");
    }
    assert!(world.log().await.is_empty(), "no request without a token");
}

#[test]
async fn the_token_is_in_no_store_and_in_no_error() {
    let world = World::new().await;
    let account = unique_name("a");
    let client = client(&world, &account).await;
    sync(&contacts(&client)).await.unwrap();
    world.fault(json!({"match": {}, "fault": {"name": "status", "status": 400, "code": "BadRequest"}})).await;
    let refused = sync(&contacts(&client)).await.unwrap_err();
    let dump = "const db = await done(indexedDB.open('deltalink | ' + a));
        const stores = db.transaction(['state', 'items']);
        const read = (name) => done(stores.objectStore(name).getAll());
        const all = [await read('state'), await read('items')];
        db.close();
        return JSON.stringify(all)";
    let dump = js_await(dump, &account.as_str().into()).await.as_string().unwrap();
    assert!(dump.contains("deltatoken") && !dump.contains(&world.delegated));
    let error = js("return [a.message, a.stack, JSON.stringify(a)].join()", &refused.0).as_string().unwrap();
    assert!(!error.contains(&world.delegated) && !error.contains("deltatoken"), "{error}");
}
