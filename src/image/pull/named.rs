//! A pull secret that a pod or a service account names, as far as it could be looked at.

use crate::image::docker_logins::{ConfigFault, Login};

/// What is known of a Secret that is named as a pull secret.
pub enum Seen {
    /// It doesn't exist. The kubelet goes on without it and looks again later.
    Missing,
    /// It couldn't be looked at, for this reason.
    Unseen(String),
    /// It has a type that the kubelet passes over, or no docker config in it.
    NoPullSecret {
        /// `type`, where it was asked for.
        secret_type: Option<String>,
    },
    /// Its data wasn't read.
    NotRead {
        /// The RegistryCredential whose Secret it is, and what that lists.
        managed: Option<Managed>,
    },
    /// The kubelet can't read its docker config, and pulls nothing for a pod that names it.
    Unparseable(ConfigFault),
    /// Its docker config was read.
    Read {
        /// The entries.
        logins: Vec<Login>,
        /// When its data was written last, in seconds since 1970; `None` where nothing says so.
        written: Option<i64>,
    },
}

/// What a RegistryCredential says of its Secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// The RegistryCredential's name.
    pub credential: String,
    /// `spec.registries`, which are the names of its Secrets' entries; `None` where these may still be others.
    pub registries: Option<Vec<String>>,
}
