//! A JavaScript value as the protocol sees it. Nothing is copied: the items are the objects that the host's parser made.

use js_sys::{Array, JSON, Object, Reflect};
use wasm_bindgen::prelude::*;

use super::object::{get, pair};
use crate::protocol::item::Item;

/// A JSON value in the host's memory.
#[derive(Clone, Debug)]
pub struct Json(pub JsValue);

/// Deeper objects than this are compared by their text, so that no nesting can exhaust the stack.
const DEPTH: u32 = 64;

impl Item for Json {
    fn get(&self, name: &str) -> Option<Self> {
        if !self.0.is_object() {
            return None;
        }
        let value = get(&self.0, name);
        if value.is_undefined() { None } else { Some(Self(value)) }
    }

    fn text(&self) -> Option<String> {
        self.0.as_string()
    }

    fn number(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn list(&self) -> Option<Vec<Self>> {
        if !Array::is_array(&self.0) {
            return None;
        }
        let list: &Array = self.0.unchecked_ref();
        let mut members = Vec::with_capacity(list.length() as usize);
        for at in 0..list.length() {
            members.push(Self(list.get(at)));
        }
        Some(members)
    }

    fn is_object(&self) -> bool {
        self.0.is_object() && !Array::is_array(&self.0)
    }

    fn is_null(&self) -> bool {
        self.0.is_null()
    }

    fn same(&self, other: &Self) -> bool {
        same(&self.0, &other.0, DEPTH)
    }

    fn overlaid(&self, newer: &Self) -> Self {
        let merged = Object::new();
        let _ = assign(&merged, &self.0, &newer.0);
        Self(merged.into())
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.0.is_object() {
            for name in Object::keys(self.0.unchecked_ref::<Object>()) {
                names.extend(name.as_string());
            }
        }
        names
    }

    fn object(named: Vec<(String, Self)>) -> Self {
        let entries = Array::new();
        for (name, value) in named {
            entries.push(&pair(&name.into(), &value.0));
        }
        Self(from_entries(&entries))
    }

    fn array(members: Vec<Self>) -> Self {
        let array = Array::new();
        for member in members {
            array.push(&member.0);
        }
        Self(array.into())
    }

    fn of_text(text: &str) -> Self {
        Self(text.into())
    }

    fn of_number(number: f64) -> Self {
        Self(number.into())
    }

    fn of_flag(flag: bool) -> Self {
        Self(flag.into())
    }

    fn json(&self) -> String {
        JSON::stringify(&self.0).ok().and_then(|text| text.as_string()).unwrap_or_default()
    }
}

#[wasm_bindgen]
extern "C" {
    /// Its own properties only, `__proto__` too: what comes from JSON may be called so.
    #[wasm_bindgen(js_namespace = Object, js_name = fromEntries)]
    fn from_entries(entries: &Array) -> JsValue;
    /// Puts the properties of both into the target.
    #[wasm_bindgen(js_namespace = Object, catch)]
    pub fn assign(target: &JsValue, first: &JsValue, second: &JsValue) -> Result<JsValue, JsValue>;
}

fn same(one: &JsValue, other: &JsValue, depth: u32) -> bool {
    if Object::is(one, other) {
        return true;
    }
    if !one.is_object() || !other.is_object() || Array::is_array(one) != Array::is_array(other) {
        return false;
    }
    if depth == 0 {
        return matches!((JSON::stringify(one), JSON::stringify(other)), (Ok(one), Ok(other)) if one == other);
    }
    let keys = Object::keys(one.unchecked_ref::<Object>());
    if keys.length() != Object::keys(other.unchecked_ref::<Object>()).length() {
        return false;
    }
    for at in 0..keys.length() {
        let key = keys.get(at);
        let (Ok(one), Ok(other)) = (Reflect::get(one, &key), Reflect::get(other, &key)) else { return false };
        // An undefined on the other side is a key that is not there.
        if other.is_undefined() || !same(&one, &other, depth - 1) {
            return false;
        }
    }
    true
}
