//! Edits whose removals Graph does not report: the removed rows vanish without `@removed`.

use crate::clock;
use crate::clock::DAY;
use crate::data::{self, Item};
use crate::edits::span_of;
use crate::route::Collection;
use crate::world::World;
use serde_json::{Value, json};

impl World {
    /// Moves a series by a day. Its occurrences get new ids, and the old ones vanish without
    /// `@removed` (graph-facts 9.4). Exceptions stay.
    pub(crate) fn move_series(&mut self, master: &str, now: u64) -> Result<Vec<String>, String> {
        let missing = || format!("there is no series {master}");
        let table = self.tables.get(&Collection::Events).ok_or_else(missing)?;
        let row = table.get(master).filter(|row| row.gone.is_none()).cloned().ok_or_else(missing)?;
        let a_day_later = |item: &Item, name: &str| -> Option<i64> {
            Some(item.get(name)?.get("dateTime")?.as_str().and_then(clock::parse)? + DAY)
        };
        let mut patch = Item::new();
        for name in ["start", "end"] {
            patch.insert(name.to_owned(), data::when(a_day_later(&row.item, name).ok_or_else(missing)?));
        }
        let mut recurrence = row.item.get("recurrence").cloned().unwrap_or(Value::Null);
        if let (Some(range), Some(start)) = (recurrence.get_mut("range"), a_day_later(&row.item, "start")) {
            let date = clock::bare(start).split('T').next().unwrap_or("").to_owned();
            range["startDate"] = json!(date);
        }
        patch.insert("recurrence".to_owned(), recurrence);
        let stamp = clock::stamp(i64::try_from(now).unwrap_or(0));
        patch.insert("lastModifiedDateTime".to_owned(), stamp.into());
        let old: Vec<_> =
            self.children_of(master).into_iter().filter(|row| row.text("type") == "occurrence").collect();
        let moved: Item = row.item.clone().into_iter().chain(patch.clone()).collect();
        self.patch_row(Collection::Events, master, &patch, now);
        self.set_span(master, span_of(&moved));
        let mut ids = vec![master.to_owned()];
        for occurrence in old {
            self.vanish(Collection::Events, &occurrence.id, now);
            if let (Some(start), Some(end)) =
                (a_day_later(&occurrence.item, "start"), a_day_later(&occurrence.item, "end"))
            {
                ids.push(self.put_occurrence(master, start, end, now));
            }
        }
        Ok(ids)
    }

    /// Deletes a file or a folder and makes it again under the same name. Only the new one is
    /// reported (graph-facts 9.5 and 9.6).
    pub(crate) fn replace_drive_item(&mut self, id: &str, now: u64) -> Result<Vec<String>, String> {
        let missing = || format!("there is no {id} in drive");
        let table = self.tables.get(&Collection::Drive).ok_or_else(missing)?;
        let row = table.get(id).filter(|row| row.gone.is_none()).cloned().ok_or_else(missing)?;
        for id in self.with_content(id, &row.owner) {
            self.vanish(Collection::Drive, &id, now);
        }
        let new = self.drive_id();
        let mut item = row.item.clone();
        item.remove("id");
        self.put(Collection::Drive, &row.owner, &new, item, now);
        Ok(vec![new])
    }

    fn vanish(&mut self, collection: Collection, id: &str, now: u64) {
        self.remove_row(collection, id, "deleted", true, now);
    }
}
