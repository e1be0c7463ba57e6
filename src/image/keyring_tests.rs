//! Tests of the keyring: the kubelet's own tables, and what no table has.

use proptest::prelude::*;

use super::*;

const TABLE: &str = include_str!("../../tests/image/keyring.tsv");

fn ring<'a>(names: &[&'a str]) -> Keyring<&'a str> {
    let mut ring = Keyring::default();
    for name in names {
        ring.add(name, *name);
    }
    ring
}

fn found<'a>(names: &[&'a str], image: &str) -> Vec<&'a str> {
    let ring = ring(names);
    ring.lookup(&Reference::parse(image).unwrap()).into_iter().map(|(_, name)| *name).collect()
}

#[test]
fn every_case_of_the_kubelets_tables_is_found_as_there() {
    let mut cases = 0;
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let [_, names, image, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let names: Vec<&str> = names.split(' ').collect();
        let ring = ring(&names);
        let found: Vec<&str> = ring.lookup_name(image).into_iter().map(|(_, name)| *name).collect();
        assert_eq!(found.join(" "), expected, "{line}");
        cases += 1;
    }
    assert_eq!(cases, 62);
}

#[test]
fn a_longer_name_is_tried_first_and_the_same_one_in_the_order_of_the_secrets() {
    let mut ring = Keyring::default();
    for (name, login) in
        [("gcr.io", 1), ("*.gcr.io", 2), ("https://gcr.io/darwin/", 3), ("https://gcr.io", 4), ("gcr.io/v2/", 5)]
    {
        ring.add(name, login);
    }
    let image = Reference::parse("gcr.io/darwin/api:1").unwrap();
    let found: Vec<(String, i32)> =
        ring.lookup(&image).iter().map(|(name, login)| (name.to_string(), **login)).collect();
    let expected = [("gcr.io/darwin/", 3), ("gcr.io", 1), ("gcr.io", 4), ("gcr.io", 5)];
    assert_eq!(found, expected.map(|(name, login)| (name.to_owned(), login)));
}

#[test]
fn names_are_read_as_urls_are() {
    for (name, image, expected) in [
        ("https://user:password@gcr.io/", "gcr.io/a", true),
        ("gcr.io?a=b#c", "gcr.io/a", true),
        ("gcr.io:", "gcr.io/a", true),
        ("gcr.io:443", "gcr.io/a", false),
        ("gcr.io/%64arwin", "gcr.io/darwin/a", true),
        ("gcr.io/%2564arwin", "gcr.io/darwin/a", true),
        ("gcr.io/%", "gcr.io/a", false),
        ("gcr.io:port", "gcr.io/a", false),
        ("ftp://gcr.io", "gcr.io/a", false),
        ("HTTPS://gcr.io", "gcr.io/a", false),
        ("gcr .io", "gcr.io/a", false),
        (" gcr.io", "gcr.io/a", false),
        ("GCR.io", "gcr.io/a", false),
        ("", "gcr.io/a", false),
        ("*", "localhost/a", true),
        ("[::1]:5000", "[::1]:5000/a", true),
        ("[::1]", "[::1]/a", false),
        ("*:5000", "[::1]:5000/a", true),
        ("*", "[::1]/a", true),
    ] {
        assert_eq!(!found(&[name], image).is_empty(), expected, "{name} and {image}");
    }
}

#[test]
fn a_name_is_printed_without_user_and_query() {
    let print = |name: &str| EntryName::parse(name).unwrap().to_string();
    assert_eq!(print("https://user:password@gcr.io:443/v1/darwin?token=a#b"), "gcr.io:443/darwin");
    assert_eq!(print("gcr.io/%3Ftoken"), "gcr.io/");
    assert_eq!(print("[::1]:5000/a"), "[::1]:5000/a");
    assert_eq!(print("[::1]/a"), "[::1]/a");
    assert_eq!(print("gcr.io/%25"), "an entry that matches nothing");
    assert_eq!(format!("{:?}", EntryName::parse("gcr.io").unwrap()), "EntryName(gcr.io)");
}

#[test]
fn docker_hubs_own_name_is_for_all_its_images_where_nothing_else_matches() {
    let hub = "https://index.docker.io/v1/";
    for image in ["nginx", "grafana/grafana", "docker.io/nginx:1", "index.docker.io/a/b", "localhost/a"] {
        assert_eq!(found(&[hub], image), [hub], "{image}");
        assert_eq!(found(&["index.docker.io/grafana"], image), [""; 0], "{image}");
    }
    assert_eq!(found(&[hub, "docker.io"], "nginx"), ["docker.io"]);
    assert_eq!(found(&[hub], "gcr.io/a"), [""; 0]);
}

proptest! {
    #[test]
    fn any_name_is_read_without_panic(name in r"(https?://)?[a-z*.:@%\[\]/#?0-9 \\]{0,24}", image in "[a-z./:]{1,12}") {
        if let Ok(image) = Reference::parse(&image) {
            prop_assert!(ring(&[&name]).lookup(&image).len() <= 1);
        }
    }
}
