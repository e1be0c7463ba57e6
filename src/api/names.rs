//! Names of Kubernetes objects as types, so that a Secret's name can't be passed for a namespace's.
//!
//! Values come from the API server, which has checked them; cloning one is a reference count.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::process::{SmallMap, Text};

/// Labels of an object.
pub type Labels = SmallMap<Text, Text>;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Text);

        impl $name {
            /// The name as the API server has it.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl From<Text> for $name {
            fn from(name: Text) -> Self {
                Self(name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }
    };
}

name! {
    /// The name of a RegistryCredential.
    CredentialName
}
name! {
    /// The name of a namespace.
    NamespaceName
}
name! {
    /// The name of a managed pull secret.
    SecretName
}
name! {
    /// The name of a service account.
    ServiceAccountName
}
name! {
    /// The name of a pod.
    PodName
}
