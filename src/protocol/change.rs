//! What a page does to the mirror.
//!
//! ```text
//! items ─► collapse ─► entries, one an id ─► (the shell reads the rows of these ids) ─► apply ─► PageEffects: rows to put, ids to remove, changes to announce
//! ```
//!
//! 1. Within a page the last state of an id wins; over pages nothing is collapsed.
//! 2. A full round replaces a row at the first sighting of its id in this round. Later sightings,
//!    and all of an incremental round, replace too, or fold where `return=minimal` was asked for
//!    (absent keeps, null sets null) or slices came.
//! 3. Relationship slices are folded into sets ([`relation`]). Those of a full round are staged
//!    until it is complete, so that nobody reads half a set.
//! 4. A removal of an id that the mirror does not hold is silent (Graph reports events from outside
//!    the window so), unless the id was delivered to a consumer who has not acknowledged it.
//! 5. What a completed full round did not list is a ghost. Only a [`Completed`] full round can
//!    sweep.

use std::collections::{HashMap, HashSet};

use super::item::Item;
use super::recent::RecentVersions;
use super::record::Completed;
use super::relation;
use super::series::is_side_row;

/// Which removals a kind of resource knows besides `@removed` (graph-facts 2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `@removed` alone.
    #[default]
    Removed,
    /// Drives, lists and sites: the `deleted` facet, an object.
    DeletedFacet,
    /// Chat messages: a `deletedDateTime` that is not null.
    DeletedDate,
}

/// Why something was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Gone; for events, gone from the window.
    Deleted,
    /// Deleted but restorable.
    Changed,
    /// No longer listed by a full round.
    Ghost,
}

impl Reason {
    /// The reason as users see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Changed => "changed",
            Self::Ghost => "ghost",
        }
    }
}

/// One item of a page, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<I> {
    /// New or changed.
    Upsert(I),
    /// Removed.
    Remove(Reason),
}

impl<I> Entry<I> {
    /// The item, unless it is a removal.
    pub fn upserted(&self) -> Option<&I> {
        match self {
            Self::Upsert(item) => Some(item),
            Self::Remove(_) => None,
        }
    }
}

/// Why an item was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It has no `id`, or one that is no text, or empty (seen in samples: graph-facts 7, 12).
    NoId,
    /// It is no object.
    NotAnObject,
}

/// Reads one item.
pub fn parse_item<I: Item>(item: I, dialect: Dialect) -> Result<(String, Entry<I>), Skipped> {
    if !item.is_object() {
        return Err(Skipped::NotAnObject);
    }
    let id = item.string_property("id").filter(|id| is_usable(id)).ok_or(Skipped::NoId)?;
    let entry = match removal(&item, dialect) {
        Some(reason) => Entry::Remove(reason),
        None => Entry::Upsert(item),
    };
    Ok((id, entry))
}

/// Whether an id tells its item apart. Lone surrogates arrive here as U+FFFD, so two ids that
/// differ in them alone would be one; ids that begin with NUL would be taken for side rows.
fn is_usable(id: &str) -> bool {
    !id.is_empty() && !id.contains('\u{fffd}') && !is_side_row(id)
}

/// How this item says that it is gone, if it does.
pub fn removal<I: Item>(item: &I, dialect: Dialect) -> Option<Reason> {
    if let Some(removed) = item.get("@removed").filter(|removed| !removed.is_null()) {
        let soft = removed.string_property("reason").is_some_and(|reason| reason == "changed");
        return Some(if soft { Reason::Changed } else { Reason::Deleted });
    }
    let gone = match dialect {
        Dialect::Removed => false,
        Dialect::DeletedFacet => item.get("deleted").is_some_and(|facet| facet.is_object()),
        Dialect::DeletedDate => item.get("deletedDateTime").is_some_and(|date| !date.is_null()),
    };
    gone.then_some(Reason::Deleted)
}

/// A page with one entry an id.
#[derive(Clone, Debug, PartialEq)]
pub struct Collapsed<I> {
    /// In the order in which the ids were first met.
    pub entries: Vec<(String, Entry<I>)>,
    /// Items of the page, the passed over ones included.
    pub items: u32,
    /// Items that a later one of the same id replaced.
    pub duplicates: u32,
    /// Items without an id.
    pub no_id: u32,
    /// Members of `value` that are no objects.
    pub not_an_object: u32,
}

/// How the items of a query are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemFormat {
    /// The removals of its kind.
    pub dialect: Dialect,
    /// Whether `return=minimal` was asked for.
    pub minimal: bool,
    /// Whether its kind has relationship slices.
    pub slices: bool,
}

/// Reads the items of a page; the last state of an id wins, folded where the page is `minimal` or
/// has slices.
pub fn collapse<I: Item>(items: Vec<I>, format: ItemFormat) -> Collapsed<I> {
    let mut page: Collapsed<I> = Collapsed {
        entries: Vec::with_capacity(items.len()),
        items: 0,
        duplicates: 0,
        no_id: 0,
        not_an_object: 0,
    };
    let mut positions: HashMap<String, usize> = HashMap::with_capacity(items.len());
    for item in items {
        page.items += 1;
        let (id, new) = match parse_item(item, format.dialect) {
            Ok(read) => read,
            Err(Skipped::NoId) => {
                page.no_id += 1;
                continue;
            }
            Err(Skipped::NotAnObject) => {
                page.not_an_object += 1;
                continue;
            }
        };
        let position = *positions.entry(id.clone()).or_insert(page.entries.len());
        if let Some((_, old)) = page.entries.get_mut(position) {
            page.duplicates += 1;
            *old = match (&*old, new) {
                (Entry::Upsert(first), Entry::Upsert(second)) if format.slices => {
                    Entry::Upsert(relation::join_slices(first.clone(), second, format.minimal))
                }
                (Entry::Upsert(first), Entry::Upsert(second)) if format.minimal => {
                    Entry::Upsert(first.overlaid_with(&second))
                }
                (_, new) => new,
            };
        } else {
            page.entries.push((id, new));
        }
    }
    page
}

/// A row of the mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<I> {
    /// The number of the round that last brought it.
    pub round: u32,
    /// The object as readers see it.
    pub item: I,
    /// The names of the relationship sets among its properties.
    pub sets: Vec<String>,
    /// The sets that a full round gathers, by name; readers see them when the round is complete.
    pub staged: Option<I>,
}

impl<I> Row<I> {
    /// A row without relationships.
    pub fn new(round: u32, item: I) -> Self {
        Self { round, item, sets: Vec::new(), staged: None }
    }
}

/// A change as it is announced.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<I> {
    /// New or changed. `old` is the row before; `unchanged` if nothing differs from it.
    Upsert {
        /// Graph's id.
        id: String,
        /// The whole object, or with `partial` what changed of it.
        item: I,
        /// The object before.
        old: Option<I>,
        /// The same etag, or deep-equal.
        unchanged: bool,
        /// Only from a feed: an absent property has not changed.
        partial: bool,
    },
    /// Removed.
    Remove {
        /// Graph's id.
        id: String,
        /// WaitReason.
        reason: Reason,
        /// The object before.
        old: Option<I>,
    },
}

/// What one page does.
#[derive(Clone, Debug, PartialEq)]
pub struct PageEffects<I> {
    /// Rows to write.
    pub put: Vec<(String, Row<I>)>,
    /// Rows to delete.
    pub remove: Vec<String>,
    /// What to tell.
    pub changes: Vec<Change<I>>,
    /// Items more in the mirror, or fewer.
    pub count_delta: i32,
    /// Whether there is anything that this round has not brought before.
    pub made_progress: bool,
    /// Whether relationship sets wait for the end of the round.
    pub staged: bool,
}

impl<I> Default for PageEffects<I> {
    fn default() -> Self {
        Self {
            put: Vec::new(),
            remove: Vec::new(),
            changes: Vec::new(),
            count_delta: 0,
            made_progress: false,
            staged: false,
        }
    }
}

/// What a page brought, as far as the round has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSummary {
    /// Members of `value`.
    pub items: u32,
    /// Members of `value` that could not be identified.
    pub unidentified: u32,
    /// Whether any of them is new to this round.
    pub made_progress: bool,
    /// Whether relationship sets wait for the end of the round.
    pub staged: bool,
    /// Items more in the mirror, or fewer.
    pub count_delta: i32,
    /// Ids new to the mirror.
    pub new_ids: Vec<String>,
    /// Of the ids delivered without an acknowledgement, those that this page does not mention.
    pub unacknowledged: Vec<String>,
    /// Series masters that this round has not brought.
    pub missing_masters: Vec<String>,
    /// Series masters that this page brings.
    pub received_masters: Vec<String>,
}

/// What a sweep did to a chunk of the mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepSummary {
    /// Whether anything in it is to be written.
    pub has_changes: bool,
    /// Items more in the mirror, or fewer.
    pub count_delta: i32,
    /// Its last id; none if that was the end of the mirror.
    pub after: Option<String>,
}

/// How a page is to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyMode<'a> {
    /// The number of the round.
    pub round: u32,
    /// Whether it is a full one.
    pub full: bool,
    /// How its items are read.
    pub format: ItemFormat,
    /// Whether the query keeps its items.
    pub has_mirror: bool,
    /// Whether a consumer sees the items.
    pub has_consumer: bool,
    /// Whether the page is Graph's last one of the round.
    pub is_final_page: bool,
    /// Whether series masters are fetched for this query.
    pub has_masters: bool,
    /// Ids that a consumer has got without acknowledging them: the mirror does not know them, but
    /// their removal has to be told.
    pub delivered: &'a [String],
}

/// Applies a page to the rows that the mirror holds of its ids: `rows` in the order of `entries`.
pub fn apply<I: Item>(
    entries: Vec<(String, Entry<I>)>,
    rows: &mut dyn Iterator<Item = Option<Row<I>>>,
    mode: ApplyMode<'_>,
    seen: &mut RecentVersions,
) -> PageEffects<I> {
    let mut effects = PageEffects::default();
    let delivered: HashSet<&str> = mode.delivered.iter().map(String::as_str).collect();
    for (id, entry) in entries {
        match (entry, rows.next().flatten()) {
            (Entry::Upsert(item), row) => upsert(&mut effects, id, item, row, mode),
            (Entry::Remove(reason), Some(row)) => {
                effects.made_progress = true;
                effects.count_delta -= 1;
                effects.remove.push(id.clone());
                effects.changes.push(Change::Remove { id, reason, old: Some(row.item) });
            }
            (Entry::Remove(reason), None) => {
                effects.made_progress |= seen.is_new(&id, REMOVED);
                if delivered.contains(id.as_str()) {
                    effects.changes.push(Change::Remove { id, reason, old: None });
                }
            }
        }
    }
    effects
}

const REMOVED: &str = "@removed";

fn upsert<I: Item>(
    effects: &mut PageEffects<I>,
    id: String,
    item: I,
    row: Option<Row<I>>,
    mode: ApplyMode<'_>,
) {
    let (item, slices) = if mode.format.slices { relation::split(item) } else { (item, Vec::new()) };
    let sliced = !slices.is_empty();
    let again = row.as_ref().is_some_and(|row| row.round == mode.round);
    // A full round replaces at the first sighting.
    let fold = (mode.format.minimal || sliced) && (again || !mode.full);
    let (old, mut sets, staged) = match row {
        Some(row) => (Some(row.item), row.sets, row.staged),
        None => (None, Vec::new(), None),
    };
    let mut item = match &old {
        Some(old) if fold => old.overlaid_with(&item),
        // A sighting without slices says nothing of the sets.
        Some(old) if !sets.is_empty() => item.overlaid_with(&relation::sets(old, &sets)),
        _ => item,
    };
    let mut gathered = None;
    if mode.full {
        let before = staged.filter(|_| again);
        if sliced || !sets.is_empty() || before.is_some() {
            let sets =
                relation::fold(&before.clone().unwrap_or_else(|| I::from_properties(Vec::new())), slices);
            effects.made_progress |= before.is_none_or(|before| !before.equals(&sets));
            gathered = Some(sets);
            effects.staged = true;
        }
    } else if sliced {
        for (name, _) in &slices {
            if !sets.contains(name) {
                sets.push(name.clone());
            }
        }
        item = relation::fold(&item, slices);
    }
    let unchanged = old.as_ref().is_some_and(|old| unchanged(old, &item, fold));
    effects.made_progress |= !again || !unchanged;
    effects.count_delta += i32::from(old.is_none());
    effects.put.push((id.clone(), Row { round: mode.round, item: item.clone(), sets, staged: gathered }));
    effects.changes.push(Change::Upsert { id, item, old, unchanged, partial: false });
}

/// Announces a page without a mirror to compare it with.
pub fn pass_through<I: Item>(
    entries: Vec<(String, Entry<I>)>,
    mode: ApplyMode<'_>,
    seen: &mut RecentVersions,
) -> PageEffects<I> {
    let mut effects = PageEffects::default();
    for (id, entry) in entries {
        effects.made_progress |= match &entry {
            Entry::Remove(_) => seen.is_new(&id, REMOVED),
            Entry::Upsert(item) => match item.string_property(ETAG) {
                Some(etag) => seen.is_new(&id, &etag),
                // The text of an item is only made when its id comes again.
                None => seen.is_new(&id, "") || seen.is_new(&id, &item.to_json()),
            },
        };
        effects.changes.push(match entry {
            // Also in a full round: only the first sighting of an id is whole, and a feed cannot
            // know which that is.
            Entry::Upsert(item) => {
                Change::Upsert { id, item, old: None, unchanged: false, partial: mode.format.minimal }
            }
            Entry::Remove(reason) => Change::Remove { id, reason, old: None },
        });
    }
    effects
}

const ETAG: &str = "@odata.etag";

fn unchanged<I: Item>(old: &I, new: &I, folded: bool) -> bool {
    match (old.string_property(ETAG), new.string_property(ETAG)) {
        // A folded object may carry the etag of before.
        (Some(old), Some(new)) if !folded => old == new,
        _ => old.equals(new),
    }
}

/// Ends a completed full round over some rows of the mirror: removes the ghosts, which it did not
/// see, and shows the relationship sets that it gathered.
pub fn sweep<I: Item>(rows: Vec<(String, Row<I>)>, completed: &Completed) -> PageEffects<I> {
    let mut effects = PageEffects::default();
    for (id, row) in rows {
        if row.round != completed.round() {
            if !completed.lists_all() {
                continue;
            }
            effects.remove.push(id.clone());
            if !is_side_row(&id) {
                effects.count_delta -= 1;
                effects.changes.push(Change::Remove { id, reason: Reason::Ghost, old: Some(row.item) });
            }
        } else if let Some(gathered) = row.staged {
            let item = relation::with_staged_sets(&row.item, &row.sets, &gathered);
            effects.put.push((
                id.clone(),
                Row { round: row.round, item: item.clone(), sets: gathered.property_names(), staged: None },
            ));
            let unchanged = row.item.equals(&item);
            if !unchanged {
                effects.changes.push(Change::Upsert {
                    id,
                    item,
                    old: Some(row.item),
                    unchanged,
                    partial: false,
                });
            }
        }
    }
    effects
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
