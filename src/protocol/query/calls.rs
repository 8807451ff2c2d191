//! Makes the queries of `events()`, `orgContacts()` and `callRecordings()`, and checks their
//! options.

use super::builder::{MAX_WINDOW_DAYS, QueryBuilder, instant, is_printable, too_long};
use super::options::Options;
use super::{Query, segment};
use crate::protocol::error::{Result, bad_request};
use crate::protocol::redact::quote;
use crate::protocol::resource;
use crate::protocol::time::format_iso;

/// Makes a query of `events()`, and checks its options.
pub fn events(options: Options) -> Result<Query> {
    let owner = owner(options.user.as_deref())?;
    let calendar = match options.calendar.as_deref() {
        Some(id) => format!("/calendars/{}", segment("options.calendar", id)?),
        None => String::new(),
    };
    let mut builder =
        QueryBuilder::new(resource::named("event"), format!("{owner}{calendar}/calendarView/delta"));
    builder.calendar = Some(format!("{owner}{calendar}"));
    if let Some((back, ahead, zone)) = &options.window {
        let span = i64::from(*back) + i64::from(*ahead) + 1;
        if options.start.is_some() || options.end.is_some() {
            return bad_request(
                "options.window cannot be combined with options.start and options.end; use one or the other",
            );
        }
        if span > MAX_WINDOW_DAYS {
            return too_long("options.window", span);
        }
        if !is_printable(zone) {
            return bad_request(format!(
                "options.window.timeZone must be an IANA name such as \"Europe/Berlin\", got {}",
                quote(zone)
            ));
        }
        // The position of the window changes from day to day; the key contains its extent.
        builder.key_prefer.push(format!("window=-{back}+{ahead} {zone}"));
        return builder.finish(options);
    }
    builder.param("startDateTime", options.start.as_deref().unwrap_or_default());
    builder.param("endDateTime", options.end.as_deref().unwrap_or_default());
    builder.finish(options)
}

/// Makes a query of `orgContacts()`, and checks its options.
pub fn org_contacts(options: Options) -> Result<Query> {
    QueryBuilder::new(resource::named("orgContact"), "/contacts/delta".into()).finish(options)
}

/// Makes a query of `callRecordings()`, and checks its options.
pub fn call_recordings(options: Options) -> Result<Query> {
    let organizer = options.organizer.as_deref().unwrap_or_default();
    if organizer.is_empty() {
        return bad_request(
            "options.organizer must be the id of the meeting organizer: Graph refuses the query \
            without one, got \"\"",
        );
    }
    let organizer_segment = segment("options.organizer", organizer)?;
    let user = match options.user.as_deref() {
        Some(user) => segment("options.user", user)?,
        None => organizer_segment,
    };
    // OData doubles a quote inside a string literal.
    let mut arguments =
        format!("meetingOrganizerUserId='{}'", segment("options.organizer", &organizer.replace('\'', "''"))?);
    if let Some(start) = &options.start {
        // The instant is canonical because the path is part of the key.
        arguments += &format!(",startDateTime={}", format_iso(instant("options.startDateTime", start)?));
    }
    if let Some(end) = &options.end {
        arguments += &format!(",endDateTime={}", format_iso(instant("options.endDateTime", end)?));
    }
    let path = format!("/users/{user}/onlineMeetings/getAllRecordings({arguments})/delta");
    QueryBuilder::new(resource::named("callRecording"), path).finish(options)
}

fn owner(user: Option<&str>) -> Result<String> {
    match user {
        None => Ok("/me".into()),
        Some(user) => Ok(format!("/users/{}", segment("options.user", user)?)),
    }
}
