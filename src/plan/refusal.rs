//! What a plan refuses to do, and the sentence that says so.

use std::fmt;

use super::desired::Maker;
use crate::{
    api::{CREDENTIAL_LABEL, CredentialName, Reason, SECRET_TYPE, SecretName, ServiceAccountName},
    process::Text,
};

/// Why something wanted isn't done. It stays so until a person or another tool changes something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// A Secret of that name isn't ours.
    ForeignSecret {
        /// The Secret.
        secret: SecretName,
    },
    /// A Secret of that name is of another type.
    WrongType {
        /// The Secret.
        secret: SecretName,
    },
    /// Another RegistryCredential has that name here.
    NameTaken {
        /// The Secret.
        secret: SecretName,
        /// The RegistryCredential that has it.
        name_owner: CredentialName,
    },
    /// Another manager applies the service account's imagePullSecrets.
    Applied {
        /// The service account.
        service_account: ServiceAccountName,
        /// The Secret that isn't added.
        secret: SecretName,
        /// The field manager that applies the list.
        manager: Text,
        /// Who makes that Secret: what is somebody else's can't be adopted.
        maker: Maker,
    },
    /// The Secret that somebody else makes isn't there, or can't be used.
    SecretMissing {
        /// The Secret.
        secret: SecretName,
    },
    /// The Secret of that name isn't somebody else's: it has our label.
    ManagedSecret {
        /// The Secret.
        secret: SecretName,
        /// The RegistryCredential that its label names.
        label: CredentialName,
    },
    /// Our entry was taken away again and again.
    TakenAway {
        /// The service account.
        service_account: ServiceAccountName,
        /// The Secret whose entry was taken away.
        secret: SecretName,
        /// The field manager that wrote the list, where managedFields tell.
        manager: Option<Text>,
    },
}

impl Refusal {
    /// The reason for statuses and Events.
    pub fn reason(&self) -> Reason {
        match self {
            Self::ForeignSecret { .. } => Reason::ForeignSecret,
            Self::WrongType { .. } => Reason::WrongType,
            Self::NameTaken { .. } => Reason::NameTaken,
            Self::SecretMissing { .. } => Reason::SecretMissing,
            Self::ManagedSecret { .. } => Reason::ManagedSecret,
            Self::Applied { .. } | Self::TakenAway { .. } => Reason::ServiceAccountContested,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignSecret { secret } => write!(
                f,
                "Secret {secret} exists and isn't regcred's, so it was left alone; delete it, or set \
                 spec.conflictPolicy to Adopt: regcred then takes it over in place, and removing the \
                 RegistryCredential removes it, too"
            ),
            Self::WrongType { secret } => write!(
                f,
                "Secret {secret} exists with a type other than kubernetes.io/dockerconfigjson, which can't be changed; \
                 delete it, or use another name in spec.secretTemplate.name of a new RegistryCredential"
            ),
            Self::NameTaken { secret, name_owner } => write!(
                f,
                "RegistryCredential {name_owner} already has the Secret name {secret} in this namespace; make \
                 another RegistryCredential for Secrets of another name, or let them target different namespaces"
            ),
            Self::Applied { service_account, secret, manager, maker } => {
                write!(
                    f,
                    "{manager} applies the imagePullSecrets of service account {service_account}, so {secret} wasn't \
                     added; leave imagePullSecrets out of what {manager} applies, or add {secret} there"
                )?;
                match maker {
                    Maker::Us => f.write_str(", or set spec.conflictPolicy to Adopt"),
                    Maker::Others => Ok(()),
                }
            }
            Self::SecretMissing { secret } => write!(
                f,
                "there is no Secret {secret} of type {SECRET_TYPE}, which somebody else has to make; once it is there, \
                 service accounts name it at once; entries that name it already are removed after ten minutes without it"
            ),
            Self::ManagedSecret { secret, label } => write!(
                f,
                "Secret {secret} has the label {CREDENTIAL_LABEL}: {label}, so it is regcred's own and not one that \
                 somebody else makes; name another Secret in spec.existingSecretName of a new RegistryCredential, or take \
                 that label off if there is no RegistryCredential {label} any more"
            ),
            Self::TakenAway { service_account, secret, manager } => {
                // An object that was never applied and began empty, as every `default` does, has no managedFields.
                let who = manager.as_ref().map_or("somebody", Text::as_str);
                let whoever = manager.as_ref().map_or("whoever that is", Text::as_str);
                write!(
                    f,
                    "{who} took {secret} out of the imagePullSecrets of service account {service_account} three times \
                     in ten minutes; make {whoever} keep the entry, or leave the service account out of \
                     spec.attach.serviceAccounts; regcred tries again after ten minutes"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_is_wrong_and_what_to_do() {
        let applied = |maker| Refusal::Applied {
            service_account: "default".into(),
            secret: "pull".into(),
            manager: "argocd".into(),
            maker,
        };
        let taken = |manager: Option<&str>| Refusal::TakenAway {
            service_account: "default".into(),
            secret: "pull".into(),
            manager: manager.map(Into::into),
        };
        for (refusal, reason, says) in [
            (
                Refusal::ForeignSecret { secret: "pull".into() },
                Reason::ForeignSecret,
                "Secret pull exists and isn't regcred's, so it was left alone; delete it, or set spec.conflictPolicy to \
                 Adopt: regcred then takes it over in place, and removing the RegistryCredential removes it, too",
            ),
            (
                Refusal::WrongType { secret: "pull".into() },
                Reason::WrongType,
                "Secret pull exists with a type other than kubernetes.io/dockerconfigjson, which can't be changed; \
                 delete it, or use another name in spec.secretTemplate.name of a new RegistryCredential",
            ),
            (
                Refusal::NameTaken { secret: "pull".into(), name_owner: "darwin".into() },
                Reason::NameTaken,
                "RegistryCredential darwin already has the Secret name pull in this namespace; make another RegistryCredential \
                 for Secrets of another name, or let them target different namespaces",
            ),
            (
                applied(Maker::Us),
                Reason::ServiceAccountContested,
                "argocd applies the imagePullSecrets of service account default, so pull wasn't added; leave \
                 imagePullSecrets out of what argocd applies, or add pull there, or set spec.conflictPolicy to Adopt",
            ),
            (
                applied(Maker::Others),
                Reason::ServiceAccountContested,
                "argocd applies the imagePullSecrets of service account default, so pull wasn't added; leave \
                 imagePullSecrets out of what argocd applies, or add pull there",
            ),
            (
                Refusal::SecretMissing { secret: "pull".into() },
                Reason::SecretMissing,
                "there is no Secret pull of type kubernetes.io/dockerconfigjson, which somebody else has to make; once it \
                 is there, service accounts name it at once; entries that name it already are removed after ten minutes \
                 without it",
            ),
            (
                Refusal::ManagedSecret { secret: "pull".into(), label: "darwin".into() },
                Reason::ManagedSecret,
                "Secret pull has the label regcred.dev/credential: darwin, so it is regcred's own and not one that \
                 somebody else makes; name another Secret in spec.existingSecretName of a new RegistryCredential, or take \
                 that label off if there is no RegistryCredential darwin any more",
            ),
            (
                taken(Some("helm")),
                Reason::ServiceAccountContested,
                "helm took pull out of the imagePullSecrets of service account default three times in ten minutes; \
                 make helm keep the entry, or leave the service account out of spec.attach.serviceAccounts; regcred tries \
                 again after ten minutes",
            ),
            (
                taken(None),
                Reason::ServiceAccountContested,
                "somebody took pull out of the imagePullSecrets of service account default three times in ten \
                 minutes; make whoever that is keep the entry, or leave the service account out of \
                 spec.attach.serviceAccounts; regcred tries again after ten minutes",
            ),
        ] {
            assert_eq!((refusal.to_string().as_str(), refusal.reason()), (says, reason));
        }
    }
}
