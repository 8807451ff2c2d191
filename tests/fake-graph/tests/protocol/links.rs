//! Links: their form, their position in a page, and which ones are refused.

use crate::common::*;
use crate::recordings;
use serde_json::json;

#[test]
fn a_link_has_another_path_than_the_request() {
    let mut c = Client::new(1, &filled());
    let next = |r: fake_graph::Response| r.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(next(c.get(WINDOW)).starts_with(&format!("{ROOT}/me/calendarview/delta?$skiptoken=")));
    let id = c.world.me().0.to_owned();
    let users = next(c.get(&WINDOW.replace("/me/", &format!("/users/{id}/"))));
    assert!(users.starts_with(&format!("{ROOT}/users('{id}')/calendarview/delta?")), "{users}");
    assert!(c.round(&users).ids().len() > 10);
    let mail = next(c.get("/me/mailFolders/inbox/messages/delta"));
    assert!(
        mail.starts_with(&format!("{ROOT}/me/mailfolders('inbox')/messages/delta?$skiptoken=")),
        "{mail}"
    );
    assert!(c.round("/contacts/delta").delta.starts_with(&format!("{ROOT}/contacts/delta?$deltatoken=")));
    assert!(next(c.get("/contacts/microsoft.graph.delta()")).contains("/contacts/microsoft.graph.delta()?"));
    c.options(json!({ "swap_token_names": true }));
    assert!(c.round("/contacts/delta").delta.contains("$skiptoken="));
}

#[test]
fn the_link_precedes_value_and_in_drives_follows_it() {
    let mut c = Client::new(1, &filled());
    let text = |r: fake_graph::Response| String::from_utf8(r.body).unwrap();
    let place = |t: &str| (t.find("@odata.nextLink").unwrap(), t.find("\"value\":").unwrap());
    for url in [WINDOW, "/contacts/delta", "/users/delta", "/me/mailFolders/inbox/messages/delta"] {
        let (link, value) = place(&text(c.get(url)));
        assert!(link < value, "{url}");
    }
    let (link, value) = place(&text(c.get("/me/drive/root/delta")));
    assert!(value < link);
}

#[test]
fn a_token_changed_by_one_byte_is_refused() {
    let mut c = Client::new(1, &filled());
    let app = c.app.clone();
    let urls =
        [WINDOW.to_owned(), "/contacts/delta".to_owned(), recordings(&c), "/me/drive/root/delta".to_owned()];
    for url in urls {
        let token = if url.contains("Recordings") { app.clone() } else { c.token.clone() };
        let delta = c.round_with(&url, &token, |_, _| {}).delta;
        let cut = delta[..delta.len() - 1].to_owned();
        let (before, after) = delta.split_once('=').unwrap();
        let last = delta.chars().last().unwrap();
        let mut altered =
            vec![cut.clone(), format!("{cut}{}", if last == 'A' { 'B' } else { 'A' }), format!("{delta}A")];
        if after.contains('%') {
            altered.push(format!(
                "{before}={}",
                after.replace("%2B", "+").replace("%7B", "{").replace("%3B", ";")
            ));
            altered.push(format!("{before}={}", after.replace('%', "%25")));
        }
        for altered in altered.iter().filter(|b| **b != delta) {
            let r = c.send(altered, &token);
            assert!(matches!(r.status, 400 | 410), "{altered}: {}", r.status);
            assert_eq!(log(&c).last().unwrap()["kind"], "unexpected");
        }
        assert_eq!(c.send(&delta, &token).status, 200);
        assert_eq!(log(&c).last().unwrap()["as_issued"], true);
    }
}

#[test]
fn parameters_that_are_repeated_on_a_link_are_refused_except_documented_ones() {
    let mut c = Client::new(1, &filled());
    let delta = c.round("/contacts/delta?$select=displayName").delta;
    assert_eq!(c.get(&format!("{delta}&$filter=id eq 'x'")).status, 400);
    assert_eq!(c.get(&format!("{delta}&$select=jobTitle")).status, 200);
    assert_eq!(log(&c).last().unwrap()["as_issued"], false);
    let next = c.get("/contacts/delta").json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert_eq!(c.get(&format!("{next}&$select=jobTitle")).status, 400);
    let events = c.round(WINDOW).delta;
    assert_eq!(c.get(&format!("{events}&startDateTime=2020-01-01")).status, 200);
    c.options(json!({ "ignore_repeated_dates": false }));
    assert_eq!(c.get(&format!("{events}&startDateTime=2020-01-01")).status, 400);
}

#[test]
fn the_same_link_returns_the_same_items_and_a_new_link() {
    let mut c = Client::new(1, &filled());
    let next = c.get(WINDOW).json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let (a, b) = (c.get(&next).json(), c.get(&next).json());
    assert_eq!(a["value"], b["value"]);
    assert_ne!(a["@odata.nextLink"], b["@odata.nextLink"]);
}

#[test]
fn every_form_of_a_drive_link_is_accepted() {
    for form in ["query", "path", "unquoted", "broken"] {
        let mut c = Client::new(1, &filled());
        c.options(json!({ "drive_link": form, "page_size": 6 }));
        let round = c.round("/me/drive/root/delta");
        assert_eq!(round.ids().len(), 20, "{form}");
        c.edit(json!({ "collection": "drive", "op": "random", "count": 3 }));
        // A browser encodes the quotes of a query.
        let delta = if form == "broken" { round.delta.replace('\'', "%27") } else { round.delta };
        assert!(!c.round(&delta).items().is_empty(), "{form}");
        assert_eq!(log(&c).last().unwrap()["as_issued"], true);
    }
}
