//! Review.

use deltalink::protocol::error::Code;
use deltalink::protocol::query::{self, Options, Query};
use deltalink::protocol::time::Duration;
use serde_json::{Value, json};

use crate::script::{Script, error, page};

fn calendar() -> Query {
    query::events(Options {
        start: Some("2026-11-01".into()),
        end: Some("2026-12-31".into()),
        refresh: Some(None),
        ..Options::default()
    })
    .unwrap()
}

fn time(date: &str) -> Value {
    json!({ "dateTime": format!("{date}T09:00:00.0000000"), "timeZone": "UTC" })
}

fn master(day: &str, subject: &str) -> Value {
    json!({
        "id": "M", "type": "seriesMaster", "subject": subject,
        "start": time("2026-11-02"), "end": time("2026-11-02"),
        "recurrence": { "pattern": { "type": "weekly", "interval": 1, "daysOfWeek": [day] } }
    })
}

fn occurrence(id: &str, date: &str) -> Value {
    json!({ "id": id, "type": "occurrence", "seriesMasterId": "M", "start": time(date), "end": time(date) })
}

fn mondays() -> Script {
    let mut script = Script::new(calendar());
    let start = script.start();
    let items = json!([
        master("monday", "Stand-up"),
        occurrence("mon1", "2026-11-30"),
        occurrence("mon2", "2026-12-07")
    ]);
    script.on(&start, page(items, "delta d1"));
    script.round().unwrap();
    script
}

/// R1: a crash between the storing of the fetched master and the commit of the only page.
#[test]
fn r1_a_moved_series_whose_master_is_fetched_survives_a_crash_at_any_step() {
    let mut wrong = Vec::new();
    for crash_at in 1..40 {
        let mut script = mondays();
        for _ in 0..2 {
            script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "delta d2"));
            script.on("/me/events/M", master("tuesday", "Stand-up"));
        }
        for _ in 0..4 {
            script.on("/d2", page(json!([]), "delta d2"));
        }
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        script.round().unwrap();
        script.round().unwrap();
        script.round().unwrap();
        if script.ids() != ["M", "tue1"] {
            wrong.push((crash_at, script.ids().iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// R1b: after the crash `sync()` says complete although it asked Graph for nothing.
#[test]
fn r1b_a_round_after_such_a_crash_asks_graph() {
    for crash_at in 1..40 {
        let mut script = mondays();
        for _ in 0..2 {
            script.on("/d1", page(json!([occurrence("tue1", "2026-12-01")]), "delta d2"));
            script.on("/me/events/M", master("tuesday", "Stand-up"));
        }
        for _ in 0..4 {
            script.on("/d2", page(json!([]), "delta d2"));
        }
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        let report = script.round().unwrap();
        assert!(
            report.pages == 0 || script.ids().contains(&"tue1"),
            "crash {crash_at}: {:?}",
            (report.outcome, script.asked)
        );
    }
}

/// R2: a master fetched before a crash is taken for the one of the round that begins anew later.
#[test]
fn r2_a_master_that_changes_after_a_crash_is_fetched_again() {
    let mut wrong = Vec::new();
    for crash_at in 1..40 {
        let mut script = Script::new(calendar());
        let start = script.start();
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        script.on("/me/events/M", master("monday", "old"));
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        if script.state.as_ref().is_some_and(|record| record.synced_at.is_some()) {
            break;
        }
        // Days later: the page is requested from the query itself again.
        script.now += Duration::DAY * 3.0;
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        script.on("/me/events/M", master("monday", "new"));
        // Only the answers of today.
        script.answer_last_only();
        script.round().unwrap();
        let subject = script.rows["\0M"].item["subject"].as_str().unwrap().to_owned();
        if subject != "new" {
            wrong.push((crash_at, subject));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// R3: a folder that is renamed while another takes its name during the listing loses its children
/// if the rename is reported in the next round.
#[test]
fn r3_children_of_a_displaced_folder_that_comes_back_are_not_lost() {
    let query =
        query::track("/me/drive/root/delta", Options { refresh: Some(None), ..Options::default() }).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    let item = |id: &str, parent: &str, name: &str| json!({ "id": id, "name": name, "parentReference": { "id": parent } });
    let root = json!({ "id": "root", "name": "root", "root": {} });
    script
        .on(&start, page(json!([root, item("f1", "root", "folder"), item("c1", "f1", "child")]), "next n1"));
    script.on("/n1", page(json!([item("f2", "root", "folder")]), "delta d1"));
    script.round().unwrap();
    script.on("/d1", page(json!([item("f1", "root", "folder (old)")]), "delta d2"));
    script.on(
        &start,
        page(
            json!([
                root,
                item("f1", "root", "folder (old)"),
                item("c1", "f1", "child"),
                item("f2", "root", "folder")
            ]),
            "delta d2",
        ),
    );
    script.round().unwrap();
    for _ in 0..3 {
        script.on("/d2", page(json!([]), "delta d2"));
    }
    script.round().unwrap();
    assert_eq!(script.ids(), ["c1", "f1", "f2", "root"]);
}

/// R4: a master that answers 503 with Retry-After, for ever.
#[test]
fn r4_a_master_that_answers_503_with_a_retry_after_blocks_no_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.retry_after = Some("5".into());
    let mut last = None;
    for _ in 0..6 {
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        for _ in 0..6 {
            script.on_status("/me/events/M", 503, error("x", ""));
        }
        last = Some(script.round());
        if matches!(last, Some(Ok(_))) {
            break;
        }
    }
    let last = last.unwrap();
    assert!(last.is_ok(), "six rounds: {:?}", last.unwrap_err());
}

/// R5: the flag that asks for a full round is lost where that round falls back.
#[test]
fn r5_the_wish_to_list_everything_survives_a_full_round_that_falls_back() {
    let mut script = mondays();
    let start = script.start();
    script.state.as_mut().unwrap().relist = true;
    script.on(&start, page(json!([master("tuesday", "Stand-up")]), "next n1"));
    for _ in 0..3 {
        script.on_status("/n1", 404, error("x", ""));
    }
    script.on("/d1", page(json!([]), "delta d2"));
    for _ in 0..2 {
        script.round().unwrap_err();
    }
    script.round().unwrap();
    // Two days later.
    script.now += Duration::DAY * 2.0;
    script.on("/d2", page(json!([]), "delta d3"));
    script.on(
        &start,
        page(json!([master("tuesday", "Stand-up"), occurrence("tue1", "2026-12-01")]), "delta d3"),
    );
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "tue1"], "{:?}", script.asked);
}

/// R6: a full round whose fetch of a master fails removes the copy that is known.
#[test]
fn r6_a_full_round_that_cannot_fetch_a_master_keeps_the_copy() {
    let mut script = Script::new(calendar());
    let start = script.start();
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
    script.on("/me/events/M", master("monday", "Stand-up"));
    script.round().unwrap();
    script.on_status("/d1", 410, error("syncStateNotFound", ""));
    script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d2"));
    for _ in 0..2 {
        script.on_status("/me/events/M", 500, error("x", ""));
    }
    script.round().unwrap();
    assert!(script.rows.contains_key("\0M"), "{:?}", script.rows.keys());
}

/// R7: a series is moved twice: once by the fetch, once more by the list.
#[test]
fn r7_incremental_master_listed_after_occurrences_on_an_earlier_page() {
    let mut script = mondays();
    script.on("/d1", page(json!([occurrence("mon1", "2026-11-30")]), "next n1"));
    script.on("/n1", page(json!([]), "delta d2"));
    for _ in 0..3 {
        script.on_status("/me/events/M", 500, error("x", ""));
    }
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "mon1", "mon2"]);
    let code = Code::Internal;
    let _ = code;
}

/// R4b: a master that answers without CORS headers, as a gateway's 503 does in a browser.
#[test]
fn r4b_a_master_whose_answer_a_browser_may_not_read_blocks_no_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    let mut last = None;
    for _ in 0..6 {
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        for _ in 0..6 {
            script.on_status("/me/events/M", 0, error("x", ""));
        }
        last = Some(script.round());
        if matches!(last, Some(Ok(_))) {
            break;
        }
    }
    let last = last.unwrap();
    assert!(last.is_ok(), "six rounds: {:?}", last.unwrap_err());
}

fn text(name: &str, value: &str) -> Options {
    Options { query: vec![(name.to_owned(), value.to_owned())], ..Options::default() }
}

/// R8: the rules of messages do not hold for the mailbox-wide path.
#[test]
fn r8_a_filtered_round_of_all_messages_of_a_mailbox_lists_not_all() {
    let mut wrong = Vec::new();
    for path in ["/me/messages/delta", "/users/u/messages/delta", "/me/events/delta", "/me/contacts/delta"] {
        if query::track(path, text("$filter", "receivedDateTime ge 2026-01-01"))
            .is_ok_and(|query| query.lists_all)
        {
            wrong.push(format!("{path} with a filter sweeps"));
        }
        if query::track(path, text("$deltatoken", "latest")).is_ok() {
            wrong.push(format!("{path} begins at latest"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// R9: a short token of a link in a message of Graph.
#[test]
fn r9_no_token_of_a_link_is_in_a_message() {
    let token = "aTE09MjM2MTk0MzE1";
    for said in [
        format!("The value '{token}' of parameter '$deltaToken' is invalid."),
        format!("Invalid link: delta?token={token} has gone"),
    ] {
        let mut script = Script::new(query::track("/me/drive/root/delta", Options::default()).unwrap());
        let start = script.start();
        script.on(&start, page(json!([]), &format!("next me/drive/root/delta?token={token}")));
        script.on_status(&format!("/me/drive/root/delta?token={token}"), 400, error("invalidRequest", &said));
        let failed = script.round().unwrap_err();
        assert!(!failed.message.contains(token), "{}", failed.message);
    }
}

/// R9b: a link that is no URL but a bare token.
#[test]
fn r9b_a_link_that_is_a_bare_token_is_not_in_the_message() {
    let token = "R0usmci39OQxqJrxK4".repeat(6);
    for link in [
        token.clone(),
        format!("/v1.0/me/drive/root/delta/{token}\\"),
        format!("https://other.example/{token}"),
    ] {
        let failed =
            deltalink::protocol::endpoint::Endpoint::cloud("global").unwrap().admit(&link).unwrap_err();
        assert!(!failed.message.contains("R0usmci39OQxqJrxK4"), "{}", failed.message);
    }
}

/// R10: onError answers "retry" after the store failed to store a reset.
#[test]
fn r10_a_retry_after_a_reset_that_could_not_be_stored_goes_on() {
    use deltalink::protocol::error::Error;
    use deltalink::protocol::page::Link;
    use deltalink::protocol::record::{Phase, Record};
    use deltalink::protocol::refusal::Refusal;
    use deltalink::protocol::round::{Decision, Input, Round, Step};
    let mut script = mondays();
    script.config.asks_caller = true;
    let record: Record = script.state.clone().unwrap();
    assert_eq!(record.phase, Phase::Idle);
    let stored = record.revision.clone();
    let mut round = Round::new(script.config.clone(), script.now);
    let mut input = Input::Begin;
    let mut failed_once = false;
    let mut asked = 0;
    for _ in 0..40 {
        let step = round.step(input, script.now, 0.0);
        input = match step {
            Step::Load => Input::Loaded(Some(Box::new(record.clone()))),
            Step::SignIn(_) => Input::SignedIn,
            Step::Fetch(_) if !failed_once => {
                Input::Refused(Box::new(Refusal::read(410, Some(&error("syncStateNotFound", "")))))
            }
            Step::SaveRecord { .. } if !failed_once => {
                failed_once = true;
                Input::HostFailed(Error::retryable(Code::Store, "busy"))
            }
            Step::AskCaller(_) => {
                asked += 1;
                Input::Decided(Decision::Retry(Duration::ZERO))
            }
            Step::Sleep(..) => Input::Slept,
            Step::Fetch(_) => Input::Page(Link::Delta("https://graph.microsoft.com/v1.0/d9".into())),
            Step::Apply => Input::Applied(Box::default()),
            Step::Deliver(_) => Input::Delivered,
            Step::AwaitAcknowledgement => Input::Acknowledged,
            Step::Commit { expect, .. } | Step::SaveRecord { expect, .. } => {
                assert_eq!(
                    expect.as_deref(),
                    Some(stored.as_str()),
                    "asked {asked}: the commit will be a conflict"
                );
                return;
            }
            other => panic!("{other:?}"),
        };
    }
}

/// R11: the message of a mirror that may no longer be read tells its age and the permission.
#[test]
fn r11_the_message_of_a_forbidden_mirror_names_its_age_and_the_permission() {
    let query = query::track("/me/mailFolders/inbox/messages/delta", Options::default()).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    script.on(&start, page(json!([{ "id": "a" }]), "delta d1"));
    script.round().unwrap();
    for _ in 0..3 {
        script.now += Duration::HOUR * 2.0;
        script.on_status("/d1", 403, error("ErrorAccessDenied", "Access is denied."));
        script.round().unwrap_err();
    }
    script.now += Duration::HOUR * 2.0;
    script.on_status(&start, 403, error("ErrorAccessDenied", "Access is denied."));
    let failed = script.round().unwrap_err();
    assert!(failed.message.contains("Mail.Read"), "no permission: {}", failed.message);
    assert!(failed.message.contains("2026") || failed.message.contains("hour"), "no age: {}", failed.message);
}

/// R12: a series whose master is listed before a crash of the full round, and the side row.
#[test]
fn r12_names_unknown_path_of_chats_is_accepted() {
    query::track("/users/u/chats/getAllMessages/delta", Options::default()).unwrap();
}

/// R1c: no crash: `maxMs` ends the round between two masters of its only page.
#[test]
fn r1c_a_round_that_max_ms_cuts_between_two_masters_removes_nothing_and_forgets_nothing() {
    let other = |day: &str| {
        let mut master = master(day, "Other");
        master["id"] = "A".into();
        master
    };
    let of_a = |id: &str, date: &str| {
        let mut item = occurrence(id, date);
        item["seriesMasterId"] = "A".into();
        item
    };
    let mut script = Script::new(calendar());
    let start = script.start();
    let items = json!([
        master("monday", "Stand-up"),
        occurrence("mon1", "2026-11-30"),
        other("monday"),
        of_a("a-mon1", "2026-11-30"),
    ]);
    script.on(&start, page(items, "delta d1"));
    script.round().unwrap();
    for _ in 0..2 {
        script.on(
            "/d1",
            page(json!([occurrence("tue1", "2026-12-01"), of_a("a-tue1", "2026-12-01")]), "delta d2"),
        );
        script.on("/me/events/M", master("tuesday", "Stand-up"));
        script.on("/me/events/A", other("tuesday"));
    }
    for _ in 0..4 {
        script.on("/d2", page(json!([]), "delta d2"));
    }
    script.latency = Duration::from_millis(100.0);
    script.config.max_duration = Some(Duration::from_millis(150.0));
    script.round().unwrap();
    script.config.max_duration = None;
    for _ in 0..3 {
        script.round().unwrap();
    }
    assert_eq!(script.ids(), ["A", "M", "a-tue1", "tue1"]);
}

/// R13: `maxMs` between masters that fail.
#[test]
fn r13_max_ms_holds_between_masters_that_fail() {
    let mut script = Script::new(calendar());
    let start = script.start();
    let items: Value = (0..200)
        .map(|id| json!({ "id": format!("o{id}"), "type": "occurrence", "seriesMasterId": format!("m{id}") }))
        .collect();
    script.on(&start, page(items, "delta d1"));
    for id in 0..200 {
        for _ in 0..3 {
            script.on_status(&format!("/me/events/m{id}"), 500, error("x", ""));
        }
    }
    script.latency = Duration::from_millis(100.0);
    script.config.max_duration = Some(Duration::from_millis(450.0));
    let began = script.now;
    script.round().unwrap();
    let took = (script.now - began).as_millis();
    assert!(took < 5000.0, "the round took {took} ms and sent {} requests", script.asked.len());
}

/// R14: a store that cannot be read at the moment, while a page is applied or swept.
#[test]
fn r14_the_caller_is_asked_about_a_store_that_fails_while_a_page_is_applied() {
    use deltalink::protocol::error::Error;
    use deltalink::protocol::page::Link;
    use deltalink::protocol::round::{Input, Round, Step};
    let mut script = Script::new(calendar());
    script.config.asks_caller = true;
    let mut round = Round::new(script.config.clone(), script.now);
    let mut input = Input::Begin;
    for _ in 0..10 {
        input = match round.step(input, script.now, 0.0) {
            Step::Load => Input::Loaded(None),
            Step::SignIn(_) => Input::SignedIn,
            Step::Fetch(_) => Input::Page(Link::Next("https://graph.microsoft.com/v1.0/n1".into())),
            Step::Apply => Input::HostFailed(Error::retryable(Code::Store, "busy")),
            Step::AskCaller(_) => return,
            other => panic!("{other:?}"),
        };
    }
}

/// R15: pages of a `$top` that the service cannot make, from the second one on.
#[test]
fn r15_a_fresh_listing_after_504_on_the_link_has_a_smaller_top() {
    let query =
        query::track("/me/drive/root/delta", Options { top: Some(200), ..Options::default() }).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    for _ in 0..4 {
        script.on(&start, page(json!([{ "id": "a", "name": "a" }]), "next n1"));
        for _ in 0..12 {
            script.on_status("/n1", 504, error("x", ""));
        }
        for top in [100, 50, 25] {
            script.on(
                &start.replace("200", &top.to_string()),
                page(json!([{ "id": "a", "name": "a" }]), "delta d1"),
            );
        }
    }
    for _ in 0..4 {
        if script.round().is_ok() {
            break;
        }
    }
    let starts: Vec<&String> = script.asked.iter().filter(|path| path.contains("top")).collect();
    assert!(starts.iter().any(|path| **path != start), "{starts:?}");
}

/// R16: the master of a withheld series answers 401 for ever, the pages do not.
#[test]
fn r16_a_master_that_answers_401_blocks_no_round() {
    let mut script = Script::new(calendar());
    let start = script.start();
    let mut last = None;
    for _ in 0..5 {
        script.on(&start, page(json!([occurrence("mon1", "2026-11-30")]), "delta d1"));
        for _ in 0..4 {
            script.on_status("/me/events/M", 401, error("InvalidAuthenticationToken", "x"));
        }
        last = Some(script.round());
        if matches!(last, Some(Ok(_))) {
            break;
        }
    }
    assert!(last.unwrap().is_ok());
}

/// R17: what is stored for the masters of a round grows with their number, not with its square.
#[test]
fn r17_the_bytes_that_the_masters_of_a_round_store_grow_with_their_number() {
    let bytes = |count: usize| {
        let id = |kind: &str, at: usize| format!("{}{kind}{at}", "AAMkAGI2".repeat(16));
        let mut script = Script::new(calendar());
        let start = script.start();
        let items: Value = (0..count)
            .map(|at| json!({ "id": id("o", at), "type": "occurrence", "seriesMasterId": id("m", at) }))
            .collect();
        script.on(&start, page(items, "next n1"));
        script.on("/n1", page(json!([]), "delta d1"));
        for at in 0..count {
            let path = format!("/me/events/{}", id("m", at));
            script.on(&path, json!({ "id": id("m", at), "type": "seriesMaster" }));
        }
        script.round().unwrap();
        script.master_bytes
    };
    let (some, more) = (bytes(250), bytes(1000));
    assert!(more < 6 * some, "250 masters: {some} bytes, 1000 masters: {more} bytes");
}

/// R18: one new file in a large drive.
#[test]
fn r18_a_round_with_one_new_file_does_not_read_the_whole_mirror() {
    let mut script = Script::new(query::track("/me/drive/root/delta", Options::default()).unwrap());
    let start = script.start();
    let item = |at: usize| json!({ "id": format!("i{at}"), "name": format!("f{at}"), "parentReference": { "id": "root" } });
    script.on(&start, page((0..3000).map(item).collect(), "delta d1"));
    script.round().unwrap();
    let first = script.swept_rows;
    script.swept_rows = 0;
    script.on("/d1", page(json!([item(5000)]), "delta d2"));
    script.round().unwrap();
    assert!(script.swept_rows < 100, "rows read: first round {first}, one new file {}", script.swept_rows);
}

/// R19: a clock that was wrong once.
#[test]
fn r19_a_clock_that_ran_ahead_does_not_stop_the_refreshes() {
    let query = query::events(Options {
        start: Some("2026-11-01".into()),
        end: Some("2026-12-31".into()),
        ..Options::default()
    })
    .unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    let right = script.now;
    script.now += Duration::DAY * 3650.0;
    script.on(&start, page(json!([]), "delta d1"));
    script.round().unwrap();
    script.now = right + Duration::DAY * 2.0;
    script.on("/d1", page(json!([]), "delta d2"));
    script.on(&start, page(json!([]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.asked.last(), Some(&start));
}

/// R20: what Graph may say where there is no delta query, and of a link that has expired.
#[test]
fn r20_the_like_of_not_supported_and_of_expired_is_recognized() {
    use deltalink::protocol::refusal::{Refusal, Verdict};
    let mut missed = Vec::new();
    for message in [
        "This resource does not support delta query.",
        "Delta queries are not supported for this entity.",
        "Change tracking isn't supported on this resource.",
        "Unsupported request: delta query on 'x'.",
        "The delta function is not supported on this resource.",
        "Delta query is not supported: parameter 'resource' is of a personal account.",
    ] {
        if !Refusal::read(400, Some(&error("BadRequest", message))).says_not_supported() {
            missed.push(format!("not-supported: {message}"));
        }
    }
    for (code, message) in [
        ("ExpiredPageToken", ""),
        ("BadRequest", "The delta link has expired."),
        ("BadRequest", "Token not found."),
        ("SyncStateExpired", "x"),
        ("BadRequest", "The skip token is not recognized."),
        ("UnknownSyncToken", ""),
    ] {
        if Refusal::read(400, Some(&error(code, message))).verdict(true) != Verdict::Resync {
            missed.push(format!("expired: {code} {message}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// R21: a page without a link, once, of a kind that the known issue does not concern.
#[test]
fn r21_one_page_without_a_link_does_not_list_a_drive_anew() {
    use deltalink::protocol::page::{Link, Malformed};
    use deltalink::protocol::round::{Input, Round, Step};
    let query =
        query::track("/me/drive/root/delta", Options { top: Some(200), ..Options::default() }).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    script.on(&start, page(json!([]), "delta d1"));
    script.round().unwrap();
    let record = script.state.clone().unwrap();
    let mut round = Round::new(script.config.clone(), script.now);
    let mut input = Input::Begin;
    let mut urls = Vec::new();
    for _ in 0..12 {
        input = match round.step(input, script.now, 0.0) {
            Step::Load => Input::Loaded(Some(Box::new(record.clone()))),
            Step::SignIn(_) => Input::SignedIn,
            Step::Sleep(..) => Input::Slept,
            Step::Fetch(url) => {
                urls.push(url);
                if urls.len() == 1 {
                    Input::Malformed(Malformed::NoLink)
                } else {
                    Input::Page(Link::Delta("https://graph.microsoft.com/v1.0/d2".into()))
                }
            }
            _ => break,
        };
    }
    assert!(urls.iter().all(|url| url.ends_with("/d1")), "{urls:?}");
}

/// R22: a listed master that lacks a property (`$select` by `options.query`), and the whole one that
/// is fetched.
#[test]
fn r22_a_master_that_was_stored_without_its_recurrence_proves_no_move() {
    let query = query::events(Options {
        start: Some("2026-11-01".into()),
        end: Some("2026-12-31".into()),
        refresh: Some(None),
        query: vec![("$select".into(), "subject,type,start,end,seriesMasterId".into())],
        ..Options::default()
    })
    .unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    let mut listed = master("monday", "Stand-up");
    listed.as_object_mut().unwrap().remove("recurrence");
    script.on(
        &start,
        page(json!([listed, occurrence("mon1", "2026-11-30"), occurrence("mon2", "2026-12-07")]), "delta d1"),
    );
    script.round().unwrap();
    // Only a new occurrence has come into the window of the link.
    script.on("/d1", page(json!([occurrence("mon3", "2026-12-14")]), "delta d2"));
    script.on("/me/events/M", master("monday", "Stand-up"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["M", "mon1", "mon2", "mon3"]);
}

/// R23: what was displaced is not looked for below a folder whose removal is reported.
#[test]
fn r23_the_winner_of_a_name_is_not_removed_with_the_folder_that_it_displaces() {
    let mut script = Script::new(query::track("/me/drive/root/delta", Options::default()).unwrap());
    let start = script.start();
    let item = |id: &str, parent: &str, name: &str| json!({ "id": id, "name": name, "parentReference": { "id": parent } });
    script.on(
        &start,
        page(json!([item("a", "root", "x"), item("b", "a", "y"), item("c", "b", "z")]), "delta d1"),
    );
    script.round().unwrap();
    // b moves up and takes the name of a; c stays below b and is not sent again.
    script.on("/d1", page(json!([item("b", "root", "x")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["b", "c"]);
}

/// R24: a folder and its replacement, which two rows below it took part in.
#[test]
fn r24_names_of_three_rows_leave_one() {
    let mut script = Script::new(query::track("/me/drive/root/delta", Options::default()).unwrap());
    let start = script.start();
    let item = |id: &str, parent: &str, name: &str| json!({ "id": id, "name": name, "parentReference": { "id": parent } });
    // The new folder comes after its child, which is new too.
    script.on(&start, page(json!([item("old", "root", "x"), item("old-c", "old", "c")]), "next n1"));
    script.on("/n1", page(json!([item("new-c", "new", "c"), item("new", "root", "X")]), "delta d1"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["new", "new-c"]);
    // A chain: a swap over two rounds.
    script.on("/d1", page(json!([item("p", "root", "1"), item("q", "root", "2")]), "delta d2"));
    script.round().unwrap();
    script.on("/d2", page(json!([item("p", "root", "2")]), "delta d3"));
    script.round().unwrap();
    script.on("/d3", page(json!([item("q", "root", "1")]), "delta d4"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["new", "new-c", "p", "q"]);
}

/// R25: `return=minimal` in the other spellings of a Prefer header.
#[test]
fn r25_return_minimal_is_recognized_in_every_spelling() {
    let missed: Vec<&str> =
        [" return=minimal", "return=minimal, odata.track-changes", "return = minimal", "return=\"minimal\""]
            .into_iter()
            .filter(|value| {
                let options = Options { prefer: vec![(*value).to_owned()], ..Options::default() };
                query::track("/users/delta", options).is_ok_and(|query| !query.minimal)
            })
            .collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// R26: `$select` by `options.query` leaves out the facet that marks a removal.
#[test]
fn r26_a_select_of_options_query_contains_what_the_kind_needs() {
    let query = query::track("/me/drive/root/delta", text("$select", "id,name")).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    let has_facet = start.contains("deleted");
    script.on(&start, page(json!([{ "id": "1", "name": "a" }, { "id": "2", "name": "b" }]), "delta d1"));
    script.round().unwrap();
    let gone = if has_facet { json!({ "id": "1", "deleted": {} }) } else { json!({ "id": "1" }) };
    script.on("/d1", page(json!([gone]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["2"], "{start}");
}
