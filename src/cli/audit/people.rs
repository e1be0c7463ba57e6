//! An audit for people: counts first, then the findings, where pods of one controller are one row, then what to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use super::report::{AuditReport, Kind, Located};
use crate::cli::{
    out::Report,
    prose::{counted, wrapped},
    table::{Cell, Style, Table, Tone},
};

/// Reasons for which nothing is broken yet.
const MERELY_ODD: [&str; 3] = ["LatestNotPulled", "PullPolicyNever", "PullSecretUnused"];

impl Report for AuditReport {
    const KIND: &'static str = "AuditReport";

    fn write_table(&self, to: &mut dyn Write, style: Style) -> io::Result<()> {
        summary(self, to, style)?;
        findings(self, to, style)
    }
}

fn summary(report: &AuditReport, to: &mut dyn Write, style: Style) -> io::Result<()> {
    let summary = &report.summary;
    let at = report.namespace.as_ref().map_or("all namespaces".to_owned(), |name| format!("namespace {name}"));
    let over = match summary.pods_over {
        0 => String::new(),
        over => format!(", and {over} that have ended or are being deleted"),
    };
    let (pods, containers) = (counted(summary.pods, "pod"), counted(summary.containers, "image"));
    writeln!(to, "{at}: {pods} with {containers}, of which {} can't be pulled{over}", summary.waiting)?;
    for gap in &report.not_read {
        let text = format!("not read: {}; {}", gap.why, gap.so);
        writeln!(to, "{}", style.paint(Tone::Warning, &wrapped(&text, 0)))?;
    }
    let mut table = Table::new(["REGISTRYCREDENTIAL", "COVERED", "NOT COVERED", "UNKNOWN"]);
    for (name, coverage) in &summary.registry_credentials {
        let tone = if coverage.not_covered == 0 { Tone::Good } else { Tone::Bad };
        let not_covered = Cell::new(coverage.not_covered, tone);
        table.row([name.into(), coverage.covered.into(), not_covered, coverage.unknown.into()]);
    }
    if !table.is_empty() {
        writeln!(to)?;
    }
    table.write(to, style)
}

/// What rows have in common that become one.
type Row<'a> = (bool, &'static str, &'a str, String, bool, &'a str, &'a str, &'a str);

fn findings<'a>(report: &'a AuditReport, to: &mut dyn Write, style: Style) -> io::Result<()> {
    let mut rows: BTreeMap<Row<'a>, BTreeSet<&str>> = BTreeMap::new();
    let mut remedies: BTreeMap<(bool, &'static str), BTreeSet<&str>> = BTreeMap::new();
    for located in &report.findings {
        let Located { namespace, kind, name, controller, container, image, finding } = located;
        let is_odd = MERELY_ODD.contains(&finding.reason);
        let object = controller.clone().unwrap_or_else(|| format!("{kind:?}/{name}"));
        let text = |text: &'a Option<crate::process::Text>| text.as_ref().map_or("-", crate::process::Text::as_str);
        let is_pod = *kind == Kind::Pod;
        let row = (
            is_odd,
            finding.reason,
            namespace.as_str(),
            object,
            is_pod,
            text(container),
            text(image),
            &*finding.message,
        );
        rows.entry(row).or_default().insert(name);
        remedies.entry((is_odd, finding.reason)).or_default().insert(&finding.remedy);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["NAMESPACE", "OBJECT", "PODS", "CONTAINER", "IMAGE", "REASON", "FINDING"]);
    for ((is_odd, reason, namespace, object, is_pod, container, image, message), names) in &rows {
        let tone = if *is_odd { Tone::Warning } else { Tone::Bad };
        let pods = if *is_pod { names.len().to_string() } else { "-".to_owned() };
        let reason = Cell::new(reason, tone);
        table.row([
            (*namespace).into(),
            object.into(),
            pods.into(),
            (*container).into(),
            (*image).into(),
            reason,
            (*message).into(),
        ]);
    }
    writeln!(to)?;
    table.write(to, style)?;
    writeln!(to)?;
    for ((is_odd, reason), remedies) in remedies {
        let tone = if is_odd { Tone::Warning } else { Tone::Bad };
        writeln!(to, "{}", style.paint(tone, reason))?;
        for remedy in remedies {
            writeln!(to, "  {}", wrapped(remedy, 2))?;
        }
    }
    Ok(())
}
