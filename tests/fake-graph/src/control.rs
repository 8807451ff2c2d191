//! Many worlds and their control API. Does no I/O: `main.rs` receives and sends HTTP.

use crate::clock;
use crate::http::{Request, Response};
use crate::populate::Populate;
use crate::route::Collection;
use crate::text::{self, Param};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The worlds of a server.
#[derive(Debug, Clone)]
pub struct Server {
    seed: u64,
    origin: String,
    worlds: BTreeMap<String, World>,
    world_count: u64,
}

type ControlResult = Result<Value, (u16, String)>;

fn bad_request(message: impl Into<String>) -> (u16, String) {
    (400, message.into())
}

impl Server {
    /// A server without worlds. All links begin with `origin`, for example `http://127.0.0.1:4010`.
    pub fn new(seed: u64, origin: impl Into<String>) -> Self {
        Self { seed, origin: origin.into(), worlds: BTreeMap::new(), world_count: 0 }
    }

    /// The world with an id.
    pub fn world(&mut self, id: &str) -> Option<&mut World> {
        self.worlds.get_mut(id)
    }

    /// Handles a request to the control API (`/control/…`) or to a world (`/w/{id}/v1.0/…`).
    pub fn handle(&mut self, request: &Request, now_ms: u64) -> Response {
        if let Some(rest) = request.url.strip_prefix("/w/") {
            let id = rest.split(['/', '?']).next().unwrap_or("");
            if let Some(world) = self.worlds.get_mut(id) {
                return world.handle(request, now_ms);
            }
        }
        let mut response = if request.method.eq_ignore_ascii_case("OPTIONS") {
            Response { status: 204, ..Response::default() }
        } else {
            match self.control(request, now_ms) {
                Ok(Value::Null) => Response { status: 204, ..Response::default() },
                Ok(value) => Response::of(200, &value),
                Err((status, message)) => Response::of(status, &json!({ "error": message })),
            }
        };
        for (name, value) in [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE, OPTIONS"),
            ("Access-Control-Allow-Headers", "*"),
            ("Access-Control-Max-Age", "86400"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ] {
            response.headers.push((name.to_owned(), value.to_owned()));
        }
        response
    }

    fn control(&mut self, request: &Request, now: u64) -> ControlResult {
        let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
        let parts: Vec<String> = path.split('/').skip(1).map(|p| text::decode(p, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let body: Value = if request.body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(&request.body)
                .map_err(|e| bad_request(format!("the body is not JSON: {e}")))?
        };
        let method = request.method.to_ascii_uppercase();
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["control", "worlds"]) => {
                Ok(self.worlds.keys().map(|k| Value::from(k.as_str())).collect())
            }
            ("POST", ["control", "worlds"]) => self.create(&body, now),
            ("DELETE", ["control", "worlds", id]) => self
                .worlds
                .remove(*id)
                .map(|_| Value::Null)
                .ok_or_else(|| (404, format!("there is no world {id}"))),
            (method, ["control", "worlds", id, rest @ ..]) => {
                let world =
                    self.worlds.get_mut(*id).ok_or_else(|| (404, format!("there is no world {id}")))?;
                command(world, method, rest, &text::query(query), &body, now)
            }
            _ => Err((404, format!("{method} {path}: there is no such route"))),
        }
    }

    fn create(&mut self, body: &Value, now: u64) -> ControlResult {
        let map = body.as_object().ok_or_else(|| bad_request("a world must be an object"))?;
        if let Some(key) = map.keys().find(|k| !matches!(k.as_str(), "seed" | "id" | "options" | "populate"))
        {
            let names = "seed, id, options and populate";
            return Err(bad_request(format!("a world has no property {key:?}: it has {names}")));
        }
        self.world_count += 1;
        let id = match map.get("id") {
            None | Some(Value::Null) => format!("w{}", self.world_count),
            Some(id) => id.as_str().unwrap_or("").to_owned(),
        };
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(bad_request("an id must consist of letters, digits, - and _"));
        }
        let seed = map
            .get("seed")
            .map_or(Some(self.seed.wrapping_add(self.world_count)), Value::as_u64)
            .ok_or_else(|| bad_request("seed must be a number"))?;
        let root = format!("{}/w/{id}/v1.0", self.origin);
        let mut world = World::new(seed, root.clone());
        if let Some(options) = map.get("options") {
            world.set_options(options).map_err(bad_request)?;
        }
        if let Some(counts) = map.get("populate") {
            world.populate(&populate(counts, now)?, now);
        }
        let tokens = json!({
            "delegated": world.token("delegated", None, None, now),
            "app": world.token("app", None, None, now),
        });
        let (user, address) = world.me();
        let created = json!({
            "id": id, "root": root, "tokens": tokens, "user": { "id": user, "address": address },
            "seed": seed,
        });
        // Replaces a world with the same id.
        self.worlds.insert(id, world);
        Ok(created)
    }
}

impl World {
    /// Calls the control API of this world without a server, for example `POST` and `edits`.
    pub fn control(&mut self, method: &str, path: &str, body: &Value, now_ms: u64) -> Result<Value, String> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        command(self, method, &parts, &text::query(query), body, now_ms).map_err(|(_, message)| message)
    }
}

fn populate(counts: &Value, now: u64) -> Result<Populate, (u16, String)> {
    let map = counts.as_object().ok_or_else(|| bad_request("populate must be an object"))?;
    let mut out = Populate { around: i64::try_from(now).unwrap_or(0), ..Populate::default() };
    for (key, value) in map {
        if key == "around" {
            out.around =
                value.as_str().and_then(clock::parse).ok_or_else(|| bad_request("around must be a date"))?;
            continue;
        }
        let n = value.as_u64().ok_or_else(|| bad_request(format!("populate: {key} must be a number")))?;
        match key.as_str() {
            "events" => out.events = n,
            "contacts" => out.contacts = n,
            "recordings" => out.recordings = n,
            "users" => out.users = n,
            "groups" => out.groups = n,
            "drive" => out.drive = n,
            "messages" => out.messages = n,
            _ => {
                let names = "events, contacts, recordings, users, groups, drive, messages and around";
                return Err(bad_request(format!("populate has no property {key:?}: it has {names}")));
            }
        }
    }
    Ok(out)
}

fn collection(name: &str) -> Result<Collection, (u16, String)> {
    Collection::named(name).ok_or_else(|| (404, Collection::unknown(name)))
}

fn command(
    world: &mut World,
    method: &str,
    rest: &[&str],
    query: &[Param],
    body: &Value,
    now: u64,
) -> ControlResult {
    match (method, rest) {
        ("GET", []) => {
            let (user, address) = world.me();
            Ok(json!({
                "root": world.root(), "seed": world.seed(), "user": { "id": user, "address": address },
            }))
        }
        ("GET", ["options"]) => Ok(world.options().to_json()),
        ("PATCH", ["options"]) => {
            world.set_options(body).map_err(bad_request)?;
            Ok(world.options().to_json())
        }
        ("GET", ["log"]) => Ok(world.log()),
        ("DELETE", ["log"]) => {
            world.clear_log();
            Ok(Value::Null)
        }
        ("GET", ["tables", name]) => {
            let get = |name: &str| query.iter().find(|p| p.name == name).map(|p| p.value.as_str());
            let window = match (get("start"), get("end")) {
                (None, None) => None,
                (start, end) => {
                    let date = |d: Option<&str>| {
                        d.and_then(clock::parse).ok_or_else(|| bad_request("start and end must be dates"))
                    };
                    Some((date(start)?, date(end)?))
                }
            };
            let part = get("calendar").or_else(|| get("folder"));
            Ok(world
                .list(collection(name)?, get("user"), part, window, get("immutable") == Some("true"))
                .into())
        }
        ("GET", ["subscriptions"]) => Ok(world.subscriptions(now)),
        ("POST", ["populate"]) => {
            world.populate(&populate(body, now)?, now);
            Ok(Value::Null)
        }
        ("POST", ["edits"]) => Ok(json!({ "ids": world.edit(body, now).map_err(bad_request)? })),
        ("GET", ["faults"]) => Ok(world.faults()),
        ("POST", ["faults"]) => Ok(json!({ "ids": world.add_faults(body).map_err(bad_request)? })),
        ("DELETE", ["faults"]) => {
            world.clear_faults();
            Ok(Value::Null)
        }
        ("DELETE", ["faults", id]) => {
            if !id.parse().is_ok_and(|id| world.remove_fault(id)) {
                return Err((404, format!("there is no fault rule {id}")));
            }
            Ok(Value::Null)
        }
        ("POST", ["expire"]) => {
            let which = match body.get("collection") {
                None | Some(Value::Null) => None,
                Some(name) => Some(collection(name.as_str().unwrap_or(""))?),
            };
            world.expire(which);
            Ok(Value::Null)
        }
        ("POST", ["token"]) => {
            let kind = body.get("kind").and_then(Value::as_str).unwrap_or("delegated");
            if !matches!(kind, "delegated" | "app") {
                return Err(bad_request("kind must be delegated or app"));
            }
            let lifetime = body.get("lifetime_ms").and_then(Value::as_u64);
            Ok(json!({ "token": world.token(kind, body.get("user").and_then(Value::as_str), lifetime, now) }))
        }
        ("POST", ["revoke"]) => {
            world.revoke();
            Ok(Value::Null)
        }
        _ => Err((404, format!("{method} {}: there is no such route", rest.join("/")))),
    }
}
