//! PURE: what an image reference names, when the kubelet pulls it, and which entries of docker configs are for it.
//!
//! [`Reference`] is what a text stands for once the defaults are filled in, [`PullPolicy`] when its registry is asked,
//! and a [`Keyring`] finds the logins for it in the order in which the kubelet tries them.

mod entry_name;
mod keyring;
mod pull_policy;
mod reference;

pub use entry_name::EntryName;
pub use keyring::Keyring;
pub use pull_policy::{DefaultedBy, PullPolicy, UnknownPullPolicy};
pub use reference::{Reference, ReferenceError, is_repository_part};
