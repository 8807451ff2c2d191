//! One request of a round: waits for its turn in the throttling scope, sends it and reads the
//! response. A request that is sent ahead runs as a task in parallel with its round.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use wasm_bindgen_futures::spawn_local;
use web_sys::AbortSignal;

use super::batch::StoreResult;
use super::body::LinkSearch;
use super::error::RoundError;
use super::fetch::{Fetched, Get, client_request_id};
use super::js::get;
use super::limiter::{Limiter, Permit};
use super::round_run::Slot;
use super::session::Session;
use super::status::StatusDisplay;
use super::timers::{now, with_timeout};
use crate::protocol::error::{Code, Error};
use crate::protocol::query::Query;
use crate::protocol::refusal::Refusal;
use crate::protocol::time::{Duration, Instant};

/// The result of a request, and what is known about it.
pub type Ended = (StoreResult<RequestOutcome>, RequestDetails);

/// A request before it is sent.
pub struct PageRequest {
    /// The state that the rounds of its client share.
    pub session: Rc<Session>,
    /// The limiter of its throttling scope.
    pub limiter: Rc<Limiter>,
    /// The status of its round.
    pub display: StatusDisplay,
    /// The key of the throttle time of its throttling scope.
    pub throttle_key: String,
    /// Its query.
    pub query: Rc<Query>,
    /// The URL.
    pub url: String,
    /// The values of the Prefer header.
    pub prefer: Vec<String>,
    /// The token.
    pub token: String,
    /// The signal that ends the round.
    pub signal: AbortSignal,
    /// Reports the nextLink while the page arrives.
    pub next_link: LinkSearch,
    /// Dropped when the request no longer waits for a slot.
    pub queued: Cell<Option<oneshot::Sender<()>>>,
}

/// The id, the times and the size of a request.
#[derive(Default)]
pub struct RequestDetails {
    /// The id of the request in Graph's logs; empty if it was not sent.
    pub client_request_id: String,
    /// The time from its start to the end of the response.
    pub duration: Duration,
    /// The number of bytes that arrived.
    pub bytes: u64,
    /// The time that the store took.
    pub store_time: Duration,
}

/// The result of a request.
pub enum RequestOutcome {
    /// A response, or the lack of one.
    Fetched(Fetched),
    /// The throttling scope is throttled until this instant: nothing was sent.
    Throttled(Instant),
}

impl PageRequest {
    /// Waits for a permit and for the documented limits, then sends the request.
    pub async fn send(self) -> Ended {
        let permit = self.limiter.acquire();
        let is_recovering = self.limiter.rate.borrow().is_recovering();
        let permit = if is_recovering { self.display.queue(permit).await } else { permit.await };
        self.send_with(&permit, false).await
    }

    /// Sends the request as a task, if its scope has a permit to spare.
    pub fn send_ahead(self) -> Option<oneshot::Receiver<Ended>> {
        let permit = self.limiter.try_acquire(now())?;
        let (mut sender, receiver) = oneshot::channel();
        spawn_local(async move {
            // Checks first whether the round has dropped the receiver.
            let mut end = match select(sender.cancellation(), pin!(self.send_with(&permit, true))).await {
                Either::Left(_) => return,
                Either::Right((end, _)) => end,
            };
            if let Ok(RequestOutcome::Fetched(Fetched::Refused(refusal))) = &mut end.0 {
                refusal.received_at = Some(now());
                self.apply_throttle(refusal);
            }
            // The permit is dropped afterwards: the round may have to report a throttle to the
            // scope before the next request is sent.
            let _ = sender.send(end);
        });
        Some(receiver)
    }

    /// Applies a throttle to the scope at once, because the round may read this response late, or
    /// never.
    fn apply_throttle(&self, refusal: &Refusal) {
        let now = now();
        let Some(until) = refusal.throttled_until(now).filter(|until| *until > now) else { return };
        self.limiter.rate.borrow_mut().throttle(until, now);
        let (session, limiter) = (Rc::clone(&self.session), Rc::clone(&self.limiter));
        let key = self.throttle_key.clone();
        spawn_local(async move {
            // If the store fails, the limiter of this client still knows it.
            let _ = session.store_throttle(&key, &limiter, until).await;
        });
    }

    async fn send_with(&self, _permit: &Permit, is_ahead: bool) -> Ended {
        let mut details = RequestDetails::default();
        let result = self.try_send(&mut details, is_ahead).await;
        (result, details)
    }

    async fn try_send(&self, details: &mut RequestDetails, is_ahead: bool) -> StoreResult<RequestOutcome> {
        let queued_at = now();
        let _slot = self.take_slot(is_ahead).await;
        drop(self.queued.take());
        let waited = now() - queued_at;
        details.store_time = self.session.read_throttle(&self.throttle_key, &self.limiter, waited).await?;
        let delay = if is_ahead { Duration::ZERO } else { self.limiter.reserve(now()) };
        if delay > Duration::ZERO {
            self.display.pace(delay).await;
        }
        let started_at = now();
        let throttled_until = self.limiter.rate.borrow().throttled_until(started_at);
        if throttled_until > started_at {
            return Ok(RequestOutcome::Throttled(throttled_until));
        }
        if self.signal.aborted() {
            return Err(RoundError::Aborted(get(&self.signal, "reason")));
        }
        details.client_request_id = client_request_id();
        let received = Cell::new(0);
        let request = Get {
            endpoint: &self.session.endpoint,
            custom: self.session.fetch.as_ref(),
            url: &self.url,
            token: &self.token,
            prefer: &self.prefer,
            headers: &self.query.headers,
            timeout: self.session.policy.timeout,
            client_request_id: &details.client_request_id,
            received: &received,
            next_link: &self.next_link,
        };
        let result = request.send().await;
        details.duration = now() - started_at;
        details.bytes = received.get();
        if let Ok(Fetched::Refused(refusal)) = &result
            && refusal.says_mailbox_concurrency()
        {
            self.session.restrict_mailboxes();
        }
        result.map(RequestOutcome::Fetched)
    }

    /// Takes a slot for the time of the request: all tabs share the limit of a mailbox. The wait
    /// has a timeout, because a tab that the system has suspended may hold a slot for ever. After
    /// the timeout, the request is sent without a slot, and Graph may refuse it.
    async fn take_slot(&self, is_ahead: bool) -> Option<Slot> {
        let limit = self.query.workload.shared_limit()?;
        let slot = Slot::take(&self.display.round_run, &self.throttle_key, limit);
        let slot = with_timeout(self.session.policy.timeout, slot);
        // The round still works on the page before. If it needs this one, it shows the wait.
        if is_ahead { slot.await } else { self.display.queue_for_slot(slot).await }
    }
}

/// A request that was sent ahead. Dropping it aborts the request.
pub struct Ahead {
    /// Receives its result.
    pub end: oneshot::Receiver<Ended>,
    /// The token that it was sent with.
    pub token: String,
    /// The nextLink of its page, as soon as it has arrived. `None` once it has been used.
    pub next_link: Option<oneshot::Receiver<String>>,
    /// Resolves when the request no longer waits for a slot of its mailbox.
    pub queued: oneshot::Receiver<()>,
}

/// Waits for the result of a request that was sent ahead.
pub async fn end_of(end: oneshot::Receiver<Ended>) -> Ended {
    end.await.unwrap_or_else(|_| {
        let error = Error::new(Code::Internal, "a request that was sent ahead ended without a result");
        (Err(error.into()), RequestDetails::default())
    })
}
