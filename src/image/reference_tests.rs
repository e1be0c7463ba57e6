//! Tests of references: Kubernetes' and the reference library's own tables, and what no table has.

use proptest::prelude::*;

use super::*;

const TABLE: &str = include_str!("../../tests/image/references.tsv");

#[test]
fn every_case_of_the_tables_is_parsed_as_kubernetes_does() {
    let mut cases = 0;
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let parsed = Reference::parse(columns[1]);
        match columns[2..] {
            ["invalid"] => assert!(parsed.is_err(), "{line}: {parsed:?}"),
            [domain, name, tag, digest] => {
                let parsed = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert_eq!(parsed.name(), name, "{line}");
                assert!(domain.is_empty() || parsed.registry() == domain, "{line}");
                assert_eq!(parsed.effective_tag().unwrap_or_default(), tag, "{line}");
                assert_eq!(parsed.digest().unwrap_or_default(), digest, "{line}");
            }
            _ => panic!("{line}"),
        }
        cases += 1;
    }
    assert_eq!(cases, 207);
}

#[test]
fn each_fault_has_a_sentence_of_its_own_that_says_what_to_write() {
    let long = format!("gcr.io/{}", "a".repeat(256));
    let long_tag = format!("gcr.io/a:{}", "a".repeat(129));
    let short = format!("a@sha256:{}", "0".repeat(63));
    let upper = format!("a@sha256:{}", "A".repeat(64));
    let identifier = "0".repeat(64);
    for (text, error) in [
        ("", ReferenceError::Empty),
        (" nginx", ReferenceError::Blank),
        ("nginx\n", ReferenceError::Blank),
        ("https://gcr.io/a", ReferenceError::Scheme),
        (&identifier, ReferenceError::Identifier),
        ("-gcr.io/a", ReferenceError::Registry),
        ("gcr.io:port/a", ReferenceError::Registry),
        ("fc00::1:5000/a", ReferenceError::Registry),
        ("[fe80::1%eth0]/a", ReferenceError::Registry),
        ("user@gcr.io/a", ReferenceError::Registry),
        ("gcr.io/", ReferenceError::NoRepository),
        (":tag", ReferenceError::NoRepository),
        ("NGINX", ReferenceError::UpperCase),
        ("gcr.io/Team/a", ReferenceError::UpperCase),
        ("gcr.io/a/", ReferenceError::EmptyPart),
        ("/a", ReferenceError::EmptyPart),
        ("gcr.io/a//b", ReferenceError::EmptyPart),
        ("gcr.io/a..b", ReferenceError::Repository),
        ("gcr.io/-a", ReferenceError::Repository),
        ("gcr.io/ä", ReferenceError::Repository),
        (&long, ReferenceError::RepositoryTooLong),
        ("nginx:", ReferenceError::Tag),
        ("nginx:-1", ReferenceError::Tag),
        ("nginx:1:2", ReferenceError::Tag),
        (&long_tag, ReferenceError::Tag),
        ("nginx@", ReferenceError::DigestAlgorithm),
        ("nginx@md5:d41d8cd98f00b204e9800998ecf8427e", ReferenceError::DigestAlgorithm),
        (&short, ReferenceError::Digest),
        (&upper, ReferenceError::Digest),
    ] {
        assert_eq!(Reference::parse(text).unwrap_err(), error, "{text}");
        let sentence = error.to_string();
        assert!(sentence.contains("; write ") || sentence.contains("; shorten "), "{sentence}");
    }
}

#[test]
fn a_first_part_with_a_dot_that_is_no_host_counts_as_repository() {
    let parsed = Reference::parse("a_b.example/c").unwrap();
    assert_eq!((parsed.registry(), parsed.repository()), ("a_b.example", "c"));
    let long = |repository: usize| format!("a_b.example/{}", "c".repeat(repository));
    assert!(Reference::parse(&long(243)).is_ok());
    assert_eq!(Reference::parse(&long(244)), Err(ReferenceError::RepositoryTooLong));
}

#[test]
fn it_prints_in_full() {
    let print = |text: &str| Reference::parse(text).unwrap().to_string();
    assert_eq!(print("nginx"), "docker.io/library/nginx");
    assert_eq!(print("index.docker.io/a/b:1"), "docker.io/a/b:1");
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(print(&format!("localhost/a:1@{digest}")), format!("localhost/a:1@{digest}"));
}

proptest! {
    #[test]
    fn what_is_parsed_prints_and_parses_to_itself(
        text in r"(([a-zA-Z][a-z0-9_-]{0,4}\.?){1,3}(:[0-9]{1,5})?/|\[[a-f0-9:]{2,9}\]/|localhost/)?[a-z0-9][a-z0-9._/-]{0,12}(:[\w.-]{1,6})?(@sha256:[0-9a-f]{64})?"
    ) {
        if let Ok(reference) = Reference::parse(&text) {
            let printed = reference.to_string();
            prop_assert_eq!(Reference::parse(&printed), Ok(reference.clone()));
            prop_assert!(printed.ends_with(text.strip_prefix("index.").unwrap_or(&text)));
            prop_assert_eq!(reference.effective_tag().is_none(), reference.tag().is_none() && reference.digest().is_some());
        }
    }

    #[test]
    fn no_fault_quotes_the_text(text in r"[A-Z0-9]{12}(/[a-zA-Z0-9:@ _.-]{12,40})?") {
        if let Err(error) = Reference::parse(&text) {
            let sentence = error.to_string();
            prop_assert!(!text.as_bytes().windows(12).any(|run| sentence.as_bytes().windows(12).any(|said| said == run)));
        }
    }
}
