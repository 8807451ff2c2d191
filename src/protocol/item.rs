//! The trait of JSON values: the operations that the protocol needs.
//!
//! In the shell an item is the object that the host's JSON parser made, unchanged. In
//! native tests it is a `serde_json::Value`. The code that applies, merges and sweeps items is
//! generic over both.

/// A JSON value.
pub trait Item: Clone {
    /// The property of this name, or `None` if this is not an object or has no such property.
    /// `null` is a value.
    fn get(&self, name: &str) -> Option<Self>;
    /// The value, if it is a string.
    fn as_string(&self) -> Option<String>;
    /// The value in lower case by the rules of Unicode, if it is a string. The host has the tables
    /// for them: those of the standard library add 7 KB gzipped.
    fn as_lowercase(&self) -> Option<String>;
    /// The value, if it is a number.
    fn as_number(&self) -> Option<f64>;
    /// The elements, if it is an array.
    fn as_array(&self) -> Option<Vec<Self>>;
    /// Whether it is an object. Arrays and `null` are not.
    fn is_object(&self) -> bool;
    /// Whether it is `null`.
    fn is_null(&self) -> bool;
    /// Deep equality, independent of the order of keys.
    fn equals(&self, other: &Self) -> bool;
    /// A copy of this object in which the properties of `newer` replace those of the same name.
    fn overlaid_with(&self, newer: &Self) -> Self;
    /// The names of its properties. Empty if it is not an object.
    fn property_names(&self) -> Vec<String>;
    /// Makes an object.
    fn from_properties(named: Vec<(String, Self)>) -> Self;
    /// Makes an array.
    fn from_elements(elements: Vec<Self>) -> Self;
    /// The value as JSON text.
    fn to_json(&self) -> String;

    /// Whether the property of this name is this string.
    fn has_text(&self, name: &str, text: &str) -> bool {
        self.string_property(name).is_some_and(|property| property == text)
    }

    /// The property of this name, if it is a string.
    fn string_property(&self, name: &str) -> Option<String> {
        self.get(name)?.as_string()
    }
}

/// Native tests and tools use serde_json's value.
#[cfg(not(target_family = "wasm"))]
mod native {
    use super::Item;
    use serde_json::Value;

    impl Item for Value {
        fn get(&self, name: &str) -> Option<Self> {
            self.as_object()?.get(name).cloned()
        }
        fn as_string(&self) -> Option<String> {
            self.as_str().map(str::to_owned)
        }
        fn as_lowercase(&self) -> Option<String> {
            self.as_str().map(str::to_lowercase)
        }
        fn as_number(&self) -> Option<f64> {
            self.as_f64()
        }
        fn as_array(&self) -> Option<Vec<Self>> {
            self.as_array().cloned()
        }
        fn is_object(&self) -> bool {
            Value::is_object(self)
        }
        fn is_null(&self) -> bool {
            Value::is_null(self)
        }
        fn equals(&self, other: &Self) -> bool {
            self == other
        }
        fn overlaid_with(&self, newer: &Self) -> Self {
            let mut merged = self.clone();
            if let (Some(old), Some(new)) = (merged.as_object_mut(), newer.as_object()) {
                for (name, value) in new {
                    old.insert(name.clone(), value.clone());
                }
            }
            merged
        }
        fn property_names(&self) -> Vec<String> {
            self.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
        }
        fn from_properties(named: Vec<(String, Self)>) -> Self {
            Value::Object(named.into_iter().collect())
        }
        fn from_elements(elements: Vec<Self>) -> Self {
            Value::Array(elements)
        }
        fn to_json(&self) -> String {
            self.to_string()
        }
    }
}
