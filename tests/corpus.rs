//! Reads real responses of Graph with the page parser. The corpus is not part of this project;
//! without it the test counts as skipped.
#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "corpus/mod.rs"]
mod corpus;

#[test]
fn every_real_response_is_read_as_its_index_says() {
    let folder = std::env::var("CORPUS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus").into());
    let Ok(index) = std::fs::read_to_string(format!("{folder}/index.tsv")) else {
        // tests/run.mjs prints this line and counts the test as skipped.
        println!("skipped: no corpus of real responses at {folder}");
        return;
    };
    let lines = corpus::index_lines(&index);
    assert!(lines.len() > 100);
    for line in &lines {
        let text = std::fs::read_to_string(format!("{folder}/{}", line.file)).unwrap();
        let body: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", line.file));
        corpus::check(line, &body);
    }
    println!("corpus: {} real responses read", lines.len());
}
