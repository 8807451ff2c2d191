//! What a page does to the mirror.
//!
//! ```text
//! items ─► collapse ─► entries, one an id ─► (the shell reads the rows of these ids) ─► apply ─► Applied: rows to put, ids to remove, changes to announce
//! ```
//!
//! 1. Within a page the last state of an id wins; over pages nothing is collapsed.
//! 2. A full round replaces a row at the first sighting of its id in this generation. Later sightings, and all of an
//!    incremental round, replace too, or fold where `return=minimal` was asked for: absent keeps, null sets null.
//! 3. A removal of an id that the mirror does not hold is silent: Graph reports events from outside the window so.
//! 4. What a completed full round did not list is a ghost. Only a [`Completed`] full round can sweep.

use super::item::Item;
use super::record::Completed;

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

/// Why an item was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// It has no `id`, or one that is no text, or empty (seen in samples: graph-facts 7, 12).
    NoId,
    /// It is no object.
    NotAnObject,
}

/// Reads one item.
pub fn entry<I: Item>(item: I, dialect: Dialect) -> Result<(String, Entry<I>), Skipped> {
    if !item.is_object() {
        return Err(Skipped::NotAnObject);
    }
    let id = item.text_of("id").filter(|id| !id.is_empty()).ok_or(Skipped::NoId)?;
    let entry = match removal(&item, dialect) {
        Some(reason) => Entry::Remove(reason),
        None => Entry::Upsert(item),
    };
    Ok((id, entry))
}

/// How this item says that it is gone, if it does.
pub fn removal<I: Item>(item: &I, dialect: Dialect) -> Option<Reason> {
    if let Some(removed) = item.get("@removed").filter(|removed| !removed.is_null()) {
        let soft = removed.text_of("reason").is_some_and(|reason| reason == "changed");
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

/// Reads the items of a page; the last state of an id wins, folded where the page is `minimal`.
pub fn collapse<I: Item>(items: Vec<I>, dialect: Dialect, minimal: bool) -> Collapsed<I> {
    let mut page: Collapsed<I> =
        Collapsed { entries: Vec::with_capacity(items.len()), items: 0, duplicates: 0, no_id: 0, not_an_object: 0 };
    let mut places = Places::new(items.len());
    for item in items {
        page.items += 1;
        let (id, new) = match entry(item, dialect) {
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
        let place = places.of(&id, &page.entries);
        if let Some((_, old)) = page.entries.get_mut(place) {
            page.duplicates += 1;
            *old = match (&*old, new) {
                (Entry::Upsert(first), Entry::Upsert(second)) if minimal => Entry::Upsert(first.overlaid(&second)),
                (_, new) => new,
            };
        } else {
            page.entries.push((id, new));
        }
    }
    page
}

/// Finds an id among the entries of a page: a table of hashes at most half full. By hand, because the standard map brings
/// 5 KB into the wasm; and without its secret, because whoever could choose ids to collide could send a larger page as well.
struct Places {
    /// One more than the place of an entry; 0 where there is none.
    slots: Vec<usize>,
}

impl Places {
    fn new(items: usize) -> Self {
        Self { slots: vec![0; 2 * items + 1] }
    }

    /// The place of the entry with this id. A new id gets the place behind the last entry, where it then has to be put.
    fn of<I>(&mut self, id: &str, entries: &[(String, Entry<I>)]) -> usize {
        // FNV-1a.
        let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let slots = self.slots.len();
        // A plain remainder would bring its panic.
        let around = |at: usize| at.checked_rem(slots).unwrap_or_default();
        let mut at = around(hash as usize);
        while let Some(slot) = self.slots.get_mut(at) {
            match slot.checked_sub(1) {
                None => {
                    *slot = entries.len() + 1;
                    break;
                }
                Some(place) if entries.get(place).is_some_and(|(other, _)| other == id) => return place,
                Some(_) => at = around(at + 1),
            }
        }
        entries.len()
    }
}

/// A row of the mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<I> {
    /// The full round that last saw it.
    pub generation: u32,
    /// The object as Graph sent it.
    pub item: I,
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
        /// Why.
        reason: Reason,
        /// The object before.
        old: Option<I>,
    },
}

/// What one page does.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied<I> {
    /// Rows to write.
    pub put: Vec<(String, Row<I>)>,
    /// Rows to delete.
    pub remove: Vec<String>,
    /// What to tell.
    pub changes: Vec<Change<I>>,
}

impl<I> Default for Applied<I> {
    fn default() -> Self {
        Self { put: Vec::new(), remove: Vec::new(), changes: Vec::new() }
    }
}

/// How a page is to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Of the round.
    pub generation: u32,
    /// Whether the round is a full one.
    pub full: bool,
    /// Whether the page was asked for with `return=minimal`.
    pub minimal: bool,
}

/// Applies a page to the rows that the mirror holds of its ids: `rows` in the order of `entries`.
pub fn apply<I: Item>(entries: Vec<(String, Entry<I>)>, rows: Vec<Option<Row<I>>>, mode: Mode) -> Applied<I> {
    let mut applied = Applied::default();
    let mut rows = rows.into_iter();
    for (id, entry) in entries {
        let row = rows.next().flatten();
        match (entry, row) {
            (Entry::Upsert(item), row) => {
                let fold = mode.minimal && row.as_ref().is_some_and(|row| !mode.full || row.generation == mode.generation);
                let old = row.map(|row| row.item);
                let item = match &old {
                    Some(old) if fold => old.overlaid(&item),
                    _ => item,
                };
                let unchanged = old.as_ref().is_some_and(|old| unchanged(old, &item, fold));
                applied.put.push((id.clone(), Row { generation: mode.generation, item: item.clone() }));
                applied.changes.push(Change::Upsert { id, item, old, unchanged, partial: false });
            }
            (Entry::Remove(reason), Some(row)) => {
                applied.remove.push(id.clone());
                applied.changes.push(Change::Remove { id, reason, old: Some(row.item) });
            }
            (Entry::Remove(_), None) => {}
        }
    }
    applied
}

/// Announces a page without a mirror to compare it with.
pub fn pass<I: Item>(entries: Vec<(String, Entry<I>)>, mode: Mode) -> Applied<I> {
    let mut applied = Applied::default();
    for (id, entry) in entries {
        applied.changes.push(match entry {
            // The first page of a full round brings whole objects also when `return=minimal` was asked for.
            Entry::Upsert(item) => Change::Upsert { id, item, old: None, unchanged: false, partial: mode.minimal && !mode.full },
            Entry::Remove(reason) => Change::Remove { id, reason, old: None },
        });
    }
    applied
}

fn unchanged<I: Item>(old: &I, new: &I, folded: bool) -> bool {
    const ETAG: &str = "@odata.etag";
    match (old.text_of(ETAG), new.text_of(ETAG)) {
        // A folded object may carry the etag of before.
        (Some(old), Some(new)) if !folded => old == new,
        _ => old.same(new),
    }
}

/// Removes the ghosts among some rows of the mirror: those that the completed full round did not see.
pub fn sweep<I: Item>(rows: Vec<(String, Row<I>)>, completed: &Completed) -> Applied<I> {
    let mut applied = Applied::default();
    for (id, row) in rows {
        if row.generation != completed.generation() {
            applied.remove.push(id.clone());
            applied.changes.push(Change::Remove { id, reason: Reason::Ghost, old: Some(row.item) });
        }
    }
    applied
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const INCREMENTAL: Mode = Mode { generation: 1, full: false, minimal: false };
    const MINIMAL: Mode = Mode { generation: 1, full: false, minimal: true };

    fn row(generation: u32, item: Value) -> Option<Row<Value>> {
        Some(Row { generation, item })
    }

    fn removal_of(item: Value, dialect: Dialect) -> Option<Reason> {
        removal(&item, dialect)
    }

    #[test]
    fn removed_has_two_reasons_and_may_stand_on_either_side_of_the_id() {
        for dialect in [Dialect::Removed, Dialect::DeletedFacet, Dialect::DeletedDate] {
            assert_eq!(removal_of(json!({"@removed": {"reason": "deleted"}, "id": "a"}), dialect), Some(Reason::Deleted));
            assert_eq!(removal_of(json!({"id": "a", "@removed": {"reason": "changed"}}), dialect), Some(Reason::Changed));
            assert_eq!(removal_of(json!({"id": "a", "@removed": {}}), dialect), Some(Reason::Deleted));
            assert_eq!(removal_of(json!({"id": "a", "@removed": null}), dialect), None);
        }
    }

    #[test]
    fn a_deleted_facet_counts_on_drives_lists_and_sites_only_and_only_as_an_object() {
        let item = json!({"id": "a", "deleted": {}});
        assert_eq!(removal_of(item.clone(), Dialect::DeletedFacet), Some(Reason::Deleted));
        assert_eq!(removal_of(item, Dialect::Removed), None);
        assert_eq!(removal_of(json!({"id": "a", "deleted": true}), Dialect::DeletedFacet), None);
        assert_eq!(removal_of(json!({"id": "a", "deleted": null}), Dialect::DeletedFacet), None);
    }

    #[test]
    fn a_deleted_date_counts_on_chat_messages_only_and_only_if_set() {
        let item = json!({"id": "a", "deletedDateTime": "2026-11-01T10:00:00Z"});
        assert_eq!(removal_of(item.clone(), Dialect::DeletedDate), Some(Reason::Deleted));
        assert_eq!(removal_of(item, Dialect::Removed), None);
        assert_eq!(removal_of(json!({"id": "a", "deletedDateTime": null}), Dialect::DeletedDate), None);
    }

    #[test]
    fn items_without_an_id_are_skipped_and_counted() {
        let page = collapse(
            vec![json!({"id": "a"}), json!({"x": 1}), json!({"id": ""}), json!({"id": 7}), json!("b"), json!(null)],
            Dialect::Removed,
            false,
        );
        assert_eq!((page.items, page.entries.len(), page.no_id, page.not_an_object), (6, 1, 3, 2));
    }

    #[test]
    fn the_last_state_of_an_id_wins_within_a_page() {
        let page = collapse(vec![json!({"id": "a", "v": 1}), json!({"id": "b"}), json!({"id": "a", "v": 2})], Dialect::Removed, false);
        assert_eq!(page.duplicates, 1);
        assert_eq!(
            page.entries,
            [("a".into(), Entry::Upsert(json!({"id": "a", "v": 2}))), ("b".into(), Entry::Upsert(json!({"id": "b"})))]
        );
        let gone = collapse(vec![json!({"id": "a"}), json!({"id": "a", "@removed": {"reason": "deleted"}})], Dialect::Removed, false);
        assert_eq!(gone.entries, [("a".into(), Entry::Remove(Reason::Deleted))]);
    }

    #[test]
    fn each_of_many_ids_is_found_again() {
        let ids = (0..3000).map(|n| json!({"id": format!("AAMkAD{}=", n % 1000)})).collect();
        let page = collapse(ids, Dialect::Removed, false);
        assert_eq!((page.entries.len(), page.duplicates), (1000, 2000));
        assert!(page.entries.iter().enumerate().all(|(at, (id, _))| *id == format!("AAMkAD{at}=")));
    }

    #[test]
    fn duplicates_of_a_minimal_page_fold() {
        let page = collapse(vec![json!({"id": "a", "mail": "x"}), json!({"id": "a", "phone": null})], Dialect::Removed, true);
        assert_eq!(page.entries, [("a".into(), Entry::Upsert(json!({"id": "a", "mail": "x", "phone": null})))]);
    }

    #[test]
    fn an_upsert_replaces_and_tells_new_from_changed_from_unchanged() {
        let entries = ["new", "changed", "same"].map(|id| (id.into(), Entry::Upsert(json!({"id": id, "v": 2})))).to_vec();
        let rows = vec![None, row(1, json!({"id": "changed", "v": 1, "gone": true})), row(1, json!({"v": 2, "id": "same"}))];
        let applied = apply(entries, rows, INCREMENTAL);
        assert_eq!(applied.put.len(), 3);
        let told: Vec<(bool, bool)> = applied
            .changes
            .iter()
            .map(|change| matches!(change, Change::Upsert { old: None, .. }))
            .zip(applied.changes.iter().map(|change| matches!(change, Change::Upsert { unchanged: true, .. })))
            .collect();
        assert_eq!(told, [(true, false), (false, false), (false, true)]);
        assert_eq!(applied.put.get(1).map(|(_, row)| &row.item), Some(&json!({"id": "changed", "v": 2})));
    }

    #[test]
    fn the_same_etag_is_unchanged() {
        let entries = vec![("a".to_owned(), Entry::Upsert(json!({"id": "a", "@odata.etag": "W/1", "start": {"timeZone": "UTC"}})))];
        let applied = apply(entries, vec![row(1, json!({"id": "a", "@odata.etag": "W/1"}))], INCREMENTAL);
        assert!(matches!(applied.changes.first(), Some(Change::Upsert { unchanged: true, .. })));
    }

    #[test]
    fn a_removal_of_an_id_never_seen_is_silent() {
        let entries = vec![("a".to_owned(), Entry::Remove(Reason::Deleted)), ("b".to_owned(), Entry::Remove(Reason::Changed))];
        let applied = apply(entries, vec![None, row(1, json!({"id": "b"}))], INCREMENTAL);
        assert_eq!(applied.remove, ["b"]);
        assert_eq!(applied.changes, [Change::Remove { id: "b".into(), reason: Reason::Changed, old: Some(json!({"id": "b"})) }]);
    }

    #[test]
    fn minimal_keeps_what_is_absent_and_nulls_what_is_null() {
        let entries = vec![("a".to_owned(), Entry::Upsert(json!({"id": "a", "mail": null, "jobTitle": "Buyer"})))];
        let before = row(1, json!({"id": "a", "mail": "a@contoso.example", "phone": "1"}));
        let applied = apply(entries, vec![before], MINIMAL);
        assert_eq!(
            applied.put.first().map(|(_, row)| row.item.clone()),
            Some(json!({"id": "a", "mail": null, "phone": "1", "jobTitle": "Buyer"}))
        );
    }

    #[test]
    fn a_full_round_replaces_at_first_sighting_even_when_minimal() {
        let mode = Mode { generation: 2, full: true, minimal: true };
        let entry = || vec![("a".to_owned(), Entry::Upsert(json!({"id": "a", "mail": "m"})))];
        let first = apply(entry(), vec![row(1, json!({"id": "a", "stale": 1}))], mode);
        assert_eq!(first.put, [("a".into(), Row { generation: 2, item: json!({"id": "a", "mail": "m"}) })]);
        let again = apply(entry(), vec![row(2, json!({"id": "a", "phone": 1}))], mode);
        assert_eq!(again.put, [("a".into(), Row { generation: 2, item: json!({"id": "a", "phone": 1, "mail": "m"}) })]);
    }

    #[test]
    fn a_sweep_removes_what_the_full_round_did_not_see() {
        let rows =
            vec![("old".to_owned(), Row { generation: 1, item: json!(1) }), ("new".to_owned(), Row { generation: 2, item: json!(2) })];
        let applied = sweep(rows, &Completed::for_tests(2));
        assert_eq!(applied.remove, ["old"]);
        assert_eq!(applied.changes, [Change::Remove { id: "old".into(), reason: Reason::Ghost, old: Some(json!(1)) }]);
    }

    #[test]
    fn a_feed_hands_on_every_entry() {
        let entries = || vec![("a".to_owned(), Entry::Upsert(json!({"id": "a"}))), ("b".to_owned(), Entry::Remove(Reason::Deleted))];
        let applied = pass(entries(), MINIMAL);
        assert!(applied.put.is_empty() && applied.remove.is_empty());
        assert_eq!(applied.changes.len(), 2);
        assert!(matches!(applied.changes.first(), Some(Change::Upsert { partial: true, .. })));
        let full = pass(entries(), Mode { full: true, ..MINIMAL });
        assert!(matches!(full.changes.first(), Some(Change::Upsert { partial: false, .. })));
    }
}
