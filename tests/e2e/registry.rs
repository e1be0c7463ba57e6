//! A registry that asks for what Google's does: a real one behind a `Bearer` challenge, whose token endpoint takes Basic
//! `_json_key:<the whole key>` and refuses all else with 401. It stands in for every registry there is.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use axum::{Json, Router, routing::get};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use controlplane::{Process, eventually};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use crate::answering;
use crate::image::Image;

/// Where it listens, in the suite's own network.
pub const ADDRESS: &str = "127.0.0.1:5000";
const TOKENS: &str = "127.0.0.1:5001";
const SERVICE: &str = "gcr.io";
const ISSUER: &str = "regcred-e2e";

/// Who asked for a token for what, and whether it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The user, empty for an anonymous request.
    pub user: String,
    /// The project, that is the first part of the repository.
    pub project: String,
    pub granted: bool,
}

/// The running registry.
pub struct Registry {
    storage: PathBuf,
    tokens: Arc<Tokens>,
    process: Process,
    /// Serves the tokens for as long as it lives.
    _runtime: tokio::runtime::Runtime,
}

struct Tokens {
    /// By project: who may pull (user, password).
    accepted: Mutex<HashMap<String, Vec<(String, String)>>>,
    requests: Mutex<Vec<Request>>,
    key: EcdsaKeyPair,
    certificate: String,
}

impl Registry {
    pub fn start(folder: &Path) -> Registry {
        let folder = folder.join("registry");
        let storage = folder.join("storage");
        fs::create_dir_all(&storage).expect("a folder for images");
        let certified = rcgen::generate_simple_self_signed([ISSUER.to_owned()]).expect("a certificate");
        let certificates = folder.join("tokens.pem");
        fs::write(&certificates, certified.cert.pem()).expect("the certificate's file");
        let config = json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": {"addr": ADDRESS},
            "auth": {"token": {
                "realm": format!("http://{TOKENS}/token"), "service": SERVICE, "issuer": ISSUER,
                "rootcertbundle": certificates,
            }},
        });
        let config_file = folder.join("config.yml"); // JSON is YAML
        fs::write(&config_file, config.to_string()).expect("the registry's configuration");
        let pkcs8 = certified.signing_key.serialize_der();
        let tokens = Arc::new(Tokens {
            accepted: Mutex::default(),
            requests: Mutex::default(),
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new())
                .expect("an ECDSA key"),
            certificate: STANDARD.encode(certified.cert.der()),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind(TOKENS)).expect("a port of our own network");
        let router = Router::new().route("/token", get(token).post(|| async { StatusCode::NOT_FOUND }));
        let service = router.with_state(tokens.clone());
        runtime.spawn(async move { axum::serve(listener, service).await });
        answering::start(&runtime);
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config_file);
        let process = Process::start("docker-registry", &command, &folder.join("log")).unwrap();
        let address: SocketAddr = ADDRESS.parse().expect("an address");
        eventually(Duration::from_secs(20), || {
            let connected = std::net::TcpStream::connect(address);
            connected
                .map(drop)
                .map_err(|error| format!("the registry doesn't answer: {error}{}", process.last_lines(9)))
        });
        Registry { storage, tokens, process, _runtime: runtime }
    }

    /// From now on these may pull `HOST/PROJECT/…`, and nobody else.
    pub fn accept(&self, project: &str, who: &[(&str, &str)]) {
        let who = who.iter().map(|&(user, password)| (user.to_owned(), password.to_owned())).collect();
        self.tokens.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(project.to_owned(), who);
    }

    /// The requests for a project's images so far.
    pub fn requests(&self, project: &str) -> Vec<Request> {
        let requests = self.tokens.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|request| request.project == project).cloned().collect()
    }

    /// Puts an image into the registry's storage, without asking it.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) {
        let root = self.storage.join("docker/registry/v2");
        let write = |path: PathBuf, bytes: &[u8]| {
            fs::create_dir_all(path.parent().expect("a folder")).expect("the registry's storage");
            fs::write(path, bytes).expect("the registry's storage");
        };
        for blob in image.blobs() {
            let hex = blob.digest.trim_start_matches("sha256:");
            write(root.join("blobs/sha256").join(&hex[..2]).join(hex).join("data"), &blob.bytes);
        }
        let repository = root.join("repositories").join(repository);
        let link = |path: String, digest: &str| write(repository.join(path).join("link"), digest.as_bytes());
        for blob in [&image.layer, &image.config] {
            link(format!("_layers/{}", blob.digest.replace(':', "/")), &blob.digest);
        }
        let digest = &image.manifest.digest;
        link(format!("_manifests/revisions/{}", digest.replace(':', "/")), digest);
        link(format!("_manifests/tags/{tag}/current"), digest);
        link(format!("_manifests/tags/{tag}/index/{}", digest.replace(':', "/")), digest);
    }

    /// The end of its log.
    pub fn last_lines(&self, count: usize) -> String {
        self.process.last_lines(count)
    }
}

impl Tokens {
    fn answer(&self, user: &str, password: &str, scope: &str) -> Result<String, StatusCode> {
        // repository:PROJECT/NAME:pull
        let repository = scope.split(':').nth(1).ok_or(StatusCode::BAD_REQUEST)?;
        let project = repository.split('/').next().unwrap_or_default();
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = accepted.get(project).is_some_and(|who| who.iter().any(|(u, p)| u == user && p == password));
        let request = Request { user: user.to_owned(), project: project.to_owned(), granted };
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        if granted { Ok(self.sign(repository)) } else { Err(StatusCode::UNAUTHORIZED) }
    }

    /// A JWT as the registry's token authentication wants it.
    fn sign(&self, repository: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": ISSUER, "aud": SERVICE, "sub": "", "jti": "", "iat": now, "nbf": now - 10, "exp": now + 60,
            "access": [{"type": "repository", "name": repository, "actions": ["pull"]}],
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn token(
    State(tokens): State<Arc<Tokens>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let basic = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let basic = basic.and_then(|value| String::from_utf8(STANDARD.decode(value).ok()?).ok()).unwrap_or_default();
    let (user, password) = basic.split_once(':').unwrap_or_default();
    let scope = query.get("scope").map_or("", String::as_str);
    Ok(Json(json!({"token": tokens.answer(user, password, scope)?})))
}
