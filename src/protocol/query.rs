//! From options to the first URL, the Prefer header and the key.
//!
//! 1. What Graph rejects is refused here, with the way out; `query` sends it all the same.
//! 2. Values are percent-encoded, above all the `+` of an offset: Graph reads a bare one as a space.
//! 3. The key holds what shapes the answers: account, root, path, query in canonical form, id type, time zone, further
//!    preferences, name (invariant 12). The page size and `minimal` may change from round to round and are not in it.
//! 4. No `Content-Type`: the event page calls it required on a GET, but there is no body to have one, and in a browser it
//!    would only be one more header for the preflight to ask about (graph-facts 1.3).

use super::change::{Dialect, ItemFormat};
use super::endpoint::Endpoint;
use super::error::{Code, Error, Result};
use super::rate::Workload;
use super::resource::{self, Ids, PageSize, Resource};
use super::time::{DAY, format_iso, parse_iso};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The longest window of a calendar view, in days: longer ones are an `ErrorInvalidRequest` (graph-facts 1.3).
pub const LONGEST_WINDOW: i64 = 1825;
/// The most ids that a filter takes on users, groups and contacts (graph-facts 1.2).
pub const MOST_IDS: usize = 50;

/// Event pages below this many loop for ever on long series (graph-facts 7, anomaly 1).
const SMALLEST_EVENTS: u32 = 50;
/// Smaller pages than this help nobody.
const SMALLEST: u32 = 10;
/// Events of a page where none is asked for, roughly: Graph does not say.
const GRAPHS_PAGE: u32 = 10;

/// The options of the four calls, each of which takes some of them: `EventsOptions`, `OrgContactsOptions`,
/// `CallRecordingsOptions` and `TrackOptions` of `index.d.ts`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Keeps two queries that are alike apart.
    pub name: Option<String>,
    /// Keeps the link only.
    pub feed: bool,
    /// Query parameters as they are sent.
    pub query: Vec<(String, String)>,
    /// A full round at this age, in milliseconds; `Some(None)` for never.
    pub refresh: Option<Option<f64>>,
    /// Where the window of events, or of recordings, begins.
    pub start: Option<String>,
    /// Where the window of events ends.
    pub end: Option<String>,
    /// Whose calendar; the user in the path of recordings.
    pub user: Option<String>,
    /// Which calendar.
    pub calendar: Option<String>,
    /// `Prefer: outlook.timezone`.
    pub time_zone: Option<String>,
    /// `Prefer: IdType="ImmutableId"`.
    pub immutable_ids: bool,
    /// `Prefer: odata.maxpagesize`.
    pub page_size: Option<u32>,
    /// `$select`.
    pub select: Option<Vec<String>>,
    /// The id filter.
    pub ids: Option<Vec<String>>,
    /// `Prefer: return=minimal`.
    pub minimal: bool,
    /// `meetingOrganizerUserId`.
    pub organizer: Option<String>,
    /// `$top`.
    pub top: Option<u32>,
    /// `filter`, `expand`, `orderby`, `search`, as they were given.
    pub texts: Vec<(&'static str, String)>,
    /// Further Prefer values.
    pub prefer: Vec<String>,
    /// A window of events that moves with the days: days back, days ahead, their time zone.
    pub window: Option<(u32, u32, String)>,
}

/// A query, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The kind, if Graph documents it.
    pub resource: Option<&'static Resource>,
    /// The path below the root, and behind it the parameters, encoded.
    target: String,
    /// The parameters in canonical form, for the key.
    canonical: String,
    /// The Prefer values, one header, in this order.
    pub prefer: Vec<String>,
    /// The Prefer values that shape what is stored, for the key.
    shape: Vec<String>,
    /// Whether `return=minimal` is asked for.
    pub minimal: bool,
    /// Whether a round from the query lists everything; one from `latest` or from a timestamp does not.
    pub full: bool,
    /// A full round at this age, in milliseconds.
    pub refresh: Option<f64>,
    /// Whether the items are kept.
    pub mirror: bool,
    /// Events: below this path, with the id behind it, a series master is asked for by itself.
    pub masters: Option<String>,
    /// A window that moves with the days: how far it reaches back and ahead, and the time zone. [`Self::url`] is told where it is.
    pub window: Option<(u32, u32, String)>,
    /// `odata.maxpagesize`, where the kind has it: as configured, or Graph's own.
    pub page_size: Option<u32>,
    /// The smallest page that is asked for where larger ones fail.
    pub smallest: u32,
    /// Whose limits count its requests.
    pub workload: Workload,
    /// What shares them.
    pub scope: String,
    name: Option<String>,
}

impl Query {
    /// The first URL of a full round; of a rolling window, with where it is now, `start/end`.
    pub fn url(&self, endpoint: &Endpoint, window: Option<&str>) -> String {
        let mut url = endpoint.root() + &self.target;
        if let Some((start, end)) = window.filter(|_| self.window.is_some()).and_then(|window| window.split_once('/')) {
            let params = [("startDateTime=", start), ("&endDateTime=", end)];
            url.push(if self.target.contains('?') { '&' } else { '?' });
            for (name, value) in params {
                url += name;
                url += &encode(value);
            }
        }
        url
    }

    /// Where one series master is found by itself.
    pub fn master(&self, endpoint: &Endpoint, id: &str) -> Option<String> {
        let below = self.masters.as_ref()?;
        Some(format!("{}{below}{}", endpoint.root(), segment("", id).ok()?))
    }

    /// The values of the Prefer header, with another page size than the configured one if there is one.
    pub fn prefer(&self, page_size: Option<u32>) -> Vec<String> {
        const SIZE: &str = "odata.maxpagesize=";
        let mut values = self.prefer.clone();
        if let Some(size) = page_size.filter(|size| Some(*size) != self.page_size) {
            values.retain(|value| !value.starts_with(SIZE));
            values.push(format!("{SIZE}{size}"));
        }
        values
    }

    /// How its items are read.
    pub fn reading(&self) -> ItemFormat {
        ItemFormat { dialect: self.dialect(), minimal: self.minimal, slices: self.resource.is_none_or(|resource| resource.slices) }
    }

    /// The name under which the state is stored, to be read by people too.
    pub fn key(&self, account: &str, endpoint: &Endpoint) -> String {
        let mut key = key_prefix(account);
        key += &endpoint.root();
        key += " | ";
        key += self.target.split('?').next().unwrap_or_default();
        if !self.canonical.is_empty() {
            key += " | ";
            key += &self.canonical;
        }
        for value in &self.shape {
            key += " | ";
            key += &plain(value);
        }
        if let Some(name) = &self.name {
            key += " | name=";
            key += &plain(name);
        }
        if !self.mirror {
            key += " | feed";
        }
        key
    }

    /// The name under which is stored until when Graph throttles its scope.
    pub fn throttle_key(&self, account: &str, endpoint: &Endpoint) -> String {
        format!("{}{} | not before | {}", key_prefix(account), endpoint.root(), plain(&self.scope))
    }

    /// How removals are told.
    pub fn dialect(&self) -> Dialect {
        self.resource.map(|resource| resource.dialect).unwrap_or_default()
    }
}

/// What the keys of an account begin with.
pub fn key_prefix(account: &str) -> String {
    format!("{} | ", plain(account))
}

/// A part of a key without what parts the keys.
fn plain(text: &str) -> String {
    text.replace('%', "%25").replace('|', "%7C")
}

/// A query before its rules are checked.
struct QueryBuilder {
    resource: Option<&'static Resource>,
    path: String,
    /// Name, value as sent, value as in the key.
    params: Vec<(String, String, String)>,
    prefer: Vec<String>,
    shape: Vec<String>,
    minimal: bool,
    /// Whose events, as a path, where there are series masters.
    owner: Option<String>,
}

impl QueryBuilder {
    fn new(resource: Option<&'static Resource>, path: String) -> Self {
        Self { resource, path, params: Vec::new(), prefer: Vec::new(), shape: Vec::new(), minimal: false, owner: None }
    }

    fn param(&mut self, name: &str, value: &str) {
        self.params.push((name.to_owned(), value.to_owned(), value.to_owned()));
    }

    fn shaping(&mut self, value: String) {
        self.shape.push(value.clone());
        self.prefer.push(value);
    }

    fn top(&mut self, top: Option<u32>) -> Result<()> {
        if let Some(top) = top {
            if top == 0 {
                return bad("options.top must be at least 1, got 0");
            }
            self.param("$top", &top.to_string());
        }
        Ok(())
    }

    fn page_size(&mut self, size: Option<u32>) -> Result<()> {
        if let Some(size) = size {
            if !(1..=1000).contains(&size) {
                return bad(format!("options.pageSize must be from 1 to 1000, got {size}"));
            }
            self.prefer.push(format!("odata.maxpagesize={size}"));
        }
        Ok(())
    }

    fn time_zone(&mut self, zone: Option<&str>) -> Result<()> {
        if let Some(zone) = zone {
            if !is_printable(zone) || zone.contains(['"', '\\', ',']) {
                return bad(format!(
                    "options.timeZone must be the name of a time zone such as \"Pacific Standard Time\" or \"Europe/Berlin\", got {zone:?}"
                ));
            }
            self.shaping(format!("outlook.timezone=\"{zone}\""));
        }
        Ok(())
    }

    fn immutable_ids(&mut self, wanted: bool) {
        if wanted {
            self.shaping("IdType=\"ImmutableId\"".into());
        }
    }

    fn minimal(&mut self, wanted: bool) {
        self.minimal = wanted;
        if wanted {
            self.prefer.push("return=minimal".into());
        }
    }

    fn select(&mut self, select: Option<&[String]>) -> Result<()> {
        let Some(select) = select else { return Ok(()) };
        if let Some(odd) = select.iter().find(|name| is_invalid(name, &[' ', ',', '&', '?', '#'])) {
            return bad(format!("options.select must be a list of property names, got {odd:?}"));
        }
        if select.is_empty() {
            return bad("options.select must name at least one property; leave it out for the default ones");
        }
        self.params.push(("$select".into(), select.join(","), sorted(select).join(",")));
        Ok(())
    }

    fn ids(&mut self, ids: Option<&[String]>) -> Result<()> {
        let Some(ids) = ids else { return Ok(()) };
        let limit = self.resource.map_or(Ids::UrlLength, |resource| resource.ids);
        if ids.is_empty() {
            return bad("options.ids must name at least one id; leave it out for all");
        }
        if limit == Ids::Fifty && ids.len() > MOST_IDS {
            return bad(format!(
                "options.ids must be at most {} ids, which is Graph's limit, got {}; track the whole collection, or make several queries",
                MOST_IDS,
                ids.len()
            ));
        }
        if let Some(odd) = ids.iter().find(|id| is_invalid(id, &[])) {
            return bad(format!("options.ids must be a list of ids, got {odd:?}"));
        }
        self.params.push(("$filter".into(), id_filter(ids), id_filter(&sorted(ids))));
        Ok(())
    }

    /// Takes what the options ask for, lets `query` have its way, then makes the query. A call does not have every option; what
    /// it does not have is not set.
    fn finish(mut self, options: Options) -> Result<Query> {
        self.select(options.select.as_deref())?;
        self.ids(options.ids.as_deref())?;
        for (option, value) in &options.texts {
            self.param(&format!("${option}"), value);
        }
        self.top(options.top)?;
        self.minimal(options.minimal);
        self.page_size(options.page_size)?;
        self.time_zone(options.time_zone.as_deref())?;
        self.immutable_ids(options.immutable_ids);
        for value in &options.prefer {
            if !is_printable(value) {
                return bad(format!("options.prefer must be a list of Prefer values, got {value:?}"));
            }
            self.shaping(value.clone());
        }
        for (name, value) in &options.query {
            if is_invalid(name, &['&', '=', '#', '?']) {
                return bad(format!("options.query must have names of query parameters, got {name:?}"));
            }
            self.params.retain(|(old, _, _)| !same_parameter(old, name));
            self.param(name, value);
        }
        // A first request with a token of its own is no listing of everything.
        let begun = |name: &str| ["deltatoken", "skiptoken", "token"].iter().any(|token| same_parameter(name, token));
        let full = !self.params.iter().any(|(name, _, _)| begun(name)) && !self.path.contains("(token=");
        if options.refresh.flatten().is_some_and(|age| age.is_nan() || age <= 0.0) {
            return bad("options.refresh must be milliseconds above 0, or false for never");
        }
        if options.name.as_deref() == Some("") {
            return bad("options.name must not be empty; leave it out");
        }
        // A feed has no mirror that could be out of date.
        let standard = !options.feed && self.resource.is_some_and(|resource| resource.name == "event" || !resource.removals);
        #[allow(clippy::cast_precision_loss, reason = "a day in milliseconds fits")]
        let refresh = options.refresh.unwrap_or(standard.then_some(DAY as f64));
        let (mut target, mut pairs) = (self.path, Vec::new());
        for (name, value, canonical) in &self.params {
            target.push(if pairs.is_empty() { '?' } else { '&' });
            target += &format!("{}={}", encode(name), encode(value));
            pairs.push(format!("{}={}", encode(&name.to_ascii_lowercase()), encode(canonical)));
        }
        let canonical = sorted(&pairs).join("&");
        let sized = self.resource.is_some_and(|resource| resource.page_size == PageSize::Prefer);
        let workload = self.resource.map_or(Workload::Other, |resource| resource.workload);
        let scope = workload.scope(mailbox(&target));
        let event = self.resource.is_some_and(|resource| resource.name == "event");
        Ok(Query {
            smallest: if event { SMALLEST_EVENTS } else { SMALLEST },
            workload,
            scope,
            masters: self.owner.map(|owner| owner + "/events/").filter(|_| !options.feed),
            window: options.window,
            page_size: sized.then(|| options.page_size.unwrap_or(GRAPHS_PAGE)),
            resource: self.resource,
            target,
            canonical,
            prefer: self.prefer,
            shape: self.shape,
            minimal: self.minimal,
            full,
            refresh: if full { refresh } else { None },
            mirror: !options.feed,
            name: options.name,
        })
    }
}

/// Checks the options of `events()`.
pub fn events(options: Options) -> Result<Query> {
    let owner = owner(options.user.as_deref())?;
    let calendar = match options.calendar.as_deref() {
        Some(id) => format!("/calendars/{}", segment("options.calendar", id)?),
        None => String::new(),
    };
    let mut draft = QueryBuilder::new(resource::named("event"), format!("{owner}{calendar}/calendarView/delta"));
    draft.owner = Some(owner);
    if let Some((back, ahead, zone)) = &options.window {
        let span = i64::from(*back) + i64::from(*ahead) + 1;
        if options.start.is_some() || options.end.is_some() {
            return bad("options.window and options.start, options.end are two ways to say the same; give one of them");
        }
        if span > LONGEST_WINDOW {
            return too_long("options.window", span);
        }
        if !is_printable(zone) {
            return bad(format!("options.window.timeZone must be an IANA name such as \"Europe/Berlin\", got {zone:?}"));
        }
        // Where the window is moves from day to day: the key says how far it reaches.
        draft.shape.push(format!("window=-{back}+{ahead} {zone}"));
        return draft.finish(options);
    }
    let (from, to) = (options.start.as_deref().unwrap_or_default(), options.end.as_deref().unwrap_or_default());
    let start = instant("options.start", from)?;
    let end = instant("options.end", to)?;
    if start >= end {
        return bad(format!("options.end must be after options.start, got {from:?} and {to:?}"));
    }
    if end - start > LONGEST_WINDOW * DAY {
        return too_long("options.start and options.end", (end - start).div_ceil_days());
    }
    draft.params.push(("startDateTime".into(), from.into(), format_iso(start)));
    draft.params.push(("endDateTime".into(), to.into(), format_iso(end)));
    draft.finish(options)
}

fn too_long<T>(options: &str, days: i64) -> Result<T> {
    bad(format!(
        "{options} must be at most 1825 days apart, which is Graph's limit for a calendar view, got {days} days; take a shorter window or several queries"
    ))
}

/// Checks the options of `orgContacts()`.
pub fn org_contacts(options: Options) -> Result<Query> {
    QueryBuilder::new(resource::named("orgContact"), "/contacts/delta".into()).finish(options)
}

/// Checks the options of `callRecordings()`.
pub fn call_recordings(options: Options) -> Result<Query> {
    let organizer = options.organizer.as_deref().unwrap_or_default();
    if organizer.is_empty() {
        return bad("options.organizer must be the id of the meeting organizer: Graph refuses the query without one, got \"\"");
    }
    let plain = segment("options.organizer", organizer)?;
    let user = match options.user.as_deref() {
        Some(user) => segment("options.user", user)?,
        None => plain,
    };
    // A quote inside the literal is doubled, as OData has it.
    let mut inside = format!("meetingOrganizerUserId='{}'", segment("options.organizer", &organizer.replace('\'', "''"))?);
    if let Some(start) = &options.start {
        // The instant is canonical here, where it is part of the path and so of the key.
        inside += &format!(",startDateTime={}", format_iso(instant("options.startDateTime", start)?));
    }
    let path = format!("/users/{user}/onlineMeetings/getAllRecordings({inside})/delta");
    QueryBuilder::new(resource::named("callRecording"), path).finish(options)
}

/// Checks the path and the options of `track()`.
pub fn track(path: &str, options: Options) -> Result<Query> {
    let shape = |why: &str| bad(format!("path must be a delta resource below the root, such as \"/users/delta\": {why}, got {path:?}"));
    if !path.starts_with('/') || path.starts_with("//") {
        return shape("it begins with one slash");
    }
    if is_invalid(path, &['?', '#', '\\', ' ']) {
        return shape("parameters go into the options, and spaces and back-slashes are not allowed");
    }
    let last = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let function = last.strip_prefix("microsoft.graph.").unwrap_or(&last);
    if function != "delta" && !function.starts_with("delta(") {
        return shape("it ends with /delta");
    }
    let resource = resource::find(path);
    let name = resource.map_or("this resource", |resource| resource.name);
    let given = |parameter: &str| options.query.iter().any(|(given, _)| same_parameter(given, parameter));
    if name == "event" && !(given("startDateTime") && given("endDateTime")) {
        return bad(
            "a calendar view needs a start and an end; use events({ start, end }), or give startDateTime and endDateTime in options.query",
        );
    }
    if name == "callRecording" && !path.to_ascii_lowercase().contains("meetingorganizeruserid=") {
        return bad("call recordings need the meeting organizer; use callRecordings({ organizer })");
    }
    if let Some(resource) = resource {
        let refuse = |option: &str, instead: &str| bad(format!("options.{option} is refused by Graph on {name}: {instead}"));
        let send = |option: &str| format!("leave it out, or send it all the same by options.query: {{ \"${option}\": … }}");
        let mut asked: Vec<&str> = options.texts.iter().map(|(option, _)| *option).collect();
        if options.select.is_some() {
            asked.push("select");
        }
        if options.top.is_some() {
            asked.push("top");
        }
        if let Some(option) = asked.iter().find(|option| !resource.takes.contains(option)) {
            let prefer = *option == "top" && resource.page_size == PageSize::Prefer;
            return refuse(option, &if prefer { "use options.pageSize".into() } else { send(option) });
        }
        if options.ids.is_some() && resource.ids == Ids::None {
            return refuse("ids", "it has no id filter; leave it out");
        }
        if options.minimal && !resource.minimal {
            return refuse("minimal", "return=minimal is for directory objects; leave it out");
        }
        if options.page_size.is_some() && resource.page_size != PageSize::Prefer {
            return refuse(
                "pageSize",
                if resource.page_size == PageSize::Top { "use options.top" } else { "its page size is Graph's own; leave it out" },
            );
        }
        if options.immutable_ids && resource.workload != Workload::Outlook {
            return refuse("immutableIds", "immutable ids are Outlook's; leave it out");
        }
        if options.time_zone.is_some() && !resource.time_zone {
            return refuse("timeZone", "only events have it; leave it out");
        }
        if name == "chatMessage" && options.top.is_some_and(|top| top > 50) {
            return refuse("top", "it takes at most 50");
        }
    }
    if options.ids.is_some() && options.texts.iter().any(|(option, _)| *option == "filter") {
        return bad("options.ids and options.filter make one $filter; write the ids into options.filter");
    }
    let mut draft = QueryBuilder::new(resource, path.to_owned());
    if name == "event" {
        // `/me` or `/users/{id}`.
        let segments: Vec<&str> = path.split('/').collect();
        let me = segments.get(1).is_some_and(|first| first.eq_ignore_ascii_case("me"));
        draft.owner = segments.get(..if me { 2 } else { 3 }).map(|owner| owner.join("/"));
    }
    draft.finish(options)
}

fn id_filter(ids: &[String]) -> String {
    let equal: Vec<String> = ids.iter().map(|id| format!("id eq '{}'", id.replace('\'', "''"))).collect();
    equal.join(" or ")
}

/// In order, each once.
fn sorted(texts: &[String]) -> Vec<String> {
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// Whose mailbox a path of Outlook is in: `me`, or an id.
fn mailbox(path: &str) -> &str {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", me, ..] if me.eq_ignore_ascii_case("me") => me,
        ["", "admin", _, _, id, ..] | ["", _, id, ..] => id,
        _ => "",
    }
}

trait Days {
    fn div_ceil_days(self) -> i64;
}

impl Days for i64 {
    fn div_ceil_days(self) -> i64 {
        (self + DAY - 1).div_euclid(DAY)
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(Code::BadRequest, message))
}

fn instant(option: &str, text: &str) -> Result<i64> {
    match parse_iso(text) {
        Some(ms) => Ok(ms),
        None => bad(format!("{option} must be an ISO 8601 date such as \"2026-11-21T00:00:00Z\", or a Date, got {text:?}")),
    }
}

fn owner(user: Option<&str>) -> Result<String> {
    match user {
        None => Ok("/me".into()),
        Some(user) => Ok(format!("/users/{}", segment("options.user", user)?)),
    }
}

/// An id as a segment of a path.
fn segment(option: &str, id: &str) -> Result<String> {
    if is_invalid(id, &[]) || id.bytes().all(|byte| byte == b'.') {
        return bad(format!("{option} must be an id, got {id:?}"));
    }
    Ok(utf8_percent_encode(id, SEGMENT).to_string())
}

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@').remove(b'!').remove(b'$').remove(b'*').remove(b'=');
/// What stays as it is in a query parameter. Above all not `+`: Graph reads a bare one as a space.
const PARAMETER: &AsciiSet = &SEGMENT.add(b'=').remove(b':').remove(b',').remove(b'/').remove(b'(').remove(b')');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, PARAMETER).to_string()
}

/// Whether a string is empty, or holds a control character or one of `others`.
fn is_invalid(text: &str, others: &[char]) -> bool {
    text.is_empty() || text.contains(others) || text.contains(char::is_control)
}

/// Whether a string is printable ASCII and not empty.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// `$top` and `top`, `startdatetime` and `startDateTime`.
fn same_parameter(one: &str, other: &str) -> bool {
    one.trim_start_matches('$').eq_ignore_ascii_case(other.trim_start_matches('$'))
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;

    fn graph() -> Endpoint {
        Endpoint::cloud("global").unwrap()
    }

    fn week() -> Options {
        Options { start: Some("2026-11-23".into()), end: Some("2026-11-30".into()), ..Options::default() }
    }

    fn words<T: std::fmt::Debug>(result: Result<T>) -> String {
        let failure = result.unwrap_err();
        assert_eq!(failure.code, Code::BadRequest);
        failure.message
    }

    fn url(query: &Query) -> String {
        query.url(&graph(), None).replace("https://graph.microsoft.com/v1.0", "")
    }

    fn key(query: &Query) -> String {
        query.key("alex", &graph())
    }

    #[test]
    fn events_are_a_calendar_view_of_me_of_a_user_or_of_a_calendar() {
        assert_eq!(url(&events(week()).unwrap()), "/me/calendarView/delta?startDateTime=2026-11-23&endDateTime=2026-11-30");
        let user = Options { user: Some("alex@contoso.example".into()), calendar: Some("AAM/k+=".into()), ..week() };
        assert_eq!(
            url(&events(user).unwrap()),
            "/users/alex@contoso.example/calendars/AAM%2Fk%2B=/calendarView/delta?startDateTime=2026-11-23&endDateTime=2026-11-30"
        );
    }

    #[test]
    fn the_plus_of_an_offset_is_sent_encoded() {
        let query = events(Options { start: Some("2026-11-23T00:00:00+01:00".into()), ..week() }).unwrap();
        assert_eq!(url(&query), "/me/calendarView/delta?startDateTime=2026-11-23T00:00:00%2B01:00&endDateTime=2026-11-30");
    }

    #[test]
    fn two_forms_of_one_instant_are_one_key() {
        let offset = events(Options { start: Some("2026-11-23T01:00:00+01:00".into()), ..week() }).unwrap();
        assert_eq!(key(&offset), key(&events(week()).unwrap()));
        assert_eq!(
            key(&offset),
            "alex | https://graph.microsoft.com/v1.0 | /me/calendarView/delta | enddatetime=2026-11-30T00:00:00Z&startdatetime=2026-11-23T00:00:00Z"
        );
    }

    #[test]
    fn a_window_needs_both_ends_in_order_and_at_most_1825_days() {
        assert_eq!(
            words(events(Options { start: Some("soon".into()), ..week() })),
            "options.start must be an ISO 8601 date such as \"2026-11-21T00:00:00Z\", or a Date, got \"soon\""
        );
        assert_eq!(
            words(events(Options { end: Some(String::new()), ..week() })),
            "options.end must be an ISO 8601 date such as \"2026-11-21T00:00:00Z\", or a Date, got \"\""
        );
        assert_eq!(
            words(events(Options { end: Some("2026-11-23T00:00:00Z".into()), ..week() })),
            "options.end must be after options.start, got \"2026-11-23\" and \"2026-11-23T00:00:00Z\""
        );
        let exact = Options { start: Some("2021-11-22".into()), end: Some("2026-11-21".into()), ..Options::default() };
        assert!(events(exact.clone()).is_ok());
        assert_eq!(
            words(events(Options { end: Some("2026-11-21T00:00:01Z".into()), ..exact })),
            "options.start and options.end must be at most 1825 days apart, which is Graph's limit for a calendar view, got 1826 days; take a shorter window or several queries"
        );
    }

    #[test]
    fn the_preferences_of_events_are_one_header_and_only_what_shapes_items_is_in_the_key() {
        let query = events(Options { page_size: Some(50), time_zone: Some("Pacific Standard Time".into()), immutable_ids: true, ..week() })
            .unwrap();
        assert_eq!(query.prefer, ["odata.maxpagesize=50", "outlook.timezone=\"Pacific Standard Time\"", "IdType=\"ImmutableId\""]);
        assert!(key(&query).ends_with(" | outlook.timezone=\"Pacific Standard Time\" | IdType=\"ImmutableId\""), "{}", key(&query));
        let plain = events(Options { page_size: Some(9), ..week() }).unwrap();
        assert_eq!(key(&plain), key(&events(week()).unwrap()));
    }

    #[test]
    fn a_page_size_or_a_time_zone_that_makes_no_sense_is_refused() {
        assert_eq!(words(events(Options { page_size: Some(0), ..week() })), "options.pageSize must be from 1 to 1000, got 0");
        assert_eq!(words(events(Options { page_size: Some(1001), ..week() })), "options.pageSize must be from 1 to 1000, got 1001");
        for zone in ["", "UTC\", x=\"", "U\nTC"] {
            assert!(
                words(events(Options { time_zone: Some(zone.into()), ..week() }))
                    .starts_with("options.timeZone must be the name of a time zone"),
                "{zone}"
            );
        }
    }

    #[test]
    fn query_overrides_a_rule() {
        let query = vec![("$expand".into(), "singleValueExtendedProperties($filter=id eq 'x')".into())];
        let query = events(Options { query, ..week() }).unwrap();
        assert!(url(&query).ends_with("&$expand=singleValueExtendedProperties($filter%3Did%20eq%20%27x%27)"), "{}", url(&query));
        let query = vec![("startdatetime".into(), "2026-11-24".into())];
        assert_eq!(
            url(&events(Options { query, ..week() }).unwrap()),
            "/me/calendarView/delta?endDateTime=2026-11-30&startdatetime=2026-11-24"
        );
        let odd = vec![("a=b".into(), String::new())];
        assert_eq!(words(events(Options { query: odd, ..week() })), "options.query must have names of query parameters, got \"a=b\"");
    }

    #[test]
    fn contacts_take_a_select_and_at_most_50_ids() {
        let ids = |count: usize| Some((0..count).map(|n| format!("id{n}")).collect::<Vec<_>>());
        let options = Options { select: Some(vec!["displayName".into(), "mail".into()]), ids: ids(2), minimal: true, ..Options::default() };
        let query = org_contacts(options).unwrap();
        assert_eq!(url(&query), "/contacts/delta?$select=displayName,mail&$filter=id%20eq%20%27id0%27%20or%20id%20eq%20%27id1%27");
        assert_eq!(query.prefer, ["return=minimal"]);
        assert!(org_contacts(Options { ids: ids(50), ..Options::default() }).is_ok());
        assert_eq!(
            words(org_contacts(Options { ids: ids(51), ..Options::default() })),
            "options.ids must be at most 50 ids, which is Graph's limit, got 51; track the whole collection, or make several queries"
        );
        assert_eq!(
            words(org_contacts(Options { ids: ids(0), ..Options::default() })),
            "options.ids must name at least one id; leave it out for all"
        );
        assert_eq!(
            words(org_contacts(Options { select: Some(vec!["a,b".into()]), ..Options::default() })),
            "options.select must be a list of property names, got \"a,b\""
        );
    }

    #[test]
    fn the_order_of_a_select_does_not_make_another_key_and_minimal_neither() {
        let query = |select: &[&str], minimal| {
            org_contacts(Options { select: Some(select.iter().map(|&s| s.to_owned()).collect()), minimal, ..Options::default() }).unwrap()
        };
        assert_eq!(key(&query(&["mail", "displayName"], false)), key(&query(&["displayName", "mail", "mail"], true)));
        assert_ne!(key(&query(&["mail"], false)), key(&query(&["displayName"], false)));
    }

    #[test]
    fn an_id_cannot_leave_its_quotes() {
        let query = org_contacts(Options { ids: Some(vec!["x' or id ne '".into()]), ..Options::default() }).unwrap();
        assert_eq!(url(&query), "/contacts/delta?$filter=id%20eq%20%27x%27%27%20or%20id%20ne%20%27%27%27");
    }

    #[test]
    fn recordings_name_their_organizer_inside_the_parentheses() {
        let organizer = Options { organizer: Some("8b08".into()), ..Options::default() };
        assert_eq!(
            url(&call_recordings(organizer.clone()).unwrap()),
            "/users/8b08/onlineMeetings/getAllRecordings(meetingOrganizerUserId='8b08')/delta"
        );
        let all = Options { user: Some("u".into()), start: Some("2026-11-01T01:00:00+01:00".into()), top: Some(20), ..organizer };
        assert_eq!(
            url(&call_recordings(all).unwrap()),
            "/users/u/onlineMeetings/getAllRecordings(meetingOrganizerUserId='8b08',startDateTime=2026-11-01T00:00:00Z)/delta?$top=20"
        );
    }

    #[test]
    fn recordings_without_an_organizer_are_refused() {
        assert_eq!(
            words(call_recordings(Options::default())),
            "options.organizer must be the id of the meeting organizer: Graph refuses the query without one, got \"\""
        );
    }

    #[test]
    fn recordings_have_no_removals_so_they_are_refreshed_daily() {
        let query = call_recordings(Options { organizer: Some("o".into()), ..Options::default() }).unwrap();
        assert_eq!(query.refresh, Some(86_400_000.0));
        assert_eq!(events(week()).unwrap().refresh, Some(86_400_000.0));
        assert_eq!(org_contacts(Options::default()).unwrap().refresh, None);
        let never = Some(None);
        assert_eq!(events(Options { refresh: never, ..week() }).unwrap().refresh, None);
        let odd = Some(Some(-1.0));
        assert_eq!(words(events(Options { refresh: odd, ..week() })), "options.refresh must be milliseconds above 0, or false for never");
    }

    #[test]
    fn a_known_kind_refuses_what_graph_refuses_and_says_the_way_out() {
        let top = Options { top: Some(5), ..Options::default() };
        assert_eq!(
            words(track("/users/delta", top.clone())),
            "options.top is refused by Graph on user: leave it out, or send it all the same by options.query: { \"$top\": … }"
        );
        assert_eq!(
            words(track("/me/contactFolders/f/contacts/delta", top)),
            "options.top is refused by Graph on contact: use options.pageSize"
        );
        let page = Options { page_size: Some(5), ..Options::default() };
        assert_eq!(
            words(track("/me/drive/root/delta", page.clone())),
            "options.pageSize is refused by Graph on driveItem: use options.top"
        );
        assert_eq!(
            words(track("/users/delta", page)),
            "options.pageSize is refused by Graph on user: its page size is Graph's own; leave it out"
        );
        assert_eq!(
            words(track("/me/drive/root/delta", Options { minimal: true, ..Options::default() })),
            "options.minimal is refused by Graph on driveItem: return=minimal is for directory objects; leave it out"
        );
        assert_eq!(
            words(track("/me/calendarView/delta", Options::default())),
            "a calendar view needs a start and an end; use events({ start, end }), or give startDateTime and endDateTime in options.query"
        );
        assert_eq!(
            words(track("/users/u/onlineMeetings/getAllRecordings()/delta", Options::default())),
            "call recordings need the meeting organizer; use callRecordings({ organizer })"
        );
        assert_eq!(
            words(track("/teams/t/channels/c/messages/delta", Options { top: Some(51), ..Options::default() })),
            "options.top is refused by Graph on chatMessage: it takes at most 50"
        );
    }

    #[test]
    fn an_unknown_kind_passes_freely() {
        let options =
            Options { top: Some(5), page_size: Some(5), minimal: true, texts: vec![("filter", "a eq 'b'".into())], ..Options::default() };
        let query = track("/new/things/delta", options).unwrap();
        assert_eq!(url(&query), "/new/things/delta?$filter=a%20eq%20%27b%27&$top=5");
        assert_eq!(query.prefer, ["return=minimal", "odata.maxpagesize=5"]);
    }

    #[test]
    fn a_path_that_is_no_delta_resource_is_refused() {
        for path in [
            "",
            "users/delta",
            "//evil.example/delta",
            "/users",
            "/users/delta?$top=1",
            "/users/delta#x",
            "/us ers/delta",
            "/\\evil/delta",
            "/users/delta/x",
            "/users/deltafoo",
            "https://graph.microsoft.com/v1.0/users/delta",
        ] {
            assert!(
                words(track(path, Options::default()))
                    .starts_with("path must be a delta resource below the root, such as \"/users/delta\""),
                "{path}"
            );
        }
        for path in ["/users/delta", "/users/microsoft.graph.delta()", "/users/delta()", "/me/drive/root/delta(token='a')"] {
            assert!(track(path, Options::default()).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_round_from_latest_is_not_full() {
        let latest = vec![("$deltatoken".into(), "latest".into())];
        assert!(!track("/users/delta", Options { query: latest, ..Options::default() }).unwrap().full);
        let token = vec![("token".into(), "latest".into())];
        assert!(!track("/me/drive/root/delta", Options { query: token, ..Options::default() }).unwrap().full);
        let skip = vec![("$skiptoken".into(), "x".into())];
        assert!(!track("/users/delta", Options { query: skip, ..Options::default() }).unwrap().full);
        assert!(!track("/me/drive/root/delta(token='latest')", Options::default()).unwrap().full);
        assert!(track("/users/delta", Options::default()).unwrap().full);
    }

    #[test]
    fn everything_that_shapes_the_items_makes_another_key() {
        let named = |name: &str| Options { name: Some(name.into()), ..week() };
        let feed = Options { feed: true, ..week() };
        let queries = [
            week(),
            named("a"),
            named("b"),
            feed,
            Options { user: Some("me".into()), ..week() },
            Options { calendar: Some("c".into()), ..week() },
            Options { time_zone: Some("UTC".into()), ..week() },
            Options { immutable_ids: true, ..week() },
            Options { end: Some("2026-12-01".into()), ..week() },
        ];
        let mut keys: Vec<String> = queries.into_iter().map(|options| key(&events(options).unwrap())).collect();
        keys.push(events(week()).unwrap().key("sam", &graph()));
        keys.push(events(week()).unwrap().key("alex", &Endpoint::cloud("china").unwrap()));
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn no_name_can_make_one_key_of_two() {
        let named = |name: &str| events(Options { name: Some(name.into()), ..week() }).unwrap();
        let feed = events(Options { name: Some("a".into()), feed: true, ..week() }).unwrap();
        assert_ne!(key(&named("a | feed")), key(&feed));
        assert_ne!(named("x").key("a | b", &graph()), named("x").key("a %7C b", &graph()));
        assert!(key(&named("x")).starts_with(&key_prefix("alex")));
        assert!(!key(&named("x")).starts_with(&key_prefix("ale")));
    }
}
