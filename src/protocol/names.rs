//! Names in a drive: within a folder a name is unique, regardless of case.

use std::collections::{HashMap, HashSet};

use super::item::Item;

/// The folder and the name that no other item of the drive may have, regardless of case. `None`
/// if `$select` leaves out one of them, and for the root.
pub fn name_key<I: Item>(item: &I) -> Option<(String, String)> {
    let parent = item.get("parentReference")?.string_property("id")?;
    Some((parent, item.get("name")?.as_lowercase()?))
}

/// When a row arrived: the number of its round, and its position in the round.
pub type Arrival = (u32, u32);

/// The names of all rows of a drive.
#[derive(Default)]
pub struct NameIndex {
    /// The rows of each name, with their arrival.
    names: HashMap<(String, String), Vec<(String, Arrival)>>,
    /// The rows of each folder, with their arrival.
    children: HashMap<String, Vec<(String, Arrival)>>,
}

/// Rows whose names other rows have taken, and everything below them.
pub struct Displaced {
    /// The ids of these rows.
    pub ids: HashSet<String>,
    /// Whether anything is below them. If such a folder was only renamed, Graph reports that later,
    /// without its content.
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
