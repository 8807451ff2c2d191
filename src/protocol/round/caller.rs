//! Asks the caller what to do about a failure, where `options.onError` is given.
//!
//! 1. The caller is asked once for each failure that would end the round, and at most
//!    `retry.attempts` times in a row; a page that arrives resets the count.
//! 2. The round continues with the request that failed, after the wait that the caller asks for and
//!    not before [`Error::retry_at`].
//! 3. The caller is not asked about a page that is being delivered or committed, nor about a
//!    failure after which a retry would be wrong: a foreign link, a missing account, an abort, a
//!    closed client, a conflict, a defect.

use super::{Round, State, Step};
use crate::protocol::backoff::WaitReason;
use crate::protocol::error::{Code, Error};
use crate::protocol::report::Outcome;
use crate::protocol::time::{Duration, Instant};

/// A decision of the caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// The round ends with the failure.
    Stop,
    /// The round continues after this wait.
    Retry(Duration),
}

/// Where a round continues after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// At its first step: the record is loaded again.
    Load,
    /// At the request that failed.
    Request,
}

impl Resume {
    /// Where a round that fails in this state continues. `None` if it has to end.
    pub fn from_state(state: &State) -> Option<Self> {
        match state {
            // The record is loaded again, because a write that failed may have succeeded.
            State::Loading | State::SavingRecord(..) | State::Applying | State::Sweeping(_) => {
                Some(Self::Load)
            }
            State::SigningIn | State::Fetching | State::Sleeping(_) | State::StoringThrottle(_) => {
                Some(Self::Request)
            }
            _ => None,
        }
    }
}

impl Round {
    /// Ends the round with an error, unless the caller may decide otherwise.
    pub(super) fn fail(&mut self, failure: Box<Error>, now: Instant) -> Step {
        let may_ask_caller = !matches!(
            failure.code,
            Code::Aborted
                | Code::ForeignLink
                | Code::Account
                | Code::Closed
                | Code::Internal
                | Code::Conflict
                | Code::Wasm
        );
        match self.resume {
            Some(resume)
                if self.config.asks_caller
                    && may_ask_caller
                    && self.attempts.decisions < self.config.policy.attempts =>
            {
                self.attempts.decisions += 1;
                let step = Step::AskCaller(failure.clone());
                self.transition(State::AskingCaller(failure, resume), step)
            }
            _ => self.end_with(failure, now),
        }
    }

    fn end_with(&mut self, failure: Box<Error>, now: Instant) -> Step {
        self.report.end(Outcome::Failed, now);
        self.transition(State::Ended, Step::Fail(failure))
    }

    /// Executes the decision of the caller.
    pub(super) fn decided(
        &mut self,
        failure: Box<Error>,
        resume: Resume,
        decision: Decision,
        now: Instant,
    ) -> Step {
        let Decision::Retry(wait) = decision else { return self.end_with(failure, now) };
        self.reset_failures();
        self.attempts.forget_sign_ins();
        self.attempts.offline_since = None;
        let floor = failure.retry_at.map_or(Duration::ZERO, |at| at - now);
        let wait = wait.max(floor);
        if wait > Duration::ZERO {
            return self.sleep_before(resume, wait, WaitReason::Caller, now);
        }
        self.continue_from(resume)
    }

    /// Loads the record again, or requests the target again.
    pub(super) fn continue_from(&mut self, resume: Resume) -> Step {
        match resume {
            Resume::Load => self.transition(State::Loading, Step::Load),
            Resume::Request => self.sign_in(self.attempts.token_reason.clone()),
        }
    }
}
