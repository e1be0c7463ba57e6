//! Registries that pass every rule and still match no image.

use crate::{credential::RegistryKey, image::is_repository_part};

/// Why the kubelet would never match an entry with an image: no image's repository begins with that path.
///
/// A part of a repository's path is letters and digits, with `.`, `_`, `__` or any number of `-` between them.
/// <https://github.com/distribution/reference/blob/v0.6.0/reference.go>
pub fn never_matches(key: &RegistryKey) -> Option<&'static str> {
    let path = key.as_str().strip_prefix(key.authority())?.strip_prefix('/')?;
    let (whole, last) = path.rsplit_once('/').map_or((None, path), |(whole, last)| (Some(whole), last));
    let impossible = whole.into_iter().flat_map(|whole| whole.split('/')).any(|part| !is_repository_part(part));
    (impossible || !begins_a_part(last)).then_some(
        "no image's path begins so, as its parts begin and end with a letter or digit, with ., _, __ or - between: \
         write the repository's path as images have it",
    )
}

fn begins_a_part(part: &str) -> bool {
    let mut separators = part.split(is_letter).filter(|between| !between.is_empty());
    (part.is_empty() || part.starts_with(is_letter))
        && separators.all(|between| matches!(between, "." | "_" | "__") || between.chars().all(|c| c == '-'))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_no_image_begins_with_never_matches() {
        let never = |text: &str| never_matches(&RegistryKey::parse(text).unwrap()).is_some();
        for text in
            ["gcr.io", "gcr.io/", "gcr.io/a", "gcr.io/a-", "gcr.io/a_", "gcr.io/a--b/c__d/e.f/", "gcr.io:5000/a"]
        {
            assert!(!never(text), "{text}");
        }
        for text in
            ["gcr.io/-a", "gcr.io/a-/", "gcr.io/a/.b", "gcr.io/a..b", "gcr.io/a___b/", "gcr.io/a._b", "gcr.io/_/"]
        {
            assert!(never(text), "{text}");
        }
    }
}
