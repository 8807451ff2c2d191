//! Collects the parts of a query while its options are checked. Options that Graph would reject are
//! rejected here, with advice. Of the parameters in `options.query`, only the window of a calendar
//! view, `$select` and tokens are checked.

use super::options::Options;
use super::{Query, encode, is_invalid};
use crate::protocol::error::{Result, bad_request};
use crate::protocol::rate::Workload;
use crate::protocol::redact::quote;
use crate::protocol::resource::{self, IdFilter, PageSize, Resource};
use crate::protocol::time::{Duration, Instant, format_iso, parse_iso};

/// The longest window of a calendar view, in days. Graph rejects longer ones with
/// `ErrorInvalidRequest` (graph-facts 1.3).
pub const MAX_WINDOW_DAYS: i64 = 1825;
/// The maximum number of ids in a filter on users, groups and contacts (graph-facts 1.2).
pub const MAX_IDS: usize = 50;

/// The maximum length of a URL, in bytes. Graph documents no limit, but servers in front of it
/// refused longer ones (graph-facts 3, "bounded by URL length").
const MAX_URL_LENGTH: usize = 14_000;

/// The preference for partial objects.
const MINIMAL: &str = "return=minimal";
/// The smallest reduced page size of events: smaller pages repeat forever on long series
/// (graph-facts 7, anomaly 1).
const MIN_EVENTS_PAGE_SIZE: u32 = 50;
/// The smallest reduced page size of other kinds: smaller pages do not help Graph.
const MIN_PAGE_SIZE: u32 = 10;

/// Collects the parts of a query while its options are checked.
pub(super) struct QueryBuilder {
    pub resource: Option<&'static Resource>,
    pub path: String,
    /// Name, value as sent, and canonical value in the key.
    pub params: Vec<(String, String, String)>,
    prefer: Vec<String>,
    pub key_prefer: Vec<String>,
    headers: Vec<(&'static str, &'static str)>,
    minimal: bool,
    /// The path of the calendar of a calendar view. Series masters are requested below it, because
    /// those of a shared calendar are not found elsewhere.
    pub calendar: Option<String>,
}

impl QueryBuilder {
    pub(super) fn new(resource: Option<&'static Resource>, path: String) -> Self {
        Self {
            resource,
            path,
            params: Vec::new(),
            prefer: Vec::new(),
            key_prefer: Vec::new(),
            headers: Vec::new(),
            minimal: false,
            calendar: None,
        }
    }

    pub(super) fn param(&mut self, name: &str, value: &str) {
        self.params.push((name.to_owned(), value.to_owned(), value.to_owned()));
    }

    /// Adds a preference that changes the items, so that it is part of the key.
    pub(super) fn key_preference(&mut self, value: String) {
        self.key_prefer.push(value.clone());
        self.prefer.push(value);
    }

    fn top(&mut self, top: Option<u32>) -> Result<()> {
        if let Some(top) = top {
            if top == 0 {
                return bad_request("options.top must be at least 1, got 0");
            }
            self.param("$top", &top.to_string());
        }
        Ok(())
    }

    fn page_size(&mut self, size: Option<u32>) -> Result<()> {
        if let Some(size) = size {
            if !(1..=1000).contains(&size) {
                return bad_request(format!("options.pageSize must be from 1 to 1000, got {size}"));
            }
            self.prefer.push(format!("odata.maxpagesize={size}"));
        }
        Ok(())
    }

    fn time_zone(&mut self, zone: Option<&str>) -> Result<()> {
        if let Some(zone) = zone {
            if !is_printable(zone) || zone.contains(['"', '\\', ',']) {
                return bad_request(format!(
                    "options.timeZone must be the name of a time zone such as \"Pacific Standard Time\" or \
                    \"Europe/Berlin\", got {}",
                    quote(zone)
                ));
            }
            self.key_preference(format!("outlook.timezone=\"{zone}\""));
        }
        Ok(())
    }

    fn immutable_ids(&mut self, is_set: bool) {
        if is_set {
            self.key_preference("IdType=\"ImmutableId\"".into());
        }
    }

    fn minimal(&mut self, is_set: bool) {
        self.minimal = is_set;
        if is_set {
            self.prefer.push(MINIMAL.into());
        }
    }

    fn select(&mut self, select: Option<&[String]>) -> Result<()> {
        let Some(select) = select else { return Ok(()) };
        if let Some(invalid) = select.iter().find(|name| is_invalid(name, &[' ', ',', '&', '?', '#'])) {
            return bad_request(format!(
                "options.select must be an array of property names, got {}",
                quote(invalid)
            ));
        }
        if select.is_empty() {
            return bad_request(
                "options.select must name at least one property; leave it out for the default ones",
            );
        }
        let with = |names: &[String], name: &str| {
            let missing = !names.iter().any(|given| given == name);
            names.iter().cloned().chain(missing.then(|| name.to_owned())).collect::<Vec<_>>()
        };
        // A link that was made without these properties, as by 0.1.0, never reports a removal. They
        // are part of the key, so that no such link is used.
        let needs = self.resource.map_or(&[][..], |resource| resource.required_properties);
        let shape = needs.iter().fold(select.to_vec(), |names, name| with(&names, name));
        self.params.push(("$select".into(), with(&shape, "id").join(","), sorted(&shape).join(",")));
        Ok(())
    }

    fn ids(&mut self, ids: Option<&[String]>) -> Result<()> {
        let Some(ids) = ids else { return Ok(()) };
        let limit = self.resource.map_or(IdFilter::UrlLength, |resource| resource.id_filter);
        if ids.is_empty() {
            return bad_request("options.ids must name at least one id; leave it out for all");
        }
        if limit == IdFilter::Fifty && ids.len() > MAX_IDS {
            return bad_request(format!(
                "options.ids must contain at most {MAX_IDS} ids, which is Graph's limit, got {}; track the \
                whole collection, or make several queries",
                ids.len()
            ));
        }
        if let Some(invalid) = ids.iter().find(|id| is_invalid(id, &[])) {
            return bad_request(format!("options.ids must be an array of ids, got {}", quote(invalid)));
        }
        self.params.push(("$filter".into(), id_filter(ids), id_filter(&sorted(ids))));
        Ok(())
    }

    /// Checks the window of a calendar view, however its start and end were given, and makes them
    /// canonical in the key.
    fn calendar_window(&mut self, options: &Options) -> Result<()> {
        let mut at = |name: &str, call_option: &str| {
            let by_query = options.query.iter().any(|(given, _)| same_parameter(given, name));
            let option = if by_query { format!("options.query.{name}") } else { call_option.to_owned() };
            let param = self.params.iter_mut().find(|(given, _, _)| same_parameter(given, name));
            let Some((_, value, canonical)) = param else {
                // Refuses a missing date like an empty one.
                return instant(&option, "").map(|at| (option, at));
            };
            let at = instant(&option, value)?;
            *canonical = format_iso(at);
            Ok((option, at))
        };
        let (start_option, start) = at("startDateTime", "options.start")?;
        let (end_option, end) = at("endDateTime", "options.end")?;
        if start >= end {
            return bad_request(format!(
                "{end_option} must be after {start_option}, got {} and {}",
                format_iso(start),
                format_iso(end)
            ));
        }
        let days = (end - start).div_ceil(Duration::DAY);
        if days > MAX_WINDOW_DAYS {
            return too_long(&format!("{start_option} and {end_option}"), days);
        }
        Ok(())
    }

    /// Adds the common options, lets `options.query` override parameters, and builds the query.
    /// An option that the call does not have is not set: the shell has refused it.
    pub(super) fn finish(mut self, options: Options) -> Result<Query> {
        self.select(options.select.as_deref())?;
        self.ids(options.ids.as_deref())?;
        for (option, value) in &options.odata_options {
            self.param(&format!("${option}"), value);
        }
        self.top(options.top)?;
        self.minimal(options.minimal);
        self.page_size(options.page_size)?;
        self.time_zone(options.time_zone.as_deref())?;
        self.immutable_ids(options.immutable_ids);
        if options.exclude_parents {
            self.headers.push(("deltaExcludeParent", "true"));
        }
        if options.shared_folders {
            self.key_preference("Include-Feature=AddToOneDrive".into());
        }
        for value in &options.prefer {
            if !is_printable(value) {
                return bad_request(format!(
                    "options.prefer must be an array of Prefer values, got {}",
                    quote(value)
                ));
            }
            for preference in preferences(value) {
                // `return=minimal` has the same meaning as `options.minimal`.
                if !is_minimal(preference) {
                    self.key_preference(preference.to_owned());
                } else if !self.minimal {
                    self.minimal(true);
                }
            }
        }
        for (name, value) in &options.query {
            if is_invalid(name, &['&', '=', '#', '?']) {
                return bad_request(format!(
                    "options.query must have query parameter names as its keys, got {}",
                    quote(name)
                ));
            }
            self.params.retain(|(old, _, _)| !same_parameter(old, name));
            if same_parameter(name, "select") {
                let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
                self.select(Some(&names))?;
            } else {
                self.param(name, value);
            }
        }
        if self.resource.is_some_and(|resource| resource.name == "event") && options.window.is_none() {
            self.calendar_window(&options)?;
        }
        // A first request that starts from a token does not list everything.
        let is_token =
            |name: &str| ["deltatoken", "skiptoken", "token"].iter().any(|token| same_parameter(name, token));
        // A token is the only parameter that the function itself has: `delta(token='latest')`.
        let function = self.path.rsplit('/').next().unwrap_or_default();
        let has_parameter = function.contains('(') && !function.ends_with("()");
        let has_full_rounds = !has_parameter && !self.params.iter().any(|(name, _, _)| is_token(name));
        let workload =
            self.resource.map_or_else(|| resource::workload(&self.path), |resource| resource.workload);
        let is_outlook = workload == Workload::Outlook;
        if is_outlook && !has_full_rounds {
            return bad_request(
                "a first round cannot start from a token here, because Outlook does not support that; \
                leave the token out: the first round lists everything",
            );
        }
        // `changeType` filters by the kind of change, and Graph returns at most 5,000 messages of a
        // filtered query (Graph's page "message: delta").
        let lists_part = self.params.iter().any(|(name, _, _)| {
            same_parameter(name, "changeType") || is_outlook && same_parameter(name, "filter")
        });
        if options.refresh.flatten().is_some_and(|age| age.as_millis().is_nan() || age <= Duration::ZERO) {
            return bad_request(
                "options.refresh must be a number of milliseconds above 0, or false for never",
            );
        }
        if options.name.as_deref() == Some("") {
            return bad_request("options.name must not be empty; leave it out");
        }
        // A feed has no mirror that could be out of date.
        let default_refresh = self.resource.filter(|_| !options.feed).and_then(Resource::default_refresh);
        let refresh = options.refresh.unwrap_or(default_refresh);
        let params: Vec<(String, String)> =
            self.params.iter().map(|(name, value, _)| (encode(name), encode(value))).collect();
        let canonical = canonical_form(self.params.iter().map(|(name, _, canonical)| (name, canonical)));
        // 0.1.0 wrote the parameters of `options.query` as they were given. A link without a
        // required property cannot be taken over.
        let is_complete = self.resource.is_none_or(|resource| resource.required_properties.is_empty());
        let as_given = canonical_form(self.params.iter().map(|(name, _, canonical)| {
            let is_this = |given: &str| same_parameter(given, name);
            let given = options.query.iter().find(|(given, _)| is_this(given));
            (name, given.filter(|_| is_complete || !is_this("select")).map_or(canonical, |(_, value)| value))
        }));
        let length =
            self.path.len() + params.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
        if length > MAX_URL_LENGTH {
            return bad_request(format!(
                "the URL of this query would have {length} bytes, and Graph refuses URLs of more than about \
                {MAX_URL_LENGTH}; {}",
                if options.ids.is_some() {
                    "use fewer options.ids, or track the whole collection"
                } else {
                    "shorten options.query or options.filter"
                }
            ));
        }
        let page_size_by = self.resource.map_or(PageSize::Fixed, |resource| resource.page_size);
        let mailbox = mailbox(&self.path).to_owned();
        let is_event = self.resource.is_some_and(|resource| resource.name == "event");
        Ok(Query {
            min_page_size: if is_event { MIN_EVENTS_PAGE_SIZE } else { MIN_PAGE_SIZE },
            workload,
            mailbox,
            masters_path: self.calendar.map(|calendar| calendar + "/events/").filter(|_| !options.feed),
            window: options.window,
            page_size: options.page_size.or(options.top).filter(|_| page_size_by != PageSize::Fixed),
            page_size_by,
            resource: self.resource,
            path: self.path,
            params,
            canonical_in_0_1_0: Some(as_given).filter(|other| *other != canonical),
            canonical,
            prefer: self.prefer,
            headers: self.headers,
            key_prefer: self.key_prefer,
            minimal: self.minimal || self.resource.is_some_and(|resource| resource.sends_partial_items),
            lists_all: !lists_part && self.resource.is_none_or(|resource| resource.lists_all),
            has_full_rounds,
            refresh: if has_full_rounds { refresh } else { None },
            has_mirror: !options.feed,
            name: options.name,
        })
    }
}

/// The parameters as they stand in a key, by name and value.
fn canonical_form<'a>(params: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let params: Vec<String> = params
        .map(|(name, value)| format!("{}={}", encode(&name.to_ascii_lowercase()), encode(value)))
        .collect();
    sorted(&params).join("&")
}

fn id_filter(ids: &[String]) -> String {
    let equal: Vec<String> = ids.iter().map(|id| format!("id eq '{}'", id.replace('\'', "''"))).collect();
    equal.join(" or ")
}

/// Sorted, without duplicates.
fn sorted(texts: &[String]) -> Vec<String> {
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// The mailbox that an Outlook path belongs to: `me`, or an id.
fn mailbox(path: &str) -> &str {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", me, ..] if me.eq_ignore_ascii_case("me") => me,
        ["", "admin", _, _, id, ..] | ["", _, id, ..] => id,
        _ => "",
    }
}

pub(super) fn too_long<T>(options: &str, days: i64) -> Result<T> {
    bad_request(format!(
        "{options} must be at most {MAX_WINDOW_DAYS} days apart, which is Graph's limit for a calendar view, got \
        {days} days; take a shorter window or several queries"
    ))
}

pub(super) fn instant(option: &str, text: &str) -> Result<Instant> {
    match parse_iso(text) {
        Some(instant) => Ok(instant),
        None => bad_request(format!(
            "{option} must be an ISO 8601 date such as \"2026-11-21T00:00:00Z\", or a Date, got {}",
            quote(text)
        )),
    }
}

/// Whether a string is printable ASCII and not empty.
pub(super) fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Whether two names mean the same parameter, like `$top` and `top`, or `startdatetime` and
/// `startDateTime`.
pub(super) fn same_parameter(one: &str, other: &str) -> bool {
    one.trim_start_matches('$').eq_ignore_ascii_case(other.trim_start_matches('$'))
}

/// The preferences of a `Prefer` value: a comma separates them, except in quotes.
fn preferences(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    value
        .split(move |character| {
            is_quoted ^= character == '"';
            character == ',' && !is_quoted
        })
        .map(str::trim)
        .filter(|preference| !preference.is_empty())
}

/// Whether a preference is `return=minimal`, in any spelling that HTTP allows.
fn is_minimal(preference: &str) -> bool {
    preference.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("return")
            && value.trim().trim_matches('"').eq_ignore_ascii_case("minimal")
    })
}
