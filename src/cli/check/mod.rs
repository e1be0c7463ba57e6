//! `regcred check`: manifests, key files and docker configs, without a cluster.
//!
//! What is checked is what the API server would refuse (the CRD's own schema and rules), what the operator would hold
//! (by its own functions and with its own sentences), and what can't be meant. No sentence quotes a value of a file.

pub mod applied;
mod credentials;
mod finding;
mod input;
mod kind;
mod registries;
mod rules;
mod scalar;
mod schema;
mod secrets;
mod yaml;

use std::path::PathBuf;

use clap::Args;

use self::{
    credentials::Checker,
    finding::{CheckReport, Effect, Finding, Problem, Skipped},
    input::{Chosen, Input},
    secrets::Reference,
    yaml::{Document, Fault, Node, Position},
};
use super::{
    Verdict,
    args::{DEFAULT_NAMESPACE, LimitArgs, OutputArgs},
    progress::Progress,
};
use crate::credential::{
    is_secret_name,
    kinds::{self, FileFault},
};

/// What `regcred check` can be told.
#[derive(Args)]
pub struct CheckArgs {
    /// Manifests, JSON key files, docker configs, and folders of them (*.yaml, *.yml, *.json); - is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

/// Checks the files and writes what is found to standard output.
///
/// # Errors
/// A sentence, where a file can't be read or the report can't be written.
pub fn run(args: CheckArgs) -> Result<Verdict, String> {
    let inputs = input::read(&args.files)?;
    let LimitArgs { allowed_registries, credential_namespaces } = args.limits;
    let default = credential_namespaces.first().map_or(DEFAULT_NAMESPACE, String::as_str).to_owned();
    let checker = Checker::new(allowed_registries, credential_namespaces);
    let report = check(&inputs, &checker, &default);
    args.output.print(&report)?;
    // What is only noted is nothing to mend.
    Ok(Verdict::of_findings(report.findings.iter().filter(|finding| finding.effect != Effect::Noted).count()))
}

fn check(inputs: &[Input], checker: &Checker, default_namespace: &str) -> CheckReport {
    let mut report = CheckReport { files: inputs.len(), ..CheckReport::default() };
    let mut secrets = Vec::new();
    let mut references: Vec<Reference> = Vec::new();
    let mut progress = Progress::new("checking files:");
    for (done, input) in inputs.iter().enumerate() {
        progress.tell(done, Some(inputs.len()));
        let manifests = manifests(input, &mut report);
        for node in manifests.credentials {
            report.registry_credentials += 1;
            if let Some(reference) = Reference::of(&node).filter(|reference| !references.contains(reference)) {
                references.push(reference);
            }
            let object = object("RegistryCredential", &node);
            let problems = checker.check(&node).into_iter();
            report.findings.extend(problems.map(|problem| Finding::new(&input.name, Some(&object), problem)));
        }
        secrets.extend(manifests.secrets.into_iter().map(|node| (&input.name, node)));
    }
    for (file, secret) in &secrets {
        for reference in &references {
            let Some(problems) = reference.check(secret, default_namespace) else {
                continue;
            };
            report.keys += 1;
            let object = object("Secret", secret);
            report.findings.extend(problems.into_iter().map(|problem| Finding::new(file, Some(&object), problem)));
        }
    }
    report.findings.sort();
    report.findings.dedup();
    report.skipped.sort();
    report
}

/// A kind with the object's name, if it can be one.
fn object(kind: &str, node: &Node<'_>) -> String {
    match node.at_path(&["metadata", "name"]).and_then(Node::text).filter(|name| is_secret_name(name)) {
        Some(name) => format!("{kind}/{name}"),
        None => kind.to_owned(),
    }
}

/// What concerns us in a file.
#[derive(Default)]
struct Manifests<'a> {
    credentials: Vec<Node<'a>>,
    secrets: Vec<Node<'a>>,
}

/// Finds RegistryCredentials and Secrets; a key file or docker config is checked at once. All else is passed over, as repositories are
/// mixed: a file that doesn't even have these words isn't parsed.
fn manifests<'a>(input: &'a Input, report: &mut CheckReport) -> Manifests<'a> {
    let mut manifests = Manifests::default();
    let say = |problem: Problem, report: &mut CheckReport| {
        report.findings.push(Finding::new(&input.name, None, problem));
    };
    let text = std::str::from_utf8(&input.bytes);
    let has = |word: &str| text.is_ok_and(|text| text.contains(word));
    let is_ours = has("RegistryCredential") || has("regcred.dev/");
    let documents: Vec<_> = match text {
        Ok(text) if is_ours || has("Secret") => yaml::documents(text),
        _ => Vec::new(),
    };
    let is_manifest = documents.iter().flatten().any(|document| document.root.get("kind").is_some());
    let is_key = has("\"private_key\"") || has("service_account") || text.is_ok_and(kinds::is_logins_file);
    if input.is_json() && !is_manifest && (is_key || input.chosen == Chosen::ByName) {
        report.keys += 1;
        if let Err(fault) = kinds::check_file(&input.bytes) {
            say(file_problem(fault), report);
        }
        return manifests;
    }
    if let Err(error) = text {
        if input.chosen == Chosen::ByName {
            let message = format!("the file isn't UTF-8 text from byte {} on: save it as UTF-8", error.valid_up_to());
            say(Problem::new(Position::START, "", Effect::Unreadable, message), report);
        }
        return manifests;
    }
    for document in documents {
        match document {
            Ok(Document { root, repeated }) => {
                let before = manifests.credentials.len();
                sort(&root, &input.name, &mut manifests, report);
                if manifests.credentials.len() > before {
                    let message = "the field is there already, and kubectl takes the last one: take one out";
                    let problems = repeated.into_iter().map(|at| Problem::new(at, "", Effect::Ineffective, message));
                    report.findings.extend(problems.map(|problem| Finding::new(&input.name, None, problem)));
                }
            }
            Err(Fault { .. }) if has("{{") => {
                if is_ours {
                    report.skipped.push(template(&input.name, Position::START));
                }
                break;
            }
            Err(Fault { at, message }) => {
                say(Problem::new(at, "", Effect::Unreadable, format!("it can't be read as YAML: {message}")), report);
            }
        }
    }
    manifests
}

/// Takes what concerns us out of a document, or out of the list that it is.
fn sort<'a>(root: &Node<'a>, file: &str, manifests: &mut Manifests<'a>, report: &mut CheckReport) {
    let text = |name: &str| root.get(name).and_then(Node::text).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if kind.ends_with("List") {
        for item in root.get("items").map(Node::items).unwrap_or_default() {
            sort(item, file, manifests, report);
        }
        return;
    }
    let in_our_group = version.starts_with("regcred.dev/");
    if kind == "RegistryCredential" && (in_our_group || version.is_empty()) {
        if root.is_template() {
            report.skipped.push(template(file, root.at));
        } else {
            manifests.credentials.push(root.clone());
        }
    } else if in_our_group {
        let at = root.get("kind").unwrap_or(root).at;
        let problem = Problem::refused(at, "kind", "regcred.dev has no such kind: write RegistryCredential");
        report.findings.push(Finding::new(file, None, problem));
    } else if kind == "Secret" && version == "v1" && root.get("sops").is_none() && !root.is_template() {
        // What SOPS has encrypted can't be judged.
        manifests.secrets.push(root.clone());
    }
}

fn template(file: &str, at: Position) -> Skipped {
    let message = "it is a template: check what it renders, as in helm template . | regcred check -";
    Skipped { file: file.to_owned(), line: at.line, message: message.to_owned() }
}

/// What is wrong with a key file.
fn file_problem(fault: FileFault) -> Problem {
    let at = fault.at.map_or(Position::START, |(line, column)| Position { line, column });
    Problem::new(at, "", Effect::Held, fault.message)
}
