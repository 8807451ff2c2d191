//! Converts dates to milliseconds and back. Contains no clock: the caller of each request passes
//! the time.

/// A day in milliseconds.
pub(crate) const DAY: i64 = 86_400_000;

/// The parts of an instant.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: usize,
}

/// Days since 1970-01-01, by Howard Hinnant's counting from March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// The parts of a time in milliseconds since 1970: the inverse of [`days`], with the time of day.
fn parts(ms: i64) -> Parts {
    let total = ms.div_euclid(DAY);
    let rest = ms.rem_euclid(DAY) / 1000;
    let z = total + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Parts {
        year: yoe + era * 400 + i64::from(month <= 2),
        month,
        day: doy - (153 * mp + 2) / 5 + 1,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
        weekday: usize::try_from((total + 4).rem_euclid(7)).unwrap_or(0),
    }
}

/// The day of the week; 0 is Sunday.
pub(crate) fn weekday(ms: i64) -> usize {
    parts(ms).weekday
}

/// `2026-11-21T00:00:00`: the common part of all formats, and the format of `date` in an error.
pub(crate) fn bare(ms: i64) -> String {
    let p = parts(ms);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", p.year, p.month, p.day, p.hour, p.minute, p.second)
}

/// The format of `createdDateTime`.
pub(crate) fn stamp(ms: i64) -> String {
    format!("{}Z", bare(ms))
}

/// The format of `start.dateTime`: seven digits of a second, no offset.
pub(crate) fn local(ms: i64) -> String {
    format!("{}.{:03}0000", bare(ms), ms.rem_euclid(1000))
}

/// The format of the `Date` header.
pub(crate) fn http(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let p = parts(ms);
    let month = usize::try_from(p.month - 1).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or("Jan");
    let day = DAYS.get(p.weekday).copied().unwrap_or("Sun");
    format!("{day}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT", p.day, p.year, p.hour, p.minute, p.second)
}

fn number(text: &str, len: usize) -> Option<i64> {
    (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// Parses ISO 8601: a date, or a date and a time with or without an offset. Without an offset it is
/// UTC (graph-facts 1.3).
pub(crate) fn parse(text: &str) -> Option<i64> {
    parse_local(text).map(|(local, offset)| local - offset.unwrap_or(0))
}

/// Parses a time as [`parse`] does, into the time that the clocks show, as if it were in UTC, and
/// its offset if it has one.
pub(crate) fn parse_local(text: &str) -> Option<(i64, Option<i64>)> {
    let (date, time) = match text.split_once(['T', 't']) {
        Some((d, t)) => (d, Some(t)),
        None => (text, None),
    };
    let mut ymd = date.split('-');
    let (y, m, d) = (number(ymd.next()?, 4)?, number(ymd.next()?, 2)?, number(ymd.next()?, 2)?);
    if ymd.next().is_some() || !(1..=12).contains(&m) || !(1..=31).contains(&d) {
        return None;
    }
    let day = days(y, m, d);
    if parts(day * DAY).day != d {
        return None;
    }
    let Some(time) = time else { return Some((day * DAY, None)) };
    let (clock, offset) = if let Some(c) = time.strip_suffix(['Z', 'z']) {
        (c, Some(0))
    } else if let Some(at) = time.find(['+', '-']) {
        let (c, zone) = time.split_at_checked(at)?;
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let (h, m) = zone.get(1..)?.split_once(':')?;
        (c, Some(sign * (number(h, 2)? * 60 + number(m, 2)?) * 60_000))
    } else {
        (time, None)
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((c, f)) if !f.is_empty() && f.len() <= 9 && f.bytes().all(|b| b.is_ascii_digit()) => (c, f),
        Some(_) => return None,
        None => (clock, ""),
    };
    let mut hms = clock.split(':');
    let (h, mi) = (number(hms.next()?, 2)?, number(hms.next()?, 2)?);
    let s = hms.next().map_or(Some(0), |s| number(s, 2))?;
    if hms.next().is_some() || h > 23 || mi > 59 || s > 59 {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some((day * DAY + ((h * 60 + mi) * 60 + s) * 1000 + ms, offset))
}

/// Returns the instant of a local time in a zone, whose offset at an instant `offset_at` returns.
/// If the clocks show the time twice, it is the first of the two instants. If the clocks skip the
/// time, it is later by the skipped span. (`pkg-template/calendar.js` has the same rule.)
pub(crate) fn instant_of(local: i64, offset_at: impl Fn(i64) -> i64) -> i64 {
    // Offsets are at most 14 hours, so a change of the clocks at this time is between these two.
    let (before, after) = (offset_at(local - DAY), offset_at(local + DAY));
    let is_valid = |offset| offset_at(local - offset) == offset;
    local - if is_valid(before) || !is_valid(after) { before } else { after }
}

/// Returns the offset of a time zone from UTC in minutes, at a time in milliseconds since 1970.
/// `None` if it does not know the zone.
pub type ZoneOffset = fn(name: &str, ms: i64) -> Option<i64>;

/// The offsets of five zones, without daylight saving time.
pub(crate) fn fixed_zone_offset(name: &str, _ms: i64) -> Option<i64> {
    match name {
        "UTC" | "Etc/UTC" => Some(0),
        "Pacific Standard Time" => Some(-480),
        "Eastern Standard Time" => Some(-300),
        "W. Europe Standard Time" => Some(60),
        "Tokyo Standard Time" => Some(540),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formatted_date_is_parsed_to_the_same_date() {
        for text in
            ["1999-12-31T23:59:59Z", "2000-02-29T00:00:00Z", "2026-11-21T08:30:00Z", "2100-03-01T00:00:01Z"]
        {
            assert_eq!(parse(text).map(stamp).as_deref(), Some(text));
        }
        assert_eq!(parse("2026-11-21T01:00:00+01:00"), parse("2026-11-21"));
        assert_eq!(http(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_local_time_is_the_first_of_two_instants_or_later_by_the_skipped_span() {
        let at = |text: &str| parse(text).unwrap_or_default();
        let (spring, autumn) = (at("2026-03-29T01:00"), at("2026-10-25T01:00"));
        let berlin = |ms| if (spring..autumn).contains(&ms) { 7_200_000 } else { 3_600_000 };
        for (local, instant) in [
            ("2026-03-29T01:59", "2026-03-29T00:59"),
            ("2026-03-29T02:30", "2026-03-29T01:30"),
            ("2026-03-29T03:00", "2026-03-29T01:00"),
            ("2026-10-25T01:59", "2026-10-24T23:59"),
            ("2026-10-25T02:30", "2026-10-25T00:30"),
            ("2026-10-25T03:00", "2026-10-25T02:00"),
        ] {
            assert_eq!(instant_of(at(local), berlin), at(instant), "{local}");
        }
    }

    #[test]
    fn an_invalid_date_is_none() {
        for text in [
            "",
            "2026-02-30",
            "2026-11-21T25:00:00Z",
            "2026-11-21T01:00:00 01:00",
            "tomorrow",
            "2026-11-21T01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
