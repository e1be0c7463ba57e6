//! PURE: what a person should look at, and what to do about it.

use super::{
    case::{Asked, Case},
    report::Finding,
    subject::Kind,
};
use crate::{
    image::{Keyring, Reference},
    pull::{Answer, Credentials, Outcome, Seen},
};

/// What is wrong with the pull secrets, whatever the image.
pub fn of_secrets(case: &Case) -> Vec<Finding> {
    let Some(subject) = &case.subject else { return Vec::new() };
    let namespace = &subject.namespace;
    let finding = |name: &str, seen: &Seen| match seen {
        Seen::Missing => Some(Finding {
            reason: "PullSecretMissing",
            message: format!("Secret {namespace}/{name} doesn't exist; the kubelet goes on without it"),
            remedy: format!(
                "Create it, or take {name} out of imagePullSecrets. A pod that waits for it heals by itself."
            ),
        }),
        Seen::NoPullSecret { secret_type } => Some(Finding {
            reason: "NoPullSecret",
            message: format!("Secret {namespace}/{name} is passed over: it is of type {secret_type}, or empty"),
            remedy: "Make it again as kubernetes.io/dockerconfigjson (kubectl create secret docker-registry), as a \
                     Secret's type can't be changed."
                .to_owned(),
        }),
        Seen::Unparseable(fault) => Some(Finding {
            reason: "PullSecretUnparseable",
            message: format!("Secret {namespace}/{name} can't be read by the kubelet: {fault}"),
            remedy: format!(
                "Make it again (kubectl create secret docker-registry), or take {name} out of imagePullSecrets: until \
                 then no image is pulled for a pod that names it."
            ),
        }),
        Seen::Unseen(_) | Seen::NotRead { .. } | Seen::Read { .. } => None,
    };
    let mut found: Vec<Finding> = case.secrets.iter().filter_map(|named| finding(&named.name, &named.seen)).collect();
    found.dedup();
    found
}

/// What is wrong with an image.
pub fn of_image(case: &Case, asked: &Asked<'_>, credentials: Option<&Credentials>) -> Vec<Finding> {
    let reference = match &asked.reference {
        Ok(reference) => reference,
        Err(error) => {
            return vec![Finding {
                reason: "InvalidImageName",
                message: format!("{:?} isn't an image reference: {error}", asked.image),
                remedy: "Correct it in the manifest: a container with it never starts.".to_owned(),
            }];
        }
    };
    let Some(credentials) = credentials else { return Vec::new() };
    let mut found = Vec::new();
    if credentials.all_expired() {
        found.push(Finding {
            reason: "CredentialExpired",
            message: format!(
                "every credential for {} is a token that was valid for some hours and is older than that",
                reference.name()
            ),
            remedy: "Renew it by whatever made it, or use a credential that lasts. Taking it out of imagePullSecrets \
                     does for a public image, which it keeps from being pulled."
                .to_owned(),
        });
    }
    if matches!(credentials.outcome, Outcome::Anonymous | Outcome::Unknown) {
        found.extend(not_named(case, reference));
    }
    found.extend(
        asked
            .uses
            .iter()
            .filter_map(|it| it.waiting.as_ref())
            .find_map(|(reason, message)| waiting(reason, message, reference, credentials.outcome)),
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

/// What a container's state says of the pull.
fn waiting(reason: &str, message: &str, reference: &Reference, outcome: Outcome) -> Option<Finding> {
    let name = reference.name();
    if reason == "ErrImageNeverPull" {
        return Some(Finding {
            reason: "ImageNeverPulled",
            message: format!("the pull policy is Never, and the node has no {name} that the pod may use"),
            remedy: "Load the image onto the node, or use IfNotPresent.".to_owned(),
        });
    }
    // What the kubelet says of a Secret that it can't read is no registry's answer.
    if !matches!(reason, "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable")
        || matches!(outcome, Outcome::Blocked(_))
    {
        return None;
    }
    let answer = if reason == "RegistryUnavailable" { Answer::Network } else { Answer::of(message) };
    let (reason, remedy) = match (answer, outcome) {
        (Answer::Unauthorized | Answer::Forbidden, Outcome::Credentials) => (
            "CredentialRefused",
            "Renew the credential, or let it read the image. If the image is public, take the Secret out of \
             imagePullSecrets: a stale credential keeps the kubelet from asking anonymously.",
        ),
        (Answer::Unauthorized | Answer::Forbidden, Outcome::Unknown) => {
            ("PullRefused", "Add --read-secrets to find out whether one of the pull secrets is for the image.")
        }
        (Answer::Unauthorized | Answer::Forbidden, _) => {
            ("AnonymousRefused", "Give the pod a pull secret for the registry, if the image exists.")
        }
        (Answer::NotFound, _) => (
            "ImageNotFound",
            "Check the repository and the tag; some registries answer so to a login that may not read it.",
        ),
        (Answer::TooMany, _) => ("TooManyPulls", "Wait, or pull with a login, or through a cache of your own."),
        (Answer::Network, _) => {
            ("RegistryUnreachable", "Check the registry's name, its certificate, and the way from the node to it.")
        }
        (Answer::Other, _) => ("PullFailed", "kubectl describe pod shows what the kubelet says."),
    };
    Some(Finding { reason, message: format!("{name} can't be pulled: {answer}"), remedy: remedy.to_owned() })
}
