//! What people have asked for and what they have put there: all that the operator's work is judged by. It knows nothing
//! of plans; only what README.md and docs/ promise.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// Namespace and name.
pub type Key = (String, String);

#[derive(Debug, Default)]
pub struct Model {
    /// Those that exist and aren't being deleted.
    pub namespaces: BTreeMap<String, Namespace>,
    pub credentials: BTreeMap<String, Credential>,
    pub sources: BTreeMap<String, Source>,
    /// What was there when all was quiet for the last time, and hasn't been touched by people since.
    pub settled: Settled,
    /// Managed Secrets whose content people have changed: it stays changed while their credential is held.
    pub tampered: BTreeSet<Key>,
    /// Namespace, service account and Secret of entries that people took away until the operator gave up: it may try
    /// again, such as after a restart.
    pub fought: BTreeSet<(String, String, String)>,
    /// The API server was away: where a RegistryCredential was made again meanwhile under its old name, the garbage collector
    /// takes it for the same one, as that is what its own list says, and leaves the dead one's Secrets.
    pub uncollected: bool,
    /// Everything that was ever asked for. Watches are independent of each other, so an old spec may meet a new label.
    pub past: Past,
}

#[derive(Clone, Debug, Default)]
pub struct Namespace {
    pub labels: Labels,
    pub accounts: BTreeMap<String, Account>,
    /// Secrets that people made.
    pub foreign: BTreeMap<String, Foreign>,
}

#[derive(Clone, Debug, Default)]
pub struct Account {
    pub labels: Labels,
    /// People's own entries, in order.
    pub theirs: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Foreign {
    /// Its metadata.resourceVersion: as long as that is so, not a byte has changed.
    pub version: String,
    pub usable_type: bool,
    /// The credential whose deletion with `--cascade=orphan` left it to people.
    pub orphan_of: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Credential {
    pub uid: String,
    pub created: String,
    pub generation: i64,
    pub source: String,
    pub wish: Wish,
    pub template: String,
    pub suspend: bool,
    /// Every text of its source since it was made: what a held one may have handed out.
    pub texts: BTreeSet<String>,
}

/// What a credential wants where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    pub secret: String,
    /// Either whole names or `beginning*`.
    pub names: Vec<String>,
    pub label: Option<(String, String)>,
    pub exclude: Vec<String>,
    pub accounts: Accounts,
    pub adopt: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accounts {
    Default,
    All,
    Labelled,
    None,
}

/// The label that chooses service accounts.
pub const PULLS: (&str, &str) = ("pulls", "private");

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Key { text: String, version: String },
    Broken,
}

#[derive(Debug, Default)]
pub struct Settled {
    /// Managed Secrets, each with its credential.
    pub secrets: BTreeMap<Key, String>,
    /// Entries: namespace, service account, Secret; each with its credential.
    pub entries: BTreeMap<(String, String, String), String>,
}

#[derive(Debug, Default)]
pub struct Past {
    wishes: BTreeSet<Wish>,
    namespaces: BTreeMap<String, BTreeSet<Labels>>,
    accounts: BTreeMap<Key, BTreeSet<Labels>>,
}

impl Wish {
    pub fn wants(&self, namespace: &str, labels: &Labels) -> bool {
        let is = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => namespace.starts_with(beginning),
            None => pattern == namespace,
        };
        let labelled = self.label.as_ref().is_some_and(|(key, value)| labels.get(key) == Some(value));
        (self.names.iter().any(is) || labelled) && !self.exclude.iter().any(is)
    }

    pub fn chooses(&self, account: &str, labels: &Labels) -> bool {
        match self.accounts {
            Accounts::Default => account == "default",
            Accounts::All => true,
            Accounts::Labelled => labels.get(PULLS.0).is_some_and(|value| value == PULLS.1),
            Accounts::None => false,
        }
    }
}

impl Model {
    /// To be called after each thing that people do.
    pub fn remember(&mut self) {
        for credential in self.credentials.values_mut() {
            if let Some(Source::Key { text, .. }) = self.sources.get(&credential.source) {
                credential.texts.insert(text.clone());
            }
            self.past.wishes.insert(credential.wish.clone());
        }
        for (name, namespace) in &self.namespaces {
            self.past.namespaces.entry(name.clone()).or_default().insert(namespace.labels.clone());
            for (account, of) in &namespace.accounts {
                let key = (name.clone(), account.clone());
                self.past.accounts.entry(key).or_default().insert(of.labels.clone());
            }
        }
    }

    /// Why nothing may be written or removed for a credential, as its Ready condition says it; `None` where it goes on.
    pub fn held(&self, credential: &Credential) -> Option<&'static str> {
        match self.sources.get(&credential.source) {
            _ if credential.suspend => Some("Suspended"),
            None => Some("SourceNotFound"),
            Some(Source::Broken) => Some("InvalidKey"),
            Some(Source::Key { .. }) => None,
        }
    }

    /// The credentials that want a Secret of this name here and go on; the first has it where nobody has it yet.
    pub fn contenders(&self, namespace: &str, secret: &str) -> Vec<&str> {
        let labels = &self.namespaces[namespace].labels;
        let all = self
            .credentials
            .iter()
            .filter(|(_, c)| c.wish.secret == secret && self.held(c).is_none() && c.wish.wants(namespace, labels));
        let mut all: Vec<_> = all.map(|(name, c)| (c.created.as_str(), name.as_str())).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, name)| name).collect()
    }

    /// The held credentials that have this Secret name: what they have done stays, and nobody else gets the name there.
    pub fn holders(&self, secret: &str) -> Vec<&str> {
        let all = self.credentials.iter().filter(|(_, c)| c.wish.secret == secret && self.held(c).is_some());
        all.map(|(name, _)| name.as_str()).collect()
    }

    /// Whether a Secret of this name was ever wanted in this namespace, by a credential that also is so.
    pub fn was_wanted(&self, namespace: &str, secret: &str, also: impl Fn(&Wish) -> bool) -> bool {
        let labels = || self.past.namespaces.get(namespace).into_iter().flatten();
        let mut wishes = self.past.wishes.iter().filter(|wish| wish.secret == secret && also(wish));
        wishes.any(|wish| labels().any(|labels| wish.wants(namespace, labels)))
    }

    /// Whether a service account was ever chosen.
    pub fn was_chosen(&self, namespace: &str, account: &str) -> bool {
        let key = (namespace.to_owned(), account.to_owned());
        let labels = || self.past.accounts.get(&key).into_iter().flatten();
        self.past.wishes.iter().any(|wish| {
            labels().any(|labels| wish.chooses(account, labels))
                && self.was_wanted(namespace, &wish.secret, |other| other == wish)
        })
    }

    /// All names that Secrets of the operator's ever had.
    pub fn secret_names(&self) -> BTreeSet<&str> {
        self.past.wishes.iter().map(|wish| wish.secret.as_str()).collect()
    }

    /// Whoever had this Secret taken over, may have had it deleted since.
    pub fn may_be_adopted(&self, namespace: &str, secret: &str) -> bool {
        self.was_wanted(namespace, secret, |wish| wish.adopt)
    }

    /// The credential that left this Secret to people.
    pub fn orphaned_by(&self, namespace: &str, secret: &str) -> Option<&str> {
        self.namespaces.get(namespace)?.foreign.get(secret)?.orphan_of.as_deref()
    }

    /// People have touched something: what was settled there may legitimately change.
    pub fn unsettle(&mut self, touched: impl Fn(&Touched<'_>) -> bool) {
        self.settled
            .secrets
            .retain(|(namespace, _), credential| !touched(&Touched { namespace, account: None, credential }));
        self.settled.entries.retain(|(namespace, account, _), credential| {
            !touched(&Touched { namespace, account: Some(account), credential })
        });
    }
}

/// A settled Secret, or the entry of a service account.
pub struct Touched<'a> {
    pub namespace: &'a str,
    pub account: Option<&'a str>,
    pub credential: &'a str,
}
