//! PURE: what there is and what there would be → the report.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    intent::{Contents, Intent},
    question::{Action, Subjects},
    report::{
        Change, Counts, CredentialShape, EntryShape, Held, NamespaceShape, PlanReport, RefusalShape, SecretShape,
    },
    table::names,
};
use crate::{
    api::{CredentialName, NamespaceName},
    plan::{self, Contested, Desired, Effect, LongAbsent, Namespace, RefFate, SecretFate, UpdateCause},
};

/// All that a report is made of.
pub struct Case {
    /// What would happen to RegistryCredentials.
    pub action: Action,
    /// The one namespace that was looked at; `None` where all were.
    pub namespace: Option<String>,
    /// What there is, by name.
    pub namespaces: Vec<(NamespaceName, Namespace)>,
    /// The RegistryCredentials that exist.
    pub before: Vec<Intent>,
    /// Those that would.
    pub after: Vec<Intent>,
    /// What is asked about and what would happen to each; `None` where all are.
    pub subjects: Option<Subjects>,
    /// What isn't known.
    pub notes: Vec<String>,
}

/// Makes the report. What is told of a RegistryCredential that isn't asked about is only what follows from the rest.
pub fn compose(case: Case) -> PlanReport {
    let credentials = credentials(&case);
    let mut notes = case.notes.clone();
    notes.extend(not_compared(&case));
    let (mut before, mut after) = (Side::new(&case.before), Side::new(&case.after));
    let mut namespaces = Vec::new();
    for (name, namespace) in &case.namespaces {
        let mut effects = after.effects(name, namespace);
        if let Some(subjects) = &case.subjects {
            let anyway = match case.action {
                Action::None => BTreeSet::new(),
                Action::Apply | Action::Delete => before.effects(name, namespace),
            };
            let follows = |effect: &Effect| case.action != Action::None && !anyway.contains(effect);
            effects.retain(|effect| subjects.contains_key(whose(effect)) || follows(effect));
        }
        if !effects.is_empty() {
            namespaces.push(shape(name, effects));
        }
    }
    let counts = count(&credentials, &namespaces);
    PlanReport {
        action: case.action.as_str(),
        namespace: case.namespace,
        registry_credentials: credentials,
        namespaces,
        counts,
        notes,
    }
}

/// Says of whose Secrets it isn't known what they should hold.
fn not_compared(case: &Case) -> Vec<String> {
    let is_subject = |name: &CredentialName| case.subjects.as_ref().is_none_or(|all| all.contains_key(name));
    let with = |contents: Contents| {
        let intents = case.after.iter().filter(|intent| intent.contents.as_ref() == Ok(&contents));
        let all: Vec<&str> =
            intents.map(|it| &it.decoded.credential).filter(|it| is_subject(it)).map(|it| it.as_str()).collect();
        Some(names(&all)).filter(|names| !names.is_empty())
    };
    let as_applied = with(Contents::AsApplied).map(|names| {
        format!(
            "contents not compared for {names}: what regcred has applied and nobody has changed counts as current; add \
             --read-source, if you may read the source, to compare it"
        )
    });
    let unsettled = with(Contents::Unsettled).map(|names| {
        format!(
            "contents not compared for {names}: the status doesn't say that the newest spec is rolled out, so Secrets that \
             count as current here may have to be updated; add --read-source, if you may read the source, to compare them"
        )
    });
    let new = with(Contents::New).map(|names| {
        format!(
            "the source wasn't read for {names}, so it isn't known whether it can be used; add --read-source, if you may \
             read it"
        )
    });
    [as_applied, unsettled, new].into_iter().flatten().collect()
}

/// RegistryCredentials and what they ask of one namespace after the other.
struct Side<'a> {
    intents: &'a [Intent],
    all_desired: Vec<Desired>,
}

impl<'a> Side<'a> {
    fn new(intents: &'a [Intent]) -> Self {
        Self { intents, all_desired: intents.iter().map(Intent::desired).collect() }
    }

    fn effects(&mut self, name: &NamespaceName, namespace: &Namespace) -> BTreeSet<Effect> {
        for (desired, intent) in self.all_desired.iter_mut().zip(self.intents) {
            desired.state = intent.state_in(namespace);
        }
        let all_desired: Vec<&Desired> = self.all_desired.iter().collect();
        let namespace = as_the_operator_sees(name, namespace, &all_desired);
        plan::forecast(name, &all_desired, &namespace, &Contested::new(), &LongAbsent::new()).effects
    }
}

/// No watch of the operator's tells of a Secret of another type: it is found where one of its name can't be made.
fn as_the_operator_sees<'a>(
    name: &NamespaceName,
    namespace: &'a Namespace,
    all_desired: &[&Desired],
) -> Cow<'a, Namespace> {
    if !namespace.secrets.values().any(|secret| secret.wrong_type) {
        return Cow::Borrowed(namespace);
    }
    let mut seen = namespace.clone();
    let wanted = |desired: &&&Desired| desired.targets(name, namespace);
    seen.secrets.retain(|secret, there| {
        !there.wrong_type || all_desired.iter().filter(wanted).any(|desired| desired.secret == *secret)
    });
    Cow::Owned(seen)
}

fn whose(effect: &Effect) -> &CredentialName {
    match effect {
        Effect::Secret { credential, .. } | Effect::Entry { credential, .. } | Effect::Refused { credential, .. } => {
            credential
        }
    }
}

fn credentials(case: &Case) -> Vec<CredentialShape> {
    let shape = |name: &CredentialName, change: Change| {
        let intent = case.after.iter().find(|intent| intent.decoded.credential == *name);
        let contents = intent.map(|intent| intent.contents.as_ref());
        CredentialShape {
            name: name.to_string(),
            change,
            held: contents
                .as_ref()
                .and_then(|it| it.as_ref().err())
                .map(|held| Held { reason: held.reason.to_string(), message: held.message.clone() }),
            contents: contents.and_then(Result::ok).and_then(|contents| match contents {
                Contents::Known(_) => Some("Compared"),
                Contents::AsApplied | Contents::Unsettled | Contents::New | Contents::Brought => Some("NotCompared"),
                Contents::OfOthers => None,
            }),
        }
    };
    match &case.subjects {
        Some(subjects) => subjects.iter().map(|(name, change)| shape(name, *change)).collect(),
        None => case.after.iter().map(|intent| shape(&intent.decoded.credential, Change::None)).collect(),
    }
}

fn shape(name: &NamespaceName, effects: BTreeSet<Effect>) -> NamespaceShape {
    let (mut secrets, mut entries, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Secret { secret, credential, fate } => {
                let (action, cause) = match fate {
                    SecretFate::Created => ("Create", None),
                    SecretFate::Updated(cause) => ("Update", Some(word(cause))),
                    SecretFate::Deleted => ("Delete", None),
                };
                let registry_credential = credential.to_string();
                secrets.push(SecretShape { name: secret.to_string(), action, cause, registry_credential });
            }
            Effect::Entry { service_account, secret, credential, fate } => entries.push(EntryShape {
                service_account: service_account.to_string(),
                secret: secret.to_string(),
                action: match fate {
                    RefFate::Added => "Add",
                    RefFate::Removed => "Remove",
                    RefFate::Recorded => "Record",
                    RefFate::Forgotten => "Forget",
                },
                registry_credential: credential.to_string(),
            }),
            Effect::Refused { credential, refusal } => refusals.push(RefusalShape {
                registry_credential: credential.to_string(),
                reason: refusal.reason().as_str(),
                message: refusal.to_string(),
            }),
        }
    }
    NamespaceShape { name: name.to_string(), secrets, entries, refusals }
}

fn word(cause: UpdateCause) -> &'static str {
    match cause {
        UpdateCause::Contents => "Contents",
        UpdateCause::Drift => "Drift",
        UpdateCause::Adopted => "Adopted",
        UpdateCause::Inherited => "Inherited",
        UpdateCause::Replaced => "Replaced",
    }
}

fn count(credentials: &[CredentialShape], namespaces: &[NamespaceShape]) -> Counts {
    let mut counts = Counts { held: credentials.iter().filter(|it| it.held.is_some()).count(), ..Counts::default() };
    for namespace in namespaces {
        for secret in &namespace.secrets {
            let secrets = &mut counts.secrets;
            *match secret.action {
                "Create" => &mut secrets.create,
                "Update" => &mut secrets.update,
                _ => &mut secrets.delete,
            } += 1;
        }
        for entry in &namespace.entries {
            let entries = &mut counts.entries;
            *match entry.action {
                "Add" => &mut entries.add,
                "Remove" => &mut entries.remove,
                "Record" => &mut entries.record,
                _ => &mut entries.forget,
            } += 1;
        }
        let accounts: BTreeSet<&str> = namespace.entries.iter().map(|it| it.service_account.as_str()).collect();
        counts.service_accounts += accounts.len();
        counts.refused += namespace.refusals.len();
        counts.namespaces += usize::from(!namespace.secrets.is_empty() || !namespace.entries.is_empty());
    }
    counts
}
