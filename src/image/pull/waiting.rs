//! What a container waits for, by the reason and the message of its state.

use super::Answer;

/// Why it has no image yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The policy is Never, and the node doesn't have it.
    NeverPulled,
    /// The image isn't a reference.
    InvalidName,
    /// The kubelet can't read one of the pod's pull secrets.
    PullSecret,
    /// The registry has answered so, or hasn't answered.
    Registry(Answer),
}

impl Waiting {
    /// `None` where it doesn't wait for its image.
    ///
    /// <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/kubelet/images/types.go> has the reasons. They are single
    /// words; where the kubelet can't read a pull secret, it has the error itself there.
    pub fn of(reason: &str, message: &str) -> Option<Self> {
        match reason {
            "ErrImageNeverPull" => Some(Self::NeverPulled),
            "InvalidImageName" => Some(Self::InvalidName),
            "ErrImagePull" | "ImagePullBackOff" => Some(Self::Registry(Answer::of(message))),
            "RegistryUnavailable" => Some(Self::Registry(Answer::Network)),
            "ImageInspectError" | "SignatureValidationFailed" => Some(Self::Registry(Answer::Other)),
            reason if reason.contains(' ') => Some(Self::PullSecret),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_do_with_images_is_told_from_the_rest() {
        for (reason, message, expected) in [
            ("ErrImageNeverPull", "", Some(Waiting::NeverPulled)),
            ("InvalidImageName", "", Some(Waiting::InvalidName)),
            ("ErrImagePull", "403 Forbidden", Some(Waiting::Registry(Answer::Forbidden))),
            ("ImagePullBackOff", "…: not found", Some(Waiting::Registry(Answer::NotFound))),
            ("RegistryUnavailable", "403 Forbidden", Some(Waiting::Registry(Answer::Network))),
            ("SignatureValidationFailed", "", Some(Waiting::Registry(Answer::Other))),
            ("illegal base64 data at input byte 0", "", Some(Waiting::PullSecret)),
            ("ContainerCreating", "401 Unauthorized", None),
            ("CrashLoopBackOff", "", None),
            ("", "", None),
        ] {
            assert_eq!(Waiting::of(reason, message), expected, "{reason}");
        }
    }
}
