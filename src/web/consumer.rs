//! Between a round's task and whoever iterates it: pages go out, acknowledgements come in.
//!
//! The task works only while a page is asked for, so a consumer that stops asking costs no request.
//! A page is answered by one acknowledgement, which settles when the page is committed.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures_channel::oneshot;
use wasm_bindgen::JsValue;

use super::error::{ErrorFactory, left};
use crate::protocol::error::{Code, Error};

type Answer = Result<JsValue, JsValue>;

/// What both ends share.
#[derive(Default)]
struct Exchange {
    /// A call of `next()` that waits for its page, and whether anybody listens to changes.
    next: Option<(oneshot::Sender<Answer>, bool)>,
    /// A call of `ack()` that the task has not taken yet.
    ack: Option<Acknowledgement>,
    /// Whether a page was delivered and is not acknowledged.
    page_is_out: bool,
    /// How the round ended: what every later call gets.
    ended: Option<Answer>,
    /// The task, where it waits for a call.
    task: Option<Waker>,
}

/// The consumer's end.
#[derive(Clone)]
pub struct Consumer {
    exchange: Rc<RefCell<Exchange>>,
    errors: ErrorFactory,
}

/// The task's end.
pub struct Producer(Rc<RefCell<Exchange>>);

/// A call of `ack()`.
pub struct Acknowledgement(oneshot::Sender<Answer>);

impl Acknowledgement {
    /// The page is committed.
    pub fn resolve(self) {
        // Whoever called may have stopped waiting.
        let _ = self.0.send(Ok(JsValue::UNDEFINED));
    }

    /// The page is not committed.
    pub fn reject(self, error: JsValue) {
        let _ = self.0.send(Err(error));
    }
}

impl Consumer {
    /// An exchange of which nothing has passed yet.
    pub fn new(errors: ErrorFactory) -> Self {
        Self { exchange: Rc::default(), errors }
    }

    /// The task's end of this exchange.
    pub fn producer(&self) -> Producer {
        Producer(Rc::clone(&self.exchange))
    }

    /// The next page, or undefined at the end of the round. Refused while a page is not
    /// acknowledged: the task would wait for that for ever.
    pub async fn next(&self, has_listeners: bool) -> Answer {
        let receiver = {
            let mut exchange = self.exchange.borrow_mut();
            if let Some(ended) = &exchange.ended {
                return ended.clone();
            }
            if exchange.page_is_out {
                let words = "the next page was asked for before the last one was acknowledged";
                return Err(self.errors.error_to_js(Error::new(Code::Internal, words).into(), None));
            }
            let (sender, receiver) = oneshot::channel();
            exchange.next = Some((sender, has_listeners));
            exchange.wake();
            receiver
        };
        receiver.await.unwrap_or(Ok(JsValue::UNDEFINED))
    }

    /// Commits the page that was delivered last. Without one, does nothing.
    pub async fn acknowledge(&self) -> Answer {
        let receiver = {
            let mut exchange = self.exchange.borrow_mut();
            if !exchange.page_is_out {
                return exchange.ended.clone().unwrap_or(Ok(JsValue::UNDEFINED));
            }
            let (sender, receiver) = oneshot::channel();
            exchange.page_is_out = false;
            exchange.ack = Some(Acknowledgement(sender));
            exchange.wake();
            receiver
        };
        receiver.await.unwrap_or_else(|_| Err(self.errors.error_to_js(left().into(), None)))
    }
}

impl Producer {
    /// Waits until a page is asked for. Resolves to whether anybody listens to the changes of this
    /// query.
    pub async fn asked(&self) -> bool {
        self.wait(|exchange| exchange.next.as_ref().map(|(_, has_listeners)| *has_listeners)).await
    }

    /// Hands a page to whoever asked for it.
    pub fn deliver(&self, page: JsValue) {
        let mut exchange = self.0.borrow_mut();
        exchange.page_is_out = true;
        if let Some((sender, _)) = exchange.next.take() {
            let _ = sender.send(Ok(page));
        }
    }

    /// Waits until the page that was delivered is acknowledged.
    pub async fn acknowledged(&self) -> Acknowledgement {
        self.wait(|exchange| exchange.ack.take()).await
    }

    /// Ends the round: every call that waits, and every later one, gets this.
    pub fn end(&self, answer: &Answer) {
        let mut exchange = self.0.borrow_mut();
        exchange.ended = Some(answer.clone());
        exchange.page_is_out = false;
        if let Some((sender, _)) = exchange.next.take() {
            let _ = sender.send(answer.clone());
        }
        if let Some(ack) = exchange.ack.take() {
            let _ = ack.0.send(answer.clone());
        }
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
    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}
