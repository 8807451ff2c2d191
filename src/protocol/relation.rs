//! Relationship slices: `members@delta`, `manager@delta` and similar properties (graph-facts 2.2).
//!
//! A slice lists the objects that joined a relationship and, marked by `@removed`, those that left
//! it. A large group arrives several times in one round, each time with another slice. The mirror
//! stores the whole set as an array under the name of the relationship, such as `members`, in the
//! order in which the objects joined.

use std::collections::HashMap;

use super::item::Item;

const SLICE: &str = "@delta";

/// Arrays of objects by the name of their relationship.
pub type Lists<I> = Vec<(String, Vec<I>)>;

/// Whether a page may have slices, by a search in its JSON text, which costs much less than reading
/// all property names. `contains` returns whether the text contains a string.
pub fn may_occur(contains: impl Fn(&str) -> bool) -> bool {
    // Any character of `@delta` may be escaped, like `\u0040`.
    [r#"@delta""#, r"\u004", r"\u006", r"\u007"].into_iter().any(contains)
}

/// Splits an item into an object without its slices, and the slices by the name of their
/// relationship.
pub fn split<I: Item>(item: I) -> (I, Lists<I>) {
    let mut slices = Vec::new();
    let mut names = Vec::new();
    for name in item.property_names() {
        if let Some(relation) = name.strip_suffix(SLICE)
            && let Some(list) = item.get(&name).and_then(|value| value.as_array())
        {
            slices.push((relation.to_owned(), list));
            names.push(name);
        }
    }
    if slices.is_empty() { (item, slices) } else { (without(&item, &names), slices) }
}

/// Joins two items of one page that have the same id, at least one of them with slices. Keeps all
/// slices in order.
pub fn join_slices<I: Item>(first: I, second: I, minimal: bool) -> I {
    let (first, slices) = split(first);
    let (second, more) = split(second);
    // A further part of a large group brings the next slice and may lack properties of the first.
    let merges = minimal || !more.is_empty();
    let item = if merges { first.overlaid_with(&second) } else { second };
    let mut lists: Lists<I> = slices;
    for (relation, mut slice) in more {
        match lists.iter_mut().find(|(name, _)| *name == relation) {
            Some((_, list)) => list.append(&mut slice),
            None => lists.push((relation, slice)),
        }
    }
    let mut named = Vec::new();
    for (relation, list) in lists {
        named.push((relation + SLICE, I::from_elements(list)));
    }
    item.overlaid_with(&I::from_properties(named))
}

/// Applies slices to the sets that an object holds.
pub fn merge_slices<I: Item>(sets: &I, slices: Lists<I>) -> I {
    let mut merged = Vec::new();
    for (relation, slice) in slices {
        let old = sets.get(&relation).and_then(|set| set.as_array()).unwrap_or_default();
        let set = merged_set(old, slice);
        merged.push((relation, I::from_elements(set)));
    }
    sets.overlaid_with(&I::from_properties(merged))
}

fn merged_set<I: Item>(old: Vec<I>, slice: Vec<I>) -> Vec<I> {
    let mut positions: HashMap<String, usize> = HashMap::new();
    // Members that left keep their position until the end, so that positions found earlier stay
    // valid.
    let mut members: Vec<(String, Option<I>)> = Vec::with_capacity(old.len());
    for member in old.into_iter().chain(slice) {
        let Some(id) = member.string_property("id") else { continue };
        let member = if member.get("@removed").is_some_and(|removed| !removed.is_null()) {
            None
        } else {
            Some(member)
        };
        let position = *positions.entry(id.clone()).or_insert(members.len());
        match members.get_mut(position) {
            Some((_, known)) => *known = member,
            None => members.push((id, member)),
        }
    }
    members.into_iter().filter_map(|(_, member)| member).collect()
}

/// An item whose sets are replaced by those that a full round staged. `old` are the names of the
/// sets to replace.
pub fn with_staged_sets<I: Item>(item: &I, old: &[String], staged: &I) -> I {
    let mut sets = Vec::new();
    for name in staged.property_names() {
        let new = staged.get(&name).unwrap_or_else(|| I::from_elements(Vec::new()));
        // The same objects in another order count as unchanged.
        let kept = item.get(&name).filter(|set| is_same_set(set, &new)).unwrap_or(new);
        sets.push((name, kept));
    }
    without(item, old).overlaid_with(&I::from_properties(sets))
}

fn is_same_set<I: Item>(one: &I, other: &I) -> bool {
    let (Some(one), Some(other)) = (one.as_array(), other.as_array()) else { return false };
    let len = one.len();
    len == other.len() && merged_set(one, other).len() == len
}

/// A copy of an object without the properties of these names.
fn without<I: Item>(item: &I, names: &[String]) -> I {
    let mut kept = Vec::new();
    for name in item.property_names() {
        if !names.contains(&name)
            && let Some(value) = item.get(&name)
        {
            kept.push((name, value));
        }
    }
    I::from_properties(kept)
}

/// An object with only the sets of `item`.
pub fn sets<I: Item>(item: &I, names: &[String]) -> I {
    let mut sets = Vec::new();
    for name in names {
        if let Some(set) = item.get(name) {
            sets.push((name.clone(), set));
        }
    }
    I::from_properties(sets)
}

#[cfg(test)]
#[cfg(not(target_family = "wasm"))]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn slice(ids: &[&str], gone: &[&str]) -> Value {
        let stays = ids.iter().map(|id| json!({"id": id}));
        let left = gone.iter().map(|id| json!({"id": id, "@removed": {"reason": "deleted"}}));
        stays.chain(left).collect()
    }

    #[test]
    fn a_slice_is_an_array_whose_name_ends_in_delta() {
        let (item, slices) =
            split(json!({"id": "g", "members@delta": [{"id": "a"}], "number@delta": 1, "n": 2}));
        assert_eq!(item, json!({"id": "g", "number@delta": 1, "n": 2}));
        assert_eq!(slices, [("members".to_owned(), vec![json!({"id": "a"})])]);
    }

    #[test]
    fn a_text_with_a_slice_is_recognized_however_its_name_is_escaped() {
        let has_slice = |text: &str| {
            let item: Value = serde_json::from_str(text).unwrap();
            assert_eq!(split(item).1.len(), 1, "{text}");
            may_occur(|part| text.contains(part))
        };
        for (at, character) in SLICE.char_indices() {
            let (before, rest) = SLICE.split_at(at);
            let after = rest.strip_prefix(character).unwrap_or_default();
            let code = u32::from(character);
            for escape in [format!("\\u{code:04x}"), format!("\\u{code:04X}")] {
                assert!(has_slice(&format!(r#"{{"members{before}{escape}{after}":[]}}"#)), "{escape}");
            }
        }
        assert!(has_slice(r#"{"members@delta" : []}"#));
        assert!(may_occur(|part| r#"{"n":"@delta"}"#.contains(part)), "a value may look like a name");
        let none = r#"{"@odata.deltaLink":"https://graph.example/@delta?t","value":[{"n":"\u00e9"}]}"#;
        assert!(!may_occur(|part| none.contains(part)));
    }

    #[test]
    fn slices_add_to_the_set_and_remove_from_it() {
        let (_, slices) = split(json!({"members@delta": slice(&["c", "a"], &["b", "unknown"])}));
        let sets =
            merge_slices(&json!({"members": slice(&["a", "b"], &[]), "owners": slice(&["o"], &[])}), slices);
        assert_eq!(sets, json!({"members": slice(&["a", "c"], &[]), "owners": slice(&["o"], &[])}));
    }

    #[test]
    fn an_object_that_left_and_came_back_is_in_the_set() {
        let (_, slices) =
            split(json!({"members@delta": [{"id": "a", "@removed": {"reason": "deleted"}}, {"id": "a"},
                {"no": "id"}]}));
        assert_eq!(
            merge_slices(&json!({"members": slice(&["a"], &[])}), slices),
            json!({"members": slice(&["a"], &[])})
        );
    }

    #[test]
    fn two_items_with_one_id_in_a_page_keep_both_slices() {
        let first = json!({"id": "g", "n": 1, "old": true, "members@delta": slice(&["a"], &[])});
        let sliced = join_slices(
            first.clone(),
            json!({"id": "g", "n": 2, "members@delta": slice(&["b"], &[])}),
            false,
        );
        assert_eq!(sliced, json!({"id": "g", "n": 2, "old": true, "members@delta": slice(&["a", "b"], &[])}));
        let plain = join_slices(first, json!({"id": "g", "n": 2}), false);
        assert_eq!(plain, json!({"id": "g", "n": 2, "members@delta": slice(&["a"], &[])}));
    }

    #[test]
    fn a_staged_set_replaces_the_old_one_but_keeps_its_order_if_the_members_are_the_same() {
        let item = json!({"id": "g", "members": slice(&["a", "b"], &[]), "owners": slice(&["o"], &[])});
        let names = ["members".to_owned(), "owners".to_owned()];
        assert_eq!(
            with_staged_sets(&item, &names, &json!({"members": slice(&["b", "a"], &[])})),
            json!({"id": "g", "members": slice(&["a", "b"], &[])})
        );
        assert_eq!(
            with_staged_sets(&item, &names, &json!({"members": slice(&["b", "c"], &[])})),
            json!({"id": "g", "members": slice(&["b", "c"], &[])})
        );
        assert_eq!(with_staged_sets(&item, &names, &json!({})), json!({"id": "g"}));
    }
}
