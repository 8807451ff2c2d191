//! Runs whole rounds on scripted responses of Graph, and records the requests and the mirror.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use deltalink::protocol::applier::PageApplier;
use deltalink::protocol::backoff::{Policy, WaitReason};
use deltalink::protocol::change::{Change, PageSummary, Row, SweepSummary};
use deltalink::protocol::endpoint::Endpoint;
use deltalink::protocol::error::Error;
use deltalink::protocol::names::KnownNames;
use deltalink::protocol::page;
use deltalink::protocol::query::Query;
use deltalink::protocol::record::{Completed, Record};
use deltalink::protocol::refusal::Refusal;
use deltalink::protocol::report::Report;
use deltalink::protocol::round::{Delivery, Input, Round, RoundConfig, Step, TokenReason};
use deltalink::protocol::time::{Duration, Instant};
use serde_json::{Value, json};

use crate::driver::{self, Environment};

const ROOT: &str = "https://graph.microsoft.com/v1.0";
/// The rows in a chunk of a sweep: few, so that a sweep takes several chunks.
const CHUNK: usize = 3;

/// A page with these items. `link` is `next NAME` or `delta NAME`; the path of the link is `/NAME`.
pub fn page(items: Value, link: &str) -> Value {
    let (kind, name) = link.split_once(' ').unwrap();
    let mut page = json!({ "value": items });
    page[format!("@odata.{kind}Link")] = format!("{ROOT}/{name}").into();
    page
}

/// An error of Graph.
pub fn error(code: &str, message: &str) -> Value {
    json!({ "error": { "code": code, "message": message } })
}

/// A service with scripted responses, and a store.
pub struct Script {
    endpoint: Rc<Endpoint>,
    query: Rc<Query>,
    responses: HashMap<String, VecDeque<(u16, Value)>>,
    /// The requests, as paths below the root.
    pub requests: Vec<String>,
    /// The stored record.
    pub state: Option<Record>,
    /// The rows of the mirror, side rows included.
    pub rows: BTreeMap<String, Row<Value>>,
    /// The delivered changes: `+id` for a new item, `~id` for a changed one, `=id` for an unchanged
    /// one, `-id reason` for a removal.
    pub changes: Vec<String>,
    pub now: Instant,
    /// The time that a request takes.
    pub latency: Duration,
    pub config: RoundConfig,
    /// The bytes of all records that were stored with masters.
    pub master_bytes: usize,
    /// The rows that sweeps have read.
    pub swept_rows: usize,
    /// The names of all rows of a drive, with the revision they belong to.
    names: Option<(String, KnownNames)>,
    /// The `Retry-After` of all refusals.
    pub retry_after: Option<String>,
    /// The process ends after this many steps.
    pub crash_at: Option<u32>,
}

impl Script {
    pub fn new(query: Query) -> Self {
        let (endpoint, query) = (Rc::new(Endpoint::cloud("global").unwrap()), Rc::new(query));
        Self {
            endpoint: Rc::clone(&endpoint),
            query: Rc::clone(&query),
            responses: HashMap::new(),
            requests: Vec::new(),
            state: None,
            rows: BTreeMap::new(),
            changes: Vec::new(),
            now: Instant::from_millis(1_795_000_000_000.0),
            latency: Duration::from_millis(1.0),
            config: RoundConfig {
                endpoint,
                query,
                policy: Policy { attempts: 3, ..Policy::default() },
                max_pages: None,
                max_duration: None,
                window: None,
                has_consumer: true,
                asks_caller: false,
            },
            crash_at: None,
            retry_after: None,
            master_bytes: 0,
            swept_rows: 0,
            names: None,
        }
    }

    /// Adds a response for the next request for this path.
    pub fn on(&mut self, path: &str, body: Value) -> &mut Self {
        self.on_status(path, 200, body)
    }

    /// Adds a response with a status for the next request for this path.
    pub fn on_status(&mut self, path: &str, status: u16, body: Value) -> &mut Self {
        self.responses.entry(path.to_owned()).or_default().push_back((status, body));
        self
    }

    /// Removes all responses of each path except the last one.
    pub fn keep_last_responses(&mut self) {
        for responses in self.responses.values_mut() {
            while responses.len() > 1 {
                responses.pop_front();
            }
        }
    }

    /// The path of the query itself.
    pub fn start(&self) -> String {
        self.query.url(&self.endpoint, self.config.window.as_deref()).replace(ROOT, "")
    }

    /// Runs a round. `Err` if it fails; a round that `crash_at` interrupts is `Ok`.
    pub fn round(&mut self) -> Result<Report, Box<Error>> {
        self.changes.clear();
        let round = Round::new(self.config.clone(), self.now);
        let mut running = Running { script: self, round, applier: PageApplier::default(), steps: 0 };
        let end = driver::run(&mut running, Input::Begin);
        let report = running.round.report.clone();
        let revision = running.round.record().revision.clone();
        let names = running.applier.take_names();
        self.names = names.map(|names| (revision, names));
        match end {
            Some(Step::Fail(error)) => Err(error),
            Some(Step::Done) | None => Ok(report),
            Some(other) => panic!("the round stops at {other:?}"),
        }
    }

    /// The ids of the items in the mirror.
    pub fn ids(&self) -> Vec<&str> {
        self.rows.keys().map(String::as_str).filter(|id| !id.starts_with('\0')).collect()
    }
}

struct Running<'a> {
    script: &'a mut Script,
    round: Round,
    applier: PageApplier<Value>,
    steps: u32,
}

impl Running<'_> {
    fn rows(&self, ids: &[String]) -> Vec<Option<Row<Value>>> {
        ids.iter().map(|id| self.script.rows.get(id).cloned()).collect()
    }
}

impl Environment for Running<'_> {
    fn round(&mut self) -> &mut Round {
        &mut self.round
    }

    fn stored(&mut self) -> &mut Option<Record> {
        &mut self.script.state
    }

    fn now(&self) -> Instant {
        self.script.now
    }

    fn loaded(&mut self, record: Option<&Record>) {
        self.applier.loaded(record);
        if let Some((revision, names)) = self.script.names.take()
            && record.is_some_and(|record| record.revision == revision)
        {
            self.applier.remember_names(names);
        }
    }

    fn before_step(&mut self, _input: &Input) -> bool {
        self.steps += 1;
        self.script.crash_at.is_none_or(|limit| self.steps <= limit)
    }

    fn sign_in(&mut self, _reason: TokenReason) -> Option<Input> {
        Some(Input::SignedIn)
    }

    fn fetch(&mut self, url: &str, is_master: bool) -> Option<Input> {
        let path = url.replace(ROOT, "");
        self.script.requests.push(path.clone());
        self.script.now += self.script.latency;
        let responses = self.script.responses.get_mut(&path);
        let Some((status, body)) = responses.and_then(VecDeque::pop_front) else {
            panic!("{path} is not expected after {:?}", self.script.requests);
        };
        if status == 0 {
            return Some(Input::Unreachable(deltalink::protocol::round::NoResponse::Network));
        }
        if status >= 400 {
            let retry_after = self.script.retry_after.clone();
            return Some(Input::Refused(Box::new(Refusal {
                retry_after,
                ..Refusal::read(status, Some(&body))
            })));
        }
        if is_master {
            assert!(self.applier.receive_master(body));
            let rows = self.rows(&self.applier.master_ids());
            return Some(Input::Master(self.applier.apply_master(rows, self.round.mode())));
        }
        let page = page::parse(&body).unwrap();
        self.applier.received(page.items);
        Some(Input::Page(page.link))
    }

    fn apply(&mut self) -> PageSummary {
        let ids = self.applier.ids(&self.script.query);
        let rows = self.rows(&ids);
        self.applier.apply(rows, self.round.mode())
    }

    fn deliver(&mut self, _delivery: Delivery) -> Option<Input> {
        for change in &self.applier.effects().changes {
            self.script.changes.push(match change {
                Change::Upsert { id, old: None, .. } => format!("+{id}"),
                Change::Upsert { id, unchanged, .. } => format!("{}{id}", if *unchanged { '=' } else { '~' }),
                Change::Remove { id, reason, .. } => format!("-{id} {}", reason.as_str()),
            });
        }
        Some(Input::Delivered)
    }

    fn commit(&mut self, _record: &Record) {
        let effects = self.applier.effects();
        self.script.rows.extend(effects.put.iter().cloned());
        for id in &effects.remove {
            self.script.rows.remove(id);
        }
        self.applier.committed(&mut self.round.report);
    }

    fn save_masters(&mut self, record: &Record) {
        self.script.master_bytes += serde_json::to_string(record).unwrap().len();
        self.script.rows.extend(self.applier.take_masters());
    }

    fn store_throttle(&mut self, _until: Instant) {}

    fn wait(&mut self, wait: Duration, _reason: WaitReason) -> Option<Input> {
        self.script.now += wait;
        Some(Input::Slept)
    }

    fn sweep(&mut self, after: Option<&str>, completed: &Completed) -> Option<SweepSummary> {
        if let Some(summary) = self.applier.sweep_unread(after, completed) {
            return Some(summary);
        }
        let rows = &self.script.rows;
        let later = rows.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        let rows: Vec<_> = later.take(CHUNK).map(|(id, row)| (id.clone(), row.clone())).collect();
        self.script.swept_rows += rows.len();
        let has_more = rows.len() == CHUNK;
        Some(self.applier.sweep(rows, has_more, completed))
    }
}
