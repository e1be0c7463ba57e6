//! What people do that the operator has to stand back from: they keep a credential's Secrets when it goes, apply lists
//! that it appends to, and take out an entry however often it puts it back.

use std::{
    thread,
    time::{Duration, Instant},
};

use controlplane::eventually;
use serde_json::{Value, json};

use crate::{
    model::{Account, Foreign},
    people::{CREDENTIALS, within},
    script::{SOON, Script, TAKEN_AWAY_AT_MOST, THEIRS, version},
};

/// Who may have an entry: namespace, service account and Secret.
type Entry = (String, String, String);

impl Script<'_> {
    /// `kubectl delete --cascade=orphan`: Secrets and entries are people's from then on. Not of one that adopts: until
    /// the operator knows that it goes, it may rightly adopt what has just been orphaned.
    pub fn credential_is_orphaned(&mut self) {
        let Some(name) = self.any_credential().filter(|name| !self.model.credentials[name].wish.adopt) else { return };
        self.people.delete_orphaning(CREDENTIALS, &name).unwrap();
        eventually(SOON, || match self.people.get(CREDENTIALS, &name) {
            Err(404) => Ok(()),
            _ => Err(format!("{name} is still there")),
        });
        self.model.credentials.remove(&name);
        for secret in self.people.list("/api/v1/secrets") {
            let metadata = &secret["metadata"];
            let is_left =
                metadata["labels"]["regcred.dev/credential"] == *name && metadata["ownerReferences"].is_null();
            let Some(namespace) = self.model.namespaces.get_mut(metadata["namespace"].as_str().unwrap()) else {
                continue;
            };
            let known = namespace.foreign.get(metadata["name"].as_str().unwrap());
            if is_left && known.is_none_or(|known| known.version != version(&secret)) {
                let left = Foreign { version: version(&secret), usable_type: true, orphan_of: Some(name.clone()) };
                namespace.foreign.insert(metadata["name"].as_str().unwrap().to_owned(), left);
            }
        }
        // What was settled stays so where the Secret stayed.
        let mut settled = std::mem::take(&mut self.model.settled);
        settled.secrets.retain(|_, credential| *credential != name);
        settled.entries.retain(|(namespace, _, secret), credential| {
            *credential != name || self.model.orphaned_by(namespace, secret) == Some(&name)
        });
        self.model.settled = settled;
        *self.endings.entry(String::new()).or_default() += 1;
        self.tell("", format!("{name} goes, and leaves its Secrets and entries to people"));
    }

    /// A chart with a service account is applied, on the server or by the client: its list is as the chart has it.
    pub fn list_is_applied(&mut self) {
        let (Some((namespace, name)), on_the_server) = (self.any_account(), self.random.percent(70)) else { return };
        let theirs: Vec<String> = self.random.pick(&THEIRS).into_iter().map(str::to_owned).collect();
        let path = within(&namespace, "serviceaccounts");
        let Ok(before) = self.people.get(&path, &name) else { return };
        let ours: Vec<Entry> = self.ours(&before);
        if ours.iter().any(|entry| self.taken.get(entry).is_some_and(|times| *times >= TAKEN_AWAY_AT_MOST)) {
            return;
        }
        let list: Vec<Value> = theirs.iter().map(|entry| json!({"name": entry})).collect();
        let applied = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, "imagePullSecrets": list,
        });
        let answer = match on_the_server {
            true => self.people.apply(&path, &name, "chart", &applied),
            false => self.people.merge(&path, &name, &applied),
        };
        let Ok(after) = answer else { return };
        assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "it was made anew by an apply");
        // The operator may have added one right before.
        let all: Vec<String> = self.model.secret_names().into_iter().map(str::to_owned).collect();
        for secret in all {
            *self.taken.entry((namespace.clone(), name.clone(), secret)).or_default() += 1;
        }
        let labels = self.model.namespaces[&namespace].accounts[&name].labels.clone();
        let how = if on_the_server { "is applied by the server" } else { "is applied by the client" };
        self.note_account(&namespace, &name, Some(Account { labels, theirs }), how);
    }

    /// The operator's entries in a service account.
    fn ours(&self, account: &Value) -> Vec<Entry> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entries = account["imagePullSecrets"].as_array().into_iter().flatten().map(|entry| text(&entry["name"]));
        let ours = entries.filter(|entry| self.model.secret_names().contains(entry.as_str()));
        let (namespace, name) = (&account["metadata"]["namespace"], &account["metadata"]["name"]);
        ours.map(|secret| (text(namespace), text(name), secret)).collect()
    }

    /// Once all is quiet, somebody takes an entry out each time that it is there, until the operator says that it is
    /// contested. Tells how often the entry came back.
    pub fn fight(&mut self) -> Option<usize> {
        let settled = self.model.settled.entries.iter();
        let wanted = |owner: &String| self.model.credentials.get(owner).is_some_and(|c| self.model.held(c).is_none());
        // An entry may be recorded for one credential, and the Secret be a held one's: then nothing is made anew.
        let settled = settled.filter(|((namespace, _, secret), owner)| {
            let secrets = &self.model.settled.secrets;
            wanted(owner)
                && secrets.get(&(namespace.clone(), secret.clone())) == Some(owner)
                && self.model.orphaned_by(namespace, secret).is_none()
        });
        let settled: Vec<_> = settled.map(|(entry, owner)| (entry.clone(), owner.clone())).collect();
        let (entry, owner) = self.random.pick(&settled)?;
        let (namespace, account, secret) = &entry;
        let path = within(namespace, "serviceaccounts");
        let mut came_back = 0;
        loop {
            self.edit(&path, account, |object| {
                object["imagePullSecrets"].as_array_mut().unwrap().retain(|entry| entry["name"] != **secret);
            });
            self.tell(namespace, format!("{secret} is taken out of {namespace}/{account}, as ever"));
            let begun = Instant::now();
            let is_back = loop {
                if self.ours(&self.people.get(&path, account).unwrap()).contains(&entry) {
                    break true;
                }
                let credential = self.people.get(CREDENTIALS, &owner).unwrap();
                let failures = credential["status"]["failures"].as_array().cloned().unwrap_or_default();
                let contested = |f: &Value| f["namespace"] == **namespace && f["reason"] == "ServiceAccountContested";
                if failures.iter().any(contested) {
                    break false;
                }
                assert!(begun.elapsed() < SOON, "{entry:?} neither comes back nor is called contested");
                thread::sleep(Duration::from_millis(20));
            };
            if !is_back {
                break;
            }
            came_back += 1;
            if came_back > TAKEN_AWAY_AT_MOST {
                break;
            }
        }
        self.taken.insert(entry.clone(), TAKEN_AWAY_AT_MOST);
        self.model.settled.entries.remove(&entry);
        self.model.fought.insert(entry);
        Some(came_back)
    }
}
