//! Remembers ids by their hashes, to skip reads of rows that do not exist.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The maximum number of ids. Their hashes take up to 19 MB.
pub const CAPACITY: usize = 1 << 20;

/// A set of ids by their hashes. A collision only costs a read that finds nothing.
#[derive(Clone, Debug, Default)]
pub struct KnownIds {
    hashes: HashSet<u64>,
}

impl KnownIds {
    /// Whether the set may contain an id. Never false for an id that was inserted.
    pub fn may_contain(&self, id: &str) -> bool {
        self.hashes.contains(&hash(id))
    }

    /// Adds ids. Returns false if the set is full and can no longer be used.
    #[must_use]
    pub fn insert<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) -> bool {
        self.hashes.extend(ids.into_iter().map(hash));
        self.hashes.len() <= CAPACITY
    }
}

/// The hash of a value, the same in each call.
pub fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inserted_id_is_known_and_too_many_ids_are_refused() {
        let mut known = KnownIds::default();
        assert!(!known.may_contain("a"));
        assert!(known.insert(["a", "b"]));
        assert!(known.may_contain("a") && known.may_contain("b") && !known.may_contain("c"));
        let many: Vec<String> = (0..=CAPACITY).map(|at| at.to_string()).collect();
        assert!(!known.insert(many.iter().map(String::as_str)));
    }
}
