//! What `regcred plan` says, and what then becomes of Secrets and entries, in the same words.

use std::collections::{BTreeMap, BTreeSet};

use controlplane::{ADMIN, ControlPlane, eventually};
use serde_json::Value;

use crate::world::{SOON, World, regcred};

/// What a plan says as JSON, and how it ends.
pub fn plan(cluster: &ControlPlane, user: &str, args: &[&str], manifests: &[&Value]) -> (Value, i32) {
    let (text, code) = said(cluster, user, &[args, &["-o", "json"]].concat(), manifests);
    (serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")), code)
}

/// As `plan`, word for word; `manifests` are the file that the argument `FILE` stands for.
pub fn said(cluster: &ControlPlane, user: &str, args: &[&str], manifests: &[&Value]) -> (String, i32) {
    let file = cluster.folder().join(format!("plan-{:?}.yaml", std::thread::current().id()));
    let documents: Vec<String> = manifests.iter().map(|it| it.to_string()).collect();
    std::fs::write(&file, documents.join("\n---\n")).unwrap();
    let file = file.to_str().unwrap();
    let args = args.iter().map(|arg| if *arg == "FILE" { file } else { arg });
    let output = regcred(cluster, user).arg("plan").args(args).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!text.contains("PRIVATE KEY") && !text.contains("LS0tLS1CRUdJTiB"), "a key is in: {text}");
    (text.replace(file, "FILE"), output.status.code().unwrap())
}

/// The effects that a plan names, as `NAMESPACE ACTION WHAT`.
pub fn effects(report: &Value) -> BTreeSet<String> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_namespace = |namespace: &Value| {
        let name = text(&namespace["name"]);
        let secrets = list(&namespace["secrets"])
            .into_iter()
            .map(|it| format!("{} Secret {}", text(&it["action"]), text(&it["name"])));
        let entries = list(&namespace["entries"])
            .into_iter()
            .map(|it| format!("{} {} in {}", text(&it["action"]), text(&it["secret"]), text(&it["serviceAccount"])));
        secrets.chain(entries).map(|what| format!("{name} {what}")).collect::<Vec<_>>()
    };
    list(&report["namespaces"]).iter().flat_map(of_namespace).collect()
}

/// `NAMESPACE REASON`.
pub fn refusals(report: &Value) -> BTreeSet<String> {
    let namespaces = report["namespaces"].as_array().unwrap();
    let refusals = namespaces.iter().flat_map(|namespace| {
        let reasons = namespace["refusals"].as_array().unwrap().iter();
        reasons.map(|it| format!("{} {}", namespace["name"].as_str().unwrap(), it["reason"].as_str().unwrap()))
    });
    refusals.collect()
}

pub fn strings(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|it| (*it).to_owned()).collect()
}

/// What a plan is about, as it is stored.
#[derive(PartialEq)]
pub struct Stored {
    /// UID and version by `NAMESPACE NAME`.
    secrets: BTreeMap<String, (Value, Value)>,
    /// Entries and records by `NAMESPACE NAME`.
    accounts: BTreeMap<String, (Vec<String>, BTreeMap<String, String>)>,
}

impl Stored {
    pub fn now(world: &World, secrets: &[&str]) -> Self {
        let items = |kind: &str| world.get(&[kind, "--all-namespaces"]).unwrap()["items"].as_array().unwrap().clone();
        let address = |it: &Value| {
            let metadata = |field: &str| it["metadata"][field].as_str().unwrap().to_owned();
            (metadata("namespace") != "zz-marker").then(|| format!("{} {}", metadata("namespace"), metadata("name")))
        };
        let identity = |it: &Value| (it["metadata"]["uid"].clone(), it["metadata"]["resourceVersion"].clone());
        let managed = |it: &Value| secrets.contains(&it["metadata"]["name"].as_str().unwrap());
        let content = |it: &Value| {
            let entries = it["imagePullSecrets"].as_array().into_iter().flatten();
            let entries: Vec<_> = entries.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
            let annotations = it["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
            let records = annotations.into_iter().filter_map(|(key, value)| {
                Some((key.strip_prefix("added.regcred.dev/")?.to_owned(), value.as_str()?.to_owned()))
            });
            (entries, records.collect())
        };
        Self {
            secrets: items("secrets")
                .iter()
                .filter(|it| managed(it))
                .filter_map(|it| Some((address(it)?, identity(it))))
                .collect(),
            accounts: items("serviceaccounts").iter().filter_map(|it| Some((address(it)?, content(it)))).collect(),
        }
    }

    /// What is different in `after`, in the words of `effects`.
    pub fn changes(&self, after: &Self) -> BTreeSet<String> {
        let mut changes = BTreeSet::new();
        let mut say = |address: &str, what: String| {
            changes.insert(format!("{} {what}", address.split(' ').next().unwrap()));
        };
        let name = |address: &str| address.split(' ').next_back().unwrap().to_owned();
        for address in self.secrets.keys().chain(after.secrets.keys()) {
            match (self.secrets.get(address), after.secrets.get(address)) {
                (None, _) => say(address, format!("Create Secret {}", name(address))),
                (_, None) => say(address, format!("Delete Secret {}", name(address))),
                (before, after) if before != after => say(address, format!("Update Secret {}", name(address))),
                _ => {}
            }
        }
        for (address, (entries, records)) in &after.accounts {
            let (had, recorded) = self.accounts.get(address).cloned().unwrap_or_default();
            let all = had.iter().chain(entries).chain(records.keys()).chain(recorded.keys());
            for secret in all.collect::<BTreeSet<_>>() {
                let action = match (had.contains(secret), entries.contains(secret)) {
                    (false, true) => "Add",
                    (true, false) => "Remove",
                    _ if recorded.get(secret) == records.get(secret) => continue,
                    _ if records.contains_key(secret) => "Record",
                    _ => "Forget",
                };
                say(address, format!("{action} {secret} in {}", name(address)));
            }
        }
        changes
    }
}

pub const SECRETS: [&str; 2] = ["darwin", "other"];

/// Something happens, and what the operator does about it is exactly what was planned; then nothing is left to do.
#[track_caller]
pub fn follow(world: &World, report: &Value, act: impl FnOnce()) {
    let before = Stored::now(world, &SECRETS);
    act();
    let planned = effects(report);
    eventually(SOON, || {
        let changes = before.changes(&Stored::now(world, &SECRETS));
        if changes == planned { Ok(()) } else { Err(format!("planned: {planned:#?}, done: {changes:#?}")) }
    });
    world.settle();
    assert_eq!(before.changes(&Stored::now(world, &SECRETS)), planned, "more was done than planned");
    for args in [&[][..], &["--read-source"]] {
        let (rest, _) = plan(&world.cluster, ADMIN, args, &[]);
        assert_eq!(effects(&rest), BTreeSet::new(), "something is left to do: {rest:#}");
    }
}
