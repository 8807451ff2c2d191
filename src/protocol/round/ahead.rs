//! Look-ahead: the next page is requested while the current one is applied, delivered and stored.
//!
//! Only the request and the arrival of the page overlap. Pages are applied and committed one after
//! the other, and a page that was requested ahead is used only if the round then requests
//! exactly the same: the same URL with the same Prefer header.

use super::progress::{MAX_EMPTY_PAGES, MAX_NO_PROGRESS_PAGES};
use super::{Round, State, Step, Target};
use crate::protocol::time::Instant;

/// A request of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The URL.
    pub url: String,
    /// The values of the Prefer header.
    pub prefer: Vec<String>,
}

impl Round {
    /// The request of the page after the one that has arrived, if it may be sent now. `None` for
    /// the last page, after a failure of this page, at a limit of the caller, and where the page
    /// may show that the round makes no progress.
    pub fn next_request(&self, now: Instant) -> Option<Request> {
        let pending = self.pending.as_ref().filter(|_| self.state == State::Applying)?;
        if pending.is_final_page || pending.had_failures {
            return None;
        }
        self.request_ahead(pending.record.link.as_deref()?, now)
    }

    /// The request of the page after the one that is still arriving, whose beginning has this
    /// nextLink.
    pub fn next_request_after(&self, next: &str, now: Instant) -> Option<Request> {
        let is_first_attempt = self.state == State::Fetching && self.attempts.tries == 1;
        let is_master = matches!(self.target, Target::Master(_));
        if !is_first_attempt || is_master || self.closes_cycle(next) || self.grows_page_size() {
            return None;
        }
        self.request_ahead(next, now)
    }

    fn request_ahead(&self, next: &str, now: Instant) -> Option<Request> {
        let config = &self.config;
        let is_at_limit = config.max_pages.is_some_and(|max| self.report.pages + 1 >= max)
            || config.max_duration.is_some_and(|max| now - self.started_at >= max);
        let may_escalate = self.record.no_progress_pages + 1 >= MAX_NO_PROGRESS_PAGES
            || self.record.empty_pages + 1 >= MAX_EMPTY_PAGES;
        if is_at_limit || may_escalate || self.ahead.is_some() {
            return None;
        }
        let url = config.endpoint.admit(next).ok()?;
        Some(Request { url, prefer: self.prefer() })
    }

    /// Records that a look-ahead request was sent.
    pub fn sent_ahead(&mut self, request: Request) {
        self.report.requests += 1;
        self.ahead = Some(request);
    }

    /// Whether this request was sent ahead. Forgets one that has another URL or another Prefer
    /// header.
    pub(super) fn take_ahead(&mut self, request: &Request) -> bool {
        self.ahead.take().is_some_and(|ahead| ahead == *request)
    }

    /// The response to the request that was sent ahead cannot be used: sends the request now.
    pub(super) fn request_again(&mut self, now: Instant) -> Step {
        self.attempts.tries -= 1;
        self.fetch(now)
    }
}
