//! etcd, without fsync: it is fast and forgets all.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::binaries::binary;
use crate::ports::free_port;
use crate::process::Process;
use crate::{http, wait};

/// Starts etcd in `folder` and waits until it serves; gives its client URL, too.
pub(crate) fn start(folder: &Path) -> Result<(Process, String), String> {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let peer = "http://127.0.0.1:0"; // it has no peers, and listens on a port of its own choice
    let mut command = Command::new(binary("etcd")?);
    command.arg("--data-dir").arg(folder.join("etcd"));
    command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url, "--listen-peer-urls", peer]);
    command.args(["--initial-advertise-peer-urls", peer, "--initial-cluster", &format!("default={peer}")]);
    command.args(["--unsafe-no-fsync", "--log-level=warn", "--auto-compaction-retention=0"]);
    // It keeps every version for five minutes, and the benchmark writes gigabytes in that time.
    command.arg(format!("--quota-backend-bytes={}", 16_u64 << 30));
    // Alone, it elects itself as soon as it dares.
    command.args(["--heartbeat-interval=50", "--election-timeout=250"]);
    let etcd = Process::start_in("etcd", &command, &folder.join("etcd.log"), Some(folder))?;
    let healthy = wait::poll(Duration::from_secs(30), || match http::get(port, "/health") {
        Ok((200, _)) => Ok(true),
        _ if !etcd.is_running() => Ok(false),
        Ok((status, body)) => Err(format!("/health says {status} {body}")),
        Err(error) => Err(error),
    });
    match healthy {
        Ok(true) => Ok((etcd, url)),
        Ok(false) => Err(format!("etcd ended while starting:{}", etcd.last_lines(15))),
        Err(error) => Err(format!("etcd isn't healthy after 30 s: {error}{}", etcd.last_lines(15))),
    }
}

/// Where kube-apiserver keeps its objects.
const REGISTRY: &str = "/registry/";
const NAMESPACES: &str = "/registry/namespaces/";

/// What kube-apiserver keeps for itself and writes again and again.
const ITS_OWN: [&str; 4] = ["masterleases/", "leases/kube-system/", "ranges/", "events/kube-system/"];

/// All objects of a cluster: key → value, in base64. The version of an object isn't part of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents(BTreeMap<String, String>);

impl Contents {
    /// Of all that etcd has now.
    pub(crate) fn read(url: &str) -> Result<Contents, String> {
        let (key, end) = (BASE64_STANDARD.encode(REGISTRY), BASE64_STANDARD.encode("/registry0"));
        let answer = post(url, "/v3/kv/range", &json!({"key": key, "range_end": end}))?;
        let mut contents = Contents::default();
        for one in answer["kvs"].as_array().into_iter().flatten() {
            let text = |member: &str| one[member].as_str().unwrap_or_default();
            let key = BASE64_STANDARD.decode(text("key")).map_err(|error| error.to_string())?;
            let key = String::from_utf8(key).map_err(|error| error.to_string())?;
            if !ITS_OWN.iter().any(|own| key[REGISTRY.len()..].starts_with(own)) {
                contents.0.insert(key, text("value").to_owned());
            }
        }
        Ok(contents)
    }

    /// Whether there is any object whose key has that in it.
    pub(crate) fn any(&self, part: &str) -> bool {
        self.0.keys().any(|key| key.contains(part))
    }

    /// Those of one kind, by its plural and group as keys have them.
    pub(crate) fn of(&self, kind: &str) -> Vec<(&String, &String)> {
        let prefix = format!("{REGISTRY}{kind}/");
        self.0.iter().filter(|(key, _)| key.starts_with(&prefix)).collect()
    }

    /// How many bytes the values of one kind take.
    pub(crate) fn bytes_of(&self, kind: &str) -> usize {
        let decoded = |value: &String| value.trim_end_matches('=').len() * 3 / 4;
        self.of(kind).into_iter().map(|(_, value)| decoded(value)).sum()
    }

    /// Makes etcd hold this again, behind kube-apiserver's back, whose watches tell it. Gives how much there was to do.
    ///
    /// Each change is a revision of its own, as each of kube-apiserver's is: a watch that breaks among several changes
    /// of one revision goes on after that revision, and nobody ever hears of the rest.
    pub(crate) fn put_back(&self, url: &str) -> Result<usize, String> {
        let now = Contents::read(url)?;
        let (namespaces, others): (Vec<&String>, Vec<&String>) =
            now.0.keys().filter(|key| !self.0.contains_key(*key)).partition(|key| key.starts_with(NAMESPACES));
        // Namespaces first: controllers make again what is missing in a namespace that is there.
        let gone = namespaces.iter().chain(&others);
        for key in gone.clone() {
            post(url, "/v3/kv/deleterange", &json!({"key": BASE64_STANDARD.encode(key)}))?;
        }
        let changed = self.0.iter().filter(|(key, was)| now.0.get(*key) != Some(was));
        for (key, was) in changed.clone() {
            post(url, "/v3/kv/put", &json!({"key": BASE64_STANDARD.encode(key), "value": was}))?;
        }
        Ok(gone.count() + changed.count())
    }
}

/// Forgets every version but the newest of each object.
pub(crate) fn compact(url: &str) -> Result<(), String> {
    let answer = post(url, "/v3/kv/range", &json!({"key": "AA==", "count_only": true}))?;
    let revision = answer.pointer("/header/revision").and_then(Value::as_str).ok_or("etcd names no revision")?;
    match post(url, "/v3/kv/compaction", &json!({"revision": revision})) {
        Err(error) if error.contains("required revision has been compacted") => Ok(()), // nothing new since the last time
        answer => answer.map(drop),
    }
}

fn post(url: &str, path: &str, body: &Value) -> Result<Value, String> {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).ok_or("etcd's URL has no port")?;
    match http::post(port, path, &body.to_string())? {
        (200, answer) => serde_json::from_str(&answer).map_err(|error| error.to_string()),
        (status, answer) => Err(format!("etcd's {path} says {status} {answer}")),
    }
}
