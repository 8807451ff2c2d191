//! Shows the status of a round while it runs. The round and its requests share it.

use std::cell::RefCell;
use std::future::{Future, ready};
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use wasm_bindgen::JsValue;

use super::js::date;
use super::output::{Status, to_js};
use super::round_run::RoundRun;
use super::timers::{now, sleep};
use crate::protocol::backoff::WaitReason;
use crate::protocol::report::Outcome;
use crate::protocol::round::Round;
use crate::protocol::time::{Duration, Instant};

/// A wait for a slot that is shorter than this is not shown.
const SLOT_SHOWN_AFTER: Duration = Duration::from_millis(100.0);

/// The status of one round.
#[derive(Clone)]
pub struct StatusDisplay {
    /// The state machine, whose report is shown.
    pub round: Rc<RefCell<Round>>,
    /// Where the status is shown.
    pub round_run: RoundRun,
}

impl StatusDisplay {
    /// The status in this phase.
    pub fn in_phase(&self, phase: &'static str) -> Status {
        let round = self.round.borrow();
        let is_running = round.report.outcome == Outcome::Running;
        Status::new(phase, &round.report, round.record().synced_at, is_running)
    }

    /// Shows a status.
    pub fn show(&self, status: &Status) {
        self.round_run.set_status(&to_js(status));
    }

    /// Shows that the round works.
    pub fn show_working(&self) {
        let is_resync = self.round.borrow().report.resync.is_some();
        self.show(&self.in_phase(if is_resync { "resyncing" } else { "syncing" }));
    }

    /// Shows a wait while `wait` runs, with its end if that is known.
    pub async fn during<T>(
        &self,
        until: Option<Instant>,
        reason: WaitReason,
        wait: impl Future<Output = T>,
    ) -> T {
        let mut status = self.in_phase("waiting");
        status.wait_until = until.map_or(JsValue::UNDEFINED, date);
        status.wait_reason = Some(reason.as_str());
        self.show(&status);
        let output = wait.await;
        self.show_working();
        output
    }

    /// Waits for a permit of a scope that recovers from a throttle. Nothing is shown if it is free.
    pub async fn queue<T>(&self, permit: impl Future<Output = T>) -> T {
        self.show_after(ready(()), permit).await
    }

    /// Waits for a slot of a mailbox. Nothing is shown if it is granted quickly: the browser takes
    /// some time for a free one too.
    pub async fn queue_for_slot<T>(&self, slot: impl Future<Output = T>) -> T {
        self.show_after(sleep(SLOT_SHOWN_AFTER), slot).await
    }

    /// Shows a wait without a known end, unless `wait` resolves before `delay`.
    async fn show_after<T>(&self, delay: impl Future<Output = ()>, wait: impl Future<Output = T>) -> T {
        let queued_at = now();
        let mut wait = pin!(wait);
        match select(wait.as_mut(), pin!(delay)).await {
            Either::Left((output, _)) => output,
            Either::Right(((), _)) => {
                let output = self.during(None, WaitReason::Throttled, wait).await;
                self.round.borrow_mut().report.add_pacing(now() - queued_at);
                output
            }
        }
    }

    /// Waits before a request whose scope recovers from a throttle, or is at its documented limit.
    pub async fn pace(&self, span: Duration) {
        self.round.borrow_mut().report.add_pacing(span);
        self.during(Some(now() + span), WaitReason::Throttled, sleep(span)).await;
    }
}
