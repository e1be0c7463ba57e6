//! A control plane with N namespaces, and a watch that tells when they have converged.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Instant,
};

use controlplane::{ADMIN, Audit, ControlPlane, Controllers, Options};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::watcher,
};
use serde_json::json;
use tokio::sync::Notify;

pub const SECRET: &str = "darwin-secret";
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What the bench's own watches have seen.
#[derive(Default)]
pub struct Seen {
    accounts: Mutex<HashMap<(String, String), bool>>,
    secrets: Mutex<HashMap<String, String>>,
    changed: Notify,
}

pub struct Cluster {
    pub control_plane: ControlPlane,
    pub client: Client,
    pub namespaces: Vec<String>,
    pub accounts: usize,
    pub seen: Arc<Seen>,
}

/// A client of its own connections.
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
        let namespaces: Vec<String> = (0..namespaces).map(|n| format!("team-{n:05}")).collect();
        let cluster = Self { control_plane, client, namespaces, accounts, seen: Arc::default() };
        cluster.fill().await;
        cluster.watch();
        cluster
    }

    async fn fill(&self) {
        let api = Api::<Namespace>::all(self.client.clone());
        let (api, client, accounts) = (&api, &self.client, self.accounts);
        stream::iter(&self.namespaces)
            .for_each_concurrent(64, |name| async move {
                let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
                api.create(&PostParams::default(), &namespace).await.expect("a namespace");
                let api = Api::<ServiceAccount>::namespaced(client.clone(), name);
                for index in 0..accounts {
                    let account = json!({"metadata": {"name": account(index)}});
                    let account = serde_json::from_value(account).expect("a service account");
                    api.create(&PostParams::default(), &account).await.expect("a service account");
                }
            })
            .await;
    }

    fn watch(&self) {
        let (seen, client) = (self.seen.clone(), self.client.clone());
        tokio::spawn(async move {
            let mut stream =
                watcher(Api::<ServiceAccount>::all(client), watcher::Config::default().streaming_lists()).boxed();
            while let Some(event) = stream.next().await {
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event {
                    let has = object.image_pull_secrets.iter().flatten().any(|e| e.name == SECRET);
                    let key = (object.namespace().unwrap_or_default(), object.name_any());
                    seen.accounts.lock().expect("no panic").insert(key, has);
                    seen.changed.notify_waiters();
                }
            }
        });
        let (seen, client) = (self.seen.clone(), self.client.clone());
        tokio::spawn(async move {
            let config = watcher::Config::default().streaming_lists().fields(&format!("metadata.name={SECRET}"));
            let mut stream = watcher(Api::<PartialObjectMeta<Secret>>::all(client), config).boxed();
            while let Some(event) = stream.next().await {
                let mut secrets = seen.secrets.lock().expect("no panic");
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                        let revision = object.annotations().get("regcred.dev/revision").cloned().unwrap_or_default();
                        secrets.insert(object.namespace().unwrap_or_default(), revision);
                    }
                    Ok(watcher::Event::Delete(object)) => {
                        secrets.remove(&object.namespace().unwrap_or_default());
                    }
                    _ => {}
                }
                drop(secrets);
                seen.changed.notify_waiters();
            }
        });
    }

    /// How many seconds from `since` until `done` of what has been seen.
    pub async fn until(&self, since: Instant, done: impl Fn(usize, &HashMap<String, String>) -> bool) -> f64 {
        loop {
            let changed = self.seen.changed.notified();
            {
                let accounts = self.seen.accounts.lock().expect("no panic").values().filter(|has| **has).count();
                if done(accounts, &self.seen.secrets.lock().expect("no panic")) {
                    return since.elapsed().as_secs_f64();
                }
            }
            let _ = tokio::time::timeout(std::time::Duration::from_millis(20), changed).await;
            assert!(since.elapsed().as_secs() < 600, "not converged after ten minutes");
        }
    }

    /// As it was before: no Secret, no entry.
    pub async fn reset(&self) {
        let (client, accounts) = (&self.client, self.accounts);
        stream::iter(&self.namespaces)
            .for_each_concurrent(64, |name| async move {
                let secrets = Api::<Secret>::namespaced(client.clone(), name);
                let _ = secrets.delete(SECRET, &DeleteParams::default()).await;
                let api = Api::<ServiceAccount>::namespaced(client.clone(), name);
                for index in 0..accounts {
                    let patch = json!({"imagePullSecrets": null, "metadata": {"annotations": null}});
                    let patch = Patch::Merge(patch);
                    api.patch(&account(index), &PatchParams::default(), &patch).await.expect("a service account");
                }
            })
            .await;
        self.until(Instant::now(), |accounts, secrets| accounts == 0 && secrets.is_empty()).await;
    }
}
