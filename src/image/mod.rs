//! PURE: what an image reference names, when the kubelet pulls it, what docker configs have for it, and what a pull tries.
//!
//! [`Reference`] is what a text stands for once the defaults are filled in, [`PullPolicy`] when its registry is asked,
//! and a [`Keyring`] finds the logins for it in the order in which the kubelet tries them.

pub mod docker_logins;
mod entry_name;
mod keyring;
pub mod pull;
mod pull_policy;
mod reference;

pub use entry_name::EntryName;
pub use keyring::Keyring;
pub use pull_policy::{DefaultedBy, PullPolicy, UnknownPullPolicy};
pub use reference::{Reference, ReferenceError, is_repository_part};
