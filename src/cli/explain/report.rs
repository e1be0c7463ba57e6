//! The shape of the answer, and how it is written for people.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::{
    diagnosis::Finding,
    out::Report,
    prose::wrapped,
    table::{Cell, Style, Table, Tone},
};

/// The whole answer.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanations {
    /// Who pulls; `null` offline.
    pub subject: Option<SubjectShape>,
    /// The pull secrets of the subject, in its order.
    pub pull_secrets: Vec<PullSecretShape>,
    /// What is wrong with these, for every image.
    pub findings: Vec<Finding>,
    /// The images.
    pub images: Vec<Explanation>,
}

/// Who pulls.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectShape {
    /// `Pod` or `ServiceAccount`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pod's service account.
    pub service_account: String,
}

/// A pull secret.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PullSecretShape {
    /// The Secret's name.
    pub name: String,
    /// `Read`, `NotRead`, `Missing`, `NotAllowed`, `NoPullSecret` or `Unparseable`.
    pub state: &'static str,
    /// More about the state, for people.
    pub detail: Option<String>,
    /// The RegistryCredential that manages it, as far as that was found out.
    pub registry_credential: Option<String>,
}

/// One image.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// As it was written.
    pub image: String,
    /// The pod's containers and image volumes that use it.
    pub used_by: Vec<String>,
    /// What it names; `null` if it isn't a reference.
    pub reference: Option<ReferenceShape>,
    /// When it is pulled.
    pub pull_policy: PolicyShape,
    /// With which credentials; `null` offline, and where it isn't a reference.
    pub credentials: Option<CredentialsShape>,
    /// What is wrong with this image.
    pub findings: Vec<Finding>,
}

/// A reference, normalised.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceShape {
    /// The registry's host, with its port if it was written.
    pub registry: String,
    /// The repository there.
    pub repository: String,
    /// The tag, also one that is only meant; `null` beside a digest without a tag.
    pub tag: Option<String>,
    /// The digest; it decides which image is pulled.
    pub digest: Option<String>,
}

/// When an image is pulled.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyShape {
    /// `Always`, `IfNotPresent` or `Never`.
    pub policy: &'static str,
    /// Where it comes from: `Given`, `Pod` or `Default`.
    pub from: &'static str,
    /// Why it is that one.
    pub because: String,
    /// What it means.
    pub meaning: &'static str,
}

/// With which credentials an image is pulled.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsShape {
    /// `Credentials`, `Anonymous`, `Unknown` or `Blocked`.
    pub outcome: &'static str,
    /// The same in a sentence.
    pub meaning: String,
    /// Those that are known to be tried, in order: the first that the registry takes wins.
    pub tried: Vec<TryShape>,
    /// Whether a Secret that wasn't read may add to them.
    pub incomplete: bool,
}

/// One credential.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TryShape {
    /// The Secret's name.
    pub secret: String,
    /// The name of the entry that matches.
    pub entry: String,
    /// How that is known: `Data` or `RegistryCredential`.
    pub known_by: &'static str,
    /// Whether it is a token that can't be valid any more.
    pub expired: bool,
}

impl Explanations {
    /// How many findings there are.
    pub fn count_findings(&self) -> usize {
        self.findings.len() + self.images.iter().map(|image| image.findings.len()).sum::<usize>()
    }
}

impl Report for Explanations {
    const KIND: &'static str = "ImageExplanation";

    fn write_table(&self, to: &mut dyn Write, style: Style) -> io::Result<()> {
        for (at, image) in self.images.iter().enumerate() {
            if at > 0 {
                writeln!(to)?;
            }
            self.write_image(image, to, style)?;
        }
        let all = self.findings.iter().chain(self.images.iter().flat_map(|image| &image.findings));
        for finding in all {
            writeln!(to)?;
            writeln!(to, "{}", style.paint(Tone::Bad, finding.reason))?;
            for text in [&finding.message, &finding.remedy] {
                writeln!(to, "  {}", wrapped(text, 2))?;
            }
        }
        Ok(())
    }
}

impl Explanations {
    fn write_image(&self, image: &Explanation, to: &mut dyn Write, style: Style) -> io::Result<()> {
        field(to, "Image", &image.image)?;
        if let Some(reference) = &image.reference {
            field(to, "Registry", &reference.registry)?;
            field(to, "Repository", &reference.repository)?;
            field(to, "Tag", reference.tag.as_deref().unwrap_or("none"))?;
            field(to, "Digest", reference.digest.as_deref().unwrap_or("none"))?;
        }
        if !image.used_by.is_empty() {
            field(to, "Used by", &image.used_by.join(", "))?;
        }
        let policy = &image.pull_policy;
        field(to, "Pull policy", &format!("{}: {}.", policy.policy, policy.because))?;
        field(to, "", policy.meaning)?;
        let (Some(subject), Some(credentials)) = (&self.subject, &image.credentials) else { return Ok(()) };
        let whose = format!("{} {}/{}", subject.kind, subject.namespace, subject.name);
        field(to, "Pulled by", &whose)?;
        field(to, "Credentials", &credentials.meaning)?;
        let table = self.table(credentials);
        if !table.is_empty() {
            writeln!(to)?;
        }
        table.write(to, style)
    }

    /// The pull secrets, with a row for each entry that is tried.
    fn table(&self, credentials: &CredentialsShape) -> Table<5> {
        let mut table = Table::new(["PULL SECRET", "STATE", "ENTRY", "TRIED", "DETAIL"]);
        for secret in &self.pull_secrets {
            let tone = match secret.state {
                "Read" => Tone::Good,
                "Missing" | "NoPullSecret" => Tone::Warning,
                "Unparseable" => Tone::Bad,
                _ => Tone::Neutral,
            };
            let detail = secret.detail.as_deref().unwrap_or_default();
            let tried = credentials.tried.iter().enumerate().filter(|(_, attempt)| attempt.secret == secret.name);
            let mut rows: Vec<_> = tried.map(|(at, it)| (it.entry.as_str(), (at + 1).to_string())).collect();
            if rows.is_empty() {
                let entry = if secret.state == "Read" || secret.registry_credential.is_some() { "none" } else { "-" };
                rows.push((entry, "-".to_owned()));
            }
            for (entry, order) in rows {
                let state = Cell::new(secret.state, tone);
                table.row([secret.name.as_str().into(), state, entry.into(), order.into(), detail.into()]);
            }
        }
        table
    }
}

/// Where the values of fields begin.
const INDENT: usize = 14;

fn field(to: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    let name = if name.is_empty() { String::new() } else { format!("{name}:") };
    writeln!(to, "{name:<INDENT$}{}", wrapped(value, INDENT))
}
