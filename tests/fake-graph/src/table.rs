//! The rows of a collection. The changes of a world are numbered, and a row contains the numbers of
//! its own. Rows are immutable versions, so a round can keep the ones from its start.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The removal of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone {
    /// The number of the change.
    pub(crate) at: u64,
    /// `changed` if it can be restored, otherwise `deleted` (graph-facts 2.2).
    pub(crate) reason: &'static str,
    /// Whether no delta round reports it (graph-facts 1.3).
    pub(crate) is_silent: bool,
}

/// A version of an item.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// Its calendar, mail folder, drive or organizer; empty for directory objects.
    pub(crate) owner: String,
    pub(crate) item: Map<String, Value>,
    /// The number of the change that added or restored it.
    pub(crate) created: u64,
    /// The number of its last change.
    pub(crate) changed: u64,
    pub(crate) changed_ms: u64,
    /// The last change of each property, for `return=minimal` and `$select`.
    pub(crate) props: BTreeMap<String, u64>,
    pub(crate) gone: Option<Gone>,
    /// For each relationship and each target: the last change, and whether the target is in the
    /// set.
    pub(crate) relations: BTreeMap<String, BTreeMap<String, (u64, bool)>>,
    /// The spans of an event, each with the change from which it applies.
    pub(crate) spans: Vec<(u64, i64, i64)>,
    /// The position of the row in the order of additions.
    order: u64,
}

impl Version {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.item.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// The span of the event after change `seq`.
    pub(crate) fn span_at(&self, seq: u64) -> Option<(i64, i64)> {
        let exists = self.created <= seq && self.gone.is_none_or(|g| g.at > seq);
        let last = self.spans.iter().rev().find(|s| s.0 <= seq).filter(|_| exists)?;
        Some((last.1, last.2))
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    rows: BTreeMap<String, Arc<Version>>,
    /// The number of rows that were added.
    added: u64,
}

impl Table {
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<Version>> {
        self.rows.get(id)
    }

    /// All rows, including removed ones.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.rows.values()
    }

    /// The rows that are not removed, oldest first.
    pub(crate) fn present(&self, owner: &str) -> Vec<Arc<Version>> {
        let mut rows: Vec<_> = self.all().filter(|v| v.gone.is_none() && v.owner == owner).cloned().collect();
        rows.sort_by_key(|v| v.order);
        rows
    }

    /// The rows that changed after `since`, in the order of the changes.
    pub(crate) fn changed(&self, owner: &str, since: u64) -> Vec<Arc<Version>> {
        let mut rows: Vec<_> =
            self.all().filter(|v| v.changed > since && v.owner == owner).cloned().collect();
        rows.sort_by_key(|v| (v.changed, v.order));
        rows
    }

    pub(crate) fn add(&mut self, seq: u64, now: u64, id: &str, owner: &str, item: Map<String, Value>) {
        self.added += 1;
        let props = item.keys().map(|k| (k.clone(), seq)).collect();
        let version = Version {
            id: id.to_owned(),
            owner: owner.to_owned(),
            item,
            created: seq,
            changed: seq,
            changed_ms: now,
            props,
            gone: None,
            relations: BTreeMap::new(),
            spans: Vec::new(),
            order: self.added,
        };
        self.rows.insert(id.to_owned(), Arc::new(version));
    }

    /// Replaces the version of a row. `false` if the row does not exist.
    pub(crate) fn change(&mut self, seq: u64, now: u64, id: &str, edit: impl FnOnce(&mut Version)) -> bool {
        let Some(row) = self.rows.get_mut(id) else { return false };
        let version = Arc::make_mut(row);
        version.changed = seq;
        version.changed_ms = now;
        edit(version);
        true
    }

    pub(crate) fn patch(&mut self, seq: u64, now: u64, id: &str, patch: &Map<String, Value>) -> bool {
        self.change(seq, now, id, |v| {
            for (key, value) in patch {
                if v.item.get(key) != Some(value) {
                    v.item.insert(key.clone(), value.clone());
                    v.props.insert(key.clone(), seq);
                }
            }
        })
    }

    pub(crate) fn remove(
        &mut self,
        seq: u64,
        now: u64,
        id: &str,
        reason: &'static str,
        is_silent: bool,
    ) -> bool {
        self.change(seq, now, id, |v| v.gone = Some(Gone { at: seq, reason, is_silent }))
    }

    /// Restores a row, which is then a new one (graph-facts 2.2).
    pub(crate) fn restore(&mut self, seq: u64, now: u64, id: &str) -> bool {
        self.change(seq, now, id, |v| {
            v.gone = None;
            v.created = seq;
        })
    }

    pub(crate) fn set_relation(
        &mut self,
        seq: u64,
        now: u64,
        id: &str,
        relation: &str,
        target: &str,
        is_member: bool,
    ) -> bool {
        self.change(seq, now, id, |v| {
            v.relations.entry(relation.to_owned()).or_default().insert(target.to_owned(), (seq, is_member));
        })
    }
}
