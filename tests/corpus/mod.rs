//! Compares the results of the page parser with the index of the corpus, natively and in browsers.

use deltalink::protocol::change::{Dialect, parse_item, removal};
use deltalink::protocol::item::Item;
use deltalink::protocol::page::{self, Link, Malformed};
use deltalink::protocol::refusal::Refusal;

/// A line of `index.tsv`.
pub struct IndexLine {
    /// The name of the file.
    pub file: String,
    kind: String,
    link: String,
    items: usize,
    removed: usize,
    deleted: usize,
}

/// The lines of `index.tsv`, without the header.
pub fn index_lines(index: &str) -> Vec<IndexLine> {
    let mut lines = index.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().expect("a header line");
    let column = |name: &str| {
        header
            .iter()
            .position(|column| *column == name)
            .unwrap_or_else(|| panic!("the column {name} is missing"))
    };
    let (file, kind, link) = (column("file"), column("kind"), column("link"));
    let (items, removed, deleted) =
        (column("items"), column("items_with_removed"), column("items_with_deleted_facet"));
    let number = |text: &str| text.parse().unwrap_or(0);
    lines
        .map(|cells| IndexLine {
            file: cells[file].to_owned(),
            kind: cells[kind].to_owned(),
            link: cells[link].to_owned(),
            items: number(cells[items]),
            removed: number(cells[removed]),
            deleted: number(cells[deleted]),
        })
        .collect()
}

/// Reads a body of the corpus and compares with its line of the index.
pub fn check<I: Item>(line: &IndexLine, body: &I) {
    let file = &line.file;
    if line.kind == "error" {
        let outer = body.get("error").and_then(|error| error.string_property("code"));
        assert_eq!(
            Refusal::read(400, Some(body)).codes.first(),
            outer.as_ref(),
            "{file}: the outermost code"
        );
        return;
    }
    let read = page::parse(body);
    let link = match &read {
        Ok(page) if matches!(page.link, Link::Next(_)) => "next",
        Ok(_) => "delta",
        Err(Malformed::NoLink) => "none",
        Err(other) => panic!("{file}: {other:?}"),
    };
    assert_eq!(link, line.link, "{file}: the link");
    let items = body.get("value").and_then(|value| value.as_array()).expect("an array");
    assert_eq!(items.len(), line.items, "{file}: the items");
    let removed = |dialect| items.iter().filter(|item| removal(*item, dialect).is_some()).count();
    assert_eq!(removed(Dialect::Removed), line.removed, "{file}: items with @removed");
    assert_eq!(
        removed(Dialect::DeletedFacet),
        line.removed + line.deleted,
        "{file}: items with the deleted facet"
    );
    for item in items {
        let _ = parse_item(item, Dialect::DeletedDate);
    }
}
