//! Watches that the API server refuses: what isn't seen is said, in log, readiness and status, and never passed over.

use controlplane::{Answer, Audit, Controllers, FaultProxy, OPERATOR, Options, Request, eventually};
use serde_json::json;

use crate::world::{SOON, World, cluster, key, operator, operator_with};

/// Takes the verb `list` on service accounts away, or gives it back.
fn let_list_accounts(world: &World, may: bool) {
    let verbs = if may { json!(["get", "list", "watch", "patch"]) } else { json!(["get", "watch", "patch"]) };
    let patch = json!([{"op": "replace", "path": "/rules/4/verbs", "value": verbs}]).to_string();
    world.kubectl(&["patch", "clusterrole", "regcred", "--type=json", "-p", &patch]);
}

#[test]
fn an_operator_that_lacks_a_right_says_which_from_its_start_and_goes_on_once_it_has_it() {
    let cluster = cluster(Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() });
    let operator = operator(&cluster, &["--leader-elect", "true"]);
    operator.wait_ready(SOON);
    let mut world = World::with(cluster, operator);
    world.may_be_refused = true;
    world.operator.stop();
    let_list_accounts(&world, false);
    let may_list = ["auth", "can-i", "list", "serviceaccounts", "-A"];
    eventually(SOON, || match world.cluster.kubectl_as(OPERATOR, &may_list).status.success() {
        true => Err("it still may".to_owned()),
        false => Ok(()),
    });
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.operator.restart();

    let wanted = "cannot list resource \"serviceaccounts\"";
    let remedy = "apply the roles of this version (config/rbac)";
    eventually(SOON, || {
        let condition = world.get(&["registrycredential", "darwin"])?["status"]["conditions"].clone();
        let all = condition.as_array().cloned().unwrap_or_default();
        let ready = all.iter().find(|c| c["type"] == "Ready").cloned().unwrap_or_default();
        let message = ready["message"].as_str().unwrap_or_default();
        let told = ready["status"] == "Unknown" && ready["reason"] == "WatchRefused";
        if told && message.contains(wanted) && message.contains(remedy) { Ok(()) } else { Err(format!("{all:#?}")) }
    });
    let (code, body) = world.operator.get("/readyz").unwrap();
    assert!(code == 503 && body.contains(wanted) && body.contains(remedy), "{code} {body}");
    let log = world.operator.log();
    let said = log.lines().filter(|line| line.contains("serviceaccounts\\\"") && line.contains(remedy)).count();
    assert_eq!(said, 1, "once: {log}");
    assert!(world.secret("team-a", "darwin").is_err(), "nothing is done before everything is known");

    let_list_accounts(&world, true);
    world.wait_ready("darwin");
    world.wait_entries("team-a", "default", &["darwin"]);
    world.operator.wait_ready(SOON);
}

#[test]
fn while_a_watch_is_refused_ready_is_unknown_and_afterwards_what_was_missed_is_done() {
    let cluster = cluster(Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() });
    let proxy = FaultProxy::start(&cluster);
    let operator = operator_with(proxy.kubeconfig(), &[]);
    operator.wait_ready(SOON);
    let mut world = World::with(cluster, operator);
    world.may_be_refused = true;
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");

    let is_about_namespaces = |request: &Request| request.path() == "/api/v1/namespaces";
    let refusal = "no watch bookmarks for you".to_owned();
    proxy.answer(move |request| is_about_namespaces(request).then(|| Answer::Refuse(422, "Invalid", refusal.clone())));
    proxy.cut_watches();
    world.namespace("team-b", json!({}));
    let message = eventually(SOON, || {
        let status = world.status("darwin")?;
        let ready = status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Ready").cloned();
        match ready.filter(|ready| ready["status"] == "Unknown" && ready["reason"] == "WatchRefused") {
            Some(ready) => Ok(ready["message"].as_str().unwrap_or_default().to_owned()),
            None => Err(format!("{status:#}")),
        }
    });
    assert_eq!(message, "the watch of namespaces is refused (HTTP 422): no watch bookmarks for you");
    assert_eq!(world.operator.get("/readyz").unwrap(), (503, format!("{message}\n")));
    assert_eq!(world.status("darwin").unwrap()["namespaces"]["summary"], "1/1", "as it was last known");

    proxy.answer(|_| None);
    world.wait_entries("team-b", "default", &["darwin"]);
    let status = world.wait_ready("darwin");
    assert_eq!(status["namespaces"]["summary"], "2/2");
    world.operator.wait_ready(SOON);
}

#[test]
fn where_the_api_server_has_no_such_policies_the_log_says_so() {
    let without = ["v1", "v1beta1"]
        .map(|version| format!("admissionregistration.k8s.io/{version}/mutatingadmissionpolicies=false"));
    let flags = vec![
        format!("--runtime-config={}", without.join(",")),
        "--disable-admission-plugins=MutatingAdmissionPolicy".to_owned(), // it would wait for them
    ];
    let cluster = cluster(Options { controllers: Controllers::Default, apiserver_flags: flags, ..Options::default() });
    let world = World::on(cluster, &[]);
    eventually(SOON, || {
        let log = world.operator.log();
        if log.contains("this API server has no MutatingAdmissionPolicy") { Ok(()) } else { Err(log) }
    });
}
