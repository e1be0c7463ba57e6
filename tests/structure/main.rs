//! How `src/` is built, read from the text of its imports: which rooms there are, on how many floors, and that no import
//! runs in a circle or up.
//!
//! A room is a module directly below the crate. The floor of a module is one more than the highest among those that it
//! imports; what imports nothing stands on the first. Tests aren't part of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod graph;
mod imports;
mod text;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use graph::{cycle, floors, siblings};
use imports::Crate;

/// The rooms from the top down; each imports only from those that come later.
const ROOMS: [&str; 11] =
    ["main", "cli", "leader", "controller", "cluster", "progress", "plan", "credential", "image", "api", "process"];

const MOST_ROOMS: usize = 13;
const MOST_FLOORS: usize = 9;
const MOST_FLOORS_OF_PLAN: usize = 6;

fn source() -> Crate {
    Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn a_room_imports_only_from_the_rooms_below_it() {
    let source = source();
    assert_eq!(source.children("").into_iter().collect::<BTreeSet<_>>(), ROOMS.map(str::to_owned).into());
    assert!(ROOMS.len() <= MOST_ROOMS);
    let place = |room: &str| ROOMS.iter().position(|one| *one == room).unwrap();
    let edges = siblings(&source, "");
    assert!(edges.len() > ROOMS.len(), "the imports weren't found: {edges:?}");
    for (from, to) in &edges {
        assert!(place(from) < place(to), "{from} imports from {to}: {:?}", source.imports_between(from, to));
    }
    assert!(floors(&edges) <= MOST_FLOORS, "{} floors: {edges:?}", floors(&edges));
}

#[test]
fn no_imports_go_in_a_circle_in_any_folder() {
    let source = source();
    let mut faults = Vec::new();
    for folder in source.folders() {
        if let Some(circle) = cycle(&siblings(&source, &folder)) {
            let imports =
                circle.iter().zip(circle.iter().cycle().skip(1)).map(|(from, to)| source.imports_between(from, to));
            faults.push(format!("in {folder:?}: {circle:?}: {:?}", imports.collect::<Vec<_>>()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_plan_has_few_floors() {
    let edges = siblings(&source(), "plan");
    assert!(edges.len() > 10, "the imports weren't found: {edges:?}");
    assert!(floors(&edges) <= MOST_FLOORS_OF_PLAN, "{} floors: {edges:?}", floors(&edges));
}

/// Where a kind of credential may be named, beside its own folder: the union, the one match, and what tells apart what
/// people mix up.
const NAMES_OF_KINDS: [&str; 3] = ["api/kinds.rs", "credential/kinds/mod.rs", "credential/recognize.rs"];

/// Adding a kind is adding a folder: docs/adding-a-kind.md.
#[test]
fn a_kind_of_credential_is_named_in_its_folder_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let kinds: Vec<String> = fs::read_dir(root.join("credential/kinds"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(kinds.len() >= 3, "{kinds:?}");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let mut faults = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let is_test = name.ends_with("tests.rs") || name.ends_with("testing.rs");
        if is_test || NAMES_OF_KINDS.contains(&name.as_str()) || name.starts_with("credential/kinds/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (text, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
        for kind in &kinds {
            let pascal: String = kind.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            let camel = pascal[..1].to_lowercase() + &pascal[1..];
            // A docker config is also what every kind ends in, so its other names prove nothing.
            for word in [
                format!("kinds::{kind}"),
                format!("{pascal}Source"),
                format!("{camel}.secretRef"),
                format!("\"{camel}\""),
            ] {
                if text.contains(&word) {
                    faults.push(format!("{name}: {word}"));
                }
            }
            if kind != "docker_config" && (text.contains(&pascal) || text.contains(&camel) || text.contains(kind)) {
                faults.push(format!("{name}: {kind}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
