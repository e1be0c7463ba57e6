//! How `src/` is built, read from the text of its imports: which rooms there are, on how many floors, and that no import
//! runs in a circle or up.
//!
//! A room is a module directly below the crate. The floor of a module is one more than the highest among those that it
//! imports; what imports nothing stands on the first. Tests aren't part of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod graph;
mod imports;
mod text;

use std::{collections::BTreeSet, path::Path};

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
