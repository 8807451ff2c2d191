//! Waiting for time to pass.

use std::future::Future;
use std::pin::pin;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;

/// The longest single timer, a day: hosts count milliseconds in 31 bits.
const LONGEST: f64 = 86_400_000.0;

/// Waits so many milliseconds. Dropping the future clears the timer.
pub async fn sleep(ms: f64) {
    let mut left = ms;
    loop {
        let piece = left.clamp(0.0, LONGEST);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
        TimeoutFuture::new(piece.ceil() as u32).await;
        left -= piece;
        if left <= 0.0 {
            return;
        }
    }
}

/// What a future resolves to, if that is within so many milliseconds.
pub async fn within<F: Future>(ms: f64, future: F) -> Option<F::Output> {
    match select(pin!(future), pin!(sleep(ms))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(((), _)) => None,
    }
}
