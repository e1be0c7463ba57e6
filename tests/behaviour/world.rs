//! One test's world: a control plane with the CRD and the shipped RBAC, an operator, and what a person would do.

use std::{
    path::Path,
    process::Command,
    sync::{LazyLock, OnceLock, atomic::AtomicUsize},
    time::Duration,
};

use controlplane::{Audit, ControlPlane, Controllers, Lent, OPERATOR, Operator, Options, eventually};
use serde_json::{Value, json};

use crate::scope::{MANAGED_NAMES, Scope};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// How long a behaviour may take on a busy machine. What users are promised is measured by the benchmark.
pub const SOON: Duration = Duration::from_secs(30);

/// A service-account key that opens nothing.
pub fn key(which: char) -> String {
    std::fs::read_to_string(format!("{ROOT}/tests/fixtures/throwaway-key-{which}.json")).unwrap()
}

/// A control plane that is the test's own meanwhile, as RegistryCredentials are cluster-wide.
pub struct World {
    pub operator: Operator, // stopped first
    pub cluster: Lent,
    /// The user as whom a second replica runs.
    pub standby: OnceLock<&'static str>,
    /// Makes names that nobody has used.
    pub round: AtomicUsize,
    /// Whether RBAC may refuse a request: the test is about that, or an API server starts, which knows no roles at first.
    pub may_be_refused: bool,
    /// Whether a Secret's name alone may keep the operator from doing anything: the test is about that.
    pub may_be_unmanaged: bool,
}

/// The shipped RBAC covers all that the operator and its second replica have asked for in any test.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() || self.may_be_refused {
            return;
        }
        let is_ours = |user: &str| user == OPERATOR || self.standby.get().is_some_and(|standby| *standby == user);
        let log = self.cluster.audit_log().into_iter();
        let forbidden: Vec<_> = log.filter(|entry| is_ours(&entry.user) && entry.unauthorized).collect();
        assert!(forbidden.is_empty(), "RBAC refused: {forbidden:#?}");
    }
}

impl World {
    /// With an operator that is ready and nothing else.
    pub fn new() -> World {
        let cluster =
            cluster(Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() });
        World::on(cluster, &[])
    }

    /// With an operator on this cluster.
    pub fn on(cluster: Lent, args: &[&str]) -> World {
        let operator = operator(&cluster, args);
        operator.wait_ready(SOON);
        World::with(cluster, operator)
    }

    /// With this operator, ready or not.
    pub fn with(cluster: Lent, operator: Operator) -> World {
        let (standby, round) = (OnceLock::new(), AtomicUsize::new(0));
        World { operator, cluster, standby, round, may_be_refused: false, may_be_unmanaged: false }
    }

    /// Puts a key file into the source Secret `name` in regcred-system.
    pub fn source(&self, name: &str, key: &str) {
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": "regcred-system"},
            "stringData": {"key.json": key},
        });
        self.cluster.apply(&manifest.to_string()).unwrap();
    }

    pub fn namespace(&self, name: &str, labels: Value) {
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.cluster.apply(&manifest.to_string()).unwrap();
    }

    /// Applies a RegistryCredential for Google with these members of the spec.
    pub fn credential(&self, name: &str, spec: Value) {
        self.assert_managed(spec["secretTemplate"]["name"].as_str().unwrap_or(name));
        self.cluster.apply(&credential(name, spec).to_string()).unwrap();
    }

    /// That the operator has been given this name, if it has been given any: it does nothing about others, and that it
    /// does nothing would show nothing.
    #[track_caller]
    pub fn assert_managed(&self, secret: &str) {
        let args = self.operator.args();
        let mut after = args.iter().skip_while(|arg| **arg != MANAGED_NAMES).skip(1).peekable();
        let any = after.peek().is_none() || self.may_be_unmanaged;
        let listed =
            after.take_while(|arg| !arg.starts_with("--")).flat_map(|arg| arg.split(',')).any(|name| name == secret);
        assert!(any || listed, "the operator doesn't manage Secrets named {secret}: add it to SECRETS in scope.rs");
    }

    pub fn get(&self, args: &[&str]) -> Result<Value, String> {
        self.cluster.try_get_json(args)
    }

    pub fn secret(&self, namespace: &str, name: &str) -> Result<Value, String> {
        self.get(&["-n", namespace, "secret", name])
    }

    /// The names in imagePullSecrets.
    pub fn entries(&self, namespace: &str, account: &str) -> Result<Vec<String>, String> {
        let account = self.get(&["-n", namespace, "serviceaccount", account])?;
        let entries = account["imagePullSecrets"].as_array().cloned().unwrap_or_default();
        Ok(entries.iter().map(|e| e["name"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Waits until a service account names exactly these pull secrets, in order.
    pub fn wait_entries(&self, namespace: &str, account: &str, wanted: &[&str]) {
        eventually(SOON, || {
            let entries = self.entries(namespace, account)?;
            if entries == wanted {
                Ok(())
            } else {
                Err(format!("{namespace}/{account} has {entries:?}, not {wanted:?}"))
            }
        });
    }

    pub fn wait_secret(&self, namespace: &str, name: &str) -> Value {
        eventually(SOON, || self.secret(namespace, name))
    }

    pub fn wait_no_secret(&self, namespace: &str, name: &str) {
        eventually(SOON, || match self.secret(namespace, name) {
            Ok(_) => Err(format!("{namespace}/{name} is still there")),
            Err(error) if error.contains("not found") => Ok(()),
            Err(error) => Err(error),
        });
    }

    /// The password in a managed Secret.
    pub fn password(&self, namespace: &str, name: &str) -> Result<String, String> {
        controlplane::password(&self.secret(namespace, name)?)
    }

    pub fn wait_password(&self, namespace: &str, name: &str, wanted: &str) {
        eventually(SOON, || match self.password(namespace, name)? == wanted {
            true => Ok(()),
            false => Err(format!("{namespace}/{name} holds another key")),
        });
    }

    pub fn status(&self, name: &str) -> Result<Value, String> {
        let object = self.get(&["registrycredential", name])?;
        Ok(object["status"].clone())
    }

    /// Waits until the condition has this status and reason for the current generation, and returns its message.
    pub fn wait_condition(&self, name: &str, type_: &str, status: &str, reason: &str) -> String {
        eventually(SOON, || {
            let object = self.get(&["registrycredential", name])?;
            let found = object["status"].clone();
            let conditions = found["conditions"].as_array().cloned().unwrap_or_default();
            let condition = conditions.iter().find(|c| c["type"] == type_).cloned().unwrap_or_default();
            if found["observedGeneration"] == object["metadata"]["generation"]
                && condition["status"] == status
                && condition["reason"] == reason
            {
                return Ok(condition["message"].as_str().unwrap_or_default().to_owned());
            }
            Err(format!("{type_} isn't {status}/{reason} but {found:#}"))
        })
    }

    pub fn wait_ready(&self, name: &str) -> Value {
        self.wait_condition(name, "Ready", "True", "RolledOut");
        self.status(name).unwrap()
    }
}

/// A RegistryCredential for Google; `spec` overrides what it says by default.
pub fn credential(name: &str, spec: Value) -> Value {
    let mut whole = json!({
        "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "key", "key": "key.json"}}},
        "registries": ["gcr.io/darwin/"],
    });
    for (member, value) in spec.as_object().unwrap() {
        whole[member] = value.clone();
    }
    json!({"apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": name}, "spec": whole})
}

/// Says in a RegistryCredential's status what the operator would say.
pub fn rolled_out(cluster: &ControlPlane, name: &str) {
    let generation = cluster.get_json(&["registrycredential", name])["metadata"]["generation"].clone();
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "RolledOut", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let status = json!({"status": {"observedGeneration": generation, "conditions": [ready]}});
    let patch = ["--subresource=status", "--type=merge", "-p", &status.to_string()];
    cluster.kubectl_ok(&[&["patch", "registrycredential", name], &patch[..]].concat());
}

/// A control plane with the CRD, the operator's namespace and its RBAC.
pub fn cluster(options: Options) -> Lent {
    static RIGHTS: LazyLock<String> = LazyLock::new(|| match Scope::of_suite() {
        Some(scope) => scope.rights(),
        None => rendered(&Path::new(ROOT).join("config/rbac")),
    });
    unauthorized_cluster(Options { manifests: [options.manifests, vec![RIGHTS.clone()]].concat(), ..options })
}

/// As `cluster`, but the operator may do nothing yet.
pub fn unauthorized_cluster(options: Options) -> Lent {
    static NAMESPACE: LazyLock<String> = LazyLock::new(|| rendered(&Path::new(ROOT).join("config/namespace")));
    let crd = std::fs::read_to_string(format!("{ROOT}/crds/registrycredentials.regcred.dev.yaml")).unwrap();
    let manifests = [vec![crd, NAMESPACE.clone()], options.manifests].concat();
    ControlPlane::lend(Options { manifests, audit: Audit::Metadata, ..options })
}

/// What `kubectl apply -k FOLDER` applies.
pub fn rendered(folder: &Path) -> String {
    let kubectl = controlplane::binary("kubectl").unwrap();
    let output = Command::new(kubectl).arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Starts the built operator under its own user, with the shipped RBAC.
pub fn operator(cluster: &ControlPlane, args: &[&str]) -> Operator {
    operator_with(&cluster.kubeconfig(OPERATOR), args)
}

/// As `operator`, with this kubeconfig.
pub fn operator_with(kubeconfig: &Path, args: &[&str]) -> Operator {
    let managed = if args.contains(&MANAGED_NAMES) { Vec::new() } else { Scope::args_of_suite() };
    let all: Vec<&str> = args.iter().copied().chain(managed.iter().map(String::as_str)).collect();
    Operator::start(Path::new(env!("CARGO_BIN_EXE_regcred")), kubeconfig, &all, &[])
}

/// The binary with that user's kubeconfig, for its other subcommands.
pub fn regcred(cluster: &ControlPlane, user: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regcred"));
    command.env("KUBECONFIG", cluster.kubeconfig(user));
    command
}
