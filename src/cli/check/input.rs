//! The files that are checked.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// How a file came to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// It was named.
    ByName,
    /// It was in a folder.
    InFolder,
}

/// A file and what is in it.
pub struct Input {
    /// As it was named or found; `-` for standard input.
    pub name: String,
    /// Whose it is.
    pub chosen: Chosen,
    /// All of it, wiped in the end: it may be a key.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Input {
    /// Whether it says that it is JSON.
    pub fn is_json(&self) -> bool {
        has_extension(Path::new(&self.name), &["json"]) || self.bytes.trim_ascii_start().starts_with(b"{")
    }
}

/// Reads files, the manifests of folders, and standard input for `-`. Folders are read to their depths but for hidden
/// ones, in the order of their names.
///
/// # Errors
/// A sentence about the first one that can't be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Zeroizing::default();
            io::stdin().lock().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
            inputs.push(Input { name: "-".to_owned(), chosen: Chosen::ByName, bytes });
        } else if path.is_dir() {
            folder(path, &mut inputs)?;
        } else {
            inputs.push(file(path, Chosen::ByName)?);
        }
    }
    Ok(inputs)
}

fn folder(path: &Path, inputs: &mut Vec<Input>) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("{}: {error}", path.display());
    let mut entries = fs::read_dir(path).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let kind = entry.file_type().map_err(unreadable)?;
        let path = entry.path();
        // A link to a folder may lead back to where it is.
        if kind.is_dir() && !hidden {
            folder(&path, inputs)?;
        } else if !hidden && has_extension(&path, &["yaml", "yml", "json"]) && path.is_file() {
            inputs.push(file(&path, Chosen::InFolder)?);
        }
    }
    Ok(())
}

fn file(path: &Path, chosen: Chosen) -> Result<Input, String> {
    let bytes = fs::read(path).map(Zeroizing::new).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Input { name: path.display().to_string(), chosen, bytes })
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|own| extensions.iter().any(|one| own.eq_ignore_ascii_case(one)))
}
