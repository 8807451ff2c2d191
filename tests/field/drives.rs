//! Drives.

use deltalink::protocol::query::{self, Options, Query};
use deltalink::protocol::time::Duration;
use serde_json::{Value, json};

use crate::script::{Script, page};

fn drive() -> Query {
    query::track("/me/drive/root/delta", Options::default()).unwrap()
}

fn item(id: &str, parent: &str, name: &str) -> Value {
    json!({ "id": id, "name": name, "parentReference": { "id": parent } })
}

fn root() -> Value {
    json!({ "id": "root", "name": "root", "root": {} })
}

#[test]
fn a_folder_that_is_deleted_and_made_again_during_the_first_listing_leaves_nothing_behind() {
    let mut script = Script::new(drive());
    let start = script.start();
    script.on(&start, page(json!([root(), item("item0", "root", "a")]), "next n1"));
    script.on(
        "/n1",
        page(json!([root(), item("id1", "root", "folder"), item("item1", "id1", "b")]), "next n2"),
    );
    script.on("/n2", page(json!([item("id2", "root", "Folder")]), "delta d1"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["id2", "item0", "root"]);
    assert_eq!(script.state.as_ref().unwrap().count, Some(3));
    assert_eq!(script.changes[5..], ["-id1 ghost", "-item1 ghost"]);
    // The next round lists everything again: the removed folder may only have been renamed.
    let items = json!([root(), item("item0", "root", "a"), item("id2", "root", "Folder")]);
    script.on(&start, page(items, "delta d2"));
    script.round().unwrap();
    assert_eq!(script.changes, ["=root", "=item0", "=id2"]);
    script.on("/d2", page(json!([]), "delta d3"));
    script.round().unwrap();
}

#[test]
fn children_that_moved_into_the_new_folder_stay() {
    let mut script = Script::new(drive());
    let start = script.start();
    let items =
        json!([root(), item("old", "root", "folder"), item("stays", "old", "a"), item("goes", "old", "b")]);
    script.on(&start, page(items, "next n1"));
    script.on("/n1", page(json!([item("new", "root", "folder"), item("stays", "new", "a")]), "delta d1"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["new", "root", "stays"]);
}

#[test]
fn two_files_that_swap_their_names_both_stay() {
    let mut script = Script::new(drive());
    let start = script.start();
    script.on(&start, page(json!([root(), item("1", "root", "a"), item("2", "root", "b")]), "delta d1"));
    script.round().unwrap();
    // Between the two pages both are called b.
    script.on("/d1", page(json!([item("1", "root", "b")]), "next n1"));
    script.on("/n1", page(json!([item("2", "root", "a")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["1", "2", "root"]);
}

#[test]
fn a_rename_whose_other_half_is_on_the_next_page_removes_nothing() {
    let mut script = Script::new(drive());
    let start = script.start();
    script.on(&start, page(json!([root(), item("1", "root", "report")]), "delta d1"));
    script.round().unwrap();
    script.on("/d1", page(json!([item("2", "root", "report")]), "next n1"));
    script.on("/n1", page(json!([item("1", "root", "report (1)")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["1", "2", "root"]);
}

#[test]
fn a_file_that_replaces_another_in_a_later_round_displaces_it() {
    let mut script = Script::new(drive());
    let start = script.start();
    script.on(&start, page(json!([root(), item("1", "root", "Report.docx")]), "delta d1"));
    script.round().unwrap();
    script.on("/d1", page(json!([item("2", "root", "report.docx")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["2", "root"]);
    assert_eq!(script.changes, ["+2", "-1 ghost"]);
}

#[test]
fn a_round_without_new_names_reads_no_row_of_the_mirror_again() {
    let mut script = Script::new(drive());
    let start = script.start();
    script.on(&start, page(json!([root(), item("1", "root", "a")]), "delta d1"));
    script.round().unwrap();
    let mut edited = item("1", "root", "a");
    edited["size"] = 7.into();
    script.on("/d1", page(json!([edited]), "delta d2"));
    script.config.max_pages = Some(1);
    script.round().unwrap();
    assert!(!script.state.as_ref().unwrap().check_names);
}

#[test]
fn the_search_for_displaced_rows_survives_a_crash_at_any_step() {
    for crash_at in 1..60 {
        let mut script = Script::new(drive());
        let start = script.start();
        for _ in 0..2 {
            let items =
                json!([root(), item("id1", "root", "folder"), item("b", "id1", "b"), item("c", "id1", "c")]);
            script.on(&start, page(items, "next n1"));
            script.on("/n1", page(json!([item("id2", "root", "folder")]), "delta d1"));
            script.on("/d1", page(json!([]), "delta d2"));
        }
        script.crash_at = Some(crash_at);
        script.round().unwrap();
        script.crash_at = None;
        script.round().unwrap();
        assert_eq!(script.ids(), ["id2", "root"], "a crash at step {crash_at}");
    }
}

#[test]
fn properties_that_a_select_leaves_out_are_not_compared() {
    let select = Some(vec!["name".to_owned()]);
    let query = query::track("/me/drive/root/delta", Options { select, ..Options::default() }).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    script.on(&start, page(json!([{ "id": "1", "name": "a" }, { "id": "2", "name": "a" }]), "delta d1"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["1", "2"]);
}

#[test]
fn a_removal_that_graph_does_not_report_is_found_by_the_listing_of_the_next_week() {
    let mut script = Script::new(drive());
    let start = script.start();
    script.on(&start, page(json!([root(), item("1", "root", "a"), item("2", "root", "b")]), "delta d1"));
    script.round().unwrap();
    script.now += Duration::DAY * 6.0;
    script.on("/d1", page(json!([root()]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["1", "2", "root"], "not listed again yet");
    script.now += Duration::DAY * 2.0;
    script.on(&start, page(json!([root(), item("1", "root", "a")]), "delta d3"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["1", "root"]);
}

#[test]
fn a_removal_is_understood_with_any_select() {
    for selected in [vec!["name"], vec!["size", "id"], vec!["deleted"]] {
        let select = Some(selected.iter().map(|name| (*name).to_owned()).collect());
        let query = query::track("/me/drive/root/delta", Options { select, ..Options::default() }).unwrap();
        let mut script = Script::new(query);
        let start = script.start();
        // Graph sends the facet only if it is selected.
        let has_facet = start.split("$select=").nth(1).unwrap().split(',').any(|name| name == "deleted");
        script.on(&start, page(json!([{ "id": "1", "name": "a" }, { "id": "2", "name": "b" }]), "delta d1"));
        script.round().unwrap();
        let gone = if has_facet { json!({ "id": "1", "deleted": {} }) } else { json!({ "id": "1" }) };
        script.on("/d1", page(json!([gone]), "delta d2"));
        script.round().unwrap();
        assert_eq!(script.ids(), ["2"], "{selected:?}");
    }
}

#[test]
fn children_of_a_displaced_folder_that_is_listed_again_are_listed_too() {
    let query =
        query::track("/me/drive/root/delta", Options { refresh: Some(None), ..Options::default() }).unwrap();
    let mut script = Script::new(query);
    let start = script.start();
    script.on(
        &start,
        page(json!([root(), item("f1", "root", "folder"), item("c1", "f1", "child")]), "next n1"),
    );
    script.on("/n1", page(json!([item("f2", "root", "folder")]), "delta d1"));
    script.round().unwrap();
    script.on("/d1", page(json!([item("f1", "root", "folder (old)")]), "delta d2"));
    script.on(
        &start,
        page(
            json!([
                root(),
                item("f1", "root", "folder (old)"),
                item("c1", "f1", "child"),
                item("f2", "root", "folder")
            ]),
            "delta d2",
        ),
    );
    script.round().unwrap();
    for _ in 0..3 {
        script.on("/d2", page(json!([]), "delta d2"));
    }
    script.round().unwrap();
    assert_eq!(script.ids(), ["c1", "f1", "f2", "root"]);
}

#[test]
fn the_item_that_takes_a_name_is_not_removed_with_the_folder_that_it_displaces() {
    let mut script = Script::new(query::track("/me/drive/root/delta", Options::default()).unwrap());
    let start = script.start();
    script.on(
        &start,
        page(json!([item("a", "root", "x"), item("b", "a", "y"), item("c", "b", "z")]), "delta d1"),
    );
    script.round().unwrap();
    // b moves up and takes the name of a; c stays below b and is not sent again.
    script.on("/d1", page(json!([item("b", "root", "x")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["b", "c"]);
}

#[test]
fn children_may_arrive_before_their_new_folder_and_two_rows_may_swap_names_in_two_rounds() {
    let mut script = Script::new(query::track("/me/drive/root/delta", Options::default()).unwrap());
    let start = script.start();
    // The new folder comes after its child, which is new too.
    script.on(&start, page(json!([item("old", "root", "x"), item("old-c", "old", "c")]), "next n1"));
    script.on("/n1", page(json!([item("new-c", "new", "c"), item("new", "root", "X")]), "delta d1"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["new", "new-c"]);
    // Two rows swap their names, each in its own round.
    let items = json!([
        item("new-c", "new", "c"),
        item("new", "root", "X"),
        item("p", "root", "1"),
        item("q", "root", "2"),
    ]);
    script.on(&start, page(items, "delta d2"));
    script.round().unwrap();
    script.on("/d2", page(json!([item("p", "root", "2")]), "delta d3"));
    script.round().unwrap();
    script.on("/d3", page(json!([item("q", "root", "1")]), "delta d4"));
    script.round().unwrap();
    assert_eq!(script.ids(), ["new", "new-c", "p", "q"]);
}

#[test]
fn a_round_reads_the_names_of_a_drive_once_and_then_only_when_two_rows_have_the_same_name() {
    let mut script = Script::new(drive());
    let start = script.start();
    let items = json!([root(), item("1", "root", "a"), item("2", "root", "b"), item("3", "root", "c")]);
    script.on(&start, page(items, "delta d1"));
    script.round().unwrap();
    assert_eq!(script.swept_rows, 0, "the mirror was empty");
    script.on("/d1", page(json!([item("4", "root", "d")]), "delta d2"));
    script.round().unwrap();
    assert_eq!(script.swept_rows, 0);
    script.on("/d2", page(json!([item("5", "root", "A")]), "delta d3"));
    script.round().unwrap();
    assert_eq!((script.swept_rows, script.changes.last().unwrap().as_str()), (12, "-1 ghost"), "read twice");
    script.on("/d3", page(json!([item("6", "root", "f")]), "delta d4"));
    script.round().unwrap();
    assert_eq!(script.swept_rows, 12);
    // After a commit of another process, a round reads all names again.
    script.state.as_mut().unwrap().revision = "of another tab".into();
    script.on("/d4", page(json!([item("7", "root", "g")]), "delta d5"));
    script.round().unwrap();
    assert_eq!(script.swept_rows, 19, "all seven rows");
    script.on("/d5", page(json!([item("8", "root", "h")]), "delta d6"));
    script.round().unwrap();
    assert_eq!(script.swept_rows, 19);
}
