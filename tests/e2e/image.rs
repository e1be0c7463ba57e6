//! Container images made of one program, as OCI layouts: nothing is pulled from anywhere but the suite's own registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const PROGRAM: &str = "idle";

/// Waits for a signal to end; as PID 1 of its container it has to ask for it.
const IDLE: &str = r"
#include <signal.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
int main(void) { signal(SIGTERM, end); for (;;) pause(); }
";

/// Some bytes and their digest (`sha256:…`).
pub struct Blob {
    pub digest: String,
    pub bytes: Vec<u8>,
}

/// An image of one layer.
pub struct Image {
    pub layer: Blob,
    pub config: Blob,
    pub manifest: Blob,
}

impl Image {
    /// A program alone. `label` makes it differ from other images of the same one.
    pub fn new(program: &Path, label: &str) -> Image {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_path_with_name(program, PROGRAM).expect("a file for the image");
        let layer = Blob::new(tar.into_inner().expect("a tar in memory"));
        let config = Blob::json(&json!({
            "architecture": architecture(), "os": "linux",
            "config": {"Entrypoint": [format!("/{PROGRAM}")], "Labels": {"label": label}},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        }));
        let manifest = Blob::json(&json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
        }));
        Image { layer, config, manifest }
    }

    /// All that it is made of.
    pub fn blobs(&self) -> [&Blob; 3] {
        [&self.layer, &self.config, &self.manifest]
    }

    /// Writes an archive that `ctr images import` takes, for an image of that name.
    pub fn write_archive(&self, name: &str, path: &Path) {
        let mut index = self.manifest.descriptor(MANIFEST);
        index["annotations"] = json!({"io.containerd.image.name": name});
        let mut tar = tar::Builder::new(fs::File::create(path).expect("a file for the archive"));
        let mut put = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).expect("a file in the archive");
        };
        put("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#);
        put("index.json", json!({"schemaVersion": 2, "manifests": [index]}).to_string().as_bytes());
        for blob in self.blobs() {
            put(&format!("blobs/{}", blob.digest.replace(':', "/")), &blob.bytes);
        }
        tar.finish().expect("the archive's end");
    }
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Blob {
        let hex: String = digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Blob { digest: format!("sha256:{hex}"), bytes }
    }

    fn json(value: &Value) -> Blob {
        Blob::new(value.to_string().into_bytes())
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// Builds the program that runs in every pod: static, as its image holds nothing else.
pub fn idle_program(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("idle.c"), folder.join("idle"));
    fs::write(&source, IDLE).expect("a source file");
    let status = Command::new("cc").args(["-static", "-Os", "-s", "-o"]).arg(&program).arg(&source).status();
    assert!(status.expect("a C compiler").success(), "cc can't build a static program");
    program
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
