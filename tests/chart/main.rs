//! charts/regcred without a cluster: what it renders, which values it takes, and that it says what `config` says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod compare;
mod files;
mod readme;
mod render;
mod values;

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A file of the repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}
