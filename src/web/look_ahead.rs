//! Sends the request of the current page, and those of the next pages ahead of time.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};

use super::body::LinkSearch;
use super::driver::{Driver, Result};
use super::request::{Ahead, Ended, PageRequest, end_of};
use super::timers::now;
use crate::protocol::error::{Code, Error};
use crate::protocol::refusal::Verdict;
use crate::protocol::round::{Input, Request, Round};
use crate::protocol::time::Instant;

impl Driver {
    /// Waits for the page that was requested ahead.
    pub(super) async fn receive_page(&mut self) -> Result<Input> {
        let Some(Ahead { end, token, next_link, queued }) = self.ahead.pop_front() else {
            return Err(Error::new(Code::Internal, "no page was requested ahead").into());
        };
        self.display.show_working();
        let _ = self.display.queue_for_slot(queued).await;
        let (result, details) = match next_link {
            Some(next_link) => self.look_ahead_during(end_of(end), next_link).await,
            None => end_of(end).await,
        };
        let input = self.page_input(result, details)?;
        // Graph has refused an older token, not the current one.
        let is_outdated = token != self.token
            && matches!(&input, Input::Refused(refusal) if refusal.verdict(true) == Verdict::SignIn);
        Ok(if is_outdated { Input::Outdated } else { input })
    }

    /// Waits for a page. Requests the one after it as soon as its link has arrived.
    pub(super) async fn look_ahead_during(
        &mut self,
        page: impl Future<Output = Ended>,
        next_link: oneshot::Receiver<String>,
    ) -> Ended {
        match select(pin!(page), next_link).await {
            Either::Left((ended, _)) => ended,
            Either::Right((next_link, page)) => {
                if let Ok(next_link) = next_link {
                    self.send_ahead(|round, now| round.next_request_after(&next_link, now));
                }
                page.await
            }
        }
    }

    /// Waits for a commit. If a page was requested ahead, requests the one after it as soon as its
    /// link has arrived.
    pub(super) async fn look_beyond_during<T>(&mut self, commit: impl Future<Output = T>) -> T {
        let Some(next_link) = self.ahead.front_mut().and_then(|ahead| ahead.next_link.take()) else {
            return commit.await;
        };
        let (output, next_link) = match select(pin!(commit), next_link).await {
            Either::Left((output, next_link)) => (output, Some(next_link)),
            Either::Right((Err(_), commit)) => (commit.await, None),
            Either::Right((Ok(next_link), commit)) => {
                let is_sent = self.send_ahead(|round, now| round.next_request_beyond(&next_link, now));
                (commit.await, (!is_sent).then(|| arrived(next_link)))
            }
        };
        if let Some(ahead) = self.ahead.front_mut() {
            ahead.next_link = next_link;
        }
        output
    }

    /// Sends the request of a page ahead, if the round allows it and the throttling scope has a
    /// permit to spare.
    pub(super) fn send_ahead(&mut self, next_request: impl Fn(&Round, Instant) -> Option<Request>) -> bool {
        let now = now();
        let Some(request) = next_request(&self.round.borrow(), now) else { return false };
        let (prepared, next_link) = self.page_request(request.clone());
        let (sender, queued) = oneshot::channel();
        prepared.queued.set(Some(sender));
        let Some(end) = prepared.send_ahead() else { return false };
        let (token, next_link) = (self.token.clone(), Some(next_link));
        self.ahead.push_back(Ahead { end, token, next_link, queued });
        self.round.borrow_mut().sent_ahead(request);
        true
    }

    /// Prepares the request that the round needs now.
    pub(super) fn prepare(&self, url: String) -> (PageRequest, oneshot::Receiver<String>) {
        self.display.show_working();
        let prefer = self.round.borrow().prefer();
        self.page_request(Request { url, prefer })
    }

    fn page_request(&self, Request { url, prefer }: Request) -> (PageRequest, oneshot::Receiver<String>) {
        let (sender, next_link) = oneshot::channel();
        let request = PageRequest {
            session: Rc::clone(&self.session),
            limiter: Rc::clone(&self.limiter),
            display: self.display.clone(),
            throttle_key: self.keys.throttle.clone(),
            query: Rc::clone(&self.round.borrow().config().query),
            url,
            prefer,
            token: self.token.clone(),
            signal: self.signal.clone(),
            next_link: LinkSearch::new(sender),
            queued: Cell::default(),
        };
        (request, next_link)
    }
}

/// A link that has arrived already.
fn arrived(link: String) -> oneshot::Receiver<String> {
    let (sender, receiver) = oneshot::channel();
    // Cannot fail: the receiver exists.
    let _ = sender.send(link);
    receiver
}
