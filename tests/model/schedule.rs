//! One schedule: a collection, what the fake Graph does on the way, and rounds with edits, faults
//! and crashes. Plain data made from a seed, so that the native bench and the browsers run the same
//! ones.

use std::collections::{BTreeMap, BTreeSet};

use fake_graph::{Collection, Populate, World};
use serde_json::{Value, json};

/// When the worlds begin: 2026-11-21.
pub const START: u64 = 1_795_219_200_000;
/// The calendar window of every query: 2026-11-01 to 2026-12-20.
const WINDOW: (i64, i64) = (1_793_491_200_000, 1_797_724_800_000);

/// Chance, from a seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// One round.
#[derive(Debug)]
pub struct Turn {
    /// Edits before it, as the fake's control API takes them.
    pub edits: Vec<Value>,
    /// Edits in the middle of it: before which request, and what.
    pub meanwhile: Vec<(u64, Value)>,
    /// Rules for faults.
    pub faults: Vec<Value>,
    /// Whether every link so far dies before it.
    pub expire: bool,
    /// The step after which everything but the store is lost.
    pub crash: Option<u64>,
    /// Whether a consumer follows it with `round()`.
    pub has_consumer: bool,
    /// Its `maxPages`.
    pub most: Option<u32>,
    /// The step before which another tab, which has no lock, runs a whole round of the same query.
    pub rival: Option<u64>,
}

impl Turn {
    /// A round without anything in its way.
    pub fn quiet() -> Self {
        Self {
            edits: Vec::new(),
            meanwhile: Vec::new(),
            faults: Vec::new(),
            expire: false,
            crash: None,
            has_consumer: true,
            most: None,
            rival: None,
        }
    }
}

/// One schedule.
pub struct Schedule {
    pub seed: u64,
    /// The fake's name of the collection.
    pub collection: &'static str,
    /// Which call makes the query.
    pub call: &'static str,
    /// The path of `track`.
    pub path: &'static str,
    /// The options of the call, as users write them, without the organizer.
    pub query: Value,
    /// Options of the fake.
    pub options: Value,
    /// Whether deltas alone can't show everything: a refresh has to.
    pub lossy: bool,
    pub turns: Vec<Turn>,
}

/// The events' query.
fn events() -> Value {
    json!({ "start": "2026-11-01", "end": "2026-12-20", "pageSize": 6 })
}

/// Faults that a query may meet on the way, each with the kind of request that it makes sense for.
fn fault(dice: &mut Dice) -> Value {
    let late = ["next", "delta"];
    let (name, kind) = match dice.below(30) {
        0 => (json!({ "name": "network" }), "any"),
        1 => (json!({ "name": "cut", "n": 200 }), "any"),
        2 => (json!({ "name": "empty503" }), "any"),
        3 => (
            json!({
                "name": "status", "status": 429,
                "headers": { "Retry-After": dice.pick(&["0", "0.128", "1"]) },
            }),
            "any",
        ),
        4 => (
            json!({ "name": "status", "status": dice.pick(&[408, 500, 502, 503, 504, 509, 403, 404, 400]) }),
            "any",
        ),
        5 => (json!({ "name": "html", "status": dice.pick(&[200, 403, 502]) }), "any"),
        6 => (json!({ "name": "no_value" }), "any"),
        7 => (json!({ "name": "value_null" }), "any"),
        8 => (json!({ "name": "value_object" }), "any"),
        9 => (json!({ "name": "neither_link" }), "any"),
        10 => (json!({ "name": "both_links" }), "any"),
        // A request without a link has no link that could be refused.
        11..=14 => (json!({ "name": "reset", "spelling": 1 + dice.below(15) }), dice.pick(&late)),
        15 => (json!({ "name": "error_in_200" }), "any"),
        16 => (json!({ "name": "relative_link" }), "any"),
        17 => (json!({ "name": "hang" }), "any"),
        18 => (json!({ "name": "slow", "bytes_per_second": 1_000_000, "delay_ms": 1 }), "any"),
        19 => (json!({ "name": "not_json" }), "any"),
        20 => (json!({ "name": "redirect", "location": "https://evil.example/", "status": 302 }), "any"),
        21 => (json!({ "name": "items_without_id", "n": 2 }), "any"),
        22 => (json!({ "name": "same_link" }), "next"),
        23 => (json!({ "name": "livelock", "cycle": 1 + dice.below(3) }), "next"),
        24 => (json!({ "name": "foreign_link", "origin": "https://evil.example" }), "any"),
        25 => (json!({ "name": "bad_request_with_good_body" }), "any"),
        26 => (
            json!({ "name": "poisoned", "status": dice.pick(&[400, 404, 500]), "code": "ErrorInvalidUrlQuery" }),
            dice.pick(&late),
        ),
        27 => (json!({ "name": dice.pick(&["empty_page", "wrong_type"]) }), "any"),
        28 => (json!({ "name": dice.pick(&["unauthorized", "claims"]), "until_new_token": true }), "any"),
        _ => (json!({ "name": "delay", "ms": 1 }), "any"),
    };
    let times = match name["name"].as_str().unwrap() {
        // A livelock for ever, to be broken at the end of the schedule; the others pass.
        "livelock" => json!(dice.pick(&[3, 8, 40])),
        _ if dice.one_in(6) => json!(1 + dice.below(12)),
        _ => json!(1),
    };
    json!({ "match": { "kind": kind, "skip": dice.below(5) }, "times": times, "fault": name })
}

fn edit(dice: &mut Dice, collection: &str) -> Value {
    let op = match (collection, dice.below(6)) {
        ("recordings", _) | (_, 0) => "add",
        ("contacts" | "users" | "groups", 1) => dice.pick(&["soft-remove", "restore"]),
        (_, 1 | 2) => "remove",
        _ => "edit",
    };
    json!({ "collection": collection, "op": op })
}

impl Schedule {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice(seed ^ 0x5eed);
        let (collection, call, path, query) = match dice.below(9) {
            0 => ("contacts", "orgContacts", "", json!({})),
            1 => ("contacts", "orgContacts", "", json!({ "minimal": true })),
            2 | 3 => ("events", "events", "", events()),
            4 => ("drive", "track", "/me/drive/root/delta", json!({})),
            5 => ("messages", "track", "/me/mailFolders/inbox/messages/delta", json!({})),
            6 => ("recordings", "callRecordings", "", json!({})),
            7 => ("groups", "track", "/groups/delta", json!({ "minimal": dice.one_in(2) })),
            _ => (
                "users",
                "track",
                "/users/delta",
                json!({
                    "select": ["displayName", "mail", "jobTitle", "manager"], "minimal": dice.one_in(2),
                }),
            ),
        };
        let silent = collection == "events" && dice.one_in(4);
        let during = dice.pick(&["next-round", "later-in-round", "both", "live"]);
        let options = json!({
            "page_size": 3 + dice.below(8), "changes_during_round": during,
            "duplicates": dice.pick(&["none", "page", "pages", "both"]),
            "reorder": dice.one_in(2), "empty_pages": dice.below(3), "trailing_empty_page": dice.one_in(4),
            "older_artifacts": dice.one_in(2),
            "swap_token_names": dice.one_in(2),
            "generations": if dice.one_in(4) { json!(4) } else { Value::Null },
            "withhold_masters": dice.one_in(2), "withhold_masters_full": dice.one_in(3), "silent_occurrence_delete": silent,
            "members_slice": 1 + dice.below(4), "page_overshoot": dice.below(3),
            "odata_context": dice.one_in(2),
            "removed_in_full": dice.one_in(3),
            "drive_link": dice.pick(&["query", "path", "unquoted", "broken"]),
            "empty_deleted_facet": dice.one_in(2), "outside_window_removals": dice.one_in(2), "string_booleans": dice.one_in(4),
            "directory_expired": dice.pick(&[400, 410]), "empty_calendar_two_requests": dice.one_in(2), "ignore_repeated_dates": dice.one_in(2),
            "expose_retry_after": dice.one_in(2), "invalid_token_status": dice.pick(&[400, 410]), "filter_empty_pages": dice.below(3),
        });
        let mut turns = Vec::new();
        for _ in 0..3 + dice.below(6) {
            let edits = (0..dice.below(4)).map(|_| edit(&mut dice, collection)).collect();
            let meanwhile =
                (0..dice.below(3)).map(|_| (dice.below(8), edit(&mut dice, collection))).collect();
            let faults = (0..dice.below(3)).map(|_| fault(&mut dice)).collect();
            turns.push(Turn {
                edits,
                meanwhile,
                faults,
                expire: dice.one_in(8),
                crash: dice.one_in(2).then(|| dice.below(90)),
                has_consumer: dice.one_in(2),
                most: dice.one_in(6).then(|| 1 + dice.below(3) as u32),
                rival: dice.one_in(6).then(|| dice.below(60)),
            });
        }
        // Whoever takes every page by round() can replay them; syncs between would take changes
        // away from him.
        let always = dice.one_in(2);
        for turn in &mut turns {
            turn.has_consumer |= always;
            if always {
                turn.rival = None;
            }
        }
        // A page that hides its items, their ids or their kind can't be told from a good one.
        let hiding = ["empty_page", "wrong_type", "items_without_id"];
        let hidden = |turn: &Turn| {
            turn.faults.iter().any(|rule| hiding.contains(&rule["fault"]["name"].as_str().unwrap()))
        };
        // A series master that is refused is done without until the next refresh.
        let refusing = |rule: &Value| {
            rule["fault"]["status"].as_u64().is_some_and(|status| (400..500).contains(&status))
        };
        let masterless = |turn: &Turn| {
            collection == "events"
                && turn
                    .faults
                    .iter()
                    .any(|rule| refusing(rule) || rule["fault"]["name"] == "bad_request_with_good_body")
        };
        let hidden = |turn: &Turn| hidden(turn) || masterless(turn);
        let lossy = silent || during == "live" || turns.iter().any(hidden);
        Self { seed, collection, call, path, query, options, lossy, turns }
    }

    /// Its world, before the first round.
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

    /// Holds a mirror against the fake's own tables. `sides` are the series masters that were
    /// fetched by themselves.
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
            .map(|item| (item["id"].as_str().unwrap().to_owned(), plain(name, &item)))
            .collect();
        // Masters that Graph withholds are no part of what it reports.
        let reported = |(id, item): &(&String, &Value)| {
            !withheld || item["type"] != "seriesMaster" || mirror.contains_key(*id)
        };
        let expected: BTreeSet<&String> = oracle.iter().filter(reported).map(|(id, _)| id).collect();
        let held: BTreeSet<&String> = mirror.keys().collect();
        assert!(
            held == expected,
            "seed {seed}: {name}: missing {:?}, not gone {:?}",
            &expected - &held,
            &held - &expected
        );
        for (id, item) in mirror {
            // Beside the mirror a withheld master is fresher than in it; of one whose occurrences
            // are all exceptions Graph says nothing.
            let master = item["type"] == "seriesMaster" && withheld;
            let used =
                || mirror.values().any(|item| item["type"] == "occurrence" && item["seriesMasterId"] == **id);
            let item = match sides.get(id) {
                Some(side) => side,
                None if master && (sides.is_empty() || !used()) => continue,
                None => item,
            };
            assert_eq!(plain(name, item), oracle[id], "seed {seed}: {name}: {id}");
        }
    }

    /// Whether every page goes to a consumer.
    pub fn followed(&self) -> bool {
        self.turns.iter().all(|turn| turn.has_consumer && turn.rival.is_none())
    }

    pub fn app(&self) -> bool {
        self.call == "callRecordings"
    }
}

/// What a mirror is compared by: no annotations, which are made for an answer, and relationships as
/// the tables have them.
pub fn plain(collection: &str, item: &Value) -> Value {
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
    // Seen in practice: booleans as texts (graph-facts 7.13). They are kept as they come.
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
        // `select` leaves the others out.
        object
            .retain(|name, _| ["id", "displayName", "mail", "jobTitle", "manager"].contains(&name.as_str()));
    }
    item
}
