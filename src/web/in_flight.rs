//! Tracks work in flight, such as commits and transactions, so that others can wait for its end.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The pieces of work in flight, by name.
#[derive(Clone, Default)]
pub struct InFlight(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    names: Vec<Rc<str>>,
    waiting: Vec<Waker>,
}

/// One piece of work. Dropping this value marks its end.
pub struct Running {
    state: Rc<RefCell<State>>,
    name: Rc<str>,
}

impl InFlight {
    /// Registers work under this name.
    pub fn begin(&self, name: &str) -> Running {
        let name: Rc<str> = name.into();
        self.0.borrow_mut().names.push(Rc::clone(&name));
        Running { state: Rc::clone(&self.0), name }
    }

    /// Waits until no work of this name is in flight.
    pub async fn settled(&self, name: &str) {
        self.wait(|names| names.iter().all(|other| **other != *name)).await;
    }

    /// Waits until nothing is in flight.
    pub async fn all_settled(&self) {
        self.wait(|names| names.is_empty()).await;
    }

    async fn wait(&self, done: impl Fn(&[Rc<str>]) -> bool) {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if done(&state.names) {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.state.borrow_mut();
        if let Some(at) = state.names.iter().position(|name| Rc::ptr_eq(name, &self.name)) {
            state.names.swap_remove(at);
        }
        for waker in state.waiting.drain(..) {
            waker.wake();
        }
    }
}
