//! Reads and calls JavaScript objects that somebody else made: the caller's token source, store and
//! options, the results of a custom `fetch`. Everything is looked at by its shape, never by
//! `instanceof`, and what it throws is caught: a getter that threw through Rust frames would leave
//! them without their drops.

use js_sys::{Array, Date, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::protocol::thrown::Thrown;
use crate::protocol::time::Instant;

/// A property; undefined where there is none, and where reading it throws.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// A property, if it is a string.
pub fn get_string(object: &JsValue, name: &str) -> Option<String> {
    get(object, name).as_string()
}

/// A property, if it is a number.
pub fn get_number(object: &JsValue, name: &str) -> Option<f64> {
    get(object, name).as_f64()
}

/// Sets a property of an object that this crate made.
pub fn set(object: &Object, name: &str, value: &JsValue) {
    // Plain objects of our own take any property.
    let _ = Reflect::set(object, &name.into(), value);
}

/// An options object with one flag.
pub fn flag(name: &str, value: bool) -> JsValue {
    let options = Object::new();
    set(&options, name, &value.into());
    options.into()
}

/// Calls a method. Fails with what it throws, or with a TypeError where there is no such method.
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

/// What a value, or a promise of any making, settles to.
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

/// Whether a value is an array. Asked of a revoked proxy, JavaScript throws.
pub fn is_array(value: &JsValue) -> bool {
    array_is_array(value) == Ok(true)
}

/// The members of an array; none of anything else, and of one that cannot be read.
pub fn members(value: &JsValue) -> Vec<JsValue> {
    if is_array(value) {
        array_from(value).map(|array| array.to_vec()).unwrap_or_default()
    } else {
        Vec::new()
    }
}

/// A copy that serde can read: an object of primitive values and of arrays of them; none of
/// anything else. The properties in `kept` stay as they are, whatever they are. serde-wasm-bindgen
/// reads without catching, and writes a value of the wrong type out whole into its error, which can
/// exhaust the stack.
pub fn flat(value: &JsValue, kept: &[&str]) -> Option<Object> {
    let names =
        if value.is_object() && !is_array(value) { Reflect::own_keys(value).ok()? } else { return None };
    let copy = Object::new();
    for name in names.iter().filter_map(|name| name.as_string()) {
        let member = get(value, &name);
        if !member.is_object() && !member.is_function() || kept.contains(&name.as_str()) {
            set(&copy, &name, &member);
        } else {
            set(&copy, &name, &flat_list(&member)?.into());
        }
    }
    Some(copy)
}

/// A primitive value as it is, an array of them as a copy; undefined instead of anything else.
pub fn flat_value(value: &JsValue) -> JsValue {
    if value.is_object() { flat_list(value).map_or(JsValue::UNDEFINED, JsValue::from) } else { value.clone() }
}

/// A copy of an array of primitive values; none of anything else.
pub fn flat_list(value: &JsValue) -> Option<Array> {
    if !is_array(value) {
        return None;
    }
    let copy = array_from(value).ok()?;
    copy.iter().all(|member| !member.is_object() && !member.is_function()).then_some(copy)
}

/// Whether a value is undefined or null.
pub fn is_nullish(value: &JsValue) -> bool {
    value.is_undefined() || value.is_null()
}

/// What kind of value this is, for messages: its type and never its content, which may be a secret.
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
    } else if value.is_function() {
        "a function"
    } else if is_array(value) {
        "an array"
    } else {
        "an object"
    }
}

/// What tells an error apart.
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
