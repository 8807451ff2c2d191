//! Detects rounds that make no progress (links in a cycle, pages without anything new) and pages
//! that are too large for Graph, and escalates.

use super::{Continuation, Round, Step, Target, TokenReason};
use crate::protocol::error::{Code, Error};
use crate::protocol::record::Record;
use crate::protocol::resource::PageSize;
use crate::protocol::time::Instant;

/// The maximum number of consecutive pages with items that bring nothing new.
pub(super) const MAX_NO_PROGRESS_PAGES: u32 = 3;
/// The maximum number of consecutive empty pages. Graph sends many if a filter matches little in
/// a large directory (graph-facts 2.1.3).
pub(super) const MAX_EMPTY_PAGES: u32 = 2000;
/// The number of pages after which a reduced page size grows.
const PAGES_PER_GROWTH: u32 = 8;
/// The largest page size that Graph accepts.
const MAX_PAGE_SIZE: u32 = 1000;

/// Detects nextLinks that form a cycle, by Brent's algorithm: compares each link with an anchor,
/// an earlier link that is replaced after 1, 2, 4, 8, … pages.
#[derive(Clone, Debug)]
pub(super) struct LinkCycle {
    anchor: Option<String>,
    pages: u32,
    power: u32,
}

impl Default for LinkCycle {
    fn default() -> Self {
        Self { anchor: None, pages: 0, power: 1 }
    }
}

impl LinkCycle {
    /// Whether this link is the anchor.
    pub fn is_anchor(&self, link: &str) -> bool {
        self.anchor.as_deref() == Some(link)
    }

    /// Counts a link, and makes it the anchor if a new one is due.
    pub fn advance(&mut self, link: &str) {
        self.pages += 1;
        if self.pages >= self.power {
            self.pages = 0;
            self.power = self.power.saturating_mul(2);
            self.anchor = Some(link.to_owned());
        }
    }

    /// Forgets the anchor.
    pub fn reset(&mut self) {
        self.anchor = None;
    }
}

impl Round {
    /// The error of a round that makes no progress. The counts survive reloads, so a process that
    /// fetches one page at a time detects it too.
    pub(super) fn no_progress_error(&self) -> Option<Box<Error>> {
        let message = if self.record.no_progress_pages >= MAX_NO_PROGRESS_PAGES {
            "Graph's pages repeat the same items under new links"
        } else if self.record.empty_pages >= MAX_EMPTY_PAGES {
            "Graph keeps sending empty pages"
        } else {
            return None;
        };
        let message =
            format!("{message}; everything committed is intact: try again later, or start over with reset()");
        Some(Error::retryable(Code::Livelock, message))
    }

    /// Escalates: larger pages, then one listing from the start, then the error.
    pub(super) fn escalate(&mut self, failure: Box<Error>, now: Instant) -> Step {
        self.reset_failures();
        let query = &self.config.query;
        let size = self.current_page_size().unwrap_or(0);
        let can_grow = query.page_size_by == PageSize::Prefer && size < MAX_PAGE_SIZE;
        let larger = can_grow.then(|| size.saturating_mul(4).clamp(query.min_page_size, MAX_PAGE_SIZE));
        // Do not return to a page size that failed.
        if let Some(size) = larger
            .filter(|size| self.record.rejected_page_size == 0 || *size < self.record.rejected_page_size)
        {
            self.set_page_size(size);
            (self.record.no_progress_pages, self.record.empty_pages) = (0, 0);
            return self.sign_in(TokenReason::Next);
        }
        if self.record.restarted || !self.config.query.has_full_rounds {
            // The next round gets the same number of pages again: the service may have recovered by
            // then.
            let has_counts =
                self.is_stored && (self.record.no_progress_pages, self.record.empty_pages) != (0, 0);
            let saved = Record { no_progress_pages: 0, empty_pages: 0, ..self.record.next_revision() };
            return if has_counts {
                self.save_record(saved, Continuation::Fail(failure))
            } else {
                self.fail(failure, now)
            };
        }
        self.report.resync = Some(failure.code.as_str().to_owned());
        let page_size = self.record.page_size;
        let record = Record { restarted: true, page_size, ..self.record.without_link() };
        self.restart(record, Continuation::Request)
    }

    /// The size of the pages that Graph sends: as requested, or as received where nothing is
    /// requested. `None` before the first page.
    fn current_page_size(&self) -> Option<u32> {
        let received = Some(self.record.largest_page).filter(|size| *size > 0);
        self.record.page_size.or(self.config.query.page_size).or(received)
    }

    /// Halves the page size at each failure but the first: the page may be too large for Graph.
    /// `$top` is part of the links, so only a listing from the query itself can change it.
    pub(super) fn shrink_page_size(&mut self) {
        let query = &self.config.query;
        let is_possible = match query.page_size_by {
            PageSize::Prefer => !matches!(self.target, Target::Master(_)),
            PageSize::Top => self.target == Target::Query,
            PageSize::Fixed => false,
        };
        if self.attempts.failures == 0 || !is_possible {
            return;
        }
        self.halve_page_size();
    }

    /// Halves the `$top` of a new listing if the last one ended with a status that Graph returns
    /// for pages that are too large.
    pub(super) fn shrink_top(&mut self, status: Option<u16>) {
        if self.config.query.page_size_by == PageSize::Top && matches!(status, Some(408 | 503 | 504)) {
            self.halve_page_size();
        }
    }

    fn halve_page_size(&mut self) {
        let min = self.config.query.min_page_size;
        let current = self.current_page_size();
        let smaller = current.map_or(min, |size| size / 2);
        if smaller >= min {
            self.record.rejected_page_size = current.unwrap_or(0);
            self.set_page_size(smaller);
        }
    }

    pub(super) fn set_page_size(&mut self, size: u32) {
        self.page_size_changed = true;
        self.record.page_size = Some(size).filter(|size| Some(*size) != self.config.query.page_size);
        self.report.page_size = Some(size);
    }

    /// Whether this nextLink leads back to a page of this round.
    pub(super) fn closes_cycle(&self, next: &str) -> bool {
        matches!(&self.target, Target::Link(used) if used == next) || self.cycle.is_anchor(next)
    }

    /// Whether a reduced page size grows when the page at this distance from the current one
    /// arrives.
    pub(super) fn grows_page_size(&self, distance: u32) -> bool {
        let index = self.position.page_index.saturating_add(distance);
        self.record.page_size.is_some() && index % PAGES_PER_GROWTH == PAGES_PER_GROWTH - 1
    }

    /// Doubles a reduced page size, up to the configured one, or until Graph chooses it again.
    pub(super) fn grow_page_size(&mut self) {
        let Some(size) = self.record.page_size else { return };
        let larger = size.saturating_mul(2);
        let received = self.record.largest_page;
        match self.config.query.page_size {
            Some(configured) if size < configured => self.set_page_size(configured.min(larger)),
            None if larger < received => self.set_page_size(larger),
            None if size < received || received == 0 => {
                self.page_size_changed = true;
                self.record.page_size = None;
            }
            // The size was raised by an escalation, not reduced.
            _ => {}
        }
    }
}
