//! What holds of a round whatever Graph, the network and the token source answer, and whenever the
//! process ends: random replies, random times, hostile links. The invariants are numbered as in the
//! design.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    missing_docs
)]

use std::collections::HashSet;
use std::iter::Peekable;
use std::rc::Rc;

use deltalink::protocol::backoff::Policy;
use deltalink::protocol::change::{PageSummary, SweepSummary};
use deltalink::protocol::endpoint::Endpoint;
use deltalink::protocol::error::{Code, Error};
use deltalink::protocol::page::{Link, Malformed};
use deltalink::protocol::query::{self, Options, Query};
use deltalink::protocol::rate::RateLimiter;
use deltalink::protocol::record::{Phase, Record};
use deltalink::protocol::refusal::Refusal;
use deltalink::protocol::round::{Input, NoResponse, Round, RoundConfig, Step, TokenReason};
use deltalink::protocol::time::{Duration, Instant};
use proptest::prelude::*;
use url::Url;

const NEVER: Instant = Instant::from_millis(0.0);
const NOW: Instant = Instant::from_millis(1_795_000_000_000.0);
const ROOT: &str = "https://graph.microsoft.com/v1.0";
/// Part of every link: it must not be told.
const SECRET: &str = "s3cr3t";

/// Answers that are no page, and no page between them, that one round takes: six attempts
/// at each of the three links it may go back to, three at each rung of a circle, two sign-ins,
/// three resets.
const MOST_FAULTS: u64 = 40;

/// What comes back: for one request, from the token source, or from the store.
#[derive(Clone, Debug)]
enum Reply {
    /// A nextLink of this name, and how much of the page is new.
    Next(u8, Option<bool>),
    Delta(u8),
    /// A link that leads elsewhere.
    Hostile(usize, bool),
    /// Status, code, `Retry-After` in seconds, claims.
    Refused(u16, usize, Option<u32>, Option<u8>),
    NoResponse(NoResponse),
    Malformed,
    /// The scope is throttled for so many milliseconds, by another query.
    Throttled(u32),
    /// The token source gets no answer.
    NoToken(NoResponse),
    /// The token source wants the user to sign in.
    Interaction,
    /// Another process commits first.
    Conflict,
    /// The store fails.
    NoStore,
    /// The process ends here, and another one goes on.
    Crash,
}

const HOSTILE: [&str; 6] = [
    "https://evil.example/v1.0/contacts/delta?t=s3cr3t",
    "http://graph.microsoft.com/v1.0/contacts/delta?t=s3cr3t",
    "https://graph.microsoft.com@evil.example/?t=s3cr3t",
    "https://graph.microsoft.com.evil.example/?t=s3cr3t",
    "//evil.example/?t=s3cr3t",
    "https://graph.microsoft.com\\@evil.example/?t=s3cr3t",
];

const CODES: [&str; 5] = ["", "syncStateNotFound", "resyncRequired", "ErrorItemNotFound", "UnknownError"];

fn lost() -> impl Strategy<Value = NoResponse> {
    prop_oneof![Just(NoResponse::Network), Just(NoResponse::Offline), Just(NoResponse::Timeout)]
}

fn reply() -> impl Strategy<Value = Reply> {
    let status = prop_oneof![
        Just(400_u16),
        Just(401),
        Just(403),
        Just(404),
        Just(408),
        Just(410),
        Just(429),
        Just(500),
        Just(501),
        Just(503),
        Just(504),
        Just(302),
        0_u16..1000
    ];
    prop_oneof![
        6 => (any::<u8>(), prop::option::of(any::<bool>()))
            .prop_map(|(name, made_progress)| Reply::Next(name, made_progress)),
        2 => any::<u8>().prop_map(Reply::Delta),
        1 => (0..HOSTILE.len(), any::<bool>()).prop_map(|(which, next)| Reply::Hostile(which, next)),
        6 => (status, 0..CODES.len(), prop::option::of(0_u32..1000), prop::option::of(0_u8..4))
            .prop_map(|(status, code, after, claims)| Reply::Refused(status, code, after, claims)),
        2 => lost().prop_map(Reply::NoResponse),
        1 => Just(Reply::Malformed),
        1 => (0_u32..600_000).prop_map(Reply::Throttled),
        1 => lost().prop_map(Reply::NoToken),
        1 => prop_oneof![Just(Reply::Interaction), Just(Reply::Conflict), Just(Reply::NoStore)],
        1 => Just(Reply::Crash),
    ]
}

/// What brings a round no further.
fn useless() -> impl Strategy<Value = Reply> {
    reply().prop_filter("it brings the round further", |reply| {
        !matches!(reply, Reply::Next(_, Some(true)) | Reply::Delta(_) | Reply::Throttled(_) | Reply::Crash)
    })
}

fn is_reset_signal(refusal: &Refusal) -> bool {
    refusal.codes.iter().any(|code| CODES[1..3].contains(&code.as_str()))
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

/// A shell, a store and a service for one query.
struct Bench {
    query: Rc<Query>,
    endpoint: Rc<Endpoint>,
    store: Option<Record>,
    now: Instant,
    limiter: RateLimiter,
    /// Until when the scope is held and when that was written, as it is stored.
    held: Option<(Instant, Instant)>,
    /// Until when Graph wants no request, by its replies alone.
    floor: Instant,
    /// The same as the next process can know it, if the store failed to take the last one.
    known: Option<Instant>,
    /// Every link that Graph gave.
    given: HashSet<String>,
    /// Whether the last one was no new one.
    repeated: bool,
    names: u64,
    round: Counts,
}

/// What came of the requests of one round.
#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    pages: u64,
    masters: u64,
    /// Answers that are no page, and pages whose link was given before.
    faults: u64,
    /// Those since the last page that was taken.
    in_a_row: u64,
}

/// How a round ended.
#[derive(Debug)]
enum End {
    Done,
    Failed(Box<Error>),
    Crashed,
}

impl Bench {
    fn new(kind: u8) -> Self {
        let query = query(kind);
        Self {
            limiter: RateLimiter::new(query.workload),
            query: Rc::new(query),
            endpoint: Rc::new(Endpoint::cloud("global").unwrap()),
            store: None,
            now: NOW,
            held: None,
            floor: NEVER,
            known: None,
            given: HashSet::new(),
            repeated: false,
            names: 0,
            round: Counts::default(),
        }
    }

    /// Another process: it knows what is stored.
    fn reload(&mut self) {
        self.limiter = RateLimiter::new(self.query.workload);
        if let Some((until, at)) = self.held {
            self.limiter.adopt_stored(until, at, self.now);
        }
        self.floor = self.known.take().unwrap_or(self.floor);
    }

    fn store_throttle(&mut self, until: Instant) {
        self.held = Some((until, self.now));
        self.known = None;
    }

    /// A link that was not given before.
    fn new_link(&mut self) -> String {
        self.names += 1;
        self.link(&format!("new{}", self.names))
    }

    fn link(&mut self, name: &str) -> String {
        let link = format!("{ROOT}/contacts/delta?t={SECRET}{name}");
        self.repeated = !self.given.insert(link.clone());
        link
    }

    fn stored_link(&self) -> Option<String> {
        self.store.as_ref().and_then(|record| record.link.clone())
    }

    /// One round; `replies` gives what comes next, and once it is used up the deltaLink. Whoever is
    /// asked next takes the reply that is his; a request gets a good page if the next one is the
    /// store's.
    fn round(
        &mut self,
        replies: &mut Peekable<impl Iterator<Item = Reply>>,
        most: u64,
    ) -> Result<End, TestCaseError> {
        let plan = RoundConfig {
            endpoint: Rc::clone(&self.endpoint),
            query: Rc::clone(&self.query),
            policy: Policy::default(),
            max_pages: None,
            max_duration: None,
            window: None,
            has_consumer: true,
        };
        let mut round = Round::new(plan, self.now);
        let (mut input, mut sign_ins, mut first) = (Input::Begin, 0, true);
        let (mut summary, mut floor) = (PageSummary::default(), None);
        let before = self.store.clone();
        self.round = Counts::default();
        for _ in 0.. {
            self.now += Duration::from_millis(1.0);
            let page = matches!(input, Input::Page(_) | Input::Master);
            let step = round.step(input, self.now, 0.37);
            if page && matches!(step, Step::Apply | Step::SignIn(TokenReason::Next)) {
                sign_ins = 0;
                self.round.in_a_row = 0;
            }
            let store = matches!(
                step,
                Step::Load
                    | Step::Apply
                    | Step::Commit { .. }
                    | Step::SaveRecord { .. }
                    | Step::StoreThrottle(_)
                    | Step::Sweep { .. }
            );
            if let Some(least) = floor.take() {
                prop_assert!(
                    matches!(step, Step::StoreThrottle(until) if until >= self.now + least),
                    "invariant 10: {least:?} asked for: {step:?}"
                );
            }
            if let Step::StoreThrottle(until) = step {
                self.limiter.throttled(until, self.now);
            }
            if let Step::Commit { expect, record } | Step::SaveRecord { expect, record } = &step {
                prop_assert_eq!(
                    expect,
                    &self.store.as_ref().map(|record| record.revision.clone()),
                    "invariant 11"
                );
                if let Some(link) = &record.link {
                    prop_assert!(self.given.contains(link), "invariant 7: stored {}", link);
                }
            }
            if store && replies.next_if(|reply| matches!(reply, Reply::NoStore)).is_some() {
                if matches!(step, Step::StoreThrottle(_)) {
                    self.known = Some(self.held.map_or(NEVER, |(until, _)| until.min(self.floor)));
                }
                input = Input::HostFailed(Error::new(Code::Store, "the disk is gone"));
                continue;
            }
            input = match step {
                Step::Load => Input::Loaded(self.store.clone().map(Box::new)),
                Step::SignIn(need) => {
                    match replies.next_if(|reply| matches!(reply, Reply::NoToken(_) | Reply::Interaction)) {
                        Some(Reply::NoToken(lost)) => Input::Unreachable(lost),
                        Some(_) => Input::HostFailed(Error::new(Code::Interaction, "sign in")),
                        None => {
                            if matches!(need, TokenReason::Unauthorized | TokenReason::Claims(_)) {
                                sign_ins += 1;
                                prop_assert!(
                                    sign_ins <= 2,
                                    "invariant 9: {sign_ins} tokens without a page between them"
                                );
                            }
                            Input::SignedIn
                        }
                    }
                }
                Step::Fetch(ref url) | Step::FetchMaster(ref url) => {
                    let origin = Url::parse(url).unwrap().origin().ascii_serialization();
                    prop_assert_eq!(origin, "https://graph.microsoft.com", "invariant 6");
                    let own = *url == self.query.url(&self.endpoint, None) || url.contains("/events/");
                    prop_assert!(own || self.given.contains(url), "invariant 7: {}", url);
                    if std::mem::take(&mut first)
                        && let Some(Record {
                            phase: Phase::Paging,
                            link: Some(link),
                            no_progress_pages: 0..3,
                            restarted: false,
                            ..
                        }) = &before
                        && !url.contains("/events/")
                    {
                        prop_assert_eq!(
                            url,
                            link,
                            "invariant 15: a round that was interrupted goes on at its link"
                        );
                    }
                    let master = matches!(step, Step::FetchMaster(_));
                    // Another query of the scope is throttled, and stores that.
                    if let Some(Reply::Throttled(ms)) =
                        replies.next_if(|reply| matches!(reply, Reply::Throttled(_)))
                    {
                        let until = self.now + Duration::from_millis(f64::from(ms));
                        self.floor = self.floor.max(until);
                        self.limiter.throttled(until, self.now);
                        self.store_throttle(self.limiter.throttled_until(self.now));
                    }
                    if self.limiter.throttled_until(self.now) <= self.now {
                        self.now += self.limiter.reserve(self.now, 0.37);
                    }
                    if self.limiter.throttled_until(self.now) > self.now {
                        Input::Throttled(self.limiter.throttled_until(self.now))
                    } else {
                        self.round.requests += 1;
                        prop_assert!(self.round.requests <= most, "invariant 9: a round that does not end");
                        prop_assert!(
                            self.now >= self.floor,
                            "invariant 10: asked {:?} too early",
                            self.floor - self.now
                        );
                        let answer = self.answer(replies, master, &mut summary);
                        let Some(answer) = answer else { return Ok(End::Crashed) };
                        if let Input::Refused(refusal) = &answer
                            && matches!(refusal.status, 408 | 429 | 500..=509)
                            && refusal.status != 501
                            // A reset signal is no request to wait.
                            && !(refusal.status == 408 && is_reset_signal(refusal))
                            && let Some(after) = &refusal.retry_after
                        {
                            let wait = Duration::from_millis(after.parse::<f64>().unwrap() * 1000.0);
                            floor = Some(wait).filter(|wait| *wait > Duration::ZERO);
                            self.floor = self.floor.max(self.now + wait);
                        }
                        match &answer {
                            Input::Master => self.round.masters += 1,
                            Input::Page(link) if link.url().starts_with(ROOT) && !self.repeated => {}
                            _ => {
                                self.round.faults += 1;
                                self.round.in_a_row += 1;
                            }
                        }
                        if matches!(answer, Input::Page(_) | Input::Master) {
                            self.limiter.response_received();
                        }
                        prop_assert!(self.round.in_a_row <= MOST_FAULTS, "invariant 9: {:?}", self.round);
                        let Counts { requests, pages, masters, faults, .. } = self.round;
                        prop_assert!(
                            requests <= pages + faults + masters + 10,
                            "invariant 9: {:?}",
                            self.round
                        );
                        answer
                    }
                }
                Step::StoreThrottle(until) => {
                    self.store_throttle(until);
                    Input::ThrottleStored
                }
                Step::Sleep(ms, _) => {
                    prop_assert!(ms >= Duration::ZERO && ms.as_millis().is_finite());
                    self.now += ms;
                    Input::Slept
                }
                Step::Apply => Input::Applied(Box::new(std::mem::take(&mut summary))),
                Step::Deliver(_) => Input::Delivered,
                Step::AwaitAcknowledgement => Input::Acknowledged,
                Step::Commit { .. } | Step::SaveRecord { .. }
                    if replies.next_if(|reply| matches!(reply, Reply::Conflict)).is_some() =>
                {
                    self.store = self.store.as_ref().map(Record::next_revision);
                    Input::Conflict
                }
                Step::Commit { record, .. } => {
                    self.round.pages += 1;
                    self.store = Some(*record);
                    Input::Committed
                }
                Step::SaveRecord { record, .. } => {
                    self.store = Some(*record);
                    Input::Committed
                }
                Step::Sweep { .. } => {
                    Input::Swept(SweepSummary { has_changes: false, count_delta: 0, after: None })
                }
                Step::Done => return Ok(End::Done),
                Step::Fail(failure) => {
                    prop_assert!(!failure.message.contains(SECRET), "invariant 8: {}", failure.message);
                    prop_assert!(failure.code != Code::Internal, "{}", failure.message);
                    prop_assert!(!failure.message.is_empty());
                    return Ok(End::Failed(failure));
                }
            };
        }
        unreachable!()
    }

    /// What comes back for one request; nothing if the process ends. `summary` is what its page
    /// brings.
    fn answer(
        &mut self,
        replies: &mut Peekable<impl Iterator<Item = Reply>>,
        master: bool,
        summary: &mut PageSummary,
    ) -> Option<Input> {
        let made_progress = || PageSummary { items: 1, made_progress: true, ..PageSummary::default() };
        Some(match replies.next_if(|reply| !matches!(reply, Reply::Conflict | Reply::NoStore)) {
            None | Some(Reply::Next(..) | Reply::Delta(_) | Reply::Hostile(..)) if master => Input::Master,
            None => {
                *summary = made_progress();
                let link = self.new_link();
                Input::Page(if replies.peek().is_some() { Link::Next(link) } else { Link::Delta(link) })
            }
            Some(Reply::Next(name, made_progress)) => {
                *summary = PageSummary {
                    items: u32::from(made_progress.is_some()),
                    made_progress: made_progress == Some(true),
                    ..PageSummary::default()
                };
                if made_progress == Some(true) && name % 5 == 0 {
                    summary.missing_masters.push(format!("m{name}"));
                    summary.new_ids.push(format!("f{name}"));
                }
                Input::Page(Link::Next(self.link(&name.to_string())))
            }
            Some(Reply::Delta(name)) => {
                *summary = PageSummary::default();
                Input::Page(Link::Delta(self.link(&name.to_string())))
            }
            Some(Reply::Hostile(which, next)) => {
                let link = HOSTILE[which].to_owned();
                Input::Page(if next { Link::Next(link) } else { Link::Delta(link) })
            }
            Some(Reply::Refused(status, code, after, claims)) => {
                let codes = if CODES[code].is_empty() { vec![] } else { vec![CODES[code].to_owned()] };
                Input::Refused(Box::new(Refusal {
                    status,
                    codes,
                    retry_after: after.map(|after| after.to_string()),
                    claims: claims.map(|claims| format!("{{\"a\":{claims}}}")),
                    message: Some(format!("at {ROOT}/contacts/delta?t={SECRET}{}", "x".repeat(60))),
                    ..Refusal::default()
                }))
            }
            Some(Reply::NoResponse(lost)) => Input::Unreachable(lost),
            Some(Reply::Malformed) => Input::Malformed(Malformed::NotJson),
            Some(Reply::Crash) => return None,
            Some(other) => unreachable!("{other:?} is no answer to a request"),
        })
    }
}

/// `CASES=n` for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000);
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_local_rejects: u32::MAX,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_invariants_hold_whatever_comes_back(
        kind in any::<u8>(),
        replies in prop::collection::vec(reply(), 0..120),
    ) {
        let mut bench = Bench::new(kind);
        let mut replies = replies.into_iter().peekable();
        for count in 0..40 {
            let ended = bench.round(&mut replies, 10_000)?;
            if let End::Failed(failure) = &ended && failure.code == Code::Throttled {
                let at = failure.retry_at;
                prop_assert!(at.is_some_and(|at| at >= bench.now));
                // Who comes back when he is told to, and who does not wait for it.
                if count % 2 == 0 {
                    bench.now = at.unwrap_or(bench.now);
                }
            }
            bench.now += Duration::from_millis(1000.0);
            if matches!(ended, End::Crashed) || count % 3 == 0 {
                bench.reload();
            }
        }
        // Graph is well again: so is every round.
        bench.now += Duration::DAY * 3.0;
        for _ in 0..8 {
            if matches!(bench.round(&mut std::iter::empty().peekable(), 10_000)?, End::Done) {
                return Ok(());
            }
        }
        prop_assert!(false, "no round completes though nothing is wrong");
    }

    #[test]
    fn a_service_that_brings_nothing_new_is_not_asked_for_ever(
        kind in any::<u8>(),
        replies in prop::collection::vec(useless(), 1..5),
    ) {
        let mut bench = Bench::new(kind);
        let mut names = 0_u8;
        let mut endless = replies.iter().cloned().cycle().map(|reply| match reply {
            // Links that change every time can't be told from progress by the links.
            Reply::Next(name, made_progress) if name % 2 == 0 => {
                names = names.wrapping_add(1);
                Reply::Next(names, made_progress)
            }
            other => other,
        }).peekable();
        let ended = bench.round(&mut endless, 30_000)?;
        prop_assert!(!matches!(ended, End::Done), "{:?}", ended);
    }

    #[test]
    fn failures_leave_the_stored_link_as_it_is(
        kind in any::<u8>(),
        failures in prop::collection::vec(useless(), 1..60),
    ) {
        let mut bench = Bench::new(kind);
        let one_page = [Reply::Next(1, Some(true)), Reply::NoResponse(NoResponse::Network)];
        let forbidden = std::iter::repeat(Reply::Refused(403, 0, None, None));
        let ended = bench.round(&mut one_page.into_iter().chain(forbidden).peekable(), 1000)?;
        prop_assert!(matches!(ended, End::Failed(_)));
        let link = bench.stored_link();
        // No page, no reset signal, and less than three final refusals.
        let mut failures = failures.into_iter().filter(|reply| match reply {
            Reply::Refused(status, code, ..) => match status {
                401 | 403 => true,
                408 | 429 => *code == 0,
                status => !matches!(status, 400..=499),
            },
            Reply::Next(..) => false,
            _ => true,
        });
        let malformed = std::iter::repeat(Reply::Malformed);
        let ended = bench.round(&mut failures.by_ref().chain(malformed).peekable(), 10_000)?;
        prop_assert!(matches!(ended, End::Failed(_)));
        prop_assert_eq!(bench.stored_link(), link, "invariant 14");
    }
}
