//! Reads real responses of Graph with the page parser. The corpus is not part of this project;
//! without it the test counts as skipped.

use deltalink::web::json::Json;
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::corpus;
use crate::world::call;

/// The text of a file of the server, if it exists.
async fn file(name: &str) -> Option<String> {
    call(&format!("{}/{name}", crate::SERVER?), "GET", "").await.ok()?.as_string()
}

#[cfg_attr(not(feature = "http-tests"), ignore = "needs a server: node tests/run.mjs browser")]
#[test]
async fn every_real_response_is_read_as_its_index_says() {
    let Some(index) = file("index.tsv").await else {
        // tests/run.mjs counts the test as skipped.
        return;
    };
    let lines = corpus::index_lines(&index);
    assert!(lines.len() > 100);
    for line in &lines {
        let text = file(&line.file).await.unwrap();
        let body = js_sys::JSON::parse(&text).unwrap_or_else(|error| panic!("{}: {error:?}", line.file));
        corpus::check(line, &Json::new(body));
    }
}
