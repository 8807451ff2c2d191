//! One tenant: its tables, its tokens, its switches, and the way a request takes through it.

use crate::ask::Prefs;
use crate::clock;
use crate::data::{self, Account};
use crate::delta::{Page, Round, Stream, Token};
use crate::faults::{self, Rule, Seen};
use crate::http::{Request, Response};
use crate::options::Options;
use crate::rng::Rng;
use crate::route::{self, Collection, Route};
use crate::table::Table;
use crate::text::{self, Param, base64};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How much a new world holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Populate {
    /// Rows of the calendar of `/me`: masters and occurrences counted.
    pub events: u64,
    /// Directory contacts.
    pub contacts: u64,
    /// Recordings of meetings that `/me` organized.
    pub recordings: u64,
    /// Users of the directory.
    pub users: u64,
    /// Groups of the directory.
    pub groups: u64,
    /// Items of the drive of `/me`, its root counted.
    pub drive: u64,
    /// Messages in the inbox of `/me`.
    pub messages: u64,
    /// The day around which the events lie, in milliseconds.
    pub around: i64,
}

/// What a link stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// A place in a round.
    Page { round: usize, at: usize, empty: u64 },
    /// The changes after a point.
    Since(u64),
}

/// An access token.
#[derive(Debug, Clone)]
struct Access {
    app: bool,
    user: String,
    expires: Option<u64>,
    revoked: bool,
    serial: u64,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) app: bool,
    pub(crate) user: String,
}

/// An answer that is an error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) inner: Option<String>,
    pub(crate) message: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The request was none that a client of this service should make: the log says so.
    pub(crate) unexpected: bool,
}

impl Failure {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), ..Self::default() }
    }

    pub(crate) fn unexpected(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { unexpected: true, ..Self::new(status, code, message) }
    }
}

pub(crate) enum Answer {
    Page(Box<Page>),
    Item(Map<String, Value>),
}

/// One line of the log.
#[derive(Debug, Clone)]
struct Entry {
    n: u64,
    method: String,
    url: String,
    collection: Option<Collection>,
    kind: &'static str,
    status: u16,
    headers: Map<String, Value>,
    items: usize,
    fault: Option<String>,
    /// For a link request: whether the URL is byte for byte the one given out.
    as_issued: Option<bool>,
    at: u64,
}

impl Entry {
    fn to_json(&self) -> Value {
        json!({
            "n": self.n, "at": self.at, "method": self.method, "url": self.url, "collection": self.collection.map(Collection::name),
            "kind": self.kind, "status": self.status, "headers": self.headers, "items": self.items, "fault": self.fault,
            "as_issued": self.as_issued,
        })
    }
}

/// One tenant of the stand-in.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    pub(crate) root: String,
    base: String,
    pub(crate) rng: Rng,
    pub(crate) seq: u64,
    pub(crate) options: Options,
    pub(crate) accounts: Vec<Account>,
    pub(crate) tenant: String,
    pub(crate) tables: BTreeMap<Collection, Table>,
    pub(crate) parts: BTreeSet<String>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) tokens: BTreeMap<String, Token>,
    access: BTreeMap<String, Access>,
    serial: u64,
    rules: Vec<Rule>,
    rule_ids: u64,
    fault_counts: BTreeMap<String, u64>,
    log: Vec<Entry>,
    logged: u64,
}

/// What a browser may read of Graph's answers (graph-facts 2.8).
const EXPOSED: &str = "ETag, Location, Preference-Applied, Content-Range, request-id, client-request-id, \
    ReadWriteConsistencyToken, SdkVersion, WWW-Authenticate, x-ms-client-gcc-tenant";
const AUTHORIZATION: &str = "https://login.microsoftonline.com/common/oauth2/authorize";
const ME: &str = "robin.ekholm@contoso.example";

impl World {
    /// An empty world. `root` goes into links: `http://127.0.0.1:4010/w/abc/v1.0`.
    pub fn new(seed: u64, root: String) -> Self {
        let after = root.split_once("://").map_or(root.as_str(), |(_, rest)| rest);
        let base = after.find('/').and_then(|at| after.get(at..)).unwrap_or("").to_owned();
        let mut rng = Rng::new(seed);
        let tenant = rng.guid();
        let mut parts = BTreeSet::new();
        for folder in ["inbox", "archive", "sentitems"] {
            parts.insert(format!("folder|{folder}"));
        }
        Self {
            seed,
            root,
            base,
            rng,
            seq: 0,
            options: Options::default(),
            accounts: vec![data::account(ME, seed)],
            tenant,
            tables: BTreeMap::new(),
            parts,
            streams: Vec::new(),
            rounds: Vec::new(),
            tokens: BTreeMap::new(),
            access: BTreeMap::new(),
            serial: 0,
            rules: Vec::new(),
            rule_ids: 0,
            fault_counts: BTreeMap::new(),
            log: Vec::new(),
            logged: 0,
        }
    }

    /// The root of every URL of this world.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The switches.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes switches; an unknown name or a wrong value changes nothing.
    pub fn set_options(&mut self, patch: &Value) -> Result<(), String> {
        self.options.patch(patch)
    }

    /// The account behind `/me` of the first delegated token: id and address.
    pub fn me(&self) -> (&str, &str) {
        self.accounts.first().map_or(("", ""), |a| (a.id.as_str(), a.address.as_str()))
    }

    /// A new access token. `kind` is `delegated` or `app`; `user` is an address or an id, by
    /// default the first account.
    pub fn token(&mut self, kind: &str, user: Option<&str>, lifetime_ms: Option<u64>, now_ms: u64) -> String {
        let user = match user {
            None => self.me().0.to_owned(),
            Some(user) => self.account_or_new(user),
        };
        self.serial += 1;
        let app = kind == "app";
        let text = format!("fake.{kind}.{}", self.rng.text(40));
        let expires = lifetime_ms.or(self.options.token_lifetime_ms).map(|l| now_ms + l);
        self.access.insert(text.clone(), Access { app, user, expires, revoked: false, serial: self.serial });
        text
    }

    /// Makes every access token so far useless.
    pub fn revoke(&mut self) {
        for access in self.access.values_mut() {
            access.revoked = true;
        }
    }

    /// Kills every link given out so far; the next use is answered by the resource's own reset.
    pub fn expire(&mut self, collection: Option<Collection>) {
        for token in self.tokens.values_mut() {
            if collection.is_none_or(|c| c == token.collection) {
                token.dead = true;
            }
        }
    }

    /// Adds rules to the queue of faults; a wrong one adds none.
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

    /// Empties the queue of faults; the counts stay.
    pub fn clear_faults(&mut self) {
        self.rules.clear();
    }

    /// The queue, with what each rule has seen and done, and the counts by name.
    pub fn faults(&self) -> Value {
        json!({ "rules": self.rules.iter().map(Rule::to_json).collect::<Vec<_>>(), "counts": self.fault_counts })
    }

    /// The requests so far, as JSON.
    pub fn log(&self) -> Value {
        self.log.iter().map(Entry::to_json).collect()
    }

    /// Empties the log; the numbering goes on.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// The seed it was made with.
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

    /// Answers a request. `now_ms` is the only clock there is.
    pub fn handle(&mut self, request: &Request, now_ms: u64) -> Response {
        let (path, query_text) = request.url.split_once('?').unwrap_or((&request.url, ""));
        let below = path.strip_prefix(&self.base).filter(|p| p.starts_with('/'));
        let found = below.and_then(route::parse);
        let params = text::query(query_text);
        let (token_param, token) =
            found.as_ref().map_or((None, None), |r| delta_token(r, &params, query_text));
        let kind = self.kind(found.as_ref(), token_param.as_deref(), token.as_deref());
        let prefs = Prefs::read(request);
        self.logged += 1;
        let mut entry = Entry {
            n: self.logged,
            method: request.method.clone(),
            url: request.url.clone(),
            collection: found.as_ref().and_then(|r| r.collection),
            kind,
            status: 0,
            headers: self.log_headers(request),
            items: 0,
            fault: None,
            as_issued: None,
            at: now_ms,
        };
        if let Some(known) = token.as_deref().and_then(|t| self.tokens.get(t)) {
            let relative = request.url.strip_prefix(&self.base).unwrap_or("");
            entry.as_issued = Some(relative == known.link || relative.replace("%27", "'") == known.link);
        }
        if request.method.eq_ignore_ascii_case("OPTIONS") {
            entry.kind = "preflight";
        }
        let mut response = self.answer(request, found, &params, token, &prefs, now_ms, &mut entry);
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
        if route.item.is_some() {
            return "item";
        }
        match token {
            None | Some("" | "latest") => "initial",
            Some(token) => match self.tokens.get(token).map(|t| t.state) {
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

    #[expect(clippy::too_many_arguments, reason = "the way of one request, not an interface")]
    fn answer(
        &mut self,
        request: &Request,
        found: Option<Route>,
        params: &[Param],
        token: Option<String>,
        prefs: &Prefs,
        now: u64,
        entry: &mut Entry,
    ) -> Response {
        let serial = bearer(request).and_then(|t| self.access.get(t)).map_or(0, |a| a.serial);
        let seen = Seen {
            collection: entry.collection,
            kind: entry.kind,
            url: &request.url,
            page_size: prefs.max_page,
            token_serial: serial,
        };
        let mut rule = None;
        for (at, candidate) in self.rules.iter_mut().enumerate() {
            // Every rule counts what it sees; the first that wants to act does.
            if candidate.wants(&seen) && rule.is_none() {
                rule = Some(at);
            }
        }
        let acting = rule.and_then(|at| self.rules.get(at)).cloned();
        if let (Some(fault), Some(at)) = (&acting, rule)
            && !faults::shapes_a_page(&fault.name)
        {
            self.applied(at, entry);
            return self.in_place_of_an_answer(request, found.as_ref(), token.as_deref(), fault, now);
        }
        if entry.kind == "preflight" {
            return self.preflight(request);
        }
        let result = match found {
            None => Err(Failure::unexpected(
                400,
                "BadRequest",
                "Resource not found for the segment: nothing the fake knows has this path.",
            )),
            Some(_) if !request.method.eq_ignore_ascii_case("GET") => Err(Failure::unexpected(
                405,
                "Request_BadRequest",
                format!("Specified HTTP method {} is not allowed.", request.method),
            )),
            Some(route) => self
                .caller(request, now)
                .and_then(|caller| self.serve(&caller, &route, params, token, prefs, now)),
        };
        let mut response = match result {
            Ok(Answer::Item(item)) => {
                entry.items = 1;
                self.finish(request, 200, json_headers(), Value::Object(item).to_string(), now)
            }
            Ok(Answer::Page(page)) => match (acting, rule) {
                (Some(fault), Some(at)) => {
                    self.applied(at, entry);
                    self.shaped(request, *page, at, &fault, now, entry)
                }
                _ => {
                    entry.items = page.value.len();
                    self.page_response(request, &page, now)
                }
            },
            Err(failure) => {
                if failure.unexpected {
                    entry.kind = "unexpected";
                }
                self.failure(request, &failure, now)
            }
        };
        if response.status == 200 {
            let applied = prefs.applied(entry.collection, &self.options);
            if !applied.is_empty() {
                response.headers.push(("Preference-Applied".to_owned(), applied.join(", ")));
            }
        }
        response
    }

    fn applied(&mut self, at: usize, entry: &mut Entry) {
        if let Some(rule) = self.rules.get_mut(at) {
            rule.applied += 1;
            entry.fault = Some(rule.name.clone());
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
        match self.access.get(token) {
            Some(a) if a.revoked => invalid("Access token has been revoked."),
            Some(a) if a.expires.is_some_and(|e| e <= now) => {
                invalid("Lifetime validation failed, the token is expired.")
            }
            Some(a) => Ok(Caller { app: a.app, user: a.user.clone() }),
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
        // The token itself is never in the log.
        let who = match request.header("authorization") {
            None => "none",
            Some(_) => match bearer(request).and_then(|t| self.access.get(t)) {
                Some(a) if a.app => "app",
                Some(_) => "delegated",
                None => "other",
            },
        };
        out.insert("authorization".to_owned(), who.into());
        out
    }

    // ---- answers ----

    /// The headers every answer has (graph-facts 2.8).
    fn finish(
        &mut self,
        request: &Request,
        status: u16,
        mut headers: Vec<(String, String)>,
        body: String,
        now: u64,
    ) -> Response {
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        add("Cache-Control", "no-cache".to_owned());
        add("request-id", self.rng.guid());
        add(
            "client-request-id",
            request.header("client-request-id").map_or_else(|| self.rng.guid(), str::to_owned),
        );
        add(
            "x-ms-ags-diagnostic",
            r#"{"ServerInfo":{"DataCenter":"Nowhere","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"FAKE0001"}}"#.to_owned(),
        );
        add("Date", clock::http(i64::try_from(now).unwrap_or(0)));
        self.cors(&mut headers);
        Response { status, headers, body: body.into_bytes(), ..Response::default() }
    }

    fn cors(&self, headers: &mut Vec<(String, String)>) {
        headers.push(("Access-Control-Allow-Origin".to_owned(), "*".to_owned()));
        if self.options.expose_headers {
            let retry = if self.options.expose_retry_after { ", Retry-After" } else { "" };
            headers.push(("Access-Control-Expose-Headers".to_owned(), format!("{EXPOSED}{retry}")));
        }
    }

    fn preflight(&self, request: &Request) -> Response {
        let mut headers = vec![
            (
                "Access-Control-Allow-Methods".to_owned(),
                "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS".to_owned(),
            ),
            ("Access-Control-Max-Age".to_owned(), "86400".to_owned()),
        ];
        if let Some(asked) = request.header("access-control-request-headers") {
            headers.push(("Access-Control-Allow-Headers".to_owned(), asked.to_owned()));
        }
        self.cors(&mut headers);
        Response { status: 204, headers, ..Response::default() }
    }

    fn failure(&mut self, request: &Request, failure: &Failure, now: u64) -> Response {
        let mut headers = json_headers();
        headers.extend(failure.headers.iter().cloned());
        let mut response = self.finish(request, failure.status, headers, String::new(), now);
        let mut inner = Map::new();
        if let Some(code) = &failure.inner {
            inner.insert("code".to_owned(), code.clone().into());
        }
        inner.insert("date".to_owned(), clock::bare(i64::try_from(now).unwrap_or(0)).into());
        for name in ["request-id", "client-request-id"] {
            inner.insert(name.to_owned(), response.header(name).unwrap_or("").into());
        }
        let body =
            json!({ "error": { "code": failure.code, "message": failure.message, "innerError": inner } });
        response.body = body.to_string().into_bytes();
        response
    }

    fn page_response(&mut self, request: &Request, page: &Page, now: u64) -> Response {
        let body = page.text();
        self.finish(request, 200, json_headers(), body, now)
    }

    // ---- faults ----

    fn in_place_of_an_answer(
        &mut self,
        request: &Request,
        found: Option<&Route>,
        token: Option<&str>,
        fault: &Rule,
        now: u64,
    ) -> Response {
        let status = fault.number("status").and_then(|s| u16::try_from(s).ok());
        let mut failure = Failure::new(
            status.unwrap_or(503),
            fault.text("code").unwrap_or("serviceNotAvailable"),
            fault.text("message").unwrap_or("Injected."),
        );
        failure.inner = fault.text("inner").map(str::to_owned);
        if let Some(Value::Object(headers)) = fault.args.get("headers") {
            for (name, value) in headers {
                // `Retry-After` comes as a number, a fraction or a date (graph-facts 5).
                failure
                    .headers
                    .push((name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            }
        }
        if let Some(seconds) = fault.number("retry_after_date_in_s") {
            let at = i64::try_from(now + seconds * 1000).unwrap_or(0);
            failure.headers.push(("Retry-After".to_owned(), clock::http(at)));
        }
        match fault.name.as_str() {
            "network" => return Response { status: 0, ..Response::default() },
            "hang" => return Response { status: 0, hang: true, ..Response::default() },
            "empty503" => return self.finish(request, 503, failure.headers, String::new(), now),
            "html" => {
                let mut headers = vec![("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned())];
                headers.extend(failure.headers);
                let body = "<!DOCTYPE html><html><head><title>Service</title></head><body><h1>Our services aren't available right now</h1></body></html>";
                return self.finish(request, status.unwrap_or(200), headers, body.to_owned(), now);
            }
            "redirect" => {
                let to = fault.text("location").unwrap_or("http://127.0.0.1:9/elsewhere").to_owned();
                let headers = vec![("Location".to_owned(), to)];
                return self.finish(request, status.unwrap_or(302), headers, String::new(), now);
            }
            "claims" => {
                // The challenge of continuous access evaluation (graph-facts 6).
                let claims = match fault.args.get("claims") {
                    Some(Value::String(raw)) => raw.clone(),
                    Some(value) => base64(value.to_string().as_bytes()),
                    None => base64(br#"{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}"#),
                };
                failure.status = status.unwrap_or(401);
                failure.code = fault.text("code").unwrap_or("InvalidAuthenticationToken").to_owned();
                failure.message = "Continuous access evaluation resulted in challenge.".to_owned();
                let value = format!(
                    "Bearer realm=\"\", authorization_uri=\"{AUTHORIZATION}\", error=\"insufficient_claims\", claims=\"{claims}\""
                );
                failure.headers.push(("WWW-Authenticate".to_owned(), value));
            }
            "unauthorized" => {
                failure.status = 401;
                failure.code = "InvalidAuthenticationToken".to_owned();
                failure.message = "Lifetime validation failed, the token is expired.".to_owned();
                let value = format!("Bearer realm=\"\", authorization_uri=\"{AUTHORIZATION}\"");
                failure.headers.push(("WWW-Authenticate".to_owned(), value));
            }
            "reset" => {
                let spelling = fault.number("spelling").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
                if let Some(reset) = faults::RESETS.get(spelling.saturating_sub(1)) {
                    failure.status = status.unwrap_or(reset.status);
                    failure.code = reset.code.to_owned();
                    failure.inner = reset.inner.map(str::to_owned);
                    failure.message = reset.message.to_owned();
                    let fresh = found.map(|r| {
                        format!(
                            "{}{}?{}=",
                            self.root,
                            r.link_path,
                            if r.collection == Some(Collection::Drive) { "token" } else { "$deltatoken" }
                        )
                    });
                    match fault.args.get("location") {
                        Some(Value::String(to)) => failure.headers.push(("Location".to_owned(), to.clone())),
                        Some(Value::Bool(false)) => {}
                        other => {
                            if let Some(fresh) = fresh.filter(|_| reset.location || other.is_some()) {
                                failure.headers.push(("Location".to_owned(), fresh));
                            }
                        }
                    }
                    if reset.code.is_empty() {
                        return self.finish(request, failure.status, failure.headers, String::new(), now);
                    }
                }
            }
            "poisoned" => {
                // A link that the service itself refuses, for ever (graph-facts 2.4).
                failure.status = status.unwrap_or(500);
                if let Some(token) = token.and_then(|t| self.tokens.get_mut(t)) {
                    token.poison = Some((failure.status, failure.code.clone()));
                }
            }
            "error_in_200" => failure.status = 200,
            _ => {}
        }
        let mut response = self.failure(request, &failure, now);
        if let Some(body) = fault.text("body") {
            response.body = body.as_bytes().to_vec();
        }
        response
    }

    fn shaped(
        &mut self,
        request: &Request,
        mut page: Page,
        at: usize,
        fault: &Rule,
        now: u64,
        entry: &mut Entry,
    ) -> Response {
        entry.items = page.value.len();
        let count = fault.number("n").and_then(|n| usize::try_from(n).ok());
        let mut status = 200;
        match fault.name.as_str() {
            "neither_link" => (page.next, page.delta) = (None, None),
            "both_links" => {
                let link = self.mint(page.stream, page.here, page.next.is_none(), now);
                if page.next.is_none() { page.next = link } else { page.delta = link }
            }
            "same_link" => {
                let origin = self.root.strip_suffix(&self.base).unwrap_or("");
                page.next = Some(format!("{origin}{}", request.url));
                page.delta = None;
            }
            "livelock" => {
                // Pages repeat with the same ids, each with a different nextLink (graph-facts 7
                // anomaly 1). The link given leads back to the place where the rule began, after
                // `cycle` pages.
                let cycle = fault.number("cycle").unwrap_or(1).max(1);
                // Never into another round: that would end in its deltaLink, and hide the rest of
                // this one.
                let round =
                    |state: &State| if let State::Page { round, .. } = state { Some(*round) } else { None };
                let anchor =
                    fault.anchor.filter(|anchor| round(anchor) == round(&page.here)).unwrap_or(page.here);
                if let Some(rule) = self.rules.get_mut(at) {
                    rule.anchor = Some(anchor);
                }
                if (fault.applied + 1).is_multiple_of(cycle) || page.next.is_none() {
                    page.next = self.mint(page.stream, anchor, true, now);
                    page.delta = None;
                }
            }
            "foreign_link" | "relative_link" => {
                let origin = self.root.strip_suffix(&self.base).unwrap_or("").to_owned();
                let change = |link: String| match (fault.text("link"), fault.text("origin")) {
                    (Some(whole), _) => whole.to_owned(),
                    (None, Some(other)) => link.replacen(&origin, other, 1),
                    (None, None) if fault.name == "relative_link" => link.replacen(&origin, "", 1),
                    (None, None) => link.replacen(&origin, "https://graph.microsoft.example", 1),
                };
                page.next = page.next.map(change);
                page.delta = page.delta.map(change);
            }
            "items_without_id" => {
                for item in page.value.iter_mut().take(count.unwrap_or(usize::MAX)) {
                    item.remove("id");
                }
            }
            "empty_page" => page.value.clear(),
            "bad_request_with_good_body" => status = 400,
            "no_value" | "value_null" | "value_object" | "wrong_type" => page.odd = Some(fault.name.clone()),
            _ => {}
        }
        let mut body = page.text();
        if fault.name == "not_json" {
            body.insert(1, '\u{202F}');
            body.insert_str(1, "// not JSON");
        }
        let mut response = self.finish(request, status, json_headers(), body, now);
        match fault.name.as_str() {
            "cut" => response.cut_after = Some(count.unwrap_or(response.body.len() / 2)),
            "slow" => {
                response.bytes_per_second = Some(fault.number("bytes_per_second").unwrap_or(2000));
                response.delay_ms = fault.number("delay_ms").unwrap_or(0);
            }
            "delay" => response.delay_ms = fault.number("ms").unwrap_or(1000),
            _ => {}
        }
        response
    }
}

fn json_headers() -> Vec<(String, String)> {
    let value =
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
    vec![("Content-Type".to_owned(), value.to_owned())]
}

fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ").map(str::trim)
}

/// The name of the token's parameter and its raw text. The dialects differ (graph-facts 2.4), and
/// the raw text is what counts: a token that was decoded or encoded on the way is another one.
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
        // The page lists `$deltaToken` and `$skipToken`, its links carry `skipToken` (graph-facts 8
        // point 1).
        Some(Collection::Recordings) => matches!(name.as_str(), "skiptoken" | "$skiptoken" | "$deltatoken"),
        _ => matches!(name.as_str(), "$skiptoken" | "$deltatoken"),
    }
}
