//! PURE: which pull secrets a pod should have for its images by the RegistryCredentials, and why it lacks one.
//!
//! `audit` asks it of all pods, `explain` of one, or of one that a service account would have.

mod cluster;
mod lack;

pub use cluster::{Cluster, Credential, of_namespaces};
pub use lack::{lack, nearest, of_named, passed_over};
