//! How a Secret is written.

use super::observed::ResourceVersion;

/// The cheapest request that keeps the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Create it, or fail where anything of that name is there.
    Create,
    /// Change what it holds and nothing else: all else is as wanted and ours.
    Rotate {
        /// Of the Secret that was seen.
        resource_version: ResourceVersion,
    },
    /// Make the entry in managedFields that our POST has left one of an apply. An apply takes out what an earlier apply has put
    /// in and it hasn't, such as a label; it doesn't take out what a POST has.
    Settle {
        /// Of the Secret that was seen.
        resource_version: ResourceVersion,
        /// The entry's place.
        entry: u8,
    },
    /// Apply all of it, and take over what others have changed: to repair, adopt or inherit it, and where labels or
    /// annotations change.
    Apply {
        /// `metadata.uid` of the Secret that was seen.
        uid: Box<str>,
        /// Its `metadata.resourceVersion`.
        resource_version: ResourceVersion,
    },
}
