//! Separate accounts, and the end of a client.

use serde_json::json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::*;
use crate::world::World;

#[test]
async fn two_accounts_share_no_row_and_one_can_be_forgotten() {
    let world = World::new().await;
    let (alex, sam) = (unique_name("alex"), unique_name("sam"));
    let one = client(&world, &alex).await;
    sync(&contacts(&one)).await.unwrap();
    let two = client(&world, &sam).await;
    let other = contacts(&two);
    assert!(all(&other).await.is_empty());
    sync(&other).await.unwrap();
    settled(one.forget()).await.unwrap();
    assert_eq!(all(&other).await.len(), 30);
    let names = "return (await indexedDB.databases()).map(({ name }) => name)";
    let names = from_js(&js_await(names, &JsValue::UNDEFINED).await).to_string();
    assert!(!names.contains(&alex) && names.contains(&sam), "{names}");
    let again = client(&world, &alex).await;
    assert!(all(&contacts(&again)).await.is_empty());
}

#[test]
async fn a_closed_client_ends_its_rounds_with_closed() {
    let world = World::new().await;
    world.fault(json!({"match": {"collection": "contacts"}, "fault": "hang"})).await;
    let client = client(&world, &unique_name("a")).await;
    let query = contacts(&client);
    let round = round(&query);
    let pending = round.next();
    world.until_fault("hang", 1).await;
    settled(client.close()).await.unwrap();
    assert_eq!(settled(pending).await.unwrap_err().code(), "closed");
    assert_eq!(settled(query.all(false)).await.unwrap_err().code(), "closed");
}

#[test]
async fn a_persistent_store_needs_an_account() {
    let world = World::new().await;
    for account in [JsValue::UNDEFINED, "".into()] {
        let refused = try_open(&world, "", &[("account", account)]).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), "account");
        assert!(
            refused.message().starts_with("options.account is required with a store that outlives the tab"),
            "{}",
            refused.message()
        );
    }
    let with_account =
        js("const token = () => 't'; token.account = a; return token", &unique_name("source").into());
    let more = [("account", JsValue::UNDEFINED), ("token", with_account)];
    assert!(try_open(&world, "", &more).await.is_ok());
}
