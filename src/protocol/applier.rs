//! Applies one page: from Graph's items to the rows, removals and changes that are committed. The
//! shell and the model tests both use it.
//!
//! ```text
//! received ─► ids ─► (the rows of these ids are read) ─► apply ─► [master …] ─► delivered ─► committed
//!                     (a chunk of the mirror is read) ─► sweep ─────────────────► delivered ─► committed
//! ```

use std::collections::HashSet;

use super::change::{
    ApplyMode, Change, Collapsed, Entry, PageEffects, PageSummary, Reason, Row, SweepSummary, apply,
    collapse, pass_through, sweep,
};
use super::item::Item;
use super::query::Query;
use super::recent::RecentVersions;
use super::record::Completed;
use super::report::Report;
use super::series::{is_master, missing_masters, named_master, side_row};

/// The page that a round is working on.
pub struct PageApplier<I> {
    items: Vec<I>,
    page: Option<Collapsed<I>>,
    /// Series masters that occurrences of the page name and the page does not contain.
    masters: Vec<String>,
    effects: PageEffects<I>,
    seen: RecentVersions,
}

impl<I: Item> Default for PageApplier<I> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            page: None,
            masters: Vec::new(),
            effects: PageEffects::default(),
            seen: RecentVersions::default(),
        }
    }
}

impl<I: Item> PageApplier<I> {
    /// Takes the items of a page as Graph sent them.
    pub fn received(&mut self, items: Vec<I>) {
        self.items = items;
    }

    /// Collapses the page and returns the ids whose rows [`Self::apply`] needs, in the order in
    /// which it needs them. Empty without a mirror.
    pub fn ids(&mut self, query: &Query) -> Vec<&str> {
        let page = self.page.insert(collapse(std::mem::take(&mut self.items), query.item_format()));
        if !query.mirror {
            return Vec::new();
        }
        let upserts: Vec<(&str, &I)> =
            page.entries.iter().filter_map(|(id, entry)| Some((id.as_str(), entry.upserted()?))).collect();
        self.masters = if query.masters.is_some() { missing_masters(&upserts) } else { Vec::new() };
        page.entries.iter().map(|(id, _)| id).chain(&self.masters).map(String::as_str).collect()
    }

    /// Applies the page to the stored rows of its ids, given in the order of [`Self::ids`].
    pub fn apply(&mut self, rows: Vec<Option<Row<I>>>, mode: ApplyMode<'_>) -> PageSummary {
        let Some(page) = &mut self.page else { return PageSummary::default() };
        let entries = std::mem::take(&mut page.entries);
        let mut summary = PageSummary {
            items: page.items,
            unidentified: page.no_id + page.not_an_object,
            unacknowledged: unacknowledged(&entries, mode),
            ..PageSummary::default()
        };
        let (mut side_rows, mut edited) = (Vec::new(), HashSet::new());
        if mode.has_masters {
            for ((id, entry), row) in entries.iter().zip(&rows) {
                let Some(item) = entry.upserted() else { continue };
                if is_master(item) {
                    side_rows.push(side_row(id));
                    summary.received_masters.push(id.clone());
                } else if row.as_ref().is_some_and(|row| row.round == mode.round && !row.item.equals(item)) {
                    edited.extend(named_master(item));
                }
            }
        }
        let mut rows = rows.into_iter();
        if mode.has_mirror {
            self.effects = apply(entries, &mut rows, mode, &mut self.seen);
            let new = self.effects.changes.iter().filter_map(|change| match change {
                Change::Upsert { id, old: None, .. } => Some(id.clone()),
                _ => None,
            });
            summary.new_ids = new.collect();
        } else {
            self.effects = pass_through(entries, mode, &mut self.seen);
        }
        for (id, row) in std::mem::take(&mut self.masters).into_iter().zip(rows) {
            // The occurrence changed after this round received it, so the copy of its master that
            // the round received may be older.
            if edited.contains(&id) || row.is_none_or(|row| row.round != mode.round) {
                summary.missing_masters.push(id);
            }
        }
        // A master that Graph lists replaces the copy that was fetched.
        self.effects.remove.append(&mut side_rows);
        if mode.is_final_page && mode.has_consumer {
            // Graph completed the round without mentioning these ids again: the items no longer
            // exist.
            let gone = std::mem::take(&mut summary.unacknowledged).into_iter().map(|id| Change::Remove {
                id,
                reason: Reason::Ghost,
                old: None,
            });
            self.effects.changes.extend(gone);
        }
        summary.made_progress = self.effects.made_progress;
        summary.staged = self.effects.staged;
        summary.count_delta = self.effects.count_delta;
        summary
    }

    /// Stores a series master that was requested separately beside the mirror. Returns false if it
    /// has no id.
    pub fn master(&mut self, item: I, round: u32) -> bool {
        let id = item.string_property("id");
        if let Some(id) = &id {
            self.effects.put.push((side_row(id), Row::new(round, item)));
        }
        id.is_some()
    }

    /// Removes the ghosts of a completed full round from one chunk of the mirror. `has_more`:
    /// further rows may follow the chunk.
    pub fn sweep(
        &mut self,
        rows: Vec<(String, Row<I>)>,
        has_more: bool,
        completed: &Completed,
    ) -> SweepSummary {
        let after = if has_more { rows.last().map(|(id, _)| id.clone()) } else { None };
        self.effects = sweep(rows, completed);
        let has_changes = !self.effects.remove.is_empty() || !self.effects.put.is_empty();
        SweepSummary { has_changes, count_delta: self.effects.count_delta, after }
    }

    /// What the page changes.
    pub fn effects(&self) -> &PageEffects<I> {
        &self.effects
    }

    /// What the page changes, to replace items by copies before a consumer receives the originals.
    pub fn effects_mut(&mut self) -> &mut PageEffects<I> {
        &mut self.effects
    }

    /// Counts the page in the report after its commit and hands out its effects.
    pub fn committed(&mut self, report: &mut Report) -> PageEffects<I> {
        if let Some(page) = self.page.take() {
            report.count_page(&page);
        }
        let applied = std::mem::take(&mut self.effects);
        report.count_changes(&applied);
        applied
    }
}

/// The ids that were delivered without acknowledgement and that this page does not settle.
fn unacknowledged<I: Item>(entries: &[(String, Entry<I>)], mode: ApplyMode<'_>) -> Vec<String> {
    // `sync()` keeps undelivered removals pending; the next `round()` reports them to its consumer.
    let settles = |entry: &Entry<I>| mode.has_consumer || entry.upserted().is_some();
    let settled: HashSet<&str> =
        entries.iter().filter(|(_, entry)| settles(entry)).map(|(id, _)| id.as_str()).collect();
    mode.delivered.iter().filter(|id| !settled.contains(id.as_str())).cloned().collect()
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::query::{self, Options};

    /// With the square of this many it would run for many minutes.
    const MANY: usize = 50_000;

    fn id(kind: &str, at: usize) -> String {
        format!("{}{kind}{at}", "AAMkAGI2".repeat(16))
    }

    #[test]
    fn a_page_of_many_occurrences_of_many_series_and_many_delivered_ids_is_applied_in_one_pass() {
        let query = query::events(Options {
            start: Some("2026-11-23".into()),
            end: Some("2026-11-30".into()),
            ..Options::default()
        })
        .unwrap();
        let occurrence =
            |at| json!({"id": id("event", at), "type": "occurrence", "seriesMasterId": id("series", at)});
        let mut applier = PageApplier::<Value>::default();
        applier.received((0..MANY).map(occurrence).collect());
        assert_eq!(applier.ids(&query).len(), 2 * MANY);
        let delivered: Vec<String> = (0..MANY).map(|at| id("event", at + MANY / 2)).collect();
        let mode = ApplyMode {
            round: 1,
            full: true,
            format: query.item_format(),
            has_mirror: true,
            has_consumer: true,
            is_final_page: false,
            has_masters: true,
            delivered: &delivered,
        };
        let summary = applier.apply(vec![None; 2 * MANY], mode);
        assert_eq!(
            (summary.missing_masters.len(), summary.new_ids.len(), summary.unacknowledged.len()),
            (MANY, MANY, MANY / 2)
        );
    }
}
