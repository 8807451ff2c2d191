//! The times of events that a caller gives, in any time zone. They are stored as instants in UTC,
//! which Graph sends without `Prefer: outlook.timezone` (graph-facts 2.3).

use crate::clock::{self, DAY};
use crate::data::{self, Item};
use crate::fields;
use crate::route::Collection;
use crate::table::Version;
use crate::world::World;
use serde_json::Value;

const EXAMPLE: &str = "a time such as \"2026-11-21T10:00:00\"";

impl World {
    /// The stored form of a `start` or `end`: a string, or an object with `dateTime` and
    /// `timeZone`. `name` is its name. Without a zone and an offset it is in UTC. An all-day event
    /// keeps its dates, whatever the zone.
    pub(crate) fn stored_time(&self, name: &str, value: &Value, is_all_day: bool) -> Result<Value, String> {
        let (text, zone) = match value {
            Value::Object(time) => {
                let zone = match time.get("timeZone") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(zone)) => Some(zone.as_str()),
                    Some(other) => {
                        return Err(format!("{name}.timeZone must be a string, got {}", fields::got(other)));
                    }
                };
                (time.get("dateTime"), zone)
            }
            other => (Some(other), None),
        };
        let parsed = text.and_then(Value::as_str).and_then(clock::parse_local);
        let (local, offset) = parsed.ok_or_else(|| {
            let property = if value.is_object() { ".dateTime" } else { "" };
            let got = text.map_or_else(|| "nothing".to_owned(), fields::got);
            format!("{name}{property} must be {EXAMPLE}, got {got}")
        })?;
        if let Some(zone) = zone
            && !self.knows_zone(zone)
        {
            let got = fields::got(&zone.into());
            return Err(format!(
                "{name}.timeZone must be a time zone that the fake Graph knows, such as \"W. Europe Standard Time\", got {got}"
            ));
        }
        Ok(data::when(match offset {
            _ if is_all_day => local,
            Some(offset) => local - offset,
            None => self.instant_in(zone.unwrap_or("UTC"), local),
        }))
    }

    /// Replaces `start` and `end` in a patch of an event by their stored forms.
    pub(crate) fn store_times(&self, row: &Version, patch: &mut Item) -> Result<(), String> {
        // An occurrence has only the properties that differ from those of its series.
        let master = self.tables.get(&Collection::Events).and_then(|t| t.get(row.text("seriesMasterId")));
        let items = [Some(&*patch), Some(&row.item), master.map(|master| &master.item)];
        let is_all_day =
            items.into_iter().flatten().find(|item| item.contains_key("isAllDay")).is_some_and(is_all_day);
        for name in ["start", "end"] {
            if let Some(time) = patch.get(name) {
                let stored = self.stored_time(name, time, is_all_day)?;
                patch.insert(name.to_owned(), stored);
            }
        }
        Ok(())
    }

    fn knows_zone(&self, zone: &str) -> bool {
        (self.zone_offset)(zone, 0).is_some()
    }

    /// The time that the clocks of a zone show at an instant, as if it were in UTC.
    pub(crate) fn local_in(&self, zone: &str, instant: i64) -> i64 {
        instant + (self.zone_offset)(zone, instant).unwrap_or_default() * 60_000
    }

    fn instant_in(&self, zone: &str, local: i64) -> i64 {
        clock::instant_of(local, |at| self.local_in(zone, at) - at)
    }

    /// The instant some days after another one, at the same time of day in a zone.
    pub(crate) fn days_later(&self, zone: &str, instant: i64, days: i64) -> i64 {
        self.instant_in(zone, self.local_in(zone, instant) + days * DAY)
    }
}

/// Whether an event takes whole days.
pub(crate) fn is_all_day(item: &Item) -> bool {
    item.get("isAllDay").and_then(Value::as_bool).unwrap_or(false)
}

/// The zone in which a time is given. `None` if it is a string or has no zone.
pub(crate) fn zone_of(time: Option<&Value>) -> Option<&str> {
    time?.get("timeZone")?.as_str()
}
