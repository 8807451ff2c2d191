//! The switches of a world: every open point of the facts is one, so that tests can run both ways.

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
    /// Where a change made while a round is being paged shows up (graph-facts 2.2, 7 anomaly 9).
    DuringRound {
        /// Only in the next round; pages show the collection as it was when the round began.
        NextRound = "next-round",
        /// At the end of the same round, and not again.
        LaterInRound = "later-in-round",
        /// At the end of the same round and again in the next.
        Both = "both",
        /// Pages show the present content; the change is listed again in the next round.
        Live = "live",
    }
);
choice!(
    /// What is repeated (graph-facts 2.2, 7 anomaly 14).
    Duplicates {
        /// Nothing.
        None = "none",
        /// The first item of a page once more at its end.
        Page = "page",
        /// The last item of a page once more at the head of the next.
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
        /// `delta?(token='…')`, printed in the docs.
        Broken = "broken",
    }
);

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $ty:ty = $default:expr),+ $(,)?) => {
        /// The switches of a world. All can be changed while it lives.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Options { $($(#[$doc])* pub $name: $ty),+ }
        impl Default for Options {
            fn default() -> Self {
                Self { $($name: $default),+ }
            }
        }
        impl Options {
            /// All switches as a JSON object.
            pub fn to_json(&self) -> Value {
                let mut map = Map::new();
                $(map.insert(stringify!($name).to_owned(), self.$name.write());)+
                Value::Object(map)
            }
            /// Takes over the members of an object; an unknown name or a value of the wrong kind
            /// changes nothing.
            pub fn patch(&mut self, patch: &Value) -> Result<(), String> {
                let mut next = self.clone();
                let map = patch.as_object().ok_or("options are an object")?;
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
    /// Items per page where nothing else is asked for.
    page_size: u64 = 10,
    /// Heed `Prefer: odata.maxpagesize` (a wish: graph-facts 2.3).
    honour_maxpagesize: bool = true,
    /// The most that a client may ask for in a page.
    maxpagesize_cap: u64 = 1000,
    /// So many items more than asked for (graph-facts 7 anomaly 6).
    page_overshoot: u64 = 0,
    /// Wait before every answer.
    latency_ms: u64 = 0,
    /// Bandwidth of every answer.
    bytes_per_second: Option<u64> = None,
    /// Leave connections open. Off, since browsers ask again by themselves when a connection they
    /// had used before is closed without an answer, and then the fault `network` would go unseen.
    keep_alive: bool = false,
    /// `Retry-After` in `Access-Control-Expose-Headers` (graph-facts 2.8).
    expose_retry_after: bool = true,
    /// Send `Access-Control-Expose-Headers` at all.
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
    /// A deleted single occurrence gives no sign (graph-facts 1.3).
    silent_occurrence_delete: bool = false,
    /// An empty calendar takes two requests (graph-facts 2.1 point 4).
    empty_calendar_two_requests: bool = true,
    /// Dates repeated on a link are ignored (graph-facts 1.3); `false` refuses them.
    ignore_repeated_dates: bool = true,
    /// So many empty pages with a nextLink before every further page (graph-facts 2.1 point 3).
    empty_pages: u64 = 0,
    /// So many empty pages before the first one of a round with an id filter (graph-facts 2.1 point
    /// 3).
    filter_empty_pages: u64 = 1,
    /// The deltaLink comes on an empty page of its own.
    trailing_empty_page: bool = false,
    /// What is repeated.
    duplicates: Duplicates = Duplicates::None,
    /// Shuffle the items of a round (graph-facts 2.2).
    reorder: bool = false,
    /// Where changes made during a round show up.
    changes_during_round: DuringRound = DuringRound::NextRound,
    /// How many generations of Outlook links stay valid, per stream; none = all (graph-facts 2.6,
    /// about 4).
    generations: Option<u64> = None,
    /// Lifetime of access tokens made from now on; none = for ever.
    token_lifetime_ms: Option<u64> = None,
    /// Lifetime of directory links in days (graph-facts 2.6 class A).
    directory_token_days: u64 = 7,
    /// Status of an expired directory link, 400 or 410 (graph-facts 8 point 8).
    directory_expired: u64 = 400,
    /// Status of a token text the service never gave out, for the kinds where no source names it.
    invalid_token_status: u64 = 400,
    /// Leave `id` out where `$select` does not name it (graph-facts 1.2: the docs' own examples).
    omit_unselected_id: bool = false,
    /// Soft-deleted directory objects come as `@removed` in a full round too (graph-facts 2.2).
    removed_in_full: bool = false,
    /// Members in one slice of `members@delta` (graph-facts 2.2).
    members_slice: u64 = 20,
    /// Older recordings come again in incremental rounds (known issue 22934, graph-facts 1.1).
    older_artifacts: bool = false,
    /// With `$top` the nextLink of recordings may be missing (known issue 22931, graph-facts 1.1).
    top_drops_next_link: bool = false,
    /// The organizer has to be the user of the path.
    organizer_must_match: bool = false,
    /// nextLinks carry `$deltatoken` and deltaLinks `$skiptoken` (graph-facts 2.4).
    swap_token_names: bool = false,
    /// Spelling of drive links.
    drive_link: DriveLink = DriveLink::Query,
    /// The `deleted` facet of drive items is `{}` and not `{"state":"deleted"}` (graph-facts 2.2).
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
