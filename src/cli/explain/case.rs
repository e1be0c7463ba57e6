//! What is known of images, a pod and its pull secrets when an answer is made of it.

use super::{
    read::Credential,
    subject::{Subject, Use},
};
use crate::{
    image::{PullPolicy, Reference, ReferenceError},
    pull::Named,
};

/// What is known.
#[derive(Default)]
pub struct Case {
    /// The policy that the user gave.
    pub policy: Option<PullPolicy>,
    /// Who pulls; `None` offline.
    pub subject: Option<Subject>,
    /// Its pull secrets, in its order.
    pub secrets: Vec<Named>,
    /// All RegistryCredentials that could be read.
    pub credentials: Vec<Credential>,
    /// Seconds since 1970.
    pub now: i64,
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
