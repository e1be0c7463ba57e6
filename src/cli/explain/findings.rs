//! PURE: what a person should look at, and what to do about it.

use super::{
    case::{Asked, Case},
    subject::Subject,
};
use crate::{
    cli::diagnosis::{Finding, lack, nearest, of_credentials, of_named, of_reference, of_waiting, passed_over},
    image::{
        Reference,
        pull::{Credentials, Outcome, Waiting},
    },
};

/// What is wrong with the pull secrets, whatever the image.
pub fn of_secrets(case: &Case) -> Vec<Finding> {
    let Some(Subject { pod, .. }) = &case.subject else { return Vec::new() };
    let named = pod.pull_secrets.iter();
    let mut found: Vec<Finding> = named.filter_map(|name| of_named(&case.cluster, &pod.namespace, name)).collect();
    found.dedup();
    found
}

/// What is wrong with an image, beside what is wrong with the pull secrets already.
pub fn of_image(
    case: &Case,
    asked: &Asked<'_>,
    credentials: Option<&Credentials>,
    of_secrets: &[Finding],
) -> Vec<Finding> {
    let reference = match &asked.reference {
        Ok(reference) => reference,
        Err(error) => {
            return vec![of_reference(asked.image, *error)];
        }
    };
    let Some(credentials) = credentials else { return Vec::new() };
    let mut found: Vec<Finding> = of_credentials(reference, credentials).into_iter().collect();
    if matches!(credentials.outcome, Outcome::Anonymous | Outcome::Unknown) {
        found.extend(lacking(case, reference, credentials.outcome).filter(|it| !of_secrets.contains(it)));
    }
    let mut waiting = asked.uses.iter().filter_map(|it| it.waiting.as_ref());
    found.extend(waiting.find_map(|(reason, message)| {
        of_waiting(Waiting::of(reason.as_str(), message)?, reference, credentials.outcome)
    }));
    found
}

/// Why the pod has no pull secret for the image.
fn lacking(case: &Case, reference: &Reference, outcome: Outcome) -> Option<Finding> {
    let (pod, cluster) = (&case.subject.as_ref()?.pod, &case.cluster);
    let matching = cluster.credentials_for(&cluster.keyring(), reference);
    match nearest(cluster, pod, &matching) {
        Some(credential) => lack(cluster, pod, credential, outcome),
        None => passed_over(cluster, pod),
    }
}
