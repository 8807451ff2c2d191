//! The options of a world. Every uncertain fact about the service is an option, so that tests can
//! run with both variants.

use serde_json::{Map, Value};

trait Setting: Sized {
    fn read(value: &Value) -> Option<Self>;
    fn write(&self) -> Value;
}

impl Setting for bool {
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
    fn write(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Setting for u64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_u64()
    }
    fn write(&self) -> Value {
        Value::from(*self)
    }
}

impl Setting for Option<u64> {
    fn read(value: &Value) -> Option<Self> {
        if value.is_null() { Some(None) } else { value.as_u64().map(Some) }
    }
    fn write(&self) -> Value {
        self.map_or(Value::Null, Value::from)
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl Setting for $name {
            fn read(value: &Value) -> Option<Self> {
                match value.as_str()? { $($text => Some(Self::$variant),)+ _ => None }
            }
            fn write(&self) -> Value {
                Value::from(match self { $(Self::$variant => $text),+ })
            }
        }
    };
}

choice!(
    /// When a change that is made during a round is listed (graph-facts 2.2, 7 anomaly 9).
    DuringRound {
        /// Only in the next round. Pages show the collection at the start of the round.
        NextRound = "next-round",
        /// At the end of the same round, and not again.
        LaterInRound = "later-in-round",
        /// At the end of the same round and again in the next.
        Both = "both",
        /// Pages show the current content. The change is listed again in the next round.
        Live = "live",
    }
);
choice!(
    /// Which items are repeated (graph-facts 2.2, 7 anomaly 14).
    Duplicates {
        /// Nothing.
        None = "none",
        /// The first item of a page, again at its end.
        Page = "page",
        /// The last item of a page, again at the start of the next page.
        Pages = "pages",
        /// Both.
        Both = "both",
    }
);
choice!(
    /// The spelling of a drive link (graph-facts 2.4).
    DriveLink {
        /// `delta?token=…`
        Query = "query",
        /// `delta(token='…')`
        Path = "path",
        /// `delta(token=…)`
        Unquoted = "unquoted",
        /// `delta?(token='…')`, as in the documentation.
        Broken = "broken",
    }
);

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $default:expr),+ $(,)?) => {
        /// The options of a world. All can be changed at any time.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Options { $($(#[$doc])* pub $name: $ty),+ }
        impl Default for Options {
            fn default() -> Self {
                Self { $($name: $default),+ }
            }
        }
        impl Options {
            /// All options as a JSON object.
            pub fn to_json(&self) -> Value {
                let mut map = Map::new();
                $(map.insert(stringify!($name).to_owned(), self.$name.write());)+
                Value::Object(map)
            }
            /// Sets the options of an object. An unknown name or a value of the wrong type changes
            /// nothing.
            pub fn patch(&mut self, patch: &Value) -> Result<(), String> {
                let mut next = self.clone();
                let map = patch.as_object().ok_or("options must be an object")?;
                for (key, value) in map {
                    let wrong = || format!("option {key}: {value} is not allowed");
                    match key.as_str() {
                        $(stringify!($name) => {
                            next.$name = <$ty as Setting>::read(value).ok_or_else(wrong)?;
                        })+
                        _ => return Err(format!("there is no option {key}")),
                    }
                }
                *self = next;
                Ok(())
            }
        }
    };
}

options! {
    /// Items per page if the request does not specify a size.
    page_size: u64 = 10,
    /// Obey `Prefer: odata.maxpagesize`, which is only a preference (graph-facts 2.3).
    honour_maxpagesize: bool = true,
    /// The largest page size.
    maxpagesize_cap: u64 = 1000,
    /// Items by which a page exceeds the requested size (graph-facts 7 anomaly 6).
    page_overshoot: u64 = 0,
    /// The wait before every response, in milliseconds.
    latency_ms: u64 = 0,
    /// The bandwidth of every response.
    bytes_per_second: Option<u64> = None,
    /// Keep connections open. Off by default, because browsers repeat a request if a reused
    /// connection closes without a response, which would hide the fault `network`.
    keep_alive: bool = false,
    /// `Retry-After` in `Access-Control-Expose-Headers` (graph-facts 2.8).
    expose_retry_after: bool = true,
    /// Send `Access-Control-Expose-Headers`.
    expose_headers: bool = true,
    /// `@odata.context` in bodies (missing from many: graph-facts 2.5).
    odata_context: bool = true,
    /// Leave series masters out of incremental rounds (graph-facts 1.3).
    withhold_masters: bool = true,
    /// Leave series masters out of full rounds too.
    withhold_masters_full: bool = false,
    /// `@removed` for events outside the window that were added, changed or deleted (graph-facts
    /// 1.3, 7 anomaly 8).
    outside_window_removals: bool = true,
    /// Do not report a deleted single occurrence (graph-facts 1.3).
    silent_occurrence_delete: bool = false,
    /// A round of an empty calendar has two pages (graph-facts 2.1 point 4).
    empty_calendar_two_requests: bool = true,
    /// Ignore dates that are repeated on a link (graph-facts 1.3); `false` refuses them.
    ignore_repeated_dates: bool = true,
    /// Empty pages with a nextLink before every further page (graph-facts 2.1 point 3).
    empty_pages: u64 = 0,
    /// Empty pages before the first page of a round with an id filter (graph-facts 2.1 point 3).
    filter_empty_pages: u64 = 1,
    /// Send the deltaLink on an additional empty page.
    trailing_empty_page: bool = false,
    /// Which items are repeated.
    duplicates: Duplicates = Duplicates::None,
    /// Shuffle the items of a round (graph-facts 2.2).
    reorder: bool = false,
    /// When a change that is made during a round is listed.
    changes_during_round: DuringRound = DuringRound::NextRound,
    /// The number of generations of Outlook links that stay valid per stream, about 4 in practice;
    /// `null` for all (graph-facts 2.6).
    generations: Option<u64> = None,
    /// Lifetime of new access tokens; `null` for unlimited.
    token_lifetime_ms: Option<u64> = None,
    /// Lifetime of directory links in days (graph-facts 2.6 class A).
    directory_token_days: u64 = 7,
    /// Status of an expired directory link, 400 or 410 (graph-facts 8 point 8).
    directory_expired: u64 = 400,
    /// Status for a link token that the service never sent, for kinds without a documented one.
    invalid_token_status: u64 = 400,
    /// Omit `id` if `$select` does not name it (graph-facts 1.2: examples of the documentation).
    omit_unselected_id: bool = false,
    /// List soft-deleted directory objects as `@removed` in full rounds too (graph-facts 2.2).
    removed_in_full: bool = false,
    /// Members in one slice of `members@delta` (graph-facts 2.2).
    members_slice: u64 = 20,
    /// List older recordings again in incremental rounds (known issue 22934, graph-facts 1.1).
    older_artifacts: bool = false,
    /// With `$top` the nextLink of recordings may be missing (known issue 22931, graph-facts 1.1).
    top_drops_next_link: bool = false,
    /// Require that the organizer is the user of the path.
    organizer_must_match: bool = false,
    /// Use `$deltatoken` in nextLinks and `$skiptoken` in deltaLinks (graph-facts 2.4).
    swap_token_names: bool = false,
    /// Spelling of drive links.
    drive_link: DriveLink = DriveLink::Query,
    /// The `deleted` facet of drive items is `{}` instead of `{"state":"deleted"}` (graph-facts
    /// 2.2).
    empty_deleted_facet: bool = false,
    /// Booleans of messages as strings (graph-facts 7 anomaly 13).
    string_booleans: bool = false,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_option_changes_nothing() {
        let mut options = Options::default();
        assert!(options.patch(&json!({"page_size": 3, "colour": 1})).is_err());
        assert!(options.patch(&json!({"page_size": "3"})).is_err());
        assert_eq!(options, Options::default());
        options.patch(&json!({"page_size": 3, "changes_during_round": "both", "generations": 4})).unwrap();
        assert_eq!(options.page_size, 3);
        let again = options.to_json();
        options.patch(&again).unwrap();
        assert_eq!(options.to_json(), again);
    }
}
