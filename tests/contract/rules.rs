//! The rules of every store, one function each. `pkg-template/contract.js` has the same rules for
//! the stores of users. A rule uses only keys that begin with its `key`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use serde_json::{Value, json};

/// A store with records and rows of JSON.
pub trait Store {
    /// The record of a key.
    async fn load(&self, key: &str) -> Option<Value>;
    /// The rows of these ids, in their order.
    async fn rows(&self, key: &str, ids: &[&str]) -> Vec<Option<Value>>;
    /// At most `limit` rows after an id.
    async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Vec<(String, Value)>;
    /// Writes rows and a record, or nothing.
    async fn commit(&self, key: &str, commit: Commit) -> bool;
    /// Deletes all records and rows whose keys begin with `prefix`.
    async fn clear(&self, prefix: &str);
}

/// The content of a commit.
pub struct Commit {
    /// The revision that must be stored now.
    pub expect: Option<String>,
    /// The new record, with its `revision`.
    pub state: Value,
    /// Rows to write, by id.
    pub put: Vec<(String, Value)>,
    /// Ids of rows to delete.
    pub remove: Vec<String>,
}

impl Commit {
    /// A commit without rows.
    fn new(expect: Option<&str>, state: Value) -> Self {
        Self { expect: expect.map(str::to_owned), state, put: Vec::new(), remove: Vec::new() }
    }

    fn put<'a>(mut self, rows: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        self.put = rows.into_iter().map(|(id, n)| (id.to_owned(), row(n))).collect();
        self
    }

    fn remove<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        self.remove = ids.into_iter().map(str::to_owned).collect();
        self
    }
}

/// Calls a macro with the names of all rules that open a store once.
macro_rules! each_rule {
    ($call:ident) => {
        $call! {
            an_unknown_key_has_no_state_and_no_rows
            a_committed_record_is_loaded
            a_commit_replaces_the_whole_state_puts_and_removes_rows_and_leaves_the_others
            a_commit_that_expects_nothing_is_refused_where_something_is_stored
            a_commit_that_expects_another_revision_is_refused
            a_commit_that_is_refused_writes_nothing
            of_concurrent_commits_that_expect_the_same_revision_one_wins_and_all_of_it_is_stored
            rows_come_in_the_order_of_the_ids_with_a_gap_for_each_that_is_missing
            a_scan_in_chunks_returns_each_row_once
            the_order_of_a_scan_is_the_same_each_time_and_a_scan_continues_after_an_id_that_was_removed
            ids_of_every_kind_are_kept_apart
            keys_that_begin_alike_are_kept_apart
            clear_wipes_the_keys_that_begin_with_its_prefix_and_no_other
            plain_data_is_returned_as_it_was_stored
            load_rows_and_scan_return_copies
            a_row_of_a_megabyte_is_kept
            two_thousand_rows_go_in_one_commit
            a_scan_during_a_commit_returns_rows_of_one_moment
        }
    };
}

pub(crate) use each_rule;

fn row(n: usize) -> Value {
    json!({"generation": 1, "item": {"n": n}})
}

fn revision(revision: &str) -> Value {
    json!({"revision": revision})
}

/// Ids in an order that is neither numeric nor alphabetic.
fn numbered(count: usize) -> Vec<(String, usize)> {
    (0..count).map(|n| (format!("id{}", (n * 7919) % count), n)).collect()
}

fn pairs(rows: &[(String, usize)]) -> impl Iterator<Item = (&str, usize)> {
    rows.iter().map(|(id, n)| (id.as_str(), *n))
}

async fn chunks<S: Store>(store: &S, key: &str, limit: u32) -> Vec<Vec<(String, Value)>> {
    let mut chunks: Vec<Vec<(String, Value)>> = Vec::new();
    loop {
        let after = chunks.last().and_then(|chunk| chunk.last()).map(|(id, _)| id.as_str());
        let chunk = store.scan(key, after, limit).await;
        let is_last = chunk.len() < limit as usize;
        chunks.push(chunk);
        assert!(chunks.len() < 5000, "the scan does not end");
        if is_last {
            return chunks;
        }
    }
}

async fn order<S: Store>(store: &S, key: &str, limit: u32) -> Vec<String> {
    chunks(store, key, limit).await.into_iter().flatten().map(|(id, _)| id).collect()
}

/// Runs futures concurrently. Resolves to their results in order.
async fn all_of<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(move |context| {
        for (future, result) in futures.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            return Poll::Ready(results.drain(..).flatten().collect());
        }
        Poll::Pending
    })
    .await
}

pub async fn an_unknown_key_has_no_state_and_no_rows<S: Store>(store: &S, key: &str) {
    assert_eq!(store.load(key).await, None);
    assert_eq!(store.rows(key, &["a", "b"]).await, [None, None]);
    assert!(store.rows(key, &[]).await.is_empty());
    assert!(store.scan(key, None, 10).await.is_empty());
}

pub async fn a_committed_record_is_loaded<S: Store>(store: &S, key: &str) {
    let state = json!({"revision": "e.1", "phase": "paging", "page": 3});
    assert!(store.commit(key, Commit::new(None, state.clone()).put([("a", 1)])).await);
    assert_eq!(store.load(key).await, Some(state));
    assert_eq!(store.rows(key, &["a"]).await, [Some(row(1))]);
}

pub async fn a_commit_replaces_the_whole_state_puts_and_removes_rows_and_leaves_the_others<S: Store>(
    store: &S,
    key: &str,
) {
    let first = Commit::new(None, json!({"revision": "e.1", "old": true}));
    assert!(store.commit(key, first.put([("a", 1), ("b", 1), ("c", 1)])).await);
    let second = Commit::new(Some("e.1"), revision("e.2")).put([("b", 2), ("d", 2)]).remove(["c", "nobody"]);
    assert!(store.commit(key, second).await);
    assert_eq!(store.load(key).await, Some(revision("e.2")));
    assert_eq!(
        store.rows(key, &["a", "b", "c", "d"]).await,
        [Some(row(1)), Some(row(2)), None, Some(row(2))]
    );
}

pub async fn a_commit_that_expects_nothing_is_refused_where_something_is_stored<S: Store>(
    store: &S,
    key: &str,
) {
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put([("a", 1)])).await);
    assert!(!store.commit(key, Commit::new(None, revision("f.1")).put([("a", 2)])).await);
}

pub async fn a_commit_that_expects_another_revision_is_refused<S: Store>(store: &S, key: &str) {
    assert!(!store.commit(key, Commit::new(Some("e.1"), revision("e.2"))).await, "nothing is stored");
    assert!(store.commit(key, Commit::new(None, revision("e.1"))).await);
    for expect in ["e.0", "e.10", "E.1", "e.1 ", ""] {
        assert!(!store.commit(key, Commit::new(Some(expect), revision("e.2"))).await, "{expect:?}");
    }
    assert!(store.commit(key, Commit::new(Some("e.1"), revision("e.2"))).await);
}

pub async fn a_commit_that_is_refused_writes_nothing<S: Store>(store: &S, key: &str) {
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put([("a", 1), ("b", 1)])).await);
    let refused = Commit::new(Some("f.1"), revision("f.2")).put([("a", 2), ("c", 2)]).remove(["b"]);
    assert!(!store.commit(key, refused).await);
    assert_eq!(store.load(key).await, Some(revision("e.1")));
    assert_eq!(store.rows(key, &["a", "b", "c"]).await, [Some(row(1)), Some(row(1)), None]);
}

pub async fn of_concurrent_commits_that_expect_the_same_revision_one_wins_and_all_of_it_is_stored<
    S: Store,
>(
    store: &S,
    key: &str,
) {
    race(key, &[store, store, store, store]).await;
}

async fn race<S: Store>(key: &str, stores: &[&S]) {
    assert!(stores[0].commit(key, Commit::new(None, revision("e.0"))).await);
    let owns: Vec<String> = (0..stores.len()).map(|n| format!("own{n}")).collect();
    let racer = |n: usize| {
        let commit = Commit::new(Some("e.0"), revision(&format!("racer.{n}"))).put([("a", n), (&owns[n], n)]);
        Box::pin(stores[n].commit(key, commit)) as Pin<Box<dyn Future<Output = bool>>>
    };
    let done = all_of((0..stores.len()).map(racer).collect()).await;
    assert_eq!(done.iter().filter(|won| **won).count(), 1, "{done:?}");
    let winner = done.iter().position(|won| *won).unwrap();
    for store in stores {
        assert_eq!(store.load(key).await, Some(revision(&format!("racer.{winner}"))));
        let stored: BTreeMap<_, _> = store.scan(key, None, 10).await.into_iter().collect();
        assert_eq!(stored, [("a".to_owned(), row(winner)), (owns[winner].clone(), row(winner))].into());
    }
}

pub async fn rows_come_in_the_order_of_the_ids_with_a_gap_for_each_that_is_missing<S: Store>(
    store: &S,
    key: &str,
) {
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put([("a", 1), ("b", 2), ("c", 3)])).await);
    let rows = store.rows(key, &["c", "nobody", "a", "b", "zz"]).await;
    assert_eq!(rows, [Some(row(3)), None, Some(row(1)), Some(row(2)), None]);
}

pub async fn a_scan_in_chunks_returns_each_row_once<S: Store>(store: &S, key: &str) {
    let rows = numbered(25);
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put(pairs(&rows))).await);
    for limit in [1, 5, 10, 25, 26] {
        let chunks = chunks(store, key, limit).await;
        let lengths: Vec<u32> = chunks.iter().map(|chunk| u32::try_from(chunk.len()).unwrap()).collect();
        let expected = (0..25 / limit).map(|_| limit).chain([25 % limit]);
        assert_eq!(lengths, expected.collect::<Vec<_>>(), "chunks of {limit}");
        let found: BTreeMap<String, Value> = chunks.into_iter().flatten().collect();
        assert_eq!(found, rows.iter().map(|(id, n)| (id.clone(), row(*n))).collect());
    }
}

pub async fn the_order_of_a_scan_is_the_same_each_time_and_a_scan_continues_after_an_id_that_was_removed<
    S: Store,
>(
    store: &S,
    key: &str,
) {
    let rows = numbered(20);
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put(pairs(&rows))).await);
    let first = order(store, key, 7).await;
    assert_eq!(order(store, key, 7).await, first);
    let gone = first[5..10].iter().map(String::as_str);
    let change = Commit::new(Some("e.1"), revision("e.2")).put([(first[3].as_str(), 77)]).remove(gone);
    assert!(store.commit(key, change).await);
    assert_eq!(order(store, key, 7).await, [&first[..5], &first[10..]].concat());
    let behind = store.scan(key, Some(&first[9]), 5).await;
    assert_eq!(behind.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), first[10..15]);
}

pub async fn ids_of_every_kind_are_kept_apart<S: Store>(store: &S, key: &str) {
    let long = ["x".repeat(1000), format!("{}y", "x".repeat(999))];
    let ids: Vec<&str> = IDS.into_iter().chain(long.iter().map(String::as_str)).collect();
    let rows = || ids.iter().enumerate().map(|(n, id)| (*id, n));
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put(rows())).await);
    let stored = store.rows(key, &ids).await;
    assert_eq!(stored, rows().map(|(_, n)| Some(row(n))).collect::<Vec<_>>());
    let (mut listed, mut expected) = (order(store, key, 3).await, ids.clone());
    listed.sort();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let change = Commit::new(Some("e.1"), revision("e.2")).remove(ids[..5].iter().copied());
    assert!(store.commit(key, change).await);
    let left = store.rows(key, &ids).await;
    assert_eq!(left, rows().map(|(_, n)| (n >= 5).then(|| row(n))).collect::<Vec<_>>());
}

const IDS: [&str; 39] = [
    "a",
    "A",
    "b",
    "1",
    "01",
    "1.0",
    "1e0",
    "-1",
    " ",
    "a ",
    " a",
    "a'b",
    "a\"b",
    "a`b",
    "a\\b",
    "a/b",
    "a|b",
    "a%b",
    "a_b",
    "a*b",
    "a\nb",
    "a\tb",
    "\0side",
    "a\0b",
    "__proto__",
    "constructor",
    "toString",
    "length",
    "null",
    "undefined",
    "\u{e9}",
    "e\u{301}",
    "\u{1f44d}",
    "\u{1f44d}\u{1f3fd}",
    "\u{4e2d}\u{6587}",
    "AAMkAGI2TGULAAA=",
    "AAMkAGI2TGULAAA+",
    "; DROP TABLE rows; --",
    "\u{ffff}",
];

pub async fn keys_that_begin_alike_are_kept_apart<S: Store>(store: &S, prefix: &str) {
    let keys = ["a", "a | ", "a | b", "a | b | c", "A | b", "a%", "a_", "a,", "a\u{e9}"]
        .map(|key| format!("{prefix}{key}"));
    for (n, key) in keys.iter().enumerate() {
        let commit = Commit::new(None, revision(&format!("e.{n}")));
        assert!(store.commit(key, commit.put([("same", n), (&format!("own{n}"), n)])).await, "{key}");
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(store.load(key).await, Some(revision(&format!("e.{n}"))), "{key}");
        let rows: BTreeMap<_, _> = store.scan(key, None, 10).await.into_iter().collect();
        assert_eq!(rows, [("same".to_owned(), row(n)), (format!("own{n}"), row(n))].into(), "{key}");
    }
}

pub async fn clear_wipes_the_keys_that_begin_with_its_prefix_and_no_other<S: Store>(store: &S, prefix: &str) {
    let gone = ["a_b% | ", "a_b% | x", "a_b% | x | y"].map(|key| format!("{prefix}{key}"));
    let kept =
        ["a_b%", "axb% | x", "a_bb | x", "A_B% | x", "b | a_b% | x"].map(|key| format!("{prefix}{key}"));
    for key in gone.iter().chain(&kept) {
        assert!(store.commit(key, Commit::new(None, revision("e.1")).put([("a", 1), ("b", 2)])).await);
    }
    store.clear(&format!("{prefix}a_b% | ")).await;
    for key in &gone {
        assert_eq!(store.load(key).await, None, "{key}");
        assert_eq!(store.rows(key, &["a", "b"]).await, [None, None], "{key}");
        assert!(store.scan(key, None, 10).await.is_empty(), "{key}");
        assert!(store.commit(key, Commit::new(None, revision("e.1"))).await, "{key}");
    }
    for key in &kept {
        assert_eq!(store.load(key).await, Some(revision("e.1")), "{key}");
        assert_eq!(store.rows(key, &["a", "b"]).await, [Some(row(1)), Some(row(2))], "{key}");
    }
}

pub async fn plain_data_is_returned_as_it_was_stored<S: Store>(store: &S, key: &str) {
    let plain = json!({
        "strings": ["", "a", "\u{e9}\u{1f44d}\u{4e2d}", "a\0b\n\"'\\", "\u{2028}"],
        "numbers": [0, -1, 1.5, 1e21, 1e-7, 9_007_199_254_740_991_u64, 1_793_232_000_000.5],
        "others": [true, false, null],
        "empty": [{}, [], [[]], {"a": {}}],
        "nested": {"@odata.etag": "W/\"x\"", "a.b": {"$ref": [{"deep": [[{"deeper": null}]]}]}, "1": "one"},
    });
    let state = json!({"revision": "e.1", "plain": plain});
    let row = json!({"generation": 1, "item": plain, "round": "e", "more": [plain]});
    let mut commit = Commit::new(None, state.clone());
    commit.put.push(("a".to_owned(), row.clone()));
    assert!(store.commit(key, commit).await);
    assert_eq!(store.load(key).await, Some(state));
    assert_eq!(store.rows(key, &["a"]).await, [Some(row.clone())]);
    assert_eq!(store.scan(key, None, 1).await, [("a".to_owned(), row)]);
}

/// The implementation of [`Store`] changes the values that the store returned after it has read
/// them.
pub async fn load_rows_and_scan_return_copies<S: Store>(store: &S, key: &str) {
    let state = json!({"revision": "e.1", "list": [1]});
    assert!(store.commit(key, Commit::new(None, state.clone()).put([("a", 1)])).await);
    for _ in 0..2 {
        assert_eq!(store.load(key).await, Some(state.clone()));
        assert_eq!(store.rows(key, &["a"]).await, [Some(row(1))]);
        assert_eq!(store.scan(key, None, 1).await, [("a".to_owned(), row(1))]);
    }
    assert!(store.commit(key, Commit::new(Some("e.1"), revision("e.2"))).await, "the revision too");
}

pub async fn a_row_of_a_megabyte_is_kept<S: Store>(store: &S, key: &str) {
    let large = json!({"generation": 1, "item": {"n": "abcdefg\u{e9}".repeat(1 << 17)}});
    let mut commit = Commit::new(None, revision("e.1")).put([("b", 1)]);
    commit.put.push(("a".to_owned(), large.clone()));
    assert!(store.commit(key, commit).await);
    assert!(store.rows(key, &["a", "b"]).await == [Some(large), Some(row(1))]);
}

pub async fn two_thousand_rows_go_in_one_commit<S: Store>(store: &S, key: &str) {
    let rows = numbered(2000);
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put(pairs(&rows))).await);
    let found: BTreeMap<String, Value> = chunks(store, key, 500).await.into_iter().flatten().collect();
    assert!(found == rows.iter().map(|(id, n)| (id.clone(), row(*n))).collect());
    let removal = Commit::new(Some("e.1"), revision("e.2")).remove(rows.iter().map(|(id, _)| id.as_str()));
    assert!(store.commit(key, removal).await);
    assert!(store.scan(key, None, 10).await.is_empty());
}

pub async fn a_scan_during_a_commit_returns_rows_of_one_moment<S: Store>(store: &S, key: &str) {
    let ids = numbered(100);
    let commit = |expect: Option<&str>, n: usize| {
        Commit::new(expect, revision(&format!("e.{n}"))).put(ids.iter().map(|(id, _)| (id.as_str(), n)))
    };
    assert!(store.commit(key, commit(None, 0)).await);
    for n in 1..=5 {
        let done = Cell::new(false);
        let committing = async {
            assert!(store.commit(key, commit(Some(&format!("e.{}", n - 1)), n)).await);
            done.set(true);
        };
        let scan =
            || Box::pin(store.scan(key, None, 200)) as Pin<Box<dyn Future<Output = Vec<(String, Value)>>>>;
        let scanning = async {
            loop {
                for mut rows in all_of(vec![scan(), scan(), scan()]).await {
                    assert_eq!(rows.len(), 100);
                    rows.dedup_by(|one, other| one.1 == other.1);
                    assert_eq!(rows.len(), 1, "rows of one commit");
                }
                if done.get() {
                    return;
                }
            }
        };
        all_of::<()>(vec![Box::pin(committing), Box::pin(scanning)]).await;
    }
}

/// A rule for stores that two tabs can open.
pub async fn two_openings_see_each_others_commits<S: Store>(store: &S, other: &S, key: &str) {
    assert!(store.commit(key, Commit::new(None, revision("e.1")).put([("a", 1)])).await);
    assert_eq!(other.load(key).await, Some(revision("e.1")));
    assert_eq!(other.rows(key, &["a"]).await, [Some(row(1))]);
    assert!(other.commit(key, Commit::new(Some("e.1"), revision("e.2")).put([("a", 2)])).await);
    assert_eq!(store.load(key).await, Some(revision("e.2")));
    assert_eq!(store.rows(key, &["a"]).await, [Some(row(2))]);
}

/// A rule for stores that two tabs can open.
pub async fn of_concurrent_commits_by_two_openings_one_wins<S: Store>(store: &S, other: &S, key: &str) {
    race(key, &[store, other, store, other]).await;
}
