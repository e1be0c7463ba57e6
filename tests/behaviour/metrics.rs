//! What the operator says of itself: metrics, probes, the log, and its command line.

use std::process::{Command, Output};

use controlplane::{ControlPlane, Controllers, OPERATOR, Operator, Options, eventually};
use serde_json::json;

use crate::world::{ROOT, SOON, World, key, operator};

/// The value of one series, written as in the text format.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn metrics(operator: &Operator) -> String {
    operator.get("/metrics").unwrap().1
}

#[test]
fn metrics_tell_what_was_done_and_how_far_every_credential_is() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.namespace("team-b", json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.credential("broken", json!({"registries": ["evil.example.com"], "namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    world.wait_condition("broken", "Ready", "False", "RegistryNotAllowed");

    let exact = [
        (r#"regcred_writes_total{kind="write_secret",result="success"}"#, 2.0),
        (r#"regcred_writes_total{kind="patch_service_account",result="success"}"#, 2.0),
        (r#"regcred_credential_condition{credential="darwin",condition="Ready"}"#, 1.0),
        (r#"regcred_credential_condition{credential="darwin",condition="Stalled"}"#, 0.0),
        (r#"regcred_credential_condition{credential="broken",condition="Ready"}"#, 0.0),
        (r#"regcred_credential_condition{credential="broken",condition="Stalled"}"#, 1.0),
        (r#"regcred_credential_condition{credential="broken",condition="CredentialValid"}"#, -1.0),
        (r#"regcred_credential_namespaces_desired{credential="darwin"}"#, 2.0),
        (r#"regcred_credential_namespaces_ready{credential="darwin"}"#, 2.0),
        (r#"regcred_credential_namespaces_failed{credential="darwin"}"#, 0.0),
        (r#"regcred_workqueue_depth{controller="namespace"}"#, 0.0),
    ];
    eventually(SOON, || {
        let text = metrics(&world.operator);
        let wrong: Vec<_> = exact.iter().filter(|(name, want)| value(&text, name) != Some(*want)).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:?} in\n{text}")) }
    });
    let text = metrics(&world.operator);
    let some = [
        r#"regcred_reconcile_total{controller="namespace",result="success"}"#,
        r#"regcred_reconcile_total{controller="credential",result="success"}"#,
        r#"regcred_reconcile_total{controller="credential",result="error"}"#,
        r#"regcred_reconcile_time_seconds_count{controller="namespace"}"#,
        r#"regcred_writes_total{kind="status",result="success"}"#,
    ];
    for series in some {
        assert!(value(&text, series) > Some(0.0), "{series} in\n{text}");
    }
    for watch in ["registrycredentials", "sources", "namespaces", "secrets", "serviceaccounts"] {
        let age = value(&text, &format!("regcred_watch_last_event_age_seconds{{watch=\"{watch}\"}}"));
        assert!(age.is_some_and(|age| age < 60.0), "{watch} in\n{text}");
    }

    world.cluster.kubectl_ok(&["delete", "registrycredential", "darwin"]);
    eventually(SOON, || match metrics(&world.operator) {
        text if text.contains("\"darwin\"") => Err(text),
        _ => Ok(()),
    });
    // Its deletion is over, and nothing of it comes back with what happens next.
    world.wait_entries("team-b", "default", &[]);
    world.cluster.kubectl_ok(&["label", "namespace", "team-a", "a=b"]);
    world.credential("later", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_ready("later");
    let text = metrics(&world.operator);
    assert!(!text.contains("\"darwin\"") && text.contains("\"broken\""), "{text}");
}

#[test]
fn without_the_crd_it_lives_isnt_ready_says_why_and_goes_on_once_it_is_installed() {
    let cluster = ControlPlane::lend(Options { controllers: Controllers::Default, ..Options::default() });
    for part in ["namespace", "rbac"] {
        cluster.kubectl_ok(&["apply", "--server-side", "-k", &format!("{ROOT}/config/{part}")]);
    }
    let operator = operator(&cluster, &[]);
    eventually(SOON, || match operator.log() {
        log if log.contains("registrycredentials.regcred.dev isn't installed: apply config/crd") => Ok(()),
        log => Err(log),
    });
    assert_eq!(operator.get("/livez").unwrap().0, 200);
    assert_eq!(operator.get("/readyz").unwrap().0, 503);
    cluster
        .install(&std::fs::read_to_string(format!("{ROOT}/crds/registrycredentials.regcred.dev.yaml")).unwrap())
        .unwrap();
    operator.wait_ready(SOON);
    assert_eq!(operator.log().matches("isn't installed").count(), 1, "said once, not at each try");

    let world = World::with(cluster, operator);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["default"]}}));
    world.wait_entries("default", "default", &["darwin"]);
}

#[test]
fn flags_can_be_given_by_the_environment() {
    let cluster = crate::world::cluster(Options { controllers: Controllers::Default, ..Options::default() });
    let env = [
        ("REGCRED_CREDENTIAL_NAMESPACES", "vault,regcred-system"),
        ("REGCRED_ALLOWED_REGISTRIES", "registry.example.com"),
        ("REGCRED_MANAGED_SECRET_NAMES", "darwin, other"),
        ("REGCRED_CONCURRENCY", "3"),
        ("REGCRED_LOG_FILTER", "debug"),
    ];
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_regcred"));
    // The shipped Role covers regcred-system only; whoever adds a namespace binds it there.
    let operator = Operator::start(binary, &cluster.kubeconfig(OPERATOR), &[], &env);
    operator.wait_ready(SOON);
    let mut world = World::with(cluster, operator);
    world.may_be_refused = true; // until it may list the sources there
    world.namespace("vault", json!({}));
    let role = world.cluster.get_json(&["-n", "regcred-system", "role,rolebinding", "regcred-sources"]);
    let roles = role["items"].as_array().unwrap().iter().map(|object| {
        let mut copy = object.clone();
        copy["metadata"] = json!({"name": "regcred-sources", "namespace": "vault"});
        copy
    });
    crate::evidence::apply_all(&world.cluster, roles.collect());
    let source = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "vault"},
        "stringData": {"key.json": key('a')},
    });
    world.cluster.apply(&source.to_string()).unwrap();
    let registries = json!(["registry.example.com/x/"]);
    world.credential("darwin", json!({"registries": registries, "namespaces": {"names": ["default"]}}));
    world.wait_ready("darwin");
    assert!(world.operator.log().contains("\"level\":\"DEBUG\""));
    world.credential("third", json!({"namespaces": {"names": ["default"]}}));
    world.wait_condition("third", "Ready", "False", "SecretNameNotAllowed");
}

fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regcred"));
    command.args(args).env("KUBECONFIG", "/nonexistent/kubeconfig").envs(env.iter().copied());
    command.output().unwrap()
}

/// Arguments, environment, and what is said.
type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

#[test]
fn a_wrong_flag_or_setting_is_answered_by_one_clear_sentence() {
    let cases: [Case; 12] = [
        (&["run", "--concurrency", "0"], &[], "0 is not in 1..=1024"),
        (&["run", "--concurrency", "many"], &[], "invalid value 'many' for '--concurrency <N>'"),
        (&["run", "--listen", "8080"], &[], "invalid value '8080' for '--listen <ADDRESS:PORT>'"),
        (&["run", "--allowed-registries", "https://gcr.io"], &[], "'--allowed-registries <HOST>'"),
        (&["run", "--managed-secret-names", "team-*"], &[], "there is no wildcard"),
        (&["run"], &[("REGCRED_MANAGED_SECRET_NAMES", "a,,b")], "write the names of Secrets"),
        (&["run", "--log-format", "xml"], &[], "[possible values: json, text]"),
        (&["run", "--log-filter", "a=b=c"], &[], "--log-filter a=b=c: "),
        (&["run", "--nonsense"], &[], "unexpected argument '--nonsense'"),
        (&["run"], &[("REGCRED_LEADER_ELECT", "perhaps")], "invalid value 'perhaps' for '--leader-elect <true|false>'"),
        (&["run"], &[("REGCRED_CONCURRENCY", "5000")], "5000 is not in 1..=1024"),
        (&["run", "--listen", "127.0.0.1:0"], &[], "$KUBECONFIG can't be used: "),
    ];
    for (args, env, wanted) in cases {
        let output = run(args, env);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}: {said}");
        let first = said.lines().find(|line| line.contains(wanted));
        assert!(
            first.is_some_and(|line| line.starts_with("error: ")
                || line.starts_with("regcred: ")
                || line.contains("possible values")),
            "{args:?}: {said}"
        );
        assert!(!said.contains("panicked") && said.lines().count() < 12, "{args:?}: {said}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let cluster = crate::world::cluster(Options::default());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = crate::world::regcred(&cluster, OPERATOR);
    let output = command.args(["run", "--listen", &address]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let wanted = format!("regcred: --listen {address}: ");
    assert!(!output.status.success() && said.starts_with(&wanted) && said.contains("choose another"), "{said}");
}

#[test]
fn help_names_every_flag_and_crd_prints_the_file_that_is_shipped() {
    let text = |args: &[&str]| {
        let output = run(args, &[]);
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let help = text(&["--help"]);
    for command in ["run", "crd", "cleanup"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
    let help = text(&["run", "--help"]);
    let flags = [
        "credential-namespaces",
        "allowed-registries",
        "managed-secret-names",
        "listen",
        "leader-elect",
        "concurrency",
        "log-format",
        "log-filter",
    ];
    for flag in flags {
        let variable = format!("REGCRED_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&format!("--{flag}")) && help.contains(&variable), "{help}");
    }
    assert!(text(&["--version"]).starts_with("regcred "));
    let shipped = std::fs::read_to_string(format!("{ROOT}/crds/registrycredentials.regcred.dev.yaml")).unwrap();
    assert_eq!(text(&["crd"]), shipped);
}
