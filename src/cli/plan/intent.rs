//! PURE: a RegistryCredential before and after → what the operator would have to write for it, as far as that can be known.
//!
//! The source may not have been read. Then what the operator itself says in the status stands, as long as what decides
//! about the contents is the same: the credential, the registries and the template.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::api::DynamicObject;

use crate::{
    api::{
        CredentialSource, Reason, RegistryCredentialSpec, RegistryCredentialStatus, SecretTemplate, StallCause, Stalled,
    },
    credential::{Revision, RevisionKey, SourceSecret, manifest::field_count},
    plan::{
        Desired, DesiredState, Namespace,
        decoded::{DecodedCredential, Limits, source_missing},
    },
    process::Text,
};

/// The operator's flags as far as the user knows them.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// What they come to.
    pub limits: Limits,
    /// The reasons to hold that were decided by a flag which was given; about the others the operator knows better.
    pub decided: BTreeSet<Reason>,
    /// The operator's own, where the user may read it: without it, nothing can be compared.
    pub revision_key: Option<RevisionKey>,
}

/// What is known of the Secret that a credential comes from.
#[derive(Debug)]
pub enum Source {
    /// It isn't known: it was not looked at, or the user may not.
    NotRead,
    /// It is this.
    Found(SourceSecret),
    /// It will be this.
    Applied(SourceSecret),
    /// It doesn't exist.
    Missing,
}

/// What a Secret of the credential's should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Exactly this.
    Known(Revision),
    /// What the operator has applied there: nothing that decides about it changes.
    AsApplied,
    /// The same as far as is known, but the operator hasn't said that it has rolled out all that decides about it.
    Unsettled,
    /// Something else than what is there, whatever that is.
    New,
    /// What the files bring, which can't be compared: it counts as something else.
    Brought,
    /// Whatever those put there who make it.
    OfOthers,
}

/// What there is to write for a RegistryCredential.
#[derive(Debug)]
pub struct Intent {
    /// What it wants.
    pub decoded: DecodedCredential,
    /// The contents, or why nothing is written.
    pub contents: Result<Contents, Stalled>,
    fields: usize,
}

impl Intent {
    /// Of a RegistryCredential that is like `after`, and was like `before`.
    pub fn new(before: Option<&DynamicObject>, after: &DynamicObject, source: Source, flags: &Flags) -> Self {
        let decoded = DecodedCredential::new(after, &flags.limits);
        let was = before.map(|before| DecodedCredential::new(before, &flags.limits));
        let same = was.is_some_and(|was| was.spec().map(decides) == decoded.spec().map(decides));
        let word = before.filter(|_| same).map_or(Word::Unknown, Word::of);
        let template = decoded.spec().map(|spec| &spec.secret_template);
        let fields = template.map_or(0, |template| field_count(&template.labels, &template.annotations));
        Self { contents: contents(&decoded, source, same, word, flags), decoded, fields }
    }

    /// What it asks of namespaces; the contents are those of [`Intent::state_in`].
    pub fn desired(&self) -> Desired {
        match &self.contents {
            Err(stalled) if stalled.cause() == StallCause::Withdrawn => self.decoded.withdrawn(),
            _ => self.decoded.desired(self.state(None)),
        }
    }

    /// What there is to write in a namespace: where any contents that the operator has applied will do, those that are
    /// there.
    pub fn state_in(&self, namespace: &Namespace) -> DesiredState {
        self.state(namespace.secrets.get(&self.decoded.secret).and_then(|secret| secret.revision.as_ref()))
    }

    fn state(&self, there: Option<&Text>) -> DesiredState {
        const NONE: &str = "unknown";
        let revision = match &self.contents {
            Err(stalled) if stalled.cause() == StallCause::Withdrawn => Revision::assumed(NONE),
            Err(_) => return DesiredState::Stalled,
            Ok(Contents::Known(revision)) => revision.clone(),
            Ok(Contents::AsApplied | Contents::Unsettled) => Revision::assumed(there.map_or(NONE, Text::as_str)),
            Ok(Contents::New | Contents::Brought) => Revision::assumed(NONE),
            Ok(Contents::OfOthers) => return DesiredState::Attached,
        };
        DesiredState::Resolved { revision, fields: self.fields }
    }
}

/// What decides about the contents, beside the source.
fn decides(spec: &RegistryCredentialSpec) -> (Option<&CredentialSource>, BTreeSet<&String>, &SecretTemplate) {
    (spec.credential.as_ref(), spec.registries.iter().collect(), &spec.secret_template)
}

fn contents(
    decoded: &DecodedCredential,
    source: Source,
    same: bool,
    word: Word,
    flags: &Flags,
) -> Result<Contents, Stalled> {
    let source_at = decoded.source(&flags.limits)?;
    let settled = matches!(word, Word::RolledOut);
    let said = match word {
        Word::Stalled(held) if !flags.decided.contains(&held.reason) => Some(held),
        _ => None,
    };
    let Some((namespace, kind)) = source_at else {
        // There is no source that the status could say anything of; of flags the operator knows better.
        return said.filter(|held| by_flag(held.reason)).map_or(Ok(Contents::OfOthers), Err);
    };
    let assumed = match (same, settled) {
        (true, true) => Contents::AsApplied,
        (true, false) => Contents::Unsettled,
        (false, _) => Contents::New,
    };
    // Whether the source can be used is known without the key, too.
    let revision = |source: &SourceSecret| {
        let key = flags.revision_key.clone().unwrap_or_else(RevisionKey::nobodys);
        let resolved = decoded.resolve(source, &flags.limits, &key, Timestamp::now())?;
        Ok(flags.revision_key.is_some().then(|| Contents::Known(resolved.pull_secret.revision().clone())))
    };
    match (source, said) {
        // That the user may read the source doesn't help the operator.
        (_, Some(held)) if by_flag(held.reason) || held.reason == Reason::SourceUnreadable => Err(held),
        (Source::Found(source), _) => Ok(revision(&source)?.unwrap_or(assumed)),
        (Source::Applied(source), _) => Ok(revision(&source)?.unwrap_or(Contents::Brought)),
        (Source::Missing, _) => Err(source_missing(namespace, kind)),
        (Source::NotRead, Some(held)) => Err(held),
        (Source::NotRead, None) => Ok(assumed),
    }
}

/// Whether the operator's flags decide about this.
fn by_flag(reason: Reason) -> bool {
    matches!(reason, Reason::NamespaceNotAllowed | Reason::SecretNameNotAllowed | Reason::RegistryNotAllowed)
}

/// What the operator says of a RegistryCredential in its status.
#[derive(PartialEq)]
enum Word {
    /// It has a pull secret, and every namespace that could get it has it.
    RolledOut,
    /// It has a pull secret.
    RollingOut,
    /// It has none, for a reason that the spec alone doesn't tell.
    Stalled(Stalled),
    /// Nothing, or nothing of this spec.
    Unknown,
}

/// Whether the operator says that it has a pull secret for this spec.
pub fn works(object: &DynamicObject) -> bool {
    matches!(Word::of(object), Word::RolledOut | Word::RollingOut)
}

impl Word {
    fn of(object: &DynamicObject) -> Self {
        let status = object.data.get("status").cloned().unwrap_or_default();
        let Ok(status) = serde_json::from_value::<RegistryCredentialStatus>(status) else { return Self::Unknown };
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
        let Some(ready) = ready.filter(|_| status.observed_generation == object.metadata.generation) else {
            return Self::Unknown;
        };
        let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == ready.reason);
        match reason {
            Some(Reason::RolledOut | Reason::PartiallyReady) => Self::RolledOut,
            Some(Reason::RollingOut) => Self::RollingOut,
            Some(
                reason @ (Reason::SourceNotFound
                | Reason::SourceKeyNotFound
                | Reason::SourceUnreadable
                | Reason::InvalidKey
                | Reason::InvalidCredential
                | Reason::TokenExpired
                | Reason::SourceTypeNotAllowed
                | Reason::SourceNotMarked
                | Reason::RegistryNotInSource
                | Reason::Revoked
                | Reason::NamespaceNotAllowed
                | Reason::SecretNameNotAllowed
                | Reason::RegistryNotAllowed),
            ) => Self::Stalled(Stalled::new(reason, ready.message.clone())),
            _ => Self::Unknown,
        }
    }
}
