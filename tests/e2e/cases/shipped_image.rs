//! The image that the Dockerfile makes: what it says of itself, what is in it, and that it runs without a Deployment's help.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use controlplane::eventually;
use serde_json::{Value, json};

use crate::case::{Case, SOON, pod};
use crate::suite::{NAMESPACE, operator_image};

const LICENSE: &str = include_str!("../../../LICENSE");

pub fn it_says_how_it_is_run_and_has_the_program_its_license_and_certificates_alone(_: &Case) {
    let archive = Archive::open();
    let config = &archive.config["config"];
    assert_eq!(config["Entrypoint"], json!(["/regcred"]));
    assert!(config["Cmd"].is_null(), "{config:#}");
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}}));
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.title"], env!("CARGO_PKG_NAME"));
    assert_eq!(labels["org.opencontainers.image.description"], env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!(labels["org.opencontainers.image.licenses"], env!("CARGO_PKG_LICENSE"));

    let [files] = &archive.layers[..] else { panic!("{} layers", archive.layers.len()) };
    let mut names: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    names.sort();
    assert_eq!(names, ["LICENSE", "etc/ssl/certs/ca-certificates.crt", "regcred"].map(Path::new));
    for file in files {
        let expected = if file.path.ends_with("regcred") { 0o755 } else { 0o644 };
        assert_eq!((file.owner, file.mode & 0o777), (0, expected), "{}", file.path.display());
    }
    let text = |name: &str| &files.iter().find(|file| file.path.ends_with(name)).expect("it is there").text;
    assert_eq!(text("LICENSE"), LICENSE);
    assert!(text("ca-certificates.crt").contains("-----BEGIN CERTIFICATE-----"));
}

pub fn it_runs_as_a_user_without_rights_and_has_no_shell(case: &Case) {
    let namespace = case.namespace("a", false);
    let deployment = case.cluster().get_json(&["-n", NAMESPACE, "deployment", "regcred"]);
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    let make = |name: &str, member: &str, words: Value| {
        let container = json!({"name": "app", "image": image, "imagePullPolicy": "Never", member: words});
        // That it isn't root, the kubelet has to find out from the image.
        let more = json!({"restartPolicy": "Never", "securityContext": {"runAsNonRoot": true}});
        case.apply(&pod(&namespace, name, json!([container]), more));
    };
    let ended = |name: &str| {
        eventually(SOON, || {
            let status = case.get_pod(&namespace, name)?["status"].clone();
            let ended = &status["containerStatuses"][0]["state"]["terminated"];
            if ended.is_object() { Ok(ended.clone()) } else { Err(format!("{name} hasn't ended: {status:#}")) }
        })
    };
    make("program", "args", json!(["crd"]));
    make("shell", "command", json!(["sh", "-c", "exit 0"]));

    let program = ended("program");
    assert_eq!(program["exitCode"], 0, "{program:#}");
    let logs = case.logs(&namespace);
    assert!(logs.contains("kind: CustomResourceDefinition"), "{logs}");

    let shell = ended("shell");
    let message = shell["message"].as_str().unwrap_or_default();
    assert!(message.contains(r#""sh": executable file not found"#), "{shell:#}");
}

/// An image as `docker save` writes it.
struct Archive {
    config: Value,
    /// From the lowest to the highest.
    layers: Vec<Vec<Entry>>,
}

/// A file in a layer.
struct Entry {
    path: PathBuf,
    owner: u64,
    mode: u32,
    /// Empty if it is no text.
    text: String,
}

impl Archive {
    fn open() -> Archive {
        let path = operator_image();
        let read = |name: &str| {
            let mut archive = tar::Archive::new(File::open(&path).expect("the archive"));
            let mut entries = archive.entries().expect("an archive").map(|entry| entry.expect("an entry"));
            let mut entry = entries.find(|entry| entry.path().is_ok_and(|path| path == Path::new(name)));
            let mut bytes = Vec::new();
            entry.as_mut().unwrap_or_else(|| panic!("no {name}")).read_to_end(&mut bytes).expect("a whole entry");
            bytes
        };
        let json = |name: &str| -> Value { serde_json::from_slice(&read(name)).expect("JSON") };
        let image = json("manifest.json")[0].clone();
        let layers = image["Layers"].as_array().expect("layers");
        Archive {
            config: json(image["Config"].as_str().expect("a name")),
            layers: layers.iter().map(|name| files(&read(name.as_str().expect("a name")))).collect(),
        }
    }
}

/// The files of a layer, without its folders.
fn files(layer: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(layer);
    let entries = archive.entries().expect("a layer").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| !entry.header().entry_type().is_dir());
    let entry = |mut file: tar::Entry<'_, &[u8]>| {
        let mut text = String::new();
        let _ = file.read_to_string(&mut text); // most are programs
        Entry {
            path: file.path().expect("a path").into_owned(),
            owner: file.header().uid().expect("an owner"),
            mode: file.header().mode().expect("a mode"),
            text,
        }
    };
    files.map(entry).collect()
}
