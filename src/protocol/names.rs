//! Names in a drive: within a folder a name is unique, regardless of case.

use std::collections::{HashMap, HashSet};

use super::item::Item;
use super::known_ids::{CAPACITY, hash};

/// The folder and the name that no other item of the drive may have, regardless of case. `None`
/// if `$select` leaves out one of them, and for the root.
pub fn name_key<I: Item>(item: &I) -> Option<(String, String)> {
    let parent = item.get("parentReference")?.string_property("id")?;
    Some((parent, item.get("name")?.as_lowercase()?))
}

/// The names of all rows of a drive, as hashes: shows whether two rows of a folder have the same
/// name, without reading the mirror. A name is hashed together with its folder. Two names with the
/// same hash count as one; the mirror is then read to check.
#[derive(Clone, Debug, Default)]
pub struct KnownNames {
    /// The folder and name of each row, by its id.
    rows: HashMap<u64, u64>,
    /// How many rows have each folder and name.
    names: HashMap<u64, u32>,
    /// How many of these have more than one row.
    shared: usize,
}

impl KnownNames {
    /// Records that a row was written.
    pub fn put<I: Item>(&mut self, id: &str, item: &I) {
        self.remove(id);
        let Some(key) = name_key(item) else { return };
        let name = hash(&key);
        self.rows.insert(hash(id), name);
        let count = self.names.entry(name).or_default();
        *count += 1;
        self.shared += usize::from(*count == 2);
    }

    /// Records that a row was deleted.
    pub fn remove(&mut self, id: &str) {
        let Some(name) = self.rows.remove(&hash(id)) else { return };
        let Some(count) = self.names.get_mut(&name) else { return };
        *count -= 1;
        self.shared -= usize::from(*count == 1);
        if *count == 0 {
            self.names.remove(&name);
        }
    }

    /// Whether no two rows of a folder have the same name.
    pub fn are_unique(&self) -> bool {
        self.shared == 0
    }

    /// Whether there are more names than are kept between rounds.
    pub fn are_too_many(&self) -> bool {
        self.rows.len() > CAPACITY
    }
}

/// When a row arrived: the number of its round, and its position in the round.
pub type Arrival = (u32, u32);

/// The names of all rows of a drive.
#[derive(Default)]
pub struct NameIndex {
    /// The rows of each folder and name, with their arrival.
    names: HashMap<(String, String), Vec<(String, Arrival)>>,
    /// The rows of each folder, with their arrival.
    children: HashMap<String, Vec<(String, Arrival)>>,
}

/// Rows whose names other rows have taken, and everything below them.
pub struct Displaced {
    /// The ids of these rows.
    pub ids: HashSet<String>,
    /// Whether one of them is a folder with content. If that folder was only renamed, Graph
    /// reports its new name later, but not its content.
    pub has_content: bool,
}

impl NameIndex {
    /// Adds a row.
    pub fn add<I: Item>(&mut self, id: &str, item: &I, arrival: Arrival) {
        let Some(key) = name_key(item) else { return };
        let entry = (id.to_owned(), arrival);
        self.children.entry(key.0.clone()).or_default().push(entry.clone());
        self.names.entry(key).or_default().push(entry);
    }

    /// All displaced rows and everything below them.
    pub fn displaced(&self) -> Displaced {
        let mut displaced = HashSet::new();
        let mut has_content = false;
        for rows in self.names.values().filter(|rows| rows.len() > 1) {
            let Some((_, last)) = rows.iter().max_by_key(|(_, arrival)| *arrival) else { continue };
            let mut pending: Vec<&str> = Vec::new();
            for (id, arrival) in rows {
                if arrival < last && displaced.insert(id.clone()) {
                    pending.push(id);
                }
            }
            while let Some(folder) = pending.pop() {
                for (id, arrival) in self.children.get(folder).into_iter().flatten() {
                    if arrival < last && displaced.insert(id.clone()) {
                        has_content = true;
                        pending.push(id);
                    }
                }
            }
        }
        Displaced { ids: displaced, has_content }
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn file(parent: &str, name: &str) -> Value {
        json!({ "name": name, "parentReference": { "id": parent } })
    }

    #[test]
    fn names_are_unique_until_two_rows_of_a_folder_share_one_regardless_of_case() {
        let mut names = KnownNames::default();
        names.put("1", &file("a", "report"));
        names.put("2", &file("b", "report"));
        names.put("3", &json!({ "name": "report" }));
        assert!(names.are_unique());
        names.put("4", &file("a", "Report"));
        names.put("5", &file("a", "REPORT"));
        assert!(!names.are_unique());
        names.put("4", &file("a", "another"));
        assert!(!names.are_unique());
        names.remove("1");
        names.remove("1");
        assert!(names.are_unique());
        names.put("5", &file("a", "report"));
        assert!(names.are_unique(), "the same row again");
    }
}
