//! config/policy/at-creation says in CEL what `regcred::plan` says in Rust: for random RegistryCredentials and service
//! accounts, both choose the same.

use std::{collections::BTreeMap, time::Duration};

use controlplane::{ADMIN, ControlPlane, Options};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use regcred::{
    api::{AttachWhen, Labels, RegistryCredential},
    plan::{NamespaceRule, ServiceAccountRule},
};
use serde_json::{Value, json};

use crate::{
    policies::{IN_FLIGHT, born, credentials, entries, install_at_creation},
    world::{self, SOON},
};

const ROUNDS: usize = 16;
/// In each round.
const CREDENTIALS: usize = 12;
/// In each round.
const ACCOUNTS: usize = 160;

/// The one that is never a target.
const STATE: &str = "regcred-state";
/// Names in which a dot, a dash and an `x` stand in the same place.
const NAMESPACES: [&str; 9] = ["a", "ab", "a-b", "axb", "b", "ba-ab", "aab", "b-a", STATE];
const ACCOUNT_NAMES: [&str; 9] = ["default", "a", "ab", "a-b", "a.b", "axb", "b", "ba.ab", "aab"];

type Map = BTreeMap<String, String>;

#[test]
fn a_service_account_is_born_with_just_the_entries_that_the_plan_would_add() {
    let cluster = world::cluster(Options::default());
    install_at_creation(&cluster);
    tokio::runtime::Runtime::new().unwrap().block_on(compare(&cluster));
}

async fn compare(cluster: &ControlPlane) {
    let client = crate::policies::client(cluster, ADMIN).await;
    let mut random = TestRunner::deterministic();
    let mut pick = |strategy: &BoxedStrategy<Value>| strategy.new_tree(&mut random).unwrap().current();
    let mut namespaces = BTreeMap::new();
    for name in NAMESPACES {
        let labels = pick(&labels().prop_map(|labels| json!(labels)).boxed());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        cluster.apply(&namespace.to_string()).unwrap();
        namespaces.insert(name.to_owned(), map(&labels));
    }
    let (credential, account) = (credential().boxed(), account().boxed());
    let (mut compared, mut injected) = (0, 0);
    for round in 0..ROUNDS {
        let wishes: Vec<Value> = (0..CREDENTIALS).map(|_| pick(&credential)).collect();
        let wishes: Vec<DecodedCredential> =
            wishes.iter().enumerate().map(|(slot, wish)| DecodedCredential::new(round, slot, wish)).collect();
        stream::iter(&wishes).for_each_concurrent(IN_FLIGHT, |wish| wish.make(&client)).await;
        wait_known(&client, round).await;
        let cases: Vec<Value> = (0..ACCOUNTS).map(|_| pick(&account)).collect();
        let answers = stream::iter(&cases)
            .map(|case| {
                let client = &client;
                async move {
                    let namespace = case["namespace"].as_str().unwrap();
                    (case, born(client, namespace, &case["account"]).await.unwrap())
                }
            })
            .buffer_unordered(IN_FLIGHT)
            .collect::<Vec<_>>()
            .await;
        for (case, born) in answers {
            injected += check(case, &born, &wishes, &namespaces);
            compared += wishes.len();
        }
        stream::iter(&wishes).for_each_concurrent(IN_FLIGHT, |wish| wish.unmake(&client)).await;
    }
    println!("{compared} pairs of a service account and a RegistryCredential, {injected} entries");
    assert!(injected > compared / 20 && injected < compared / 2, "{injected} of {compared}: the cases are lopsided");
}

/// Compares one service account with what the library says, and gives the number of entries that were added.
fn check(
    case: &Value,
    born: &ServiceAccount,
    wishes: &[DecodedCredential],
    namespaces: &BTreeMap<String, Map>,
) -> usize {
    let account: ServiceAccount = serde_json::from_value(case["account"].clone()).unwrap();
    let namespace = case["namespace"].as_str().unwrap();
    let wanted = |wish: &&DecodedCredential| wish.wants(namespace, &namespaces[namespace], &account);
    let before = entries(&account);
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for wish in wishes.iter().filter(wanted).filter(|wish| !before.contains(&wish.secret)) {
        expected.entry(&wish.secret).or_default().push(&wish.name);
    }
    let context = || {
        let specs: Vec<_> = wishes.iter().map(|wish| format!("{}: {:#}", wish.name, wish.object)).collect();
        format!("{case:#} in {:?}\n{}", namespaces[namespace], specs.join("\n"))
    };
    let after = entries(born);
    let (kept, added) = after.split_at(before.len().min(after.len()));
    assert_eq!(kept, before, "what was there stays: {}", context());
    let mut sorted = added.to_vec();
    sorted.sort();
    assert!(sorted.iter().eq(expected.keys()), "{sorted:?}, not {:?}: {}", expected.keys(), context());
    let mut annotations = born.metadata.annotations.clone().unwrap_or_default();
    for (secret, by) in &expected {
        let record = annotations.remove(&format!("added.regcred.dev/{secret}")).unwrap_or_default();
        assert!(by.contains(&record.as_str()), "{secret} is recorded for {record:?}, not {by:?}: {}", context());
    }
    assert_eq!(annotations, account.metadata.annotations.unwrap_or_default(), "{}", context());
    added.len()
}

/// One RegistryCredential, and whether the plan would serve it.
struct DecodedCredential {
    name: String,
    secret: String,
    object: Value,
    status: Value,
    deleting: bool,
    /// It isn't held, or was rolled out once.
    active: bool,
    namespaces: NamespaceRule,
    accounts: ServiceAccountRule,
    /// Whether it leaves any service account out.
    excludes: bool,
}

impl DecodedCredential {
    fn new(round: usize, slot: usize, wish: &Value) -> Self {
        let name = format!("r{round}-{slot}");
        let mut spec = wish["spec"].clone();
        // Others make the Secret.
        let attaches = slot % 3 == 2;
        match slot % 4 {
            0 if attaches => spec["existingSecretName"] = json!(format!("theirs-{slot}")),
            0 => {}
            // Two RegistryCredentials with one Secret name.
            1 | 2 if attaches => spec["existingSecretName"] = json!(format!("shared-{}", slot / 4)),
            1 | 2 => spec["secretTemplate"] = json!({"name": format!("shared-{}", slot / 4)}),
            _ if attaches => spec["existingSecretName"] = json!(format!("own.{slot}")),
            _ => spec["secretTemplate"] = json!({"name": format!("own.{slot}")}),
        }
        let mut object = world::credential(&name, spec);
        let mut status = wish["status"].clone();
        if attaches {
            let spec = object["spec"].as_object_mut().unwrap();
            spec.retain(|member, _| !["credential", "registries"].contains(&member.as_str()));
            // Which would be refused.
            if spec.get("attach").is_some_and(|attach| attach["mode"] == "None") {
                spec.remove("attach");
            }
            // What the operator says of one that it has taken.
            let condition = status.pointer_mut("/conditions/0");
            if let Some(condition) = condition.filter(|condition| condition["status"] == "True") {
                (condition["status"], condition["reason"]) = (json!("Unknown"), json!("NotRead"));
            }
        }
        if wish["deleting"] == true {
            object["metadata"]["finalizers"] = json!(["example.com/stays"]);
        }
        let decoded: RegistryCredential = serde_json::from_value(object.clone()).unwrap();
        let accounts = decoded.spec.attach.service_accounts.clone().unwrap_or_default();
        let condition = &status["conditions"][0];
        let valid = condition["status"] == "True" || condition["reason"] == "NotRead";
        let rolled_out = wish["status"]["lastRolloutTime"].is_string();
        Self {
            secret: decoded.secret_name().to_string(),
            active: (valid || rolled_out)
                && !decoded.spec.suspend
                && wish["deleting"] != true
                && accounts.when == AttachWhen::AtCreation,
            excludes: !accounts.exclude.is_empty(),
            namespaces: NamespaceRule::new(&decoded.spec.namespaces).unwrap().without(STATE),
            accounts: ServiceAccountRule::new(&decoded.spec.attach).unwrap(),
            deleting: wish["deleting"] == true,
            status,
            name,
            object,
        }
    }

    fn wants(&self, namespace: &str, labels: &Map, account: &ServiceAccount) -> bool {
        let own = account.metadata.labels.clone().unwrap_or_default();
        // The API server is yet to generate a name: what matches the empty one matches all, and any exclusion may match.
        let name = account.metadata.name.as_deref().unwrap_or_default();
        let unsure = name.is_empty() && self.excludes;
        self.active
            && !unsure
            && self.namespaces.matches(&namespace.into(), &text(labels))
            && self.accounts.matches(&name.into(), &text(&own))
    }

    async fn make(&self, client: &Client) {
        let api = credentials(client);
        let object: DynamicObject = serde_json::from_value(self.object.clone()).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap_or_else(|e| panic!("{e}: {:#}", self.object));
        let status = Patch::Merge(json!({"status": self.status}));
        api.patch_status(&self.name, &PatchParams::default(), &status).await.unwrap();
        if self.deleting {
            api.delete(&self.name, &DeleteParams::default()).await.unwrap();
        }
    }

    async fn unmake(&self, client: &Client) {
        let api = credentials(client);
        if self.deleting {
            let finalizers = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            api.patch(&self.name, &PatchParams::default(), &finalizers).await.unwrap();
        } else {
            api.delete(&self.name, &DeleteParams::default()).await.unwrap();
        }
    }
}

/// Waits until the policy knows all RegistryCredentials: it learns of them in the order in which they were written.
async fn wait_known(client: &Client, round: usize) {
    let name = format!("marker-{round}");
    let selector = json!({"matchLabels": {"round": name}});
    let spec = json!({"namespaces": {"selector": {}}, "attach": {"serviceAccounts": {"selector": selector}}});
    let marker: DynamicObject = serde_json::from_value(world::credential(&name, spec)).unwrap();
    credentials(client).create(&PostParams::default(), &marker).await.unwrap();
    let status = Patch::Merge(json!({"status": status("True", false)}));
    credentials(client).patch_status(&name, &PatchParams::default(), &status).await.unwrap();
    let probe = json!({"metadata": {"name": "probe", "labels": {"round": name}}});
    let known = async {
        while !entries(&born(client, NAMESPACES[0], &probe).await.unwrap()).contains(&name) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, known).await.expect("the policy knows the marker");
    credentials(client).delete(&name, &DeleteParams::default()).await.unwrap();
}

fn status(valid: &str, rolled_out: bool) -> Value {
    let time = "2026-01-01T00:00:00Z";
    let condition = json!({"type": "CredentialValid", "status": valid, "reason": "x", "message": "",
        "lastTransitionTime": time});
    match rolled_out {
        true => json!({"conditions": [condition], "lastRolloutTime": time}),
        false => json!({"conditions": [condition]}),
    }
}

fn map(value: &Value) -> Map {
    serde_json::from_value(value.clone()).unwrap()
}

fn text(labels: &Map) -> Labels {
    labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

fn labels() -> impl Strategy<Value = Map> {
    prop::collection::btree_map("[abc]", "[xyz]?", 0..3)
}

/// Most match one or two of the names above, or nearly do.
fn patterns(least: usize) -> impl Strategy<Value = Vec<String>> {
    let name = || prop::sample::select([&NAMESPACES[..], &ACCOUNT_NAMES[..]].concat()).prop_map(str::to_owned);
    let part = || (name(), 0..3usize).prop_map(|(name, from)| name[from.min(name.len() - 1)..].to_owned());
    let pattern = prop_oneof![
        3 => name(),
        2 => part(),
        1 => (name(), 1..3usize).prop_map(|(name, to)| name[..to.min(name.len())].to_owned()),
        1 => part().prop_map(|part| format!("*{part}")),
        1 => part().prop_map(|part| format!("{part}*")),
        1 => (part(), part()).prop_map(|(first, last)| format!("{first}*{last}")),
        1 => "[abx*.-]{1,4}",
        1 => Just("*".to_owned()),
    ];
    prop::collection::btree_set(pattern, least..3).prop_map(|patterns| patterns.into_iter().collect())
}

fn selector() -> impl Strategy<Value = Value> {
    let values = || prop::collection::vec("[xyz]?", 1..3);
    let expression = prop_oneof![
        ("[abc]", values()).prop_map(|(key, v)| json!({"key": key, "operator": "In", "values": v})),
        ("[abc]", values()).prop_map(|(key, v)| json!({"key": key, "operator": "NotIn", "values": v})),
        "[abc]".prop_map(|key| json!({"key": key, "operator": "Exists"})),
        "[abc]".prop_map(|key| json!({"key": key, "operator": "DoesNotExist"})),
        "[abc]".prop_map(|key| json!({"key": key, "operator": "DoesNotExist", "values": []})),
    ];
    let labels = prop::option::of(prop::collection::btree_map("[abc]", "[xyz]?", 0..2));
    (labels, prop::option::of(prop::collection::vec(expression, 0..3))).prop_map(|(labels, expressions)| {
        let mut selector = json!({});
        labels.into_iter().for_each(|labels| selector["matchLabels"] = json!(labels));
        expressions.into_iter().for_each(|expressions| selector["matchExpressions"] = json!(expressions));
        selector
    })
}

fn credential() -> impl Strategy<Value = Value> {
    let namespaces = (patterns(0), prop::option::of(selector()), prop_oneof![3 => Just(vec![]), 1 => patterns(0)]);
    let namespaces = namespaces.prop_map(|(names, selector, exclude)| {
        let mut targets = json!({"names": names, "exclude": exclude});
        match selector {
            Some(selector) => targets["selector"] = selector,
            None if names.is_empty() => targets["selector"] = json!({}),
            None => {}
        }
        targets
    });
    let excluded = prop_oneof![3 => Just(vec![]), 1 => patterns(0)];
    let chosen = (prop::option::of(patterns(1)), prop::option::of(selector()), excluded, prop::bool::weighted(0.1));
    let chosen = chosen.prop_map(|(names, selector, exclude, after)| {
        let mut accounts = json!({});
        names.into_iter().for_each(|names| accounts["names"] = json!(names));
        selector.into_iter().for_each(|selector| accounts["selector"] = selector);
        if after {
            accounts["when"] = json!("AfterSecret");
        }
        accounts["exclude"] = json!(exclude);
        json!({"serviceAccounts": accounts})
    });
    let attach = prop_oneof![
        8 => chosen.prop_map(Some),
        1 => Just(Some(json!({"mode": "None"}))),
        1 => Just(None),
    ];
    let status = prop_oneof![
        6 => Just(status("True", true)),
        2 => Just(status("True", false)),
        1 => Just(status("False", false)),
        1 => Just(status("Unknown", false)),
        1 => Just(status("False", true)),
        1 => Just(json!({})),
    ];
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (namespaces, attach, status, flags).prop_map(|(namespaces, attach, status, (suspend, deleting))| {
        let mut spec = json!({"namespaces": namespaces, "suspend": suspend});
        attach.into_iter().for_each(|attach| spec["attach"] = attach);
        json!({"spec": spec, "status": status, "deleting": deleting})
    })
}

fn account() -> impl Strategy<Value = Value> {
    let there = prop::collection::vec(prop_oneof![Just("theirs"), Just("shared-0"), Just("own.3")], 0..3);
    let notes = prop_oneof![Just(json!(null)), Just(json!({})), Just(json!({"note": "theirs"}))];
    let names = (prop::sample::select(&NAMESPACES[..]), prop::sample::select(&ACCOUNT_NAMES[..]));
    let generated = prop::bool::weighted(0.1);
    (names, labels(), there, notes, generated).prop_map(|((namespace, name), labels, there, notes, generated)| {
        let mut account = json!({"metadata": {"labels": labels}});
        account["metadata"][if generated { "generateName" } else { "name" }] = json!(name);
        if !notes.is_null() {
            account["metadata"]["annotations"] = notes;
        }
        if !there.is_empty() {
            account["imagePullSecrets"] = there.iter().map(|name| json!({"name": name})).collect();
        }
        json!({"namespace": namespace, "account": account})
    })
}

#[test]
fn a_spec_as_large_as_the_crd_allows_is_within_the_policys_budget() {
    let cluster = world::cluster(Options::default());
    install_at_creation(&cluster);
    let client = async || crate::policies::client(&cluster, ADMIN).await;
    tokio::runtime::Runtime::new().unwrap().block_on(async { largest(&cluster, &client().await).await });
}

async fn largest(cluster: &ControlPlane, client: &Client) {
    // All patterns have to be tried to their end; the last one of each list decides.
    let (namespace, account) = ("a".repeat(63), format!("{}.{}", "b".repeat(63), "b".repeat(189)));
    let tried = |index: usize, length: usize| format!("{}{index:0length$}", "*a".repeat(20), length = length - 40);
    let mut names: Vec<String> = (0..255).map(|index| tried(index, 63)).collect();
    names.push(namespace.clone());
    let exclude: Vec<String> = (0..256).map(|index| tried(index + 1000, 63)).collect();
    let mut accounts: Vec<String> = (0..63).map(|index| tried(index, 253)).collect();
    accounts.push("b*".to_owned());
    let excluded: Vec<String> = (0..64).map(|index| tried(index + 1000, 253)).collect();
    let values: Vec<String> = (0..64).map(|index| format!("{index:063}")).collect();
    let expressions: Vec<Value> =
        (0..64).map(|index| json!({"key": format!("key-{index}"), "operator": "NotIn", "values": values})).collect();
    let labels: Map = (0..64).map(|index| (format!("key-{index}"), "z".repeat(63))).collect();
    let selector = json!({"matchLabels": labels, "matchExpressions": expressions});
    let spec = json!({
        "namespaces": {"names": names, "exclude": exclude, "selector": selector},
        "attach": {"serviceAccounts": {"names": accounts, "exclude": excluded, "selector": selector}},
    });
    let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
    cluster.apply(&manifest.to_string()).unwrap();
    let largest: DynamicObject = serde_json::from_value(world::credential("largest", spec)).unwrap();
    credentials(client).create(&PostParams::default(), &largest).await.unwrap();
    let status = Patch::Merge(json!({"status": status("True", false)}));
    credentials(client).patch_status("largest", &PatchParams::default(), &status).await.unwrap();
    let case = json!({"metadata": {"name": account, "labels": labels}});
    let active = async {
        while entries(&born(client, &namespace, &case).await.unwrap()) != ["largest"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, active).await.expect("the largest RegistryCredential is served");
}
