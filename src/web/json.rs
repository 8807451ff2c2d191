//! JavaScript values as the [`Item`]s of the protocol. Items are not copied: they are the objects
//! that the host's JSON parser made.

use js_sys::{Array, JSON, JsString, Object, Reflect};
use wasm_bindgen::prelude::*;

use super::js::{cached, elements, get, has_text, is_array};
use crate::protocol::item::Item;

/// A JSON value in the host's memory.
#[derive(Clone, Debug)]
pub struct Json {
    /// The value.
    pub value: JsValue,
    /// Its index in the page, if it is an item as received.
    position: Option<u32>,
}

impl Json {
    /// A value of any origin.
    pub fn new(value: JsValue) -> Self {
        Self { value, position: None }
    }

    /// An item of a page, as received.
    pub fn at(self, position: u32) -> Self {
        Self { position: Some(position), ..self }
    }

    /// Its index in the page. `None` if it was composed rather than received.
    pub fn position(&self) -> Option<u32> {
        self.position
    }
}

/// Objects nested deeper than this are compared as JSON strings, so that they cannot exhaust the
/// stack.
const MAX_DEPTH: u32 = 64;

impl Json {
    /// Parses a JSON text with the host's parser.
    pub fn parse(text: &str) -> Option<Self> {
        JSON::parse(text).ok().map(Self::new)
    }
}

impl Item for Json {
    fn get(&self, name: &str) -> Option<Self> {
        if !self.value.is_object() {
            return None;
        }
        let value = get(&self.value, name);
        if value.is_undefined() { None } else { Some(Self::new(value)) }
    }

    fn has_text(&self, name: &str, text: &str) -> bool {
        self.value.is_object() && has_text(&self.value, name, text)
    }

    fn as_string(&self) -> Option<String> {
        self.value.as_string()
    }

    fn as_lowercase(&self) -> Option<String> {
        Some(self.value.dyn_ref::<JsString>()?.to_lower_case().into())
    }

    fn as_number(&self) -> Option<f64> {
        self.value.as_f64()
    }

    fn as_array(&self) -> Option<Vec<Self>> {
        is_array(&self.value).then(|| elements(&self.value).into_iter().map(Self::new).collect())
    }

    fn is_object(&self) -> bool {
        self.value.is_object() && !is_array(&self.value)
    }

    fn is_null(&self) -> bool {
        self.value.is_null()
    }

    fn equals(&self, other: &Self) -> bool {
        equals(&self.value, &other.value, MAX_DEPTH)
    }

    fn overlaid_with(&self, newer: &Self) -> Self {
        // `Object.assign` would set the prototype instead of copying a property named `__proto__`.
        let has_proto = |value: &JsValue| {
            value.dyn_ref::<Object>().is_some_and(|object| Object::has_own(object, &cached("__proto__")))
        };
        if has_proto(&self.value) || has_proto(&newer.value) {
            let entries =
                |value: &JsValue| value.dyn_ref::<Object>().map_or_else(Array::new, Object::entries);
            return Self::new(from_entries(&entries(&self.value).concat(&entries(&newer.value))));
        }
        let merged = Object::new();
        let _ = assign(&merged, &self.value, &newer.value);
        Self::new(merged.into())
    }

    fn property_names(&self) -> Vec<String> {
        if !self.value.is_object() {
            return Vec::new();
        }
        keys(&self.value).unwrap_or_default().iter().filter_map(|name| name.as_string()).collect()
    }

    fn from_properties(named: Vec<(String, Self)>) -> Self {
        let entries: Array =
            named.into_iter().map(|(name, value)| Array::of2(&name.into(), &value.value)).collect();
        Self::new(from_entries(&entries))
    }

    fn from_elements(elements: Vec<Self>) -> Self {
        Self::new(elements.into_iter().map(|element| element.value).collect::<Array>().into())
    }

    fn to_json(&self) -> String {
        JSON::stringify(&self.value).ok().and_then(|text| text.as_string()).unwrap_or_default()
    }
}

#[wasm_bindgen]
extern "C" {
    /// Defines own properties, even one with the name `__proto__`, which JSON may contain.
    #[wasm_bindgen(js_namespace = Object, js_name = fromEntries)]
    fn from_entries(entries: &Array) -> JsValue;
    #[wasm_bindgen(js_namespace = Object, catch)]
    fn keys(value: &JsValue) -> Result<Array, JsValue>;
    /// Copies the properties of both objects into the target.
    #[wasm_bindgen(js_namespace = Object, catch)]
    fn assign(target: &JsValue, first: &JsValue, second: &JsValue) -> Result<JsValue, JsValue>;
}

fn equals(one: &JsValue, other: &JsValue, depth: u32) -> bool {
    if Object::is(one, other) {
        return true;
    }
    if !one.is_object() || !other.is_object() || is_array(one) != is_array(other) {
        return false;
    }
    if depth == 0 {
        return matches!((JSON::stringify(one), JSON::stringify(other)), (Ok(one), Ok(other)) if one == other);
    }
    let (Ok(names), Ok(others)) = (keys(one), keys(other)) else { return false };
    if names.length() != others.length() {
        return false;
    }
    for key in names.iter() {
        let (Ok(one), Ok(other)) = (Reflect::get(one, &key), Reflect::get(other, &key)) else { return false };
        // An undefined value means that the other object lacks the key.
        if other.is_undefined() || !equals(&one, &other, depth - 1) {
            return false;
        }
    }
    true
}
