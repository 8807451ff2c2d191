//! Rounds and the mirror.

use js_sys::Function;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

#[test]
async fn a_first_round_of_each_collection_lists_the_table() {
    let world = World::new().await;
    let user = client(&world, &unique_name("user")).await;
    let token = Function::new_no_args(&format!("return '{}'", world.app)).into();
    let app = try_open(&world, &unique_name("app"), &[("token", token)]).await.unwrap();
    for (query, table) in [
        (query(&user, "events", weeks()), world.table("events", "?start=2026-11-01&end=2026-12-20").await),
        (contacts(&user), world.table("contacts", "").await),
        (
            query(&app, "callRecordings", json!({"organizer": world.user})),
            world.table("recordings", "").await,
        ),
        (track(&user, "/users/delta", json!({})), world.table("users", "").await),
        (track(&user, "/me/drive/root/delta", json!({})), world.table("drive", "").await),
    ] {
        let pages = sync(&query).await.unwrap();
        assert!(pages.len() > 1);
        assert!(pages.iter().all(|page| page["kind"] == "full" && page["generation"] == 1));
        assert_eq!(ids(&all(&query).await), ids(&table), "{}", query.key());
        assert_eq!(count(&query).await, table.len());
    }
}

#[test]
async fn a_second_round_delivers_only_the_changes() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    let before = all(&query).await;
    let (edited, removed) = (before[3]["id"].clone(), before[7]["id"].clone());
    let added = world.edit(json!({"collection": "contacts", "op": "add"})).await;
    let patch = json!({"jobTitle": "Keeper of the Seal"});
    world.edit(json!({"collection": "contacts", "op": "edit", "id": edited, "patch": patch})).await;
    world.edit(json!({"collection": "contacts", "op": "remove", "id": removed})).await;
    world.clear_log().await;
    let changes = changes(&sync(&query).await.unwrap());
    assert_eq!(changes.len(), 3, "{changes:?}");
    for change in &changes {
        match &change["id"] {
            id if *id == added => {
                assert_eq!((&change["type"], &change["isNew"]), (&json!("upsert"), &json!(true)))
            }
            id if *id == edited => {
                assert_eq!((&change["type"], &change["isNew"]), (&json!("upsert"), &json!(false)));
                assert_eq!(change["item"]["jobTitle"], "Keeper of the Seal");
                assert_eq!(change["old"], before[3]);
            }
            id => {
                assert_eq!(
                    (id, &change["type"], &change["reason"]),
                    (&removed, &json!("remove"), &json!("deleted"))
                );
                assert_eq!(change["old"], before[7]);
            }
        }
    }
    assert_eq!(kinds(&world.log().await), ["delta"]);
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn after_a_reload_the_next_request_is_the_stored_delta_link() {
    let world = World::new().await;
    let account = unique_name("a");
    let first = client(&world, &account).await;
    sync(&query(&first, "events", weeks())).await.unwrap();
    settled(first.close()).await.unwrap();
    world.clear_log().await;
    let second = client(&world, &account).await;
    let query = query(&second, "events", weeks());
    assert!(!all(&query).await.is_empty(), "the mirror is there before any request");
    let pages = sync(&query).await.unwrap();
    let log = world.log().await;
    assert_eq!(kinds(&log), ["delta"]);
    assert_eq!(log[0]["as_issued"], true, "byte for byte");
    assert_eq!((pages.len(), pages[0]["kind"].as_str()), (1, Some("incremental")));
}

#[test]
async fn an_interrupted_round_continues_at_the_first_unacknowledged_page() {
    let world = World::new().await;
    let account = unique_name("a");
    let first = client(&world, &account).await;
    let round_one = round(&contacts(&first));
    next(&round_one).await.unwrap();
    ack(&round_one).await.unwrap();
    let lost = next(&round_one).await.unwrap().unwrap();
    settled(first.close()).await.unwrap();
    let seen = world.log().await;
    world.clear_log().await;
    let second = client(&world, &account).await;
    let query = contacts(&second);
    assert_eq!(all(&query).await.len(), 10, "one page was committed");
    let round_two = round(&query);
    let again = next(&round_two).await.unwrap().unwrap();
    assert_eq!((&again["index"], &again["changes"]), (&lost["index"], &lost["changes"]));
    ack(&round_two).await.unwrap();
    finish(&round_two).await.unwrap();
    let log = world.log().await;
    assert_eq!(log[0]["url"], seen[1]["url"], "the page that was not acknowledged");
    assert_ne!(log[0]["url"], seen[0]["url"]);
    assert_eq!(report(&round_two)["resumed"], true);
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn nothing_is_stored_before_the_acknowledgement_and_next_acknowledges() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    let round = round(&query);
    next(&round).await.unwrap();
    assert!(all(&query).await.is_empty());
    next(&round).await.unwrap();
    assert_eq!(count(&query).await, 10);
}

#[test]
async fn a_commit_stores_the_received_page_even_if_the_consumer_changes_it() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    let round = round(&query);
    let page = settled(round.next()).await.unwrap();
    js(
        "for (const { item } of a.changes) Object.assign(item, { displayName: 'spoiled', phones: null });
         a.changes.length = 0",
        &page,
    );
    ack(&round).await.unwrap();
    let stored = all(&query).await;
    assert_eq!(stored.len(), 10);
    assert!(stored.iter().all(|item| item["displayName"] != "spoiled" && item["phones"] != Value::Null));
}

#[test]
async fn two_rounds_of_one_query_cannot_both_commit() {
    let world = World::new().await;
    let account = unique_name("a");
    let (one, two) = (client(&world, &account).await, client(&world, &account).await);
    let (left, right) = (contacts(&one), contacts(&two));
    let (first, second) = (round(&left), round(&right));
    next(&first).await.unwrap();
    next(&second).await.unwrap();
    ack(&first).await.unwrap();
    let refused = ack(&second).await.unwrap_err();
    assert_eq!(refused.code(), "conflict");
    assert_eq!(refused.field("retryable"), JsValue::TRUE);
    finish(&first).await.unwrap();
    assert_eq!(ids(&all(&right).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn a_resync_lists_again_while_the_mirror_stays_readable_and_removes_ghosts() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    let ghost = all(&query).await[5]["id"].clone();
    world.edit(json!({"collection": "contacts", "op": "remove", "id": ghost})).await;
    world.post("expire", json!({})).await;
    let round = round(&query);
    let mut pages = Vec::new();
    while let Some(page) = next(&round).await.unwrap() {
        assert!(all(&query).await.len() >= 29, "the old mirror stays readable");
        pages.push(page);
        ack(&round).await.unwrap();
    }
    let removed: Vec<Value> =
        changes(&pages).into_iter().filter(|change| change["type"] == "remove").collect();
    assert_eq!(removed.len(), 1);
    assert_eq!((&removed[0]["id"], &removed[0]["reason"]), (&ghost, &json!("ghost")));
    assert_eq!(pages.iter().map(|page| page["last"].as_bool().unwrap()).filter(|last| *last).count(), 1);
    assert_eq!(pages.last().unwrap()["last"], true);
    let report = report(&round);
    assert_eq!(
        (&report["resync"], &report["ghosts"], &report["unchanged"]),
        (&json!("syncStateNotFound"), &json!(1), &json!(29))
    );
    assert_eq!(ids(&all(&query).await), ids(&world.table("contacts", "").await));
}

#[test]
async fn reset_makes_the_next_round_a_full_one() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    reset(&query).await;
    assert_eq!(all(&query).await.len(), 30);
    let pages = sync(&query).await.unwrap();
    assert!(pages.iter().all(|page| page["kind"] == "full" && page["generation"] == 2));
}

#[test]
async fn minimal_rounds_merge_into_the_mirror() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = query(&client, "orgContacts", json!({"minimal": true}));
    sync(&query).await.unwrap();
    let id = all(&query).await[0]["id"].clone();
    let patch = json!({"jobTitle": "Archivist", "department": null});
    world.edit(json!({"collection": "contacts", "op": "edit", "id": id, "patch": patch})).await;
    sync(&query).await.unwrap();
    let merged = all(&query).await.into_iter().find(|item| item["id"] == id).unwrap();
    let table = world.table("contacts", "").await.into_iter().find(|item| item["id"] == id).unwrap();
    assert_eq!(merged, table);
    assert!(
        world.log().await.iter().all(|entry| entry["headers"]["prefer"] == "return=minimal"),
        "on every request of every round"
    );
}

#[test]
async fn a_query_without_a_mirror_stores_only_the_link() {
    let world = World::new().await;
    let account = unique_name("a");
    let one = client(&world, &account).await;
    let feed = query(&one, "orgContacts", json!({"mirror": false}));
    assert_eq!(changes(&sync(&feed).await.unwrap()).len(), 30);
    assert_eq!(count(&feed).await, 0);
    settled(one.close()).await.unwrap();
    let two = client(&world, &account).await;
    let pages = sync(&query(&two, "orgContacts", json!({"mirror": false}))).await.unwrap();
    assert_eq!((pages.len(), changes(&pages).len(), pages[0]["kind"].as_str()), (1, 0, Some("incremental")));
}

#[test]
async fn a_mirror_of_several_chunks_is_read_completely() {
    let options = json!({"page_size": 400, "honour_maxpagesize": false});
    let world = World::with(json!({"populate": {"contacts": 1234}, "options": options})).await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    sync(&query).await.unwrap();
    assert_eq!(all(&query).await.len(), 1234);
    let listed = ids(&all(&query).await);
    let mut seen: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let chunk = from_js(&settled(query.chunk(after, 500, false)).await.unwrap());
        seen.extend(ids(chunk["items"].as_array().unwrap()));
        after = chunk["next"].as_str().map(str::to_owned);
        assert!(after.is_none() || after.as_ref() == seen.last());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, listed);
    let id = seen[777].clone();
    assert_eq!(from_js(&settled(query.get(id.clone(), false)).await.unwrap())["id"], json!(id));
    assert!(settled(query.get("nobody".into(), false)).await.unwrap().is_undefined());
    reset(&query).await;
    world.edit(json!({"collection": "contacts", "op": "remove", "id": id})).await;
    let pages = sync(&query).await.unwrap();
    assert_eq!(
        changes(&pages).iter().filter(|change| change["reason"] == "ghost").count(),
        1,
        "a sweep over three chunks"
    );
}

#[test]
async fn a_round_stops_after_its_maximum_number_of_pages() {
    let world = World::new().await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    let round = round_with(&query, to_js(&json!({"maxPages": 2})));
    assert_eq!(finish(&round).await.unwrap().len(), 2);
    let report = report(&round);
    assert_eq!(
        (&report["outcome"], &report["pages"], &report["requests"]),
        (&json!("partial"), &json!(2), &json!(2))
    );
}
