//! What goes to standard output: reports as a table, JSON or YAML.

use std::io::{self, ErrorKind, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::table::Style;

/// The version of every report's shape. Fields are added to it, never renamed or taken out.
pub const API_VERSION: &str = "cli.regcred.dev/v1alpha1";

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// The same, as YAML.
    Yaml,
}

/// What a command has to say. As JSON it is its own fields after `apiVersion` and `kind`.
pub trait Report: Serialize {
    /// The word under `kind`.
    const KIND: &'static str;

    /// Writes it for people. It isn't asked to write anything where there is nothing to say.
    ///
    /// # Errors
    /// Those of `to`.
    fn write_table(&self, to: &mut dyn Write, style: Style) -> io::Result<()>;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, R> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    report: &'a R,
}

/// Writes a report to standard output.
///
/// # Errors
/// A sentence, where it can't be written.
pub fn report<R: Report>(report: &R, format: Format) -> Result<(), String> {
    let unwritable = |error: io::Error| format!("the report can't be written: {error}");
    write(&render(report, format, Style::of_stdout()).map_err(unwritable)?).map_err(unwritable)
}

fn render<R: Report>(report: &R, format: Format, style: Style) -> io::Result<String> {
    let document = Document { api_version: API_VERSION, kind: R::KIND, report };
    match format {
        Format::Table => {
            let mut text = Vec::new();
            report.write_table(&mut text, style)?;
            String::from_utf8(text).map_err(io::Error::other)
        }
        Format::Json => Ok(serde_json::to_string_pretty(&document)? + "\n"),
        Format::Yaml => serde_saphyr::to_string(&document).map_err(io::Error::other),
    }
}

/// Writes text to standard output, all of it or as much as somebody reads.
///
/// # Errors
/// If it can't be written. A pipe that nobody reads any more isn't an error.
pub fn write(text: &str) -> io::Result<()> {
    Lines.write_all(text.as_bytes())?;
    Lines.flush()
}

/// Standard output for what comes line by line. What is written after its reader has gone is passed over.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stdout().write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match io::stdout().flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Weather {
        sunny_days: usize,
        note: Option<&'static str>,
    }

    impl Report for Weather {
        const KIND: &'static str = "Weather";

        fn write_table(&self, to: &mut dyn Write, _: Style) -> io::Result<()> {
            writeln!(to, "{} sunny days", self.sunny_days)
        }
    }

    #[test]
    fn a_report_says_its_version_and_kind_before_its_own_fields() {
        let weather = Weather { sunny_days: 3, note: None };
        let text = |format| render(&weather, format, Style::Plain).unwrap();
        assert_eq!(text(Format::Table), "3 sunny days\n");
        let json = "{\n  \"apiVersion\": \"cli.regcred.dev/v1alpha1\",\n  \"kind\": \"Weather\",\n  \"sunnyDays\": 3,\n  \"note\": null\n}\n";
        assert_eq!(text(Format::Json), json);
        assert_eq!(
            text(Format::Yaml),
            "apiVersion: cli.regcred.dev/v1alpha1\nkind: Weather\nsunnyDays: 3\nnote: null\n"
        );
    }
}
