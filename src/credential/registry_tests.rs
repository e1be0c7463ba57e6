//! Which registries there can be, and which of them are permitted.

use proptest::prelude::*;

use super::*;
use crate::credential::kinds::is_a_providers;

fn key(text: &str) -> RegistryKey {
    RegistryKey::parse(text).unwrap()
}

fn allowed(list: &str) -> AllowedRegistries {
    AllowedRegistries::parse(list).unwrap()
}

/// The kubelet's `URLsMatch` for host and port: the image's port and host against those of an entry.
fn kubelet_matches(entry: &RegistryKey, host: &str, port: Option<u16>) -> bool {
    let (globs, labels): (Vec<_>, Vec<_>) = (entry.host().split('.').collect(), host.split('.').collect());
    entry.port() == port
        && globs.len() == labels.len()
        && globs.iter().zip(labels).all(|(glob, label)| glob_matches(glob, label))
}

fn glob_matches(glob: &str, label: &str) -> bool {
    match glob.split_once('*') {
        None => glob == label,
        Some((head, tail)) => label
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|skipped| glob_matches(tail, &rest[skipped..]))),
    }
}

#[test]
fn a_registry_has_a_host_and_perhaps_a_port_and_a_path() {
    let full = key("europe-docker.pkg.dev:443/proj/repo_1.x-y/");
    assert_eq!(full.as_str(), "europe-docker.pkg.dev:443/proj/repo_1.x-y/");
    assert_eq!(full.host(), "europe-docker.pkg.dev");
    assert_eq!(full.port(), Some(443));
    assert_eq!(full.authority(), "europe-docker.pkg.dev:443");
    assert_eq!(full.to_string(), full.as_str());
    assert_eq!(format!("{full:?}"), format!("{:?}", full.as_str()));
    let bare = key("gcr.io");
    assert_eq!((bare.host(), bare.port(), bare.authority()), ("gcr.io", None, "gcr.io"));
    for text in [
        "*.gcr.io",
        "*-docker.pkg.dev",
        "a*b*.c.example.com",
        "gcr.io/",
        "gcr.io/darwin",
        "gcr.io/v1",
        "gcr.io/v3/x",
        "localhost",
        "localhost/x",
        "registry:5000",
        "10.0.0.1:1",
        "a.b:65535",
    ] {
        assert_eq!(key(text).as_str(), text);
    }
}

#[test]
fn what_the_kubelet_would_not_match_is_refused() {
    use RegistryKeyError::*;
    let label = |n: usize| "a".repeat(n);
    let host = |n: usize| format!("{}.io", vec![label(49); 5].join(".") + &label(n - 252));
    let cases = [
        ("", Empty),
        ("https://gcr.io", Scheme),
        ("user@gcr.io", UserInfo),
        ("gcr.io/x@sha256", UserInfo),
        ("GCR.io", UpperCase),
        ("gcr.io/Darwin", UpperCase),
        ("gcr.i\u{f6}", HostCharacter),
        ("gcr io", HostCharacter),
        ("gcr_x.io", HostCharacter),
        ("?.gcr.io", HostCharacter),
        ("[ab].gcr.io", HostCharacter),
        ("a\\b.gcr.io", HostCharacter),
        (".gcr.io", EmptyLabel),
        ("gcr.io.", EmptyLabel),
        ("gcr..io", EmptyLabel),
        ("/darwin", EmptyLabel),
        (":443", EmptyLabel),
        ("-a.gcr.io", LabelHyphen),
        ("a-.gcr.io", LabelHyphen),
        ("*", WildcardTooBroad),
        ("*.io", WildcardTooBroad),
        ("gcr.*", WildcardTooBroad),
        ("x.g*r.io", WildcardTooBroad),
        ("x.gcr.i*", WildcardTooBroad),
        ("my-project/", NoHost),
        ("darwin", NoHost),
        ("gcr.io:", Port),
        ("gcr.io:0", Port),
        ("gcr.io:0443", Port),
        ("gcr.io:+443", Port),
        ("gcr.io:65536", Port),
        ("gcr.io:*", Port),
        ("gcr.io:443:443", Port),
        ("gcr.io/*", PathCharacter),
        ("gcr.io/x:tag", PathCharacter),
        ("gcr.io/x?y", PathCharacter),
        ("gcr.io/%2e", PathCharacter),
        ("gcr.io/x#y", PathCharacter),
        ("gcr.io//x", EmptySegment),
        ("gcr.io/v1/", ApiVersion),
        ("gcr.io/v2/darwin", ApiVersion),
    ];
    for (text, expected) in cases {
        assert_eq!(RegistryKey::parse(text), Err(expected), "{text}");
    }
    assert!(RegistryKey::parse(&format!("{}.io", label(63))).is_ok());
    assert_eq!(RegistryKey::parse(&format!("{}.io", label(64))), Err(LabelTooLong));
    assert_eq!(host(253).len(), 253);
    assert!(RegistryKey::parse(&host(253)).is_ok());
    assert_eq!(RegistryKey::parse(&host(254)), Err(HostTooLong));
    assert!(RegistryKey::parse(&format!("gcr.io/{}", label(248))).is_ok());
    assert_eq!(RegistryKey::parse(&format!("gcr.io/{}", label(249))), Err(TooLong));
}

/// As `spec.registries` of a Google key are.
fn permits(list: &AllowedRegistries, key: &RegistryKey) -> bool {
    is_a_providers(key) || list.lists(key)
}

#[test]
fn googles_registries_are_permitted_with_an_empty_list() {
    for text in [
        "gcr.io",
        "gcr.io/",
        "gcr.io/x",
        "gcr.io:443/x",
        "eu.gcr.io",
        "*.gcr.io",
        "a.b.gcr.io",
        "*.*.gcr.io",
        "europe-docker.pkg.dev/proj/",
        "*-docker.pkg.dev",
        "*.pkg.dev",
        "a.b.pkg.dev",
    ] {
        assert!(permits(&AllowedRegistries::default(), &key(text)), "{text}");
    }
}

#[test]
fn other_registries_are_not() {
    for text in [
        "evilgcr.io",
        "gcr.io.evil.example",
        "evil.example/gcr.io",
        "pkg.dev",
        "evil-pkg.dev",
        "evilpkg.dev",
        "x.evilpkg.dev",
        "gcr.dev",
        "x.pkg.io",
        "*.gcr.dev",
        "docker.io",
        "localhost",
        "gcr.io:80",
        "gcr.io:5000/x",
        "eu.gcr.io:444",
        "*.pkg.dev:8080",
    ] {
        assert!(!permits(&AllowedRegistries::default(), &key(text)), "{text}");
    }
}

#[test]
fn the_list_permits_exactly_what_it_covers() {
    let list =
        allowed("registry.example.com, *.mirror.example.com,cache:5000,*.ports.example.com:8443,tls.example.com:443,");
    for text in [
        "registry.example.com",
        "registry.example.com:443/x/",
        "a.mirror.example.com/x",
        "*.mirror.example.com",
        "a*.mirror.example.com",
        "cache:5000/x",
        "x.ports.example.com:8443",
        "tls.example.com",
        "gcr.io",
    ] {
        assert!(permits(&list, &key(text)), "{text}");
    }
    for text in [
        "registry.example.com:5000",
        "*.example.com",
        "r*.example.com",
        "mirror.example.com",
        "a.b.mirror.example.com",
        "a.*.example.com",
        "a.mirror.example.org",
        "x.ports.example.com",
        "x.ports.example.com:8444",
        "cache:5001",
        "a.registry.example.com",
        "example.com",
    ] {
        assert!(!permits(&list, &key(text)), "{text}");
    }
}

#[test]
fn a_list_that_is_too_broad_or_unclear_is_refused() {
    use AllowedRegistriesError::*;
    let of = AllowedRegistries::parse;
    assert_eq!(of(""), Ok(AllowedRegistries::default()));
    assert_eq!(of(" , "), Ok(AllowedRegistries::default()));
    let fault = RegistryKeyError::WildcardTooBroad;
    assert_eq!(of("gcr.io,*.com"), Err(NotARegistry { entry: 2, fault }));
    assert_eq!(of("a.b,,c.d/e"), Err(Path { entry: 3 }));
    assert_eq!(of("a.b/"), Err(Path { entry: 1 }));
    for text in ["a*.example.com", "**.example.com", "x.*.example.com", "*.*.example.com"] {
        assert_eq!(of(text), Err(Wildcard { entry: 1 }), "{text}");
    }
    assert_eq!("*.example.com".parse(), Ok(allowed("*.example.com")));
    assert_eq!(
        of("a.b,https://c.d").unwrap_err().to_string(),
        "entry 2 isn't a registry: it has a scheme; write the host without https://, such as gcr.io"
    );
}

const LIST: &str = "registry.example.com,*.mirror.example.com,cache:5000";

/// Said in another way than the code under test does.
fn is_google_or_listed(host: &str, port: Option<u16>) -> bool {
    let https = port.is_none() || port == Some(443);
    let one_below = |domain: &str| host.strip_suffix(domain).is_some_and(|l| !l.is_empty() && !l.contains('.'));
    let google = host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with(".pkg.dev");
    let listed = host == "registry.example.com" || one_below(".mirror.example.com");
    (https && (google || listed)) || (host == "cache" && port == Some(5000))
}

proptest! {
    #[test]
    fn what_is_permitted_matches_only_hosts_of_google_or_of_the_list(
        text in r"((\*|a|\*a|eu|x-\*|registry|mirror|cache|evilgcr)\.?){0,3}(gcr\.io|pkg\.dev|mirror\.example\.com|example\.com|cache|gcr\.\*|io)(:443|:80|:5000)?(/x)?",
        fill in proptest::collection::vec("[a-z]{0,2}|registry|mirror|gcr|evil\\.gcr", 8),
    ) {
        if let Ok(key) = RegistryKey::parse(&text) {
            let mut fill = fill.iter();
            let host: String = key
                .host()
                .chars()
                .map(|c| if c == '*' { fill.next().cloned().unwrap_or_default() } else { c.to_string() })
                .collect();
            if permits(&allowed(LIST), &key) && kubelet_matches(&key, &host, key.port()) {
                prop_assert!(is_google_or_listed(&host, key.port()), "{} matches {}", text, host);
            }
        }
    }

    #[test]
    fn any_text_ends_in_an_answer(text in ".{0,40}") {
        let _ = RegistryKey::parse(&text);
        let _ = AllowedRegistries::parse(&text);
    }
}

fn matching<'a>(key: &str, images: &[&'a str]) -> Vec<&'a str> {
    let key = RegistryKey::parse(key).unwrap();
    images.iter().copied().filter(|image| key.matches(image)).collect()
}

#[test]
fn host_port_and_path_match_as_the_kubelet_has_it() {
    let digest = format!("sha256:{}", "0".repeat(64));
    for (key, image, expected) in [
        ("gcr.io", "gcr.io/darwin/api:1", true),
        ("gcr.io/", "gcr.io/darwin/api", true),
        ("gcr.io", "eu.gcr.io/darwin/api", false),
        ("*.gcr.io", "eu.gcr.io/darwin/api", true),
        ("*.gcr.io", "gcr.io/darwin/api", false),
        ("*.gcr.io", "a.eu.gcr.io/darwin/api", false),
        ("*.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
        ("europe*.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
        ("*-docker.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
        ("e*-*r.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", true),
        ("e*-*x.pkg.dev", "europe-docker.pkg.dev/darwin/images/api", false),
        ("e*e*e*e.pkg.dev", "europe.pkg.dev/darwin/images/api", false),
        ("eu*rope.pkg.dev", "europe.pkg.dev/darwin/images/api", true),
        ("eur*rope.pkg.dev", "europe.pkg.dev/darwin/images/api", false),
        ("gcr.io/darwin/", "gcr.io/darwin/api", true),
        ("gcr.io/darwin/", "gcr.io/darwin2/api", false),
        ("gcr.io/darwin", "gcr.io/darwin2/api", true),
        ("gcr.io/darwin/api", "gcr.io/darwin", false),
        ("gcr.io/darwin/api", &format!("gcr.io/darwin/api@{digest}"), true),
        ("gcr.io/darwin/api", &format!("gcr.io/darwin/api:1.2@{digest}"), true),
        ("gcr.io/darwin/api", "gcr.io/darwin/api@sha256:0123", false),
        ("gcr.io:443", "gcr.io/darwin/api", false),
        ("gcr.io", "gcr.io:443/darwin/api", false),
        ("gcr.io:443", "gcr.io:443/darwin/api:1", true),
        ("registry.example:5000/a", "registry.example:5000/a/b:latest", true),
        ("localhost:5000", "localhost:5000/a", true),
        ("localhost", "localhost/a", true),
        ("gcr.io", "", false),
    ] {
        let key = RegistryKey::parse(key).unwrap();
        assert_eq!(key.matches(image), expected, "{key} and {image}");
    }
}

#[test]
fn an_image_without_a_host_is_docker_hubs() {
    let images = ["nginx", "nginx:1.2", "grafana/grafana", "docker.io/nginx", "index.docker.io/a/b", "gcr.io/a/b"];
    assert_eq!(matching("docker.io", &images), images[..5]);
    assert_eq!(matching("docker.io/library/", &images), ["nginx", "nginx:1.2", "docker.io/nginx"]);
    assert_eq!(matching("docker.io/grafana/", &images), ["grafana/grafana"]);
    assert_eq!(matching("index.docker.io", &images), images[..5]);
    assert_eq!(matching("index.docker.io/", &images), images[..5]);
    assert_eq!(matching("index.docker.io/grafana", &images), [""; 0]);
}

#[test]
fn a_list_is_made_of_what_it_is_to_permit() {
    let texts =
        ["gcr.io/a/", "registry.example.com/x/", "r*.example.com:5000/y", "example.org:443", "a.*.example.com", "?"];
    let list = AllowedRegistries::covering(texts, is_a_providers);
    let entries: Vec<&str> = list.0.iter().map(RegistryKey::as_str).collect();
    assert_eq!(entries, ["registry.example.com", "*.example.com:5000", "example.org"]);
    let permits = |text: &str| permits(&list, &RegistryKey::parse(text).unwrap());
    assert_eq!(
        texts.map(|text| RegistryKey::parse(text).is_ok() && permits(text)),
        [true, true, true, true, false, false]
    );
    assert!(AllowedRegistries::covering(["gcr.io"], is_a_providers).is_empty());
}
