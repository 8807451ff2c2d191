//! From options to the first URL, the Prefer header and the key.
//!
//! 1. What Graph rejects is refused here, with the way out; `query` sends it all the same.
//! 2. Values are percent-encoded, above all the `+` of an offset: Graph reads a bare one as a
//!    space.
//! 3. The key holds what shapes the answers: account, root, path, query in canonical form, id type,
//!    time zone, further preferences, name (invariant 12). The page size and `minimal` may change
//!    from round to round and are not in it.
//! 4. No `Content-Type`: the event page calls it required on a GET, but there is no body to have
//!    one, and in a browser it would only be one more header for the preflight to ask about
//!    (graph-facts 1.3).

use super::change::{Dialect, ItemFormat};
use super::endpoint::Endpoint;
use super::error::{Code, Error, Result};
use super::rate::Workload;
use super::resource::Resource;
use super::time::Duration;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

mod options;

pub use options::{LONGEST_WINDOW, MOST_IDS, Options, call_recordings, events, org_contacts, track};

/// A query, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The kind, if Graph documents it.
    pub resource: Option<&'static Resource>,
    /// The path below the root, and behind it the parameters, encoded.
    path_and_query: String,
    /// The parameters in canonical form, for the key.
    canonical: String,
    /// The Prefer values, one header, in this order.
    pub prefer: Vec<String>,
    /// The Prefer values that shape what is stored, for the key.
    key_prefer: Vec<String>,
    /// Whether `return=minimal` is asked for.
    pub minimal: bool,
    /// Whether a round from the query lists everything; one from `latest` or from a timestamp does
    /// not.
    pub full: bool,
    /// Whether what a full round does not list is gone. Not so where Graph lists a part only.
    pub lists_all: bool,
    /// The age of a mirror at which the next round is a full one.
    pub refresh: Option<Duration>,
    /// Whether the items are kept.
    pub mirror: bool,
    /// Events: below this path, with the id behind it, a series master is asked for by itself.
    pub masters: Option<String>,
    /// A window that moves with the days: how far it reaches back and ahead, and the time zone.
    /// [`Self::url`] is told where it is.
    pub window: Option<(u32, u32, String)>,
    /// `odata.maxpagesize`, where the kind has it: as configured, or Graph's own.
    pub page_size: Option<u32>,
    /// The smallest page that is asked for where larger ones fail.
    pub min_page_size: u32,
    /// Whose limits count its requests.
    pub workload: Workload,
    /// What shares them.
    pub scope: String,
    name: Option<String>,
}

impl Query {
    /// The first URL of a full round; of a rolling window, with where it is now, `start/end`.
    pub fn url(&self, endpoint: &Endpoint, window: Option<&str>) -> String {
        let mut url = endpoint.root() + &self.path_and_query;
        if let Some((start, end)) =
            window.filter(|_| self.window.is_some()).and_then(|window| window.split_once('/'))
        {
            let params = [("startDateTime=", start), ("&endDateTime=", end)];
            url.push(if self.path_and_query.contains('?') { '&' } else { '?' });
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

    /// The values of the Prefer header, with another page size than the configured one if there is
    /// one.
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
    pub fn item_format(&self) -> ItemFormat {
        ItemFormat {
            dialect: self.dialect(),
            minimal: self.minimal,
            slices: self.resource.is_none_or(|resource| resource.slices),
        }
    }

    /// The name under which the state is stored, to be read by people too.
    pub fn key(&self, account: &str, endpoint: &Endpoint) -> String {
        let mut key = key_prefix(account);
        key += &endpoint.root();
        key += " | ";
        key += self.path_and_query.split('?').next().unwrap_or_default();
        if !self.canonical.is_empty() {
            key += " | ";
            key += &self.canonical;
        }
        for value in &self.key_prefer {
            // A preference that reads like another part of the key is told apart from it.
            let is_ambiguous = value == "feed"
                || value.starts_with("name=")
                || value.starts_with('$')
                || value.contains('&');
            key += if is_ambiguous { " | prefer " } else { " | " };
            key += &escape_key_part(value);
        }
        if let Some(name) = &self.name {
            key += " | name=";
            key += &escape_key_part(name);
        }
        if !self.mirror {
            key += " | feed";
        }
        key
    }

    /// The name under which is stored until when Graph throttles its scope.
    pub fn throttle_key(&self, account: &str, endpoint: &Endpoint) -> String {
        format!("{}{} | not before | {}", key_prefix(account), endpoint.root(), escape_key_part(&self.scope))
    }

    /// How removals are told.
    pub fn dialect(&self) -> Dialect {
        self.resource.map(|resource| resource.dialect).unwrap_or_default()
    }
}

/// What the keys of an account begin with.
pub fn key_prefix(account: &str) -> String {
    format!("{} | ", escape_key_part(account))
}

/// A part of a key without what parts the keys.
fn escape_key_part(text: &str) -> String {
    text.replace('%', "%25").replace('|', "%7C")
}

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'*')
    .remove(b'=');

/// What stays as it is in a query parameter. Above all not `+`: Graph reads a bare one as a space.
const PARAMETER: &AsciiSet =
    &SEGMENT.add(b'=').remove(b':').remove(b',').remove(b'/').remove(b'(').remove(b')');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, PARAMETER).to_string()
}

/// An id as a segment of a path.
fn segment(option: &str, id: &str) -> Result<String> {
    if is_invalid(id, &[]) || id.bytes().all(|byte| byte == b'.') {
        let words = format!("{option} must be an id, got {id:?}");
        return Err(Error::new(Code::BadRequest, words));
    }
    Ok(utf8_percent_encode(id, SEGMENT).to_string())
}

/// Whether a string is empty, or holds a control character or one of `others`.
fn is_invalid(text: &str, others: &[char]) -> bool {
    text.is_empty() || text.contains(others) || text.contains(char::is_control)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
