//! Look-ahead: the next page is requested while the current one arrives, is applied, delivered or
//! stored, and the page after it while the current one is committed.
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
        self.request_ahead(pending.record.link.as_deref()?, 1, now)
    }

    /// The request of the page after the one that is still arriving, whose beginning has this
    /// nextLink.
    pub fn next_request_after(&self, next: &str, now: Instant) -> Option<Request> {
        let is_first_attempt = self.state == State::Fetching && self.attempts.tries == 1;
        let is_master = matches!(self.target, Target::Master(_));
        if !is_first_attempt || is_master || self.closes_cycle(next) || self.grows_page_size(0) {
            return None;
        }
        self.request_ahead(next, 1, now)
    }

    /// The request of the page after the one that was requested ahead, whose beginning has this
    /// nextLink. Only while the current page is committed: before that, its consumer may leave the
    /// round.
    pub fn next_request_beyond(&self, next: &str, now: Instant) -> Option<Request> {
        let is_committing = matches!(self.state, State::Committing(_));
        let repeats = self.ahead.iter().any(|ahead| ahead.url == next);
        if !is_committing || repeats || self.closes_cycle(next) || self.grows_page_size(1) {
            return None;
        }
        self.request_ahead(next, 2, now)
    }

    /// The request of the page at this distance from the current one, unless a limit of the caller
    /// is reached, an escalation may follow, the page was requested already, or one in between was
    /// not.
    fn request_ahead(&self, next: &str, distance: u32, now: Instant) -> Option<Request> {
        let config = &self.config;
        let is_at_limit = config.max_pages.is_some_and(|max| self.report.pages + distance >= max)
            || config.max_duration.is_some_and(|max| now - self.started_at >= max);
        let may_escalate = self.record.no_progress_pages + distance >= MAX_NO_PROGRESS_PAGES
            || self.record.empty_pages + distance >= MAX_EMPTY_PAGES;
        let is_next = u32::try_from(self.ahead.len() + 1) == Ok(distance);
        if is_at_limit || may_escalate || !is_next {
            return None;
        }
        let url = config.endpoint.admit(next).ok()?;
        Some(Request { url, prefer: self.prefer() })
    }

    /// Records that a look-ahead request was sent.
    pub fn sent_ahead(&mut self, request: Request) {
        self.report.requests += 1;
        self.ahead.push_back(request);
    }

    /// How many of the requests that were sent ahead are still needed, including the one whose
    /// response this step waits for. The shell drops the later ones.
    pub fn needed_ahead(&self, step: &Step) -> usize {
        if self.state == State::Ended { 0 } else { self.ahead.len() + usize::from(*step == Step::Receive) }
    }

    /// Whether this request was sent ahead, and is the first of those. Otherwise forgets all of
    /// them: each later one is for the page after the one before.
    pub(super) fn take_ahead(&mut self, request: &Request) -> bool {
        let is_sent = self.ahead.pop_front().is_some_and(|ahead| ahead == *request);
        if !is_sent {
            self.ahead.clear();
        }
        is_sent
    }

    /// The response to the request that was sent ahead cannot be used: sends the request now.
    pub(super) fn request_again(&mut self, now: Instant) -> Step {
        self.attempts.tries -= 1;
        self.fetch(now)
    }
}
