//! Faults on demand: a queue of rules, each with what it matches, how often, and what it does.

use crate::rng::mix;
use crate::route::Collection;
use serde_json::{Map, Value, json};

/// Every fault there is.
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

/// Those that only change a good page; the others answer in its place.
pub(crate) fn shapes_a_page(name: &str) -> bool {
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

/// One rule of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: u64,
    collection: Option<Collection>,
    kind: String,
    skip: u64,
    url: Option<String>,
    page_size_over: Option<u64>,
    /// Of the requests that it fits, how many in a hundred; which ones depends on the rule's
    /// number.
    percent: Option<u64>,
    /// How often; none is for ever.
    times: Option<u64>,
    pub(crate) name: String,
    pub(crate) args: Map<String, Value>,
    /// Only for access tokens made before the rule.
    pub(crate) tokens_before: Option<u64>,
    seen: u64,
    pub(crate) applied: u64,
    /// The livelock's place of return.
    pub(crate) anchor: Option<crate::world::State>,
}

/// What a rule looks at.
pub(crate) struct Seen<'a> {
    pub(crate) collection: Option<Collection>,
    pub(crate) kind: &'a str,
    pub(crate) url: &'a str,
    pub(crate) page_size: Option<u64>,
    pub(crate) token_serial: u64,
}

impl Rule {
    pub(crate) fn read(value: &Value, id: u64, serial: u64) -> Result<Self, String> {
        let map = value.as_object().ok_or("a fault rule is an object")?;
        if let Some(key) = map.keys().find(|k| !matches!(k.as_str(), "match" | "times" | "fault")) {
            return Err(format!("a fault rule has no member {key}"));
        }
        let empty = Map::new();
        let matches = map.get("match").and_then(Value::as_object).unwrap_or(&empty);
        if let Some(key) = matches.keys().find(|k| {
            !matches!(k.as_str(), "collection" | "kind" | "skip" | "url" | "page_size_over" | "percent")
        }) {
            return Err(format!("match has no member {key}"));
        }
        let collection = match matches.get("collection") {
            None | Some(Value::Null) => None,
            Some(name) => Some(
                name.as_str()
                    .and_then(Collection::named)
                    .ok_or_else(|| format!("there is no collection {name}"))?,
            ),
        };
        let kind = matches.get("kind").and_then(Value::as_str).unwrap_or("any").to_owned();
        if !matches!(kind.as_str(), "initial" | "next" | "delta" | "item" | "any" | "preflight") {
            return Err(format!("there is no kind {kind}"));
        }
        let (name, args) = match map.get("fault") {
            Some(Value::String(name)) => (name.clone(), Map::new()),
            Some(Value::Object(args)) => {
                (args.get("name").and_then(Value::as_str).unwrap_or("").to_owned(), args.clone())
            }
            _ => return Err("a rule needs a fault".to_owned()),
        };
        if !NAMES.contains(&name.as_str()) {
            return Err(format!("there is no fault {name:?}"));
        }
        let times = match map.get("times") {
            None => Some(1),
            Some(Value::Null) => None,
            Some(n) => Some(n.as_u64().ok_or("times is a number or null")?),
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

    /// Whether the rule is to act on this request; counts what it has seen.
    pub(crate) fn wants(&mut self, seen: &Seen<'_>) -> bool {
        let kind = match self.kind.as_str() {
            "any" => seen.kind != "preflight",
            kind => kind == seen.kind,
        };
        let fits = kind
            && self.collection.is_none_or(|c| seen.collection == Some(c))
            && self.url.as_deref().is_none_or(|u| seen.url.contains(u))
            && self.page_size_over.is_none_or(|n| seen.page_size.is_none_or(|s| s > n))
            && self.tokens_before.is_none_or(|n| seen.token_serial <= n);
        if !fits {
            return false;
        }
        self.seen += 1;
        let drawn = self.percent.is_none_or(|percent| mix(self.id << 32 ^ self.seen) % 100 < percent);
        drawn && self.seen > self.skip && self.times.is_none_or(|n| self.applied < n)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "match": {
                "collection": self.collection.map(Collection::name), "kind": self.kind, "skip": self.skip, "url": self.url,
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

/// A way in which the service says "begin again": status, outer code, inner code, message, and
/// whether a Location comes with it.
pub(crate) struct Reset {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) inner: Option<&'static str>,
    pub(crate) message: &'static str,
    pub(crate) location: bool,
}

const GENERATION: &str =
    "The sync state generation is not found; generation=605;[highest=841][841][839][840].";
const GONE: &str = "The sync state is not found.";
const RESYNC: &str =
    "Resync required. Replace any local items with the server's version (including deletes).";

/// The rows of graph-facts 4 that mean a full round, counted from 1.
pub(crate) const RESETS: [Reset; 15] = [
    Reset { status: 410, code: "SyncStateNotFound", inner: None, message: GENERATION, location: false },
    Reset { status: 410, code: "syncStateNotFound", inner: None, message: GONE, location: false },
    Reset { status: 400, code: "syncStateNotFound", inner: None, message: GONE, location: false },
    Reset { status: 404, code: "syncStateNotFound", inner: None, message: GONE, location: false },
    Reset { status: 410, code: "Gone", inner: None, message: "The tenant was moved.", location: true },
    Reset {
        status: 410,
        code: "resyncRequired",
        inner: Some("resyncChangesApplyDifferences"),
        message: RESYNC,
        location: true,
    },
    Reset {
        status: 410,
        code: "resyncRequired",
        inner: Some("resyncChangesUploadDifferences"),
        message: RESYNC,
        location: true,
    },
    Reset { status: 410, code: "resyncApplyDifferences", inner: None, message: RESYNC, location: false },
    Reset { status: 410, code: "resyncUploadDifferences", inner: None, message: RESYNC, location: false },
    Reset { status: 410, code: "SyncStateInvalid", inner: None, message: GONE, location: false },
    Reset { status: 410, code: "ResyncRequired", inner: None, message: RESYNC, location: false },
    Reset {
        status: 400,
        code: "InvalidDeltaToken",
        inner: None,
        message: "The value '...' of parameter '$deltaToken' is invalid.",
        location: false,
    },
    Reset {
        status: 400,
        code: "BadRequest",
        inner: None,
        message: "Parameter 'DeltaToken' not supported for this request.",
        location: false,
    },
    Reset { status: 400, code: "BadRequest", inner: Some("SYNCSTATENOTFOUND"), message: "", location: false },
    Reset { status: 410, code: "", inner: None, message: "", location: false },
];

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
