//! Tables of hashes, by hand: the standard ones bring 5 KB into the wasm. Without its secret, because whoever could choose ids
//! to collide could send a larger page as well.

/// FNV-1a, 64 bits wide.
fn hash(seed: u64, text: &str) -> u64 {
    text.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

#[allow(clippy::cast_possible_truncation, reason = "any part of a hash will do")]
fn start(hash: u64, slots: usize) -> usize {
    // A plain remainder would bring its panic.
    ((hash ^ (hash >> 32)) as usize).checked_rem(slots).unwrap_or_default()
}

/// Finds an id among entries: at most half full.
pub struct Places {
    /// One more than the place of an entry; 0 where there is none.
    slots: Vec<usize>,
}

impl Places {
    /// For so many entries.
    pub fn new(entries: usize) -> Self {
        Self { slots: vec![0; 2 * entries + 1] }
    }

    /// The place of the entry with this id. A new id gets the place behind the last entry, where it then has to be put.
    pub fn of<T>(&mut self, id: &str, entries: &[(String, T)]) -> usize {
        let mut at = start(hash(BASIS, id), self.slots.len());
        loop {
            let Some(slot) = self.slots.get_mut(at) else {
                at = 0;
                continue;
            };
            match slot.checked_sub(1) {
                None => {
                    *slot = entries.len() + 1;
                    return entries.len();
                }
                Some(place) if entries.get(place).is_some_and(|(other, _)| other == id) => return place,
                Some(_) => at += 1,
            }
        }
    }
}

/// Remembers texts of a round by their hashes, the latest some tens of thousands of them: enough to meet any circle that pages
/// have been seen to go in, in 512 KB that are only taken where something is to be remembered.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// 0 where there is none.
    slots: Vec<u64>,
    used: usize,
}

const SLOTS: usize = 1 << 16;

impl Seen {
    /// Whether these two texts together are met for the first time; from then on they are not.
    pub fn first(&mut self, one: &str, other: &str) -> bool {
        let hash = hash(hash(BASIS, one) ^ 0xff, other).max(1);
        if self.slots.is_empty() {
            self.slots = vec![0; SLOTS];
        }
        let fresh = self.put(hash);
        self.used += usize::from(fresh);
        if 2 * self.used >= SLOTS {
            // It begins anew: the circle is then met a turn later.
            self.slots.fill(0);
            self.used = 1;
            self.put(hash);
        }
        fresh
    }

    fn put(&mut self, hash: u64) -> bool {
        let mut at = start(hash, self.slots.len());
        loop {
            match self.slots.get_mut(at) {
                Some(slot) if *slot == hash => return false,
                Some(slot) if *slot == 0 => {
                    *slot = hash;
                    return true;
                }
                Some(_) => at += 1,
                None => at = 0,
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_ids_has_its_place() {
        let mut places = Places::new(1000);
        let mut entries: Vec<(String, ())> = Vec::new();
        for n in 0..3000 {
            let id = format!("AAMkAD{}=", n % 1000);
            let place = places.of(&id, &entries);
            assert_eq!(place, n % 1000);
            if place == entries.len() {
                entries.push((id, ()));
            }
        }
    }

    #[test]
    fn a_text_is_first_once_also_when_the_table_begins_anew() {
        let mut seen = Seen::default();
        assert!(seen.first("a", "1") && seen.first("a", "2") && seen.first("a1", "") && !seen.first("a", "1"));
        for n in 0..200_000 {
            let text = n.to_string();
            assert!(seen.first(&text, ""), "{n}");
            assert!(!seen.first(&text, ""), "{n}");
        }
    }
}
