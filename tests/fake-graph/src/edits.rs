//! Edits the tables of a world. Independent of rounds and links.

use crate::clock;
use crate::data::{self, Item};
use crate::event_times::{is_all_day, zone_of};
use crate::fields::{self, COUNT, Kind, Properties};
use crate::route::Collection;
use crate::world::World;
use serde_json::{Map, Value, json};

/// The properties of an edit.
const PROPERTIES: &Properties = &[
    ("collection", Kind::Text),
    ("op", Kind::Text),
    ("id", Kind::Text),
    ("item", Kind::Object),
    ("patch", Kind::Object),
    ("calendar", Kind::Text),
    ("user", Kind::Text),
    ("folder", Kind::Text),
    ("count", COUNT),
    ("every_days", COUNT),
];

pub(crate) fn span_of(item: &Item) -> Option<(i64, i64)> {
    let at = |name: &str| item.get(name)?.get("dateTime")?.as_str().and_then(clock::parse);
    Some((at("start")?, at("end")?))
}

fn text<'a>(edit: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    edit.get(name).and_then(Value::as_str)
}

impl World {
    fn bump(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn put(&mut self, collection: Collection, owner: &str, id: &str, mut item: Item, now: u64) {
        item.insert("id".to_owned(), id.into());
        let seq = self.bump();
        self.tables.entry(collection).or_default().add(seq, now, id, owner, item);
    }

    pub(crate) fn relate(
        &mut self,
        collection: Collection,
        id: &str,
        relation: &str,
        target: &str,
        is_member: bool,
        now: u64,
    ) -> bool {
        let seq = self.bump();
        self.tables.entry(collection).or_default().set_relation(seq, now, id, relation, target, is_member)
    }

    // ---- events ----

    pub(crate) fn put_event(&mut self, owner: &str, id: Option<&str>, item: Item, now: u64) -> String {
        let id = id.map_or_else(|| data::outlook_id(&mut self.rng), str::to_owned);
        let span = span_of(&item);
        self.put(Collection::Events, owner, &id, item, now);
        self.set_span(&id, span);
        id
    }

    pub(crate) fn set_span(&mut self, id: &str, span: Option<(i64, i64)>) {
        let seq = self.seq;
        if let (Some((start, end)), Some(table)) = (span, self.tables.get_mut(&Collection::Events)) {
            let now = table.get(id).map_or(0, |v| v.changed_ms);
            table.change(seq, now, id, |v| v.spans.push((seq, start, end)));
        }
    }

    pub(crate) fn put_occurrence(&mut self, master: &str, start: i64, end: i64, now: u64) -> String {
        let owner = self
            .tables
            .get(&Collection::Events)
            .and_then(|t| t.get(master))
            .map(|v| v.owner.clone())
            .unwrap_or_default();
        let item = json!({
            "@odata.type": "#microsoft.graph.event", "type": "occurrence", "seriesMasterId": master,
            "start": data::when(start), "end": data::when(end),
        });
        self.put_event(&owner, None, item.as_object().cloned().unwrap_or_default(), now)
    }

    /// Adds an event. A master with `count` gets that many occurrences, `every_days` apart.
    fn add_event(&mut self, edit: &Map<String, Value>, user: &str, now: u64) -> Result<Vec<String>, String> {
        let calendar = text(edit, "calendar").unwrap_or("");
        let owner = format!("{user}|{calendar}");
        self.parts.insert(owner.clone());
        let me = self.person(user);
        let today = i64::try_from(now).unwrap_or(0);
        let mut rng = self.rng.fork();
        let mut item = data::meeting(&mut rng, &me, today);
        let given = edit.get("item").and_then(Value::as_object);
        let zone = |name: &str| given.and_then(|item| zone_of(item.get(name)));
        if let Some(given) = given {
            if let Some((start, end)) = span_of(&item) {
                // A given item has no random properties except the time and identifiers.
                item = data::event(&mut self.rng, &me, "New event", start, end, today);
            }
            for (time, original) in [("start", "originalStartTimeZone"), ("end", "originalEndTimeZone")] {
                if let Some(zone) = zone(time) {
                    item.insert(original.to_owned(), zone.into());
                }
            }
            for (key, value) in given {
                let value = match key.as_str() {
                    "start" | "end" => self.stored_time(key, value, is_all_day(given))?,
                    "id" | "count" | "every_days" => continue,
                    _ => value.clone(),
                };
                item.insert(key.clone(), value);
            }
        }
        let (start, end) = span_of(&item).ok_or("an event must have start and end")?;
        if end < start {
            return Err("an event must not end before it starts".to_owned());
        }
        let is_series = item.get("type").and_then(Value::as_str) == Some("seriesMaster");
        let number = |name: &str| {
            edit.get("item").and_then(|i| i.get(name)).or(edit.get(name)).and_then(Value::as_i64)
        };
        let count = number("count").unwrap_or(5);
        let every = number("every_days").unwrap_or(1).max(1);
        let zone_of_dates = |name: &str| zone(name).filter(|_| !is_all_day(&item)).unwrap_or("UTC");
        let (start_zone, end_zone) = (zone_of_dates("start"), zone_of_dates("end"));
        if is_series && item.get("recurrence").is_none_or(Value::is_null) {
            let date = clock::bare(self.local_in(start_zone, start));
            let mut recurrence = json!({
                "pattern": { "type": "daily", "interval": every },
                "range": {
                    "type": "numbered", "startDate": date.split('T').next(), "numberOfOccurrences": count,
                },
            });
            let range = recurrence.get_mut("range").and_then(Value::as_object_mut);
            if let (Some(zone), Some(range)) = (zone("start"), range) {
                range.insert("recurrenceTimeZone".to_owned(), zone.into());
            }
            item.insert("recurrence".to_owned(), recurrence);
        }
        let id = self.put_event(&owner, edit_id(edit), item, now);
        let mut ids = vec![id.clone()];
        if is_series {
            for n in 0..count {
                let first = self.days_later(start_zone, start, n * every);
                let last = self.days_later(end_zone, end, n * every);
                ids.push(self.put_occurrence(&id, first, last, now));
            }
        }
        Ok(ids)
    }

    /// Edits an event. An occurrence becomes an exception with all properties. Editing a master
    /// changes its occurrences too.
    pub(crate) fn patch_event(&mut self, id: &str, mut patch: Item, now: u64) -> bool {
        let Some(row) = self
            .tables
            .get(&Collection::Events)
            .and_then(|t| t.get(id))
            .filter(|v| v.gone.is_none())
            .cloned()
        else {
            return false;
        };
        let mut whole = row.item.clone();
        if row.text("type") == "occurrence" {
            let master = self
                .tables
                .get(&Collection::Events)
                .and_then(|t| t.get(row.text("seriesMasterId")))
                .map(|v| v.item.clone());
            for (key, value) in master.unwrap_or_default() {
                if !matches!(key.as_str(), "id" | "recurrence")
                    && !patch.contains_key(&key)
                    && !whole.contains_key(&key)
                {
                    patch.insert(key, value);
                }
            }
            patch.insert("type".to_owned(), "exception".into());
            patch.insert("recurrence".to_owned(), Value::Null);
        }
        patch.insert("lastModifiedDateTime".to_owned(), clock::stamp(i64::try_from(now).unwrap_or(0)).into());
        whole.extend(patch.clone());
        let (before, after) = (span_of(&row.item), span_of(&whole));
        let seq = self.bump();
        if let Some(table) = self.tables.get_mut(&Collection::Events) {
            table.patch(seq, now, id, &patch);
        }
        self.set_span(id, after);
        if row.text("type") == "seriesMaster" {
            let shift = match (before, after) {
                (Some(b), Some(a)) => (a.0 - b.0, a.1 - b.1),
                _ => (0, 0),
            };
            self.touch_children(id, shift, now);
        }
        true
    }

    pub(crate) fn children_of(&self, master: &str) -> Vec<std::sync::Arc<crate::table::Version>> {
        let Some(table) = self.tables.get(&Collection::Events) else { return Vec::new() };
        table.all().filter(|v| v.gone.is_none() && v.text("seriesMasterId") == master).cloned().collect()
    }

    fn touch_children(&mut self, master: &str, shift: (i64, i64), now: u64) {
        for child in self.children_of(master) {
            let seq = self.bump();
            let moved = span_of(&child.item)
                .filter(|_| shift != (0, 0) && child.text("type") == "occurrence")
                .map(|(s, e)| (s + shift.0, e + shift.1));
            if let Some(table) = self.tables.get_mut(&Collection::Events) {
                table.change(seq, now, &child.id, |v| {
                    if let Some((start, end)) = moved {
                        v.item.insert("start".to_owned(), data::when(start));
                        v.item.insert("end".to_owned(), data::when(end));
                        v.spans.push((seq, start, end));
                    }
                });
            }
        }
    }

    // ---- drive ----

    fn folders(&self, user: &str) -> Vec<String> {
        let rows = self.tables.get(&Collection::Drive).map(|t| t.present(user)).unwrap_or_default();
        rows.iter().filter(|v| v.item.contains_key("folder")).map(|v| v.id.clone()).collect()
    }

    pub(crate) fn drive_id(&mut self) -> String {
        format!("01FAKE{}", self.rng.text(28).to_uppercase().replace(['-', '_'], "7"))
    }

    /// The ids of an item and of everything below it, a folder before its content, as Graph reports
    /// them (graph-facts 7 anomaly 16).
    pub(crate) fn with_content(&self, id: &str, owner: &str) -> Vec<String> {
        let mut ids = vec![id.to_owned()];
        let rows = self.tables.get(&Collection::Drive).map(|t| t.present(owner)).unwrap_or_default();
        let mut at = 0;
        while let Some(parent) = ids.get(at).cloned() {
            let inside = |v: &&std::sync::Arc<crate::table::Version>| {
                v.item.get("parentReference").and_then(|p| p.get("id")).and_then(Value::as_str)
                    == Some(&parent)
            };
            ids.extend(rows.iter().filter(inside).map(|v| v.id.clone()));
            at += 1;
        }
        ids
    }

    pub(crate) fn patch_row(&mut self, collection: Collection, id: &str, patch: &Item, now: u64) {
        let seq = self.bump();
        if let Some(table) = self.tables.get_mut(&collection) {
            table.patch(seq, now, id, patch);
        }
    }

    pub(crate) fn remove_row(
        &mut self,
        collection: Collection,
        id: &str,
        reason: &'static str,
        is_silent: bool,
        now: u64,
    ) {
        let seq = self.bump();
        if let Some(table) = self.tables.get_mut(&collection) {
            table.remove(seq, now, id, reason, is_silent);
        }
    }

    /// Adds a file or a folder to one of the folders, or the root if there is none.
    pub(crate) fn add_drive(&mut self, user: &str, folders: &[String], folder: bool, now: u64) -> String {
        let id = self.drive_id();
        let at = self.rng.index(folders.len());
        let parent = folders.get(at).cloned().unwrap_or_default();
        let mut rng = self.rng.fork();
        let mut item =
            data::drive_item(&mut rng, &parent, folder || parent.is_empty(), i64::try_from(now).unwrap_or(0));
        if parent.is_empty() {
            item.insert("name".to_owned(), "root".into());
            item.insert("root".to_owned(), json!({}));
            item.remove("parentReference");
        }
        self.unique_name(user, &id, &mut item);
        self.put(Collection::Drive, user, &id, item, now);
        id
    }

    /// Names are unique in a folder, regardless of case: changes a name that another item has.
    fn unique_name(&self, owner: &str, id: &str, item: &mut Item) {
        let key = |item: &Item| {
            let parent = item.get("parentReference").and_then(|parent| parent.get("id")).cloned();
            (parent, item.get("name").and_then(Value::as_str).map(str::to_lowercase))
        };
        let rows = self.tables.get(&Collection::Drive).map(|t| t.present(owner)).unwrap_or_default();
        let taken: Vec<_> = rows.iter().filter(|row| row.id != id).map(|row| key(&row.item)).collect();
        for number in 2.. {
            if !taken.contains(&key(item)) {
                return;
            }
            let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
            item.insert("name".to_owned(), format!("{number} {name}").into());
        }
    }

    // ---- the edits of the control API ----

    /// Applies edits up to the first invalid one. Returns the ids of the changed items.
    pub fn edit(&mut self, edits: &Value, now_ms: u64) -> Result<Vec<String>, String> {
        let one = [edits.clone()];
        let list = edits.as_array().map_or(one.as_slice(), Vec::as_slice);
        let mut ids = Vec::new();
        for edit in list {
            let edit = edit.as_object().ok_or("an edit must be an object")?;
            ids.extend(self.edit_one(edit, now_ms)?);
        }
        Ok(ids)
    }

    fn edit_one(&mut self, edit: &Map<String, Value>, now: u64) -> Result<Vec<String>, String> {
        fields::check("an edit", edit, PROPERTIES)?;
        let name = text(edit, "collection").unwrap_or("");
        let collection = Collection::named(name).ok_or_else(|| Collection::unknown(name))?;
        let user = match text(edit, "user") {
            Some(user) => self.account_or_new(user),
            None => self.me().0.to_owned(),
        };
        let folder = text(edit, "folder").unwrap_or("inbox").to_ascii_lowercase();
        let owner = match collection {
            Collection::Events => format!("{user}|{}", text(edit, "calendar").unwrap_or("")),
            Collection::Messages => format!("{user}|{folder}"),
            c if c.is_directory() => String::new(),
            _ => user.clone(),
        };
        match text(edit, "op").unwrap_or("") {
            "add" => self.add(collection, edit, &user, &owner, now),
            "random" => {
                let count = edit.get("count").and_then(Value::as_u64).unwrap_or(1);
                let mut ids = Vec::new();
                for _ in 0..count {
                    let number = self.rng.below(10);
                    let op = match (collection, number) {
                        (Collection::Recordings, _) | (_, 0..=3) => "add",
                        (_, 4..=7) => "edit",
                        _ => "remove",
                    };
                    let mut one = edit.clone();
                    one.retain(|k, _| matches!(k.as_str(), "collection" | "calendar" | "user" | "folder"));
                    one.insert("op".to_owned(), op.into());
                    ids.extend(self.edit_one(&one, now).unwrap_or_default());
                }
                Ok(ids)
            }
            op => {
                let id = match edit_id(edit) {
                    Some(id) => id.to_owned(),
                    None => self
                        .any(collection, &owner, op == "restore")
                        .ok_or_else(|| format!("there is nothing to {op} in {name}"))?,
                };
                self.change(op, collection, &id, edit, now)
            }
        }
    }

    fn any(&mut self, collection: Collection, owner: &str, gone: bool) -> Option<String> {
        let table = self.tables.get(&collection)?;
        let rows: Vec<String> = if gone {
            table
                .all()
                .filter(|v| v.gone.is_some_and(|g| g.reason == "changed") && v.owner == owner)
                .map(|v| v.id.clone())
                .collect()
        } else {
            table
                .present(owner)
                .iter()
                .filter(|v| !v.item.contains_key("root"))
                .map(|v| v.id.clone())
                .collect()
        };
        let at = self.rng.index(rows.len());
        rows.get(at).cloned()
    }

    fn add(
        &mut self,
        collection: Collection,
        edit: &Map<String, Value>,
        user: &str,
        owner: &str,
        now: u64,
    ) -> Result<Vec<String>, String> {
        if let Some(id) = edit_id(edit)
            && self.tables.get(&collection).and_then(|t| t.get(id)).is_some_and(|v| v.gone.is_none())
        {
            return Err(format!("{id} is already in {}", collection.name()));
        }
        let given = edit.get("item").and_then(Value::as_object).cloned();
        let at = i64::try_from(now).unwrap_or(0);
        let mut rng = self.rng.fork();
        let (id, made) = match collection {
            Collection::Events => return self.add_event(edit, user, now),
            Collection::Drive if given.is_none() => {
                let (folders, folder) = (self.folders(user), self.rng.chance(30));
                return Ok(vec![self.add_drive(user, &folders, folder, now)]);
            }
            Collection::Drive => {
                (format!("01FAKE{}", rng.text(28).to_uppercase().replace(['-', '_'], "7")), Map::new())
            }
            Collection::Contacts => (rng.guid(), data::contact(&mut rng)),
            Collection::Users => (rng.guid(), data::user(&mut rng, None)),
            Collection::Groups => (rng.guid(), data::group(&mut rng)),
            Collection::Recordings => {
                let length = data::recording_length(&mut rng);
                data::recording(&mut rng, user, &self.tenant, &self.root, (at, at + length))
            }
            Collection::Messages => {
                self.parts.insert(owner.to_owned());
                (data::outlook_id(&mut rng), data::message(&mut rng, &self.person(user), at))
            }
        };
        let id = edit_id(edit).map_or(id, str::to_owned);
        // A given item has only the given properties.
        let mut item = match (given, collection) {
            (Some(given), Collection::Recordings) => made.into_iter().chain(given).collect(),
            (Some(given), _) => given,
            (None, _) => made,
        };
        let relations = take_relations(&mut item);
        self.put(collection, owner, &id, item, now);
        self.apply_relations(collection, &id, relations, now)?;
        Ok(vec![id])
    }

    fn change(
        &mut self,
        op: &str,
        collection: Collection,
        id: &str,
        edit: &Map<String, Value>,
        now: u64,
    ) -> Result<Vec<String>, String> {
        let missing = || format!("there is no {id} in {}", collection.name());
        let row = self.tables.get(&collection).and_then(|t| t.get(id)).cloned().ok_or_else(missing)?;
        match op {
            "edit" => {
                let mut patch = match edit.get("patch").and_then(Value::as_object) {
                    Some(patch) => patch.clone(),
                    None => data::touch(&mut self.rng, collection.name()),
                };
                if row.gone.is_some() {
                    return Err(missing());
                }
                if collection == Collection::Events {
                    self.store_times(&row, &mut patch)?;
                    return if self.patch_event(id, patch, now) {
                        Ok(vec![id.to_owned()])
                    } else {
                        Err(missing())
                    };
                }
                if collection == Collection::Drive {
                    let mut whole: Item = row.item.clone().into_iter().chain(patch.clone()).collect();
                    self.unique_name(&row.owner, id, &mut whole);
                    if patch.contains_key("name") {
                        patch.insert("name".to_owned(), whole.get("name").cloned().unwrap_or(Value::Null));
                    }
                }
                let relations = take_relations(&mut patch);
                let seq = self.bump();
                if let Some(table) = self.tables.get_mut(&collection) {
                    table.patch(seq, now, id, &patch);
                }
                self.apply_relations(collection, id, relations, now)?;
                Ok(vec![id.to_owned()])
            }
            "remove" | "soft-remove" => {
                let reason = if op == "remove" { "deleted" } else { "changed" };
                if op == "soft-remove" && !collection.is_directory() {
                    return Err(format!("{} cannot be soft-deleted", collection.name()));
                }
                if row.gone.is_some_and(|g| g.reason == reason || g.reason == "deleted") {
                    return Err(missing());
                }
                let is_silent = self.options.silent_occurrence_delete
                    && matches!(row.text("type"), "occurrence" | "exception");
                let mut ids = vec![id.to_owned()];
                if row.text("type") == "seriesMaster" {
                    ids.extend(self.children_of(id).iter().map(|v| v.id.clone()));
                }
                if collection == Collection::Drive {
                    ids = self.with_content(id, &row.owner);
                }
                for id in &ids {
                    self.remove_row(collection, id, reason, is_silent, now);
                }
                Ok(ids)
            }
            "move" if collection == Collection::Events => {
                let master = match row.text("seriesMasterId") {
                    "" => id,
                    master => master,
                };
                self.move_series(master, now)
            }
            "replace" if collection == Collection::Drive => self.replace_drive_item(id, now),
            "restore" => {
                let seq = self.bump();
                match row.gone {
                    Some(gone) if gone.reason == "changed" => {
                        if let Some(table) = self.tables.get_mut(&collection) {
                            table.restore(seq, now, id);
                        }
                        Ok(vec![id.to_owned()])
                    }
                    _ => Err(format!("{id} cannot be restored")),
                }
            }
            _ => Err(format!("there is no op {op:?}")),
        }
    }

    fn apply_relations(
        &mut self,
        collection: Collection,
        id: &str,
        relations: Vec<(String, Value)>,
        now: u64,
    ) -> Result<(), String> {
        for (relation, value) in relations {
            let standing: Vec<String> = self
                .tables
                .get(&collection)
                .and_then(|t| t.get(id))
                .and_then(|v| v.relations.get(&relation))
                .map(|l| l.iter().filter(|(_, t)| t.1).map(|(k, _)| k.clone()).collect())
                .unwrap_or_default();
            let list = |value: &Value| -> Vec<String> {
                value
                    .as_array()
                    .map(|a| a.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                    .unwrap_or_default()
            };
            let (add, remove) = match &value {
                Value::Object(change) => (
                    change.get("add").map(list).unwrap_or_default(),
                    change.get("remove").map(list).unwrap_or_default(),
                ),
                Value::Array(_) => {
                    let all = list(&value);
                    (all.clone(), standing.iter().filter(|s| !all.contains(s)).cloned().collect())
                }
                Value::String(one) => {
                    (vec![one.clone()], standing.iter().filter(|s| *s != one).cloned().collect())
                }
                Value::Null => (Vec::new(), standing.clone()),
                _ => return Err(format!("{relation} must be an array, an id, null or {{add, remove}}")),
            };
            for target in remove {
                self.relate(collection, id, &relation, &target, false, now);
            }
            for target in add.iter().filter(|a| !standing.contains(a)) {
                self.relate(collection, id, &relation, target, true, now);
            }
        }
        Ok(())
    }
}

fn edit_id(edit: &Map<String, Value>) -> Option<&str> {
    text(edit, "id").or_else(|| edit.get("item").and_then(|i| i.get("id")).and_then(Value::as_str))
}

fn take_relations(item: &mut Item) -> Vec<(String, Value)> {
    ["members", "manager"].iter().filter_map(|r| item.remove(*r).map(|v| ((*r).to_owned(), v))).collect()
}
