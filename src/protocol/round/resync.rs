//! Handles refused links and reset signals: back to the deltaLink, then to one full round, then an
//! error.

use super::{Continuation, Round, Step, Target, TokenReason};
use crate::protocol::backoff::WaitReason;
use crate::protocol::error::{Code, Error};
use crate::protocol::record::{Fallback, Record};
use crate::protocol::refusal::{Refusal, Verdict};
use crate::protocol::time::{Duration, Instant};

/// The maximum number of resets within a day without a complete round.
pub(super) const MAX_RESETS: usize = 3;
/// A full round after a reset is delayed at random, by at most this multiple of the first back-off:
/// a service that resets many queries at once would otherwise get all their first requests at once
/// (graph-facts 4).
const RESYNC_SPREAD: f64 = 2.0;
/// After this many consecutive rounds with a final refusal of the link, the round falls back.
const MAX_REFUSALS: u32 = 3;
/// After this many rounds that ended with 402 or 403 on the link, the next round requests the query
/// itself.
const MAX_FORBIDDEN_ROUNDS: usize = 3;
/// The minimum time between two of these rounds.
const MIN_FORBIDDEN_INTERVAL: Duration = Duration::HOUR;

impl Round {
    pub(super) fn refused(&mut self, refusal: &Refusal, now: Instant, random: f64) -> Step {
        self.report.add_failed_request(refusal.request_id.as_ref());
        let verdict = refusal.verdict(matches!(self.target, Target::Link(_)));
        let floor = refusal.wait(now);
        if matches!(verdict, Verdict::Resync | Verdict::Redirect | Verdict::Final) && self.leave_location() {
            return self.sign_in(TokenReason::Next);
        }
        match verdict {
            Verdict::SignIn => self.renew_token(refusal, now),
            Verdict::Throttled => {
                self.retry(WaitReason::Throttled, floor, self.refusal_error(refusal), now, random)
            }
            Verdict::Server => {
                if matches!(refusal.status, 408 | 503 | 504) {
                    self.shrink_page_size();
                }
                self.retry(WaitReason::Server, floor, self.refusal_error(refusal), now, random)
            }
            Verdict::Resync => {
                let spread = self.config.policy.base * (RESYNC_SPREAD * random);
                let floor = floor.unwrap_or_default();
                let continuation = Continuation::Resync(Box::new(refusal.clone()), spread);
                self.store_throttle((now + floor).min(Instant::LAST), continuation, now)
            }
            Verdict::Final | Verdict::Redirect if matches!(self.target, Target::Master(_)) => {
                self.skip_master(now)
            }
            Verdict::Final if matches!(refusal.status, 402 | 403) => {
                self.forbidden(self.refusal_error(refusal), now)
            }
            Verdict::Final => self.give_up(self.refusal_error(refusal), now),
            Verdict::Redirect => self.fail(self.refusal_error(refusal), now),
        }
    }

    /// Graph forbids the request: ends the round. Usually the token may not read the query either.
    /// After three such rounds on a link, at least an hour apart, the next one tries the query
    /// itself.
    fn forbidden(&mut self, failure: Box<Error>, now: Instant) -> Step {
        let before = &self.record.forbidden_times;
        let is_separate = before.last().is_none_or(|last| (now - *last).abs() >= MIN_FORBIDDEN_INTERVAL)
            && before.len() < MAX_FORBIDDEN_ROUNDS;
        if !is_separate || !matches!(self.target, Target::Link(_)) {
            return self.fail(failure, now);
        }
        let mut record = self.record.next_revision();
        record.forbidden_times.push(now);
        self.save_record(record, Continuation::Fail(failure))
    }

    /// Whether the stored link is abandoned because it was forbidden too often.
    pub(super) fn link_is_forbidden(&self) -> bool {
        self.config.query.has_full_rounds && self.record.forbidden_times.len() >= MAX_FORBIDDEN_ROUNDS
    }

    /// Graph refuses the request for good: ends the round. Refusals of a link are counted; at the
    /// third consecutive one the round falls back.
    pub(super) fn give_up(&mut self, failure: Box<Error>, now: Instant) -> Step {
        let Target::Link(refused) = &self.target else { return self.fail(failure, now) };
        let refusals = self.record.refusals.saturating_add(1);
        if refusals < MAX_REFUSALS && self.position.fallback == self.record.fallback {
            return self.save_record(
                Record { refusals, ..self.record.next_revision() },
                Continuation::Fail(failure),
            );
        }
        let start = self
            .position
            .start_link
            .clone()
            .filter(|start| self.position.fallback == Fallback::None && start != refused);
        self.reset_failures();
        self.reset_progress();
        if start.is_some() {
            self.position.fallback = Fallback::StartLink;
            self.start_incremental(start);
        } else if self.config.query.has_full_rounds {
            if self.recent_resets(now).len() >= MAX_RESETS {
                return self.too_many_resets(failure.graph_code, failure.status, now);
            }
            self.position.fallback = Fallback::FullRound;
            self.shrink_top(failure.status);
            self.report.resync =
                Some(failure.graph_code.clone().unwrap_or_else(|| failure.code.as_str().to_owned()));
            self.start_full();
        } else {
            return self.fail(failure, now);
        }
        self.cycle.reset();
        self.report_kind();
        self.sign_in(TokenReason::Next)
    }

    pub(super) fn recent_resets(&self, now: Instant) -> Vec<Instant> {
        self.record.reset_times.iter().copied().filter(|at| (now - *at).abs() < Duration::DAY).collect()
    }

    pub(super) fn resync(&mut self, refusal: &Refusal, spread: Duration, now: Instant) -> Step {
        if !self.config.query.has_full_rounds {
            let message = "Graph no longer accepts the stored link. This query starts from a token, so it \
                cannot list what changed since: reset() starts from that token again and leaves a gap; a \
                query without the token lists everything";
            return self.fail(Error::new(Code::NotSupported, message), now);
        }
        let mut resets = self.recent_resets(now);
        // A Teams channel without a conversation refuses every link that it gave, even those of a
        // new listing.
        if refusal.says_no_delta() && !resets.is_empty() && self.record.synced_at.is_none() {
            let message = "Graph returned a link here and then refused it, as for a Teams channel without a \
                conversation. Delta does not work yet: list the collection without it, and try again once it \
                has items";
            let mut failure = Error::new(Code::NotSupported, message);
            failure.graph_code = refusal.code().map(str::to_owned);
            failure.status = Some(refusal.status);
            return self.fail(failure, now);
        }
        if resets.len() >= MAX_RESETS {
            return self.too_many_resets(refusal.reset_code().map(str::to_owned), Some(refusal.status), now);
        }
        self.report.resync =
            Some(refusal.reset_code().map_or_else(|| refusal.status.to_string(), str::to_owned));
        resets.push(now);
        let restarted = self.record.restarted;
        let record = Record { reset_times: resets, restarted, ..self.record.without_link() };
        let step = self.restart(record, Continuation::Sleep(spread, WaitReason::Resync, now));
        let location = self
            .config
            .query
            .resource
            .is_some_and(|resource| resource.follows_location)
            .then_some(refusal.location.as_deref())
            .flatten();
        if let Some(url) = location.and_then(|location| self.config.endpoint.admit(location).ok()) {
            self.target = Target::Location(url);
        }
        step
    }

    pub(super) fn too_many_resets(
        &mut self,
        graph_code: Option<String>,
        status: Option<u16>,
        now: Instant,
    ) -> Step {
        let message = format!(
            "{MAX_RESETS} full rounds within a day were needed, because Graph asked for them or refused the \
            links for good, and none completed; the mirror is unchanged: try again tomorrow, or start over \
            with reset()"
        );
        let mut failure = Error::retryable(Code::ResyncLoop, message);
        failure.graph_code = graph_code;
        failure.status = status;
        self.fail(failure, now)
    }

    /// Stores that everything has to be listed again, and starts a full round.
    pub(super) fn restart(&mut self, record: Record, continuation: Continuation) -> Step {
        let record = Record {
            generation: self.position.generation.max(record.generation),
            round_number: self.position.round_number.max(record.round_number),
            ..record
        };
        let step = self.save_record(record.clone(), continuation);
        self.record = record;
        self.cycle.reset();
        self.position.fallback = Fallback::None;
        self.start_full();
        self.report_kind();
        self.reset_failures();
        step
    }

    /// Returns to the query itself if the `Location` of a reset fails, as has been observed
    /// (graph-facts 4). Returns false if the target is not a `Location`.
    pub(super) fn leave_location(&mut self) -> bool {
        let is_at_location = matches!(self.target, Target::Location(_));
        if is_at_location {
            self.target = Target::Query;
        }
        is_at_location
    }
}
