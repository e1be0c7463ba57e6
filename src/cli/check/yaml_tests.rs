//! Trees of odd texts.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{super::schema, *};

fn trees(text: &str) -> Vec<Result<Json, String>> {
    let tree = |document: Result<Document<'_>, Fault>| match document {
        Ok(document) => Ok(schema::json(&document.root)),
        Err(fault) => Err(fault.message),
    };
    documents(text).into_iter().map(tree).collect()
}

#[test]
fn a_document_that_cannot_be_read_hides_no_other() {
    let found = trees("a: 1\n---\nb: [\n---\nc: {? [x] : y}\n---\nd: yes\n");
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0], Ok(json!({"a": 1})));
    assert!(found[1].is_err());
    assert_eq!(found[2], Err("the name of a field isn't plain text".to_owned()));
    assert_eq!(found[3], Ok(json!({"d": true})));
}

#[test]
fn values_know_where_they_stand() {
    let text = "ä: {b: \"ü\", c: [1,\n  x]}\n";
    let documents = documents(text);
    let root = &documents[0].as_ref().unwrap().root;
    let at = |line, column| Position { line, column };
    assert_eq!(root.entries()[0].at, at(1, 1));
    assert_eq!(root.at_path(&["ä", "b"]).unwrap().at, at(1, 8));
    let list = root.at_path(&["ä", "c"]).unwrap().items();
    assert_eq!((list[0].at, list[1].at), (at(1, 17), at(2, 3)));
}

#[test]
fn aliases_and_merges_are_followed() {
    let found = trees("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{z: 4}, *a]}\ne: {\"<<\": 5}\n");
    let a = json!({"x": 1, "y": 2});
    let merged = json!({"a": a, "b": a, "c": {"x": 1, "y": 3}, "d": {"x": 1, "y": 2, "z": 4}, "e": {"<<": 5}});
    assert_eq!(found, [Ok(merged)]);
    assert!(trees("a: &a [*a]\n")[0].is_err());
}

#[test]
fn a_field_that_is_there_twice_is_told_and_the_last_one_counts() {
    let documents = documents("a: 1\nb: 2\na: 3\n");
    let document = documents[0].as_ref().unwrap();
    assert_eq!(document.repeated, [Position { line: 3, column: 1 }]);
    assert_eq!(schema::json(&document.root), json!({"a": 3, "b": 2}));
}

#[test]
fn a_small_text_cannot_become_a_large_tree() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert_eq!(trees(&bomb), [Err("it is too deep or too large for a manifest".to_owned())]);
    assert!(trees(&"[".repeat(100_000))[0].is_err());
    assert!(trees(&"- ".repeat(100_000))[0].is_err());
}

proptest! {
    #[test]
    fn any_text_ends_in_an_answer(text in "[-a:{}\\[\\]&*!|>'\"# \n\t?,<%]{0,60}") {
        let _ = trees(&text);
    }
}
