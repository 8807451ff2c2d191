//! The model tests of live queries: up to five tabs with one query, which are hidden, closed,
//! killed, frozen with and without an event, and put to sleep; and one tab with up to eighty
//! queries. Each tab has the real schedule. The locks, the channel and the rounds are modelled.
//!
//! `CASES=10000` runs more scenarios; `SEED=n` prints one.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, dead_code, missing_docs)]

use std::collections::VecDeque;

use deltalink::protocol::schedule::{Action, Hidden, Input, LiveOptions, Message, RoundEnd, Schedule};
use deltalink::protocol::time::{Duration, Instant};

#[path = "live/budget.rs"]
mod budget;
#[path = "model/rng.rs"]
mod rng;

use rng::Rng;

const KEY: &str = "q";
const START: f64 = 1_795_000_000_000.0;
/// The intervals that tabs ask for, in milliseconds.
const EVERY: [f64; 3] = [5000.0, 20_000.0, 60_000.0];
/// The longest round, in milliseconds.
const LONGEST_ROUND: f64 = 10_000.0;
/// How long a tab may stay stale beyond its longest interval: it asks a silent leader with a delay
/// of up to 10 % of its own interval, waits three seconds for a response, and then runs a round. A
/// second leader may be silent too.
const MARGIN: f64 = 2.0 * (6000.0 + 3000.0 + LONGEST_ROUND) + 20_000.0;

/// A tab.
struct Tab {
    schedule: Schedule,
    every: f64,
    is_visible: bool,
    /// Whether the tab got the events `freeze` or `pagehide`.
    is_frozen: bool,
    /// Whether the tab does not run, and got no event about it.
    is_hung: bool,
    timer: Option<Instant>,
    /// When its round ends, and whether the round is stopped after a page.
    round_ends: Option<Instant>,
    is_stopped: bool,
    /// Inputs that wait while the tab hangs.
    inbox: VecDeque<Input>,
    /// Whether the tab has opened the channel.
    has_joined: bool,
}

struct Model {
    seed: u64,
    rng: Rng,
    now: Instant,
    tabs: Vec<Option<Tab>>,
    /// The tab that holds the lock, and those that wait for it.
    holder: Option<usize>,
    queue: VecDeque<usize>,
    /// When the mirror was last known to be fresh: a round ended, or an event restarted the
    /// measurement.
    last_update: Instant,
    last_start: Option<Instant>,
    /// Whether something allows a round before the interval has passed.
    may_start_early: bool,
    starts: u32,
    /// The intervals of all tabs so far.
    every: Vec<f64>,
    /// Inputs that have not arrived yet.
    pending: VecDeque<(usize, Input)>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let now = Instant::from_millis(START);
        Self {
            seed,
            rng: Rng(seed),
            now,
            tabs: Vec::new(),
            holder: None,
            queue: VecDeque::new(),
            last_update: now,
            last_start: None,
            may_start_early: true,
            starts: 0,
            every: Vec::new(),
            pending: VecDeque::new(),
        }
    }

    fn print(&self, what: &str) {
        if std::env::var("SEED").is_ok() {
            println!("{:>9.0} {what}", (self.now - Instant::from_millis(START)).as_millis());
        }
    }

    /// Sends an input to a tab, and delivers all inputs that result from it.
    fn step(&mut self, at: usize, input: Input) {
        self.pending.push_back((at, input));
        let mut steps = 0;
        while let Some((at, input)) = self.pending.pop_front() {
            steps += 1;
            assert!(steps < 1000, "seed {}: the tabs send messages without end", self.seed);
            let (now, random) = (self.now, self.rng.fraction());
            let Some(tab) = self.tabs[at].as_mut() else { continue };
            if tab.is_hung {
                tab.inbox.push_back(input);
                continue;
            }
            let actions = tab.schedule.step(input.clone(), now, random);
            self.print(&format!("tab {at}: {input:?} → {actions:?}"));
            for action in actions {
                self.execute(at, action);
            }
        }
    }

    fn send(&mut self, at: usize, input: Input) {
        self.pending.push_back((at, input));
    }

    fn execute(&mut self, at: usize, action: Action) {
        let tab = self.tabs[at].as_mut().unwrap();
        match action {
            Action::Join { .. } => {
                tab.has_joined = true;
                self.request_lock(at);
            }
            Action::RequestLock { .. } => self.request_lock(at),
            Action::StealLock { .. } => {
                // The shell ignores the result of a request that a newer request has replaced.
                let is_result =
                    |input: &Input| matches!(input, Input::LockGranted { .. } | Input::LockLost { .. });
                self.pending.retain(|(to, input)| *to != at || !is_result(input));
                self.queue.retain(|waiting| *waiting != at);
                if let Some(previous) = self.holder.replace(at).filter(|previous| *previous != at) {
                    self.send(previous, Input::LockLost { key: KEY.to_owned() });
                }
                if self.holder == Some(at) {
                    self.send(at, Input::LockGranted { key: KEY.to_owned() });
                }
            }
            Action::Leave { .. } => {
                tab.has_joined = false;
                self.release(at);
            }
            Action::Post { message, .. } => self.broadcast(at, &message),
            Action::StartRound { .. } => self.start_round(at),
            Action::StopRound { finishes_page, .. } => {
                // The next leader continues the round.
                self.may_start_early = true;
                if finishes_page {
                    tab.is_stopped = true;
                    let page_ends = self.now + Duration::from_millis(500.0);
                    tab.round_ends = tab.round_ends.map(|ends| ends.min(page_ends));
                } else {
                    (tab.round_ends, tab.is_stopped) = (None, false);
                    let end = RoundEnd { error: Some("aborted".to_owned()), ..RoundEnd::default() };
                    self.send(at, Input::RoundEnded { key: KEY.to_owned(), end });
                }
            }
            Action::Synced { .. } | Action::Show { .. } => {}
            Action::SetTimer { at: time } => tab.timer = time,
        }
    }

    fn request_lock(&mut self, at: usize) {
        if self.holder.is_none() {
            self.holder = Some(at);
            self.send(at, Input::LockGranted { key: KEY.to_owned() });
        } else if !self.queue.contains(&at) && self.holder != Some(at) {
            self.queue.push_back(at);
        }
    }

    fn release(&mut self, at: usize) {
        self.queue.retain(|waiting| *waiting != at);
        if self.holder == Some(at) {
            self.holder = self.queue.pop_front();
            if let Some(next) = self.holder {
                self.send(next, Input::LockGranted { key: KEY.to_owned() });
            }
        }
    }

    fn broadcast(&mut self, from: usize, message: &Message) {
        for at in 0..self.tabs.len() {
            if at != from && self.tabs[at].as_ref().is_some_and(|tab| tab.has_joined) {
                let (key, from) = (KEY.to_owned(), from.to_string());
                self.send(at, Input::Received { key, from, message: message.clone() });
            }
        }
    }

    fn start_round(&mut self, at: usize) {
        self.starts += 1;
        let length = 10.0 + self.rng.fraction() * (LONGEST_ROUND - 10.0);
        let has_lost_lock = self.holder != Some(at);
        if has_lost_lock {
            // The round waits for the round lock until the tab learns that it no longer leads.
            self.starts -= 1;
            return;
        }
        let others = self.tabs.iter().flatten().filter(|tab| !tab.is_hung && tab.round_ends.is_some());
        assert_eq!(others.count(), 0, "seed {}: two rounds at once", self.seed);
        // For a while, a leader may still use the options of a tab that is gone.
        let shortest = self.every.iter().copied().fold(f64::INFINITY, f64::min);
        if let Some(last) = self.last_start.filter(|_| !self.may_start_early) {
            let passed = (self.now - last).as_millis();
            assert!(passed >= shortest * 0.9, "seed {}: rounds {passed} ms apart", self.seed);
        }
        self.may_start_early = false;
        self.last_start = Some(self.now);
        self.tabs[at].as_mut().unwrap().round_ends = Some(self.now + Duration::from_millis(length));
    }

    /// Allows the next round to start early, and restarts the time in which a mirror becomes stale.
    fn disturb(&mut self) {
        self.may_start_early = true;
        self.last_update = self.now;
    }

    fn pick_tab(&mut self) -> Option<usize> {
        let alive: Vec<usize> = (0..self.tabs.len()).filter(|at| self.tabs[*at].is_some()).collect();
        if alive.is_empty() {
            None
        } else {
            Some(alive[usize::try_from(self.rng.below(alive.len() as u64)).unwrap()])
        }
    }

    fn open(&mut self) {
        if self.tabs.iter().flatten().count() == 5 {
            return;
        }
        let at = self.tabs.len();
        let every = self.rng.pick(&EVERY);
        let hidden = if self.rng.below(2) == 0 { Hidden::Slow } else { Hidden::Pause };
        self.every.push(every);
        self.tabs.push(Some(Tab {
            schedule: Schedule::new(at.to_string(), true),
            every,
            is_visible: true,
            is_frozen: false,
            is_hung: false,
            timer: None,
            round_ends: None,
            is_stopped: false,
            inbox: VecDeque::new(),
            has_joined: false,
        }));
        self.disturb();
        let options = LiveOptions { every: Duration::from_millis(every), hidden };
        self.step(at, Input::Start { key: KEY.to_owned(), handle: 0, options, synced_at: None });
    }

    fn kill(&mut self, at: usize) {
        self.print(&format!("tab {at} is killed"));
        self.tabs[at] = None;
        self.release(at);
        self.step(at, Input::Timer);
    }

    fn wake(&mut self, at: usize) {
        let tab = self.tabs[at].as_mut().unwrap();
        tab.is_hung = false;
        let inbox = std::mem::take(&mut tab.inbox);
        self.pending.extend(inbox.into_iter().map(|input| (at, input)));
        self.step(at, Input::Timer);
    }

    /// Executes a random event.
    fn execute_event(&mut self) {
        let Some(at) = self.pick_tab() else { return self.open() };
        self.disturb();
        let tab = self.tabs[at].as_mut().unwrap();
        let (is_hung, is_frozen) = (tab.is_hung, tab.is_frozen);
        match self.rng.below(12) {
            0 | 1 => self.open(),
            2 => self.kill(at),
            3 if !is_hung => {
                self.step(at, Input::Stop { key: KEY.to_owned(), handle: 0 });
                self.now += Duration::from_millis(1000.0);
                self.step(at, Input::Timer);
                self.kill(at);
            }
            4 | 5 if !is_hung && !is_frozen => {
                let is_visible = !tab.is_visible;
                tab.is_visible = is_visible;
                self.step(at, Input::Visibility { is_visible });
            }
            6 => {
                if is_hung {
                    self.wake(at)
                } else {
                    tab.is_hung = true
                }
            }
            7 if !is_hung => {
                tab.is_frozen = !is_frozen;
                self.step(at, if is_frozen { Input::Thaw } else { Input::Freeze });
            }
            8 if !is_hung && !is_frozen => self.step(at, Input::SyncNow { key: KEY.to_owned() }),
            9 => self.now += Duration::from_millis(1000.0 * self.rng.below(3600) as f64),
            10 if !is_hung => self.step(at, Input::Focus),
            _ => {}
        }
        self.last_update = self.now;
    }

    /// The next time at which a tab has something to do.
    fn next(&self) -> Option<(Instant, usize)> {
        let tabs = self.tabs.iter().enumerate().filter_map(|(at, tab)| Some((at, tab.as_ref()?)));
        tabs.filter(|(_, tab)| !tab.is_hung)
            .flat_map(|(at, tab)| {
                [tab.timer, tab.round_ends].into_iter().flatten().map(move |time| (time, at))
            })
            .reduce(|one, other| if other.0 < one.0 { other } else { one })
    }

    fn advance(&mut self, until: Instant) {
        while let Some((time, at)) = self.next().filter(|(time, _)| *time <= until) {
            self.now = self.now.max(time);
            self.check_freshness();
            let tab = self.tabs[at].as_mut().unwrap();
            if tab.round_ends.is_some_and(|ends| ends <= self.now) {
                tab.round_ends = None;
                let error = if std::mem::take(&mut tab.is_stopped) {
                    Some("aborted".to_owned())
                } else {
                    self.last_update = self.now;
                    self.rng.one_in(20).then(|| "conflict".to_owned())
                };
                let end = RoundEnd { has_changes: self.rng.one_in(2), error, retry_at: None };
                self.step(at, Input::RoundEnded { key: KEY.to_owned(), end });
            } else {
                tab.timer = None;
                self.step(at, Input::Timer);
            }
        }
        self.now = self.now.max(until);
        self.check_freshness();
    }

    /// Asserts that the mirror is as fresh as the rules promise, while a tab is visible and runs.
    fn check_freshness(&self) {
        let active = |tab: &&Tab| tab.is_visible && !tab.is_hung && !tab.is_frozen;
        let visible = self.tabs.iter().flatten().filter(active);
        let Some(every) = visible.map(|tab| tab.every).reduce(f64::min) else { return };
        let age = (self.now - self.last_update).as_millis();
        let bound = every * 8.0 * 1.1 + MARGIN;
        assert!(age <= bound, "seed {}: {age} ms without a round; the bound is {bound}", self.seed);
    }
}

fn run(seed: u64) -> u32 {
    let mut model = Model::new(seed);
    for _ in 0..40 {
        model.execute_event();
        let pause = 1000.0 * model.rng.below(120) as f64;
        model.advance(model.now + Duration::from_millis(pause));
    }
    // An hour without further events.
    model.advance(model.now + Duration::HOUR);
    model.starts
}

#[test]
fn tabs_that_die_hang_and_sleep_never_run_two_rounds_and_never_stay_stale() {
    let (cases, starts) = run_all(|seed| run(seed) as usize);
    assert!(starts > cases * 20, "the scenarios hardly run any round: {starts}");
}

#[test]
fn the_queries_of_a_tab_take_turns_within_its_budget() {
    let (cases, starts) = run_all(budget::run);
    assert!(starts > cases * 100, "the scenarios hardly run any round: {starts}");
}

/// Runs the scenario `SEED`, or those of `CASES` seeds. Returns the number of scenarios and of
/// their rounds.
fn run_all(run: impl Fn(u64) -> usize) -> (usize, usize) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = number("SEED").map_or(0..number("CASES").unwrap_or(500), |seed| seed..seed + 1);
    let cases = seeds.clone().count();
    let starts = seeds.map(run).sum();
    println!("{cases} scenarios, {starts} rounds");
    (cases, starts)
}
