//! A page in Graph's format.

use crate::world::State;
use serde_json::{Map, Value};

/// A page before it is serialized, so that faults can change it.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) context: Option<String>,
    pub(crate) next: Option<String>,
    pub(crate) delta: Option<String>,
    pub(crate) has_count: bool,
    pub(crate) value: Vec<Map<String, Value>>,
    /// Whether the link follows `value`, as in drives (graph-facts 2.5).
    pub(crate) is_link_last: bool,
    pub(crate) stream: usize,
    pub(crate) here: State,
    /// The fault that replaces `value`.
    pub(crate) value_fault: Option<String>,
}

impl Page {
    pub(crate) fn text(&self) -> String {
        let mut links = Vec::new();
        for (name, link) in [("@odata.nextLink", &self.next), ("@odata.deltaLink", &self.delta)] {
            if let Some(link) = link {
                links.push(format!("\"{name}\":{}", Value::from(link.as_str())));
            }
        }
        if self.has_count {
            links.push(format!("\"@odata.count\":{}", self.value.len()));
        }
        let items: Vec<String> = self.value.iter().map(item_text).collect();
        let value = match self.value_fault.as_deref() {
            Some("no_value") => None,
            Some("value_null") => Some("\"value\":null".to_owned()),
            Some("value_object") => Some("\"value\":{}".to_owned()),
            Some("wrong_type") => Some("\"value\":[1,\"two\",null,[],{\"id\":3}]".to_owned()),
            _ => Some(format!("\"value\":[{}]", items.join(","))),
        };
        let context =
            self.context.as_ref().map(|c| format!("\"@odata.context\":{}", Value::from(c.as_str())));
        let mut parts: Vec<String> = context.into_iter().collect();
        if self.is_link_last {
            parts.extend(value);
            parts.extend(links);
        } else {
            parts.extend(links);
            parts.extend(value);
        }
        format!("{{{}}}", parts.join(","))
    }
}

/// An item with `@removed` at its end, as in Outlook and the directory (graph-facts 2.2).
fn item_text(item: &Map<String, Value>) -> String {
    let (last, first): (Vec<_>, Vec<_>) = item.iter().partition(|(k, _)| *k == "@removed");
    let properties: Vec<String> =
        first.into_iter().chain(last).map(|(k, v)| format!("{}:{v}", Value::from(k.as_str()))).collect();
    format!("{{{}}}", properties.join(","))
}
