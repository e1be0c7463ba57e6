//! config/policy/at-creation: service accounts are created with their entry, and the operator takes what it finds.

use std::time::Duration;

use controlplane::{ADMIN, eventually};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    existing_secret::attaching,
    policies::{IN_FLIGHT, install, install_at_creation},
    world::{SOON, World, key},
};

/// How many namespaces are made with a service account and pods in one go.
const BURSTS: usize = 500;

/// With a credential for `team-*` that is rolled out and that the policy knows.
fn world() -> World {
    let world = World::new();
    install(&world.cluster, "policy");
    install_at_creation(&world.cluster);
    world.source("key", &key('a'));
    world.namespace("team", json!({}));
    world.credential(
        "darwin",
        json!({"namespaces": {"names": ["team*"]}, "attach": {"serviceAccounts": {"names": ["*"]}}}),
    );
    world.wait_ready("darwin");
    wait_active(&world, "darwin");
    world
}

/// The entries of a service account that would be created.
fn born(world: &World, namespace: &str) -> Vec<String> {
    let probe = ["-n", namespace, "create", "serviceaccount", "probe", "--dry-run=server", "-o", "json"];
    entries_of(&serde_json::from_str(&world.kubectl(&probe)).unwrap())
}

fn entries_of(account: &Value) -> Vec<String> {
    let entries = account["imagePullSecrets"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

fn wait_active(world: &World, secret: &str) {
    eventually(SOON, || match born(world, "team") {
        entries if entries.iter().any(|entry| entry == secret) => Ok(()),
        entries => Err(format!("a service account would be born with {entries:?}")),
    });
}

fn record(world: &World, namespace: &str, account: &str) -> Value {
    world.account(namespace, account)["metadata"]["annotations"]["added.regcred.dev/darwin"].clone()
}

#[test]
fn an_entry_that_a_service_account_was_born_with_is_ours_without_a_write_and_goes_with_its_credential() {
    let world = world();
    world.namespace("team-a", json!({}));
    world.service_account("team-a", "app", json!({}), &["theirs"]);
    assert_eq!(world.entries("team-a", "app").unwrap(), ["theirs", "darwin"]);
    // Made by the service-account controller.
    world.wait_account("team-a", "default");
    assert_eq!(world.entries("team-a", "default").unwrap(), ["darwin"]);
    assert_eq!(record(&world, "team-a", "app"), "darwin");
    world.wait_password("team-a", "darwin", &key('a'));
    world.wait_namespaces("darwin", "2/2");
    eventually(SOON, || match world.status("darwin")? {
        status if status["serviceAccounts"]["summary"] == "3/3" => Ok(()),
        status => Err(format!("it isn't 3/3: {status:#}")),
    });
    world.settle();
    assert_eq!(world.writes("team-a", "serviceaccounts"), []);
    // It is repaired as any other, and taken back.
    world.patch("team-a", "serviceaccount/app", json!({"imagePullSecrets": [{"name": "theirs"}]}));
    world.wait_entries("team-a", "app", &["theirs", "darwin"]);
    world.delete_credential("darwin");
    world.wait_entries("team-a", "app", &["theirs"]);
    world.wait_accounts_with("darwin", &[]);
    world.wait_no_secret("team-a", "darwin");
    world.assert_nothing_was_forbidden();
}

#[test]
fn an_entry_for_a_secret_that_is_refused_is_taken_back_and_one_that_another_credential_has_is_recorded_for_it() {
    let world = world();
    world.namespace("other", json!({}));
    world.foreign_secret("other", "darwin", "kubernetes.io/dockerconfigjson");
    world.patch_spec("darwin", json!({"namespaces": {"names": ["team*", "other"]}}));
    world.wait_failure("darwin", "other", "ForeignSecret");
    world.service_account("other", "app", json!({}), &["theirs"]);
    world.wait_accounts_with("darwin", &["team/default"]);
    assert_eq!(world.entries("other", "app").unwrap(), ["theirs"]);

    // Whichever of the two is written down at birth, the older one has the name in the end.
    let template = json!({"name": "darwin"});
    world.wait_older("darwin");
    world.credential("a-second", json!({"namespaces": {"names": ["team-*"]}, "secretTemplate": template}));
    world.wait_condition("a-second", "Ready", "True", "RolledOut");
    world.namespace("team-a", json!({}));
    world.wait_failure("a-second", "team-a", "NameTaken");
    world.wait_entries("team-a", "default", &["darwin"]);
    eventually(SOON, || match record(&world, "team-a", "default") {
        owner if owner == "darwin" => Ok(()),
        owner => Err(format!("it is recorded for {owner}")),
    });
    world.settle();
    assert_eq!(world.entries("team-a", "default").unwrap(), ["darwin"]);
    world.assert_nothing_was_forbidden();
}

#[test]
fn a_service_account_is_born_with_the_entry_for_a_secret_that_others_make_also_before_they_do() {
    let world = World::new();
    install(&world.cluster, "policy");
    install_at_creation(&world.cluster);
    world.namespace("team", json!({}));
    world.foreign_secret("team", "shared", "kubernetes.io/dockerconfigjson");
    let attach = json!({"serviceAccounts": {"names": ["*"]}});
    let spec = json!({"namespaces": {"names": ["team*"]}, "attach": attach});
    world.cluster.apply(&attaching("darwin", "shared", spec).to_string()).unwrap();
    world.wait_ready("darwin");
    wait_active(&world, "shared");
    // Where the Secret isn't yet, pods that come now name it, and heal when it comes.
    world.namespace("team-b", json!({}));
    world.service_account("team-b", "app", json!({}), &["theirs"]);
    assert_eq!(world.entries("team-b", "app").unwrap(), ["theirs", "shared"]);
    world.wait_failure("darwin", "team-b", "SecretMissing");
    world.settle();
    assert_eq!(world.entries("team-b", "app").unwrap(), ["theirs", "shared"]);
    world.foreign_secret("team-b", "shared", "kubernetes.io/dockerconfigjson");
    world.wait_ready("darwin");
    assert_eq!(world.writes("team-b", "serviceaccounts"), [], "the entries are ours without a write");
    world.delete_credential("darwin");
    world.wait_entries("team-b", "app", &["theirs"]);
    assert_eq!(world.writes("team-b", "secrets"), []);
    world.assert_nothing_was_forbidden();
}

#[test]
fn a_credential_that_never_resolved_adds_no_entry_and_one_that_broke_later_goes_on() {
    let world = world();
    world.source("broken", "not a key");
    let source = json!({"gcpServiceAccountKey": {"secretRef": {"name": "broken", "key": "key.json"}}});
    let spec = json!({"namespaces": {"names": ["team*"]}, "attach": {"serviceAccounts": {"names": ["*"]}}});
    let mut broken = spec.clone();
    broken["credential"] = source;
    world.credential("broken", broken);
    world.wait_condition("broken", "Ready", "False", "InvalidKey");
    // The policy learns of RegistryCredentials in the order in which they are written.
    world.credential("later", spec);
    world.wait_ready("later");
    wait_active(&world, "later");
    assert!(!born(&world, "team").contains(&"broken".to_owned()));

    world.source("key", "not a key");
    world.wait_condition("darwin", "CredentialValid", "False", "InvalidKey");
    world.wait_condition("later", "CredentialValid", "False", "InvalidKey");
    world.service_account("team", "app", json!({}), &[]);
    world.namespace("team-a", json!({}));
    world.wait_account("team-a", "default");
    world.settle();
    for (namespace, account) in [("team", "app"), ("team-a", "default")] {
        let mut entries = world.entries(namespace, account).unwrap();
        entries.sort();
        assert_eq!(entries, ["darwin", "later"], "{namespace}/{account}");
    }
    assert_eq!(world.writes("team-a", "secrets"), [], "what is held writes nothing");
    // Pods that were born meanwhile need no more than the Secret.
    world.source("key", &key('b'));
    world.wait_password("team-a", "darwin", &key('b'));
    world.settle();
    assert_eq!(world.writes("team-a", "serviceaccounts"), []);
    world.assert_nothing_was_forbidden();
}

#[test]
fn a_list_that_somebody_applies_is_left_to_the_operator_and_an_apply_without_one_is_not() {
    let world = world();
    world.namespace("team-a", json!({}));
    let apply = |name: &str, entries: &[&str]| {
        let entries: Vec<Value> = entries.iter().map(|name| json!({"name": name})).collect();
        let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": "team-a", "labels": {"app": name}}});
        if !entries.is_empty() {
            account["imagePullSecrets"] = json!(entries);
        }
        let args = ["apply", "--server-side", "--field-manager=gitops", "-o", "json", "-f", "-"];
        // The answer, as the operator may be at work a moment later.
        let answer = world.cluster.kubectl_with_input(&args, &account.to_string()).unwrap();
        entries_of(&serde_json::from_str(&answer).unwrap())
    };
    assert_eq!(apply("with", &["x"]), ["x"]);
    assert_eq!(apply("without", &[]), ["darwin"]);
    assert_eq!(apply("without", &[]), ["darwin"], "their next apply leaves it");
    world.wait_failure("darwin", "team-a", "ServiceAccountContested");
    world.settle();
    assert_eq!(world.entries("team-a", "with").unwrap(), ["x"]);
    assert_eq!(world.writes("team-a", "serviceaccounts"), []);

    // What the policy added for one RegistryCredential is no list of theirs to the next.
    world.credential(
        "second",
        json!({"namespaces": {"names": ["team*"]}, "attach": {"serviceAccounts": {"names": ["both", "probe"]}}}),
    );
    wait_active(&world, "second");
    let mut both = apply("both", &[]);
    both.sort();
    assert_eq!(both, ["darwin", "second"]);

    world.patch_spec("darwin", json!({"conflictPolicy": "Adopt"}));
    world.wait_entries("team-a", "with", &["x", "darwin"]);
    eventually(SOON, || match apply("adopted", &["x"]) {
        entries if entries == ["x", "darwin"] => Ok(()),
        entries => {
            world.kubectl(&["-n", "team-a", "delete", "serviceaccount", "adopted"]);
            Err(format!("born with {entries:?}"))
        }
    });
    world.assert_nothing_was_forbidden();
}

#[test]
fn no_pod_comes_before_the_entry_of_its_service_account_in_five_hundred_bursts() {
    let world = world();
    let private = json!({"matchLabels": {"images": "private"}});
    world.credential(
        "labelled",
        json!({"namespaces": {"selector": private}, "attach": {"serviceAccounts": {"names": ["*"]}}}),
    );
    world.wait_ready("labelled");
    world.kubectl(&["label", "namespace", "team", "images=private"]);
    wait_active(&world, "labelled");
    let pods = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = &crate::policies::client(&world.cluster, ADMIN).await;
        let bursts = stream::iter(0..BURSTS).map(|index| async move { burst(client, index).await });
        bursts.buffer_unordered(IN_FLIGHT).collect::<Vec<_>>().await
    });
    let late: Vec<_> =
        pods.iter().flatten().filter(|(_, secrets)| secrets.as_slice() != ["darwin", "labelled"]).collect();
    assert!(late.is_empty(), "{} of {} pods came too early, such as {:?}", late.len(), 2 * pods.len(), late[0]);
    world.assert_nothing_was_forbidden();
}

/// A namespace, a service account and a pod of it, and one of the namespace's `default`: each is sent as soon as the one
/// before is answered. Gives the pods with their pull secrets.
async fn burst(client: &Client, index: usize) -> [(String, Vec<String>); 2] {
    let name = format!("team-{index}");
    let post = PostParams::default();
    let namespace = json!({"metadata": {"name": name, "labels": {"images": "private"}}});
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    Api::all(client.clone()).create(&post, &namespace).await.unwrap();
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "app"}})).unwrap();
    // As Helm 4 does.
    let metadata = json!({"name": "app", "labels": {"app.kubernetes.io/managed-by": "Helm"}});
    let apply = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), &name);
    match index % 2 {
        0 => accounts.create(&post, &account).await.unwrap(),
        _ => accounts.patch("app", &PatchParams::apply("helm"), &Patch::Apply(&apply)).await.unwrap(),
    };
    [pod(client, &name, "app").await, pod(client, &name, "default").await]
}

async fn pod(client: &Client, namespace: &str, account: &str) -> (String, Vec<String>) {
    let pod = json!({
        "metadata": {"name": account},
        "spec": {"serviceAccountName": account, "containers": [{"name": "app", "image": "gcr.io/darwin/app"}]},
    });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let created = async {
        loop {
            match api.create(&PostParams::default(), &pod).await {
                Ok(pod) => break pod,
                // Until the service-account controller has made `default`.
                Err(kube::Error::Api(status)) if status.code == 403 => {}
                Err(error) => panic!("{namespace}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let created = tokio::time::timeout(SOON, created).await.expect("the pod is created");
    let entries = created.spec.unwrap().image_pull_secrets.unwrap_or_default();
    let mut secrets: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    secrets.sort();
    (format!("{namespace}/{account}"), secrets)
}
