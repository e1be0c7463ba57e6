//! docs/reference: each page is made from what it describes, and a stale one fails.

use std::fs;

use clap::Args;
use regcred::{
    api::{Reason, crd},
    cli::run::RunArgs,
    process::metrics::{Controller, Metrics, ReconcileResult, Watch, WriteKind, WriteResult},
};
use serde_json::Value;

use crate::{ROOT, read};

/// The page of the reasons is written by hand, as what to do is in no type.
const STATUS: &str = "docs/status.md";

/// That each page says what is so now; `UPDATE_EXPECTED=1` writes it.
pub fn check() {
    for (name, wanted) in [("fields", fields()), ("flags", flags()), ("metrics", metrics())] {
        let path = format!("docs/reference/{name}.md");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(format!("{ROOT}/{path}"), &wanted).unwrap();
        }
        assert!(read(&path) == wanted, "{path} is stale: run `make reference`");
    }
    let status = read(STATUS);
    let (_, status) = status.split_once("## Reasons").unwrap();
    for reason in Reason::ALL {
        let rows = status.matches(&format!("\n| `{}` | ", reason.as_str())).count();
        assert_eq!(rows, 1, "{STATUS}: rows for the reason {}", reason.as_str());
    }
}

/// Every field of the resource, with its description, default and rules.
fn fields() -> String {
    let crd = serde_json::to_value(crd::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut page = "# Fields\n\n\
        `regcred.dev/v1alpha1`, RegistryCredential, cluster-scoped. Made from the CRD by `make reference`; `kubectl explain \
        regcred.spec` says the same. [A first credential](../first-credential.md) shows them in one manifest.\n"
        .to_owned();
    for part in ["spec", "status"] {
        page += &format!("\n## {part}\n\n");
        // Rules about several fields at once, and about the whole resource.
        let of_all = if part == "spec" { messages(schema) } else { Vec::new() };
        for message in messages(&schema["properties"][part]).into_iter().chain(of_all) {
            page += &format!("- *{}*\n", escaped(&message));
        }
        page += "\n| Field | Type | |\n| --- | --- | --- |\n";
        rows(part, &schema["properties"][part], &mut page);
    }
    page
}

fn rows(path: &str, schema: &Value, page: &mut String) {
    let of_items = if schema["type"] == "array" { &schema["items"] } else { schema };
    let required: Vec<&str> = of_items["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in of_items["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{}.{name}", if schema["type"] == "array" { "[]" } else { "" });
        let mut said = vec![escaped(&sentence(field["description"].as_str().unwrap_or_default()))];
        if required.contains(&name.as_str()) {
            said.push("Required.".to_owned());
        }
        if let Some(default) = field.get("default").filter(|default| *default != "") {
            said.push(format!("Default: `{}`.", plain(default)));
        }
        if let Some(values) = field["enum"].as_array() {
            let values: Vec<String> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
            said.push(format!("One of {}.", values.join(", ")));
        }
        let most = |limit: &str| field[limit].as_u64();
        said.extend(most("maxItems").map(|most| format!("At most {most}.")));
        said.extend(most("maxLength").map(|most| format!("At most {most} characters.")));
        said.extend(messages(field).into_iter().map(|message| format!("<br>*{}*", escaped(&message))));
        said.retain(|part| !part.is_empty());
        let cell = said.join(" ").replace('\n', " ").replace('|', "\\|");
        *page += &format!("| `{path}` | {} | {cell} |\n", kind(field));
        rows(&path, field, page);
    }
}

/// The rules' sentences, of the field and of its items.
fn messages(field: &Value) -> Vec<String> {
    let rules = [&field["x-kubernetes-validations"], &field["items"]["x-kubernetes-validations"]];
    let rules = rules.into_iter().filter_map(Value::as_array).flatten();
    rules.filter_map(|rule| rule["message"].as_str()).map(str::to_owned).collect()
}

fn kind(field: &Value) -> String {
    match (field["type"].as_str(), field["format"].as_str()) {
        (Some("array"), _) => format!("list of {}", kind(&field["items"])),
        (Some("object"), _) if field.get("additionalProperties").is_some() => "map of strings".to_owned(),
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some(kind), _) => kind.to_owned(),
        (None, _) => "any".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Without a meaning to Markdown.
fn escaped(text: &str) -> String {
    text.replace('*', "\\*").replace('_', "\\_")
}

/// With a full stop at its end.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.ends_with(['.', ':', '?']) { text } else { format!("{text}.") }
}

/// Every flag of `regcred run`.
fn flags() -> String {
    let command = RunArgs::augment_args(clap::Command::new("run"));
    let mut page = "# Flags of the operator\n\n\
        `regcred run` finds its cluster as kubectl does: `$KUBECONFIG`, then the pod's service account, then \
        `~/.kube/config`. Each flag is also an environment variable. Made from the program by `make reference`; \
        `regcred run --help` says the same. The other commands are in [cli.md](../cli.md).\n\n\
        | Flag | Variable | Default | |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for flag in command.get_arguments() {
        let text = sentence(&flag.get_long_help().or(flag.get_help()).unwrap().to_string());
        // Of a default that depends on where it runs, the help says more.
        let (text, said) = match text.split_once(" [default: ") {
            Some((text, default)) => (text, Some(default.trim_end_matches(['.', ']']).to_owned())),
            None => (&*text, None),
        };
        let of_clap = flag.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        let default = said.unwrap_or_else(|| match of_clap {
            Some(value) if !value.is_empty() => format!("`{value}`"),
            _ => "none".to_owned(),
        });
        let values: Vec<String> = match flag.get_action() {
            clap::ArgAction::Set => {
                flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
            }
            _ => Vec::new(),
        };
        let one_of = if values.is_empty() { String::new() } else { format!(" One of {}.", values.join(", ")) };
        let variable = flag.get_env().unwrap().to_string_lossy();
        page += &format!("| `--{}` | `{variable}` | {default} | {text}{one_of} |\n", flag.get_long().unwrap());
    }
    page
}

/// Every family of `/metrics`, as they are after each kind of event.
fn metrics() -> String {
    let metrics = Metrics::default();
    metrics.timer(Controller::Namespace).done(ReconcileResult::Done);
    metrics.write(WriteKind::WriteSecret, WriteResult::Done);
    metrics.watch_event(Watch::Secrets);
    metrics.watch_error(Watch::Secrets);
    metrics.status("darwin", [("Ready", "True")].into_iter(), Some([1, 1, 0]), Some(1));
    let text = metrics.render(&[(Controller::Namespace, 0)], 1, true);
    let mut page = "# Metrics\n\n\
        `/metrics` of each replica, in Prometheus' text form. Only the replica that leads has those of credentials. \
        Made from the program by `make reference`. Alerts and a dashboard are in [install.md](../install.md#watching-it).\n\n\
        | Metric | Type | Labels | |\n| --- | --- | --- | --- |\n"
        .to_owned();
    let of = |what: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("# {what} {name} ")));
        line.unwrap_or_else(|| panic!("no {what} of {name}:\n{text}")).to_owned()
    };
    for name in text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()) {
        let sample = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no sample of {name}"));
        let labels = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label);
        let labels: Vec<String> = labels.filter(|label| *label != "le").map(|label| format!("`{label}`")).collect();
        let kind = of("TYPE", name);
        let suffix = if kind == "counter" { "_total" } else { "" };
        page += &format!("| `{name}{suffix}` | {kind} | {} | {} |\n", labels.join(", "), sentence(&of("HELP", name)));
    }
    page
}
