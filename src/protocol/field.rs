//! How the record and the report are written, natively and in the shell alike.
//!
//! By hand: what `derive` makes is a function for each type of a member, 6 KB in the wasm.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value.
pub enum Field<'a> {
    /// Not there: the name is left out.
    Nothing,
    /// True or false.
    Flag(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// A list.
    List(Vec<Field<'a>>),
    /// An object.
    Fields(Vec<Named<'a>>),
}

/// A value with its name.
pub type Named<'a> = (&'static str, Field<'a>);

impl<'a> Field<'a> {
    /// A text that may be missing.
    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }

    /// A number that may be missing.
    pub fn number(number: Option<f64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Fields(named) => fields(named, serializer),
        }
    }
}

/// Writes an object.
pub fn fields<S: Serializer>(named: &[Named<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (name, field) in named {
        if !matches!(field, Field::Nothing) {
            map.serialize_entry(name, field)?;
        }
    }
    map.end()
}
