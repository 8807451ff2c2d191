//! Limits the concurrent requests of one throttling scope, by the limit of [`RateLimiter`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use js_sys::Math;

use crate::protocol::rate::{RateLimiter, Workload};
use crate::protocol::time::{Duration, Instant};

/// The requests of one throttling scope: those in flight, and the queue for permits.
pub struct Limiter {
    /// The limits and the throttle time.
    pub rate: RefCell<RateLimiter>,
    /// The revision of the stored throttle time, as it was read last.
    pub throttle_revision: RefCell<Option<String>>,
    in_flight: Cell<u32>,
    waiting: RefCell<VecDeque<oneshot::Sender<()>>>,
}

/// The right to have one request in flight. Dropping it passes it to the next request.
pub struct Permit(Rc<Limiter>);

impl Limiter {
    /// A limiter with the documented limits of a workload.
    pub fn new(workload: Workload) -> Rc<Self> {
        Rc::new(Self {
            rate: RefCell::new(RateLimiter::new(workload)),
            throttle_revision: RefCell::default(),
            in_flight: Cell::new(0),
            waiting: RefCell::default(),
        })
    }

    /// Waits for a permit, in the order of the calls.
    pub async fn acquire(self: &Rc<Self>) -> Permit {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push_back(sender);
        self.grant();
        // The ticket releases the permit if this future is dropped after the permit was granted.
        let ticket = Ticket { limiter: self, receiver };
        ticket.granted().await
    }

    /// Returns a permit and reserves a request if the scope is idle enough: no request waits, none
    /// was throttled recently, and at most half of the permits are in use afterwards, because tabs
    /// that share no slots count their own permits for the same mailbox.
    pub fn try_acquire(self: &Rc<Self>, now: Instant) -> Option<Permit> {
        self.grant();
        let is_free = self.waiting.borrow().is_empty()
            && self.in_flight.get() < self.rate.borrow().limit() / 2
            && self.rate.borrow_mut().try_reserve(now);
        is_free.then(|| {
            self.in_flight.set(self.in_flight.get() + 1);
            Permit(Rc::clone(self))
        })
    }

    /// Reserves one request in the rate limit. Returns how long to wait before sending it.
    pub fn reserve(&self, now: Instant) -> Duration {
        let mut rate = self.rate.borrow_mut();
        if rate.throttled_until(now) > now { Duration::ZERO } else { rate.reserve(now, Math::random()) }
    }

    /// A response arrived that is not a throttle: further requests may be sent.
    pub fn response_received(&self) {
        self.rate.borrow_mut().raise_limit();
        self.grant();
    }

    /// Grants permits to waiting requests, up to the limit.
    fn grant(&self) {
        while self.in_flight.get() < self.rate.borrow().limit() {
            let Some(next) = self.waiting.borrow_mut().pop_front() else { return };
            // A request that was dropped meanwhile is skipped.
            if next.send(()).is_ok() {
                self.in_flight.set(self.in_flight.get() + 1);
            }
        }
    }

    fn release(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.grant();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A request that waits for a permit.
struct Ticket<'a> {
    limiter: &'a Rc<Limiter>,
    receiver: oneshot::Receiver<()>,
}

impl Ticket<'_> {
    async fn granted(mut self) -> Permit {
        // The sender lives in the queue until it has sent.
        let _ = (&mut self.receiver).await;
        Permit(Rc::clone(self.limiter))
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        // The permit was granted and not used.
        if let Ok(Some(())) = self.receiver.try_recv() {
            self.limiter.release();
        }
    }
}
