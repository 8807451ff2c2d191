//! A page from its link to its commit, and the sweep after the last one.

use std::collections::HashSet;

use super::{Continuation, Delivery, Pending, Round, State, Step, Target, TokenReason, UnsavedMasters};
use crate::protocol::backoff::WaitReason;
use crate::protocol::change::{PageSummary, SweepSummary};
use crate::protocol::endpoint::redacted;
use crate::protocol::error::{Code, Error};
use crate::protocol::page::Link;
use crate::protocol::record::{Completed, Fallback, Kind, Phase, Record};
use crate::protocol::report::Outcome;
use crate::protocol::resource::PageSize;
use crate::protocol::series::SeriesSummary;
use crate::protocol::time::Instant;

/// Series masters are stored before their page as soon as there are this many.
const MASTERS_PER_SAVE: usize = 32;
/// While many masters are still to be fetched, a write waits for an eighth of them. Each write
/// contains the ids of all of them: with a fixed number of masters per write, the total size of the
/// writes would grow with the square of their number.
const BACKLOG_DIVISOR: usize = 8;

impl Round {
    pub(super) fn page(&mut self, link: Link, now: Instant, random: f64) -> Step {
        if let Err(failure) = self.config.endpoint.admit(link.url()) {
            return self.fail(failure, now);
        }
        if let Link::Next(next) = &link
            && self.closes_cycle(next)
        {
            let message = format!(
                "Graph's nextLinks form a cycle at {}; the stored state is unchanged: try again later, or \
                start over with reset()",
                redacted(next)
            );
            return self.retry(
                WaitReason::Malformed,
                None,
                Error::retryable(Code::Livelock, message),
                now,
                random,
            );
        }
        let had_failures = self.attempts.tries > 1;
        self.request_succeeded();
        if self.grows_page_size(0) {
            self.grow_page_size();
        }
        let mut record = Record {
            kind: self.position.kind,
            generation: self.position.generation,
            round_number: self.position.round_number,
            masters_round: 0,
            page_index: self.position.page_index.saturating_add(1),
            prefer: self.prefer(),
            start_link: self.position.start_link.clone(),
            sweep_after: None,
            window: self.position.window.clone(),
            fallback: self.position.fallback,
            refusals: 0,
            forbidden_times: Vec::new(),
            ..self.record.next_revision()
        };
        // A link made with `return=minimal` keeps it, even if the query no longer requests it.
        let is_listing_start = matches!(self.target, Target::Query | Target::Location(_));
        record.minimal = self.config.query.minimal || !is_listing_start && self.record.minimal;
        if self.position.page_index == 0 {
            record.started_at = now;
            record.staged = false;
            record.unidentified = false;
            record.late_masters = std::mem::take(&mut record.missing_masters);
            record.awaited_masters = record.late_masters.clone();
            if self.position.fallback == Fallback::FullRound {
                record.reset_times.push(now);
            }
        }
        let is_final_page = matches!(link, Link::Delta(_));
        match link {
            Link::Next(next) => {
                self.cycle.advance(&next);
                record.phase = Phase::Paging;
                record.link = Some(next);
            }
            Link::Delta(delta) => record.link = Some(delta),
        }
        self.pending = Some(Pending { record, is_final_page, new_ids: Vec::new(), had_failures });
        self.unsaved_masters = UnsavedMasters::default();
        self.transition(State::Applying, Step::Apply)
    }

    pub(super) fn applied(&mut self, mut summary: PageSummary, now: Instant) -> Step {
        let Some(Pending { record, new_ids, .. }) = &mut self.pending else { return self.page_missing(now) };
        record.add_to_count(summary.count_delta);
        record.staged |= summary.staged;
        record.unidentified |= summary.unidentified > 0 || !self.config.query.lists_all;
        let query = &self.config.query;
        let graph_chooses_size = record.page_size.is_none() && query.page_size.is_none();
        if graph_chooses_size && query.page_size_by != PageSize::Fixed {
            record.largest_page = record.largest_page.max(summary.items);
        }
        if summary.items == 0 {
            record.empty_pages = record.empty_pages.saturating_add(1);
        } else {
            record.empty_pages = 0;
            record.no_progress_pages =
                if summary.made_progress { 0 } else { record.no_progress_pages.saturating_add(1) };
        }
        let received_masters: HashSet<&str> = summary.received_masters.iter().map(String::as_str).collect();
        record.awaited_masters.retain(|id| !received_masters.contains(id.as_str()));
        let removed_events: HashSet<&str> = summary.removed_events.iter().map(String::as_str).collect();
        let removed = record.awaited_masters.extract_if(.., |id| removed_events.contains(id.as_str()));
        summary.series.removed.extend(removed);
        let known: HashSet<&str> = record.awaited_masters.iter().map(String::as_str).collect();
        let new: Vec<String> =
            summary.missing_masters.into_iter().filter(|id| !known.contains(id.as_str())).collect();
        record.awaited_masters.extend(new);
        record.add_series(summary.series);
        record.check_names |= summary.names_changed;
        record.unacknowledged = summary.unacknowledged;
        *new_ids = summary.new_ids;
        self.prepare(now)
    }

    /// Takes a series master that arrived. It is stored with its page, or earlier if there are
    /// many.
    pub(super) fn master(&mut self, series: SeriesSummary, now: Instant) -> Step {
        self.report.masters += 1;
        self.request_succeeded();
        let Some(Pending { record, .. }) = &mut self.pending else { return self.page_missing(now) };
        record.add_series(series.clone());
        if let Target::Master(id) = &self.target {
            self.unsaved_masters.ids.push(id.clone());
        }
        self.unsaved_masters.series.extend(series);
        let threshold = MASTERS_PER_SAVE.max(record.awaited_masters.len() / BACKLOG_DIVISOR);
        if self.unsaved_masters.ids.len() >= threshold {
            return self.save_masters(now);
        }
        self.prepare(now)
    }

    /// Stores the series masters that have arrived, so that an interrupted round does not fetch
    /// them again.
    fn save_masters(&mut self, now: Instant) -> Step {
        let UnsavedMasters { ids, series } = std::mem::take(&mut self.unsaved_masters);
        let mut saved = self.record.next_revision();
        saved.masters_round = self.position.round_number;
        let ids: HashSet<String> = ids.into_iter().collect();
        saved.awaited_masters.retain(|id| !ids.contains(id));
        saved.add_series(series);
        let Some(Pending { record, .. }) = &mut self.pending else { return self.page_missing(now) };
        record.revision = saved.next_revision().revision;
        let record = Box::new(saved);
        let step = Step::SaveMasters { expect: self.expected_revision(), record: record.clone() };
        self.transition(State::SavingRecord(record, Box::new(Continuation::Prepare)), step)
    }

    /// Skips a series master that cannot be fetched: its occurrences stay incomplete, and the next
    /// round requests it again.
    pub(super) fn skip_master(&mut self, now: Instant) -> Step {
        self.mark_master_missing();
        self.prepare(now)
    }

    pub(super) fn mark_master_missing(&mut self) {
        if let (Target::Master(id), Some(pending)) = (&self.target, &mut self.pending) {
            pending.record.add_missing_master(id);
        }
        self.has_failed_masters = true;
        self.reset_failures();
    }

    /// Fetches the series masters that the page still needs, stores its new ids, then delivers it.
    pub(super) fn prepare(&mut self, now: Instant) -> Step {
        let Some(Pending { record, is_final_page, new_ids, .. }) = &mut self.pending else {
            return self.page_missing(now);
        };
        let is_out_of_time = self.config.max_duration.is_some_and(|max| now - self.started_at >= max);
        if *is_final_page && is_out_of_time && !record.awaited_masters.is_empty() {
            // The next round requests this page again, but not the masters that this round has
            // stored. If no page is committed yet, it would request all of them again.
            if self.report.masters > 0 && self.position.page_index > 0 {
                return if self.unsaved_masters.ids.is_empty() {
                    self.done(Outcome::Partial, now)
                } else {
                    self.save_masters(now)
                };
            }
            if self.report.masters > 0 || self.has_failed_masters {
                for id in std::mem::take(&mut record.awaited_masters) {
                    record.add_missing_master(&id);
                }
            }
        }
        while *is_final_page && let Some(id) = record.awaited_masters.pop() {
            // An id that cannot be part of a path cannot be requested.
            if self.config.query.master(&self.config.endpoint, &id).is_some() {
                self.target = Target::Master(id);
                return self.sign_in(TokenReason::Next);
            }
            record.relist |= record.kind == Kind::Incremental;
        }
        let known: HashSet<&str> = self.record.unacknowledged.iter().map(String::as_str).collect();
        new_ids.retain(|id| !known.contains(id.as_str()));
        if self.config.has_consumer && self.config.query.has_mirror && !new_ids.is_empty() {
            let mut saved = self.record.next_revision();
            saved.unacknowledged.append(new_ids);
            record.revision = saved.next_revision().revision;
            return self.save_record(saved, Continuation::Deliver);
        }
        self.deliver_pending(now)
    }

    pub(super) fn save_record(&mut self, record: Record, continuation: Continuation) -> Step {
        let record = Box::new(record);
        let step = Step::SaveRecord { expect: self.expected_revision(), record: record.clone() };
        self.transition(State::SavingRecord(record, Box::new(continuation)), step)
    }

    pub(super) fn deliver_pending(&mut self, now: Instant) -> Step {
        let Some(Pending { mut record, is_final_page, .. }) = self.pending.take() else {
            return self.page_missing(now);
        };
        let mut last = false;
        if is_final_page {
            // A sweep is needed for rows of older full rounds, and to publish staged sets.
            let is_full = self.position.kind == Kind::Full;
            mark_listed(&mut record, now);
            if self.config.query.has_mirror && is_full && (self.position.generation > 1 || record.staged) {
                record.phase = Phase::Sweeping;
            } else {
                finish(&mut record);
                last = record.completed().is_none();
            }
        }
        self.deliver(record, last)
    }

    pub(super) fn deliver(&mut self, record: Record, last: bool) -> Step {
        let delivery = Delivery {
            kind: self.position.kind,
            generation: self.position.generation,
            index: self.position.page_index,
            last,
        };
        self.transition(State::Delivering(Box::new(record)), Step::Deliver(delivery))
    }

    pub(super) fn committed(&mut self, record: Record, now: Instant) -> Step {
        self.set_record(record);
        self.report.pages += 1;
        self.position.page_index = self.position.page_index.saturating_add(1);
        let completed = self.record.completed();
        if self.record.phase == Phase::Idle && completed.is_none() {
            return self.done(Outcome::Complete, now);
        }
        let reached_max_pages = self.config.max_pages.is_some_and(|max| self.report.pages >= max);
        if reached_max_pages || self.config.max_duration.is_some_and(|max| now - self.started_at >= max) {
            return self.done(Outcome::Partial, now);
        }
        if let Some(completed) = completed {
            return self.sweep(completed);
        }
        self.follow_link();
        match self.no_progress_error() {
            Some(failure) => self.escalate(failure, now),
            None => self.sign_in(TokenReason::Next),
        }
    }

    pub(super) fn sweep(&mut self, completed: Completed) -> Step {
        let step = Step::Sweep { after: self.record.sweep_after.clone(), completed: completed.clone() };
        self.transition(State::Sweeping(completed), step)
    }

    pub(super) fn swept(&mut self, completed: &Completed, summary: SweepSummary) -> Step {
        let SweepSummary { has_changes, count_delta, after, has_to_reread, has_to_relist } = summary;
        if has_to_reread {
            self.record.sweep_after = None;
            return self.sweep(completed.clone());
        }
        let mut record = self.record.next_revision();
        record.add_to_count(count_delta);
        record.relist |= has_to_relist;
        match after {
            // The chunk has nothing to commit.
            Some(after) if !has_changes && !has_to_relist => {
                self.record.sweep_after = Some(after);
                self.sweep(completed.clone())
            }
            Some(after) => {
                record.sweep_after = Some(after);
                record.page_index = self.position.page_index.saturating_add(1);
                self.deliver(record, false)
            }
            None => {
                record.swept(completed);
                finish(&mut record);
                let is_last = record.completed().is_none();
                self.deliver(record, is_last)
            }
        }
    }

    pub(super) fn page_missing(&mut self, now: Instant) -> Step {
        self.fail(Error::new(Code::Internal, "the applied page is missing"), now)
    }
}

/// Records that Graph has listed everything: the mirror is as of now, however long the sweep takes.
fn mark_listed(record: &mut Record, now: Instant) {
    record.synced_at = Some(now);
    if record.kind == Kind::Full {
        record.full_at = Some(now);
        record.relist = std::mem::take(&mut record.relist_again);
    }
}

/// Records that the round is complete.
fn finish(record: &mut Record) {
    record.phase = Phase::Idle;
    record.sweep_after = None;
    record.clear_round_counts();
    record.reset_times = Vec::new();
}
