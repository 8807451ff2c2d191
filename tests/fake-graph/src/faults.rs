//! Faults on demand: a queue of rules. Each rule matches some requests and applies a fault to them.

use crate::clock;
use crate::fault_fields;
use crate::fields;
use crate::http::{Request, Response};
use crate::page::Page;
use crate::response::{AUTHORIZATION, Failure, json_headers};
use crate::rng::mix;
use crate::route::{Collection, Route};
use crate::text::base64;
use crate::world::{LogEntry, State, World};
use serde_json::{Map, Value, json};

/// The names of all faults.
pub const NAMES: [&str; 28] = [
    "status",
    "reset",
    "claims",
    "unauthorized",
    "network",
    "hang",
    "cut",
    "html",
    "empty503",
    "neither_link",
    "both_links",
    "no_value",
    "value_null",
    "value_object",
    "items_without_id",
    "same_link",
    "livelock",
    "foreign_link",
    "relative_link",
    "redirect",
    "bad_request_with_good_body",
    "error_in_200",
    "poisoned",
    "slow",
    "not_json",
    "empty_page",
    "wrong_type",
    "delay",
];

/// The kinds of requests that a rule can match.
const KINDS: [&str; 7] = ["initial", "next", "delta", "item", "subscription", "any", "preflight"];

/// Whether a fault alters a good page. The others replace the response.
pub(crate) fn alters_page(name: &str) -> bool {
    matches!(
        name,
        "cut"
            | "neither_link"
            | "both_links"
            | "no_value"
            | "value_null"
            | "value_object"
            | "items_without_id"
            | "same_link"
            | "livelock"
            | "foreign_link"
            | "relative_link"
            | "bad_request_with_good_body"
            | "slow"
            | "not_json"
            | "empty_page"
            | "wrong_type"
            | "delay"
    )
}

/// A rule of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: u64,
    collection: Option<Collection>,
    kind: String,
    skip: u64,
    url: Option<String>,
    page_size_over: Option<u64>,
    /// The percentage of matching requests to act on. The id of the rule determines which ones.
    percent: Option<u64>,
    /// How often to act. `None` means always.
    times: Option<u64>,
    pub(crate) name: String,
    pub(crate) args: Map<String, Value>,
    /// If set, acts only on requests with access tokens made before the rule.
    pub(crate) tokens_before: Option<u64>,
    seen: u64,
    pub(crate) applied: u64,
    /// The page to which a livelock returns.
    pub(crate) anchor: Option<crate::world::State>,
}

/// The properties of a request that a rule compares.
pub(crate) struct RequestProperties<'a> {
    pub(crate) collection: Option<Collection>,
    pub(crate) kind: &'a str,
    pub(crate) url: &'a str,
    pub(crate) page_size: Option<u64>,
    pub(crate) token_serial: u64,
}

impl Rule {
    pub(crate) fn read(value: &Value, id: u64, serial: u64) -> Result<Self, String> {
        let map = value.as_object().ok_or("a fault rule must be an object")?;
        if let Some(key) = map.keys().find(|k| !matches!(k.as_str(), "match" | "times" | "fault")) {
            return Err(format!("a fault rule has no property {key}: it has match, times, fault"));
        }
        let empty = Map::new();
        let matches = match map.get("match") {
            None | Some(Value::Null) => &empty,
            Some(matches) => matches.as_object().ok_or("match must be an object")?,
        };
        fields::check("match", matches, fault_fields::MATCH)?;
        let collection = match matches.get("collection") {
            None | Some(Value::Null) => None,
            Some(name) => Some(
                name.as_str()
                    .and_then(Collection::named)
                    .ok_or_else(|| Collection::unknown(name.as_str().unwrap_or_default()))?,
            ),
        };
        let kind = matches.get("kind").and_then(Value::as_str).unwrap_or("any").to_owned();
        if !KINDS.contains(&kind.as_str()) {
            return Err(format!("there is no kind of requests {kind:?}: the kinds are {}", KINDS.join(", ")));
        }
        let (name, args) = match map.get("fault") {
            Some(Value::String(name)) => (name.clone(), Map::new()),
            Some(Value::Object(args)) => {
                (args.get("name").and_then(Value::as_str).unwrap_or("").to_owned(), args.clone())
            }
            _ => return Err("a fault rule must have a fault".to_owned()),
        };
        if !NAMES.contains(&name.as_str()) {
            return Err(format!("there is no fault {name:?}: the faults are {}", NAMES.join(", ")));
        }
        let properties = [fault_fields::of(&name), fault_fields::COMMON].concat();
        fields::check(&format!("the fault {name}"), &args, &properties)?;
        let times = match map.get("times") {
            None => Some(1),
            Some(Value::Null) => None,
            Some(n) => Some(n.as_u64().ok_or("times must be a number or null")?),
        };
        let tokens_before =
            args.get("until_new_token").and_then(Value::as_bool).unwrap_or(false).then_some(serial);
        Ok(Self {
            id,
            collection,
            kind,
            skip: matches.get("skip").and_then(Value::as_u64).unwrap_or(0),
            url: matches.get("url").and_then(Value::as_str).map(str::to_owned),
            page_size_over: matches.get("page_size_over").and_then(Value::as_u64),
            percent: matches.get("percent").and_then(Value::as_u64),
            times,
            name,
            args,
            tokens_before,
            seen: 0,
            applied: 0,
            anchor: None,
        })
    }

    /// Counts a matching request. Returns whether the rule acts on it.
    pub(crate) fn acts_on(&mut self, request: &RequestProperties<'_>) -> bool {
        let kind = match self.kind.as_str() {
            "any" => request.kind != "preflight",
            kind => kind == request.kind,
        };
        let fits = kind
            && self.collection.is_none_or(|c| request.collection == Some(c))
            && self.url.as_deref().is_none_or(|u| request.url.contains(u))
            && self.page_size_over.is_none_or(|n| request.page_size.is_none_or(|s| s > n))
            && self.tokens_before.is_none_or(|n| request.token_serial <= n);
        if !fits {
            return false;
        }
        self.seen += 1;
        let is_drawn = self.percent.is_none_or(|percent| mix(self.id << 32 ^ self.seen) % 100 < percent);
        is_drawn && self.seen > self.skip && self.times.is_none_or(|n| self.applied < n)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "match": {
                "collection": self.collection.map(Collection::name), "kind": self.kind, "skip": self.skip,
                "url": self.url,
                "page_size_over": self.page_size_over, "percent": self.percent,
            },
            "times": self.times,
            "fault": self.args_with_name(),
            "seen": self.seen,
            "applied": self.applied,
        })
    }

    fn args_with_name(&self) -> Value {
        let mut args = self.args.clone();
        args.insert("name".to_owned(), self.name.clone().into());
        Value::Object(args)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.args.get(name).and_then(Value::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.args.get(name).and_then(Value::as_u64)
    }
}

/// A reset signal of the service: status, outer code, inner code, message, and whether it has a
/// `Location`.
pub(crate) struct Reset {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) inner: Option<&'static str>,
    pub(crate) message: &'static str,
    pub(crate) has_location: bool,
}

const GENERATION: &str =
    "The sync state generation is not found; generation=605;[highest=841][841][839][840].";
const GONE: &str = "The sync state is not found.";
const RESYNC: &str =
    "Resync required. Replace any local items with the server's version (including deletes).";

/// The rows of graph-facts 4 that require a full round, counted from 1.
pub(crate) const RESETS: [Reset; 16] = [
    Reset { status: 410, code: "SyncStateNotFound", inner: None, message: GENERATION, has_location: false },
    Reset { status: 410, code: "syncStateNotFound", inner: None, message: GONE, has_location: false },
    Reset { status: 400, code: "syncStateNotFound", inner: None, message: GONE, has_location: false },
    Reset { status: 404, code: "syncStateNotFound", inner: None, message: GONE, has_location: false },
    Reset { status: 410, code: "Gone", inner: None, message: "The tenant was moved.", has_location: true },
    Reset {
        status: 410,
        code: "resyncRequired",
        inner: Some("resyncChangesApplyDifferences"),
        message: RESYNC,
        has_location: true,
    },
    Reset {
        status: 410,
        code: "resyncRequired",
        inner: Some("resyncChangesUploadDifferences"),
        message: RESYNC,
        has_location: true,
    },
    Reset { status: 410, code: "resyncApplyDifferences", inner: None, message: RESYNC, has_location: false },
    Reset { status: 410, code: "resyncUploadDifferences", inner: None, message: RESYNC, has_location: false },
    Reset { status: 410, code: "SyncStateInvalid", inner: None, message: GONE, has_location: false },
    Reset { status: 410, code: "ResyncRequired", inner: None, message: RESYNC, has_location: false },
    Reset {
        status: 400,
        code: "InvalidDeltaToken",
        inner: None,
        message: "The value '...' of parameter '$deltaToken' is invalid.",
        has_location: false,
    },
    Reset {
        status: 400,
        code: "BadRequest",
        inner: None,
        message: "Parameter 'DeltaToken' not supported for this request.",
        has_location: false,
    },
    Reset {
        status: 400,
        code: "BadRequest",
        inner: Some("SYNCSTATENOTFOUND"),
        message: "",
        has_location: false,
    },
    Reset { status: 410, code: "", inner: None, message: "", has_location: false },
    Reset {
        status: 400,
        code: "Directory_ExpiredPageToken",
        inner: None,
        message: "The specified page token value has expired and can no longer be included in your request.",
        has_location: false,
    },
];

/// The code of an error whose rule names none (Graph's page "Microsoft Graph error responses and
/// resource types").
fn default_code(status: u16) -> &'static str {
    match status {
        400 => "invalidRequest",
        401 => "unauthenticated",
        403 => "accessDenied",
        404 => "itemNotFound",
        429 => "activityLimitReached",
        501 => "notSupported",
        _ => "serviceNotAvailable",
    }
}

impl World {
    pub(crate) fn fault_response(
        &mut self,
        request: &Request,
        found: Option<&Route>,
        token: Option<&str>,
        fault: &Rule,
        now: u64,
    ) -> Response {
        let status = fault.number("status").and_then(|s| u16::try_from(s).ok());
        let mut failure = Failure::new(
            status.unwrap_or(503),
            fault.text("code").unwrap_or_else(|| default_code(status.unwrap_or(503))),
            fault.text("message").unwrap_or("Injected."),
        );
        failure.inner = fault.text("inner").map(str::to_owned);
        if let Some(Value::Object(headers)) = fault.args.get("headers") {
            for (name, value) in headers {
                // `Retry-After` is an integer, a fraction or a date (graph-facts 5).
                failure
                    .headers
                    .push((name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            }
        }
        if let Some(seconds) = fault.number("retry_after_date_in_s") {
            let at = i64::try_from(now + seconds * 1000).unwrap_or(0);
            failure.headers.push(("Retry-After".to_owned(), clock::http(at)));
        }
        match fault.name.as_str() {
            "network" => return Response { status: 0, ..Response::default() },
            "hang" => return Response { status: 0, hang: true, ..Response::default() },
            "empty503" => return self.finish(request, 503, failure.headers, String::new(), now),
            "html" => {
                let mut headers = vec![("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned())];
                headers.extend(failure.headers);
                let body = "<!DOCTYPE html><html><head><title>Service</title></head><body><h1>Our services aren't available right now</h1></body></html>";
                return self.finish(request, status.unwrap_or(200), headers, body.to_owned(), now);
            }
            "redirect" => {
                let to = fault.text("location").unwrap_or("http://127.0.0.1:9/elsewhere").to_owned();
                let headers = vec![("Location".to_owned(), to)];
                return self.finish(request, status.unwrap_or(302), headers, String::new(), now);
            }
            "claims" => {
                // The challenge of continuous access evaluation (graph-facts 6).
                let claims = match fault.args.get("claims") {
                    Some(Value::String(raw)) => raw.clone(),
                    Some(value) => base64(value.to_string().as_bytes()),
                    None => base64(br#"{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}"#),
                };
                failure.status = status.unwrap_or(401);
                failure.code = fault.text("code").unwrap_or("InvalidAuthenticationToken").to_owned();
                failure.message = "Continuous access evaluation resulted in challenge.".to_owned();
                let value = format!(
                    "Bearer realm=\"\", authorization_uri=\"{AUTHORIZATION}\", error=\"insufficient_claims\", claims=\"{claims}\""
                );
                failure.headers.push(("WWW-Authenticate".to_owned(), value));
            }
            "unauthorized" => {
                failure.status = 401;
                failure.code = "InvalidAuthenticationToken".to_owned();
                failure.message = "Lifetime validation failed, the token is expired.".to_owned();
                let value = format!("Bearer realm=\"\", authorization_uri=\"{AUTHORIZATION}\"");
                failure.headers.push(("WWW-Authenticate".to_owned(), value));
            }
            "reset" => {
                let spelling = fault.number("spelling").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
                if let Some(reset) = RESETS.get(spelling.saturating_sub(1)) {
                    failure.status = status.unwrap_or(reset.status);
                    failure.code = reset.code.to_owned();
                    failure.inner = reset.inner.map(str::to_owned);
                    failure.message = reset.message.to_owned();
                    let new_link = found.map(|r| {
                        format!(
                            "{}{}?{}=",
                            self.root,
                            r.link_path,
                            if r.collection == Some(Collection::Drive) { "token" } else { "$deltatoken" }
                        )
                    });
                    match fault.args.get("location") {
                        Some(Value::String(to)) => failure.headers.push(("Location".to_owned(), to.clone())),
                        Some(Value::Bool(false)) => {}
                        other => {
                            if let Some(new_link) = new_link.filter(|_| reset.has_location || other.is_some())
                            {
                                failure.headers.push(("Location".to_owned(), new_link));
                            }
                        }
                    }
                    if reset.code.is_empty() {
                        return self.finish(request, failure.status, failure.headers, String::new(), now);
                    }
                }
            }
            "poisoned" => {
                // From now on the service refuses this link, which it has sent (graph-facts 2.4).
                failure.status = status.unwrap_or(500);
                if let Some(token) = token.and_then(|t| self.issued_links.get_mut(t)) {
                    token.poison = Some((failure.status, failure.code.clone()));
                }
            }
            "error_in_200" => failure.status = 200,
            _ => {}
        }
        let mut response = self.failure(request, &failure, now);
        if let Some(body) = fault.text("body") {
            response.body = body.as_bytes().to_vec();
        }
        response
    }

    pub(crate) fn altered_page(
        &mut self,
        request: &Request,
        mut page: Page,
        at: usize,
        fault: &Rule,
        now: u64,
        entry: &mut LogEntry,
    ) -> Response {
        entry.items = page.value.len();
        let count = fault.number("n").and_then(|n| usize::try_from(n).ok());
        let mut status = 200;
        match fault.name.as_str() {
            "neither_link" => (page.next, page.delta) = (None, None),
            "both_links" => {
                let link = self.mint(page.stream, page.here, page.next.is_none(), now);
                if page.next.is_none() { page.next = link } else { page.delta = link }
            }
            "same_link" => {
                let origin = self.root.strip_suffix(&self.root_path).unwrap_or("");
                page.next = Some(format!("{origin}{}", request.url));
                page.delta = None;
            }
            "livelock" => {
                // Pages repeat with the same ids, each with a different nextLink (graph-facts 7
                // anomaly 1). After `cycle` pages the link leads back to the page at which the rule
                // began.
                let cycle = fault.number("cycle").unwrap_or(1).max(1);
                // The link must not lead into another round: that round would end in its deltaLink,
                // and the rest of this round would never be listed.
                let round =
                    |state: &State| if let State::Page { round, .. } = state { Some(*round) } else { None };
                let anchor =
                    fault.anchor.filter(|anchor| round(anchor) == round(&page.here)).unwrap_or(page.here);
                if let Some(rule) = self.rules.get_mut(at) {
                    rule.anchor = Some(anchor);
                }
                if (fault.applied + 1).is_multiple_of(cycle) || page.next.is_none() {
                    page.next = self.mint(page.stream, anchor, true, now);
                    page.delta = None;
                }
            }
            "foreign_link" | "relative_link" => {
                let origin = self.root.strip_suffix(&self.root_path).unwrap_or("").to_owned();
                let change = |link: String| match (fault.text("link"), fault.text("origin")) {
                    (Some(whole), _) => whole.to_owned(),
                    (None, Some(other)) => link.replacen(&origin, other, 1),
                    (None, None) if fault.name == "relative_link" => link.replacen(&origin, "", 1),
                    (None, None) => link.replacen(&origin, "https://graph.microsoft.example", 1),
                };
                page.next = page.next.map(change);
                page.delta = page.delta.map(change);
            }
            "items_without_id" => {
                for item in page.value.iter_mut().take(count.unwrap_or(usize::MAX)) {
                    item.remove("id");
                }
            }
            "empty_page" => page.value.clear(),
            "bad_request_with_good_body" => status = 400,
            "no_value" | "value_null" | "value_object" | "wrong_type" => {
                page.value_fault = Some(fault.name.clone())
            }
            _ => {}
        }
        let mut body = page.text();
        if fault.name == "not_json" {
            body.insert(1, '\u{202F}');
            body.insert_str(1, "// not JSON");
        }
        let mut response = self.finish(request, status, json_headers(), body, now);
        match fault.name.as_str() {
            "cut" => response.cut_after = Some(count.unwrap_or(response.body.len() / 2)),
            "slow" => {
                response.bytes_per_second = Some(fault.number("bytes_per_second").unwrap_or(2000));
                response.delay_ms = fault.number("delay_ms").unwrap_or(0);
            }
            "delay" => response.delay_ms = fault.number("ms").unwrap_or(1000),
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn the_readme_names_every_option_and_every_fault() {
        let readme = include_str!("../README.md");
        let options = Options::default().to_json();
        let names = options.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
        for name in names.chain(NAMES) {
            assert!(readme.contains(&format!("`{name}`")), "{name}");
        }
        for n in 1..=RESETS.len() {
            assert!(readme.contains(&n.to_string()));
        }
    }
}
