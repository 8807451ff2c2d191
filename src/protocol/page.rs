//! Reads the body of a page.
//!
//! 1. Only the JSON key distinguishes a nextLink from a deltaLink, not the parameters in the links
//!    (graph-facts 2.4).
//! 2. A link may stand before or after `value`; `@odata.context` and counts are not needed.
//! 3. A page without a link means an unfinished round, never a finished one (Graph's known issue
//!    22931).
//! 4. An empty `value` with a nextLink is a page like any other.
//! 5. A page with both links violates Graph's contract. Following the nextLink loses nothing.

use super::item::Item;
use super::redact::redact_name;

/// The link of a page, byte for byte as Graph sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// More pages follow: the round continues here.
    Next(String),
    /// The round is complete; the next one starts here.
    Delta(String),
}

impl Link {
    /// The link itself.
    pub fn url(&self) -> &str {
        match self {
            Self::Next(url) | Self::Delta(url) => url,
        }
    }
}

/// A page as Graph sent it.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<I> {
    /// The link of this page.
    pub link: Link,
    /// The elements of `value`, untouched.
    pub items: Vec<I>,
}

/// Why the body of a successful response is not a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The body is empty.
    Empty,
    /// The body is HTML, from a proxy or from a network that asks for a sign-in.
    Html,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The body is not JSON, or is cut short.
    NotJson,
    /// The body is JSON but not an object.
    NotAnObject,
    /// The body contains an `error` object.
    ErrorInside(String),
    /// The body has no `value`.
    NoValue,
    /// `value` is not an array.
    ValueNotAnArray,
    /// Neither `@odata.nextLink` nor `@odata.deltaLink`.
    NoLink,
    /// A link is empty or not a string.
    LinkNotAString,
    /// The single object that was requested has no id.
    NoId,
}

impl Malformed {
    /// Classifies a body that is not JSON. `text` is its beginning.
    pub fn from_body(text: &str) -> Self {
        let text = text.trim_ascii();
        match text.bytes().next() {
            None => Self::Empty,
            Some(b'<') => Self::Html,
            // A decoder writes U+FFFD for bytes it cannot read. ASCII characters in UTF-16 contain
            // zero bytes.
            _ if text.chars().any(|c| c == '\u{fffd}' || c == '\0') => Self::NotUtf8,
            Some(_) => Self::NotJson,
        }
    }

    /// The reason as part of an error message.
    pub fn message(&self) -> String {
        match self {
            Self::Empty => "the body is empty".into(),
            Self::Html => {
                "the body is HTML, so a proxy or a sign-in web page responded instead of Graph".into()
            }
            Self::NotUtf8 => "the body is not UTF-8".into(),
            Self::NotJson => "the body is not JSON, or was cut short".into(),
            Self::NotAnObject => "the body is JSON but not an object".into(),
            Self::ErrorInside(code) => {
                format!("the status says success but the body contains the error {code:?}")
            }
            Self::NoValue => "the body has no \"value\"".into(),
            Self::ValueNotAnArray => "\"value\" is not an array".into(),
            Self::NoLink => "the page has neither a nextLink nor a deltaLink, so the round is unfinished; \
                with `top` on call recordings this is Graph's known issue 22931: leave `top` out"
                .into(),
            Self::LinkNotAString => "the page's link is not a string".into(),
            Self::NoId => "the requested series master has no id".into(),
        }
    }
}

/// Reads the body of a successful response.
pub fn parse<I: Item>(body: &I) -> Result<Page<I>, Malformed> {
    if !body.is_object() {
        return Err(Malformed::NotAnObject);
    }
    if let Some(error) = body.get("error").filter(Item::is_object) {
        return Err(Malformed::ErrorInside(redact_name(&error.string_property("code").unwrap_or_default())));
    }
    let items = body.get("value").ok_or(Malformed::NoValue)?.as_array().ok_or(Malformed::ValueNotAnArray)?;
    let link = match (link(body, "@odata.nextLink")?, link(body, "@odata.deltaLink")?) {
        (Some(next), _) => Link::Next(next),
        (None, Some(delta)) => Link::Delta(delta),
        (None, None) => return Err(Malformed::NoLink),
    };
    Ok(Page { link, items })
}

fn link<I: Item>(body: &I, key: &str) -> Result<Option<String>, Malformed> {
    match body.get(key) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => {
            value.as_string().filter(|text| !text.is_empty()).map(Some).ok_or(Malformed::LinkNotAString)
        }
    }
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse_text(text: &str) -> Result<Page<Value>, Malformed> {
        parse(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_link_is_found_before_and_after_the_value() {
        let next = Link::Next("https://graph.example/x?$deltatoken=a".into());
        let before =
            parse_text(r#"{"@odata.nextLink":"https://graph.example/x?$deltatoken=a","value":[]}"#).unwrap();
        let after =
            parse_text(r#"{"value":[],"@odata.nextLink":"https://graph.example/x?$deltatoken=a"}"#).unwrap();
        assert_eq!((before.link, after.link), (next.clone(), next));
    }

    #[test]
    fn only_the_key_distinguishes_the_links() {
        let page =
            parse_text(r#"{"@odata.deltaLink":"https://graph.example/x?$skiptoken=a","value":[]}"#).unwrap();
        assert_eq!(page.link, Link::Delta("https://graph.example/x?$skiptoken=a".into()));
    }

    #[test]
    fn a_page_without_a_link_is_unfinished() {
        assert_eq!(parse_text(r#"{"value":[{"id":"a"}]}"#), Err(Malformed::NoLink));
        assert_eq!(parse_text(r#"{"value":[],"@odata.nextLink":null}"#), Err(Malformed::NoLink));
    }

    #[test]
    fn a_page_with_both_links_continues_at_the_next_link() {
        let page = parse_text(r#"{"@odata.deltaLink":"d","@odata.nextLink":"n","value":[]}"#).unwrap();
        assert_eq!(page.link, Link::Next("n".into()));
    }

    #[test]
    fn a_body_without_an_array_of_items_is_not_a_page() {
        assert_eq!(parse_text(r#"{"@odata.nextLink":"n"}"#), Err(Malformed::NoValue));
        assert_eq!(parse_text(r#"{"@odata.nextLink":"n","value":null}"#), Err(Malformed::ValueNotAnArray));
        assert_eq!(parse_text(r#"{"@odata.nextLink":"n","value":{}}"#), Err(Malformed::ValueNotAnArray));
        assert_eq!(parse_text("[]"), Err(Malformed::NotAnObject));
        assert_eq!(parse_text("3"), Err(Malformed::NotAnObject));
    }

    #[test]
    fn a_link_that_is_not_a_string_is_refused() {
        assert_eq!(parse_text(r#"{"@odata.nextLink":7,"value":[]}"#), Err(Malformed::LinkNotAString));
        assert_eq!(parse_text(r#"{"@odata.deltaLink":"","value":[]}"#), Err(Malformed::LinkNotAString));
    }

    #[test]
    fn an_error_with_a_success_status_is_not_a_page() {
        let body = json!({"error": {"code": "generalException"}, "value": [], "@odata.deltaLink": "d"});
        assert_eq!(parse(&body), Err(Malformed::ErrorInside("generalException".into())));
    }

    #[test]
    fn an_empty_page_is_a_page() {
        assert_eq!(parse_text(r#"{"@odata.nextLink":"n","value":[]}"#).unwrap().items.len(), 0);
    }
}
