//! How a Secret is written.

use super::observed::ResourceVersion;

/// The cheapest request that keeps the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Create it, or fail where anything of that name is there.
    Create,
    /// PUT all of it, where nobody else has a part in it: nothing of anybody's goes with what was there before.
    Replace {
        /// `metadata.uid` of the Secret that was seen.
        uid: Box<str>,
        /// Its `metadata.resourceVersion`.
        resource_version: ResourceVersion,
    },
    /// Change what it holds by a JSON patch, and nothing else: labels and annotations are as wanted. What somebody has taken
    /// over without changing it isn't taken back by that.
    Patch {
        /// Of the Secret that was seen.
        resource_version: ResourceVersion,
        /// On the way, see [`Write::Settle`].
        entry: Option<u8>,
    },
    /// Make the entry in managedFields that our POST has left one of an apply. An apply takes out what an earlier apply has
    /// put in and it hasn't, such as a label; it doesn't take out what a POST has.
    Settle {
        /// Of the Secret that was seen.
        resource_version: ResourceVersion,
        /// The entry's place.
        entry: u8,
    },
    /// Apply all of it, and take over what others have changed.
    Apply {
        /// `metadata.uid` of the Secret that was seen.
        uid: Box<str>,
        /// Its `metadata.resourceVersion`.
        resource_version: ResourceVersion,
    },
}
