//! Where a round starts, from the record: at the nextLink, at the deltaLink, in the sweep, or at
//! the query itself.

use super::progress::LinkCycle;
use super::{Position, Round, Step, Target, TokenReason, UnsavedMasters};
use crate::protocol::record::{Kind, Phase, Record};
use crate::protocol::time::{Duration, Instant};

impl Round {
    pub(super) fn loaded(&mut self, record: Option<Box<Record>>, now: Instant, random: f64) -> Step {
        match record {
            None => self.record = Record::new(now, random),
            Some(record) => self.set_record(*record),
        }
        // A round may load the record a second time, and then starts again.
        self.cycle = LinkCycle::default();
        self.position = Position::new();
        self.pending = None;
        self.unsaved_masters = UnsavedMasters::default();
        self.has_failed_masters = false;
        self.omits_top = false;
        self.report.resync = None;
        let since = if self.record.phase == Phase::Paging {
            Some(self.record.started_at)
        } else {
            self.record.full_at
        };
        let is_outdated =
            since.zip(self.config.query.refresh).is_some_and(|(since, age)| (now - since).abs() > age);
        let has_to_relist = self.record.relist
            && self.record.relisted_at.is_none_or(|last| (now - last).abs() >= Duration::DAY);
        let has_moved = self.config.query.window.is_some() && self.record.window != self.config.window;
        match self.record.phase {
            Phase::Fresh => self.start_full(),
            // The sweep of the last round is not finished.
            Phase::Idle if self.record.completed().is_some() => self.resume(),
            Phase::Paging | Phase::Idle if self.link_is_forbidden() => {
                self.report.resync = Some("forbidden".to_owned());
                self.reset_progress();
                self.start_full();
            }
            // A mirror that is too old, or of another window, is listed again. The deltaLink stays
            // until the first page is committed.
            Phase::Idle if is_outdated || has_moved || has_to_relist => {
                if has_to_relist {
                    self.record.relisted_at = Some(now);
                }
                self.start_full();
                // The round must not fall back to a link of another window.
                self.position.start_link = self.record.link.clone().filter(|_| !has_moved);
            }
            // A listing that failed may succeed in another window, or on another day.
            Phase::Paging if self.record.restarted && (has_moved || is_outdated) => {
                self.reset_progress();
                self.start_full();
            }
            Phase::Idle => {
                self.grow_page_size();
                self.start_incremental(self.record.link.clone());
            }
            Phase::Paging | Phase::Sweeping => self.resume(),
        }
        self.report_kind();
        match (self.record.completed(), self.no_progress_error()) {
            (Some(completed), _) => self.sweep(completed),
            (None, Some(failure)) if self.report.resumed => self.escalate(failure, now),
            _ => self.sign_in(TokenReason::Start),
        }
    }

    /// Continues an interrupted round.
    fn resume(&mut self) {
        self.position = Position {
            kind: self.record.kind,
            generation: self.record.generation,
            round_number: self.record.round_number,
            page_index: self.record.page_index,
            start_link: self.record.start_link.clone(),
            window: self.record.window.clone(),
            fallback: self.record.fallback,
        };
        self.follow_link();
        self.report.resumed = true;
    }

    /// Resets the counts of pages without progress.
    pub(super) fn reset_progress(&mut self) {
        (self.record.no_progress_pages, self.record.empty_pages) = (0, 0);
        self.record.restarted = false;
    }

    pub(super) fn start_incremental(&mut self, link: Option<String>) {
        self.position.kind = Kind::Incremental;
        self.position.generation = self.record.generation;
        self.position.round_number = self.record.next_round_number();
        self.position.page_index = 0;
        self.position.window = self.record.window.clone();
        self.target = link.clone().map_or(Target::Query, Target::Link);
        self.position.start_link = link;
    }

    pub(super) fn follow_link(&mut self) {
        self.target = self.record.link.clone().map_or(Target::Query, Target::Link);
    }

    pub(super) fn start_full(&mut self) {
        self.position.kind = if self.config.query.has_full_rounds { Kind::Full } else { Kind::Incremental };
        self.position.generation = self.record.generation.saturating_add(1);
        self.position.round_number =
            self.record.next_round_number().max(self.position.round_number.saturating_add(1));
        self.position.page_index = 0;
        self.position.start_link = None;
        self.position.window = self.config.window.clone();
        self.target = Target::Query;
    }

    pub(super) fn report_kind(&mut self) {
        self.report.kind = self.position.kind;
        self.report.generation = self.position.generation;
    }
}
