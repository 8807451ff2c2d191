//! Decides when the live queries of one tab run rounds, and which of several tabs runs them.
//!
//! Each tab has a [`Schedule`]. Tabs with the same live query share a lock and a channel: the tab
//! that holds the lock leads, the others follow. The shell executes the actions of each step and
//! reports their results as inputs.
//!
//! # Rules
//!
//! 1. Only the leader of a query starts rounds, one at a time.
//! 2. A round is due when the interval has passed since the end of the last round of any tab. The
//!    interval is the shortest `every` of all tabs, ±10 %. It doubles with each round without
//!    changes, up to 8 times `every`.
//! 3. While all tabs are hidden, the interval is at least 10 times `every`, or no round is due if
//!    all of them ask for a pause.
//! 4. The interval is `every` again after a change, a call of `syncNow()`, focus, a tab that
//!    becomes visible or is no longer frozen, a new tab, and when the network is back.
//! 5. After a failure the interval is at least `every`, doubled with each consecutive failure, up
//!    to 15 minutes or `every`. A throttled query waits until Graph allows the next request. A
//!    failed round is repeated at once when the network is back.
//! 6. No round is due while the host has no network, nor after the user was asked to sign in, until
//!    the sign-in. `syncNow()` starts a round even then.
//! 7. A tab runs at most 4 rounds at once, and starts at most 60 in a minute. The round that has
//!    been due for the longest time starts first.
//! 8. A timer shows that the machine was asleep if the time since it was set exceeds both twice its
//!    delay and two minutes. All rounds are due then.
//! 9. A follower asks whether the leader is alive when the leader's next round is due, when its own
//!    tab becomes visible, and when `syncNow()` is called in it. If no message arrives in 3
//!    seconds, it steals the lock.
//! 10. A leader asks tabs that were silent for three rounds whether they still run, and ignores
//!     those that do not respond.
//! 11. A hidden leader hands over to a visible tab, after the current page of its round.
//! 12. A frozen tab leads no query. It joins again as a follower.
//! 13. A tab leaves a query a second after its last handle was stopped.

use serde::Serialize;

use super::time::{Duration, Instant};
use live_query::LiveQuery;

mod live_query;
#[cfg(test)]
mod tests;

/// The maximum number of rounds of a tab that run at once.
pub const MAX_RUNNING: usize = 4;
/// The maximum number of rounds that a tab starts in a minute.
pub const MAX_STARTS: usize = 60;
/// The shortest interval. `live()` rejects a shorter one, but a message of another tab may have it.
pub const MIN_INTERVAL: Duration = Duration::from_millis(5000.0);
const MINUTE: Duration = Duration::from_millis(60_000.0);
/// A timer that fires this long after it was set may show that the machine was asleep.
const MIN_SLEEP: Duration = Duration::from_millis(120_000.0);

/// The options of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LiveOptions {
    /// The time between two rounds.
    pub every: Duration,
    /// The behavior while all tabs are hidden.
    pub hidden: Hidden,
}

/// The behavior while all tabs are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hidden {
    /// Run rounds less often. Prevails over `Pause`.
    Slow,
    /// Run no rounds.
    Pause,
}

/// An event of the host, of another tab or of a caller.
#[allow(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug)]
pub enum Input {
    /// A handle was made. `synced_at`: the end of the last complete round, if one is stored.
    Start { key: String, handle: u32, options: LiveOptions, synced_at: Option<Instant> },
    /// A handle was stopped.
    Stop { key: String, handle: u32 },
    /// `syncNow()` was called.
    SyncNow { key: String },
    /// The tab holds the query's lock.
    LockGranted { key: String },
    /// Another tab has stolen the lock, or the request for it has failed.
    LockLost { key: String },
    /// Another tab has sent a message.
    Received { key: String, from: String, message: Message },
    /// The round that [`Action::StartRound`] started has ended.
    RoundEnded { key: String, end: RoundEnd },
    /// The tab has become visible or hidden.
    Visibility { is_visible: bool },
    /// The host's network is back or lost.
    Network { is_online: bool },
    /// The user has come back to this tab.
    Focus,
    /// The tab is about to be frozen, or put into the back/forward cache.
    Freeze,
    /// The tab runs again.
    Thaw,
    /// The user has signed in, in any tab.
    SignedIn,
    /// The timer has fired.
    Timer,
}

/// How a round has ended.
#[derive(Clone, Debug, Default)]
pub struct RoundEnd {
    /// Whether it has changed the mirror.
    pub has_changes: bool,
    /// The code of the error that ended it.
    pub error: Option<String>,
    /// When Graph allows the next request, if it has throttled the round.
    pub retry_at: Option<Instant>,
}

/// A message to the other tabs with the same live query.
#[allow(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Message {
    /// Tells the options of this tab. The leader responds with its plan.
    Ping { options: LiveOptions, is_visible: bool },
    /// The plan of the leader, sent whenever it changes.
    Plan(Plan),
    /// Asks the leader for a round.
    Sync,
    /// The leader hands over to the tab `to`: now, or after the current page.
    HandOver { to: String, is_ready: bool },
    /// Asks which tabs still run: they respond with a ping.
    RollCall,
    /// This tab has left.
    Bye,
}

/// The state of a leader, for its followers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The number of rounds that this leader has ended.
    pub rounds: u32,
    /// The end of the last round.
    pub ended_at: Option<Instant>,
    /// When the next round is due. `None` while one runs, and while none is due.
    pub next_at: Option<Instant>,
    /// Whether a round runs.
    pub is_running: bool,
    /// Whether the leader's tab is visible.
    pub is_visible: bool,
}

/// An instruction for the shell.
#[allow(missing_docs, reason = "the documentation of a variant names its fields")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Open the channel of the query and wait in the queue for its lock.
    Join { key: String },
    /// Wait in the queue for the lock again.
    RequestLock { key: String },
    /// Take the lock from the tab that holds it.
    StealLock { key: String },
    /// Release the lock or its request, and close the channel.
    Leave { key: String },
    /// Send a message to the other tabs.
    Post { key: String, message: Message },
    /// Start a round. `steals`: take its round lock from a tab that does not respond.
    StartRound { key: String, steals: bool },
    /// Stop the running round. `finishes_page`: after the current page, instead of at once.
    StopRound { key: String, finishes_page: bool },
    /// Settle the waiting calls of `syncNow()`. `is_local`: this tab has run the round.
    Synced { key: String, is_local: bool },
    /// Show in the status when the next round is due, whether another tab leads, and whether the
    /// host has no network.
    Show { key: String, is_following: bool, is_offline: bool, next_round_at: Option<Instant> },
    /// Set the timer, which replaces the previous one.
    SetTimer { at: Option<Instant> },
}

/// The state of the tab that all its queries share.
#[derive(Debug)]
struct Tab {
    id: String,
    /// Whether the host has Web Locks and a channel. Without them each tab leads.
    has_peers: bool,
    is_visible: bool,
    is_online: bool,
    is_frozen: bool,
    needs_sign_in: bool,
}

/// The schedule of one tab.
#[derive(Debug)]
pub struct Schedule {
    tab: Tab,
    queries: Vec<LiveQuery>,
    /// When the rounds of the last minute were started.
    starts: Vec<Instant>,
    /// When the timer was set, and to which time.
    timer: Option<(Instant, Instant)>,
}

impl Schedule {
    /// The schedule of a visible tab with network. `id` names the tab in messages.
    pub fn new(id: String, has_peers: bool) -> Self {
        let tab =
            Tab { id, has_peers, is_visible: true, is_online: true, is_frozen: false, needs_sign_in: false };
        Self { tab, queries: Vec::new(), starts: Vec::new(), timer: None }
    }

    /// Accepts an input, and returns the resulting actions. `random` is random, from 0 to 1.
    pub fn step(&mut self, input: Input, now: Instant, random: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.accept(input, now, random, &mut actions);
        for query in self.queries.iter_mut() {
            query.tick(&self.tab, now, random, &mut actions);
        }
        self.queries.retain(|query| !query.has_left());
        self.start_rounds(now, &mut actions);
        for query in self.queries.iter_mut() {
            query.publish(&self.tab, &mut actions);
        }
        let at = self.timer_at(now);
        if at != self.timer.map(|(_, at)| at) {
            self.timer = at.map(|at| (now, at));
            actions.push(Action::SetTimer { at });
        }
        actions
    }

    fn accept(&mut self, input: Input, now: Instant, random: f64, actions: &mut Vec<Action>) {
        let Self { tab, queries, .. } = self;
        match input {
            Input::Start { key, handle, options, synced_at } => {
                if find(queries, &key).is_none() {
                    queries.push(LiveQuery::new(key.clone(), synced_at));
                }
                if let Some(query) = find(queries, &key) {
                    query.start(handle, options, tab, now, actions);
                }
            }
            Input::Stop { key, handle } => {
                if let Some(query) = find(queries, &key) {
                    query.stop(handle, tab, now, actions);
                }
            }
            Input::SyncNow { key } => {
                if let Some(query) = find(queries, &key) {
                    query.sync_now(now, actions);
                }
            }
            Input::LockGranted { key } => match find(queries, &key) {
                Some(query) if !tab.is_frozen => query.lead(),
                _ => actions.push(Action::Leave { key }),
            },
            Input::LockLost { key } => {
                if let Some(query) = find(queries, &key) {
                    query.lose_lock(tab, now, actions);
                }
            }
            Input::Received { key, from, message } => {
                if let Some(query) = find(queries, &key) {
                    query.receive(from, message, tab, now, random, actions);
                }
            }
            Input::RoundEnded { key, end } => {
                tab.needs_sign_in |= matches!(end.error.as_deref(), Some("interaction" | "claims"));
                if let Some(query) = find(queries, &key) {
                    query.round_ended(&end, tab, now, random, actions);
                }
                if end.error.is_none() {
                    // `syncNow()` may have started this round. It has got a token.
                    self.resume_after_sign_in();
                }
            }
            Input::Visibility { is_visible } => {
                tab.is_visible = is_visible;
                for query in queries.iter_mut() {
                    query.visibility_changed(tab, now, actions);
                }
                if is_visible {
                    self.reset_growth();
                }
            }
            Input::Network { is_online } => {
                tab.is_online = is_online;
                if is_online {
                    self.reset_growth();
                    self.queries.iter_mut().for_each(LiveQuery::forget_failures);
                }
            }
            Input::Focus => self.reset_growth(),
            Input::Freeze => {
                tab.is_frozen = true;
                for query in queries.iter_mut() {
                    query.freeze(actions);
                }
            }
            Input::Thaw => {
                if std::mem::take(&mut tab.is_frozen) {
                    // While frozen, this tab may have missed a sign-in in another tab.
                    tab.needs_sign_in = false;
                    for query in queries.iter_mut() {
                        query.join(tab, now, actions);
                    }
                }
                self.reset_growth();
            }
            Input::SignedIn => self.resume_after_sign_in(),
            Input::Timer => {
                let was_asleep = self.timer.take().is_some_and(|(set_at, due)| {
                    let passed = now - set_at;
                    passed > (due - set_at) * 2.0 && passed > MIN_SLEEP
                });
                if was_asleep {
                    self.queries.iter_mut().for_each(LiveQuery::make_due);
                }
            }
        }
    }

    fn reset_growth(&mut self) {
        self.queries.iter_mut().for_each(LiveQuery::reset_growth);
    }

    fn resume_after_sign_in(&mut self) {
        if std::mem::take(&mut self.tab.needs_sign_in) {
            self.queries.iter_mut().for_each(LiveQuery::make_due);
        }
    }

    /// Starts the rounds that are due, as far as the limits of the tab allow.
    fn start_rounds(&mut self, now: Instant, actions: &mut Vec<Action>) {
        // A clock that was set back must not block the tab.
        self.starts.retain(|start| *start <= now && now - *start < MINUTE);
        let Self { tab, queries, starts, .. } = self;
        let running = queries.iter().filter(|query| query.is_running()).count();
        let free = (MAX_RUNNING - running.min(MAX_RUNNING)).min(MAX_STARTS - starts.len().min(MAX_STARTS));
        for _ in 0..free {
            let due = queries.iter_mut().filter_map(|query| Some((query.due_at(tab)?, query)));
            let Some((_, query)) = due
                .filter(|(at, _)| *at <= now)
                .reduce(|one, other| if other.0 < one.0 { other } else { one })
            else {
                return;
            };
            starts.push(now);
            query.start_round(actions);
        }
    }

    /// When the timer must fire: for the next start of a round, or the next check of a query.
    fn timer_at(&self, now: Instant) -> Option<Instant> {
        let Self { tab, queries, starts, .. } = self;
        if tab.is_frozen {
            return None;
        }
        let running = queries.iter().filter(|query| query.is_running()).count();
        let blocked_until =
            if starts.len() == MAX_STARTS { starts.first().map(|start| *start + MINUTE) } else { None };
        let earliest_start = blocked_until.unwrap_or(now);
        // At the limit, the end of a round is the input that starts the next one.
        let may_start = running < MAX_RUNNING;
        queries
            .iter()
            .flat_map(|query| {
                let start = query.due_at(tab).filter(|_| may_start).map(|due| due.max(earliest_start));
                [start, query.next_check(tab)]
            })
            .flatten()
            .reduce(Instant::min)
            .map(|at| at.max(now))
    }
}

fn find<'a>(queries: &'a mut [LiveQuery], key: &str) -> Option<&'a mut LiveQuery> {
    queries.iter_mut().find(|query| query.key() == key)
}
