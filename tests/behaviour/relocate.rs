//! config/relocate: the operator in another namespace and under another name, by the overlay that docs/kustomize.md has.

mod render;

use controlplane::{
    ADMIN, Audit, ControlPlane, Controllers, Lent, OPERATOR, Operator, Options, User, eventually, kubernetes,
};
use serde_json::{Value, json};

use self::render::{Kustomize, commands, documented, overlay};
use crate::world::{ROOT, SOON, World, key, operator_with};

/// The namespace of docs/kustomize.md, and the operator's user name there.
pub const NAMESPACE: &str = "images";
const USER: &str = "system:serviceaccount:images:acme-regcred";

/// One of the names in config/overlays/scoped.
pub const SECRET: &str = "darwin-secret";

/// A cluster with the CRD and nothing else of regcred's.
fn cluster() -> Lent {
    let crd = std::fs::read_to_string(format!("{ROOT}/crds/registrycredentials.regcred.dev.yaml")).unwrap();
    cluster_with(vec![crd])
}

/// A cluster that knows the operator's user here.
pub fn cluster_with(manifests: Vec<String>) -> Lent {
    ControlPlane::lend(Options {
        controllers: Controllers::Default,
        audit: Audit::Metadata,
        manifests,
        users: vec![User::new(USER, &["system:serviceaccounts", "system:serviceaccounts:images"])],
        ..Options::default()
    })
}

/// One of the two replicas, told what its Deployment says.
fn replica(cluster: &ControlPlane) -> Operator {
    let deployment = cluster.get_json(&["-n", NAMESPACE, "deployment", "acme-regcred"]);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let words = ["command", "args"].map(|part| container[part].as_array().cloned().unwrap_or_default()).concat();
    let words: Vec<&str> = words.iter().filter_map(Value::as_str).skip_while(|word| *word != "run").skip(1).collect();
    // In a pod it knows these two by itself.
    let place = ["--leader-elect", "true", "--credential-namespaces", NAMESPACE];
    let replica = operator_with(&cluster.kubeconfig(USER), &[&place[..], &words].concat());
    replica.wait_ready(SOON);
    replica
}

fn holder(cluster: &ControlPlane) -> Result<Value, String> {
    let lease = cluster.try_get_json(&["-n", NAMESPACE, "lease", "regcred"])?;
    Ok(lease["spec"]["holderIdentity"].clone())
}

fn source(world: &World, key: &str) {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "key", "namespace": NAMESPACE}, "stringData": {"key.json": key},
    });
    world.cluster.apply(&manifest.to_string()).unwrap();
}

/// A pull secret, with the operator's marks or without.
fn pull_secret(namespace: &str, name: &str, marked: bool) -> String {
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {".dockerconfigjson": r#"{"auths": {}}"#},
    });
    if marked {
        secret["metadata"]["labels"] = json!({"regcred.dev/credential": "darwin"});
    }
    secret.to_string()
}

/// What kubectl said when it was refused.
#[track_caller]
fn refused(cluster: &ControlPlane, user: &str, args: &[&str]) -> String {
    let output = cluster.kubectl_as(user, args);
    assert!(!output.status.success(), "{user} may {args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The overlay of docs/kustomize.md with this in place of `config/default`, as this version of Kubernetes takes it.
fn kustomization(base: &str) -> String {
    let overlay = documented().replace("../config/default", base);
    let lines = overlay.lines().filter(|line| kubernetes() >= (1, 34) || !line.contains("at-creation"));
    let overlay = lines.map(|line| format!("{line}\n")).collect::<String>();
    let at_creation = if kubernetes() < (1, 36) { "policy/at-creation-v1beta1" } else { "policy/at-creation" };
    overlay.replace("policy/at-creation", at_creation)
}

/// The whole story of an operator, with the overlay's `config/default` or what takes its place.
fn does_all_its_work(base: &str, kustomize: Kustomize) {
    let cluster = cluster();
    let folder = overlay(cluster.folder(), &kustomization(base));
    let (code, written) = cluster.shell(cluster.folder(), &commands());
    assert_eq!(code, 0, "{written}");
    let render = kustomize.build(&folder);
    cluster.apply(&render).unwrap();
    plays_its_part(cluster, |cluster| {
        cluster.kubectl_with_input(&["delete", "-f", "-"], &render).unwrap();
    });
}

/// The same of one that is installed in this namespace and under this name, by whichever means; `remove` uninstalls it.
pub fn plays_its_part(cluster: Lent, remove: impl FnOnce(&ControlPlane)) {
    let born = kubernetes() >= (1, 34); // service accounts can be created with the entry
    let world = {
        let operator = replica(&cluster);
        World::with(cluster, operator)
    };
    world.standby.set(USER).unwrap(); // so that in the end RBAC must have refused nothing of this user's
    let cluster = &world.cluster;
    let leader = eventually(SOON, || holder(cluster));

    // Roll-out, rotation, and an Event where Events are.
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
    }
    source(&world, &key('a'));
    let (namespaces, accounts) = (json!({"names": ["team-*"]}), json!({"names": ["default", "app"]}));
    let spec =
        json!({"namespaces": namespaces, "attach": {"serviceAccounts": accounts}, "secretTemplate": {"name": SECRET}});
    world.credential("darwin", spec);
    for name in ["team-a", "team-b"] {
        world.wait_entries(name, "default", &[SECRET]);
        world.wait_password(name, SECRET, &key('a'));
    }
    world.wait_ready("darwin");
    eventually(SOON, || {
        let events = world.get(&["-n", "default", "events.events.k8s.io"])?;
        let mut about = events["items"].as_array().into_iter().flatten().map(|event| &event["regarding"]["name"]);
        about.any(|name| name == "darwin").then_some(()).ok_or_else(|| format!("no Event: {events:#}"))
    });
    source(&world, &key('b'));
    for name in ["team-a", "team-b"] {
        world.wait_password(name, SECRET, &key('b'));
    }

    // Drift.
    world.patch("team-a", &format!("secret/{SECRET}"), json!({"data": {".dockerconfigjson": "e30="}}));
    world.wait_password("team-a", SECRET, &key('b'));
    world.patch("team-b", "serviceaccount/default", json!({"imagePullSecrets": [{"name": "other"}]}));
    world.wait_entries("team-b", "default", &["other", SECRET]);

    if born {
        eventually(SOON, || {
            let probe = ["-n", "team-a", "create", "serviceaccount", "app", "--dry-run=server", "-o", "json"];
            let made: Value = serde_json::from_str(&cluster.kubectl_ok(&probe)).unwrap();
            if made["imagePullSecrets"] == json!([{"name": SECRET}]) { Ok(()) } else { Err(format!("{made:#}")) }
        });
    }

    // A standby takes over from a leader that is killed, and serves a new namespace.
    let standby = replica(cluster);
    assert_eq!(holder(cluster).unwrap(), leader);
    world.operator.kill9();
    world.namespace("team-c", json!({}));
    world.wait_password("team-c", SECRET, &key('b'));
    world.wait_entries("team-c", "default", &[SECRET]);
    world.wait_ready("darwin");
    assert_ne!(holder(cluster).unwrap(), leader);

    // Inside the fences: what RBAC would let this user write, and what only this user may.
    let unmarked = cluster.apply_as(USER, &pull_secret("default", SECRET, false)).unwrap_err();
    assert!(unmarked.contains("only Secrets of type kubernetes.io/dockerconfigjson with its label"), "{unmarked}");
    let label = refused(cluster, USER, &["-n", "team-a", "label", "serviceaccount", "default", "a=b"]);
    assert!(label.contains("may only update service accounts"), "{label}");
    // The name that the fences had before is a name like any other.
    cluster.kubectl_ok(&["create", "clusterrolebinding", "old", "--clusterrole=cluster-admin", "--user", OPERATOR]);
    for user in [ADMIN, OPERATOR] {
        let marked = cluster.apply_as(user, &pull_secret("default", "forged", true)).unwrap_err();
        assert!(marked.contains("mark what regcred made, so only regcred may set"), "{user}: {marked}");
        let record = ["-n", "team-a", "annotate", "serviceaccount", "default", "added.regcred.dev/other=darwin"];
        let record = refused(cluster, user, &record);
        assert!(record.contains("record which imagePullSecrets regcred added, so only regcred"), "{user}: {record}");
    }

    // Removal: of what it has rolled out, and of itself.
    world.delete_credential("darwin");
    world.wait_managed(&[]);
    world.wait_accounts_with(SECRET, &[]);
    world.wait_entries("team-b", "default", &["other"]);
    drop(standby);
    remove(cluster);
    let mut kinds =
        vec!["clusterroles", "clusterrolebindings", "roles", "rolebindings", "serviceaccounts", "deployments"];
    kinds.extend(["validatingadmissionpolicies", "validatingadmissionpolicybindings"]);
    kinds.extend(["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"].into_iter().filter(|_| born));
    let left = cluster.get_json(&["-A", &kinds.join(","), "-l", "app.kubernetes.io/name=regcred"]);
    assert_eq!(left["items"], json!([]));
    assert!(world.get(&["-n", NAMESPACE, "secret", "key"]).is_ok(), "the sources are the user's");
}

#[test]
fn with_config_default_the_operator_does_all_its_work_in_another_namespace_and_name_inside_the_fences() {
    does_all_its_work("../config/default", Kustomize::Oldest);
}

#[test]
fn with_the_scoped_overlay_the_operator_does_all_its_work_in_another_namespace_and_name_inside_the_fences() {
    does_all_its_work("../config/overlays/scoped", Kustomize::Newest);
}
