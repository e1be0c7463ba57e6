//! Commands with placeholders: the binary has to know the command and its flags.

use std::process::Command;

pub fn check(what: &str, text: &str) {
    for line in text.lines() {
        let mut words = line.split(|letter: char| letter.is_whitespace() || "[]{}|…".contains(letter));
        assert_eq!(words.next(), Some("regcred"), "{what}: {line}");
        let command = words.next().unwrap();
        let help = Command::new(env!("CARGO_BIN_EXE_regcred")).args([command, "--help"]).output().unwrap();
        assert!(help.status.success(), "{what}: there is no {command}");
        let help = String::from_utf8(help.stdout).unwrap();
        let known: Vec<&str> = help.split(|letter: char| letter.is_whitespace() || ",[]".contains(letter)).collect();
        for flag in words.filter(|word| word.starts_with('-')) {
            assert!(known.contains(&flag), "{what}: {command} has no {flag}:\n{help}");
        }
    }
}
