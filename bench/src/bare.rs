//! The yardstick: a client that knows what to write and only writes it, by whichever verbs, holding the operator's watches.
//! It is a process of its own, so that its CPU and memory can be measured as the operator's are.

use std::{path::PathBuf, time::Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Parser, ValueEnum};
use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::{
    Api, Client, ResourceExt,
    api::{PartialObjectMeta, Patch, PatchParams},
    runtime::watcher::{self, watcher},
};
use serde_json::{Map, Value, json};

use crate::cluster::{self, account, namespace, secret};

/// What the yardstick does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Write every Secret, and every service account after its Secret.
    Converge,
    /// Write every Secret anew.
    Rotate,
    /// List what an operator has to list at its start.
    List,
    /// Watch service accounts and patch each new one, until killed.
    Follow,
}

/// By what requests Secrets are written. All leave a Secret that says the same to a kubelet and has the same owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verbs {
    /// POST, and PUT of the whole object, for who knows all that is in it.
    Put,
    /// POST, and a JSON patch.
    JsonPatch,
    /// A server-side apply that creates, and PUT: for who may write Secrets by name, which POST can't be allowed by.
    ApplyAndPut,
    /// The same, and a JSON patch.
    ApplyAndPatch,
    /// Server-side apply.
    Apply,
}

#[derive(Parser)]
pub struct Args {
    #[arg(long, value_enum, default_value_t = Verbs::Put)]
    verbs: Verbs,
    #[arg(value_enum)]
    task: Task,
    #[arg(long)]
    kubeconfig: PathBuf,
    #[arg(long, default_value_t = 0)]
    namespaces: usize,
    #[arg(long, default_value_t = 1)]
    service_accounts: usize,
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    #[arg(long, default_value_t = 1)]
    credentials: usize,
    /// Watch the first credential's Secrets by their name.
    #[arg(long)]
    named: bool,
}

/// Prints the seconds that the task took, from the start of the process.
pub async fn main(args: Args) {
    let started = Instant::now();
    let client = cluster::client(args.kubeconfig.clone()).await;
    match args.task {
        Task::Converge => {
            watches(&client, args.named).await;
            converge(&client, &args).await;
        }
        Task::Rotate => {
            watches(&client, args.named).await;
            rotate(&client, &args).await;
        }
        Task::List => watches(&client, args.named).await,
        Task::Follow => follow(&client).await,
    }
    // The cost has to be read while the process is there.
    println!("{}", started.elapsed().as_secs_f64());
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Holds the operator's watches from now on, and returns when each has listed everything: the same lists, all at once.
async fn watches(client: &Client, named: bool) {
    let streaming = || watcher::Config::default().streaming_lists();
    let plain = || watcher::Config::default().page_size(10_000);
    let credentials = watcher(cluster::credentials(client), plain());
    let namespaces = watcher(Api::<PartialObjectMeta<Namespace>>::all(client.clone()), plain());
    let sources = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), "regcred-system");
    let mine =
        if named { format!("metadata.name={}", secret(0)) } else { "type=kubernetes.io/dockerconfigjson".to_owned() };
    let secrets = watcher(Api::<PartialObjectMeta<Secret>>::all(client.clone()), streaming().fields(&mine));
    let accounts = watcher(Api::<ServiceAccount>::all(client.clone()), streaming());
    let sources = watcher(sources, streaming());
    tokio::join!(hold(credentials), hold(namespaces), hold(sources), hold(secrets), hold(accounts));
}

async fn hold<K: Send + 'static>(stream: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static) {
    let (done, listed) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut done = Some(done);
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            // As the process ends, each attempt fails at once.
            let Ok(event) = event else { return };
            if matches!(event, watcher::Event::InitDone)
                && let Some(done) = done.take()
            {
                let _ = done.send(());
            }
        }
    });
    listed.await.expect("a watch broke off");
}

/// A body of the size that the operator applies.
fn manifest(namespace: &str, number: usize, which: char, data: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {
            "name": secret(number), "namespace": namespace,
            "labels": {"regcred.dev/credential": "darwin"},
            "annotations": {"regcred.dev/revision": format!("v1:bare{which}0123456789abcdef01234567")},
            "ownerReferences": [{"apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "name": "darwin",
                                 "uid": "00000000-0000-0000-0000-000000000000"}],
        },
        "data": {".dockerconfigjson": data},
    })
}

fn data(which: char) -> String {
    let auth = STANDARD.encode(format!("_json_key:{}", cluster::key(which)));
    let entry = format!("{{\"auth\":\"{auth}\"}}");
    STANDARD.encode(format!("{{\"auths\":{{\"eu.gcr.io/darwin/\":{entry},\"gcr.io/darwin/\":{entry}}}}}"))
}

async fn apply(client: &Client, body: Value, namespace: &str, number: usize) {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    secrets
        .patch_metadata(&secret(number), &PatchParams::apply("regcred").force(), &Patch::Apply(body))
        .await
        .expect("a Secret");
}

/// As the operator asks: the answer is metadata only.
async fn send(client: &Client, method: &str, namespace: &str, name: &str, content_type: &str, body: &Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/api/v1/namespaces/{namespace}/secrets{name}?fieldManager=regcred"))
        .header("content-type", content_type)
        .header("accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
        .body(serde_json::to_vec(body).expect("JSON"))
        .expect("a request");
    client.request::<PartialObjectMeta<Secret>>(request).await.expect("a Secret");
}

async fn create(client: &Client, verbs: Verbs, namespace: &str, number: usize, data: &str) {
    let mut body = manifest(namespace, number, 'a', data);
    match verbs {
        Verbs::Put | Verbs::JsonPatch => send(client, "POST", namespace, "", "application/json", &body).await,
        Verbs::Apply | Verbs::ApplyAndPut | Verbs::ApplyAndPatch => {
            body["metadata"]["resourceVersion"] = json!("1");
            apply(client, body, namespace, number).await;
        }
    }
}

async fn change(client: &Client, verbs: Verbs, namespace: &str, number: usize, data: &str) {
    let (body, name) = (manifest(namespace, number, 'b', data), format!("/{}", secret(number)));
    match verbs {
        Verbs::Put | Verbs::ApplyAndPut => send(client, "PUT", namespace, &name, "application/json", &body).await,
        Verbs::JsonPatch | Verbs::ApplyAndPatch => {
            let patch = json!([
                {"op": "replace", "path": "/data/.dockerconfigjson", "value": data},
                {"op": "add", "path": "/metadata/annotations/regcred.dev~1revision",
                 "value": body["metadata"]["annotations"]["regcred.dev/revision"]},
            ]);
            send(client, "PATCH", namespace, &name, "application/json-patch+json", &patch).await;
        }
        Verbs::Apply => apply(client, body, namespace, number).await,
    }
}

async fn append(client: &Client, namespace: &str, name: &str, credentials: usize) {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let entries: Vec<_> = (0..credentials).map(|number| json!({"name": secret(number)})).collect();
    let annotations: Map<String, Value> =
        (0..credentials).map(|number| (format!("added.regcred.dev/{}", secret(number)), "darwin".into())).collect();
    let patch = json!([
        {"op": "add", "path": "/imagePullSecrets", "value": entries},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
    ]);
    let patch = Patch::<()>::Json(serde_json::from_value(patch).expect("a patch"));
    let params = PatchParams { field_manager: Some("regcred".to_owned()), ..PatchParams::default() };
    accounts.patch(name, &params, &patch).await.expect("a service account");
}

async fn converge(client: &Client, args: &Args) {
    let data = &data('a');
    stream::iter((0..args.namespaces).map(namespace))
        .for_each_concurrent(args.in_flight, |namespace| async move {
            for number in 0..args.credentials {
                create(client, args.verbs, &namespace, number, data).await;
            }
            for index in 0..args.service_accounts {
                append(client, &namespace, &account(index), args.credentials).await;
            }
        })
        .await;
}

async fn rotate(client: &Client, args: &Args) {
    let data = &data('b');
    stream::iter((0..args.namespaces).map(namespace))
        .for_each_concurrent(args.in_flight, |namespace| async move {
            for number in 0..args.credentials {
                change(client, args.verbs, &namespace, number, data).await;
            }
        })
        .await;
}

async fn follow(client: &Client) {
    let api = Api::<ServiceAccount>::all(client.clone());
    let mut stream = watcher(api, watcher::Config::default().streaming_lists()).boxed();
    while let Some(event) = stream.next().await {
        match event {
            Ok(watcher::Event::InitDone) => println!("0"),
            Ok(watcher::Event::Apply(object)) if object.image_pull_secrets.is_none() => {
                let client = client.clone();
                tokio::spawn(async move {
                    append(&client, &object.namespace().unwrap_or_default(), &object.name_any(), 1).await;
                });
            }
            _ => {}
        }
    }
}
