//! What README.md and docs/ tell people to type is typed here, block by block, on a real control plane.
//!
//! Each document is a story of its own: one cluster, its commands in their order. A mark before each block says what the
//! block is (`controlplane::docs`). What a document leaves to the reader, such as having a key, asides.rs does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod asides;
mod not_run;
mod stage;
mod story;
mod usage;

use std::{fs, path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn main() -> ExitCode {
    let documents = documents();
    let stories = documents.iter().cloned().map(|document| {
        Trial::test(format!("what {document} tells people to type does what it says"), move || {
            story::play(&document);
            Ok(())
        })
    });
    let mut trials: Vec<Trial> = stories.collect();
    trials.push(Trial::test("what is not run is in the docs, and each has its reason", move || {
        not_run::check(&documents);
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// README.md and all of docs/.
pub fn documents() -> Vec<String> {
    let files = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let names = files.map(|file| format!("docs/{}", file.unwrap().file_name().to_string_lossy()));
    let mut documents: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    documents.sort();
    documents.insert(0, "README.md".to_owned());
    documents
}

/// A document's text.
pub fn read(document: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(document)).unwrap()
}
