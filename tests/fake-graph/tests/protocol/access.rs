//! Tokens, CORS, and the permitted dependencies of the crate.

use crate::common::*;
use fake_graph::{Collection, Populate, Request, World};
use serde_json::json;
use std::collections::BTreeSet;

#[test]
fn a_request_without_a_valid_token_is_401_with_a_challenge() {
    let mut c = Client::new(1, &filled());
    let short = c.world.token("delegated", None, Some(1000), NOW);
    assert_eq!(c.send(WINDOW, &short).status, 200);
    c.now += 1000;
    for token in ["", "nonsense", &short] {
        let r = c.send(WINDOW, token);
        assert_eq!((r.status, code(&r).as_str()), (401, "InvalidAuthenticationToken"));
        assert!(r.header("www-authenticate").unwrap().starts_with("Bearer realm=\"\""));
    }
    c.world.revoke();
    assert_eq!(c.get(WINDOW).status, 401);
    let text = c.world.log().to_string();
    assert!(!text.contains(&c.token), "the log contains a token");
}

#[test]
fn a_preflight_has_the_headers_of_graph() {
    let mut c = Client::new(1, &filled());
    let request = Request {
        method: "OPTIONS".to_owned(),
        url: format!("/w/abc/v1.0{WINDOW}"),
        headers: vec![
            ("Origin".to_owned(), "http://127.0.0.1:1".to_owned()),
            ("Access-Control-Request-Headers".to_owned(), "authorization,prefer".to_owned()),
        ],
        body: Vec::new(),
    };
    let r = c.world.handle(&request, NOW);
    assert_eq!(r.status, 204);
    assert_eq!(r.header("access-control-allow-origin"), Some("*"));
    assert_eq!(r.header("access-control-allow-headers"), Some("authorization,prefer"));
    assert_eq!(log(&c)[0]["kind"], "preflight");
    let exposed = |c: &mut Client| c.get(WINDOW).header("access-control-expose-headers").map(str::to_owned);
    assert!(exposed(&mut c).unwrap().contains("Retry-After"));
    c.options(json!({ "expose_retry_after": false }));
    assert!(!exposed(&mut c).unwrap().contains("Retry-After"));
    c.options(json!({ "expose_headers": false }));
    assert_eq!(exposed(&mut c), None);
}

#[test]
fn an_unknown_path_is_an_error_in_the_log() {
    let mut c = Client::new(1, &filled());
    for url in ["/sites/delta", "/me/events/delta/x", "/users//calendarView/delta"] {
        assert_eq!(c.get(url).status, 400);
        assert_eq!(log(&c).last().unwrap()["kind"], "unexpected");
    }
    let mut request = Request::get(format!("/w/abc/v1.0{WINDOW}"), &c.token);
    request.method = "POST".to_owned();
    assert_eq!(c.world.handle(&request, NOW).status, 405);
}

#[test]
fn the_core_has_no_clock_and_no_input_or_output() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let outside = ["std::time", "std::net", "std::fs", "std::io", "std::env", "HashMap", "println!"];
        assert!(
            path.ends_with("main.rs") || !outside.iter().any(|word| text.contains(word)),
            "{}",
            path.display()
        );
    }
}

#[test]
fn no_id_is_used_twice() {
    let mut c = Client::new(
        9,
        &Populate {
            events: 400,
            contacts: 200,
            messages: 200,
            drive: 100,
            recordings: 50,
            users: 50,
            groups: 3,
            around: 0,
        },
    );
    let mut seen = BTreeSet::new();
    for collection in Collection::ALL {
        for item in c.world.list(collection, None, None, None, false) {
            assert!(seen.insert(item["id"].as_str().unwrap().to_owned()));
        }
        for _ in 0..300 {
            for id in c.edit(json!({ "collection": collection.name(), "op": "add" })) {
                assert!(seen.insert(id), "{collection:?}");
            }
        }
    }
}

#[test]
fn the_fake_does_not_depend_on_deltalink() {
    for manifest in ["/Cargo.toml", "/wasm/Cargo.toml"] {
        let manifest = std::fs::read_to_string(format!("{}{manifest}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
        assert!(!dependencies.contains("deltalink"));
    }
    let core = World::new(1, ROOT.to_owned());
    assert_eq!(core.root(), ROOT);
}
