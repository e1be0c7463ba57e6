//! A plan for people: namespaces to which the same happens are one line each, and a sentence sums up.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::report::{Counts, NamespaceShape, PlanReport};
use crate::{
    api::plain,
    cli::{
        out::Report,
        table::{Cell, Style, Table, Tone},
    },
};

/// How many names there are in a list at most.
const NAMED: usize = 3;

impl Report for PlanReport {
    const KIND: &'static str = "PlanReport";

    fn write_table(&self, to: &mut dyn Write, style: Style) -> io::Result<()> {
        let table = self.table();
        table.write(to, style)?;
        writeln!(to, "{}", self.sum())?;
        for note in &self.notes {
            writeln!(to, "{}", style.paint(Tone::Faint, &format!("note: {}", plain(note))))?;
        }
        Ok(())
    }
}

/// A row without its namespaces.
type Row = [Cell; 3];

impl PlanReport {
    fn table(&self) -> Table<4> {
        let mut table = Table::new(["NAMESPACE", "ACTION", "OBJECT", "DETAIL"]);
        for credential in &self.registry_credentials {
            if let Some(held) = &credential.held {
                let object = format!("RegistryCredential {}", credential.name);
                let detail = format!("{}: {}", held.reason, held.message);
                table.row(["-".into(), Cell::new("Hold", Tone::Warning), object.into(), detail.into()]);
            }
        }
        for (namespaces, rows) in self.groups() {
            let names = names(&namespaces);
            for [action, object, detail] in rows {
                table.row([names.as_str().into(), action, object, detail]);
            }
        }
        table
    }

    /// Namespaces with the same rows, in the order of the first of each.
    fn groups(&self) -> Vec<(Vec<&str>, Vec<Row>)> {
        let mut groups: Vec<(Vec<&str>, Vec<Row>)> = Vec::new();
        let mut known = BTreeMap::new();
        for namespace in &self.namespaces {
            let key = (&namespace.secrets, &namespace.entries, &namespace.refusals);
            let at = *known.entry(key).or_insert_with(|| {
                groups.push((Vec::new(), rows(namespace)));
                groups.len() - 1
            });
            if let Some((names, _)) = groups.get_mut(at) {
                names.push(&namespace.name);
            }
        }
        groups
    }

    fn sum(&self) -> String {
        let said = self.counts.sentence();
        match (said.is_empty(), self.action) {
            (false, _) => said,
            (true, "None") => "nothing to do".to_owned(),
            (true, _) => "nothing changes in any namespace".to_owned(),
        }
    }
}

fn rows(namespace: &NamespaceShape) -> Vec<Row> {
    let secrets = namespace.secrets.iter().map(|secret| {
        let credential = &secret.registry_credential;
        let detail = match (secret.action, secret.cause) {
            (_, Some("Contents")) => format!("its contents change, for RegistryCredential {credential}"),
            (_, Some("Drift")) => format!("somebody has changed it, for RegistryCredential {credential}"),
            (_, Some("Adopted")) => format!("it isn't regcred's, and RegistryCredential {credential} adopts it"),
            (_, Some("Inherited")) => format!("its owner is gone, and RegistryCredential {credential} takes it over"),
            (_, Some(_)) => format!("it is deleted and made again, for RegistryCredential {credential}"),
            ("Delete", None) => format!("of RegistryCredential {credential}"),
            (_, None) => format!("for RegistryCredential {credential}"),
        };
        let tone = match secret.action {
            "Create" => Tone::Good,
            "Delete" => Tone::Warning,
            _ => Tone::Neutral,
        };
        [Cell::new(secret.action, tone), format!("Secret {}", secret.name).into(), detail.into()]
    });
    let entries = namespace.entries.iter().map(|entry| {
        let whose = format!("{} of RegistryCredential {}", entry.secret, entry.registry_credential);
        let (action, tone, detail) = match entry.action {
            "Add" => ("Add entry", Tone::Good, whose),
            "Remove" => ("Remove entry", Tone::Warning, whose),
            "Record" => ("Record entry", Tone::Neutral, format!("{whose}: it is there, and becomes regcred's")),
            _ => ("Forget entry", Tone::Neutral, format!("{whose}: it is gone, and so is its record")),
        };
        [Cell::new(action, tone), format!("ServiceAccount {}", entry.service_account).into(), detail.into()]
    });
    let refusals = namespace.refusals.iter().map(|refusal| {
        let object = format!("RegistryCredential {}", refusal.registry_credential);
        let detail = format!("{}: {}", refusal.reason, refusal.message);
        [Cell::new("Refuse", Tone::Bad), object.into(), detail.into()]
    });
    secrets.chain(entries).chain(refusals).collect()
}

/// As many names as fit, and how many more there are.
pub fn names(all: &[&str]) -> String {
    match all.get(..NAMED - 1) {
        Some(first) if all.len() > NAMED => format!("{} and {} more", first.join(", "), all.len() - first.len()),
        _ => all.join(", "),
    }
}

impl Counts {
    /// All that isn't zero: `2 Secrets to create, 1 to delete; 3 entries to add in 3 service accounts; …`.
    fn sentence(&self) -> String {
        let (secrets, entries) = (self.secrets, self.entries);
        let mut parts = vec![
            listed(
                ["Secret", "Secrets"],
                &[(secrets.create, "to create"), (secrets.update, "to update"), (secrets.delete, "to delete")],
            ),
            listed(
                ["entry", "entries"],
                &[
                    (entries.add, "to add"),
                    (entries.remove, "to remove"),
                    (entries.record, "to record as regcred's"),
                    (entries.forget, "to forget"),
                ],
            ),
        ];
        if let Some(entries) = parts.get_mut(1).filter(|it| !it.is_empty()) {
            *entries += &format!(" in {}", count(self.service_accounts, ["service account", "service accounts"]));
        }
        if self.namespaces > 0 {
            parts.push(format!("in {}", count(self.namespaces, ["namespace", "namespaces"])));
        }
        if self.refused > 0 {
            parts.push(format!("{} refused", self.refused));
        }
        if self.held > 0 {
            parts.push(format!("{} held", count(self.held, ["RegistryCredential", "RegistryCredentials"])));
        }
        parts.retain(|part| !part.is_empty());
        parts.join("; ")
    }
}

fn count(number: usize, [one, many]: [&str; 2]) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `2 Secrets to create, 1 to delete`.
fn listed(noun: [&str; 2], numbers: &[(usize, &str)]) -> String {
    let mut numbers = numbers.iter().filter(|(number, _)| *number > 0);
    let first = numbers.next().map(|(number, what)| format!("{} {what}", count(*number, noun)));
    first.into_iter().chain(numbers.map(|(number, what)| format!("{number} {what}"))).collect::<Vec<_>>().join(", ")
}
