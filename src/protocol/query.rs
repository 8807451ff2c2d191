//! A query: its first URL, its Prefer header and its key.
//!
//! 1. Options that Graph would reject are rejected here, with advice. Of the parameters in
//!    `options.query` only the names, the dates of a calendar view and a token for Outlook are
//!    checked.
//! 2. Values are percent-encoded, above all the `+` of a time offset: Graph reads a bare `+` as a
//!    space.
//! 3. The key contains everything that determines the results: account, root, path, query in
//!    canonical form, id type, time zone, further preferences and name (invariant 12 of
//!    CONTRIBUTING.md). The page size and `minimal` may change from round to round and are not part
//!    of it.
//! 4. No `Content-Type`. Graph's documentation of events requires it on a GET, but a GET has no
//!    body, and in a browser the header would have to pass the preflight (graph-facts 1.3).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::change::{Dialect, ItemFormat};
use super::endpoint::Endpoint;
use super::error::{Code, Error, Result};
use super::identity::Identity;
use super::rate::Workload;
use super::redact::quote;
use super::resource::{PageSize, Resource};
use super::time::Duration;

mod builder;
mod calls;
mod options;
mod track;

pub use builder::{MAX_IDS, MAX_WINDOW_DAYS};
pub use calls::{call_recordings, events, org_contacts};
pub use options::Options;
pub use track::track;

/// A query that can be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The kind of resource, if Graph documents it.
    pub resource: Option<&'static Resource>,
    /// The path below the root.
    path: String,
    /// The parameters as they are sent, encoded: name and value.
    params: Vec<(String, String)>,
    /// The parameters in canonical form, for the key.
    canonical: String,
    /// The parameters as 0.1.0 wrote them into the key, if it wrote them in another form.
    canonical_in_0_1_0: Option<String>,
    /// The Prefer values, sent as one header in this order.
    pub prefer: Vec<String>,
    /// The Prefer values that affect the stored data; they are part of the key.
    key_prefer: Vec<String>,
    /// Further headers of its requests.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Whether its items contain only the properties that have changed: `return=minimal` is
    /// requested, or Graph always sends this kind in this way.
    pub minimal: bool,
    /// Whether a round that begins at the query itself is a full one. False for a query that starts
    /// from a token, `latest` or a timestamp.
    pub has_full_rounds: bool,
    /// Whether an item that a full round does not list is gone. False where Graph lists only a part
    /// of the items.
    pub lists_all: bool,
    /// The age of a mirror at which the next round is a full one.
    pub refresh: Option<Duration>,
    /// Whether the items are stored.
    pub has_mirror: bool,
    /// Events: the path under which a series master is requested by its id.
    pub masters_path: Option<String>,
    /// A window that moves with the days: days back, days ahead, time zone. [`Self::url`] receives
    /// the window of the round.
    pub window: Option<(u32, u32, String)>,
    /// The page size that the caller asks for, by `odata.maxpagesize` or `$top`.
    pub page_size: Option<u32>,
    /// How the page size is requested.
    pub page_size_by: PageSize,
    /// The smallest page size to fall back to where larger pages fail.
    pub min_page_size: u32,
    /// The workload whose limits apply to its requests.
    pub workload: Workload,
    /// Outlook: the mailbox in the path, whose limits apply.
    mailbox: String,
    name: Option<String>,
}

/// The `$top` of a first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// The configured one, if there is one.
    AsConfigured,
    /// No `$top`.
    Absent,
    /// This number.
    Size(u32),
}

fn is_top(name: &str) -> bool {
    name.trim_start_matches('$').eq_ignore_ascii_case("top")
}

impl Query {
    /// The first URL of a full round. A rolling window is given as `start/end`.
    pub fn url(&self, endpoint: &Endpoint, window: Option<&str>) -> String {
        self.url_with_top(endpoint, window, Top::AsConfigured)
    }

    /// The first URL of a full round, with this `$top`.
    pub fn url_with_top(&self, endpoint: &Endpoint, window: Option<&str>, top: Top) -> String {
        let is_kept = |name: &str| top == Top::AsConfigured || !is_top(name);
        let mut params: Vec<String> = self
            .params
            .iter()
            .filter(|(name, _)| is_kept(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if let Top::Size(size) = top {
            params.push(format!("$top={size}"));
        }
        if let Some((start, end)) =
            window.filter(|_| self.window.is_some()).and_then(|window| window.split_once('/'))
        {
            params.push(format!("startDateTime={}", encode(start)));
            params.push(format!("endDateTime={}", encode(end)));
        }
        let separator = if params.is_empty() { "" } else { "?" };
        format!("{}{}{separator}{}", endpoint.root(), self.path, params.join("&"))
    }

    /// The path below the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the first request has a `$top`.
    pub fn has_top(&self) -> bool {
        self.params.iter().any(|(name, _)| is_top(name))
    }

    /// Refuses a kind that the cloud of this endpoint does not have.
    pub fn check_cloud(&self, endpoint: &Endpoint) -> Result<()> {
        match self.resource {
            Some(resource) if resource.global_only && endpoint.is_national_cloud() => {
                let message = format!(
                    "{} has a delta query in the global cloud only; options.cloud or options.endpoint names \
                    {}",
                    resource.name,
                    endpoint.origin()
                );
                Err(Error::new(Code::NotSupported, message))
            }
            _ => Ok(()),
        }
    }

    /// The URL of one series master. `None` if the kind has no masters, or if the id cannot be part
    /// of a path.
    pub fn master(&self, endpoint: &Endpoint, id: &str) -> Option<String> {
        let path = self.masters_path.as_ref()?;
        Some(format!("{}{path}{}", endpoint.root(), segment("", id).ok()?))
    }

    /// The values of the Prefer header. `page_size` replaces the configured page size.
    pub fn prefer(&self, page_size: Option<u32>) -> Vec<String> {
        const SIZE: &str = "odata.maxpagesize=";
        let mut values = self.prefer.clone();
        if let Some(size) =
            page_size.filter(|size| self.page_size_by == PageSize::Prefer && Some(*size) != self.page_size)
        {
            values.retain(|value| !value.starts_with(SIZE));
            values.push(format!("{SIZE}{size}"));
        }
        values
    }

    /// How its items are parsed.
    pub fn item_format(&self) -> ItemFormat {
        ItemFormat {
            dialect: self.dialect(),
            minimal: self.minimal,
            slices: self.resource.is_none_or(|resource| resource.slices),
            never_whole: self.resource.is_some_and(|resource| resource.sends_partial_items),
        }
    }

    /// The name under which the state is stored. People read it too, in developer tools.
    pub fn key(&self, account: &str, endpoint: &Endpoint) -> String {
        let mut key = key_prefix(account);
        key += &endpoint.root();
        key += " | ";
        key += &self.path;
        if !self.canonical.is_empty() {
            key += " | ";
            key += &self.canonical;
        }
        for value in &self.key_prefer {
            // Distinguishes a preference from another part of the key that reads the same.
            let is_ambiguous = value == "feed"
                || (self.canonical.is_empty() && reads_as_parameter(value))
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
        if !self.has_mirror {
            key += " | feed";
        }
        key
    }

    /// The key under which 0.1.0 stored this query, if it is another one.
    pub fn key_in_0_1_0(&self, account: &str, endpoint: &Endpoint) -> Option<String> {
        let canonical = self.canonical_in_0_1_0.clone()?;
        Some(Self { canonical, ..self.clone() }.key(account, endpoint))
    }

    /// The name under which the throttle time of its scope is stored.
    pub fn throttle_key(&self, account: &str, endpoint: &Endpoint, identity: &Identity) -> String {
        let scope = self.scope(account, identity);
        format!("{}{} | not before | {}", key_prefix(account), endpoint.root(), escape_key_part(&scope))
    }

    /// The scope of the limits that apply to its requests, for a client with this account and a
    /// token of this identity.
    pub fn scope(&self, account: &str, identity: &Identity) -> String {
        self.workload.scope(identity.mailbox(&self.mailbox, account))
    }

    /// Whether names are unique within a folder, as in drives, so that the mirror must keep them
    /// unique too.
    pub fn has_unique_names(&self) -> bool {
        self.has_mirror && self.resource.is_some_and(|resource| resource.name == "driveItem")
    }

    /// How its kind marks removals.
    pub fn dialect(&self) -> Dialect {
        self.resource.map(|resource| resource.dialect).unwrap_or_default()
    }
}

/// Whether a preference reads like a parameter in a key: a name in lower case, and a value as
/// [`encode`] writes it.
fn reads_as_parameter(preference: &str) -> bool {
    preference.split_once('=').is_some_and(|(name, value)| {
        let is_encoded =
            |text: &str| percent_decode_str(text).decode_utf8().is_ok_and(|raw| encode(&raw) == text);
        name == name.to_ascii_lowercase() && is_encoded(name) && is_encoded(value)
    })
}

/// The common prefix of all keys of an account.
pub fn key_prefix(account: &str) -> String {
    format!("{} | ", escape_key_part(account))
}

/// Returns a short hash of a key (FNV-1a), which names it in a log: the key contains the account.
pub fn key_hash(key: &str) -> String {
    let hash =
        key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// Escapes `|`, which separates the parts of a key, and `%`.
fn escape_key_part(text: &str) -> String {
    text.replace('%', "%25").replace('|', "%7C")
}

/// The ASCII characters that are encoded in a path segment: all except letters, digits and those
/// removed here.
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

/// The ASCII characters that are encoded in a query parameter. `+` is one of them: Graph reads a
/// bare `+` as a space.
const PARAMETER: &AsciiSet =
    &SEGMENT.add(b'=').remove(b':').remove(b',').remove(b'/').remove(b'(').remove(b')');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, PARAMETER).to_string()
}

/// Encodes an id as a path segment.
fn segment(option: &str, id: &str) -> Result<String> {
    if is_invalid(id, &[]) || id.bytes().all(|byte| byte == b'.') {
        let message = format!("{option} must be an id, got {}", quote(id));
        return Err(Error::new(Code::BadRequest, message));
    }
    Ok(utf8_percent_encode(id, SEGMENT).to_string())
}

/// Whether a string is empty, or contains a control character or one of `others`.
fn is_invalid(text: &str, others: &[char]) -> bool {
    text.is_empty() || text.contains(others) || text.contains(char::is_control)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests;
