//! What may be said of edges: the siblings of a folder that import one another, circles, and floors.

use std::collections::{BTreeMap, BTreeSet};

use crate::imports::Crate;

pub type Edges = BTreeSet<(String, String)>;

/// Which modules of a folder import which; each is given by its path. What the folder's own `mod.rs` has beside
/// re-exports counts as a module of the folder's path.
pub fn siblings(source: &Crate, folder: &str) -> Edges {
    let member = |module: &str| {
        let below = if folder.is_empty() { module } else { module.strip_prefix(folder)? };
        match below.strip_prefix("::").unwrap_or(below).split("::").next().unwrap() {
            "" => Some(folder.to_owned()),
            first if folder.is_empty() => Some(first.to_owned()),
            first if below.starts_with("::") => Some(format!("{folder}::{first}")),
            _ => None, // another module whose name begins in the same way
        }
    };
    let edges = source.imports().filter_map(|(from, to)| Some((member(from)?, member(to)?)));
    edges.filter(|(from, to)| from != to).collect()
}

/// Some circle, if there is one.
pub fn cycle(edges: &Edges) -> Option<Vec<String>> {
    let mut left = edges.clone();
    // What imports nothing that is left is in no circle.
    loop {
        let importing: BTreeSet<_> = left.iter().map(|(from, _)| from.clone()).collect();
        let before = left.len();
        left.retain(|(_, to)| importing.contains(to));
        if left.len() == before {
            break;
        }
    }
    let (start, _) = left.first()?;
    let mut path = vec![start.clone()];
    loop {
        let (_, next) = left.iter().find(|(from, _)| from == path.last().unwrap()).unwrap();
        if let Some(at) = path.iter().position(|module| module == next) {
            return Some(path.split_off(at));
        }
        path.push(next.clone());
    }
}

/// How many floors there are.
///
/// # Panics
/// Where there is a circle.
pub fn floors(edges: &Edges) -> usize {
    assert_eq!(cycle(edges), None);
    let mut floor: BTreeMap<&str, usize> = edges.iter().flat_map(|(a, b)| [(&**a, 1), (&**b, 1)]).collect();
    loop {
        let higher = edges.iter().find(|(from, to)| floor[&**from] <= floor[&**to]);
        let Some((from, to)) = higher else { break };
        floor.insert(from, floor[&**to] + 1);
    }
    floor.values().copied().max().unwrap_or(1)
}

#[test]
fn circles_are_found_and_floors_counted() {
    let edges = |pairs: &[&str]| -> Edges {
        pairs.iter().map(|pair| pair.split_once('>').unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
    };
    assert_eq!(cycle(&edges(&["a>b", "b>c", "a>c"])), None);
    assert_eq!(floors(&edges(&["a>b", "b>c", "a>c", "d>c"])), 3);
    assert_eq!(cycle(&edges(&["a>b", "b>c", "c>b"])), Some(vec!["b".to_owned(), "c".to_owned()]));
}
