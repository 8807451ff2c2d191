//! How many requests of one scope may be in flight at once. The numbers are [`RateLimiter`]'s.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;

use crate::protocol::rate::{RateLimiter, Workload};

/// The requests of one scope: those in flight, and those that wait for a permit in the order of
/// asking.
pub struct Limiter {
    /// The limits, and what is known of throttling.
    pub rate: RefCell<RateLimiter>,
    in_flight: Cell<u32>,
    waiting: RefCell<VecDeque<oneshot::Sender<()>>>,
}

/// The right to have one request in flight. Dropping it passes the right on.
pub struct Permit(Rc<Limiter>);

impl Limiter {
    /// A limiter with the documented limits of a workload.
    pub fn new(workload: Workload) -> Rc<Self> {
        Rc::new(Self {
            rate: RefCell::new(RateLimiter::new(workload)),
            in_flight: Cell::new(0),
            waiting: RefCell::default(),
        })
    }

    /// Waits for a permit, first come first served.
    pub async fn acquire(self: &Rc<Self>) -> Permit {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().push_back(sender);
        self.serve();
        // From here on dropping this future, before or after the permit came, must pass it on.
        let ticket = Ticket { limiter: self, receiver };
        ticket.served().await
    }

    /// Gives permits to those who wait, as far as the limit allows.
    fn serve(&self) {
        while self.in_flight.get() < self.rate.borrow().limit() {
            let Some(next) = self.waiting.borrow_mut().pop_front() else { return };
            // One that waits no more is passed over.
            if next.send(()).is_ok() {
                self.in_flight.set(self.in_flight.get() + 1);
            }
        }
    }

    fn release(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        self.serve();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// One who waits.
struct Ticket<'a> {
    limiter: &'a Rc<Limiter>,
    receiver: oneshot::Receiver<()>,
}

impl Ticket<'_> {
    async fn served(mut self) -> Permit {
        // The sender lives in the queue until it has sent.
        let _ = (&mut self.receiver).await;
        Permit(Rc::clone(self.limiter))
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        // Served, but nobody took it: the permit goes to the next one.
        if let Ok(Some(())) = self.receiver.try_recv() {
            self.limiter.release();
        }
    }
}
