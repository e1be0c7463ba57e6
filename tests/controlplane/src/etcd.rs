//! etcd, without fsync: it is fast and forgets all.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

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

/// Forgets every version but the newest of each object.
pub(crate) fn compact(url: &str) -> Result<(), String> {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).ok_or("etcd's URL has no port")?;
    let post = |path: &str, body: &str| match http::post(port, path, body)? {
        (200, answer) => Ok(answer),
        (status, answer) => Err(format!("etcd's {path} says {status} {answer}")),
    };
    let answer = post("/v3/kv/range", r#"{"key": "AA==", "count_only": true}"#)?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    let revision = answer.pointer("/header/revision").and_then(Value::as_str).ok_or("etcd names no revision")?;
    match post("/v3/kv/compaction", &format!(r#"{{"revision": "{revision}"}}"#)) {
        Err(error) if error.contains("required revision has been compacted") => Ok(()), // nothing new since the last time
        answer => answer.map(drop),
    }
}
