//! Tests of the rules of a round, one file per group. A test feeds inputs to the state machine and
//! checks its steps.

use super::*;
use crate::protocol;
use crate::protocol::change::{PageSummary, SweepSummary};
use crate::protocol::query::{self, Options};
use crate::protocol::record::Phase;
use crate::protocol::report::Wait;

mod ahead;
mod caller;
mod course;
#[path = "../../../../tests/driver/mod.rs"]
mod driver;
mod mirror;
mod page_size;
mod progress;
mod refusals;
mod resync;
mod sign_in;
mod size;
mod table;
mod waits;

use driver::Environment;

const NOW: Instant = Instant::from_millis(1_795_000_000_000.0);
const HALF: f64 = 0.5;

const fn ms(ms: f64) -> Duration {
    Duration::from_millis(ms)
}

fn config(query: Query) -> RoundConfig {
    RoundConfig {
        endpoint: Endpoint::cloud("global").unwrap().into(),
        query: query.into(),
        policy: Policy::default(),
        max_pages: None,
        max_duration: None,
        window: None,
        has_consumer: false,
        asks_caller: false,
    }
}

fn contacts() -> Query {
    query::org_contacts(Options::default()).unwrap()
}

fn events() -> Query {
    query::events(Options {
        start: Some("2026-11-23".into()),
        end: Some("2026-11-30".into()),
        page_size: Some(50),
        ..Options::default()
    })
    .unwrap()
}

fn link(name: &str) -> String {
    format!("https://graph.microsoft.com/v1.0/contacts/delta?t={name}")
}

fn next(name: &str) -> Input {
    Input::Page(Link::Next(link(name)))
}

fn delta(name: &str) -> Input {
    Input::Page(Link::Delta(link(name)))
}

fn refused(status: u16, code: &str) -> Input {
    let codes = if code.is_empty() { vec![] } else { vec![code.to_owned()] };
    Input::Refused(Box::new(Refusal { status, codes, ..Refusal::default() }))
}

/// A 401 that asks for claims.
fn claims_challenge(claims: &str) -> Input {
    Input::Refused(Box::new(Refusal { status: 401, claims: Some(claims.into()), ..Refusal::default() }))
}

/// A 429 with this `Retry-After`.
fn throttled(seconds: &str) -> Input {
    Input::Refused(Box::new(Refusal { status: 429, retry_after: Some(seconds.into()), ..Refusal::default() }))
}

/// A page of one new item.
fn one() -> PageSummary {
    PageSummary { items: 1, made_progress: true, count_delta: 1, ..PageSummary::default() }
}

/// A state machine with a store.
struct Harness {
    round: Round,
    store: Option<Record>,
    now: Instant,
    requests: Vec<String>,
    /// Whether the next page is requested while the current one is applied.
    looks_ahead: bool,
    /// The nextLink in the beginning of the page that was requested ahead.
    next_link_ahead: Option<String>,
    /// The throttle times that the round stored.
    throttles: Vec<Instant>,
    /// The summary of the next page.
    summary: PageSummary,
    /// The decisions of the caller about each failure; after the last one it stops the round.
    decisions: Vec<Decision>,
    /// The codes of the failures that the caller was asked about.
    failures: Vec<Code>,
}

impl Harness {
    fn new(query: Query, store: Option<Record>) -> Self {
        Self {
            round: Round::new(config(query), NOW),
            store,
            now: NOW,
            requests: Vec::new(),
            looks_ahead: false,
            next_link_ahead: None,
            throttles: Vec::new(),
            summary: one(),
            decisions: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn step(&mut self, input: Input) -> Step {
        self.round.step(input, self.now, HALF)
    }

    /// Runs the round from this input to the next step that needs a decision of the test: a
    /// request, a new token, a delivery, a wait, a sweep or the end.
    fn on(&mut self, input: Input) -> Step {
        match driver::run(self, input).unwrap() {
            Step::FetchMaster(url) => Step::Fetch(url),
            step => step,
        }
    }

    fn begin(&mut self) -> Step {
        self.on(Input::Begin)
    }

    /// Sends a page to the round. It is delivered and acknowledged at once.
    fn page(&mut self, input: Input) -> Step {
        let delivered = self.on(input);
        assert!(matches!(delivered, Step::Deliver(_)), "{delivered:?}");
        self.on(Input::Delivered)
    }

    /// A new round on the same store.
    fn again(&self, query: Query) -> Self {
        Self { now: self.now, ..Self::new(query, self.store.clone()) }
    }
}

impl Environment for Harness {
    fn round(&mut self) -> &mut Round {
        &mut self.round
    }

    fn stored(&mut self) -> &mut Option<Record> {
        &mut self.store
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn sign_in(&mut self, reason: TokenReason) -> Option<Input> {
        matches!(reason, TokenReason::Start | TokenReason::Next).then_some(Input::SignedIn)
    }

    fn fetch(&mut self, url: &str, _is_master: bool) -> Option<Input> {
        self.requests.push(url.rsplit("v1.0").next().unwrap_or_default().to_owned());
        None
    }

    fn request_ahead(&mut self, request: &Request) -> bool {
        if self.looks_ahead {
            self.requests.push(format!("ahead {}", request.url.rsplit("v1.0").next().unwrap_or_default()));
        }
        self.looks_ahead
    }

    fn next_link_ahead(&self) -> Option<String> {
        self.next_link_ahead.clone()
    }

    fn receive(&mut self) -> Option<Input> {
        None
    }

    fn apply(&mut self) -> PageSummary {
        std::mem::replace(&mut self.summary, one())
    }

    fn deliver(&mut self, _delivery: Delivery) -> Option<Input> {
        None
    }

    fn store_throttle(&mut self, until: Instant) {
        self.throttles.push(until);
    }

    fn wait(&mut self, _wait: Duration, reason: WaitReason) -> Option<Input> {
        (reason == WaitReason::Resync).then_some(Input::Slept)
    }

    fn decide(&mut self, error: &Error) -> Decision {
        self.failures.push(error.code);
        if self.decisions.is_empty() { Decision::Stop } else { self.decisions.remove(0) }
    }

    fn sweep(&mut self, _after: Option<&str>, _completed: &Completed) -> Option<SweepSummary> {
        None
    }
}

fn failure(step: Step) -> Error {
    match step {
        Step::Fail(failure) => *failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn idle() -> Record {
    Record {
        phase: Phase::Idle,
        link: Some(link("d0")),
        generation: 1,
        full_at: Some(NOW),
        synced_at: Some(NOW),
        ..Record::new(NOW, HALF)
    }
}

fn name(step: &Step) -> String {
    match step {
        Step::Load => "load".into(),
        Step::SignIn(token_reason) => format!("sign in {token_reason:?}"),
        Step::Fetch(_) => "fetch".into(),
        Step::Receive => "receive".into(),
        Step::Sleep(_, reason) => format!("sleep {reason:?}"),
        Step::Deliver(_) => "deliver".into(),
        Step::AwaitAcknowledgement => "await".into(),
        Step::Commit { .. } => "commit".into(),
        Step::SaveRecord { .. } => "save record".into(),
        Step::SaveMasters { .. } => "save masters".into(),
        Step::FetchMaster(_) => "fetch master".into(),
        Step::StoreThrottle(_) => "store throttle".into(),
        Step::Apply => "apply".into(),
        Step::Sweep { .. } => "sweep".into(),
        Step::AskCaller(failure) => format!("ask about {}", failure.code.as_str()),
        Step::Done => "done".into(),
        Step::Fail(failure) => failure.code.as_str().into(),
    }
}

fn applied() -> Input {
    Input::Applied(Box::new(one()))
}

/// The refusal of the last request, if it was for one of these links.
fn refused_link(harness: &Harness, links: &[&str]) -> Option<Input> {
    let last = harness.requests.last().unwrap();
    links.iter().any(|link| last.ends_with(link)).then(|| refused(400, "ErrorInvalidUrlQuery"))
}

/// Runs a round to its end. `response` makes the response to each request.
fn until_over(harness: &mut Harness, mut response: impl FnMut(&mut Harness) -> Input) -> Step {
    let mut step = harness.begin();
    for _ in 0..20_000 {
        step = match step {
            Step::Fetch(_) => {
                let input = response(harness);
                harness.on(input)
            }
            Step::Deliver(_) => harness.on(Input::Delivered),
            Step::Sleep(span, _) => {
                harness.now += span;
                harness.on(Input::Slept)
            }
            Step::Sweep { .. } => harness.on(Input::Swept(SweepSummary {
                has_changes: false,
                count_delta: 0,
                after: None,
                ..SweepSummary::default()
            })),
            end => return end,
        };
    }
    panic!("the round does not end: {step:?}");
}
