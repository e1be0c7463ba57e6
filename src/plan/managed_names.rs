//! Which Secret names regcred manages: any, or only those that its RBAC names, too.

use std::{collections::BTreeSet, fmt};

use crate::{api::SecretName, credential::is_secret_name};

/// See the module's documentation. What has another name is neither read nor written, and neither are entries of
/// service accounts that name it: without a look at the Secret nobody can say whether they are still needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ManagedNames {
    /// Any that a RegistryCredential asks for.
    #[default]
    Any,
    /// These and no others.
    Only(BTreeSet<SecretName>),
}

impl ManagedNames {
    /// Whether a Secret of this name may be managed.
    pub fn allow(&self, name: &SecretName) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// Those that are listed; any where none is.
impl FromIterator<SecretName> for ManagedNames {
    fn from_iter<T: IntoIterator<Item = SecretName>>(names: T) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        if names.is_empty() { Self::Any } else { Self::Only(names) }
    }
}

impl fmt::Display for ManagedNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Only(names) => f.write_str(&names.iter().map(SecretName::as_str).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// One name, as an administrator writes it.
///
/// # Errors
/// Where a Secret can't have that name: it goes into a field selector.
pub fn parse_name(text: &str) -> Result<SecretName, &'static str> {
    let name = text.trim();
    if is_secret_name(name) {
        Ok(name.into())
    } else {
        Err("write the names of Secrets, each at most 63 characters (a-z, 0-9, - and ., a letter or digit at both \
             ends), separated by commas; there is no wildcard")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_allowed_when_listed_and_all_are_where_none_is() {
        let names = |list: &[&str]| list.iter().map(|name| parse_name(name).unwrap()).collect::<ManagedNames>();
        assert_eq!(names(&[]), ManagedNames::Any);
        assert!(names(&[]).allow(&"any".into()));
        let two = names(&["b", " a.b-c ", "b"]);
        assert!(two.allow(&"b".into()) && two.allow(&"a.b-c".into()) && !two.allow(&"a".into()));
        assert_eq!(two.to_string(), "a.b-c, b");
    }

    #[test]
    fn what_could_change_the_meaning_of_a_selector_is_no_name() {
        for text in ["", " ", "*", "team-*", "a=b", "a,b", "A", "a!=b", &"a".repeat(64)] {
            assert!(parse_name(text).is_err(), "{text:?}");
        }
    }
}
