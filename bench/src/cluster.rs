//! A control plane with N namespaces, and the bench's own watches, which tell when they have converged.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use controlplane::{ADMIN, Audit, ControlPlane, Controllers, Options};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher::{self, watcher},
};
use serde_json::json;
use tokio::sync::Notify;

/// The name of the first managed Secret; further ones append a number.
pub const SECRET: &str = "darwin-secret";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// How many requests the bench itself has in flight.
const IN_FLIGHT: usize = 64;

/// What the bench's own watches have seen.
#[derive(Default)]
pub struct Seen {
    /// How many entries each service account has, and when that was first seen.
    accounts: Mutex<HashMap<(String, String), (usize, Instant)>>,
    /// The revision of each managed Secret, by namespace and name.
    secrets: Mutex<HashMap<(String, String), String>>,
    changed: Notify,
}

impl Seen {
    /// How many entries there are in all service accounts.
    pub fn entries(&self) -> usize {
        self.accounts.lock().unwrap().values().map(|(entries, _)| entries).sum()
    }

    /// How many managed Secrets there are.
    pub fn secrets(&self) -> usize {
        self.secrets.lock().unwrap().len()
    }

    /// How many managed Secrets have a revision other than `old`.
    pub fn rotated(&self, old: &str) -> usize {
        self.secrets.lock().unwrap().values().filter(|revision| *revision != old).count()
    }

    /// The revision of any Secret.
    pub fn revision(&self) -> String {
        self.secrets.lock().unwrap().values().next().cloned().unwrap_or_default()
    }

    fn patched(&self, namespace: &str, name: &str) -> Option<Instant> {
        let accounts = self.accounts.lock().unwrap();
        let (entries, when) = accounts.get(&(namespace.to_owned(), name.to_owned()))?;
        (*entries > 0).then_some(*when)
    }
}

pub struct Cluster {
    pub control_plane: ControlPlane,
    pub client: Client,
    pub namespaces: usize,
    pub accounts: usize,
    pub seen: Arc<Seen>,
}

/// A client with connections of its own.
pub async fn client(kubeconfig: PathBuf) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the control plane's kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

/// The file of a key that opens nothing.
pub fn key(which: char) -> String {
    std::fs::read_to_string(format!("{ROOT}/tests/fixtures/throwaway-key-{which}.json")).expect("a fixture")
}

pub fn namespace(index: usize) -> String {
    format!("team-{index:05}")
}

pub fn account(index: usize) -> String {
    if index == 0 { "default".to_owned() } else { format!("account-{index}") }
}

impl Cluster {
    pub async fn new(namespaces: usize, accounts: usize) -> Self {
        let crd =
            std::fs::read_to_string(format!("{ROOT}/crds/registrycredentials.regcred.dev.yaml")).expect("the CRD");
        let control_plane = ControlPlane::start(Options {
            controllers: Controllers::Off,
            audit: Audit::Metadata,
            manifests: vec![crd],
            ..Options::default()
        });
        for part in ["namespace", "rbac"] {
            control_plane.kubectl_ok(&["apply", "--server-side", "-k", &format!("{ROOT}/config/{part}")]);
        }
        let client = client(control_plane.kubeconfig(ADMIN)).await;
        let cluster = Self { control_plane, client, namespaces, accounts, seen: Arc::default() };
        cluster.fill().await;
        cluster.watch();
        cluster
    }

    async fn fill(&self) {
        let api = &Api::<Namespace>::all(self.client.clone());
        stream::iter(0..self.namespaces)
            .for_each_concurrent(IN_FLIGHT, |index| async move {
                // Half of them can be brought in by a label.
                let half = if index % 2 == 0 { "even" } else { "odd" };
                let manifest = json!({"metadata": {"name": namespace(index), "labels": {"half": half}}});
                let object = serde_json::from_value(manifest).unwrap();
                api.create(&PostParams::default(), &object).await.expect("a namespace");
                for account_index in 0..self.accounts {
                    self.create_account(&namespace(index), &account(account_index)).await;
                }
            })
            .await;
    }

    async fn create_account(&self, namespace: &str, name: &str) {
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        api.create(&PostParams::default(), &object).await.expect("a service account");
    }

    /// Adds Secrets that aren't regcred's, half of them of its type.
    pub async fn add_foreign(&self, count: usize) {
        let client = &self.client;
        stream::iter(0..count)
            .for_each_concurrent(IN_FLIGHT, |index| async move {
                let api = Api::<Secret>::namespaced(client.clone(), &namespace(index % self.namespaces));
                let object = if index % 2 == 0 {
                    json!({"metadata": {"name": format!("foreign-{index}")}, "type": "kubernetes.io/dockerconfigjson",
                           "stringData": {".dockerconfigjson": "{\"auths\":{}}"}})
                } else {
                    json!({"metadata": {"name": format!("foreign-{index}")}, "stringData": {"token": "x"}})
                };
                let object = serde_json::from_value(object).unwrap();
                api.create(&PostParams::default(), &object).await.expect("a Secret");
            })
            .await;
    }

    fn watch(&self) {
        let (seen, client) = (self.seen.clone(), self.client.clone());
        tokio::spawn(async move {
            let api = Api::<ServiceAccount>::all(client);
            let mut stream = watcher(api, watcher::Config::default().streaming_lists()).boxed();
            while let Some(event) = stream.next().await {
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event {
                    let ours = object.image_pull_secrets.iter().flatten().filter(|e| e.name.starts_with(SECRET));
                    let state = (ours.count(), Instant::now());
                    let key = (object.namespace().unwrap_or_default(), object.name_any());
                    seen.accounts.lock().unwrap().insert(key, state);
                    seen.changed.notify_waiters();
                }
            }
        });
        let (seen, client) = (self.seen.clone(), self.client.clone());
        tokio::spawn(async move {
            let config = watcher::Config::default().streaming_lists().labels("regcred.dev/credential");
            let mut stream = watcher(Api::<PartialObjectMeta<Secret>>::all(client), config).boxed();
            while let Some(event) = stream.next().await {
                let key =
                    |object: &PartialObjectMeta<Secret>| (object.namespace().unwrap_or_default(), object.name_any());
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        let revision = object.annotations().get("regcred.dev/revision").cloned().unwrap_or_default();
                        seen.secrets.lock().unwrap().insert(key(&object), revision);
                    }
                    Ok(watcher::Event::Delete(object)) => {
                        seen.secrets.lock().unwrap().remove(&key(&object));
                    }
                    _ => {}
                }
                seen.changed.notify_waiters();
            }
        });
    }

    /// Waits for `done`; seconds since `started`.
    pub async fn until(&self, started: Instant, what: &str, done: impl Fn(&Seen) -> bool) -> f64 {
        loop {
            let changed = self.seen.changed.notified();
            if done(&self.seen) {
                return started.elapsed().as_secs_f64();
            }
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
            let waited = started.elapsed().as_secs();
            assert!(
                waited < 900,
                "{what}: not so after {waited} s, with {} entries and {} Secrets",
                self.seen.entries(),
                self.seen.secrets()
            );
        }
    }

    /// Milliseconds from asking for a new service account until its patch is seen, one after the other, each in
    /// another namespace.
    pub async fn latencies(&self, count: usize, prefix: &str) -> Vec<f64> {
        let mut all = Vec::new();
        for index in 0..count {
            let (namespace, name) = (namespace(index * 7 % self.namespaces), format!("{prefix}-{index}"));
            let started = Instant::now();
            self.create_account(&namespace, &name).await;
            self.until(started, "a new service account", |seen| seen.patched(&namespace, &name).is_some()).await;
            let patched = self.seen.patched(&namespace, &name).unwrap_or(started);
            all.push(patched.duration_since(started).as_secs_f64() * 1000.0);
        }
        for index in 0..count {
            let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &namespace(index * 7 % self.namespaces));
            let name = format!("{prefix}-{index}");
            api.delete(&name, &DeleteParams::default()).await.expect("a service account");
            self.seen.accounts.lock().unwrap().remove(&(namespace(index * 7 % self.namespaces), name));
        }
        all
    }

    /// As it was before: no Secret, no entry.
    pub async fn reset(&self) {
        let _ = self.control_plane.kubectl(&["delete", "registrycredentials", "--all"]);
        let secrets: Vec<_> = self.seen.secrets.lock().unwrap().keys().cloned().collect();
        let client = &self.client;
        stream::iter(secrets)
            .for_each_concurrent(IN_FLIGHT, |(namespace, name)| async move {
                let api = Api::<Secret>::namespaced(client.clone(), &namespace);
                let _ = api.delete(&name, &DeleteParams::default()).await;
            })
            .await;
        let accounts: Vec<_> =
            self.seen.accounts.lock().unwrap().iter().filter(|(_, a)| a.0 > 0).map(|(k, _)| k.clone()).collect();
        stream::iter(accounts)
            .for_each_concurrent(IN_FLIGHT, |(namespace, name)| async move {
                let api = Api::<ServiceAccount>::namespaced(client.clone(), &namespace);
                let patch = Patch::Merge(json!({"imagePullSecrets": null, "metadata": {"annotations": null}}));
                let _ = api.patch(&name, &PatchParams::default(), &patch).await;
            })
            .await;
        self.until(Instant::now(), "reset", |seen| seen.entries() == 0 && seen.secrets() == 0).await;
    }
}
