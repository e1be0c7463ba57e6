//! `config/overlays/scoped` with names of one's own, as an administrator sets them: in that one file.

use std::{fs, path::Path, path::PathBuf};

/// Copies what the overlay is made of from the repository's `config` folder and writes these names of Secrets and
/// service accounts into the copy, which is made in `folder`. Gives the overlay's folder, for `kubectl apply -k`; panics if it doesn't list each of
/// its sample names once.
pub fn scoped_overlay(folder: &Path, config: &Path, secrets: &[String], accounts: &[String]) -> PathBuf {
    let copied = folder.join("config");
    for part in ["rbac", "manager", "default", "overlays/scoped"] {
        copy(&config.join(part), &copied.join(part));
    }
    let overlay = copied.join("overlays/scoped");
    let file = overlay.join("kustomization.yaml");
    let mut text = fs::read_to_string(&file).expect("the overlay's kustomization");
    for (shipped, names) in [("[darwin-secret]", secrets), ("[default]", accounts)] {
        assert_eq!(text.matches(shipped).count(), 1, "{shipped} is to be given once");
        text = text.replace(shipped, &serde_json::json!(names).to_string()); // quoted: YAML takes off for false
    }
    fs::write(&file, text).expect("our own file");
    overlay
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("our own folder");
    for file in fs::read_dir(from).expect("the config folder") {
        let file = file.expect("a file of the config folder");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy in our own folder");
    }
}
