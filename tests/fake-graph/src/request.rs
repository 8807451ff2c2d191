//! Reads a request: its query parameters, its preferences, and the owner of the data. Refuses
//! everything that Graph refuses.

use crate::clock::{self, ZoneOffset};
use crate::http::Request;
use crate::options::Options;
use crate::response::Failure;
use crate::route::{Collection, Route};
use crate::text::{self, Param};
use crate::world::{Caller, World, is_token_name};
use std::collections::BTreeSet;

const DAY: i64 = 86_400_000;

/// The query of a stream of rounds. Its links contain the whole query, for example the window
/// (graph-facts 1.3).
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) collection: Collection,
    pub(crate) owner: String,
    pub(crate) link_path: String,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) ids: Option<BTreeSet<String>>,
    pub(crate) window: Option<(i64, i64)>,
    pub(crate) after: Option<i64>,
    pub(crate) before: Option<i64>,
    pub(crate) change_type: Option<String>,
    pub(crate) is_newest_first: bool,
    pub(crate) top: Option<u64>,
}

/// The `Prefer` header of a request. Links do not contain it (graph-facts 2.1 point 8).
#[derive(Debug, Clone, Default)]
pub(crate) struct Preferences {
    pub(crate) max_page: Option<u64>,
    pub(crate) minimal: bool,
    pub(crate) immutable: bool,
    pub(crate) zone: Option<String>,
}

impl Preferences {
    pub(crate) fn read(request: &Request) -> Self {
        let mut preferences = Self::default();
        for (name, value) in text::prefer(request.all("prefer")) {
            match name.as_str() {
                "odata.maxpagesize" => preferences.max_page = value.parse().ok().filter(|n| *n > 0),
                "return" => preferences.minimal = value.eq_ignore_ascii_case("minimal"),
                "idtype" => preferences.immutable = value.eq_ignore_ascii_case("ImmutableId"),
                "outlook.timezone" => preferences.zone = Some(value),
                _ => {}
            }
        }
        preferences
    }

    /// The value of `Preference-Applied` (graph-facts 2.3).
    pub(crate) fn applied(&self, collection: Option<Collection>, options: &Options) -> Vec<String> {
        let mut out = Vec::new();
        let Some(collection) = collection else { return out };
        if collection.is_outlook() {
            out.push("odata.track-changes".to_owned());
            if let Some(n) = self.max_page.filter(|_| options.honour_maxpagesize) {
                out.push(format!("odata.maxpagesize={n}"));
            }
            if let Some(zone) = &self.zone {
                out.push(format!("outlook.timezone=\"{zone}\""));
            }
            if self.immutable {
                out.push("IdType=\"ImmutableId\"".to_owned());
            }
        } else if collection.is_directory() {
            out.push("odata.track-changes".to_owned());
            if self.minimal {
                out.push("return=minimal".to_owned());
            }
        }
        out
    }
}

impl World {
    /// The owner of the requested data, if the caller may read it.
    pub(crate) fn owner(&mut self, caller: &Caller, route: &Route) -> Result<String, Failure> {
        if !route.is_personal {
            return Ok(String::new());
        }
        let user = match &route.user {
            None if caller.is_app => {
                return Err(Failure::new(
                    400,
                    "BadRequest",
                    "/me request is only valid with delegated authentication flow.",
                ));
            }
            None => caller.user.clone(),
            Some(id) => {
                let missing = || {
                    Failure::new(404, "Request_ResourceNotFound", format!("Resource '{id}' does not exist."))
                };
                self.find_user(id).ok_or_else(missing)?
            }
        };
        match route.collection {
            Some(Collection::Recordings) => return self.organizer(caller, route, &user),
            _ if !caller.is_app && user != caller.user => {
                return Err(Failure::new(
                    403,
                    "ErrorAccessDenied",
                    "Access is denied. Check credentials and try again.",
                ));
            }
            _ => {}
        }
        match (route.collection, &route.part) {
            (Some(Collection::Events), part) => {
                let calendar = part.as_deref().unwrap_or("");
                if !calendar.is_empty() && !self.parts.contains(&format!("{user}|{calendar}")) {
                    return Err(Failure::new(
                        404,
                        "ErrorItemNotFound",
                        "The specified object was not found in the store.",
                    ));
                }
                Ok(format!("{user}|{calendar}"))
            }
            (Some(Collection::Messages), Some(folder)) => {
                if !self.parts.contains(&format!("folder|{}", folder.to_ascii_lowercase()))
                    && !self.parts.contains(&format!("{user}|{folder}"))
                {
                    return Err(Failure::new(
                        404,
                        "ErrorSyncFolderNotFound",
                        "The specified folder could not be found in the store.",
                    ));
                }
                Ok(format!("{user}|{}", folder.to_ascii_lowercase()))
            }
            _ => Ok(user),
        }
    }

    /// The organizer of recordings, which only an app may read (graph-facts 1.1).
    pub(crate) fn organizer(
        &mut self,
        caller: &Caller,
        route: &Route,
        user: &str,
    ) -> Result<String, Failure> {
        if !caller.is_app {
            return Err(Failure::new(
                403,
                "Authorization_RequestDenied",
                "Insufficient privileges: application permissions are needed.",
            ));
        }
        let organizer = route
            .arguments
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case("meetingOrganizerUserId"))
            .map(|(_, v)| v.clone());
        let Some(organizer) = organizer.filter(|o| !o.is_empty()) else {
            return Err(Failure::new(400, "BadRequest", "The parameter meetingOrganizerUserId is required."));
        };
        let missing = || {
            Failure::new(404, "Request_ResourceNotFound", format!("Resource '{organizer}' does not exist."))
        };
        let found = self.find_user(&organizer).ok_or_else(missing)?;
        if self.options.organizer_must_match && found != user {
            return Err(Failure::new(
                403,
                "Authorization_RequestDenied",
                "The organizer is not the user of the request.",
            ));
        }
        Ok(found)
    }

    /// The query of a request without a link.
    pub(crate) fn spec(
        &self,
        route: &Route,
        owner: String,
        params: &[Param],
        preferences: &Preferences,
    ) -> Result<Spec, Failure> {
        let Some(collection) = route.collection else {
            return Err(Failure::unexpected(400, "BadRequest", "No collection."));
        };
        let mut spec = Spec {
            collection,
            owner,
            link_path: route.link_path.clone(),
            select: None,
            ids: None,
            window: None,
            after: None,
            before: None,
            change_type: None,
            is_newest_first: false,
            top: None,
        };
        let (mut start, mut end) = (None, None);
        for param in params {
            let name = param.name.to_ascii_lowercase();
            if is_token_name(Some(collection), &name) {
                continue;
            }
            let value = param.value.trim();
            match (collection, name.as_str()) {
                (Collection::Events, "startdatetime") => start = Some(param),
                (Collection::Events, "enddatetime") => end = Some(param),
                (Collection::Events, "$top") => return Err(top_refused("CalendarView")),
                (Collection::Events, "$select" | "$expand" | "$filter" | "$orderby" | "$search") => {
                    return Err(Failure::new(
                        400,
                        "ErrorInvalidUrlQuery",
                        "The following parameters are not supported with change tracking over the 'CalendarView' resource: \
                         '$orderby, $filter, $select, $expand, $search'.",
                    ));
                }
                (c, "$select") if c != Collection::Recordings => {
                    spec.select = Some(select(collection, value)?)
                }
                (c, "$filter") if c.is_directory() => spec.ids = Some(id_filter(value)?),
                (c, "$top" | "$expand" | "$orderby" | "$search") if c.is_directory() => {
                    return Err(Failure::new(
                        400,
                        "Request_UnsupportedQuery",
                        format!("The query parameter {} is not supported for delta.", param.name),
                    ));
                }
                (Collection::Recordings | Collection::Drive | Collection::Messages, "$top") => {
                    let invalid =
                        || Failure::new(400, "BadRequest", format!("Invalid value '{value}' for $top."));
                    spec.top = Some(value.parse().ok().filter(|n| *n > 0).ok_or_else(invalid)?);
                }
                (Collection::Drive | Collection::Messages, "$expand") => {}
                (Collection::Messages, "changetype") => spec.change_type = Some(value.to_ascii_lowercase()),
                (Collection::Messages, "$orderby")
                    if value.to_ascii_lowercase().starts_with("receiveddatetime desc") =>
                {
                    spec.is_newest_first = true
                }
                (Collection::Messages, "$filter") => {
                    let words: Vec<&str> = value.split_whitespace().collect();
                    let at = match words.as_slice() {
                        [name, "ge" | "gt", date] if name.eq_ignore_ascii_case("receivedDateTime") => {
                            clock::parse(date)
                        }
                        _ => None,
                    };
                    let invalid = || {
                        Failure::new(
                            400,
                            "ErrorInvalidUrlQuery",
                            "The filter is not supported with change tracking over the 'Messages' resource.",
                        )
                    };
                    spec.after = Some(at.ok_or_else(invalid)?);
                }
                _ => {
                    let code = if collection.is_outlook() { "ErrorInvalidUrlQuery" } else { "BadRequest" };
                    return Err(Failure::unexpected(
                        400,
                        code,
                        format!("The query parameter '{}' is not supported.", param.name),
                    ));
                }
            }
        }
        if collection == Collection::Events {
            spec.window = Some(window(start, end)?);
        }
        if collection.is_outlook() {
            check_zone(preferences, self.zone_offset)?;
        }
        if collection == Collection::Recordings {
            for (name, value) in &route.arguments {
                let date = || {
                    clock::parse(value).ok_or_else(|| {
                        Failure::new(400, "BadRequest", format!("Invalid date '{value}' for {name}."))
                    })
                };
                match name.to_ascii_lowercase().as_str() {
                    "meetingorganizeruserid" => {}
                    "startdatetime" => spec.after = Some(date()?),
                    "enddatetime" => spec.before = Some(date()?),
                    _ => {
                        return Err(Failure::unexpected(
                            400,
                            "BadRequest",
                            format!("getAllRecordings has no parameter {name}."),
                        ));
                    }
                }
            }
        }
        Ok(spec)
    }
}

/// Checks the preferred time zone.
pub(crate) fn check_zone(preferences: &Preferences, zone_offset: ZoneOffset) -> Result<(), Failure> {
    match &preferences.zone {
        Some(zone) if zone_offset(zone, 0).is_none() => Err(Failure::new(
            400,
            "ErrorInvalidParameter",
            format!("The time zone '{zone}' is not supported."),
        )),
        _ => Ok(()),
    }
}

pub(crate) fn top_refused(resource: &str) -> Failure {
    let message = format!(
        "The '$top' parameter is not supported with change tracking over the '{resource}' resource as page size cannot be guaranteed. \
         Express page size preferences using the Prefer: odata.maxpagesize= header instead."
    );
    Failure::new(400, "ErrorInvalidUrlQuery", message)
}

/// The window of a calendarView: both dates, ISO 8601, at most 1825 days (graph-facts 1.3).
pub(crate) fn window(start: Option<&Param>, end: Option<&Param>) -> Result<(i64, i64), Failure> {
    let (Some(start), Some(end)) = (start, end) else {
        return Err(Failure::new(
            400,
            "ErrorInvalidParameter",
            "This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.",
        ));
    };
    // A raw `+` of an offset has become a space, so the date is invalid.
    let date = |p: &Param| {
        clock::parse(&p.value).ok_or_else(|| {
            Failure::new(
                400,
                "ErrorInvalidParameter",
                format!("The value '{}' of parameter '{}' is invalid.", p.value, p.name),
            )
        })
    };
    let (from, to) = (date(start)?, date(end)?);
    if to < from {
        return Err(Failure::new(
            400,
            "ErrorInvalidParameter",
            "The end of the time window lies before its start.",
        ));
    }
    if to - from > 1825 * DAY {
        return Err(Failure::new(
            400,
            "ErrorInvalidRequest",
            "Your request can't be completed. The range between the start and end dates is greater than the allowed range. Maximum number of days: 1825",
        ));
    }
    Ok((from, to))
}

pub(crate) fn select(collection: Collection, value: &str) -> Result<Vec<String>, Failure> {
    const OUTSIDE_MAIN_STORE: [&str; 8] =
        ["skills", "aboutMe", "birthday", "hireDate", "interests", "mySite", "responsibilities", "schools"];
    let names: Vec<String> =
        value.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
    // Properties outside the main store cannot be tracked (graph-facts 4, 501).
    if collection == Collection::Users && names.iter().any(|n| OUTSIDE_MAIN_STORE.contains(&n.as_str())) {
        return Err(Failure::new(501, "NotImplemented", "This operation target is not yet supported."));
    }
    Ok(names)
}

/// `id eq 'x' or id eq 'y'`, at most 50 (graph-facts 1.2).
pub(crate) fn id_filter(value: &str) -> Result<BTreeSet<String>, Failure> {
    let refuse = |reason: &str| Failure::new(400, "Request_UnsupportedQuery", reason.to_owned());
    let mut ids = BTreeSet::new();
    for clause in value.trim().split(" or ") {
        let words: Vec<&str> = clause.split_whitespace().collect();
        let id = match words.as_slice() {
            [name, "eq", id] if name.eq_ignore_ascii_case("id") => {
                id.strip_prefix('\'').and_then(|i| i.strip_suffix('\''))
            }
            _ => None,
        };
        ids.insert(
            id.ok_or_else(|| refuse("Only filters on id with eq and or are supported for delta."))?
                .to_owned(),
        );
    }
    // Graph does not document what happens for 51 ids. The fake Graph refuses them.
    if ids.len() > 50 {
        return Err(refuse("Too many ids in the filter: at most 50 are allowed."));
    }
    Ok(ids)
}
