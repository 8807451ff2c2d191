//! Recurring events: series masters, and occurrences completed from them.
//!
//! Graph lists an occurrence without the properties that it shares with its series. Its master is
//! listed too, or the round fetches it separately and stores it in a side row, which readers do not
//! see as an item.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::item::Item;
use super::time::{Duration, Instant, parse_iso};

/// The property of an occurrence that names its series.
const MASTER: &str = "seriesMasterId";

/// The first character of the id of a side row.
const SIDE: char = '\0';

/// Properties that an occurrence never takes from its master.
const OCCURRENCE_PROPERTIES: [&str; 6] = ["@odata.etag", "id", "type", "start", "end", MASTER];

/// The id of the side row of a master that was fetched separately.
pub fn side_row(master: &str) -> String {
    format!("{SIDE}{master}")
}

/// The smallest id that an item may have. The ids of side rows sort before it.
pub const FIRST_ITEM: &str = "\u{1}";

/// Whether an id is that of a side row.
pub fn is_side_row(id: &str) -> bool {
    id.starts_with(SIDE)
}

/// Whether an event is the master of a series.
pub fn is_master<I: Item>(item: &I) -> bool {
    item.has_text("type", "seriesMaster")
}

/// The master that an occurrence names.
pub fn master_of<I: Item>(item: &I) -> Option<String> {
    if item.has_text("type", "occurrence") { named_master(item) } else { None }
}

/// The master that any event of a series names, exceptions included.
pub fn named_master<I: Item>(item: &I) -> Option<String> {
    item.string_property(MASTER).filter(|id| !id.is_empty())
}

/// The masters that occurrences of a page name and the page does not contain, without duplicates.
/// `items` are the items of the page by id.
pub fn missing_masters<I: Item>(items: &[(&str, &I)]) -> Vec<String> {
    let ids: HashSet<&str> = items.iter().map(|(id, _)| *id).collect();
    let mut named = HashSet::new();
    let masters = items.iter().filter_map(|(_, item)| master_of(*item));
    masters.filter(|id| !ids.contains(id.as_str()) && named.insert(id.clone())).collect()
}

/// The ids of the rows that may contain the masters of these items: two per master.
pub fn master_rows<'a, I: Item + 'a>(items: impl Iterator<Item = &'a I>) -> Vec<String> {
    let masters: HashSet<String> = items.filter_map(master_of).collect();
    masters.into_iter().flat_map(|id| [side_row(&id), id]).collect()
}

/// Masters by the id of their row, without the properties that an occurrence never takes.
pub struct Masters<I>(HashMap<String, I>);

impl<I: Item> Masters<I> {
    /// Collects the masters among these rows, side rows included.
    pub fn new<'a>(rows: impl Iterator<Item = (&'a str, &'a I)>) -> Self
    where
        I: 'a,
    {
        Self(
            rows.filter(|(id, item)| is_side_row(id) || is_master(*item))
                .map(|(id, item)| (id.to_owned(), shared(item)))
                .collect(),
        )
    }

    /// The item as readers see it: an occurrence is completed. `None` for a master, which is not an
    /// appointment.
    pub fn complete(&self, item: I) -> Option<I> {
        if is_master(&item) {
            return None;
        }
        Some(match master_of(&item).and_then(|id| self.0.get(&side_row(&id)).or_else(|| self.0.get(&id))) {
            Some(master) => master.overlaid_with(&item),
            None => item,
        })
    }
}

/// How a change looks to readers of completed occurrences, who do not see masters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeenAs {
    /// As it is.
    Change,
    /// As an item that is new: it was a master.
    Addition,
    /// As the removal of the item: it has become a master.
    Removal,
    /// Not at all: it is, or was, a master.
    Nothing,
}

impl SeenAs {
    /// How a change from `old` to `item` looks. `item` is `None` for a removal.
    pub fn of<I: Item>(old: Option<&I>, item: Option<&I>) -> Self {
        match (old.map(is_master), item.map(is_master)) {
            (Some(true), Some(false)) => Self::Addition,
            (Some(false), Some(true)) => Self::Removal,
            (_, Some(true)) | (Some(true), None) => Self::Nothing,
            _ => Self::Change,
        }
    }
}

/// The properties of a master that its occurrences take.
fn shared<I: Item>(master: &I) -> I {
    let names =
        master.property_names().into_iter().filter(|name| !OCCURRENCE_PROPERTIES.contains(&name.as_str()));
    I::from_properties(names.filter_map(|name| Some((name.clone(), master.get(&name)?))).collect())
}

/// The times of some services have no fractions of a second.
const RESOLUTION: Duration = Duration::from_millis(1000.0);

/// The series that have moved, or may have moved, by the masters that a round received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesSummary {
    /// Incremental rounds: masters whose recurrence, start or end differs from the stored one.
    pub moved: Vec<String>,
    /// Incremental rounds: masters that cannot be compared with a stored one. They may have moved.
    pub unknown: Vec<String>,
    /// Masters that were removed. If their occurrences remain, the series had moved before.
    pub removed: Vec<String>,
    /// Whether a series may have moved after the round received occurrences of it. They cannot be
    /// distinguished from the new ones, so the next round has to list everything.
    pub moved_meanwhile: bool,
}

impl SeriesSummary {
    /// Adds another summary.
    pub fn extend(&mut self, other: Self) {
        self.moved.extend(other.moved);
        self.unknown.extend(other.unknown);
        self.removed.extend(other.removed);
        self.moved_meanwhile |= other.moved_meanwhile;
    }

    /// Records whether a series has moved. `stored` is the stored master, if there is one.
    /// `listed_since`: when the round began, if it may have received occurrences before this
    /// master.
    pub fn add<I: Item>(
        &mut self,
        id: &str,
        stored: Option<&I>,
        master: &I,
        is_full: bool,
        listed_since: Option<Instant>,
    ) {
        let is_moved = stored.and_then(|stored| is_moved(stored, master));
        if is_moved == Some(false) {
            return;
        }
        self.moved_meanwhile |= listed_since.is_some_and(|time| is_changed_since(master, time - RESOLUTION));
        if is_full {
            return;
        }
        let list = if is_moved.is_some() { &mut self.moved } else { &mut self.unknown };
        list.push(id.to_owned());
    }
}

/// Whether a series takes place on other dates than before. `None` if only one of the masters has a
/// property that decides this.
fn is_moved<I: Item>(old: &I, new: &I) -> Option<bool> {
    let mut is_moved = false;
    for name in ["recurrence", "start", "end"] {
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => is_moved |= !old.equals(&new),
            (None, None) => {}
            _ => return None,
        }
    }
    Some(is_moved)
}

/// Whether a master that existed before this time was changed at or after it.
fn is_changed_since<I: Item>(master: &I, time: Instant) -> bool {
    let is_at_or_after = |name: &str| -> bool {
        let at = master.string_property(name).and_then(|text| parse_iso(&text));
        at.is_some_and(|at| at >= time)
    };
    is_at_or_after("lastModifiedDateTime") && !is_at_or_after("createdDateTime")
}

/// The time between the start and the end of a calendar view.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    start: Instant,
    end: Instant,
}

impl Window {
    /// Reads `start/end`.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('/')?;
        Some(Self { start: parse_iso(start)?, end: parse_iso(end)? })
    }
}

/// Whether an event is outside a window. Its dates may be in any zone, so an event near an edge
/// may count as outside too.
pub fn is_outside<I: Item>(event: &I, window: &Window) -> bool {
    let time = |name: &str| -> Option<(Instant, bool)> {
        let time = event.get(name)?;
        let is_utc = time.string_property("timeZone").is_some_and(|zone| zone.eq_ignore_ascii_case("utc"));
        Some((parse_iso(&time.string_property("dateTime")?)?, is_utc))
    };
    let (Some((start, start_is_utc)), Some((end, end_is_utc))) = (time("start"), time("end")) else {
        return false;
    };
    // Zones are from 12 hours behind UTC to 14 hours ahead.
    let earliest_end = if end_is_utc { end } else { end - Duration::HOUR * 14.0 };
    let latest_start = if start_is_utc { start } else { start + Duration::HOUR * 12.0 };
    earliest_end <= window.start || latest_start >= window.end
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn complete(rows: &[(&str, Value)]) -> Vec<Value> {
        let masters = Masters::new(rows.iter().map(|(id, item)| (*id, item)));
        rows.iter()
            .filter(|(id, _)| !is_side_row(id))
            .filter_map(|(_, item)| masters.complete(item.clone()))
            .collect()
    }

    #[test]
    fn an_occurrence_takes_the_properties_that_it_lacks_from_its_master() {
        let master = json!({"id": "m", "type": "seriesMaster", "@odata.etag": "x", "subject": "Standup",
            "start": 1, "location": {"a": 1}});
        let occurrence =
            json!({"id": "o", "type": "occurrence", "seriesMasterId": "m", "start": 2, "location": null});
        let whole = json!({"id": "o", "type": "occurrence", "seriesMasterId": "m", "start": 2,
            "location": null, "subject": "Standup"});
        assert_eq!(
            complete(&[("m", master.clone()), ("o", occurrence.clone())]),
            std::slice::from_ref(&whole)
        );
        assert_eq!(complete(&[("\0m", master), ("o", occurrence)]), [whole]);
    }

    #[test]
    fn an_occurrence_without_a_master_stays_as_it_is() {
        let lone = json!({"id": "o", "type": "occurrence", "seriesMasterId": "m"});
        let malformed = json!({"id": "p", "type": "occurrence", "seriesMasterId": 7});
        assert_eq!(complete(&[("o", lone.clone()), ("p", malformed.clone())]), [lone, malformed]);
    }

    #[test]
    fn a_fetched_master_wins_over_a_listed_one_that_may_be_older() {
        let listed = json!({"id": "m", "type": "seriesMaster", "subject": "old"});
        let fetched = json!({"id": "m", "type": "seriesMaster", "subject": "new"});
        let occurrence = json!({"id": "o", "type": "occurrence", "seriesMasterId": "m"});
        let completed = complete(&[("m", listed), ("\0m", fetched), ("o", occurrence)]);
        assert_eq!(
            completed.first().and_then(|item| item.string_property("subject")).as_deref(),
            Some("new")
        );
    }

    #[test]
    fn an_event_that_becomes_a_series_is_seen_as_removed_and_one_that_was_a_series_as_new() {
        let event = json!({"id": "e", "type": "singleInstance"});
        let master = json!({"id": "e", "type": "seriesMaster"});
        let (event, master) = (Some(&event), Some(&master));
        for (old, item, expected) in [
            (None, event, SeenAs::Change),
            (event, event, SeenAs::Change),
            (event, None, SeenAs::Change),
            (None, None, SeenAs::Change),
            (event, master, SeenAs::Removal),
            (master, event, SeenAs::Addition),
            (None, master, SeenAs::Nothing),
            (master, master, SeenAs::Nothing),
            (master, None, SeenAs::Nothing),
        ] {
            assert_eq!(SeenAs::of(old, item), expected, "{old:?} to {item:?}");
        }
    }

    #[test]
    fn missing_masters_are_listed_once_and_in_linear_time() {
        let occurrence = |at: usize, master: usize| {
            let id = format!("{}{at}", "AAMkAGI2".repeat(16));
            (id.clone(), json!({"id": id, "type": "occurrence", "seriesMasterId": format!("m{master}")}))
        };
        let mut entries: Vec<_> = (0..20_000).map(|at| occurrence(at, at / 2)).collect();
        entries.push(("m7".to_owned(), json!({"id": "m7", "type": "seriesMaster"})));
        let items: Vec<(&str, &Value)> = entries.iter().map(|(id, item)| (id.as_str(), item)).collect();
        let missing = missing_masters(&items);
        let first = missing.first().map(String::as_str);
        assert_eq!((missing.len(), first, missing.contains(&"m7".to_owned())), (9_999, Some("m0"), false));
    }
}
