//! A world of the fake Graph, and a client on it, for tests in a browser.

use std::ops::Deref;
use std::rc::Rc;

use deltalink::web::client;
use js_sys::{Function, JSON, Object, Promise, Reflect};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// The fake Graph that the suite started.
pub const FAKE: &str = match option_env!("FAKE_ORIGIN") {
    Some(origin) => origin,
    None => "http://127.0.0.1:4010",
};

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn call(url: &str, method: &str, body: &str) -> Result<JsValue, JsValue>;
    /// Resolves in the next macrotask.
    pub async fn turn();
    #[wasm_bindgen(js_name = eval_js, catch)]
    fn eval_js(source: &str, a: &JsValue, b: &JsValue) -> Result<JsValue, JsValue>;
}

// What ships in JavaScript, as it is.

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    type DeltaError;
    #[wasm_bindgen(constructor)]
    fn new(message: &JsValue, fields: &JsValue) -> DeltaError;
    fn closed() -> JsValue;
}

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    /// What waits for a round.
    #[derive(Clone)]
    type Drive;
    #[wasm_bindgen(constructor)]
    fn new(lanes: &JsValue, caller: &JsValue, client: &JsValue) -> Drive;
    #[wasm_bindgen(method, setter)]
    fn set_tell(this: &Drive, tell: &Function);
    #[wasm_bindgen(method, setter)]
    fn set_handle(this: &Drive, handle: &JsValue);
    #[wasm_bindgen(method)]
    fn next(this: &Drive, heard: bool) -> Promise;
    #[wasm_bindgen(method)]
    fn ack(this: &Drive) -> Promise;
    #[wasm_bindgen(method)]
    fn end(this: &Drive);

    /// The wasm's side of it, as JavaScript sees it.
    type Handle;
    #[wasm_bindgen(method)]
    fn report(this: &Handle) -> JsValue;
}

#[wasm_bindgen]
extern "C" {
    #[derive(Clone)]
    type AbortController;
    #[wasm_bindgen(constructor)]
    fn new() -> AbortController;
    #[wasm_bindgen(method, getter)]
    fn signal(this: &AbortController) -> JsValue;
    #[wasm_bindgen(method)]
    fn abort(this: &AbortController, reason: &JsValue);
}

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    /// The store of a browser.
    pub type IndexedDb;
    /// Opens it.
    #[wasm_bindgen(static_method_of = IndexedDb)]
    pub fn open(account: &str, prefix: &str, now: &JsValue) -> Promise;
}

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    /// A guarded store.
    #[derive(Clone)]
    pub type Store;
    #[wasm_bindgen(constructor)]
    fn new(inner: &JsValue, prefix: &str, own: bool) -> Store;
    #[wasm_bindgen(method)]
    fn touch(this: &Store, key: &str);
    #[wasm_bindgen(method)]
    fn forget(this: &Store) -> Promise;
    #[wasm_bindgen(method)]
    fn close(this: &Store);
}

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    /// The mirror of a query.
    pub type Mirror;
    #[wasm_bindgen(constructor)]
    fn new(store: &Store, key: &str) -> Mirror;
    /// Every item.
    #[wasm_bindgen(method)]
    pub fn all(this: &Mirror) -> Promise;
    /// One item, or undefined.
    #[wasm_bindgen(method)]
    pub fn get(this: &Mirror, id: &str) -> Promise;
    /// How many items there are.
    #[wasm_bindgen(method)]
    pub fn count(this: &Mirror) -> Promise;
    #[wasm_bindgen(method, js_name = reset)]
    fn reset_with(this: &Mirror, fresh: &JsValue) -> Promise;
}

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    /// What was committed, told.
    pub type Changes;
    #[wasm_bindgen(constructor)]
    fn new(store: &Store, key: &str, shared: bool) -> Changes;
    /// Listens.
    #[wasm_bindgen(method)]
    pub fn on(this: &Changes, listener: &JsValue) -> Function;
    /// The function that tells of a page.
    #[wasm_bindgen(method)]
    pub fn take(this: &Changes, page: &JsValue, shown: bool) -> Function;
    /// Ends it.
    #[wasm_bindgen(method)]
    pub fn close(this: &Changes);
}

#[wasm_bindgen(module = "/dist/kit.js")]
extern "C" {
    /// The rules of stores.
    #[wasm_bindgen(js_name = storeContract)]
    pub fn store_contract(open: &JsValue, options: &JsValue) -> JsValue;
}

/// A client as the facade makes it.
pub struct Client {
    wasm: client::Client,
    store: Store,
    lanes: JsValue,
    ending: AbortController,
}

/// A query as the facade makes it.
pub struct Query {
    wasm: Rc<client::Query>,
    key: String,
    lanes: JsValue,
    ending: JsValue,
    /// What tells of its commits.
    pub changes: Changes,
    /// What reads it.
    pub mirror: Mirror,
}

impl Deref for Client {
    type Target = client::Client;
    fn deref(&self) -> &Self::Target {
        &self.wasm
    }
}

impl Deref for Query {
    type Target = client::Query;
    fn deref(&self) -> &Self::Target {
        &self.wasm
    }
}

/// A round as the facade makes it.
pub struct Round {
    drive: Drive,
    handle: Handle,
    tell: Function,
}

impl Round {
    /// The next page.
    pub fn next(&self, heard: bool) -> Promise {
        self.drive.next(heard)
    }

    /// Commits it.
    pub fn ack(&self) -> Promise {
        self.drive.ack()
    }

    /// What happened so far.
    pub fn report(&self) -> JsValue {
        self.handle.report()
    }

    /// Waits until the round tells this phase. Only for rounds of [`round_with`].
    pub async fn until_phase(&self, phase: &str) {
        let told = || Reflect::get(&self.tell, &"phase".into()).unwrap().as_string();
        until(phase, async || told().as_deref() == Some(phase)).await;
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.drive.end();
    }
}

impl Query {
    /// The name under which its state is stored.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A round that nobody has asked for a page.
    pub fn round(&self, options: JsValue, tell: &Function, shown: bool) -> Result<Round, JsValue> {
        let signal = Reflect::get(&options, &"signal".into()).unwrap_or_default();
        let drive = Drive::new(&self.lanes, &signal, &self.ending);
        drive.set_tell(tell);
        let handle: Handle = JsValue::from(self.wasm.round(options, drive.clone().into(), shown, None)?).unchecked_into();
        drive.set_handle(&handle);
        Ok(Round { drive, handle, tell: tell.clone() })
    }

    /// Makes the next round a full one.
    pub async fn reset(&self) -> Result<(), Refused> {
        let wasm = self.wasm.clone();
        let fresh = Closure::<dyn Fn(JsValue) -> JsValue>::new(move |stored: JsValue| wasm.fresh(stored));
        JsFuture::from(self.mirror.reset_with(fresh.as_ref())).await.map(drop).map_err(Refused)
    }
}

impl Client {
    /// A query, or why there is none.
    pub fn query(&self, call: &str, path: JsValue, options: JsValue) -> Result<Query, JsValue> {
        let wasm = Rc::new(self.wasm.query(call, path, options)?);
        let key = wasm.about().get(0).as_string().unwrap();
        self.store.touch(&key);
        Ok(Query {
            lanes: self.lanes.clone(),
            ending: self.ending.signal(),
            mirror: Mirror::new(&self.store, &key),
            changes: Changes::new(&self.store, &key, true),
            key,
            wasm,
        })
    }

    /// Ends what runs and lets go of the store.
    pub fn close(&self) {
        self.ending.abort(&closed());
        self.store.close();
    }

    /// Ends what runs and wipes what is stored.
    pub fn forget(&self) -> Promise {
        self.ending.abort(&closed());
        self.store.forget()
    }
}

/// A few words of JavaScript, with two values.
pub fn js(source: &str, a: &JsValue, b: &JsValue) -> JsValue {
    eval_js(source, a, b).unwrap_or_else(|error| panic!("{source}: {error:?}"))
}

/// Awaits what a few words of JavaScript give.
pub async fn js_await(source: &str, a: &JsValue, b: &JsValue) -> JsValue {
    JsFuture::from(Promise::resolve(&js(source, a, b))).await.unwrap_or_else(|error| panic!("{source}: {error:?}"))
}

/// A JavaScript value of a JSON one.
pub fn to_js(value: &Value) -> JsValue {
    JSON::parse(&value.to_string()).unwrap()
}

/// A JSON value of a JavaScript one.
pub fn from_js(value: &JsValue) -> Value {
    JSON::stringify(value).ok().and_then(|text| text.as_string()).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// One world.
pub struct World {
    at: String,
    /// The endpoint.
    pub root: String,
    /// A token of the user.
    pub delegated: String,
    /// A token of an app.
    pub app: String,
    /// The user's id.
    pub user: String,
}

impl World {
    /// A world with some items of each collection.
    pub async fn new() -> Self {
        Self::with(json!({"populate": {"events": 40, "contacts": 30, "recordings": 12, "users": 12, "drive": 12, "around": "2026-11-21T00:00:00Z"}})).await
    }

    /// A world made of these settings.
    pub async fn with(settings: Value) -> Self {
        let made = post(&format!("{FAKE}/control/worlds"), &settings).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            at: format!("{FAKE}/control/worlds/{}", text(&made["id"])),
            root: text(&made["root"]),
            delegated: text(&made["tokens"]["delegated"]),
            app: text(&made["tokens"]["app"]),
            user: text(&made["user"]["id"]),
        }
    }

    /// A call of the control API with a body.
    pub async fn post(&self, what: &str, body: Value) -> Value {
        post(&format!("{}/{what}", self.at), &body).await
    }

    /// Changes options.
    pub async fn options(&self, changes: Value) {
        request(&format!("{}/options", self.at), "PATCH", &changes.to_string()).await;
    }

    /// Adds one rule for a fault.
    pub async fn fault(&self, rule: Value) {
        self.post("faults", json!([rule])).await;
    }

    /// What a collection holds, by id.
    pub async fn table(&self, collection: &str, query: &str) -> Vec<Value> {
        let table = request(&format!("{}/tables/{collection}{query}", self.at), "GET", "").await;
        sorted(table.as_array().unwrap().clone())
    }

    /// The requests that Graph saw, without preflights.
    pub async fn log(&self) -> Vec<Value> {
        let log = request(&format!("{}/log", self.at), "GET", "").await;
        log.as_array().unwrap().iter().filter(|entry| entry["kind"] != "preflight").cloned().collect()
    }

    /// Waits until this fault has acted `count` times.
    pub async fn until_met(&self, fault: &str, count: u64) {
        let met = async || request(&format!("{}/faults", self.at), "GET", "").await["counts"][fault].as_u64() >= Some(count);
        until(fault, met).await;
    }

    /// Empties the log.
    pub async fn clear_log(&self) {
        request(&format!("{}/log", self.at), "DELETE", "").await;
    }
}

async fn post(url: &str, body: &Value) -> Value {
    request(url, "POST", &body.to_string()).await
}

async fn request(url: &str, method: &str, body: &str) -> Value {
    let text = call(url, method, body).await.unwrap_or_else(|error| panic!("{error:?}"));
    let text = text.as_string().unwrap_or_default();
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

/// Polls a state until it holds. After 20 seconds the test fails with the state's name.
pub async fn until(name: &str, holds: impl AsyncFn() -> bool) {
    let end = js_sys::Date::now() + 20_000.0;
    while !holds().await {
        assert!(js_sys::Date::now() < end, "waited 20 s for: {name}");
        turn().await;
    }
}

/// A barrier for tests of absence: a whole round of another client in another world, one request
/// after the other. A request that the client under test was ready to send when this began is in
/// the fake's log when this ends.
pub async fn settled() {
    let world = World::new().await;
    sync(&query(&client(&world, &fresh("barrier")).await, "orgContacts", json!({}))).await.unwrap();
}

/// The text of a file that the fake serves, if it does.
pub async fn file(name: &str) -> Option<String> {
    call(&format!("{FAKE}/{name}"), "GET", "").await.ok().and_then(|text| text.as_string())
}

/// In the order of their ids.
pub fn sorted(mut items: Vec<Value>) -> Vec<Value> {
    items.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
    items
}

/// A name that no other test, and no earlier run, has used.
pub fn fresh(name: &str) -> String {
    format!("{name} {}", js_sys::Math::random())
}

/// What an operation was refused with.
#[derive(Debug)]
pub struct Refused(pub JsValue);

impl Refused {
    /// The code of a `DeltaError`.
    pub fn code(&self) -> String {
        self.field("code").as_string().unwrap_or_else(|| format!("no DeltaError: {:?}", self.0))
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

/// `openDelta` with these options, and some standard ones: a delegated token, the world's endpoint, quick retries.
pub async fn try_open(world: &World, account: &str, more: &[(&str, JsValue)]) -> Result<Client, Refused> {
    let token = Function::new_no_args(&format!("return '{}'", world.delegated)).into();
    let standard = [("token", token), ("retry", to_js(&json!({"base": 10, "cap": 50})))];
    let all: Vec<_> = standard.into_iter().chain(more.iter().cloned()).collect();
    try_open_at(&world.root, account, &all).await
}

/// `openDelta` with these options.
pub async fn try_open_at(root: &str, account: &str, more: &[(&str, JsValue)]) -> Result<Client, Refused> {
    let options = Object::new();
    let set = |name: &str, value: JsValue| Reflect::set(&options, &name.into(), &value).unwrap();
    set("endpoint", root.into());
    set("account", account.into());
    for (name, value) in more {
        set(name, value.clone());
    }
    let make =
        Closure::<dyn Fn(JsValue, JsValue) -> JsValue>::new(|message: JsValue, fields: JsValue| DeltaError::new(&message, &fields).into());
    let wasm = client::Client::new(options.into(), make.into_js_value().unchecked_into()).map_err(Refused)?;
    let wanted = wasm.wanted();
    let (named, prefix) = (wanted.get(0), wanted.get(2).as_string().unwrap());
    let own = named.is_string();
    let inner = if own { JsFuture::from(IndexedDb::open(account, &prefix, &JsValue::UNDEFINED)).await.map_err(Refused)? } else { named };
    let store = Store::new(&inner, &prefix, own);
    wasm.keep(store.clone().into());
    Ok(Client { wasm, store, lanes: Object::new().into(), ending: AbortController::new() })
}

/// The same, where nothing goes wrong.
pub async fn client(world: &World, account: &str) -> Client {
    try_open(world, account, &[]).await.unwrap()
}

/// A query of a client.
pub fn query(client: &Client, call: &str, options: Value) -> Query {
    client.query(call, JsValue::UNDEFINED, to_js(&options)).map_err(Refused).unwrap()
}

/// `track()`.
pub fn track(client: &Client, path: &str, options: Value) -> Query {
    client.query("track", path.into(), to_js(&options)).map_err(Refused).unwrap()
}

/// The six weeks around the day of the worlds.
pub fn weeks() -> Value {
    json!({"start": "2026-11-01", "end": "2026-12-20"})
}

/// A round that nobody has asked for a page.
pub fn round_with(query: &Query, options: JsValue) -> Round {
    let tell = js("const tell = ({ phase }) => { tell.phase = phase }; return tell", &JsValue::NULL, &JsValue::NULL);
    query.round(options, &tell.unchecked_into(), true).map_err(Refused).unwrap()
}

/// A round that nobody has asked for a page.
pub fn round(query: &Query) -> Round {
    round_with(query, JsValue::UNDEFINED)
}

/// The next page.
pub async fn next(round: &Round) -> Result<Option<Value>, Refused> {
    let page = JsFuture::from(round.next(false)).await.map_err(Refused)?;
    Ok((!page.is_undefined()).then(|| from_js(&page)))
}

/// Acknowledges it.
pub async fn ack(round: &Round) -> Result<(), Refused> {
    JsFuture::from(round.ack()).await.map(drop).map_err(Refused)
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

/// The mirror, by id.
pub async fn all(query: &Query) -> Vec<Value> {
    let items = JsFuture::from(query.mirror.all()).await.map_err(Refused).unwrap();
    sorted(from_js(&items).as_array().unwrap().clone())
}

/// What `items()` gives, with options in JavaScript.
pub async fn items(query: &Query, options: &str) -> Vec<Value> {
    let source =
        format!("return (async () => {{ const all = []; for await (const item of a.items({options})) all.push(item); return all; }})()");
    from_js(&js_await(&source, &query.mirror, &JsValue::NULL).await).as_array().unwrap().clone()
}

/// The changes of pages.
pub fn changes(pages: &[Value]) -> Vec<Value> {
    pages.iter().flat_map(|page| page["changes"].as_array().unwrap().clone()).collect()
}

/// The kinds of requests that Graph saw.
pub fn kinds(log: &[Value]) -> Vec<String> {
    log.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

/// The ids of items.
pub fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}
