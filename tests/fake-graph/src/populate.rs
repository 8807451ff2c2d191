//! Fills a new world.

use crate::clock::DAY;
use crate::data::{self, MINUTE};
use crate::route::Collection;
use crate::world::World;
use serde_json::json;
use std::cmp::Reverse;

/// The content of a new world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Populate {
    /// Rows of the calendar of `/me`, including masters and occurrences.
    pub events: u64,
    /// Directory contacts.
    pub contacts: u64,
    /// Recordings of meetings that `/me` organized.
    pub recordings: u64,
    /// Users of the directory.
    pub users: u64,
    /// Groups of the directory.
    pub groups: u64,
    /// Items of the drive of `/me`, including its root.
    pub drive: u64,
    /// Messages in the inbox of `/me`.
    pub messages: u64,
    /// The day around which the events are, in milliseconds since 1970.
    pub around: i64,
}

impl World {
    /// Fills the world with realistic content.
    pub fn populate(&mut self, content: &Populate, now_ms: u64) {
        let me = self.person(self.me().0);
        let around = content.around.div_euclid(DAY) * DAY;
        let mut rng = self.rng.fork();
        let mut recorded: Vec<(i64, i64)> = Vec::new();
        for series in data::calendar(&mut rng, &me, around, content.events) {
            let master = self.put_event(&format!("{}|", me.id), None, series.master.clone(), now_ms);
            if series.master.get("isOnlineMeeting") == Some(&json!(true)) {
                recorded.extend(series.occurrences.iter().filter(|(start, _)| *start < around));
            }
            for (n, (start, end)) in series.occurrences.iter().enumerate() {
                let id = self.put_occurrence(&master, *start, *end, now_ms);
                if series.exception == Some(n) {
                    let patch =
                        json!({ "start": data::when(start + 3_600_000), "end": data::when(end + 3_600_000) });
                    self.patch_event(&id, patch.as_object().cloned().unwrap_or_default(), now_ms);
                }
            }
        }
        for _ in 0..content.contacts {
            let (id, item) = (rng.guid(), data::contact(&mut rng));
            self.put(Collection::Contacts, "", &id, item, now_ms);
        }
        let accounts = self.accounts.clone();
        let mut users: Vec<String> = Vec::new();
        for n in 0..content.users {
            let known = usize::try_from(n).ok().and_then(|n| accounts.get(n));
            let id = known.map_or_else(|| rng.guid(), |a| a.id.clone());
            let item = data::user(&mut rng, known);
            self.put(Collection::Users, "", &id, item, now_ms);
            if let Some(manager) = users.first().cloned() {
                self.relate(Collection::Users, &id, "manager", &manager, true, now_ms);
            }
            users.push(id);
        }
        for n in 0..content.groups {
            let (id, item) = (rng.guid(), data::group(&mut rng));
            self.put(Collection::Groups, "", &id, item, now_ms);
            // The first group has all users, so that its members need several slices.
            for user in users.iter().filter(|_| n == 0 || rng.chance(40)) {
                self.relate(Collection::Groups, &id, "members", user, true, now_ms);
            }
        }
        // Every other recording is of an online meeting before `around`, the latest meeting first,
        // as long as there are any. The rest are of meetings that the calendar does not have.
        recorded.sort_unstable_by_key(|(start, _)| Reverse(*start));
        for n in 0..content.recordings {
            let older = around - i64::try_from(content.recordings - n).unwrap_or(0) * DAY / 2;
            let length = data::recording_length(&mut rng);
            let meeting = usize::try_from(n / 2).ok().and_then(|n| recorded.get(n)).filter(|_| n % 2 == 0);
            let (start, end) =
                meeting.map_or((older, older + length), |(start, end)| (start + MINUTE, end - MINUTE));
            let (id, item) = data::recording(&mut rng, &me.id, &self.tenant, &self.root, (start, end));
            self.put(Collection::Recordings, &me.id, &id, item, now_ms);
        }
        let mut folders = Vec::new();
        for _ in 0..content.drive {
            let is_folder = rng.chance(30);
            let id = self.add_drive(&me.id, &folders, is_folder, now_ms);
            if is_folder || folders.is_empty() {
                folders.push(id);
            }
        }
        for n in 0..content.messages {
            let at = around - i64::try_from(content.messages - n).unwrap_or(0) * 3_600_000;
            let (id, item) = (data::outlook_id(&mut rng), data::message(&mut rng, &me, at));
            self.put(Collection::Messages, &format!("{}|inbox", me.id), &id, item, now_ms);
        }
    }
}
