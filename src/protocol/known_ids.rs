//! Remembers ids in a few bytes each.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many ids are remembered, in 16 MB.
const CAPACITY: usize = 1 << 20;

/// A set of ids. It may take one for another, which costs a read that finds nothing.
#[derive(Clone, Debug, Default)]
pub struct KnownIds {
    hashes: HashSet<u64>,
}

impl KnownIds {
    /// Whether the set may contain an id. If it does contain it, this is true.
    pub fn may_contain(&self, id: &str) -> bool {
        self.hashes.contains(&hash(id))
    }

    /// Adds ids. Returns false if they are too many: the set does not tell anything then.
    #[must_use]
    pub fn insert<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) -> bool {
        self.hashes.extend(ids.into_iter().map(hash));
        self.hashes.len() <= CAPACITY
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_from_then_on_and_too_many_are_refused() {
        let mut known = KnownIds::default();
        assert!(!known.may_contain("a"));
        assert!(known.insert(["a", "b"]));
        assert!(known.may_contain("a") && known.may_contain("b") && !known.may_contain("c"));
        let many: Vec<String> = (0..=CAPACITY).map(|at| at.to_string()).collect();
        assert!(!known.insert(many.iter().map(String::as_str)));
    }
}
