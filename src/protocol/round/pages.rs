//! A page on its way: checked, applied, delivered, committed; and the sweep behind the last one.

use std::collections::HashSet;

use super::{Continuation, Delivery, Pending, Round, State, Step, Target, TokenReason};
use crate::protocol::backoff::WaitReason;
use crate::protocol::change::{PageSummary, SweepSummary};
use crate::protocol::endpoint::shown;
use crate::protocol::error::{Code, Error};
use crate::protocol::page::Link;
use crate::protocol::record::{Completed, Kind, Phase, Record};
use crate::protocol::report::Outcome;

/// Pages after which smaller ones grow.
const GROW: u32 = 8;
/// Series masters that are asked for again at the next round: each costs a request.
const MISSING_MASTERS: usize = 100;

impl Round {
    pub(super) fn page(&mut self, link: Link, now: f64, chance: f64) -> Step {
        if let Err(failure) = self.plan.endpoint.admit(link.url()) {
            return self.fail(failure, now);
        }
        if let Link::Next(next) = &link
            && (matches!(&self.target, Target::Link(used) if used == next) || self.cycle.is_met(next))
        {
            let words = format!(
                "Graph's nextLinks go in a circle at {}; the stored state is as it was, try again later or start over with reset()",
                shown(next)
            );
            return self.again(
                WaitReason::Malformed,
                None,
                Error::retryable(Code::Livelock, words),
                now,
                chance,
            );
        }
        self.accepted();
        if self.position.index % GROW == GROW - 1 {
            self.grow();
        }
        let mut record = Record {
            kind: self.position.kind,
            generation: self.position.generation,
            round: self.position.number,
            page: self.position.index.saturating_add(1),
            prefer: self.prefer(),
            start: self.position.start.clone(),
            after: None,
            window: self.position.window.clone(),
            fallback: self.position.fallback,
            refusals: 0,
            forbidden: Vec::new(),
            ..self.record.next()
        };
        // A link made with `return=minimal` keeps it, whatever the query asks for now.
        let asked_anew = matches!(self.target, Target::Query | Target::Location(_));
        record.minimal = self.plan.query.minimal || !asked_anew && self.record.minimal;
        if self.position.index == 0 {
            record.started_at = now;
            record.staged = false;
            record.unidentified = false;
            record.masters = std::mem::take(&mut record.missing_masters);
            if self.position.fallback > 1 {
                record.resets.push(now);
            }
        }
        let listed = matches!(link, Link::Delta(_));
        match link {
            Link::Next(next) => {
                self.cycle.pass(&next);
                record.phase = Phase::Paging;
                record.link = Some(next);
            }
            Link::Delta(delta) => record.link = Some(delta),
        }
        self.pending = Some(Pending { record, listed, fresh: Vec::new() });
        self.to(State::Applying, Step::Apply)
    }

    pub(super) fn applied(&mut self, sum: PageSummary, now: f64) -> Step {
        let Some(Pending { record, fresh, .. }) = &mut self.pending else { return self.lost(now) };
        record.grow(sum.growth);
        record.staged |= sum.staged;
        record.unidentified |= sum.unidentified > 0 || !self.plan.query.lists_all;
        if sum.items == 0 {
            record.empty = record.empty.saturating_add(1);
        } else {
            record.empty = 0;
            record.stale = if sum.news { 0 } else { record.stale.saturating_add(1) };
        }
        let brought: HashSet<&str> = sum.brought.iter().map(String::as_str).collect();
        record.masters.retain(|id| !brought.contains(id.as_str()));
        let known: HashSet<&str> = record.masters.iter().map(String::as_str).collect();
        let new: Vec<String> = sum.masters.into_iter().filter(|id| !known.contains(id.as_str())).collect();
        record.masters.extend(new);
        record.delivered = sum.left;
        *fresh = sum.fresh;
        self.prepare(now)
    }

    /// The series master that was asked for cannot be had: its occurrences stand as they are, and
    /// the next round asks again.
    pub(super) fn go_without_master(&mut self, now: f64) -> Step {
        if let (Target::Master(id), Some(pending)) = (&self.target, &mut self.pending) {
            let missing = &mut pending.record.missing_masters;
            if missing.len() < MISSING_MASTERS && !missing.contains(id) {
                missing.push(id.clone());
            }
        }
        self.answered();
        self.prepare(now)
    }

    /// Gets what the page still lacks, then hands it over.
    pub(super) fn prepare(&mut self, now: f64) -> Step {
        let Some(Pending { record, listed, fresh }) = &mut self.pending else { return self.lost(now) };
        while *listed && let Some(id) = record.masters.pop() {
            // An id that cannot stand in a path cannot be asked for.
            if self.plan.query.master(&self.plan.endpoint, &id).is_some() {
                self.target = Target::Master(id);
                return self.sign_in(TokenReason::Next);
            }
        }
        let known: HashSet<&str> = self.record.delivered.iter().map(String::as_str).collect();
        fresh.retain(|id| !known.contains(id.as_str()));
        if self.plan.shown && self.plan.query.mirror && !fresh.is_empty() {
            let mut note = self.record.next();
            note.delivered.append(fresh);
            record.revision = note.next().revision;
            return self.note(note, Continuation::Deliver);
        }
        self.hand_over(now)
    }

    pub(super) fn note(&mut self, record: Record, after: Continuation) -> Step {
        let record = Box::new(record);
        let step = Step::SaveRecord { expect: self.expect(), record: record.clone() };
        self.to(State::SavingRecord(record, Box::new(after)), step)
    }

    pub(super) fn hand_over(&mut self, now: f64) -> Step {
        let Some(Pending { mut record, listed, .. }) = self.pending.take() else { return self.lost(now) };
        let mut last = false;
        if listed {
            // Rows of older rounds can only be there if there was an older full round.
            let full = self.position.kind == Kind::Full;
            if self.plan.query.mirror && full && (self.position.generation > 1 || record.staged) {
                record.phase = Phase::Sweeping;
                listed_at(&mut record, now);
            } else {
                listed_at(&mut record, now);
                finish(&mut record);
                last = true;
            }
        }
        self.deliver(record, last)
    }

    pub(super) fn deliver(&mut self, record: Record, last: bool) -> Step {
        let delivery = Delivery {
            kind: self.position.kind,
            generation: self.position.generation,
            index: self.position.index,
            last,
        };
        self.to(State::Delivering(Box::new(record)), Step::Deliver(delivery))
    }

    pub(super) fn committed(&mut self, record: Record, now: f64) -> Step {
        self.keep(record);
        self.report.pages += 1;
        self.position.index = self.position.index.saturating_add(1);
        if self.record.phase == Phase::Idle {
            return self.done(Outcome::Complete, now);
        }
        let pages = self.plan.max_pages.is_some_and(|most| self.report.pages >= most);
        if pages || self.plan.max_ms.is_some_and(|most| now - self.began >= most) {
            return self.done(Outcome::Partial, now);
        }
        if let Some(completed) = self.record.completed() {
            return self.sweep(completed);
        }
        self.follow_link();
        match self.stuck() {
            Some(failure) => self.climb(failure, now),
            None => self.sign_in(TokenReason::Next),
        }
    }

    pub(super) fn sweep(&mut self, completed: Completed) -> Step {
        let step = Step::Sweep { after: self.record.after.clone(), completed: completed.clone() };
        self.to(State::Sweeping(completed), step)
    }

    pub(super) fn swept(&mut self, SweepSummary { work, growth, after }: SweepSummary, now: f64) -> Step {
        let mut record = self.record.next();
        record.grow(growth);
        match after {
            // Nothing to commit: look on.
            Some(after) if !work => {
                self.record.after = Some(after);
                match self.record.completed() {
                    Some(completed) => self.sweep(completed),
                    None => self.fail(Error::new(Code::Internal, "a sweep lost its right"), now),
                }
            }
            Some(after) => {
                record.after = Some(after);
                record.page = self.position.index.saturating_add(1);
                self.deliver(record, false)
            }
            None => {
                finish(&mut record);
                self.deliver(record, true)
            }
        }
    }

    pub(super) fn lost(&mut self, now: f64) -> Step {
        self.fail(Error::new(Code::Internal, "a page got lost"), now)
    }
}

/// Graph has listed all: the mirror is of this moment, however long the sweep may wait.
fn listed_at(record: &mut Record, now: f64) {
    record.synced_at = Some(now);
    if record.kind == Kind::Full {
        record.full_at = Some(now);
    }
}

/// The round is complete.
fn finish(record: &mut Record) {
    record.phase = Phase::Idle;
    record.after = None;
    record.close();
    record.resets = Vec::new();
}
