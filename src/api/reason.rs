//! Every reason that regcred gives, once: the same word in conditions, failures and Events.

use std::fmt;

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
    /// `spec.suspend` is true.
    Suspended,
    /// `spec.suspend` is false.
    NotSuspended,
    /// It is being deleted with `--cascade=orphan`.
    Orphaned,
    /// The credential was parsed and checked.
    Valid,
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
}

impl Stalled {
    /// For this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// What it takes to go on.
    pub fn cause(&self) -> StallCause {
        match self.reason {
            Reason::Suspended => StallCause::Suspended,
            Reason::Orphaned => StallCause::Orphaned,
            Reason::SourceNotFound | Reason::SourceKeyNotFound | Reason::InvalidKey => StallCause::Source,
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
