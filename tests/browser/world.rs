//! Worlds of the fake Graph, either in this wasm, where they respond by `options.fetch`, or on a
//! server. Both have the control API of `tests/fake-graph/README.md`.

use std::cell::RefCell;
use std::rc::Rc;

use fake_graph::{Request, Response, Server};
use js_sys::{Date, Promise, Reflect, Uint8Array};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::support::{client, contacts, from_js, js, run, sorted, sync, to_js, unique_name, until};

#[wasm_bindgen(module = "/tests/browser/kit.js")]
extern "C" {
    /// A request to the control API of a server.
    #[wasm_bindgen(catch)]
    pub async fn call(url: &str, method: &str, body: &str) -> Result<JsValue, JsValue>;
    fn respond(meta: &JsValue, body: &Uint8Array, signal: &AbortSignal) -> Promise;
}

/// The origin of the worlds in this wasm.
const ORIGIN: &str = "https://graph.contoso.example";

/// A world.
pub struct World {
    graph: Graph,
    /// The path of its control API.
    pub path: String,
    /// The endpoint.
    pub root: String,
    /// A delegated token.
    pub delegated: String,
    /// An app-only token.
    pub app: String,
    /// The id of the user.
    pub user: String,
}

enum Graph {
    Core(Rc<Core>),
    Server(&'static str),
}

/// The core, and the requested URLs of other hosts.
struct Core {
    server: RefCell<Server>,
    foreign: RefCell<Vec<String>>,
}

impl World {
    /// Makes a world with some items of each collection.
    pub async fn new() -> Self {
        let items = json!({
            "events": 40, "contacts": 30, "recordings": 12, "users": 12, "drive": 12,
            "around": "2026-11-21T00:00:00Z",
        });
        Self::with(json!({"populate": items})).await
    }

    /// Makes a world with these settings.
    pub async fn with(settings: Value) -> Self {
        let core = || Core { server: RefCell::new(Server::new(1, ORIGIN)), foreign: RefCell::default() };
        let graph = crate::SERVER.map_or_else(|| Graph::Core(Rc::new(core())), Graph::Server);
        let made = graph.control("POST", "/control/worlds", &settings).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            graph,
            path: format!("/control/worlds/{}", text(&made["id"])),
            root: text(&made["root"]),
            delegated: text(&made["tokens"]["delegated"]),
            app: text(&made["tokens"]["app"]),
            user: text(&made["user"]["id"]),
        }
    }

    /// The scheme, host and port of its endpoint.
    pub fn origin(&self) -> &str {
        self.root.split("/w/").next().unwrap()
    }

    /// The `fetch` option for this world, or undefined for a server.
    pub fn fetch(&self) -> JsValue {
        match &self.graph {
            Graph::Core(core) => {
                let core = Rc::clone(core);
                let fetch = move |url: String, init: JsValue| core.fetch(&url, &init);
                Closure::<dyn Fn(String, JsValue) -> Promise>::new(fetch).into_js_value()
            }
            Graph::Server(_) => JsValue::UNDEFINED,
        }
    }

    /// The `fetch` that the JavaScript in `source` returns. There, `a` is the world's own `fetch`.
    pub fn wrapped_fetch(&self, source: &str) -> JsValue {
        let fetch = self.fetch();
        if fetch.is_undefined() {
            js(source, &run("return (...all) => fetch(...all)"))
        } else {
            js(source, &fetch)
        }
    }

    /// The requested URLs of other hosts. Always empty with a server, which does not see them.
    pub fn foreign(&self) -> Vec<String> {
        match &self.graph {
            Graph::Core(core) => core.foreign.borrow().clone(),
            Graph::Server(_) => Vec::new(),
        }
    }

    /// Calls the control API.
    pub async fn control(&self, method: &str, what: &str, body: &Value) -> Value {
        self.graph.control(method, &format!("{}/{what}", self.path), body).await
    }

    /// Calls the control API by POST.
    pub async fn post(&self, what: &str, body: Value) -> Value {
        self.control("POST", what, &body).await
    }

    /// Makes an edit.
    pub async fn edit(&self, edit: Value) -> Value {
        self.post("edits", json!([edit])).await["ids"][0].clone()
    }

    /// Changes options.
    pub async fn options(&self, changes: Value) {
        self.control("PATCH", "options", &changes).await;
    }

    /// Adds a fault rule.
    pub async fn fault(&self, rule: Value) {
        self.post("faults", json!([rule])).await;
    }

    /// The items of a table, sorted by id.
    pub async fn table(&self, collection: &str, query: &str) -> Vec<Value> {
        let table = self.control("GET", &format!("tables/{collection}{query}"), &Value::Null).await;
        sorted(table.as_array().unwrap().clone())
    }

    /// The requests to Graph, without preflights.
    pub async fn log(&self) -> Vec<Value> {
        let log = self.control("GET", "log", &Value::Null).await;
        log.as_array().unwrap().iter().filter(|entry| entry["kind"] != "preflight").cloned().collect()
    }

    /// Clears the log.
    pub async fn clear_log(&self) {
        self.control("DELETE", "log", &Value::Null).await;
    }

    /// Waits until this fault has acted `count` times.
    pub async fn until_fault(&self, fault: &str, count: u64) {
        let acted = async || self.control("GET", "faults", &Value::Null).await["counts"][fault].as_u64();
        until(fault, async || acted().await >= Some(count)).await;
    }

    /// Waits for a whole round of another client in another world. After it, a test can assert that
    /// a client sent nothing: a request that was ready when this began is in the log when it ends.
    pub async fn wait_for_pending_requests() {
        let other = Self::new().await;
        sync(&contacts(&client(&other, &unique_name("barrier")).await)).await.unwrap();
    }
}

impl Graph {
    async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let text = match self {
            Self::Core(core) => {
                let request = Request {
                    method: method.into(),
                    url: path.into(),
                    headers: vec![],
                    body: body.into_bytes(),
                };
                let response = core.server.borrow_mut().handle(&request, now());
                let text = String::from_utf8(response.body).unwrap();
                assert!(response.status < 300, "{method} {path}: {text}");
                text
            }
            Self::Server(origin) => {
                let text = call(&format!("{origin}{path}"), method, &body).await;
                let text = text.unwrap_or_else(|error| {
                    panic!("{error:?} (`node tests/run.mjs browser` starts the server)")
                });
                text.as_string().unwrap_or_default()
            }
        };
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }
}

impl Core {
    fn fetch(&self, url: &str, init: &JsValue) -> Promise {
        let Some(path) = url.strip_prefix(ORIGIN).filter(|path| path.starts_with('/')) else {
            self.foreign.borrow_mut().push(url.to_owned());
            return Promise::reject(&js_sys::TypeError::new("another host").into());
        };
        let response = self.server.borrow_mut().handle(&request(path, init), now());
        give(&response, init)
    }
}

/// Converts the arguments of `fetch` to a request.
pub fn request(path: &str, init: &JsValue) -> Request {
    let headers = from_js(&js("return [...a.headers]", init));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = headers.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
    Request { method: "GET".into(), url: path.into(), headers, body: Vec::new() }
}

/// Converts a response to the promise that `fetch` returns.
pub fn give(response: &Response, init: &JsValue) -> Promise {
    let meta = json!({
        "status": response.status, "headers": response.headers, "delay": response.delay_ms,
        "cut": response.cut_after, "hang": response.hang, "rate": response.bytes_per_second,
    });
    let signal: AbortSignal = Reflect::get(init, &"signal".into()).unwrap().unchecked_into();
    respond(&to_js(&meta), &Uint8Array::from(response.body.as_slice()), &signal)
}

fn now() -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds since 1970")]
    let ms = Date::now() as u64;
    ms
}
