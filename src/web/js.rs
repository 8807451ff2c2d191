//! Reads and calls the caller's JavaScript objects: the token source, the store, the options, the
//! results of a custom `fetch`. Types are recognized by their shape, because `instanceof` fails
//! across realms. Exceptions are caught: one that passes through Rust frames would skip their
//! destructors.

use std::cell::RefCell;
use std::collections::HashMap;

use js_sys::{Array, Date, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::protocol::thrown::Thrown;
use crate::protocol::time::Instant;

/// The maximum number of cached property names.
const MAX_CACHED_NAMES: usize = 64;

thread_local! {
    /// Property names as JavaScript strings: making one takes longer than reading the property.
    static CACHED_NAMES: RefCell<HashMap<String, JsValue>> = RefCell::default();
}

/// Reads a property. Returns undefined if it is missing or if its getter throws.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &cached(name)).unwrap_or(JsValue::UNDEFINED)
}

/// Whether a property is this string. Compares in JavaScript, which is faster than copying the
/// property into the wasm.
pub fn has_text(object: &JsValue, name: &str, text: &str) -> bool {
    get(object, name) == cached(text)
}

/// A property name or a string constant of this crate, as a JavaScript string.
pub fn cached(name: &str) -> JsValue {
    CACHED_NAMES.with_borrow_mut(|names| {
        if let Some(known) = names.get(name) {
            return known.clone();
        }
        let new = JsValue::from_str(name);
        if names.len() < MAX_CACHED_NAMES {
            names.insert(name.to_owned(), new.clone());
        }
        new
    })
}

/// Reads a property that is a string.
pub fn get_string(object: &JsValue, name: &str) -> Option<String> {
    get(object, name).as_string()
}

/// Reads a property that is a number.
pub fn get_number(object: &JsValue, name: &str) -> Option<f64> {
    get(object, name).as_f64()
}

/// Reads a property that is a boolean.
pub fn get_bool(object: &JsValue, name: &str) -> Option<bool> {
    get(object, name).as_bool()
}

/// Sets a property of an object that this crate made.
pub fn set(object: &Object, name: &str, value: &JsValue) {
    // Setting a property of a plain object does not fail.
    let _ = Reflect::set(object, &name.into(), value);
}

/// Makes an object with one boolean property.
pub fn flag(name: &str, value: bool) -> JsValue {
    let options = Object::new();
    set(&options, name, &value.into());
    options.into()
}

/// Calls a method. Fails with the exception that it throws, or with a TypeError if the method is
/// missing.
pub fn call(object: &JsValue, name: &str, arguments: &[&JsValue]) -> Result<JsValue, JsValue> {
    apply(&get(object, name), object, arguments)
}

/// Calls a function with `this` and arguments.
pub fn apply(function: &JsValue, this: &JsValue, arguments: &[&JsValue]) -> Result<JsValue, JsValue> {
    match function.dyn_ref::<Function>() {
        Some(function) => function.apply(this, &arguments.iter().copied().collect()),
        None => Err(js_sys::TypeError::new("it is not a function").into()),
    }
}

/// Awaits a value, which may be a promise of any implementation.
pub async fn settled(value: JsValue) -> Result<JsValue, JsValue> {
    JsFuture::from(promise_resolve(&value)?).await
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Array, js_name = isArray, catch)]
    fn array_is_array(value: &JsValue) -> Result<bool, JsValue>;
    #[wasm_bindgen(js_namespace = Array, js_name = from, catch)]
    fn array_from(value: &JsValue) -> Result<Array, JsValue>;
    #[wasm_bindgen(js_namespace = Promise, js_name = resolve, catch)]
    fn promise_resolve(value: &JsValue) -> Result<Promise, JsValue>;
}

/// Whether a value is an array. A revoked proxy, for which `Array.isArray` throws, is not.
pub fn is_array(value: &JsValue) -> bool {
    array_is_array(value) == Ok(true)
}

/// Returns the elements of an array. Returns an empty vector for any other value, or if reading
/// throws.
pub fn elements(value: &JsValue) -> Vec<JsValue> {
    if is_array(value) {
        array_from(value).map(|array| array.to_vec()).unwrap_or_default()
    } else {
        Vec::new()
    }
}

/// Copies an object of primitive values and of arrays of them, so that serde can read it. Returns
/// `None` for any other value. The properties in `uncopied` may have any value, which is not
/// copied. The copy is necessary because serde-wasm-bindgen does not catch exceptions, and formats
/// a value of the wrong type in full into its error, which can exhaust the stack.
pub fn flat(value: &JsValue, uncopied: &[&str]) -> Option<Object> {
    let names =
        if value.is_object() && !is_array(value) { Reflect::own_keys(value).ok()? } else { return None };
    let copy = Object::new();
    for name in names.iter().filter_map(|name| name.as_string()) {
        let property = get(value, &name);
        if !property.is_object() && !property.is_function() || uncopied.contains(&name.as_str()) {
            set(&copy, &name, &property);
        } else {
            set(&copy, &name, &flat_list(&property)?.into());
        }
    }
    Some(copy)
}

/// Returns a primitive value unchanged and copies an array of them. Returns undefined otherwise.
pub fn flat_value(value: &JsValue) -> JsValue {
    if value.is_object() || value.is_function() {
        flat_list(value).map_or(JsValue::UNDEFINED, JsValue::from)
    } else {
        value.clone()
    }
}

/// Copies an array of primitive values. Returns `None` for any other value.
pub fn flat_list(value: &JsValue) -> Option<Array> {
    if !is_array(value) {
        return None;
    }
    let copy = array_from(value).ok()?;
    copy.iter().all(|element| !element.is_object() && !element.is_function()).then_some(copy)
}

/// Whether a value is undefined or null.
pub fn is_nullish(value: &JsValue) -> bool {
    value.is_undefined() || value.is_null()
}

/// Returns the type of a value for a message: never its content, which may be a secret.
pub fn type_of(value: &JsValue) -> &'static str {
    if value.is_undefined() {
        "undefined"
    } else if value.is_null() {
        "null"
    } else if value.is_string() {
        "a string"
    } else if value.as_f64().is_some() {
        "a number"
    } else if value.as_bool().is_some() {
        "a boolean"
    } else if value.is_symbol() {
        "a symbol"
    } else if value.is_bigint() {
        "a bigint"
    } else if value.is_function() {
        "a function"
    } else if is_array(value) {
        "an array"
    } else if value.is_instance_of::<Promise>() {
        "a Promise"
    } else {
        "an object"
    }
}

/// Reads the properties of an error by which it is classified.
pub fn thrown(value: &JsValue) -> Thrown {
    let property = |name: &str| get_string(value, name).unwrap_or_default();
    Thrown {
        name: property("name"),
        code: property("code"),
        error_code: property("errorCode"),
        message: property("message"),
    }
}

/// An instant as a JavaScript `Date`.
pub fn date(instant: Instant) -> JsValue {
    Date::new(&instant.as_millis().into()).into()
}
