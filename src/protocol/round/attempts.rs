//! The current request: failures, back-off, throttles, a missing network, and tokens that Graph
//! refuses.

use super::caller::Resume;
use super::{Continuation, NoResponse, Request, Round, State, Step, Target, TokenReason};
use crate::protocol::backoff::{WaitReason, back_off, plausible};
use crate::protocol::error::{Code, Error};
use crate::protocol::page::Malformed;
use crate::protocol::refusal::Refusal;
use crate::protocol::report::Wait;
use crate::protocol::resource::Resource;
use crate::protocol::time::{Duration, Instant};

/// The maximum number of attempts for a body that is not a page, or for a page whose nextLink was
/// used before.
const MAX_MALFORMED_ATTEMPTS: u32 = 3;
/// The maximum number of tokens per page that are requested because Graph refused one.
const MAX_SIGN_INS: u32 = 2;
/// The maximum number of attempts for a series master, unless Graph asks for a wait or the network
/// fails. It only completes occurrences, so it must not hold up the page.
const MAX_MASTER_ATTEMPTS: u32 = 2;
/// The message when the token source cannot reach its authority.
pub(super) const NO_TOKEN: &str =
    "the token source got no response; check the connection; the next round continues at the same page";
/// The message when the token source still asks to be called later.
const TOKEN_SOURCE_BUSY: &str =
    "the token source asks to be called later; the next round continues at the same page";
/// The message when Graph's wait is longer than `options.retry.maxWait`.
const TOO_LONG: &str = "Graph asks for a longer wait than options.retry.maxWait allows, for this \
    query or another one in its throttling scope; the next round continues at the same page, not before \
    retryAt";

/// The attempts of the current request: their counts, reasons and times.
#[derive(Clone, Debug)]
pub(super) struct Attempts {
    /// Consecutive failures.
    pub failures: u32,
    /// How often the target was requested.
    pub tries: u32,
    /// Why the next token is requested.
    pub token_reason: TokenReason,
    /// The number of tokens requested since the last page because Graph refused one.
    sign_ins: u32,
    /// Why the last of these tokens was requested.
    challenge: Option<TokenReason>,
    /// Since when the host has had no network.
    pub offline_since: Option<Instant>,
    /// When the last wait began.
    pub sleep_began: Instant,
    /// How many consecutive failures the caller was asked about.
    pub decisions: u32,
}

impl Attempts {
    pub fn new(now: Instant) -> Self {
        Self {
            failures: 0,
            tries: 0,
            token_reason: TokenReason::Start,
            sign_ins: 0,
            challenge: None,
            offline_since: None,
            sleep_began: now,
            decisions: 0,
        }
    }

    /// Resets the count of refused tokens, as for a new page.
    pub fn forget_sign_ins(&mut self) {
        self.sign_ins = 0;
        self.challenge = None;
    }
}

impl Round {
    /// Requests the target, or waits for it if it was requested ahead.
    pub(super) fn fetch(&mut self, now: Instant) -> Step {
        let config = &self.config;
        let (url, is_master) = match &self.target {
            Target::Query => (Ok(self.query_url()), false),
            Target::Link(link) | Target::Location(link) => (config.endpoint.admit(link), false),
            Target::Master(id) => (
                config.query.master(&config.endpoint, id).ok_or_else(|| {
                    Error::new(Code::Internal, "the id of the series master cannot be part of a path")
                }),
                true,
            ),
        };
        match url {
            Ok(url) => {
                self.attempts.token_reason = TokenReason::Next;
                self.attempts.tries += 1;
                self.report.retries += u32::from(self.attempts.tries > 1);
                if is_master {
                    self.ahead.clear();
                    self.report.requests += 1;
                    return self.transition(State::Fetching, Step::FetchMaster(url));
                }
                let request = Request { url, prefer: self.prefer() };
                if self.take_ahead(&request) {
                    return self.transition(State::Fetching, Step::Receive);
                }
                self.report.requests += 1;
                self.transition(State::Fetching, Step::Fetch(request.url))
            }
            Err(failure) => self.fail(failure, now),
        }
    }

    pub(super) fn sign_in(&mut self, token_reason: TokenReason) -> Step {
        self.attempts.token_reason = token_reason.clone();
        self.transition(State::SigningIn, Step::SignIn(token_reason))
    }

    /// Graph refuses the token: requests another one, or fails.
    pub(super) fn renew_token(&mut self, refusal: &Refusal, now: Instant) -> Step {
        let token_reason = refusal.claims.clone().map_or(TokenReason::Unauthorized, TokenReason::Claims);
        if self.attempts.sign_ins >= MAX_SIGN_INS || self.attempts.challenge.as_ref() == Some(&token_reason) {
            // Graph accepted the token for the page, so it refuses only this master.
            if matches!(self.target, Target::Master(_)) && token_reason == TokenReason::Unauthorized {
                self.attempts.forget_sign_ins();
                return self.skip_master(now);
            }
            return self.fail(self.refusal_error(refusal), now);
        }
        self.attempts.sign_ins += 1;
        self.attempts.challenge = Some(token_reason.clone());
        self.sign_in(token_reason)
    }

    /// The target arrived: resets the counts of failures and sign-ins.
    pub(super) fn request_succeeded(&mut self) {
        self.attempts.forget_sign_ins();
        self.attempts.decisions = 0;
        self.attempts.offline_since = None;
        self.reset_failures();
    }

    /// Resets the counts of failures and tries, as for another target.
    pub(super) fn reset_failures(&mut self) {
        self.attempts.failures = 0;
        self.attempts.tries = 0;
    }

    pub(super) fn sleep(&mut self, span: Duration, reason: WaitReason, now: Instant) -> Step {
        self.sleep_before(Resume::Request, span, reason, now)
    }

    pub(super) fn sleep_before(
        &mut self,
        resume: Resume,
        span: Duration,
        reason: WaitReason,
        now: Instant,
    ) -> Step {
        self.sleep_since(now, span, resume, reason, now)
    }

    /// Waits until `span` after `since`.
    pub(super) fn sleep_since(
        &mut self,
        since: Instant,
        span: Duration,
        resume: Resume,
        reason: WaitReason,
        now: Instant,
    ) -> Step {
        self.attempts.sleep_began = now;
        self.report.waits.push(Wait { reason, ms: span });
        let rest = (since + span - now).max(Duration::ZERO);
        self.transition(State::Sleeping(resume), Step::Sleep(rest, reason))
    }

    /// Stores the throttle time of the scope, so that neither a reload nor another query sends a
    /// request too early.
    pub(super) fn store_throttle(
        &mut self,
        until: Instant,
        continuation: Continuation,
        now: Instant,
    ) -> Step {
        if until > now {
            self.transition(State::StoringThrottle(Box::new(continuation)), Step::StoreThrottle(until))
        } else {
            self.proceed(continuation, now)
        }
    }

    /// Waits and retries, or ends the round.
    pub(super) fn retry(
        &mut self,
        reason: WaitReason,
        floor: Option<Duration>,
        mut failure: Box<Error>,
        now: Instant,
        random: f64,
    ) -> Step {
        if reason != WaitReason::Throttled && self.leave_location() {
            // The request for the query itself must also wait as long as Graph asks for.
            return self.store_throttle(
                (now + floor.unwrap_or_default()).min(Instant::LAST),
                Continuation::Request,
                now,
            );
        }
        self.attempts.failures = self.attempts.failures.saturating_add(1);
        let is_transient = floor.is_some()
            || matches!(reason, WaitReason::Throttled | WaitReason::Network | WaitReason::Offline);
        if matches!(self.target, Target::Master(_))
            && !is_transient
            && self.attempts.failures >= MAX_MASTER_ATTEMPTS
        {
            return self.skip_master(now);
        }
        let wait = back_off(&self.config.policy, self.attempts.failures, floor, random);
        let max_attempts = if reason == WaitReason::Malformed {
            MAX_MALFORMED_ATTEMPTS.min(self.config.policy.attempts)
        } else {
            self.config.policy.attempts
        };
        // A wait that Graph asks for holds for the whole scope.
        let is_scope_wide = reason == WaitReason::Throttled || floor.is_some();
        let until = (now + wait).min(Instant::LAST);
        if self.attempts.failures < max_attempts && wait <= self.config.policy.max_wait {
            return if is_scope_wide {
                self.store_throttle(until, Continuation::Sleep(wait, reason, now), now)
            } else {
                self.sleep(wait, reason, now)
            };
        }
        // A round continues without a series master, unless no other request could succeed either.
        let concerns_only_master = !matches!(reason, WaitReason::Throttled | WaitReason::Offline);
        if matches!(self.target, Target::Master(_)) && concerns_only_master {
            self.mark_master_missing();
            let until = if is_scope_wide { until } else { now };
            return self.store_throttle(until, Continuation::Prepare, now);
        }
        if failure.code == Code::Livelock {
            return self.escalate(failure, now);
        }
        if reason == WaitReason::Server && wait <= self.config.policy.max_wait {
            return if is_scope_wide {
                self.store_throttle(until, Continuation::GiveUp(failure), now)
            } else {
                self.give_up(failure, now)
            };
        }
        if floor.is_some() && wait > self.config.policy.max_wait {
            failure.code = Code::Throttled;
        }
        if failure.code == Code::Throttled {
            failure.retry_at = Some(until);
        }
        if reason == WaitReason::Throttled {
            failure.message = if wait > self.config.policy.max_wait {
                format!("{}: {TOO_LONG}", failure.message)
            } else {
                format!(
                    "{}: the last of {} attempts was throttled (options.retry.attempts); the next round \
                    continues at the same page, not before retryAt",
                    failure.message, self.attempts.failures
                )
            };
        }
        // A request with the smaller page size timed out too: the next round starts with that size.
        if reason == WaitReason::Timeout && self.page_size_changed && self.is_stored {
            return self.save_record(self.record.next_revision(), Continuation::Fail(failure));
        }
        if is_scope_wide {
            self.store_throttle(until, Continuation::Fail(failure), now)
        } else {
            self.fail(failure, now)
        }
    }

    pub(super) fn unreachable(
        &mut self,
        no_response: NoResponse,
        message: String,
        now: Instant,
        random: f64,
    ) -> Step {
        let (reason, message) = match no_response {
            NoResponse::Offline => {
                let remaining =
                    self.config.policy.max_wait - (now - *self.attempts.offline_since.get_or_insert(now));
                if remaining <= Duration::ZERO {
                    let message =
                        "this host has no network; the next round continues at the same page once it has one";
                    return self.fail(Error::retryable(Code::Offline, message), now);
                }
                return self.sleep(remaining, WaitReason::Offline, now);
            }
            NoResponse::Network => (WaitReason::Network, message),
            NoResponse::Timeout => {
                self.shrink_page_size();
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the cast saturates"
                )]
                let seconds = (self.config.policy.timeout.as_millis() / 1000.0).ceil() as u64;
                (
                    WaitReason::Timeout,
                    format!("{message} (nothing arrived for {seconds} s, options.retry.timeout)"),
                )
            }
        };
        self.retry(reason, None, Error::retryable(Code::Network, message), now, random)
    }

    /// A successful response that is not a page: tries again.
    pub(super) fn malformed(&mut self, why: &Malformed, now: Instant, random: f64) -> Step {
        if *why == Malformed::NoLink && self.omit_top() {
            return self.sign_in(TokenReason::Next);
        }
        let message = format!(
            "Graph's response is not a page of a delta query: {}; the stored link is untouched",
            why.message()
        );
        self.retry(WaitReason::Malformed, None, Error::retryable(Code::Protocol, message), now, random)
    }

    /// Lists again without `$top`, once: with it, Graph may leave out the nextLink of recordings
    /// and transcripts (Graph's known issue 22931). Returns false if that does not apply.
    fn omit_top(&mut self) -> bool {
        let query = &self.config.query;
        let is_artifact = |resource: &Resource| ["callRecording", "callTranscript"].contains(&resource.name);
        let is_affected = query.has_top()
            && query.has_full_rounds
            && !self.omits_top
            && query.resource.is_some_and(is_artifact);
        if is_affected {
            self.omits_top = true;
            if self.target != Target::Query {
                self.start_full();
                self.cycle.reset();
                self.report_kind();
            }
            self.reset_failures();
        }
        is_affected
    }

    /// The token source asks to be called later: waits, or ends the round. The wait does not affect
    /// the throttling scope.
    pub(super) fn token_source_busy(&mut self, until: Instant, now: Instant, random: f64) -> Step {
        self.attempts.failures = self.attempts.failures.saturating_add(1);
        let wait = back_off(&self.config.policy, self.attempts.failures, plausible(until - now), random);
        if self.attempts.failures < self.config.policy.attempts && wait <= self.config.policy.max_wait {
            return self.sleep(wait, WaitReason::Server, now);
        }
        let mut failure = Error::retryable(Code::Network, TOKEN_SOURCE_BUSY);
        if wait > self.config.policy.max_wait {
            failure.code = Code::Throttled;
            failure.retry_at = Some((now + wait).min(Instant::LAST));
        }
        self.fail(failure, now)
    }

    /// The scope is throttled since an earlier response, to any query in any tab. Waits, or ends
    /// the round. The request was not sent, so it does not count.
    pub(super) fn throttled(&mut self, until: Instant, now: Instant) -> Step {
        self.report.requests -= 1;
        self.report.retries -= u32::from(self.attempts.tries > 1);
        self.attempts.tries -= 1;
        let wait = until - now;
        if wait <= self.config.policy.max_wait {
            return self.sleep(wait.max(Duration::ZERO), WaitReason::Throttled, now);
        }
        let mut failure = Error::retryable(Code::Throttled, TOO_LONG);
        failure.retry_at = Some(until);
        self.fail(failure, now)
    }
}
