//! Computes how long to wait before a retry.
//!
//! 1. `Retry-After` is a minimum and is waited for in full. It is a number of seconds, with a
//!    fraction in Graph's own sample, or an HTTP date (graph-facts 5).
//! 2. Without the header, or in a browser that may not read it, the wait is an exponential back-off
//!    with full jitter and a cap.

use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::time::{Duration, Instant};

/// When and how often a request is retried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Consecutive failures of one request after which the round ends.
    pub attempts: u32,
    /// The first back-off.
    pub base: Duration,
    /// The longest back-off.
    pub cap: Duration,
    /// The longest single wait.
    pub max_wait: Duration,
    /// A request on which nothing arrives for this long is cancelled.
    pub timeout: Duration,
}

impl WaitReason {
    /// The reason as users see it in `waits` and in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Network => "network",
            Self::Offline => "offline",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Resync => "resync",
            Self::Caller => "caller",
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 6,
            base: Duration::from_millis(1000.0),
            cap: Duration::from_millis(60_000.0),
            max_wait: Duration::from_millis(300_000.0),
            timeout: Duration::from_millis(100_000.0),
        }
    }
}

/// Why a round waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitReason {
    /// Graph has throttled this query or another one of its scope, or the client delays a request
    /// to stay within the limits.
    Throttled,
    /// Graph returned 5xx or 408, or the token source asks to be called later.
    Server,
    /// No response arrived.
    Network,
    /// The host has no network.
    Offline,
    /// The response, or the rest of it, did not arrive in time.
    Timeout,
    /// The response was not a page.
    Malformed,
    /// The start of a full round is delayed at random, so that many queries do not start one at the
    /// same time.
    Resync,
    /// `options.onError` requested it.
    Caller,
}

/// Longer requested waits are ignored. Some services have asked for centuries; a client that
/// obeyed them would never continue.
const MAX_REQUESTED_WAIT: Duration = Duration::DAY;

/// How long a `Retry-After` header asks to wait from `now`. `None` if it cannot be read, or asks
/// for more than a day.
pub fn retry_after(header: &str, now: Instant) -> Option<Duration> {
    let text = header.trim_ascii();
    let wait = match seconds(text) {
        Some(seconds) => Duration::from_millis(seconds * 1000.0),
        None => {
            let since_1970 = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
            Instant::from_millis(since_1970.as_secs_f64() * 1000.0) - now
        }
    };
    plausible(wait)
}

/// Returns a wait that Graph or the token source asks for, or `None` if it is longer than a day.
pub fn plausible(wait: Duration) -> Option<Duration> {
    (wait <= MAX_REQUESTED_WAIT).then_some(wait.max(Duration::ZERO))
}

/// Reads digits with at most one decimal point. `f64::from_str` would also accept signs, exponents
/// and `inf`, and adds 12 KB gzipped to the wasm.
fn seconds(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| -> Option<f64> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.bytes().fold(0.0, |sum, byte| sum * 10.0 + f64::from(byte - b'0')))
    };
    let scale = fraction.bytes().fold(1.0, |scale, _| scale * 10.0);
    Some(digits(whole)? + digits(fraction)? / scale)
}

/// The wait before a retry after `failures` consecutive failures. `random` in `0.0..1.0` is the
/// jitter.
pub fn back_off(policy: &Policy, failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let doubled = policy.base * f64::from(1_u32 << failures.saturating_sub(1).min(31));
    let jittered = doubled.min(policy.cap) * random.clamp(0.0, 1.0);
    Duration::from_millis(retry_after.unwrap_or_default().max(jittered).as_millis().ceil())
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(784_111_777_000.0);

    fn requested_ms(header: &str) -> Option<f64> {
        retry_after(header, NOW).map(Duration::as_millis)
    }

    fn wait_ms(failures: u32, requested_ms: Option<f64>, random: f64) -> f64 {
        back_off(&Policy::default(), failures, requested_ms.map(Duration::from_millis), random).as_millis()
    }

    #[test]
    fn retry_after_is_seconds_with_or_without_a_fraction_or_a_date() {
        assert_eq!(requested_ms("7"), Some(7000.0));
        assert_eq!(requested_ms(" 2.128 "), Some(2128.0));
        assert_eq!(requested_ms("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10_000.0));
        assert_eq!(requested_ms("Sun, 06 Nov 1994 08:49:07 GMT"), Some(0.0));
        assert_eq!(requested_ms("0"), Some(0.0));
    }

    #[test]
    fn a_retry_after_that_is_malformed_or_longer_than_a_day_is_ignored() {
        for text in [
            "99999999999999",
            "86401",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "",
            "soon",
            "-5",
            "1e9",
            "NaN",
            "inf",
            "infinity",
            "7s",
            ".",
            "1.2.3",
        ] {
            assert_eq!(requested_ms(text), None, "{text}");
        }
    }

    #[test]
    fn the_server_sets_the_floor_of_the_wait_however_long() {
        assert_eq!(wait_ms(1, Some(86_400_000.0), 0.9), 86_400_000.0);
        assert_eq!(wait_ms(1, Some(300.0), 1.0), 1000.0);
    }

    #[test]
    fn back_off_doubles_up_to_its_cap_and_is_jittered_in_full() {
        let waits: Vec<f64> = (1..=8).map(|failures| wait_ms(failures, None, 1.0)).collect();
        assert_eq!(waits, [1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, 32_000.0, 60_000.0, 60_000.0]);
        assert_eq!(wait_ms(5, None, 0.0), 0.0);
        assert_eq!(wait_ms(u32::MAX, None, 0.5), 30_000.0);
    }
}
