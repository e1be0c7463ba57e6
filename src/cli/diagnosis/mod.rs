//! PURE: what is known of a cluster → why a pod can't pull, or lacks the pull secret that a RegistryCredential is to give
//! it, and what to do about it.
//!
//! `audit` asks it of all pods, `explain` of one, or of one that a service account would have.

mod absence;
mod cluster;
mod finding;
mod lack;

pub use self::{
    cluster::{Cluster, Credential, Known, of_namespaces},
    finding::{Finding, of_credentials, of_reference, of_waiting},
    lack::{lack, nearest, of_named, passed_over},
};
