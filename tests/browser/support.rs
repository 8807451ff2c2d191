//! Makes clients, queries and rounds from the exports of the wasm, like the facade.

use std::cell::Cell;
use std::ops::Deref;

use deltalink::web::client;
use deltalink::web::round_run::RoundRun;
use js_sys::{Function, JSON, Object, Promise, Reflect};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal};

use crate::world::World;

#[wasm_bindgen(module = "/tests/browser/kit.js")]
extern "C" {
    /// Resolves in the next macrotask.
    pub async fn turn();
    #[wasm_bindgen(catch)]
    fn evaluate(source: &str, a: &JsValue, b: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = evaluateAsync)]
    async fn evaluate_async(source: &str, a: &JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = makeError)]
    fn make_error(message: &str, fields: &JsValue) -> JsValue;
    fn following(first: &JsValue, second: &AbortSignal) -> AbortController;
    #[wasm_bindgen(js_name = roundRun)]
    fn round_run(on_status: &Function) -> RoundRun;
}

/// Runs statements of JavaScript and returns their result.
pub fn run(source: &str) -> JsValue {
    js(source, &JsValue::UNDEFINED)
}

/// Like [`run`], with a value `a`.
pub fn js(source: &str, a: &JsValue) -> JsValue {
    js_of_two(source, a, &JsValue::UNDEFINED)
}

/// Like [`run`], with two values `a` and `b`.
pub fn js_of_two(source: &str, a: &JsValue, b: &JsValue) -> JsValue {
    evaluate(source, a, b).unwrap_or_else(|error| panic!("{source}: {error:?}"))
}

/// Like [`js`], for statements that await. The function `done` awaits a request of IndexedDB.
pub async fn js_await(source: &str, a: &JsValue) -> JsValue {
    evaluate_async(source, a).await.unwrap_or_else(|error| panic!("{source}: {error:?}"))
}

/// Converts JSON to a JavaScript value.
pub fn to_js(value: &Value) -> JsValue {
    JSON::parse(&value.to_string()).unwrap()
}

/// Converts a JavaScript value to JSON.
pub fn from_js(value: &JsValue) -> Value {
    let text = JSON::stringify(value).ok().and_then(|text| text.as_string());
    text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// Polls until `holds` returns true. Fails after 20 seconds with the name of the state.
pub async fn until(name: &str, holds: impl AsyncFn() -> bool) {
    let end = js_sys::Date::now() + 20_000.0;
    while !holds().await {
        assert!(js_sys::Date::now() < end, "waited 20 s for: {name}");
        turn().await;
    }
}

/// A name that no other test and no earlier run uses.
pub fn unique_name(name: &str) -> String {
    format!("{name} {}", js_sys::Math::random())
}

/// An exception of the package: a `DeltaError`, or the reason of an abort.
#[derive(Debug)]
pub struct Refused(pub JsValue);

impl Refused {
    /// The code of a `DeltaError`.
    pub fn code(&self) -> String {
        self.field("code").as_string().unwrap_or_else(|| format!("not a DeltaError: {:?}", self.0))
    }

    /// Its message.
    pub fn message(&self) -> String {
        self.field("message").as_string().unwrap_or_default()
    }

    /// Any of its fields.
    pub fn field(&self, name: &str) -> JsValue {
        Reflect::get(&self.0, &name.into()).unwrap()
    }
}

/// Awaits a promise of the wasm.
pub async fn settled(promise: Promise) -> Result<JsValue, Refused> {
    JsFuture::from(promise).await.map_err(Refused)
}

/// A client, as the facade makes it.
pub struct Client {
    wasm: client::Client,
    ending: AbortController,
}

impl Client {
    /// Makes a query.
    pub fn query(&self, call: &str, path: JsValue, options: JsValue) -> Result<Query, Refused> {
        let wasm = self.wasm.query(call, path, options).map_err(Refused)?;
        Ok(Query { wasm, ending: self.ending.signal() })
    }

    /// Ends the rounds and closes the store.
    pub fn close(&self) -> Promise {
        end(&self.ending);
        self.wasm.close()
    }

    /// Ends the rounds and deletes the data of the account.
    pub fn forget(&self) -> Promise {
        end(&self.ending);
        self.wasm.forget()
    }
}

/// Stops all rounds of a client, like the facade.
fn end(ending: &AbortController) {
    ending.abort_with_reason(&make_error("this client is closed", &to_js(&json!({"code": "closed"}))));
}

/// A query, as the facade makes it.
pub struct Query {
    wasm: client::Query,
    ending: AbortSignal,
}

impl Deref for Query {
    type Target = client::Query;
    fn deref(&self) -> &Self::Target {
        &self.wasm
    }
}

impl Query {
    /// A round before its first page. Calls `on_status` with each status.
    pub fn round(
        &self,
        options: JsValue,
        on_status: &Function,
        has_consumer: bool,
    ) -> Result<Round, Refused> {
        let caller = Reflect::get(&options, &"signal".into()).unwrap_or_default();
        let stop = following(&caller, &self.ending);
        let handle = self
            .wasm
            .round(options, stop.signal(), round_run(on_status), has_consumer, None)
            .map_err(Refused)?;
        Ok(Round { handle, stop, on_status: on_status.clone(), delivered: Cell::new(0) })
    }
}

/// A round, as the facade makes it. Dropping it ends the round.
pub struct Round {
    handle: client::RoundHandle,
    stop: AbortController,
    on_status: Function,
    /// The number of pages that [`next`] has returned.
    delivered: Cell<u32>,
}

impl Deref for Round {
    type Target = client::RoundHandle;
    fn deref(&self) -> &Self::Target {
        &self.handle
    }
}

impl Round {
    /// Waits until the round is in this phase. Only for rounds of [`round_with`].
    pub async fn until_phase(&self, phase: &str) {
        let current = || Reflect::get(&self.on_status, &"phase".into()).unwrap().as_string();
        until(phase, async || current().as_deref() == Some(phase)).await;
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let _ = self.handle.leave();
        self.stop.abort();
    }
}

/// Opens a client with these options and defaults: a delegated token, the endpoint and connection
/// of the world, short back-offs.
pub async fn try_open(world: &World, account: &str, more: &[(&str, JsValue)]) -> Result<Client, Refused> {
    let token = Function::new_no_args(&format!("return '{}'", world.delegated)).into();
    let standard =
        [("token", token), ("retry", to_js(&json!({"base": 10, "cap": 50}))), ("fetch", world.fetch())];
    let all: Vec<_> = standard.into_iter().chain(more.iter().cloned()).collect();
    try_open_at(&world.root, account, &all).await
}

/// Opens a client of an endpoint with these options.
pub async fn try_open_at(root: &str, account: &str, more: &[(&str, JsValue)]) -> Result<Client, Refused> {
    let options = Object::new();
    let set = |name: &str, value: JsValue| Reflect::set(&options, &name.into(), &value).unwrap();
    set("endpoint", root.into());
    set("account", account.into());
    for (name, value) in more {
        set(name, value.clone());
    }
    let make = Closure::<dyn Fn(String, JsValue) -> JsValue>::new(|message: String, fields| {
        make_error(&message, &fields)
    });
    let wasm = client::Client::new(options.into(), make.into_js_value().unchecked_into()).map_err(Refused)?;
    let ending = AbortController::new().unwrap();
    let on_closed = {
        let ending = ending.clone();
        Closure::<dyn Fn()>::new(move || end(&ending)).into_js_value().unchecked_into()
    };
    settled(wasm.open(on_closed)).await?;
    Ok(Client { wasm, ending })
}

/// Opens a client with the default options.
pub async fn client(world: &World, account: &str) -> Client {
    try_open(world, account, &[]).await.unwrap()
}

/// A query of a client.
pub fn query(client: &Client, call: &str, options: Value) -> Query {
    client.query(call, JsValue::UNDEFINED, to_js(&options)).unwrap()
}

/// Makes a query of the contacts of the organization.
pub fn contacts(client: &Client) -> Query {
    query(client, "orgContacts", json!({}))
}

/// Makes a query by `track()`.
pub fn track(client: &Client, path: &str, options: Value) -> Query {
    client.query("track", path.into(), to_js(&options)).unwrap()
}

/// The options of a calendar query of seven weeks around the start of the worlds.
pub fn weeks() -> Value {
    json!({"start": "2026-11-01", "end": "2026-12-20"})
}

/// A round before its first page.
pub fn round_with(query: &Query, options: JsValue) -> Round {
    let on_status = run("const onStatus = ({ phase }) => { onStatus.phase = phase }; return onStatus");
    query.round(options, &on_status.unchecked_into(), true).unwrap()
}

/// A round without options before its first page.
pub fn round(query: &Query) -> Round {
    round_with(query, JsValue::UNDEFINED)
}

/// The next page.
pub async fn next(round: &Round) -> Result<Option<Value>, Refused> {
    let page = settled(round.next()).await?;
    Ok((!page.is_undefined()).then(|| {
        round.delivered.set(round.delivered.get() + 1);
        from_js(&page)
    }))
}

/// Acknowledges the page that [`next`] returned last.
pub async fn ack(round: &Round) -> Result<(), Refused> {
    settled(round.ack(round.delivered.get().saturating_sub(1))).await.map(drop)
}

/// Runs a round to its end.
pub async fn finish(round: &Round) -> Result<Vec<Value>, Refused> {
    let mut pages = Vec::new();
    while let Some(page) = next(round).await? {
        pages.push(page);
        ack(round).await?;
    }
    Ok(pages)
}

/// A whole round.
pub async fn sync(query: &Query) -> Result<Vec<Value>, Refused> {
    finish(&round(query)).await
}

/// The report of a round so far.
pub fn report(round: &Round) -> Value {
    from_js(&round.report())
}

/// Makes the next round a full one.
pub async fn reset(query: &Query) {
    settled(query.reset()).await.unwrap();
}

/// The items of the mirror, sorted by id.
pub async fn all(query: &Query) -> Vec<Value> {
    let items = settled(query.all(false)).await.unwrap();
    sorted(from_js(&items).as_array().unwrap().clone())
}

/// The number of items of the mirror.
pub async fn count(query: &Query) -> usize {
    let count = settled(query.count(false)).await.unwrap();
    from_js(&count).as_u64().unwrap().try_into().unwrap()
}

/// Sorts items by id.
pub fn sorted(mut items: Vec<Value>) -> Vec<Value> {
    items.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
    items
}

/// The changes of pages.
pub fn changes(pages: &[Value]) -> Vec<Value> {
    pages.iter().flat_map(|page| page["changes"].as_array().unwrap().clone()).collect()
}

/// The kinds of requests in a log.
pub fn kinds(log: &[Value]) -> Vec<String> {
    log.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

/// The ids of items.
pub fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}
