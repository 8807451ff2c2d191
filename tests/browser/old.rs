//! The engine in a real browser: real IndexedDB, real fetch, real CORS, against the fake Graph over HTTP. The same tests run in
//! Chromium, Firefox and WebKit; `tests/run.mjs` starts the fake and fails if one engine runs fewer of them.
#![cfg(target_family = "wasm")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "corpus/mod.rs"]
mod corpus;
#[path = "browser/support.rs"]
mod support;

use deltalink::web::json::Json;
use js_sys::{Date, Function, Promise, Reflect};
use serde_json::{Value, json};
use support::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

// ---- rounds and the mirror

#[test]
async fn a_first_round_of_each_collection_brings_what_graph_holds() {
    let world = World::new().await;
    let user = client(&world, &fresh("user")).await;
    let app =
        try_open(&world, &fresh("app"), &[("token", Function::new_no_args(&format!("return '{}'", world.app)).into())]).await.unwrap();
    for (query, table) in [
        (query(&user, "events", weeks()), world.table("events", "?start=2026-11-01&end=2026-12-20").await),
        (query(&user, "orgContacts", json!({})), world.table("contacts", "").await),
        (query(&app, "callRecordings", json!({"organizer": world.user})), world.table("recordings", "").await),
        (track(&user, "/users/delta", json!({})), world.table("users", "").await),
        (track(&user, "/me/drive/root/delta", json!({})), world.table("drive", "").await),
    ] {
        let pages = sync(&query).await.unwrap();
        assert!(pages.len() > 1);
        assert!(pages.iter().all(|page| page["kind"] == "full" && page["generation"] == 1));
        assert_eq!(ids(&all(&query).await), ids(&table), "{}", query.key());
        assert_eq!(JsFuture::from(query.mirror.count()).await.unwrap().as_f64(), Some(f64::from(u32::try_from(table.len()).unwrap())));
    }
}

#[test]
async fn a_second_round_brings_the_change_and_nothing_else() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    let before = all(&query).await;
    let (edited, removed) = (before[3]["id"].clone(), before[7]["id"].clone());
    let added = world.post("edits", json!([{"collection": "contacts", "op": "add"}])).await["ids"][0].clone();
    world.post("edits", json!([{"collection": "contacts", "op": "edit", "id": edited, "patch": {"jobTitle": "Keeper of the Seal"}}])).await;
    world.post("edits", json!([{"collection": "contacts", "op": "remove", "id": removed}])).await;
    world.clear_log().await;
    let changes = changes(&sync(&query).await.unwrap());
    assert_eq!(changes.len(), 3, "{changes:?}");
    for change in &changes {
        match &change["id"] {
            id if *id == added => assert_eq!((&change["type"], &change["isNew"]), (&json!("upsert"), &json!(true))),
            id if *id == edited => {
                assert_eq!((&change["type"], &change["isNew"]), (&json!("upsert"), &json!(false)));
                assert_eq!(change["item"]["jobTitle"], "Keeper of the Seal");
                assert_eq!(change["old"], before[3]);
            }
            id => {
                assert_eq!((id, &change["type"], &change["reason"]), (&removed, &json!("remove"), &json!("deleted")));
                assert_eq!(change["old"], before[7]);
            }
        }
    }
    assert_eq!(kinds(&world.log().await), ["delta"]);
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn after_a_reopening_the_next_request_is_the_stored_delta_link() {
    let world = World::new().await;
    let account = fresh("a");
    let first = client(&world, &account).await;
    sync(&query(&first, "events", weeks())).await.unwrap();
    first.close();
    world.clear_log().await;
    let second = client(&world, &account).await;
    let query = query(&second, "events", weeks());
    assert!(!all(&query).await.is_empty(), "the mirror is there before any request");
    let pages = sync(&query).await.unwrap();
    let log = world.log().await;
    assert_eq!(kinds(&log), ["delta"]);
    assert_eq!(log[0]["as_issued"], true, "byte for byte");
    assert_eq!((pages.len(), pages[0]["kind"].as_str()), (1, Some("incremental")));
}

#[test]
async fn an_interrupted_round_goes_on_at_the_first_page_that_was_not_acknowledged() {
    let world = World::new().await;
    let account = fresh("a");
    let first = client(&world, &account).await;
    let round_one = round(&query(&first, "orgContacts", json!({})));
    next(&round_one).await.unwrap();
    ack(&round_one).await.unwrap();
    let lost = next(&round_one).await.unwrap().unwrap();
    first.close();
    let seen = world.log().await;
    world.clear_log().await;
    let second = client(&world, &account).await;
    let query = query(&second, "orgContacts", json!({}));
    assert_eq!(all(&query).await.len(), 10, "one page was committed");
    let round_two = round(&query);
    let again = next(&round_two).await.unwrap().unwrap();
    assert_eq!((&again["index"], &again["changes"]), (&lost["index"], &lost["changes"]));
    ack(&round_two).await.unwrap();
    finish(&round_two).await.unwrap();
    let asked = world.log().await;
    assert_eq!(asked[0]["url"], seen[1]["url"], "the page that was not acknowledged");
    assert_ne!(asked[0]["url"], seen[0]["url"]);
    assert_eq!(from_js(&round_two.report())["resumed"], true);
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn nothing_is_stored_before_the_acknowledgement_and_asking_on_without_it_is_refused() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    let round = round(&query);
    next(&round).await.unwrap();
    assert!(all(&query).await.is_empty());
    assert_eq!(next(&round).await.unwrap_err().code(), "internal");
    assert!(all(&query).await.is_empty());
}

#[test]
async fn what_commits_is_the_page_as_received_whatever_the_consumer_does_to_it() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    let round = round(&query);
    let page = JsFuture::from(round.next(false)).await.unwrap();
    js(
        "for (const change of a.changes) { change.item.displayName = 'spoiled'; change.item.phones = null; } a.changes.length = 0",
        &page,
        &JsValue::NULL,
    );
    ack(&round).await.unwrap();
    let stored = all(&query).await;
    assert_eq!(stored.len(), 10);
    assert!(stored.iter().all(|item| item["displayName"] != "spoiled" && item["phones"] != Value::Null));
}

#[test]
async fn two_rounds_of_one_query_cannot_both_commit() {
    let world = World::new().await;
    let account = fresh("a");
    let (one, two) = (client(&world, &account).await, client(&world, &account).await);
    let (left, right) = (query(&one, "orgContacts", json!({})), query(&two, "orgContacts", json!({})));
    let (first, second) = (round(&left), round(&right));
    next(&first).await.unwrap();
    next(&second).await.unwrap();
    ack(&first).await.unwrap();
    let refused = ack(&second).await.unwrap_err();
    assert_eq!(refused.code(), "conflict");
    assert_eq!(refused.field("retryable"), JsValue::TRUE);
    finish(&first).await.unwrap();
    assert_eq!(ids(&all(&right).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn a_reset_lists_anew_while_the_old_mirror_stays_readable_and_removes_the_ghosts() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    let ghost = all(&query).await[5]["id"].clone();
    world.post("edits", json!([{"collection": "contacts", "op": "remove", "id": ghost}])).await;
    world.post("expire", json!({})).await;
    let round = round(&query);
    let mut pages = Vec::new();
    while let Some(page) = next(&round).await.unwrap() {
        assert!(all(&query).await.len() >= 29, "the old mirror stays readable");
        pages.push(page);
        ack(&round).await.unwrap();
    }
    let removed: Vec<Value> = changes(&pages).into_iter().filter(|change| change["type"] == "remove").collect();
    assert_eq!(removed.len(), 1);
    assert_eq!((&removed[0]["id"], &removed[0]["reason"]), (&ghost, &json!("ghost")));
    assert_eq!(pages.iter().map(|page| page["last"].as_bool().unwrap()).filter(|last| *last).count(), 1);
    assert_eq!(pages.last().unwrap()["last"], true);
    let report = from_js(&round.report());
    assert_eq!((&report["resync"], &report["ghosts"], &report["unchanged"]), (&json!("syncStateNotFound"), &json!(1), &json!(29)));
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn reset_makes_the_next_round_a_full_one() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    query.reset().await.unwrap();
    assert_eq!(all(&query).await.len(), 30);
    let pages = sync(&query).await.unwrap();
    assert!(pages.iter().all(|page| page["kind"] == "full" && page["generation"] == 2));
}

#[test]
async fn minimal_rounds_merge_into_the_mirror() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({"minimal": true}));
    sync(&query).await.unwrap();
    let id = all(&query).await[0]["id"].clone();
    world
        .post("edits", json!([{"collection": "contacts", "op": "edit", "id": id, "patch": {"jobTitle": "Archivist", "department": null}}]))
        .await;
    sync(&query).await.unwrap();
    let merged = all(&query).await.into_iter().find(|item| item["id"] == id).unwrap();
    let table = world.table("contacts", "").await.into_iter().find(|item| item["id"] == id).unwrap();
    assert_eq!(merged, table);
    assert!(world.log().await.iter().all(|entry| entry["headers"]["prefer"] == "return=minimal"), "on every request of every round");
}

#[test]
async fn a_query_without_a_mirror_keeps_the_link_alone() {
    let world = World::new().await;
    let account = fresh("a");
    let one = client(&world, &account).await;
    let feed = query(&one, "orgContacts", json!({"mirror": false}));
    assert_eq!(changes(&sync(&feed).await.unwrap()).len(), 30);
    assert_eq!(JsFuture::from(feed.mirror.count()).await.unwrap(), 0);
    one.close();
    let two = client(&world, &account).await;
    let pages = sync(&query(&two, "orgContacts", json!({"mirror": false}))).await.unwrap();
    assert_eq!((pages.len(), changes(&pages).len(), pages[0]["kind"].as_str()), (1, 0, Some("incremental")));
}

#[test]
async fn a_mirror_beyond_one_chunk_is_read_whole_and_in_chunks() {
    let world = World::with(json!({"populate": {"contacts": 1234}, "options": {"page_size": 400, "honour_maxpagesize": false}})).await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    assert_eq!(all(&query).await.len(), 1234);
    let listed = ids(&items(&query, "{}").await);
    assert_eq!(listed, ids(&all(&query).await));
    let mut seen: Vec<String> = Vec::new();
    while let Some(chunk) = Some(
        items(&query, &format!("{{ limit: 500, after: {} }}", seen.last().map_or("undefined".into(), |id| json!(id).to_string()))).await,
    )
    .filter(|chunk| !chunk.is_empty())
    {
        seen.extend(ids(&chunk));
    }
    assert_eq!(seen, listed);
    let id = seen[777].clone();
    assert_eq!(from_js(&JsFuture::from(query.mirror.get(&id)).await.unwrap())["id"], json!(id));
    assert!(JsFuture::from(query.mirror.get("nobody")).await.unwrap().is_undefined());
    query.reset().await.unwrap();
    world.post("edits", json!([{"collection": "contacts", "op": "remove", "id": id}])).await;
    let pages = sync(&query).await.unwrap();
    assert_eq!(changes(&pages).iter().filter(|change| change["reason"] == "ghost").count(), 1, "a sweep over three chunks");
}

#[test]
async fn a_round_stops_after_the_pages_it_was_given() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    let round = round_with(&query, to_js(&json!({"maxPages": 2})));
    assert_eq!(finish(&round).await.unwrap().len(), 2);
    let report = from_js(&round.report());
    assert_eq!((&report["outcome"], &report["pages"], &report["requests"]), (&json!("partial"), &json!(2), &json!(2)));
}

#[test]
async fn the_commits_of_another_tab_are_told_with_the_rows_of_the_database() {
    let world = World::new().await;
    let account = fresh("a");
    let (one, two) = (client(&world, &account).await, client(&world, &account).await);
    let (here, there) = (query(&one, "orgContacts", json!({})), query(&two, "orgContacts", json!({})));
    let heard = js(
        "const heard = []; let wake; const done = new Promise((resolve) => wake = resolve);
         const listener = (changes, info) => { heard.push([changes, info]); if (info.last) wake(heard); }; listener.done = done; return listener",
        &JsValue::NULL,
        &JsValue::NULL,
    );
    here.changes.on(&heard);
    let round = round(&there);
    loop {
        let page = JsFuture::from(round.next(true)).await.unwrap();
        if page.is_undefined() {
            break;
        }
        let tell = there.changes.take(&page, true);
        ack(&round).await.unwrap();
        tell.call0(&JsValue::UNDEFINED).unwrap();
    }
    let heard = from_js(&js_await("return a.done", &heard, &JsValue::NULL).await);
    let heard = heard.as_array().unwrap();
    let infos: Vec<&Value> = heard.iter().map(|call| &call[1]).collect();
    assert_eq!(infos.len(), 3);
    for (index, info) in infos.iter().enumerate() {
        assert_eq!(**info, json!({"kind": "full", "generation": 1, "index": index, "last": index == 2, "remote": true}));
    }
    let items: Vec<Value> = heard.iter().flat_map(|call| call[0].as_array().unwrap().iter().map(|change| change["item"].clone())).collect();
    assert_eq!(sorted(items), all(&here).await);
    for query in [&here, &there] {
        query.changes.close();
    }
}

// ---- accounts

#[test]
async fn two_accounts_share_no_row_and_one_can_be_forgotten() {
    let world = World::new().await;
    let (alex, sam) = (fresh("alex"), fresh("sam"));
    let one = client(&world, &alex).await;
    sync(&query(&one, "orgContacts", json!({}))).await.unwrap();
    let two = client(&world, &sam).await;
    let other = query(&two, "orgContacts", json!({}));
    assert!(all(&other).await.is_empty());
    sync(&other).await.unwrap();
    JsFuture::from(one.forget()).await.unwrap();
    assert_eq!(all(&other).await.len(), 30);
    let names = js_await("return indexedDB.databases().then((all) => all.map((one) => one.name))", &JsValue::NULL, &JsValue::NULL).await;
    let names = from_js(&names).to_string();
    assert!(!names.contains(&alex) && names.contains(&sam), "{names}");
    let again = client(&world, &alex).await;
    assert!(all(&query(&again, "orgContacts", json!({}))).await.is_empty());
}

#[test]
async fn a_closed_client_says_so_and_ends_what_runs() {
    let world = World::new().await;
    world.fault(json!({"match": {"collection": "contacts"}, "fault": "hang"})).await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    let round = round(&query);
    let pending = round.next(false);
    world.until_met("hang", 1).await;
    client.close();
    assert_eq!(Refused(JsFuture::from(pending).await.unwrap_err()).code(), "closed");
    assert_eq!(Refused(JsFuture::from(query.mirror.all()).await.unwrap_err()).code(), "closed");
}

#[test]
async fn a_persistent_store_needs_an_account() {
    let world = World::new().await;
    for account in [JsValue::UNDEFINED, "".into()] {
        let refused = try_open(&world, "", &[("account", account)]).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), "account");
        assert!(refused.message().starts_with("options.account is required with a store that outlives the page"), "{}", refused.message());
    }
    let carrying = js("const token = () => 't'; token.account = a; return token", &fresh("carried").into(), &JsValue::NULL);
    assert!(try_open(&world, "", &[("account", JsValue::UNDEFINED), ("token", carrying)]).await.is_ok());
}

// ---- tokens

/// A token source in JavaScript; `a` is the world's token, `calls` counts on the function itself.
fn source(world: &World, body: &str) -> JsValue {
    js(
        &format!(
            "const calls = []; const source = async (request) => {{ calls.push(request); {body} }}; source.calls = calls; return source"
        ),
        &world.delegated.as_str().into(),
        &JsValue::NULL,
    )
}

fn calls(source: &JsValue) -> Value {
    from_js(&Reflect::get(source, &"calls".into()).unwrap())
}

#[test]
async fn a_bare_text_is_asked_for_before_each_request_and_a_token_with_its_expiry_once() {
    let world = World::new().await;
    for (body, expected) in [
        ("return a", 3),
        ("return { accessToken: a, expiresOn: new Date(Date.now() + 3600e3) }", 1),
        ("return { token: a, expiresOnTimestamp: Date.now() + 3600e3 }", 1),
        ("return { accessToken: a, expiresOn: null }", 3),
        // Until its last fifth, where that is shorter than five minutes.
        ("return { accessToken: a, expiresOn: new Date(Date.now() + 60e3) }", 1),
        ("return { accessToken: a, expiresOn: new Date(Date.now() + 100) }", 3),
    ] {
        // Each answer takes longer than the shortest of these lives.
        world.options(json!({"latency_ms": 120})).await;
        let source = source(&world, body);
        let client = try_open(&world, &fresh("a"), &[("token", source.clone())]).await.unwrap();
        sync(&query(&client, "orgContacts", json!({}))).await.unwrap();
        let calls = calls(&source);
        assert_eq!(calls.as_array().unwrap().len(), expected, "{body}");
        assert_eq!((&calls[0]["reason"], &calls[0]["scopes"]), (&json!("start"), &json!([format!("{FAKE}/.default")])));
    }
}

#[test]
async fn anything_with_get_token_is_a_token_source() {
    let world = World::new().await;
    let credential = js(
        "return { seen: [], async getToken(scopes, options) { this.seen.push([scopes, options.abortSignal instanceof AbortSignal]); return { token: a, expiresOnTimestamp: Date.now() + 3600e3 } } }",
        &world.delegated.as_str().into(),
        &JsValue::NULL,
    );
    let client = try_open(&world, &fresh("a"), &[("token", credential.clone())]).await.unwrap();
    sync(&query(&client, "orgContacts", json!({}))).await.unwrap();
    assert_eq!(from_js(&Reflect::get(&credential, &"seen".into()).unwrap()), json!([[[format!("{FAKE}/.default")], true]]));
}

#[test]
async fn a_refused_token_is_asked_for_once_more_and_a_second_refusal_is_final() {
    let world = World::new().await;
    let account = fresh("a");
    let fickle = source(
        &world,
        "return request.reason === 'unauthorized' ? { accessToken: a, expiresOn: new Date(Date.now() + 3600e3) } : { accessToken: 'old', expiresOn: new Date(Date.now() + 3600e3) }",
    );
    let opened = try_open(&world, &account, &[("token", fickle.clone())]).await.unwrap();
    sync(&query(&opened, "orgContacts", json!({}))).await.unwrap();
    let reasons: Vec<Value> = calls(&fickle).as_array().unwrap().iter().map(|call| call["reason"].clone()).collect();
    assert_eq!(reasons, ["start", "unauthorized"]);

    let dead = try_open(&world, &account, &[("token", source(&world, "return 'dead'"))]).await.unwrap();
    world.clear_log().await;
    let refused = sync(&query(&dead, "orgContacts", json!({}))).await.unwrap_err();
    assert_eq!((refused.code().as_str(), refused.field("status").as_f64()), ("unauthorized", Some(401.0)));
    assert_eq!(refused.field("graphCode"), "InvalidAuthenticationToken");
    assert!(refused.field("requestId").as_string().is_some());
    assert_eq!(world.log().await.len(), 2);
}

#[test]
async fn a_token_source_that_fails_is_a_named_error() {
    let world = World::new().await;
    for (body, code, words) in [
        ("return null", "unauthorized", "got null; is the user signed in?"),
        ("return undefined", "unauthorized", "got undefined"),
        ("return ''", "unauthorized", "an empty text"),
        ("return {}", "unauthorized", "got something else"),
        ("return 'two words'", "unauthorized", "can't be a token"),
        ("return { accessToken: a, expiresOn: new Date(0) }", "unauthorized", "already expired"),
        ("throw new Error('no network at the login')", "unauthorized", "the token source failed (no network at the login)"),
        ("throw 'a text'", "unauthorized", "the token source failed"),
        ("throw Object.assign(new Error('x'), { name: 'InteractionRequiredAuthError' })", "interaction", "the user has to sign in"),
        ("throw Object.assign(new Error('x'), { errorCode: 'login_required' })", "interaction", "the user has to sign in"),
        ("throw Object.assign(new Error('x'), { name: 'DeltaError', code: 'interaction' })", "interaction", "the user has to sign in"),
    ] {
        let client = try_open(&world, &fresh("a"), &[("token", source(&world, body))]).await.unwrap();
        let refused = sync(&query(&client, "orgContacts", json!({}))).await.unwrap_err();
        assert_eq!(refused.code(), code, "{body}");
        assert!(refused.message().contains(words), "{body}: {}", refused.message());
        assert_eq!(refused.field("cause").is_undefined(), !body.starts_with("throw"), "{body}");
    }
    assert!(world.log().await.is_empty(), "no request without a token");
}

#[test]
async fn the_token_is_in_no_store_and_in_no_error() {
    let world = World::new().await;
    let account = fresh("a");
    let client = client(&world, &account).await;
    sync(&query(&client, "orgContacts", json!({}))).await.unwrap();
    world.fault(json!({"match": {}, "fault": {"name": "status", "status": 400, "code": "BadRequest"}})).await;
    let refused = sync(&query(&client, "orgContacts", json!({}))).await.unwrap_err();
    let dump = js_await(
        "const open = (name) => new Promise((resolve) => { const r = indexedDB.open(name); r.onsuccess = () => resolve(r.result); });
         const read = (store) => new Promise((resolve) => { const r = store.getAll(); r.onsuccess = () => resolve(r.result); });
         return (async () => { const db = await open('deltalink | ' + a); const t = db.transaction(['state', 'items']);
           const all = await Promise.all([read(t.objectStore('state')), read(t.objectStore('items'))]); db.close(); return JSON.stringify(all); })()",
        &account.as_str().into(),
        &JsValue::NULL,
    )
    .await
    .as_string()
    .unwrap();
    assert!(dump.contains("deltatoken") && !dump.contains(&world.delegated));
    let told = js("return [a.message, a.stack, JSON.stringify(a)].join()", &refused.0, &JsValue::NULL).as_string().unwrap();
    assert!(!told.contains(&world.delegated) && !told.contains("deltatoken"), "{told}");
}

// ---- the network

#[test]
async fn every_request_carries_what_was_asked_for_and_no_content_type() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let options = json!({"start": "2026-11-01T00:00:00+01:00", "end": "2026-12-20", "pageSize": 15, "timeZone": "Pacific Standard Time", "immutableIds": true});
    let query = query(&client, "events", options);
    sync(&query).await.unwrap();
    sync(&query).await.unwrap();
    let log = world.log().await;
    assert!(log.len() > 3 && log[0]["url"].as_str().unwrap().contains("startDateTime=2026-11-01T00:00:00%2B01:00"), "{log:?}");
    let mut names = Vec::new();
    for entry in &log {
        assert_eq!(entry["headers"]["prefer"], "odata.maxpagesize=15, outlook.timezone=\"Pacific Standard Time\", IdType=\"ImmutableId\"");
        assert_eq!((&entry["headers"]["content-type"], &entry["status"]), (&Value::Null, &json!(200)));
        names.push(entry["headers"]["client-request-id"].as_str().unwrap().to_owned());
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), log.len(), "each request has a name of its own");
}

#[test]
async fn retry_after_is_kept_where_it_can_be_read() {
    let world = World::new().await;
    world.fault(json!({"match": {"kind": "initial"}, "fault": {"name": "status", "status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "1.5"}}})).await;
    let client = client(&world, &fresh("a")).await;
    let round = round(&query(&client, "orgContacts", json!({})));
    finish(&round).await.unwrap();
    assert_eq!(from_js(&round.report())["waits"], json!([{"reason": "throttled", "ms": 1500}]));
    let log = world.log().await;
    assert!(log[1]["at"].as_f64().unwrap() - log[0]["at"].as_f64().unwrap() >= 1490.0);
}

#[test]
async fn without_a_readable_retry_after_the_round_backs_off_by_itself() {
    let world = World::new().await;
    world.options(json!({"expose_retry_after": false})).await;
    world.fault(json!({"match": {"kind": "initial"}, "fault": {"name": "status", "status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "1000"}}})).await;
    let client = client(&world, &fresh("a")).await;
    let round = round(&query(&client, "orgContacts", json!({})));
    finish(&round).await.unwrap();
    let waits = from_js(&round.report())["waits"].clone();
    assert_eq!(waits[0]["reason"], "throttled");
    assert!(waits[0]["ms"].as_f64().unwrap() <= 50.0, "{waits}");
}

#[test]
async fn a_claims_challenge_is_read_where_its_header_is_exposed_and_a_plain_refusal_where_it_is_not() {
    for (exposed, reason) in [(true, "claims"), (false, "unauthorized")] {
        let world = World::new().await;
        world.options(json!({"expose_headers": exposed})).await;
        world.fault(json!({"match": {"kind": "next"}, "fault": "claims"})).await;
        let asked = js("return []", &JsValue::NULL, &JsValue::NULL);
        let token = js(
            "return (request) => { a.push([request.reason, typeof request.claims]); return b; }",
            &asked,
            &world.delegated.as_str().into(),
        );
        let client = try_open(&world, &fresh("a"), &[("token", token)]).await.unwrap();
        let query = query(&client, "orgContacts", json!({}));
        sync(&query).await.unwrap();
        let claims = if exposed { "string" } else { "undefined" };
        assert_eq!(from_js(&asked)[2], json!([reason, claims]));
        assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
    }
}

/// `navigator.onLine` as it is wanted; undo with undefined.
fn online(state: JsValue) {
    js(
        "if (a === undefined) delete navigator.onLine; else Object.defineProperty(navigator, 'onLine', { value: a, configurable: true });
         if (a !== false) dispatchEvent(new Event('online'))",
        &state,
        &JsValue::NULL,
    );
}

#[test]
async fn without_a_network_the_round_waits_for_the_event_of_its_return() {
    let world = World::new().await;
    let own = js(
        "return (url, init) => navigator.onLine ? fetch(url, init) : Promise.reject(new TypeError('no network'))",
        &JsValue::NULL,
        &JsValue::NULL,
    );
    let client = try_open(&world, &fresh("a"), &[("fetch", own.clone())]).await.unwrap();
    let query = query(&client, "orgContacts", json!({}));
    online(JsValue::FALSE);
    let round = round(&query);
    let pending = round.next(false);
    round.until_phase("waiting").await;
    assert!(world.log().await.is_empty());
    online(JsValue::TRUE);
    assert!(!JsFuture::from(pending).await.unwrap().is_undefined());
    let waits = from_js(&round.report())["waits"].clone();
    assert_eq!(waits[0]["reason"], "offline");
    assert!(waits[0]["ms"].as_f64().unwrap() < 60_000.0, "{waits}");
    drop(round);
    // And no longer than its budget.
    online(JsValue::FALSE);
    let retry = to_js(&json!({"base": 10, "cap": 50, "maxWait": 80}));
    let short = try_open(&world, &fresh("a"), &[("fetch", own), ("retry", retry)]).await.unwrap();
    let refused = sync(&support::query(&short, "orgContacts", json!({}))).await.unwrap_err();
    online(JsValue::UNDEFINED);
    assert_eq!(refused.code(), "offline");
}

#[test]
async fn a_request_of_which_nothing_comes_is_cut_and_a_slow_body_is_not() {
    let world = World::new().await;
    let retry = to_js(&json!({"base": 10, "cap": 50, "timeout": 400}));
    for (fault, waits) in [
        (json!("hang"), json!(["timeout"])),
        (json!({"name": "slow", "bytes_per_second": 1, "delay_ms": 3000}), json!(["timeout"])),
        (json!({"name": "slow", "bytes_per_second": 6000}), json!([])),
    ] {
        world.fault(json!({"match": {"kind": "initial"}, "fault": fault})).await;
        let client = try_open(&world, &fresh("a"), &[("retry", retry.clone())]).await.unwrap();
        let round = round(&query(&client, "orgContacts", json!({})));
        finish(&round).await.unwrap();
        let report = from_js(&round.report());
        let reasons: Vec<Value> = report["waits"].as_array().unwrap().iter().map(|wait| wait["reason"].clone()).collect();
        assert_eq!(json!(reasons), waits, "{fault}");
    }
}

#[test]
async fn until_when_graph_throttles_is_kept_over_a_reload() {
    let world = World::new().await;
    world
        .fault(json!({"match": {}, "fault": {"name": "status", "status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "2"}}}))
        .await;
    let account = fresh("a");
    let first = client(&world, &account).await;
    let round_one = round(&query(&first, "orgContacts", json!({})));
    let pending = round_one.next(false);
    round_one.until_phase("waiting").await;
    first.close();
    assert_eq!(Refused(JsFuture::from(pending).await.unwrap_err()).code(), "closed");
    let second = client(&world, &account).await;
    let round_two = round(&track(&second, "/users/delta", json!({})));
    finish(&round_two).await.unwrap();
    assert_eq!(from_js(&round_two.report())["waits"][0]["reason"], "throttled");
    let log = world.log().await;
    let waited = log[1]["at"].as_f64().unwrap() - log[0]["at"].as_f64().unwrap();
    assert!(waited >= 1990.0, "{waited}");
}

#[test]
async fn a_page_of_50_mb_and_an_item_of_10_mb_pass() {
    let world = World::new().await;
    let own = js(
        "const json = (body) => new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json' } });
         const pages = [
           () => ({ value: Array.from({ length: 5000 }, (_, at) => ({ id: 'i' + at, body: at + 'x'.repeat(10000) })), '@odata.nextLink': a + '/contacts/delta?t=1' }),
           () => ({ value: [{ id: 'large', body: 'x'.repeat(10000000) }], '@odata.deltaLink': a + '/contacts/delta?t=2' }),
         ];
         return async (url) => json(pages[url.includes('t=1') ? 1 : 0]())",
        &world.root.as_str().into(),
        &JsValue::NULL,
    );
    let client = try_open(&world, &fresh("a"), &[("fetch", own)]).await.unwrap();
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    assert_eq!(JsFuture::from(query.mirror.count()).await.unwrap(), 5001);
    let length = js_await("return a.get('large').then(({ body }) => body.length)", &query.mirror, &JsValue::NULL).await;
    assert_eq!(length, 10_000_000);
    JsFuture::from(client.forget()).await.unwrap();
}

#[test]
async fn faults_on_the_way_lose_nothing() {
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
        let client = client(&world, &fresh("a")).await;
        let query = query(&client, "orgContacts", json!({}));
        let round = round(&query);
        finish(&round).await.unwrap_or_else(|refused| panic!("{fault}: {}", refused.message()));
        let log = world.log().await;
        let met = log.iter().filter(|entry| !entry["fault"].is_null()).count();
        assert_eq!(met, 2, "{fault}");
        // Where no answer came, Firefox has asked again by itself.
        if fault != "network" {
            assert_eq!(from_js(&round.report())["requests"].as_u64(), Some(log.len() as u64), "{fault}");
        }
        assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await), "{fault}");
    }
}

#[test]
async fn a_server_that_does_not_recover_ends_the_round_with_the_stored_state_untouched() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
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
    world.fault(json!({"match": {}, "fault": {"name": "redirect", "location": format!("{FAKE}/control/worlds"), "status": 302}})).await;
    let client = client(&world, &fresh("a")).await;
    let refused = sync(&query(&client, "orgContacts", json!({}))).await.unwrap_err();
    assert_eq!(refused.code(), "foreign-link");
    assert!(refused.message().contains("a redirect is not followed"), "{}", refused.message());
    assert_eq!(world.log().await.len(), 1);
}

#[test]
async fn a_foreign_link_gets_no_token() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    let other = World::new().await;
    let foreign = other.root.replace("127.0.0.1", "localhost");
    for link in [format!("{foreign}/contacts/delta"), "https://graph.microsoft.com@evil.example/".into(), "//evil.example/x".into()] {
        world.fault(json!({"match": {}, "fault": {"name": "foreign_link", "link": link}})).await;
        let refused = sync(&query).await.unwrap_err();
        assert_eq!(refused.code(), "foreign-link", "{link}");
    }
    assert!(other.log().await.is_empty());
    assert!(all(&query).await.is_empty(), "the page that brought it is not kept");
}

#[test]
async fn a_relative_link_is_followed_below_the_root() {
    let world = World::new().await;
    world.fault(json!({"match": {"kind": "initial"}, "fault": "relative_link"})).await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    assert_eq!(all(&query).await.len(), 30);
}

#[test]
async fn recordings_say_that_only_an_app_can_read_them() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let refused = sync(&query(&client, "callRecordings", json!({"organizer": world.user}))).await.unwrap_err();
    assert_eq!((refused.code().as_str(), refused.field("status").as_f64()), ("forbidden", Some(403.0)));
    assert!(refused.message().contains("only an app-only token can read this kind"), "{}", refused.message());
}

#[test]
async fn a_fetch_of_the_callers_own_is_used_and_may_fail_in_any_way() {
    let world = World::new().await;
    let own = js(
        "const seen = []; const own = (url, init) => { seen.push([url, init.method, init.redirect]); return fetch(url, init) }; own.seen = seen; return own",
        &JsValue::NULL,
        &JsValue::NULL,
    );
    let client = try_open(&world, &fresh("a"), &[("fetch", own.clone())]).await.unwrap();
    sync(&query(&client, "orgContacts", json!({}))).await.unwrap();
    let seen = from_js(&Reflect::get(&own, &"seen".into()).unwrap());
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]), (3, &json!([format!("{}/contacts/delta", world.root), "GET", "manual"])));
    for (odd, code) in [
        ("return () => Promise.reject('a text')", "network"),
        ("return () => { throw undefined }", "network"),
        ("return () => 7", "bad-request"),
        ("return async () => new Response(new ReadableStream({ start(c) { c.error('a text') } }))", "network"),
    ] {
        let client = try_open(&world, &fresh("a"), &[("fetch", js(odd, &JsValue::NULL, &JsValue::NULL))]).await.unwrap();
        assert_eq!(sync(&query(&client, "orgContacts", json!({}))).await.unwrap_err().code(), code, "{odd}");
    }
}

// ---- aborts

#[test]
async fn an_abort_cuts_short_a_fetch_a_wait_and_a_token_call_with_its_reason_untouched() {
    let world = World::new().await;
    let hang = json!({"match": {}, "fault": "hang"});
    let throttle = json!({"match": {}, "fault": {"name": "status", "status": 429, "headers": {"Retry-After": "200"}}});
    let never =
        js("const source = () => { source.called = true; return new Promise(() => {}) }; return source", &JsValue::NULL, &JsValue::NULL);
    for (at, reason) in (1..).zip(["'user left'", "undefined", "null", "0", "new TypeError('x')", "{ odd: true }"]) {
        for (place, fault) in [("fetch", Some(&hang)), ("wait", Some(&throttle)), ("token", None)] {
            if let Some(fault) = fault {
                world.fault(fault.clone()).await;
            }
            let more = if place == "token" { vec![("token", never.clone())] } else { vec![] };
            let client = try_open(&world, &fresh("a"), &more).await.unwrap();
            let controller = js("return new AbortController()", &JsValue::NULL, &JsValue::NULL);
            let query = query(&client, "orgContacts", json!({}));
            let round = round_with(&query, js("return { signal: a.signal }", &controller, &JsValue::NULL));
            Reflect::set(&never, &"called".into(), &JsValue::FALSE).unwrap();
            let pending = round.next(false);
            match place {
                "fetch" => world.until_met("hang", at).await,
                "wait" => round.until_phase("waiting").await,
                _ => until("the token source is called", async || js("return a.called", &never, &JsValue::NULL) == JsValue::TRUE).await,
            }
            world.clear_log().await;
            js(&format!("a.abort({reason})"), &controller, &JsValue::NULL);
            let rejected = JsFuture::from(pending).await.unwrap_err();
            assert_eq!(js("return a === b.signal.reason", &rejected, &controller), JsValue::TRUE, "{reason} in a {place}");
            settled().await;
            assert!(world.log().await.is_empty(), "no request after an abort: {reason} in a {place}");
            assert!(all(&query).await.is_empty());
            assert_eq!(from_js(&round.report())["outcome"], "partial");
        }
    }
}

#[test]
async fn a_signal_that_has_fired_before_lets_nothing_begin() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let fired = js("return { signal: AbortSignal.abort('early') }", &JsValue::NULL, &JsValue::NULL);
    let round = round_with(&query(&client, "orgContacts", json!({})), fired);
    assert_eq!(next(&round).await.unwrap_err().0, "early");
    assert!(world.log().await.is_empty());
}

#[test]
async fn no_page_is_written_after_an_abort() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let controller = js("return new AbortController()", &JsValue::NULL, &JsValue::NULL);
    let query = query(&client, "orgContacts", json!({}));
    let round = round_with(&query, js("return { signal: a.signal }", &controller, &JsValue::NULL));
    next(&round).await.unwrap();
    js("a.abort('stop')", &controller, &JsValue::NULL);
    assert_eq!(ack(&round).await.unwrap_err().0, "stop");
    assert!(all(&query).await.is_empty());
}

// ---- the store

/// Does something with the database of an account, in JavaScript: `db` is open.
async fn with_database(account: &str, source: &str) -> JsValue {
    let source = format!(
        "return new Promise((resolve, reject) => {{ const opened = indexedDB.open('deltalink | ' + a); opened.onerror = () => reject(opened.error);
           opened.onsuccess = () => {{ const db = opened.result; const t = db.transaction(['state', 'items'], 'readwrite'); const state = t.objectStore('state'); const items = t.objectStore('items');
             let out; {source}; t.oncomplete = () => {{ db.close(); resolve(out); }}; t.onabort = () => reject(t.error); }} }})"
    );
    js_await(&source, &account.into(), &JsValue::NULL).await
}

#[test]
async fn the_state_is_readable_in_the_developer_tools() {
    let world = World::new().await;
    let account = fresh("a");
    let client = client(&world, &account).await;
    let query = query(&client, "orgContacts", json!({"select": ["mail", "displayName"]}));
    sync(&query).await.unwrap();
    let keys = from_js(&with_database(&account, "const r = state.getAllKeys(); r.onsuccess = () => out = r.result").await);
    assert_eq!(keys, json!([format!("{account} | {} | /contacts/delta | $select=displayName,mail", world.root)]));
    assert_eq!(keys[0], query.key());
    let state = from_js(&with_database(&account, "const r = state.getAll(); r.onsuccess = () => out = r.result").await);
    assert_eq!(
        (&state[0]["phase"], &state[0]["kind"], &state[0]["generation"], &state[0]["format"]),
        (&json!("idle"), &json!("full"), &json!(1), &json!(1))
    );
    assert!(state[0]["link"].as_str().unwrap().contains("deltatoken="), "{state}");
}

#[test]
async fn a_state_that_makes_no_sense_is_a_named_error_and_reset_starts_over() {
    let world = World::new().await;
    for (odd, words) in [
        ("value.format = 9", "it was written by another version of deltalink"),
        ("delete value.link", "it has no link"),
        ("value.generation = 'x'", "its generation is missing or of the wrong type"),
        ("value.revision = { toString() { return 'x' } }.x", "its revision is missing or of the wrong type"),
        ("value = 'rubbish'", "its format is missing or of the wrong type"),
        ("value = [1, [2]]", "its format is missing or of the wrong type"),
    ] {
        let account = fresh("a");
        let client = client(&world, &account).await;
        let query = query(&client, "orgContacts", json!({}));
        sync(&query).await.unwrap();
        world.clear_log().await;
        with_database(&account, &format!("const r = state.openCursor(); r.onsuccess = () => {{ if (!r.result) return; let value = r.result.value; {odd}; r.result.update(value); }}")).await;
        let refused = sync(&query).await.unwrap_err();
        assert_eq!(refused.code(), "store", "{odd}");
        assert!(refused.message().contains(words) && refused.message().contains("reset() starts over"), "{odd}: {}", refused.message());
        assert!(world.log().await.is_empty());
        assert_eq!(all(&query).await.len(), 30, "nothing is lost");
        query.reset().await.unwrap();
        sync(&query).await.unwrap();
        assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
    }
}

#[test]
async fn a_stored_link_to_another_host_is_not_asked() {
    let world = World::new().await;
    let account = fresh("a");
    let client = client(&world, &account).await;
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    world.clear_log().await;
    with_database(&account, "const r = state.openCursor(); r.onsuccess = () => { if (!r.result) return; r.result.update({ ...r.result.value, link: 'https://evil.example/v1.0/contacts/delta?$deltatoken=x' }); }").await;
    assert_eq!(sync(&query).await.unwrap_err().code(), "foreign-link");
    assert!(world.log().await.is_empty());
}

#[test]
async fn a_database_of_a_newer_version_is_a_named_error() {
    let world = World::new().await;
    let account = fresh("a");
    js_await("return new Promise((resolve) => { const r = indexedDB.open('deltalink | ' + a, 99); r.onsuccess = () => { r.result.close(); resolve(); }; })", &account.as_str().into(), &JsValue::NULL).await;
    let refused = try_open(&world, &account, &[]).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), "store");
    assert!(refused.message().contains("a newer version of deltalink"), "{}", refused.message());
}

#[test]
async fn an_older_version_held_by_another_tab_is_a_named_error() {
    let world = World::new().await;
    let account = fresh("a");
    // A database of an earlier form, held by a connection that does not let go.
    let held = js_await(
        "return new Promise((resolve) => { const r = indexedDB.open('deltalink | ' + a, 1); r.onsuccess = () => resolve(r.result); })",
        &account.as_str().into(),
        &JsValue::NULL,
    )
    .await;
    js(
        "const real = indexedDB.open.bind(indexedDB); Object.getPrototypeOf(indexedDB).open = function (name, version) { return real(name, version && version + 1); }; globalThis.restoreOpen = real;",
        &JsValue::NULL,
        &JsValue::NULL,
    );
    let refused = try_open(&world, &account, &[]).await.map(drop);
    js(
        "const real = globalThis.restoreOpen; Object.getPrototypeOf(indexedDB).open = function (...all) { return real(...all); }; a.close()",
        &held,
        &JsValue::NULL,
    );
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "store");
    assert!(refused.message().contains("another tab holds an older version"), "{}", refused.message());
    assert_eq!(refused.field("retryable"), JsValue::TRUE);
}

#[test]
async fn a_database_deleted_by_another_tab_closes_the_client() {
    let world = World::new().await;
    let account = fresh("a");
    let client = client(&world, &account).await;
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    js_await("return new Promise((resolve, reject) => { const r = indexedDB.deleteDatabase('deltalink | ' + a); r.onsuccess = () => resolve(); r.onerror = () => reject(r.error); })", &account.as_str().into(), &JsValue::NULL).await;
    assert_eq!(sync(&query).await.unwrap_err().code(), "closed");
    assert_eq!(Refused(JsFuture::from(query.mirror.all()).await.unwrap_err()).code(), "closed");
}

#[test]
async fn a_full_disk_is_a_named_error_and_the_last_page_stands() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    let round = round(&query);
    next(&round).await.unwrap();
    ack(&round).await.unwrap();
    next(&round).await.unwrap();
    // The third row of the page does not fit.
    js(
        "const put = IDBObjectStore.prototype.put; let left = 2; IDBObjectStore.prototype.put = function (...all) { if (left-- === 0) { IDBObjectStore.prototype.put = put; throw new DOMException('full', 'QuotaExceededError'); } return put.apply(this, all); }",
        &JsValue::NULL,
        &JsValue::NULL,
    );
    let refused = ack(&round).await.unwrap_err();
    assert_eq!(refused.code(), "quota");
    assert!(refused.message().contains("nothing of this page was written"), "{}", refused.message());
    assert_eq!(all(&query).await.len(), 10);
    sync(&query).await.unwrap();
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn a_browser_that_refuses_indexed_db_is_a_named_error() {
    let world = World::new().await;
    for (open, words) in [
        ("throw new DOMException('denied', 'SecurityError')", "refuses IndexedDB here (SecurityError"),
        (
            "const r = {}; queueMicrotask(() => { r.error = new DOMException('private', 'InvalidStateError'); r.onerror(); }); return r",
            "refuses IndexedDB here (InvalidStateError",
        ),
    ] {
        js(
            &format!(
                "const real = IDBFactory.prototype.open; globalThis.restoreOpen = () => {{ IDBFactory.prototype.open = real; }}; IDBFactory.prototype.open = function () {{ {open} }}"
            ),
            &JsValue::NULL,
            &JsValue::NULL,
        );
        let refused = try_open(&world, &fresh("a"), &[]).await.map(drop);
        js("restoreOpen()", &JsValue::NULL, &JsValue::NULL);
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "store");
        assert!(refused.message().contains(words) && refused.message().contains("options.store: \"memory\""), "{}", refused.message());
    }
}

#[test]
async fn an_upgrade_keeps_what_is_there() {
    let world = World::new().await;
    let account = fresh("a");
    let first = client(&world, &account).await;
    sync(&query(&first, "orgContacts", json!({}))).await.unwrap();
    first.close();
    // As a later version of the package would open it.
    js(
        "const real = IDBFactory.prototype.open; globalThis.restoreOpen = () => { IDBFactory.prototype.open = real; }; IDBFactory.prototype.open = function (name, version) { return real.call(this, name, version && version + 1); }",
        &JsValue::NULL,
        &JsValue::NULL,
    );
    let second = try_open(&world, &account, &[]).await;
    js("restoreOpen()", &JsValue::NULL, &JsValue::NULL);
    let second = second.unwrap();
    let query = query(&second, "orgContacts", json!({}));
    assert_eq!(all(&query).await.len(), 30);
    world.clear_log().await;
    sync(&query).await.unwrap();
    assert_eq!(kinds(&world.log().await), ["delta"]);
}

#[test]
async fn forget_says_so_when_something_keeps_the_database_open() {
    let world = World::new().await;
    let account = fresh("a");
    let client = client(&world, &account).await;
    let held = js_await(
        "return new Promise((resolve) => { const r = indexedDB.open('deltalink | ' + a); r.onsuccess = () => resolve(r.result); })",
        &account.as_str().into(),
        &JsValue::NULL,
    )
    .await;
    let refused = Refused(JsFuture::from(client.forget()).await.unwrap_err());
    js("a.close()", &held, &JsValue::NULL);
    assert_eq!(refused.code(), "store");
    assert!(refused.message().contains("keeps this account's database open"), "{}", refused.message());
}

#[test]
async fn a_response_is_taken_by_its_shape() {
    let world = World::new().await;
    let own = js(
        "return async (url, init) => { const { status, ok, headers, ...rest } = await fetch(url, init).then(async (r) => ({ status: r.status, ok: r.ok, headers: r.headers, body: await r.text() })); return { status, ok, headers, text: async () => rest.body, type: 'basic' }; }",
        &JsValue::NULL,
        &JsValue::NULL,
    );
    let client = try_open(&world, &fresh("a"), &[("fetch", own)]).await.unwrap();
    let query = query(&client, "orgContacts", json!({}));
    sync(&query).await.unwrap();
    assert_eq!(all(&query).await.len(), 30);
}

#[test]
async fn a_query_that_nobody_used_for_thirty_days_is_purged_at_the_next_opening() {
    const DAY: f64 = 86_400_000.0;
    let world = World::new().await;
    let account = fresh("a");
    let prefix = format!("{account} | ");
    let first = client(&world, &account).await;
    let (left, kept) = (query(&first, "orgContacts", json!({})), query(&first, "orgContacts", json!({"name": "kept"})));
    for query in [&left, &kept] {
        sync(query).await.unwrap();
    }
    first.close();
    for (days, used, there) in
        [(29.0, None, [30, 30]), (31.0, Some(&kept), [0, 30]), (31.0 + 29.0, None, [0, 30]), (31.0 + 32.0, None, [0, 0])]
    {
        let clock = js("return () => a", &(Date::now() + days * DAY).into(), &JsValue::NULL);
        let opened = JsFuture::from(IndexedDb::open(&account, &prefix, &clock)).await.unwrap();
        if let Some(used) = used {
            js("a.touch(b)", &opened, &used.key().into());
        }
        js_await("return a.purged.then(() => a.close())", &opened, &JsValue::NULL).await;
        let rows = with_database(&account, "const r = items.getAllKeys(); r.onsuccess = () => out = r.result.map(([key]) => key)").await;
        let rows = from_js(&rows);
        let count = |key: &str| rows.as_array().unwrap().iter().filter(|of| **of == json!(key)).count();
        assert_eq!([count(left.key()), count(kept.key())], there, "after {days} days");
        let states = from_js(&with_database(&account, "const r = state.count(); r.onsuccess = () => out = r.result").await);
        assert_eq!(states, there.iter().filter(|rows| **rows > 0).count(), "after {days} days");
    }
}

#[test]
async fn indexed_db_keeps_the_contract_of_stores() {
    let account = fresh("contract");
    let opening = Closure::<dyn Fn() -> Promise>::new(move || IndexedDb::open(&account, &format!("{account} | "), &JsValue::UNDEFINED));
    let options = js("return { reopen: () => a() }", opening.as_ref(), &JsValue::NULL);
    let rules = store_contract(opening.as_ref(), &options);
    assert!(js("return a.length > 15", &rules, &JsValue::NULL).is_truthy());
    let run = "return (async () => { const broken = []; for (const { name, run } of a) await run().catch((error) => broken.push(`${name}: ${error.message}`)); return broken; })()";
    assert_eq!(from_js(&js_await(run, &rules, &JsValue::NULL).await), json!([]));
}

// ---- options

#[test]
async fn wrong_options_are_refused_before_any_request_with_the_way_out() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let start = "start: '2026-11-01', end: '2026-12-01'";
    for (call, options, words) in [
        ("events", "undefined".to_owned(), "options.start is required by events()"),
        ("events", "{ start: 'x' }".into(), "options.end is required by events()"),
        ("events", "7".into(), "the options of events() must be an object, got 7"),
        ("events", "{ start: new Date(NaN), end: '2026-12-01' }".into(), "options.start must be a valid Date"),
        ("events", "{ start: 5, end: '2026-12-01' }".into(), "options.start must be an ISO 8601 text or a Date, got 5"),
        ("events", format!("{{ {start}, pageSize: 'many' }}"), "options.pageSize must be a whole number, got \"many\""),
        ("events", format!("{{ {start}, pageSize: 1.5 }}"), "options.pageSize must be a whole number, got 1.5"),
        ("events", format!("{{ {start}, immutableIds: 1 }}"), "options.immutableIds must be true or false, got 1"),
        (
            "events",
            format!("{{ {start}, $select: 'id' }}"),
            "options.$select is no option of events(): Graph refuses it on a calendar view's delta",
        ),
        ("events", format!("{{ {start}, top: 5 }}"), "use options.pageSize"),
        ("events", format!("{{ {start}, colour: 'red' }}"), "options.colour is no option of events(): the options are start, end"),
        ("events", format!("{{ {start}, query: {{ $top: 5 }} }}"), "options.query must be an object of texts"),
        ("events", format!("{{ {start}, refresh: 'daily' }}"), "options.refresh must be a number of milliseconds"),
        ("events", format!("{{ {start}, name: '' }}"), "options.name must not be empty"),
        ("orgContacts", "{ ids: 'a' }".into(), "options.ids must be a list of texts, got \"a\""),
        ("orgContacts", "{ select: ['a', 1] }".into(), "options.select must be a list of texts"),
        ("orgContacts", "{ filter: 'x' }".into(), "use options.ids"),
        ("callRecordings", "{}".into(), "options.organizer is required by callRecordings()"),
        ("callRecordings", "{ organizer: 'o', pageSize: 5 }".into(), "use options.top"),
        ("track", "{}".into(), "path must be a text such as \"/users/delta\", got undefined"),
    ] {
        let value = js(&format!("return {options}"), &JsValue::NULL, &JsValue::NULL);
        let refused = Refused(client.query(call, JsValue::UNDEFINED, value).map(drop).unwrap_err());
        assert_eq!(refused.code(), "bad-request", "{options}");
        assert!(refused.message().contains(words), "{options}: {}", refused.message());
    }
    for (options, words) in [
        ("{ maxPages: 0 }", "options.maxPages must be at least 1"),
        ("{ ack: 'never' }", "options.ack must be \"next\" or \"manual\""),
        ("{ maxMs: -1 }", "options.maxMs must be a number of milliseconds"),
    ] {
        let value = js(&format!("return {options}"), &JsValue::NULL, &JsValue::NULL);
        let refused =
            Refused(query(&client, "orgContacts", json!({})).round(value, &Function::new_no_args(""), true).map(drop).unwrap_err());
        assert!(refused.message().contains(words), "{options}: {}", refused.message());
    }
    assert!(world.log().await.is_empty());
}

#[test]
async fn wrong_options_of_open_delta_are_refused() {
    let world = World::new().await;
    for (name, value, code, words) in [
        ("token", "'a text'", "bad-request", "options.token must be a function, fromMsal(…) or an object with getToken()"),
        ("endpoint", "'http://graph.microsoft.com'", "bad-request", "http is for loopback only"),
        ("cloud", "'global'", "bad-request", "options.cloud and options.endpoint both name a root"),
        ("store", "'disk'", "bad-request", "options.store must be \"indexeddb\", \"memory\" or a DeltaStore, got \"disk\""),
        ("fetch", "{}", "bad-request", "options.fetch must be a function"),
        ("retry", "{ attempts: 0 }", "bad-request", "options.retry.attempts must be at least 1"),
        ("retry", "{ base: -1 }", "bad-request", "must be a number of milliseconds"),
        ("tabs", "1", "bad-request", "options.tabs is no option of openDelta()"),
    ] {
        let value = js(&format!("return {value}"), &JsValue::NULL, &JsValue::NULL);
        let refused = try_open(&world, &fresh("a"), &[(name, value)]).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), code, "{name}");
        assert!(refused.message().contains(words), "{name}: {}", refused.message());
    }
}

#[test]
async fn dates_are_taken_as_text_and_as_date() {
    let world = World::new().await;
    let client = client(&world, &fresh("a")).await;
    let date =
        js("return { start: new Date('2026-11-01T00:00:00Z'), end: new Date('2026-12-20T00:00:00Z') }", &JsValue::NULL, &JsValue::NULL);
    let by_date = client.query("events", JsValue::UNDEFINED, date).map_err(Refused).unwrap();
    assert_eq!(by_date.key(), query(&client, "events", weeks()).key());
}

#[test]
async fn the_status_tells_where_a_round_is() {
    let world = World::new().await;
    world.fault(json!({"match": {"kind": "next"}, "fault": {"name": "status", "status": 503}})).await;
    let client = client(&world, &fresh("a")).await;
    let query = query(&client, "orgContacts", json!({}));
    let seen =
        js("const seen = []; const take = (status) => seen.push(status); take.seen = seen; return take", &JsValue::NULL, &JsValue::NULL);
    let round = query.round(JsValue::UNDEFINED, seen.unchecked_ref(), true).map_err(Refused).unwrap();
    finish(&round).await.unwrap();
    let seen = from_js(&Reflect::get(&seen, &"seen".into()).unwrap());
    let mut phases: Vec<&str> = seen.as_array().unwrap().iter().map(|status| status["phase"].as_str().unwrap()).collect();
    phases.dedup();
    assert_eq!(phases, ["syncing", "waiting", "syncing", "idle"]);
    let waiting = seen.as_array().unwrap().iter().find(|status| status["phase"] == "waiting").unwrap();
    assert_eq!(waiting["waitReason"], "server");
    assert!(Date::parse(waiting["waitUntil"].as_str().unwrap()) > Date::now() - 60_000.0);
    assert!(seen.as_array().unwrap().last().unwrap()["lastSyncedAt"].is_string());
}

// ---- real answers

#[test]
async fn every_real_answer_is_read_as_its_index_says() {
    let Some(index) = file("index.tsv").await else {
        // tests/run.mjs prints and counts it.
        return;
    };
    let rows = corpus::rows(&index);
    assert!(rows.len() > 100);
    for row in &rows {
        let text = file(&row.file).await.unwrap();
        let body = js_sys::JSON::parse(&text).unwrap_or_else(|error| panic!("{}: {error:?}", row.file));
        corpus::check(row, &Json(body));
    }
}
