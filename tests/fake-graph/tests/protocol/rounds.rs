//! Rounds compared with the tables.

use crate::common::*;
use crate::{FROM, TO};
use fake_graph::{Collection, Populate};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn a_change_during_a_round_is_listed_when_the_option_says() {
    for (mode, here, later) in
        [("next-round", 0, 1), ("later-in-round", 1, 0), ("both", 1, 1), ("live", 0, 1)]
    {
        let mut c = Client::new(1, &Populate { contacts: 30, ..Populate::default() });
        c.options(json!({ "changes_during_round": mode }));
        let token = c.token.clone();
        let known = c.round("/contacts/delta").ids();
        let round = c.round_with("/contacts/delta", &token, |c, n| {
            if n == 0 {
                c.edit(json!({
                    "collection": "contacts", "op": "edit", "id": known[2], "patch": { "jobTitle": "New" },
                }));
                c.edit(json!({
                    "collection": "contacts", "op": "edit", "id": known[25], "patch": { "jobTitle": "New" },
                }));
            }
        });
        let new = |r: &Round, id: &str| {
            r.items().iter().filter(|i| i["id"] == json!(id) && i["jobTitle"] == "New").count()
        };
        assert_eq!(new(&round, &known[2]), here, "{mode}");
        assert_eq!(new(&round, &known[25]), if mode == "live" { 1 } else { here }, "{mode}");
        let next = c.round(&round.delta);
        assert_eq!((new(&next, &known[2]), new(&next, &known[25])), (later, later), "{mode}");
    }
}

#[test]
fn a_mirror_made_by_rounds_equals_the_table() {
    for seed in 0..48u64 {
        let mut c = Client::new(
            seed,
            &Populate { contacts: 25, events: 30, drive: 15, messages: 12, ..Populate::default() },
        );
        let pick = |from: &[&str], n: u64| from[usize::try_from(n).unwrap() % from.len()].to_owned();
        c.options(json!({
            "page_size": 1 + seed % 7, "changes_during_round": pick(&["next-round", "later-in-round", "both", "live"], seed),
            "duplicates": pick(&["none", "page", "pages", "both"], seed / 4), "reorder": seed % 3 == 0,
            "empty_pages": seed % 3,
            "trailing_empty_page": seed % 2 == 0, "withhold_masters": false,
        }));
        let minimal = seed % 2 == 1;
        c.prefer = minimal.then(|| "return=minimal".to_owned());
        let token = c.token.clone();
        for (collection, url) in [
            (Collection::Contacts, "/contacts/delta"),
            (Collection::Events, WINDOW),
            (Collection::Drive, "/me/drive/root/delta"),
            (Collection::Messages, "/me/mailFolders/inbox/messages/delta"),
        ] {
            let mut mirror = BTreeMap::new();
            let mut url = url.to_owned();
            for turn in 0..6 {
                let round = c.round_with(&url, &token, |c, n| {
                    if n % 2 == 0 && turn < 4 && n < 12 {
                        c.edit(json!({ "collection": collection.name(), "op": "random", "count": 2 }));
                    }
                });
                apply(&mut mirror, &round, minimal && collection == Collection::Contacts);
                url = round.delta;
                if turn < 4 {
                    c.edit(json!({ "collection": collection.name(), "op": "random", "count": 5 }));
                }
            }
            let mut expected =
                oracle(&c, collection, (collection == Collection::Events).then_some((FROM, TO)));
            for item in expected.values_mut().chain(mirror.values_mut()) {
                for key in ["@odata.etag", "@odata.type", "eTag", "changeKey"] {
                    item.remove(key);
                }
            }
            let keys = |m: &BTreeMap<String, _>| m.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&mirror), keys(&expected), "seed {seed}, {collection:?}");
            assert_eq!(mirror, expected, "seed {seed}, {collection:?}");
        }
    }
}

#[test]
fn members_collected_over_rounds_equal_those_of_the_table() {
    for seed in 0..24u64 {
        let mut c = Client::new(seed, &Populate { users: 40, groups: 4, ..Populate::default() });
        let mode = ["next-round", "later-in-round", "both", "live"][usize::try_from(seed % 4).unwrap()];
        c.options(json!({
            "page_size": 1 + seed % 3, "members_slice": 1 + seed % 9, "reorder": seed % 2 == 0,
            "changes_during_round": mode,
        }));
        let users: Vec<String> = c.round("/users/delta").ids();
        let groups: Vec<String> =
            c.round("/groups/delta").ids().into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let token = c.token.clone();
        let mut mirror: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut url = "/groups/delta".to_owned();
        let mut n = seed as usize;
        for turn in 0..6 {
            let mut change = |c: &mut Client| {
                n = n * 7 + 3;
                let (group, user) = (&groups[n % groups.len()], &users[n % users.len()]);
                let change =
                    if n.is_multiple_of(2) { json!({ "add": [user] }) } else { json!({ "remove": [user] }) };
                c.edit(json!({
                    "collection": "groups", "op": "edit", "id": group, "patch": { "members": change },
                }));
                n %= 100_003;
            };
            let round = c.round_with(&url, &token, |c, n| {
                if turn < 4 && n < 20 {
                    change(c);
                }
            });
            for item in round.items() {
                let set = mirror.entry(id(item)).or_default();
                for member in item.get("members@delta").and_then(Value::as_array).into_iter().flatten() {
                    let member_id = member["id"].as_str().unwrap().to_owned();
                    if member.get("@removed").is_some() {
                        set.remove(&member_id)
                    } else {
                        set.insert(member_id)
                    };
                }
            }
            url = round.delta;
        }
        for group in c.world.list(Collection::Groups, None, None, None, false) {
            let expected: BTreeSet<String> =
                group["members"].as_array().unwrap().iter().map(|m| m.as_str().unwrap().to_owned()).collect();
            assert_eq!(mirror[group["id"].as_str().unwrap()], expected, "seed {seed}, {mode}");
        }
    }
}

#[test]
fn the_same_seed_returns_the_same_bytes() {
    let run = |seed| {
        let mut c = Client::new(seed, &filled());
        c.options(json!({ "reorder": true, "duplicates": "both", "changes_during_round": "both" }));
        let mut all = Vec::new();
        for url in [WINDOW, "/contacts/delta", "/groups/delta", "/me/drive/root/delta"] {
            c.edit(json!({ "collection": "contacts", "op": "random", "count": 3 }));
            all.push(c.get(url));
        }
        all
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
