//! Runs the scenarios of the model test with the whole engine on IndexedDB in each browser. The
//! core of the fake Graph is in the same wasm and responds by `options.fetch`, so that hundreds of
//! scenarios run in a minute. A crash closes the client during a request; `tests/kill/` kills
//! processes.
#![cfg(target_family = "wasm")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    dead_code
)]

#[path = "model/scenario.rs"]
mod scenario;
#[path = "browser/support.rs"]
mod support;
#[path = "browser/world.rs"]
mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use fake_graph::World;
use js_sys::{Function, Promise, Reflect};
use scenario::{START, Scenario, Turn};
use serde_json::{Value, json};
use support::{Client, Query, Refused, all, count, js, next, reset, to_js, try_open_at, unique_name};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test as test, wasm_bindgen_test_configure};

/// The worlds are in this wasm.
const SERVER: Option<&str> = None;

wasm_bindgen_test_configure!(run_in_browser);

const ORIGIN: &str = "http://127.0.0.1:4010";

/// The world with its clock, and the client whose requests it receives.
struct Harness {
    world: RefCell<World>,
    now: Cell<u64>,
    is_app_only: bool,
    token: RefCell<String>,
    /// The number of the request before which the process ends.
    crash: Cell<Option<u64>>,
    requests: Cell<u64>,
    mid_round_edits: RefCell<Vec<(u64, Value)>>,
    client: RefCell<Option<Rc<Client>>>,
}

impl Harness {
    fn new(scenario: &Scenario) -> Rc<Self> {
        let harness = Rc::new(Self {
            world: RefCell::new(scenario.world(format!("{ORIGIN}/w/model/v1.0"))),
            now: Cell::new(START),
            is_app_only: scenario.needs_app_token(),
            token: RefCell::default(),
            crash: Cell::new(None),
            requests: Cell::new(0),
            mid_round_edits: RefCell::default(),
            client: RefCell::default(),
        });
        harness.sign_in();
        harness
    }

    fn sign_in(&self) {
        let token = self.world.borrow_mut().token(
            if self.is_app_only { "app" } else { "delegated" },
            None,
            None,
            self.now.get(),
        );
        self.token.replace(token);
    }

    fn edit(&self, edit: &Value) {
        let _ = self.world.borrow_mut().edit(&json!([edit]), self.now.get());
    }

    /// The function for `options.fetch`. Resolves to a response, rejects, or ends the process.
    fn fetch(&self, url: &str, init: &JsValue) -> Promise {
        let number = self.requests.replace(self.requests.get() + 1);
        if self.crash.get().is_some_and(|at| number >= at) {
            if let Some(client) = self.client.borrow().as_ref() {
                let _ = client.close();
            }
            return Promise::new(&mut |_, _| {});
        }
        for (at, edit) in self.mid_round_edits.borrow().iter() {
            if *at == number {
                self.edit(edit);
            }
        }
        self.now.set(self.now.get() + 1);
        let path = url.strip_prefix(ORIGIN).unwrap_or_else(|| panic!("invariant 6: a foreign URL: {url}"));
        let mut response = self.world.borrow_mut().handle(&world::request(path, init), self.now.get());
        // The tests do not wait: a response comes at once or never.
        if std::mem::take(&mut response.hang) {
            response.status = 0;
        }
        (response.delay_ms, response.bytes_per_second) = (0, None);
        world::give(&response, init)
    }

    /// Opens a client, as in a new process.
    async fn open(self: &Rc<Self>, account: &str) -> Rc<Client> {
        let harness = Rc::clone(self);
        let fetch = Closure::<dyn Fn(String, JsValue) -> Promise>::new(move |url: String, init: JsValue| {
            harness.fetch(&url, &init)
        });
        let harness = Rc::clone(self);
        let token = Closure::<dyn Fn(JsValue) -> JsValue>::new(move |request: JsValue| {
            if Reflect::get(&request, &"reason".into()).unwrap() == "unauthorized" {
                harness.sign_in();
            }
            harness.token.borrow().as_str().into()
        });
        let more = [
            ("fetch", fetch.into_js_value()),
            ("token", token.into_js_value()),
            ("retry", to_js(&json!({"base": 0, "cap": 0, "attempts": 4}))),
        ];
        let client = Rc::new(try_open_at(&format!("{ORIGIN}/w/model/v1.0"), account, &more).await.unwrap());
        self.client.replace(Some(Rc::clone(&client)));
        client
    }

    fn query(&self, client: &Client, scenario: &Scenario) -> Query {
        let mut options = scenario.query.clone();
        if scenario.needs_app_token() {
            options["organizer"] = self.world.borrow().me().0.into();
        }
        client.query(scenario.call, scenario.path.into(), to_js(&options)).unwrap()
    }
}

type Copy = BTreeMap<String, Value>;

fn consume(copy: &mut Copy, page: &Value) {
    for change in page["changes"].as_array().unwrap() {
        let id = change["id"].as_str().unwrap().to_owned();
        match change["type"].as_str() {
            Some("upsert") => drop(copy.insert(id, change["item"].clone())),
            _ => drop(copy.remove(&id)),
        }
    }
}

/// Runs a round to its end, or to the end of the process.
async fn round(query: &Query, turn: &Turn, copy: &mut Copy) -> Result<(), Refused> {
    let options = turn.max_pages.map_or(JsValue::UNDEFINED, |max| to_js(&json!({ "maxPages": max })));
    let round = query.round(options, &Function::new_no_args(""), turn.has_consumer)?;
    while let Some(page) = next(&round).await? {
        if turn.has_consumer {
            consume(copy, &page);
        }
        support::ack(&round).await?;
    }
    Ok(())
}

async fn run(seed: u64) {
    let scenario = Scenario::of(seed);
    let harness = Harness::new(&scenario);
    let account = unique_name("scenario");
    let mut copy = Copy::new();
    let mut client = harness.open(&account).await;
    let mut query = harness.query(&client, &scenario);
    for turn in &scenario.turns {
        turn.edits.iter().for_each(|edit| harness.edit(edit));
        // Removes the waits that throttles ask for.
        let faults = serde_json::to_string(&turn.faults)
            .unwrap()
            .replace("\"0.128\"", "\"0\"")
            .replace("\"Retry-After\":\"1\"", "\"Retry-After\":\"0\"");
        harness.world.borrow_mut().add_faults(&serde_json::from_str(&faults).unwrap()).unwrap();
        if turn.expire {
            harness.world.borrow_mut().expire(None);
        }
        harness.requests.set(0);
        harness.mid_round_edits.replace(turn.mid_round_edits.clone());
        harness.crash.set(turn.crash.map(|step| step / 9));
        let result = round(&query, turn, &mut copy).await;
        harness.crash.set(None);
        match result.map_err(|refused| refused.code()) {
            Err(code) if code == "closed" => {
                client = harness.open(&account).await;
                query = harness.query(&client, &scenario);
            }
            // A round would continue only hours or a day later, so the query is reset.
            Err(code) if code == "resync-loop" || code == "forbidden" => reset(&query).await,
            Err(code) => assert_ne!(code, "internal", "seed {seed}"),
            Ok(()) => {}
        }
    }
    harness.world.borrow_mut().clear_faults();
    harness.mid_round_edits.take();
    let quiet = if scenario.needs_refresh() { 3 } else { 2 };
    for nth in 0..quiet {
        if nth == 2 {
            reset(&query).await;
        }
        let mut attempts = 8;
        while let Err(refused) = round(&query, &Turn::quiet(), &mut copy).await {
            attempts -= 1;
            assert!(
                attempts > 0,
                "seed {seed}: none of eight rounds without faults completes: {}",
                refused.message()
            );
            if ["resync-loop", "forbidden"].contains(&refused.code().as_str()) {
                reset(&query).await;
            }
        }
    }
    let mirror: Copy =
        all(&query).await.into_iter().map(|item| (item["id"].as_str().unwrap().to_owned(), item)).collect();
    assert_eq!(count(&query).await, mirror.len(), "seed {seed}: the count");
    if scenario.delivers_every_page() {
        assert!(copy == mirror, "seed {seed}: invariant 5");
    }
    scenario.check(&mut harness.world.borrow_mut(), &mirror, &Copy::new());
    let database = format!("deltalink | {account}");
    let _ = client.close();
    js("indexedDB.deleteDatabase(a)", &database.as_str().into());
}

/// The number of scenarios, which `SCENARIOS=n` changes at compile time.
fn scenarios() -> u64 {
    option_env!("SCENARIOS").and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// Runs one of four quarters of the scenarios.
async fn run_quarter(quarter: u64) {
    let count = scenarios() / 4;
    for seed in quarter * count..(quarter + 1) * count {
        run(seed).await;
    }
}

#[test]
async fn after_any_scenario_of_the_first_quarter_the_mirror_equals_the_tables() {
    run_quarter(0).await;
}

#[test]
async fn after_any_scenario_of_the_second_quarter_the_mirror_equals_the_tables() {
    run_quarter(1).await;
}

#[test]
async fn after_any_scenario_of_the_third_quarter_the_mirror_equals_the_tables() {
    run_quarter(2).await;
}

#[test]
async fn after_any_scenario_of_the_last_quarter_the_mirror_equals_the_tables() {
    run_quarter(3).await;
}
