//! Probes come by IPv4 or IPv6, whichever the cluster has; the default of --listen serves both.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use controlplane::{Process, eventually};

use crate::ip;

pub fn without_ipv4() {
    ip("link set lo up");
    ip("address del 127.0.0.1/8 dev lo");
    assert!(TcpStream::connect("127.0.0.1:8080").is_err());
    is_alive_at("[::1]:8080");
}

pub fn without_ipv6() {
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
    ip("link set lo up");
    is_alive_at("127.0.0.1:8080");
}

/// It needs no API server to be alive.
fn is_alive_at(address: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "none",
        "clusters": [{"name": "none", "cluster": {"server": "http://[::1]:1"}}],
        "users": [{"name": "none", "user": {}}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}]}"#;
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, config).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_regcred"));
    command.arg("run").env("KUBECONFIG", &kubeconfig).env_remove("REGCRED_LISTEN");
    let operator = Process::start("regcred", &command, Path::new(&folder.path().join("log"))).unwrap();
    eventually(Duration::from_secs(20), || {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(address).map_err(|error| format!("{error}{}", operator.last_lines(9)))?;
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").map_err(|error| error.to_string())?;
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        if answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
    });
}
