//! What the tests of config/policy share: installing it, and a client that is quick enough for thousands of requests.

use controlplane::{ControlPlane, kubernetes};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api, Client, Config,
    api::{ApiResource, DynamicObject, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use regcred::api::RegistryCredential;
use serde_json::Value;

use crate::world::ROOT;

/// How many requests a test has in flight.
pub const IN_FLIGHT: usize = 16;

/// `kubectl apply -k config/PART`.
pub fn install(cluster: &ControlPlane, part: &str) {
    cluster.kubectl_ok(&["apply", "--server-side", "-k", &format!("{ROOT}/config/{part}")]);
}

/// config/policy/at-creation in the version that the API server serves.
pub fn install_at_creation(cluster: &ControlPlane) {
    install(cluster, if kubernetes() < (1, 36) { "policy/at-creation-v1beta1" } else { "policy/at-creation" });
}

pub async fn client(cluster: &ControlPlane, user: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig(user)).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    regcred::cluster::client(config, &Default::default()).unwrap()
}

pub fn credentials(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::erase::<RegistryCredential>(&()))
}

/// The service account as it would be created.
pub async fn born(client: &Client, namespace: &str, account: &Value) -> kube::Result<ServiceAccount> {
    let api = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let account = serde_json::from_value(account.clone()).unwrap();
    api.create(&PostParams { dry_run: true, field_manager: None }, &account).await
}

/// The names in imagePullSecrets.
pub fn entries(account: &ServiceAccount) -> Vec<String> {
    account.image_pull_secrets.iter().flatten().map(|entry| entry.name.clone()).collect()
}
