//! The host's clock, and waiting for time to pass.

use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::Date;

use crate::protocol::time::{Duration, Instant};

/// The longest single timer, a day: hosts count milliseconds in 31 bits.
const MAX_TIMER: Duration = Duration::DAY;

/// The instant that the host's clock shows.
pub fn now() -> Instant {
    Instant::from_millis(Date::now())
}

/// Waits for a span of time. Dropping the future clears the timer.
pub async fn sleep(span: Duration) {
    let mut remaining = span;
    loop {
        let next = remaining.max(Duration::ZERO).min(MAX_TIMER);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
        TimeoutFuture::new(next.as_millis().ceil() as u32).await;
        remaining = remaining - next;
        if remaining <= Duration::ZERO {
            return;
        }
    }
}

/// Resolves to the output of a future, or to `None` once the time is up.
pub async fn with_timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match select(pin!(future), pin!(sleep(limit))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}
