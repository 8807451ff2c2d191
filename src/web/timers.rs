//! Timers as futures.

use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;

/// The longest single timer in milliseconds, a day: hosts limit timers to 31 bits.
const LONGEST: f64 = 86_400_000.0;

/// Waits this many milliseconds. Dropping the future clears the timer.
pub async fn sleep(ms: f64) {
    let mut remaining = ms;
    loop {
        let piece = remaining.clamp(0.0, LONGEST);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
        TimeoutFuture::new(piece.ceil() as u32).await;
        remaining -= piece;
        if remaining <= 0.0 {
            return;
        }
    }
}

/// Waits for a future at most this many milliseconds. Returns `None` after that.
pub async fn with_timeout<F: Future>(ms: f64, future: F) -> Option<F::Output> {
    match select(pin!(future), pin!(sleep(ms))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}
