//! Registries that pass every rule and still match no image: paths that no image has, and slips.

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

/// Hosts that people write for another one, most often by a slip of the finger, and the one that is meant. No images are at
/// any of these.
const SLIPS: [(&str, &str); 24] = [
    ("azurecr.io", "NAME.azurecr.io"),
    ("docker.pkg.dev", "REGION-docker.pkg.dev"),
    ("dockerhub.com", "docker.io"),
    ("dockerhub.io", "docker.io"),
    ("dokcer.io", "docker.io"),
    ("ecr.aws", "public.ecr.aws"),
    ("gcr.com", "gcr.io"),
    ("gchr.io", "ghcr.io"),
    ("ghcr.com", "ghcr.io"),
    ("ghrc.io", "ghcr.io"),
    ("github.com", "ghcr.io"),
    ("gitlab.com", "registry.gitlab.com"),
    ("grc.io", "gcr.io"),
    ("hub.docker.io", "docker.io"),
    ("index.docker.com", "docker.io"),
    ("mcr.microsoft.io", "mcr.microsoft.com"),
    ("pkg.dev", "REGION-docker.pkg.dev"),
    ("public.ecr.amazonaws.com", "public.ecr.aws"),
    ("qay.io", "quay.io"),
    ("qauy.io", "quay.io"),
    ("quai.io", "quay.io"),
    ("quay.com", "quay.io"),
    ("registry.docker.com", "docker.io"),
    ("registry.gitlab.io", "registry.gitlab.com"),
];

/// Docker Hub's website, and how the paths of its pages begin.
const WEBSITE: [&str; 2] = ["hub.docker.com", "registry.hub.docker.com"];
const PAGES: [&str; 5] = ["/r/", "/u/", "/_/", "/repository/", "/orgs/"];

/// What is probably meant by a registry where no image is, as it was written.
pub fn slip(written: &RegistryKey) -> Option<String> {
    let host = written.authority();
    let path = written.as_str().strip_prefix(host).unwrap_or_default();
    if WEBSITE.contains(&host) && PAGES.iter().any(|page| path.starts_with(page)) {
        let message = "it is a page of Docker Hub's website, and no image's name begins so: write docker.io/NAME/, as \
                       images have it";
        return Some(message.to_owned());
    }
    let (wrong, right) = SLIPS.iter().find(|(wrong, _)| *wrong == host)?;
    Some(format!(
        "{wrong} looks like a slip for {right}: write that, unless the names of your images begin with {wrong}"
    ))
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
    fn a_slip_is_told_from_what_is_a_registry() {
        let said = |text: &str| slip(&RegistryKey::parse(text).unwrap());
        for (wrong, right) in SLIPS {
            for text in [wrong.to_owned(), format!("{wrong}/team/")] {
                assert!(said(&text).unwrap().contains(&format!("for {right}: ")), "{text}");
            }
            // What is meant isn't one itself.
            assert!(right.contains(char::is_uppercase) || said(right).is_none(), "{right}");
        }
        for text in ["hub.docker.com/r/team/", "hub.docker.com/_/nginx", "registry.hub.docker.com/u/team/"] {
            assert!(said(text).unwrap().contains("write docker.io/NAME/"), "{text}");
        }
        for text in [
            "docker.io",
            "docker.com",
            "hub.docker.com",
            "index.docker.io",
            "registry-1.docker.io",
            "hub.docker.com/team/",
            "ghcr.io",
            "quay.io",
            "gcr.io",
            "eu.gcr.io",
            "icr.io",
            "europe-docker.pkg.dev",
            "*.pkg.dev",
            "team.azurecr.io",
            "registry.gitlab.com",
            "ghcr.com:5000",
            "qay.io.example.com",
            "registry.example.com",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
    }

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
