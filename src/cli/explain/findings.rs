//! PURE: what a person should look at, and what to do about it.

use super::{
    case::{Asked, Case},
    subject::Kind,
};
use crate::{
    image::{Keyring, Reference},
    pull::{Credentials, Finding, Outcome, of_credentials, of_reference, of_secret, of_waiting},
};

/// What is wrong with the pull secrets, whatever the image.
pub fn of_secrets(case: &Case) -> Vec<Finding> {
    let Some(subject) = &case.subject else { return Vec::new() };
    let mut found: Vec<Finding> =
        case.secrets.iter().filter_map(|named| of_secret(&subject.namespace, &named.name, &named.seen)).collect();
    found.dedup();
    found
}

/// What is wrong with an image.
pub fn of_image(case: &Case, asked: &Asked<'_>, credentials: Option<&Credentials>) -> Vec<Finding> {
    let reference = match &asked.reference {
        Ok(reference) => reference,
        Err(error) => {
            return vec![of_reference(asked.image, *error)];
        }
    };
    let Some(credentials) = credentials else { return Vec::new() };
    let mut found: Vec<Finding> = of_credentials(reference, credentials).into_iter().collect();
    if matches!(credentials.outcome, Outcome::Anonymous | Outcome::Unknown) {
        found.extend(not_named(case, reference));
    }
    found.extend(
        asked
            .uses
            .iter()
            .filter_map(|it| it.waiting.as_ref())
            .find_map(|(reason, message)| of_waiting(reason, message, reference, credentials.outcome)),
    );
    found
}

/// A Secret that would be for the image and isn't among the subject's.
fn not_named(case: &Case, reference: &Reference) -> Option<Finding> {
    let subject = case.subject.as_ref()?;
    let named = |name: &str| subject.pull_secrets.iter().any(|own| own == name);
    let is_for = |registries: &[String]| {
        let mut keyring = Keyring::default();
        registries.iter().for_each(|name| keyring.add(name, ()));
        !keyring.lookup(reference).is_empty()
    };
    let credential = case.credentials.iter().find(|it| is_for(&it.says.registries) && !named(&it.secret));
    let account = format!("{}/{}", subject.namespace, subject.service_account);
    let later = subject.of_service_account.iter().flatten().find(|name| match credential {
        Some(credential) => **name == credential.secret,
        // What is known to be for other images doesn't help.
        None => !named(name) && !case.credentials.iter().any(|it| it.secret == **name),
    });
    match (later, credential) {
        (Some(secret), _) if subject.kind == Kind::Pod => Some(Finding {
            reason: "PodWithoutPullSecret",
            message: format!("service account {account} names the pull secret {secret}, and the pod doesn't"),
            remedy: "Have the pod created again (kubectl rollout restart): a pod takes the list over only when it is \
                     created, and only where it has none of its own; to a list of its own, add the name."
                .to_owned(),
        }),
        (_, Some(credential)) => Some(Finding {
            reason: "PullSecretNotNamed",
            message: format!(
                "RegistryCredential {} is for {}, and its Secret {} isn't among the pull secrets",
                credential.says.credential,
                reference.name(),
                credential.secret
            ),
            remedy: format!(
                "Have it choose service account {account} (spec.namespaces, spec.serviceAccounts), or name the Secret \
                 in the pod's imagePullSecrets."
            ),
        }),
        (_, None) => None,
    }
}
