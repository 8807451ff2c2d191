//! The store on IndexedDB.

use std::cell::Cell;

use deltalink::protocol::time::{Duration, Instant};
use deltalink::web::indexed_db::IndexedDb;
use deltalink::web::timers::now;
use js_sys::Function;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

/// Runs JavaScript on the database of an account. `state` and `items` are its object stores.
async fn with_database(account: &str, source: &str) -> Value {
    let source = format!(
        "const db = await done(indexedDB.open('deltalink | ' + a));
         const transaction = db.transaction(['state', 'items'], 'readwrite');
         const ended = new Promise((resolve, reject) => {{
           transaction.oncomplete = resolve;
           transaction.onabort = () => reject(transaction.error);
         }});
         const [state, items] = ['state', 'items'].map((name) => transaction.objectStore(name));
         const result = await (async () => {{ {source} }})();
         await ended;
         db.close();
         return result"
    );
    from_js(&js_await(&source, &account.into()).await)
}

/// Changes the stored record of the only query of an account, which is `value` in `source`.
async fn with_record(account: &str, source: &str) {
    let source = format!(
        "const [key] = await done(state.getAllKeys());
         let value = await done(state.get(key));
         {source};
         await done(state.put(value, key))"
    );
    with_database(account, &source).await;
}

/// Opens a database without the package and keeps the connection open.
async fn open_database(account: &str, version: Option<u32>) -> JsValue {
    let options = to_js(&json!([account, version]));
    js_await("return done(indexedDB.open('deltalink | ' + a[0], ...(a[1] ? [a[1]] : [])))", &options).await
}

/// Replaces the code of `indexedDB.open()` until [`restore_open`]. `source` can call `real(name,
/// version)`.
fn replace_open(source: &str) {
    run(&format!(
        "const open = IDBFactory.prototype.open;
         const real = (...all) => open.apply(indexedDB, all);
         globalThis.restoreOpen = () => (IDBFactory.prototype.open = open);
         IDBFactory.prototype.open = function (name, version) {{ {source} }}"
    ));
}

fn restore_open() {
    run("restoreOpen()");
}

#[test]
async fn records_are_readable_in_the_developer_tools() {
    let world = World::new().await;
    let account = unique_name("a");
    let client = client(&world, &account).await;
    let query = query(&client, "orgContacts", json!({"select": ["mail", "displayName"]}));
    sync(&query).await.unwrap();
    let keys = with_database(&account, "return done(state.getAllKeys())").await;
    assert_eq!(
        keys,
        json!([format!("{account} | {} | /contacts/delta | $select=displayName,mail", world.root)])
    );
    assert_eq!(keys[0], query.key());
    let state = with_database(&account, "return done(state.getAll())").await;
    assert_eq!(
        (&state[0]["phase"], &state[0]["kind"], &state[0]["generation"], &state[0]["format"]),
        (&json!("idle"), &json!("full"), &json!(1), &json!(1))
    );
    assert!(state[0]["link"].as_str().unwrap().contains("deltatoken="), "{state}");
}

#[test]
async fn an_invalid_record_gives_a_delta_error_and_reset_starts_over() {
    let world = World::new().await;
    for (record, message) in [
        ("value.format = 9", "it was written by another version of deltalink"),
        ("delete value.link", "it has no link"),
        ("value.generation = 'x'", "one of its fields has the wrong type"),
        ("value.revision = { toString() { return 'x' } }.x", "one of its fields has the wrong type"),
        ("delete value.revision", "its revision is missing"),
        ("value = 'rubbish'", "it is not an object"),
        ("value = [1, [2]]", "it is not an object"),
    ] {
        let account = unique_name("a");
        let client = client(&world, &account).await;
        let query = contacts(&client);
        sync(&query).await.unwrap();
        world.clear_log().await;
        with_record(&account, record).await;
        let refused = sync(&query).await.unwrap_err();
        assert_eq!(refused.code(), "store", "{record}");
        assert!(
            refused.message().contains(message) && refused.message().contains("reset() starts over"),
            "{record}: {}",
            refused.message()
        );
        assert!(world.log().await.is_empty());
        assert_eq!(all(&query).await.len(), 30, "nothing is lost");
        reset(&query).await;
        sync(&query).await.unwrap();
        assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
    }
}

#[test]
async fn all_returns_each_item_once_regardless_of_its_size_and_with_or_without_an_id() {
    let world = World::new().await;
    let account = unique_name("a");
    let client = client(&world, &account).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    // Rows of 200 and of 60,000 bytes, so that chunks grow and shrink. The row at the end of the
    // first chunk has no id. Rows of other queries come before and after these rows.
    let source = "
        const [key] = await done(state.getAllKeys());
        items.delete(IDBKeyRange.bound([key], [key, []]));
        const name = (at) => 'id' + String(at).padStart(6, '0');
        for (let at = 0; at < 3000; at++) {
          const id = name(at);
          const text = 'x'.repeat(at % 500 === 7 ? 60_000 : 200);
          items.put({ round: 1, item: at === 255 ? { text } : { id, text } }, [key, id]);
        }
        for (const id of ['\\0a', '\\0b']) items.put({ round: 1, item: { id: id.slice(1) } }, [key, id]);
        for (const other of [key.slice(0, -1), key + ' ']) items.put({ round: 1, item: { id: 'x' } }, [other, 'x']);
        let value = await done(state.get(key));
        await done(state.put({ ...value, count: undefined }, key))";
    with_database(&account, source).await;
    let items = from_js(&settled(query.all(false)).await.unwrap());
    let ids = items.as_array().unwrap().iter().map(|item| item.get("id").and_then(Value::as_str));
    let expected: Vec<String> = (0..3000).map(|at| format!("id{at:06}")).collect();
    assert!(ids.eq(expected.iter().enumerate().map(|(at, id)| (at != 255).then_some(id.as_str()))));
    assert_eq!(count(&query).await, 3000, "counted in chunks");
}

#[test]
async fn a_stored_link_to_another_host_is_not_requested() {
    let world = World::new().await;
    let account = unique_name("a");
    let client = client(&world, &account).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    world.clear_log().await;
    with_record(&account, "value.link = 'https://evil.example/v1.0/contacts/delta?$deltatoken=x'").await;
    assert_eq!(sync(&query).await.unwrap_err().code(), "foreign-link");
    assert!(world.log().await.is_empty());
}

#[test]
async fn a_database_of_a_newer_version_gives_a_delta_error() {
    let world = World::new().await;
    let account = unique_name("a");
    js("a.close()", &open_database(&account, Some(99)).await);
    let refused = try_open(&world, &account, &[]).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), "store");
    assert!(refused.message().contains("a newer version of deltalink"), "{}", refused.message());
}

#[test]
async fn an_upgrade_that_another_tab_blocks_gives_a_delta_error() {
    let world = World::new().await;
    let account = unique_name("a");
    // A database of an earlier version, with a connection that stays open.
    let open = open_database(&account, Some(1)).await;
    replace_open("return real(name, version && version + 1)");
    let refused = try_open(&world, &account, &[]).await.map(drop);
    restore_open();
    js("a.close()", &open);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "store");
    assert!(refused.message().contains("another tab holds an older version"), "{}", refused.message());
    assert_eq!(refused.field("retryable"), JsValue::TRUE);
}

#[test]
async fn a_database_deleted_by_another_tab_closes_the_client() {
    let world = World::new().await;
    let account = unique_name("a");
    let client = client(&world, &account).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    js_await("await done(indexedDB.deleteDatabase('deltalink | ' + a))", &account.as_str().into()).await;
    assert_eq!(sync(&query).await.unwrap_err().code(), "closed");
    assert_eq!(settled(query.all(false)).await.unwrap_err().code(), "closed");
}

#[test]
async fn a_full_disk_gives_a_delta_error_and_the_last_page_stays() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    let round = round(&query);
    next(&round).await.unwrap();
    ack(&round).await.unwrap();
    next(&round).await.unwrap();
    // The third row of the page does not fit.
    run("const { put } = IDBObjectStore.prototype;
         let left = 2;
         IDBObjectStore.prototype.put = function (...all) {
           if (left-- > 0) return put.apply(this, all);
           IDBObjectStore.prototype.put = put;
           throw new DOMException('full', 'QuotaExceededError');
         }");
    let refused = ack(&round).await.unwrap_err();
    assert_eq!(refused.code(), "quota");
    assert!(refused.message().contains("nothing of this page was written"), "{}", refused.message());
    assert_eq!(all(&query).await.len(), 10);
    sync(&query).await.unwrap();
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn a_browser_that_refuses_indexed_db_gives_a_delta_error() {
    let world = World::new().await;
    for (open, message) in [
        ("throw new DOMException('denied', 'SecurityError')", "refuses IndexedDB here (SecurityError"),
        (
            "const request = {};
             const error = new DOMException('private', 'InvalidStateError');
             queueMicrotask(() => Object.assign(request, { error }).onerror());
             return request",
            "refuses IndexedDB here (InvalidStateError",
        ),
    ] {
        replace_open(open);
        let refused = try_open(&world, &unique_name("a"), &[]).await.map(drop);
        restore_open();
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "store");
        assert!(refused.message().contains(message), "{}", refused.message());
        assert!(refused.message().contains("options.store: \"memory\""), "{}", refused.message());
    }
}

#[test]
async fn an_upgrade_keeps_the_data() {
    let world = World::new().await;
    let account = unique_name("a");
    let first = client(&world, &account).await;
    sync(&contacts(&first)).await.unwrap();
    settled(first.close()).await.unwrap();
    // Opens it like a later version of the package.
    replace_open("return real(name, version && version + 1)");
    let second = try_open(&world, &account, &[]).await;
    restore_open();
    let second = second.unwrap();
    let query = contacts(&second);
    assert_eq!(all(&query).await.len(), 30);
    world.clear_log().await;
    sync(&query).await.unwrap();
    assert_eq!(kinds(&world.log().await), ["delta"]);
}

#[test]
async fn forget_rejects_if_another_connection_keeps_the_database_open() {
    let world = World::new().await;
    let account = unique_name("a");
    let client = client(&world, &account).await;
    let open = open_database(&account, None).await;
    let refused = settled(client.forget()).await.unwrap_err();
    js("a.close()", &open);
    assert_eq!(refused.code(), "store");
    assert!(refused.message().contains("keeps this account's database open"), "{}", refused.message());
}

#[test]
async fn a_query_that_was_not_used_for_thirty_days_is_deleted_at_the_next_opening() {
    let world = World::new().await;
    let account = unique_name("a");
    let prefix = format!("{account} | ");
    let first = client(&world, &account).await;
    let (unused, kept) = (contacts(&first), query(&first, "orgContacts", json!({"name": "kept"})));
    for query in [&unused, &kept] {
        sync(query).await.unwrap();
    }
    settled(first.close()).await.unwrap();
    // Days since the first use, the query used in that opening, and the rows that both then have.
    let openings = [
        (29.0, None, [30, 30]),
        (31.0, Some(&kept), [0, 30]),
        (31.0 + 29.0, None, [0, 30]),
        (31.0 + 32.0, None, [0, 0]),
    ];
    for (days, used, expected) in openings {
        DAYS.set(days);
        let opened =
            IndexedDb::open(&account, &prefix, Function::new_no_args(""), clock_ahead).await.unwrap();
        if let Some(used) = used {
            opened.touch(&used.key());
        }
        opened.purged().await;
        opened.close();
        let rows =
            with_database(&account, "return (await done(items.getAllKeys())).map(([key]) => key)").await;
        let count =
            |query: &Query| rows.as_array().unwrap().iter().filter(|key| **key == json!(query.key())).count();
        assert_eq!([count(&unused), count(&kept)], expected, "after {days} days");
        let states = with_database(&account, "return done(state.count())").await;
        assert_eq!(states, expected.iter().filter(|rows| **rows > 0).count(), "after {days} days");
    }
}

thread_local! {
    static DAYS: Cell<f64> = const { Cell::new(0.0) };
}

/// A clock that is [`DAYS`] days ahead.
fn clock_ahead() -> Instant {
    now() + Duration::DAY * DAYS.get()
}
