use super::*;
use crate::protocol::change::{PageSummary, SweepSummary};
use crate::protocol::query::{self, Options};

const NOW: f64 = 1_795_000_000_000.0;
const HALF: f64 = 0.5;

fn plan(query: Query) -> RoundConfig {
    RoundConfig {
        endpoint: Endpoint::cloud("global").unwrap().into(),
        query: query.into(),
        policy: Policy::default(),
        max_pages: None,
        max_ms: None,
        window: None,
        shown: false,
    }
}

fn contacts() -> Query {
    query::org_contacts(Options::default()).unwrap()
}

fn events() -> Query {
    query::events(Options { start: Some("2026-11-23".into()), end: Some("2026-11-30".into()), page_size: Some(50), ..Options::default() })
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
fn challenged(claims: &str) -> Input {
    Input::Refused(Box::new(Refusal { status: 401, claims: Some(claims.into()), ..Refusal::default() }))
}

fn later(seconds: &str) -> Input {
    Input::Refused(Box::new(Refusal { status: 429, retry_after: Some(seconds.into()), ..Refusal::default() }))
}

/// A page of one new item.
fn one() -> PageSummary {
    PageSummary { items: 1, news: true, growth: 1, ..PageSummary::default() }
}

/// A machine and the store it would have.
struct Bench {
    round: Round,
    store: Option<Record>,
    now: f64,
    asked: Vec<String>,
    /// Until when the scope is held, as it would be stored.
    held: Vec<f64>,
    /// What the next page brings.
    sum: PageSummary,
}

impl Bench {
    fn new(query: Query, store: Option<Record>) -> Self {
        Self { round: Round::new(plan(query), NOW), store, now: NOW, asked: Vec::new(), held: Vec::new(), sum: one() }
    }

    fn step(&mut self, input: Input) -> Step {
        self.round.step(input, self.now, HALF)
    }

    /// Runs what needs no decision until something is asked of Graph, delivered, slept, swept or over.
    fn on(&mut self, input: Input) -> Step {
        let mut step = self.step(input);
        loop {
            step = match step {
                Step::Load => {
                    let stored = self.store.clone().map(Box::new);
                    self.step(Input::Loaded(stored))
                }
                Step::SignIn(TokenReason::Start | TokenReason::Next) => self.step(Input::SignedIn),
                Step::Await => self.step(Input::Acked),
                Step::Apply => {
                    let sum = std::mem::replace(&mut self.sum, one());
                    self.step(Input::Applied(Box::new(sum)))
                }
                Step::Commit { expect, record } | Step::SaveRecord { expect, record } => {
                    assert_eq!(expect, self.store.as_ref().map(|record| record.revision.clone()), "compare and set");
                    self.store = Some(*record);
                    self.step(Input::Committed)
                }
                Step::StoreThrottle(until) => {
                    self.held.push(until);
                    self.step(Input::ThrottleStored)
                }
                Step::Fetch(url) | Step::Item(url) => {
                    self.asked.push(url.rsplit("v1.0").next().unwrap_or_default().to_owned());
                    return Step::Fetch(url);
                }
                other => return other,
            };
        }
    }

    fn begin(&mut self) -> Step {
        self.on(Input::Begin)
    }

    /// A page that is delivered and acknowledged at once.
    fn page(&mut self, input: Input) -> Step {
        let delivered = self.on(input);
        assert!(matches!(delivered, Step::Deliver(_)), "{delivered:?}");
        self.on(Input::Delivered)
    }

    fn again(&self, query: Query) -> Self {
        Self { now: self.now, ..Self::new(query, self.store.clone()) }
    }
}

fn failure(step: Step) -> Error {
    match step {
        Step::Fail(failure) => *failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn idle() -> Record {
    Record { phase: Phase::Idle, link: Some(link("d0")), generation: 1, full_at: Some(NOW), synced_at: Some(NOW), ..Record::new(NOW, HALF) }
}

fn name(step: &Step) -> String {
    match step {
        Step::Load => "load".into(),
        Step::SignIn(need) => format!("sign in {need:?}"),
        Step::Fetch(_) => "fetch".into(),
        Step::Sleep(_, why) => format!("sleep {why:?}"),
        Step::Deliver(_) => "deliver".into(),
        Step::Await => "await".into(),
        Step::Commit { .. } => "commit".into(),
        Step::SaveRecord { .. } => "note".into(),
        Step::Item(_) => "item".into(),
        Step::StoreThrottle(_) => "hold".into(),
        Step::Apply => "apply".into(),
        Step::Sweep { .. } => "sweep".into(),
        Step::Done => "done".into(),
        Step::Fail(failure) => failure.code.as_str().into(),
    }
}

/// Names the variants of an enum, and lists the names. A new variant does not compile until it is here, and the table is not complete
/// until it has its row or column.
macro_rules! named {
    ($enum:ident, $list:ident: $($name:ident,)*) => {
        const $list: &[&str] = &[$(stringify!($name),)*];

        impl $enum {
            fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }
        }
    };
}

named! {
    State, STATES:
    Start, Loading, SigningIn, Fetching, Sleeping, Applying, SavingRecord, StoringThrottle, Delivering, Waiting, Committing, Sweeping, Ended,
}

named! {
    Input, INPUTS:
    Begin, Loaded, SignedIn, Page, Refused, Unreachable, Throttled, Busy, Malformed, Applied, Item, Slept, Delivered, Acked, Committed, ThrottleStored,
    Conflict, Swept, Broken,
}

named! {
    NoResponse, LOST:
    Network, Offline, Timeout,
}

/// Every state, reached by the inputs that lead there.
fn states() -> Vec<(&'static str, Vec<Input>)> {
    let loaded = |record: Record| Input::Loaded(Some(Box::new(record)));
    let sweeping = Record { phase: Phase::Sweeping, generation: 2, ..idle() };
    let to_fetching = vec![Input::Begin, loaded(idle()), Input::SignedIn];
    let with = |more: &[Input]| [to_fetching.clone(), more.to_vec()].concat();
    vec![
        ("Start", vec![]),
        ("Loading", vec![Input::Begin]),
        ("SigningIn", vec![Input::Begin, loaded(idle())]),
        ("Fetching", to_fetching.clone()),
        ("Sleeping", with(&[Input::Unreachable(NoResponse::Network)])),
        ("Applying", with(&[next("n1")])),
        ("SavingRecord", with(&[refused(410, "")])),
        ("StoringThrottle", with(&[later("1")])),
        ("Delivering", with(&[next("n1"), applied()])),
        ("Waiting", with(&[next("n1"), applied(), Input::Delivered])),
        ("Committing", with(&[next("n1"), applied(), Input::Delivered, Input::Acked])),
        ("Sweeping", vec![Input::Begin, loaded(sweeping)]),
        ("Ended", vec![Input::Broken(Error::new(Code::Store, "x"))]),
    ]
}

fn applied() -> Input {
    Input::Applied(Box::new(one()))
}

fn replies() -> Vec<(&'static str, Input)> {
    vec![
        ("Begin", Input::Begin),
        ("Loaded", Input::Loaded(None)),
        ("SignedIn", Input::SignedIn),
        ("Page", next("n2")),
        ("429", later("1")),
        ("503", refused(503, "")),
        ("401", refused(401, "")),
        ("401 with claims", challenged("{}")),
        ("403", refused(403, "")),
        ("410", refused(410, "")),
        ("302", refused(302, "")),
        ("Unreachable", Input::Unreachable(NoResponse::Network)),
        ("Offline", Input::Unreachable(NoResponse::Offline)),
        ("Timeout", Input::Unreachable(NoResponse::Timeout)),
        ("Throttled", Input::Throttled(NOW + 5.0)),
        ("Busy", Input::Busy(NOW + 5.0)),
        ("Malformed", Input::Malformed(Malformed::NoLink)),
        ("Applied", applied()),
        ("Item", Input::Item),
        ("Slept", Input::Slept),
        ("Delivered", Input::Delivered),
        ("Acked", Input::Acked),
        ("Committed", Input::Committed),
        ("ThrottleStored", Input::ThrottleStored),
        ("Conflict", Input::Conflict),
        ("Swept", Input::Swept(SweepSummary { work: true, growth: -1, after: Some("m".into()) })),
        ("Broken", Input::Broken(Error::new(Code::Quota, "full"))),
    ]
}

#[test]
fn every_state_has_an_answer_to_every_reply() {
    // What is not named here is a defect of the shell, and ends as `internal`.
    let table: &[(&str, &[(&str, &str)])] = &[
        ("Start", &[("Begin", "load"), ("Broken", "quota")]),
        ("Loading", &[("Loaded", "sign in Start"), ("Broken", "quota")]),
        (
            "SigningIn",
            &[
                ("SignedIn", "fetch"),
                ("Unreachable", "sleep Network"),
                ("Offline", "sleep Offline"),
                ("Timeout", "sleep Timeout"),
                ("Busy", "sleep Server"),
                ("Broken", "quota"),
            ],
        ),
        (
            "Fetching",
            &[
                ("Page", "apply"),
                ("429", "hold"),
                ("503", "sleep Server"),
                ("401", "sign in Unauthorized"),
                ("401 with claims", "sign in Claims(\"{}\")"),
                ("403", "forbidden"),
                ("410", "note"),
                ("302", "foreign-link"),
                ("Unreachable", "sleep Network"),
                ("Offline", "sleep Offline"),
                ("Timeout", "sleep Timeout"),
                ("Throttled", "sleep Throttled"),
                ("Malformed", "sleep Malformed"),
                ("Broken", "quota"),
            ],
        ),
        ("Sleeping", &[("Slept", "sign in Next"), ("Broken", "quota")]),
        ("Applying", &[("Applied", "deliver"), ("Broken", "quota")]),
        ("SavingRecord", &[("Committed", "sign in Next"), ("Conflict", "conflict"), ("Broken", "quota")]),
        ("StoringThrottle", &[("ThrottleStored", "sleep Throttled"), ("Broken", "quota")]),
        ("Delivering", &[("Delivered", "await"), ("Broken", "quota")]),
        ("Waiting", &[("Acked", "commit"), ("Broken", "quota")]),
        ("Committing", &[("Committed", "sign in Next"), ("Conflict", "conflict"), ("Broken", "quota")]),
        ("Sweeping", &[("Swept", "deliver"), ("Broken", "quota")]),
        ("Ended", &[]),
    ];
    let states = states();
    assert_eq!(states.iter().map(|(state, _)| *state).collect::<Vec<_>>(), STATES, "every state has a row");
    assert_eq!(table.iter().map(|(state, _)| *state).collect::<Vec<_>>(), STATES);
    let replies = replies();
    let mut columns: Vec<_> = replies.iter().map(|(_, input)| input.name()).collect();
    columns.dedup();
    assert_eq!(columns, INPUTS, "every input has a column");
    let lost: Vec<_> =
        replies.iter().filter_map(|(_, input)| if let Input::Unreachable(lost) = input { Some(lost.name()) } else { None }).collect();
    assert_eq!(lost, LOST);
    for (state, answers) in table {
        for (reply, _) in *answers {
            assert!(replies.iter().any(|(known, _)| known == reply), "{state} × {reply} is no column");
        }
    }
    for ((state, path), (row, answers)) in states.into_iter().zip(table) {
        assert_eq!(state, *row);
        for (reply, input) in replies.clone() {
            let mut round = Round::new(plan(contacts()), NOW);
            for input in path.clone() {
                round.step(input, NOW, HALF);
            }
            assert_eq!(round.state.name(), state);
            let expected = answers.iter().find(|(known, _)| *known == reply).map_or("internal", |(_, answer)| answer);
            assert_eq!(name(&round.step(input, NOW, HALF)), expected, "{state} × {reply}");
        }
    }
}

#[test]
fn a_first_round_asks_page_after_page_and_keeps_each_link_with_its_page() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    bench.page(next("n1"));
    let stored = bench.store.clone().unwrap();
    assert_eq!(
        (stored.phase, stored.link, stored.kind, stored.generation, stored.page),
        (Phase::Paging, Some(link("n1")), Kind::Full, 1, 1)
    );
    assert_eq!(bench.page(delta("d1")), Step::Done);
    let stored = bench.store.clone().unwrap();
    assert_eq!((stored.phase, stored.link, stored.synced_at, stored.full_at), (Phase::Idle, Some(link("d1")), Some(NOW), Some(NOW)));
    assert_eq!(bench.asked, ["/contacts/delta", "/contacts/delta?t=n1"]);
    assert_eq!((bench.round.report.outcome, bench.round.report.pages, bench.round.report.requests), (Outcome::Complete, 2, 2));
}

#[test]
fn the_next_round_starts_at_the_delta_link_and_is_incremental() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    let step = bench.on(delta("d1"));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Incremental, generation: 1, index: 0, last: true }));
    assert_eq!(bench.on(Input::Delivered), Step::Done);
    assert_eq!(bench.asked, ["/contacts/delta?t=d0"]);
    assert_eq!(bench.store.unwrap().link, Some(link("d1")));
}

#[test]
fn an_interrupted_round_goes_on_at_the_first_page_that_was_not_acknowledged() {
    let mut first = Bench::new(contacts(), None);
    first.begin();
    first.page(next("n1"));
    first.on(next("n2"));
    let mut second = first.again(contacts());
    second.begin();
    let step = second.on(delta("d1"));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 1, index: 1, last: true }));
    assert_eq!(second.asked, ["/contacts/delta?t=n1"]);
    assert!(second.round.report.resumed);
}

#[test]
fn nothing_commits_before_its_acknowledgement() {
    let mut round = Round::new(plan(contacts()), NOW);
    for input in [Input::Begin, Input::Loaded(None), Input::SignedIn] {
        round.step(input, NOW, HALF);
    }
    assert_eq!(round.step(next("n1"), NOW, HALF), Step::Apply);
    assert_eq!(name(&round.step(applied(), NOW, HALF)), "deliver");
    assert_eq!(round.step(Input::Delivered, NOW, HALF), Step::Await);
    assert!(matches!(round.step(Input::Acked, NOW, HALF), Step::Commit { expect: None, .. }));
}

#[test]
fn a_round_stops_after_the_pages_or_the_time_it_was_given() {
    let mut bench = Bench::new(contacts(), None);
    bench.round.plan.max_pages = Some(1);
    bench.begin();
    assert_eq!(bench.page(next("n1")), Step::Done);
    assert_eq!(bench.round.report.outcome, Outcome::Partial);
    let mut bench = bench.again(contacts());
    bench.round.plan.max_ms = Some(1000.0);
    bench.begin();
    bench.now += 999.0;
    assert!(matches!(bench.page(next("n2")), Step::Fetch(_)));
    bench.now += 1.0;
    assert_eq!(bench.page(next("n3")), Step::Done);
    assert_eq!(bench.store.unwrap().link, Some(link("n3")));
}

#[test]
fn a_401_asks_once_for_another_token() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(refused(401, "InvalidAuthenticationToken")), Step::SignIn(TokenReason::Unauthorized));
    bench.on(Input::SignedIn);
    let failure = failure(bench.step(refused(401, "InvalidAuthenticationToken")));
    assert_eq!(
        (failure.code, failure.status, failure.graph_code.as_deref()),
        (Code::Unauthorized, Some(401), Some("InvalidAuthenticationToken"))
    );
    assert!(failure.message.contains("check its audience, its tenant and its cloud"), "{}", failure.message);
    assert_eq!(bench.store, None);
}

#[test]
fn a_claims_challenge_asks_for_a_token_that_satisfies_it_and_then_the_same_page() {
    for status in [401, 403] {
        let mut bench = Bench::new(contacts(), Some(idle()));
        bench.begin();
        let refusal = Refusal { status, claims: Some("{\"a\":1}".into()), ..Refusal::default() };
        assert_eq!(bench.step(Input::Refused(Box::new(refusal))), Step::SignIn(TokenReason::Claims("{\"a\":1}".into())));
        bench.on(Input::SignedIn);
        assert_eq!(bench.asked, ["/contacts/delta?t=d0", "/contacts/delta?t=d0"]);
        assert_eq!(bench.page(delta("d1")), Step::Done);
    }
}

#[test]
fn the_same_claims_twice_end_the_round_with_the_claims_to_pass_on() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    bench.step(challenged("{\"a\":1}"));
    bench.on(Input::SignedIn);
    let failure = failure(bench.step(challenged("{\"a\":1}")));
    assert_eq!((failure.code, failure.claims.as_deref(), failure.retryable), (Code::Claims, Some("{\"a\":1}"), true));
    assert!(failure.message.contains("sign the user in with error.claims, then call resume()"), "{}", failure.message);
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn two_sign_in_steps_without_a_page_are_the_most_whatever_the_claims() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(refused(401, "")), Step::SignIn(TokenReason::Unauthorized));
    bench.on(Input::SignedIn);
    assert_eq!(bench.step(challenged("{\"a\":1}")), Step::SignIn(TokenReason::Claims("{\"a\":1}".into())));
    bench.on(Input::SignedIn);
    assert_eq!(failure(bench.step(challenged("{\"a\":2}"))).code, Code::Claims);
    // Throttles and lost answers between them change nothing.
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    for claims in ["{\"a\":1}", "{\"a\":2}"] {
        bench.on(later("1"));
        bench.on(Input::Slept);
        bench.step(challenged(claims));
        bench.on(Input::SignedIn);
    }
    assert_eq!(failure(bench.step(refused(401, ""))).code, Code::Unauthorized);
}

#[test]
fn a_reset_between_two_refusals_of_tokens_is_no_page() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    bench.on(refused(401, ""));
    bench.on(Input::SignedIn);
    bench.on(challenged("{}"));
    bench.on(Input::SignedIn);
    bench.on(refused(410, ""));
    assert_eq!(failure(bench.on(refused(401, ""))).code, Code::Unauthorized);
}

#[test]
fn each_page_lets_two_more_sign_in_steps_follow() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    for page in ["n1", "n2", "n3"] {
        bench.step(challenged("{}"));
        bench.on(Input::SignedIn);
        bench.step(refused(401, ""));
        bench.on(Input::SignedIn);
        bench.page(next(page));
    }
}

#[test]
fn a_token_source_without_a_network_is_waited_for_and_asked_for_the_same_again() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    bench.step(challenged("{}"));
    assert_eq!(bench.step(Input::Unreachable(NoResponse::Network)), Step::Sleep(500.0, WaitReason::Network));
    assert_eq!(bench.step(Input::Slept), Step::SignIn(TokenReason::Claims("{}".into())));
    for _ in 2..Policy::default().attempts {
        bench.step(Input::Unreachable(NoResponse::Network));
        bench.step(Input::Slept);
    }
    let failure = failure(bench.step(Input::Unreachable(NoResponse::Network)));
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (Code::Network, "the token source got no answer; check the connection; the next round goes on at the same page")
    );
}

#[test]
fn without_a_network_the_round_waits_for_one_as_long_as_for_anything_else() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    assert_eq!(bench.on(Input::Unreachable(NoResponse::Offline)), Step::Sleep(300_000.0, WaitReason::Offline));
    bench.now += 100_000.0;
    assert!(matches!(bench.on(Input::Slept), Step::Fetch(_)));
    assert_eq!(bench.round.report.waits, [Wait { reason: WaitReason::Offline, ms: 100_000.0 }], "as long as it was");
    assert_eq!(bench.on(Input::Unreachable(NoResponse::Offline)), Step::Sleep(200_000.0, WaitReason::Offline));
    bench.now += 200_000.0;
    bench.on(Input::Slept);
    let failure = failure(bench.on(Input::Unreachable(NoResponse::Offline)));
    assert_eq!((failure.code, failure.retryable), (Code::Offline, true));
    assert_eq!(failure.message, "this host has no network; the next round goes on at the same page once it has one");
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn a_page_ends_the_time_without_a_network() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    bench.on(Input::Unreachable(NoResponse::Offline));
    bench.now += 250_000.0;
    bench.on(Input::Slept);
    bench.page(next("n1"));
    assert_eq!(bench.on(Input::Unreachable(NoResponse::Offline)), Step::Sleep(300_000.0, WaitReason::Offline));
}

#[test]
fn a_wait_that_graph_asks_for_is_stored_before_it_is_waited_for() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(later("7")), Step::StoreThrottle(NOW + 7000.0));
    assert_eq!(bench.step(Input::ThrottleStored), Step::Sleep(7000.0, WaitReason::Throttled));
    // One that is too long for the round too.
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(later("3600")), Step::StoreThrottle(NOW + 3_600_000.0));
    assert_eq!(failure(bench.step(Input::ThrottleStored)).retry_at, Some(NOW + 3_600_000.0));
    // A throttle whose header can't be read holds for as long as this query waits.
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.step(refused(429, "")), Step::StoreThrottle(NOW + 500.0));
    // A service that is down asks for nothing, unless it does.
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert!(matches!(bench.step(refused(503, "")), Step::Sleep(..)));
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    let asks = Refusal { status: 503, retry_after: Some("9".into()), ..Refusal::default() };
    assert_eq!(bench.step(Input::Refused(Box::new(asks))), Step::StoreThrottle(NOW + 9000.0));
}

#[test]
fn what_the_last_failure_asks_to_wait_is_held_too_before_the_round_ends_or_goes_elsewhere() {
    let asks = || Input::Refused(Box::new(Refusal { status: 503, retry_after: Some("9".into()), ..Refusal::default() }));
    let mut bench = Bench::new(contacts(), Some(idle()));
    assert_eq!(failure(until_over(&mut bench, |_| asks())).code, Code::Network);
    assert_eq!(bench.asked.len(), bench.held.len(), "one for each answer");
    assert!(bench.held.last().is_some_and(|until| *until >= bench.now + 9000.0), "{:?}", bench.held);

    let drive = query::track("/me/drive/root/delta", Options::default()).unwrap();
    let mut bench = Bench::new(drive, Some(idle()));
    bench.begin();
    let location = Some("https://graph.microsoft.com/v1.0/drives/d/root/delta?token=new".to_owned());
    bench.on(Input::Refused(Box::new(Refusal { status: 410, location, ..Refusal::default() })));
    bench.on(asks());
    assert_eq!(bench.held, [NOW + 9000.0]);
}

#[test]
fn what_another_query_was_told_to_wait_is_waited_for_and_counts_as_no_request() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.on(Input::Throttled(NOW + 4000.0)), Step::Sleep(4000.0, WaitReason::Throttled));
    let report = &bench.round.report;
    assert_eq!((report.requests, report.retries, report.waits.len()), (0, 0, 1));
    bench.on(Input::Slept);
    assert_eq!(bench.round.report.requests, 1);
    bench.page(delta("d1"));
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    let failure = failure(bench.on(Input::Throttled(NOW + 400_000.0)));
    assert_eq!((failure.code, failure.retry_at, failure.retryable), (Code::Throttled, Some(NOW + 400_000.0), true));
}

/// Weeks of events in pages of this size.
fn sized(size: u32) -> Query {
    query::events(Options { start: Some("2026-11-23".into()), end: Some("2026-11-30".into()), page_size: Some(size), ..Options::default() })
        .unwrap()
}

fn size(bench: &Bench) -> String {
    bench.round.prefer().join(", ")
}

#[test]
fn pages_that_fail_twice_are_asked_for_in_half_the_size_and_no_smaller_than_fifty_for_events() {
    for reply in [refused(503, ""), refused(504, "UnknownError"), refused(408, ""), Input::Unreachable(NoResponse::Timeout)] {
        let mut bench = Bench::new(sized(400), Some(idle()));
        bench.round.plan.policy.attempts = 9;
        bench.begin();
        let mut sizes = Vec::new();
        for _ in 0..7 {
            bench.on(reply.clone());
            bench.on(Input::Slept);
            sizes.push(size(&bench).replace("odata.maxpagesize=", ""));
        }
        assert_eq!(sizes, ["400", "200", "100", "50", "50", "50", "50"], "{reply:?}");
        assert_eq!(bench.round.report.page_size, Some(50));
    }
}

#[test]
fn a_ladder_that_asks_for_more_than_graph_can_make_comes_down_again_and_does_not_climb_back() {
    let stale = || PageSummary { items: 1, ..PageSummary::default() };
    let mut bench = Bench::new(sized(50), None);
    bench.begin();
    // Pages of 50 bring nothing new: larger ones. Those Graph can't make.
    for page in 0..3 {
        bench.sum = stale();
        bench.page(next(&format!("n{page}")));
    }
    assert_eq!(size(&bench), "odata.maxpagesize=200");
    for expected in ["200", "100", "50"] {
        assert!(matches!(bench.on(refused(504, "")), Step::Sleep(..)));
        bench.on(Input::Slept);
        assert_eq!(size(&bench), format!("odata.maxpagesize={expected}"));
    }
    // What ails the pages of 50 may be over; if not, the next rung is a listing from the start.
    for page in 3..6 {
        bench.sum = stale();
        bench.page(next(&format!("n{page}")));
    }
    assert_eq!(bench.round.report.resync.as_deref(), Some("livelock"));
    assert!(bench.asked.last().unwrap().starts_with("/me/calendarView/delta?startDateTime"));
}

#[test]
fn a_smaller_page_is_kept_where_silence_ends_the_round() {
    let mut bench = Bench::new(sized(800), Some(idle()));
    bench.round.plan.policy.attempts = 3;
    bench.begin();
    for _ in 0..2 {
        bench.on(Input::Unreachable(NoResponse::Timeout));
        bench.on(Input::Slept);
    }
    assert_eq!(failure(bench.on(Input::Unreachable(NoResponse::Timeout))).code, Code::Network);
    assert_eq!(bench.store.as_ref().unwrap().page_size, Some(200));
    assert_eq!(bench.store.as_ref().unwrap().link, idle().link);
}

#[test]
fn a_token_source_that_is_to_come_back_later_is_waited_for_as_long_as_it_says() {
    let mut bench = Bench::new(contacts(), None);
    bench.step(Input::Begin);
    bench.step(Input::Loaded(None));
    assert_eq!(bench.step(Input::Busy(NOW + 30_000.0)), Step::Sleep(30_000.0, WaitReason::Server));
    assert_eq!(bench.step(Input::Slept), Step::SignIn(TokenReason::Start));
    let failure = failure(bench.step(Input::Busy(NOW + 3_600_000.0)));
    assert_eq!((failure.code, failure.retry_at, bench.held.len()), (Code::Throttled, Some(NOW + 3_600_000.0), 0));
}

#[test]
fn what_is_no_sign_of_too_large_a_page_leaves_its_size_alone() {
    for reply in
        [refused(500, ""), refused(502, ""), later("1"), Input::Unreachable(NoResponse::Network), Input::Malformed(Malformed::NotJson)]
    {
        let mut bench = Bench::new(sized(400), Some(idle()));
        bench.begin();
        for _ in 0..2 {
            bench.on(reply.clone());
            bench.on(Input::Slept);
        }
        assert_eq!(size(&bench), "odata.maxpagesize=400", "{reply:?}");
    }
    // Kinds without such a preference, and pages that are small already.
    for query in [contacts(), sized(60)] {
        let mut bench = Bench::new(query, Some(idle()));
        bench.begin();
        let before = size(&bench);
        for _ in 0..3 {
            bench.on(refused(503, ""));
            bench.on(Input::Slept);
        }
        assert_eq!(size(&bench), before);
    }
}

#[test]
fn a_smaller_page_is_kept_over_a_reload_and_grows_back_slowly() {
    let mut bench = Bench::new(sized(400), Some(idle()));
    bench.begin();
    for _ in 0..3 {
        bench.on(refused(504, ""));
        bench.on(Input::Slept);
    }
    assert_eq!(size(&bench), "odata.maxpagesize=100");
    bench.page(next("n1"));
    let mut bench = bench.again(sized(400));
    bench.begin();
    assert_eq!(size(&bench), "odata.maxpagesize=100", "the round goes on with it");
    for page in 2..=7 {
        bench.page(next(&format!("n{page}")));
        assert_eq!(size(&bench), "odata.maxpagesize=100", "page {page}");
    }
    bench.page(next("n8"));
    assert_eq!(size(&bench), "odata.maxpagesize=200", "after eight pages");
    bench.page(delta("d1"));
    let mut bench = bench.again(sized(400));
    bench.begin();
    assert_eq!(size(&bench), "odata.maxpagesize=400", "with the next round");
    assert_eq!(bench.round.record().page_size, None);
}

#[test]
fn an_accepted_page_lets_a_401_ask_again() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    bench.step(refused(401, ""));
    bench.on(Input::SignedIn);
    bench.page(next("n1"));
    assert_eq!(bench.step(refused(401, "")), Step::SignIn(TokenReason::Unauthorized));
}

#[test]
fn retry_after_is_waited_for_in_full() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.on(later("2.128")), Step::Sleep(2128.0, WaitReason::Throttled));
    assert!(matches!(bench.on(Input::Slept), Step::Fetch(_)));
    assert_eq!((bench.round.report.requests, bench.round.report.retries), (2, 1));
    assert_eq!(bench.round.report.waits, [Wait { reason: WaitReason::Throttled, ms: 2128.0 }]);
}

#[test]
fn without_retry_after_the_back_off_grows_with_each_failure_and_starts_anew_with_each_page() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    for expected in [500.0, 1000.0, 2000.0] {
        assert_eq!(bench.on(refused(503, "")), Step::Sleep(expected, WaitReason::Server));
        bench.on(Input::Slept);
    }
    bench.page(next("n1"));
    assert_eq!(bench.on(Input::Unreachable(NoResponse::Network)), Step::Sleep(500.0, WaitReason::Network));
}

#[test]
fn attempts_are_counted_and_then_the_round_fails_with_the_stored_state_untouched() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    for _ in 1..Policy::default().attempts {
        assert!(matches!(bench.on(Input::Unreachable(NoResponse::Network)), Step::Sleep(..)));
        bench.on(Input::Slept);
    }
    let failure = failure(bench.on(Input::Unreachable(NoResponse::Network)));
    assert_eq!(failure.code, Code::Network);
    assert!(failure.retryable);
    assert_eq!(
        failure.message,
        "no answer from https://graph.microsoft.com; check the connection and, in a browser, that this page may call that origin; the next round goes on at the same page"
    );
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn a_wait_beyond_the_longest_ends_the_round_with_the_time_to_come_back() {
    for input in [later("3600"), Input::Refused(Box::new(Refusal { status: 503, retry_after: Some("3600".into()), ..Refusal::default() }))]
    {
        let mut bench = Bench::new(contacts(), None);
        bench.begin();
        let failure = failure(bench.on(input));
        assert_eq!((failure.code, failure.retry_at, failure.retryable), (Code::Throttled, Some(NOW + 3_600_000.0), true));
    }
}

#[test]
fn a_body_that_is_no_page_is_asked_for_three_times() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    for _ in 0..2 {
        assert!(matches!(bench.on(Input::Malformed(Malformed::NoValue)), Step::Sleep(_, WaitReason::Malformed)));
        bench.on(Input::Slept);
    }
    let failure = failure(bench.on(Input::Malformed(Malformed::NoValue)));
    assert_eq!(failure.code, Code::Protocol);
    assert_eq!(failure.message, "Graph's answer is no page of a delta query: the body has no \"value\"; the stored link is untouched");
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn a_reset_signal_starts_one_full_round_from_the_query_and_then_sweeps() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    assert!(matches!(bench.on(refused(410, "syncStateNotFound")), Step::Fetch(_)));
    let stored = bench.store.clone().unwrap();
    assert_eq!((stored.phase, stored.link.clone(), stored.resets), (Phase::Fresh, None, vec![NOW]));
    let step = bench.on(delta("d1"));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 0, last: false }));
    let step = bench.on(Input::Delivered);
    assert!(matches!(step, Step::Sweep { after: None, .. }), "{step:?}");
    assert_eq!(bench.store.as_ref().map(|record| record.phase), Some(Phase::Sweeping));
    let step = bench.on(Input::Swept(SweepSummary { work: true, growth: -1, after: Some("m".into()) }));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 1, last: false }));
    assert!(matches!(bench.on(Input::Delivered), Step::Sweep { after: Some(_), .. }));
    let step = bench.on(Input::Swept(SweepSummary { work: false, growth: 0, after: None }));
    assert_eq!(step, Step::Deliver(Delivery { kind: Kind::Full, generation: 2, index: 2, last: true }));
    assert_eq!(bench.on(Input::Delivered), Step::Done);
    let stored = bench.store.unwrap();
    assert_eq!((stored.phase, stored.link, stored.resets, stored.after), (Phase::Idle, Some(link("d1")), vec![], None));
    assert_eq!(bench.asked, ["/contacts/delta?t=d0", "/contacts/delta"]);
    assert_eq!(bench.round.report.resync.as_deref(), Some("syncStateNotFound"));
}

#[test]
fn a_crash_after_a_reset_does_not_ask_the_dead_link_again() {
    let mut first = Bench::new(contacts(), Some(idle()));
    first.begin();
    first.on(refused(410, ""));
    let mut second = first.again(contacts());
    second.begin();
    assert_eq!(second.asked, ["/contacts/delta"]);
    second.on(delta("d1"));
    assert!(matches!(second.on(Input::Delivered), Step::Sweep { .. }), "rows of before the reset are still there");
}

#[test]
fn a_crash_in_the_sweep_goes_on_in_the_sweep_without_a_request() {
    let store = Record { phase: Phase::Sweeping, after: Some("k".into()), generation: 3, round: 5, ..idle() };
    let mut bench = Bench::new(contacts(), Some(store));
    let step = bench.begin();
    assert!(matches!(&step, Step::Sweep { after: Some(after), completed } if after == "k" && completed.round() == 5), "{step:?}");
    assert!(bench.asked.is_empty());
}

#[test]
fn a_chunk_without_ghosts_is_not_committed() {
    let store = Record { phase: Phase::Sweeping, generation: 2, ..idle() };
    let mut bench = Bench::new(contacts(), Some(store.clone()));
    bench.begin();
    let step = bench.on(Input::Swept(SweepSummary { work: false, growth: 0, after: Some("m".into()) }));
    assert!(matches!(&step, Step::Sweep { after: Some(after), .. } if after == "m"), "{step:?}");
    assert_eq!(bench.store, Some(store));
}

#[test]
fn an_incremental_round_never_reaches_the_sweep() {
    for generation in [1, 2, 7] {
        let mut bench = Bench::new(contacts(), Some(Record { generation, ..idle() }));
        bench.begin();
        assert!(matches!(bench.page(next("n1")), Step::Fetch(_)));
        assert_eq!(bench.page(delta("d1")), Step::Done);
    }
}

#[test]
fn a_first_full_round_has_nothing_to_sweep_and_a_feed_neither() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(bench.page(delta("d1")), Step::Done);
    let feed = query::org_contacts(Options { feed: true, ..Options::default() }).unwrap();
    let mut bench = Bench::new(feed, Some(idle()));
    bench.begin();
    bench.on(refused(410, ""));
    assert_eq!(bench.page(delta("d1")), Step::Done);
    assert_eq!(bench.store.unwrap().generation, 2);
}

#[test]
fn a_reset_within_a_full_round_starts_it_once_more_and_the_fourth_of_a_day_ends_it() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    for generation in 2..=4 {
        assert!(matches!(bench.on(refused(410, "")), Step::Fetch(_)));
        bench.page(next("n"));
        assert_eq!(bench.store.as_ref().map(|record| record.generation), Some(generation));
        bench = bench.again(contacts());
        bench.begin();
    }
    let before = bench.store.clone();
    let failure = failure(bench.on(refused(410, "syncStateNotFound")));
    assert_eq!((failure.code, failure.graph_code.as_deref()), (Code::ResyncLoop, Some("syncStateNotFound")));
    assert_eq!(bench.store, before);
    let mut tomorrow = bench.again(contacts());
    tomorrow.now += 86_400_001.0;
    tomorrow.begin();
    assert!(matches!(tomorrow.on(refused(410, "")), Step::Fetch(_)));
}

#[test]
fn the_location_of_a_reset_is_followed_for_drives_only_and_left_when_it_fails() {
    let gone = |location: &str| Input::Refused(Box::new(Refusal { status: 410, location: Some(location.into()), ..Refusal::default() }));
    let drive = || query::track("/me/drive/root/delta", Options::default()).unwrap();
    let location = "https://graph.microsoft.com/v1.0/drives/d/root/delta?token=new";
    let mut bench = Bench::new(drive(), Some(idle()));
    bench.begin();
    assert_eq!(bench.on(gone(location)), Step::Fetch(location.into()));
    bench.on(refused(500, ""));
    assert_eq!(bench.asked, ["/contacts/delta?t=d0", "/drives/d/root/delta?token=new", "/me/drive/root/delta"]);

    let mut foreign = Bench::new(drive(), Some(idle()));
    foreign.begin();
    foreign.on(gone("https://evil.example/v1.0/drives"));
    assert_eq!(foreign.asked.last().map(String::as_str), Some("/me/drive/root/delta"));

    let mut directory = Bench::new(contacts(), Some(idle()));
    directory.begin();
    directory.on(gone(location));
    assert_eq!(directory.asked.last().map(String::as_str), Some("/contacts/delta"));
}

#[test]
fn a_reset_code_on_the_query_itself_is_final() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(failure(bench.on(refused(410, "syncStateNotFound"))).code, Code::ResyncLoop);
}

#[test]
fn a_foreign_link_is_neither_stored_nor_followed() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    let failure = failure(bench.on(Input::Page(Link::Next("https://evil.example/v1.0/contacts/delta?t=1".into()))));
    assert_eq!(failure.code, Code::ForeignLink);
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn a_foreign_link_out_of_the_store_is_not_asked() {
    let mut bench = Bench::new(contacts(), Some(Record { link: Some("https://evil.example/".into()), ..idle() }));
    assert_eq!(failure(bench.begin()).code, Code::ForeignLink);
    assert!(bench.asked.is_empty());
}

#[test]
fn a_redirect_is_a_foreign_link() {
    for status in [0, 302, 308] {
        let mut bench = Bench::new(contacts(), None);
        bench.begin();
        let failure = failure(bench.on(refused(status, "")));
        assert_eq!(failure.code, Code::ForeignLink);
        assert!(failure.message.contains("a redirect is not followed"), "{}", failure.message);
    }
}

/// Answers every request in the same way until the round is over.
fn until_over(bench: &mut Bench, mut answer: impl FnMut(&mut Bench) -> Input) -> Step {
    let mut step = bench.begin();
    for _ in 0..20_000 {
        step = match step {
            Step::Fetch(_) => {
                let input = answer(bench);
                bench.on(input)
            }
            Step::Deliver(_) => bench.on(Input::Delivered),
            Step::Sleep(ms, _) => {
                bench.now += ms;
                bench.on(Input::Slept)
            }
            Step::Sweep { .. } => bench.on(Input::Swept(SweepSummary { work: false, growth: 0, after: None })),
            over => return over,
        };
    }
    panic!("a round that does not end: {step:?}");
}

fn sizes(bench: &Bench) -> Option<u32> {
    bench.store.as_ref().and_then(|record| record.page_size)
}

#[test]
fn a_next_link_to_itself_is_asked_again_then_listed_anew_once_then_ends_as_a_livelock() {
    let mut bench = Bench::new(contacts(), Some(Record { phase: Phase::Paging, link: Some(link("n1")), ..idle() }));
    let failure = failure(until_over(&mut bench, |_| next("n1")));
    assert_eq!(failure.code, Code::Livelock);
    // Three times the link itself, once the query, and the link that it leads to three times.
    let asked = |what: &str| bench.asked.iter().filter(|url| *url == what).count();
    assert_eq!((asked("/contacts/delta?t=n1"), asked("/contacts/delta")), (6, 1));
    let stored = bench.store.clone().unwrap();
    assert_eq!((stored.phase, stored.link, stored.restarted), (Phase::Paging, Some(link("n1")), true));
    assert_eq!(bench.round.report.resync.as_deref(), Some("livelock"));
}

#[test]
fn next_links_in_a_circle_end_as_a_livelock_however_long_the_circle_is() {
    for length in [2, 3, 7, 40] {
        let mut bench = Bench::new(contacts(), None);
        let mut pages = 0;
        let step = until_over(&mut bench, |bench| {
            pages += 1;
            let number = bench.asked.last().and_then(|url| url.split("=n").nth(1)?.parse::<u32>().ok());
            next(&format!("n{}", number.map_or(0, |number| (number + 1) % length)))
        });
        assert_eq!(failure(step).code, Code::Livelock);
        assert!(pages < 20 * length, "{length}: {pages}");
    }
}

#[test]
fn a_circle_that_larger_pages_break_completes() {
    let mut bench = Bench::new(events(), None);
    let step = until_over(&mut bench, |bench| {
        let larger = bench.round.prefer().contains(&"odata.maxpagesize=200".to_owned());
        if larger { delta("d") } else { next(if bench.asked.last().unwrap().ends_with("n0") { "n1" } else { "n0" }) }
    });
    assert_eq!(step, Step::Done);
    assert_eq!((bench.round.report.page_size, bench.round.report.resync.clone()), (Some(200), None));
}

#[test]
fn three_pages_in_a_row_that_bring_nothing_new_ask_for_larger_pages_then_list_anew_then_end_as_a_livelock() {
    let mut bench = Bench::new(events(), None);
    let (mut pages, mut wished) = (0, Vec::new());
    let step = until_over(&mut bench, |bench| {
        pages += 1;
        wished.push(bench.round.prefer().join(", "));
        bench.sum = PageSummary { items: 5, ..PageSummary::default() };
        next(&format!("n{pages}"))
    });
    let failure = failure(step);
    assert_eq!(failure.code, Code::Livelock);
    assert!(failure.message.contains("the same items again and again under new links"), "{}", failure.message);
    wished.dedup();
    assert_eq!(wished, ["odata.maxpagesize=50", "odata.maxpagesize=200", "odata.maxpagesize=800", "odata.maxpagesize=1000"]);
    assert_eq!(pages, 5 * 3, "three at each size, and three of the listing that began anew");
    let stored = bench.store.clone().unwrap();
    assert_eq!((stored.restarted, stored.stale, stored.generation), (true, 0, 2));

    let mut reloaded = bench.again(events());
    let mut asked = 0;
    let step = until_over(&mut reloaded, |bench| {
        asked += 1;
        bench.sum = PageSummary { items: 5, ..PageSummary::default() };
        next(&format!("another {asked}"))
    });
    assert_eq!((self::failure(step).code, asked), (Code::Livelock, 3), "it is not listed anew a second time");
    let mut healed = reloaded.again(events());
    assert_eq!(until_over(&mut healed, |_| delta("d")), Step::Done);
    let stored = healed.store.unwrap();
    assert_eq!((stored.restarted, stored.stale), (false, 0));
}

#[test]
fn a_page_size_that_got_a_round_through_is_kept_and_grows_to_a_larger_one_that_is_configured() {
    let stored = Record { page_size: Some(200), ..idle() };
    let sized = |size| {
        query::events(Options {
            start: Some("2026-11-23".into()),
            end: Some("2026-11-30".into()),
            page_size: Some(size),
            ..Options::default()
        })
    };
    for (configured, asked) in [(50, "odata.maxpagesize=200"), (300, "odata.maxpagesize=300"), (500, "odata.maxpagesize=400")] {
        let mut bench = Bench::new(sized(configured).unwrap(), Some(stored.clone()));
        bench.begin();
        assert_eq!(bench.round.prefer(), [asked]);
    }
}

#[test]
fn pages_without_news_are_counted_over_reloads() {
    let mut bench = Bench::new(events(), None);
    for page in 1..=3 {
        bench.round.plan.max_pages = Some(1);
        bench.sum = PageSummary { items: 5, ..PageSummary::default() };
        let step = until_over(&mut bench, |_| next(&format!("n{page}")));
        assert_eq!((step, bench.store.as_ref().map(|record| record.stale)), (Step::Done, Some(page)));
        bench = bench.again(events());
    }
    let mut asked = 0;
    let step = until_over(&mut bench, |bench| {
        asked += 1;
        bench.sum = PageSummary { items: 5, ..PageSummary::default() };
        if asked == 1 { next("n4") } else { delta("d") }
    });
    assert_eq!((step, bench.round.report.page_size), (Step::Done, Some(200)));
}

#[test]
fn one_page_a_process_climbs_the_ladder_too() {
    let mut bench = Bench::new(events(), None);
    for page in 1..40 {
        bench.round.plan.max_pages = Some(1);
        bench.sum = PageSummary { items: 5, ..PageSummary::default() };
        if let Step::Fail(failure) = until_over(&mut bench, |_| next(&format!("n{page}"))) {
            assert_eq!((failure.code, page), (Code::Livelock, 5 * 3 + 1), "three at each of four sizes, three of the second listing");
            return;
        }
        bench = bench.again(events());
    }
    panic!("forty pages without news and no end");
}

#[test]
fn a_round_stuck_after_its_second_listing_gets_out_when_the_window_moves() {
    let window = Options { window: Some((7, 30, "UTC".into())), page_size: Some(1000), ..Options::default() };
    let rolling = || query::events(window.clone()).unwrap();
    let mut bench = Bench::new(rolling(), None);
    let mut pages = 0;
    for day in 0..3 {
        bench.now += 86_400_000.0;
        bench.round.plan.window = Some(format!("{day}/{day}"));
        // Graph goes in circles in the windows of the first two days alone.
        let step = until_over(&mut bench, |bench| {
            pages += 1;
            bench.sum = PageSummary { items: 5, ..PageSummary::default() };
            if bench.asked.iter().any(|url| url.contains("startDateTime=2")) { delta("d") } else { next(&format!("n{pages}")) }
        });
        if day < 2 {
            assert_eq!(failure(step).code, Code::Livelock, "day {day}");
        } else {
            assert_eq!(step, Step::Done);
        }
        bench = bench.again(rolling());
    }
    let stored = bench.store.unwrap();
    assert_eq!((stored.window.as_deref(), stored.restarted), (Some("2/2"), false));
}

#[test]
fn a_moved_window_does_not_fall_back_to_the_delta_link_of_the_old_one() {
    let window = Options { window: Some((7, 30, "UTC".into())), ..Options::default() };
    let rolling = || query::events(window.clone()).unwrap();
    let mut bench = Bench::new(rolling(), Some(Record { window: Some("old/old".into()), round: 1, ..idle() }));
    bench.round.plan.window = Some("new/new".into());
    bench.begin();
    bench.page(next("bad"));
    for _ in 0..3 {
        bench = bench.again(rolling());
        bench.round.plan.window = Some("new/new".into());
        until_over(&mut bench, |bench| refuse(bench, &["bad"]).unwrap_or_else(|| delta("d1")));
    }
    assert!(bench.asked.last().unwrap().contains("startDateTime=new"), "{:?}", bench.asked);
    let stored = bench.store.unwrap();
    assert_eq!((stored.phase, stored.window.as_deref()), (Phase::Idle, Some("new/new")));
}

#[test]
fn a_link_that_always_answers_503_with_retry_after_is_given_up_too() {
    let start =
        Record { phase: Phase::Paging, link: Some(link("bad")), start: Some(link("d0")), kind: Kind::Incremental, page: 1, ..idle() };
    let mut bench = Bench::new(contacts(), Some(start));
    let ill = || Input::Refused(Box::new(Refusal { status: 503, retry_after: Some("1".into()), ..Refusal::default() }));
    let answer = |bench: &mut Bench| if bench.asked.last().unwrap().ends_with("bad") { ill() } else { delta("d1") };
    for _ in 0..2 {
        assert_eq!(failure(until_over(&mut bench, answer)).code, Code::Network);
        bench = bench.again(contacts());
    }
    assert_eq!(until_over(&mut bench, answer), Step::Done);
    assert_eq!(bench.asked.last().map(String::as_str), Some("/contacts/delta?t=d0"));
}

#[test]
fn a_mirror_is_of_the_moment_of_its_listing_however_long_the_sweep_waits() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    bench.begin();
    bench.on(refused(410, ""));
    assert!(matches!(bench.page(delta("d1")), Step::Sweep { .. }));
    let mut later = bench.again(contacts());
    later.now += 3.0 * 86_400_000.0;
    later.begin();
    later.on(Input::Swept(SweepSummary { work: false, growth: 0, after: None }));
    assert_eq!(later.on(Input::Delivered), Step::Done);
    let stored = later.store.unwrap();
    assert_eq!((stored.phase, stored.synced_at, stored.full_at), (Phase::Idle, Some(NOW), Some(NOW)));
}

#[test]
fn one_page_with_news_or_an_empty_one_is_no_livelock() {
    let mut bench = Bench::new(events(), None);
    let mut pages = 0;
    let step = until_over(&mut bench, |bench| {
        pages += 1;
        bench.sum = match pages % 4 {
            0 => one(),
            1 => PageSummary::default(),
            _ => PageSummary { items: 5, ..PageSummary::default() },
        };
        if pages < 100 { next(&format!("n{pages}")) } else { delta("d") }
    });
    assert_eq!((step, sizes(&bench)), (Step::Done, None));
}

#[test]
fn empty_pages_without_an_end_end_as_a_livelock_after_two_listings() {
    let mut bench = Bench::new(contacts(), None);
    let mut pages = 0;
    let step = until_over(&mut bench, |bench| {
        pages += 1;
        bench.sum = PageSummary::default();
        next(&format!("n{pages}"))
    });
    let failure = failure(step);
    assert_eq!((failure.code, pages), (Code::Livelock, 2 * MOST_EMPTY));
    assert!(failure.message.contains("empty pages without an end"), "{}", failure.message);
}

fn refuse(bench: &Bench, bad: &[&str]) -> Option<Input> {
    let last = bench.asked.last().unwrap();
    bad.iter().any(|bad| last.ends_with(bad)).then(|| refused(400, "ErrorInvalidUrlQuery"))
}

#[test]
fn a_link_refused_for_good_falls_back_the_third_time_to_the_delta_link_the_round_began_with() {
    let paging =
        Record { phase: Phase::Paging, link: Some(link("bad")), start: Some(link("d0")), kind: Kind::Incremental, page: 1, ..idle() };
    let mut bench = Bench::new(contacts(), Some(paging));
    for refusals in [1, 2] {
        assert_eq!(failure(until_over(&mut bench, |bench| refuse(bench, &["bad"]).unwrap())).code, Code::BadRequest);
        let stored = bench.store.clone().unwrap();
        assert_eq!((stored.refusals, stored.link), (refusals, Some(link("bad"))));
        bench = bench.again(contacts());
    }
    assert_eq!(until_over(&mut bench, |bench| refuse(bench, &["bad"]).unwrap_or_else(|| delta("d1"))), Step::Done);
    assert_eq!(bench.asked, ["/contacts/delta?t=bad", "/contacts/delta?t=d0"]);
    assert_eq!((bench.round.report.kind, bench.round.report.resync.clone()), (Kind::Incremental, None));
    let stored = bench.store.unwrap();
    assert_eq!((stored.refusals, stored.fallback, stored.link), (0, 0, Some(link("d1"))));
}

#[test]
fn if_that_is_refused_too_or_leads_there_again_one_full_round_follows() {
    let paging = || Record {
        phase: Phase::Paging,
        link: Some(link("bad")),
        start: Some(link("d0")),
        kind: Kind::Incremental,
        page: 1,
        refusals: 2,
        ..idle()
    };
    let mut bench = Bench::new(contacts(), Some(paging()));
    let step = until_over(&mut bench, |bench| refuse(bench, &["bad", "d0"]).unwrap_or_else(|| delta("d1")));
    assert_eq!((step, bench.round.report.kind), (Step::Done, Kind::Full));
    assert_eq!(bench.asked, ["/contacts/delta?t=bad", "/contacts/delta?t=d0", "/contacts/delta"]);
    assert_eq!(bench.round.report.resync.as_deref(), Some("ErrorInvalidUrlQuery"));

    let mut bench = Bench::new(contacts(), Some(paging()));
    let to_bad = |bench: &mut Bench| refuse(bench, &["bad"]).unwrap_or_else(|| next("bad"));
    for _ in 0..2 {
        assert_eq!(failure(until_over(&mut bench, to_bad)).code, Code::BadRequest);
        bench = bench.again(contacts());
    }
    let step = until_over(&mut bench, |bench| refuse(bench, &["bad"]).unwrap_or_else(|| delta("d1")));
    assert_eq!((step, bench.round.report.kind), (Step::Done, Kind::Full));
}

#[test]
fn while_everything_is_refused_the_stored_link_stays() {
    let paging = Record { refusals: 2, ..idle() };
    let mut bench = Bench::new(contacts(), Some(paging.clone()));
    for _ in 0..3 {
        assert_eq!(failure(until_over(&mut bench, |_| refused(503, ""))).code, Code::Network);
        assert_eq!(bench.store.as_ref(), Some(&paging));
        bench = bench.again(contacts());
    }
    assert_eq!(until_over(&mut bench, |_| delta("d1")), Step::Done);
    assert_eq!(bench.asked, ["/contacts/delta?t=d0"]);
}

#[test]
fn who_may_not_read_is_no_reason_to_leave_the_link() {
    for status in [401, 402, 403] {
        let mut bench = Bench::new(contacts(), Some(idle()));
        for _ in 0..5 {
            until_over(&mut bench, |_| refused(status, ""));
            assert_eq!(bench.store, Some(idle()));
            bench = bench.again(contacts());
        }
    }
}

#[test]
fn links_that_are_refused_for_good_again_and_again_cost_three_full_rounds_a_day() {
    let mut bench = Bench::new(contacts(), Some(idle()));
    let mut queries = 0;
    for _ in 0..30 {
        until_over(&mut bench, |bench| if bench.asked.last().unwrap() == "/contacts/delta" { next("bad") } else { refused(400, "x") });
        queries += bench.asked.iter().filter(|url| *url == "/contacts/delta").count();
        bench = bench.again(contacts());
    }
    assert_eq!(queries, MOST_RESETS);
}

fn occurrence() -> PageSummary {
    PageSummary { masters: vec!["m1".into(), "m2".into()], ..one() }
}

#[test]
fn series_masters_that_the_round_did_not_bring_are_fetched_before_its_last_page() {
    let mut bench = Bench::new(events(), None);
    bench.begin();
    bench.sum = occurrence();
    bench.page(next("n1"));
    assert_eq!(bench.store.as_ref().map(|record| record.masters.len()), Some(2), "they are noted with the page");
    let mut bench = bench.again(events());
    bench.begin();
    bench.sum = PageSummary { brought: vec!["m1".into()], ..one() };
    assert!(matches!(bench.on(delta("d1")), Step::Fetch(url) if url.ends_with("/me/events/m2")));
    let step = bench.on(Input::Item);
    assert!(matches!(step, Step::Deliver(Delivery { last: true, .. })), "{step:?}");
    assert_eq!(bench.on(Input::Delivered), Step::Done);
    assert_eq!((bench.round.report.masters, bench.store.unwrap().masters.len()), (1, 0));
}

#[test]
fn a_master_that_graph_refuses_is_done_without_and_any_other_failure_leaves_the_link() {
    let mut bench = Bench::new(events(), Some(idle()));
    bench.begin();
    bench.sum = occurrence();
    bench.on(delta("d1"));
    assert!(matches!(bench.on(refused(404, "ErrorItemNotFound")), Step::Fetch(_)));
    assert!(matches!(bench.on(later("3")), Step::Sleep(3000.0, WaitReason::Throttled)));
    bench.on(Input::Slept);
    assert_eq!(bench.asked.iter().filter(|url| url.ends_with("/me/events/m1")).count(), 2);
    assert!(matches!(bench.on(refused(403, "ErrorAccessDenied")), Step::Deliver(_)));
    let mut bench = Bench::new(events(), Some(idle()));
    bench.begin();
    bench.sum = occurrence();
    let mut step = bench.on(delta("d1"));
    while let Step::Fetch(_) | Step::Sleep(..) = step {
        step = if let Step::Fetch(_) = step { bench.on(Input::Unreachable(NoResponse::Network)) } else { bench.on(Input::Slept) };
    }
    assert_eq!(failure(step).code, Code::Network);
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn ids_new_to_the_mirror_are_noted_before_a_consumer_gets_them() {
    let mut bench = Bench::new(contacts(), None);
    bench.round.plan.shown = true;
    bench.begin();
    bench.sum = PageSummary { fresh: vec!["a".into()], ..one() };
    assert!(matches!(bench.on(next("n1")), Step::Deliver(_)));
    let noted = bench.store.clone().unwrap();
    assert_eq!((noted.phase, noted.delivered), (Phase::Fresh, vec!["a".to_owned()]));
    let mut bench = bench.again(contacts());
    bench.round.plan.shown = true;
    bench.begin();
    bench.on(Input::Broken(Error::new(Code::Store, "x")));
    let mut bench = bench.again(contacts());
    bench.begin();
    assert_eq!(bench.round.mode().delivered, ["a"]);
    bench.sum = PageSummary { left: vec!["a".into()], ..one() };
    bench.page(next("n1"));
    assert_eq!(bench.store.clone().unwrap().delivered, ["a"], "as long as Graph has not spoken of it");
    bench.page(delta("d1"));
    assert!(bench.store.unwrap().delivered.is_empty());
}

#[test]
fn a_rolling_window_is_listed_anew_when_the_day_has_moved_and_between_two_rounds_only() {
    let window = Options { window: Some((7, 30, "Europe/Berlin".into())), ..Options::default() };
    let rolling = || query::events(window.clone()).unwrap();
    let days = |day: u32| format!("2026-11-{day}T23:00:00.000Z/2026-12-{day}T23:00:00.000Z");
    let mut bench = Bench::new(rolling(), None);
    bench.round.plan.window = Some(days(13));
    bench.begin();
    let asked = "/me/calendarView/delta?startDateTime=2026-11-13T23:00:00.000Z&endDateTime=2026-12-13T23:00:00.000Z";
    assert_eq!(bench.asked, [asked]);
    bench.page(next("n1"));
    let mut bench = bench.again(rolling());
    bench.round.plan.window = Some(days(14));
    bench.begin();
    assert_eq!(bench.asked, ["/contacts/delta?t=n1"], "a round that has begun ends where it began");
    bench.page(delta("d1"));
    assert_eq!(bench.store.as_ref().and_then(|record| record.window.clone()), Some(days(13)));
    let mut bench = bench.again(rolling());
    bench.round.plan.window = Some(days(14));
    bench.begin();
    assert_eq!(bench.asked, [asked.replace("13T", "14T")]);
    bench.on(delta("d2"));
    assert!(matches!(bench.on(Input::Delivered), Step::Sweep { .. }), "what left the window is a ghost");
    bench.on(Input::Swept(SweepSummary { work: false, growth: 0, after: None }));
    bench.on(Input::Delivered);
    let mut same = bench.again(rolling());
    same.round.plan.window = Some(days(14));
    same.begin();
    assert_eq!(same.asked, ["/contacts/delta?t=d2"]);
}

#[test]
fn the_count_of_the_mirror_is_kept_with_each_page() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    bench.sum = PageSummary { growth: 7, ..one() };
    bench.page(next("n1"));
    bench.sum = PageSummary { growth: -2, ..one() };
    bench.page(delta("d1"));
    assert_eq!(bench.store.unwrap().count, Some(5));
}

#[test]
fn a_long_round_whose_links_are_all_new_is_no_livelock() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    for page in 0..300 {
        bench.page(next(&format!("n{page}")));
    }
    assert_eq!(bench.page(delta("d")), Step::Done);
}

#[test]
fn a_reset_of_a_round_from_latest_does_not_hide_the_gap() {
    let query = vec![("$deltatoken".into(), "latest".into())];
    let latest = query::track("/users/delta", Options { query, ..Options::default() }).unwrap();
    let mut bench = Bench::new(latest, Some(idle()));
    bench.begin();
    let failure = failure(bench.on(refused(410, "syncStateNotFound")));
    assert_eq!(failure.code, Code::NotSupported);
    assert!(failure.message.contains("leaves a gap"), "{}", failure.message);
    assert_eq!(bench.store, Some(idle()));
}

#[test]
fn no_token_of_a_link_is_in_a_message() {
    let token = "bd9dmiNUYKrYOcd73Bu5srad3KUOS87UCf6zZ0fR9Esbbb03T5i2Aoh8";
    let message = Some(format!("The value '{token}' of parameter '$deltaToken' is invalid."));
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    let refusal = Refusal { status: 400, codes: vec!["InvalidDeltaToken".into()], message, ..Refusal::default() };
    let failure = failure(bench.on(Input::Refused(Box::new(refusal))));
    assert!(failure.message.contains("(The value … of parameter '$deltaToken' is invalid.)"), "{}", failure.message);
}

#[test]
fn a_failing_network_is_no_throttling_however_short_the_longest_wait_is() {
    let mut round = Round::new(RoundConfig { policy: Policy { max_wait: 1.0, ..Policy::default() }, ..plan(contacts()) }, NOW);
    for input in [Input::Begin, Input::Loaded(None), Input::SignedIn] {
        round.step(input, NOW, HALF);
    }
    assert_eq!(failure(round.step(Input::Unreachable(NoResponse::Network), NOW, HALF)).code, Code::Network);
}

#[test]
fn an_absurd_retry_after_still_gives_a_date() {
    let mut bench = Bench::new(contacts(), None);
    bench.begin();
    assert_eq!(failure(bench.on(later("99999999999999999999"))).retry_at, Some(8.64e15));
}

#[test]
fn a_mirror_past_its_refresh_is_listed_anew_and_keeps_its_link_until_the_first_page() {
    let old = Record { full_at: Some(NOW - 86_400_001.0), ..idle() };
    let mut bench = Bench::new(events(), Some(old.clone()));
    bench.begin();
    assert_eq!(bench.asked, ["/me/calendarView/delta?startDateTime=2026-11-23&endDateTime=2026-11-30"]);
    assert_eq!(bench.store, Some(old));
    bench.page(next("n1"));
    let stored = bench.store.clone().unwrap();
    assert_eq!((stored.generation, stored.start, stored.kind), (2, Some(link("d0")), Kind::Full));
    let mut young = Bench::new(events(), Some(Record { full_at: Some(NOW - 86_399_999.0), ..idle() }));
    young.begin();
    assert_eq!(young.asked, ["/contacts/delta?t=d0"]);
}

#[test]
fn a_round_from_latest_is_incremental_and_cannot_sweep() {
    let query = vec![("$deltatoken".into(), "latest".into())];
    let latest = query::track("/users/delta", Options { query, ..Options::default() }).unwrap();
    let mut bench = Bench::new(latest, Some(Record { phase: Phase::Fresh, link: None, generation: 4, ..idle() }));
    bench.begin();
    let step = bench.on(delta("d1"));
    assert!(matches!(step, Step::Deliver(Delivery { kind: Kind::Incremental, last: true, .. })), "{step:?}");
}

#[test]
fn a_conflict_writes_nothing_and_says_so() {
    let mut round = Round::new(plan(contacts()), NOW);
    for input in [Input::Begin, Input::Loaded(None), Input::SignedIn, next("n1"), applied(), Input::Delivered, Input::Acked] {
        round.step(input, NOW, HALF);
    }
    let failure = failure(round.step(Input::Conflict, NOW, HALF));
    assert_eq!((failure.code, failure.retryable), (Code::Conflict, true));
}

#[test]
fn a_refusal_names_the_way_out() {
    let recordings = query::call_recordings(query::Options { organizer: Some("o".into()), ..Default::default() }).unwrap();
    for (query, status, code, expected, words) in [
        (recordings, 403, "Forbidden", Code::Forbidden, "only an app-only token can read this kind"),
        (contacts(), 403, "Authorization_RequestDenied", Code::Forbidden, "the token lacks the permission"),
        (contacts(), 404, "Request_ResourceNotFound", Code::NotFound, "is not there"),
        (contacts(), 400, "Request_UnsupportedQuery", Code::NotSupported, "Graph has no delta query of this form here"),
        (contacts(), 400, "ErrorInvalidUrlQuery", Code::BadRequest, "check the options of the query"),
        (contacts(), 402, "", Code::Forbidden, "payment"),
        (contacts(), 501, "NotImplemented", Code::NotSupported, "outside the main store"),
    ] {
        let mut bench = Bench::new(query, None);
        bench.begin();
        let failure = failure(bench.on(refused(status, code)));
        assert_eq!((failure.code, failure.status), (expected, Some(status)));
        assert!(failure.message.contains(words), "{}", failure.message);
        assert!(failure.message.contains(code), "{}", failure.message);
    }
}

#[test]
fn the_prefer_values_stand_beside_the_link() {
    let mut bench = Bench::new(events(), None);
    bench.begin();
    bench.page(next("n1"));
    assert_eq!(bench.store.unwrap().prefer, ["odata.maxpagesize=50"]);
}
