//! What a person should look at, and what to do about it: of a pull secret, and of a container that waits for its image.

use serde::Serialize;

use crate::image::{
    Reference, ReferenceError,
    pull::{Answer, Credentials, Outcome, Seen, Waiting},
};

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// One word, from a fixed set.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// What is wrong with a Secret that is named as a pull secret, whatever the image.
pub fn of_secret(namespace: &str, name: &str, seen: &Seen) -> Option<Finding> {
    match seen {
        Seen::Missing => Some(Finding {
            reason: "PullSecretMissing",
            message: format!("Secret {namespace}/{name} doesn't exist; the kubelet goes on without it"),
            remedy: "Create it, or take its name out of imagePullSecrets. A pod that waits for it heals by itself."
                .to_owned(),
        }),
        Seen::NoPullSecret { secret_type } => Some(Finding {
            reason: "NoPullSecret",
            message: match secret_type {
                Some(of) => format!("Secret {namespace}/{name} is passed over: it is of type {of}, or empty"),
                None => format!("Secret {namespace}/{name} is passed over: its type isn't a pull secret's"),
            },
            remedy: "Make it again as kubernetes.io/dockerconfigjson (kubectl create secret docker-registry), as a \
                     Secret's type can't be changed."
                .to_owned(),
        }),
        Seen::Unparseable(fault) => Some(Finding {
            reason: "PullSecretUnparseable",
            message: format!("Secret {namespace}/{name} can't be read by the kubelet: {fault}"),
            remedy: "Make it again (kubectl create secret docker-registry), or take its name out of imagePullSecrets: \
                     until then no image is pulled for a pod that names it."
                .to_owned(),
        }),
        Seen::Unseen(_) | Seen::NotRead { .. } | Seen::Read { .. } => None,
    }
}

/// What is wrong with an image that isn't a reference.
pub fn of_reference(image: &str, error: ReferenceError) -> Finding {
    Finding {
        reason: "InvalidImageName",
        message: format!("{image:?} isn't an image reference: {error}"),
        remedy: "Correct it in the manifest: a container with it never starts.".to_owned(),
    }
}

/// What is wrong with all that is tried for an image.
pub fn of_credentials(reference: &Reference, credentials: &Credentials) -> Option<Finding> {
    credentials.all_expired().then(|| Finding {
        reason: "CredentialExpired",
        message: format!(
            "every credential for {} is a token that was valid for some hours and is older than that",
            reference.name()
        ),
        remedy: "Renew it by whatever made it, or use a credential that lasts. Taking it out of imagePullSecrets does \
                 for a public image, which it keeps from being pulled."
            .to_owned(),
    })
}

/// What a container's state says of the pull; `None` where a finding of [`of_reference`] or [`of_secret`] says it.
pub fn of_waiting(waiting: Waiting, reference: &Reference, outcome: Outcome) -> Option<Finding> {
    let name = reference.name();
    let (reason, message, remedy) = match (waiting, outcome) {
        // What the kubelet says of a Secret that it can't read is no registry's answer.
        (Waiting::InvalidName, _) | (Waiting::PullSecret | Waiting::Registry(_), Outcome::Blocked(_)) => return None,
        (Waiting::NeverPulled, _) => (
            "ImageNeverPulled",
            format!("the pull policy is Never, and the node has no {name} that the pod may use"),
            "Load the image onto the node, or use IfNotPresent.",
        ),
        (Waiting::PullSecret, _) => (
            "PullSecretUnparseable",
            format!("{name} can't be pulled: the kubelet can't read one of the pod's pull secrets"),
            "With --read-secrets and the right to read Secrets it is found out which one. Make it again, or take it out \
             of imagePullSecrets: until then no image is pulled for the pod.",
        ),
        (Waiting::Registry(answer), outcome) => {
            let (reason, remedy) = of_answer(answer, outcome);
            (reason, format!("{name} can't be pulled: {answer}"), remedy)
        }
    };
    Some(Finding { reason, message, remedy: remedy.to_owned() })
}

fn of_answer(answer: Answer, outcome: Outcome) -> (&'static str, &'static str) {
    match (answer, outcome) {
        (Answer::Unauthorized | Answer::Forbidden, Outcome::Credentials) => (
            "CredentialRefused",
            "Renew the credential, or let it read the image. If the image is public, take the Secret out of \
             imagePullSecrets: a stale credential keeps the kubelet from asking anonymously.",
        ),
        (Answer::Unauthorized | Answer::Forbidden, Outcome::Unknown) => (
            "PullRefused",
            "With --read-secrets and the right to read Secrets it is found out whether one of the pull secrets is for \
             the image.",
        ),
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
    }
}
