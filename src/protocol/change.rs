//! Computes the changes of a page to the mirror.
//!
//! ```text
//! items ─► collapse ─► one entry per id ─► (the shell reads the rows of these ids) ─► apply
//!      ─► PageEffects: rows to put, ids to remove, changes to announce
//! ```
//!
//! 1. Within a page the last state of an id wins. Across pages of a round an item that comes again
//!    is announced only if it differs.
//! 2. A full round replaces a row when it receives the id for the first time. Later occurrences of
//!    the id, and all items of an incremental round, replace the row too. They are merged into it
//!    instead where `return=minimal` was requested (an absent property is kept, null is stored) or
//!    the item carries relationship slices.
//! 3. Relationship slices are merged into sets ([`relation`]). The sets of a full round are staged
//!    until the round is complete, so that readers never see an incomplete set.
//! 4. A removal of an id that the mirror does not hold is not announced, because Graph also reports
//!    events outside the window this way. Exception: the id was delivered to a consumer who has not
//!    acknowledged it.
//! 5. A row that a completed full round did not list is a ghost. Only such a round may remove
//!    ghosts ([`super::sweep`]).

use std::collections::{HashMap, HashSet};

use super::item::Item;
use super::names::name_key;
use super::recent::RecentVersions;
use super::relation;
use super::series::{SeriesSummary, is_side_row};
use super::time::Instant;

/// How a kind of resource marks removals besides `@removed` (graph-facts 2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Only `@removed`.
    #[default]
    Removed,
    /// Drives, lists and sites: the `deleted` facet, an object.
    DeletedFacet,
    /// Chat messages: a `deletedDateTime` that is not null.
    DeletedDate,
}

/// Why an item was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Deleted; for events, no longer in the window.
    Deleted,
    /// Soft-deleted: Graph can restore it.
    Changed,
    /// A full round no longer lists it.
    Ghost,
    /// An event that has left the rolling window, because the window has moved.
    LeftWindow,
}

impl Reason {
    /// The reason as users see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Changed => "changed",
            Self::Ghost => "ghost",
            Self::LeftWindow => "left-window",
        }
    }
}

/// One item of a page after parsing.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<I> {
    /// New or changed.
    Upsert(I),
    /// Removed.
    Remove(Reason),
}

impl<I> Entry<I> {
    /// The item, or `None` for a removal.
    pub fn upserted(&self) -> Option<&I> {
        match self {
            Self::Upsert(item) => Some(item),
            Self::Remove(_) => None,
        }
    }
}

/// Why an item was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It has no `id`, an empty one, or one that is not a string (seen in samples: graph-facts 7,
    /// 12).
    NoId,
    /// It is not an object.
    NotAnObject,
}

/// Reads the id of one item and whether the item is a removal.
pub fn parse_item<I: Item>(item: I, dialect: Dialect) -> Result<(String, Entry<I>), SkipReason> {
    if !item.is_object() {
        return Err(SkipReason::NotAnObject);
    }
    let id = item.string_property("id").filter(|id| is_usable(id)).ok_or(SkipReason::NoId)?;
    let entry = match removal(&item, dialect) {
        Some(reason) => Entry::Remove(reason),
        None => Entry::Upsert(item),
    };
    Ok((id, entry))
}

/// Whether an id identifies an item. Lone surrogates arrive as U+FFFD, so two ids that differ only
/// in them would become one. An id that begins with NUL would be taken for a side row.
fn is_usable(id: &str) -> bool {
    !id.is_empty() && !id.contains('\u{fffd}') && !is_side_row(id)
}

/// The reason of a removal, or `None` if the item is not a removal.
pub fn removal<I: Item>(item: &I, dialect: Dialect) -> Option<Reason> {
    if let Some(removed) = item.get("@removed").filter(|removed| !removed.is_null()) {
        let is_soft = removed.has_text("reason", "changed");
        return Some(if is_soft { Reason::Changed } else { Reason::Deleted });
    }
    let is_gone = match dialect {
        Dialect::Removed => false,
        Dialect::DeletedFacet => item.get("deleted").is_some_and(|facet| facet.is_object()),
        Dialect::DeletedDate => item.get("deletedDateTime").is_some_and(|date| !date.is_null()),
    };
    is_gone.then_some(Reason::Deleted)
}

/// A page with one entry per id.
#[derive(Clone, Debug, PartialEq)]
pub struct Collapsed<I> {
    /// In the order in which the page first mentions the ids.
    pub entries: Vec<(String, Entry<I>)>,
    /// The number of elements of `value`, including the skipped ones.
    pub items: u32,
    /// Items that a later item with the same id replaced.
    pub duplicates: u32,
    /// Items without an id.
    pub no_id: u32,
    /// Elements of `value` that are not objects.
    pub not_an_object: u32,
}

/// How the items of a query are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemFormat {
    /// How the kind marks removals.
    pub dialect: Dialect,
    /// Whether `return=minimal` was requested.
    pub minimal: bool,
    /// Whether items of this kind may carry relationship slices.
    pub slices: bool,
    /// Whether Graph never sends whole items of this kind, not even in a full round.
    pub never_whole: bool,
}

/// Parses the items of a page. The last state of an id wins; items are merged if the page is
/// `minimal` or has slices.
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
            Ok(parsed) => parsed,
            Err(SkipReason::NoId) => {
                page.no_id += 1;
                continue;
            }
            Err(SkipReason::NotAnObject) => {
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
    /// The number of the round that last received it.
    pub round: u32,
    /// The object as readers see it.
    pub item: I,
    /// The names of the relationship sets among its properties.
    pub sets: Vec<String>,
    /// The sets of a running full round, by name. Readers see them once the round is complete.
    pub staged: Option<I>,
    /// Drives: its position among the items of its round. A later item has a higher number.
    pub arrival: u32,
}

impl<I> Row<I> {
    /// A row without relationship sets.
    pub fn new(round: u32, item: I) -> Self {
        Self { round, item, sets: Vec::new(), staged: None, arrival: 0 }
    }
}

/// A change as listeners and consumers receive it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<I> {
    /// New or changed.
    Upsert {
        /// Graph's id.
        id: String,
        /// The whole object, or with `partial` only the changed properties.
        item: I,
        /// The item before the change.
        old: Option<I>,
        /// Whether the new item equals the old one: the same etag, or the same content.
        unchanged: bool,
        /// Feeds only: an absent property has not changed.
        partial: bool,
    },
    /// Removed.
    Remove {
        /// Graph's id.
        id: String,
        /// Why it was removed.
        reason: Reason,
        /// The item before the removal.
        old: Option<I>,
    },
}

/// The effects of one page on the mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct PageEffects<I> {
    /// Rows to write.
    pub put: Vec<(String, Row<I>)>,
    /// Rows to delete.
    pub remove: Vec<String>,
    /// Changes to announce.
    pub changes: Vec<Change<I>>,
    /// How many items the mirror gains, or loses if negative.
    pub count_delta: i32,
    /// Whether the page contains anything that this round has not received before.
    pub made_progress: bool,
    /// Whether relationship sets are staged until the round is complete.
    pub staged: bool,
    /// Items that this round has already announced, and that came again without a difference.
    pub repeated: u32,
    /// Drives: whether an item has a name or a parent that its row did not have.
    pub names_changed: bool,
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
            repeated: 0,
            names_changed: false,
        }
    }
}

/// A summary of a page for the state machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSummary {
    /// The number of elements of `value`.
    pub items: u32,
    /// Elements of `value` without a usable id.
    pub unidentified: u32,
    /// Whether the page contains anything that this round has not received before.
    pub made_progress: bool,
    /// Whether relationship sets are staged until the round is complete.
    pub staged: bool,
    /// How many items the mirror gains, or loses if negative.
    pub count_delta: i32,
    /// Ids new to the mirror.
    pub new_ids: Vec<String>,
    /// Ids that are delivered and not acknowledged after this page.
    pub unacknowledged: Vec<String>,
    /// Series masters that occurrences name and this round has not received.
    pub missing_masters: Vec<String>,
    /// Series masters that this page contains.
    pub received_masters: Vec<String>,
    /// The series of this page that have moved, or may have moved.
    pub series: SeriesSummary,
    /// Events that the page removes, stored or not.
    pub removed_events: Vec<String>,
    /// Drives: whether an item has a name or a parent that its row did not have.
    pub names_changed: bool,
}

/// The effects of a sweep on one chunk of the mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepSummary {
    /// Whether the chunk has anything to write.
    pub has_changes: bool,
    /// How many items the mirror gains, or loses if negative.
    pub count_delta: i32,
    /// The last id of the chunk, or `None` at the end of the mirror.
    pub after: Option<String>,
    /// Whether the mirror has to be read again, from its first row.
    pub has_to_reread: bool,
    /// Whether the next round has to list everything, because obsolete rows may remain.
    pub has_to_relist: bool,
}

/// How a page is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApplyMode<'a> {
    /// The number of the round.
    pub round: u32,
    /// When the round began.
    pub started_at: Instant,
    /// The index of the page in the round.
    pub page_index: u32,
    /// Whether the round is a full one.
    pub is_full_round: bool,
    /// How its items are parsed.
    pub format: ItemFormat,
    /// Whether the query keeps its items in a mirror.
    pub has_mirror: bool,
    /// Whether a consumer receives the items.
    pub has_consumer: bool,
    /// Whether the page carries the deltaLink, so that it is the last one of the round.
    pub is_final_page: bool,
    /// Whether series masters are fetched for this query.
    pub has_masters: bool,
    /// Drives: whether names are unique within a folder.
    pub has_unique_names: bool,
    /// Ids that a consumer received without acknowledging them. The mirror does not hold them, yet
    /// their removal has to be announced.
    pub delivered: &'a [String],
}

/// Applies a page to the stored rows of its ids: `rows` in the order of `entries`.
pub fn apply<I: Item>(
    entries: Vec<(String, Entry<I>)>,
    rows: &mut dyn Iterator<Item = Option<Row<I>>>,
    mode: ApplyMode<'_>,
    seen: &mut RecentVersions,
) -> PageEffects<I> {
    let mut effects = PageEffects::default();
    let delivered: HashSet<&str> = mode.delivered.iter().map(String::as_str).collect();
    for (position, (id, entry)) in (0..).zip(entries) {
        match (entry, rows.next().flatten()) {
            (Entry::Upsert(item), row) => upsert(&mut effects, id, item, row, position, mode),
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

/// The number of items of a page that get separate arrival numbers. Graph sends at most a thousand.
const PAGE_POSITIONS: u32 = 4096;

fn upsert<I: Item>(
    effects: &mut PageEffects<I>,
    id: String,
    item: I,
    row: Option<Row<I>>,
    position: u32,
    mode: ApplyMode<'_>,
) {
    let (item, slices) = if mode.format.slices { relation::split(item) } else { (item, Vec::new()) };
    let has_slices = !slices.is_empty();
    let is_repeated = row.as_ref().is_some_and(|row| row.round == mode.round);
    // A full round replaces the row when it receives the id for the first time.
    let keeps_old = is_repeated || !mode.is_full_round || mode.format.never_whole;
    let is_merged = (mode.format.minimal || has_slices) && keeps_old;
    let (old, mut sets, staged) = match row {
        Some(row) => (Some(row.item), row.sets, row.staged),
        None => (None, Vec::new(), None),
    };
    let mut item = match &old {
        Some(old) if is_merged => old.overlaid_with(&item),
        // An item without slices says nothing about the sets: they stay.
        Some(old) if !sets.is_empty() => item.overlaid_with(&relation::sets(old, &sets)),
        _ => item,
    };
    let mut staged_sets = None;
    if mode.is_full_round {
        let before = staged.filter(|_| is_repeated);
        if has_slices || !sets.is_empty() || before.is_some() {
            let sets = relation::merge_slices(
                &before.clone().unwrap_or_else(|| I::from_properties(Vec::new())),
                slices,
            );
            effects.made_progress |= before.is_none_or(|before| !before.equals(&sets));
            staged_sets = Some(sets);
            effects.staged = true;
        }
    } else if has_slices {
        for (name, _) in &slices {
            if !sets.contains(name) {
                sets.push(name.clone());
            }
        }
        item = relation::merge_slices(&item, slices);
    }
    let unchanged = old.as_ref().is_some_and(|old| unchanged(old, &item, is_merged));
    effects.made_progress |= !is_repeated || !unchanged;
    effects.count_delta += i32::from(old.is_none());
    let mut arrival = 0;
    if mode.has_unique_names {
        arrival = mode.page_index.saturating_mul(PAGE_POSITIONS).saturating_add(position);
        effects.names_changed |=
            name_key(&item).is_some_and(|key| old.as_ref().and_then(name_key) != Some(key));
    }
    effects.put.push((
        id.clone(),
        Row { round: mode.round, item: item.clone(), sets, staged: staged_sets, arrival },
    ));
    if is_repeated && unchanged {
        effects.repeated += 1;
    } else {
        effects.changes.push(Change::Upsert { id, item, old, unchanged, partial: false });
    }
}

/// Announces the changes of a feed, which has no mirror to compare them with.
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
                // Serializing an item is slow, so it is done only when its id comes again.
                None => seen.is_new(&id, "") || seen.is_new(&id, &item.to_json()),
            },
        };
        effects.changes.push(match entry {
            // In a full round too: only the first item of an id is whole, and a feed does not know
            // which one that is.
            Entry::Upsert(item) => {
                Change::Upsert { id, item, old: None, unchanged: false, partial: mode.format.minimal }
            }
            Entry::Remove(reason) => Change::Remove { id, reason, old: None },
        });
    }
    effects
}

const ETAG: &str = "@odata.etag";

fn unchanged<I: Item>(old: &I, new: &I, is_merged: bool) -> bool {
    match (old.string_property(ETAG), new.string_property(ETAG)) {
        // A merged object may carry an old etag.
        (Some(old), Some(new)) if !is_merged => old == new,
        _ => old.equals(new),
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
