//! Where a round starts, from the record: at the nextLink, at the deltaLink, in the sweep, or from
//! the query itself.

use super::{Round, Step, Target, TokenReason};
use crate::protocol::record::{Kind, Phase, Record};

impl Round {
    pub(super) fn loaded(&mut self, record: Option<Box<Record>>, now: f64, chance: f64) -> Step {
        match record {
            None => self.record = Record::new(now, chance),
            Some(record) => self.keep(*record),
        }
        let since = if self.record.phase == Phase::Paging {
            Some(self.record.started_at)
        } else {
            self.record.full_at
        };
        let old = since.zip(self.plan.query.refresh).is_some_and(|(since, age)| now - since > age);
        let moved = self.plan.query.window.is_some() && self.record.window != self.plan.window;
        match self.record.phase {
            Phase::Fresh => self.start_over(),
            Phase::Paging | Phase::Idle if self.link_is_forbidden() => {
                self.report.resync = Some("forbidden".to_owned());
                self.forgive();
                self.start_over();
            }
            // A mirror this old, or of another window, is listed anew. Until the first page is
            // committed, the deltaLink stays.
            Phase::Idle if old || moved => {
                self.start_over();
                // The link of another window is nothing to fall back to.
                self.position.start = self.record.link.clone().filter(|_| !moved);
            }
            // What could not be listed may do so in another window, or on another day.
            Phase::Paging if self.record.restarted && (moved || old) => {
                self.forgive();
                self.start_over();
            }
            Phase::Idle => {
                self.grow();
                self.go_from(self.record.link.clone());
            }
            Phase::Paging | Phase::Sweeping => {
                self.position.kind = self.record.kind;
                self.position.generation = self.record.generation;
                self.position.number = self.record.round;
                self.position.index = self.record.page;
                self.position.start = self.record.start.clone();
                self.position.window = self.record.window.clone();
                self.position.fallback = self.record.fallback;
                self.follow_link();
                self.report.resumed = true;
            }
        }
        self.describe();
        match (self.record.completed(), self.stuck()) {
            (Some(completed), _) => self.sweep(completed),
            (None, Some(failure)) if self.report.resumed => self.climb(failure, now),
            _ => self.sign_in(TokenReason::Start),
        }
    }

    /// Begins to count anew what does not bring the round further.
    pub(super) fn forgive(&mut self) {
        (self.record.stale, self.record.empty) = (0, 0);
        self.record.restarted = false;
    }

    pub(super) fn go_from(&mut self, link: Option<String>) {
        self.position.kind = Kind::Incremental;
        self.position.generation = self.record.generation;
        self.position.number = self.record.round.saturating_add(1);
        self.position.index = 0;
        self.position.window = self.record.window.clone();
        self.target = link.clone().map_or(Target::Query, Target::Link);
        self.position.start = link;
    }

    pub(super) fn follow_link(&mut self) {
        self.target = self.record.link.clone().map_or(Target::Query, Target::Link);
    }

    pub(super) fn start_over(&mut self) {
        self.position.kind = if self.plan.query.full { Kind::Full } else { Kind::Incremental };
        self.position.generation = self.record.generation.saturating_add(1);
        self.position.number = self.record.round.max(self.position.number).saturating_add(1);
        self.position.index = 0;
        self.position.start = None;
        self.position.window = self.plan.window.clone();
        self.target = Target::Query;
    }

    pub(super) fn describe(&mut self) {
        self.report.kind = self.position.kind;
        self.report.generation = self.position.generation;
    }
}
