//! One query on one world of the fake Graph, with a store that survives crashes and a consumer that
//! replays the changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use deltalink::protocol::applier::PageApplier;
use deltalink::protocol::backoff::{Policy, WaitReason};
use deltalink::protocol::change::{Change, PageEffects, PageSummary, Row, SweepSummary};
use deltalink::protocol::endpoint::Endpoint;
use deltalink::protocol::error::Error;
use deltalink::protocol::head::{self, Head};
use deltalink::protocol::names::KnownNames;
use deltalink::protocol::page::{self, Malformed};
use deltalink::protocol::query::{self, Options, Query};
use deltalink::protocol::record::{Completed, Phase, Record};
use deltalink::protocol::refusal::Refusal;
use deltalink::protocol::relation;
use deltalink::protocol::report::Report;
use deltalink::protocol::round::{
    Delivery, Input, NoResponse, Request, Round, RoundConfig, Step, TokenReason,
};
use deltalink::protocol::series::side_row;
use deltalink::protocol::time::{Duration, Instant};
use fake_graph::{Response, World};
use serde_json::{Value, json};

use crate::driver::{self, Environment};
use crate::scenario::rng::Rng;
use crate::scenario::{START, Scenario, Turn};

const ORIGIN: &str = "http://127.0.0.1:4010";
/// The rows in a chunk of a sweep: few, so that a sweep takes several chunks.
const CHUNK: usize = 7;

/// The stored record and rows, which survive a crash.
#[derive(Default)]
pub struct Store {
    pub state: Option<Record>,
    pub rows: BTreeMap<String, Row<Value>>,
}

impl Store {
    fn apply(&mut self, effects: &PageEffects<Value>) {
        for (id, row) in &effects.put {
            self.rows.insert(id.clone(), row.clone());
        }
        for id in &effects.remove {
            self.rows.remove(id);
        }
    }

    /// The rows of these ids.
    fn rows(&self, ids: &[String]) -> Vec<Option<Row<Value>>> {
        ids.iter().map(|id| self.rows.get(id).cloned()).collect()
    }

    /// The rows of the mirror, without side rows.
    fn items(&self) -> impl Iterator<Item = (&String, &Row<Value>)> {
        self.rows.iter().filter(|(id, _)| !id.starts_with('\0'))
    }
}

/// How a round ended.
pub enum End {
    Done,
    Failed(Box<Error>),
    Crashed,
}

/// One query on one world.
pub struct Harness {
    pub world: World,
    name: &'static str,
    query: Rc<Query>,
    endpoint: Rc<Endpoint>,
    is_app_only: bool,
    token: String,
    pub store: Store,
    /// The copy of a consumer that applies every delivered page, acknowledged or not.
    copy: BTreeMap<String, Value>,
    pub now: u64,
    seed: u64,
    rng: Rng,
    pub counts: HashMap<String, u64>,
    pub steps: u64,
    /// The names of all rows of a drive, with the revision of the record that they belong to.
    names: Option<(String, KnownNames)>,
    /// The report of the last round that ended.
    pub report: Report,
}

fn options(call: &Value, organizer: &str) -> Options {
    let text = |name: &str| call[name].as_str().map(str::to_owned);
    Options {
        start: text("start"),
        end: text("end"),
        page_size: call["pageSize"].as_u64().map(|size| size as u32),
        minimal: call["minimal"] == true,
        select: call["select"]
            .as_array()
            .map(|list| list.iter().map(|name| name.as_str().unwrap().to_owned()).collect()),
        organizer: Some(organizer.to_owned()),
        ..Options::default()
    }
}

impl Harness {
    pub fn new(scenario: &Scenario) -> Self {
        let root = format!("{ORIGIN}/w/model/v1.0");
        let world = scenario.world(root.clone());
        let options = options(&scenario.query, world.me().0);
        let query = match scenario.call {
            "orgContacts" => query::org_contacts(Options { organizer: None, ..options }),
            "events" => query::events(Options { organizer: None, ..options }),
            "callRecordings" => query::call_recordings(options),
            _ => query::track(scenario.path, Options { organizer: None, ..options }),
        };
        let mut harness = Self {
            name: scenario.collection,
            world,
            query: Rc::new(query.unwrap()),
            endpoint: Rc::new(Endpoint::parse(&root).unwrap()),
            is_app_only: scenario.needs_app_token(),
            token: String::new(),
            store: Store::default(),
            copy: BTreeMap::new(),
            now: START,
            seed: scenario.seed,
            rng: Rng(scenario.seed),
            counts: HashMap::new(),
            steps: 0,
            names: None,
            report: Report::new(Instant::from_millis(START as f64)),
        };
        harness.sign_in();
        harness
    }

    fn sign_in(&mut self) {
        self.token =
            self.world.token(if self.is_app_only { "app" } else { "delegated" }, None, None, self.now);
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Runs the round of a turn, or without a turn a round that no crash, rival or edit disturbs.
    /// Checks what must hold for every round.
    pub fn round(&mut self, turn: Option<&Turn>) -> End {
        let config = RoundConfig {
            endpoint: Rc::clone(&self.endpoint),
            query: Rc::clone(&self.query),
            policy: Policy { attempts: 4, max_wait: Duration::from_millis(1e12), ..Policy::default() },
            max_pages: turn.and_then(|turn| turn.max_pages),
            max_duration: None,
            window: None,
            has_consumer: turn.is_none_or(|turn| turn.has_consumer),
            asks_caller: false,
        };
        let link = self
            .store
            .state
            .as_ref()
            .filter(|state| state.phase == Phase::Paging && state.no_progress_pages < 3 && !state.restarted)
            .and_then(|state| state.link.clone());
        let mut running = Running {
            round: Round::new(config, self.instant()),
            turn,
            applier: PageApplier::default(),
            resume_link: link.filter(|_| turn.is_none_or(|turn| turn.rival.is_none())),
            steps: 0,
            requests: 0,
            pages: 0,
            restarts: 0,
            ahead: VecDeque::new(),
            abandoned: 0,
            faults: self.faults(),
            harness: self,
        };
        let end = match driver::run(&mut running, Input::Begin) {
            None => return End::Crashed,
            Some(Step::Done) => End::Done,
            Some(Step::Fail(error)) => End::Failed(error),
            Some(step) => unreachable!("{step:?} has no input"),
        };
        running.check_end();
        let revision = running.round.record().revision.clone();
        running.harness.names = running.applier.take_names().map(|names| (revision, names));
        let report = running.round.report;
        self.report = report;
        end
    }

    fn instant(&self) -> Instant {
        Instant::from_millis(self.now as f64)
    }

    fn faults(&self) -> u64 {
        self.world.faults()["counts"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, count)| count.as_u64())
            .sum()
    }

    fn consume(&mut self, changes: &[Change<Value>]) {
        for change in changes {
            match change {
                Change::Upsert { id, item, .. } => drop(self.copy.insert(id.clone(), item.clone())),
                Change::Remove { id, .. } => drop(self.copy.remove(id)),
            }
        }
    }

    /// The items of the mirror, by id.
    pub fn items(&self) -> BTreeMap<String, Value> {
        self.store.items().map(|(id, row)| (id.clone(), row.item.clone())).collect()
    }

    /// Whether a later round has to list everything, because a series may have moved.
    pub fn has_to_relist(&self) -> bool {
        self.store.state.as_ref().is_some_and(|record| record.relist)
    }

    /// Makes the next round a full one, like a refresh.
    pub fn reset(&mut self) {
        if let Some(state) = &self.store.state {
            self.store.state = Some(state.without_link());
        }
    }

    /// Compares the mirror with the tables of the fake Graph, and the copy of the consumer with the
    /// mirror.
    pub fn check(&mut self, scenario: &Scenario) {
        let items = self.items();
        let side_items = self
            .store
            .rows
            .iter()
            .filter_map(|(id, row)| Some((id.strip_prefix('\0')?.to_owned(), row.item.clone())))
            .collect();
        scenario.check(&mut self.world, &items, &side_items);
        for (id, row) in self.store.items() {
            assert!(row.staged.is_none(), "{id}: a staged set after a complete round");
            if row.item["type"] == "occurrence" {
                let master = row.item["seriesMasterId"].as_str().unwrap();
                assert!(
                    self.store.rows.contains_key(master) || self.store.rows.contains_key(&side_row(master)),
                    "{id}: the master is missing"
                );
            }
        }
        if scenario.delivers_every_page() {
            let (copied, mirrored): (BTreeSet<&String>, BTreeSet<&String>) =
                (self.copy.keys().collect(), items.keys().collect());
            assert!(
                copied == mirrored,
                "invariant 5: {}: the copy lacks {:?} and still has {:?}",
                self.name,
                &mirrored - &copied,
                &copied - &mirrored
            );
            for (id, item) in &items {
                assert_eq!(self.copy[id], *item, "invariant 5: {}: {id}", self.name);
            }
        }
    }

    /// Fails if the fake Graph did not expect a request, or if a requested link differs from the
    /// one that the world sent.
    pub fn check_log(&self) {
        for entry in self.world.log().as_array().into_iter().flatten() {
            assert_ne!(entry["kind"], "unexpected", "{entry}");
            assert_ne!(entry["as_issued"], json!(false), "invariant 7: {entry}");
        }
    }
}

/// A running round of a harness: the environment of the driver.
struct Running<'a> {
    harness: &'a mut Harness,
    turn: Option<&'a Turn>,
    round: Round,
    applier: PageApplier<Value>,
    /// The link that the first request must have, if the last round was interrupted.
    resume_link: Option<String>,
    steps: u64,
    requests: u64,
    pages: u64,
    restarts: u64,
    /// The responses to the requests that were sent ahead.
    ahead: VecDeque<Response>,
    /// How many of these requests the round did not need.
    abandoned: u64,
    /// The faults of the world before the round.
    faults: u64,
}

impl Running<'_> {
    /// Checks that a commit has a link (invariant 1), and removes ghosts only in a sweep
    /// (invariant 3).
    fn check_commit(&self, record: &Record) {
        let effects = self.applier.effects();
        let is_ghost = |change: &Change<Value>| match change {
            Change::Remove { reason, old: Some(_), .. } => reason.as_str() == "ghost",
            _ => false,
        };
        let has_ghosts = effects.changes.iter().any(is_ghost);
        let is_sweeping = self.harness.store.state.as_ref().and_then(Record::completed).is_some();
        assert!(!has_ghosts || is_sweeping, "invariant 3: a ghost is removed outside a sweep");
        assert!(record.phase != Phase::Fresh, "a page is committed without a link");
        for (id, row) in &effects.put {
            assert!(row.item.is_object(), "{id}");
        }
    }

    /// Checks the number of requests (invariant 9) and the count of the mirror.
    fn check_end(&self) {
        let Self { harness, requests, pages, restarts, abandoned, .. } = self;
        let faults = harness.faults() - self.faults;
        let max = pages + faults + restarts + abandoned + u64::from(self.round.report.masters) + 10;
        assert!(
            *requests <= max,
            "invariant 9: {requests} requests for {pages} pages, {restarts} restarts, {faults} faults"
        );
        if let Some(state) = &harness.store.state {
            assert_eq!(state.count, Some(harness.store.items().count() as u32), "the count of the mirror");
        }
    }

    /// Sends a request to the world, after the edits that are due before it.
    fn send(&mut self, url: &str, prefer: &[String]) -> Response {
        let mid_round_edits = self.turn.map(|turn| turn.mid_round_edits.as_slice()).unwrap_or_default();
        for (_, edit) in mid_round_edits.iter().filter(|(at, _)| *at == self.requests) {
            let made = self.harness.world.edit(&json!([edit]), self.harness.now);
            if is_replay() {
                println!("EDIT {} {made:?}", edit["op"]);
            }
        }
        self.requests += 1;
        let path = url.strip_prefix(ORIGIN).unwrap_or_else(|| panic!("invariant 6: a foreign URL: {url}"));
        let mut request = fake_graph::Request::get(path, &self.harness.token);
        if !prefer.is_empty() {
            request = request.with("Prefer", &prefer.join(", "));
        }
        self.harness.world.handle(&request, self.harness.now)
    }

    fn looks_ahead(&self) -> bool {
        self.turn.is_none_or(|turn| turn.looks_ahead)
    }

    /// The nextLink in the beginning of a page. `None` in scenarios that look ahead only when the
    /// whole page has arrived.
    fn next_link_in(&self, response: &Response) -> Option<String> {
        if response.status != 200 || !self.looks_ahead() || !self.harness.seed.is_multiple_of(2) {
            return None;
        }
        let head = response.body.get(..response.cut_after.unwrap_or(usize::MAX).min(response.body.len()));
        match head::read(&String::from_utf8_lossy(head.unwrap_or_default())) {
            Head::NextLink(next) => Some(next),
            Head::NoLink | Head::Incomplete => None,
        }
    }

    /// Requests the next page as soon as the beginning of this one has arrived.
    fn look_at_head(&mut self, response: &Response) {
        let Some(next) = self.next_link_in(response) else { return };
        let now = self.harness.instant();
        if let Some(request) = self.round.next_request_after(&next, now) {
            self.harness.count("look-ahead while a page arrives");
            let response = self.send(&request.url, &request.prefer);
            self.ahead.push_back(response);
            self.round.sent_ahead(request);
        }
    }

    fn read(&mut self, response: &Response, is_master: bool) -> Input {
        let is_cut = response.cut_after.is_some_and(|at| at < response.body.len());
        if response.status == 0 || response.hang || is_cut {
            return Input::Unreachable(NoResponse::Network);
        }
        let body: Option<Value> = serde_json::from_slice(&response.body).ok();
        if response.status != 200 {
            let mut refusal = Refusal::read(response.status, body.as_ref());
            refusal.retry_after = response.header("Retry-After").map(str::to_owned);
            refusal.location = response.header("Location").map(str::to_owned);
            return Input::Refused(Box::new(refusal));
        }
        let Some(body) = body else {
            return Input::Malformed(Malformed::from_body(&String::from_utf8_lossy(&response.body)));
        };
        if is_master {
            self.harness.count("master");
            if !self.applier.receive_master(body) {
                return Input::Malformed(Malformed::NoId);
            }
            let rows = self.harness.store.rows(&self.applier.master_ids());
            return Input::Master(self.applier.apply_master(rows, self.round.mode()));
        }
        match page::parse(&body) {
            Ok(page) => {
                // `WATCH=text` prints the received items whose ids contain the text.
                if let Ok(id) = std::env::var("WATCH") {
                    for item in page
                        .items
                        .iter()
                        .filter(|item| item["id"].as_str().is_some_and(|text| text.contains(&id)))
                    {
                        println!("WATCH {item}");
                    }
                }
                self.applier.received(page.items);
                let text = String::from_utf8_lossy(&response.body);
                if !relation::may_occur(|part| text.contains(part)) {
                    self.applier.without_slices();
                }
                Input::Page(page.link)
            }
            Err(malformed) => Input::Malformed(malformed),
        }
    }
}

impl Environment for Running<'_> {
    fn round(&mut self) -> &mut Round {
        &mut self.round
    }

    fn stored(&mut self) -> &mut Option<Record> {
        &mut self.harness.store.state
    }

    fn now(&self) -> Instant {
        self.harness.instant()
    }

    fn loaded(&mut self, record: Option<&Record>) {
        self.applier.loaded(record);
        if let Some((revision, names)) = self.harness.names.take()
            && record.is_some_and(|record| record.revision == revision)
        {
            self.applier.remember_names(names);
        }
    }

    fn random(&mut self) -> f64 {
        self.harness.rng.fraction()
    }

    fn before_step(&mut self, input: &Input) -> bool {
        if self.turn.and_then(|turn| turn.crash).is_some_and(|limit| self.steps >= limit) {
            self.harness.count("crash");
            return false;
        }
        if self.turn.and_then(|turn| turn.rival) == Some(self.steps) {
            self.harness.count("rival");
            let _ = self.harness.round(Some(&Turn { has_consumer: false, ..Turn::quiet() }));
        }
        self.steps += 1;
        self.harness.steps += 1;
        self.harness.now += 1;
        if is_replay() {
            println!("{}", format!("{input:?}").chars().take(260).collect::<String>());
        }
        true
    }

    fn has_rival(&self) -> bool {
        self.turn.is_some_and(|turn| turn.rival.is_some())
    }

    fn sign_in(&mut self, reason: TokenReason) -> Option<Input> {
        if reason == TokenReason::Unauthorized {
            self.harness.sign_in();
        }
        Some(Input::SignedIn)
    }

    fn fetch(&mut self, url: &str, is_master: bool) -> Option<Input> {
        // The round requests the query itself instead of a link that stays forbidden.
        let is_abandoned = self.round.report.resync.as_deref() == Some("forbidden");
        if let Some(link) = self.resume_link.take().filter(|_| !is_abandoned) {
            let is_resumed = url.starts_with(&link) || url.ends_with(&link);
            assert!(is_resumed, "invariant 15: {url} is requested, but {link} was committed");
        }
        let response = self.send(url, &self.round.prefer());
        self.look_at_head(&response);
        Some(self.read(&response, is_master))
    }

    fn request_ahead(&mut self, request: &Request) -> bool {
        let looks_ahead = self.looks_ahead();
        if looks_ahead {
            let is_second = !self.ahead.is_empty();
            self.harness.count(if is_second { "look-ahead during a commit" } else { "look-ahead" });
            let response = self.send(&request.url, &request.prefer);
            self.ahead.push_back(response);
        }
        looks_ahead
    }

    fn drop_ahead(&mut self, needed: usize) {
        self.abandoned += self.ahead.len().saturating_sub(needed) as u64;
        self.ahead.truncate(needed);
    }

    fn next_link_ahead(&self) -> Option<String> {
        self.next_link_in(self.ahead.front()?)
    }

    fn receive(&mut self) -> Option<Input> {
        let response = self.ahead.pop_front().unwrap();
        self.look_at_head(&response);
        Some(self.read(&response, false))
    }

    fn apply(&mut self) -> PageSummary {
        let rows = self.harness.store.rows(&self.applier.ids(&self.harness.query));
        self.applier.apply(rows, self.round.mode())
    }

    fn deliver(&mut self, _delivery: Delivery) -> Option<Input> {
        self.pages += 1;
        if self.turn.is_none_or(|turn| turn.has_consumer) {
            self.harness.consume(&self.applier.effects().changes);
        }
        Some(Input::Delivered)
    }

    fn commit(&mut self, record: &Record) {
        self.check_commit(record);
        self.harness.store.apply(self.applier.effects());
        self.applier.committed(&mut self.round.report);
    }

    fn save_record(&mut self, record: &Record) {
        if record.phase == Phase::Fresh && record.generation > 0 {
            self.restarts += 1;
            self.harness.count("resync");
        }
    }

    fn save_masters(&mut self, _record: &Record) {
        self.harness.store.rows.extend(self.applier.take_masters());
    }

    fn conflicted(&mut self) {
        self.harness.count("conflict");
    }

    fn store_throttle(&mut self, _until: Instant) {}

    fn wait(&mut self, wait: Duration, _reason: WaitReason) -> Option<Input> {
        self.harness.now += wait.as_millis() as u64;
        Some(Input::Slept)
    }

    fn sweep(&mut self, after: Option<&str>, completed: &Completed) -> Option<SweepSummary> {
        if let Some(summary) = self.applier.sweep_unread(after, completed) {
            self.harness.count("sweep without a read");
            return Some(summary);
        }
        self.harness.count("sweep");
        let granted = self.harness.store.state.as_ref().and_then(Record::completed);
        assert!(self.has_rival() || granted.is_some(), "invariant 3: a sweep without a completed round");
        let later =
            self.harness.store.rows.iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        let rows: Vec<_> = later.take(CHUNK).map(|(id, row)| (id.clone(), row.clone())).collect();
        let is_full_chunk = rows.len() == CHUNK;
        Some(self.applier.sweep(rows, is_full_chunk, completed))
    }
}

/// Whether one seed is replayed, and its steps are printed.
fn is_replay() -> bool {
    std::env::var("SEED").is_ok()
}
