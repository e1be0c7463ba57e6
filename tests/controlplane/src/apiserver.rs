//! kube-apiserver: its flags, and when it is ready.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::binaries::{binary, kubernetes, private_key};
use crate::control_plane::{Audit, Options};
use crate::kubectl::Kubectl;
use crate::ports::free_port;
use crate::process::Process;
use crate::users::{self, User};
use crate::wait;

const READY_WITHIN: Duration = Duration::from_secs(90);

/// Who did what, not what with; one event for each request, written when it ends (a watch: when it begins).
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}"#;

/// All that it takes to start the same apiserver again.
#[derive(Debug)]
pub(crate) struct Apiserver {
    folder: PathBuf,
    port: u16,
    etcd: String,
    audit: Audit,
    flags: Vec<String>,
}

impl Apiserver {
    /// Chooses a port and writes keys, tokens and kubeconfigs into `folder`.
    pub(crate) fn prepare(folder: &Path, etcd: &str, options: &Options, users: &[User]) -> Result<Apiserver, String> {
        let this = Apiserver {
            folder: folder.to_owned(),
            port: options.port.unwrap_or_else(free_port),
            etcd: etcd.to_owned(),
            audit: options.audit,
            flags: options.apiserver_flags.clone(),
        };
        let write = |path: PathBuf, text: &str| {
            fs::write(&path, text).map_err(|error| format!("{} can't be written: {error}", path.display()))
        };
        write(service_account_key(folder), &private_key()?)?;
        write(folder.join("audit-policy.json"), AUDIT_POLICY)?;
        users::write_token_file(&folder.join("tokens.csv"), users)?;
        users::write_kubeconfigs(folder, &this.url(), &this.ca(), users)?;
        Ok(this)
    }

    /// `https://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The URL of its etcd.
    pub(crate) fn etcd(&self) -> &str {
        &self.etcd
    }

    /// The certificate that it makes for itself, followed by the authority that signed it.
    pub(crate) fn ca(&self) -> PathBuf {
        ca(&self.folder)
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&self, kubectl: &Kubectl) -> Result<Process, String> {
        let process = Process::start("kube-apiserver", &self.command()?, &self.folder.join("kube-apiserver.log"))?;
        let ready = wait::poll(READY_WITHIN, || {
            if !process.is_running() {
                return Ok(false);
            }
            // A connection costs nothing, a kubectl tenths of a second.
            TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
            kubectl.ok(&["get", "--raw", "/readyz"])?;
            kubectl.ok(&["get", "--raw", "/api/v1/namespaces/default"])?;
            Ok(true)
        });
        let last = || process.last_lines(15);
        match ready {
            Ok(true) => Ok(process),
            Ok(false) => Err(format!("kube-apiserver ended while starting:{}", last())),
            Err(error) => Err(format!("kube-apiserver isn't ready after {READY_WITHIN:?}: {error}{}", last())),
        }
    }

    fn command(&self) -> Result<Command, String> {
        let key = service_account_key(&self.folder);
        let flag = |name: &str, path: PathBuf| format!("--{name}={}", path.display());
        let mut command = Command::new(binary("kube-apiserver")?);
        command.args([
            format!("--etcd-servers={}", self.etcd),
            format!("--secure-port={}", self.port),
            flag("cert-dir", self.folder.join("certificates")),
            flag("token-auth-file", self.folder.join("tokens.csv")),
            flag("service-account-key-file", key.clone()),
            flag("service-account-signing-key-file", key),
        ]);
        command.args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none", // or it complains that endpoints may not be on loopback
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--max-requests-inflight=3000",
            "--max-mutating-requests-inflight=1000",
            "--shutdown-watch-termination-grace-period=2s", // or it waits a minute for watches to end
            "--profiling=false",
        ]);
        if self.audit == Audit::Metadata {
            command.args([
                flag("audit-policy-file", self.folder.join("audit-policy.json")),
                flag("audit-log-path", audit_log(&self.folder)),
                "--audit-log-maxsize=100000".to_owned(), // megabytes: one file, never rotated
            ]);
        }
        if ((1, 34)..(1, 36)).contains(&kubernetes()) {
            // There as a beta version, and off unless it is asked for.
            command.arg("--feature-gates=MutatingAdmissionPolicy=true");
            command.arg("--runtime-config=admissionregistration.k8s.io/v1beta1=true");
        }
        command.args(&self.flags);
        Ok(command)
    }
}

pub(crate) fn audit_log(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

pub(crate) fn service_account_key(folder: &Path) -> PathBuf {
    folder.join("service-account.key")
}

pub(crate) fn ca(folder: &Path) -> PathBuf {
    folder.join("certificates").join("apiserver.crt")
}
