//! Checks IndexedDB and the store in memory against the rules of stores, like `tests/contract/`.

use std::cell::RefCell;

use deltalink::protocol::memory::Memory;
use deltalink::web::batch::Batch;
use deltalink::web::indexed_db::IndexedDb;
use deltalink::web::store::Store;
use deltalink::web::timers::now;
use js_sys::Function;
use serde_json::Value;
use wasm_bindgen::JsValue;

use crate::rules;
use crate::support::{from_js, js, to_js, unique_name};

/// A store of the shell. The test changes each returned value after reading it: a store must return
/// copies.
struct Opened(Store);

impl Opened {
    async fn indexed_db(account: &str) -> Self {
        let prefix = format!("{account} | ");
        let opened = IndexedDb::open(account, &prefix, Function::new_no_args(""), now).await;
        Self(Store::IndexedDb(opened.unwrap()))
    }

    fn memory() -> Self {
        Self(Store::Memory(RefCell::new(Memory::default())))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn read(given: &JsValue) -> Option<Value> {
    let value = (!given.is_undefined()).then(|| from_js(given));
    js(
        "const spoil = (value) => {
           if (value === null || typeof value !== 'object') return;
           Object.values(value).forEach(spoil);
           for (const name of Object.keys(value)) delete value[name];
         };
         spoil(a)",
        given,
    );
    value
}

impl rules::Store for Opened {
    async fn load(&self, key: &str) -> Option<Value> {
        read(&self.0.load(key).await.unwrap())
    }

    async fn rows(&self, key: &str, ids: &[&str]) -> Vec<Option<Value>> {
        self.0.rows(key, ids).await.unwrap().iter().map(read).collect()
    }

    async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Vec<(String, Value)> {
        let rows = self.0.scan(key, after, limit).await.unwrap();
        rows.into_iter().map(|(id, row)| (id, read(&row).unwrap())).collect()
    }

    async fn commit(&self, key: &str, commit: rules::Commit) -> bool {
        let revision = commit.state["revision"].as_str().unwrap().to_owned();
        let put = commit.put.iter().map(|(id, row)| (id.clone(), to_js(row))).collect();
        let state = to_js(&commit.state);
        let batch = Batch { expect: commit.expect, revision, state, put, remove: commit.remove };
        self.0.commit(key, batch).await.unwrap()
    }

    async fn clear(&self, prefix: &str) {
        self.0.clear(prefix).await.unwrap();
    }
}

mod indexed_db {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    macro_rules! on_indexed_db {
        ($($rule:ident)*) => {
            $(
                #[test]
                async fn $rule() {
                    rules::$rule(&Opened::indexed_db(&unique_name("contract")).await, "contract | ").await;
                }
            )*
        };
    }

    rules::each_rule!(on_indexed_db);

    async fn two() -> (Opened, Opened) {
        let account = unique_name("contract");
        (Opened::indexed_db(&account).await, Opened::indexed_db(&account).await)
    }

    #[test]
    async fn two_openings_see_each_others_commits() {
        let (store, other) = two().await;
        rules::two_openings_see_each_others_commits(&store, &other, "contract | ").await;
    }

    #[test]
    async fn of_concurrent_commits_by_two_openings_one_wins() {
        let (store, other) = two().await;
        rules::of_concurrent_commits_by_two_openings_one_wins(&store, &other, "contract | ").await;
    }
}

mod memory {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    macro_rules! in_memory {
        ($($rule:ident)*) => {
            $(
                #[test]
                async fn $rule() {
                    rules::$rule(&Opened::memory(), "contract | ").await;
                }
            )*
        };
    }

    rules::each_rule!(in_memory);
}
