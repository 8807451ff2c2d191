//! The properties of a rule and of each fault.

use crate::fields::{COUNT, Kind, Properties};

const STATUS: Kind = Kind::Whole(200, 599);
const AT_LEAST_ONE: Kind = Kind::Whole(1, u64::MAX);

/// The properties that every fault has.
pub(crate) const COMMON: &Properties =
    &[("name", Kind::Text), ("label", Kind::Text), ("until_new_token", Kind::Boolean)];

/// The requests that a rule matches.
pub(crate) const MATCH: &Properties = &[
    ("collection", Kind::Text),
    ("kind", Kind::Text),
    ("skip", COUNT),
    ("url", Kind::Text),
    ("page_size_over", COUNT),
    ("percent", Kind::Whole(0, 100)),
];

/// The properties of a fault, without the common ones.
pub(crate) fn of(name: &str) -> &'static Properties {
    match name {
        "status" => &[
            ("status", STATUS),
            ("code", Kind::Text),
            ("inner", Kind::Text),
            ("message", Kind::Text),
            ("headers", Kind::Headers),
            ("retry_after_date_in_s", COUNT),
            ("body", Kind::Text),
        ],
        "reset" => &[("spelling", Kind::Whole(1, 16)), ("location", Kind::TextOrBoolean)],
        "claims" => &[("claims", Kind::TextOrObject), ("status", STATUS)],
        "cut" | "items_without_id" => &[("n", COUNT)],
        "slow" => &[("bytes_per_second", AT_LEAST_ONE), ("delay_ms", COUNT)],
        "delay" => &[("ms", COUNT)],
        "html" => &[("status", STATUS)],
        "redirect" => &[("location", Kind::Text), ("status", STATUS)],
        "livelock" => &[("cycle", AT_LEAST_ONE)],
        "foreign_link" | "relative_link" => &[("link", Kind::Text), ("origin", Kind::Text)],
        "error_in_200" => &[("code", Kind::Text), ("message", Kind::Text)],
        "poisoned" => &[("status", STATUS), ("code", Kind::Text)],
        _ => &[],
    }
}
