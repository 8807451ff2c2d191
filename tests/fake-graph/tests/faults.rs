//! The faults of the fake Graph, and the rules that select the requests for them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
use common::*;
use fake_graph::Response;
use serde_json::{Value, json};

fn client() -> Client {
    Client::new(3, &filled())
}

fn faulted(c: &mut Client, fault: Value) -> Response {
    c.fault(json!({ "fault": fault }));
    let r = c.get(WINDOW);
    assert_eq!(log(c).last().unwrap()["fault"], fault.get("name").cloned().unwrap_or(fault));
    r
}

#[test]
fn a_status_has_its_code_and_headers() {
    let mut c = client();
    let fault = json!({
        "name": "status", "status": 429, "code": "TooManyRequests", "inner": "429", "message": "Please retry",
        "headers": { "Retry-After": 2.128 },
    });
    let r = faulted(&mut c, fault);
    assert_eq!(
        (r.status, code(&r).as_str(), r.header("retry-after")),
        (429, "TooManyRequests", Some("2.128"))
    );
    assert_eq!(r.json()["error"]["innerError"]["code"], "429");
    assert_eq!(r.header("access-control-allow-origin"), Some("*"));
    let r = faulted(&mut c, json!({ "name": "status", "status": 503, "retry_after_date_in_s": 5 }));
    assert_eq!(r.header("retry-after"), Some("Sat, 21 Nov 2026 00:00:05 GMT"));
    let r = faulted(&mut c, json!({ "name": "status", "status": 500, "body": "oops" }));
    assert_eq!(r.body, b"oops");
    assert_eq!(c.get(WINDOW).status, 200);
    assert_eq!(c.world.faults()["counts"]["status"], 3);
}

#[test]
fn a_reset_has_every_form() {
    let mut c = client();
    let mut seen = Vec::new();
    for n in 1..=16 {
        let r = faulted(&mut c, json!({ "name": "reset", "spelling": n }));
        assert!(matches!(r.status, 400 | 404 | 410));
        seen.push((r.status, code(&r), r.json()["error"]["innerError"]["code"].clone().to_string()));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 16);
    let r = faulted(&mut c, json!({ "name": "reset", "spelling": 5 }));
    assert_eq!(r.header("location"), Some(format!("{ROOT}/me/calendarview/delta?$deltatoken=").as_str()));
    let r =
        faulted(&mut c, json!({ "name": "reset", "spelling": 1, "location": "https://elsewhere.example/" }));
    assert_eq!(r.header("location"), Some("https://elsewhere.example/"));
}

#[test]
fn a_claims_challenge_ends_with_a_new_token() {
    let mut c = client();
    c.fault(json!({
        "times": null,
        "fault": { "name": "claims", "claims": { "access_token": {} }, "until_new_token": true },
    }));
    for _ in 0..2 {
        let r = c.get(WINDOW);
        assert_eq!(r.status, 401);
        assert!(
            r.header("www-authenticate")
                .unwrap()
                .ends_with("error=\"insufficient_claims\", claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\"")
        );
    }
    c.token = c.world.token("delegated", None, None, NOW);
    assert_eq!(c.get(WINDOW).status, 200);
    let r = faulted(&mut c, json!({ "name": "claims", "claims": "%%%", "status": 403 }));
    assert!(r.status == 403 && r.header("www-authenticate").unwrap().contains("claims=\"%%%\""));
    assert!(!faulted(&mut c, json!("unauthorized")).header("www-authenticate").unwrap().contains("claims"));
}

#[test]
fn a_connection_can_be_closed_hung_cut_and_slowed() {
    let mut c = client();
    assert_eq!(faulted(&mut c, json!("network")).status, 0);
    assert!(faulted(&mut c, json!("hang")).hang);
    let r = faulted(&mut c, json!({ "name": "cut", "n": 100 }));
    assert!(r.cut_after == Some(100) && r.body.len() > 100);
    assert_eq!(faulted(&mut c, json!({ "name": "slow", "bytes_per_second": 99 })).bytes_per_second, Some(99));
    assert_eq!(faulted(&mut c, json!({ "name": "delay", "ms": 70 })).delay_ms, 70);
    c.options(json!({ "latency_ms": 5, "bytes_per_second": 1000 }));
    let r = c.get(WINDOW);
    assert_eq!((r.delay_ms, r.bytes_per_second), (5, Some(1000)));
}

#[test]
fn a_response_can_come_from_a_proxy_or_contradict_its_status() {
    let mut c = client();
    let r = faulted(&mut c, json!({ "name": "html", "status": 502 }));
    assert!(r.status == 502 && r.header("content-type").unwrap().starts_with("text/html"));
    assert_eq!(faulted(&mut c, json!("html")).status, 200);
    let r = faulted(&mut c, json!("empty503"));
    assert!(r.status == 503 && r.body.is_empty());
    let r = faulted(&mut c, json!({ "name": "redirect", "location": "http://127.0.0.1:9/x" }));
    assert_eq!((r.status, r.header("location")), (302, Some("http://127.0.0.1:9/x")));
    let r = faulted(&mut c, json!("error_in_200"));
    assert!(r.status == 200 && r.json()["error"].is_object());
    let r = faulted(&mut c, json!("bad_request_with_good_body"));
    assert!(r.status == 400 && r.json()["value"].is_array());
    assert_eq!(faulted(&mut c, json!("not_json")).json(), Value::Null);
}

#[test]
fn a_page_can_be_malformed() {
    let mut c = client();
    let links = |r: &Response| {
        (r.json().get("@odata.nextLink").is_some(), r.json().get("@odata.deltaLink").is_some())
    };
    assert_eq!(links(&faulted(&mut c, json!("neither_link"))), (false, false));
    assert_eq!(links(&faulted(&mut c, json!("both_links"))), (true, true));
    assert!(faulted(&mut c, json!("no_value")).json().get("value").is_none());
    assert!(faulted(&mut c, json!("value_null")).json()["value"].is_null());
    assert!(faulted(&mut c, json!("value_object")).json()["value"].is_object());
    assert_eq!(faulted(&mut c, json!("wrong_type")).json()["value"][1], "two");
    assert_eq!(faulted(&mut c, json!("empty_page")).json()["value"], json!([]));
    let r = faulted(&mut c, json!({ "name": "items_without_id", "n": 1 })).json();
    assert!(r["value"][0].get("id").is_none() && r["value"][1].get("id").is_some());
}

#[test]
fn a_link_can_be_repeated_relative_or_foreign() {
    let mut c = client();
    let next = |r: Response| r.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert_eq!(next(faulted(&mut c, json!("same_link"))), format!("{ROOT}{WINDOW}"));
    assert!(next(faulted(&mut c, json!("relative_link"))).starts_with("/w/abc/v1.0/me/calendarview"));
    assert!(
        next(faulted(&mut c, json!("foreign_link"))).starts_with("https://graph.microsoft.example/w/abc")
    );
    let origin = json!({ "name": "foreign_link", "origin": "http://me@127.0.0.1:4010" });
    assert!(next(faulted(&mut c, origin)).starts_with("http://me@127.0.0.1:4010/w/abc"));
    assert_eq!(
        next(faulted(&mut c, json!({ "name": "foreign_link", "link": "https://a.example/b" }))),
        "https://a.example/b"
    );
}

#[test]
fn a_livelock_repeats_a_subset_under_new_links() {
    for cycle in [1usize, 3] {
        let mut c = client();
        c.options(json!({ "page_size": 5 }));
        c.fault(json!({
            "match": { "kind": "next", "skip": 1 }, "times": 12,
            "fault": { "name": "livelock", "cycle": cycle },
        }));
        let mut links = std::collections::BTreeSet::new();
        let mut pages = Vec::new();
        let mut url = c.get(WINDOW).json()["@odata.nextLink"].as_str().unwrap().to_owned();
        for _ in 0..12 {
            assert!(links.insert(url.clone()));
            let body = c.get(&url).json();
            pages.push(body["value"].clone());
            url = body["@odata.nextLink"].as_str().unwrap().to_owned();
        }
        for n in 2..pages.len() - cycle {
            assert_eq!(pages[n], pages[n + cycle], "{cycle}");
        }
        assert_ne!(pages[0], pages[1]);
        // After the last use of the rule, the round continues to its deltaLink.
        c.round(&url);
    }
}

#[test]
fn only_a_poisoned_link_is_always_refused() {
    let mut c = client();
    let delta = c.round(WINDOW).delta;
    let other = c.round(WINDOW).delta;
    c.fault(json!({
        "match": { "kind": "delta" },
        "fault": { "name": "poisoned", "status": 500, "code": "InternalServerError" },
    }));
    for _ in 0..3 {
        let r = c.get(&delta);
        assert_eq!((r.status, code(&r).as_str()), (500, "InternalServerError"));
    }
    assert_eq!(c.get(&other).status, 200);
}

#[test]
fn a_rule_matches_by_kind_collection_count_and_page_size() {
    let mut c = client();
    c.fault(json!({
        "match": { "collection": "contacts", "kind": "next", "skip": 1 }, "times": 2, "fault": "empty503",
    }));
    assert_eq!(c.get(WINDOW).status, 200);
    let mut url = "/contacts/delta".to_owned();
    let mut codes = Vec::new();
    for _ in 0..6 {
        let r = c.get(&url);
        codes.push(r.status);
        if let Some(next) = r.json()["@odata.nextLink"].as_str() {
            url = next.to_owned();
        }
    }
    assert_eq!(codes, [200, 200, 503, 503, 200, 200]);
    let rule = &c.world.faults()["rules"][0];
    assert_eq!(rule["applied"], 2);
    // A long calendar gets 503 until the client requests smaller pages.
    c.fault(json!({
        "match": { "collection": "events", "page_size_over": 10 }, "times": null, "fault": "empty503",
    }));
    c.prefer = Some("odata.maxpagesize=500".to_owned());
    assert_eq!(c.get(WINDOW).status, 503);
    c.prefer = Some("odata.maxpagesize=10".to_owned());
    assert_eq!(c.get(WINDOW).status, 200);
    c.world.clear_faults();
    assert_eq!(c.world.faults()["rules"], json!([]));
}

#[test]
fn an_invalid_rule_is_refused() {
    let mut c = client();
    for rule in [
        json!({ "fault": "flood" }),
        json!({ "fault": "hang", "wehn": 1 }),
        json!({ "match": { "kind": "often" }, "fault": "hang" }),
        json!({ "match": { "collection": "sites" }, "fault": "hang" }),
        json!([{ "fault": "hang" }, { "times": "x", "fault": "hang" }]),
        json!("hang"),
    ] {
        assert!(c.world.add_faults(&rule).is_err(), "{rule}");
    }
    assert_eq!(c.get(WINDOW).status, 200);
}

#[test]
fn a_wrong_property_of_a_fault_is_named_with_those_that_the_fault_has() {
    let mut c = client();
    for (rule, message) in [
        (
            json!({ "fault": { "name": "cut", "bytes": 3 } }),
            "the fault cut has no property bytes: it has n, name, label, until_new_token",
        ),
        (
            json!({ "fault": { "name": "cut", "n": "3" } }),
            "the fault cut: n must be a whole number, got \"3\"; it has n, name, label, until_new_token",
        ),
        (
            json!({ "match": { "skip": "2" }, "fault": "hang" }),
            "match: skip must be a whole number, got \"2\"; it has collection, kind, skip, url, page_size_over, percent",
        ),
    ] {
        assert_eq!(c.world.add_faults(&rule), Err(message.to_owned()));
    }
    for (name, field, value) in [
        ("status", "status", json!("403")),
        ("status", "status", json!(199)),
        ("status", "headers", json!({ "Retry-After": [1] })),
        ("reset", "spelling", json!(17)),
        ("slow", "bytes_per_second", json!(0)),
        ("claims", "until_new_token", json!("yes")),
        ("network", "n", json!(3)),
    ] {
        let rule = json!({ "fault": { "name": name, field: value } });
        let error = c.world.add_faults(&rule).unwrap_err();
        assert!(error.contains(&format!("the fault {name}")) && error.contains(field), "{error}");
    }
    c.fault(json!({ "fault": { "name": "network", "label": null } }));
    assert_eq!(c.get(WINDOW).status, 0);
    assert_eq!(log(&c).last().unwrap()["rule"], c.world.faults()["rules"][0]["id"]);
}
