//! One round as a state machine: no I/O, no clock, no JavaScript. The shell reports what happened to [`Round::step`] and does
//! what the [`Step`] says. One input in, one step out.
//!
//! ```text
//!            Begin           Loaded                SignedIn            Page
//!   Start ──────────► Loading ────────► SigningIn ─────────► Fetching ─────────► Delivering
//!                     │   │               ▲  ▲  ▲              │ │ │               │ Delivered
//!                     │   │         Slept │  │  │ 401, once    │ │ │               ▼
//!                     │   │       Sleeping┘  │  └──────────────┘ │ │            Waiting
//!                     │   │          ▲       │ Committed         │ │               │ Acked
//!                     │   │          └───────┼───────────────────┘ │               ▼
//!                     │   │  429, 5xx, no    Resyncing ◄───────────┘           Committing
//!                     │   │  answer, no page           reset signal                │ Committed
//!                     │   │ sweeping                                               ▼
//!                     │   └────────────────► Sweeping ── Swept ──► Delivering   more pages: SigningIn
//!                     ▼                         ▲                               ghosts to look for: Sweeping
//!                 any defect: Ended             └───────────────────────────────── else: Ended
//! ```
//!
//! The rules, with the invariants of the design that they keep:
//!
//! 1. A page commits with its link, after its acknowledgement, or not at all (1, 2).
//! 2. A round goes on where the record says: at the nextLink, at the deltaLink, in the sweep, or from the query itself.
//! 3. Every link is checked before it is stored and again before it is asked for (6); it is never rebuilt (7).
//! 4. Failures leave the record as it is (14). The count of failures starts anew with each page.
//! 5. A 401 asks once for another token; a second one before the next page ends the round.
//! 6. 408, 429, 5xx and no answer at all are waited for: `Retry-After` is a floor (10), the number of attempts a ceiling (9).
//! 7. A reset signal counts only on a request made with a link. It is stored at once, so that a crash does not ask the dead
//!    link again, and starts a full round of the next generation from the query itself; for drives, lists and sites from the
//!    `Location` if that works. The fourth one of a day without a complete round ends in `resync-loop` (15).
//! 8. A full round over an older generation ends with a sweep. Only a record in the phase `sweeping` gives the right to it (3).
//! 9. A round that does not begin with a listing of everything (`latest`, a timestamp) is incremental from its first page. A reset
//!    ends it: listing from the same token again would hide the gap.
//! 10. nextLinks that go in a circle end the round (9).

use std::rc::Rc;

use super::endpoint::{Endpoint, shown};
use super::error::{Code, Failure};
use super::page::{Link, Malformed};
use super::record::{Completed, Kind, Phase, Record};
use super::refusal::{Refusal, Verdict};
use super::report::{Outcome, Report, Wait};
use super::request::Query;
use super::text::{short, without_tokens};
use super::time::DAY;
use super::wait::{Policy, Why, back_off, retry_after};

/// Resets of a day without a complete round, after which the round ends.
const MOST_RESETS: usize = 3;
/// The last instant that a JavaScript Date can hold.
const LAST_DATE: f64 = 8.64e15;
/// Attempts at a body that is no page, or at a page whose nextLink is the one just used.
const MOST_BODIES: u32 = 3;

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
    /// No answer, or a cut one.
    Unreachable,
    /// A good status, but no page.
    Malformed(Malformed),
    /// The wait is over.
    Slept,
    /// The page is with the consumer.
    Delivered,
    /// The consumer acknowledged it.
    Acked,
    /// The record is stored.
    Committed,
    /// Another revision was stored meanwhile.
    Conflict,
    /// A chunk of the mirror was looked through.
    Swept {
        /// Whether it held ghosts.
        ghosts: bool,
        /// Its last id; none if that was the end of the mirror.
        after: Option<String>,
    },
    /// The store, or the token source, failed.
    Broken(Box<Failure>),
}

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The first request of the round.
    Start,
    /// Any later one: a token that is still good will do.
    Next,
    /// Graph refused the last one.
    Unauthorized,
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
    /// Get a token; then `SignedIn`.
    SignIn(Need),
    /// Ask this URL with the token and the Prefer values; then `Page`, `Refused`, `Unreachable` or `Malformed`.
    Fetch(String),
    /// Wait; then `Slept`.
    Sleep(f64, Why),
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
    /// Graph wants a full round: store this record, without items; then as for `Commit`.
    Resync {
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
    Fail(Box<Failure>),
}

/// What a round keeps of its query.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
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
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Start,
    Loading,
    SigningIn,
    Fetching,
    Sleeping,
    Resyncing(Box<Record>),
    Delivering(Box<Record>),
    Waiting(Box<Record>),
    Committing(Box<Record>),
    Sweeping(Completed),
    Ended,
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
}

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    plan: Plan,
    state: State,
    /// As it is stored, or as it would be.
    record: Record,
    stored: bool,
    target: Target,
    kind: Kind,
    generation: u32,
    index: u32,
    start: Option<String>,
    began: f64,
    /// A nextLink of this round to compare later ones with, taken anew after 1, 2, 4, 8, … pages: whatever circle the links
    /// go in, it is met in the end (Brent's way to find a cycle).
    anchor: Option<String>,
    until_anchor: (u32, u32),
    failures: u32,
    refused_tokens: u32,
    asked: bool,
    /// What happened so far.
    pub report: Report,
}

impl Round {
    /// A round that has not begun.
    pub fn new(plan: Plan, now: f64) -> Self {
        Self {
            plan,
            state: State::Start,
            record: Record::new(now, 0.0),
            stored: false,
            target: Target::Query,
            kind: Kind::Full,
            generation: 0,
            index: 0,
            start: None,
            began: now,
            anchor: None,
            until_anchor: (0, 1),
            failures: 0,
            refused_tokens: 0,
            asked: false,
            report: Report::new(now),
        }
    }

    /// The query's own.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The record as it was last read or written.
    pub fn record(&self) -> &Record {
        &self.record
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
            (State::Fetching, Input::Unreachable) => self.again(Why::Network, None, None, now, chance),
            (State::Fetching, Input::Malformed(why)) => {
                let failure = Failure::retryable(Code::Protocol, format!("Graph's answer is no page of a delta query: {}; the stored link is untouched", why.words()));
                self.again(Why::Malformed, None, Some(failure), now, chance)
            }
            (State::Sleeping, Input::Slept) => self.sign_in(Need::Next),
            (State::Resyncing(record), Input::Committed) => {
                self.keep(*record);
                self.sign_in(Need::Next)
            }
            (State::Delivering(record), Input::Delivered) => self.to(State::Waiting(record), Step::Await),
            (State::Waiting(record), Input::Acked) => {
                let step = Step::Commit { expect: self.expect(), record: record.clone() };
                self.to(State::Committing(record), step)
            }
            (State::Committing(record), Input::Committed) => self.committed(*record, now),
            (State::Committing(_) | State::Resyncing(_), Input::Conflict) => self.fail(
                Failure::retryable(Code::Conflict, "another tab or process committed to this query meanwhile; nothing was written here, the next round goes on from what it stored"),
                now,
            ),
            (State::Sweeping(_), Input::Swept { ghosts, after }) => self.swept(ghosts, after, now),
            (State::Ended, _) => Step::Fail(Failure::new(Code::Internal, "the round is over")),
            (_, Input::Broken(failure)) => self.fail(failure, now),
            (state, input) => self.fail(Failure::new(Code::Internal, format!("{} can't follow on {}", input.name(), state.name())), now),
        }
    }

    fn to(&mut self, state: State, step: Step) -> Step {
        self.state = state;
        step
    }

    fn fail(&mut self, failure: Box<Failure>, now: f64) -> Step {
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
        self.record = record;
        self.stored = true;
    }

    fn loaded(&mut self, record: Option<Box<Record>>, now: f64, chance: f64) -> Step {
        match record {
            None => self.record = Record::new(now, chance),
            Some(record) => self.keep(*record),
        }
        let old = self.record.full_at.zip(self.plan.query.refresh).is_some_and(|(full_at, age)| now - full_at > age);
        match self.record.phase {
            Phase::Fresh => self.start_over(),
            // A mirror this old is listed anew. Until the first page is committed, the deltaLink stays where it is.
            Phase::Idle if old => {
                self.start_over();
                self.start = self.record.link.clone();
            }
            Phase::Idle => {
                self.kind = Kind::Incremental;
                self.generation = self.record.generation;
                self.index = 0;
                self.start = self.record.link.clone();
                self.follow_link();
            }
            Phase::Paging | Phase::Sweeping => {
                self.kind = self.record.kind;
                self.generation = self.record.generation;
                self.index = self.record.page;
                self.start = self.record.start.clone();
                self.follow_link();
                self.report.resumed = true;
            }
        }
        self.describe();
        match self.record.completed() {
            Some(completed) => self.sweep(completed),
            None => self.sign_in(Need::Start),
        }
    }

    fn follow_link(&mut self) {
        self.target = self.record.link.clone().map_or(Target::Query, Target::Link);
    }

    fn start_over(&mut self) {
        self.kind = if self.plan.query.full { Kind::Full } else { Kind::Incremental };
        self.generation = self.record.generation.saturating_add(1);
        self.index = 0;
        self.start = None;
        self.target = Target::Query;
    }

    fn describe(&mut self) {
        self.report.kind = self.kind;
        self.report.generation = self.generation;
    }

    fn sign_in(&mut self, need: Need) -> Step {
        self.to(State::SigningIn, Step::SignIn(need))
    }

    fn fetch(&mut self, now: f64) -> Step {
        let url = match &self.target {
            Target::Query => Ok(self.plan.query.url(&self.plan.endpoint)),
            Target::Link(link) | Target::Location(link) => self.plan.endpoint.admit(link),
        };
        match url {
            Ok(url) => {
                self.report.requests += 1;
                self.report.retries += u32::from(self.asked);
                self.asked = true;
                self.to(State::Fetching, Step::Fetch(url))
            }
            Err(failure) => self.fail(failure, now),
        }
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
            return self.again(Why::Malformed, None, Some(Failure::retryable(Code::Livelock, words)), now, chance);
        }
        self.failures = 0;
        self.refused_tokens = 0;
        self.asked = false;
        let mut record = Record {
            kind: self.kind,
            generation: self.generation,
            page: self.index.saturating_add(1),
            prefer: self.plan.query.prefer.clone(),
            start: self.start.clone(),
            after: None,
            started_at: if self.index == 0 { now } else { self.record.started_at },
            ..self.record.next()
        };
        let last = match link {
            Link::Next(next) => {
                let (pages, most) = self.until_anchor;
                self.until_anchor = if pages + 1 < most { (pages + 1, most) } else { (0, most.saturating_mul(2)) };
                if self.until_anchor.0 == 0 {
                    self.anchor = Some(next.clone());
                }
                record.phase = Phase::Paging;
                record.link = Some(next);
                false
            }
            Link::Delta(delta) => {
                record.link = Some(delta);
                // Rows of an older generation can only be there if there was an older generation.
                if self.plan.query.mirror && self.kind == Kind::Full && self.generation > 1 {
                    record.phase = Phase::Sweeping;
                    false
                } else {
                    finish(&mut record, now);
                    true
                }
            }
        };
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
        self.sign_in(Need::Next)
    }

    fn sweep(&mut self, completed: Completed) -> Step {
        let step = Step::Sweep { after: self.record.after.clone(), completed: completed.clone() };
        self.to(State::Sweeping(completed), step)
    }

    fn swept(&mut self, ghosts: bool, after: Option<String>, now: f64) -> Step {
        match after {
            // Nothing to commit: look on.
            Some(after) if !ghosts => {
                self.record.after = Some(after);
                match self.record.completed() {
                    Some(completed) => self.sweep(completed),
                    None => self.fail(Failure::new(Code::Internal, "a sweep lost its right"), now),
                }
            }
            Some(after) => {
                let record = Record { after: Some(after), page: self.index.saturating_add(1), ..self.record.next() };
                self.deliver(record, false)
            }
            None => {
                let mut record = Record { after: None, ..self.record.next() };
                finish(&mut record, now);
                self.deliver(record, true)
            }
        }
    }

    fn refused(&mut self, refusal: &Refusal, now: f64, chance: f64) -> Step {
        let verdict = refusal.verdict(matches!(self.target, Target::Link(_)));
        match verdict {
            Verdict::Resync | Verdict::Redirect | Verdict::Final if self.leave_location() => self.sign_in(Need::Next),
            Verdict::SignIn if self.refused_tokens == 0 => {
                self.refused_tokens += 1;
                self.sign_in(Need::Unauthorized)
            }
            Verdict::Throttled => self.again(Why::Throttled, refusal.retry_after.as_deref(), Some(self.failure(refusal)), now, chance),
            Verdict::Server => self.again(Why::Server, refusal.retry_after.as_deref(), Some(self.failure(refusal)), now, chance),
            Verdict::Resync => self.resync(refusal, now),
            Verdict::SignIn | Verdict::Redirect | Verdict::Final => self.fail(self.failure(refusal), now),
        }
    }

    fn resync(&mut self, refusal: &Refusal, now: f64) -> Step {
        if !self.plan.query.full {
            let words = "Graph no longer accepts the stored link, and this query begins at a token of its own, so it can't list what changed since; \
                         reset() begins there again and leaves a gap, a query without the token lists everything";
            return self.fail(Failure::new(Code::NotSupported, words), now);
        }
        let mut resets = Vec::new();
        for &at in &self.record.resets {
            #[allow(clippy::cast_precision_loss, reason = "a day in milliseconds fits")]
            if (now - at).abs() < DAY as f64 {
                resets.push(at);
            }
        }
        if resets.len() >= MOST_RESETS {
            let words = format!(
                "Graph asked for a full round {MOST_RESETS} times within a day and never let one complete; the mirror is as it was, try again tomorrow or start over with reset()"
            );
            let mut failure = Failure::retryable(Code::ResyncLoop, words);
            failure.graph_code = refusal.code().map(str::to_owned);
            failure.status = Some(refusal.status);
            return self.fail(failure, now);
        }
        self.report.resync = Some(refusal.code().map_or_else(|| usize::from(refusal.status).to_string(), str::to_owned));
        resets.push(now);
        let record = Record { generation: self.generation.max(self.record.generation), resets, ..self.record.fresh() };
        let expect = self.expect();
        self.record = record.clone();
        self.start_over();
        self.describe();
        self.failures = 0;
        self.asked = false;
        let location = self.plan.query.resource.is_some_and(|resource| resource.location).then_some(refusal.location.as_deref()).flatten();
        if let Some(url) = location.and_then(|location| self.plan.endpoint.admit(location).ok()) {
            self.target = Target::Location(url);
        }
        let record = Box::new(record);
        self.to(State::Resyncing(record.clone()), Step::Resync { expect, record })
    }

    /// Waits and asks again, or ends with what went wrong.
    fn again(&mut self, why: Why, header: Option<&str>, failure: Option<Box<Failure>>, now: f64, chance: f64) -> Step {
        if why != Why::Throttled && self.leave_location() {
            return self.sign_in(Need::Next);
        }
        self.failures = self.failures.saturating_add(1);
        let floor = header.and_then(|header| retry_after(header, now));
        let ms = back_off(&self.plan.policy, self.failures, floor, chance);
        let most = if why == Why::Malformed { MOST_BODIES.min(self.plan.policy.attempts) } else { self.plan.policy.attempts };
        if self.failures < most && ms <= self.plan.policy.max_wait {
            self.report.waits.push(Wait { reason: why, ms });
            return self.to(State::Sleeping, Step::Sleep(ms, why));
        }
        let mut failure = failure.unwrap_or_else(|| {
            let words = format!(
                "no answer from {} after {} attempts; check the connection and, in a browser, that this page may call that origin; the next round goes on at the same page",
                self.plan.endpoint.origin(),
                self.failures as usize
            );
            Failure::retryable(Code::Network, words)
        });
        if floor.is_some() && ms > self.plan.policy.max_wait {
            failure.code = Code::Throttled;
        }
        if failure.code == Code::Throttled {
            failure.retry_at = Some((now + ms).min(LAST_DATE));
        }
        self.fail(failure, now)
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
    fn failure(&self, refusal: &Refusal) -> Box<Failure> {
        let resource = self.plan.query.resource;
        let name = resource.map_or("this resource", |resource| resource.name);
        let app_only = resource.is_some_and(|resource| resource.app_only);
        let (code, retryable, way_out) = match refusal.status {
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
            429 | 509 => (
                Code::Throttled,
                true,
                "Graph asks for a longer pause than this round may take; the next round goes on at the same page, not before retryAt",
            ),
            501 => (Code::NotSupported, false, "a property in select is kept outside the main store"),
            408 | 500..=599 => (Code::Network, true, "the service did not recover in time; the next round goes on at the same page"),
            _ if refusal.has("Request_UnsupportedQuery") || refusal.has("NotSupported") => {
                (Code::NotSupported, false, "Graph has no delta query of this form here")
            }
            _ => (Code::BadRequest, false, "check the options of the query"),
        };
        let status = if refusal.status == 0 { "with a redirect".to_owned() } else { usize::from(refusal.status).to_string() };
        let graph_code = refusal.code().map(|code| format!(" {code}")).unwrap_or_default();
        let said = refusal.message.as_deref().map(|said| format!(" ({})", short(&without_tokens(said), 300))).unwrap_or_default();
        let mut failure = Failure::new(code, format!("Graph answered {status}{graph_code} on {name}{said}: {way_out}"));
        failure.status = (refusal.status != 0).then_some(refusal.status);
        failure.graph_code = refusal.code().map(str::to_owned);
        failure.request_id = refusal.request_id.clone();
        failure.retryable = retryable;
        failure
    }
}

/// The round is complete.
fn finish(record: &mut Record, now: f64) {
    record.phase = Phase::Idle;
    record.page = 0;
    record.start = None;
    record.synced_at = Some(now);
    record.resets = Vec::new();
    if record.kind == Kind::Full {
        record.full_at = Some(now);
    }
}

impl Input {
    fn name(&self) -> &'static str {
        match self {
            Self::Begin => "Begin",
            Self::Loaded(_) => "Loaded",
            Self::SignedIn => "SignedIn",
            Self::Page(_) => "Page",
            Self::Refused(_) => "Refused",
            Self::Unreachable => "Unreachable",
            Self::Malformed(_) => "Malformed",
            Self::Slept => "Slept",
            Self::Delivered => "Delivered",
            Self::Acked => "Acked",
            Self::Committed => "Committed",
            Self::Conflict => "Conflict",
            Self::Swept { .. } => "Swept",
            Self::Broken(_) => "Broken",
        }
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Loading => "Loading",
            Self::SigningIn => "SigningIn",
            Self::Fetching => "Fetching",
            Self::Sleeping => "Sleeping",
            Self::Resyncing(_) => "Resyncing",
            Self::Delivering(_) => "Delivering",
            Self::Waiting(_) => "Waiting",
            Self::Committing(_) => "Committing",
            Self::Sweeping(_) => "Sweeping",
            Self::Ended => "Ended",
        }
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
#[path = "round_tests.rs"]
mod tests;
