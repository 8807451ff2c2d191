//! Many masters and ids in one page or record: no recursion over them, and no work that grows with
//! the square of their number. The tests need no clock: quadratic work would take many minutes.

use std::thread;

use super::*;

const MANY: usize = 50_000;
/// The size of the stack in the wasm.
const STACK: usize = 262_144;

/// Long ids that share their beginning, as Outlook's do.
fn ids(from: usize) -> Vec<String> {
    let common = "AAMkAGI2".repeat(16);
    (from..from + MANY).map(|at| format!("{common}{at}")).collect()
}

fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

#[test]
fn masters_that_cannot_be_requested_are_skipped_without_recursion() {
    on_small_stack(|| {
        for id in ["\u{1}", ".", "..", "a\nb"] {
            let stored = Record {
                phase: Phase::Paging,
                awaited_masters: vec![id.to_owned(); MANY],
                page_index: 1,
                ..idle()
            };
            let mut harness = Harness::new(events(), Some(stored));
            harness.begin();
            harness.summary = PageSummary {
                missing_masters: (0..MANY).map(|at| format!("{id}{at}\u{1}")).collect(),
                ..one()
            };
            let step = harness.on(delta("d1"));
            assert!(matches!(step, Step::Deliver(Delivery { last: true, .. })), "{step:?}");
            assert_eq!(harness.on(Input::Delivered), Step::Done);
            assert_eq!(harness.store.unwrap().awaited_masters.len(), 0);
        }
    });
}

#[test]
fn masters_of_a_page_and_of_a_record_are_merged_in_one_pass() {
    let stored = Record { phase: Phase::Paging, awaited_masters: ids(0), page_index: 1, ..idle() };
    let mut harness = Harness::new(events(), Some(stored));
    harness.begin();
    harness.summary = PageSummary { missing_masters: ids(MANY / 2), received_masters: ids(MANY), ..one() };
    harness.page(next("n1"));
    let masters = harness.store.unwrap().awaited_masters;
    assert_eq!(masters.len(), MANY + MANY / 2, "each once");
}

#[test]
fn delivered_ids_are_stored_once_in_one_pass() {
    let stored = Record { unacknowledged: ids(0), ..idle() };
    let mut harness = Harness::new(contacts(), Some(stored));
    harness.round.config.has_consumer = true;
    harness.begin();
    harness.summary = PageSummary { new_ids: ids(MANY / 2), unacknowledged: ids(0), ..one() };
    assert!(matches!(harness.on(next("n1")), Step::Deliver(_)));
    assert_eq!(harness.store.unwrap().unacknowledged.len(), MANY + MANY / 2);
}
