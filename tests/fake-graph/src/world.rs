//! A tenant: its tables, tokens and options, and the handling of a request.

use crate::clock::{self, ZoneOffset};
use crate::data::{self, Account};
use crate::delta::{Round, Stream};
use crate::faults::{self, RequestProperties, Rule};
use crate::http::{Request, Response};
use crate::links::IssuedLink;
use crate::options::Options;
use crate::request::Preferences;
use crate::response::{AUTHORIZATION, Body, Failure, json_headers};
use crate::rng::Rng;
use crate::route::{self, Collection, Route};
use crate::subscriptions::Subscription;
use crate::table::Table;
use crate::text::{self, Param};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// A page of a round.
    Page { round: usize, at: usize, empty: u64 },
    /// The changes after a point: a deltaLink.
    Since(u64),
}

/// An access token.
#[derive(Debug, Clone)]
struct AccessToken {
    is_app: bool,
    user: String,
    expires: Option<u64>,
    is_revoked: bool,
    serial: u64,
}

/// The sender of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) is_app: bool,
    pub(crate) user: String,
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    n: u64,
    method: String,
    url: String,
    collection: Option<Collection>,
    kind: &'static str,
    status: u16,
    headers: Map<String, Value>,
    pub(crate) items: usize,
    fault: Option<String>,
    /// The id of the rule that made the fault.
    rule: Option<u64>,
    /// Whether the requested link equals the one that the world sent, byte for byte except for `'`,
    /// which URL parsers encode. `None` if the URL contains no token of this world.
    as_issued: Option<bool>,
    at: u64,
}

impl LogEntry {
    fn to_json(&self) -> Value {
        json!({
            "n": self.n, "at": self.at, "method": self.method, "url": self.url,
            "collection": self.collection.map(Collection::name),
            "kind": self.kind, "status": self.status, "headers": self.headers, "items": self.items,
            "fault": self.fault, "rule": self.rule,
            "as_issued": self.as_issued,
        })
    }
}

/// A tenant of the fake Graph.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    pub(crate) root: String,
    /// The path of `root`, for example `/w/abc/v1.0`.
    pub(crate) root_path: String,
    pub(crate) zone_offset: ZoneOffset,
    pub(crate) rng: Rng,
    pub(crate) seq: u64,
    pub(crate) options: Options,
    pub(crate) accounts: Vec<Account>,
    pub(crate) tenant: String,
    pub(crate) tables: BTreeMap<Collection, Table>,
    /// The calendars and mail folders that exist: `user|calendar`, `user|folder`, or `folder|name`
    /// for a folder of every user.
    pub(crate) parts: BTreeSet<String>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) issued_links: BTreeMap<String, IssuedLink>,
    pub(crate) subscriptions: Vec<Subscription>,
    access_tokens: BTreeMap<String, AccessToken>,
    serial: u64,
    pub(crate) rules: Vec<Rule>,
    rule_ids: u64,
    fault_counts: BTreeMap<String, u64>,
    log: Vec<LogEntry>,
    logged: u64,
}

const ME: &str = "robin.ekholm@contoso.example";

impl World {
    /// An empty world. Links begin with `root`, for example `http://127.0.0.1:4010/w/abc/v1.0`.
    pub fn new(seed: u64, root: String) -> Self {
        let after = root.split_once("://").map_or(root.as_str(), |(_, rest)| rest);
        let root_path = after.find('/').and_then(|at| after.get(at..)).unwrap_or("").to_owned();
        let mut rng = Rng::new(seed);
        let tenant = rng.guid();
        let mut parts = BTreeSet::new();
        for folder in ["inbox", "archive", "sentitems"] {
            parts.insert(format!("folder|{folder}"));
        }
        Self {
            seed,
            root,
            root_path,
            zone_offset: clock::fixed_zone_offset,
            rng,
            seq: 0,
            options: Options::default(),
            accounts: vec![data::account(ME, seed)],
            tenant,
            tables: BTreeMap::new(),
            parts,
            streams: Vec::new(),
            rounds: Vec::new(),
            issued_links: BTreeMap::new(),
            subscriptions: Vec::new(),
            access_tokens: BTreeMap::new(),
            serial: 0,
            rules: Vec::new(),
            rule_ids: 0,
            fault_counts: BTreeMap::new(),
            log: Vec::new(),
            logged: 0,
        }
    }

    /// Replaces the time zones that this world knows. By default it knows five, without daylight
    /// saving time.
    #[must_use]
    pub fn with_zones(self, zone_offset: ZoneOffset) -> Self {
        Self { zone_offset, ..self }
    }

    /// The root of every URL of this world.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes options. If a name is unknown or a value is wrong, nothing changes.
    pub fn set_options(&mut self, patch: &Value) -> Result<(), String> {
        self.options.patch(patch)
    }

    /// The account behind `/me` of the first delegated token: id and address.
    pub fn me(&self) -> (&str, &str) {
        self.accounts.first().map_or(("", ""), |a| (a.id.as_str(), a.address.as_str()))
    }

    /// Makes an access token. `kind` is `delegated` or `app`. `user` is an address or an id, by
    /// default that of the first account.
    pub fn token(&mut self, kind: &str, user: Option<&str>, lifetime_ms: Option<u64>, now_ms: u64) -> String {
        let user = match user {
            None => self.me().0.to_owned(),
            Some(user) => self.account_or_new(user),
        };
        self.serial += 1;
        let is_app = kind == "app";
        let text = format!("fake.{kind}.{}", self.rng.text(40));
        let expires = lifetime_ms.or(self.options.token_lifetime_ms).map(|l| now_ms + l);
        self.access_tokens.insert(
            text.clone(),
            AccessToken { is_app, user, expires, is_revoked: false, serial: self.serial },
        );
        text
    }

    /// Revokes all access tokens.
    pub fn revoke(&mut self) {
        for token in self.access_tokens.values_mut() {
            token.is_revoked = true;
        }
    }

    /// Expires all links, or those of one collection. Their next use gets the reset signal of the
    /// resource.
    pub fn expire(&mut self, collection: Option<Collection>) {
        for link in self.issued_links.values_mut() {
            if collection.is_none_or(|c| c == link.collection) {
                link.is_dead = true;
            }
        }
    }

    /// Adds rules to the queue of faults. Adds none if one is invalid.
    pub fn add_faults(&mut self, rules: &Value) -> Result<Vec<u64>, String> {
        let one = [rules.clone()];
        let list = rules.as_array().map_or(one.as_slice(), Vec::as_slice);
        let mut read = Vec::new();
        for (n, rule) in (1..).zip(list) {
            read.push(Rule::read(rule, self.rule_ids + n, self.serial)?);
        }
        self.rule_ids += read.len() as u64;
        let ids = read.iter().map(|r| r.id).collect();
        self.rules.extend(read);
        Ok(ids)
    }

    /// Removes a rule by its id. Returns whether there was one.
    pub fn remove_fault(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    /// Removes all rules. Keeps the counts of faults.
    pub fn clear_faults(&mut self) {
        self.rules.clear();
    }

    /// The rules with their counts, and the counts of faults by name.
    pub fn faults(&self) -> Value {
        json!({
            "rules": self.rules.iter().map(Rule::to_json).collect::<Vec<_>>(), "counts": self.fault_counts,
        })
    }

    /// The log of requests, as JSON.
    pub fn log(&self) -> Value {
        self.log.iter().map(LogEntry::to_json).collect()
    }

    /// Clears the log. The numbers of entries continue.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// The seed of the world.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn account_or_new(&mut self, user: &str) -> String {
        if let Some(known) = self.find_user(user) {
            return known;
        }
        let account = data::account(user, self.seed);
        let id = account.id.clone();
        self.accounts.push(account);
        id
    }

    pub(crate) fn find_user(&self, user: &str) -> Option<String> {
        let account = self
            .accounts
            .iter()
            .find(|a| a.id.eq_ignore_ascii_case(user) || a.address.eq_ignore_ascii_case(user));
        if let Some(account) = account {
            return Some(account.id.clone());
        }
        let users = self.tables.get(&Collection::Users)?;
        let fits = |v: &&std::sync::Arc<crate::table::Version>| {
            v.gone.is_none()
                && (v.id.eq_ignore_ascii_case(user) || v.text("userPrincipalName").eq_ignore_ascii_case(user))
        };
        users.all().find(fits).map(|v| v.id.clone())
    }

    pub(crate) fn person(&self, id: &str) -> Account {
        let known = self.accounts.iter().find(|a| a.id == id).or(self.accounts.first());
        known.cloned().unwrap_or_else(|| data::account(ME, self.seed))
    }

    /// Handles a request at the time `now_ms`.
    pub fn handle(&mut self, request: &Request, now_ms: u64) -> Response {
        let (path, query_text) = request.url.split_once('?').unwrap_or((&request.url, ""));
        let below = path.strip_prefix(&self.root_path).filter(|p| p.starts_with('/'));
        let found = below.and_then(route::parse);
        let params = text::query(query_text);
        let (token_param, token) =
            found.as_ref().map_or((None, None), |r| delta_token(r, &params, query_text));
        let kind = self.kind(found.as_ref(), token_param.as_deref(), token.as_deref());
        let preferences = Preferences::read(request);
        self.logged += 1;
        let mut entry = LogEntry {
            n: self.logged,
            method: request.method.clone(),
            url: request.url.clone(),
            collection: found.as_ref().and_then(|r| r.collection),
            kind,
            status: 0,
            headers: self.log_headers(request),
            items: 0,
            fault: None,
            rule: None,
            as_issued: None,
            at: now_ms,
        };
        if let Some(known) = token.as_deref().and_then(|t| self.issued_links.get(t)) {
            let relative = request.url.strip_prefix(&self.root_path).unwrap_or("");
            entry.as_issued = Some(relative == known.link || relative.replace("%27", "'") == known.link);
        }
        if request.method.eq_ignore_ascii_case("OPTIONS") {
            entry.kind = "preflight";
        }
        let mut response = self.respond(request, found, &params, token, &preferences, now_ms, &mut entry);
        if !self.options.keep_alive {
            response.headers.push(("Connection".to_owned(), "close".to_owned()));
        }
        response.delay_ms += self.options.latency_ms;
        if response.bytes_per_second.is_none() {
            response.bytes_per_second = self.options.bytes_per_second;
        }
        entry.status = response.status;
        if let Some(fault) = &entry.fault {
            *self.fault_counts.entry(fault.clone()).or_default() += 1;
        }
        self.log.push(entry);
        response
    }

    fn kind(&self, found: Option<&Route>, param: Option<&str>, token: Option<&str>) -> &'static str {
        let Some(route) = found else { return "unexpected" };
        if route.subscriptions.is_some() {
            return "subscription";
        }
        if route.item.is_some() {
            return "item";
        }
        match token {
            None | Some("" | "latest") => "initial",
            Some(token) => match self.issued_links.get(token).map(|t| t.state) {
                Some(State::Page { .. }) => "next",
                Some(State::Since(_)) => "delta",
                None if route.collection == Some(Collection::Drive)
                    && clock::parse(&text::decode(token, true)).is_some() =>
                {
                    "initial"
                }
                None if param.is_some_and(|p| p.eq_ignore_ascii_case("$deltatoken")) => "delta",
                None => "next",
            },
        }
    }

    #[expect(clippy::too_many_arguments, reason = "private, called once")]
    fn respond(
        &mut self,
        request: &Request,
        found: Option<Route>,
        params: &[Param],
        token: Option<String>,
        preferences: &Preferences,
        now: u64,
        entry: &mut LogEntry,
    ) -> Response {
        let serial = bearer(request).and_then(|t| self.access_tokens.get(t)).map_or(0, |a| a.serial);
        let properties = RequestProperties {
            collection: entry.collection,
            kind: entry.kind,
            url: &request.url,
            page_size: preferences.max_page,
            token_serial: serial,
        };
        let mut rule = None;
        for (at, candidate) in self.rules.iter_mut().enumerate() {
            // Every rule counts the request. The first that acts is applied.
            if candidate.acts_on(&properties) && rule.is_none() {
                rule = Some(at);
            }
        }
        let acting = rule.and_then(|at| self.rules.get(at)).cloned();
        if let (Some(fault), Some(at)) = (&acting, rule)
            && !faults::alters_page(&fault.name)
        {
            self.applied(at, entry);
            return self.fault_response(request, found.as_ref(), token.as_deref(), fault, now);
        }
        if entry.kind == "preflight" {
            return self.preflight(request);
        }
        let result = match found {
            None => Err(Failure::unexpected(
                400,
                "BadRequest",
                "Resource not found for the segment: the fake Graph does not know this path.",
            )),
            Some(Route { subscriptions: Some(target), .. }) => self
                .caller(request, now)
                .and_then(|caller| self.serve_subscriptions(&caller, &target, request, now)),
            Some(_) if !request.method.eq_ignore_ascii_case("GET") => Err(Failure::unexpected(
                405,
                "Request_BadRequest",
                format!("Specified HTTP method {} is not allowed.", request.method),
            )),
            Some(route) => self
                .caller(request, now)
                .and_then(|caller| self.serve(&caller, &route, params, token, preferences, now)),
        };
        let mut response = match result {
            Ok(Body::Item(item)) => {
                entry.items = 1;
                self.finish(request, 200, json_headers(), Value::Object(item).to_string(), now)
            }
            Ok(Body::Json(status, Value::Null)) => {
                self.finish(request, status, Vec::new(), String::new(), now)
            }
            Ok(Body::Json(status, value)) => {
                self.finish(request, status, json_headers(), value.to_string(), now)
            }
            Ok(Body::Page(page)) => match (acting, rule) {
                (Some(fault), Some(at)) => {
                    self.applied(at, entry);
                    self.altered_page(request, *page, at, &fault, now, entry)
                }
                _ => {
                    entry.items = page.value.len();
                    self.page_response(request, &page, now)
                }
            },
            Err(failure) => {
                if failure.is_unexpected {
                    entry.kind = "unexpected";
                }
                self.failure(request, &failure, now)
            }
        };
        if response.status == 200 {
            let applied = preferences.applied(entry.collection, &self.options);
            if !applied.is_empty() {
                response.headers.push(("Preference-Applied".to_owned(), applied.join(", ")));
            }
        }
        response
    }

    fn applied(&mut self, at: usize, entry: &mut LogEntry) {
        if let Some(rule) = self.rules.get_mut(at) {
            rule.applied += 1;
            entry.fault = Some(rule.name.clone());
            entry.rule = Some(rule.id);
        }
    }

    fn caller(&self, request: &Request, now: u64) -> Result<Caller, Failure> {
        let invalid = |message: &str| {
            let mut failure = Failure::new(401, "InvalidAuthenticationToken", message);
            let challenge = format!("Bearer realm=\"\", authorization_uri=\"{AUTHORIZATION}\"");
            failure.headers.push(("WWW-Authenticate".to_owned(), challenge));
            Err(failure)
        };
        let Some(token) = bearer(request) else { return invalid("Access token is empty.") };
        match self.access_tokens.get(token) {
            Some(a) if a.is_revoked => invalid("Access token has been revoked."),
            Some(a) if a.expires.is_some_and(|e| e <= now) => {
                invalid("Lifetime validation failed, the token is expired.")
            }
            Some(a) => Ok(Caller { is_app: a.is_app, user: a.user.clone() }),
            None => invalid("Access token validation failure. Invalid audience."),
        }
    }

    fn log_headers(&self, request: &Request) -> Map<String, Value> {
        let mut out = Map::new();
        for name in ["prefer", "client-request-id", "content-type", "origin", "x-ms-throttle-priority"] {
            let values: Vec<&str> = request.all(name).collect();
            if !values.is_empty() {
                out.insert(name.to_owned(), values.join(", ").into());
            }
        }
        // The log never contains the token.
        let who = match request.header("authorization") {
            None => "none",
            Some(_) => match bearer(request).and_then(|t| self.access_tokens.get(t)) {
                Some(a) if a.is_app => "app",
                Some(_) => "delegated",
                None => "other",
            },
        };
        out.insert("authorization".to_owned(), who.into());
        out
    }
}

fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ").map(str::trim)
}

/// The name and the raw value of the token parameter, which differ by resource (graph-facts 2.4).
/// The raw value is compared, so a decoded or encoded token is unknown.
fn delta_token(route: &Route, params: &[Param], query: &str) -> (Option<String>, Option<String>) {
    if let Some(token) = &route.token {
        return (Some("token".to_owned()), Some(token.clone()));
    }
    let broken = query.strip_prefix("(token=").and_then(|q| q.strip_suffix(')'));
    if let (Some(token), Some(Collection::Drive)) = (broken, route.collection) {
        return (Some("(token".to_owned()), Some(route::unquote(token).to_owned()));
    }
    let found = params.iter().find(|p| is_token_name(route.collection, &p.name));
    (found.map(|p| p.name.clone()), found.map(|p| p.raw.clone()))
}

pub(crate) fn is_token_name(collection: Option<Collection>, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match collection {
        Some(Collection::Drive) => name == "token" || name == "(token",
        // The documentation lists `$deltaToken` and `$skipToken`, links have `skipToken`
        // (graph-facts 8 point 1).
        Some(Collection::Recordings) => matches!(name.as_str(), "skiptoken" | "$skiptoken" | "$deltatoken"),
        _ => matches!(name.as_str(), "$skiptoken" | "$deltatoken"),
    }
}
