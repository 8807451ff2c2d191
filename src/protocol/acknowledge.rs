//! When a page is acknowledged, and the results of `next()`, `page.ack()` and `return()` for the
//! consumer of a round.
//!
//! A round delivers one page at a time and commits it after its acknowledgement. A page goes
//! through these states; a round begins as if an earlier page were committed:
//!
//! ```text
//!              delivered                     ack(), next()                 commit_begins
//!   Committed ──────────► Unacknowledged ──────────────────► Acknowledged ──────────────► Committing
//!       ▲                       ▲                                                          │    │
//!       │                       └────────────────────── not_committed ─────────────────────┘    │
//!       └───────────────────────────────────── committed ───────────────────────────────────────┘
//! ```
//!
//! The rules, with the invariants of CONTRIBUTING.md that they keep:
//!
//! 1. In [`AckMode::Next`], `next()` acknowledges the previous page. In [`AckMode::Manual`] only
//!    `page.ack()` does, and `next()` waits for it (invariant 2).
//! 2. Calls of `next()` are settled in their order, as an async generator settles them. In
//!    [`AckMode::Next`] a page is acknowledged at once if another call is already waiting.
//! 3. `page.ack()` belongs to its page: called late, for an earlier one, it acknowledges nothing.
//! 4. Leaving, by `return()` or `throw()`, ends the round and every `next()` that waits. If a page
//!    is acknowledged and not committed, the round ends after that commit (invariant 18).
//!    Afterwards `page.ack()` of an unacknowledged page rejects with `aborted`.
//! 5. An error that ends the round, an abort included, rejects one call of `next()`: the first that
//!    waits, or else the next one. All others get the end of the iteration. `page.ack()` of an
//!    unacknowledged page rejects with that error.
//! 6. A commit that has begun settles `page.ack()` even if the round has ended in the meantime
//!    (invariant 18).

/// The call that acknowledges a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckMode {
    /// The next call of `next()`, or `page.ack()`.
    #[default]
    Next,
    /// Only `page.ack()`.
    Manual,
}

/// The page that was delivered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Committed,
    Unacknowledged,
    Acknowledged,
    Committing,
}

/// Whether the round is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// The consumer has left; the round ends after the commit of the acknowledged page.
    Leaving,
    /// The consumer has left, and the round has ended.
    Left,
    /// The round has ended with an error that no call of `next()` has got yet.
    Failed,
    /// The round has ended: completely, or with an error that a call of `next()` has got.
    Over,
}

/// How a waiting call of `next()` is settled when the iteration is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextOutcome {
    /// It rejects with the error that ended the round.
    Error,
    /// It resolves to the end of the iteration.
    End,
}

/// How a call of `page.ack()` is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckOutcome {
    /// With the result of the commit of the page, when it ends.
    AfterCommit,
    /// At once: the page is committed.
    Committed,
    /// It rejects with `aborted`: the consumer has left.
    Left,
    /// It rejects with the error that ended the round.
    Error,
}

/// The state of one round's acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgements {
    mode: AckMode,
    page: Page,
    phase: Phase,
    /// How many pages were delivered.
    delivered: u32,
    /// How many calls of `next()` wait.
    waiting: u32,
}

impl Acknowledgements {
    /// The acknowledgements of a round that has not begun.
    pub const fn new(mode: AckMode) -> Self {
        Self { mode, page: Page::Committed, phase: Phase::Running, delivered: 0, waiting: 0 }
    }

    /// The consumer calls `next()`, which waits from now on.
    pub fn next(&mut self) {
        self.waiting += 1;
        self.acknowledge_by_next();
    }

    /// The consumer calls `ack()` of the page with this number. Pages are numbered from 0 in the
    /// order of their delivery.
    pub fn ack(&mut self, page: u32) -> AckOutcome {
        if page.saturating_add(1) < self.delivered {
            return AckOutcome::Committed;
        }
        match (self.page, self.phase) {
            (Page::Committed, _) => AckOutcome::Committed,
            (Page::Acknowledged | Page::Committing, _) => AckOutcome::AfterCommit,
            (Page::Unacknowledged, Phase::Running) => {
                self.page = Page::Acknowledged;
                AckOutcome::AfterCommit
            }
            (Page::Unacknowledged, Phase::Leaving | Phase::Left) => AckOutcome::Left,
            (Page::Unacknowledged, Phase::Failed | Phase::Over) => AckOutcome::Error,
        }
    }

    /// The consumer calls `return()` or `throw()`.
    pub fn leave(&mut self) {
        self.phase = match (self.phase, self.page) {
            (Phase::Running, Page::Acknowledged | Page::Committing) => Phase::Leaving,
            (Phase::Running | Phase::Failed, _) => Phase::Left,
            (phase, _) => phase,
        };
    }

    /// The round hands a page to the first call of `next()` that waits.
    pub fn delivered(&mut self) {
        self.delivered += 1;
        self.waiting = self.waiting.saturating_sub(1);
        self.page = Page::Unacknowledged;
        if self.waiting > 0 {
            self.acknowledge_by_next();
        }
    }

    /// The commit of the acknowledged page begins.
    pub fn commit_begins(&mut self) {
        self.advance(Page::Acknowledged, Page::Committing);
    }

    /// The page is committed.
    pub fn committed(&mut self) {
        self.advance(Page::Committing, Page::Committed);
    }

    /// The commit of the page has failed, or does not take place.
    pub fn not_committed(&mut self) {
        self.advance(Page::Committing, Page::Unacknowledged);
    }

    /// The round has ended, with an error or without. A commit that has begun continues.
    pub fn ended(&mut self, has_failed: bool) {
        self.advance(Page::Acknowledged, Page::Unacknowledged);
        self.phase = match self.phase {
            Phase::Running if has_failed => Phase::Failed,
            Phase::Running => Phase::Over,
            Phase::Leaving => Phase::Left,
            phase => phase,
        };
    }

    /// Settles the first waiting call of `next()`, which then no longer waits. Returns `None` as
    /// long as it may still get a page.
    pub fn settle_next(&mut self) -> Option<NextOutcome> {
        if self.waiting == 0 || self.phase == Phase::Running {
            return None;
        }
        self.waiting -= 1;
        if self.phase == Phase::Failed {
            self.phase = Phase::Over;
            return Some(NextOutcome::Error);
        }
        Some(NextOutcome::End)
    }

    /// Whether the round should work on another page.
    pub fn is_page_wanted(&self) -> bool {
        self.phase == Phase::Running && self.page == Page::Committed && self.waiting > 0
    }

    /// Whether the delivered page should be committed.
    pub fn is_commit_wanted(&self) -> bool {
        self.page == Page::Acknowledged
    }

    /// Whether waiting calls of `page.ack()` still have to wait for a commit.
    pub fn is_commit_awaited(&self) -> bool {
        matches!(self.page, Page::Acknowledged | Page::Committing)
    }

    /// Whether the consumer has left, even if a commit is still running.
    pub fn has_left(&self) -> bool {
        matches!(self.phase, Phase::Leaving | Phase::Left)
    }

    /// Whether the round has ended, or ends at once.
    pub fn is_over(&self) -> bool {
        !matches!(self.phase, Phase::Running | Phase::Leaving)
    }

    fn acknowledge_by_next(&mut self) {
        if self.mode == AckMode::Next && self.phase == Phase::Running {
            self.advance(Page::Unacknowledged, Page::Acknowledged);
        }
    }

    /// Moves the page from one state to another. A page in a third state stays there.
    fn advance(&mut self, from: Page, to: Page) {
        if self.page == from {
            self.page = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 5] = [Phase::Running, Phase::Leaving, Phase::Left, Phase::Failed, Phase::Over];
    const PAGES: [Page; 4] = [Page::Committed, Page::Unacknowledged, Page::Acknowledged, Page::Committing];
    /// Applies one input. Returns the parts of the state that change and the outcome of a call; "="
    /// for neither.
    fn after(before: Acknowledgements, input: &str) -> String {
        let mut state = before;
        let outcome = match input {
            "next()" => {
                state.next();
                match state.settle_next() {
                    None => "waits",
                    Some(NextOutcome::Error) => "error",
                    Some(NextOutcome::End) => "end",
                }
            }
            "ack()" | "ack() of an earlier page" => match state.ack(u32::from(input == "ack()")) {
                AckOutcome::AfterCommit => "waits",
                AckOutcome::Committed => "resolves",
                AckOutcome::Left => "aborted",
                AckOutcome::Error => "error",
            },
            "leave()" => {
                state.leave();
                if state.is_over() { "resolves" } else { "waits" }
            }
            event => {
                match event {
                    "delivered" => state.delivered(),
                    "commit begins" => state.commit_begins(),
                    "committed" => state.committed(),
                    "not committed" => state.not_committed(),
                    "ended" => state.ended(false),
                    _ => state.ended(true),
                }
                ""
            }
        };
        let phase = if state.phase == before.phase { String::new() } else { format!("{:?} ", state.phase) };
        let page = if state.page == before.page { String::new() } else { format!("{:?} ", state.page) };
        let change = format!("{phase}{page}{outcome}");
        if change.is_empty() { "=".to_owned() } else { change.trim_end().to_owned() }
    }

    /// The cells of one phase: what an input does in each state of the page.
    fn row(mode: AckMode, phase: Phase, input: &str) -> String {
        let cells = PAGES.map(|page| {
            if page == Page::Acknowledged && !matches!(phase, Phase::Running | Phase::Leaving) {
                return "never".to_owned();
            }
            after(Acknowledgements { mode, page, phase, delivered: 2, waiting: 0 }, input)
        });
        cells.join(" | ")
    }

    /// The effect of each input in each phase (rows) and each state of the page (columns).
    const TABLE: [(&str, [&str; 5]); 10] = [
        (
            "next()",
            [
                "waits | Acknowledged waits | waits | waits",
                "end | end | end | end",
                "end | end | never | end",
                "Over error | Over error | never | Over error",
                "end | end | never | end",
            ],
        ),
        (
            "ack()",
            [
                "resolves | Acknowledged waits | waits | waits",
                "resolves | aborted | waits | waits",
                "resolves | aborted | never | waits",
                "resolves | error | never | waits",
                "resolves | error | never | waits",
            ],
        ),
        (
            "ack() of an earlier page",
            [
                "resolves | resolves | resolves | resolves",
                "resolves | resolves | resolves | resolves",
                "resolves | resolves | never | resolves",
                "resolves | resolves | never | resolves",
                "resolves | resolves | never | resolves",
            ],
        ),
        (
            "leave()",
            [
                "Left resolves | Left resolves | Leaving waits | Leaving waits",
                "waits | waits | waits | waits",
                "resolves | resolves | never | resolves",
                "Left resolves | Left resolves | never | Left resolves",
                "resolves | resolves | never | resolves",
            ],
        ),
        // The round delivers a page only after it has committed the previous one, and while it
        // runs.
        (
            "delivered",
            [
                "Unacknowledged | = | Unacknowledged | Unacknowledged",
                "Unacknowledged | = | Unacknowledged | Unacknowledged",
                "Unacknowledged | = | never | Unacknowledged",
                "Unacknowledged | = | never | Unacknowledged",
                "Unacknowledged | = | never | Unacknowledged",
            ],
        ),
        (
            "commit begins",
            [
                "= | = | Committing | =",
                "= | = | Committing | =",
                "= | = | never | =",
                "= | = | never | =",
                "= | = | never | =",
            ],
        ),
        (
            "committed",
            [
                "= | = | = | Committed",
                "= | = | = | Committed",
                "= | = | never | Committed",
                "= | = | never | Committed",
                "= | = | never | Committed",
            ],
        ),
        (
            "not committed",
            [
                "= | = | = | Unacknowledged",
                "= | = | = | Unacknowledged",
                "= | = | never | Unacknowledged",
                "= | = | never | Unacknowledged",
                "= | = | never | Unacknowledged",
            ],
        ),
        (
            "ended",
            [
                "Over | Over | Over Unacknowledged | Over",
                "Left | Left | Left Unacknowledged | Left",
                "= | = | never | =",
                "= | = | never | =",
                "= | = | never | =",
            ],
        ),
        (
            "failed",
            [
                "Failed | Failed | Failed Unacknowledged | Failed",
                "Left | Left | Left Unacknowledged | Left",
                "= | = | never | =",
                "= | = | never | =",
                "= | = | never | =",
            ],
        ),
    ];

    #[test]
    fn every_state_handles_every_input() {
        for (input, rows) in TABLE {
            for (phase, expected) in PHASES.into_iter().zip(rows) {
                assert_eq!(row(AckMode::Next, phase, input), expected, "{input} while {phase:?}");
                // The modes differ only in this cell.
                let manual = expected.replace("Acknowledged waits", "waits");
                let manual = if input == "next()" { manual.as_str() } else { expected };
                assert_eq!(row(AckMode::Manual, phase, input), manual, "{input} while {phase:?}, manual");
            }
        }
    }

    /// A round whose first page is delivered to the first of this many calls of `next()`.
    fn delivered(mode: AckMode, calls: u32) -> Acknowledgements {
        let mut state = Acknowledgements::new(mode);
        for _ in 0..calls {
            state.next();
        }
        assert!(state.is_page_wanted());
        state.delivered();
        state
    }

    /// A round whose first page was delivered in the same way and is being committed.
    fn committing(calls: u32) -> Acknowledgements {
        let mut state = delivered(AckMode::Next, calls);
        state.ack(0);
        state.commit_begins();
        state
    }

    #[test]
    fn a_round_works_only_while_a_call_of_next_waits() {
        let mut state = Acknowledgements::new(AckMode::Next);
        assert!(!state.is_page_wanted());
        state.next();
        assert!(state.is_page_wanted());
        state.delivered();
        assert!(!state.is_page_wanted() && !state.is_commit_wanted());
    }

    #[test]
    fn a_call_of_next_acknowledges_the_previous_page() {
        let mut state = delivered(AckMode::Next, 1);
        state.next();
        assert!(state.is_commit_wanted() && !state.is_page_wanted());
        state.commit_begins();
        assert!(!state.is_commit_wanted());
        state.committed();
        assert!(state.is_page_wanted());
    }

    #[test]
    fn calls_of_next_in_advance_acknowledge_each_page_when_it_is_delivered() {
        let mut state = delivered(AckMode::Next, 3);
        for _ in 0..2 {
            assert!(state.is_commit_wanted());
            state.commit_begins();
            state.committed();
            assert!(state.is_page_wanted());
            state.delivered();
        }
        assert!(!state.is_commit_wanted(), "no call waits after the third one");
    }

    #[test]
    fn in_manual_mode_calls_of_next_in_advance_wait_for_the_acknowledgement() {
        let mut state = delivered(AckMode::Manual, 2);
        assert!(!state.is_commit_wanted() && !state.is_page_wanted());
        assert_eq!(state.ack(0), AckOutcome::AfterCommit);
        assert!(state.is_commit_wanted());
        state.commit_begins();
        state.committed();
        assert!(state.is_page_wanted());
    }

    #[test]
    fn a_second_ack_of_a_page_waits_for_the_same_commit() {
        let mut state = delivered(AckMode::Manual, 1);
        assert_eq!(state.ack(0), AckOutcome::AfterCommit);
        assert_eq!(state.ack(0), AckOutcome::AfterCommit);
        state.commit_begins();
        assert_eq!(state.ack(0), AckOutcome::AfterCommit);
        state.committed();
        assert_eq!(state.ack(0), AckOutcome::Committed);
    }

    #[test]
    fn a_late_ack_of_an_earlier_page_does_not_acknowledge_the_current_one() {
        let mut state = committing(2);
        state.committed();
        state.delivered();
        assert_eq!(state.ack(0), AckOutcome::Committed);
        assert!(!state.is_commit_wanted());
        assert_eq!(state.ack(1), AckOutcome::AfterCommit);
        assert!(state.is_commit_wanted());
    }

    #[test]
    fn leaving_ends_every_next_that_waits_and_refuses_a_later_ack() {
        let mut state = delivered(AckMode::Manual, 3);
        state.leave();
        assert_eq!(state.settle_next(), Some(NextOutcome::End));
        assert_eq!(state.settle_next(), Some(NextOutcome::End));
        assert_eq!(state.settle_next(), None);
        assert_eq!(state.ack(0), AckOutcome::Left);
        assert!(state.has_left() && state.is_over());
    }

    #[test]
    fn leaving_during_a_commit_ends_the_round_after_it() {
        let mut state = committing(2);
        state.leave();
        assert_eq!(state.settle_next(), Some(NextOutcome::End), "no next() waits for the commit");
        assert!(state.has_left() && !state.is_over());
        assert_eq!(state.ack(0), AckOutcome::AfterCommit);
        state.committed();
        assert!(!state.is_page_wanted());
        state.ended(false);
        assert!(state.has_left() && state.is_over());
        assert_eq!(state.ack(0), AckOutcome::Committed);
    }

    #[test]
    fn an_error_rejects_one_next_and_the_others_get_the_end() {
        let mut state = Acknowledgements::new(AckMode::Next);
        for _ in 0..3 {
            state.next();
        }
        state.ended(true);
        let outcomes: [_; 4] = std::array::from_fn(|_| state.settle_next());
        assert_eq!(
            outcomes,
            [Some(NextOutcome::Error), Some(NextOutcome::End), Some(NextOutcome::End), None]
        );
    }

    #[test]
    fn an_error_between_two_pages_rejects_the_following_next_and_every_ack() {
        let mut state = delivered(AckMode::Manual, 1);
        state.ended(true);
        assert_eq!(state.settle_next(), None, "no call waits");
        assert_eq!(state.ack(0), AckOutcome::Error);
        state.next();
        assert_eq!(state.settle_next(), Some(NextOutcome::Error));
        state.next();
        assert_eq!(state.settle_next(), Some(NextOutcome::End));
        assert_eq!(state.ack(0), AckOutcome::Error);
    }

    #[test]
    fn a_commit_that_has_begun_settles_ack_even_if_the_round_is_stopped() {
        let mut state = committing(1);
        state.ended(true);
        assert!(state.is_commit_awaited());
        assert_eq!(state.ack(0), AckOutcome::AfterCommit);
        state.committed();
        assert_eq!(state.ack(0), AckOutcome::Committed);
    }

    #[test]
    fn an_acknowledgement_whose_commit_has_not_begun_is_void_when_the_round_is_stopped() {
        let mut state = delivered(AckMode::Next, 2);
        assert!(state.is_commit_awaited());
        state.ended(true);
        assert!(!state.is_commit_awaited());
        assert_eq!(state.ack(0), AckOutcome::Error);
    }

    #[test]
    fn a_complete_round_settles_every_later_call() {
        let mut state = committing(1);
        state.committed();
        state.ended(false);
        state.next();
        assert_eq!(state.settle_next(), Some(NextOutcome::End));
        assert_eq!(state.ack(0), AckOutcome::Committed);
        state.leave();
        assert!(!state.has_left() && state.is_over());
    }
}
