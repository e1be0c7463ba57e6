//! Registries that only ever refuse: one that says 403 or 429, and addresses where no registry can be asked.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::registry;
use crate::sandbox::API_IP;

/// Takes every login, and lets nobody read an image.
pub const FORBIDDEN: &str = "forbidden.example";
/// Says that there were too many pulls.
pub const TOO_MANY: &str = "too-many.example";
/// Nothing listens there.
pub const REFUSED: &str = "refused.example";
/// A TLS server whose certificate nobody on the node trusts: kube-apiserver.
pub const UNTRUSTED: &str = "untrusted.example";
/// A registry that speaks HTTP and is asked by HTTPS.
pub const PLAIN: &str = "plain.example";

const ANSWERS: [(&str, &str, StatusCode); 2] =
    [(FORBIDDEN, "127.0.0.1:5002", StatusCode::FORBIDDEN), (TOO_MANY, "127.0.0.1:5003", StatusCode::TOO_MANY_REQUESTS)];

/// Has containerd ask these hosts at their addresses, by files in its folder of hosts.
pub fn write_hosts(folder: &Path) {
    let elsewhere = [
        (REFUSED, "http://127.0.0.1:9".to_owned()),
        (UNTRUSTED, format!("https://{API_IP}:443")),
        (PLAIN, format!("https://{}", registry::ADDRESS)),
    ];
    let answering = ANSWERS.map(|(host, address, _)| (host, format!("http://{address}")));
    for (host, server) in elsewhere.into_iter().chain(answering) {
        fs::create_dir_all(folder.join(host)).expect("a folder");
        let text = format!("server = \"{server}\"\n[host.\"{server}\"]\ncapabilities = [\"pull\", \"resolve\"]\n");
        fs::write(folder.join(host).join("hosts.toml"), text).expect("containerd's hosts");
    }
}

/// Starts those that answer.
pub fn start(runtime: &Runtime) {
    for (_, address, status) in ANSWERS {
        let listener = runtime.block_on(TcpListener::bind(address)).expect("a port of our own network");
        let service = Router::new().fallback(answer).with_state(status);
        runtime.spawn(async move { axum::serve(listener, service).await });
    }
}

async fn answer(State(status): State<StatusCode>, headers: HeaderMap) -> Response {
    // A login is asked for before it can be refused.
    if status == StatusCode::FORBIDDEN && !headers.contains_key(AUTHORIZATION) {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"e2e\"")]).into_response();
    }
    status.into_response()
}
