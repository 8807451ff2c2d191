//! The control API, as a function and through the real server.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
use common::NOW;
use fake_graph::{Request, Response, Server};
use serde_json::{Value, json};

struct Control(Server);

impl Control {
    fn new() -> Self {
        Self(Server::new(1, "http://127.0.0.1:4010"))
    }

    fn send(&mut self, method: &str, url: &str, body: Value) -> Response {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request { method: method.to_owned(), url: url.to_owned(), headers: Vec::new(), body };
        self.0.handle(&request, NOW)
    }

    fn ok(&mut self, method: &str, url: &str, body: Value) -> Value {
        let r = self.send(method, url, body);
        assert!(r.status == 200 || r.status == 204, "{method} {url}: {}", r.json());
        r.json()
    }
}

#[test]
fn worlds_are_separate_and_can_be_replaced() {
    let mut c = Control::new();
    let a = c.ok(
        "POST",
        "/control/worlds",
        json!({ "seed": 1, "id": "demo", "populate": { "contacts": 12, "around": "2026-11-21T00:00:00Z" } }),
    );
    let b = c.ok("POST", "/control/worlds", json!({}));
    assert_eq!(a["root"], "http://127.0.0.1:4010/w/demo/v1.0");
    assert_ne!(a["root"], b["root"]);
    assert_eq!(
        c.ok("GET", "/control/worlds/demo/tables/contacts", Value::Null).as_array().unwrap().len(),
        12
    );
    let path = a["root"].as_str().unwrap().replace("http://127.0.0.1:4010", "");
    let token = a["tokens"]["delegated"].as_str().unwrap();
    let r = c.0.handle(&Request::get(format!("{path}/contacts/delta"), token), NOW);
    assert_eq!(r.json()["value"].as_array().unwrap().len(), 10);
    let again = c.ok("POST", "/control/worlds", json!({ "seed": 1, "id": "demo" }));
    assert_eq!(c.ok("GET", "/control/worlds/demo/tables/contacts", Value::Null), json!([]));
    assert_eq!(again["user"], a["user"]);
    c.ok("DELETE", "/control/worlds/demo", Value::Null);
    assert_eq!(c.send("GET", "/control/worlds/demo/log", Value::Null).status, 404);
    assert_eq!(c.ok("GET", "/control/worlds", Value::Null), json!(["w2"]));
}

#[test]
fn unknown_routes_and_properties_are_refused() {
    let mut c = Control::new();
    c.ok("POST", "/control/worlds", json!({ "id": "x" }));
    for (method, url, body) in [
        ("PATCH", "/control/worlds/x/options", json!({ "speed": 1 })),
        ("PATCH", "/control/worlds/x/options", json!({ "page_size": "many" })),
        ("POST", "/control/worlds", json!({ "options": { "speed": 1 } })),
        ("POST", "/control/worlds", json!({ "populate": { "cats": 1 } })),
        ("POST", "/control/worlds", json!({ "id": "a/b" })),
        ("POST", "/control/worlds/x/edits", json!([{ "collection": "cats", "op": "add" }])),
        ("POST", "/control/worlds/x/edits", json!([{ "collection": "contacts", "op": "paint" }])),
        (
            "POST",
            "/control/worlds/x/edits",
            json!([{ "collection": "contacts", "op": "edit", "id": "none" }]),
        ),
        ("POST", "/control/worlds/x/edits", json!([{ "collection": "drive", "op": "soft-remove" }])),
        ("POST", "/control/worlds/x/faults", json!([{ "fault": "flood" }])),
        ("POST", "/control/worlds/x/token", json!({ "kind": "root" })),
    ] {
        let r = c.send(method, url, body.clone());
        assert_eq!(r.status, 400, "{url} {body}");
        assert!(r.json()["error"].is_string());
    }
    assert_eq!(c.send("GET", "/control/worlds/x/tables/cats", Value::Null).status, 404);
    assert_eq!(c.send("GET", "/elsewhere", Value::Null).status, 404);
}

#[test]
fn every_function_of_a_world_has_a_route() {
    let mut c = Control::new();
    let w = c.ok(
        "POST",
        "/control/worlds",
        json!({ "id": "x", "options": { "page_size": 3 }, "populate": { "events": 9 } }),
    );
    assert_eq!(c.ok("GET", "/control/worlds/x/options", Value::Null)["page_size"], 3);
    assert_eq!(c.ok("PATCH", "/control/worlds/x/options", json!({ "page_size": 4 }))["page_size"], 4);
    let ids = c.ok(
        "POST",
        "/control/worlds/x/edits",
        json!([{ "collection": "contacts", "op": "add", "item": { "displayName": "A" } }]),
    )["ids"]
        .clone();
    let table = c.ok("GET", "/control/worlds/x/tables/contacts", Value::Null);
    assert_eq!(table, json!([{ "id": ids[0], "displayName": "A" }]));
    let window = "start=2026-11-01T00:00:00Z&end=2026-12-31T00:00:00Z";
    assert!(
        !c.ok("GET", &format!("/control/worlds/x/tables/events?{window}"), Value::Null)
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        c.ok("GET", "/control/worlds/x/tables/events?start=1990-01-01&end=1990-01-02", Value::Null),
        json!([])
    );
    let token = c.ok(
        "POST",
        "/control/worlds/x/token",
        json!({ "kind": "delegated", "user": "alex@contoso.example" }),
    )["token"]
        .clone();
    let get = |c: &mut Control, token: &str| {
        c.0.handle(&Request::get("/w/x/v1.0/contacts/delta", token).with("client-request-id", "r1"), NOW)
    };
    let r = get(&mut c, token.as_str().unwrap());
    assert_eq!((r.status, r.header("client-request-id")), (200, Some("r1")));
    c.ok("POST", "/control/worlds/x/faults", json!([{ "fault": "empty503" }]));
    let own = w["tokens"]["app"].as_str().unwrap();
    assert_eq!(get(&mut c, own).status, 503);
    assert_eq!(c.ok("GET", "/control/worlds/x/faults", Value::Null)["counts"]["empty503"], 1);
    c.ok("DELETE", "/control/worlds/x/faults", Value::Null);
    let delta =
        get(&mut c, own).json()["@odata.deltaLink"].as_str().unwrap().replace("http://127.0.0.1:4010", "");
    c.ok("POST", "/control/worlds/x/expire", json!({ "collection": "contacts" }));
    assert_eq!(c.0.handle(&Request::get(delta, own), NOW).status, 400);
    let log = c.ok("GET", "/control/worlds/x/log", Value::Null);
    let kinds: Vec<&str> = log.as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["initial", "initial", "initial", "delta"]);
    assert_eq!(log[0]["headers"], json!({ "authorization": "delegated", "client-request-id": "r1" }));
    assert_eq!(
        (log[2]["headers"]["authorization"].clone(), log[1]["fault"].clone(), log[2]["items"].clone()),
        (json!("app"), json!("empty503"), json!(1))
    );
    let mut request = Request::get("/w/x/v1.0/subscriptions", own);
    request.method = "POST".to_owned();
    let body = json!({
        "resource": "users", "changeType": "updated", "notificationUrl": "https://a.example/",
        "expirationDateTime": "2026-11-21T00:01:00Z",
    });
    request.body = body.to_string().into_bytes();
    assert_eq!(c.0.handle(&request, NOW).status, 201);
    assert_eq!(c.ok("GET", "/control/worlds/x/subscriptions", Value::Null)[0]["resource"], "users");
    c.ok("DELETE", "/control/worlds/x/log", Value::Null);
    c.ok("POST", "/control/worlds/x/revoke", Value::Null);
    assert_eq!(get(&mut c, own).status, 401);
    assert_eq!(c.ok("GET", "/control/worlds/x/log", Value::Null)[0]["n"], 6);
}

#[test]
fn a_fault_that_stays_on_acts_until_its_rule_is_removed() {
    let mut c = Control::new();
    let world = c.ok("POST", "/control/worlds", json!({ "id": "x" }));
    let token = world["tokens"]["delegated"].as_str().unwrap();
    let status = |c: &mut Control| c.0.handle(&Request::get("/w/x/v1.0/contacts/delta", token), NOW).status;
    assert_eq!(status(&mut c), 200);
    let rules =
        json!([{ "fault": "empty503", "times": null }, { "fault": "hang", "match": { "kind": "item" } }]);
    let ids = c.ok("POST", "/control/worlds/x/faults", rules)["ids"].clone();
    assert_eq!([status(&mut c), status(&mut c)], [503, 503]);
    let first = format!("/control/worlds/x/faults/{}", ids[0]);
    c.ok("DELETE", &first, Value::Null);
    assert_eq!(status(&mut c), 200);
    assert_eq!(c.send("DELETE", &first, Value::Null).status, 404);
    assert_eq!(c.send("DELETE", "/control/worlds/x/faults/one", Value::Null).status, 404);
    let left = c.ok("GET", "/control/worlds/x/faults", Value::Null)["rules"].clone();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["id"]), (1, &ids[1]));
}

#[cfg(feature = "server")]
mod server {
    use super::*;
    use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
    use std::net::TcpStream;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    struct Running {
        child: Child,
        address: String,
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn start(args: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fake-graph"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("fake-graph listening on http://").unwrap().to_owned();
        Running { child, address }
    }

    fn send(address: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            return (0, String::new(), bytes);
        };
        let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), bytes[at + 4..].to_vec())
    }

    #[test]
    fn the_server_sends_responses_over_http_with_their_delays_and_cuts() {
        let mut server = start(&["--stdin-lifeline", "--seed", "4"]);
        let at = server.address.clone();
        assert!(at.starts_with("127.0.0.1:"));
        let (status, _, body) = send(
            &at,
            "POST",
            "/control/worlds",
            "",
            r#"{"id":"demo","populate":{"contacts":30,"recordings":9}}"#,
        );
        assert_eq!(status, 200);
        let world: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(world["root"], format!("http://{at}/w/demo/v1.0"));
        let auth =
            |kind: &str| format!("Authorization: Bearer {}\r\n", world["tokens"][kind].as_str().unwrap());
        let auth_user = auth("delegated");

        // A whole round over sockets with unchanged links. The token of Teams must arrive
        // unchanged.
        let user = world["user"]["id"].as_str().unwrap();
        let recordings = format!(
            "/w/demo/v1.0/users/{user}/onlineMeetings/getAllRecordings(meetingOrganizerUserId='{user}')/delta?$top=4"
        );
        for (start, auth, expected) in
            [("/w/demo/v1.0/contacts/delta".to_owned(), &auth_user, 30), (recordings, &auth("app"), 9)]
        {
            let (mut path, mut count) = (start, 0);
            loop {
                let (status, head, body) = send(&at, "GET", &path, auth, "");
                let page: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(status, 200, "{page}");
                assert!(head.contains("access-control-allow-origin: *"));
                count += page["value"].as_array().unwrap().len();
                match page["@odata.nextLink"].as_str() {
                    Some(next) => path = next.strip_prefix(&format!("http://{at}")).unwrap().to_owned(),
                    None => break,
                }
            }
            assert_eq!(count, expected);
        }

        // A preflight, a closed connection, and cut, late and slow responses.
        let (status, head, _) = send(
            &at,
            "OPTIONS",
            "/w/demo/v1.0/contacts/delta",
            "Origin: http://a.example\r\nAccess-Control-Request-Headers: authorization\r\n",
            "",
        );
        assert!(status == 204 && head.contains("access-control-allow-headers: authorization"));
        let fault =
            |rule: &str| assert_eq!(send(&at, "POST", "/control/worlds/demo/faults", "", rule).0, 200);
        let get = || send(&at, "GET", "/w/demo/v1.0/contacts/delta", &auth_user, "");
        fault(r#"{"fault":"network"}"#);
        assert_eq!(get().0, 0);
        fault(r#"{"fault":{"name":"cut","n":50}}"#);
        let (status, head, body) = get();
        let promised: usize =
            head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        assert!(status == 200 && body.len() == 50 && promised > 50);
        let before = Instant::now();
        fault(r#"{"fault":{"name":"delay","ms":300}}"#);
        assert_eq!(get().0, 200);
        assert!(before.elapsed() >= Duration::from_millis(300));
        let before = Instant::now();
        fault(r#"{"fault":{"name":"slow","bytes_per_second":10000}}"#);
        let (_, _, body) = get();
        assert!(serde_json::from_slice::<Value>(&body).is_ok());
        assert!(before.elapsed().as_millis() as usize >= (body.len() / 1000 - 1) * 100);

        // A hanging response does not block others.
        fault(r#"{"fault":"hang"}"#);
        let (there, header) = (at.clone(), auth_user.clone());
        let mut hanging = TcpStream::connect(&there).unwrap();
        hanging
            .write_all(
                format!("GET /w/demo/v1.0/contacts/delta HTTP/1.1\r\nHost: {there}\r\n{header}\r\n")
                    .as_bytes(),
            )
            .unwrap();
        let faults = || {
            serde_json::from_slice::<Value>(&send(&at, "GET", "/control/worlds/demo/faults", "", "").2)
                .unwrap()
        };
        while faults()["counts"]["hang"] != 1 {}
        assert_eq!(get().0, 200);
        hanging.set_nonblocking(true).unwrap();
        assert_eq!(
            hanging.read(&mut [0; 1]).unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "the hanging request has no response yet"
        );

        // The end of stdin ends the server, even while a request hangs.
        drop(server.child.stdin.take());
        hanging.set_nonblocking(false).unwrap();
        hanging.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let closed = hanging.read(&mut [0; 1]);
        let outlives = closed.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        assert!(!outlives, "the server runs after the end of stdin");
        assert!(server.child.wait().unwrap().success());
    }

    #[test]
    fn files_are_served_with_their_type_but_not_those_outside_the_folder() {
        let dir = std::env::temp_dir().join(format!("fake-graph-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        std::fs::write(dir.join("index.html"), "<p>hello").unwrap();
        std::fs::write(dir.join("sub/a.wasm"), b"\0asm").unwrap();
        let server = start(&["--static", dir.to_str().unwrap()]);
        let (status, head, body) = send(&server.address, "GET", "/?x=1", "", "");
        assert!(status == 200 && head.contains("content-type: text/html") && body == b"<p>hello");
        let (_, head, _) = send(&server.address, "GET", "/sub/a.wasm", "", "");
        assert!(head.contains("content-type: application/wasm"));
        for path in ["/../Cargo.toml", "/sub/../../x", "/%2e%2e/x", "/missing.js"] {
            assert_eq!(send(&server.address, "GET", path, "", "").0, 404, "{path}");
        }
        assert_eq!(send(&server.address, "GET", "/control/worlds", "", "").0, 200);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
