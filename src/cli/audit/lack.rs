//! PURE: why a container has no pull secret for its image, in a sentence with its remedy.

use super::cluster::{Cluster, Credential};
use crate::{
    cli::pod::Pod,
    names::SecretName,
    pull::{Absence, Finding, Seen, Situation},
};

/// The pod doesn't name the RegistryCredential's Secret.
pub fn absent(cluster: &Cluster, pod: &Pod, credential: &Credential) -> Finding {
    let claim = &credential.claim;
    let account = cluster.account(pod);
    let situation = Situation {
        secret: &claim.secret,
        is_target: cluster.is_target(pod, claim),
        is_chosen: account.map(|account| claim.chooses(&pod.service_account, account)),
        account,
        entries: &pod.pull_secrets,
        created: pod.created,
    };
    let absence = Absence::of(&situation);
    let (whose, secret, account) = (&credential.says.credential, &claim.secret, &pod.service_account);
    let message = match absence {
        Absence::NamespaceNotTargeted => {
            format!("{} isn't a target namespace of RegistryCredential {whose}", pod.namespace)
        }
        Absence::ServiceAccountNotChosen => {
            format!("RegistryCredential {whose} doesn't choose the service account {account}")
        }
        Absence::EntryMissing => format!(
            "the service account {account} doesn't name the Secret {secret} of RegistryCredential {whose}, whose \
             status is {}",
            credential.status
        ),
        Absence::OlderThanEntry => {
            format!("the pod is older than the entry {secret} of its service account {account}")
        }
        Absence::PodListReplaces => {
            format!("the pod has a list of its own without {secret}, which its service account {account} names")
        }
        Absence::Unknown => format!("the pod doesn't name the Secret {secret} of RegistryCredential {whose}"),
    };
    Finding { reason: absence.as_str(), message, remedy: absence.remedy().to_owned() }
}

/// A Secret that the kubelet can't read blocks all of a pod's pulls.
pub fn blocked(pod: &Pod, blocks: &SecretName) -> Finding {
    Finding {
        reason: "PullSecretUnparseable",
        message: format!("nothing is pulled for the pod: the kubelet can't read Secret {}/{blocks}", pod.namespace),
        remedy: "Make it again (kubectl create secret docker-registry), or take its name out of imagePullSecrets."
            .to_owned(),
    }
}

/// The pod names the RegistryCredential's Secret, and that doesn't help.
pub fn unusable(pod: &Pod, credential: &Credential, seen: &Seen) -> Option<Finding> {
    let (secret, whose) = (&credential.claim.secret, &credential.says.credential);
    let status = "Look at the RegistryCredential's status (kubectl describe registrycredential).";
    let (reason, message, remedy) = match seen {
        Seen::Missing => (
            "PullSecretMissing",
            format!(
                "Secret {secret} of RegistryCredential {whose}, whose status is {}, isn't there",
                credential.status
            ),
            status,
        ),
        Seen::NoPullSecret { .. } | Seen::Read { .. } | Seen::NotRead { .. } => (
            "PullSecretOfAnother",
            format!("Secret {}/{secret} isn't that of RegistryCredential {whose}", pod.namespace),
            status,
        ),
        Seen::Unseen(_) | Seen::Unparseable(_) => return None,
    };
    Some(Finding { reason, message, remedy: remedy.to_owned() })
}
