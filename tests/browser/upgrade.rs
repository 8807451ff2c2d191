//! Continues the rounds of databases that the published package 0.1.0 wrote, with the same results.

use std::cell::RefCell;
use std::rc::Rc;

use fake_graph::Response;
use js_sys::{Date, Function, Promise};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::fixtures::FIXTURES;
use crate::support::*;
use crate::world::{give, request};

/// A database of 0.1.0 in this browser, with times as if it had just been written.
struct OldDatabase {
    fixture: Value,
    /// The milliseconds by which its times were moved.
    shift: f64,
    account: String,
    client: Client,
    query: Query,
    /// The requests: URL, Prefer header and time.
    requests: Rc<RefCell<Vec<(Value, Value, f64)>>>,
}

impl OldDatabase {
    async fn load(name: &str) -> Self {
        let (_, text) = FIXTURES.iter().find(|(other, _)| *other == name).unwrap();
        let mut fixture: Value = serde_json::from_str(text).unwrap();
        let shift = Date::now() - fixture["at"].as_f64().unwrap();
        move_times(&mut fixture["database"]["stores"], shift);
        js_await(
            "await done(indexedDB.deleteDatabase(a.name));
             const opening = indexedDB.open(a.name, a.version);
             const names = Object.keys(a.stores);
             opening.onupgradeneeded = () => names.forEach((name) => opening.result.createObjectStore(name));
             const db = await done(opening);
             const transaction = db.transaction(names, 'readwrite');
             for (const name of names) {
               for (const [key, value] of a.stores[name]) transaction.objectStore(name).put(value, key);
             }
             await new Promise((resolve, reject) => {
               transaction.oncomplete = resolve;
               transaction.onabort = () => reject(transaction.error);
             });
             db.close()",
            &to_js(&fixture["database"]),
        )
        .await;
        let requests = Rc::default();
        let more = [
            ("token", Function::new_no_args("return 'a-token'").into()),
            ("fetch", recorded_fetch(&fixture, Rc::clone(&requests))),
        ];
        let account = fixture["account"].as_str().unwrap().to_owned();
        let client = try_open_at(fixture["endpoint"].as_str().unwrap(), &account, &more).await.unwrap();
        let call = &fixture["call"];
        let path = call["path"].as_str().map_or(JsValue::UNDEFINED, JsValue::from);
        let query = client.query(call["method"].as_str().unwrap(), path, to_js(&call["options"])).unwrap();
        Self { fixture, shift, account, client, query, requests }
    }

    /// The record of the query in the fixture.
    fn record(&self) -> &Value {
        old_record(&self.fixture["database"]["stores"]["state"])
    }

    /// The mirror in the form of the fixture.
    async fn read(&self) -> Value {
        if !self.query.has_mirror() {
            return Value::Null;
        }
        let complete = from_js(&settled(self.query.all(true)).await.unwrap());
        json!({
            "items": all(&self.query).await, "complete": sorted(complete.as_array().unwrap().clone()),
            "count": count(&self.query).await,
        })
    }

    /// Continues the round and compares it with that of 0.1.0.
    async fn continue_round(self) -> Value {
        assert_eq!(self.read().await, self.fixture["before"], "the mirror is readable before any request");
        let round = round(&self.query);
        let pages = finish(&round).await.unwrap();
        let requests = self.fixture["requests"].as_array().unwrap();
        let expected: Vec<_> = requests.iter().map(|request| (&request["url"], &request["prefer"])).collect();
        let requests = self.requests.borrow().clone();
        assert_eq!(requests.iter().map(|(url, prefer, _)| (url, prefer)).collect::<Vec<_>>(), expected);
        let summary = |change: &Value| ["type", "id", "reason"].map(|name| change[name].clone());
        let changes: Vec<_> = changes(&pages).iter().map(summary).collect();
        assert_eq!(
            changes,
            self.fixture["changes"].as_array().unwrap().iter().map(summary).collect::<Vec<_>>()
        );
        assert_eq!(self.read().await, self.fixture["after"]);
        let read_states = "const db = await done(indexedDB.open('deltalink | ' + a));
            const transaction = db.transaction('state');
            const ended = new Promise((resolve) => (transaction.oncomplete = resolve));
            const state = transaction.objectStore('state');
            const [keys, values] = [await done(state.getAllKeys()), await done(state.getAll())];
            await ended;
            db.close();
            return keys.map((key, at) => [key, values[at]])";
        let stored = from_js(&js_await(read_states, &self.account.as_str().into()).await);
        let expected = comparable(old_record(&self.fixture["state"]));
        assert_eq!(comparable(record(&stored, &self.query)), expected);
        settled(self.client.forget()).await.unwrap();
        report(&round)
    }
}

/// The record of a query in the object store of a database.
fn record<'a>(states: &'a Value, query: &Query) -> &'a Value {
    let found = states.as_array().unwrap().iter().find(|state| state[0] == query.key());
    &found.unwrap_or_else(|| panic!("no state under {}", query.key()))[1]
}

/// The record in a database of a fixture, which has one query.
fn old_record(states: &Value) -> &Value {
    let is_record = |state: &&Value| !state[0].as_str().unwrap().contains(" | not before | ");
    &states.as_array().unwrap().iter().find(is_record).unwrap()[1]
}

/// A record without the values that differ between runs.
fn comparable(record: &Value) -> Value {
    let mut record = record.clone();
    // 0.1.0 does not have this field.
    record.as_object_mut().unwrap().remove("largestPage");
    for (name, value) in record.as_object_mut().unwrap() {
        if ["revision", "startedAt", "syncedAt", "fullAt"].contains(&name.as_str()) {
            *value = json!("at some time");
        }
    }
    record
}

/// Moves all times of a database.
fn move_times(stores: &mut Value, shift: f64) {
    let later = |time: &mut Value| *time = (time.as_f64().unwrap() + shift).into();
    for [_, state] in pairs(&mut stores["state"]) {
        for name in ["startedAt", "syncedAt", "fullAt", "until", "at"] {
            state.get_mut(name).into_iter().for_each(later);
        }
        state.get_mut("resets").and_then(Value::as_array_mut).into_iter().flatten().for_each(later);
    }
    for [_, used] in pairs(&mut stores["used"]) {
        later(used);
    }
}

fn pairs(entries: &mut Value) -> impl Iterator<Item = &mut [Value; 2]> {
    entries
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .map(|entry| entry.as_array_mut().unwrap().as_mut_slice().try_into().unwrap())
}

/// A `fetch` that returns the responses that 0.1.0 received, and records the requests.
fn recorded_fetch(fixture: &Value, requests: Rc<RefCell<Vec<(Value, Value, f64)>>>) -> JsValue {
    let responses = fixture["requests"].as_array().unwrap().clone();
    let fetch = move |url: String, init: JsValue| {
        let prefer = request(&url, &init).header("prefer").into();
        let response = responses.iter().find(|response| response["url"] == url).cloned();
        requests.borrow_mut().push((url.into(), prefer, Date::now()));
        let Some(response) = response else { return Promise::reject(&"0.1.0 did not request this".into()) };
        let body = response["body"].as_str().unwrap().as_bytes().to_vec();
        let status = response["status"].as_u64().unwrap().try_into().unwrap();
        give(&Response { status, body, ..Response::default() }, &init)
    };
    Closure::<dyn Fn(String, JsValue) -> Promise>::new(fetch).into_js_value()
}

/// Checks that the first request is the stored link, byte for byte.
fn check_first_request(old: &OldDatabase) {
    assert_eq!(old.fixture["requests"][0]["url"], old.record()["link"]);
}

#[test]
async fn a_calendar_during_its_first_round_continues_at_its_next_link() {
    let old = OldDatabase::load("events-paging").await;
    let record = old.record();
    assert_eq!(record["phase"], "paging");
    assert!(record["masters"].is_array() && record["delivered"].is_array());
    check_first_request(&old);
    assert_eq!(
        old.fixture["requests"].as_array().unwrap().len(),
        2,
        "the page, and the master that it lacks"
    );
    let report = old.continue_round().await;
    assert_eq!((&report["kind"], &report["resumed"]), (&json!("full"), &json!(true)));
}

#[test]
async fn complete_contacts_continue_at_their_delta_link() {
    let old = OldDatabase::load("contacts-idle").await;
    assert_eq!(old.record()["phase"], "idle");
    check_first_request(&old);
    let report = old.continue_round().await;
    assert_eq!((&report["kind"], &report["requests"]), (&json!("incremental"), &json!(1)));
}

#[test]
async fn contacts_before_the_sweep_lose_their_ghosts_without_a_request() {
    let old = OldDatabase::load("contacts-sweeping").await;
    assert_eq!(old.record()["phase"], "sweeping");
    let report = old.continue_round().await;
    assert_eq!((&report["ghosts"], &report["requests"]), (&json!(1), &json!(0)));
}

#[test]
async fn a_feed_of_recordings_continues_at_its_delta_link() {
    let old = OldDatabase::load("recordings-feed").await;
    assert!(!old.query.has_mirror());
    check_first_request(&old);
    let report = old.continue_round().await;
    assert_eq!((&report["kind"], &report["items"]), (&json!("incremental"), &json!(1)));
}

#[test]
async fn throttled_users_are_not_requested_before_the_stored_time() {
    let old = OldDatabase::load("users-throttled").await;
    check_first_request(&old);
    let states = old.fixture["database"]["stores"]["state"].as_array().unwrap();
    let throttle =
        states.iter().find(|state| state[0].as_str().unwrap().contains(" | not before | ")).unwrap();
    let until = throttle[1]["until"].as_f64().unwrap();
    assert!(until > Date::now() && old.shift > 0.0);
    let requests = Rc::clone(&old.requests);
    let report = old.continue_round().await;
    assert_eq!(report["waits"][0]["reason"], "throttled");
    assert!(requests.borrow().iter().all(|(_, _, at)| *at >= until));
}

#[test]
async fn a_calendar_view_whose_dates_had_another_form_in_its_key_continues_at_its_delta_link() {
    let old = OldDatabase::load("view-idle").await;
    let states = old.fixture["database"]["stores"]["state"].as_array().unwrap();
    assert!(states.iter().all(|state| state[0] != old.query.key()), "0.1.0 used another key");
    check_first_request(&old);
    let report = old.continue_round().await;
    assert_eq!((&report["kind"], &report["requests"]), (&json!("incremental"), &json!(1)));
}
