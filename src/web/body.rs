//! Reads a response body in chunks, to notice one that stalls.

use std::cell::Cell;

use futures_channel::oneshot;
use js_sys::JsString;
use wasm_bindgen::prelude::*;

use super::js::{call, flag, get, get_number, settled};
use super::timers::with_timeout;
use crate::protocol::head::{self, Head, MAX_HEAD};
use crate::protocol::time::Duration;

#[wasm_bindgen]
extern "C" {
    /// The host's decoder. Its text stays in JavaScript: web-sys would copy it into the wasm.
    type TextDecoder;
    #[wasm_bindgen(constructor, catch)]
    fn new(label: &str, options: &JsValue) -> Result<TextDecoder, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn decode(this: &TextDecoder, bytes: &JsValue, options: &JsValue) -> Result<JsString, JsValue>;
}

/// The result of reading a body.
pub enum Body {
    /// Its text.
    Text(JsString),
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// The connection broke before its end.
    Incomplete,
    /// No byte arrived within the timeout.
    Stalled,
}

/// Reports the nextLink of a page as soon as it has arrived.
#[derive(Default)]
pub struct LinkSearch(Cell<Option<oneshot::Sender<String>>>);

impl LinkSearch {
    /// A search that sends the link.
    pub fn new(sender: oneshot::Sender<String>) -> Self {
        Self(Cell::new(Some(sender)))
    }

    /// Searches the text that has arrived, unless the search is over.
    fn search(&self, text: &JsString) {
        let Some(sender) = self.0.take().filter(|sender| !sender.is_canceled()) else { return };
        match head::read(&beginning(text, MAX_HEAD)) {
            Head::NextLink(link) => drop(sender.send(link)),
            Head::Incomplete if text.length() < MAX_HEAD => self.0.set(Some(sender)),
            Head::Incomplete | Head::NoLink => {}
        }
    }
}

/// Cancels the stream when the read is dropped: a custom `fetch` may ignore its signal.
struct CancelOnDrop(Option<JsValue>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(stream_reader) = &self.0 {
            // A stream that fails to cancel must not become an unhandled rejection.
            if let Ok(cancelled) = call(stream_reader, "cancel", &[]) {
                wasm_bindgen_futures::spawn_local(async move {
                    let _ = settled(cancelled).await;
                });
            }
        }
    }
}

/// Reads a stream as UTF-8. `idle` is the longest time between two chunks. Adds the bytes that
/// arrive to `received`, and searches the text for the link of the next page.
pub async fn read_stream(
    stream: &JsValue,
    idle: Duration,
    received: &Cell<u64>,
    next_link: &LinkSearch,
) -> Body {
    let Ok(stream_reader) = call(stream, "getReader", &[]) else { return Body::Incomplete };
    let mut guard = CancelOnDrop(Some(stream_reader.clone()));
    let Ok(decoder) = TextDecoder::new("utf-8", &flag("fatal", true)) else { return Body::NotUtf8 };
    let mut text = JsString::from("");
    loop {
        let Ok(reading) = call(&stream_reader, "read", &[]) else { return Body::Incomplete };
        let Some(chunk) = with_timeout(idle, settled(reading)).await else { return Body::Stalled };
        let Ok(chunk) = chunk else {
            guard.0 = None;
            return Body::Incomplete;
        };
        let is_last = get(&chunk, "done").is_truthy();
        let bytes = get(&chunk, "value");
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length")]
        received.set(received.get() + get_number(&bytes, "byteLength").unwrap_or_default() as u64);
        match decoder.decode(&bytes, &flag("stream", !is_last)) {
            Ok(piece) => text = text.concat(&piece),
            Err(_) => return Body::NotUtf8,
        }
        next_link.search(&text);
        if is_last {
            guard.0 = None;
            return Body::Text(text);
        }
    }
}

/// Reads a response without a stream, such as one of a mock or an older polyfill. Adds the number
/// of its characters to `received`, because that of its bytes is not known.
pub async fn read_text(response: &JsValue, idle: Duration, received: &Cell<u64>) -> Body {
    let Ok(reading) = call(response, "text", &[]) else { return Body::Incomplete };
    match with_timeout(idle, settled(reading)).await {
        None => Body::Stalled,
        // Anything but a string is not JSON: it is read as an empty body.
        Some(Ok(text)) => {
            let text = text.dyn_into().unwrap_or_else(|_| JsString::from(""));
            received.set(received.get() + u64::from(text.length()));
            Body::Text(text)
        }
        Some(Err(_)) => Body::Incomplete,
    }
}

/// The first characters of a string: a whole body may be too long to be copied into the wasm.
pub fn beginning(text: &JsString, length: u32) -> String {
    text.slice(0, length).as_string().unwrap_or_default()
}
