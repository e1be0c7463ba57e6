//! What is to become of one Secret's entry in one service account.

use super::{
    claim::{Claim, ClaimState},
    observed::{ServiceAccount, WriteOperation},
    refusal::Refusal,
    service_account::Change,
    verdict::Verdict,
};
use crate::api::{ConflictPolicy, CredentialName, SecretName, ServiceAccountName};

/// What to do about one entry.
pub(super) enum Decision {
    /// Nothing.
    Leave,
    /// One change of the service account.
    Change(Change),
    /// Nothing, though a credential wants it.
    Refuse(CredentialName, Refusal),
}

/// Decides about the entry for `secret` in one service account. `taken_away`: somebody keeps removing it.
pub(super) fn decide(
    name: &ServiceAccountName,
    observed: &ServiceAccount,
    secret: &SecretName,
    verdict: &Verdict<'_>,
    claims: &[&Claim],
    taken_away: bool,
) -> Decision {
    let record = observed.added.get(secret);
    let held = |record: &CredentialName| {
        claims.iter().any(|c| c.state == ClaimState::Held && c.credential == *record && c.may_have_made(secret))
    };
    if record.is_some_and(held) {
        return Decision::Leave;
    }
    match verdict {
        Verdict::Frozen(_) => Decision::Leave,
        Verdict::Present(claim) if claim.chooses(name, observed) => want(name, observed, secret, claim, taken_away),
        // What is there stays while the Secret is being made; nothing is added before it is there.
        Verdict::Pending(claim) if claim.chooses(name, observed) => Decision::Leave,
        Verdict::Present(_) | Verdict::Pending(_) | Verdict::Unwanted => take_back(observed, secret),
        // Who orphaned the Secret wants pods to go on using it.
        Verdict::Refused { orphaned_by, .. } | Verdict::Idle { orphaned_by } => {
            if record.is_some() && record == orphaned_by.as_ref() {
                Decision::Leave
            } else {
                take_back(observed, secret)
            }
        }
    }
}

/// The entry is wanted, and our Secret is there.
fn want(
    name: &ServiceAccountName,
    observed: &ServiceAccount,
    secret: &SecretName,
    claim: &Claim,
    taken_away: bool,
) -> Decision {
    let credential = || claim.credential.clone();
    if observed.entries.contains(secret) {
        return match observed.added.get(secret) {
            Some(record) if *record == claim.credential => Decision::Leave,
            // Somebody else's entry does what we want; it stays theirs.
            None if claim.policy == ConflictPolicy::Fail => Decision::Leave,
            Some(_) | None => Decision::Change(Change::Record(secret.clone(), credential())),
        };
    }
    let writer = observed.list_writer.as_ref();
    let refusal = if taken_away {
        Refusal::TakenAway {
            service_account: name.clone(),
            secret: secret.clone(),
            manager: writer.map(|w| w.manager.clone()),
        }
    } else if let (Some(writer), ConflictPolicy::Fail) =
        (writer.filter(|w| w.operation == WriteOperation::Apply), claim.policy)
    {
        Refusal::Applied { service_account: name.clone(), secret: secret.clone(), manager: writer.manager.clone() }
    } else {
        return Decision::Change(Change::Append(secret.clone(), credential()));
    };
    Decision::Refuse(credential(), refusal)
}

/// The entry isn't wanted: what our record says that we added goes, and nothing else.
fn take_back(observed: &ServiceAccount, secret: &SecretName) -> Decision {
    if !observed.added.contains_key(secret) {
        Decision::Leave
    } else if observed.entries.contains(secret) {
        Decision::Change(Change::Remove(secret.clone()))
    } else {
        Decision::Change(Change::Forget(secret.clone()))
    }
}
