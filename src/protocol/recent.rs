//! Remembers which versions of items a round has received, to detect pages that bring nothing new.

use std::collections::HashSet;

use super::known_ids::hash;

/// The maximum number of versions: more than in any cycle of pages that was observed.
const CAPACITY: usize = 1 << 15;

/// Hashes of the item versions that a round received most recently.
#[derive(Clone, Debug, Default)]
pub struct RecentVersions {
    hashes: HashSet<u64>,
}

impl RecentVersions {
    /// Returns whether this version of the item is new, and remembers it.
    pub fn is_new(&mut self, id: &str, version: &str) -> bool {
        let hash = hash(&(id, version));
        let new = !self.hashes.contains(&hash);
        if new && self.hashes.len() >= CAPACITY {
            // A cycle of pages is then detected one turn later.
            self.hashes.clear();
        }
        self.hashes.insert(hash);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_new_once_even_after_the_set_was_full() {
        let mut versions = RecentVersions::default();
        assert!(
            versions.is_new("a", "1")
                && versions.is_new("a", "2")
                && versions.is_new("a1", "")
                && !versions.is_new("a", "1")
        );
        for n in 0..200_000 {
            let id = n.to_string();
            assert!(versions.is_new(&id, ""), "{n}");
            assert!(!versions.is_new(&id, ""), "{n}");
        }
    }
}
