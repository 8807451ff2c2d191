//! Checks the store in memory against the rules of stores. `tests/browser/contract.rs` checks
//! IndexedDB.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

mod rules;

use std::cell::RefCell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use deltalink::protocol::memory::{Batch, Memory};
use serde_json::Value;

use rules::{Commit, Store};

#[derive(Default)]
struct InMemory(RefCell<Memory<Value>>);

impl Store for InMemory {
    async fn load(&self, key: &str) -> Option<Value> {
        self.0.borrow().load(key)
    }

    async fn rows(&self, key: &str, ids: &[&str]) -> Vec<Option<Value>> {
        self.0.borrow().rows(key, ids)
    }

    async fn scan(&self, key: &str, after: Option<&str>, limit: u32) -> Vec<(String, Value)> {
        self.0.borrow().scan(key, after, limit as usize)
    }

    async fn commit(&self, key: &str, Commit { expect, state, put, remove }: Commit) -> bool {
        let revision = state["revision"].as_str().unwrap().to_owned();
        self.0.borrow_mut().commit(key, Batch { expect, revision, state, put, remove })
    }

    async fn clear(&self, prefix: &str) {
        self.0.borrow_mut().clear(prefix);
    }
}

/// Runs a future that never has to wait.
fn run(future: impl Future<Output = ()>) {
    let ended = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(ended, Poll::Ready(()));
}

macro_rules! in_memory {
    ($($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                run(rules::$rule(&InMemory::default(), "contract | "));
            }
        )*
    };
}

rules::each_rule!(in_memory);
