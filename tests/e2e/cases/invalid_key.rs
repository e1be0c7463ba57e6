//! A source that turns bad changes the status, and no pull.

use crate::case::{Case, restarts};

pub fn pods_pull_by_the_last_good_key_while_the_source_is_broken(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let namespace = case.namespace("a", true);
    let good = case.rolled_out();
    case.pod(&namespace, "before", &image, "Always");
    case.wait_running(&namespace, "before");
    // Twice, as an Event that is repeated is counted up and not made anew.
    for (broken, pod) in [("no key at all", "first"), ("{\"type\": \"authorized_user\"}", "second")] {
        case.source(broken);
        let reason = "--for=jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}=InvalidKey";
        case.cluster().kubectl_ok(&["wait", &format!("regcred/{}", case.name), reason, "--timeout=60s"]);
        case.pod(&namespace, pod, &image, "Always");
        case.wait_running(&namespace, pod);
        assert_eq!(restarts(&case.wait_running(&namespace, "before")), 0);
        case.restart_container(&namespace, pod);
        let version = case.source(&good);
        case.wait_rolled_out(&version);
    }
}
