//! What the queries and rounds of one client share.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::batch::{Batch, StoreResult};
use super::consumer::Acknowledgement;
use super::error::{ErrorFactory, RoundError, closed, left};
use super::in_flight::InFlight;
use super::limiter::Limiter;
use super::store::Store;
use super::timers::within;
use super::token::Tokens;
use crate::protocol::backoff::Policy;
use crate::protocol::endpoint::Endpoint;
use crate::protocol::error::{Code, Error, Result};
use crate::protocol::query::{Query, key_prefix};

/// One client.
pub struct Session {
    /// Where Graph is, and which links may have the token.
    pub endpoint: Rc<Endpoint>,
    /// Whose state this is.
    pub account: String,
    /// Attempts and waits.
    pub policy: Policy,
    /// The caller's token source.
    pub tokens: Tokens,
    /// The caller's own `fetch`, if there is one.
    pub fetch: Option<Function>,
    /// Makes `DeltaError`s.
    pub errors: ErrorFactory,
    /// Where links and rows are kept, once it is open, or why it does not open.
    pub store: OnceCell<Result<Store>>,
    /// The opening of the store.
    pub opening: InFlight,
    /// By scope of limits.
    pub limiters: RefCell<Vec<(String, Rc<Limiter>)>>,
    /// Commits that have begun, by key.
    pub commits: InFlight,
    /// Whether `close()` or `forget()` was called, or the database was taken away.
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

    /// The store, also while the client is being closed.
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
        let mut limiters = self.limiters.borrow_mut();
        if let Some((_, limiter)) = limiters.iter().find(|(scope, _)| *scope == query.scope) {
            return Rc::clone(limiter);
        }
        let limiter = Limiter::new(query.workload);
        limiters.push((query.scope.clone(), Rc::clone(&limiter)));
        limiter
    }

    /// Writes a batch. Runs as a task of its own: a commit that has begun ends, also when the round
    /// that began it is stopped meanwhile. The acknowledgement of its page settles with it.
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
        receiver.await.unwrap_or_else(|_| Err(Error::new(Code::Internal, "a commit got lost").into()))
    }

    /// Tells the acknowledgement and the round how a commit ended. Of a refused commit the round
    /// tells, while there is one: it knows the words.
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
        // The round was stopped meanwhile.
        if let Err(Ok(Committed::Refused(Some(acknowledgement)))) = round.send(end) {
            acknowledgement.reject(self.errors.error_to_js(left().into(), None));
        }
    }

    /// Waits for the commits of a query that have begun, as long as a request may stand still: a
    /// store that hangs holds up nobody for ever.
    pub async fn commits_settled(&self, key: &str) {
        within(self.policy.timeout, self.commits.settled(key)).await;
    }

    /// Waits likewise for all commits that have begun. Whether they have ended.
    pub async fn all_commits_settled(&self) -> bool {
        within(self.policy.timeout, self.commits.all_settled()).await.is_some()
    }

    /// What begins the keys of this client's account.
    pub fn prefix(&self) -> String {
        key_prefix(&self.account)
    }
}

/// How a commit ended.
pub enum Committed {
    /// All of it is stored. Holds the promise of the listeners who were told, or undefined.
    Written(JsValue),
    /// Nothing was written: another revision is stored. The acknowledgement is still to be
    /// answered.
    Refused(Option<Acknowledgement>),
}

impl From<Committed> for bool {
    fn from(committed: Committed) -> Self {
        matches!(committed, Committed::Written(_))
    }
}
