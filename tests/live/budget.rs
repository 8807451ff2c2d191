//! Many live queries in one tab: the tab stays within its budget of rounds, and no query waits
//! longer than for a turn of each other query.

use super::*;
use deltalink::protocol::schedule::{MAX_RUNNING, MAX_STARTS};

/// The maximum number of queries of the tab.
const QUERIES: usize = 80;

/// A query of the tab.
#[derive(Default)]
struct Query {
    every: f64,
    /// The time from which the staleness is measured. `None` while the query is not live.
    fresh_at: Option<Instant>,
    /// When its round ends.
    round_ends: Option<Instant>,
}

struct Tab {
    seed: u64,
    rng: Rng,
    now: Instant,
    schedule: Schedule,
    queries: Vec<Query>,
    timer: Option<Instant>,
    is_visible: bool,
    /// When rounds were started.
    starts: Vec<Instant>,
}

fn key(at: usize) -> String {
    at.to_string()
}

impl Tab {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let count = 1 + usize::try_from(rng.below(QUERIES as u64)).unwrap();
        Self {
            seed,
            rng,
            now: Instant::from_millis(START),
            schedule: Schedule::new("tab".to_owned(), false),
            queries: (0..count).map(|_| Query::default()).collect(),
            timer: None,
            is_visible: true,
            starts: Vec::new(),
        }
    }

    fn step(&mut self, input: Input) {
        for action in self.schedule.step(input, self.now, self.rng.fraction()) {
            match action {
                Action::StartRound { key, .. } => self.start_round(key.parse().unwrap()),
                Action::StopRound { key, finishes_page } => {
                    assert!(!finishes_page, "seed {}: there is no tab to hand over to", self.seed);
                    self.queries[key.parse::<usize>().unwrap()].round_ends = None;
                }
                Action::SetTimer { at } => self.timer = at,
                _ => {}
            }
        }
    }

    fn start_round(&mut self, at: usize) {
        self.starts.push(self.now);
        let minute_ago = self.now - Duration::from_millis(60_000.0);
        let in_last_minute = self.starts.iter().filter(|start| **start > minute_ago).count();
        assert!(in_last_minute <= MAX_STARTS, "seed {}: {in_last_minute} starts in a minute", self.seed);
        let length = 10.0 + self.rng.fraction() * (LONGEST_ROUND - 10.0);
        let query = &mut self.queries[at];
        assert!(query.round_ends.is_none(), "seed {}: two rounds of query {at} at once", self.seed);
        query.round_ends = Some(self.now + Duration::from_millis(length));
        let running = self.queries.iter().filter(|query| query.round_ends.is_some()).count();
        assert!(running <= MAX_RUNNING, "seed {}: {running} rounds at once", self.seed);
    }

    /// Does something random.
    fn random_event(&mut self) {
        let at = usize::try_from(self.rng.below(self.queries.len() as u64)).unwrap();
        match self.rng.below(10) {
            0 if self.queries[at].fresh_at.is_some() => {
                self.queries[at].fresh_at = None;
                self.step(Input::Stop { key: key(at), handle: 0 });
            }
            1 => self.step(Input::Focus),
            2 => {
                self.is_visible = !self.is_visible;
                self.step(Input::Visibility { is_visible: self.is_visible });
                self.reset_staleness();
            }
            3 | 4 if self.queries[at].fresh_at.is_some() => self.step(Input::SyncNow { key: key(at) }),
            _ if self.queries[at].fresh_at.is_none() => {
                let every = self.rng.pick(&EVERY);
                self.queries[at].every = every;
                self.queries[at].fresh_at = Some(self.now);
                let options = LiveOptions { every: Duration::from_millis(every), hidden: Hidden::Slow };
                self.step(Input::Start { key: key(at), handle: 0, options, synced_at: None });
            }
            _ => {}
        }
    }

    /// Measures the staleness of all mirrors from now on.
    fn reset_staleness(&mut self) {
        for fresh_at in self.queries.iter_mut().filter_map(|query| query.fresh_at.as_mut()) {
            *fresh_at = self.now;
        }
    }

    fn advance(&mut self, until: Instant) {
        loop {
            let ends =
                self.queries.iter().enumerate().filter_map(|(at, query)| Some((query.round_ends?, Some(at))));
            let next = ends
                .chain(self.timer.map(|at| (at, None)))
                .reduce(|one, other| if other.0 < one.0 { other } else { one });
            let Some((time, ended)) = next.filter(|(time, _)| *time <= until) else { break };
            self.now = self.now.max(time);
            match ended {
                Some(at) => {
                    let query = &mut self.queries[at];
                    query.round_ends = None;
                    query.fresh_at = query.fresh_at.map(|_| self.now);
                    let end = RoundEnd { has_changes: self.rng.one_in(2), ..RoundEnd::default() };
                    self.step(Input::RoundEnded { key: key(at), end });
                }
                None => {
                    self.timer = None;
                    self.step(Input::Timer);
                }
            }
            self.check_turns();
        }
        self.now = self.now.max(until);
    }

    /// Checks that no mirror is too stale. While a query is due, each other one starts at most
    /// once, because the one that has been due for the longest time starts first.
    fn check_turns(&self) {
        if !self.is_visible {
            return;
        }
        let queries = self.queries.len() as f64;
        let turn = queries * (LONGEST_ROUND / MAX_RUNNING as f64).max(60_000.0 / MAX_STARTS as f64);
        for (at, query) in self.queries.iter().enumerate() {
            let Some(fresh_at) = query.fresh_at else { continue };
            let staleness = (self.now - fresh_at).as_millis();
            let bound = query.every * 8.0 * 1.1 + turn + 60_000.0 + LONGEST_ROUND;
            assert!(staleness <= bound, "seed {}: query {at} waits {staleness} ms, of {bound}", self.seed);
        }
    }
}

pub fn run(seed: u64) -> usize {
    let mut tab = Tab::new(seed);
    for _ in 0..100 {
        tab.random_event();
        let pause = 100.0 * tab.rng.below(200) as f64;
        tab.advance(tab.now + Duration::from_millis(pause));
    }
    tab.advance(tab.now + Duration::from_millis(600_000.0));
    tab.starts.len()
}
