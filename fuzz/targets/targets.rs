//! Any names with wildcards: a namespace is a target if and only if the plain definition says so.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regcred::{
    api::{Labels, NamespaceTargets, ServiceAccountTargets},
    plan::{NamespaceRule, ServiceAccountRule},
};

/// `*` stands for any characters, none included; all else for itself.
fn is(pattern: &[char], name: &[char]) -> bool {
    // Whether the pattern so far matches the first n characters of the name, for each n.
    let mut matched = vec![false; name.len() + 1];
    matched[0] = true;
    for part in pattern {
        let mut next = vec![false; name.len() + 1];
        for n in 0..=name.len() {
            next[n] = match part {
                '*' => matched[n] || (n > 0 && next[n - 1]),
                part => n > 0 && matched[n - 1] && name[n - 1] == *part,
            };
        }
        matched = next;
    }
    matched[name.len()]
}

/// Few characters, so that much matches.
fn text(bytes: &[u8]) -> String {
    bytes.iter().take(40).map(|byte| ['a', 'b', '-', '*', 'ü'][usize::from(*byte) % 5]).collect()
}

fuzz_target!(|input: (Vec<&[u8]>, Vec<&[u8]>, &[u8])| {
    let texts = |list: &[&[u8]]| -> Vec<String> { list.iter().take(4).map(|bytes| text(bytes)).collect() };
    let (names, exclude, name) = (texts(&input.0), texts(&input.1), text(input.2).replace('*', "b"));
    let any = |patterns: &[String]| {
        let name: Vec<char> = name.chars().collect();
        patterns.iter().any(|pattern| is(&pattern.chars().collect::<Vec<_>>(), &name))
    };
    let targets = NamespaceTargets { names: names.clone(), selector: None, exclude: exclude.clone() };
    let rule = NamespaceRule::new(&targets).expect("no selector");
    let wanted = any(&names) && !any(&exclude);
    assert_eq!(rule.matches(&name.as_str().into(), &Labels::default()), wanted, "{names:?} but {exclude:?}: {name}");

    let targets = ServiceAccountTargets { names: Some(names.clone()), ..Default::default() };
    let rule = ServiceAccountRule::new(&targets).expect("no selector");
    assert_eq!(rule.matches(&name.as_str().into(), &Labels::default()), any(&names), "{names:?}: {name}");
});
