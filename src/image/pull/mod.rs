//! PURE: what the kubelet does to pull an image for a pod: with which credentials, in which order, or anonymously.
//!
//! [`Credentials::of`] takes an image and the pull secrets that a pod names, as far as they could be looked at
//! ([`Seen`]), and says what is certain about them. [`Waiting`] tells apart why a
//! container has no image yet, and [`Answer`] what a registry has said.
//!
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/kubelet/images/image_manager.go>: all entries that match are
//! tried in order until the registry takes one, and where any matches, none is left out for an anonymous attempt. The
//! node's own credentials (a credential provider, a docker config on the node) come after those of the pod; nothing in
//! the API tells of them.

mod answer;
mod credentials;
mod named;
mod waiting;

pub use answer::Answer;
pub use credentials::{Credentials, Outcome, Source, Try};
pub use named::{Managed, Seen};
pub use waiting::Waiting;
