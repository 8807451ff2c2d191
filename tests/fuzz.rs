//! Fuzzes the parsers of outside data: pages, errors, links, waits, records. No parser may panic,
//! and each has properties that must hold for every input. Another URL parser checks the links.
//! `make fuzz SECONDS=60` runs each target for that time. Prints a failing input.
#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unreachable,
    missing_docs,
    dead_code
)]

use std::time::{Duration, Instant};

use deltalink::protocol::backoff::retry_after;
use deltalink::protocol::challenge::claims;
use deltalink::protocol::change::{ApplyMode, ItemFormat, Row, apply, collapse, pass_through, removal};
use deltalink::protocol::endpoint::{Endpoint, redacted};
use deltalink::protocol::head::{self, Head};
use deltalink::protocol::page::{self, Link};
use deltalink::protocol::query::{self, Options};
use deltalink::protocol::recent::RecentVersions;
use deltalink::protocol::record::Record;
use deltalink::protocol::redact::redact;
use deltalink::protocol::refusal::Refusal;
use deltalink::protocol::time;
use serde_json::Value;

#[path = "model/scenario.rs"]
mod scenario;
use scenario::rng::Rng;

/// Runs a target on mutations of these seeds: a fixed number of them, or for the given seconds.
fn fuzz(name: &str, seeds: &[&str], dictionary: &[&str], mut target: impl FnMut(&str, &mut Rng)) {
    // `make fuzz` sets FUZZ. SECONDS alone does not count: other programs use that variable too.
    let seconds = std::env::var("SECONDS")
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|_| std::env::var("FUZZ").is_ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut rng = Rng(std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1));
    let mut inputs = 0_u64;
    while until.map_or(inputs < 20_000, |until| !inputs.is_multiple_of(256) || Instant::now() < until) {
        let input = mutated(seeds, dictionary, &mut rng);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&input, &mut rng)));
        if let Err(error) = result {
            eprintln!("{name} fails on {input:?}");
            std::panic::resume_unwind(error);
        }
        inputs += 1;
    }
    println!("{inputs:>12} inputs  {name}");
}

/// Mutates a seed: changes characters, inserts words, removes, doubles or crosses parts.
fn mutated(seeds: &[&str], dictionary: &[&str], rng: &mut Rng) -> String {
    let mut text: Vec<char> = rng.pick(seeds).chars().collect();
    for _ in 0..rng.below(6) {
        let at = rng.below(text.len() as u64 + 1) as usize;
        let end = (at + rng.below(12) as usize).min(text.len());
        match rng.below(7) {
            0 if at < text.len() => text[at] = char::from(rng.below(128) as u8),
            1 => text.insert(
                at,
                rng.pick(&[
                    '\0', '\u{7f}', '\u{a0}', 'é', '\u{2028}', '\u{ff0e}', '\u{3002}', '😀', '\\', '/', '@',
                    '"', ' ', '\t', '\n',
                ]),
            ),
            2 => drop(text.splice(at..at, rng.pick(dictionary).chars())),
            3 => drop(text.drain(at..end)),
            4 => {
                let part = text[at..end].to_vec();
                drop(text.splice(at..at, part));
            }
            5 => {
                let other: Vec<char> = rng.pick(seeds).chars().collect();
                let from = rng.below(other.len() as u64 + 1) as usize;
                text.truncate(at);
                text.extend(&other[from..]);
            }
            _ => text[at..end].iter_mut().for_each(|c| *c = c.to_ascii_uppercase()),
        }
    }
    text.into_iter().collect()
}

const ROOT: &str = "https://graph.microsoft.com/v1.0";

#[test]
fn another_parser_confirms_that_every_admitted_link_has_the_origin_of_the_endpoint() {
    let seeds = [
        "https://graph.microsoft.com/v1.0/me/calendarView/delta?$skiptoken=R0usmcCM996atia_s",
        "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=a%2Bb%23~=",
        "/teams('id')/channels('x')/messages/delta?$skiptoken=abc",
        "https://graph.microsoft.com:443/v1.0/drive/root/delta(token='1230919asd190410jlka')",
        "https://graph.microsoft.com.evil.example/v1.0/x",
        "https://user:pass@graph.microsoft.com/v1.0/x",
        "//evil.example/v1.0/x",
        "http://graph.microsoft.com/v1.0/x",
        "users('6b3a')/onlineMeetings/getAllRecordings/delta?skipToken=%7B%22a%22",
        "https:\\\\graph.microsoft.com\\v1.0",
    ];
    let dictionary = [
        "https://",
        "//",
        "\\\\",
        "@",
        "evil.example",
        ":443",
        ":",
        "#",
        "?",
        "%2f",
        "%40",
        "..",
        "/../",
        "javascript:",
        "data:,",
        "\t",
        "\n",
        " ",
        "[::1]",
        "graph.microsoft.com",
        "Graph.Microsoft.COM",
        "。",
        "．",
    ];
    let endpoint = Endpoint::cloud("global").unwrap();
    let base = url::Url::parse(&format!("{ROOT}/")).unwrap();
    let mut admitted = 0;
    fuzz("link check", &seeds, &dictionary, |link, _| {
        let _ = redacted(link);
        if let Ok(url) = endpoint.admit(link) {
            admitted += 1;
            let parsed = base
                .join(&url)
                .unwrap_or_else(|error| panic!("admitted as {url:?}, which is not a URL: {error}"));
            assert_eq!(
                parsed.origin().ascii_serialization(),
                "https://graph.microsoft.com",
                "admitted as {url:?}"
            );
            assert!(parsed.username().is_empty() && parsed.password().is_none(), "admitted as {url:?}");
            if link.starts_with("https://") {
                assert_eq!(url, link, "byte for byte");
            }
        }
    });
    assert!(admitted > 100, "{admitted}");
}

#[test]
fn a_page_is_read_like_its_json_or_refused() {
    let seeds = [
        r#"{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#Collection(event)","@odata.nextLink":"https://graph.microsoft.com/v1.0/n?$skiptoken=1","value":[{"@odata.etag":"W/\"1\"","id":"a","type":"occurrence","seriesMasterId":"m"},{"id":"b","@removed":{"reason":"deleted"}}]}"#,
        r##"{"value":[{"id":"g","members@delta":[{"@odata.type":"#microsoft.graph.user","id":"u"},{"id":"v","@removed":{"reason":"deleted"}}]},{"id":"g","members@delta":[]}],"@odata.deltaLink":"https://graph.microsoft.com/v1.0/d?$deltatoken=2"}"##,
        r#"{"value":[{"id":"x","deleted":{}},{"id":"y","deletedDateTime":null},{},7,null,"t",[]],"@odata.deltaLink":"d"}"#,
        r#"{"error":{"code":"syncStateNotFound","message":"x","innerError":{"code":"y"}}}"#,
    ];
    let dictionary = [
        "null",
        "{}",
        "[]",
        "\"id\":",
        "\"value\":",
        "\"@odata.nextLink\":",
        "\"@odata.deltaLink\":",
        "\"@removed\":",
        "\"reason\":\"changed\"",
        "\"members@delta\":",
        "\"\"",
        "1e999",
        "-0",
        "true",
        "\"a\"",
        "\"g\"",
        "\\u0000",
        "\\ud800",
    ];
    let groups = query::track("/groups/delta", Options::default()).unwrap();
    let mut parsed = 0;
    fuzz("page parser", &seeds, &dictionary, |text, rng| {
        let beginning = head::read(text);
        let Ok(body) = serde_json::from_str::<Value>(text) else { return };
        let Ok(page) = page::parse(&body) else { return };
        parsed += 1;
        // Of two properties with the same name, the JSON parser takes the last.
        if let Head::NextLink(next) = beginning
            && text.matches("@odata.nextLink").count() == 1
        {
            assert_eq!(page.link, Link::Next(next));
        }
        let key = if matches!(page.link, Link::Next(_)) { "@odata.nextLink" } else { "@odata.deltaLink" };
        assert_eq!(body[key].as_str(), Some(page.link.url()));
        assert_eq!(Some(&page.items), body["value"].as_array());
        let format = groups.item_format();
        for item in &page.items {
            let _ = removal(item, format.dialect);
        }
        let collapsed = collapse(page.items, format);
        let mode = ApplyMode {
            round: 3,
            started_at: time::Instant::from_millis(0.0),
            page_index: 0,
            is_full_round: rng.one_in(2),
            format: ItemFormat { minimal: rng.one_in(2), slices: true, ..format },
            has_mirror: true,
            has_consumer: false,
            is_final_page: false,
            has_masters: false,
            has_unique_names: false,
            delivered: &[],
        };
        let mut seen = RecentVersions::default();
        let fed = pass_through(collapsed.entries.clone(), mode, &mut seen);
        assert_eq!(fed.changes.len(), collapsed.entries.len());
        let mut rows = std::iter::repeat_with(|| None);
        let first = apply(collapsed.entries.clone(), &mut rows, mode, &mut RecentVersions::default());
        assert_eq!(first.count_delta as usize, first.put.len());
        let known: Vec<Option<Row<Value>>> = collapsed
            .entries
            .iter()
            .map(|(id, _)| first.put.iter().find(|(other, _)| other == id).map(|(_, row)| row.clone()))
            .collect();
        let again = apply(collapsed.entries, &mut known.into_iter(), mode, &mut seen);
        assert!(!again.made_progress, "applying the same page again makes no progress");
        assert_eq!((again.count_delta, &again.put), (0, &first.put), "applying is idempotent");
    });
    assert!(parsed > 100, "{parsed}");
}

#[test]
fn every_error_response_has_a_verdict() {
    let seeds = [
        r#"{"error":{"code":"SyncStateNotFound","message":"The sync state generation is not found; generation=605;[highest=841]","innerError":{"date":"2026","request-id":"r"}}}"#,
        r#"{"error":{"code":"resyncRequired","innererror":{"code":"resyncChangesApplyDifferences","innerError":{"code":"z"}}}}"#,
        r#"{"error":"invalid_client"}"#,
        r#"{"error":{"code":"BadRequest","message":"Parameter 'DeltaToken' not supported for this request."}}"#,
    ];
    let dictionary = [
        "\"code\":",
        "\"innerError\":{",
        "\"innererror\":{",
        "}",
        "\"message\":",
        "null",
        "[]",
        "\"\"",
        "7",
        "DeltaToken",
        "syncstatenotfound",
    ];
    fuzz("error parser", &seeds, &dictionary, |text, rng| {
        let body = serde_json::from_str::<Value>(text).ok();
        let status = rng
            .pick(&[0, 200, 302, 400, 401, 402, 403, 404, 408, 410, 429, 500, 501, 503, 504, 509, 599, 999]);
        let refusal = Refusal::read(status, body.as_ref());
        assert_eq!(refusal.status, status);
        let (first, later) = (refusal.verdict(false), refusal.verdict(true));
        assert!(
            first == later || format!("{later:?}") == "Resync",
            "a reset signal needs a link: {first:?} {later:?}"
        );
    });
}

#[test]
fn a_retry_after_that_can_be_read_is_finite_and_not_negative() {
    let seeds = [
        "2.128",
        "120",
        "0",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sat, 21 Nov 2026 10:00:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "1e3",
        "-5",
        " 7 ",
    ];
    let dictionary =
        ["GMT", "Nov", "99999999999999999999", ".", ":", ",", " ", "-", "e", "\u{661}", "inf", "NaN"];
    let mut parsed = 0;
    fuzz("Retry-After", &seeds, &dictionary, |text, _| {
        if let Some(ms) =
            retry_after(text, time::Instant::from_millis(1_795_000_000_000.0)).map(time::Duration::as_millis)
        {
            parsed += 1;
            assert!(ms.is_finite() && ms >= 0.0, "{ms}");
            if let Ok(seconds) = text.trim_ascii().parse::<f64>() {
                assert!((ms - seconds * 1000.0).abs() <= 1.0 + ms * 1e-9, "{ms} for {seconds} s");
            }
        }
    });
    assert!(parsed > 100, "{parsed}");
}

#[test]
fn every_stored_record_is_read_or_refused_and_a_written_one_is_read_again() {
    let new = serde_json::to_string(
        &Record::new(time::Instant::from_millis(1_795_000_000_000.0), 0.3).next_revision(),
    )
    .unwrap();
    let paging = r#"{"format":1,"revision":"0a.7","phase":"paging","link":"l","start":"s","kind":"incremental","generation":2,"round":9,"page":3,"prefer":["a"],"startedAt":1,"syncedAt":2,"fullAt":3,"resets":[1,2],"count":4,"masters":["m"],"delivered":["d"],"staged":1,"stale":2,"refusals":1,"fallback":1,"restarted":1,"pageSize":200,"window":"a/b"}"#;
    let dictionary = [
        "null",
        "\"fresh\"",
        "\"sweeping\"",
        "\"full\"",
        "-1",
        "1e300",
        "4294967296",
        "0.5",
        "\"\"",
        "[]",
        "{}",
        "\"phase\":",
        "\"round\":",
    ];
    let mut parsed = 0;
    fuzz("record parser", &[&new, paging], &dictionary, |text, _| {
        let Ok(stored) = serde_json::from_str::<Value>(text) else { return };
        let Ok(record) = Record::read(&stored) else { return };
        parsed += 1;
        assert_eq!(Record::read(serde_json::to_value(&record).unwrap()), Ok(record.clone()));
        assert_ne!(record.next_revision().revision, record.revision);
    });
    assert!(parsed > 100, "{parsed}");
}

#[test]
fn messages_of_graph_are_shortened_and_redacted() {
    let seeds = [
        "The value 'bd9dmiNUYKrYOcd73Bu5srad3KUOS87UCf6zZ0fR9Esbbb03T5i2Aoh8' of parameter '$deltaToken' is invalid.",
        "é😀\u{2028}\0",
        "",
    ];
    let dictionary = ["'", "$skiptoken=", "eyJ0eXAiOiJKV1QiLCJub25jZSI6IkFRQUJBQUFBQUFB", " "];
    fuzz("messages", &seeds, &dictionary, |text, rng| {
        let max = rng.below(40) as usize;
        let clean = redact(text, max);
        assert!(clean.chars().count() <= max);
        assert!(clean.split(' ').all(|word| word.len() < 40), "{clean}");
    });
}

#[test]
fn the_other_url_parser_reads_backslashes_as_browsers_do() {
    assert_eq!(url::Url::parse("https:\\\\evil.example\\x").unwrap().host_str(), Some("evil.example"));
}

/// Base64 without padding.
fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits =
            group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for index in 0..=group.len() {
            out.push(char::from(LETTERS[bits >> (18 - 6 * index) & 63]));
        }
    }
    out
}

#[test]
fn claims_from_a_challenge_are_part_of_it() {
    let seeds = [
        r#"Bearer realm="", authorization_uri="https://login.contoso.example/common/oauth2/authorize", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzAwMDAwMDAwIn19fQ==""#,
        r#"Bearer claims=eyJ4IjoiPz8-P34_In0, realm="a \"quoted\" one""#,
        r#"Negotiate abc==, Basic realm="x", Bearer error="invalid_token", claims="e30=""#,
        "Bearer",
    ];
    let dictionary = [
        "claims=",
        "claims=\"",
        "CLAIMS = ",
        "\"",
        "\\\"",
        "=",
        ",",
        " ",
        "e30",
        "e30=",
        "eyJ4Ijox",
        "fQ==",
        "-_",
        "+/",
        "é",
        "Bearer ",
    ];
    let mut parsed = 0;
    fuzz("WWW-Authenticate", &seeds, &dictionary, |header, _| {
        if let Some(claims) = claims(header) {
            parsed += 1;
            assert!(claims.trim_ascii().starts_with('{') && claims.trim_ascii().ends_with('}'), "{claims:?}");
            let mut encoded = base64(&claims);
            // The last character may contain unused bits.
            encoded.pop();
            let plain = header.replace('\\', "").replace('-', "+").replace('_', "/");
            assert!(plain.contains(&encoded), "{claims:?} is not part of the challenge");
        }
    });
    assert!(parsed > 1000, "{parsed}");
}
