//! What a RegistryCredential says of pods that were too early.

use crate::{
    api::{RegistryCredentialSpec, StuckPods},
    credential::RegistryKey,
    process::Text,
};

/// `spec.stuckPods` and `spec.registries`, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckRule {
    /// What becomes of such pods.
    pub policy: StuckPods,
    registries: Vec<RegistryKey>,
}

/// For a spec that can't be read: nothing becomes of them.
impl Default for StuckRule {
    fn default() -> Self {
        Self { policy: StuckPods::Off, registries: Vec::new() }
    }
}

impl StuckRule {
    /// Where an entry of `registries` isn't one the credential is held anyway.
    pub fn new(spec: &RegistryCredentialSpec) -> Self {
        let registries = spec.registries.iter().filter_map(|text| RegistryKey::parse(text).ok()).collect();
        Self { policy: spec.stuck_pods, registries }
    }

    /// Whether one of these images is at one of its registries, as the kubelet matches them.
    pub fn is_for(&self, images: &[Text]) -> bool {
        images.iter().any(|image| self.registries.iter().any(|key| key.matches(image.as_str())))
    }
}
