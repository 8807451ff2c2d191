//! The report of a round. It contains no token and no link.

use serde::Serialize;

use super::backoff::WaitReason;
use super::change::{Change, Collapsed, PageEffects, Reason};
use super::record::Kind;
use super::time::{Duration, Instant};

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The round is running.
    Running,
    /// The deltaLink is stored.
    Complete,
    /// The caller ended it early; the next round continues.
    Partial,
    /// An error ended it.
    Failed,
}

/// Items that were skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// Items without a usable id.
    pub no_id: u32,
    /// Elements of `value` that are not objects.
    pub not_an_object: u32,
}

/// One wait.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// Why the round waited.
    pub reason: WaitReason,
    /// How long it waited.
    pub ms: Duration,
}

/// The `RoundReport` of `rounds.d.ts`. Instants are not serialized: the shell adds them as dates.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The kind of the round.
    pub kind: Kind,
    /// The number of full rounds of the query, this one included.
    pub generation: u32,
    /// Whether the round continued an interrupted one.
    pub resumed: bool,
    /// Committed pages.
    pub pages: u32,
    /// Items received.
    pub items: u32,
    /// Upserts of ids that were not in the mirror.
    pub added: u32,
    /// Upserts that differ from the mirror.
    pub changed: u32,
    /// Upserts that equal the mirror's row.
    pub unchanged: u32,
    /// Removals that Graph reported for ids in the mirror.
    pub removed: u32,
    /// Removals with the reason `ghost`, which Graph did not report.
    pub ghosts: u32,
    /// Events that the rolling window left behind.
    pub left_window: u32,
    /// Items that a later item with the same id on the same page replaced.
    pub duplicates: u32,
    /// Items that were skipped.
    pub skipped: Skipped,
    /// Series masters that were fetched separately.
    pub masters: u32,
    /// The page size that was requested instead of the configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Requests sent.
    pub requests: u32,
    /// Requests that repeated a failed one.
    pub retries: u32,
    /// Bytes of all bodies received, after the host has decompressed them.
    pub bytes: u64,
    /// Graph's ids of the first twenty requests that it refused. Graph's support asks for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_request_ids: Vec<String>,
    /// The time spent in the store.
    #[serde(rename = "storeMs")]
    pub store_time: Duration,
    /// Every wait, in order.
    pub waits: Vec<Wait>,
    /// The index in `waits` of the last entry that [`Self::add_pacing`] made.
    #[serde(skip)]
    pub pacing_index: Option<usize>,
    /// Why the round became a full one: the code or status of Graph's reset signal or refusal,
    /// `forbidden` or `livelock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resync: Option<String>,
    /// When this run of the round began.
    #[serde(skip)]
    pub started_at: Instant,
    /// When it ended.
    #[serde(skip)]
    pub ended_at: Option<Instant>,
}

impl Report {
    /// The report of a round that has just begun.
    pub fn new(now: Instant) -> Self {
        Self {
            outcome: Outcome::Running,
            kind: Kind::Full,
            generation: 0,
            resumed: false,
            pages: 0,
            items: 0,
            added: 0,
            changed: 0,
            unchanged: 0,
            removed: 0,
            ghosts: 0,
            left_window: 0,
            duplicates: 0,
            skipped: Skipped::default(),
            masters: 0,
            page_size: None,
            requests: 0,
            retries: 0,
            bytes: 0,
            failed_request_ids: Vec::new(),
            store_time: Duration::ZERO,
            waits: Vec::new(),
            pacing_index: None,
            resync: None,
            started_at: now,
            ended_at: None,
        }
    }

    /// Counts the items of a page.
    pub fn count_page<I>(&mut self, page: &Collapsed<I>) {
        self.items += page.items;
        self.duplicates += page.duplicates;
        self.skipped.no_id += page.no_id;
        self.skipped.not_an_object += page.not_an_object;
    }

    /// Counts the changes of a page.
    pub fn count_changes<I>(&mut self, effects: &PageEffects<I>) {
        self.unchanged += effects.repeated;
        for change in &effects.changes {
            let counter = match change {
                Change::Upsert { old: None, .. } => &mut self.added,
                Change::Upsert { unchanged: true, .. } => &mut self.unchanged,
                Change::Upsert { .. } => &mut self.changed,
                Change::Remove { reason: Reason::Ghost, .. } => &mut self.ghosts,
                Change::Remove { reason: Reason::LeftWindow, .. } => &mut self.left_window,
                Change::Remove { .. } => &mut self.removed,
            };
            *counter += 1;
        }
    }

    /// Records the id of a request that Graph refused.
    pub fn add_failed_request(&mut self, id: Option<&String>) {
        const MAX_IDS: usize = 20;
        if self.failed_request_ids.len() < MAX_IDS {
            self.failed_request_ids.extend(id.cloned());
        }
    }

    /// Records a wait before a request that keeps it within the limits. Such waits in a row are one
    /// entry, because every page may have one.
    pub fn add_pacing(&mut self, span: Duration) {
        let last = self.waits.len().checked_sub(1);
        match self.waits.last_mut() {
            Some(wait) if self.pacing_index == last => wait.ms += span,
            _ => {
                self.pacing_index = Some(self.waits.len());
                self.waits.push(Wait { reason: WaitReason::Throttled, ms: span });
            }
        }
    }

    /// Records how the round ended. Later calls have no effect.
    pub fn end(&mut self, outcome: Outcome, now: Instant) {
        if self.outcome == Outcome::Running {
            self.outcome = outcome;
            self.ended_at = Some(now);
        }
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    #[test]
    fn the_pacing_after_a_throttle_is_one_entry_until_the_next_wait() {
        let ms = Duration::from_millis;
        let mut report = Report::new(Instant::from_millis(0.0));
        report.waits.push(Wait { reason: WaitReason::Throttled, ms: ms(1500.0) });
        report.add_pacing(ms(5.0));
        report.add_pacing(ms(2.0));
        report.waits.push(Wait { reason: WaitReason::Server, ms: ms(100.0) });
        report.add_pacing(ms(3.0));
        let waits: Vec<_> =
            report.waits.iter().map(|wait| (wait.reason.as_str(), wait.ms.as_millis())).collect();
        assert_eq!(waits, [("throttled", 1500.0), ("throttled", 7.0), ("server", 100.0), ("throttled", 3.0)]);
    }
}
