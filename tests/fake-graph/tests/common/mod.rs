//! A simple client for the tests, which only follows links.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use fake_graph::{Collection, Populate, Request, Response, World};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub const NOW: u64 = 1_795_219_200_000; // 2026-11-21T00:00:00Z
pub const ROOT: &str = "http://127.0.0.1:4010/w/abc/v1.0";
pub const WINDOW: &str =
    "/me/calendarView/delta?startDateTime=2026-11-01T00:00:00Z&endDateTime=2027-02-01T00:00:00Z";

pub struct Client {
    pub world: World,
    pub token: String,
    pub app: String,
    pub now: u64,
    pub prefer: Option<String>,
}

impl Client {
    pub fn new(seed: u64, counts: &Populate) -> Self {
        let mut world = World::new(seed, ROOT.to_owned());
        world.populate(&Populate { around: NOW as i64, ..counts.clone() }, NOW);
        let token = world.token("delegated", None, None, NOW);
        let app = world.token("app", None, None, NOW);
        Self { world, token, app, now: NOW, prefer: None }
    }

    pub fn send(&mut self, url: &str, token: &str) -> Response {
        let path = url
            .strip_prefix("http://127.0.0.1:4010")
            .map_or_else(|| format!("/w/abc/v1.0{url}"), str::to_owned);
        let mut request = Request::get(path, token);
        if let Some(prefer) = &self.prefer {
            request = request.with("Prefer", prefer);
        }
        self.world.handle(&request, self.now)
    }

    pub fn get(&mut self, url: &str) -> Response {
        let token = self.token.clone();
        self.send(url, &token)
    }

    pub fn get_app(&mut self, url: &str) -> Response {
        let token = self.app.clone();
        self.send(url, &token)
    }

    pub fn options(&mut self, patch: Value) {
        self.world.set_options(&patch).unwrap();
    }

    pub fn edit(&mut self, edits: Value) -> Vec<String> {
        self.world.edit(&edits, self.now).unwrap()
    }

    pub fn fault(&mut self, rule: Value) {
        self.world.add_faults(&rule).unwrap();
    }

    /// Follows the links of a round to its deltaLink.
    pub fn round(&mut self, url: &str) -> Round {
        let token = self.token.clone();
        self.round_with(url, &token, |_, _| {})
    }

    pub fn round_with(&mut self, url: &str, token: &str, mut between: impl FnMut(&mut Self, usize)) -> Round {
        let mut pages: Vec<Vec<Map<String, Value>>> = Vec::new();
        let mut url = url.to_owned();
        for n in 0..10_000 {
            let response = self.send(&url, token);
            let body = response.json();
            assert_eq!(response.status, 200, "{url}: {body}");
            pages.push(
                body["value"].as_array().unwrap().iter().map(|i| i.as_object().unwrap().clone()).collect(),
            );
            if let Some(delta) = body["@odata.deltaLink"].as_str() {
                assert!(body.get("@odata.nextLink").is_none());
                return Round { pages, delta: delta.to_owned() };
            }
            url = body["@odata.nextLink"].as_str().unwrap().to_owned();
            between(self, n);
        }
        panic!("the round does not end");
    }
}

pub struct Round {
    pub pages: Vec<Vec<Map<String, Value>>>,
    pub delta: String,
}

impl Round {
    pub fn items(&self) -> Vec<&Map<String, Value>> {
        self.pages.iter().flatten().collect()
    }

    pub fn ids(&self) -> Vec<String> {
        self.items().iter().map(|i| id(i)).collect()
    }

    pub fn removed(&self) -> Vec<String> {
        self.items().iter().filter(|i| i.contains_key("@removed")).map(|i| id(i)).collect()
    }
}

pub fn id(item: &Map<String, Value>) -> String {
    item["id"].as_str().unwrap().to_owned()
}

/// Applies a round to a mirror by the rules of the documentation: replaces and removes items; with
/// `minimal` merges them.
pub fn apply(mirror: &mut BTreeMap<String, Map<String, Value>>, round: &Round, minimal: bool) {
    for item in round.items() {
        let id = id(item);
        if item.contains_key("@removed") || item.contains_key("deleted") {
            mirror.remove(&id);
        } else if minimal {
            mirror.entry(id).or_default().extend((*item).clone());
        } else {
            mirror.insert(id, (*item).clone());
        }
    }
}

pub fn oracle(
    client: &Client,
    collection: Collection,
    window: Option<(i64, i64)>,
) -> BTreeMap<String, Map<String, Value>> {
    let items = client.world.list(collection, None, None, window, false);
    items.into_iter().map(|i| i.as_object().unwrap().clone()).map(|i| (id(&i), i)).collect()
}

pub fn code(response: &Response) -> String {
    response.json()["error"]["code"].as_str().unwrap_or("").to_owned()
}

pub fn log(client: &Client) -> Vec<Value> {
    client.world.log().as_array().unwrap().clone()
}

pub fn filled() -> Populate {
    Populate {
        events: 40,
        contacts: 120,
        recordings: 25,
        users: 30,
        groups: 2,
        drive: 20,
        messages: 30,
        around: 0,
    }
}
