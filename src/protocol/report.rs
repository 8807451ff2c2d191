//! What a round tells about itself. No token and no link is in it.

use super::change::{Applied, Change, Collapsed, Reason};
use super::field::{Field, written};
use super::item::Item;
use super::record::Kind;
use super::wait::Why;

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Without an id.
    pub no_id: u32,
    /// No objects.
    pub not_an_object: u32,
}

/// One wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// What for.
    pub reason: Why,
    /// How long, in milliseconds.
    pub ms: f64,
}

/// The `RoundReport` of `index.d.ts`. Times in milliseconds since 1970; the shell makes them dates.
#[derive(Clone, Debug, PartialEq)]
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
    pub page_size: Option<u32>,
    /// Requests sent.
    pub requests: u32,
    /// Requests that repeated a failed one.
    pub retries: u32,
    /// Every wait.
    pub waits: Vec<Wait>,
    /// The code of the reset signal.
    pub resync: Option<String>,
    /// When the round began, here.
    pub started_at: f64,
    /// When it ended.
    pub ended_at: Option<f64>,
}

impl Report {
    /// Of a round that has just begun.
    pub fn new(now: f64) -> Self {
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
    pub fn count_changes<I>(&mut self, applied: &Applied<I>) {
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
    pub fn end(&mut self, outcome: Outcome, now: f64) {
        if self.outcome == Outcome::Running {
            self.outcome = outcome;
            self.ended_at = Some(now);
        }
    }
}

impl Report {
    /// As it is shown.
    pub fn written<I: Item>(&self) -> I {
        let outcome = match self.outcome {
            Outcome::Running => "running",
            Outcome::Complete => "complete",
            Outcome::Partial => "partial",
            Outcome::Failed => "failed",
        };
        let count = |count: u32| Field::Number(f64::from(count));
        let skipped = vec![("noId", count(self.skipped.no_id)), ("notAnObject", count(self.skipped.not_an_object))];
        let mut waits = Vec::new();
        for wait in &self.waits {
            waits.push(Field::Fields(vec![("reason", Field::Text(wait.reason.as_str())), ("ms", Field::Number(wait.ms))]));
        }
        let counts = [
            ("generation", self.generation),
            ("pages", self.pages),
            ("items", self.items),
            ("added", self.added),
            ("changed", self.changed),
            ("unchanged", self.unchanged),
            ("removed", self.removed),
            ("ghosts", self.ghosts),
            ("duplicates", self.duplicates),
            ("masters", self.masters),
            ("requests", self.requests),
            ("retries", self.retries),
        ];
        let mut all =
            vec![("outcome", Field::Text(outcome)), ("kind", Field::Text(self.kind.as_str())), ("resumed", Field::Flag(self.resumed))];
        for (name, number) in counts {
            all.push((name, count(number)));
        }
        all.push(("skipped", Field::Fields(skipped)));
        all.push(("waits", Field::List(waits)));
        all.push(("resync", Field::text(self.resync.as_deref())));
        all.push(("pageSize", Field::number(self.page_size.map(f64::from))));
        all.push(("startedAt", Field::Number(self.started_at)));
        all.push(("endedAt", Field::number(self.ended_at)));
        written(&all)
    }
}
