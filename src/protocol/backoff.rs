//! How long to wait.
//!
//! 1. `Retry-After` is a floor and kept in full: seconds, with a fraction in Graph's own sample, or
//!    an HTTP date (graph-facts 5).
//! 2. Without it, which includes browsers that may not read it, exponential back-off with full
//!    jitter and a cap.

use std::time::UNIX_EPOCH;

use serde::Serialize;

/// When and how often a request is asked again. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Failures in a row of one request, after which the round ends.
    pub attempts: u32,
    /// The first back-off.
    pub base: f64,
    /// The longest back-off.
    pub cap: f64,
    /// The longest single wait.
    pub max_wait: f64,
    /// A request without a sign of life for this long is cut.
    pub timeout: f64,
}

impl WaitReason {
    /// The reason as users see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Network => "network",
            Self::Offline => "offline",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { attempts: 6, base: 1000.0, cap: 60_000.0, max_wait: 300_000.0, timeout: 100_000.0 }
    }
}

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitReason {
    /// Graph answered 429 or 509.
    Throttled,
    /// Graph answered 5xx or 408.
    Server,
    /// No answer came.
    Network,
    /// The host has no network.
    Offline,
    /// An answer, or the rest of it, did not come in time.
    Timeout,
    /// An answer came that is no page.
    Malformed,
}

/// The longest wait that is believed, a day. Services were seen to ask for centuries; whoever
/// believed that would never come back.
const LONGEST: f64 = 86_400_000.0;

/// `Retry-After` in milliseconds from `now`, or nothing that can be used or believed.
pub fn retry_after(header: &str, now: f64) -> Option<f64> {
    let text = header.trim_ascii();
    let ms = match seconds(text) {
        Some(seconds) => seconds * 1000.0,
        None => {
            httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs_f64() * 1000.0
                - now
        }
    };
    (ms <= LONGEST).then_some(ms.max(0.0))
}

/// Digits with at most one point between them. `f64::from_str` also takes signs, exponents and
/// `inf`, and weighs 12 KB gzipped.
fn seconds(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| -> Option<f64> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| text.bytes().fold(0.0, |sum, byte| sum * 10.0 + f64::from(byte - b'0')))
    };
    let scale = fraction.bytes().fold(1.0, |scale, _| scale * 10.0);
    Some(digits(whole)? + digits(fraction)? / scale)
}

/// The wait before asking again: after `failures` failures in a row, with `chance` in `0.0..1.0`.
pub fn back_off(policy: &Policy, failures: u32, retry_after: Option<f64>, chance: f64) -> f64 {
    let doubled = policy.base * f64::from(1_u32 << failures.saturating_sub(1).min(31));
    let jittered = chance.clamp(0.0, 1.0) * doubled.min(policy.cap);
    retry_after.unwrap_or(0.0).max(jittered).ceil()
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    const NOW: f64 = 784_111_777_000.0;

    #[test]
    fn retry_after_is_seconds_with_or_without_a_fraction_or_a_date() {
        assert_eq!(retry_after("7", NOW), Some(7000.0));
        assert_eq!(retry_after(" 2.128 ", NOW), Some(2128.0));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", NOW), Some(10_000.0));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:07 GMT", NOW), Some(0.0));
        assert_eq!(retry_after("0", NOW), Some(0.0));
    }

    #[test]
    fn a_retry_after_that_is_neither_is_put_aside() {
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
            assert_eq!(retry_after(text, NOW), None, "{text}");
        }
    }

    #[test]
    fn the_server_sets_the_floor_of_the_wait_however_long() {
        assert_eq!(back_off(&Policy::default(), 1, Some(86_400_000.0), 0.9), 86_400_000.0);
        assert_eq!(back_off(&Policy::default(), 1, Some(300.0), 1.0), 1000.0);
    }

    #[test]
    fn back_off_doubles_up_to_its_cap_and_is_jittered_in_full() {
        let policy = Policy::default();
        let waits: Vec<f64> = (1..=8).map(|failures| back_off(&policy, failures, None, 1.0)).collect();
        assert_eq!(waits, [1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, 32_000.0, 60_000.0, 60_000.0]);
        assert_eq!(back_off(&policy, 5, None, 0.0), 0.0);
        assert_eq!(back_off(&policy, u32::MAX, None, 0.5), 30_000.0);
    }
}
