//! config/monitoring: every metric, label and label's value in the alerts and in the dashboard is one that the operator has.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use regex::Regex;
use serde_json::{Value, json};

use controlplane::{Answer, Controllers, FaultProxy, Options, eventually};

use crate::world::{ROOT, SOON, World, cluster, operator_with};

/// Each metric's labels, and their values.
type Series = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn series(text: &str) -> Series {
    let line = Regex::new(r"(?m)^(regcred_\w+)(?:\{(.*)\})? \S+$").unwrap();
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let mut all = Series::new();
    for found in line.captures_iter(text) {
        let labels = all.entry(found[1].to_owned()).or_default();
        for pair in label.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
            labels.entry(pair[1].to_owned()).or_default().insert(pair[2].to_owned());
        }
    }
    all
}

/// Every expression of the alerts and panels, and every text that names labels.
fn expressions() -> (Vec<String>, Vec<String>) {
    let file = |name: &str| std::fs::read_to_string(format!("{ROOT}/config/monitoring/{name}")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rules: Value = serde_saphyr::from_str(&file("rules.yaml")).unwrap();
    let rules = rules["spec"]["groups"][0]["rules"].as_array().unwrap().clone();
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets: Vec<Value> = panels.flat_map(|panel| panel["targets"].as_array().unwrap().clone()).collect();
    let queries = rules.iter().chain(&targets).map(|one| text(&one["expr"])).collect();
    let annotations = rules.iter().flat_map(|rule| rule["annotations"].as_object().unwrap().values().map(text));
    let shown = annotations.chain(targets.iter().map(|target| text(&target["legendFormat"]))).collect();
    (queries, shown)
}

/// A docker config with one login that is a token which says when it ends.
fn source_with_a_token() -> Value {
    let end = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 86_400;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.signature", part(json!({"alg": "RS256"})), part(json!({"exp": end})));
    let config = json!({"auths": {"ghcr.io": {"username": "me", "password": token}}});
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "token", "namespace": "regcred-system"},
        "stringData": {".dockerconfigjson": config.to_string()},
    })
}

/// The metrics of an operator to which everything has happened that has a series.
fn eventful() -> Series {
    let cluster = cluster(Options { controllers: Controllers::Default, ..Options::default() });
    let proxy = FaultProxy::start(&cluster);
    let operator = operator_with(proxy.kubeconfig(), &[]);
    operator.wait_ready(SOON);
    let mut world = World::with(cluster, operator);
    world.may_be_refused = true;
    for name in ["team-a", "sealed"] {
        world.namespace(name, json!({}));
    }
    world.cluster.apply(&source_with_a_token().to_string()).unwrap();
    let credential = json!({"dockerConfig": {"secretRef": {"name": "token"}}});
    let spec = json!({"credential": credential, "registries": ["ghcr.io"], "namespaces": {"names": ["team-*"]}});
    world.credential("darwin", spec.clone());
    world.wait_ready("darwin");

    // A write that fails, and a watch that does.
    proxy.answer(|request| {
        let sealed = request.method == "PATCH" && request.path().starts_with("/api/v1/namespaces/sealed/");
        let blind = request.is_watch() && request.path() == "/api/v1/namespaces";
        (sealed || blind).then(|| Answer::Refuse(403, "Forbidden", "not for you".to_owned()))
    });
    world.credential(
        "other",
        json!({"credential": spec["credential"], "registries": ["ghcr.io"], "namespaces": {"names": ["sealed"]}}),
    );
    world.wait_condition("other", "Ready", "False", "PartiallyReady");
    proxy.cut_watches();
    eventually(SOON, || {
        let text = world.operator.get("/metrics").unwrap().1;
        if text.contains("regcred_watch_errors_total{") { Ok(series(&text)) } else { Err(text) }
    })
}

#[test]
fn every_metric_and_label_of_alerts_and_dashboard_is_in_metrics() {
    let series = eventful();
    let (queries, shown) = expressions();
    assert!(queries.len() > 20 && shown.len() > 20, "{queries:#?}");
    let labels: BTreeSet<&String> = series.values().flat_map(BTreeMap::keys).collect();
    let metric = Regex::new(r"(regcred_\w+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"(\w+)(=~|=)"([^"]*)""#).unwrap();
    let grouping = Regex::new(r"\b(?:by|without|on|ignoring) ?\(([^)]*)\)").unwrap();
    let mut used = BTreeSet::new();
    for query in &queries {
        for found in metric.captures_iter(query) {
            let name = &found[1];
            let known = series.get(name).unwrap_or_else(|| panic!("there is no {name}, which {query} has"));
            used.insert(name.to_owned());
            for pair in matcher.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
                let values = known.get(&pair[1]).unwrap_or_else(|| panic!("{name} has no label {}: {query}", &pair[1]));
                for value in pair[3].split('|') {
                    assert!(values.contains(value), "no {name} has {}={value}, only {values:?}: {query}", &pair[1]);
                }
            }
        }
        for list in grouping.captures_iter(query) {
            for label in list[1].split(',').map(str::trim) {
                assert!(labels.iter().any(|known| *known == label), "there is no label {label}: {query}");
            }
        }
    }
    let named = Regex::new(r"\$labels\.(\w+)|^\{\{(\w+)\}\}| \{\{(\w+)\}\}").unwrap();
    for text in &shown {
        for found in named.captures_iter(text) {
            let label = found.iter().skip(1).flatten().next().unwrap().as_str();
            assert!(labels.iter().any(|known| *known == label), "there is no label {label}: {text}");
        }
    }
    // And nobody has to look for what isn't shown: of a histogram its buckets are.
    let parts = |name: &String| name.ends_with("_seconds_sum") || name.ends_with("_seconds_count");
    let unused: Vec<&String> = series.keys().filter(|name| !used.contains(*name) && !parts(name)).collect();
    assert!(unused.is_empty(), "neither an alert nor the dashboard has {unused:?}");
}
