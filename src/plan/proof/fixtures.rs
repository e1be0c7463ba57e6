//! Who and what takes part: credentials, Secrets and service accounts in all their states.

use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::{FIELDS, SECRETS, StoredSecret, World, data_of};
use crate::{
    api::{
        ADDED_PREFIX, AttachMode, AttachTargets, ConflictPolicy, CredentialName, NamespaceTargets,
        ServiceAccountTargets,
    },
    credential::{
        Revision,
        testing::{resolved, spec},
    },
    plan::{
        Desired, DesiredState, Maker, NamespaceRule, OtherOwners, ResourceVersion, Scope, Secret, ServiceAccountRule,
    },
    process::Text,
};

pub const NAMESPACE: &str = "team-a";
pub const FIRST: &str = "builder";
pub const SECOND: &str = "default";

/// Two credentials, the older one first, and one that doesn't exist any more.
pub const ALPHA: &str = "zeta-the-elder";
pub const BETA: &str = "alpha-the-younger";
pub const GONE: &str = "gone";

/// Which service accounts a credential chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    None,
    First,
    All,
}

/// What there is of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Absent,
    Resolved(ConflictPolicy, Chosen),
    ResolvedElsewhere,
    Held(ConflictPolicy),
    HeldElsewhere,
    HeldUnknown,
    /// The Secret is for others to make.
    Attaching(Chosen),
    AttachingElsewhere,
    AttachingHeld,
}

/// Those that make their Secrets, and none.
pub const KINDS: [Kind; 12] = {
    use Chosen::{All, First, None};
    use ConflictPolicy::{Adopt, Fail};
    [
        Kind::Absent,
        Kind::Resolved(Fail, None),
        Kind::Resolved(Fail, First),
        Kind::Resolved(Fail, All),
        Kind::Resolved(Adopt, None),
        Kind::Resolved(Adopt, First),
        Kind::Resolved(Adopt, All),
        Kind::ResolvedElsewhere,
        Kind::Held(Fail),
        Kind::Held(Adopt),
        Kind::HeldElsewhere,
        Kind::HeldUnknown,
    ]
};

/// Those that leave it to others to make their Secrets.
pub const ATTACHING: [Kind; 3] = [Kind::Attaching(Chosen::First), Kind::AttachingElsewhere, Kind::AttachingHeld];

fn uid(credential: &str) -> Text {
    format!("uid of {credential}").into()
}

fn revision(credential: &str) -> Revision {
    static REVISIONS: OnceLock<[Revision; 2]> = OnceLock::new();
    let revision = |registry: &str| resolved("any", &spec(&[registry])).revision().clone();
    let [alpha, beta] = REVISIONS.get_or_init(|| ["gcr.io", "eu.gcr.io"].map(revision));
    if credential == ALPHA { alpha.clone() } else { beta.clone() }
}

fn desired(credential: &str, secret: &str, kind: Kind) -> Option<Desired> {
    let (policy, chosen, targets, held) = match kind {
        Kind::Absent => return None,
        Kind::Resolved(policy, chosen) => (policy, chosen, NAMESPACE, false),
        Kind::ResolvedElsewhere => (ConflictPolicy::Adopt, Chosen::All, "elsewhere", false),
        Kind::Held(policy) => (policy, Chosen::All, NAMESPACE, true),
        Kind::HeldElsewhere => (ConflictPolicy::Adopt, Chosen::All, "elsewhere", true),
        Kind::HeldUnknown => (ConflictPolicy::Fail, Chosen::None, "", true),
        Kind::Attaching(chosen) => (ConflictPolicy::Fail, chosen, NAMESPACE, false),
        Kind::AttachingElsewhere => (ConflictPolicy::Fail, Chosen::All, "elsewhere", false),
        Kind::AttachingHeld => (ConflictPolicy::Fail, Chosen::All, NAMESPACE, true),
    };
    let attaching = matches!(kind, Kind::Attaching(_) | Kind::AttachingElsewhere | Kind::AttachingHeld);
    let namespaces = NamespaceTargets { names: vec![targets.to_owned()], ..NamespaceTargets::default() };
    let named = |name: &str| ServiceAccountTargets { names: Some(vec![name.to_owned()]), ..Default::default() };
    let attach = match chosen {
        Chosen::None => AttachTargets { mode: AttachMode::None, service_accounts: None },
        Chosen::First => AttachTargets { service_accounts: Some(named(FIRST)), ..Default::default() },
        Chosen::All => AttachTargets { service_accounts: Some(named("*")), ..Default::default() },
    };
    let scope = Scope::Known {
        namespaces: NamespaceRule::new(&namespaces).expect("no selector"),
        service_accounts: ServiceAccountRule::new(&attach).expect("no selector"),
    };
    let resolved = || DesiredState::Resolved { revision: revision(credential), fields: FIELDS };
    Some(Desired {
        credential: credential.into(),
        uid: uid(credential),
        created: Timestamp::from_second(if credential == ALPHA { 1 } else { 2 }).expect("a time"),
        secret: secret.into(),
        maker: if attaching { Maker::Others } else { Maker::Us },
        scope: if kind == Kind::HeldUnknown { Scope::Unknown } else { scope },
        policy,
        state: match (held, attaching) {
            (true, _) => DesiredState::Stalled,
            (false, true) => DesiredState::Attached,
            (false, false) => resolved(),
        },
        stuck: Default::default(),
    })
}

/// Both credentials, in the order of the catalog.
pub fn all_desired(names: [&str; 2], kinds: [Kind; 2]) -> Vec<Desired> {
    let mut all_desired: Vec<_> =
        [desired(ALPHA, names[0], kinds[0]), desired(BETA, names[1], kinds[1])].into_iter().flatten().collect();
    all_desired.sort_by(|a, b| a.credential.cmp(&b.credential));
    all_desired
}

/// A Secret that this credential has made and owns, as it should be.
pub fn made_by(credential: &str) -> StoredSecret {
    StoredSecret {
        meta: Secret {
            uid: format!("made by {credential}").into(),
            resource_version: ResourceVersion(7),
            label: Some(credential.into()),
            credential_owners: [(credential.into(), uid(credential))].into(),
            revision: Some(revision(credential).as_str().into()),
            owned_fields: Some(FIELDS),
            ..Secret::default()
        },
        data: data_of(&credential.into()),
    }
}

pub fn with(secret: StoredSecret, change: impl FnOnce(&mut Secret)) -> StoredSecret {
    let mut changed = secret;
    change(&mut changed.meta);
    changed
}

/// As it should be but for what it holds.
pub fn rotated(secret: StoredSecret) -> StoredSecret {
    let before = |s: &mut Secret| {
        let now = s.revision.as_ref().map(Text::as_str).expect("one of ours").to_owned();
        let (_, template) = now.split_once('-').expect("two parts");
        s.revision = Some(format!("{}{}-{template}", Revision::VERSION, "0".repeat(32)).into());
    };
    StoredSecret { data: "what it held before".to_owned(), ..with(secret, before) }
}

pub fn foreign() -> StoredSecret {
    let meta = Secret { uid: "foreign".into(), resource_version: ResourceVersion(9), ..Secret::default() };
    StoredSecret { meta, data: "somebody's".to_owned() }
}

pub fn owned_by_uid(secret: StoredSecret, name: &str, uid: &str) -> StoredSecret {
    with(secret, |s| s.credential_owners = [(CredentialName::from(name), uid.into())].into())
}

/// Every Secret of one credential: current, not current, dying, given away, taken over.
fn all_made_by(credential: &'static str, other: &'static str) -> Vec<StoredSecret> {
    let made = || made_by(credential);
    let of_the_dead = || owned_by_uid(made(), credential, "uid of an earlier one");
    let stale = |s: StoredSecret| with(s, |s| s.revision = Some("v1:old".into()));
    let orphaned = |s: StoredSecret| with(s, |s| s.credential_owners = [].into());
    let by_post = |s: StoredSecret| with(s, |s| s.creation = Some(1));
    let alone = |s: StoredSecret| with(s, |s| s.is_ours_alone = true);
    vec![
        made(),
        stale(made()),
        rotated(made()),
        alone(stale(made())),
        alone(rotated(made())),
        alone(by_post(made())),
        by_post(rotated(made())),
        alone(by_post(rotated(made()))),
        by_post(stale(made())),
        alone(by_post(stale(made()))),
        by_post(with(made(), |s| s.owned_fields = None)),
        alone(by_post(of_the_dead())),
        alone(by_post(orphaned(made()))),
        by_post(with(made(), |s| s.label = None)),
        alone(by_post(with(made(), |s| s.label = None))),
        rotated(of_the_dead()),
        with(rotated(made()), |s| s.owned_fields = Some(FIELDS - 1)),
        with(made(), |s| s.revision = None),
        with(made(), |s| s.owned_fields = None),
        with(made(), |s| s.owned_fields = Some(FIELDS - 1)),
        with(made(), |s| s.deleting = true),
        stale(with(made(), |s| s.deleting = true)),
        with(made(), |s| s.other_owners = OtherOwners::Some),
        with(made(), |s| s.wrong_type = true),
        with(made(), |s| {
            let mut owners = s.credential_owners.to_vec();
            owners.insert(0, (other.into(), uid(other)));
            s.credential_owners = owners.into();
        }),
        with(made(), |s| {
            let mut owners = s.credential_owners.to_vec();
            owners.insert(0, (credential.into(), "uid of an earlier one".into()));
            s.credential_owners = owners.into();
        }),
        of_the_dead(),
        stale(of_the_dead()),
        with(of_the_dead(), |s| s.deleting = true),
        with(of_the_dead(), |s| s.other_owners = OtherOwners::Some),
        with(of_the_dead(), |s| s.wrong_type = true),
        orphaned(made()),
        stale(orphaned(made())),
        with(orphaned(made()), |s| s.other_owners = OtherOwners::Some),
        with(orphaned(made()), |s| s.wrong_type = true),
        with(orphaned(made()), |s| s.deleting = true),
        // The label says one, the owner is another.
        owned_by_uid(made(), other, uid(other).as_str()),
        owned_by_uid(made(), other, "uid of an earlier one"),
        owned_by_uid(made(), credential, uid(other).as_str()),
        // Ours, but somebody took the label off.
        with(made(), |s| s.label = None),
    ]
}

pub fn all_secrets() -> Vec<Option<StoredSecret>> {
    let mut all = vec![
        None,
        Some(foreign()),
        Some(with(foreign(), |s| s.wrong_type = true)),
        Some(with(foreign(), |s| s.deleting = true)),
        Some(with(foreign(), |s| s.other_owners = OtherOwners::Some)),
        Some(with(foreign(), |s| s.revision = Some("v1:old".into()))),
    ];
    all.extend(all_made_by(ALPHA, BETA).into_iter().map(Some));
    all.extend(all_made_by(BETA, ALPHA).into_iter().map(Some));
    all.extend(all_made_by(GONE, ALPHA).into_iter().map(Some));
    all
}

/// The ones that entries depend on.
pub fn few_secrets(credential: &'static str) -> Vec<Option<StoredSecret>> {
    vec![
        None,
        Some(made_by(credential)),
        Some(with(made_by(credential), |s| s.revision = Some("v1:old".into()))),
        Some(owned_by_uid(made_by(credential), credential, "uid of an earlier one")),
        Some(with(made_by(credential), |s| s.credential_owners = [].into())),
        Some(made_by(GONE)),
        Some(foreign()),
    ]
}

/// What else there is in a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    Nothing,
    /// Entries, labels and annotations of others.
    Others,
    /// It is being deleted.
    Terminating,
}

/// A service account with these entries of ours or others, each so many times, and these records.
pub fn account(name: &str, around: Around, entries: &[(&str, usize)], records: &[(&str, &str)]) -> Value {
    let mut list: Vec<Value> = Vec::new();
    let mut metadata = json!({"name": name, "uid": format!("uid of {name}"), "resourceVersion": "41"});
    let mut annotations = serde_json::Map::new();
    if around != Around::Nothing {
        list.push(json!({"name": "before"}));
        annotations.insert("example.com/a~b".to_owned(), json!("foreign"));
        metadata["labels"] = json!({"team": "a"});
    }
    if around == Around::Terminating {
        metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    for (secret, times) in entries {
        for _ in 0..*times {
            list.push(json!({"name": secret}));
            if around != Around::Nothing {
                // People can write an entry without a name.
                list.push(json!({}));
            }
        }
    }
    for (secret, credential) in records {
        annotations.insert(format!("{ADDED_PREFIX}{secret}"), json!(credential));
    }
    if !annotations.is_empty() {
        metadata["annotations"] = annotations.into();
    }
    let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    if !list.is_empty() {
        account["imagePullSecrets"] = list.into();
    }
    account
}

pub fn world(secrets: [Option<&StoredSecret>; 2], accounts: &[Value]) -> World {
    let secrets = SECRETS.into_iter().zip(secrets);
    World {
        secrets: secrets.filter_map(|(name, secret)| Some((name.into(), secret?.clone()))).collect(),
        accounts: accounts
            .iter()
            .map(|account| (account["metadata"]["name"].as_str().expect("a name").into(), account.clone()))
            .collect(),
    }
}
