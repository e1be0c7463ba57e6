//! One case: a project of its own in the registry, namespaces, a RegistryCredential, and what a person would do with them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use controlplane::{ControlPlane, eventually, throwaway_key};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::Test;
use crate::registry::Registry;
use crate::suite::{NAMESPACE, Suite};

/// How long a pod may take; kubelet tries a failed pull again after 10, 20, 40 s.
pub const SOON: Duration = Duration::from_secs(90);

/// The user of a Google key.
pub const JSON_KEY: &str = "_json_key";

/// How the names of all cases' pull secrets end.
pub const PULL_SECRET: &str = "-pull";

/// The type of a Secret with a docker config.
pub const DOCKER_CONFIG: &str = "kubernetes.io/dockerconfigjson";

/// A registry, a user name and a password.
pub type Login<'a> = (&'a str, &'a str, &'a str);

pub struct Case {
    suite: Arc<Suite>,
    /// Of the project, the RegistryCredential, and at the beginning of every namespace's.
    pub name: String,
}

impl Case {
    pub fn new(suite: &Arc<Suite>, test: &str) -> Case {
        Case { suite: suite.clone(), name: test.replace("::", "-").replace('_', "-") }
    }

    /// One beside it, with a project, namespaces and a RegistryCredential of its own.
    pub fn another(&self, name: &str) -> Case {
        Case { suite: self.suite.clone(), name: format!("{}-{name}", self.name) }
    }

    /// See [`Suite::confine`].
    pub fn confine(&self, secrets: &[String], accounts: &[String]) -> u64 {
        self.suite.confine(secrets, accounts)
    }

    /// Runs it; if it fails, with what the cluster has to say.
    pub fn run(&self, test: Test) -> Result<(), Failed> {
        catch_unwind(AssertUnwindSafe(|| test(self))).map_err(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Failed::from(format!("{}\n{}", message.unwrap_or_default(), self.suite.report(&self.name)))
        })
    }

    pub fn cluster(&self) -> &ControlPlane {
        self.suite.cluster()
    }

    pub fn registry(&self) -> &Registry {
        &self.suite.registry
    }

    /// A fresh key of the case's project.
    pub fn key(&self, id: &str) -> String {
        let email = format!("puller@{}.iam.gserviceaccount.com", self.name);
        throwaway_key(&self.name, &email, id).to_string()
    }

    /// The registry gives the project's images for this key alone.
    pub fn accept(&self, key: &str) {
        self.registry().accept(&self.name, &[(JSON_KEY, key)]);
    }

    /// `HOST/PROJECT/app:v1`, which from now on is in the registry.
    pub fn image(&self, host: &str, project: &str) -> String {
        let image = self.suite.node.idle_image(&format!("{host}/{project}"));
        self.registry().push(&format!("{project}/app"), "v1", &image);
        format!("{host}/{project}/app:v1")
    }

    /// Makes a namespace `CASE-SUFFIX`; a target if it says so.
    pub fn namespace(&self, suffix: &str, target: bool) -> String {
        let name = format!("{}-{suffix}", self.name);
        let labels = if target { json!({"case": self.name}) } else { json!({}) };
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
        // Without it no pod is admitted.
        eventually(SOON, || self.cluster().try_get_json(&["-n", &name, "serviceaccount", "default"]));
        name
    }

    /// Puts a text into the source Secret, as a rotation does, and gives the version to wait for.
    pub fn source(&self, text: &str) -> String {
        self.source_of("Opaque", json!({}), json!({"key.json": text}))
    }

    /// As [`Case::source`], with a type, annotations and data.
    pub fn source_of(&self, type_: &str, annotations: Value, data: Value) -> String {
        let name = self.source_name();
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "type": type_, "stringData": data,
            "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        }));
        let source = self.cluster().get_json(&["-n", NAMESPACE, "secret", &name]);
        source["metadata"]["resourceVersion"].as_str().expect("a version").to_owned()
    }

    pub fn source_name(&self) -> String {
        format!("{}-key", self.name)
    }

    /// The name of the Secret that pods pull with.
    pub fn secret(&self) -> String {
        format!("{}{PULL_SECRET}", self.name)
    }

    /// Applies the case's RegistryCredential, for `gcr.io/CASE/` and the case's target namespaces, with these
    /// members of the spec besides; `null` takes one away.
    pub fn credential(&self, more: Value) {
        let mut spec = json!({
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": self.source_name()}}},
            "registries": [format!("gcr.io/{}/", self.name)],
            "secretTemplate": {"name": self.secret()},
            "namespaces": {"selector": {"matchLabels": {"case": self.name}}},
        });
        for (member, value) in more.as_object().expect("members") {
            spec[member] = value.clone();
        }
        spec.as_object_mut().expect("members").retain(|_, value| !value.is_null());
        self.apply(&json!({
            "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential",
            "metadata": {"name": self.name}, "spec": spec,
        }));
    }

    /// Everything for a case in one: a key that the registry takes, and a RegistryCredential that is ready.
    pub fn rolled_out(&self) -> String {
        let key = self.key("first");
        self.accept(&key);
        let version = self.source(&key);
        self.credential(json!({}));
        self.wait_rolled_out(&version);
        key
    }

    /// As docs/rotation.md says: this version of the source, then Ready.
    pub fn wait_rolled_out(&self, version: &str) {
        for what in [format!("jsonpath={{.status.observedSource.resourceVersion}}={version}"), "condition=Ready".into()]
        {
            let (object, what) = (format!("regcred/{}", self.name), format!("--for={what}"));
            self.cluster().kubectl_ok(&["wait", &object, &what, "--timeout=60s"]);
        }
    }

    /// The registry takes a new key alone, then the source holds it, then every namespace.
    pub fn rotate(&self) -> String {
        let new = self.key("second");
        self.accept(&new);
        let version = self.source(&new);
        self.wait_rolled_out(&version);
        new
    }

    pub fn apply(&self, object: &Value) {
        self.cluster().apply(&object.to_string()).unwrap();
    }

    /// Makes a pull secret with these logins by hand, as `kubectl create secret docker-registry` does.
    pub fn by_hand(&self, namespace: &str, name: &str, logins: &[Login]) {
        self.pull_secret(namespace, name, &docker_config(logins));
    }

    /// Makes a pull secret with that docker config, whether or not it is one.
    pub fn pull_secret(&self, namespace: &str, name: &str, config: &str) {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "type": DOCKER_CONFIG,
            "metadata": {"name": name, "namespace": namespace}, "stringData": {".dockerconfigjson": config},
        }));
    }

    /// Makes a pod of one container.
    pub fn pod(&self, namespace: &str, name: &str, image: &str, policy: &str) {
        self.apply(&pod(
            namespace,
            name,
            json!([{"name": "app", "image": image, "imagePullPolicy": policy}]),
            json!({}),
        ));
    }

    pub fn get_pod(&self, namespace: &str, name: &str) -> Result<Value, String> {
        self.cluster().try_get_json(&["-n", namespace, "pod", name])
    }

    /// Waits until all containers of a pod run.
    pub fn wait_running(&self, namespace: &str, name: &str) -> Value {
        eventually(SOON, || {
            let pod = self.get_pod(namespace, name)?;
            let running = |status: &Value| status["state"]["running"].is_object();
            match statuses(&pod).iter().all(running) && !statuses(&pod).is_empty() {
                true => Ok(pod),
                false => Err(format!("{namespace}/{name} doesn't run: {}", pod["status"])),
            }
        })
    }

    /// Waits until a pod waits for its image.
    pub fn wait_pull_error(&self, namespace: &str, name: &str) {
        eventually(SOON, || self.pull_error(namespace, name));
    }

    /// The reason if a pod waits because its image can't be pulled.
    pub fn pull_error(&self, namespace: &str, name: &str) -> Result<String, String> {
        let pod = self.get_pod(namespace, name)?;
        let statuses = statuses(&pod);
        let reason = statuses.first().and_then(|status| status["state"]["waiting"]["reason"].as_str());
        match reason {
            Some(reason @ ("ErrImagePull" | "ImagePullBackOff")) => Ok(reason.to_owned()),
            _ => Err(format!("{namespace}/{name} doesn't wait for its image: {}", pod["status"])),
        }
    }

    /// That the pod gets no further than that, for so long.
    pub fn stays_in_pull_error(&self, namespace: &str, name: &str, time: Duration) {
        self.wait_pull_error(namespace, name);
        let started = Instant::now();
        while started.elapsed() < time {
            self.pull_error(namespace, name).unwrap();
            std::thread::sleep(Duration::from_secs(1)); // a sample, not a guess
        }
    }

    /// The messages of a pod's events.
    pub fn events(&self, namespace: &str, pod: &str) -> Vec<String> {
        let field = format!("--field-selector=involvedObject.name={pod}");
        let events = self.cluster().get_json(&["-n", namespace, "events", &field]);
        let events = events["items"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What the containers of a namespace's pods have written.
    pub fn logs(&self, namespace: &str) -> String {
        self.suite.node.pod_logs(namespace).into_iter().map(|(_, log)| log).collect()
    }

    /// The service account `default`.
    pub fn service_account(&self, namespace: &str) -> Value {
        self.cluster().get_json(&["-n", namespace, "serviceaccount", "default"])
    }

    /// Kills the container of a pod and waits until it has come up again.
    pub fn restart_container(&self, namespace: &str, name: &str) {
        let pod = self.wait_running(namespace, name);
        let before = statuses(&pod)[0].clone();
        self.suite.node.signal_container(before["containerID"].as_str().expect("an id"), "SIGKILL");
        eventually(SOON, || {
            let pod = self.get_pod(namespace, name)?;
            let now = statuses(&pod)[0].clone();
            let again = now["restartCount"].as_u64() > before["restartCount"].as_u64();
            match again && now["state"]["running"].is_object() {
                true => Ok(()),
                false => Err(format!("{namespace}/{name} hasn't restarted: {now}")),
            }
        });
    }
}

/// A docker config with these logins, as `docker login` writes it.
pub fn docker_config(logins: &[Login]) -> String {
    let entry = |&(registry, username, password): &Login| {
        (registry.to_owned(), json!({"auth": STANDARD.encode(format!("{username}:{password}"))}))
    };
    json!({"auths": logins.iter().map(entry).collect::<serde_json::Map<_, _>>()}).to_string()
}

/// A pod with these containers and these members of the spec besides.
pub fn pod(namespace: &str, name: &str, containers: Value, more: Value) -> Value {
    let mut spec = json!({"containers": containers, "terminationGracePeriodSeconds": 1});
    for (member, value) in more.as_object().expect("members") {
        spec[member] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

/// The `imagePullSecrets` of a pod's spec or a service account.
pub fn pull_secrets(list: &Value) -> Vec<String> {
    let entries = list["imagePullSecrets"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// How often the containers of a pod have been restarted.
pub fn restarts(pod: &Value) -> u64 {
    statuses(pod).iter().filter_map(|status| status["restartCount"].as_u64()).sum()
}

fn statuses(pod: &Value) -> Vec<Value> {
    pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default()
}
