//! What all code but a kind's own sees of it. The kinds themselves stand above, in `kinds`.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use super::{
    hosts::{ByRegistry, HostRule},
    login::Login,
    source::SourceSecret,
};
use crate::api::{Identity, Stalled};

/// What is particular to one kind of credential. Pure: bytes in, logins or a sentence out.
pub trait Kind: fmt::Debug + Send + Sync {
    /// The member of `spec.credential`.
    fn member(&self) -> &'static str;

    /// The Secret that it reads.
    fn secret(&self) -> SourceRef<'_>;

    /// The command that creates such a Secret, for whoever has none yet.
    fn create_command(&self, namespace: &str) -> String;

    /// Where its logins may go.
    fn hosts(&self) -> HostRule;

    /// Whether the owner of a Secret of this type must have said by the annotation where its login may go.
    fn needs_mark(&self, secret_type: &str) -> bool;

    /// Whether it reads Secrets of this one's type at all.
    ///
    /// # Errors
    /// If it doesn't.
    fn check_type(&self, source: &SourceSecret) -> Result<(), Stalled>;

    /// The logins of a Secret.
    ///
    /// # Errors
    /// The first fault of the Secret, in a sentence that holds nothing of it.
    fn read(&self, source: &SourceSecret, now: Timestamp) -> Result<Material, Stalled>;
}

/// A Secret that a spec refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRef<'a> {
    /// Its namespace, if the spec names one.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
}

/// What a Secret holds.
#[derive(Debug)]
pub struct Material {
    /// The logins.
    pub logins: Found,
    /// Who logs in, where the kind knows more than a user name.
    pub identity: Option<Identity>,
    /// When the first of the logins stops working, where one says so itself.
    pub expires_at: Option<Timestamp>,
    /// What its owner should know, each in a sentence.
    pub notes: Vec<String>,
}

/// The logins of a Secret, and whether it says itself what they are for.
#[derive(Debug)]
pub enum Found {
    /// One for whichever registry.
    Anywhere(Arc<Login>),
    /// One for each registry.
    ByRegistry(ByRegistry),
}
