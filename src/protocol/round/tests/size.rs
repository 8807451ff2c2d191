//! As many masters and ids as a page or a stored record may hold: no recursion over them, and no
//! work that grows with their square. A test of the latter looks at no clock: with the square of so
//! many it would run for many minutes.

use std::thread;

use super::*;

const MANY: usize = 50_000;
/// What the wasm has.
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
fn masters_that_cannot_be_asked_for_are_passed_over_without_recursion() {
    on_small_stack(|| {
        for odd in ["\u{1}", ".", "..", "a\nb"] {
            let stored = Record {
                phase: Phase::Paging,
                awaited_masters: vec![odd.to_owned(); MANY],
                page_index: 1,
                ..idle()
            };
            let mut bench = Bench::new(events(), Some(stored));
            bench.begin();
            bench.summary = PageSummary {
                missing_masters: (0..MANY).map(|at| format!("{odd}{at}\u{1}")).collect(),
                ..one()
            };
            let step = bench.on(delta("d1"));
            assert!(matches!(step, Step::Deliver(Delivery { last: true, .. })), "{step:?}");
            assert_eq!(bench.on(Input::Delivered), Step::Done);
            assert_eq!(bench.store.unwrap().awaited_masters.len(), 0);
        }
    });
}

#[test]
fn masters_of_a_page_and_of_a_record_are_told_apart_in_one_pass() {
    let stored = Record { phase: Phase::Paging, awaited_masters: ids(0), page_index: 1, ..idle() };
    let mut bench = Bench::new(events(), Some(stored));
    bench.begin();
    bench.summary = PageSummary { missing_masters: ids(MANY / 2), received_masters: ids(MANY), ..one() };
    bench.page(next("n1"));
    let masters = bench.store.unwrap().awaited_masters;
    assert_eq!(masters.len(), MANY + MANY / 2, "each once, and the page brings none that it names");
}

#[test]
fn ids_that_were_delivered_are_noted_once_in_one_pass() {
    let stored = Record { unacknowledged: ids(0), ..idle() };
    let mut bench = Bench::new(contacts(), Some(stored));
    bench.round.config.has_consumer = true;
    bench.begin();
    bench.summary = PageSummary { new_ids: ids(MANY / 2), unacknowledged: ids(0), ..one() };
    assert!(matches!(bench.on(next("n1")), Step::Deliver(_)));
    assert_eq!(bench.store.unwrap().unacknowledged.len(), MANY + MANY / 2);
}
