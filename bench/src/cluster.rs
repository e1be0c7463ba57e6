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
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PartialObjectMeta, Patch, PatchParams, PostParams,
    },
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde_json::{Value, json};

/// The name of the first managed Secret; further ones append a number.
pub const SECRET: &str = "darwin-secret";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Between two new service accounts.
const PAUSE: Duration = Duration::from_millis(10);

/// How many requests the bench itself has in flight.
const IN_FLIGHT: usize = 64;

/// What the bench's own watches have seen, with the sums kept up to date: the bench shares two cores with what it
/// measures.
#[derive(Default)]
pub struct Seen {
    accounts: Mutex<Accounts>,
    secrets: Mutex<Secrets>,
}

type Key = (String, String);

#[derive(Default)]
struct Accounts {
    /// How many entries each service account has, and when that was first seen.
    known: HashMap<Key, (usize, Instant)>,
    entries: usize,
}

#[derive(Default)]
struct Secrets {
    /// The revision of each managed Secret.
    known: HashMap<Key, String>,
    /// How many have each revision.
    revisions: HashMap<String, usize>,
}

impl Seen {
    /// How many entries there are in all service accounts.
    pub fn entries(&self) -> usize {
        self.accounts.lock().unwrap().entries
    }

    /// How many managed Secrets there are.
    pub fn secrets(&self) -> usize {
        self.secrets.lock().unwrap().known.len()
    }

    /// How many managed Secrets have a revision that isn't among `old`.
    pub fn rotated(&self, old: &[String]) -> usize {
        let secrets = self.secrets.lock().unwrap();
        secrets.revisions.iter().filter(|(revision, _)| !old.contains(revision)).map(|(_, count)| count).sum()
    }

    /// The revisions that there are.
    pub fn revisions(&self) -> Vec<String> {
        self.secrets.lock().unwrap().revisions.keys().cloned().collect()
    }

    fn patched(&self, namespace: &str, name: &str) -> Option<Instant> {
        let accounts = self.accounts.lock().unwrap();
        let (entries, when) = accounts.known.get(&(namespace.to_owned(), name.to_owned()))?;
        (*entries > 0).then_some(*when)
    }

    fn account(&self, key: Key, entries: Option<usize>) {
        let mut accounts = self.accounts.lock().unwrap();
        let old = match entries {
            Some(entries) => accounts.known.insert(key, (entries, Instant::now())),
            None => accounts.known.remove(&key),
        };
        accounts.entries += entries.unwrap_or_default();
        accounts.entries -= old.map_or(0, |(entries, _)| entries);
    }

    fn secret(&self, key: Key, revision: Option<String>) {
        let mut secrets = self.secrets.lock().unwrap();
        if let Some(revision) = &revision {
            *secrets.revisions.entry(revision.clone()).or_default() += 1;
        }
        let old = match revision {
            Some(revision) => secrets.known.insert(key, revision),
            None => secrets.known.remove(&key),
        };
        if let Some(old) = old
            && let Some(count) = secrets.revisions.get_mut(&old)
        {
            *count -= 1;
            if *count == 0 {
                secrets.revisions.remove(&old);
            }
        }
    }
}

pub struct Cluster {
    pub control_plane: ControlPlane,
    pub client: Client,
    pub namespaces: usize,
    pub accounts: usize,
    /// Whether the yardstick, too, has to watch Secrets by name.
    pub fenced: bool,
    pub seen: Arc<Seen>,
}

/// A client with connections of its own, as fast as the operator's.
pub async fn client(kubeconfig: PathBuf) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the control plane's kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    regcred::cluster::client(config, &Default::default()).expect("a client")
}

/// The file of a key that opens nothing.
pub fn key(which: char) -> String {
    std::fs::read_to_string(format!("{ROOT}/tests/fixtures/throwaway-key-{which}.json")).expect("a fixture")
}

/// All RegistryCredentials, undecoded, as the operator takes them.
pub fn credentials(client: &Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("regcred.dev", "v1alpha1", "RegistryCredential"));
    Api::all_with(client.clone(), &resource)
}

pub fn namespace(index: usize) -> String {
    format!("team-{index:05}")
}

/// The name of the Secret of the credential of this number.
pub fn secret(number: usize) -> String {
    if number == 0 { SECRET.to_owned() } else { format!("{SECRET}-{number}") }
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
        let cluster = Self { control_plane, client, namespaces, accounts, fenced: false, seen: Arc::default() };
        cluster.fill().await;
        cluster.watch();
        cluster
    }

    /// Narrows the operator's rights on Secrets as config/overlays/scoped does, and installs every policy. Service
    /// accounts of any name get an entry here, so their wide rule stays, as the overlay says.
    pub fn fence(&self) {
        for part in ["policy", "policy/at-creation"] {
            self.control_plane.kubectl_ok(&["apply", "--server-side", "-k", &format!("{ROOT}/config/{part}")]);
        }
        let about_accounts = |rule: &Value| rule["resources"] == json!(["serviceaccounts"]);
        let rules = |role: &Value| role["rules"].as_array().expect("rules").clone();
        let installed = rules(&self.control_plane.get_json(&["clusterrole", "regcred"]));
        let wide = installed.into_iter().find(about_accounts).expect("a rule about service accounts");
        let overlay = format!("{ROOT}/config/overlays/scoped");
        let built = self.control_plane.kubectl_ok(&["create", "--dry-run=client", "-o", "json", "-k", &overlay]);
        let objects = serde_json::Deserializer::from_str(&built).into_iter::<Value>().map(Result::unwrap);
        let is_role = |object: &Value| object["kind"] == "ClusterRole" && object["metadata"]["name"] == "regcred";
        let mut role = objects.into_iter().find(is_role).expect("the operator's role");
        let others = rules(&role).into_iter().filter(|rule| !about_accounts(rule));
        role["rules"] = others.chain([wide]).collect();
        self.control_plane.apply(&role.to_string()).expect("the narrowed role");
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

    /// Applies a manifest, without the tenths of a second that a kubectl takes.
    pub async fn apply(&self, manifest: Value) {
        let object: DynamicObject = serde_json::from_value(manifest).expect("a manifest");
        let types = object.types.clone().expect("apiVersion and kind");
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).expect("a group and a version"));
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let name = object.name_any();
        api.patch(&name, &PatchParams::apply("bench").force(), &Patch::Apply(&object)).await.expect("an apply");
    }

    /// Deletes the first RegistryCredential.
    pub async fn delete_credential(&self) {
        credentials(&self.client).delete("darwin", &DeleteParams::default()).await.expect("a RegistryCredential");
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
            let mut stream = watcher(api, watcher::Config::default().streaming_lists()).default_backoff().boxed();
            while let Some(event) = stream.next().await {
                let key = |object: &ServiceAccount| (object.namespace().unwrap_or_default(), object.name_any());
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        let ours = object.image_pull_secrets.iter().flatten().filter(|e| e.name.starts_with(SECRET));
                        seen.account(key(&object), Some(ours.count()));
                    }
                    Ok(watcher::Event::Delete(object)) => seen.account(key(&object), None),
                    _ => {}
                }
            }
        });
        let (seen, client) = (self.seen.clone(), self.client.clone());
        tokio::spawn(async move {
            let config = watcher::Config::default().streaming_lists().labels("regcred.dev/credential");
            let mut stream = watcher(Api::<PartialObjectMeta<Secret>>::all(client), config).default_backoff().boxed();
            while let Some(event) = stream.next().await {
                let key =
                    |object: &PartialObjectMeta<Secret>| (object.namespace().unwrap_or_default(), object.name_any());
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        let revision = object.annotations().get("regcred.dev/revision").cloned().unwrap_or_default();
                        seen.secret(key(&object), Some(revision));
                    }
                    Ok(watcher::Event::Delete(object)) => seen.secret(key(&object), None),
                    _ => {}
                }
            }
        });
    }

    /// Waits for `done`, looking each millisecond; seconds since `started`.
    pub async fn until(&self, started: Instant, what: &str, done: impl Fn(&Seen) -> bool) -> f64 {
        while !done(&self.seen) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let waited = started.elapsed().as_secs();
            assert!(
                waited < 900,
                "{what}: not so after {waited} s, with {} entries and {} Secrets",
                self.seen.entries(),
                self.seen.secrets()
            );
        }
        started.elapsed().as_secs_f64()
    }

    /// Milliseconds from asking for a new service account until its patch is seen, one after the other, each in
    /// another namespace.
    pub async fn latencies(&self, count: usize, prefix: &str) -> Vec<f64> {
        let mut all = Vec::new();
        for index in 0..count {
            // So that what is measured isn't what follows the one before: its own event, and somebody's status.
            tokio::time::sleep(PAUSE).await;
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
            self.seen.account((namespace(index * 7 % self.namespaces), name), None);
        }
        all
    }

    /// As it was before: no Secret, no entry.
    pub async fn reset(&self) {
        let _ = self.control_plane.kubectl(&["delete", "registrycredentials", "--all"]);
        let secrets: Vec<_> = self.seen.secrets.lock().unwrap().known.keys().cloned().collect();
        let client = &self.client;
        stream::iter(secrets)
            .for_each_concurrent(IN_FLIGHT, |(namespace, name)| async move {
                let api = Api::<Secret>::namespaced(client.clone(), &namespace);
                let _ = api.delete(&name, &DeleteParams::default()).await;
            })
            .await;
        let accounts: Vec<_> =
            self.seen.accounts.lock().unwrap().known.iter().filter(|(_, a)| a.0 > 0).map(|(k, _)| k.clone()).collect();
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
