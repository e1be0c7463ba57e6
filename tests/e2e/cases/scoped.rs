//! The operator with `config/overlays/scoped` in place of `config/default`, as docs/kustomize.md has administrators do it.

use controlplane::OPERATOR;

use crate::case::{Case, pull_secrets};

pub fn with_rights_by_name_it_serves_the_names_on_its_list_and_holds_others_with_what_they_have(case: &Case) {
    let other = case.another("unlisted");
    let images = [case, &other].map(|case| case.image("gcr.io", &case.name));
    let namespaces = [case, &other].map(|case| case.namespace("before", true));
    let old = case.rolled_out();
    other.rolled_out();
    assert!(may(case, "secrets") && may(case, &format!("secret/{}", other.secret())), "the wide rights");

    let since = case.confine(&[case.secret()], &["default".to_owned()]);
    assert!(!may(case, "secrets") && !may(case, &format!("secret/{}", other.secret())), "the wide rights are gone");
    assert!(may(case, &format!("secret/{}", case.secret())));

    // A new namespace, a new key.
    let late = case.namespace("late", true);
    case.pod(&late, "first", &images[0], "Always");
    case.wait_running(&late, "first");
    assert_ne!(case.rotate(), old);
    for namespace in [&namespaces[0], &late] {
        case.pod(namespace, "second", &images[0], "Always");
        case.wait_running(namespace, "second");
        assert_eq!(pull_secrets(&case.service_account(namespace)), [case.secret()]);
    }

    // The other name: held, with what it has.
    let reason = r#"--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=SecretNameNotAllowed"#;
    case.cluster().kubectl_ok(&["wait", &format!("regcred/{}", other.name), reason, "--timeout=60s"]);
    other.pod(&namespaces[1], "first", &images[1], "Always");
    other.wait_running(&namespaces[1], "first");
    let late = other.namespace("late", true);
    other.pod(&late, "first", &images[1], "Always");
    other.wait_pull_error(&late, "first");
    assert!(case.cluster().try_get_json(&["-n", &late, "secret", &other.secret()]).is_err(), "it is held");

    let log = case.cluster().audit_log_since(since);
    let ours: Vec<_> = log.into_iter().filter(|entry| entry.user == OPERATOR).collect();
    assert!(ours.iter().any(|entry| entry.resource == "secrets" && entry.is_write()), "the Secrets were its work");
    let forbidden: Vec<_> = ours.iter().filter(|entry| [401, 403].contains(&entry.code)).collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

/// Whether the operator may get this in every namespace: `secrets`, or one name of them.
fn may(case: &Case, what: &str) -> bool {
    let user = format!("--as={OPERATOR}");
    let output = case.cluster().kubectl(&["auth", "can-i", "get", what, "-A", &user]);
    String::from_utf8_lossy(&output.stdout).trim() == "yes"
}
