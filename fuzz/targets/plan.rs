//! Any state of a namespace, with up to four credentials and three service accounts: executing the plan's steps, some of
//! them lost, leads to the end that the proof's plain rules say, and to no other; and a forecast says that end beforehand.

#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
pub use regcred::{api, credential, plan, process};
use serde_json::{Value, json};

#[allow(dead_code, missing_docs)]
#[path = "../../src/plan/proof/forecast_check.rs"]
mod forecast_check;
#[allow(dead_code, missing_docs)]
#[path = "../../src/plan/proof/spec.rs"]
mod spec;
#[allow(dead_code, missing_docs)]
#[path = "../../src/plan/proof/world.rs"]
mod world;

use api::{
    ADDED_PREFIX, AttachMode, AttachTargets, ConflictPolicy, NamespaceTargets, SecretName, ServiceAccountTargets,
};
use credential::{PullSecret, Revision, RevisionKey, docker_config::DockerConfig};

use plan::{
    Contested, Desired, DesiredState, LongAbsent, Maker, NamespaceRule, OtherOwners, ResourceVersion, Scope, Second,
    Secret, ServiceAccountRule, Step,
};
use world::{Answer, FIELDS, SECRETS, StoredSecret, World, data_of};

const NAMESPACE: &str = "team-a";
/// The last one never exists.
const CREDENTIALS: [&str; 5] = ["zeta", "alpha", "mid", "omega", "gone"];
const ACCOUNTS: [&str; 3] = ["builder", "default", "other"];

/// Secrets, entries, deletions, and one that says that nothing is left; then each lost step may cost one more.
const ROUNDS: usize = 4;

#[derive(Debug, Arbitrary)]
struct Input {
    all_desired: [Option<AnyClaim>; 4],
    secrets: [Option<AnySecret>; 2],
    accounts: [Option<AnyAccount>; 3],
    /// Of which Secrets there has been none to use for long, where others make them.
    long_absent: [bool; 2],
    /// Which steps of each of the first plans are lost.
    lost: [u8; 4],
}

#[derive(Debug, Arbitrary)]
struct AnyClaim {
    other_name: bool,
    created: u8,
    adopts: bool,
    held: bool,
    unknown: bool,
    elsewhere: bool,
    /// Others make its Secrets.
    attaches: bool,
    chosen: [bool; 3],
}

#[derive(Debug, Arbitrary)]
struct AnySecret {
    label: Option<u8>,
    /// Of which credentials, and whether of an earlier one of that name.
    owners: Vec<(u8, bool)>,
    other_owners: bool,
    deleting: bool,
    wrong_type: bool,
    revision: Option<u8>,
    owned_fields: Option<u8>,
    /// Whether a POST has made it.
    posted: bool,
    alone: bool,
}

#[derive(Debug, Arbitrary)]
struct AnyAccount {
    /// In order; from 2 on they are others' or nobody's.
    entries: Vec<u8>,
    records: [Option<u8>; 2],
    annotated: bool,
    deleting: bool,
    applied: bool,
    fought: [bool; 2],
}

fn pick<'a>(from: &[&'a str], which: u8) -> &'a str {
    from[usize::from(which) % from.len()]
}

fn uid(credential: &str) -> String {
    format!("uid of {credential}")
}

fn revision(credential: &str) -> Revision {
    static REVISIONS: OnceLock<Vec<Revision>> = OnceLock::new();
    let revisions = REVISIONS.get_or_init(|| {
        let of = |name: &&str| {
            let config = DockerConfig::render([]).expect("small");
            PullSecret::new(
                (*name).into(),
                Default::default(),
                Default::default(),
                &config,
                None,
                &RevisionKey::nobodys(),
            )
            .revision()
            .clone()
        };
        CREDENTIALS.iter().map(of).collect()
    });
    revisions[CREDENTIALS.iter().position(|name| *name == credential).expect("known")].clone()
}

impl AnyClaim {
    fn desired(&self, credential: &str) -> Desired {
        let namespaces = NamespaceTargets {
            names: vec![if self.elsewhere { "elsewhere" } else { NAMESPACE }.to_owned()],
            ..NamespaceTargets::default()
        };
        let chosen: Vec<String> =
            ACCOUNTS.iter().zip(self.chosen).filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned()).collect();
        let mode = if chosen.is_empty() { AttachMode::None } else { AttachMode::ServiceAccounts };
        let accounts = ServiceAccountTargets { names: Some(chosen), ..Default::default() };
        let attach = AttachTargets { mode, service_accounts: Some(accounts) };
        let scope = Scope::Known {
            namespaces: NamespaceRule::new(&namespaces).expect("no selector"),
            service_accounts: ServiceAccountRule::new(&attach).expect("no selector"),
        };
        // One whose spec can't be read is always held.
        let held = self.held || self.unknown;
        // Nor does it say who makes its Secrets.
        let attaches = self.attaches && !self.unknown;
        Desired {
            credential: credential.into(),
            uid: uid(credential).into(),
            created: Timestamp::from_second(i64::from(self.created % 3)).expect("a time"),
            secret: SECRETS[usize::from(self.other_name)].into(),
            maker: if attaches { Maker::Others } else { Maker::Us },
            scope: if self.unknown { Scope::Unknown } else { scope },
            policy: if self.adopts && !attaches { ConflictPolicy::Adopt } else { ConflictPolicy::Fail },
            state: match (held, attaches) {
                (true, _) => DesiredState::Stalled,
                (false, true) => DesiredState::Attached,
                (false, false) => DesiredState::Resolved { revision: revision(credential), fields: FIELDS },
            },
            stuck: Default::default(),
        }
    }
}

impl AnySecret {
    fn stored(&self, name: &str) -> StoredSecret {
        let owner = |(which, earlier): &(u8, bool)| {
            let name = pick(&CREDENTIALS, *which);
            let uid = if *earlier { "uid of an earlier one".to_owned() } else { uid(name) };
            (name.into(), uid.as_str().into())
        };
        let label = self.label.map(|which| pick(&CREDENTIALS, which));
        let meta = Secret {
            uid: format!("uid of {name}").into(),
            resource_version: ResourceVersion(7),
            created: Second(0),
            deleting: self.deleting,
            wrong_type: self.wrong_type,
            label: label.map(Into::into),
            credential_owners: self.owners.iter().take(3).map(owner).collect(),
            other_owners: if self.other_owners { OtherOwners::Some } else { OtherOwners::None },
            revision: self.revision.map(|which| revision(pick(&CREDENTIALS, which)).as_str().into()),
            owned_fields: self.owned_fields.map(|count| usize::from(count % 4)),
            creation: self.posted.then_some(1),
            is_ours_alone: self.alone,
        };
        StoredSecret { meta, data: label.map_or("somebody's".to_owned(), |label| data_of(&label.into())) }
    }
}

impl AnyAccount {
    fn stored(&self, name: &str) -> Value {
        let entry = |which: &u8| match which % 5 {
            which @ 0..2 => json!({"name": SECRETS[usize::from(which)]}),
            2 => json!({}),
            which => json!({"name": format!("theirs-{which}")}),
        };
        let mut entries: Vec<Value> = self.entries.iter().take(6).map(entry).collect();
        let mut metadata = json!({"name": name, "uid": uid(name), "resourceVersion": "41"});
        let mut annotations = serde_json::Map::new();
        if self.annotated {
            annotations.insert("example.com/a~b".to_owned(), json!("foreign"));
        }
        for (secret, record) in SECRETS.iter().zip(self.records) {
            if let Some(which) = record {
                annotations.insert(format!("{ADDED_PREFIX}{secret}"), json!(pick(&CREDENTIALS, which)));
            }
        }
        if !annotations.is_empty() {
            metadata["annotations"] = annotations.into();
        }
        if self.deleting {
            metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        if self.applied {
            metadata["appliedBy"] = json!("argocd");
        }
        let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
        if !entries.is_empty() {
            account["imagePullSecrets"] = std::mem::take(&mut entries).into();
        }
        account
    }
}

fuzz_target!(|input: Input| {
    let all_desired = CREDENTIALS.iter().zip(&input.all_desired);
    let mut all_desired: Vec<Desired> =
        all_desired.filter_map(|(name, any)| any.as_ref().map(|any| any.desired(name))).collect();
    all_desired.sort_by(|a, b| a.credential.cmp(&b.credential));
    let all_desired: Vec<&Desired> = all_desired.iter().collect();
    let secrets = SECRETS.iter().zip(&input.secrets);
    let accounts = || ACCOUNTS.iter().zip(&input.accounts);
    let mut world = World {
        secrets: secrets.filter_map(|(name, any)| Some(((*name).into(), any.as_ref()?.stored(name)))).collect(),
        accounts: accounts().filter_map(|(name, any)| Some(((*name).into(), any.as_ref()?.stored(name)))).collect(),
    };
    let mut contested = Contested::new();
    for (name, any) in accounts().filter_map(|(name, any)| Some((name, any.as_ref()?))) {
        let fought = SECRETS.iter().zip(any.fought).filter(|(_, is)| *is);
        contested.extend(fought.map(|(secret, _)| ((*name).into(), SecretName::from(*secret))));
    }
    let absent = SECRETS.iter().zip(input.long_absent).filter(|(_, is)| *is);
    let long_absent: LongAbsent = absent.map(|(secret, _)| SecretName::from(*secret)).collect();

    let namespace = NAMESPACE.into();
    let start = world.clone();
    let end = spec::specified_end(&namespace, &all_desired, &world, &contested, &long_absent);
    for round in 0.. {
        assert!(round <= ROUNDS + input.lost.len(), "the run doesn't end");
        let seen = world.observe();
        let mut steps = plan::plan(&namespace, &all_desired, &seen, &contested, &long_absent);
        steps.retain(|step| !matches!(step, Step::Refuse { .. }));
        if steps.is_empty() {
            break;
        }
        let lost = input.lost.get(round).copied().unwrap_or_default();
        for (at, step) in steps.iter().enumerate() {
            // A shift by more than a byte has: that step isn't lost.
            if u32::from(lost).checked_shr(at as u32).unwrap_or_default() & 1 == 0 {
                let before = world.clone();
                assert_eq!(world.execute(step, &all_desired, &seen), Answer::Done, "{step:?}");
                assert_ne!(world, before, "a write for nothing: {step:?}");
            }
        }
    }
    assert_eq!(world.timeless().unmarked(), end, "it ends elsewhere than specified");
    forecast_check::check(&namespace, &all_desired, (&contested, &long_absent), &start, &world);
});
