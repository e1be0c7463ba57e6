//! Any text as a registry, and any list of allowed ones: what is taken prints and parses to itself, and a wildcard never
//! lets a key go where its instances may not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regcred::credential::{AllowedRegistries, RegistryKey, kinds::is_a_providers};

fuzz_target!(|input: (&str, &str, [&str; 2])| {
    let (text, list, fillings) = input;
    let allowed = AllowedRegistries::parse(list);
    let key = match RegistryKey::parse(text) {
        Ok(key) => key,
        Err(error) => {
            let run = text.as_bytes().windows(12).find(|run| run.iter().all(u8::is_ascii_alphanumeric));
            let quoted = run.is_some_and(|run| error.to_string().as_bytes().windows(12).any(|said| said == run));
            assert!(!quoted, "{error} quotes {text}");
            return;
        }
    };
    assert_eq!((key.as_str(), key.to_string().as_str()), (text, text));
    assert_eq!(RegistryKey::parse(key.as_str()).as_ref(), Ok(&key));
    assert!(text.starts_with(key.authority()) && key.authority().starts_with(key.host()));
    assert!(!text.contains("://") && !text.contains('@') && !text.chars().any(char::is_whitespace));
    let port = key.port().map(|port| format!(":{port}")).unwrap_or_default();
    assert_eq!(key.authority(), format!("{}{port}", key.host()));

    let none = AllowedRegistries::default();
    let permits = |list: &AllowedRegistries, key: &RegistryKey| is_a_providers(key) || list.lists(key);
    if permits(&none, &key) {
        let google = key.host() == "gcr.io" || key.host().ends_with(".gcr.io") || key.host().ends_with(".pkg.dev");
        assert!(google && key.port().is_none_or(|port| port == 443), "a key may go to {key}");
    }
    // An instance of the key: each * stands for something.
    let mut filling = fillings.iter().cycle();
    let parts: Vec<&str> = key.host().split('*').collect();
    let host = parts.iter().skip(1).fold(parts[0].to_owned(), |host, part| {
        let plain = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let some: String = filling.next().into_iter().flat_map(|text| text.chars()).filter(plain).take(8).collect();
        host + &some + part
    });
    let instance = RegistryKey::parse(&format!("{host}{}", &key.as_str()[key.host().len()..]));
    if let Ok(instance) = instance {
        for allowed in std::iter::once(&none).chain(&allowed) {
            assert!(
                !permits(allowed, &key) || permits(allowed, &instance),
                "{key} is permitted, {instance} isn't: {list}"
            );
        }
    }
});
