//! Why a container has no pull secret for its image, in a sentence with its remedy.

use super::{
    absence::Absence,
    cluster::{Cluster, Credential},
    finding::{Finding, of_secret},
};
use crate::{
    api::{NamespaceName, SecretName},
    cli::pod::Pod,
    image::pull::{Outcome, Seen},
    plan::Maker,
};

/// Where a person should look.
const STATUS: &str = "Look at the RegistryCredential's status (kubectl describe registrycredential).";

/// The RegistryCredential that comes nearest to giving a pod its Secret, of those that are for an image.
pub fn nearest<'a>(cluster: &Cluster, pod: &Pod, matching: &[&'a Credential]) -> Option<&'a Credential> {
    let account = cluster.account(pod);
    let farness = |credential: &&&Credential| {
        let desired = &credential.desired;
        let is_target = cluster.is_target(&pod.namespace, desired) == Some(true);
        let reached = [
            pod.pull_secrets.contains(&desired.secret),
            account.is_some_and(|account| account.entries.contains(&desired.secret)),
            is_target && account.is_some_and(|account| desired.chooses(&pod.service_account, account)),
            is_target,
        ];
        reached.iter().position(|reached| *reached).unwrap_or(reached.len())
    };
    matching.iter().min_by_key(farness).copied()
}

/// Why the Secret of a RegistryCredential doesn't do for an image of a pod; `None` where it does, and where that can't be
/// known.
pub fn lack(cluster: &Cluster, pod: &Pod, credential: &Credential, outcome: Outcome) -> Option<Finding> {
    let name = &credential.desired.secret;
    match outcome {
        Outcome::Credentials => None,
        Outcome::Blocked(at) => pod.pull_secrets.get(at).map(|blocks| blocked(pod, blocks)),
        Outcome::Anonymous | Outcome::Unknown if pod.pull_secrets.contains(name) => unusable(cluster, pod, credential),
        Outcome::Anonymous | Outcome::Unknown => Some(absent(cluster, pod, credential)),
    }
}

/// A Secret that a pod's service account names and the pod doesn't, where no RegistryCredential says what it is for.
pub fn passed_over(cluster: &Cluster, pod: &Pod) -> Option<Finding> {
    let account = cluster.account(pod)?;
    let says = |it: &Credential, name: &SecretName| it.desired.secret == *name && it.desired.maker == Maker::Us;
    let is_foreign = |name: &SecretName| !cluster.credentials.iter().any(|it| says(it, name));
    let mut lacking =
        account.entries.iter().filter(|name| !name.as_str().is_empty() && !pod.pull_secrets.contains(name));
    let secret = lacking.find(|name| is_foreign(name))?;
    let absence = Absence::of(cluster, pod, secret, None);
    Some(said(absence, not_taken_over(absence, pod, secret)?))
}

/// What is wrong with a Secret that is named as a pull secret, whatever the image.
pub fn of_named(cluster: &Cluster, namespace: &NamespaceName, name: &SecretName) -> Option<Finding> {
    let wants =
        |it: &&Credential| it.desired.secret == *name && cluster.is_target(namespace, &it.desired) == Some(true);
    let seen = cluster.seen(namespace, name);
    match seen {
        Seen::Missing => cluster.credentials.iter().find(wants).map(|credential| missing(namespace, credential)),
        _ => None,
    }
    .or_else(|| of_secret(namespace.as_str(), name.as_str(), seen))
}

fn missing(namespace: &NamespaceName, credential: &Credential) -> Finding {
    if credential.desired.maker == Maker::Others {
        return Finding {
            reason: "PullSecretMissing",
            message: format!(
                "Secret {namespace}/{}, which RegistryCredential {} leaves to somebody else to make, doesn't exist; the \
                 kubelet goes on without it",
                credential.desired.secret,
                credential.name()
            ),
            remedy: "Have it made by what makes it in other namespaces. A pod that waits for it heals by itself."
                .to_owned(),
        };
    }
    Finding {
        reason: "PullSecretMissing",
        message: format!(
            "Secret {namespace}/{} of RegistryCredential {}, whose status is {}, doesn't exist; the kubelet goes on \
             without it",
            credential.desired.secret,
            credential.name(),
            credential.status
        ),
        remedy: format!("{STATUS} A pod that waits for it heals by itself."),
    }
}

/// The pod doesn't name the RegistryCredential's Secret.
fn absent(cluster: &Cluster, pod: &Pod, credential: &Credential) -> Finding {
    let (whose, secret, account) = (credential.name(), &credential.desired.secret, &pod.service_account);
    let absence = Absence::of(cluster, pod, secret, Some(&credential.desired));
    let message = match absence {
        Absence::NamespaceNotTargeted => not_targeted(pod, credential),
        Absence::ServiceAccountNotChosen => {
            format!("RegistryCredential {whose} doesn't choose the service account {account}")
        }
        Absence::ServiceAccountMissing => format!("the service account {account} doesn't exist any more"),
        Absence::EntryMissing => format!(
            "the service account {account} doesn't name the Secret {secret} of RegistryCredential {whose}, whose \
             status is {}",
            credential.status
        ),
        Absence::StaticPod
        | Absence::OlderThanEntry
        | Absence::PodListReplaces
        | Absence::NotTakenOver
        | Absence::Unknown => not_taken_over(absence, pod, secret)
            .unwrap_or_else(|| format!("the pod doesn't name the Secret {secret} of RegistryCredential {whose}")),
    };
    said(absence, message)
}

/// How the pod came not to name what its service account does.
fn not_taken_over(absence: Absence, pod: &Pod, secret: &SecretName) -> Option<String> {
    let account = &pod.service_account;
    match absence {
        Absence::StaticPod => Some("it is a static pod, which takes nothing over from a service account".to_owned()),
        Absence::OlderThanEntry => {
            Some(format!("the pod is older than the entry {secret} of its service account {account}"))
        }
        Absence::PodListReplaces => {
            Some(format!("the pod has a list of its own without {secret}, which its service account {account} names"))
        }
        Absence::NotTakenOver => Some(format!(
            "the pod is older than the entry {secret} of its service account {account}, or has a list of its own"
        )),
        Absence::NamespaceNotTargeted
        | Absence::ServiceAccountMissing
        | Absence::ServiceAccountNotChosen
        | Absence::EntryMissing
        | Absence::Unknown => None,
    }
}

fn not_targeted(pod: &Pod, credential: &Credential) -> String {
    format!("{} isn't a target namespace of RegistryCredential {}", pod.namespace, credential.name())
}

fn said(absence: Absence, message: String) -> Finding {
    Finding { reason: absence.as_str(), message, remedy: absence.remedy().to_owned() }
}

/// A Secret that the kubelet can't read blocks all of a pod's pulls.
fn blocked(pod: &Pod, blocks: &SecretName) -> Finding {
    Finding {
        reason: "PullSecretUnparseable",
        message: format!("nothing is pulled for the pod: the kubelet can't read Secret {}/{blocks}", pod.namespace),
        remedy: "Make it again (kubectl create secret docker-registry), or take its name out of imagePullSecrets."
            .to_owned(),
    }
}

/// The pod names the RegistryCredential's Secret, and that doesn't help.
fn unusable(cluster: &Cluster, pod: &Pod, credential: &Credential) -> Option<Finding> {
    let (secret, whose) = (&credential.desired.secret, credential.name());
    let known = cluster.secret(&pod.namespace, secret);
    let (reason, message) = match &known.seen {
        Seen::Missing if cluster.is_target(&pod.namespace, &credential.desired) == Some(false) => {
            return Some(said(Absence::NamespaceNotTargeted, not_targeted(pod, credential)));
        }
        Seen::Missing => return Some(missing(&pod.namespace, credential)),
        Seen::Unseen(_) | Seen::Unparseable(_) => return None,
        // What it is for isn't known.
        Seen::NotRead { .. } if known.owner.as_ref() == Some(whose) => return None,
        Seen::Read { .. } if known.owner.as_ref() == Some(whose) => (
            "PullSecretOutdated",
            format!(
                "Secret {}/{secret} has no entry for the image yet: the status of RegistryCredential {whose} is {}",
                pod.namespace, credential.status
            ),
        ),
        Seen::NoPullSecret { .. } | Seen::Read { .. } | Seen::NotRead { .. } => (
            "PullSecretOfAnother",
            format!("Secret {}/{secret} isn't that of RegistryCredential {whose}", pod.namespace),
        ),
    };
    Some(Finding { reason, message, remedy: STATUS.to_owned() })
}
