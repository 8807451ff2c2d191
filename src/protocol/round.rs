//! One round as a state machine: no I/O, no clock, no JavaScript. The shell reports what happened to [`Round::step`] and does
//! what the [`Step`] says. One input in, one step out.
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
//! Before a sleep that Graph asked for, and before an end with `throttled`, the throttle time is stored (StoringThrottle).
//!
//! The rules, with the invariants of the design that they keep:
//!
//! 1. A page commits with its link, after its acknowledgement, or not at all (1, 2).
//! 2. A round goes on where the record says: at the nextLink, at the deltaLink, in the sweep, or from the query itself.
//! 3. Every link is checked before it is stored and again before it is asked for (6); it is never rebuilt (7).
//! 4. Failures leave the record as it is (14). The count of failures starts anew with each page.
//! 5. A 401 asks for another token, one with claims for a token that satisfies them: twice at most before the next page, and for the
//!    same thing only once.
//! 6. 408, 429, 5xx and no answer at all are waited for: `Retry-After` is a floor (10), the number of attempts a ceiling (9). A wait
//!    that Graph asks for is stored and holds for all that shares its limits. Without a network the round waits for one, as long as
//!    for anything else. Pages that fail twice with 503, 504, 408 or in silence are asked for in half the size, and grow back.
//! 7. A reset signal counts only on a request made with a link. It is stored at once, so that a crash does not ask the dead
//!    link again, and starts a full round of the next generation from the query itself; for drives, lists and sites from the
//!    `Location` if that works. The fourth one of a day without a complete round ends in `resync-loop` (15).
//! 8. A full round over an older generation ends with a sweep. Only a record in the phase `sweeping` gives the right to it (3).
//! 9. A round that does not begin with a listing of everything (`latest`, a timestamp) is incremental from its first page. A reset
//!    ends it: listing from the same token again would hide the gap.
//! 10. What brings the round no further climbs a ladder (9): nextLinks that go in a circle, three pages with items in a row that
//!     bring nothing new, too many empty pages. It asks on with four times the page size up to 1000, then lists everything once
//!     more, then ends in `livelock`. What was counted is stored: a reload does not begin anew.
//! 11. A link that Graph refuses for good ends the round; the third time in a row, reloads counted, the round goes back to the
//!     deltaLink it began with, then to the query itself. The stored link stays until either brings a page: in an outage nothing
//!     is thrown away (15).
//! 12. Series masters that occurrences name and the round has not brought are fetched before its last page is delivered. One
//!     that Graph refuses is done without; any other failure ends the round before that page, and the link stays.
//! 13. Before a consumer gets ids that are new to the mirror, they are noted: if he never acknowledges and they are gone
//!     meanwhile, their removal is told all the same (5).

use std::collections::HashSet;
use std::rc::Rc;

use super::backoff::{Policy, WaitReason, back_off, retry_after};
use super::change::{ApplyMode, PageSummary, SweepSummary};
use super::endpoint::{Endpoint, shown};
use super::error::{Code, Error};
use super::page::{Link, Malformed};
use super::query::Query;
use super::record::{Completed, Kind, Phase, Record};
use super::redact::redact;
use super::refusal::{Refusal, Verdict};
use super::report::{Outcome, Report, Wait};
use super::time::DAY;
use crate::planted;

/// Resets of a day without a complete round, after which the round ends.
const MOST_RESETS: usize = 3;
/// The last instant that a JavaScript Date can hold.
const LAST_DATE: f64 = 8.64e15;
/// Attempts at a body that is no page, or at a page whose nextLink was used before.
const MOST_BODIES: u32 = 3;
/// Pages with items in a row that bring nothing new.
const MOST_STALE: u32 = 3;
/// Empty pages in a row. Graph sends many where a filter finds little in a large directory (graph-facts 2.1.3).
const MOST_EMPTY: u32 = 2000;
/// The largest page that Graph takes a wish for.
const LARGEST_PAGE: u32 = 1000;
/// Tokens asked for because Graph refused one, between two pages.
const MOST_SIGN_INS: u32 = 2;
/// Pages after which smaller ones grow.
const GROW: u32 = 8;
/// What to say where Graph's wait is longer than [`Policy::max_wait`].
const TOO_LONG: &str = "Graph asks for a longer pause than this round may take, of this query or another that shares its limits; the next round goes on at the same page, not before retryAt";
/// What to say of a defect of the shell.
pub const UNASKED: &str = "a round was told something that it had not asked for";
/// What to say where the token source can't reach those it asks.
const NO_TOKEN: &str = "the token source got no answer; check the connection; the next round goes on at the same page";
/// Final refusals of a link in a row, after which the round falls back.
const MOST_REFUSALS: u32 = 3;

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
    Throttled(f64),
    /// Where the token source gets its tokens has no time now, and asks to come back not before then.
    Busy(f64),
    /// A good status, but no page.
    Malformed(Malformed),
    /// The page is applied, and can be delivered.
    Applied(Box<PageSummary>),
    /// The one object that was asked for is here.
    Item,
    /// The wait is over.
    Slept,
    /// The page is with the consumer.
    Delivered,
    /// The consumer acknowledged it.
    Acked,
    /// The record is stored.
    Committed,
    /// The time is stored.
    ThrottleStored,
    /// Another revision was stored meanwhile.
    Conflict,
    /// A chunk of the mirror was looked through.
    Swept(SweepSummary),
    /// The store, or the token source, failed.
    Broken(Box<Error>),
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
    /// Ask this URL with the token and the Prefer values; then `Page`, `Refused`, `Unreachable`, `Malformed` or `Throttled`.
    Fetch(String),
    /// Ask this URL for one object; then `Item`, `Refused`, `Unreachable`, `Malformed` or `Throttled`.
    Item(String),
    /// Store that Graph throttles what shares its limits with this query until then; then `ThrottleStored`.
    StoreThrottle(f64),
    /// Apply the page to the rows of the mirror; then `Applied`.
    Apply,
    /// Wait; then `Slept`.
    Sleep(f64, WaitReason),
    /// Hand the page to the consumer; then `Delivered`.
    Deliver(Delivery),
    /// Wait until the consumer acknowledges; then `Acked`.
    Await,
    /// Store the delivered page and this record in one transaction, if the stored revision is `expect`; then `Committed` or `Conflict`.
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
    /// Milliseconds after which no further page is asked for.
    pub max_ms: Option<f64>,
    /// Where a rolling window is today, `start/end`.
    pub window: Option<String>,
    /// Whether a consumer sees the items.
    pub shown: bool,
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
    Waiting(Box<Record>),
    Committing(Box<Record>),
    Sweeping(Completed),
    Ended,
}

/// What follows when something is stored.
#[derive(Clone, Debug, PartialEq)]
enum Continuation {
    Ask,
    Deliver,
    Sleep(f64, WaitReason),
    Fail(Box<Error>),
    GiveUp(Box<Error>),
}

/// A page that was applied and is not delivered yet.
#[derive(Clone, Debug, PartialEq)]
struct Pending {
    record: Record,
    /// Whether it brought the deltaLink.
    listed: bool,
    /// Ids new to the mirror.
    fresh: Vec<String>,
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

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    plan: RoundConfig,
    state: State,
    /// As it is stored, or as it would be.
    record: Record,
    stored: bool,
    target: Target,
    kind: Kind,
    generation: u32,
    number: u32,
    index: u32,
    start: Option<String>,
    window: Option<String>,
    fallback: u32,
    pending: Option<Pending>,
    began: f64,
    /// A nextLink of this round to compare later ones with, taken anew after 1, 2, 4, 8, … pages: whatever circle the links
    /// go in, it is met in the end (Brent's way to find a cycle).
    anchor: Option<String>,
    until_anchor: (u32, u32),
    failures: u32,
    /// What the next token is for.
    need: TokenReason,
    /// Tokens asked for because Graph refused one, since the last page, and what the last of them was for.
    sign_ins: u32,
    challenge: Option<TokenReason>,
    /// How often the target was asked.
    tries: u32,
    /// Since when there is no network.
    offline: Option<f64>,
    asleep: f64,
    /// Whether the page size was changed since the record was stored.
    sized: bool,
    /// What happened so far.
    pub report: Report,
}

impl Round {
    /// A round that has not begun.
    pub fn new(plan: RoundConfig, now: f64) -> Self {
        Self {
            plan,
            state: State::Start,
            record: Record::new(now, 0.0),
            stored: false,
            target: Target::Query,
            kind: Kind::Full,
            generation: 0,
            number: 0,
            index: 0,
            start: None,
            window: None,
            fallback: 0,
            pending: None,
            began: now,
            anchor: None,
            until_anchor: (0, 1),
            failures: 0,
            need: TokenReason::Start,
            sign_ins: 0,
            challenge: None,
            tries: 0,
            offline: None,
            asleep: now,
            sized: false,
            report: Report::new(now),
        }
    }

    /// The query's own.
    pub fn plan(&self) -> &RoundConfig {
        &self.plan
    }

    /// The record as it was last read or written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How its pages are applied.
    pub fn mode(&self) -> ApplyMode<'_> {
        let query = &self.plan.query;
        ApplyMode {
            round: self.number,
            full: self.kind == Kind::Full,
            format: query.reading(),
            has_mirror: query.mirror,
            has_consumer: self.plan.shown,
            is_final_page: self.pending.as_ref().is_some_and(|pending| pending.listed),
            has_masters: query.masters.is_some(),
            delivered: if query.mirror { self.record.delivered.as_slice() } else { &[] },
        }
    }

    /// The values of the Prefer header of its requests.
    pub fn prefer(&self) -> Vec<String> {
        self.plan.query.prefer(self.record.page_size)
    }

    /// Takes what happened, says what to do. `now` in milliseconds since 1970, `chance` in `0.0..1.0`.
    pub fn step(&mut self, input: Input, now: f64, chance: f64) -> Step {
        let state = std::mem::replace(&mut self.state, State::Ended);
        match (state, input) {
            (State::Start, Input::Begin) => self.to(State::Loading, Step::Load),
            (State::Loading, Input::Loaded(record)) => self.loaded(record, now, chance),
            (State::SigningIn, Input::SignedIn) => self.fetch(now),
            (State::Fetching, Input::Page(link)) => self.page(link, now, chance),
            (State::Fetching, Input::Refused(refusal)) => self.refused(&refusal, now, chance),
            (State::Fetching, Input::Unreachable(lost)) => {
                let words = format!("no answer from {}; check the connection and, in a browser, that this page may call that origin; the next round goes on at the same page", self.plan.endpoint.origin());
                self.unreachable(lost, words, now, chance)
            }
            (State::SigningIn, Input::Unreachable(lost)) => {
                self.unreachable(lost, NO_TOKEN.to_owned(), now, chance)
            }
            (State::SigningIn, Input::Busy(until)) => self.busy(until, now, chance),
            (State::Fetching, Input::Throttled(until)) => self.throttled(until, now),
            (State::Fetching, Input::Malformed(why)) => {
                let failure = Error::retryable(Code::Protocol, format!("Graph's answer is no page of a delta query: {}; the stored link is untouched", why.words()));
                self.again(WaitReason::Malformed, None, failure, now, chance)
            }
            (State::Sleeping, Input::Slept) => {
                // A network may be back before its time.
                if let Some(wait) = self.report.waits.last_mut().filter(|wait| wait.reason == WaitReason::Offline) {
                    wait.ms = now - self.asleep;
                }
                self.sign_in(self.need.clone())
            }
            (State::Applying, Input::Applied(sum)) => self.applied(*sum, now),
            (State::Fetching, Input::Item) => {
                self.report.masters += 1;
                self.accepted();
                self.prepare(now)
            }
            (State::SavingRecord(record, after), Input::Committed) => {
                self.keep(*record);
                self.after(*after, now)
            }
            (State::StoringThrottle(after), Input::ThrottleStored) => self.after(*after, now),
            (State::Delivering(record), Input::Delivered) => self.to(State::Waiting(record), Step::Await),
            (State::Waiting(record), Input::Acked) => {
                let step = Step::Commit { expect: self.expect(), record: record.clone() };
                self.to(State::Committing(record), step)
            }
            (State::Committing(record), Input::Committed) => self.committed(*record, now),
            (State::Committing(_) | State::SavingRecord(..), Input::Conflict) => self.fail(
                Error::retryable(Code::Conflict, "another tab or process committed to this query meanwhile; nothing was written here, the next round goes on from what it stored"),
                now,
            ),
            (State::Sweeping(_), Input::Swept(summary)) => self.swept(summary, now),
            (State::Ended, _) => Step::Fail(Error::new(Code::Internal, UNASKED)),
            (_, Input::Broken(failure)) => self.fail(failure, now),
            _ => self.fail(Error::new(Code::Internal, UNASKED), now),
        }
    }

    fn to(&mut self, state: State, step: Step) -> Step {
        self.state = state;
        step
    }

    fn after(&mut self, after: Continuation, now: f64) -> Step {
        match after {
            Continuation::Ask => self.sign_in(TokenReason::Next),
            Continuation::Deliver => self.hand_over(now),
            Continuation::Sleep(ms, why) => self.sleep(ms, why, now),
            Continuation::Fail(failure) => self.fail(failure, now),
            Continuation::GiveUp(failure) => self.give_up(failure, now),
        }
    }

    fn sleep(&mut self, ms: f64, why: WaitReason, now: f64) -> Step {
        self.asleep = now;
        self.report.waits.push(Wait { reason: why, ms });
        self.to(State::Sleeping, Step::Sleep(ms, why))
    }

    /// Stores that Graph throttles the scope, so that neither a reload nor another query asks early.
    fn hold(&mut self, until: f64, after: Continuation, now: f64) -> Step {
        if until > now { self.to(State::StoringThrottle(Box::new(after)), Step::StoreThrottle(until)) } else { self.after(after, now) }
    }

    fn fail(&mut self, failure: Box<Error>, now: f64) -> Step {
        self.report.end(Outcome::Failed, now);
        self.to(State::Ended, Step::Fail(failure))
    }

    fn done(&mut self, outcome: Outcome, now: f64) -> Step {
        self.report.end(outcome, now);
        self.to(State::Ended, Step::Done)
    }

    fn expect(&self) -> Option<String> {
        self.stored.then(|| self.record.revision.clone())
    }

    fn keep(&mut self, record: Record) {
        self.sized = false;
        self.record = record;
        self.stored = true;
    }

    fn loaded(&mut self, record: Option<Box<Record>>, now: f64, chance: f64) -> Step {
        match record {
            None => self.record = Record::new(now, chance),
            Some(record) => self.keep(*record),
        }
        let since = if self.record.phase == Phase::Paging { Some(self.record.started_at) } else { self.record.full_at };
        let old = since.zip(self.plan.query.refresh).is_some_and(|(since, age)| now - since > age);
        let moved = self.plan.query.window.is_some() && self.record.window != self.plan.window;
        match self.record.phase {
            Phase::Fresh => self.start_over(),
            Phase::Paging if planted::is("an interrupted round begins anew") => self.start_over(),
            // A mirror this old, or of another window, is listed anew. Until the first page is committed, the deltaLink stays.
            Phase::Idle if old || moved => {
                self.start_over();
                // The link of another window is nothing to fall back to.
                self.start = self.record.link.clone().filter(|_| !moved);
            }
            // What could not be listed may do so in another window, or on another day.
            Phase::Paging if self.record.restarted && (moved || old) => {
                self.forgive();
                self.start_over();
            }
            Phase::Idle => {
                self.grow();
                self.go_from(self.record.link.clone());
            }
            Phase::Paging | Phase::Sweeping => {
                self.kind = self.record.kind;
                self.generation = self.record.generation;
                self.number = self.record.round;
                self.index = self.record.page;
                self.start = self.record.start.clone();
                self.window = self.record.window.clone();
                self.fallback = self.record.fallback;
                self.follow_link();
                self.report.resumed = true;
            }
        }
        self.describe();
        match (self.record.completed(), self.stuck()) {
            (Some(completed), _) => self.sweep(completed),
            (None, Some(failure)) if self.report.resumed => self.climb(failure, now),
            _ => self.sign_in(TokenReason::Start),
        }
    }

    /// Begins to count anew what does not bring the round further.
    fn forgive(&mut self) {
        (self.record.stale, self.record.empty) = (0, 0);
        self.record.restarted = false;
    }

    fn go_from(&mut self, link: Option<String>) {
        self.kind = Kind::Incremental;
        self.generation = self.record.generation;
        self.number = self.record.round.saturating_add(1);
        self.index = 0;
        self.window = self.record.window.clone();
        self.target = link.clone().map_or(Target::Query, Target::Link);
        self.start = link;
    }

    fn follow_link(&mut self) {
        self.target = self.record.link.clone().map_or(Target::Query, Target::Link);
    }

    fn start_over(&mut self) {
        self.kind = if self.plan.query.full { Kind::Full } else { Kind::Incremental };
        self.generation = self.record.generation.saturating_add(1);
        self.number = self.record.round.max(self.number).saturating_add(1);
        if planted::is("a full round keeps the number of the one before") {
            self.number = self.record.round.max(1);
        }
        self.index = 0;
        self.start = None;
        self.window = self.plan.window.clone();
        self.target = Target::Query;
    }

    fn describe(&mut self) {
        self.report.kind = self.kind;
        self.report.generation = self.generation;
    }

    fn sign_in(&mut self, need: TokenReason) -> Step {
        self.need = need.clone();
        self.to(State::SigningIn, Step::SignIn(need))
    }

    /// Graph refuses the token: another one, or the end.
    fn challenged(&mut self, refusal: &Refusal, now: f64) -> Step {
        let need = refusal.claims.clone().map_or(TokenReason::Unauthorized, TokenReason::Claims);
        if self.sign_ins >= MOST_SIGN_INS || self.challenge.as_ref() == Some(&need) {
            return self.fail(self.failure(refusal), now);
        }
        self.sign_ins += 1;
        self.challenge = Some(need.clone());
        self.sign_in(need)
    }

    fn fetch(&mut self, now: f64) -> Step {
        let plan = &self.plan;
        let (url, item) = match &self.target {
            Target::Query => (Ok(plan.query.url(&plan.endpoint, self.window.as_deref())), false),
            Target::Link(link) | Target::Location(link) => (plan.endpoint.admit(link), false),
            Target::Master(id) => {
                (plan.query.master(&plan.endpoint, id).ok_or_else(|| Error::new(Code::Internal, "an id that is none")), true)
            }
        };
        match url {
            Ok(url) => {
                self.need = TokenReason::Next;
                self.tries += 1;
                self.report.requests += 1;
                self.report.retries += u32::from(self.tries > 1);
                self.to(State::Fetching, if item { Step::Item(url) } else { Step::Fetch(url) })
            }
            Err(failure) => self.fail(failure, now),
        }
    }

    /// What was asked for is here: failures and sign-ins are counted from here.
    fn accepted(&mut self) {
        self.sign_ins = 0;
        self.challenge = None;
        self.offline = None;
        self.answered();
    }

    /// Something else is asked for: failures are counted from here.
    fn answered(&mut self) {
        self.failures = 0;
        self.tries = 0;
    }

    fn page(&mut self, link: Link, now: f64, chance: f64) -> Step {
        if let Err(failure) = self.plan.endpoint.admit(link.url()) {
            return self.fail(failure, now);
        }
        if let Link::Next(next) = &link
            && (matches!(&self.target, Target::Link(used) if used == next) || self.anchor.as_ref() == Some(next))
        {
            let words = format!(
                "Graph's nextLinks go in a circle at {}; the stored state is as it was, try again later or start over with reset()",
                shown(next)
            );
            return self.again(WaitReason::Malformed, None, Error::retryable(Code::Livelock, words), now, chance);
        }
        self.accepted();
        if self.index % GROW == GROW - 1 {
            self.grow();
        }
        let mut record = Record {
            kind: self.kind,
            generation: self.generation,
            round: self.number,
            page: self.index.saturating_add(1),
            prefer: self.prefer(),
            start: self.start.clone(),
            after: None,
            window: self.window.clone(),
            fallback: self.fallback,
            refusals: 0,
            ..self.record.next()
        };
        if self.index == 0 {
            record.started_at = now;
            record.staged = false;
            record.masters = Vec::new();
            if self.fallback > 1 {
                record.resets.push(now);
            }
        }
        let listed = matches!(link, Link::Delta(_));
        match link {
            Link::Next(next) => {
                let (pages, most) = self.until_anchor;
                self.until_anchor = if pages + 1 < most { (pages + 1, most) } else { (0, most.saturating_mul(2)) };
                if self.until_anchor.0 == 0 {
                    self.anchor = Some(next.clone());
                }
                record.phase = Phase::Paging;
                record.link = Some(next);
            }
            Link::Delta(delta) => record.link = Some(delta),
        }
        self.pending = Some(Pending { record, listed, fresh: Vec::new() });
        self.to(State::Applying, Step::Apply)
    }

    fn applied(&mut self, sum: PageSummary, now: f64) -> Step {
        let Some(Pending { record, fresh, .. }) = &mut self.pending else { return self.lost(now) };
        record.grow(sum.growth);
        record.staged |= sum.staged;
        if sum.items == 0 {
            record.empty = record.empty.saturating_add(1);
        } else {
            record.empty = 0;
            record.stale = if sum.news { 0 } else { record.stale.saturating_add(1) };
        }
        let brought: HashSet<&str> = sum.brought.iter().map(String::as_str).collect();
        record.masters.retain(|id| !brought.contains(id.as_str()));
        let known: HashSet<&str> = record.masters.iter().map(String::as_str).collect();
        let new: Vec<String> = sum.masters.into_iter().filter(|id| !known.contains(id.as_str())).collect();
        record.masters.extend(new);
        record.delivered = sum.left;
        *fresh = sum.fresh;
        self.prepare(now)
    }

    /// Gets what the page still lacks, then hands it over.
    fn prepare(&mut self, now: f64) -> Step {
        let Some(Pending { record, listed, fresh }) = &mut self.pending else { return self.lost(now) };
        while *listed && let Some(id) = record.masters.pop() {
            // An id that cannot stand in a path cannot be asked for.
            if self.plan.query.master(&self.plan.endpoint, &id).is_some() {
                self.target = Target::Master(id);
                return self.sign_in(TokenReason::Next);
            }
        }
        if planted::is("the link is committed before the items") && record.link != self.record.link {
            let mut note = record.clone();
            note.phase = if *listed { Phase::Idle } else { Phase::Paging };
            *record = note.next();
            record.count = note.count;
            return self.note(note, Continuation::Deliver);
        }
        let known: HashSet<&str> = self.record.delivered.iter().map(String::as_str).collect();
        fresh.retain(|id| !known.contains(id.as_str()));
        if self.plan.shown && self.plan.query.mirror && !fresh.is_empty() && !planted::is("what is delivered is not noted") {
            let mut note = self.record.next();
            note.delivered.append(fresh);
            record.revision = note.next().revision;
            return self.note(note, Continuation::Deliver);
        }
        self.hand_over(now)
    }

    fn note(&mut self, record: Record, after: Continuation) -> Step {
        let record = Box::new(record);
        let step = Step::SaveRecord { expect: self.expect(), record: record.clone() };
        self.to(State::SavingRecord(record, Box::new(after)), step)
    }

    fn lost(&mut self, now: f64) -> Step {
        self.fail(Error::new(Code::Internal, "a page got lost"), now)
    }

    fn hand_over(&mut self, now: f64) -> Step {
        let Some(Pending { mut record, listed, .. }) = self.pending.take() else { return self.lost(now) };
        let mut last = false;
        if listed {
            // Rows of older rounds can only be there if there was an older full round.
            let full = self.kind == Kind::Full || planted::is("an incremental round sweeps");
            if self.plan.query.mirror && full && (self.generation > 1 || record.staged) {
                record.phase = Phase::Sweeping;
                listed_at(&mut record, now);
            } else {
                listed_at(&mut record, now);
                finish(&mut record);
                last = true;
            }
        }
        self.deliver(record, last)
    }

    fn deliver(&mut self, record: Record, last: bool) -> Step {
        let delivery = Delivery { kind: self.kind, generation: self.generation, index: self.index, last };
        self.to(State::Delivering(Box::new(record)), Step::Deliver(delivery))
    }

    fn committed(&mut self, record: Record, now: f64) -> Step {
        self.keep(record);
        self.report.pages += 1;
        self.index = self.index.saturating_add(1);
        if self.record.phase == Phase::Idle {
            return self.done(Outcome::Complete, now);
        }
        let pages = self.plan.max_pages.is_some_and(|most| self.report.pages >= most);
        if pages || self.plan.max_ms.is_some_and(|most| now - self.began >= most) {
            return self.done(Outcome::Partial, now);
        }
        if let Some(completed) = self.record.completed() {
            return self.sweep(completed);
        }
        self.follow_link();
        match self.stuck() {
            Some(failure) => self.climb(failure, now),
            None => self.sign_in(TokenReason::Next),
        }
    }

    /// Why the round gets no further, if it does not. Counted over reloads, so that one page a process is enough to notice.
    fn stuck(&self) -> Option<Box<Error>> {
        let words = if self.record.stale >= MOST_STALE {
            "Graph's pages bring the same items again and again under new links"
        } else if self.record.empty >= MOST_EMPTY {
            "Graph sends empty pages without an end"
        } else {
            return None;
        };
        let words = format!("{words}; what was committed is intact, try again later or start over with reset()");
        Some(Error::retryable(Code::Livelock, words))
    }

    /// The next rung for a round that gets no further: larger pages, then one listing from the start, then the end.
    fn climb(&mut self, failure: Box<Error>, now: f64) -> Step {
        self.answered();
        let asked = self.plan.query.page_size.map(|size| self.record.page_size.unwrap_or(0).max(size));
        let larger = asked.filter(|size| *size < LARGEST_PAGE).map(|size| size.saturating_mul(4).min(LARGEST_PAGE));
        // Not back to one that Graph could not make.
        if let Some(size) = larger.filter(|size| self.record.too_large == 0 || *size < self.record.too_large) {
            self.resize(size);
            (self.record.stale, self.record.empty) = (0, 0);
            return self.sign_in(TokenReason::Next);
        }
        if self.record.restarted || !self.plan.query.full {
            // The next round has another try of as many pages: what ails the service may be over by then.
            let counted = self.stored && (self.record.stale, self.record.empty) != (0, 0);
            let note = Record { stale: 0, empty: 0, ..self.record.next() };
            return if counted { self.note(note, Continuation::Fail(failure)) } else { self.fail(failure, now) };
        }
        self.report.resync = Some(failure.code.as_str().to_owned());
        self.restart(Record { restarted: true, page_size: self.record.page_size, ..self.record.fresh() })
    }

    /// Stores that everything is to be listed anew, and does so.
    fn restart(&mut self, record: Record) -> Step {
        let record = Record { generation: self.generation.max(record.generation), round: self.number.max(record.round), ..record };
        let step = self.note(record.clone(), Continuation::Ask);
        self.record = record;
        self.anchor = None;
        self.fallback = 0;
        self.start_over();
        self.describe();
        self.answered();
        step
    }

    fn sweep(&mut self, completed: Completed) -> Step {
        let step = Step::Sweep { after: self.record.after.clone(), completed: completed.clone() };
        self.to(State::Sweeping(completed), step)
    }

    fn swept(&mut self, SweepSummary { work, growth, after }: SweepSummary, now: f64) -> Step {
        let mut record = self.record.next();
        record.grow(growth);
        let after = after.filter(|_| !planted::is("the sweep ends after its first chunk"));
        match after {
            // Nothing to commit: look on.
            Some(after) if !work => {
                self.record.after = Some(after);
                match self.record.completed() {
                    Some(completed) => self.sweep(completed),
                    None => self.fail(Error::new(Code::Internal, "a sweep lost its right"), now),
                }
            }
            Some(after) => {
                record.after = Some(after);
                record.page = self.index.saturating_add(1);
                self.deliver(record, false)
            }
            None => {
                finish(&mut record);
                self.deliver(record, true)
            }
        }
    }

    fn refused(&mut self, refusal: &Refusal, now: f64, chance: f64) -> Step {
        let verdict = refusal.verdict(matches!(self.target, Target::Link(_)));
        let floor = refusal.retry_after.as_deref().and_then(|header| retry_after(header, now));
        match verdict {
            Verdict::Resync | Verdict::Redirect | Verdict::Final if self.leave_location() => self.sign_in(TokenReason::Next),
            Verdict::SignIn => self.challenged(refusal, now),
            Verdict::Throttled => self.again(WaitReason::Throttled, floor, self.failure(refusal), now, chance),
            Verdict::Server => {
                if matches!(refusal.status, 408 | 503 | 504) {
                    self.shrink();
                }
                self.again(WaitReason::Server, floor, self.failure(refusal), now, chance)
            }
            Verdict::Resync => self.resync(refusal, now),
            // Not there, or not this reader's to see: its occurrences then stand as they are.
            Verdict::Final if matches!(self.target, Target::Master(_)) => {
                self.answered();
                self.prepare(now)
            }
            // Who may not read it, may not with another link either.
            Verdict::Final if !matches!(refusal.status, 402 | 403) => self.give_up(self.failure(refusal), now),
            Verdict::Redirect | Verdict::Final => self.fail(self.failure(refusal), now),
        }
    }

    /// Graph refuses what was asked for good. If it was a link, that is counted; the third time in a row the round goes back.
    fn give_up(&mut self, failure: Box<Error>, now: f64) -> Step {
        let Target::Link(refused) = &self.target else { return self.fail(failure, now) };
        let refusals = self.record.refusals.saturating_add(1);
        if refusals < MOST_REFUSALS && self.fallback == self.record.fallback {
            return self.note(Record { refusals, ..self.record.next() }, Continuation::Fail(failure));
        }
        let start = self.start.clone().filter(|start| self.fallback == 0 && start != refused);
        self.answered();
        self.forgive();
        if start.is_some() {
            self.fallback = 1;
            self.go_from(start);
        } else if self.plan.query.full {
            if self.recent_resets(now).len() >= MOST_RESETS {
                return self.too_many_resets(failure.graph_code, failure.status, now);
            }
            self.fallback = 2;
            self.report.resync = Some(failure.graph_code.clone().unwrap_or_else(|| failure.code.as_str().to_owned()));
            self.start_over();
        } else {
            return self.fail(failure, now);
        }
        self.anchor = None;
        self.describe();
        self.sign_in(TokenReason::Next)
    }

    fn recent_resets(&self, now: f64) -> Vec<f64> {
        let mut resets = Vec::new();
        for &at in &self.record.resets {
            #[allow(clippy::cast_precision_loss, reason = "a day in milliseconds fits")]
            if (now - at).abs() < DAY as f64 {
                resets.push(at);
            }
        }
        resets
    }

    fn resync(&mut self, refusal: &Refusal, now: f64) -> Step {
        if !self.plan.query.full {
            let words = "Graph no longer accepts the stored link, and this query begins at a token of its own, so it can't list what changed since; \
                         reset() begins there again and leaves a gap, a query without the token lists everything";
            return self.fail(Error::new(Code::NotSupported, words), now);
        }
        let mut resets = self.recent_resets(now);
        if resets.len() >= MOST_RESETS {
            return self.too_many_resets(refusal.code().map(str::to_owned), Some(refusal.status), now);
        }
        self.report.resync = Some(refusal.code().map_or_else(|| refusal.status.to_string(), str::to_owned));
        resets.push(now);
        let step = self.restart(Record { resets, restarted: self.record.restarted, ..self.record.fresh() });
        let location = self.plan.query.resource.is_some_and(|resource| resource.location).then_some(refusal.location.as_deref()).flatten();
        if let Some(url) = location.and_then(|location| self.plan.endpoint.admit(location).ok()) {
            self.target = Target::Location(url);
        }
        step
    }

    fn too_many_resets(&mut self, graph_code: Option<String>, status: Option<u16>, now: f64) -> Step {
        let words = format!(
            "{} full rounds within a day were called for, because Graph asked for them or refused the links for good, and none could complete; the mirror is as it was, try again tomorrow or start over with reset()",
            MOST_RESETS
        );
        let mut failure = Error::retryable(Code::ResyncLoop, words);
        failure.graph_code = graph_code;
        failure.status = status;
        self.fail(failure, now)
    }

    /// Waits and asks again, or ends with what went wrong.
    fn again(&mut self, why: WaitReason, floor: Option<f64>, mut failure: Box<Error>, now: f64, chance: f64) -> Step {
        if why != WaitReason::Throttled && self.leave_location() {
            // The query itself waits as long as Graph asks for.
            return self.hold((now + floor.unwrap_or(0.0)).min(LAST_DATE), Continuation::Ask, now);
        }
        self.failures = self.failures.saturating_add(1);
        let ms = back_off(&self.plan.policy, self.failures, floor, chance);
        let most = if why == WaitReason::Malformed { MOST_BODIES.min(self.plan.policy.attempts) } else { self.plan.policy.attempts };
        // What Graph asks for holds for all that shares its limits.
        let shared = why == WaitReason::Throttled || floor.is_some();
        let until = (now + ms).min(LAST_DATE);
        if self.failures < most && ms <= self.plan.policy.max_wait {
            return if shared { self.hold(until, Continuation::Sleep(ms, why), now) } else { self.sleep(ms, why, now) };
        }
        if failure.code == Code::Livelock {
            return self.climb(failure, now);
        }
        if why == WaitReason::Server && ms <= self.plan.policy.max_wait {
            return if shared { self.hold(until, Continuation::GiveUp(failure), now) } else { self.give_up(failure, now) };
        }
        if floor.is_some() && ms > self.plan.policy.max_wait {
            failure.code = Code::Throttled;
        }
        if failure.code == Code::Throttled {
            failure.retry_at = Some(until);
        }
        // A smaller page that would not come in time either is where the next round begins.
        if why == WaitReason::Timeout && self.sized && self.stored {
            return self.note(self.record.next(), Continuation::Fail(failure));
        }
        if shared { self.hold(until, Continuation::Fail(failure), now) } else { self.fail(failure, now) }
    }

    fn unreachable(&mut self, lost: NoResponse, words: String, now: f64, chance: f64) -> Step {
        let (why, words) = match lost {
            NoResponse::Offline => {
                let left = self.plan.policy.max_wait - (now - *self.offline.get_or_insert(now));
                if left <= 0.0 {
                    let words = "this host has no network; the next round goes on at the same page once it has one";
                    return self.fail(Error::retryable(Code::Offline, words), now);
                }
                return self.sleep(left, WaitReason::Offline, now);
            }
            NoResponse::Network => (WaitReason::Network, words),
            NoResponse::Timeout => {
                self.shrink();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float becomes an integer saturating")]
                let seconds = (self.plan.policy.timeout / 1000.0).ceil() as u64;
                (WaitReason::Timeout, format!("{words} (nothing moved for {seconds} s, options.retry.timeout)"))
            }
        };
        self.again(why, None, Error::retryable(Code::Network, words), now, chance)
    }

    /// The token source is to come back later. Its wait is its own, not that of what shares Graph's limits.
    fn busy(&mut self, until: f64, now: f64, chance: f64) -> Step {
        self.failures = self.failures.saturating_add(1);
        let ms = back_off(&self.plan.policy, self.failures, Some((until - now).max(0.0)), chance);
        if self.failures < self.plan.policy.attempts && ms <= self.plan.policy.max_wait {
            return self.sleep(ms, WaitReason::Server, now);
        }
        let mut failure = Error::retryable(Code::Network, NO_TOKEN);
        if ms > self.plan.policy.max_wait {
            failure.code = Code::Throttled;
            failure.retry_at = Some((now + ms).min(LAST_DATE));
        }
        self.fail(failure, now)
    }

    /// Somebody else was told to wait.
    fn throttled(&mut self, until: f64, now: f64) -> Step {
        self.report.requests -= 1;
        self.report.retries -= u32::from(self.tries > 1);
        self.tries -= 1;
        let ms = until - now;
        if ms <= self.plan.policy.max_wait {
            return self.sleep(ms.max(0.0), WaitReason::Throttled, now);
        }
        let mut failure = Error::retryable(Code::Throttled, TOO_LONG);
        failure.retry_at = Some(until);
        self.fail(failure, now)
    }

    /// A page that Graph can't make, or not in time, may be too large: half of it, the second time.
    fn shrink(&mut self) {
        let Some(most) = self.plan.query.page_size else { return };
        let size = self.record.page_size.unwrap_or(most);
        if self.failures > 0 && !matches!(self.target, Target::Master(_)) && size / 2 >= self.plan.query.smallest {
            self.record.too_large = size;
            self.resize(size / 2);
        }
    }

    fn resize(&mut self, size: u32) {
        self.sized = true;
        self.record.page_size = Some(size).filter(|size| Some(*size) != self.plan.query.page_size);
        self.report.page_size = Some(size);
    }

    /// Pages that were made smaller become larger again, slowly.
    fn grow(&mut self) {
        if let Some(size) = self.record.page_size
            && let Some(most) = self.plan.query.page_size
            && size < most
        {
            self.resize(most.min(size.saturating_mul(2)));
        }
    }

    /// Goes back to the query itself where the `Location` of a reset fails by itself, as has been seen (graph-facts 4).
    fn leave_location(&mut self) -> bool {
        let there = matches!(self.target, Target::Location(_));
        if there {
            self.target = Target::Query;
        }
        there
    }

    /// A refusal in words, with the way out.
    fn failure(&self, refusal: &Refusal) -> Box<Error> {
        let resource = self.plan.query.resource;
        let name = resource.map_or("this resource", |resource| resource.name);
        let app_only = resource.is_some_and(|resource| resource.app_only);
        let (code, retryable, way_out) = match refusal.status {
            401 | 403 if refusal.claims.is_some() => (
                Code::Claims,
                true,
                "it wants a token that satisfies claims, and the one that the token source then gave does not; sign the user in with error.claims, then call resume()",
            ),
            0 | 300..=399 => {
                (Code::ForeignLink, false, "a redirect is not followed, because it would carry the token elsewhere; check options.endpoint")
            }
            401 => (
                Code::Unauthorized,
                true,
                "the token source gave a token that Graph does not accept twice in a row; check its audience, its tenant and its cloud",
            ),
            402 => (Code::Forbidden, false, "the payment set-up of this metered API is missing"),
            403 if app_only => {
                (Code::Forbidden, false, "only an app-only token can read this kind, no signed-in user's: use a Worker or a server")
            }
            403 => (Code::Forbidden, false, "the token lacks the permission, or the user the right, to read this"),
            404 => (
                Code::NotFound,
                false,
                "what the path names (a user, a calendar, a folder, a meeting organizer) is not there, or no longer",
            ),
            410 => (Code::ResyncLoop, true, "it refuses the query itself as if it were an old link; try again later"),
            429 | 509 => (Code::Throttled, true, TOO_LONG),
            501 => (Code::NotSupported, false, "a property in select is kept outside the main store"),
            408 | 500..=599 => (Code::Network, true, "the service did not recover in time; the next round goes on at the same page"),
            _ if refusal.has("Request_UnsupportedQuery") || refusal.has("NotSupported") => {
                (Code::NotSupported, false, "Graph has no delta query of this form here")
            }
            _ => (Code::BadRequest, false, "check the options of the query"),
        };
        let status = if refusal.status == 0 { "with a redirect".to_owned() } else { refusal.status.to_string() };
        let graph_code = refusal.code().map(|code| format!(" {code}")).unwrap_or_default();
        let strange = refusal.strange.as_ref().filter(|strange| **strange == Malformed::Html).map(Malformed::words);
        let said = refusal.message.as_deref().or(strange.as_deref());
        let said = said.map(|said| format!(" ({})", redact(said, 300))).unwrap_or_default();
        let mut failure = Error::new(code, format!("Graph answered {status}{graph_code} on {name}{said}: {way_out}"));
        failure.status = (refusal.status != 0).then_some(refusal.status);
        failure.graph_code = refusal.code().map(str::to_owned);
        failure.request_id = refusal.request_id.clone();
        failure.claims = refusal.claims.clone();
        failure.retryable = retryable;
        failure
    }
}

/// Graph has listed all: the mirror is of this moment, however long the sweep may wait.
fn listed_at(record: &mut Record, now: f64) {
    record.synced_at = Some(now);
    if record.kind == Kind::Full {
        record.full_at = Some(now);
    }
}

/// The round is complete.
fn finish(record: &mut Record) {
    record.phase = Phase::Idle;
    record.after = None;
    record.close();
    record.resets = Vec::new();
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
#[path = "round_tests.rs"]
mod tests;
