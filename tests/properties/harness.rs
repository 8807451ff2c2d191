//! A service, a token source and a store that react to a round as a list of reactions says. They
//! check the requests of the round.

use std::collections::HashSet;
use std::iter::Peekable;
use std::rc::Rc;

use deltalink::protocol::backoff::{Policy, WaitReason};
use deltalink::protocol::change::{PageSummary, SweepSummary};
use deltalink::protocol::endpoint::Endpoint;
use deltalink::protocol::error::{Code, Error};
use deltalink::protocol::page::{Link, Malformed};
use deltalink::protocol::query::{self, Options, Query};
use deltalink::protocol::rate::RateLimiter;
use deltalink::protocol::record::{Completed, Phase, Record};
use deltalink::protocol::refusal::Refusal;
use deltalink::protocol::round::{Input, NoResponse, Round, RoundConfig, Step, TokenReason};
use deltalink::protocol::series::SeriesSummary;
use deltalink::protocol::time::{Duration, Instant};
use url::Url;

use crate::driver::{self, Environment};

const NEVER: Instant = Instant::from_millis(0.0);
const NOW: Instant = Instant::from_millis(1_795_000_000_000.0);
const ROOT: &str = "https://graph.microsoft.com/v1.0";
/// Part of every link. No message may contain it.
const SECRET: &str = "s3cr3t";
const JITTER: f64 = 0.37;

/// The maximum number of responses without a page that one round accepts in a row: six attempts at
/// each of the three links that it may fall back to, three at each step of the escalation, two
/// sign-ins, three resets.
const MAX_FAULTS: u64 = 40;

/// How the service, the token source or the store reacts to the round next.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// A page with a nextLink of this name. It is empty, or has an item that makes progress or not.
    Next(u8, Option<bool>),
    /// An empty page with a deltaLink of this name.
    Delta(u8),
    /// A page with this link of [`HOSTILE`], as its nextLink or its deltaLink.
    Hostile(usize, bool),
    /// A refusal: status, index in [`CODES`], `Retry-After` in seconds, claims.
    Refused(u16, usize, Option<u32>, Option<u8>),
    /// No response of the service.
    NoResponse(NoResponse),
    /// A response that is not a page.
    Malformed,
    /// Another query throttles the scope for this many milliseconds.
    Throttled(u32),
    /// No response of the token source.
    NoToken(NoResponse),
    /// The token source wants the user to sign in.
    Interaction,
    /// Another process commits first.
    Conflict,
    /// The store fails.
    NoStore,
    /// The process ends, and another one continues.
    Crash,
}

pub const HOSTILE: [&str; 6] = [
    "https://evil.example/v1.0/contacts/delta?t=s3cr3t",
    "http://graph.microsoft.com/v1.0/contacts/delta?t=s3cr3t",
    "https://graph.microsoft.com@evil.example/?t=s3cr3t",
    "https://graph.microsoft.com.evil.example/?t=s3cr3t",
    "//evil.example/?t=s3cr3t",
    "https://graph.microsoft.com\\@evil.example/?t=s3cr3t",
];

pub const CODES: [&str; 5] = ["", "syncStateNotFound", "resyncRequired", "ErrorItemNotFound", "UnknownError"];

/// Whether the code at this index of [`CODES`] is that of a reset signal.
pub fn is_reset_code(code: usize) -> bool {
    matches!(code, 1 | 2)
}

fn query(kind: u8) -> Query {
    let window = || Options {
        start: Some("2026-11-23".into()),
        end: Some("2026-11-30".into()),
        page_size: Some(400),
        ..Options::default()
    };
    match kind % 3 {
        0 => query::org_contacts(Options::default()),
        1 => query::events(window()),
        _ => query::events(Options { feed: true, ..window() }),
    }
    .unwrap()
}

/// One query with its store, from round to round and from process to process.
pub struct Harness {
    query: Rc<Query>,
    endpoint: Rc<Endpoint>,
    store: Option<Record>,
    pub now: Instant,
    limiter: RateLimiter,
    /// The stored throttle of the scope: its end, and when it was stored.
    stored_throttle: Option<(Instant, Instant)>,
    /// The earliest time at which Graph permits a request.
    floor: Instant,
    /// The `floor` of the next process, if the store failed to store the last throttle: that
    /// process knows only earlier throttles.
    known_floor: Option<Instant>,
    /// Every link that Graph sent.
    sent_links: HashSet<String>,
    /// Whether the last link is one that Graph had sent before.
    is_repeated: bool,
    /// The number of links that [`Self::new_link`] has made.
    new_links: u64,
}

/// How a round ended.
#[derive(Debug)]
pub enum End {
    Done,
    Failed(Box<Error>),
    Crashed,
}

impl Harness {
    pub fn new(kind: u8) -> Self {
        let query = query(kind);
        Self {
            limiter: RateLimiter::new(query.workload),
            query: Rc::new(query),
            endpoint: Rc::new(Endpoint::cloud("global").unwrap()),
            store: None,
            now: NOW,
            stored_throttle: None,
            floor: NEVER,
            known_floor: None,
            sent_links: HashSet::new(),
            is_repeated: false,
            new_links: 0,
        }
    }

    /// Starts another process, which knows only the stored state.
    pub fn reload(&mut self) {
        self.limiter = RateLimiter::new(self.query.workload);
        if let Some((until, at)) = self.stored_throttle {
            self.limiter.adopt_stored(until, at, self.now);
        }
        self.floor = self.known_floor.take().unwrap_or(self.floor);
    }

    pub fn stored_link(&self) -> Option<String> {
        self.store.as_ref().and_then(|record| record.link.clone())
    }

    fn store_throttle(&mut self, until: Instant) {
        self.stored_throttle = Some((until, self.now));
        self.known_floor = None;
    }

    /// Another query of the scope is throttled, and stores the throttle time.
    fn throttle_by_another_query(&mut self, wait: Duration) {
        let until = self.now + wait;
        self.floor = self.floor.max(until);
        self.limiter.throttle(until, self.now);
        self.store_throttle(self.limiter.throttled_until(self.now));
    }

    /// A link that Graph has not sent before.
    fn new_link(&mut self) -> String {
        self.new_links += 1;
        self.link(&format!("new{}", self.new_links))
    }

    fn link(&mut self, name: &str) -> String {
        let link = format!("{ROOT}/contacts/delta?t={SECRET}{name}");
        self.is_repeated = !self.sent_links.insert(link.clone());
        link
    }

    /// Runs one round. The token source, the service and the store each take the next reaction from
    /// the list if it applies to them, and otherwise work without a fault. After the last reaction,
    /// the service sends deltaLinks.
    pub fn round(
        &mut self,
        reactions: &mut Peekable<impl Iterator<Item = Reaction>>,
        max_requests: u64,
    ) -> End {
        let config = RoundConfig {
            endpoint: Rc::clone(&self.endpoint),
            query: Rc::clone(&self.query),
            policy: Policy::default(),
            max_pages: None,
            max_duration: None,
            window: None,
            has_consumer: true,
            asks_caller: false,
        };
        let mut running = Running {
            round: Round::new(config, self.now),
            resume_link: self.resume_link(),
            harness: self,
            reactions,
            max_requests,
            counts: Counts::default(),
            summary: PageSummary::default(),
            retry_after: None,
            has_page: false,
        };
        match driver::run(&mut running, Input::Begin) {
            Some(Step::Done) => End::Done,
            Some(Step::Fail(error)) => {
                assert!(!error.message.contains(SECRET), "invariant 8: {}", error.message);
                End::Failed(error)
            }
            _ => End::Crashed,
        }
    }

    /// The link at which an interrupted round has to continue.
    fn resume_link(&self) -> Option<String> {
        let record = self.store.as_ref()?;
        let is_resumable = record.phase == Phase::Paging && record.no_progress_pages < 3 && !record.restarted;
        record.link.clone().filter(|_| is_resumable)
    }
}

/// The requests of one round and their responses.
#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    pages: u64,
    masters: u64,
    /// Responses without a page, and pages with a link that Graph had sent before.
    faults: u64,
    /// Faults since the last accepted page.
    faults_in_a_row: u64,
    /// Tokens requested because Graph refused one, since the last accepted page.
    sign_ins: u64,
}

/// A running round: the environment of the driver.
struct Running<'a, R: Iterator<Item = Reaction>> {
    harness: &'a mut Harness,
    reactions: &'a mut Peekable<R>,
    round: Round,
    /// The link that the first request must have, if the last round was interrupted.
    resume_link: Option<String>,
    max_requests: u64,
    counts: Counts,
    /// The content of the received page.
    summary: PageSummary,
    /// The wait that the last refusal asks for. The next step must store it.
    retry_after: Option<Duration>,
    /// Whether the last input was a page or a master.
    has_page: bool,
}

impl<R: Iterator<Item = Reaction>> Environment for Running<'_, R> {
    fn round(&mut self) -> &mut Round {
        &mut self.round
    }

    fn stored(&mut self) -> &mut Option<Record> {
        &mut self.harness.store
    }

    fn now(&self) -> Instant {
        self.harness.now
    }

    fn random(&mut self) -> f64 {
        JITTER
    }

    fn before_step(&mut self, input: &Input) -> bool {
        self.harness.now += Duration::from_millis(1.0);
        self.has_page = matches!(input, Input::Page(_) | Input::Master(_));
        true
    }

    fn observe(&mut self, step: &Step) {
        if self.has_page && matches!(step, Step::Apply | Step::SignIn(TokenReason::Next)) {
            self.counts.sign_ins = 0;
            self.counts.faults_in_a_row = 0;
        }
        if let Some(wait) = self.retry_after.take() {
            let earliest = self.harness.now + wait;
            assert!(
                matches!(step, Step::StoreThrottle(until) if *until >= earliest),
                "invariant 10: Graph asks to wait {wait:?}, but the next step is {step:?}"
            );
        }
        match step {
            Step::StoreThrottle(until) => self.harness.limiter.throttle(*until, self.harness.now),
            Step::Commit { record, .. } | Step::SaveRecord { record, .. } => {
                let is_known = record.link.as_ref().is_none_or(|link| self.harness.sent_links.contains(link));
                assert!(is_known, "invariant 7: stored {:?}", record.link);
            }
            _ => {}
        }
    }

    fn store_failure(&mut self, step: &Step) -> Option<Box<Error>> {
        self.reactions.next_if(|reaction| matches!(reaction, Reaction::NoStore))?;
        if matches!(step, Step::StoreThrottle(_)) {
            let floor =
                self.harness.stored_throttle.map_or(NEVER, |(until, _)| until.min(self.harness.floor));
            self.harness.known_floor = Some(floor);
        }
        Some(Error::new(Code::Store, "the disk is gone"))
    }

    fn commits_first(&mut self) -> bool {
        let has_conflict =
            self.reactions.next_if(|reaction| matches!(reaction, Reaction::Conflict)).is_some();
        if has_conflict {
            self.harness.store = self.harness.store.as_ref().map(Record::next_revision);
        }
        has_conflict
    }

    fn sign_in(&mut self, reason: TokenReason) -> Option<Input> {
        match self
            .reactions
            .next_if(|reaction| matches!(reaction, Reaction::NoToken(_) | Reaction::Interaction))
        {
            Some(Reaction::NoToken(no_response)) => return Some(Input::Unreachable(no_response)),
            Some(_) => return Some(Input::StepFailed(Error::new(Code::Interaction, "sign in"))),
            None => {}
        }
        if matches!(reason, TokenReason::Unauthorized | TokenReason::Claims(_)) {
            self.counts.sign_ins += 1;
            assert!(self.counts.sign_ins <= 2, "invariant 9: {:?}", self.counts);
        }
        Some(Input::SignedIn)
    }

    fn fetch(&mut self, url: &str, is_master: bool) -> Option<Input> {
        self.check_url(url);
        if let Some(Reaction::Throttled(ms)) =
            self.reactions.next_if(|reaction| matches!(reaction, Reaction::Throttled(_)))
        {
            self.harness.throttle_by_another_query(Duration::from_millis(f64::from(ms)));
        }
        let harness = &mut *self.harness;
        if harness.limiter.throttled_until(harness.now) <= harness.now {
            harness.now += harness.limiter.reserve(harness.now, JITTER);
        }
        let throttled_until = harness.limiter.throttled_until(harness.now);
        if throttled_until > harness.now {
            return Some(Input::Throttled(throttled_until));
        }
        assert!(
            harness.now >= harness.floor,
            "invariant 10: requested {:?} too early",
            harness.floor - harness.now
        );
        self.counts.requests += 1;
        assert!(self.counts.requests <= self.max_requests, "invariant 9: a round that does not end");
        let input = self.reaction(is_master)?;
        self.record_retry_after(&input);
        self.count(&input);
        Some(input)
    }

    fn apply(&mut self) -> PageSummary {
        std::mem::take(&mut self.summary)
    }

    fn commit(&mut self, _record: &Record) {
        self.counts.pages += 1;
    }

    fn store_throttle(&mut self, until: Instant) {
        self.harness.store_throttle(until);
    }

    fn wait(&mut self, wait: Duration, _reason: WaitReason) -> Option<Input> {
        self.harness.now += wait;
        Some(Input::Slept)
    }

    fn sweep(&mut self, _after: Option<&str>, _completed: &Completed) -> Option<SweepSummary> {
        Some(SweepSummary { has_changes: false, count_delta: 0, after: None, ..SweepSummary::default() })
    }
}

impl<R: Iterator<Item = Reaction>> Running<'_, R> {
    fn check_url(&mut self, url: &str) {
        let origin = Url::parse(url).unwrap().origin().ascii_serialization();
        assert_eq!(origin, "https://graph.microsoft.com", "invariant 6");
        let is_master = url.contains("/events/");
        let is_query = url == self.harness.query.url(&self.harness.endpoint, None);
        assert!(is_query || is_master || self.harness.sent_links.contains(url), "invariant 7: {url}");
        if let Some(link) = self.resume_link.take().filter(|_| !is_master) {
            assert_eq!(url, link, "invariant 15: an interrupted round continues at its link");
        }
    }

    fn record_retry_after(&mut self, input: &Input) {
        if let Input::Refused(refusal) = input
            && matches!(refusal.status, 408 | 429 | 500 | 502..=509)
            && let Some(seconds) = &refusal.retry_after
        {
            let wait = Duration::from_millis(seconds.parse::<f64>().unwrap() * 1000.0);
            self.retry_after = Some(wait).filter(|wait| *wait > Duration::ZERO);
            self.harness.floor = self.harness.floor.max(self.harness.now + wait);
        }
    }

    fn count(&mut self, input: &Input) {
        match input {
            Input::Master(_) => self.counts.masters += 1,
            Input::Page(link) if link.url().starts_with(ROOT) && !self.harness.is_repeated => {}
            _ => {
                self.counts.faults += 1;
                self.counts.faults_in_a_row += 1;
            }
        }
        if matches!(input, Input::Page(_) | Input::Master(_)) {
            self.harness.limiter.raise_limit();
        }
        let Counts { requests, pages, masters, faults, faults_in_a_row, .. } = self.counts;
        assert!(faults_in_a_row <= MAX_FAULTS, "invariant 9: {:?}", self.counts);
        assert!(requests <= pages + faults + masters + 10, "invariant 9: {:?}", self.counts);
    }

    /// The reaction to a request. `None` if the process ends.
    fn reaction(&mut self, is_master: bool) -> Option<Input> {
        let harness = &mut *self.harness;
        Some(
            match self
                .reactions
                .next_if(|reaction| !matches!(reaction, Reaction::Conflict | Reaction::NoStore))
            {
                None | Some(Reaction::Next(..) | Reaction::Delta(_) | Reaction::Hostile(..)) if is_master => {
                    Input::Master(SeriesSummary::default())
                }
                None => {
                    self.summary = PageSummary { items: 1, made_progress: true, ..PageSummary::default() };
                    let link = harness.new_link();
                    Input::Page(if self.reactions.peek().is_some() {
                        Link::Next(link)
                    } else {
                        Link::Delta(link)
                    })
                }
                Some(Reaction::Next(name, item)) => {
                    let made_progress = item == Some(true);
                    self.summary = PageSummary {
                        items: u32::from(item.is_some()),
                        made_progress,
                        ..PageSummary::default()
                    };
                    if made_progress && name % 5 == 0 {
                        self.summary.missing_masters.push(format!("m{name}"));
                        self.summary.new_ids.push(format!("f{name}"));
                    }
                    Input::Page(Link::Next(harness.link(&name.to_string())))
                }
                Some(Reaction::Delta(name)) => {
                    self.summary = PageSummary::default();
                    Input::Page(Link::Delta(harness.link(&name.to_string())))
                }
                Some(Reaction::Hostile(index, is_next)) => {
                    let link = HOSTILE[index].to_owned();
                    Input::Page(if is_next { Link::Next(link) } else { Link::Delta(link) })
                }
                Some(Reaction::Refused(status, code, seconds, claims)) => {
                    let codes = if CODES[code].is_empty() { vec![] } else { vec![CODES[code].to_owned()] };
                    Input::Refused(Box::new(Refusal {
                        status,
                        codes,
                        retry_after: seconds.map(|seconds| seconds.to_string()),
                        claims: claims.map(|claims| format!("{{\"a\":{claims}}}")),
                        message: Some(format!("at {ROOT}/contacts/delta?t={SECRET}{}", "x".repeat(60))),
                        ..Refusal::default()
                    }))
                }
                Some(Reaction::NoResponse(no_response)) => Input::Unreachable(no_response),
                Some(Reaction::Malformed) => Input::Malformed(Malformed::NotJson),
                Some(Reaction::Crash) => return None,
                Some(other) => unreachable!("{other:?} is not a reaction to a request"),
            },
        )
    }
}
