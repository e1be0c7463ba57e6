//! What others put beside ours works as before.

use controlplane::eventually;
use serde_json::json;

use crate::case::{Case, SOON, pod, pull_secrets};

pub fn somebody_elses_pull_secret_in_the_same_list_keeps_working(case: &Case) {
    let theirs = format!("{}-theirs", case.name);
    case.registry().accept(&theirs, &[("somebody", "a password")]);
    let images = [case.image("gcr.io", &case.name), case.image("registry.example", &theirs)];
    let namespace = case.namespace("a", true);
    case.by_hand(&namespace, "theirs", &[("registry.example", "somebody", "a password")]);
    let patch = json!({"imagePullSecrets": [{"name": "theirs"}]}).to_string();
    case.cluster().kubectl_ok(&["-n", &namespace, "patch", "serviceaccount", "default", "-p", &patch]);

    case.rolled_out();
    assert_eq!(pull_secrets(&case.service_account(&namespace)), ["theirs".to_owned(), case.secret()]);
    let containers = |images: &[String]| {
        let container = |(index, image): (usize, &String)| json!({"name": format!("app-{index}"), "image": image, "imagePullPolicy": "Always"});
        json!(images.iter().enumerate().map(container).collect::<Vec<_>>())
    };
    case.apply(&pod(&namespace, "both", containers(&images), json!({})));
    case.wait_running(&namespace, "both");

    // We go, and take nothing with us that is theirs.
    case.cluster().kubectl_ok(&["label", "namespace", &namespace, "case-"]);
    eventually(SOON, || {
        let secret = case.cluster().try_get_json(&["-n", &namespace, "secret", &case.secret()]);
        let entries = pull_secrets(&case.service_account(&namespace));
        match secret.is_err() && entries == ["theirs"] {
            true => Ok(()),
            false => Err(format!("{entries:?}")),
        }
    });
    case.apply(&pod(&namespace, "theirs", containers(&images[1..]), json!({})));
    case.wait_running(&namespace, "theirs");
    case.apply(&pod(&namespace, "ours", containers(&images[..1]), json!({})));
    case.wait_pull_error(&namespace, "ours");
}

pub fn a_foreign_secret_of_our_name_stays_and_nothing_refers_to_it(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let (taken, free) = (case.namespace("taken", true), case.namespace("free", true));
    // Of another type, so that it could be no pull secret at all.
    case.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": case.secret(), "namespace": taken},
        "stringData": {"theirs": "untouched"},
    }));
    let theirs = || case.cluster().get_json(&["-n", &taken, "secret", &case.secret()]);
    let before = theirs();
    let key = case.key("first");
    case.accept(&key);
    case.source(&key);
    case.credential(json!({}));
    let reason = "--for=jsonpath={.status.failures[0].reason}=WrongType";
    case.cluster().kubectl_ok(&["wait", &format!("regcred/{}", case.name), reason, "--timeout=60s"]);
    case.pod(&free, "app", &image, "Always");
    case.wait_running(&free, "app");
    assert_eq!(theirs(), before);
    assert_eq!(pull_secrets(&case.service_account(&taken)), [""; 0]);
}
