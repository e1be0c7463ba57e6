//! The blocks that no test types, and why. What can be known of them without is checked: that `make` has the targets, and
//! that filters match a test.

use std::{fs, path::Path, process::Command};

use controlplane::docs::{self, Mark};

use crate::{ROOT, documents};

/// By their exact lines, without what follows a `#`.
const NOT_RUN: [(&[&str], &str); 7] = [
    (&["make demo", "make test", "make e2e"], ".ci/run calls each of them"),
    (
        &["docker build -t REGISTRY/regcred:v0.1.0 . && docker push REGISTRY/regcred:v0.1.0"],
        "there is neither Docker nor a registry of one's own",
    ),
    (
        &["helm install regcred charts/regcred -n regcred-system --take-ownership --force-conflicts"],
        "for another cluster than the rest of the document: tests/behaviour/chart.rs does it",
    ),
    (
        &["make install-manifest", "kubectl apply --server-side --force-conflicts -f dist/install.yaml"],
        "for another cluster than the rest of the document: tests/behaviour/chart.rs applies what it writes",
    ),
    (
        &[
            "kubectl apply --server-side -k config/crd",
            "kubectl create namespace images",
            "kubectl create namespace regcred-state",
            "kubectl label namespace images regcred-state pod-security.kubernetes.io/enforce=restricted",
            "kubectl apply --server-side -k images",
        ],
        "for another cluster than the rest of the document: tests/behaviour/relocate.rs types it",
    ),
    (
        &["make release", "release/publish.sh REGISTRY/OWNER"],
        "tests/release runs both, with binaries in place of those that take a quarter of an hour",
    ),
    (
        &[
            "cargo test --lib stuck",
            "cargo test --test behaviour conflict::",
            "cargo test --test behaviour -- --list",
            "cargo test --test docs README.md",
            "make chaos SEED=17 SCHEDULES=1 KILLS=0",
            "make e2e CASE=rotation",
            "make e2e CASE=--list",
        ],
        "a test that builds and starts others takes minutes; .ci/run calls each suite as a whole",
    ),
];

/// That the list above has just those of the documents.
pub fn check(documents: &[String]) {
    let mut left = NOT_RUN.to_vec();
    for document in documents {
        let blocks = docs::blocks(&crate::read(document)).unwrap_or_else(|why| panic!("in {document}\n{why}"));
        for block in blocks.iter().filter(|block| block.mark == Mark::NotRun) {
            let lines: Vec<&str> = block.text.lines().map(without_comment).collect();
            let at = left.iter().position(|(known, _)| *known == lines);
            let at = at.unwrap_or_else(|| panic!("{document}, line {}: say in NOT_RUN why: {lines:#?}", block.line));
            left.remove(at);
            lines.iter().for_each(|line| check_line(document, line));
        }
    }
    assert!(left.is_empty(), "no document has this any more: {left:#?}");
}

fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or_default().trim_end()
}

fn check_line(document: &str, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["make", ..] => {
            let output = Command::new("make").arg("-n").args(&words[1..]).current_dir(ROOT).output().unwrap();
            assert!(output.status.success(), "{document}: {line}: {}", String::from_utf8_lossy(&output.stderr));
            let case = words.iter().find_map(|word| word.strip_prefix("CASE=")).filter(|case| !case.starts_with('-'));
            let cases = fs::read_to_string(Path::new(ROOT).join("tests/e2e/main.rs")).unwrap();
            assert!(case.is_none_or(|case| cases.contains(&format!("(\"{case}"))), "{document}: no case for {line}");
        }
        ["cargo", "test", "--lib", name] => {
            let a_test = format!("fn [a-z_]*{name}");
            let found = Command::new("grep").args(["-rqE", &a_test, "src"]).current_dir(ROOT).status();
            assert!(found.unwrap().success(), "{document}: no test for {line}");
        }
        ["cargo", "test", "--test", suite, filter, ..] => {
            let folder = Path::new(ROOT).join("tests").join(suite);
            let of_file = folder.join(format!("{}.rs", filter.trim_end_matches("::"))).is_file();
            let of_document = suite == "docs" && documents().iter().any(|document| document == filter);
            let any = folder.is_dir() && (filter == "--" || of_file || of_document);
            assert!(any, "{document}: no test for {line}");
        }
        _ => {}
    }
}
