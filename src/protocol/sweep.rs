//! Removes rows that a completed round has made obsolete. The mirror is read in chunks.
//!
//! 1. Ghosts: rows that a completed full round did not list. Only such a round grants the right to
//!    remove them ([`Completed`]).
//! 2. Moved series: when a series takes place on other dates, Graph reports the new occurrences and
//!    does not remove the old ones (graph-facts 9.4). The occurrences that the round did not receive
//!    are removed. Exceptions stay.
//! 3. Displaced items of a drive: within a folder a name is unique, regardless of case. Of two rows
//!    with one name the one that arrived last stays; the other one is removed with everything below
//!    it that did not arrive later (graph-facts 9.5 and 9.6). This is decided at the end of a round,
//!    because names may be swapped on different pages. The mirror is read twice: to find such rows,
//!    and to remove them, all at once.

use std::collections::{HashMap, HashSet};

use super::change::{Change, PageEffects, Reason, Row, SweepSummary};
use super::item::Item;
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
            self.names.add(id, row);
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

/// The folder and the name that no other item of the drive may have, regardless of case. `None` where
/// `$select` leaves out one of them, and for the root.
pub fn name_key<I: Item>(item: &I) -> Option<(String, String)> {
    let parent = item.get("parentReference")?.string_property("id")?;
    Some((parent, item.string_property("name")?.to_lowercase()))
}

/// When a row arrived: its round, and its number in it.
type Arrival = (u32, u32);

/// The names of all rows of a drive.
#[derive(Default)]
struct NameIndex {
    /// The rows of each name, with their arrival.
    names: HashMap<(String, String), Vec<(String, Arrival)>>,
    /// The rows of each folder, with their arrival.
    children: HashMap<String, Vec<(String, Arrival)>>,
}

impl NameIndex {
    fn add<I: Item>(&mut self, id: &str, row: &Row<I>) {
        let Some(key) = name_key(&row.item) else { return };
        let entry = (id.to_owned(), (row.round, row.arrival));
        self.children.entry(key.0.clone()).or_default().push(entry.clone());
        self.names.entry(key).or_default().push(entry);
    }

    /// The ids of all displaced rows and of what lies below them.
    fn displaced(&self) -> HashSet<String> {
        let mut displaced = HashSet::new();
        for rows in self.names.values().filter(|rows| rows.len() > 1) {
            let Some((_, last)) = rows.iter().max_by_key(|(_, arrival)| *arrival) else { continue };
            let mut pending: Vec<&str> = Vec::new();
            for (id, arrival) in rows {
                if arrival < last && displaced.insert(id.clone()) {
                    pending.push(id);
                }
            }
            while let Some(folder) = pending.pop() {
                for (id, arrival) in self.children.get(folder).into_iter().flatten() {
                    if arrival < last && displaced.insert(id.clone()) {
                        pending.push(id);
                    }
                }
            }
        }
        displaced
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
