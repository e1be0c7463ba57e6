//! What comes over the wire to a command, to say what doesn't.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use controlplane::{ADMIN, ControlPlane, Process, eventually, free_port};
use serde_json::json;

use crate::world::SOON;

/// A plain connection to the API server whose answers are kept.
pub struct Wire {
    /// A kubeconfig that leads through it.
    pub kubeconfig: std::path::PathBuf,
    heard: Arc<Mutex<Vec<u8>>>,
    _proxy: Process,
}

impl Wire {
    pub fn start(cluster: &ControlPlane) -> Wire {
        let upstream = free_port();
        let command = cluster.kubectl_command(ADMIN, &["proxy", &format!("--port={upstream}")]);
        let proxy = Process::start("kubectl proxy", &command, &cluster.folder().join("wire.log")).unwrap();
        eventually(SOON, || TcpStream::connect(("127.0.0.1", upstream)).map_err(|error| error.to_string()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "wire",
            "clusters": [{"name": "wire", "cluster": {"server": server}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "wire", "context": {"cluster": "wire", "user": "nobody"}}],
        });
        let kubeconfig = cluster.folder().join("wire.kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let kept = heard.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", upstream)).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || forward(from, to, None));
                let kept = kept.clone();
                thread::spawn(move || forward(server, client, Some(&kept)));
            }
        });
        Wire { kubeconfig, heard, _proxy: proxy }
    }

    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, kept: Option<&Mutex<Vec<u8>>>) {
    let mut buffer = [0; 8192];
    // An error means that one of the two has hung up.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some(kept) = kept {
            kept.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
