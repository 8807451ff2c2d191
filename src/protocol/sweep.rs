//! Removes rows that a completed round has made obsolete. The mirror is read in chunks.
//!
//! 1. Ghosts: rows that a completed full round did not list. Only such a round grants the right to
//!    remove them ([`Completed`]).
//! 2. Moved series: when a series takes place on other dates, Graph reports the new occurrences and
//!    does not remove the old ones (graph-facts 9.4). The occurrences that the round did not
//!    receive are removed. Exceptions stay.
//! 3. Displaced items of a drive: within a folder a name is unique, regardless of case. Of two rows
//!    with one name the one that arrived last stays; the other one is removed with everything below
//!    it that did not arrive later (graph-facts 9.5 and 9.6). This is decided at the end of a
//!    round, because names may be swapped on different pages. The mirror is read twice: to find
//!    such rows, and to remove them, all at once.

use std::collections::HashSet;

use super::change::{Change, PageEffects, Reason, Row, SweepSummary};
use super::item::Item;
use super::names::NameIndex;
use super::record::{Completed, Scope};
use super::relation;
use super::series::{is_outside, is_side_row, master_of};

/// Sweeps the mirror, chunk by chunk.
pub struct Sweeper<I> {
    names: NameIndex,
    /// The displaced rows, once they are known.
    displaced: Option<HashSet<String>>,
    /// What is done at the end of the second reading.
    removals: PageEffects<I>,
}

impl<I> Default for Sweeper<I> {
    fn default() -> Self {
        Self { names: NameIndex::default(), displaced: None, removals: PageEffects::default() }
    }
}

impl<I: Item> Sweeper<I> {
    /// Sweeps one chunk. `has_more`: further rows may follow it.
    pub fn sweep(
        &mut self,
        rows: Vec<(String, Row<I>)>,
        has_more: bool,
        completed: &Completed,
    ) -> (PageEffects<I>, SweepSummary) {
        let after = if has_more { rows.last().map(|(id, _)| id.clone()) } else { None };
        let (mut again, mut found_unknown_series) = (false, false);
        let effects = match completed.scope() {
            Scope::Ghosts { .. } => ghosts(rows, completed),
            Scope::Series { .. } => {
                let (effects, found) = moved_series(rows, completed);
                found_unknown_series = found;
                effects
            }
            Scope::Names => {
                let (effects, once_more) = self.displaced(rows, has_more);
                again = once_more;
                effects
            }
        };
        let summary = SweepSummary {
            has_changes: !effects.remove.is_empty() || !effects.put.is_empty(),
            count_delta: effects.count_delta,
            after,
            again,
            found_unknown_series,
        };
        (effects, summary)
    }

    /// Returns what to do now, and whether the mirror has to be read a second time.
    fn displaced(&mut self, rows: Vec<(String, Row<I>)>, has_more: bool) -> (PageEffects<I>, bool) {
        if let Some(displaced) = &self.displaced {
            for (id, row) in rows.into_iter().filter(|(id, _)| displaced.contains(id)) {
                remove(&mut self.removals, id, row, Reason::Ghost);
            }
            if has_more {
                return (PageEffects::default(), false);
            }
            self.displaced = None;
            return (std::mem::take(&mut self.removals), false);
        }
        for (id, row) in &rows {
            self.names.add(id, &row.item, (row.round, row.arrival));
        }
        if has_more {
            return (PageEffects::default(), false);
        }
        let displaced = std::mem::take(&mut self.names).displaced();
        let again = !displaced.is_empty();
        self.displaced = again.then_some(displaced);
        (PageEffects::default(), again)
    }
}

fn remove<I>(effects: &mut PageEffects<I>, id: String, row: Row<I>, reason: Reason) {
    effects.remove.push(id.clone());
    if !is_side_row(&id) {
        effects.count_delta -= 1;
        effects.changes.push(Change::Remove { id, reason, old: Some(row.item) });
    }
}

/// Removes ghosts and publishes the staged relationship sets.
fn ghosts<I: Item>(rows: Vec<(String, Row<I>)>, completed: &Completed) -> PageEffects<I> {
    let mut effects = PageEffects::default();
    let (lists_all, window) = match completed.scope() {
        Scope::Ghosts { lists_all, window } => (*lists_all, window.as_ref()),
        Scope::Series { .. } | Scope::Names => (false, None),
    };
    for (id, row) in rows {
        if row.round != completed.round() {
            if lists_all {
                let has_left = window.is_some_and(|window| is_outside(&row.item, window));
                remove(&mut effects, id, row, if has_left { Reason::LeftWindow } else { Reason::Ghost });
            }
        } else if let Some(gathered) = row.staged {
            let item = relation::with_staged_sets(&row.item, &row.sets, &gathered);
            let unchanged = row.item.equals(&item);
            effects.put.push((
                id.clone(),
                Row {
                    round: row.round,
                    item: item.clone(),
                    sets: gathered.property_names(),
                    staged: None,
                    arrival: row.arrival,
                },
            ));
            if !unchanged {
                let old = Some(row.item);
                effects.changes.push(Change::Upsert { id, item, old, unchanged, partial: false });
            }
        }
    }
    effects
}

/// Removes the occurrences of moved series that the round did not receive. Also returns whether
/// there are such occurrences of a series of which it is not known whether it has moved.
fn moved_series<I: Item>(rows: Vec<(String, Row<I>)>, completed: &Completed) -> (PageEffects<I>, bool) {
    let mut effects = PageEffects::default();
    let mut found_unknown = false;
    let Scope::Series { moved, unknown } = completed.scope() else { return (effects, false) };
    for (id, row) in rows {
        let Some(master) = master_of(&row.item).filter(|_| row.round != completed.round()) else { continue };
        if moved.contains(&master) {
            remove(&mut effects, id, row, Reason::Ghost);
        } else {
            found_unknown |= unknown.contains(&master);
        }
    }
    (effects, found_unknown)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
