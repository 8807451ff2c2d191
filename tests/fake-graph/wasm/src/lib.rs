//! A world of the fake Graph for JavaScript, which passes the time and sends the responses. Users
//! call it through `pkg-template/fake-graph.js`.

use fake_graph::{Request, Response, World};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(raw_module = "./fake-zones.js")]
extern "C" {
    /// The offset of a time zone from UTC in minutes. Undefined if the host does not know the zone.
    #[wasm_bindgen(js_name = zoneOffset)]
    fn zone_offset(name: &str, ms: f64) -> Option<f64>;
}

/// A world of the fake Graph.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Fake(World);

#[wasm_bindgen]
impl Fake {
    /// Makes an empty world.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u32, root: String) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "times and minutes")]
        let known_to_host = |name: &str, ms: i64| zone_offset(name, ms as f64).map(|minutes| minutes as i64);
        Self(World::new(u64::from(seed), root).with_zones(known_to_host))
    }

    /// Handles a request for a path below the origin. The first line of the result is JSON with the
    /// status, the headers and the faults of the response. The rest is the body.
    pub fn handle(&mut self, method: String, url: String, headers: &str, body: String, now: f64) -> String {
        let headers = serde_json::from_str(headers).unwrap_or_default();
        let response = self.0.handle(&Request { method, url, headers, body: body.into_bytes() }, ms(now));
        let Response { status, headers, body, delay_ms, cut_after, hang, bytes_per_second } = response;
        let meta = json!({
            "status": status, "headers": headers, "delay": delay_ms, "cut": cut_after, "hang": hang,
            "rate": bytes_per_second,
        });
        format!("{meta}\n{}", String::from_utf8_lossy(&body))
    }

    /// Calls the control API, for example `POST` and `edits`, with JSON.
    pub fn control(&mut self, method: &str, path: &str, body: &str, now: f64) -> Result<String, JsError> {
        let body: Value = serde_json::from_str(body)?;
        self.0
            .control(method, path, &body, ms(now))
            .map(|value| value.to_string())
            .map_err(|message| JsError::new(&message))
    }
}

fn ms(now: f64) -> u64 {
    // A time before 1970 becomes 1970.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let ms = now as u64;
    ms
}
