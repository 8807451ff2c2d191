//! Removes rows that a completed round has made obsolete. The mirror is read in chunks.
//!
//! 1. Ghosts: rows that a completed full round did not list. Only such a round grants the right to
//!    remove them ([`Completed`]).
//! 2. Moved series: when a series takes place on other dates, Graph reports the new occurrences and
//!    does not remove the old ones (graph-facts 9.4). The occurrences that the round did not
//!    receive are removed. Exceptions stay.
//! 3. Displaced items of a drive: within a folder a name is unique, regardless of case. Of two rows
//!    with the same name the one that arrived last stays; the other one is removed with everything
//!    below it that did not arrive later (graph-facts 9.5 and 9.6). This is decided at the end of a
//!    round, because names may be swapped on different pages. The mirror is read twice: first to
//!    find such rows, then to remove all of them in one commit.

use std::collections::HashSet;

use super::change::{Change, PageEffects, Reason, Row, SweepSummary};
use super::item::Item;
use super::names::{Displaced, NameIndex};
use super::record::{Completed, SweepScope};
use super::relation;
use super::series::{is_outside, is_side_row, master_of, side_row};

/// Sweeps the mirror, chunk by chunk.
pub struct Sweeper<I> {
    names: NameIndex,
    /// The displaced rows, once they are known.
    displaced: Option<Displaced>,
    /// The removals that take effect at the end of the second read.
    removals: PageEffects<I>,
}

impl<I> Default for Sweeper<I> {
    fn default() -> Self {
        Self { names: NameIndex::default(), displaced: None, removals: PageEffects::default() }
    }
}

impl<I: Item> Sweeper<I> {
    /// Sweeps one chunk. `has_more` is false for the last one.
    pub fn sweep(
        &mut self,
        rows: Vec<(String, Row<I>)>,
        has_more: bool,
        completed: &Completed,
    ) -> (PageEffects<I>, SweepSummary) {
        let after = if has_more { rows.last().map(|(id, _)| id.clone()) } else { None };
        let (mut has_to_reread, mut has_to_relist) = (false, false);
        let effects = match completed.sweep_scope() {
            SweepScope::Ghosts { .. } => ghosts(rows, completed),
            SweepScope::Series { .. } => {
                let effects;
                (effects, has_to_relist) = moved_series(rows, completed);
                effects
            }
            SweepScope::Names => {
                let names = self.sweep_names(rows, has_more);
                (has_to_reread, has_to_relist) = (names.has_to_reread, names.has_to_relist);
                names.effects
            }
        };
        let summary = SweepSummary {
            has_changes: !effects.remove.is_empty() || !effects.put.is_empty(),
            count_delta: effects.count_delta,
            after,
            has_to_reread,
            has_to_relist,
        };
        (effects, summary)
    }

    /// Sweeps a chunk of a drive's mirror.
    fn sweep_names(&mut self, rows: Vec<(String, Row<I>)>, has_more: bool) -> NamesSweep<I> {
        let mut sweep =
            NamesSweep { effects: PageEffects::default(), has_to_reread: false, has_to_relist: false };
        if let Some(displaced) = &self.displaced {
            for (id, row) in rows.into_iter().filter(|(id, _)| displaced.ids.contains(id)) {
                remove(&mut self.removals, id, row, Reason::Ghost);
            }
            if !has_more {
                sweep.has_to_relist = displaced.has_content;
                sweep.effects = std::mem::take(&mut self.removals);
                self.displaced = None;
            }
            return sweep;
        }
        for (id, row) in &rows {
            self.names.add(id, &row.item, (row.round, row.arrival));
        }
        if !has_more {
            let displaced = std::mem::take(&mut self.names).displaced();
            sweep.has_to_reread = !displaced.ids.is_empty();
            self.displaced = sweep.has_to_reread.then_some(displaced);
        }
        sweep
    }
}

/// The result of sweeping a chunk of a drive's mirror.
struct NamesSweep<I> {
    effects: PageEffects<I>,
    /// Whether the mirror has to be read a second time.
    has_to_reread: bool,
    /// Whether the next round has to list everything.
    has_to_relist: bool,
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
    let SweepScope::Ghosts { lists_all, window, missing_masters } = completed.sweep_scope() else {
        return effects;
    };
    let kept: HashSet<String> = missing_masters.iter().map(|id| side_row(id)).collect();
    for (id, row) in rows {
        if row.round != completed.round() {
            if *lists_all && !kept.contains(&id) {
                let has_left = window.as_ref().is_some_and(|window| is_outside(&row.item, window));
                remove(&mut effects, id, row, if has_left { Reason::LeftWindow } else { Reason::Ghost });
            }
        } else if let Some(staged) = row.staged {
            let item = relation::with_staged_sets(&row.item, &row.sets, &staged);
            let unchanged = row.item.equals(&item);
            effects.put.push((
                id.clone(),
                Row {
                    round: row.round,
                    item: item.clone(),
                    sets: staged.property_names(),
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

/// Removes the occurrences of moved series that the round did not receive. Also returns whether the
/// next round has to list everything: if occurrences that this round did not receive remain of a
/// series that may have moved, or if any occurrence remains of a series that was removed.
fn moved_series<I: Item>(rows: Vec<(String, Row<I>)>, completed: &Completed) -> (PageEffects<I>, bool) {
    let mut effects = PageEffects::default();
    let mut has_to_relist = false;
    let SweepScope::Series { moved, unknown, removed } = completed.sweep_scope() else {
        return (effects, false);
    };
    for (id, row) in rows {
        let Some(master) = master_of(&row.item) else { continue };
        let is_received = row.round == completed.round();
        if moved.contains(&master) && !is_received {
            remove(&mut effects, id, row, Reason::Ghost);
        } else {
            has_to_relist |= removed.contains(&master) || unknown.contains(&master) && !is_received;
        }
    }
    (effects, has_to_relist)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
