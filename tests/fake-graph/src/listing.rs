//! The entries of a round, and the form of items.

use crate::clock;
use crate::data;
use crate::options::DuringRound;
use crate::request::{Preferences, Spec};
use crate::response::Failure;
use crate::route::Collection;
use crate::table::{Table, Version};
use crate::world::World;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An entry of a round.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) row: Arc<Version>,
    pub(crate) gone: Option<&'static str>,
    /// The last change that the client has seen; `None` in a full round.
    pub(crate) since: Option<u64>,
    /// The relationships to report, each with its targets and whether each target is in the set.
    pub(crate) relations: Vec<(String, Vec<(String, bool)>)>,
    /// Whether it is a further slice of an item, which must not be on the same page.
    pub(crate) is_slice: bool,
}

fn overlaps(span: (i64, i64), window: (i64, i64)) -> bool {
    let (start, end) = span;
    if start == end { start >= window.0 && start < window.1 } else { start < window.1 && end > window.0 }
}

/// The occurrences and exceptions of every master.
fn occurrences_by_master(table: &Table, owner: &str) -> BTreeMap<String, Vec<Arc<Version>>> {
    let mut out: BTreeMap<String, Vec<Arc<Version>>> = BTreeMap::new();
    for row in table.all().filter(|v| v.owner == owner) {
        let master = row.text("seriesMasterId");
        if !master.is_empty() {
            out.entry(master.to_owned()).or_default().push(Arc::clone(row));
        }
    }
    out
}

/// Whether an event is in the window. A master is in it if one of its occurrences is.
fn is_inside(
    row: &Version,
    occurrences: &BTreeMap<String, Vec<Arc<Version>>>,
    window: (i64, i64),
    at: u64,
) -> bool {
    if row.text("type") != "seriesMaster" {
        return row.span_at(at).is_some_and(|s| overlaps(s, window));
    }
    let exists = row.created <= at && row.gone.is_none_or(|g| g.at > at);
    exists
        && occurrences
            .get(&row.id)
            .is_some_and(|c| c.iter().any(|v| v.span_at(at).is_some_and(|s| overlaps(s, window))))
}

impl World {
    /// The entries of a full round.
    pub(crate) fn full(&self, spec: &Spec) -> Vec<Entry> {
        let Some(table) = self.tables.get(&spec.collection) else { return Vec::new() };
        let rows = table.present(&spec.owner);
        let entry = |row: Arc<Version>| Entry {
            row,
            gone: None,
            since: None,
            relations: Vec::new(),
            is_slice: false,
        };
        match spec.collection {
            Collection::Events => self.full_events(table, rows, spec).into_iter().map(entry).collect(),
            c if c.is_directory() => {
                let mut rows = rows;
                if self.options.removed_in_full {
                    rows.extend(
                        table
                            .changed(&spec.owner, 0)
                            .into_iter()
                            .filter(|v| v.gone.is_some_and(|g| g.reason == "changed")),
                    );
                }
                self.sliced(
                    rows.into_iter().filter(|v| spec.ids.as_ref().is_none_or(|i| i.contains(&v.id))),
                    spec,
                    None,
                )
            }
            _ => {
                let mut rows: Vec<_> = rows.into_iter().filter(|v| in_span(v, spec)).collect();
                if spec.is_newest_first {
                    rows.sort_by_key(|v| std::cmp::Reverse(v.text("receivedDateTime").to_owned()));
                }
                rows.into_iter().map(entry).collect()
            }
        }
    }

    /// The events of a full round: those in the window, by their start.
    pub(crate) fn full_events(
        &self,
        table: &Table,
        rows: Vec<Arc<Version>>,
        spec: &Spec,
    ) -> Vec<Arc<Version>> {
        let window = spec.window.unwrap_or((i64::MIN, i64::MAX));
        let occurrences = occurrences_by_master(table, &spec.owner);
        let mut listed: Vec<Arc<Version>> = rows
            .into_iter()
            .filter(|v| !(v.text("type") == "seriesMaster" && self.options.withhold_masters_full))
            .filter(|v| is_inside(v, &occurrences, window, self.seq))
            .collect();
        // The master precedes its first occurrence.
        let key = |v: &Version| {
            let own = v.span_at(self.seq).map_or(i64::MAX, |s| s.0);
            if v.text("type") != "seriesMaster" {
                return (own, 1);
            }
            let spans = occurrences
                .get(&v.id)
                .into_iter()
                .flatten()
                .filter_map(|c| c.span_at(self.seq))
                .filter(|s| overlaps(*s, window));
            (spans.map(|s| s.0).min().unwrap_or(own), 0)
        };
        listed.sort_by_cached_key(|v| key(v));
        listed
    }

    /// The changes after a point: the entries of an incremental round.
    pub(crate) fn changes(&self, spec: &Spec, since: u64) -> Vec<Entry> {
        let Some(table) = self.tables.get(&spec.collection) else { return Vec::new() };
        let rows = table.changed(&spec.owner, since);
        let entry = |row: Arc<Version>, gone| Entry {
            row,
            gone,
            since: Some(since),
            relations: Vec::new(),
            is_slice: false,
        };
        match spec.collection {
            Collection::Events => self.changed_events(table, rows, spec, since),
            // Graph reports only added recordings, not removed ones (graph-facts 1.1).
            Collection::Recordings => rows
                .into_iter()
                .filter(|v| v.gone.is_none() && v.created > since && in_span(v, spec))
                .map(|v| entry(v, None))
                .collect(),
            Collection::Drive => rows
                .into_iter()
                .filter(|v| !v.gone.is_some_and(|g| g.is_silent))
                .map(|v| {
                    let reason = v.gone.map(|g| g.reason);
                    entry(v, reason)
                })
                .collect(),
            Collection::Messages => rows
                .into_iter()
                .filter(|v| v.gone.is_some() || in_span(v, spec))
                .filter(|v| match spec.change_type.as_deref() {
                    Some("created") => v.gone.is_none() && v.created > since,
                    Some("updated") => v.gone.is_none() && v.created <= since,
                    Some("deleted") => v.gone.is_some(),
                    _ => true,
                })
                .map(|v| {
                    let reason = v.gone.map(|g| g.reason);
                    entry(v, reason)
                })
                .collect(),
            _ => {
                let wanted = rows
                    .into_iter()
                    .filter(|v| spec.ids.as_ref().is_none_or(|i| i.contains(&v.id)))
                    .filter(|v| is_tracked(v, spec, since));
                self.sliced(wanted, spec, Some(since))
            }
        }
    }

    /// The entries of the events among `rows`, and of the masters that come or go with them.
    pub(crate) fn changed_events(
        &self,
        table: &Table,
        rows: Vec<Arc<Version>>,
        spec: &Spec,
        since: u64,
    ) -> Vec<Entry> {
        let window = spec.window.unwrap_or((i64::MIN, i64::MAX));
        let occurrences = occurrences_by_master(table, &spec.owner);
        let mut out: Vec<Entry> = Vec::new();
        let entry = |row: &Arc<Version>, gone| Entry {
            row: Arc::clone(row),
            gone,
            since: Some(since),
            relations: Vec::new(),
            is_slice: false,
        };
        let mut masters: BTreeSet<String> = BTreeSet::new();
        let mut changed_series: BTreeSet<&str> = BTreeSet::new();
        for row in &rows {
            let was_inside = is_inside(row, &occurrences, window, since);
            let is_inside_now = is_inside(row, &occurrences, window, self.seq);
            let is_master = row.text("type") == "seriesMaster";
            if row.gone.is_some_and(|g| g.is_silent) {
                continue;
            }
            changed_series.insert(row.text("seriesMasterId"));
            if is_inside_now {
                if is_master {
                    masters.insert(row.id.clone());
                } else {
                    let master = row.text("seriesMasterId");
                    if !master.is_empty() {
                        masters.insert(master.to_owned());
                    }
                    out.push(entry(row, None));
                }
            } else if was_inside
                || self.options.outside_window_removals
                || self.options.changes_during_round == DuringRound::Both
            {
                // Deleted, moved out of the window, or never in it: the service does not say which
                // (graph-facts 1.3). With `both`, an earlier round may have listed changes after
                // this point.
                out.push(entry(row, Some("deleted")));
            }
        }
        // A master leaves the window with its last occurrence.
        for master in changed_series.iter().filter_map(|id| table.get(id)).filter(|v| v.changed <= since) {
            if is_inside(master, &occurrences, window, since)
                && !is_inside(master, &occurrences, window, self.seq)
            {
                out.push(entry(master, Some("deleted")));
            }
        }
        if !self.options.withhold_masters {
            let known = masters.iter().filter_map(|id| table.get(id)).filter(|v| v.gone.is_none());
            let mut first: Vec<Entry> = known.map(|v| entry(v, None)).collect();
            first.append(&mut out);
            out = first;
        }
        out
    }

    /// Directory rows with their relationships. A row whose targets exceed a slice is repeated
    /// later in the round.
    pub(crate) fn sliced(
        &self,
        rows: impl Iterator<Item = Arc<Version>>,
        spec: &Spec,
        since: Option<u64>,
    ) -> Vec<Entry> {
        let slice = usize::try_from(self.options.members_slice.max(1)).unwrap_or(usize::MAX);
        let (mut out, mut later) = (Vec::new(), Vec::new());
        for row in rows {
            let gone = row.gone.map(|g| g.reason);
            let mut relations = Vec::new();
            for (relation, targets) in
                row.relations.iter().filter(|(r, _)| gone.is_none() && shows_relation(spec, r))
            {
                let is_new = since.is_none_or(|s| row.created > s);
                let wanted = |(at, is_member): &(u64, bool)| {
                    if is_new { *is_member } else { since.is_some_and(|s| *at > s) }
                };
                let list: Vec<(String, bool)> =
                    targets.iter().filter(|(_, t)| wanted(t)).map(|(id, t)| (id.clone(), t.1)).collect();
                if !list.is_empty() {
                    relations.push((relation.clone(), list));
                }
            }
            let mut first = Vec::new();
            for (relation, list) in relations {
                for (n, part) in list.chunks(slice).enumerate() {
                    let part = (relation.clone(), part.to_vec());
                    if n == 0 {
                        first.push(part);
                    } else {
                        later.push((
                            n,
                            Entry {
                                row: Arc::clone(&row),
                                gone: None,
                                since,
                                relations: vec![part],
                                is_slice: true,
                            },
                        ));
                    }
                }
            }
            out.push(Entry { row, gone, since, relations: first, is_slice: false });
        }
        later.sort_by_key(|(n, _)| *n);
        out.extend(later.into_iter().map(|(_, e)| e));
        out
    }

    // ---- items ----

    /// An entry in the form of a response.
    pub(crate) fn render(
        &self,
        spec: &Spec,
        entry: &Entry,
        preferences: &Preferences,
    ) -> Result<Map<String, Value>, Failure> {
        let row = &entry.row;
        let id = if preferences.immutable && spec.collection.is_outlook() {
            data::immutable(&row.id)
        } else {
            row.id.clone()
        };
        let mut out = Map::new();
        if let Some(reason) = entry.gone {
            match spec.collection {
                Collection::Events => {
                    drop(out.insert("@odata.type".to_owned(), "#microsoft.graph.event".into()))
                }
                Collection::Messages => {
                    drop(out.insert("@odata.type".to_owned(), "#microsoft.graph.message".into()))
                }
                Collection::Drive => {
                    // Drives have a `deleted` facet instead of `@removed` (graph-facts 2.2).
                    for facet in ["folder", "file"] {
                        if row.item.contains_key(facet) {
                            out.insert(facet.to_owned(), json!({}));
                        }
                    }
                    let state = if self.options.empty_deleted_facet {
                        json!({})
                    } else {
                        json!({ "state": "deleted" })
                    };
                    out.insert("deleted".to_owned(), state);
                }
                _ => {}
            }
            out.insert("id".to_owned(), id.into());
            if spec.collection != Collection::Drive {
                out.insert("@removed".to_owned(), json!({ "reason": reason }));
            }
            return Ok(out);
        }
        if spec.collection == Collection::Events {
            return self.event(row, preferences, true);
        }
        let selected = |key: &str| spec.select.as_ref().is_none_or(|s| s.iter().any(|k| k == key));
        // With return=minimal an absent property is unchanged, otherwise it was never set
        // (graph-facts 1.2).
        let minimal = preferences.minimal && spec.collection.is_directory();
        let unchanged = |key: &str| {
            minimal
                && entry
                    .since
                    .is_some_and(|s| row.created <= s && row.props.get(key).is_none_or(|at| *at <= s))
        };
        for (key, value) in row.item.iter().filter(|(k, _)| selected(k) && !unchanged(k)) {
            out.insert(key.clone(), value.clone());
        }
        match spec.collection {
            Collection::Messages => {
                out.insert("@odata.type".to_owned(), "#microsoft.graph.message".into());
                out.insert(
                    "@odata.etag".to_owned(),
                    format!("W/\"{}\"", data::change_key(&row.id, row.changed)).into(),
                );
                if self.options.string_booleans {
                    for value in out.values_mut() {
                        if let Some(flag) = value.as_bool() {
                            *value = flag.to_string().into();
                        }
                    }
                }
            }
            Collection::Recordings => {
                drop(out.insert("@odata.type".to_owned(), "#microsoft.graph.callRecording".into()))
            }
            Collection::Drive => {
                drop(out.insert("eTag".to_owned(), format!("\"{},{}\"", row.id, row.changed).into()))
            }
            _ => {}
        }
        for (relation, list) in &entry.relations {
            let targets: Value = list
                .iter()
                .map(|(id, is_member)| {
                    let mut target = json!({ "@odata.type": "#microsoft.graph.user", "id": id });
                    if let (false, Some(map)) = (*is_member, target.as_object_mut()) {
                        map.insert("@removed".to_owned(), json!({ "reason": "deleted" }));
                    }
                    target
                })
                .collect();
            out.insert(format!("{relation}@delta"), targets);
        }
        if selected("id") || !self.options.omit_unselected_id {
            out.insert("id".to_owned(), id.into());
        }
        Ok(out)
    }

    /// An event in the form of a response. With `is_bare`, as in a round, an occurrence has few
    /// properties (graph-facts 1.3).
    pub(crate) fn event(
        &self,
        row: &Version,
        preferences: &Preferences,
        is_bare: bool,
    ) -> Result<Map<String, Value>, Failure> {
        let mut out = row.item.clone();
        if is_bare && row.text("type") == "occurrence" {
            out.retain(|k, _| {
                matches!(k.as_str(), "@odata.type" | "seriesMasterId" | "type" | "start" | "end")
            });
        }
        let key = data::change_key(&row.id, row.changed);
        out.insert("@odata.etag".to_owned(), format!("W/\"{key}\"").into());
        if row.text("type") != "occurrence" {
            out.insert("changeKey".to_owned(), key.into());
        }
        let id = |id: &str| if preferences.immutable { data::immutable(id) } else { id.to_owned() };
        out.insert("id".to_owned(), id(&row.id).into());
        if !row.text("seriesMasterId").is_empty() {
            out.insert("seriesMasterId".to_owned(), id(row.text("seriesMasterId")).into());
        }
        if let Some(zone) = preferences.zone.as_deref().filter(|zone| *zone != "UTC") {
            // Converts only start and end. All-day events stay at midnight.
            let is_all_day = row.item.get("isAllDay").and_then(Value::as_bool).unwrap_or(false);
            for name in ["start", "end"] {
                let at = row
                    .item
                    .get(name)
                    .and_then(|w| w.get("dateTime"))
                    .and_then(Value::as_str)
                    .and_then(clock::parse);
                if let Some(at) = at {
                    let minutes = (self.zone_offset)(zone, at).unwrap_or_default();
                    let shift = if is_all_day { 0 } else { minutes * 60_000 };
                    out.insert(
                        name.to_owned(),
                        json!({ "dateTime": clock::local(at + shift), "timeZone": zone }),
                    );
                }
            }
        }
        Ok(out)
    }

    /// A collection as a full round would list it now, read from the tables instead of by a round.
    pub fn list(
        &self,
        collection: Collection,
        user: Option<&str>,
        part: Option<&str>,
        window: Option<(i64, i64)>,
        immutable: bool,
    ) -> Vec<Value> {
        let user = user.and_then(|u| self.find_user(u)).unwrap_or_else(|| self.me().0.to_owned());
        let owner = match collection {
            Collection::Events => {
                let owner = format!("{user}|{}", part.unwrap_or(""));
                return self.listed_events(&owner, window.unwrap_or((i64::MIN, i64::MAX)), immutable);
            }
            Collection::Messages => format!("{user}|{}", part.unwrap_or("inbox").to_ascii_lowercase()),
            c if c.is_directory() => String::new(),
            _ => user,
        };
        let Some(table) = self.tables.get(&collection) else { return Vec::new() };
        let rows = table.present(&owner).into_iter().map(|v| {
            let mut item = v.item.clone();
            for (relation, targets) in &v.relations {
                let current: Vec<&String> = targets.iter().filter(|(_, t)| t.1).map(|(id, _)| id).collect();
                let value = if relation == "manager" {
                    current.first().map_or(Value::Null, |m| m.as_str().into())
                } else {
                    json!(current)
                };
                item.insert(relation.clone(), value);
            }
            if immutable && collection.is_outlook() {
                item.insert("id".to_owned(), data::immutable(&v.id).into());
            }
            Value::Object(item)
        });
        rows.collect()
    }

    /// The events that a full round would list now, read from the table: tests compare mirrors
    /// with them.
    pub(crate) fn listed_events(&self, owner: &str, window: (i64, i64), immutable: bool) -> Vec<Value> {
        let Some(table) = self.tables.get(&Collection::Events) else { return Vec::new() };
        let occurrences = occurrences_by_master(table, owner);
        let rows = table.present(owner).into_iter();
        let preferences = Preferences { immutable, ..Preferences::default() };
        rows.filter(|v| !(v.text("type") == "seriesMaster" && self.options.withhold_masters_full))
            .filter(|v| is_inside(v, &occurrences, window, self.seq))
            .filter_map(|v| self.event(&v, &preferences, true).ok())
            .map(Value::Object)
            .collect()
    }
}

fn shows_relation(spec: &Spec, relation: &str) -> bool {
    match &spec.select {
        Some(names) => names.iter().any(|n| n == relation),
        // Members are included by default, the manager only with `$select`.
        None => relation == "members",
    }
}

/// Whether a change is listed: with `$select`, only changes of selected properties.
fn is_tracked(row: &Version, spec: &Spec, since: u64) -> bool {
    if row.gone.is_some() || row.created > since {
        return true;
    }
    let related = row
        .relations
        .iter()
        .filter(|(r, _)| shows_relation(spec, r))
        .any(|(_, t)| t.values().any(|(at, _)| *at > since));
    let own = match &spec.select {
        Some(names) => names.iter().any(|n| row.props.get(n).is_some_and(|at| *at > since)),
        None => row.props.values().any(|at| *at > since),
    };
    related || own
}

fn in_span(row: &Version, spec: &Spec) -> bool {
    let name = if spec.collection == Collection::Recordings { "createdDateTime" } else { "receivedDateTime" };
    if spec.after.is_none() && spec.before.is_none() {
        return true;
    }
    let at = clock::parse(row.text(name)).unwrap_or(i64::MAX);
    spec.after.is_none_or(|a| at >= a) && spec.before.is_none_or(|b| at < b)
}
