//! Users, groups and contacts: `$select`, slices of members, soft deletion.

use crate::common::*;
use fake_graph::Populate;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn return_minimal_omits_unchanged_properties() {
    let mut c = Client::new(1, &Populate::default());
    let item = json!({ "displayName": "Ada", "jobTitle": "Lead", "mail": "ada@fabrikam.example" });
    let id = c.edit(json!({ "collection": "contacts", "op": "add", "item": item }))[0].clone();
    let first = c.round("/contacts/delta");
    assert_eq!(
        Value::Object(first.items()[0].clone()),
        json!({ "id": id, "displayName": "Ada", "jobTitle": "Lead", "mail": "ada@fabrikam.example" })
    );
    c.edit(json!({ "collection": "contacts", "op": "edit", "id": id, "patch": { "mail": null } }));
    let whole = c.round(&first.delta);
    assert_eq!(
        Value::Object(whole.items()[0].clone()),
        json!({ "id": id, "displayName": "Ada", "jobTitle": "Lead", "mail": null })
    );
    c.prefer = Some("return=minimal".to_owned());
    let minimal = c.round(&first.delta);
    assert_eq!(Value::Object(minimal.items()[0].clone()), json!({ "id": id, "mail": null }));
    assert!(c.get(&first.delta).header("preference-applied").unwrap().contains("return=minimal"));
}

#[test]
fn select_limits_the_properties_and_what_counts_as_a_change() {
    let mut c = Client::new(1, &Populate { contacts: 3, ..Populate::default() });
    let first = c.round("/contacts/delta?$select=displayName");
    assert!(first.items().iter().all(|i| i.keys().map(String::as_str).eq(["displayName", "id"])));
    let id = first.ids()[0].clone();
    c.edit(json!({ "collection": "contacts", "op": "edit", "id": id, "patch": { "jobTitle": "Other" } }));
    assert!(c.round(&first.delta).ids().is_empty());
    c.options(json!({ "omit_unselected_id": true }));
    assert!(c.get("/contacts/delta?$select=displayName").json()["value"][0].get("id").is_none());
}

#[test]
fn a_filter_has_at_most_fifty_ids() {
    let mut c = Client::new(1, &Populate { contacts: 60, ..Populate::default() });
    let ids = c.round("/contacts/delta").ids();
    let filter = |n: usize| {
        ids[..n].iter().map(|i| format!("id eq '{i}'")).collect::<Vec<_>>().join(" or ").replace(' ', "%20")
    };
    let r = c.get(&format!("/contacts/delta?$filter={}", filter(51)));
    assert_eq!((r.status, code(&r).as_str()), (400, "Request_UnsupportedQuery"));
    c.options(json!({ "filter_empty_pages": 3 }));
    // An example of the documentation has a slash before the question mark and a space after the
    // equals sign.
    let round = c.round(&format!("/contacts/delta/?$filter=%20{}", filter(12)));
    assert_eq!(round.ids().len(), 12);
    assert!(round.pages[..3].iter().all(Vec::is_empty));
    c.edit(json!([
        { "collection": "contacts", "op": "edit", "id": ids[0] },
        { "collection": "contacts", "op": "edit", "id": ids[20] },
    ]));
    assert_eq!(c.round(&round.delta).ids(), [ids[0].clone()]);
    for bad in ["$top=3", "$expand=x", "$orderby=displayName", "$search=x", "$filter=displayName%20eq%20'x'"]
    {
        assert_eq!(code(&c.get(&format!("/contacts/delta?{bad}"))), "Request_UnsupportedQuery", "{bad}");
    }
}

#[test]
fn a_restored_object_is_a_new_one() {
    let mut c = Client::new(1, &Populate { users: 4, ..Populate::default() });
    let first = c.round("/users/delta?$select=displayName,manager");
    let id = first.ids()[2].clone();
    let edit = |c: &mut Client, op: &str| c.edit(json!({ "collection": "users", "op": op, "id": id }));
    edit(&mut c, "soft-remove");
    let second = c.round(&first.delta);
    assert_eq!(second.items()[0]["@removed"]["reason"], "changed");
    edit(&mut c, "restore");
    c.prefer = Some("return=minimal".to_owned());
    let third = c.round(&second.delta);
    assert!(third.items()[0].contains_key("displayName") && third.items()[0].contains_key("manager@delta"));
    edit(&mut c, "soft-remove");
    edit(&mut c, "remove");
    assert_eq!(c.round(&third.delta).items()[0]["@removed"]["reason"], "deleted");
}

#[test]
fn members_are_sent_in_slices_on_several_pages() {
    let mut c = Client::new(1, &Populate { users: 50, groups: 2, ..Populate::default() });
    c.options(json!({ "members_slice": 20 }));
    let round = c.round("/groups/delta");
    let group = round.ids()[0].clone();
    let slices: Vec<_> = round.items().into_iter().filter(|i| i["id"] == json!(group)).collect();
    assert_eq!(slices.len(), 3);
    let members: BTreeSet<&str> = slices
        .iter()
        .flat_map(|s| s["members@delta"].as_array().unwrap())
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert_eq!(members.len(), 50);
    for page in &round.pages {
        let ids: BTreeSet<_> = page.iter().map(id).collect();
        assert_eq!(ids.len(), page.len(), "no id is twice on a page");
    }
    let one = (*members.first().unwrap()).to_owned();
    c.edit(json!({
        "collection": "groups", "op": "edit", "id": group, "patch": { "members": { "remove": [one] } },
    }));
    let second = c.round(&round.delta);
    assert_eq!(
        second.items()[0]["members@delta"],
        json!([{ "@odata.type": "#microsoft.graph.user", "id": one, "@removed": { "reason": "deleted" } }])
    );
}

#[test]
fn a_manager_is_sent_only_if_selected() {
    let mut c = Client::new(1, &Populate { users: 3, ..Populate::default() });
    let plain = c.round("/users/delta");
    assert!(plain.items().iter().all(|i| !i.contains_key("manager@delta")));
    let first = c.round("/users/delta?$select=displayName,manager");
    let ids = first.ids();
    c.edit(json!({ "collection": "users", "op": "edit", "id": ids[2], "patch": { "manager": ids[1] } }));
    let list = c.round(&first.delta).items()[0]["manager@delta"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    assert_eq!(list.iter().filter(|m| m.get("@removed").is_some()).count(), 1);
    assert!(c.round(&plain.delta).ids().is_empty());
    let skills = c.get("/users/delta?$select=skills");
    assert_eq!((skills.status, code(&skills).as_str()), (501, "NotImplemented"));
}

#[test]
fn a_directory_link_expires_after_seven_days() {
    let mut c = Client::new(1, &filled());
    let delta = c.round("/contacts/delta").delta;
    let events = c.round(WINDOW).delta;
    c.now = NOW + 7 * 86_400_000;
    assert_eq!(c.get(&delta).status, 200);
    c.now += 1;
    for status in [400u16, 410] {
        c.options(json!({ "directory_expired": status }));
        let r = c.get(&delta);
        assert_eq!((r.status, code(&r).as_str()), (status, "syncStateNotFound"));
    }
    assert_eq!(c.get(&events).status, 200);
}

#[test]
fn a_round_from_now_on_has_no_data() {
    let mut c = Client::new(1, &filled());
    let round = c.round("/contacts/delta?$deltatoken=latest");
    assert!(round.ids().is_empty());
    c.edit(json!({ "collection": "contacts", "op": "add" }));
    assert_eq!(c.round(&round.delta).ids().len(), 1);
    let drive = c.round("/me/drive/root/delta?token=latest");
    assert!(drive.ids().is_empty());
    assert!(c.get(&format!("{WINDOW}&$deltatoken=latest")).json()["@odata.nextLink"].is_string());
}
