//! The table of values in the chart's README, made from the comments of values.yaml.

use std::fs;

use serde_json::Value;

use crate::{
    ROOT, read,
    values::{defaults, schema},
};

const README: &str = "charts/regcred/README.md";
const BEGIN: &str = "<!-- values: made by `make chart` -->\n";
const END: &str = "<!-- /values -->\n";

#[test]
fn the_readmes_table_is_what_values_yaml_says() {
    let text = read(README);
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let wanted = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(format!("{ROOT}/{README}"), &wanted).unwrap();
        return;
    }
    assert!(text == wanted, "{README} is stale: run `make chart`");
}

fn table() -> String {
    let (schema, defaults) = (schema(), defaults());
    let mut rows = "| Value | Default | |\n| --- | --- | --- |\n".to_owned();
    for (path, comment) in commented(&read("charts/regcred/values.yaml")) {
        let members = format!("/properties/{}", path.replace('/', "/properties/"));
        let is_group = schema.pointer(&members).is_some_and(|member| member.get("properties").is_some());
        if schema.pointer(&members).is_none() || is_group {
            continue;
        }
        assert!(!comment.is_empty(), "values.yaml says nothing of {path}");
        let default = defaults.pointer(&format!("/{path}")).unwrap();
        rows += &format!("| `{}` | `{}` | {comment} |\n", path.replace('/', "."), shown(default));
    }
    rows
}

fn shown(value: &Value) -> String {
    value.as_str().filter(|text| !text.is_empty()).map_or_else(|| value.to_string(), str::to_owned)
}

/// Every key, as a path with slashes, with the comment right above it.
fn commented(yaml: &str) -> Vec<(String, String)> {
    let (mut found, mut above, mut path) = (Vec::new(), Vec::new(), Vec::<(usize, String)>::new());
    for line in yaml.lines() {
        let indent = line.len() - line.trim_start().len();
        match (line.trim().strip_prefix("# "), line.trim().split_once(':')) {
            (Some(comment), _) => above.push(comment.to_owned()),
            (None, Some((key, _))) => {
                path.retain(|(of, _)| *of < indent);
                path.push((indent, key.to_owned()));
                let keys: Vec<&str> = path.iter().map(|(_, key)| &**key).collect();
                found.push((keys.join("/"), std::mem::take(&mut above).join(" ")));
            }
            (None, None) => above.clear(), // an empty line
        }
    }
    found
}
