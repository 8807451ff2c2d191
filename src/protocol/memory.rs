//! The store in memory, which is lost when its process ends. It follows the same rules as every
//! other store.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// The writes of one commit. `V` is a JavaScript value in the shell and JSON in native tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<V> {
    /// The revision that must be stored before the commit, or `None` if no state may be stored.
    pub expect: Option<String>,
    /// The revision of the new state.
    pub revision: String,
    /// The new state record.
    pub state: V,
    /// Rows to write, by id.
    pub put: Vec<(String, V)>,
    /// Ids of rows to delete.
    pub remove: Vec<String>,
}

/// The states and rows of one client.
#[derive(Clone, Debug)]
pub struct Memory<V> {
    /// By key, with their revisions.
    states: HashMap<String, (String, V)>,
    /// By key, then sorted by id.
    rows: HashMap<String, BTreeMap<String, V>>,
}

impl<V> Default for Memory<V> {
    fn default() -> Self {
        Self { states: HashMap::new(), rows: HashMap::new() }
    }
}

impl<V: Clone> Memory<V> {
    /// The state record of a query.
    pub fn load(&self, key: &str) -> Option<V> {
        self.states.get(key).map(|(_, state)| state.clone())
    }

    /// The rows of these ids, in their order.
    pub fn rows(&self, key: &str, ids: &[&str]) -> Vec<Option<V>> {
        let rows = self.rows.get(key);
        ids.iter().map(|id| rows.and_then(|rows| rows.get(*id)).cloned()).collect()
    }

    /// Up to `limit` rows after an id, ordered by id.
    pub fn scan(&self, key: &str, after: Option<&str>, limit: usize) -> Vec<(String, V)> {
        let Some(rows) = self.rows.get(key) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = rows.range::<str, _>((from, Bound::Unbounded)).take(limit);
        rows.map(|(id, row)| (id.clone(), row.clone())).collect()
    }

    /// Writes the whole batch, or nothing. Returns false if another revision is stored.
    pub fn commit(&mut self, key: &str, batch: Batch<V>) -> bool {
        let stored = self.states.get(key).map(|(revision, _)| revision);
        if stored != batch.expect.as_ref() {
            return false;
        }
        let rows = self.rows.entry(key.to_owned()).or_default();
        rows.extend(batch.put);
        for id in batch.remove {
            rows.remove(&id);
        }
        self.states.insert(key.to_owned(), (batch.revision, batch.state));
        true
    }

    /// Deletes every query whose key begins with `prefix`.
    pub fn clear(&mut self, prefix: &str) {
        self.states.retain(|key, _| !key.starts_with(prefix));
        self.rows.retain(|key, _| !key.starts_with(prefix));
    }
}
