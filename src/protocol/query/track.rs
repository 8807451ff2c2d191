//! Checks the path and the options of `track()`.

use super::builder::{QueryBuilder, same_parameter};
use super::options::Options;
use super::{Query, is_invalid};
use crate::protocol::error::{Result, bad_request};
use crate::protocol::rate::Workload;
use crate::protocol::redact::quote_path;
use crate::protocol::resource::{self, IdFilter, PageSize};

/// Checks the path and the options of `track()`.
pub fn track(path: &str, options: Options) -> Result<Query> {
    let invalid_path = |why: &str| {
        bad_request(format!(
            "path must be a delta resource below the root, such as \"/users/delta\": {why}, got {}",
            quote_path(path)
        ))
    };
    if !path.starts_with('/') || path.starts_with("//") {
        return invalid_path("it must begin with one slash");
    }
    let lower = path.to_ascii_lowercase();
    if ["/v1.0/", "/beta/"].iter().any(|version| lower.starts_with(version)) {
        return invalid_path("the version belongs to options.endpoint");
    }
    // Graph's own samples write `/contacts/delta/?$filter=…`.
    let [path, lower] = [path, lower.as_str()].map(|path| path.strip_suffix('/').unwrap_or(path));
    if path.contains("//") {
        return invalid_path("one of its segments is empty, so an id is missing");
    }
    if is_invalid(path, &['?', '#', '\\', ' ']) {
        return invalid_path("parameters go into the options, and spaces and backslashes are not allowed");
    }
    let last = lower.rsplit('/').next().unwrap_or_default();
    let function = last.strip_prefix("microsoft.graph.").unwrap_or(last);
    if function != "delta" && !function.starts_with("delta(") {
        return invalid_path("it must end with /delta");
    }
    let resource = resource::find(path);
    let name = resource.map_or("this resource", |resource| resource.name);
    let given = |parameter: &str| options.query.iter().any(|(given, _)| same_parameter(given, parameter));
    if name == "event" && !(given("startDateTime") && given("endDateTime")) {
        return bad_request(
            "a calendar view needs a start and an end; use events({ start, end }), or give \
            startDateTime and endDateTime in options.query",
        );
    }
    if lower.contains("onlinemeetings/getall") && !lower.contains("meetingorganizeruserid=") {
        return match name {
            "callRecording" => {
                bad_request("call recordings need the meeting organizer; use callRecordings({ organizer })")
            }
            "callTranscript" => bad_request(
                "call transcripts need the meeting organizer: write \
                getAllTranscripts(meetingOrganizerUserId='{id}') into the path",
            ),
            _ => invalid_path("the meeting organizer is missing"),
        };
    }
    if let Some(resource) = resource {
        let refuse = |option: &str, instead: &str| {
            bad_request(format!("options.{option} is refused by Graph on {name}: {instead}"))
        };
        let send = |option: &str| {
            format!("leave it out, or send it unchecked by options.query: {{ \"${option}\": … }}")
        };
        let mut given_options: Vec<&str> = options.odata_options.iter().map(|(option, _)| *option).collect();
        if options.select.is_some() {
            given_options.push("select");
        }
        if options.top.is_some() {
            given_options.push("top");
        }
        if let Some(option) = given_options.iter().find(|option| !resource.query_options.contains(option)) {
            let is_page_size = *option == "top" && resource.page_size == PageSize::Prefer;
            return refuse(option, &if is_page_size { "use options.pageSize".into() } else { send(option) });
        }
        if options.ids.is_some() && resource.id_filter == IdFilter::None {
            return refuse("ids", "it has no id filter; leave it out");
        }
        if options.minimal && !resource.minimal {
            return refuse(
                "minimal",
                "return=minimal works on users, groups, orgContacts and directoryObjects only; leave it out",
            );
        }
        if options.page_size.is_some() && resource.page_size != PageSize::Prefer {
            return refuse(
                "pageSize",
                if resource.page_size == PageSize::Top {
                    "use options.top"
                } else {
                    "Graph chooses its page size; leave it out"
                },
            );
        }
        if options.immutable_ids && resource.workload != Workload::Outlook {
            return refuse("immutableIds", "only Outlook has immutable ids; leave it out");
        }
        if options.time_zone.is_some() && !resource.time_zone {
            return refuse("timeZone", "only events have it; leave it out");
        }
        if options.exclude_parents && name != "driveItem" {
            return refuse("excludeParents", "only items of drives have parents to exclude; leave it out");
        }
        if options.shared_folders && name != "driveItem" {
            return refuse("sharedFolders", "only drives have shared folders; leave it out");
        }
        if name == "chatMessage" && options.top.is_some_and(|top| top > 50) {
            return refuse("top", "its maximum is 50");
        }
    }
    if options.ids.is_some() && options.odata_options.iter().any(|(option, _)| *option == "filter") {
        return bad_request(
            "options.ids and options.filter make one $filter; write the ids into options.filter",
        );
    }
    let mut builder = QueryBuilder::new(resource, path.to_owned());
    if name == "event" {
        // The path before `calendarView/delta`.
        let segments: Vec<&str> = path.split('/').collect();
        builder.calendar = segments
            .split_last()
            .and_then(|(_, rest)| rest.split_last())
            .map(|(_, calendar)| calendar.join("/"));
    }
    builder.finish(options)
}
