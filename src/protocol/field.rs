//! How the record and the report are written, natively and in the shell alike.
//!
//! By hand, and as an [`Item`]: serde and serde-wasm-bindgen made the gzipped wasm 0.7 KB larger even without a `derive`.

use super::item::Item;

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

/// Writes an object.
pub fn written<I: Item>(named: &[Named<'_>]) -> I {
    let mut properties = Vec::new();
    for (name, field) in named {
        if !matches!(field, Field::Nothing) {
            properties.push(((*name).to_owned(), value(field)));
        }
    }
    I::object(properties)
}

fn value<I: Item>(field: &Field<'_>) -> I {
    match field {
        Field::Nothing => I::object(Vec::new()),
        Field::Flag(flag) => I::of_flag(*flag),
        Field::Number(number) => I::of_number(*number),
        Field::Text(text) => I::of_text(text),
        Field::List(list) => {
            let mut members = Vec::new();
            for field in list {
                members.push(value(field));
            }
            I::array(members)
        }
        Field::Fields(named) => written(named),
    }
}
