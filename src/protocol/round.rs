//! One round as a state machine: no I/O, no clock, no JavaScript. The shell reports an [`Input`] to
//! [`Round::step`] and executes the [`Step`] that it returns.
//!
//! ```text
//!            Begin           Loaded                SignedIn            Page              Applied
//!   Start ──────────► Loading ────────► SigningIn ─────────► Fetching ──────► Applying ─────────► Delivering
//!                     │   │               ▲  ▲  ▲              │ │ │ ▲            │  │              │ Delivered
//!                     │   │         Slept │  │  │ 401, ≤ 2 ×   │ │ │ └────────────┘  │              ▼
//!                     │   │       Sleeping┘  │  └──────────────┘ │ │ series masters  │           Awaiting
//!                     │   │          ▲       │ Committed         │ │                 │              │ Acknowledged
//!                     │   │          └───────┼───────────────────┘ │                 │              ▼
//!                     │   │  429, 5xx, no    Saving ◄──────────────┴─────────────────┘          Committing
//!                     │   │  response, no page reset signal, link refused, ids to deliver           │ Committed
//!                     │   │ sweeping                                                                ▼
//!                     │   └────────────────► Sweeping ── Swept ──► Delivering      more pages: SigningIn
//!                     ▼                         ▲                                  rows to sweep: Sweeping
//!                 any defect: Ended             └─────────────────────────────────── else: Ended
//! ```
//!
//! | file | content |
//! |---|---|
//! | this one | states, inputs, steps, and every transition between states |
//! | `resume.rs` | where a round starts, as its record says |
//! | `attempts.rs` | the current request: failures, back-off, throttles, sign-ins |
//! | `ahead.rs` | the requests for the next pages that are sent ahead |
//! | `pages.rs` | a page from its link to its commit; the sweep |
//! | `progress.rs` | cycles of links, pages without progress, page sizes |
//! | `resync.rs` | refused links and reset signals |
//! | `caller.rs` | failures that the caller decides about |
//! | `explain.rs` | the error message of a refusal |
//!
//! `Awaiting` is `AwaitingAcknowledgement` and `Saving` is `SavingRecord`. Before a sleep that
//! Graph asked for, and before an end with `throttled`, the throttle time is stored (state
//! `StoringThrottle`). A failure may first go to `options.onError` (state `AskingCaller`).
//!
//! The rules. Numbers in parentheses are the invariants of CONTRIBUTING.md, which the assertions of
//! `tests/properties/` and `tests/model/` name too.
//!
//! 1. A page is committed together with its link, after its acknowledgement, or not at all (1, 2).
//! 2. A round continues where the record says: at the nextLink, at the deltaLink, in the sweep, or
//!    at the query itself.
//! 3. Every link is checked before it is stored and again before it is requested (6). It is never
//!    rebuilt (7).
//! 4. Failures leave the stored link as it is (14). Failures are counted per page.
//! 5. After a 401 the round asks the token source for another token; after a 401 or 403 with
//!    claims, for a token that satisfies them. It asks at most twice per page, and only once for
//!    the same reason.
//! 6. After 408, 429, 5xx or no response the request is retried. `Retry-After` is the minimum wait
//!    (10), `retry.attempts` the maximum number of attempts (9). A throttle time is stored and
//!    holds for the whole throttling scope. Without a network the round waits for one, for at most
//!    `retry.maxWait`. After two failures with 503, 504, 408 or a timeout the page size is halved;
//!    it grows back later.
//! 7. A reset signal counts only on a request made with a link. It is stored at once, so that a
//!    crash does not request the dead link again. It starts a full round of the next generation
//!    from the query itself; for drives, lists and sites from the `Location` if that works. The
//!    fourth reset within a day without a complete round ends in `resync-loop` (15).
//! 8. A full round over an older generation ends with a sweep of ghosts. A round that finds moved
//!    series, or items of a drive with equal names, ends with a sweep of those. Only the record of
//!    a completed round grants the right to sweep (3).
//! 9. A round that starts from `latest` or a timestamp is incremental from its first page. A reset
//!    ends it: starting from the same token again would hide the gap.
//! 10. A round that makes no progress escalates (9). No progress means nextLinks in a cycle, three
//!     consecutive pages with items but nothing new, or too many empty pages. The page size is
//!     quadrupled up to 1000; then a full round starts; then the round ends in `livelock`. The
//!     counts are stored, so a reload does not reset them.
//! 11. A link that Graph refuses for good ends the round. At the third consecutive refusal of this
//!     kind the round falls back to the deltaLink that it began with, then to the query itself. The
//!     stored link stays until one of them brings a page: an outage loses nothing (15).
//! 12. Series masters that occurrences name and the round has not received are fetched before the
//!     last page is delivered. The round completes without a master that cannot be fetched.
//! 13. Ids new to the mirror are stored before a consumer receives them. If the consumer never
//!     acknowledges them and the items disappear, their removal is still announced (5).
//! 14. The next page may be requested as soon as its link has arrived. If the round then
//!     needs another request, this one is abandoned; the report counts it (9).

use std::collections::VecDeque;
use std::rc::Rc;

use super::backoff::{Policy, WaitReason};
use super::change::{ApplyMode, ItemFormat, PageSummary, SweepSummary};
use super::endpoint::Endpoint;
use super::error::{Code, Error};
use super::page::{Link, Malformed};
use super::query::{Query, Top};
use super::record::{Completed, Fallback, Kind, Record};
use super::refusal::Refusal;
use super::report::{Outcome, Report};
use super::resource::PageSize;
use super::series::SeriesSummary;
use super::time::{Duration, Instant};

/// The message of an error that only a defect of the shell can cause.
pub const UNEXPECTED_INPUT: &str = "the shell reported an input that the round did not expect";

mod ahead;
mod attempts;
mod caller;
mod explain;
mod pages;
mod progress;
mod resume;
mod resync;

pub use ahead::Request;
use attempts::Attempts;
pub use caller::Decision;
use caller::Resume;
use progress::LinkCycle;

/// An event that the shell reports to the round.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The round may start.
    Begin,
    /// The stored record, or `None` if nothing is stored.
    Loaded(Option<Box<Record>>),
    /// The token source returned a token.
    SignedIn,
    /// A page arrived, with this link.
    Page(Link),
    /// Graph responded with an error status.
    Refused(Box<Refusal>),
    /// Graph, or the token source, gave no complete response.
    Unreachable(NoResponse),
    /// The request that was sent ahead had an older token than the round has now, and Graph refused
    /// that older token. The response says nothing about the current one.
    Outdated,
    /// The throttling scope is throttled until this instant; nothing was sent.
    Throttled(Instant),
    /// The token source asks to be called again, not before this instant.
    TokenSourceBusy(Instant),
    /// A successful response that is not a page.
    Malformed(Malformed),
    /// The page is applied and can be delivered.
    Applied(Box<PageSummary>),
    /// The series master arrived.
    Master(SeriesSummary),
    /// The wait is over.
    Slept,
    /// The consumer has the page.
    Delivered,
    /// The consumer acknowledged the page.
    Acknowledged,
    /// The record is stored.
    Committed,
    /// The throttle time is stored.
    ThrottleStored,
    /// Another revision was stored in the meantime.
    Conflict,
    /// A chunk of the mirror was swept.
    Swept(SweepSummary),
    /// The caller has decided about a failure.
    Decided(Decision),
    /// The step could not be executed, because the store or the token source failed.
    StepFailed(Box<Error>),
}

/// Why no response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// The reason is unknown.
    Network,
    /// The host has no network.
    Offline,
    /// Nothing arrived for too long.
    Timeout,
}

/// Why a token is requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenReason {
    /// For the first request of the round.
    Start,
    /// For a later request: a cached token will do if it is still valid.
    Next,
    /// Graph refused the last token.
    Unauthorized,
    /// Graph requires a token that satisfies these claims.
    Claims(String),
}

/// The position of a delivered page in its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The kind of the round.
    pub kind: Kind,
    /// The number of full rounds, this one included.
    pub generation: u32,
    /// The index of the page in the round.
    pub index: u32,
    /// Whether it is the last page of the round.
    pub last: bool,
}

/// The next action of the shell, and the input that it reports afterwards.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Load the record: `Loaded`.
    Load,
    /// Get a token: `SignedIn`, `Unreachable` or `TokenSourceBusy`.
    SignIn(TokenReason),
    /// Request a page at this URL with the token and the Prefer values: `Page`, `Refused`,
    /// `Unreachable`, `Malformed` or `Throttled`.
    Fetch(String),
    /// Wait for the response to the request that was sent ahead: as for `Fetch`, or `Outdated`.
    Receive,
    /// Request one series master at this URL: `Master`, `Refused`, `Unreachable`, `Malformed` or
    /// `Throttled`.
    FetchMaster(String),
    /// Store the throttle time of the scope: `ThrottleStored`.
    StoreThrottle(Instant),
    /// Apply the page to the rows of the mirror: `Applied`.
    Apply,
    /// Wait: `Slept`.
    Sleep(Duration, WaitReason),
    /// Hand the page to the consumer: `Delivered`.
    Deliver(Delivery),
    /// Wait for the acknowledgement of the consumer: `Acknowledged`.
    AwaitAcknowledgement,
    /// Store the delivered page and this record in one transaction if the stored revision is
    /// `expect`: `Committed` or `Conflict`.
    Commit {
        /// The revision that must be stored before the commit.
        expect: Option<String>,
        /// The record to store.
        record: Box<Record>,
    },
    /// Store the series masters that were fetched and this record, if the stored revision is
    /// `expect`: `Committed` or `Conflict`.
    SaveMasters {
        /// The revision that must be stored before the commit.
        expect: Option<String>,
        /// The record to store.
        record: Box<Record>,
    },
    /// Store this record without items if the stored revision is `expect`: `Committed` or
    /// `Conflict`.
    SaveRecord {
        /// The revision that must be stored before the commit.
        expect: Option<String>,
        /// The record to store.
        record: Box<Record>,
    },
    /// Sweep the next chunk of the mirror, after this id: `Swept`.
    Sweep {
        /// The last id that was swept.
        after: Option<String>,
        /// The right to sweep.
        completed: Completed,
    },
    /// Ask the caller what to do about this error: `Decided`.
    AskCaller(Box<Error>),
    /// The round has ended: complete, or at a limit of the caller.
    Done,
    /// The round has ended with an error.
    Fail(Box<Error>),
}

/// The configuration of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundConfig {
    /// The root of Graph.
    pub endpoint: Rc<Endpoint>,
    /// The query.
    pub query: Rc<Query>,
    /// Attempts and waits of a request.
    pub policy: Policy,
    /// The number of committed pages after which the round stops.
    pub max_pages: Option<u32>,
    /// The time after which the round requests no further page.
    pub max_duration: Option<Duration>,
    /// The window of a rolling calendar today, `start/end`.
    pub window: Option<String>,
    /// Whether a consumer receives the items.
    pub has_consumer: bool,
    /// Whether the caller decides about failures, by `options.onError`.
    pub asks_caller: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Start,
    Loading,
    SigningIn,
    Fetching,
    Sleeping(Resume),
    Applying,
    SavingRecord(Box<Record>, Box<Continuation>),
    StoringThrottle(Box<Continuation>),
    Delivering(Box<Record>),
    AwaitingAcknowledgement(Box<Record>),
    Committing(Box<Record>),
    Sweeping(Completed),
    AskingCaller(Box<Error>, Resume),
    Ended,
}

/// The next step after a record or a throttle time is stored.
#[derive(Clone, Debug, PartialEq)]
enum Continuation {
    Request,
    Prepare,
    Deliver,
    /// Waits for this long, counted from the instant.
    Sleep(Duration, WaitReason, Instant),
    Fail(Box<Error>),
    GiveUp(Box<Error>),
    Resync(Box<Refusal>, Duration),
}

/// A page that was applied and is not delivered yet.
#[derive(Clone, Debug, PartialEq)]
struct Pending {
    record: Record,
    /// Whether the page carries the deltaLink.
    is_final_page: bool,
    /// Ids new to the mirror.
    new_ids: Vec<String>,
    /// Whether the page did not arrive at the first attempt.
    had_failures: bool,
}

/// Series masters that have arrived and are not stored yet.
#[derive(Clone, Debug, Default)]
struct UnsavedMasters {
    ids: Vec<String>,
    /// The series that have moved or may have moved, as these masters show.
    series: SeriesSummary,
}

/// The target of the next request.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// The query itself.
    Query,
    /// A stored link.
    Link(String),
    /// The `Location` of a reset, already checked.
    Location(String),
    /// A series master, by its id.
    Master(String),
}

/// The position of a round.
#[derive(Clone, Debug)]
struct Position {
    kind: Kind,
    generation: u32,
    /// The number that the rows of this round carry.
    round_number: u32,
    /// The index of the current page.
    page_index: u32,
    /// The deltaLink that the round began with.
    start_link: Option<String>,
    /// The window of a rolling calendar when the round began, `start/end`.
    window: Option<String>,
    /// The fallback of the round.
    fallback: Fallback,
}

impl Position {
    fn new() -> Self {
        Self {
            kind: Kind::Full,
            generation: 0,
            round_number: 0,
            page_index: 0,
            start_link: None,
            window: None,
            fallback: Fallback::None,
        }
    }
}

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    config: RoundConfig,
    state: State,
    /// The stored record, with changes in memory that the next commit stores.
    record: Record,
    is_stored: bool,
    target: Target,
    position: Position,
    pending: Option<Pending>,
    started_at: Instant,
    cycle: LinkCycle,
    attempts: Attempts,
    /// The requests of the next pages that were sent already, in their order.
    ahead: VecDeque<Request>,
    /// Where the round continues if the current step fails and the caller decides to retry.
    resume: Option<Resume>,
    /// Whether the page size has changed since the record was stored.
    page_size_changed: bool,
    /// Whether a series master could not be fetched.
    has_failed_masters: bool,
    unsaved_masters: UnsavedMasters,
    /// Whether the query is requested without `$top`, because pages with it had no link.
    omits_top: bool,
    /// The report so far.
    pub report: Report,
}

impl Round {
    /// A round that has not begun.
    pub fn new(config: RoundConfig, now: Instant) -> Self {
        Self {
            config,
            state: State::Start,
            record: Record::new(now, 0.0),
            is_stored: false,
            target: Target::Query,
            position: Position::new(),
            pending: None,
            started_at: now,
            cycle: LinkCycle::default(),
            attempts: Attempts::new(now),
            ahead: VecDeque::new(),
            resume: None,
            page_size_changed: false,
            has_failed_masters: false,
            unsaved_masters: UnsavedMasters::default(),
            omits_top: false,
            report: Report::new(now),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &RoundConfig {
        &self.config
    }

    /// The record as last read or written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How the current page is applied.
    pub fn mode(&self) -> ApplyMode<'_> {
        let query = &self.config.query;
        ApplyMode {
            round: self.position.round_number,
            started_at: self.pending.as_ref().map_or(&self.record, |pending| &pending.record).started_at,
            page_index: self.position.page_index,
            is_full_round: self.position.kind == Kind::Full,
            format: ItemFormat {
                minimal: query.minimal || self.pending.as_ref().is_some_and(|pending| pending.record.minimal),
                ..query.item_format()
            },
            has_mirror: query.has_mirror,
            has_consumer: self.config.has_consumer,
            is_final_page: self.pending.as_ref().is_some_and(|pending| pending.is_final_page),
            has_masters: query.masters_path.is_some(),
            has_unique_names: query.has_unique_names(),
            delivered: if query.has_mirror { self.record.unacknowledged.as_slice() } else { &[] },
        }
    }

    /// The values of the Prefer header of the next request.
    pub fn prefer(&self) -> Vec<String> {
        self.config.query.prefer(self.record.page_size)
    }

    /// Processes one input and returns the next step. `random` is a random number in `0.0..1.0` for
    /// the jitter.
    pub fn step(&mut self, input: Input, now: Instant, random: f64) -> Step {
        self.resume = Resume::from_state(&self.state);
        if let Input::Refused(_)
        | Input::Malformed(_)
        | Input::TokenSourceBusy(_)
        | Input::Unreachable(NoResponse::Network | NoResponse::Timeout) = input
        {
            // The host had a network, or reported one.
            self.attempts.offline_since = None;
        }
        if self.state == State::Fetching && !matches!(input, Input::Page(_) | Input::Master(_)) {
            // The pages after one that did not arrive are requested again.
            self.ahead.clear();
        }
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, input) {
            (State::Start, Input::Begin) => self.transition(State::Loading, Step::Load),
            (State::Loading, Input::Loaded(record)) => self.loaded(record, now, random),
            (State::SigningIn, Input::SignedIn) => self.fetch(now),
            (State::Fetching, Input::Page(link)) => self.page(link, now, random),
            (State::Fetching, Input::Refused(refusal)) => self.refused(&refusal, now, random),
            (State::Fetching, Input::Unreachable(reason)) => {
                let message = format!(
                    "no response from {}; check the connection and, in a browser, whether this web page \
                    may call that origin; the next round continues at the same page",
                    self.config.endpoint.origin()
                );
                self.unreachable(reason, message, now, random)
            }
            (State::SigningIn, Input::Unreachable(reason)) => {
                self.unreachable(reason, attempts::NO_TOKEN.to_owned(), now, random)
            }
            (State::SigningIn, Input::TokenSourceBusy(until)) => self.token_source_busy(until, now, random),
            (State::Fetching, Input::Outdated) => self.request_again(now),
            (State::Fetching, Input::Throttled(until)) => self.throttled(until, now),
            (State::Fetching, Input::Malformed(why)) => self.malformed(&why, now, random),
            (State::Sleeping(resume), Input::Slept) => {
                // The network may have come back before the wait was over.
                if let Some(wait) =
                    self.report.waits.last_mut().filter(|wait| wait.reason == WaitReason::Offline)
                {
                    wait.ms = now - self.attempts.sleep_began;
                }
                self.continue_from(resume)
            }
            (State::Applying, Input::Applied(summary)) => self.applied(*summary, now),
            (State::Fetching, Input::Master(series)) => self.master(series, now),
            (State::SavingRecord(record, continuation), Input::Committed) => {
                self.set_record(*record);
                // A failure from here on concerns the request, not the store.
                self.resume = Some(Resume::Request);
                self.proceed(*continuation, now)
            }
            (State::StoringThrottle(continuation), Input::ThrottleStored) => self.proceed(*continuation, now),
            (State::Delivering(record), Input::Delivered) => {
                self.transition(State::AwaitingAcknowledgement(record), Step::AwaitAcknowledgement)
            }
            (State::AwaitingAcknowledgement(record), Input::Acknowledged) => {
                let step = Step::Commit { expect: self.expected_revision(), record: record.clone() };
                self.transition(State::Committing(record), step)
            }
            (State::Committing(record), Input::Committed) => self.committed(*record, now),
            (State::Committing(_) | State::SavingRecord(..), Input::Conflict) => self.fail(
                Error::retryable(
                    Code::Conflict,
                    "another tab or process committed to this query in the meantime; this commit was not \
                    made, and the next round continues from the state that the other one stored",
                ),
                now,
            ),
            (State::Sweeping(completed), Input::Swept(summary)) => self.swept(&completed, summary),
            (State::AskingCaller(failure, resume), Input::Decided(decision)) => {
                self.decided(failure, resume, decision, now)
            }
            (State::Ended, _) => Step::Fail(Error::new(Code::Internal, UNEXPECTED_INPUT)),
            (_, Input::StepFailed(failure)) => self.fail(failure, now),
            _ => self.fail(Error::new(Code::Internal, UNEXPECTED_INPUT), now),
        }
    }

    fn transition(&mut self, state: State, step: Step) -> Step {
        self.state = state;
        step
    }

    fn proceed(&mut self, continuation: Continuation, now: Instant) -> Step {
        match continuation {
            Continuation::Request => self.sign_in(TokenReason::Next),
            Continuation::Prepare => self.prepare(now),
            Continuation::Deliver => self.deliver_pending(now),
            Continuation::Sleep(span, reason, since) => {
                self.sleep_since(since, span, Resume::Request, reason, now)
            }
            Continuation::Fail(failure) => self.fail(failure, now),
            Continuation::GiveUp(failure) => self.give_up(failure, now),
            Continuation::Resync(refusal, spread) => self.resync(&refusal, spread, now),
        }
    }

    fn done(&mut self, outcome: Outcome, now: Instant) -> Step {
        self.report.end(outcome, now);
        self.transition(State::Ended, Step::Done)
    }

    fn expected_revision(&self) -> Option<String> {
        self.is_stored.then(|| self.record.revision.clone())
    }

    fn set_record(&mut self, record: Record) {
        self.page_size_changed = false;
        self.record = record;
        self.is_stored = true;
    }

    /// The URL of the query itself.
    fn query_url(&self) -> String {
        let query = &self.config.query;
        let top = match self.record.page_size {
            _ if self.omits_top => Top::Absent,
            Some(size) if query.page_size_by == PageSize::Top => Top::Size(size),
            _ => Top::AsConfigured,
        };
        query.url_with_top(&self.config.endpoint, self.position.window.as_deref(), top)
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
