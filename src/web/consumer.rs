//! Connects the task of a round with the consumer that iterates it, by the rules of
//! [`Acknowledgements`].
//!
//! The task requests a page only while a call of `next()` waits, or up to two pages ahead of time
//! (`docs/decisions/0004-look-ahead.md`). A consumer that stops calling `next()` causes no more
//! requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures_channel::oneshot;
use js_sys::Function;
use wasm_bindgen::JsValue;

use super::error::{ErrorFactory, RoundError, round_left};
use crate::protocol::acknowledge::{AckMode, AckOutcome, Acknowledgements, NextOutcome};

type Settled = Result<JsValue, JsValue>;

/// The state that the task and the consumer share.
struct Exchange {
    acknowledgements: Acknowledgements,
    /// Calls of `next()` that wait, in their order.
    nexts: VecDeque<oneshot::Sender<Settled>>,
    /// Calls of `ack()` that wait for the commit of the page that was delivered last.
    acks: Vec<oneshot::Sender<Settled>>,
    /// Calls of `leave()` that wait for the end of the round.
    leaves: Vec<oneshot::Sender<Settled>>,
    /// The facade's function that announces the commit of the last delivered page to the listeners.
    announce: Option<Function>,
    /// The error that ended the round.
    error: JsValue,
    /// Wakes the task while it waits for a call.
    task: Option<Waker>,
}

/// The consumer's side of the exchange.
#[derive(Clone)]
pub struct Consumer {
    exchange: Rc<RefCell<Exchange>>,
    errors: ErrorFactory,
}

/// The task's side of the exchange.
#[derive(Clone)]
pub struct Producer(Rc<RefCell<Exchange>>);

/// The acknowledgement of the last delivered page. The commit of the page settles the calls of
/// `ack()`.
pub struct Acknowledgement(Rc<RefCell<Exchange>>);

impl Acknowledgement {
    /// Reports that the page is committed, to the consumer and to the listeners. Returns the
    /// promise of the listeners, or undefined.
    pub fn resolve(self) -> JsValue {
        let announce = {
            let mut exchange = self.0.borrow_mut();
            exchange.acknowledgements.committed();
            exchange.settle_acks(&Ok(JsValue::UNDEFINED));
            exchange.announce.take()
        };
        announce.and_then(|announce| announce.call0(&JsValue::UNDEFINED).ok()).unwrap_or_default()
    }

    /// Reports to the consumer that the page is not committed.
    pub fn reject(self, error: JsValue) {
        let mut exchange = self.0.borrow_mut();
        exchange.acknowledgements.not_committed();
        exchange.settle_acks(&Err(error));
    }
}

impl Consumer {
    /// The consumer of a round that has not begun.
    pub fn new(mode: AckMode, errors: ErrorFactory) -> Self {
        let exchange = Exchange {
            acknowledgements: Acknowledgements::new(mode),
            nexts: VecDeque::new(),
            acks: Vec::new(),
            leaves: Vec::new(),
            announce: None,
            error: JsValue::UNDEFINED,
            task: None,
        };
        Self { exchange: Rc::new(RefCell::new(exchange)), errors }
    }

    /// The task's side of the same exchange.
    pub fn producer(&self) -> Producer {
        Producer(Rc::clone(&self.exchange))
    }

    /// Requests the next page. Resolves to it, or to undefined at the end of the iteration.
    pub fn next(&self) -> impl Future<Output = Settled> + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut exchange = self.exchange.borrow_mut();
        exchange.nexts.push_back(sender);
        exchange.acknowledgements.next();
        exchange.settle();
        self.settled(receiver)
    }

    /// Acknowledges a page. Pages count from 0 in the order of their delivery.
    pub fn ack(&self, page: u32) -> impl Future<Output = Settled> + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut exchange = self.exchange.borrow_mut();
        let outcome = match exchange.acknowledgements.ack(page) {
            AckOutcome::AfterCommit => None,
            AckOutcome::Committed => Some(Ok(JsValue::UNDEFINED)),
            AckOutcome::Left => Some(Err(self.errors.error_to_js(round_left().into(), None))),
            AckOutcome::Error => Some(Err(exchange.error.clone())),
        };
        match outcome {
            Some(outcome) => drop(sender.send(outcome)),
            None => exchange.acks.push(sender),
        }
        exchange.settle();
        self.settled(receiver)
    }

    /// Leaves the round. Resolves when it has ended: at once, or after the commit of an
    /// acknowledged page.
    pub fn leave(&self) -> impl Future<Output = Settled> + use<> {
        let (sender, receiver) = oneshot::channel();
        let mut exchange = self.exchange.borrow_mut();
        exchange.leaves.push(sender);
        exchange.acknowledgements.leave();
        exchange.settle();
        self.settled(receiver)
    }

    fn settled(&self, receiver: oneshot::Receiver<Settled>) -> impl Future<Output = Settled> + use<> {
        let errors = self.errors.clone();
        async move { receiver.await.unwrap_or_else(|_| Err(errors.error_to_js(round_left().into(), None))) }
    }
}

impl Producer {
    /// Waits until the consumer requests the next page. Fails once it has left.
    pub async fn page_requested(&self) -> Result<(), RoundError> {
        self.wait(|exchange| {
            if exchange.acknowledgements.has_left() {
                return Some(Err(round_left().into()));
            }
            exchange.acknowledgements.is_page_wanted().then_some(Ok(()))
        })
        .await
    }

    /// Hands a page to the first call of `next()`. `announce` reports its commit to the listeners.
    pub fn deliver(&self, page: JsValue, announce: Option<Function>) {
        let mut exchange = self.0.borrow_mut();
        exchange.announce = announce;
        exchange.acknowledgements.delivered();
        if let Some(next) = exchange.nexts.pop_front() {
            let _ = next.send(Ok(page));
        }
    }

    /// Waits until the page that was delivered is acknowledged. Its commit begins then.
    pub async fn acknowledged(&self) -> Acknowledgement {
        self.wait(|exchange| {
            let is_wanted = exchange.acknowledgements.is_commit_wanted();
            if is_wanted {
                exchange.acknowledgements.commit_begins();
            }
            is_wanted.then_some(())
        })
        .await;
        Acknowledgement(Rc::clone(&self.0))
    }

    /// Waits until the consumer has left and no commit is awaited.
    pub async fn left(&self) {
        self.wait(|exchange| {
            (exchange.acknowledgements.has_left() && exchange.acknowledgements.is_over()).then_some(())
        })
        .await;
    }

    /// Whether the consumer has left.
    pub fn has_left(&self) -> bool {
        self.0.borrow().acknowledgements.has_left()
    }

    /// Ends the round, with an error or without. Settles all calls except those of `ack()` that
    /// wait for a commit that has begun.
    pub fn end(&self, error: Option<JsValue>) {
        let mut exchange = self.0.borrow_mut();
        exchange.acknowledgements.ended(error.is_some());
        exchange.error = error.unwrap_or_default();
        if !exchange.acknowledgements.is_commit_awaited() {
            let outcome = Err(exchange.error.clone());
            exchange.settle_acks(&outcome);
        }
        exchange.settle();
    }

    async fn wait<T>(&self, mut ready: impl FnMut(&mut Exchange) -> Option<T>) -> T {
        poll_fn(|context| {
            let mut exchange = self.0.borrow_mut();
            match ready(&mut exchange) {
                Some(value) => Poll::Ready(value),
                None => {
                    exchange.task = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Exchange {
    /// Settles the calls that can be settled now, and wakes the task.
    fn settle(&mut self) {
        while let Some(outcome) = self.acknowledgements.settle_next() {
            let Some(next) = self.nexts.pop_front() else { break };
            let _ = next.send(match outcome {
                NextOutcome::Error => Err(self.error.clone()),
                NextOutcome::End => Ok(JsValue::UNDEFINED),
            });
        }
        if self.acknowledgements.is_over() {
            for leave in self.leaves.drain(..) {
                let _ = leave.send(Ok(JsValue::UNDEFINED));
            }
        }
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    fn settle_acks(&mut self, outcome: &Settled) {
        for ack in self.acks.drain(..) {
            let _ = ack.send(outcome.clone());
        }
    }
}
