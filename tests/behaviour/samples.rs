//! The samples: whoever types what a sample's comment says, and applies the sample, has it rolled out.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use controlplane::eventually;
use serde_json::{Value, json};

use crate::{
    evidence::namespaces,
    world::{ROOT, SOON, World, key},
};

/// What `docker login` leaves behind, by whichever of its ways to ask for a password.
const DOCKER: &str = r#"#!/usr/bin/env bash
set -euo pipefail
[ "$1" = login ]
echo "\"${2:-https://index.docker.io/v1/}\": {\"auth\": \"$(printf me:word | base64)\"}" >>"$DOCKER_CONFIG/logins"
echo "{\"auths\": {$(paste -sd, "$DOCKER_CONFIG/logins")}}" >"$DOCKER_CONFIG/config.json"
"#;

/// What Quay offers for download.
const OF_QUAY: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: my-org-puller-pull-secret}\n\
    type: kubernetes.io/dockerconfigjson\n\
    stringData: {.dockerconfigjson: '{\"auths\": {\"quay.io\": {\"auth\": \"bXktb3JnK3B1bGxlcjp3b3Jk\", \"email\": \"\"}}}'}\n";

/// A file of config/samples.
struct Sample {
    file: String,
    text: String,
    object: Value,
}

impl Sample {
    /// All of them, by the folder's list.
    fn all() -> Vec<Sample> {
        let files = fs::read_dir(format!("{ROOT}/config/samples")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let samples = names.filter(|name| name != "kustomization.yaml").map(|file| {
            let text = fs::read_to_string(format!("{ROOT}/config/samples/{file}")).unwrap();
            let object = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            Sample { file, text, object }
        });
        samples.collect()
    }

    /// The commands of the comment above it: what is set off by three spaces, but for the piece of a manifest.
    fn commands(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix('#'));
        let set_off = comment.filter_map(|line| line.strip_prefix("   ")).map(str::trim_start);
        let is_manifest = |line: &str| line.split(' ').next().is_some_and(|word| word.ends_with(':'));
        set_off.filter(|line| !is_manifest(line)).map(|line| format!("{line}\n")).collect()
    }

    fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap()
    }

    /// The Secret that somebody else makes.
    fn existing_secret_name(&self) -> Option<&str> {
        self.object["spec"]["existingSecretName"].as_str()
    }

    fn secret_name(&self) -> &str {
        let template = self.object["spec"]["secretTemplate"]["name"].as_str();
        self.existing_secret_name().or(template).unwrap_or(self.name())
    }
}

/// The files that the comments speak of, and docker.
fn write_files(folder: &Path) {
    fs::write(folder.join("key.json"), key('a')).unwrap();
    fs::write(folder.join("FILE"), "word\n").unwrap();
    fs::write(folder.join("my-org-puller-secret.yml"), OF_QUAY).unwrap();
    let docker = folder.join("docker");
    fs::write(&docker, DOCKER).unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_sample_is_rolled_out_once_its_comment_has_been_followed() {
    let world = World::new();
    for prefix in ["team", "legacy", "batch"] {
        namespaces(&world.cluster, prefix, 2);
    }
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let samples = Sample::all();
    assert!(samples.len() > 10, "only {} samples", samples.len());
    for sample in &samples {
        let commands = sample.commands();
        assert!(commands.contains("kubectl "), "{}: nothing says where its source Secret comes from", sample.file);
        // A namespace, a user: any name will do.
        let commands = commands.replace("NAME", "team-0");
        let apply = format!("kubectl apply -f {ROOT}/config/samples/{}", sample.file);
        let (code, written) = world.cluster.shell(folder.path(), &format!("PATH=$PWD:$PATH\n{commands}{apply}"));
        assert_eq!(code, 0, "{}: {commands}{written}", sample.file);
    }
    for sample in &samples {
        let status = world.wait_ready(sample.name());
        assert!(status["namespaces"]["desired"].as_i64() > Some(0), "{}: {status:#}", sample.file);
        let selector = match sample.existing_secret_name() {
            Some(name) => format!("--field-selector=metadata.name={name}"),
            None => format!("--selector=regcred.dev/credential={}", sample.name()),
        };
        eventually(SOON, || {
            let secrets = world.get(&["secrets", "-A", &selector])?;
            let names = secrets["items"].as_array().unwrap().iter().map(|secret| secret["metadata"]["name"].clone());
            let names: Vec<Value> = names.collect();
            let are_all = json!(names.len()) == status["namespaces"]["desired"];
            match are_all && names.iter().all(|name| name == sample.secret_name()) {
                true => Ok(()),
                false => Err(format!("{}: {names:?}, where {status:#}", sample.file)),
            }
        });
    }
}

#[test]
fn every_sample_is_in_the_kustomization() {
    let text = fs::read_to_string(format!("{ROOT}/config/samples/kustomization.yaml")).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&text).unwrap();
    let listed: BTreeSet<&str> =
        kustomization["resources"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let samples = Sample::all();
    assert_eq!(listed, samples.iter().map(|sample| sample.file.as_str()).collect());
}
