//! What is wrong, where, and how that is written.

use std::io::{self, Write};

use serde::Serialize;

use super::yaml::Position;
use crate::{
    api::plain,
    cli::{
        out::Report,
        table::{Cell, Style, Table, Tone},
    },
};

/// What comes of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Effect {
    /// The file can't be read.
    Unreadable,
    /// `kubectl apply` or the API server refuses it.
    Refused,
    /// It is taken, and the operator writes no Secret from it; its status says why.
    Held,
    /// It is taken, and this part of it does nothing.
    Ineffective,
    /// It works, and somebody should know this of it.
    Noted,
}

impl Effect {
    fn tone(self) -> Tone {
        if matches!(self, Self::Ineffective | Self::Noted) { Tone::Warning } else { Tone::Bad }
    }
}

/// Something wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub at: Position,
    /// Which field, as in `spec.registries[0]`; empty for the whole.
    pub field: String,
    /// What comes of it.
    pub effect: Effect,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Problem {
    /// One by which the manifest is refused.
    pub fn refused(at: Position, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at, field: field.into(), effect: Effect::Refused, message: message.into() }
    }

    /// One with another effect.
    pub fn new(at: Position, field: impl Into<String>, effect: Effect, message: impl Into<String>) -> Self {
        Self { effect, ..Self::refused(at, field, message) }
    }
}

/// A problem of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, as it was named or found; `-` for standard input.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What it is about, as in `RegistryCredential/darwin`; left out where that can't be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The field, as in `spec.registries[0]`; left out where it is about the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What comes of it.
    pub effect: Effect,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Finding {
    /// A problem of an object in a file.
    pub fn new(file: &str, object: Option<&str>, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            line: problem.at.line,
            column: problem.at.column,
            object: object.map(str::to_owned),
            field: Some(problem.field).filter(|field| !field.is_empty()),
            effect: problem.effect,
            message: problem.message,
        }
    }
}

/// A document that wasn't checked though it may be one of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// The line where the document begins, from 1.
    pub line: usize,
    /// Why, and what to do.
    pub message: String,
}

/// What `regcred check` has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// How many files were read.
    pub files: usize,
    /// How many RegistryCredentials were checked.
    pub registry_credentials: usize,
    /// How many keys were checked, in Secrets and in files of their own.
    pub keys: usize,
    /// What is wrong, by file, line and column.
    pub findings: Vec<Finding>,
    /// What wasn't checked, in the same order.
    pub skipped: Vec<Skipped>,
}

impl Report for CheckReport {
    const KIND: &'static str = "CheckReport";

    fn write_table(&self, to: &mut dyn Write, style: Style) -> io::Result<()> {
        let mut table = Table::new(["LOCATION", "EFFECT", "FINDING"]);
        for finding in &self.findings {
            let said = match &finding.field {
                Some(field) if !finding.message.starts_with(field.as_str()) => format!("{field}: {}", finding.message),
                _ => finding.message.clone(),
            };
            let place = format!("{}:{}:{}", finding.file, finding.line, finding.column);
            table.row([place.into(), Cell::new(format!("{:?}", finding.effect), finding.effect.tone()), said.into()]);
        }
        table.write(to, style)?;
        for skipped in &self.skipped {
            let note = format!("{}:{}: not checked: {}", skipped.file, skipped.line, skipped.message);
            writeln!(to, "{}", style.paint(Tone::Faint, &plain(&note)))?;
        }
        let tone = if self.findings.is_empty() { Tone::Good } else { Tone::Bad };
        let counts = format!(
            "{} in {} and {} in {}",
            counted(self.findings.len(), "finding"),
            counted(self.registry_credentials, "RegistryCredential"),
            counted(self.keys, "key"),
            counted(self.files, "file"),
        );
        writeln!(to, "{}", style.paint(tone, &counts))
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
