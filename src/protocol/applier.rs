//! Applies one page: from Graph's items to the rows, removals and changes that are committed. The
//! shell and the model tests both use it.
//!
//! ```text
//! received ─► ids ─► (the rows of these ids are read) ─► apply ─► [master …] ─► delivered ─► committed
//!                     (a chunk of the mirror is read) ─► sweep ─────────────────► delivered ─► committed
//! ```

use std::collections::{HashMap, HashSet};

use super::change::{
    ApplyMode, Change, Collapsed, Entry, ItemFormat, PageEffects, PageSummary, Reason, Row, SweepSummary,
    apply, collapse, pass_through,
};
use super::item::Item;
use super::known_ids::KnownIds;
use super::names::KnownNames;
use super::query::Query;
use super::recent::RecentVersions;
use super::record::{Completed, Record, SweepScope};
use super::report::Report;
use super::series::{SeriesSummary, is_master, is_side_row, missing_masters, named_master, side_row};
use super::sweep::Sweeper;

/// The page that a round is working on.
pub struct PageApplier<I> {
    items: Vec<I>,
    /// Whether items of the page may have slices.
    may_have_slices: bool,
    page: Option<Collapsed<I>>,
    /// Series masters that occurrences of the page name and the page does not contain.
    missing_masters: Vec<String>,
    /// Series masters in the page.
    listed_masters: Vec<String>,
    /// Events that the page removes, which may be series masters.
    removed_events: Vec<String>,
    /// The series master that was requested separately, until it is compared.
    fetched_master: Option<(String, I)>,
    /// The series whose stored occurrences change with this page, because their master has changed.
    changed_series: Vec<String>,
    effects: PageEffects<I>,
    seen: RecentVersions,
    /// The ids of all rows, if the mirror was empty when this round loaded the record.
    known_ids: Option<KnownIds>,
    /// Which of the ids that [`Self::apply`] needs may have rows.
    may_have_row: Vec<bool>,
    sweeper: Sweeper<I>,
    /// Drives: the names of all rows, if they are known.
    names: Option<KnownNames>,
    /// The names of the rows that a sweep has read since it began at the first row.
    names_read: Option<KnownNames>,
}

impl<I: Item> Default for PageApplier<I> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            may_have_slices: true,
            page: None,
            missing_masters: Vec::new(),
            listed_masters: Vec::new(),
            removed_events: Vec::new(),
            fetched_master: None,
            changed_series: Vec::new(),
            effects: PageEffects::default(),
            seen: RecentVersions::default(),
            known_ids: None,
            may_have_row: Vec::new(),
            sweeper: Sweeper::default(),
            names: None,
            names_read: None,
        }
    }
}

impl<I: Item> PageApplier<I> {
    /// Takes the stored record. Without a record the mirror is empty, and every row that it gets is
    /// one that this round commits: after a commit of another writer, this round's next one fails.
    pub fn loaded(&mut self, record: Option<&Record>) {
        self.known_ids = record.is_none().then(KnownIds::default);
        // A sweep that a failure has interrupted starts again.
        self.sweeper = Sweeper::default();
        self.names_read = None;
        self.names = record.is_none().then(KnownNames::default);
    }

    /// Takes the names of all rows that an earlier round has collected, as of the loaded record.
    pub fn remember_names(&mut self, names: KnownNames) {
        self.names = Some(names);
    }

    /// The names of all rows that are stored, if they are known.
    pub fn take_names(&mut self) -> Option<KnownNames> {
        self.names.take().filter(|names| !names.are_too_many())
    }

    /// Takes the items of a page as Graph sent them.
    pub fn received(&mut self, items: Vec<I>) {
        self.items = items;
        self.may_have_slices = true;
        self.changed_series.clear();
    }

    /// Marks the received page as having no slices, which skips the search for them.
    pub fn without_slices(&mut self) {
        self.may_have_slices = false;
    }

    /// The format of the query, without slices if the page has none.
    fn format(&self, format: ItemFormat) -> ItemFormat {
        ItemFormat { slices: format.slices && self.may_have_slices, ..format }
    }

    /// Collapses the page and returns the ids whose rows are to be read for [`Self::apply`]. Empty
    /// without a mirror.
    pub fn ids(&mut self, query: &Query) -> Vec<String> {
        let mut ids = self.needed_ids(query);
        let known_ids = self.known_ids.as_ref();
        self.may_have_row =
            ids.iter().map(|id| known_ids.is_none_or(|known| known.may_contain(id))).collect();
        let mut may_have_row = self.may_have_row.iter();
        ids.retain(|_| may_have_row.next().is_none_or(|may| *may));
        ids
    }

    /// The rows in the order of [`Self::needed_ids`], from those in the order of [`Self::ids`].
    fn needed_rows(&mut self, read: Vec<Option<Row<I>>>) -> Vec<Option<Row<I>>> {
        let mut read = read.into_iter();
        let may_have_row = std::mem::take(&mut self.may_have_row);
        may_have_row.into_iter().map(|may| if may { read.next().flatten() } else { None }).collect()
    }

    /// Collapses the page and returns the ids whose rows [`Self::apply`] needs, in the order in
    /// which it needs them.
    fn needed_ids(&mut self, query: &Query) -> Vec<String> {
        if !query.has_unique_names() {
            self.names = None;
        }
        let format = self.format(query.item_format());
        let page = self.page.insert(collapse(std::mem::take(&mut self.items), format));
        if !query.has_mirror {
            return Vec::new();
        }
        let upserts: Vec<(&str, &I)> =
            page.entries.iter().filter_map(|(id, entry)| Some((id.as_str(), entry.upserted()?))).collect();
        let mut ids: Vec<String> = page.entries.iter().map(|(id, _)| id.clone()).collect();
        if query.masters_path.is_some() {
            self.missing_masters = missing_masters(&upserts);
            self.listed_masters =
                upserts.iter().filter(|(_, item)| is_master(*item)).map(|(id, _)| (*id).to_owned()).collect();
            ids.extend(self.missing_masters.iter().flat_map(|id| [id.clone(), side_row(id)]));
            let removed = page.entries.iter().filter(|(_, entry)| entry.upserted().is_none());
            self.removed_events = removed.map(|(id, _)| id.clone()).collect();
            ids.extend(self.listed_masters.iter().chain(&self.removed_events).map(|id| side_row(id)));
        }
        ids
    }

    /// Applies the page to the stored rows of its ids, given in the order of [`Self::ids`].
    pub fn apply(&mut self, rows: Vec<Option<Row<I>>>, mode: ApplyMode<'_>) -> PageSummary {
        let mode = ApplyMode { format: self.format(mode.format), ..mode };
        let rows = self.needed_rows(rows);
        let Some(page) = &mut self.page else { return PageSummary::default() };
        let entries = std::mem::take(&mut page.entries);
        let mut summary = PageSummary {
            items: page.items,
            unidentified: page.no_id + page.not_an_object,
            unacknowledged: unacknowledged(&entries, mode),
            ..PageSummary::default()
        };
        let mut edited = HashSet::new();
        let mut stored_masters: HashMap<String, I> = HashMap::new();
        let mut removed_masters: HashSet<String> = HashSet::new();
        if mode.has_masters {
            for ((id, entry), row) in entries.iter().zip(&rows) {
                let Some(item) = entry.upserted() else {
                    removed_masters
                        .extend(row.as_ref().filter(|row| is_master(&row.item)).map(|_| id.clone()));
                    continue;
                };
                if is_master(item) {
                    stored_masters.extend(row.as_ref().map(|row| (id.clone(), row.item.clone())));
                } else if row.as_ref().is_some_and(|row| row.round == mode.round && !row.item.equals(item)) {
                    edited.extend(named_master(item));
                }
            }
        }
        let new_masters: HashMap<String, I> = entries
            .iter()
            .filter(|(id, _)| self.listed_masters.contains(id))
            .filter_map(|(id, entry)| Some((id.clone(), entry.upserted()?.clone())))
            .collect();
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
        for id in std::mem::take(&mut self.missing_masters) {
            let is_of_this_round = |row: Option<Row<I>>| row.is_some_and(|row| row.round == mode.round);
            let (listed, fetched) = (rows.next().flatten(), rows.next().flatten());
            // If the occurrence changed after this round received it, the copy of its master that
            // the round received may be older.
            if edited.contains(&id) || !is_of_this_round(listed) && !is_of_this_round(fetched) {
                summary.missing_masters.push(id);
            }
        }
        for id in std::mem::take(&mut self.listed_masters) {
            let fetched = rows.next().flatten().map(|row| row.item);
            // The copy that was fetched separately is newer than the listed row.
            let stored = fetched.or_else(|| stored_masters.remove(&id));
            if let Some(master) = new_masters.get(&id) {
                let listed_since = (mode.page_index > 0).then_some(mode.started_at);
                let is_first_page = mode.page_index == 0 && self.known_ids.is_some();
                summary.series.add(&id, stored.as_ref(), master, mode.is_full_round, listed_since);
                add_changed_series(&mut self.changed_series, &id, stored.as_ref(), master, is_first_page);
            }
            // A master that Graph lists replaces the copy that was fetched.
            self.effects.remove.push(side_row(&id));
            summary.received_masters.push(id);
        }
        for id in std::mem::take(&mut self.removed_events) {
            if rows.next().flatten().is_some() || removed_masters.contains(&id) {
                summary.series.removed.push(id.clone());
            }
            summary.removed_events.push(id);
        }
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
        if let Some(mut known_ids) = self.known_ids.take() {
            let is_useful = known_ids.insert(self.effects.put.iter().map(|(id, _)| id.as_str()));
            self.known_ids = is_useful.then_some(known_ids);
        }
        summary.made_progress = self.effects.made_progress;
        summary.staged = self.effects.staged;
        summary.names_changed = self.effects.names_changed;
        summary.count_delta = self.effects.count_delta;
        summary
    }

    /// Takes a series master that was requested separately. Returns false if it has no id.
    pub fn receive_master(&mut self, item: I) -> bool {
        self.fetched_master = item.string_property("id").map(|id| (id, item));
        self.fetched_master.is_some()
    }

    /// The ids of the rows that [`Self::apply_master`] needs.
    pub fn master_ids(&self) -> Vec<String> {
        // The copy that was fetched separately is newer than the listed row.
        self.fetched_master.iter().flat_map(|(id, _)| [side_row(id), id.clone()]).collect()
    }

    /// Compares the series master with the stored one, given as the rows of [`Self::master_ids`],
    /// and adds it to the rows that the page puts into the mirror.
    pub fn apply_master(&mut self, rows: Vec<Option<Row<I>>>, mode: ApplyMode<'_>) -> SeriesSummary {
        let mut summary = SeriesSummary::default();
        let Some((id, master)) = self.fetched_master.take() else { return summary };
        let stored = rows.into_iter().flatten().map(|row| row.item).find(is_master);
        summary.add(&id, stored.as_ref(), &master, mode.is_full_round, Some(mode.started_at));
        let is_first_page = mode.page_index == 0 && self.known_ids.is_some();
        add_changed_series(&mut self.changed_series, &id, stored.as_ref(), &master, is_first_page);
        self.effects.put.push((side_row(&id), Row::new(mode.round, master)));
        summary
    }

    /// The series whose stored occurrences change with this page, because their master has changed.
    pub fn changed_series(&self) -> &[String] {
        &self.changed_series
    }

    /// The rows of series masters that are to be stored before the page.
    pub fn take_masters(&mut self) -> Vec<(String, Row<I>)> {
        let masters: Vec<_> = self.effects.put.extract_if(.., |(id, _)| is_side_row(id)).collect();
        let ids = masters.iter().map(|(id, _)| id.as_str());
        self.known_ids = self.known_ids.take().and_then(|mut known| known.insert(ids).then_some(known));
        masters
    }

    /// Sweeps the rows after an id without reading them, if the sweep would find nothing. Returns
    /// `None` otherwise: the shell then reads the next chunk for [`Self::sweep`].
    pub fn sweep_unread(&mut self, after: Option<&str>, completed: &Completed) -> Option<SweepSummary> {
        if after.is_none() {
            self.names_read = Some(KnownNames::default());
        }
        let finds_nothing = *completed.sweep_scope() == SweepScope::Names
            && self.names.as_ref().is_some_and(KnownNames::are_unique);
        finds_nothing.then(SweepSummary::default)
    }

    /// Sweeps one chunk of the mirror. `has_more`: further rows may follow the chunk.
    pub fn sweep(
        &mut self,
        rows: Vec<(String, Row<I>)>,
        has_more: bool,
        completed: &Completed,
    ) -> SweepSummary {
        if *completed.sweep_scope() == SweepScope::Names
            && self.names.is_none()
            && let Some(names) = &mut self.names_read
        {
            for (id, row) in &rows {
                names.put(id, &row.item);
            }
            if !has_more {
                self.names = self.names_read.take();
            }
        }
        let (effects, summary) = self.sweeper.sweep(rows, has_more, completed);
        self.effects = effects;
        summary
    }

    /// The effects of the page.
    pub fn effects(&self) -> &PageEffects<I> {
        &self.effects
    }

    /// Mutable access to the effects of the page: the shell replaces items by copies before a
    /// consumer receives the originals.
    pub fn effects_mut(&mut self) -> &mut PageEffects<I> {
        &mut self.effects
    }

    /// Counts the page in the report after its commit and hands out its effects.
    pub fn committed(&mut self, report: &mut Report) -> PageEffects<I> {
        if let Some(page) = self.page.take() {
            report.count_page(&page);
        }
        let effects = std::mem::take(&mut self.effects);
        if let Some(names) = &mut self.names {
            for (id, row) in &effects.put {
                names.put(id, &row.item);
            }
            for id in &effects.remove {
                names.remove(id);
            }
        }
        report.count_changes(&effects);
        effects
    }
}

/// The ids that were delivered without acknowledgement and that this page does not settle.
fn unacknowledged<I: Item>(entries: &[(String, Entry<I>)], mode: ApplyMode<'_>) -> Vec<String> {
    if mode.delivered.is_empty() {
        return Vec::new();
    }
    // `sync()` keeps undelivered removals pending; the next `round()` reports them to its consumer.
    let settles = |entry: &Entry<I>| mode.has_consumer || entry.upserted().is_some();
    let settled: HashSet<&str> =
        entries.iter().filter(|(_, entry)| settles(entry)).map(|(id, _)| id.as_str()).collect();
    mode.delivered.iter().filter(|id| !settled.contains(id.as_str())).cloned().collect()
}

/// Adds a series if this master changes occurrences of it that may be stored. `is_first_page`:
/// nothing is stored yet.
fn add_changed_series<I: Item>(
    changed: &mut Vec<String>,
    id: &str,
    stored: Option<&I>,
    master: &I,
    is_first_page: bool,
) {
    if !is_first_page && !stored.is_some_and(|stored| stored.equals(master)) {
        changed.push(id.to_owned());
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::query::{self, Options};
    use crate::protocol::record::Phase;
    use crate::protocol::time::Instant;

    #[test]
    fn a_round_that_began_without_a_record_reads_only_rows_that_it_has_written() {
        let query = query::track("/me/contacts/delta", Options::default()).unwrap();
        let mode = |round| ApplyMode {
            round,
            started_at: Instant::from_millis(0.0),
            page_index: 0,
            is_full_round: true,
            format: query.item_format(),
            has_mirror: true,
            has_consumer: false,
            is_final_page: false,
            has_masters: false,
            has_unique_names: false,
            delivered: &[],
        };
        let page = |ids: &[&str]| ids.iter().map(|id| json!({"id": id})).collect();
        let mut applier = PageApplier::<Value>::default();
        applier.loaded(None);
        applier.received(page(&["a", "b"]));
        assert!(applier.ids(&query).is_empty());
        assert_eq!(applier.apply(Vec::new(), mode(1)).count_delta, 2);
        applier.received(page(&["c", "b", "d", "a"]));
        assert_eq!(applier.ids(&query), ["b", "a"]);
        let row = |id| Some(Row::new(1, json!({"id": id})));
        let summary = applier.apply(vec![row("b"), row("a")], mode(1));
        assert_eq!((summary.count_delta, applier.effects().repeated), (2, 2), "c and d are new");

        let record = Record::new(Instant::from_millis(0.0), 0.5);
        applier.loaded(Some(&record));
        applier.received(page(&["e"]));
        assert_eq!(applier.ids(&query), ["e"], "the mirror may have rows that this round did not write");
    }

    #[test]
    fn a_sweep_that_a_failure_interrupts_starts_again_when_the_record_is_loaded() {
        let record = Record { check_names: true, ..Record::new(Instant::from_millis(0.0), 0.5) };
        let record = Record { phase: Phase::Idle, round_number: 5, ..record };
        let completed = record.completed().unwrap();
        let file = |id: &str, arrival| {
            let item = json!({ "id": id, "name": "x", "parentReference": { "id": "root" } });
            (id.to_owned(), Row { arrival, ..Row::new(5, item) })
        };
        let mut applier = PageApplier::<Value>::default();
        let mut sweep = |ids: &[(&str, u32)], has_more| {
            let rows = ids.iter().map(|(id, arrival)| file(id, *arrival)).collect();
            let summary = applier.sweep(rows, has_more, &completed);
            (summary.has_to_reread, applier.effects().remove.clone())
        };
        assert_eq!(sweep(&[("a", 1), ("b", 2)], false), (true, vec![]), "the first reading");
        assert_eq!(sweep(&[("a", 1)], true), (false, vec![]), "the second reading, interrupted");
        applier.loaded(Some(&record));
        let mut sweep = |has_more| {
            let summary = applier.sweep(vec![file("a", 1), file("b", 2)], has_more, &completed);
            (summary.has_to_reread, summary.count_delta, applier.effects().remove.clone())
        };
        assert_eq!(sweep(false), (true, 0, vec![]));
        assert_eq!(sweep(false), (false, -1, vec!["a".to_owned()]), "removed once");
    }

    /// Large enough that an algorithm in quadratic time would run for many minutes.
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
        assert_eq!(applier.ids(&query).len(), 3 * MANY);
        let delivered: Vec<String> = (0..MANY).map(|at| id("event", at + MANY / 2)).collect();
        let mode = ApplyMode {
            round: 1,
            started_at: Instant::from_millis(0.0),
            page_index: 0,
            is_full_round: true,
            format: query.item_format(),
            has_mirror: true,
            has_consumer: true,
            is_final_page: false,
            has_masters: true,
            has_unique_names: false,
            delivered: &delivered,
        };
        let summary = applier.apply(vec![None; 3 * MANY], mode);
        assert_eq!(
            (summary.missing_masters.len(), summary.new_ids.len(), summary.unacknowledged.len()),
            (MANY, MANY, MANY / 2)
        );
    }
}
