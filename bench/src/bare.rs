//! The yardstick: a client that knows what to write and only writes it, the same bodies by the same verbs.

use std::time::Instant;

use controlplane::OPERATOR;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::cluster::{self, Cluster, SECRET, account};

/// A body of the size that the operator applies, for one namespace.
fn manifest(namespace: &str, which: char, guard: bool) -> Value {
    let key = serde_json::to_string(&cluster::key(which)).expect("a string");
    let auth = base64(format!("_json_key:{}", cluster::key(which)).as_bytes());
    let entry = format!("{{\"username\":\"_json_key\",\"password\":{key},\"auth\":\"{auth}\"}}");
    let config = format!("{{\"auths\":{{\"eu.gcr.io/darwin/\":{entry},\"gcr.io/darwin/\":{entry}}}}}");
    let mut body = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {
            "name": SECRET, "namespace": namespace,
            "labels": {"regcred.dev/credential": "darwin"},
            "annotations": {"regcred.dev/revision": format!("v1:bare-{which}-0123456789abcdef012345")},
            "ownerReferences": [{"apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "name": "darwin",
                                 "uid": "00000000-0000-0000-0000-000000000000"}],
        },
        "data": {".dockerconfigjson": base64(config.as_bytes())},
    });
    if guard {
        body["metadata"]["resourceVersion"] = json!("1");
    }
    body
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .map(|chunk| {
            let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            let digit =
                |n: usize| if n <= chunk.len() { ALPHABET[(word >> (18 - 6 * n) & 63) as usize] as char } else { '=' };
            (0..4).map(digit).collect::<String>()
        })
        .collect()
}

async fn apply(client: &Client, namespace: &str, which: char, guard: bool) {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let body = Patch::Apply(manifest(namespace, which, guard));
    secrets.patch_metadata(SECRET, &PatchParams::apply("regcred").force(), &body).await.expect("a Secret");
}

/// Seconds to write every Secret and then every service account, `in_flight` namespaces at a time.
pub async fn converge(cluster: &Cluster, in_flight: usize) -> f64 {
    let started = Instant::now();
    let client = cluster::client(cluster.control_plane.kubeconfig(OPERATOR)).await;
    let client = &client;
    stream::iter(&cluster.namespaces)
        .for_each_concurrent(in_flight, |namespace| async move {
            apply(client, namespace, 'a', true).await;
            let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
            for index in 0..cluster.accounts {
                let patch = json!([
                    {"op": "add", "path": "/imagePullSecrets", "value": [{"name": SECRET}]},
                    {"op": "add", "path": "/metadata/annotations", "value": {"added.regcred.dev/darwin-secret": "darwin"}},
                ]);
                let patch = Patch::<()>::Json(serde_json::from_value(patch).expect("a patch"));
                let params = PatchParams { field_manager: Some("regcred".to_owned()), ..PatchParams::default() };
                accounts.patch(&account(index), &params, &patch).await.expect("a service account");
            }
        })
        .await;
    let all = cluster.namespaces.len() * cluster.accounts;
    cluster.until(started, |accounts, _| accounts == all).await
}

/// Seconds to write every Secret anew.
pub async fn rotate(cluster: &Cluster, in_flight: usize) -> f64 {
    let started = Instant::now();
    let client = cluster::client(cluster.control_plane.kubeconfig(OPERATOR)).await;
    let client = &client;
    let write = |namespace: &String| {
        let namespace = namespace.clone();
        async move { apply(client, &namespace, 'b', false).await }
    };
    stream::iter(&cluster.namespaces).for_each_concurrent(in_flight, write).await;
    started.elapsed().as_secs_f64()
}
