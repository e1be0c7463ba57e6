//! What README.md and docs/ tell people to type is typed here, block by block, on a real control plane; and docs/reference
//! is compared with what it describes.
//!
//! Each document is a story of its own: one cluster, its commands in their order. A mark before each block says what the
//! block is (`controlplane::docs`). What a document leaves to the reader, such as having a key, asides.rs does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod asides;
mod not_run;
mod reference;
mod stage;
mod story;
mod usage;

use std::{fs, path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn main() -> ExitCode {
    let documents = documents();
    let stories = documents.iter().filter(|document| story::is_one(document)).cloned().map(|document| {
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
    trials.push(Trial::test("docs/reference says what is so, and every reason is explained", || {
        reference::check();
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// README.md and all of docs/.
pub fn documents() -> Vec<String> {
    let mut documents = vec!["README.md".to_owned()];
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.ends_with(".md") {
                documents.push(path);
            }
        }
    }
    documents[1..].sort();
    documents
}

/// A document's text.
pub fn read(document: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(document)).unwrap()
}
