//! A JavaScript value as the protocol sees it. Nothing is copied: the items are the objects that the host's parser made.

use js_sys::{Array, JSON, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

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
        Reflect::get(&self.0, &JsValue::from_str(name)).ok().filter(|value| !value.is_undefined()).map(Self)
    }

    fn text(&self) -> Option<String> {
        self.0.as_string()
    }

    fn number(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn list(&self) -> Option<Vec<Self>> {
        Array::is_array(&self.0).then(|| self.0.unchecked_ref::<Array>().iter().map(Self).collect())
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
        let _ = Object::assign_many(&merged, &[self.0.clone().unchecked_into::<Object>(), newer.0.clone().unchecked_into()]);
        Self(merged.into())
    }
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
    keys.length() == Object::keys(other.unchecked_ref::<Object>()).length()
        && keys.iter().all(|key| match (Reflect::get(one, &key), Reflect::get(other, &key)) {
            // An undefined on the other side is a key that is not there.
            (Ok(one), Ok(other)) => !other.is_undefined() && same(&one, &other, depth - 1),
            _ => false,
        })
}
