//! Sends the request of the current page, and the request of the next page ahead of time.

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
        let Some(Ahead { end, token, next_link }) = self.ahead.take() else {
            return Err(Error::new(Code::Internal, "no page was requested ahead").into());
        };
        self.display.show_working();
        let (result, sent) = self.look_ahead_during(end_of(end), next_link).await;
        let input = self.page_input(result, sent)?;
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

    /// Sends the request of the next page ahead, if the round allows it and the throttling scope
    /// has a permit to spare.
    pub(super) fn send_ahead(&mut self, next_request: impl Fn(&Round, Instant) -> Option<Request>) {
        let now = now();
        let Some(request) = next_request(&self.round.borrow(), now) else { return };
        let (prepared, next_link) = self.page_request(request.clone());
        if let Some(end) = prepared.send_ahead() {
            self.ahead = Some(Ahead { end, token: self.token.clone(), next_link });
            self.round.borrow_mut().sent_ahead(request);
        }
    }

    /// Prepares the request that the round needs now. Drops a request that was sent ahead.
    pub(super) fn prepare(&mut self, url: String) -> (PageRequest, oneshot::Receiver<String>) {
        self.ahead = None;
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
        };
        (request, next_link)
    }
}
