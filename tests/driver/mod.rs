//! Drives rounds in tests: executes each step in an [`Environment`] and feeds the result back, like
//! the shell of the wasm. Checks the invariants that hold in every environment. CONTRIBUTING.md
//! lists the invariants.
//!
//! The model test, the properties and the anomalies use it, and so do the unit tests in
//! `src/protocol/round/tests`. Those include this file by its path, so it takes the crate from
//! `super::protocol`.

use super::protocol::backoff::WaitReason;
use super::protocol::change::{PageSummary, SweepSummary};
use super::protocol::error::{Code, Error};
use super::protocol::record::{Completed, Record};
use super::protocol::round::{Decision, Delivery, Input, Request, Round, Step, TokenReason};
use super::protocol::time::{Duration, Instant};

/// The steps after which a round counts as endless.
const MAX_STEPS: u32 = 400_000;

/// The environment of a round: a clock, a store, a token source, a service, a consumer.
///
/// A method that executes a step returns `None` to leave it open, and [`run`] returns that step:
/// the process ends there, or the test decides how to continue. The default methods are those of an
/// environment without faults.
pub trait Environment {
    /// The round.
    fn round(&mut self) -> &mut Round;

    /// The stored record.
    fn stored(&mut self) -> &mut Option<Record>;

    /// The time.
    fn now(&self) -> Instant;

    /// The jitter of the next step, in `0.0..1.0`.
    fn random(&mut self) -> f64 {
        0.5
    }

    /// Called before each input. `false` ends the process.
    fn before_step(&mut self, _input: &Input) -> bool {
        true
    }

    /// Called with each step before it is executed.
    fn observe(&mut self, _step: &Step) {}

    /// The failure of the store at a step that reads or writes it.
    fn store_failure(&mut self, _step: &Step) -> Option<Box<Error>> {
        None
    }

    /// Whether another process commits right before this one does.
    fn commits_first(&mut self) -> bool {
        false
    }

    /// Whether another process may have committed during this round.
    fn has_rival(&self) -> bool {
        false
    }

    /// Takes the stored record before the round does.
    fn loaded(&mut self, _record: Option<&Record>) {}

    /// Gets a token.
    fn sign_in(&mut self, _reason: TokenReason) -> Option<Input> {
        Some(Input::SignedIn)
    }

    /// Requests a page, or with `is_master` a series master.
    fn fetch(&mut self, url: &str, is_master: bool) -> Option<Input>;

    /// Requests a page before the round needs it, and keeps the response for [`Self::receive`].
    /// Returns `false` if this environment sends no requests ahead.
    fn request_ahead(&mut self, _request: &Request) -> bool {
        false
    }

    /// Drops all kept responses except the first `needed`.
    fn drop_ahead(&mut self, _needed: usize) {}

    /// The nextLink in the beginning of the page that was requested ahead.
    fn next_link_ahead(&self) -> Option<String> {
        None
    }

    /// Takes the first of the kept responses.
    fn receive(&mut self) -> Option<Input> {
        panic!("no page was requested ahead")
    }

    /// Applies the received page.
    fn apply(&mut self) -> PageSummary;

    /// Delivers the applied page.
    fn deliver(&mut self, _delivery: Delivery) -> Option<Input> {
        Some(Input::Delivered)
    }

    /// Commits the applied page. The driver stores the record afterwards.
    fn commit(&mut self, _record: &Record) {}

    /// Called before a record is stored without a page.
    fn save_record(&mut self, _record: &Record) {}

    /// Stores the fetched series masters. The driver stores the record afterwards.
    fn save_masters(&mut self, _record: &Record) {}

    /// Called when another process has committed first.
    fn conflicted(&mut self) {}

    /// Stores the end of a throttle.
    fn store_throttle(&mut self, until: Instant);

    /// Waits.
    fn wait(&mut self, wait: Duration, reason: WaitReason) -> Option<Input>;

    /// Decides about a failure, as the caller's `onError`.
    fn decide(&mut self, _error: &Error) -> Decision {
        Decision::Stop
    }

    /// Sweeps the next chunk of the mirror.
    fn sweep(&mut self, after: Option<&str>, completed: &Completed) -> Option<SweepSummary>;
}

/// Runs a round from `input` on. Returns the step at which it stops: `Done`, `Fail`, or one that
/// the environment leaves open. `None` if the environment ended the process between two steps.
pub fn run(environment: &mut impl Environment, mut input: Input) -> Option<Step> {
    let mut is_acknowledged = input != Input::Delivered;
    for _ in 0..MAX_STEPS {
        if !environment.before_step(&input) {
            return None;
        }
        let (now, random) = (environment.now(), environment.random());
        let step = environment.round().step(input, now, random);
        let needed = environment.round().needed_ahead(&step);
        environment.drop_ahead(needed);
        environment.observe(&step);
        if uses_store(&step)
            && let Some(error) = environment.store_failure(&step)
        {
            input = Input::StepFailed(error);
            continue;
        }
        match &step {
            Step::Deliver(_) => {
                assert!(
                    is_acknowledged,
                    "invariant 2: a page is delivered before the last one is acknowledged"
                );
                is_acknowledged = false;
            }
            Step::AwaitAcknowledgement => is_acknowledged = true,
            Step::Commit { .. } => {
                assert!(is_acknowledged, "invariant 2: a page is committed before its acknowledgement")
            }
            Step::StoreThrottle(until) => assert!(*until > now, "a throttle ends in the past: {until:?}"),
            Step::Sleep(wait, _) => {
                assert!(*wait >= Duration::ZERO && wait.as_millis().is_finite(), "a wait of {wait:?}");
            }
            Step::Fail(error) => {
                assert!(error.code != Code::Internal && !error.message.is_empty(), "{error:?}");
            }
            _ => {}
        }
        let request = match &step {
            Step::Apply => environment.round().next_request(now),
            Step::Commit { .. } => environment
                .next_link_ahead()
                .and_then(|next| environment.round().next_request_beyond(&next, now)),
            _ => None,
        };
        if let Some(request) = request.filter(|request| environment.request_ahead(request)) {
            environment.round().sent_ahead(request);
        }
        match execute(environment, &step) {
            Some(next) => input = next,
            None => return Some(step),
        }
    }
    panic!("a round of more than {MAX_STEPS} steps");
}

fn uses_store(step: &Step) -> bool {
    matches!(
        step,
        Step::Load
            | Step::Apply
            | Step::Commit { .. }
            | Step::SaveRecord { .. }
            | Step::SaveMasters { .. }
            | Step::StoreThrottle(_)
            | Step::Sweep { .. }
    )
}

/// Executes a step. `None` if the environment leaves it open, or it ends the round.
fn execute(environment: &mut impl Environment, step: &Step) -> Option<Input> {
    match step {
        Step::Load => {
            let record = environment.stored().clone();
            environment.loaded(record.as_ref());
            Some(Input::Loaded(record.map(Box::new)))
        }
        Step::SignIn(reason) => environment.sign_in(reason.clone()),
        Step::Fetch(url) => environment.fetch(url, false),
        Step::FetchMaster(url) => environment.fetch(url, true),
        Step::Receive => environment.receive(),
        Step::StoreThrottle(until) => {
            environment.store_throttle(*until);
            Some(Input::ThrottleStored)
        }
        Step::Sleep(wait, reason) => environment.wait(*wait, *reason),
        Step::Apply => Some(Input::Applied(Box::new(environment.apply()))),
        Step::Deliver(delivery) => environment.deliver(*delivery),
        Step::AwaitAcknowledgement => Some(Input::Acknowledged),
        Step::Commit { expect, record } => {
            let is_current = may_store(environment, expect.as_deref());
            if is_current {
                environment.commit(record);
            }
            Some(store(environment, is_current, record))
        }
        Step::SaveRecord { expect, record } => {
            environment.save_record(record);
            let is_current = may_store(environment, expect.as_deref());
            Some(store(environment, is_current, record))
        }
        Step::SaveMasters { expect, record } => {
            let is_current = may_store(environment, expect.as_deref());
            if is_current {
                environment.save_masters(record);
            }
            Some(store(environment, is_current, record))
        }
        Step::Sweep { after, completed } => environment.sweep(after.as_deref(), completed).map(Input::Swept),
        Step::AskCaller(error) => Some(Input::Decided(environment.decide(error))),
        Step::Done | Step::Fail(_) => None,
    }
}

/// Compares the stored revision with the one that a step expects. Only another process may have
/// changed it.
fn may_store(environment: &mut impl Environment, expect: Option<&str>) -> bool {
    let is_current = Record::may_follow(environment.stored().as_ref(), expect);
    assert!(
        is_current || environment.has_rival(),
        "invariant 11: {expect:?} is expected, but {:?}",
        environment.stored()
    );
    is_current && !environment.commits_first()
}

/// Stores a record as a real store would return it.
fn store(environment: &mut impl Environment, is_current: bool, record: &Record) -> Input {
    if !is_current {
        environment.conflicted();
        return Input::Conflict;
    }
    *environment.stored() = Some(Record::read(serde_json::to_value(record).unwrap()).unwrap());
    Input::Committed
}
