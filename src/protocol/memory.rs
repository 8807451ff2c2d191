//! A store that ends with its process: states and rows in memory, under the same rules as every other store.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// What one commit writes. `V` is a JavaScript value in the shell, and JSON in native tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<V> {
    /// The revision that must be stored now; none if nothing is.
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
    queries: HashMap<String, Stored<V>>,
}

#[derive(Clone, Debug)]
struct Stored<V> {
    revision: String,
    state: V,
    rows: BTreeMap<String, V>,
}

impl<V> Default for Memory<V> {
    fn default() -> Self {
        Self { queries: HashMap::new() }
    }
}

impl<V: Clone> Memory<V> {
    /// The state of a query.
    pub fn load(&self, key: &str) -> Option<V> {
        self.queries.get(key).map(|stored| stored.state.clone())
    }

    /// The rows of these ids, in their order.
    pub fn rows(&self, key: &str, ids: &[&str]) -> Vec<Option<V>> {
        let rows = self.queries.get(key).map(|stored| &stored.rows);
        ids.iter().map(|id| rows?.get(*id).cloned()).collect()
    }

    /// At most `limit` rows after an id, in the order of their ids.
    pub fn scan(&self, key: &str, after: Option<&str>, limit: usize) -> Vec<(String, V)> {
        let Some(stored) = self.queries.get(key) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        stored.rows.range::<str, _>((from, Bound::Unbounded)).take(limit).map(|(id, row)| (id.clone(), row.clone())).collect()
    }

    /// Writes a batch, all of it or nothing. False if another revision is stored.
    pub fn commit(&mut self, key: &str, batch: Batch<V>) -> bool {
        let stored = self.queries.get(key).map(|stored| &stored.revision);
        if stored != batch.expect.as_ref() {
            return false;
        }
        let Batch { revision, state, put, remove, .. } = batch;
        let mut rows = self.queries.remove(key).map(|stored| stored.rows).unwrap_or_default();
        rows.extend(put);
        for id in &remove {
            rows.remove(id);
        }
        self.queries.insert(key.to_owned(), Stored { revision, state, rows });
        true
    }

    /// Deletes every query whose key begins with `prefix`.
    pub fn clear(&mut self, prefix: &str) {
        self.queries.retain(|key, _| !key.starts_with(prefix));
    }
}
