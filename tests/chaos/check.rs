//! The cluster as it is → what is wrong with it, given what people have done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    model::{Credential, Key, Model, Source},
    people::{CREDENTIALS, NAMESPACES, People},
};

const LABEL: &str = "regcred.dev/credential";
const ADDED: &str = "added.regcred.dev/";

/// All that the operator may have to do with.
pub struct Observed {
    /// Without those that are going.
    namespaces: BTreeSet<String>,
    secrets: BTreeMap<Key, Value>,
    accounts: BTreeMap<Key, Value>,
    credentials: BTreeMap<String, Value>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn by_key(objects: Vec<Value>) -> BTreeMap<Key, Value> {
    let key = |object: &Value| (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    objects.into_iter().map(|object| (key(&object), object)).collect()
}

impl Observed {
    /// Whether the RegistryCredentials are the same in both, statuses included.
    pub fn has_the_credentials_of(&self, other: &Observed) -> bool {
        self.credentials == other.credentials
    }

    pub fn of(people: &People) -> Observed {
        let namespaces = people.list(NAMESPACES).into_iter().filter(|n| n["metadata"]["deletionTimestamp"].is_null());
        Observed {
            namespaces: namespaces.map(|namespace| text(&namespace["metadata"]["name"])).collect(),
            credentials: by_key(people.list(CREDENTIALS)).into_iter().map(|((_, name), rc)| (name, rc)).collect(),
            secrets: by_key(people.list("/api/v1/secrets")),
            accounts: by_key(people.list("/api/v1/serviceaccounts")),
        }
    }
}

/// What became of one Secret name in one namespace.
#[derive(Default)]
struct Found {
    /// Whose Secret is there.
    owner: Option<String>,
    /// Who can't have it, and for what reason.
    failures: Vec<(String, &'static str)>,
    /// A held credential has the name: what it did before it was held depends on time.
    is_frozen: bool,
}

/// Compares, and collects what is wrong.
pub struct Check<'a> {
    model: &'a Model,
    observed: &'a Observed,
    found: BTreeMap<Key, Found>,
    wrong: Vec<String>,
}

/// What is wrong; nothing, where all is as promised.
pub fn compare(model: &Model, observed: &Observed) -> Vec<String> {
    let mut check = Check { model, observed, found: BTreeMap::new(), wrong: Vec::new() };
    let names = model.secret_names();
    for (namespace, of) in &model.namespaces {
        if !observed.namespaces.contains(namespace) {
            check.wrong.push(format!("namespace {namespace} is gone"));
        }
        let there = observed.secrets.keys().filter(|(n, _)| n == namespace).map(|(_, name)| name.as_str());
        let all: BTreeSet<&str> =
            names.iter().copied().chain(of.foreign.keys().map(String::as_str)).chain(there).collect();
        for secret in all {
            let found = check.secret(namespace, secret);
            check.found.insert((namespace.clone(), secret.to_owned()), found);
        }
        for account in of.accounts.keys() {
            check.account(namespace, account);
        }
    }
    check.elsewhere();
    for (name, credential) in &model.credentials {
        check.status(name, credential);
    }
    check.wrong
}

/// Takes over what was left open, and remembers what is there.
pub fn settle(model: &mut Model, observed: &Observed) {
    model.settled = Default::default();
    for (key, secret) in &observed.secrets {
        let owner = text(&secret["metadata"]["labels"][LABEL]);
        let Some(namespace) = model.namespaces.get_mut(&key.0).filter(|_| !owner.is_empty()) else { continue };
        if namespace.foreign.get(&key.1).is_some_and(|f| f.version == version(secret)) {
            continue; // left to people
        }
        namespace.foreign.remove(&key.1);
        if model.credentials.get(&owner).is_some_and(|credential| model.held(credential).is_none()) {
            model.tampered.remove(key);
        }
        model.settled.secrets.insert(key.clone(), owner);
    }
    for (namespace, of) in &mut model.namespaces {
        of.foreign.retain(|name, _| observed.secrets.contains_key(&(namespace.clone(), name.clone())));
    }
    // One that is going and will be made again loses all.
    let stays = |namespace: &String| model.namespaces.contains_key(namespace);
    for ((namespace, name), account) in observed.accounts.iter().filter(|((namespace, _), _)| stays(namespace)) {
        for (secret, credential) in records(account) {
            if entries(account).contains(&secret) {
                model.settled.entries.insert((namespace.clone(), name.clone(), secret), credential);
            }
        }
    }
}

fn version(object: &Value) -> String {
    text(&object["metadata"]["resourceVersion"])
}

/// Whether somebody else applies its list of entries.
fn is_applied(account: &Value) -> bool {
    let managers = account["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut others = managers.filter(|manager| manager["operation"] == "Apply");
    others.any(|manager| !manager["fieldsV1"]["f:imagePullSecrets"].is_null())
}

fn entries(account: &Value) -> Vec<String> {
    account["imagePullSecrets"].as_array().into_iter().flatten().map(|entry| text(&entry["name"])).collect()
}

/// Our annotations: Secret → credential.
fn records(account: &Value) -> BTreeMap<String, String> {
    let annotations = account["metadata"]["annotations"].as_object().into_iter().flatten();
    annotations.filter_map(|(key, value)| Some((key.strip_prefix(ADDED)?.to_owned(), text(value)))).collect()
}

impl<'a> Check<'a> {
    fn secret(&mut self, namespace: &str, name: &str) -> Found {
        let at = format!("Secret {namespace}/{name}");
        let key = (namespace.to_owned(), name.to_owned());
        let seen = self.observed.secrets.get(&key);
        let foreign = self.model.namespaces[namespace].foreign.get(name);
        let is_intact = |seen: &Value| foreign.is_some_and(|f| version(seen) == f.version);
        let intact = seen.is_some_and(is_intact);
        let managed = seen.filter(|_| !intact);
        let owner = managed.map(|seen| text(&seen["metadata"]["labels"][LABEL]));
        if owner.as_deref() == Some("") {
            self.wrong.push(format!("{at} is neither ours nor as people made it"));
        }
        let is_adoptable = self.model.may_be_adopted(namespace, name);
        if foreign.is_some_and(|f| !(intact || f.usable_type && is_adoptable)) {
            self.wrong.push(format!("{at} is somebody else's, and isn't as it was"));
        }
        let model = self.model;
        let contenders = model.contenders(namespace, name);
        let holders = self.holders(namespace, name, owner.as_deref());
        let has_it = |credential: &&str| owner.as_deref() == Some(*credential);
        let all = || contenders.iter().chain(&holders).copied();
        // Whoever has it keeps it; else it is the oldest one's.
        let age = |name: &str| (model.credentials[name].created.clone(), name.to_owned());
        let winner = all().find(has_it).or_else(|| all().min_by_key(|name| age(name)));
        let is_frozen = winner.is_some_and(|winner| holders.contains(&winner));
        let settled = self.model.settled.secrets.get(&key);
        if let Some(holder) =
            settled.filter(|h| self.model.holders(name).contains(&h.as_str()) && owner.as_ref() != Some(*h))
        {
            self.wrong.push(format!("{at} of {holder}, which is held, was there and now is {owner:?}'s"));
        }
        if let (Some(seen), Some(owner)) = (managed, &owner) {
            // What a held one has is touched by nobody: there, another one's Secret stays until it goes on.
            if winner == Some(owner) || is_frozen && self.model.credentials.contains_key(owner) {
                self.content(&at, &key, seen, owner, winner == Some(owner) && !is_frozen);
            } else {
                self.wrong.push(format!("{at} is {owner}'s, which doesn't want it"));
            }
        }
        let Some(winner) = winner else {
            return Found::default();
        };
        let losers = contenders.iter().filter(|name| **name != winner);
        let mut failures: Vec<_> = losers.map(|name| ((*name).to_owned(), "NameTaken")).collect();
        if !is_frozen && owner.as_deref() != Some(winner) {
            let adopts = self.model.credentials[winner].wish.adopt;
            match foreign {
                Some(foreign) if intact && !foreign.usable_type => failures.push((winner.to_owned(), "WrongType")),
                Some(_) if intact && !adopts => failures.push((winner.to_owned(), "ForeignSecret")),
                _ => self.wrong.push(format!("{at} of {winner} is missing")),
            }
        }
        Found { owner, failures, is_frozen }
    }

    /// The held credentials that nobody may come before in this namespace: they want the name there, or have it, or an
    /// entry says so.
    fn holders(&self, namespace: &str, secret: &str, owner: Option<&str>) -> Vec<&'a str> {
        let labels = &self.model.namespaces[namespace].labels;
        let accounts = self.observed.accounts.iter().filter(|((n, _), _)| n == namespace);
        let recorded: Vec<_> = accounts.filter_map(|(_, account)| records(account).remove(secret)).collect();
        let mut holders = self.model.holders(secret);
        holders.retain(|name| {
            let wants = self.model.credentials[*name].wish.wants(namespace, labels);
            let left = self.model.orphaned_by(namespace, secret) == Some(*name);
            wants || left || owner == Some(*name) || recorded.iter().any(|record| record == name)
        });
        holders
    }

    /// A managed Secret holds what its credential says, and is owned by it.
    fn content(&mut self, at: &str, key: &Key, seen: &Value, owner: &str, is_current: bool) {
        let credential = &self.model.credentials[owner];
        if seen["metadata"]["ownerReferences"][0]["uid"] != *credential.uid {
            if !is_current && self.model.uncollected {
                return; // its predecessor's: it stays until the credential goes on
            }
            self.wrong.push(format!("{at} isn't owned by {owner} as it is now"));
        }
        let password = controlplane::password(seen).ok();
        if !is_current {
            let known = password.is_some_and(|password| credential.texts.contains(&password));
            if !known && !self.model.tampered.contains(key) {
                self.wrong.push(format!("{at} holds what {owner} never had"));
            }
            return;
        }
        let wanted = match &self.model.sources[&credential.source] {
            Source::Key { text, .. } => Some(text.as_str()),
            Source::Broken => None,
        };
        if password.as_deref() != wanted {
            self.wrong.push(format!("{at} doesn't hold the current key of {owner}"));
        }
        if seen["metadata"]["labels"]["template"] != *credential.template {
            self.wrong.push(format!("{at} hasn't the label of {owner}'s template"));
        }
    }

    fn account(&mut self, namespace: &str, name: &str) {
        let at = format!("ServiceAccount {namespace}/{name}");
        let Some(seen) = self.observed.accounts.get(&(namespace.to_owned(), name.to_owned())) else {
            self.wrong.push(format!("{at} is missing"));
            return;
        };
        let known = &self.model.namespaces[namespace].accounts[name];
        let (entries, records, ours) = (entries(seen), records(seen), self.model.secret_names());
        let theirs: Vec<_> = entries.iter().filter(|entry| !ours.contains(entry.as_str())).collect();
        if theirs != known.theirs.iter().collect::<Vec<_>>() {
            self.wrong.push(format!("{at} has the entries {entries:?}; people put {:?} there", known.theirs));
        }
        let labels: BTreeMap<String, String> =
            serde_json::from_value(seen["metadata"]["labels"].clone()).unwrap_or_default();
        if labels != known.labels {
            self.wrong.push(format!("{at} has the labels {labels:?}, not {:?}", known.labels));
        }
        for secret in ours {
            let (times, record) = (entries.iter().filter(|e| *e == secret).count(), records.get(secret));
            let Some(found) = self.found.get_mut(&(namespace.to_owned(), secret.to_owned())) else { continue };
            let left_by = self.model.orphaned_by(namespace, secret).filter(|_| found.owner.is_none());
            let key = (namespace.to_owned(), name.to_owned(), secret.to_owned());
            if found.is_frozen {
                let holders = self.model.holders(secret);
                let stays = self.model.settled.entries.get(&key).filter(|h| {
                    let holder = Some(h.as_str());
                    holders.iter().any(|h| Some(*h) == holder) || left_by == holder
                });
                if stays.is_some_and(|_| times != 1) || times > 1 || (times == 1 && record.is_none()) {
                    self.wrong.push(format!("{at} names {secret} {times} times, for {record:?}; a held one wants it"));
                }
                continue;
            }
            if let Some(by) = left_by {
                // Who orphaned a Secret wants pods to go on using it.
                let stays = self.model.settled.entries.get(&key).is_some_and(|holder| holder == by);
                let strange = record.is_some_and(|record| record != by) || (times == 1 && record.is_none());
                if times > 1 || strange || (stays && times != 1) {
                    self.wrong.push(format!("{at} names {secret} {times} times, for {record:?}; {by} left it there"));
                }
                continue;
            }
            // It says what a held credential has added: that stays, whosever Secret it is by now.
            if record.is_some_and(|record| self.model.holders(secret).contains(&record.as_str())) {
                if times > 1 {
                    self.wrong.push(format!("{at} names {secret} {times} times, for {record:?}, which is held"));
                }
                continue;
            }
            let chosen = |owner: &&String| self.model.credentials[*owner].wish.chooses(name, &known.labels);
            let wanted = found.owner.as_ref().filter(|o| self.model.credentials.contains_key(*o)).filter(chosen);
            let adopts = |owner: &String| self.model.credentials[owner].wish.adopt;
            if let (0, Some(owner)) = (times, wanted)
                && (self.model.fought.contains(&key) || (is_applied(seen) && !adopts(owner)))
            {
                let failure = (owner.clone(), "ServiceAccountContested");
                found.failures.push(failure);
                continue;
            }
            if times != usize::from(wanted.is_some()) || record != wanted {
                self.wrong.push(format!("{at} names {secret} {times} times, for {record:?}, not for {wanted:?}"));
            }
        }
    }

    /// Nothing of ours is where nobody ever wanted it.
    fn elsewhere(&mut self) {
        let stranger = |(namespace, _): &&Key| {
            self.observed.namespaces.contains(namespace) && !self.model.namespaces.contains_key(namespace)
        };
        let secrets = self.observed.secrets.iter().filter(|(key, _)| stranger(key));
        let secrets = secrets.filter(|(_, secret)| !secret["metadata"]["labels"][LABEL].is_null());
        let accounts =
            self.observed.accounts.iter().filter(|(key, account)| stranger(key) && !records(account).is_empty());
        let wrong: Vec<_> = secrets.chain(accounts).map(|(key, _)| format!("{key:?} has something of ours")).collect();
        self.wrong.extend(wrong);
    }

    fn status(&mut self, name: &str, credential: &Credential) {
        let Some(seen) = self.observed.credentials.get(name) else {
            self.wrong.push(format!("RegistryCredential {name} is gone"));
            return;
        };
        let status = &seen["status"];
        let conditions = || status["conditions"].as_array().into_iter().flatten();
        let ready = conditions().find(|c| c["type"] == "Ready");
        let is = ready.map(|c| format!("{}/{}", text(&c["status"]), text(&c["reason"]))).unwrap_or_default();
        let current = status["observedGeneration"] == credential.generation;
        let suspended = if credential.suspend { "True" } else { "False" };
        if !conditions().any(|c| c["type"] == "Suspended" && c["status"] == suspended) {
            self.wrong.push(format!("the status of {name} doesn't say Suspended={suspended}"));
        }
        if let Some(reason) = self.model.held(credential) {
            // A suspended one keeps the status that Ready had.
            let is_told = if credential.suspend { is.ends_with("/Suspended") } else { is == format!("False/{reason}") };
            if !current || !is_told {
                self.wrong.push(format!("the status of {name} is {is}, not {reason} (current: {current})"));
            }
            return;
        }
        let targets: Vec<_> =
            self.model.namespaces.iter().filter(|(n, of)| credential.wish.wants(n, &of.labels)).collect();
        let mut failures = BTreeMap::new();
        for (namespace, _) in &targets {
            let found = &self.found[&((*namespace).clone(), credential.wish.secret.clone())];
            failures.extend(
                found
                    .failures
                    .iter()
                    .filter(|(c, _)| c == name)
                    .map(|(_, why)| ((*namespace).clone(), (*why).to_owned())),
            );
        }
        let listed = status["failures"].as_array().into_iter().flatten();
        let listed: BTreeMap<_, _> = listed.map(|f| (text(&f["namespace"]), text(&f["reason"]))).collect();
        // Where an entry is contested, the others are there all the same.
        let has_it = |namespace: &String, account: &String| match failures.get(namespace).map(String::as_str) {
            None => true,
            Some("ServiceAccountContested") => {
                let seen = self.observed.accounts.get(&(namespace.clone(), account.clone()));
                seen.is_some_and(|seen| entries(seen).contains(&credential.wish.secret))
            }
            Some(_) => false,
        };
        let chosen = |ready: bool| {
            let accounts = targets.iter().flat_map(|(n, of)| of.accounts.iter().map(move |(name, of)| (*n, name, of)));
            let chosen = accounts.filter(|(_, name, of)| credential.wish.chooses(name, &of.labels));
            chosen.filter(|(namespace, name, _)| !ready || has_it(namespace, name)).count()
        };
        let (desired, ready) = (targets.len(), targets.len() - failures.len());
        let wanted = (format!("{ready}/{desired}"), format!("{}/{}", chosen(true), chosen(false)));
        let counted = (text(&status["namespaces"]["summary"]), text(&status["serviceAccounts"]["summary"]));
        let reason = if failures.is_empty() { "True/RolledOut" } else { "False/PartiallyReady" };
        // Pods are looked at, and none comes too early: there are none. It may take a moment longer to know that.
        let settled = is == reason && listed == failures && counted == wanted && status["stuckPods"]["count"] == 0;
        if !current || !settled {
            self.wrong.push(format!(
                "the status of {name} is {is} {counted:?} {listed:?}, not {reason} {wanted:?} {failures:?} (current: {current})"
            ));
        }
        if let Some(Source::Key { version, .. }) = self.model.sources.get(&credential.source)
            && status["observedSource"]["resourceVersion"] != *version
        {
            self.wrong.push(format!("the status of {name} is of another version of its source"));
        }
    }
}
