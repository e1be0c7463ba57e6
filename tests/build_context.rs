//! What `.dockerignore` lets into the image's build: all that cargo wants to see, or the image can't be built.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn cargo_sees_the_same_packages_and_targets_in_the_build_context_as_in_the_checkout() {
    let context = tempfile::tempdir().unwrap();
    for path in let_through(Path::new(""), &Ignore::read()) {
        let copy = context.path().join(&path);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(Path::new(ROOT).join(&path), copy).unwrap();
    }
    let wanted = targets(Path::new(ROOT));
    assert!(wanted.contains(Path::new("src/main.rs")), "{wanted:?}");
    assert_eq!(targets(context.path()), wanted);
}

#[test]
fn neither_keys_nor_what_was_built_are_in_the_build_context() {
    let ignore = Ignore::read();
    for path in ["key.json", "tests/fixtures/throwaway-key-a.json", "target/release/regcred", ".git/config"] {
        assert!(ignore.matches(Path::new(path)), "{path}");
    }
}

/// The sources that the targets of all packages begin with, relative to the workspace. cargo passes over a target here that
/// a Cargo.toml names and whose source it can't find; a build it refuses then.
fn targets(workspace: &Path) -> BTreeSet<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--locked", "--offline", "--format-version", "1"]);
    let output = cargo.current_dir(workspace).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let targets = list(&metadata["packages"]).into_iter().flat_map(|package| list(&package["targets"]));
    let root = PathBuf::from(metadata["workspace_root"].as_str().unwrap());
    let source =
        |target: Value| Path::new(target["src_path"].as_str().unwrap()).strip_prefix(&root).unwrap().to_owned();
    targets.map(source).collect()
}

/// The files of a folder, relative to the checkout, that come into the build's context.
fn let_through(folder: &Path, ignore: &Ignore) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap().map(Result::unwrap);
    let files = entries.flat_map(|entry| {
        let path = folder.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true if ignore.prunes(&path) => vec![],
            true => let_through(&path, ignore),
            false if ignore.matches(&path) => vec![],
            false => vec![path],
        }
    });
    files.collect()
}

/// `.dockerignore`: a path is left out or let through as the last line says that matches it or a folder that it is in.
struct Ignore(Vec<Line>);

struct Line {
    lets_through: bool,
    pattern: String,
}

impl Ignore {
    fn read() -> Ignore {
        let text = fs::read_to_string(Path::new(ROOT).join(".dockerignore")).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ignore(lines.map(Line::parse).collect())
    }

    fn matches(&self, path: &Path) -> bool {
        let last = self.0.iter().rfind(|line| path.ancestors().any(|path| line.matches(path)));
        last.is_some_and(|line| !line.lets_through)
    }

    /// Whether nothing below a folder is looked at. buildah looks into one that is left out only where a line names it
    /// letter by letter: `!tests/*/main.rs` alone finds nothing.
    fn prunes(&self, folder: &Path) -> bool {
        let below = format!("{}/", folder.display());
        self.matches(folder) && !self.0.iter().any(|line| line.lets_through && line.pattern.starts_with(&below))
    }
}

impl Line {
    fn parse(line: &str) -> Line {
        let (lets_through, pattern) = line.strip_prefix('!').map_or((false, line), |pattern| (true, pattern));
        // All that this reads: names, and `*` for what is within one.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/*".contains(letter);
        assert!(pattern.chars().all(plain) && !pattern.contains("**"), "teach this test to read {line}");
        Line { lets_through, pattern: pattern.to_owned() }
    }

    fn matches(&self, path: &Path) -> bool {
        let (names, patterns) = (path.iter(), self.pattern.split('/'));
        names.clone().count() == patterns.clone().count()
            && names.zip(patterns).all(|(name, pattern)| matches_name(pattern, &name.to_string_lossy()))
    }
}

fn matches_name(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches_name(rest, &name[at..]))
        }),
    }
}
