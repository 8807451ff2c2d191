//! Reads a response body in chunks, to notice one that stalls.

use std::cell::Cell;

use futures_channel::oneshot;
use js_sys::{ArrayBuffer, JsString, Uint8Array};
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
    fn decode(this: &TextDecoder, bytes: &JsValue) -> Result<JsString, JsValue>;
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

    /// Searches the bytes that have arrived, unless the search is over.
    fn search(&self, chunks: &Chunks) {
        let Some(sender) = self.0.take().filter(|sender| !sender.is_canceled()) else { return };
        let Some(bytes) = chunks.join(MAX_HEAD) else { return };
        // A character that is cut in two at the end becomes another one, which ends the text too.
        match head::read(&String::from_utf8_lossy(&bytes.to_vec())) {
            Head::NextLink(link) => drop(sender.send(link)),
            Head::Incomplete if bytes.length() < MAX_HEAD => self.0.set(Some(sender)),
            Head::Incomplete | Head::NoLink => {}
        }
    }
}

/// The chunks of a body.
#[derive(Default)]
struct Chunks {
    chunks: Vec<JsValue>,
    length: u32,
}

impl Chunks {
    /// Takes a chunk. Returns `None` if it is not an array of bytes.
    fn push(&mut self, chunk: JsValue) -> Option<u32> {
        let length = byte_length(&chunk).filter(|_| ArrayBuffer::is_view(&chunk))?;
        self.length = self.length.checked_add(length)?;
        self.chunks.push(chunk);
        Some(length)
    }

    /// Copies at most `limit` bytes from the beginning.
    fn join(&self, limit: u32) -> Option<Uint8Array> {
        let joined = Uint8Array::new_with_length(self.length.min(limit));
        let mut end = 0;
        for chunk in &self.chunks {
            let rest = joined.length() - end;
            if rest == 0 {
                break;
            }
            let part = call(chunk, "subarray", &[&0.into(), &rest.into()]).ok()?;
            call(&joined, "set", &[&part, &end.into()]).ok()?;
            end += byte_length(&part)?;
        }
        Some(joined)
    }

    /// Decodes the bytes at once: a decoder that keeps its state from chunk to chunk is slower, in
    /// Node three times.
    fn text(&self) -> Option<JsString> {
        let decoder = TextDecoder::new("utf-8", &flag("fatal", true)).ok()?;
        match &self.chunks[..] {
            [only] => decoder.decode(only).ok(),
            _ => decoder.decode(&self.join(self.length)?.into()).ok(),
        }
    }
}

/// The length of an array whose elements are bytes.
fn byte_length(array: &JsValue) -> Option<u32> {
    let length = get_number(array, "byteLength")?;
    let is_of_bytes = get_number(array, "length") == Some(length);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared before")]
    (is_of_bytes && (0.0..=f64::from(u32::MAX)).contains(&length)).then_some(length as u32)
}

/// Cancels the stream when the read is dropped: a custom `fetch` may ignore its signal.
struct CancelOnDrop(Option<JsValue>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(reader) = &self.0 {
            // A stream that fails to cancel must not become an unhandled rejection.
            if let Ok(cancelled) = call(reader, "cancel", &[]) {
                wasm_bindgen_futures::spawn_local(async move {
                    let _ = settled(cancelled).await;
                });
            }
        }
    }
}

/// Reads a stream as UTF-8. `idle` is the longest time between two chunks. Adds the bytes that
/// arrive to `received`, and searches them for the link of the next page.
pub async fn read_stream(
    stream: &JsValue,
    idle: Duration,
    received: &Cell<u64>,
    next_link: &LinkSearch,
) -> Body {
    let Ok(reader) = call(stream, "getReader", &[]) else { return Body::Incomplete };
    let mut guard = CancelOnDrop(Some(reader.clone()));
    let mut chunks = Chunks::default();
    loop {
        let Ok(reading) = call(&reader, "read", &[]) else { return Body::Incomplete };
        let Some(chunk) = with_timeout(idle, settled(reading)).await else { return Body::Stalled };
        let Ok(chunk) = chunk else {
            guard.0 = None;
            return Body::Incomplete;
        };
        if get(&chunk, "done").is_truthy() {
            guard.0 = None;
            return chunks.text().map_or(Body::NotUtf8, Body::Text);
        }
        let Some(length) = chunks.push(get(&chunk, "value")) else { return Body::NotUtf8 };
        received.set(received.get() + u64::from(length));
        next_link.search(&chunks);
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
