//! What is known of images, a pod and its pull secrets when an answer is made of it.

use super::subject::Subject;
use crate::{
    api::SecretName,
    cli::{
        diagnosis::Cluster,
        pod::{Pod, Use},
    },
    image::{PullPolicy, Reference, ReferenceError, pull::Seen},
};

/// What is known.
#[derive(Default)]
pub struct Case {
    /// The policy that the user gave.
    pub policy: Option<PullPolicy>,
    /// Who pulls; `None` offline.
    pub subject: Option<Subject>,
    /// What is known beside it: its namespace, service account and pull secrets, and all RegistryCredentials.
    pub cluster: Cluster,
}

impl Case {
    /// The pull secrets of a pod, in its order, and what is known of them.
    pub fn pull_secrets<'a>(&'a self, pod: &'a Pod) -> Vec<(&'a SecretName, &'a Seen)> {
        pod.pull_secrets.iter().map(|name| (name, self.cluster.seen(&pod.namespace, name))).collect()
    }
}

/// An image, and where the pod has it.
pub struct Asked<'a> {
    /// The text.
    pub image: &'a str,
    /// What it names.
    pub reference: Result<Reference, ReferenceError>,
    /// The pod's containers and volumes that use it.
    pub uses: Vec<&'a Use>,
}

impl<'a> Asked<'a> {
    /// With the image parsed.
    pub fn new(image: &'a str, uses: Vec<&'a Use>) -> Self {
        Self { image, reference: Reference::parse(image), uses }
    }
}
