//! What people do, by chance: each act is done at once as they would do it, and noted in the model.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use controlplane::eventually;
use serde_json::{Value, json};

use crate::{
    model::{Account, Accounts, Credential, Foreign, Labels, Model, Namespace, PULLS, Source, Wish},
    people::{Answer, CREDENTIALS, NAMESPACES, People, within},
    random::Random,
};

/// How long a namespace may take to end, or its service account to come, on a busy machine.
pub const SOON: Duration = Duration::from_secs(60);

/// After the third time within ten minutes the operator gives up.
pub const TAKEN_AWAY_AT_MOST: usize = 2;

const SOURCES: &str = "/api/v1/namespaces/regcred-system/secrets";
const SOURCE_NAMES: [&str; 2] = ["source-1", "source-2"];

/// The cast: name, Secret name, and whether it adopts. Two want the same name.
const CREDENTIALS_BY_NAME: [(&str, &str, bool); 4] = [
    ("alpha", "shared-pull", false),
    ("beta", "beta", false),
    ("gamma", "shared-pull", false),
    ("delta", "delta-pull", true),
];

/// How the names begin of RegistryCredentials that want nothing.
const MARKER: &str = "marker-";

const ACCOUNT_NAMES: [&str; 3] = ["default", "build", "deploy"];

/// People's own Secrets and entries.
pub const THEIRS: [&str; 2] = ["theirs-1", "theirs-2"];

pub struct Script<'a> {
    pub people: &'a People,
    pub model: Model,
    pub random: Random,
    /// What has been done, for whoever has to find out what went wrong.
    pub story: Vec<String>,
    /// How often something has changed for a namespace; by `""` for all of them.
    pub events: BTreeMap<String, usize>,
    /// All names of namespaces begin with it.
    prefix: String,
    /// How often something happened that may end a wish for a Secret; as `events`.
    pub endings: BTreeMap<String, usize>,
    /// Namespaces to be made again once they are gone.
    again: BTreeMap<String, Labels>,
    /// Namespaces that lost a Secret of another type, which no watch tells.
    unseen: BTreeSet<String>,
    /// How often an entry was taken away: namespace, service account and Secret.
    pub taken: BTreeMap<(String, String, String), usize>,
    count: usize,
}

impl<'a> Script<'a> {
    pub fn new(people: &'a People, prefix: &str, random: Random) -> Script<'a> {
        Script {
            people,
            model: Model::default(),
            random,
            story: Vec::new(),
            events: BTreeMap::new(),
            prefix: prefix.to_owned(),
            endings: BTreeMap::new(),
            again: BTreeMap::new(),
            unseen: BTreeSet::new(),
            taken: BTreeMap::new(),
            count: 0,
        }
    }

    /// Something to begin with: sources, namespaces, one of which nobody ever wants, and a RegistryCredential.
    pub fn begin(&mut self) {
        SOURCE_NAMES.iter().for_each(|source| self.rotate(source));
        self.make_namespace(&format!("bystander-of-{}", self.prefix), Labels::new());
        for _ in 0..4 {
            self.namespace_comes();
        }
        self.credential_comes();
    }

    /// So many namespaces, and a wish for all of them by name.
    pub fn begin_many(&mut self, count: usize) -> Wish {
        SOURCE_NAMES.iter().for_each(|source| self.rotate(source));
        self.make_namespace(&format!("bystander-of-{}", self.prefix), Labels::new());
        let names: Vec<String> = (0..count).map(|n| format!("{}-{n}", self.prefix)).collect();
        names.iter().for_each(|name| self.make_namespace(name, Labels::new()));
        let (secret, exclude) = ("shared-pull".to_owned(), Vec::new());
        Wish { secret, names, label: None, exclude, accounts: Accounts::All, adopt: false }
    }

    /// One act.
    pub fn act(&mut self) {
        match self.random.below(100) {
            0..10 => self.namespace_comes(),
            10..16 => self.namespace_goes(),
            16..26 => self.namespace_is_labelled(),
            26..33 => self.source_changes(),
            33..41 => self.credential_comes(),
            41..49 => self.credential_changes(),
            49..54 => self.credential_is_suspended_or_not(),
            54..57 => self.credential_goes(),
            57 => self.credential_is_orphaned(),
            58..64 => self.account_comes(),
            64..68 => self.account_goes(),
            68..71 => self.account_is_labelled(),
            71..73 => self.list_is_applied(),
            73..80 => self.account_is_edited(),
            80..84 => self.entry_is_taken_away(),
            84..91 => self.secret_is_tampered_with(),
            91..97 => self.foreign_secret_comes(),
            _ => self.foreign_secret_changes(),
        }
    }

    /// What people still wait for before all is quiet.
    pub fn finish(&mut self) {
        for (name, labels) in std::mem::take(&mut self.again) {
            eventually(SOON, || match self.try_namespace(&name, &labels) {
                true => Ok(()),
                false => Err(format!("namespace {name} can't be made again")),
            });
        }
        let names: Vec<String> = self.model.namespaces.keys().cloned().collect();
        names.iter().for_each(|name| self.wait_default(name));
        self.mark();
        for name in std::mem::take(&mut self.unseen) {
            if self.model.namespaces.contains_key(&name) {
                self.label_namespace(&name, "nudged", Some(format!("{}", self.count)));
            }
        }
    }

    /// A RegistryCredential without a target: its status shows that the operator knows which ones are gone. Until then it may
    /// rightly make a Secret again that the garbage collector has taken.
    fn mark(&mut self) {
        let old: Vec<String> = self.model.credentials.keys().filter(|name| name.starts_with(MARKER)).cloned().collect();
        old.iter().for_each(|name| self.delete_credential(name));
        let (name, names) = (format!("{MARKER}{}", self.next()), vec!["nowhere".to_owned()]);
        let (secret, exclude) = ("marker".to_owned(), Vec::new());
        let wish = Wish { secret, names, label: None, exclude, accounts: Accounts::None, adopt: false };
        self.make_credential(&name, wish, SOURCE_NAMES[0]);
    }

    /// Waits for the service account that comes by itself. Where a namespace is made again at once, the service-account
    /// controller may be told that it is still going, and then does nothing before the namespace changes.
    fn wait_default(&mut self, namespace: &str) {
        let path = within(namespace, "serviceaccounts");
        let comes = |within: Duration| {
            let begun = Instant::now();
            loop {
                match self.people.get(&path, "default") {
                    Ok(_) => return true,
                    Err(_) if begun.elapsed() > within => return false,
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
            }
        };
        if !comes(Duration::from_secs(2)) {
            self.label_namespace(namespace, "nudged", Some("for-its-service-account".to_owned()));
        }
    }

    /// Deletes every RegistryCredential.
    pub fn delete_credentials(&mut self) {
        let names: Vec<String> = self.model.credentials.keys().cloned().collect();
        names.iter().for_each(|name| self.delete_credential(name));
    }

    /// Deletes the rest; the namespaces end on their own time.
    pub fn clean_up(&mut self) {
        self.delete_credentials();
        SOURCE_NAMES.iter().for_each(|name| drop(self.people.delete(SOURCES, name)));
        for name in self.model.namespaces.keys() {
            let _ = self.people.delete(NAMESPACES, name);
        }
    }

    pub fn tell(&mut self, namespace: &str, what: String) {
        *self.events.entry(namespace.to_owned()).or_default() += 1;
        self.story.push(what);
        self.model.remember();
    }

    fn next(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    // Namespaces

    fn any_namespace(&mut self) -> Option<String> {
        let names: Vec<String> = self.model.namespaces.keys().cloned().collect();
        self.random.pick(&names)
    }

    fn namespace_name(&mut self) -> String {
        format!("{}-{}", self.prefix, self.random.below(7))
    }

    fn tier(&mut self) -> Option<String> {
        self.random.pick(&[None, Some("x"), Some("y")]).flatten().map(str::to_owned)
    }

    fn namespace_comes(&mut self) {
        let name = self.namespace_name();
        let labels: Labels = self.tier().map(|tier| ("tier".to_owned(), tier)).into_iter().collect();
        if !self.model.namespaces.contains_key(&name) {
            self.make_namespace(&name, labels);
        }
    }

    fn make_namespace(&mut self, name: &str, labels: Labels) {
        if !self.try_namespace(name, &labels) {
            self.again.insert(name.to_owned(), labels);
        }
    }

    fn try_namespace(&mut self, name: &str, labels: &Labels) -> bool {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        if self.people.create(NAMESPACES, &object).is_err() {
            return false; // it is still going
        }
        self.again.remove(name);
        let accounts = BTreeMap::from([("default".to_owned(), Account::default())]);
        let namespace = Namespace { labels: labels.clone(), accounts, foreign: BTreeMap::new() };
        self.model.namespaces.insert(name.to_owned(), namespace);
        self.tell(name, format!("namespace {name} comes with {labels:?}"));
        true
    }

    fn namespace_goes(&mut self) {
        let name = self.namespace_name();
        let Some(namespace) = self.model.namespaces.remove(&name) else { return };
        self.people.delete(NAMESPACES, &name).unwrap();
        self.model.unsettle(|touched| touched.namespace == name);
        self.tell(&name, format!("namespace {name} goes"));
        if self.random.percent(70) {
            self.again.insert(name, namespace.labels);
        }
    }

    fn namespace_is_labelled(&mut self) {
        let (name, tier) = (self.namespace_name(), self.tier());
        if self.model.namespaces.contains_key(&name) {
            self.label_namespace(&name, "tier", tier);
        }
    }

    fn label_namespace(&mut self, name: &str, key: &str, value: Option<String>) {
        self.people.merge(NAMESPACES, name, &json!({"metadata": {"labels": {key: value}}})).unwrap();
        let labels = &mut self.model.namespaces.get_mut(name).unwrap().labels;
        match &value {
            Some(value) => labels.insert(key.to_owned(), value.clone()),
            None => labels.remove(key),
        };
        self.model.unsettle(|touched| touched.namespace == name);
        *self.endings.entry(name.to_owned()).or_default() += 1;
        self.tell(name, format!("namespace {name} is labelled {key}={value:?}"));
    }

    // Sources

    fn source_changes(&mut self) {
        let source = self.random.pick(&SOURCE_NAMES).unwrap();
        match self.random.below(10) {
            0 | 1 => {
                let broken = json!({"data": {"key.json": STANDARD.encode("{\"type\": \"nothing\"}")}});
                if self.people.merge(SOURCES, source, &broken).is_ok() {
                    self.model.sources.insert(source.to_owned(), Source::Broken);
                    self.tell("", format!("{source} is broken"));
                }
            }
            2 => {
                let _ = self.people.delete(SOURCES, source);
                self.model.sources.remove(source);
                self.tell("", format!("{source} is deleted"));
            }
            _ => self.rotate(source),
        }
    }

    /// A key that was never there before, and opens nothing.
    pub fn rotate(&mut self, source: &str) {
        let file = include_str!("../fixtures/throwaway-key-a.json");
        let mut key: Value = serde_json::from_str(file).unwrap();
        key["private_key_id"] = json!(format!("{:040x}", self.next()));
        let text = key.to_string();
        let data = json!({"key.json": STANDARD.encode(&text)});
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": source}, "data": data});
        let known = self.people.merge(SOURCES, source, &json!({"data": data}));
        let answer = known.or_else(|_| self.people.create(SOURCES, &object)).unwrap();
        self.model.sources.insert(source.to_owned(), Source::Key { text, version: version(&answer) });
        self.tell("", format!("{source} gets key {}", self.count));
    }

    // RegistryCredentials

    pub fn any_credential(&mut self) -> Option<String> {
        let names = self.model.credentials.keys().filter(|name| !name.starts_with(MARKER));
        let names: Vec<String> = names.cloned().collect();
        self.random.pick(&names)
    }

    fn wish(&mut self, secret: &str, adopt: bool) -> Wish {
        let label = self.random.percent(40).then(|| self.tier()).flatten().map(|tier| ("tier".to_owned(), tier));
        let names = match self.random.below(3) {
            0 if label.is_some() => Vec::new(),
            1 => vec![format!("{}-*", self.prefix)],
            _ => BTreeSet::from([self.namespace_name(), self.namespace_name()]).into_iter().collect(),
        };
        let exclude = self.random.percent(25).then(|| self.namespace_name()).into_iter().collect();
        let all = [Accounts::Default, Accounts::All, Accounts::Labelled, Accounts::None];
        let accounts = self.random.pick(&all).unwrap();
        Wish { secret: secret.to_owned(), names, label, exclude, accounts, adopt }
    }

    fn credential_comes(&mut self) {
        let (name, secret, adopt) = self.random.pick(&CREDENTIALS_BY_NAME).unwrap();
        let (wish, source) = (self.wish(secret, adopt), self.random.pick(&SOURCE_NAMES).unwrap());
        if !self.model.credentials.contains_key(name) {
            self.make_credential(name, wish, source);
        }
    }

    /// Creates a RegistryCredential.
    pub fn make_credential(&mut self, name: &str, wish: Wish, source: &str) {
        let (template, source) = (format!("t{}", self.next()), source.to_owned());
        let spec = spec(&wish, &source, &template, false);
        let object = json!({
            "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": name}, "spec": spec,
        });
        let answer = self.people.create(CREDENTIALS, &object).unwrap();
        let text = |name: &str| answer["metadata"][name].as_str().unwrap().to_owned();
        let (uid, created) = (text("uid"), text("creationTimestamp"));
        let what = format!("{name} comes for {source}: {wish:?}");
        let credential =
            Credential { uid, created, generation: 1, source, wish, template, suspend: false, texts: BTreeSet::new() };
        self.model.credentials.insert(name.to_owned(), credential);
        self.tell("", what);
    }

    fn credential_changes(&mut self) {
        let Some(name) = self.any_credential() else { return };
        let credential = self.model.credentials[&name].clone();
        let (wish, source) =
            (self.wish(&credential.wish.secret, credential.wish.adopt), self.random.pick(&SOURCE_NAMES).unwrap());
        let next = match self.random.below(3) {
            0 => Credential { template: format!("t{}", self.next()), ..credential },
            1 => Credential { source: source.to_owned(), ..credential },
            _ => Credential { wish, ..credential },
        };
        self.change_credential(&name, next);
    }

    fn credential_is_suspended_or_not(&mut self) {
        let Some(name) = self.any_credential() else { return };
        let credential = self.model.credentials[&name].clone();
        self.change_credential(&name, Credential { suspend: !credential.suspend, ..credential });
    }

    /// Makes the spec what `next` says.
    pub fn change_credential(&mut self, name: &str, next: Credential) {
        let spec = spec(&next.wish, &next.source, &next.template, next.suspend);
        let answer = self.edit(CREDENTIALS, name, |object| object["spec"] = spec.clone());
        let generation = answer["metadata"]["generation"].as_i64().unwrap();
        let what =
            format!("{name} becomes suspend: {}, {}, {}, {:?}", next.suspend, next.source, next.template, next.wish);
        if self.model.credentials[name].wish != next.wish {
            self.model.unsettle(|touched| touched.credential == name);
            *self.endings.entry(String::new()).or_default() += 1;
        }
        self.model.credentials.insert(name.to_owned(), Credential { generation, ..next });
        self.tell("", what);
    }

    fn credential_goes(&mut self) {
        let Some(name) = self.any_credential() else { return };
        let again = self.random.percent(40).then(|| self.model.credentials[&name].clone());
        self.delete_credential(&name);
        if let Some(Credential { wish, source, .. }) = again {
            self.make_credential(&name, wish, &source);
        }
    }

    pub fn delete_credential(&mut self, name: &str) {
        self.people.delete(CREDENTIALS, name).unwrap();
        self.model.credentials.remove(name);
        self.model.unsettle(|touched| touched.credential == name);
        *self.endings.entry(String::new()).or_default() += 1;
        self.tell("", format!("{name} goes"));
    }

    // Service accounts

    pub fn any_account(&mut self) -> Option<(String, String)> {
        let all = self.model.namespaces.iter();
        let all: Vec<_> =
            all.flat_map(|(n, of)| of.accounts.keys().map(move |account| (n.clone(), account.clone()))).collect();
        self.random.pick(&all)
    }

    fn account_labels(&mut self) -> Labels {
        let labels = self.random.percent(50).then(|| (PULLS.0.to_owned(), PULLS.1.to_owned()));
        labels.into_iter().collect()
    }

    fn account_comes(&mut self) {
        let (namespace, name) = (self.any_namespace().unwrap(), self.random.pick(&ACCOUNT_NAMES[1..]).unwrap());
        let labels = self.account_labels();
        let theirs: Vec<String> = self.random.percent(50).then(|| THEIRS[0].to_owned()).into_iter().collect();
        let entries: Vec<Value> = theirs.iter().map(|entry| json!({"name": entry})).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "labels": labels},
            "imagePullSecrets": entries,
        });
        if self.people.create(&within(&namespace, "serviceaccounts"), &object).is_ok() {
            self.note_account(&namespace, name, Some(Account { labels, theirs }), "comes");
        }
    }

    pub fn note_account(&mut self, namespace: &str, name: &str, account: Option<Account>, what: &str) {
        let accounts = &mut self.model.namespaces.get_mut(namespace).unwrap().accounts;
        match &account {
            Some(account) => accounts.insert(name.to_owned(), account.clone()),
            None => accounts.remove(name),
        };
        self.model.unsettle(|touched| touched.namespace == namespace && touched.account == Some(name));
        self.tell(namespace, format!("service account {namespace}/{name} {what}: {account:?}"));
    }

    fn account_goes(&mut self) {
        let Some((namespace, name)) = self.any_account() else { return };
        // The one that comes by itself may not be there yet.
        eventually(SOON, || {
            self.people.delete(&within(&namespace, "serviceaccounts"), &name).map_err(|e| e.to_string())
        });
        let again = (name == "default").then(Account::default); // made by the controller manager
        self.note_account(&namespace, &name, again, "goes");
    }

    fn account_is_labelled(&mut self) {
        let (Some((namespace, name)), labels) = (self.any_account(), self.account_labels()) else { return };
        self.edit(&within(&namespace, "serviceaccounts"), &name, |object| object["metadata"]["labels"] = json!(labels));
        let account = Account { labels, ..self.model.namespaces[&namespace].accounts[&name].clone() };
        self.note_account(&namespace, &name, Some(account), "is labelled");
    }

    /// People add or remove an entry of their own, and leave ours.
    fn account_is_edited(&mut self) {
        let (Some((namespace, name)), entry) = (self.any_account(), self.random.pick(&THEIRS).unwrap()) else { return };
        let mut account = self.model.namespaces[&namespace].accounts[&name].clone();
        let adds = !account.theirs.iter().any(|theirs| theirs == entry);
        let first = self.random.percent(50);
        self.edit(&within(&namespace, "serviceaccounts"), &name, |object| {
            let mut entries = object["imagePullSecrets"].as_array().cloned().unwrap_or_default();
            match adds {
                true if first => entries.insert(0, json!({"name": entry})),
                true => entries.push(json!({"name": entry})),
                false => entries.retain(|e| e["name"] != *entry),
            }
            object["imagePullSecrets"] = json!(entries);
        });
        match adds {
            true if first => account.theirs.insert(0, entry.to_owned()),
            true => account.theirs.push(entry.to_owned()),
            false => account.theirs.retain(|e| e != entry),
        }
        let accounts = &mut self.model.namespaces.get_mut(&namespace).unwrap().accounts;
        let what = format!("service account {namespace}/{name} is edited: {:?}", account.theirs);
        accounts.insert(name, account);
        self.tell(&namespace, what);
    }

    /// People take an entry of ours out.
    fn entry_is_taken_away(&mut self) {
        let (Some((namespace, name)), which) = (self.any_account(), self.random.below(8)) else { return };
        let path = within(&namespace, "serviceaccounts");
        let Ok(mut object) = self.people.get(&path, &name) else { return };
        let ours = self.model.secret_names();
        let mut entries = object["imagePullSecrets"].as_array().cloned().unwrap_or_default();
        let candidates: Vec<String> =
            entries.iter().filter_map(|e| e["name"].as_str()).filter(|e| ours.contains(e)).map(str::to_owned).collect();
        let Some(secret) = candidates.get(which % candidates.len().max(1)) else { return };
        let key = (namespace.clone(), name.clone(), secret.clone());
        let taken = self.taken.entry(key.clone()).or_default();
        if *taken == TAKEN_AWAY_AT_MOST {
            return;
        }
        entries.retain(|e| e["name"] != **secret);
        object["imagePullSecrets"] = json!(entries);
        if self.people.replace(&path, &object).is_ok() {
            *taken += 1;
            self.model.settled.entries.remove(&key);
            self.tell(&namespace, format!("{secret} is taken out of {namespace}/{name}"));
        }
    }

    // Secrets

    fn secret_is_tampered_with(&mut self) {
        let (namespace, which, how) = (self.any_namespace().unwrap(), self.random.below(8), self.random.below(4));
        let path = within(&namespace, "secrets");
        let mut managed = self.people.list(&path);
        managed.retain(|secret| {
            let is_left = self.model.orphaned_by(&namespace, secret["metadata"]["name"].as_str().unwrap()).is_some();
            secret["metadata"]["labels"]["regcred.dev/credential"].is_string() && !is_left
        });
        let Some(secret) = managed.get(which % managed.len().max(1)) else { return };
        let name = secret["metadata"]["name"].as_str().unwrap();
        let key = (namespace.clone(), name.to_owned());
        if how == 0 {
            if self.people.delete_seen(&path, secret).is_ok() {
                self.model.settled.secrets.remove(&key);
                self.tell(&namespace, format!("managed Secret {key:?} is deleted"));
            }
            return;
        }
        let mut patch = match how {
            1 => json!({"data": {".dockerconfigjson": STANDARD.encode(r#"{"auths": {}}"#)}}),
            2 => json!({"metadata": {"labels": {"template": "of-somebody"}}}),
            _ => json!({"metadata": {"annotations": {"regcred.dev/revision": "v1:of-somebody"}}}),
        };
        patch["metadata"]["uid"] = secret["metadata"]["uid"].clone();
        if self.people.merge(&path, name, &patch).is_ok() {
            self.model.tampered.insert(key.clone());
            self.tell(&namespace, format!("managed Secret {key:?} is tampered with: {how}"));
        }
    }

    fn foreign_secret_comes(&mut self) {
        let namespace = self.any_namespace().unwrap();
        let name = self.random.pick(&[THEIRS[0], "shared-pull", "beta", "delta-pull"]).unwrap();
        let usable_type = self.random.percent(60);
        let type_ = if usable_type { "kubernetes.io/dockerconfigjson" } else { "Opaque" };
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": type_, "metadata": {"name": name},
            "data": {".dockerconfigjson": STANDARD.encode(r#"{"auths": {"theirs.example": {}}}"#)},
        });
        if let Ok(answer) = self.people.create(&within(&namespace, "secrets"), &object) {
            self.note_foreign(&namespace, name, Some((answer, usable_type)), "comes");
        }
    }

    fn note_foreign(&mut self, namespace: &str, name: &str, seen: Option<(Value, bool)>, what: &str) {
        let foreign = &mut self.model.namespaces.get_mut(namespace).unwrap().foreign;
        match &seen {
            Some((answer, usable_type)) => {
                let orphan_of = foreign.get(name).and_then(|known| known.orphan_of.clone());
                let secret = Foreign { version: version(answer), usable_type: *usable_type, orphan_of };
                foreign.insert(name.to_owned(), secret);
            }
            None => drop(foreign.remove(name)),
        }
        let usable = seen.map(|(_, usable_type)| usable_type);
        self.tell(namespace, format!("foreign Secret {namespace}/{name} {what}, of our type: {usable:?}"));
    }

    /// People change or delete a Secret of theirs, if it still is theirs.
    fn foreign_secret_changes(&mut self) {
        let all = self.model.namespaces.iter();
        let all: Vec<_> = all
            .flat_map(|(n, of)| of.foreign.iter().map(move |(name, f)| (n.clone(), name.clone(), f.clone())))
            .collect();
        let (Some((namespace, name, foreign)), deletes) = (self.random.pick(&all), self.random.percent(40)) else {
            return;
        };
        let path = within(&namespace, "secrets");
        let Ok(mut object) = self.people.get(&path, &name) else { return };
        if version(&object) != foreign.version {
            return;
        }
        if !deletes {
            object["metadata"]["annotations"] = json!({"whose": format!("somebody's, {}", self.next())});
            if let Ok(answer) = self.people.replace(&path, &object) {
                self.note_foreign(&namespace, &name, Some((answer, foreign.usable_type)), "changes");
            }
        } else if self.people.delete_seen(&path, &object).is_ok() {
            if !foreign.usable_type {
                self.unseen.insert(namespace.clone());
            }
            self.note_foreign(&namespace, &name, None, "is deleted");
        }
    }

    /// Reads, changes and writes until nobody comes between.
    pub fn edit(&self, path: &str, name: &str, change: impl Fn(&mut Value)) -> Value {
        eventually(SOON, || {
            let edited = |mut object: Value| -> Answer {
                change(&mut object);
                self.people.replace(path, &object)
            };
            self.people
                .get(path, name)
                .and_then(edited)
                .map_err(|code| format!("{path}/{name} can't be edited: {code}"))
        })
    }
}

pub fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

fn spec(wish: &Wish, source: &str, template: &str, suspend: bool) -> Value {
    let mut namespaces = json!({"names": wish.names, "exclude": wish.exclude});
    if let Some((key, value)) = &wish.label {
        namespaces["selector"] = json!({"matchLabels": {key: value}});
    }
    let attach = match wish.accounts {
        Accounts::Default => json!({}),
        Accounts::All => json!({"serviceAccounts": {"names": ["*"]}}),
        Accounts::Labelled => json!({"serviceAccounts": {"selector": {"matchLabels": {PULLS.0: PULLS.1}}}}),
        Accounts::None => json!({"mode": "None"}),
    };
    json!({
        "credential": {"gcpServiceAccountKey": {"secretRef": {"name": source, "key": "key.json"}}},
        "registries": ["gcr.io/darwin/"],
        "secretTemplate": {"name": wish.secret, "labels": {"template": template}},
        "namespaces": namespaces,
        "attach": attach,
        "conflictPolicy": if wish.adopt { "Adopt" } else { "Fail" },
        "suspend": suspend,
    })
}
