//! When an image is pulled: `imagePullPolicy`, and what the API server fills in where a pod has none.
//!
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/apis/core/v1/defaults.go> (`SetDefaults_Container`), and
//! for what the kubelet makes of it <https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy>.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::Reference;

/// `imagePullPolicy` of a container, or `pullPolicy` of an image volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PullPolicy {
    /// Asks the registry at each start.
    Always,
    /// Asks the registry where the image isn't there.
    IfNotPresent,
    /// Never asks the registry.
    Never,
}

impl PullPolicy {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Always, Self::IfNotPresent, Self::Never];

    /// What the API server fills in for an image, and why. It does so for any text, also one that isn't a reference.
    pub fn default_for(image: &str) -> (Self, DefaultedBy) {
        let Ok(reference) = Reference::parse(image) else { return (Self::IfNotPresent, DefaultedBy::NoReference) };
        match (reference.is_latest(), reference.tag(), reference.digest()) {
            (true, Some(_), _) => (Self::Always, DefaultedBy::Latest),
            (true, None, _) => (Self::Always, DefaultedBy::NoTag),
            (false, Some(_), _) => (Self::IfNotPresent, DefaultedBy::OtherTag),
            (false, None, _) => (Self::IfNotPresent, DefaultedBy::Digest),
        }
    }

    /// As it is written in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }

    /// When the registry is asked and when the image is pulled, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Always => {
                "The registry is asked each time a container starts, with the pod's credentials, and what the node \
                 lacks of the image is pulled; if the registry can't be reached or refuses, the container doesn't start."
            }
            Self::IfNotPresent => {
                "The registry is asked, and the image pulled, only where the node doesn't have the image, or has it \
                 from a pull with credentials that this pod doesn't have (Kubernetes 1.35 and newer)."
            }
            Self::Never => {
                "The registry is never asked and nothing is pulled: the container starts only where the node has the \
                 image already and the pod may use it, and else waits with ErrImageNeverPull."
            }
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no pull policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it isn't a pull policy; write Always, IfNotPresent or Never")]
pub struct UnknownPullPolicy;

impl FromStr for PullPolicy {
    type Err = UnknownPullPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownPullPolicy)
    }
}

/// Why the API server fills in the policy that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefaultedBy {
    /// `:latest`, with or without a digest.
    Latest,
    /// Neither tag nor digest.
    NoTag,
    /// Another tag, with or without a digest.
    OtherTag,
    /// A digest and no tag.
    Digest,
    /// The text isn't a reference.
    NoReference,
}

impl fmt::Display for DefaultedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latest => "the tag is latest, whose default is Always, also beside a digest",
            Self::NoTag => "there is neither a tag nor a digest, so the tag latest is meant, whose default is Always",
            Self::OtherTag => "the tag isn't latest, so the default is IfNotPresent",
            Self::Digest => "there is a digest and no tag, so the default is IfNotPresent",
            Self::NoReference => "the image isn't a reference, for which the default is IfNotPresent",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// The real API server is asked in tests/behaviour/pull_policy.rs.
    #[test]
    fn the_default_is_what_the_api_server_fills_in() {
        for (image, policy, why) in [
            ("nginx", PullPolicy::Always, DefaultedBy::NoTag),
            ("nginx:latest", PullPolicy::Always, DefaultedBy::Latest),
            ("nginx:Latest", PullPolicy::IfNotPresent, DefaultedBy::OtherTag),
            ("nginx:1.2", PullPolicy::IfNotPresent, DefaultedBy::OtherTag),
            ("gcr.io:443/a/b", PullPolicy::Always, DefaultedBy::NoTag),
            (&format!("nginx@{DIGEST}"), PullPolicy::IfNotPresent, DefaultedBy::Digest),
            (&format!("nginx:latest@{DIGEST}"), PullPolicy::Always, DefaultedBy::Latest),
            (&format!("nginx:1@{DIGEST}"), PullPolicy::IfNotPresent, DefaultedBy::OtherTag),
            ("NGINX", PullPolicy::IfNotPresent, DefaultedBy::NoReference),
            ("", PullPolicy::IfNotPresent, DefaultedBy::NoReference),
        ] {
            assert_eq!(PullPolicy::default_for(image), (policy, why), "{image}");
            assert!(why.to_string().ends_with(policy.as_str()) || why == DefaultedBy::Latest, "{why}");
        }
    }

    #[test]
    fn a_policy_is_written_as_in_a_manifest() {
        for policy in PullPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
            assert!(policy.sentence().starts_with("The registry is ") && policy.sentence().ends_with('.'));
        }
        for text in ["always", "", "Sometimes", " Always"] {
            assert_eq!(text.parse::<PullPolicy>(), Err(UnknownPullPolicy), "{text}");
        }
    }
}
