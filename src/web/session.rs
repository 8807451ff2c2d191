//! The state that the queries and rounds of one client share.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::batch::{Batch, StoreResult};
use super::consumer::Acknowledgement;
use super::error::{ErrorFactory, RoundError, closed, round_left};
use super::in_flight::InFlight;
use super::limiter::Limiter;
use super::store::Store;
use super::timers::{now, with_timeout};
use super::token::Tokens;
use crate::protocol::backoff::Policy;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::identity::Identity;
use crate::protocol::names::KnownNames;
use crate::protocol::query::{Query, key_prefix};
use crate::protocol::rate::Workload;
use crate::protocol::time::{Duration, Instant};

/// The keys under which a query's state is stored.
#[derive(Clone)]
pub struct Keys {
    /// The key of its record and rows.
    pub query: String,
    /// The key of its record and rows in 0.1.0, if it was another one.
    pub in_0_1_0: Option<String>,
    /// The key of the throttle time of its throttling scope.
    pub throttle: String,
}

/// One client.
pub struct Session {
    /// Graph's root. Decides which links may carry the token.
    pub endpoint: Rc<Endpoint>,
    /// The account, which separates the stored state of different users.
    pub account: String,
    /// The retry policy.
    pub policy: Policy,
    /// The caller's token source.
    pub tokens: Tokens,
    /// The caller's own `fetch`, if there is one.
    pub fetch: Option<Function>,
    /// The caller's `onError`, if there is one.
    pub on_error: Option<Function>,
    /// The caller's `log`, if there is one.
    pub log: Option<Function>,
    /// Makes `DeltaError`s.
    pub errors: ErrorFactory,
    /// The store once it is open, or the error of opening it.
    pub store: OnceCell<Result<Store>>,
    /// The opening of the store.
    pub opening: InFlight,
    /// The limiters by their scope.
    pub limiters: RefCell<Vec<(String, Rc<Limiter>)>>,
    /// Whether Graph refused concurrent requests of a mailbox. New mailboxes then begin with one
    /// request at a time, because one mailbox may have several names.
    pub has_restricted_mailboxes: Cell<bool>,
    /// The names of the rows of drives, by the key of the query, with the revision they belong to.
    pub names: RefCell<HashMap<String, (String, KnownNames)>>,
    /// The subject of the last token.
    pub identity: RefCell<Identity>,
    /// Commits that have begun, by key.
    pub commits: InFlight,
    /// The keys of 0.1.0 under which this client has looked for a mirror to copy.
    pub taken_over: RefCell<HashSet<String>>,
    /// The copies of mirrors of 0.1.0 that have begun, by key of 0.1.0.
    pub takeovers: InFlight,
    /// Whether `close()` or `forget()` was called, or the database was deleted or upgraded, for
    /// example by another tab.
    pub is_closed: Cell<bool>,
}

impl Session {
    /// The store, while the client is open.
    pub async fn store(&self) -> StoreResult<&Store> {
        if self.is_closed.get() {
            return Err(closed().into());
        }
        self.opened().await
    }

    /// The store, even while the client is being closed.
    async fn opened(&self) -> StoreResult<&Store> {
        self.opening.all_settled().await;
        match self.store.get() {
            Some(Ok(store)) => Ok(store),
            Some(Err(error)) => Err(error.clone().into()),
            None => Err(Error::new(Code::Internal, "the store of this client was never opened").into()),
        }
    }

    /// The limiter of a query's scope.
    pub fn limiter(&self, query: &Query) -> Rc<Limiter> {
        let query_scope = query.scope(&self.account, &self.identity.borrow());
        let mut limiters = self.limiters.borrow_mut();
        if let Some((_, limiter)) = limiters.iter().find(|(scope, _)| *scope == query_scope) {
            return Rc::clone(limiter);
        }
        let limiter = Limiter::new(query.workload);
        if self.has_restricted_mailboxes.get() && Workload::Outlook.owns(&query_scope) {
            limiter.rate.borrow_mut().restrict();
        }
        limiters.push((query_scope, Rc::clone(&limiter)));
        limiter
    }

    /// The key of the throttle time of a query's scope.
    pub fn throttle_key(&self, query: &Query) -> String {
        query.throttle_key(&self.account, &self.endpoint, &self.identity.borrow())
    }

    /// Allows one request at a time in each mailbox, after Graph refused concurrent ones of a
    /// mailbox that may have several names.
    pub fn restrict_mailboxes(&self) {
        self.has_restricted_mailboxes.set(true);
        let limiters = self.limiters.borrow();
        for (_, limiter) in limiters.iter().filter(|(scope, _)| Workload::Outlook.owns(scope)) {
            limiter.rate.borrow_mut().restrict();
        }
    }

    /// Writes a batch. Runs as a separate task, so that a commit that has begun also ends if its
    /// round is stopped. The end of the commit settles the acknowledgement of the page.
    pub async fn commit(
        self: &Rc<Self>,
        key: &str,
        batch: Batch,
        acknowledgement: Option<Acknowledgement>,
    ) -> StoreResult<Committed> {
        let is_closed = self.is_closed.get();
        let (sender, receiver) = oneshot::channel();
        let running = self.commits.begin(key);
        let (session, key) = (Rc::clone(self), key.to_owned());
        spawn_local(async move {
            let result = match session.opened().await {
                Ok(_) if is_closed => Err(closed().into()),
                Ok(store) => store.commit(&key, batch).await,
                Err(error) => Err(error),
            };
            session.settle(result, acknowledgement, sender);
            drop(running);
        });
        receiver
            .await
            .unwrap_or_else(|_| Err(Error::new(Code::Internal, "a commit ended without a result").into()))
    }

    /// Reads the stored throttle time of a scope, unless that happened within the last second and
    /// the request got its slot at once. Another tab may have written it, or this one before a
    /// reload. `waited`: how long the request waited for its slot. Returns how long the store took.
    pub async fn read_throttle(
        &self,
        key: &str,
        limiter: &Limiter,
        waited: Duration,
    ) -> StoreResult<Duration> {
        let started_at = now();
        if !limiter.rate.borrow().has_to_read_stored(waited, started_at) {
            return Ok(Duration::ZERO);
        }
        let stored = self.store().await?.throttle(key).await?;
        let read_at = now();
        let mut rate = limiter.rate.borrow_mut();
        rate.mark_stored_read(read_at);
        limiter.throttle_revision.replace(stored.as_ref().map(|stored| stored.revision.clone()));
        if let Some(stored) = stored {
            rate.adopt_stored(stored.until, stored.at, read_at);
        }
        Ok(read_at - started_at)
    }

    /// Stores until when a scope is throttled, unless another tab has stored a later time. Tries at
    /// most twice: the limiter of this client knows the time even if the store refuses it.
    pub async fn store_throttle(
        self: &Rc<Self>,
        key: &str,
        limiter: &Limiter,
        until: Instant,
    ) -> StoreResult<()> {
        let now = now();
        limiter.rate.borrow_mut().throttle(until, now);
        for _ in 0..2 {
            // Another response may have named a later time meanwhile.
            let latest = until.max(limiter.rate.borrow().throttled_until(now));
            let batch = Batch::of_throttle(limiter.throttle_revision.borrow().clone(), latest, now);
            let revision = batch.revision.clone();
            if self.commit(key, batch, None).await?.is_written() {
                limiter.throttle_revision.replace(Some(revision));
                break;
            }
            let stored = self.store().await?.throttle(key).await?;
            limiter.throttle_revision.replace(stored.as_ref().map(|stored| stored.revision.clone()));
            if stored.is_some_and(|stored| stored.until >= latest) {
                break;
            }
        }
        Ok(())
    }

    /// Reports the end of a commit to its acknowledgement and its round. If the store refused it,
    /// the round rejects the acknowledgement, with the message of the conflict.
    fn settle(
        &self,
        result: StoreResult<bool>,
        acknowledgement: Option<Acknowledgement>,
        round: oneshot::Sender<StoreResult<Committed>>,
    ) {
        let end = match (result, acknowledgement) {
            (Ok(true), acknowledgement) => {
                let listeners = acknowledgement.map(Acknowledgement::resolve).unwrap_or_default();
                Ok(Committed::Written(listeners))
            }
            (Ok(false), acknowledgement) => Ok(Committed::Refused(acknowledgement)),
            (Err(error), Some(acknowledgement)) => {
                let error = self.errors.error_to_js(error, None);
                acknowledgement.reject(error.clone());
                Err(RoundError::Foreign(error))
            }
            (Err(error), None) => Err(error),
        };
        // The round was stopped, so it can no longer reject the acknowledgement.
        if let Err(Ok(Committed::Refused(Some(acknowledgement)))) = round.send(end) {
            acknowledgement.reject(self.errors.error_to_js(round_left().into(), None));
        }
    }

    /// Waits for the commits of a query that have begun, at most for the timeout of a request: a
    /// store may hang.
    pub async fn commits_settled(&self, key: &str) {
        with_timeout(self.policy.timeout, self.commits.settled(key)).await;
    }

    /// Waits for all commits that have begun, at most for the timeout of a request. Returns whether
    /// they have ended.
    pub async fn all_commits_settled(&self) -> bool {
        with_timeout(self.policy.timeout, self.commits.all_settled()).await.is_some()
    }

    /// The prefix of all keys of this client's account.
    pub fn prefix(&self) -> String {
        key_prefix(&self.account)
    }
}

/// How a commit ended.
pub enum Committed {
    /// The whole batch is stored. Contains the promise of the listeners, or undefined.
    Written(JsValue),
    /// Nothing was written: another revision is stored. Returns the acknowledgement, which is still
    /// unsettled.
    Refused(Option<Acknowledgement>),
}

impl Committed {
    /// Whether the batch is stored.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }
}
