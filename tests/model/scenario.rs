//! A scenario: a collection, options of the fake Graph, and rounds with edits, faults and crashes.
//! Plain data that depends only on the seed, so that native tests, browsers and Workers run the
//! same scenarios.

use std::collections::{BTreeMap, BTreeSet};

use fake_graph::{Collection, Populate, World};
use serde_json::{Value, json};

#[path = "rng.rs"]
pub mod rng;

use rng::Rng;

/// The start of the worlds: 2026-11-21.
pub const START: u64 = 1_795_219_200_000;
/// The calendar window of every query: 2026-11-01 to 2026-12-20.
const WINDOW: (i64, i64) = (1_793_491_200_000, 1_797_724_800_000);

/// One round, with what happens before and during it.
#[derive(Debug)]
pub struct Turn {
    /// The milliseconds between the edits and the round.
    pub pause: u64,
    /// Edits before the round, for the control API of the fake Graph.
    pub edits: Vec<Value>,
    /// Edits during the round, each with the number of the request before which it happens.
    pub mid_round_edits: Vec<(u64, Value)>,
    /// Rules for faults of the fake Graph.
    pub faults: Vec<Value>,
    /// Whether all links expire before the round.
    pub expire: bool,
    /// The step after which the process ends.
    pub crash: Option<u64>,
    /// Whether a consumer takes the pages by `round()`.
    pub has_consumer: bool,
    /// The option `maxPages` of the round.
    pub max_pages: Option<u32>,
    /// The step before which another tab without locks runs a whole round of the same query.
    pub rival: Option<u64>,
    /// Whether the next page is requested while the current one is applied.
    pub looks_ahead: bool,
}

impl Turn {
    /// A round without edits, faults, crash and rival.
    pub fn quiet() -> Self {
        Self {
            pause: 0,
            edits: Vec::new(),
            mid_round_edits: Vec::new(),
            faults: Vec::new(),
            expire: false,
            crash: None,
            has_consumer: true,
            max_pages: None,
            rival: None,
            looks_ahead: true,
        }
    }

    /// Whether the operation `op` is among the edits before and during the round.
    fn has_edit(&self, op: &str) -> bool {
        let mid_round_edits = self.mid_round_edits.iter().map(|(_, edit)| edit);
        self.edits.iter().chain(mid_round_edits).any(|edit| edit["op"] == op)
    }
}

/// One scenario.
pub struct Scenario {
    pub seed: u64,
    /// The name of the collection in the fake Graph.
    pub collection: &'static str,
    /// The method of the client that makes the query.
    pub call: &'static str,
    /// The path for `track`.
    pub path: &'static str,
    /// The options of the query in the form of the JavaScript API, without the organizer.
    pub query: Value,
    /// The options of the fake Graph.
    pub options: Value,
    /// Whether deltas may lose changes, so that only a refresh completes the mirror.
    pub is_lossy: bool,
    pub turns: Vec<Turn>,
}

pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;

/// The options of the query for events.
fn events() -> Value {
    json!({ "start": "2026-11-01", "end": "2026-12-20", "pageSize": 6 })
}

/// A random fault with the kinds of requests for which it makes sense.
fn fault(rng: &mut Rng) -> Value {
    let late = ["next", "delta"];
    let (name, kind) = match rng.below(30) {
        0 => (json!({ "name": "network" }), "any"),
        1 => (json!({ "name": "cut", "n": 200 }), "any"),
        2 => (json!({ "name": "empty503" }), "any"),
        3 => (
            json!({
                "name": "status", "status": 429,
                "headers": { "Retry-After": rng.pick(&["0", "0.128", "1"]) },
            }),
            "any",
        ),
        4 => (
            json!({ "name": "status", "status": rng.pick(&[408, 500, 502, 503, 504, 509, 403, 404, 400]) }),
            "any",
        ),
        5 => (json!({ "name": "html", "status": rng.pick(&[200, 403, 502]) }), "any"),
        6 => (json!({ "name": "no_value" }), "any"),
        7 => (json!({ "name": "value_null" }), "any"),
        8 => (json!({ "name": "value_object" }), "any"),
        9 => (json!({ "name": "neither_link" }), "any"),
        10 => (json!({ "name": "both_links" }), "any"),
        // Only a request by a link can have its link refused.
        11..=14 => (json!({ "name": "reset", "spelling": 1 + rng.below(16) }), rng.pick(&late)),
        15 => (json!({ "name": "error_in_200" }), "any"),
        16 => (json!({ "name": "relative_link" }), "any"),
        17 => (json!({ "name": "hang" }), "any"),
        18 => (json!({ "name": "slow", "bytes_per_second": 1_000_000, "delay_ms": 1 }), "any"),
        19 => (json!({ "name": "not_json" }), "any"),
        20 => (json!({ "name": "redirect", "location": "https://evil.example/", "status": 302 }), "any"),
        21 => (json!({ "name": "items_without_id", "n": 2 }), "any"),
        22 => (json!({ "name": "same_link" }), "next"),
        23 => (json!({ "name": "livelock", "cycle": 1 + rng.below(3) }), "next"),
        24 => (json!({ "name": "foreign_link", "origin": "https://evil.example" }), "any"),
        25 => (json!({ "name": "bad_request_with_good_body" }), "any"),
        26 => (
            json!({ "name": "poisoned", "status": rng.pick(&[400, 403, 404, 500]), "code": "ErrorInvalidUrlQuery" }),
            rng.pick(&late),
        ),
        27 => (json!({ "name": rng.pick(&["empty_page", "wrong_type"]) }), "any"),
        28 => (json!({ "name": rng.pick(&["unauthorized", "claims"]), "until_new_token": true }), "any"),
        _ => (json!({ "name": "delay", "ms": 1 }), "any"),
    };
    let times = match name["name"].as_str().unwrap() {
        // Some livelocks last to the end of the scenario, the others end before.
        "livelock" => json!(rng.pick(&[3, 8, 40])),
        _ if rng.one_in(6) => json!(1 + rng.below(12)),
        _ => json!(1),
    };
    json!({ "match": { "kind": kind, "skip": rng.below(5) }, "times": times, "fault": name })
}

fn edit(rng: &mut Rng, collection: &str) -> Value {
    let op = match (collection, rng.below(6)) {
        ("recordings", _) | (_, 0) => "add",
        ("contacts" | "users" | "groups", 1) => rng.pick(&["soft-remove", "restore"]),
        ("events", 2) if rng.one_in(2) => "move",
        ("drive", 2) if rng.one_in(2) => "replace",
        (_, 1 | 2) => "remove",
        _ => "edit",
    };
    json!({ "collection": collection, "op": op })
}

impl Scenario {
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng(seed ^ 0x5eed);
        let (collection, call, path, query) = match rng.below(9) {
            0 => ("contacts", "orgContacts", "", json!({})),
            1 => ("contacts", "orgContacts", "", json!({ "minimal": true })),
            2 | 3 => ("events", "events", "", events()),
            4 => ("drive", "track", "/me/drive/root/delta", json!({})),
            5 => ("messages", "track", "/me/mailFolders/inbox/messages/delta", json!({})),
            6 => ("recordings", "callRecordings", "", json!({})),
            7 => ("groups", "track", "/groups/delta", json!({ "minimal": rng.one_in(2) })),
            _ => (
                "users",
                "track",
                "/users/delta",
                json!({
                    "select": ["displayName", "mail", "jobTitle", "manager"], "minimal": rng.one_in(2),
                }),
            ),
        };
        let silent = collection == "events" && rng.one_in(4);
        let during = rng.pick(&["next-round", "later-in-round", "both", "live"]);
        let options = json!({
            "page_size": 3 + rng.below(8), "changes_during_round": during,
            "duplicates": rng.pick(&["none", "page", "pages", "both"]),
            "reorder": rng.one_in(2), "empty_pages": rng.below(3), "trailing_empty_page": rng.one_in(4),
            "older_artifacts": rng.one_in(2),
            "swap_token_names": rng.one_in(2),
            "generations": if rng.one_in(4) { json!(4) } else { Value::Null },
            "withhold_masters": rng.one_in(2), "withhold_masters_full": rng.one_in(3), "silent_occurrence_delete": silent,
            "members_slice": 1 + rng.below(4), "page_overshoot": rng.below(3),
            "odata_context": rng.one_in(2),
            "removed_in_full": rng.one_in(3),
            "drive_link": rng.pick(&["query", "path", "unquoted", "broken"]),
            "empty_deleted_facet": rng.one_in(2), "outside_window_removals": rng.one_in(2), "string_booleans": rng.one_in(4),
            "directory_expired": rng.pick(&[400, 410]), "empty_calendar_two_requests": rng.one_in(2), "ignore_repeated_dates": rng.one_in(2),
            "expose_retry_after": rng.one_in(2), "invalid_token_status": rng.pick(&[400, 410]), "filter_empty_pages": rng.below(3),
        });
        let mut turns = Vec::new();
        for number in 0..3 + rng.below(6) {
            let edits = (0..rng.below(4)).map(|_| edit(&mut rng, collection)).collect();
            let mid_round_edits =
                (0..rng.below(3)).map(|_| (rng.below(8), edit(&mut rng, collection))).collect();
            let faults = (0..rng.below(3)).map(|_| fault(&mut rng)).collect();
            turns.push(Turn {
                pause: if rng.one_in(3) { HOUR } else { MINUTE },
                edits,
                mid_round_edits,
                faults,
                expire: rng.one_in(8),
                crash: rng.one_in(2).then(|| rng.below(90)),
                has_consumer: rng.one_in(2),
                max_pages: rng.one_in(6).then(|| 1 + rng.below(3) as u32),
                rival: rng.one_in(6).then(|| rng.below(60)),
                looks_ahead: Rng(seed.wrapping_mul(31) ^ number).one_in(2),
            });
        }
        // A consumer can only replay all changes if no sync() takes some of them.
        let always = rng.one_in(2);
        for turn in &mut turns {
            turn.has_consumer |= always;
            if always {
                turn.rival = None;
            }
        }
        // A client cannot notice that a page lacks items, ids or types.
        let hiding = ["empty_page", "wrong_type", "items_without_id"];
        let hides_items = |turn: &Turn| {
            turn.faults.iter().any(|rule| hiding.contains(&rule["fault"]["name"].as_str().unwrap()))
        };
        // A series master that Graph refuses is missing until the next refresh.
        let refusing = |rule: &Value| {
            rule["fault"]["status"].as_u64().is_some_and(|status| (400..500).contains(&status))
        };
        let lacks_masters = |turn: &Turn| {
            collection == "events"
                && turn
                    .faults
                    .iter()
                    .any(|rule| refusing(rule) || rule["fault"]["name"] == "bad_request_with_good_body")
        };
        let loses_items = |turn: &Turn| hides_items(turn) || lacks_masters(turn);
        // A full round may list a series, and then only new occurrences of it without their master.
        let moves = turns.iter().any(|turn| turn.has_edit("move"));
        let unnoticed = moves && during == "later-in-round" && options["withhold_masters"] == true;
        let is_lossy = silent || during == "live" || unnoticed || turns.iter().any(loses_items);
        Self { seed, collection, call, path, query, options, is_lossy, turns }
    }

    /// Whether the mirror may be complete only after a listing on a later day: after a series moved
    /// while a round listed it, or a drive did not report a removal.
    pub fn needs_refresh(&self) -> bool {
        self.is_lossy || self.turns.iter().any(|turn| turn.has_edit("move") || turn.has_edit("replace"))
    }

    /// The world of the scenario before its first round.
    pub fn world(&self, root: String) -> World {
        let mut world = World::new(self.seed, root);
        world.set_options(&self.options).unwrap();
        let populate = Populate {
            contacts: 25,
            events: 30,
            drive: 20,
            messages: 20,
            recordings: 15,
            users: 14,
            groups: 6,
            around: START as i64,
        };
        world.populate(&populate, START);
        world
    }

    /// Compares a mirror with the tables of the fake Graph. `sides` are the series masters that
    /// were fetched separately.
    pub fn check(
        &self,
        world: &mut World,
        mirror: &BTreeMap<String, Value>,
        sides: &BTreeMap<String, Value>,
    ) {
        let (seed, name) = (self.seed, self.collection);
        let collection = Collection::named(name).unwrap();
        let withheld = world.options().withhold_masters_full || world.options().withhold_masters;
        world.set_options(&json!({ "withhold_masters_full": false })).unwrap();
        let listed =
            world.list(collection, None, None, (collection == Collection::Events).then_some(WINDOW), false);
        let oracle: BTreeMap<String, Value> = listed
            .into_iter()
            .map(|item| (item["id"].as_str().unwrap().to_owned(), without_annotations(name, &item)))
            .collect();
        // Graph does not report the masters that it withholds.
        let reported = |(id, item): &(&String, &Value)| {
            !withheld || item["type"] != "seriesMaster" || mirror.contains_key(*id)
        };
        let expected: BTreeSet<&String> = oracle.iter().filter(reported).map(|(id, _)| id).collect();
        let mirrored: BTreeSet<&String> = mirror.keys().collect();
        assert!(
            mirrored == expected,
            "seed {seed}: {name}: missing {:?}, not gone {:?}",
            &expected - &mirrored,
            &mirrored - &expected
        );
        for (id, item) in mirror {
            // A withheld master is newer in its side row than in the mirror. If all its occurrences
            // are exceptions, Graph does not report it.
            let master = item["type"] == "seriesMaster" && withheld;
            let used =
                || mirror.values().any(|item| item["type"] == "occurrence" && item["seriesMasterId"] == **id);
            let item = match sides.get(id) {
                Some(side) => side,
                None if master && (sides.is_empty() || !used()) => continue,
                None => item,
            };
            assert_eq!(without_annotations(name, item), oracle[id], "seed {seed}: {name}: {id}");
        }
    }

    /// Drives: whether the mirror has rows that only the next weekly listing can remove: items that
    /// were replaced. Graph does not report their removal, and no row has taken their names,
    /// because the replacement was renamed or removed before a round received it.
    pub fn has_unnoticed_rows(&self, world: &mut World, mirror: &BTreeMap<String, Value>) -> bool {
        if self.collection != "drive" || !self.needs_refresh() {
            return false;
        }
        let listed = world.list(Collection::Drive, None, None, None, false);
        let key = |item: &Value| {
            let name = item["name"].as_str().unwrap().to_lowercase();
            (item["parentReference"]["id"].clone().to_string(), name)
        };
        let live: BTreeSet<&str> = listed.iter().map(|item| item["id"].as_str().unwrap()).collect();
        let names: BTreeSet<(String, String)> = listed.iter().map(key).collect();
        let mut rest = mirror.iter().filter(|(id, _)| !live.contains(id.as_str())).peekable();
        rest.peek().is_some() && rest.all(|(_, item)| !names.contains(&key(item)))
    }

    /// Whether a consumer receives every page.
    pub fn delivers_every_page(&self) -> bool {
        self.turns.iter().all(|turn| turn.has_consumer && turn.rival.is_none())
    }

    pub fn needs_app_token(&self) -> bool {
        self.call == "callRecordings"
    }
}

/// An item without the annotations of a response, and with relationships in the form of the tables.
pub fn without_annotations(collection: &str, item: &Value) -> Value {
    let mut item = item.clone();
    let object = item.as_object_mut().unwrap();
    object.retain(|name, _| !name.starts_with("@odata.") && name != "eTag" && name != "changeKey");
    let ids = |set: &Value| -> Vec<String> {
        let mut ids: Vec<String> = set
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["id"].as_str().or(one.as_str()).unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    // Graph sometimes sends booleans as strings (graph-facts 7.13). The mirror stores them
    // unchanged.
    for value in object.values_mut() {
        if let Some(flag) = value.as_str().and_then(|text| text.parse::<bool>().ok()) {
            *value = json!(flag);
        }
    }
    if collection == "groups" {
        let members = object.get("members").map(ids).unwrap_or_default();
        object.insert("members".into(), json!(members));
    }
    if collection == "users" {
        let manager = match object.get("manager") {
            Some(Value::Array(set)) => set.first().map_or(Value::Null, |manager| manager["id"].clone()),
            Some(id) => id.clone(),
            None => Value::Null,
        };
        object.insert("manager".into(), manager);
        // `select` removes all other properties.
        object
            .retain(|name, _| ["id", "displayName", "mail", "jobTitle", "manager"].contains(&name.as_str()));
    }
    item
}
