//! The chart's copies of `config` and the CRD, and its version.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{ROOT, read};

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn the_charts_files_are_those_of_the_repository() {
    let folder = Path::new(ROOT).join("charts/regcred/files");
    let copies = files_below(&folder);
    assert!(copies.len() > 15, "{copies:?}");
    for copy in copies {
        let original = copy.strip_prefix(&folder).unwrap();
        let same = fs::read(Path::new(ROOT).join(original)).ok() == Some(fs::read(&copy).unwrap());
        assert!(same, "{} isn't what it is copied from: run `make chart`", copy.display());
    }
}

#[test]
fn chart_operator_and_image_are_of_one_version() {
    let chart: Value = serde_saphyr::from_str(&read("charts/regcred/Chart.yaml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &format!("v{version}").into()));
    assert!(read("config/manager/deployment.yaml").contains(&format!("image: ghcr.io/regcred/regcred:v{version}\n")));
}
