//! Instants and durations, and ISO 8601 for the window of a calendar.
//!
//! Both count milliseconds as `f64`, as JavaScript does: stored and received times may be absurd,
//! and arithmetic on them must not panic.

use std::ops::{Add, AddAssign, Mul, Sub};

use serde::{Deserialize, Serialize};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A point in time: milliseconds since 1970-01-01 UTC. Serializes as that number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(f64);

impl Instant {
    /// The last instant that a JavaScript `Date` can hold.
    pub const LAST: Self = Self(8.64e15);

    /// The instant at this many milliseconds since 1970-01-01 UTC.
    pub const fn from_millis(ms: f64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn as_millis(self) -> f64 {
        self.0
    }

    /// The next whole millisecond: timers have no fractions.
    #[must_use]
    pub fn ceil(self) -> Self {
        Self(self.0.ceil())
    }

    /// The earlier of two instants.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// The later of two instants.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
}

/// A span of time in milliseconds. Negative if a clock was set back between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Duration(f64);

impl Duration {
    /// No time.
    pub const ZERO: Self = Self(0.0);
    /// An hour.
    pub const HOUR: Self = Self(3_600_000.0);
    /// A day.
    #[allow(clippy::cast_precision_loss, reason = "a day in milliseconds fits")]
    pub const DAY: Self = Self(DAY_MS as f64);

    /// A span of this many milliseconds.
    pub const fn from_millis(ms: f64) -> Self {
        Self(ms)
    }

    /// Its length in milliseconds.
    pub const fn as_millis(self) -> f64 {
        self.0
    }

    /// Its length without the sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// The shorter of two spans.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }

    /// The longer of two spans.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// Its length in whole units of `unit`, rounded up.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
    pub fn div_ceil(self, unit: Self) -> i64 {
        (self.0 / unit.0).ceil() as i64
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0 + span.0)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        self.0 += span.0;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0 - span.0)
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration(self.0 - earlier.0)
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul<f64> for Duration {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

/// Reads an ISO 8601 date or date-time. Without an offset it means UTC, as Graph reads it
/// (graph-facts 1.3).
pub fn parse_iso(text: &str) -> Option<Instant> {
    let (date, time) = text.split_at(text.find(['T', 't']).unwrap_or(text.len()));
    let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
    let days = days_from_civil(number(year, 4)?, number(month, 2)?, number(day, 2)?)?;
    let mut ms = days * DAY_MS;
    if !time.is_empty() {
        let time = time.get(1..)?;
        let (clock, zone) = time.split_at(time.find(['Z', 'z', '+', '-']).unwrap_or(time.len()));
        ms += clock_ms(clock)? - offset_ms(zone)?;
    }
    #[allow(clippy::cast_precision_loss, reason = "the years 0 to 9999 in milliseconds fit")]
    Some(Instant(ms as f64))
}

/// An instant in the one form that keys use: `2026-11-21T00:00:00Z`, with milliseconds only where
/// they are not 0.
#[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
pub fn format_iso(instant: Instant) -> String {
    let ms = instant.0 as i64;
    let (year, month, day) = civil_from_days(ms.div_euclid(DAY_MS));
    let rest = ms.rem_euclid(DAY_MS);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    let fraction = if milli == 0 { String::new() } else { format!(".{milli:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

fn clock_ms(text: &str) -> Option<i64> {
    let (hour, minute, seconds) = match text.split(':').collect::<Vec<_>>()[..] {
        [hour, minute] => (number(hour, 2)?, number(minute, 2)?, None),
        [hour, minute, seconds] => (number(hour, 2)?, number(minute, 2)?, Some(seconds)),
        _ => return None,
    };
    let (second, milli) = match seconds {
        None => (0, 0),
        Some(seconds) => match seconds.split_once(['.', ',']) {
            None => (number(seconds, 2)?, 0),
            Some((seconds, fraction)) => {
                // Of up to nine digits the first three count.
                let scale = 10_i64.pow(u32::try_from(9_usize.checked_sub(fraction.len())?).ok()?);
                (number(seconds, 2)?, number(fraction, fraction.len())? * scale / 1_000_000)
            }
        },
    };
    (hour < 24 && minute < 60 && second < 60).then_some(((hour * 60 + minute) * 60 + second) * 1000 + milli)
}

fn offset_ms(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (number(hours, 2)?, number(minutes, 2)?),
        None if digits.len() == 4 => (number(digits.get(..2)?, 2)?, number(digits.get(2..)?, 2)?),
        None => (number(digits, 2)?, 0),
    };
    (hours < 24 && minutes < 60).then_some(())?;
    let ms = (hours * 60 + minutes) * 60_000;
    Some(if sign == "-" { -ms } else { ms })
}

/// Days since 1970-01-01 in the Gregorian calendar, by Howard Hinnant's counting from March.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=length).contains(&day).then_some(())?;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_an_instant_is_formatted_alike() {
        for text in [
            "2026-11-21",
            "2026-11-21T00:00",
            "2026-11-21T00:00:00",
            "2026-11-21T00:00:00Z",
            "2026-11-21T00:00:00.0000000Z",
            "2026-11-21T01:30:00+01:30",
            "2026-11-20T16:00:00-0800",
            "2026-11-21T02:00:00+02",
        ] {
            assert_eq!(parse_iso(text).map(format_iso).as_deref(), Some("2026-11-21T00:00:00Z"), "{text}");
        }
        assert_eq!(
            parse_iso("2026-11-21T08:09:10.5Z").map(format_iso).as_deref(),
            Some("2026-11-21T08:09:10.500Z")
        );
    }

    #[test]
    fn a_string_that_is_not_iso_8601_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-11",
            "2026-13-01",
            "2026-02-29",
            "2026-11-21 00:00:00",
            "2026-11-21T24:00:00Z",
            "2026-11-21T00:60:00Z",
            "21.11.2026",
            "2026-11-21T00:00:00 01:00",
            "2026-11-21T00:00:00.Z",
            "2026-11-21T00:00:00+1",
            "-2026-11-21",
            "2026-11-21T",
            "２０２６-11-21",
            "2026-11-21T00:00:00Zé",
        ] {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        assert!(parse_iso("2028-02-29").is_some());
    }

    proptest! {
        #[test]
        fn every_instant_survives_its_text(ms in -62_135_596_800_000_i64..253_402_300_800_000) {
            let instant = Instant::from_millis(ms as f64);
            prop_assert_eq!(parse_iso(&format_iso(instant)), Some(instant));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse_iso(&text);
        }
    }
}
