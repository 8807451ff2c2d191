//! What a round tells about itself. No token and no link is in it.

use serde::Serialize;

use super::backoff::WaitReason;
use super::change::{Change, Collapsed, PageEffects, Reason};
use super::record::Kind;
use super::time::{Duration, Instant};

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has not.
    Running,
    /// The deltaLink is stored.
    Complete,
    /// Ended early by its caller; the next round goes on.
    Partial,
    /// Ended by an error.
    Failed,
}

/// Items that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// Without an id.
    pub no_id: u32,
    /// No objects.
    pub not_an_object: u32,
}

/// One wait.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    /// What for.
    pub reason: WaitReason,
    /// How long.
    pub ms: Duration,
}

/// The `RoundReport` of `index.d.ts`. Times in milliseconds since 1970: they are not serialized,
/// the shell adds them as dates.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The kind of the round.
    pub kind: Kind,
    /// Counts the full rounds.
    pub generation: u32,
    /// Whether an interrupted round was continued.
    pub resumed: bool,
    /// Committed pages.
    pub pages: u32,
    /// Items as received.
    pub items: u32,
    /// Upserts of ids that the mirror did not hold.
    pub added: u32,
    /// Upserts that differ from the mirror.
    pub changed: u32,
    /// Upserts that do not.
    pub unchanged: u32,
    /// Removals that Graph reported of ids that the mirror held.
    pub removed: u32,
    /// Removals that a full round implied.
    pub ghosts: u32,
    /// Items that a later one of the same page replaced.
    pub duplicates: u32,
    /// Items that could not be read.
    pub skipped: Skipped,
    /// Series masters that were fetched by themselves.
    pub masters: u32,
    /// The page size that was asked for in the place of the configured one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Requests sent.
    pub requests: u32,
    /// Requests that repeated a failed one.
    pub retries: u32,
    /// Every wait.
    pub waits: Vec<Wait>,
    /// The code of the reset signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resync: Option<String>,
    /// When the round began, here.
    #[serde(skip)]
    pub started_at: Instant,
    /// When it ended.
    #[serde(skip)]
    pub ended_at: Option<Instant>,
}

impl Report {
    /// Of a round that has just begun.
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
            duplicates: 0,
            skipped: Skipped::default(),
            masters: 0,
            page_size: None,
            requests: 0,
            retries: 0,
            waits: Vec::new(),
            resync: None,
            started_at: now,
            ended_at: None,
        }
    }

    /// Counts what a page held.
    pub fn count_page<I>(&mut self, page: &Collapsed<I>) {
        self.items += page.items;
        self.duplicates += page.duplicates;
        self.skipped.no_id += page.no_id;
        self.skipped.not_an_object += page.not_an_object;
    }

    /// Counts what a page did.
    pub fn count_changes<I>(&mut self, applied: &PageEffects<I>) {
        for change in &applied.changes {
            let counter = match change {
                Change::Upsert { old: None, .. } => &mut self.added,
                Change::Upsert { unchanged: true, .. } => &mut self.unchanged,
                Change::Upsert { .. } => &mut self.changed,
                Change::Remove { reason: Reason::Ghost, .. } => &mut self.ghosts,
                Change::Remove { .. } => &mut self.removed,
            };
            *counter += 1;
        }
    }

    /// Closes the report.
    pub fn end(&mut self, outcome: Outcome, now: Instant) {
        if self.outcome == Outcome::Running {
            self.outcome = outcome;
            self.ended_at = Some(now);
        }
    }
}
