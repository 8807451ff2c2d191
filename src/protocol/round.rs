//! One round as a state machine: no I/O, no clock, no JavaScript. The shell reports what happened
//! to [`Round::step`] and does what the [`Step`] says. One input in, one step out.
//!
//! ```text
//!            Begin           Loaded                SignedIn            Page              Applied
//!   Start ──────────► Loading ────────► SigningIn ─────────► Fetching ──────► Applying ─────────► Delivering
//!                     │   │               ▲  ▲  ▲              │ │ │ ▲            │  │              │ Delivered
//!                     │   │         Slept │  │  │ 401, twice   │ │ │ └────────────┘  │              ▼
//!                     │   │       Sleeping┘  │  └──────────────┘ │ │ series masters  │           Waiting
//!                     │   │          ▲       │ Committed         │ │                 │              │ Acked
//!                     │   │          └───────┼───────────────────┘ │                 │              ▼
//!                     │   │  429, 5xx, no    Noting ◄──────────────┴─────────────────┘          Committing
//!                     │   │  answer, no page   reset signal, link refused, ids to deliver           │ Committed
//!                     │   │ sweeping                                                                ▼
//!                     │   └────────────────► Sweeping ── Swept ──► Delivering      more pages: SigningIn
//!                     ▼                         ▲                                  ghosts to look for: Sweeping
//!                 any defect: Ended             └─────────────────────────────────── else: Ended
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | this one | states, inputs and steps, and every transition between them |
//! | `resume.rs` | where a round starts, from the record |
//! | `attempts.rs` | the request at hand: failures, back-off, throttles, sign-ins |
//! | `pages.rs` | a page from its link to its commit; the sweep |
//! | `progress.rs` | link cycles, pages without progress, page sizes |
//! | `resync.rs` | refused links and reset signals |
//! | `explain.rs` | a refusal in words |
//!
//! Before a sleep that Graph asked for, and before an end with `throttled`, the throttle time is
//! stored (StoringThrottle).
//!
//! The rules, with the invariants of the design that they keep:
//!
//! 1. A page commits with its link, after its acknowledgement, or not at all (1, 2).
//! 2. A round goes on where the record says: at the nextLink, at the deltaLink, in the sweep, or
//!    from the query itself.
//! 3. Every link is checked before it is stored and again before it is asked for (6); it is never
//!    rebuilt (7).
//! 4. Failures leave the record as it is (14). The count of failures starts anew with each page.
//! 5. A 401 asks for another token, one with claims for a token that satisfies them: twice at most
//!    before the next page, and for the same thing only once.
//! 6. 408, 429, 5xx and no answer at all are waited for: `Retry-After` is a floor (10), the number
//!    of attempts a ceiling (9). A wait that Graph asks for is stored and holds for all that shares
//!    its limits. Without a network the round waits for one, as long as for anything else. Pages
//!    that fail twice with 503, 504, 408 or in silence are asked for in half the size, and grow
//!    back.
//! 7. A reset signal counts only on a request made with a link. It is stored at once, so that a
//!    crash does not ask the dead link again, and starts a full round of the next generation from
//!    the query itself; for drives, lists and sites from the `Location` if that works. The fourth
//!    one of a day without a complete round ends in `resync-loop` (15).
//! 8. A full round over an older generation ends with a sweep. Only a record in the phase
//!    `sweeping` gives the right to it (3).
//! 9. A round that does not begin with a listing of everything (`latest`, a timestamp) is
//!    incremental from its first page. A reset ends it: listing from the same token again would
//!    hide the gap.
//! 10. What brings the round no further climbs a ladder (9): nextLinks that go in a circle, three
//!     pages with items in a row that bring nothing new, too many empty pages. It asks on with four
//!     times the page size up to 1000, then lists everything once more, then ends in `livelock`.
//!     What was counted is stored: a reload does not begin anew.
//! 11. A link that Graph refuses for good ends the round; the third time in a row, reloads counted,
//!     the round goes back to the deltaLink it began with, then to the query itself. The stored link
//!     stays until either brings a page: in an outage nothing is thrown away (15).
//! 12. Series masters that occurrences name and the round has not brought are fetched before its
//!     last page is delivered. One that Graph refuses is done without; any other failure ends the
//!     round before that page, and the link stays.
//! 13. Before a consumer gets ids that are new to the mirror, they are noted: if he never
//!     acknowledges and they are gone meanwhile, their removal is told all the same (5).

use std::rc::Rc;

use super::backoff::{Policy, WaitReason};
use super::change::{ApplyMode, ItemFormat, PageSummary, SweepSummary};
use super::endpoint::Endpoint;
use super::error::{Code, Error};
use super::page::{Link, Malformed};
use super::query::Query;
use super::record::{Completed, Fallback, Kind, Record};
use super::refusal::Refusal;
use super::report::{Outcome, Report};
use super::time::{Duration, Instant};

/// What to say of a defect of the shell.
pub const UNEXPECTED_INPUT: &str = "a round was told something that it had not asked for";

mod attempts;
mod explain;
mod pages;
mod progress;
mod resume;
mod resync;

use attempts::Attempts;
use progress::LinkCycle;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The round may start.
    Begin,
    /// The stored record, if there is one.
    Loaded(Option<Box<Record>>),
    /// There is a token.
    SignedIn,
    /// A page came, with this link.
    Page(Link),
    /// Graph refused.
    Refused(Box<Refusal>),
    /// No answer, or a cut one: from Graph, or for the token source.
    Unreachable(NoResponse),
    /// Graph throttles what shares its limits with this query until then; nothing was sent.
    Throttled(Instant),
    /// Where the token source gets its tokens has no time now, and asks to come back not before
    /// then.
    TokenSourceBusy(Instant),
    /// A good status, but no page.
    Malformed(Malformed),
    /// The page is applied, and can be delivered.
    Applied(Box<PageSummary>),
    /// The one object that was asked for is here.
    Master,
    /// The wait is over.
    Slept,
    /// The page is with the consumer.
    Delivered,
    /// The consumer acknowledged it.
    Acknowledged,
    /// The record is stored.
    Committed,
    /// The time is stored.
    ThrottleStored,
    /// Another revision was stored meanwhile.
    Conflict,
    /// A chunk of the mirror was looked through.
    Swept(SweepSummary),
    /// The store, or the token source, failed.
    HostFailed(Box<Error>),
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResponse {
    /// Nobody knows.
    Network,
    /// The host has no network.
    Offline,
    /// Nothing moved for too long.
    Timeout,
}

/// Why a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenReason {
    /// The first request of the round.
    Start,
    /// Any later one: a token that is still good will do.
    Next,
    /// Graph refused the last one.
    Unauthorized,
    /// Graph wants one that satisfies these claims.
    Claims(String),
}

/// A page as it is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Of the round.
    pub kind: Kind,
    /// Of the round.
    pub generation: u32,
    /// Within the round.
    pub index: u32,
    /// Whether the round ends with it.
    pub last: bool,
}

/// What the shell does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Load the record; then `Loaded`.
    Load,
    /// Get a token; then `SignedIn`, or `Unreachable`.
    SignIn(TokenReason),
    /// Ask this URL with the token and the Prefer values; then `Page`, `Refused`, `Unreachable`,
    /// `Malformed` or `Throttled`.
    Fetch(String),
    /// Ask this URL for one object; then `Item`, `Refused`, `Unreachable`, `Malformed` or
    /// `Throttled`.
    FetchMaster(String),
    /// Store that Graph throttles what shares its limits with this query until then; then
    /// `ThrottleStored`.
    StoreThrottle(Instant),
    /// Apply the page to the rows of the mirror; then `Applied`.
    Apply,
    /// Wait; then `Slept`.
    Sleep(Duration, WaitReason),
    /// Hand the page to the consumer; then `Delivered`.
    Deliver(Delivery),
    /// Wait until the consumer acknowledges; then `Acked`.
    AwaitAcknowledgement,
    /// Store the delivered page and this record in one transaction, if the stored revision is
    /// `expect`; then `Committed` or `Conflict`.
    Commit {
        /// The revision that must be stored now.
        expect: Option<String>,
        /// What to store.
        record: Box<Record>,
    },
    /// Store this record, without items; then as for `Commit`.
    SaveRecord {
        /// The revision that must be stored now.
        expect: Option<String>,
        /// What to store.
        record: Box<Record>,
    },
    /// Look through the next chunk of the mirror after this id; then `Swept`.
    Sweep {
        /// The last id that was looked at.
        after: Option<String>,
        /// The right to remove ghosts.
        completed: Completed,
    },
    /// The round is over: complete, or its limit reached.
    Done,
    /// The round is over.
    Fail(Box<Error>),
}

/// What a round keeps of its query.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundConfig {
    /// The root and the origin rule.
    pub endpoint: Rc<Endpoint>,
    /// The query.
    pub query: Rc<Query>,
    /// Attempts and waits.
    pub policy: Policy,
    /// Committed pages after which the round stops.
    pub max_pages: Option<u32>,
    /// The time after which no further page is asked for.
    pub max_duration: Option<Duration>,
    /// Where a rolling window is today, `start/end`.
    pub window: Option<String>,
    /// Whether a consumer sees the items.
    pub has_consumer: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Start,
    Loading,
    SigningIn,
    Fetching,
    Sleeping,
    Applying,
    SavingRecord(Box<Record>, Box<Continuation>),
    StoringThrottle(Box<Continuation>),
    Delivering(Box<Record>),
    AwaitingAcknowledgement(Box<Record>),
    Committing(Box<Record>),
    Sweeping(Completed),
    Ended,
}

/// What follows when something is stored.
#[derive(Clone, Debug, PartialEq)]
enum Continuation {
    Ask,
    Deliver,
    Sleep(Duration, WaitReason),
    Fail(Box<Error>),
    GiveUp(Box<Error>),
}

/// A page that was applied and is not delivered yet.
#[derive(Clone, Debug, PartialEq)]
struct Pending {
    record: Record,
    /// Whether it brought the deltaLink.
    is_final_page: bool,
    /// Ids new to the mirror.
    new_ids: Vec<String>,
}

/// What the next request asks for.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// The query itself.
    Query,
    /// A stored link.
    Link(String),
    /// Where a reset pointed to, already checked.
    Location(String),
    /// One series master, by its id.
    Master(String),
}

/// Where a round is.
#[derive(Clone, Debug)]
struct Position {
    kind: Kind,
    generation: u32,
    /// The number that its rows carry.
    round_number: u32,
    /// Of the page at hand.
    page_index: u32,
    /// The deltaLink that the round began with.
    start_link: Option<String>,
    /// Where a window that moves with the days was when the round began, `start/end`.
    window: Option<String>,
    /// What the round fell back to.
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
    /// As it is stored, or as it would be.
    record: Record,
    is_stored: bool,
    target: Target,
    position: Position,
    pending: Option<Pending>,
    started_at: Instant,
    cycle: LinkCycle,
    attempts: Attempts,
    /// Whether the page size was changed since the record was stored.
    page_size_changed: bool,
    /// What happened so far.
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
            page_size_changed: false,
            report: Report::new(now),
        }
    }

    /// The query's own.
    pub fn config(&self) -> &RoundConfig {
        &self.config
    }

    /// The record as it was last read or written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How its pages are applied.
    pub fn mode(&self) -> ApplyMode<'_> {
        let query = &self.config.query;
        ApplyMode {
            round: self.position.round_number,
            full: self.position.kind == Kind::Full,
            format: ItemFormat {
                minimal: query.minimal || self.pending.as_ref().is_some_and(|pending| pending.record.minimal),
                ..query.item_format()
            },
            has_mirror: query.mirror,
            has_consumer: self.config.has_consumer,
            is_final_page: self.pending.as_ref().is_some_and(|pending| pending.is_final_page),
            has_masters: query.masters.is_some(),
            delivered: if query.mirror { self.record.unacknowledged.as_slice() } else { &[] },
        }
    }

    /// The values of the Prefer header of its requests.
    pub fn prefer(&self) -> Vec<String> {
        self.config.query.prefer(self.record.page_size)
    }

    /// Takes what happened, says what to do. `chance` in `0.0..1.0` is the jitter.
    pub fn step(&mut self, input: Input, now: Instant, chance: f64) -> Step {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, input) {
            (State::Start, Input::Begin) => self.transition(State::Loading, Step::Load),
            (State::Loading, Input::Loaded(record)) => self.loaded(record, now, chance),
            (State::SigningIn, Input::SignedIn) => self.fetch(now),
            (State::Fetching, Input::Page(link)) => self.page(link, now, chance),
            (State::Fetching, Input::Refused(refusal)) => self.refused(&refusal, now, chance),
            (State::Fetching, Input::Unreachable(lost)) => {
                let words = format!("no answer from {}; check the connection and, in a browser, that this page may call that origin; the next round goes on at the same page", self.config.endpoint.origin());
                self.unreachable(lost, words, now, chance)
            }
            (State::SigningIn, Input::Unreachable(lost)) => self.unreachable(lost, attempts::NO_TOKEN.to_owned(), now, chance),
            (State::SigningIn, Input::TokenSourceBusy(until)) => self.busy(until, now, chance),
            (State::Fetching, Input::Throttled(until)) => self.throttled(until, now),
            (State::Fetching, Input::Malformed(why)) => {
                let failure = Error::retryable(Code::Protocol, format!("Graph's answer is no page of a delta query: {}; the stored link is untouched", why.words()));
                self.retry(WaitReason::Malformed, None, failure, now, chance)
            }
            (State::Sleeping, Input::Slept) => {
                // A network may be back before its time.
                if let Some(wait) = self.report.waits.last_mut().filter(|wait| wait.reason == WaitReason::Offline) {
                    wait.ms = now - self.attempts.sleep_began;
                }
                self.sign_in(self.attempts.token_reason.clone())
            }
            (State::Applying, Input::Applied(summary)) => self.applied(*summary, now),
            (State::Fetching, Input::Master) => {
                self.report.masters += 1;
                self.request_succeeded();
                self.prepare(now)
            }
            (State::SavingRecord(record, after), Input::Committed) => {
                self.set_record(*record);
                self.proceed(*after, now)
            }
            (State::StoringThrottle(after), Input::ThrottleStored) => self.proceed(*after, now),
            (State::Delivering(record), Input::Delivered) => self.transition(State::AwaitingAcknowledgement(record), Step::AwaitAcknowledgement),
            (State::AwaitingAcknowledgement(record), Input::Acknowledged) => {
                let step = Step::Commit { expect: self.expected_revision(), record: record.clone() };
                self.transition(State::Committing(record), step)
            }
            (State::Committing(record), Input::Committed) => self.committed(*record, now),
            (State::Committing(_) | State::SavingRecord(..), Input::Conflict) => self.fail(
                Error::retryable(Code::Conflict, "another tab or process committed to this query meanwhile; nothing was written here, the next round goes on from what it stored"),
                now,
            ),
            (State::Sweeping(_), Input::Swept(summary)) => self.swept(summary, now),
            (State::Ended, _) => Step::Fail(Error::new(Code::Internal, UNEXPECTED_INPUT)),
            (_, Input::HostFailed(failure)) => self.fail(failure, now),
            _ => self.fail(Error::new(Code::Internal, UNEXPECTED_INPUT), now),
        }
    }

    fn transition(&mut self, state: State, step: Step) -> Step {
        self.state = state;
        step
    }

    fn proceed(&mut self, after: Continuation, now: Instant) -> Step {
        match after {
            Continuation::Ask => self.sign_in(TokenReason::Next),
            Continuation::Deliver => self.deliver_pending(now),
            Continuation::Sleep(ms, why) => self.sleep(ms, why, now),
            Continuation::Fail(failure) => self.fail(failure, now),
            Continuation::GiveUp(failure) => self.give_up(failure, now),
        }
    }

    fn fail(&mut self, failure: Box<Error>, now: Instant) -> Step {
        self.report.end(Outcome::Failed, now);
        self.transition(State::Ended, Step::Fail(failure))
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

    fn fetch(&mut self, now: Instant) -> Step {
        let config = &self.config;
        let (url, item) = match &self.target {
            Target::Query => (Ok(config.query.url(&config.endpoint, self.position.window.as_deref())), false),
            Target::Link(link) | Target::Location(link) => (config.endpoint.admit(link), false),
            Target::Master(id) => (
                config
                    .query
                    .master(&config.endpoint, id)
                    .ok_or_else(|| Error::new(Code::Internal, "an id that is none")),
                true,
            ),
        };
        match url {
            Ok(url) => {
                self.attempts.token_reason = TokenReason::Next;
                self.attempts.tries += 1;
                self.report.requests += 1;
                self.report.retries += u32::from(self.attempts.tries > 1);
                self.transition(State::Fetching, if item { Step::FetchMaster(url) } else { Step::Fetch(url) })
            }
            Err(failure) => self.fail(failure, now),
        }
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
