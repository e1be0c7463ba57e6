//! Names in which `*` stands for any characters: what they match, and whether they can match anything.

/// A name where `*` stands for any characters, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Any text is a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether it stands for that name.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        // `split` yields at least one part: what stands before the first `*`.
        let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }

    /// Whether it matches all that the other one does. A `*` there may be anything, so only a `*` here answers it.
    pub fn covers(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }

    /// Whether a namespace can have such a name (an RFC 1123 label).
    pub fn can_name_a_namespace(&self) -> bool {
        self.can_name_a_service_account() && !self.0.contains('.')
    }

    /// Whether a service account can have such a name (an RFC 1123 subdomain).
    pub fn can_name_a_service_account(&self) -> bool {
        let ends_well = !self.0.starts_with(['-', '.']) && !self.0.ends_with(['-', '.']);
        ends_well && !["..", ".-", "-."].iter().any(|pair| self.0.contains(pair)) && !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of a glob, slow and plain.
    fn glob(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skipped| glob(rest, &name[skipped..])),
            Some((first, rest)) => name.split_first().is_some_and(|(n, name)| n == first && glob(rest, name)),
        }
    }

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_is_special() {
        for (pattern, name, expected) in [
            ("team-a", "team-a", true),
            ("team-a", "team-ab", false),
            ("team-a", "a-team-a", false),
            ("team-*", "team-", true),
            ("team-*", "team-a-b", true),
            ("*-dev", "team-dev", true),
            ("*-dev", "team-devel", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*ab*ab", "ab", false),
            ("**", "", true),
            ("team.?", "team-a", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} on {name}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_a_glob_is_defined(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), glob(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn what_begins_or_ends_like_no_name_can_name_nothing() {
        for (pattern, namespace, account) in [
            ("team-*", true, true),
            ("*", true, true),
            ("*-a", true, true),
            ("ci.*", false, true),
            ("a.b", false, true),
            ("-team*", false, false),
            ("*-", false, false),
            ("team-", false, false),
            (".a", false, false),
            ("*.", false, false),
            ("a..b", false, false),
            ("a.-b", false, false),
            ("a-.b", false, false),
            ("", false, false),
        ] {
            let found = Pattern::new(pattern);
            assert_eq!(found.can_name_a_namespace(), namespace, "{pattern}");
            assert_eq!(found.can_name_a_service_account(), account, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn what_covers_a_pattern_matches_all_that_it_does(
            one in "[ab*]{0,5}", other in "[ab*]{0,5}", fillings in prop::collection::vec("[abc]{0,3}", 5),
        ) {
            // Each star of the other one becomes some text.
            let mut fillings = fillings.iter();
            let name: String = other
                .chars()
                .map(|c| if c == '*' { fillings.next().unwrap().clone() } else { c.to_string() })
                .collect();
            if Pattern::new(&one).covers(&Pattern::new(&other)) {
                prop_assert!(Pattern::new(&one).matches(&name));
            }
        }

        #[test]
        fn a_pattern_that_is_not_covered_matches_some_name_that_the_other_does_not(
            one in "[ab*]{0,5}", other in "[ab*]{0,5}",
        ) {
            // A character that neither has tells a star from everything else.
            let name = other.replace('*', "c");
            if !Pattern::new(&one).covers(&Pattern::new(&other)) {
                prop_assert!(!Pattern::new(&one).matches(&name));
            }
        }
    }
}
