//! Any text as an image reference: what is taken prints and parses to itself, its default pull policy follows from its
//! tag, and a keyring of any names finds each of them once at most, the greater ones first.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regcred::image::{EntryName, Keyring, PullPolicy, Reference};

fuzz_target!(|input: (&str, Vec<&str>)| {
    let (text, names) = input;
    let (policy, _) = PullPolicy::default_for(text);
    let reference = match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => {
            let run = text.as_bytes().windows(16).find(|run| run.iter().all(u8::is_ascii_alphanumeric));
            let quoted = run.is_some_and(|run| error.to_string().as_bytes().windows(16).any(|said| said == run));
            assert!(!quoted, "{error} quotes {text}");
            assert_eq!(policy, PullPolicy::IfNotPresent);
            return;
        }
    };
    let printed = reference.to_string();
    assert_eq!(Reference::parse(&printed).as_ref(), Ok(&reference), "{text}");
    assert_eq!(reference.name(), format!("{}/{}", reference.registry(), reference.repository()));
    assert!(reference.repository().len() <= 255 && !printed.contains(char::is_whitespace));
    assert_eq!(policy == PullPolicy::Always, reference.effective_tag() == Some("latest"), "{text}");

    let mut keyring = Keyring::default();
    for (at, name) in names.iter().enumerate() {
        keyring.add(name, at);
    }
    let found: Vec<usize> = keyring.lookup(&reference).into_iter().map(|(_, at)| *at).collect();
    let mut once = found.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), found.len(), "an entry is found twice");
    assert!(found.iter().all(|at| EntryName::parse(names[*at]).is_some()));
    // The image's own name matches it, but for IPv6 addresses without a port, and where the kubelet drops /v1 or /v2.
    keyring.add(&reference.name(), names.len());
    let version = reference.repository().starts_with("v1/") || reference.repository().starts_with("v2/");
    let own = keyring.lookup(&reference).iter().any(|(_, at)| **at == names.len());
    assert!(own || version || reference.registry().starts_with('['), "{} doesn't find itself", reference.name());
});
