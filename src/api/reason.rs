//! Every reason that regcred gives, once: the same word in conditions, failures and Events.

use std::fmt;

use jiff::Timestamp;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident,)*) => {
        /// Why something is as it is: one CamelCase word from a closed set.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// All of them, in declaration order.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The word itself.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => stringify!($variant),)*
                }
            }
        }
    };
}

reasons! {
    /// The operator hasn't said anything yet: the CRD's default.
    Pending,
    /// Every target namespace holds the current source.
    RolledOut,
    /// Namespaces are being brought to the current spec and source.
    RollingOut,
    /// Some namespaces failed; the others are served.
    PartiallyReady,
    /// The API server refuses a watch, so changes go unseen.
    WatchRefused,
    /// The operator's own Secret can't be read or made, so nothing is planned.
    StateUnavailable,
    /// The operator's own Secret was gone, and is made anew.
    RootKeyReplaced,
    /// `spec.suspend` is true.
    Suspended,
    /// `spec.suspend` is false.
    NotSuspended,
    /// It is being deleted with `--cascade=orphan`.
    Orphaned,
    /// The credential was parsed and checked.
    Valid,
    /// There is no credential to check: the Secret is somebody else's, and regcred doesn't read it.
    NotRead,
    /// Nothing stands in the way.
    Progressing,
    /// The source Secret doesn't exist.
    SourceNotFound,
    /// The source Secret doesn't have the key that secretRef names.
    SourceKeyNotFound,
    /// The source Secret couldn't be read.
    SourceUnreadable,
    /// The source's bytes aren't a usable credential.
    InvalidKey,
    /// The source's content isn't a login, or a docker config, that can be used.
    InvalidCredential,
    /// The source holds a token whose time is over.
    TokenExpired,
    /// The source Secret is of a type that its credential kind doesn't read.
    SourceTypeNotAllowed,
    /// The owner of the source Secret hasn't said that it may be used so.
    SourceNotMarked,
    /// The source has no login for a registry that the spec asks for.
    RegistryNotInSource,
    /// The owner of the source Secret says that it may not be used so: none of the registries, or not at all.
    Revoked,
    /// secretRef names a namespace that isn't one of --credential-namespaces.
    NamespaceNotAllowed,
    /// The Secrets' name isn't one of --managed-secret-names.
    SecretNameNotAllowed,
    /// A registry isn't one that this credential may be sent to.
    RegistryNotAllowed,
    /// The spec breaks a rule that an older or edited CRD let pass.
    InvalidSpec,
    /// `spec.credential` has a member that this version of regcred doesn't know.
    UnsupportedCredential,
    /// The resource can't be decoded.
    Undecodable,
    /// A Secret of that name is there and isn't ours.
    ForeignSecret,
    /// A Secret of that name is there and is of another type.
    WrongType,
    /// Another RegistryCredential has that Secret name in this namespace.
    NameTaken,
    /// The Secret that somebody else makes isn't there.
    SecretMissing,
    /// The Secret that somebody else should make is one that regcred has made.
    ManagedSecret,
    /// Somebody else keeps writing the service account's imagePullSecrets.
    ServiceAccountContested,
    /// The API server refused the write (RBAC, quota or an admission policy).
    WriteDenied,
    /// The API server called the write invalid.
    WriteInvalid,
    /// The write failed in a way that trying again may mend.
    WriteFailed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What it takes for a stalled credential to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallCause {
    /// `suspend: false`.
    Suspended,
    /// Nothing: it is being deleted with `--cascade=orphan`.
    Orphaned,
    /// A person has to mend the spec.
    Spec,
    /// A person has to mend the source.
    Source,
    /// The source's owner has to permit it. What was rolled out is removed, as "last good stays" is for faults and not for
    /// revocation.
    Withdrawn,
    /// Nobody: it is tried again.
    Retried,
}

/// Why nothing is written for a RegistryCredential, and nothing removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// The reason, for a condition.
    pub reason: Reason,
    /// What is wrong, where, and what to do. It holds nothing of a credential.
    pub message: String,
    /// The key in the source Secret that it is about.
    pub key: Option<String>,
    /// When its login stopped working, where that is what is wrong.
    pub expired_at: Option<Timestamp>,
}

impl Stalled {
    /// For this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), key: None, expired_at: None }
    }

    /// It is about a key in the source Secret.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// Its login stopped working then.
    #[must_use]
    pub fn with_expiry(self, expired_at: Timestamp) -> Self {
        Self { expired_at: Some(expired_at), ..self }
    }

    /// What it takes to go on.
    pub fn cause(&self) -> StallCause {
        match self.reason {
            Reason::Suspended => StallCause::Suspended,
            Reason::Orphaned => StallCause::Orphaned,
            Reason::SourceNotFound
            | Reason::SourceKeyNotFound
            | Reason::SourceTypeNotAllowed
            | Reason::InvalidKey
            | Reason::InvalidCredential
            | Reason::TokenExpired
            // A Secret that is made anew, or replaced, is without its mark until somebody sets that again.
            | Reason::SourceNotMarked
            | Reason::RegistryNotInSource => StallCause::Source,
            Reason::Revoked => StallCause::Withdrawn,
            Reason::SourceUnreadable => StallCause::Retried,
            _ => StallCause::Spec,
        }
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Stalled {}
