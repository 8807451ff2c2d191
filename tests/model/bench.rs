//! A machine, a store that survives crashes, a consumer that remembers what it was given, and the
//! fake Graph's core.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use deltalink::protocol::applier::PageApplier;
use deltalink::protocol::backoff::Policy;
use deltalink::protocol::change::{Change, PageEffects, Row};
use deltalink::protocol::endpoint::Endpoint;
use deltalink::protocol::error::Error;
use deltalink::protocol::page::{self, Malformed};
use deltalink::protocol::query::{self, Options, Query};
use deltalink::protocol::record::{Kind, Phase, Record};
use deltalink::protocol::refusal::Refusal;
use deltalink::protocol::report::Report;
use deltalink::protocol::round::{Input, NoResponse, Round, RoundConfig, Step, TokenReason};
use deltalink::protocol::series::side_row;
use deltalink::protocol::time::{Duration, Instant};
use fake_graph::{Request, World};
use serde_json::{Value, json};

use crate::schedule::{Dice, START, Schedule, Turn};

const ORIGIN: &str = "http://127.0.0.1:4010";
/// Small, so that a sweep takes several chunks.
const CHUNK: usize = 7;

/// What survives a crash.
#[derive(Default)]
pub struct Store {
    pub state: Option<Record>,
    pub rows: BTreeMap<String, Row<Value>>,
}

impl Store {
    fn commit(&mut self, expect: Option<&str>, record: &Record, applied: &PageEffects<Value>) -> bool {
        if !Record::may_follow(self.state.as_ref(), expect) {
            return false;
        }
        for (id, row) in &applied.put {
            self.rows.insert(id.clone(), row.clone());
        }
        for id in &applied.remove {
            self.rows.remove(id);
        }
        // What is stored is read back, as a real store would give it.
        self.state = Some(Record::read(serde_json::to_value(record).unwrap()).unwrap());
        true
    }

    /// The items, without what is kept beside them.
    fn items(&self) -> impl Iterator<Item = (&String, &Row<Value>)> {
        self.rows.iter().filter(|(id, _)| !id.starts_with('\0'))
    }
}

/// How a round came to its end.
pub enum End {
    Done,
    Failed(Box<Error>),
    Crashed,
}

/// One query against one world.
pub struct Bench {
    pub world: World,
    name: &'static str,
    query: Rc<Query>,
    endpoint: Rc<Endpoint>,
    app: bool,
    token: String,
    pub store: Store,
    /// What a consumer has who applies each page that `round()` hands out, acknowledged or not.
    copy: BTreeMap<String, Value>,
    pub now: u64,
    dice: Dice,
    pub met: HashMap<String, u64>,
    pub steps: u64,
    /// Of the last round that came to its end.
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

impl Bench {
    pub fn new(schedule: &Schedule) -> Self {
        let root = format!("{ORIGIN}/w/model/v1.0");
        let world = schedule.world(root.clone());
        let options = options(&schedule.query, world.me().0);
        let query = match schedule.call {
            "orgContacts" => query::org_contacts(Options { organizer: None, ..options }),
            "events" => query::events(Options { organizer: None, ..options }),
            "callRecordings" => query::call_recordings(options),
            _ => query::track(schedule.path, Options { organizer: None, ..options }),
        };
        let mut bench = Self {
            name: schedule.collection,
            world,
            query: Rc::new(query.unwrap()),
            endpoint: Rc::new(Endpoint::parse(&root).unwrap()),
            app: schedule.app(),
            token: String::new(),
            store: Store::default(),
            copy: BTreeMap::new(),
            now: START,
            dice: Dice(schedule.seed),
            met: HashMap::new(),
            steps: 0,
            report: Report::new(Instant::from_millis(START as f64)),
        };
        bench.sign_in();
        bench
    }

    fn sign_in(&mut self) {
        self.token = self.world.token(if self.app { "app" } else { "delegated" }, None, None, self.now);
    }

    fn count(&mut self, what: &str) {
        *self.met.entry(what.to_owned()).or_default() += 1;
    }

    /// A round, quiet or as its turn has it; what must hold of every one is checked here.
    pub fn round(&mut self, turn: Option<&Turn>) -> End {
        let plan = RoundConfig {
            endpoint: Rc::clone(&self.endpoint),
            query: Rc::clone(&self.query),
            policy: Policy { attempts: 4, max_wait: Duration::from_millis(1e12), ..Policy::default() },
            max_pages: turn.and_then(|turn| turn.most),
            max_duration: None,
            window: None,
            has_consumer: turn.is_none_or(|turn| turn.has_consumer),
        };
        let has_consumer = plan.has_consumer;
        let crash = turn.and_then(|turn| turn.crash);
        let rival = turn.and_then(|turn| turn.rival);
        // What the first request has to be, if a round is under way that has not to begin again.
        let mut resumes = self
            .store
            .state
            .as_ref()
            .filter(|state| state.phase == Phase::Paging && state.no_progress_pages < 3 && !state.restarted)
            .and_then(|state| state.link.clone());
        let mut round = Round::new(plan, Instant::from_millis(self.now as f64));
        let mut applier = PageApplier::default();
        let mut input = Input::Begin;
        let (mut requests, mut pages, mut acked, mut restarts) = (0, 0, true, 0);
        let faults = self.faults();
        for steps in 0.. {
            if crash.is_some_and(|limit| steps >= limit) {
                self.count("crash");
                return End::Crashed;
            }
            assert!(steps < 40_000, "a round that does not end");
            if rival == Some(steps) {
                self.count("rival");
                let _ = self.round(Some(&Turn { has_consumer: false, ..Turn::quiet() }));
            }
            self.now += 1;
            self.steps += 1;
            let chance = self.dice.share();
            if std::env::var("SEED").is_ok() {
                println!("{}", format!("{input:?}").chars().take(260).collect::<String>());
            }
            let step = round.step(input, Instant::from_millis(self.now as f64), chance);
            input = match step {
                Step::Load => Input::Loaded(self.store.state.clone().map(Box::new)),
                Step::SignIn(need) => {
                    if need == TokenReason::Unauthorized {
                        self.sign_in();
                    }
                    Input::SignedIn
                }
                Step::Fetch(url) | Step::FetchMaster(url) => {
                    let edits = turn
                        .map(|turn| turn.meanwhile.iter().filter(|(at, _)| *at == requests))
                        .into_iter()
                        .flatten();
                    for (_, edit) in edits {
                        let made = self.world.edit(&json!([edit]), self.now);
                        if std::env::var("SEED").is_ok() {
                            println!("EDIT {} {made:?}", edit["op"]);
                        }
                    }
                    if let Some(link) = resumes.take().filter(|_| rival.is_none()) {
                        let relative = url.starts_with(&link) || url.ends_with(&link);
                        assert!(url == link || relative, "invariant 15: {url} where {link} was committed");
                    }
                    requests += 1;
                    let master = url.contains("/events/");
                    self.fetch(&url, &round, &mut applier, master)
                }
                Step::StoreThrottle(until) => {
                    assert!(until > Instant::from_millis(self.now as f64));
                    Input::ThrottleStored
                }
                Step::Sleep(span, _) => {
                    self.now += span.as_millis() as u64;
                    Input::Slept
                }
                Step::Apply => {
                    let ids: Vec<String> = applier.ids(&self.query).into_iter().map(str::to_owned).collect();
                    let rows = ids.iter().map(|id| self.store.rows.get(id).cloned()).collect();
                    Input::Applied(Box::new(applier.apply(rows, round.mode())))
                }
                Step::Deliver(_) => {
                    assert!(acked, "invariant 2: a page after one that was not acknowledged");
                    acked = false;
                    pages += 1;
                    if has_consumer {
                        self.consume(&applier.effects().changes);
                    }
                    Input::Delivered
                }
                Step::AwaitAcknowledgement => {
                    acked = true;
                    Input::Acknowledged
                }
                Step::Commit { expect, record } => {
                    assert!(acked, "invariant 2: a commit before the acknowledgement");
                    if Record::may_follow(self.store.state.as_ref(), expect.as_deref()) {
                        self.check_commit(&record, applier.effects());
                    }
                    if self.store.commit(expect.as_deref(), &record, applier.effects()) {
                        applier.committed(&mut round.report);
                        Input::Committed
                    } else {
                        assert!(rival.is_some(), "nobody else commits");
                        self.count("conflict");
                        Input::Conflict
                    }
                }
                Step::SaveRecord { expect, record } => {
                    if record.phase == Phase::Fresh && record.generation > 0 {
                        restarts += 1;
                        self.count("resync");
                    }
                    if self.store.commit(expect.as_deref(), &record, &PageEffects::default()) {
                        Input::Committed
                    } else {
                        assert!(rival.is_some(), "nobody else commits");
                        Input::Conflict
                    }
                }
                Step::Sweep { after, completed } => {
                    self.count("sweep");
                    let phase = self.store.state.as_ref().map(|state| state.phase);
                    assert!(rival.is_some() || phase == Some(Phase::Sweeping), "invariant 3");
                    let later = self
                        .store
                        .rows
                        .iter()
                        .filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after));
                    let rows: Vec<_> = later.take(CHUNK).map(|(id, row)| (id.clone(), row.clone())).collect();
                    let whole = rows.len() == CHUNK;
                    Input::Swept(applier.sweep(rows, whole, &completed))
                }
                Step::Done => {
                    self.check_end(&round, requests, pages, restarts, faults);
                    self.report = round.report;
                    return End::Done;
                }
                Step::Fail(failure) => {
                    self.check_end(&round, requests, pages, restarts, faults);
                    self.report = round.report;
                    return End::Failed(failure);
                }
            };
        }
        unreachable!()
    }

    /// Invariants 1, 3, 4: what a commit may do.
    fn check_commit(&self, record: &Record, applied: &PageEffects<Value>) {
        let is_ghost = |change: &Change<Value>| match change {
            Change::Remove { reason, old: Some(_), .. } => reason.as_str() == "ghost",
            _ => false,
        };
        let ghosts = applied.changes.iter().any(is_ghost);
        let sweeping = self
            .store
            .state
            .as_ref()
            .is_some_and(|state| state.phase == Phase::Sweeping && state.kind == Kind::Full);
        assert!(!ghosts || sweeping, "invariant 3: a ghost outside a sweep");
        assert!(record.phase != Phase::Fresh, "a page and no link");
        for (id, row) in &applied.put {
            assert!(row.item.is_object(), "{id}");
        }
    }

    /// Invariant 9, and the count.
    fn check_end(&self, round: &Round, requests: u64, pages: u64, restarts: u64, faults: u64) {
        let most = pages + (self.faults() - faults) + restarts + u64::from(round.report.masters) + 10;
        assert!(
            requests <= most,
            "invariant 9: {requests} requests for {pages} pages, {restarts} restarts, {} faults",
            self.faults() - faults
        );
        if let Some(state) = &self.store.state {
            assert_eq!(state.count, Some(self.store.items().count() as u32), "the count of the mirror");
        }
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

    fn fetch(&mut self, url: &str, round: &Round, applier: &mut PageApplier<Value>, master: bool) -> Input {
        let path = url.strip_prefix(ORIGIN).unwrap_or_else(|| panic!("invariant 6: a foreign URL: {url}"));
        let mut request = Request::get(path, &self.token);
        let prefer = round.prefer();
        if !prefer.is_empty() {
            request = request.with("Prefer", &prefer.join(", "));
        }
        let answer = self.world.handle(&request, self.now);
        let cut = answer.cut_after.is_some_and(|at| at < answer.body.len());
        if answer.status == 0 || answer.hang || cut {
            return Input::Unreachable(NoResponse::Network);
        }
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        if answer.status != 200 {
            let mut refusal = Refusal::read(answer.status, body.as_ref());
            refusal.retry_after = answer.header("Retry-After").map(str::to_owned);
            refusal.location = answer.header("Location").map(str::to_owned);
            return Input::Refused(Box::new(refusal));
        }
        let Some(body) = body else {
            return Input::Malformed(Malformed::from_body(&String::from_utf8_lossy(&answer.body)));
        };
        if master {
            self.count("master");
            return if applier.master(body, round.mode().round) {
                Input::Master
            } else {
                Input::Malformed(Malformed::NoId)
            };
        }
        match page::parse(&body) {
            Ok(page) => {
                if let Ok(id) = std::env::var("WATCH") {
                    for item in page
                        .items
                        .iter()
                        .filter(|item| item["id"].as_str().is_some_and(|text| text.contains(&id)))
                    {
                        println!("WATCH {item}");
                    }
                }
                applier.received(page.items);
                Input::Page(page.link)
            }
            Err(why) => Input::Malformed(why),
        }
    }

    /// The items of the mirror, by id.
    pub fn items(&self) -> BTreeMap<String, Value> {
        self.store.items().map(|(id, row)| (id.clone(), row.item.clone())).collect()
    }

    /// Makes the next round a full one, as a refresh would.
    pub fn reset(&mut self) {
        if let Some(state) = &self.store.state {
            self.store.state = Some(state.without_link());
        }
    }

    /// The mirror against the fake's own tables, and a consumer's copy against the mirror.
    pub fn check(&mut self, schedule: &Schedule) {
        let items = self.items();
        let sides = self
            .store
            .rows
            .iter()
            .filter_map(|(id, row)| Some((id.strip_prefix('\0')?.to_owned(), row.item.clone())))
            .collect();
        schedule.check(&mut self.world, &items, &sides);
        for (id, row) in self.store.items() {
            assert!(row.staged.is_none(), "{id}: a set that is not shown");
            if row.item["type"] == "occurrence" {
                let master = row.item["seriesMasterId"].as_str().unwrap();
                assert!(
                    self.store.rows.contains_key(master) || self.store.rows.contains_key(&side_row(master)),
                    "{id}: no master"
                );
            }
        }
        if schedule.followed() {
            let (copied, held): (BTreeSet<&String>, BTreeSet<&String>) =
                (self.copy.keys().collect(), items.keys().collect());
            assert!(
                copied == held,
                "invariant 5: {}: the replay lacks {:?}, has still {:?}",
                self.name,
                &held - &copied,
                &copied - &held
            );
            for (id, item) in &items {
                assert_eq!(self.copy[id], *item, "invariant 5: {}: {id}", self.name);
            }
        }
    }

    /// Whether the world was asked for something that Graph does not have, or with a link that is
    /// not byte for byte its own.
    pub fn check_log(&self) {
        for entry in self.world.log().as_array().into_iter().flatten() {
            assert_ne!(entry["kind"], "unexpected", "{entry}");
            assert_ne!(entry["as_issued"], json!(false), "invariant 7: {entry}");
        }
    }
}
