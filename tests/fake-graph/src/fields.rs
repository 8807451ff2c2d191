//! Checks the properties of rules and edits, so that a wrong name or value is an error and not
//! ignored.

use serde_json::{Map, Value};

/// What the value of a property must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Boolean,
    /// A whole number with a least and a greatest value.
    Whole(u64, u64),
    Object,
    /// Whether a header is sent, or its value.
    TextOrBoolean,
    TextOrObject,
    /// An object whose values are strings or numbers.
    Headers,
}

/// A whole number of at least 0.
pub(crate) const COUNT: Kind = Kind::Whole(0, u64::MAX);

/// The properties of an object: their names and values.
pub(crate) type Properties = [(&'static str, Kind)];

impl Kind {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Boolean => value.is_boolean(),
            Self::Whole(least, most) => value.as_u64().is_some_and(|n| (least..=most).contains(&n)),
            Self::Object => value.is_object(),
            Self::TextOrBoolean => value.is_string() || value.is_boolean(),
            Self::TextOrObject => value.is_string() || value.is_object(),
            Self::Headers => value
                .as_object()
                .is_some_and(|headers| headers.values().all(|v| v.is_string() || v.is_number())),
        }
    }

    fn description(self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Whole(0, u64::MAX) => "a whole number".to_owned(),
            Self::Whole(least, u64::MAX) => format!("a whole number of at least {least}"),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Object => "an object".to_owned(),
            Self::TextOrBoolean => "a string, true or false".to_owned(),
            Self::TextOrObject => "a string or an object".to_owned(),
            Self::Headers => "an object of strings and numbers".to_owned(),
        }
    }
}

/// Returns an error that names the first property of `given` that is unknown or has a wrong value,
/// and the known properties. A value null counts as missing.
pub(crate) fn check(what: &str, given: &Map<String, Value>, known: &Properties) -> Result<(), String> {
    let has = || match known {
        [] => "it has none".to_owned(),
        _ => format!("it has {}", known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")),
    };
    for (name, value) in given {
        match known.iter().find(|(known, _)| known == name) {
            None => return Err(format!("{what} has no property {name}: {}", has())),
            Some((_, kind)) if !value.is_null() && !kind.accepts(value) => {
                let (must_be, got) = (kind.description(), got(value));
                return Err(format!("{what}: {name} must be {must_be}, got {got}; {}", has()));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A value in a message: a string quoted and shortened, any other value as its type.
pub(crate) fn got(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_property_is_named_with_the_known_ones() {
        let known: &Properties = &[("n", Kind::Whole(1, 16)), ("code", Kind::Text), ("to", Kind::Headers)];
        let error = |given: Value| check("it", given.as_object().unwrap(), known).err();
        assert_eq!(error(json!({ "n": 16, "code": null, "to": { "a": 1, "b": "2" } })), None);
        assert_eq!(error(json!({ "m": 1 })).as_deref(), Some("it has no property m: it has n, code, to"));
        for (given, message) in [
            (json!({ "n": "3" }), "n must be a whole number from 1 to 16, got \"3\""),
            (json!({ "n": 17 }), "n must be a whole number from 1 to 16, got a number"),
            (json!({ "n": 1.5 }), "n must be a whole number from 1 to 16, got a number"),
            (json!({ "code": ["x"] }), "code must be a string, got an array"),
            (json!({ "to": { "a": [] } }), "to must be an object of strings and numbers, got an object"),
        ] {
            assert_eq!(error(given), Some(format!("it: {message}; it has n, code, to")));
        }
        assert_eq!(
            check("it", json!({ "n": 1 }).as_object().unwrap(), &[]),
            Err("it has no property n: it has none".to_owned())
        );
    }
}
