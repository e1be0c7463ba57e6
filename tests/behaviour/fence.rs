//! config/policy: what the API server refuses to whoever holds the operator's token, and what it refuses to all others.

use std::fs;

use controlplane::{ADMIN, ControlPlane, Controllers, Lent, OPERATOR, Options, SPARES, User, eventually};
use serde_json::{Value, json};

use crate::{
    policies::install,
    probe::uid,
    world::{self, SOON, World, key, regcred},
};

const PULL_SECRET: &str = "kubernetes.io/dockerconfigjson";

/// What the policies say.
const REGCREDS_SECRETS: &str = "only Secrets of type kubernetes.io/dockerconfigjson with its label";
const REGCREDS_SERVICE_ACCOUNTS: &str = "may only update service accounts, and change nothing of them but its own";
const MARKS: &str = "mark what regcred made, so only regcred may set or change them";
const RECORDS: &str = "record which imagePullSecrets regcred added, so only regcred may set or change them";

/// Somebody who may write Secrets and service accounts, and nothing else.
const EDITOR: &str = SPARES[0];

/// A cluster where the operator's user has every right that RBAC can give, so that what is refused is refused by a
/// policy. It has Secrets and service accounts of all sorts in the namespace `team`.
fn furnished(controllers: Controllers) -> Lent {
    let cluster = world::cluster(Options { controllers, ..Options::default() });
    let write = ["create", "clusterrole", "write", "--verb=*", "--resource=secrets,serviceaccounts"];
    cluster.kubectl_ok(&write);
    for (name, role, user) in [("stolen", "cluster-admin", OPERATOR), ("editor", "write", EDITOR)] {
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
        cluster.kubectl_ok(&["create", "clusterrolebinding", name, &role, &user]);
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    cluster.apply(&namespace.to_string()).unwrap();
    create(&cluster, ADMIN, &secret("ours", PULL_SECRET, true)).unwrap();
    create(&cluster, ADMIN, &secret("theirs", PULL_SECRET, false)).unwrap();
    create(&cluster, ADMIN, &secret("opaque", "Opaque", false)).unwrap();
    create(&cluster, ADMIN, &secret("posing", "Opaque", true)).unwrap();
    // Of `gone` somebody has taken the entry away.
    let annotations = json!({"added.regcred.dev/ours": "c", "added.regcred.dev/gone": "c", "n": "1"});
    create(&cluster, ADMIN, &account("app", &["x", "ours", "y"], annotations)).unwrap();
    install(&cluster, "policy");
    cluster
}

fn secret(name: &str, type_: &str, marked: bool) -> Value {
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": type_, "metadata": {"name": name, "namespace": "team"},
        "stringData": {".dockerconfigjson": r#"{"auths": {}}"#},
    });
    if marked {
        secret["metadata"]["labels"] = json!({"regcred.dev/credential": "c"});
        secret["metadata"]["annotations"] = json!({"regcred.dev/revision": "v1:0"});
    }
    secret
}

fn account(name: &str, entries: &[&str], annotations: Value) -> Value {
    let entries: Vec<Value> = entries.iter().map(|name| json!({"name": name})).collect();
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": entries,
        "metadata": {"name": name, "namespace": "team", "annotations": annotations},
    })
}

/// Stdout, or stderr.
fn run(cluster: &ControlPlane, user: &str, args: &[&str], input: &Value) -> Result<String, String> {
    let path = cluster.folder().join("input.json");
    fs::write(&path, input.to_string()).unwrap();
    let args: Vec<&str> = args.iter().map(|arg| if *arg == "FILE" { path.to_str().unwrap() } else { arg }).collect();
    let output = cluster.kubectl_as(user, &args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn create(cluster: &ControlPlane, user: &str, object: &Value) -> Result<String, String> {
    run(cluster, user, &["create", "-f", "FILE"], object)
}

fn apply(cluster: &ControlPlane, user: &str, object: &Value) -> Result<String, String> {
    let args = ["apply", "--server-side", "--force-conflicts", "--field-manager=regcred", "-f", "FILE"];
    run(cluster, user, &args, object)
}

/// `what` is such as `secret/ours`, `type_` json or merge.
fn patch(cluster: &ControlPlane, user: &str, what: &str, type_: &str, patch: Value) -> Result<String, String> {
    let args = ["-n", "team", "patch", what, &format!("--type={type_}"), "--patch-file", "FILE"];
    run(cluster, user, &args, &patch)
}

/// A PUT of the object as it is but for a change.
fn put(cluster: &ControlPlane, user: &str, what: &str, change: impl Fn(&mut Value)) -> Result<String, String> {
    let mut object = cluster.get_json(&["-n", "team", what]);
    change(&mut object);
    run(cluster, user, &["replace", "-f", "FILE"], &object)
}

fn delete(cluster: &ControlPlane, user: &str, what: &str) -> Result<String, String> {
    run(cluster, user, &["-n", "team", "delete", what], &Value::Null)
}

fn delete_raw(cluster: &ControlPlane, user: &str, path: &str) -> Result<String, String> {
    run(cluster, user, &["delete", "--raw", &format!("/api/v1/namespaces/team/{path}")], &Value::Null)
}

/// Waits until both sides of both policies are in force, by one request that each refuses.
fn wait_in_force(cluster: &ControlPlane) {
    let dry = |user: &str, object: &Value| run(cluster, user, &["create", "--dry-run=server", "-f", "FILE"], object);
    let probes = [
        (OPERATOR, secret("probe", "Opaque", false)),
        (OPERATOR, account("probe", &[], json!({}))),
        (ADMIN, secret("probe", PULL_SECRET, true)),
        (ADMIN, account("probe", &[], json!({"added.regcred.dev/x": "c"}))),
    ];
    for (user, object) in probes {
        eventually(SOON, || match dry(user, &object) {
            Ok(_) => Err(format!("{user} may still create {object}")),
            Err(_) => Ok(()),
        });
    }
}

fn everything(cluster: &ControlPlane) -> Value {
    cluster.get_json(&["-n", "team", "secrets,serviceaccounts"])["items"].clone()
}

type Attempt<'a> = (&'a str, Result<String, String>);

/// All of these were refused with a sentence that has `says` in it.
fn assert_refused(attempts: &[Attempt], says: &str) {
    for (what, result) in attempts {
        match result {
            Ok(_) => panic!("{what}: it went through"),
            Err(said) => assert!(said.contains(says) && said.contains("orbidden"), "{what}: {said}"),
        }
    }
}

fn assert_allowed(attempts: &[Attempt]) {
    for (what, result) in attempts {
        assert!(result.is_ok(), "{what}: {result:?}");
    }
}

#[test]
fn the_operators_token_writes_no_secret_but_pull_secrets_with_its_label() {
    let c = &furnished(Controllers::Off);
    wait_in_force(c);
    let before = everything(c);
    let me = OPERATOR;
    let unlabelled = |name| secret(name, PULL_SECRET, false);
    let data = json!({"data": {".dockerconfigjson": "e30="}});
    let data_by_json = json!([{"op": "replace", "path": "/data/.dockerconfigjson", "value": "e30="}]);
    let label = "/metadata/labels/regcred.dev~1credential";
    let strip = |object: &mut Value| object["metadata"]["labels"] = json!({});
    let change = |object: &mut Value| object["data"][".dockerconfigjson"] = json!("e30=");
    assert_refused(
        &[
            ("POST unlabelled", create(c, me, &unlabelled("new"))),
            ("apply that creates", apply(c, me, &unlabelled("new"))),
            ("apply over theirs", apply(c, me, &unlabelled("theirs"))),
            ("JSON patch of theirs", patch(c, me, "secret/theirs", "json", data_by_json.clone())),
            ("merge patch of theirs", patch(c, me, "secret/theirs", "merge", data.clone())),
            ("strategic patch of theirs", patch(c, me, "secret/theirs", "strategic", data.clone())),
            ("PUT of theirs", put(c, me, "secret/theirs", change)),
            ("DELETE of theirs", delete(c, me, "secret/theirs")),
            ("deletecollection", delete_raw(c, me, "secrets?fieldSelector=metadata.name%3Dtheirs")),
            ("JSON patch that unlabels", patch(c, me, "secret/ours", "json", json!([{"op": "remove", "path": label}]))),
            (
                "merge patch that unlabels",
                patch(c, me, "secret/ours", "merge", json!({"metadata": {"labels": {"regcred.dev/credential": null}}})),
            ),
            ("PUT that unlabels", put(c, me, "secret/ours", strip)),
        ],
        REGCREDS_SECRETS,
    );
    assert_refused(
        &[
            ("POST of a labelled one", create(c, me, &secret("new", "Opaque", true))),
            ("apply of a labelled one", apply(c, me, &secret("new", "Opaque", true))),
            (
                "POST without a type",
                create(
                    c,
                    me,
                    &json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "new", "namespace": "team", "labels": {"regcred.dev/credential": "c"}}}),
                ),
            ),
            ("apply over it", apply(c, me, &secret("opaque", "Opaque", true))),
            ("JSON patch of it", patch(c, me, "secret/opaque", "json", json!([{"op": "remove", "path": "/data"}]))),
            ("merge patch of it", patch(c, me, "secret/posing", "merge", json!({"data": null}))),
            ("PUT of it", put(c, me, "secret/posing", change)),
            ("DELETE of it", delete(c, me, "secret/opaque")),
            ("DELETE of a labelled one", delete(c, me, "secret/posing")),
            ("deletecollection", delete_raw(c, me, "secrets?fieldSelector=type%3DOpaque")),
        ],
        REGCREDS_SECRETS,
    );
    assert_eq!(everything(c), before);
    assert!(delete_raw(c, me, "secrets").is_err(), "deletecollection of all");
    for kept in ["theirs", "opaque", "posing"] {
        assert!(c.try_get_json(&["-n", "team", "secret", kept]).is_ok(), "{kept} is gone");
    }
}

#[test]
fn the_operators_token_makes_its_own_secret_and_changes_it_no_more() {
    let c = &furnished(Controllers::Off);
    wait_in_force(c);
    let of = |namespace: &str, name: &str, type_: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": type_, "immutable": false, "data": {"key": "AAAA"},
            "metadata": {"name": name, "namespace": namespace},
        })
    };
    let own = of("regcred-state", "root-key", "regcred.dev/root-key");
    let me = OPERATOR;
    assert_refused(
        &[
            ("under another name", create(c, me, &of("regcred-state", "other", "regcred.dev/root-key"))),
            ("in another namespace", create(c, me, &of("team", "root-key", "regcred.dev/root-key"))),
            ("of another type", create(c, me, &of("regcred-state", "root-key", "Opaque"))),
        ],
        REGCREDS_SECRETS,
    );
    assert_allowed(&[("its own", create(c, me, &own))]);
    let in_state =
        |args: &[&str]| run(c, me, &[&["-n", "regcred-state"], args].concat(), &json!({"data": {"key": "BBBB"}}));
    assert_refused(
        &[
            ("merge patch", in_state(&["patch", "secret/root-key", "--type=merge", "--patch-file", "FILE"])),
            ("DELETE", in_state(&["delete", "secret/root-key"])),
            ("apply", apply(c, me, &own)),
        ],
        REGCREDS_SECRETS,
    );
    // It is the administrator's to restore or to delete.
    assert_allowed(&[(
        "by an administrator",
        run(c, ADMIN, &["-n", "regcred-state", "delete", "secret/root-key"], &own),
    )]);
}

#[test]
fn the_operators_token_changes_no_service_account_but_in_the_entries_that_its_annotations_name() {
    let c = &furnished(Controllers::Off);
    wait_in_force(c);
    let before = everything(c);
    let me = OPERATOR;
    let merge = |patch_: Value| patch(c, me, "serviceaccount/app", "merge", patch_);
    let json = |operations: Value| patch(c, me, "serviceaccount/app", "json", operations);
    assert_refused(
        &[
            ("POST", create(c, me, &account("new", &[], json!({})))),
            ("apply that creates", apply(c, me, &account("new", &["n"], json!({"added.regcred.dev/n": "c"})))),
            ("DELETE", delete(c, me, "serviceaccount/app")),
            ("deletecollection", delete_raw(c, me, "serviceaccounts")),
            ("a token", run(c, me, &["-n", "team", "create", "token", "app"], &Value::Null)),
        ],
        REGCREDS_SERVICE_ACCOUNTS,
    );
    let metadata = |member: &str, value: Value| merge(json!({"metadata": {member: value}}));
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]);
    assert_refused(
        &[
            ("a label", metadata("labels", json!({"pulls": "private"}))),
            ("an owner", metadata("ownerReferences", owner)),
            ("a finalizer", metadata("finalizers", json!(["example.com/stays"]))),
            ("secrets", merge(json!({"secrets": [{"name": "x"}]}))),
            ("automount", merge(json!({"automountServiceAccountToken": true}))),
            (
                "automount by PUT",
                put(c, me, "serviceaccount/app", |o| o["automountServiceAccountToken"] = json!(false)),
            ),
            ("a label by JSON", json(json!([{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]))),
        ],
        REGCREDS_SERVICE_ACCOUNTS,
    );
    assert_refused(
        &[
            ("added", metadata("annotations", json!({"m": "1"}))),
            ("changed", metadata("annotations", json!({"n": "2"}))),
            ("removed", metadata("annotations", json!({"n": null}))),
            ("all removed", metadata("annotations", json!(null))),
            ("one that looks like it", metadata("annotations", json!({"added.regcred.dev.example.com/x": "c"}))),
        ],
        REGCREDS_SERVICE_ACCOUNTS,
    );
    let list = |names: &[&str]| account("app", names, json!({}))["imagePullSecrets"].clone();
    assert_refused(
        &[
            (
                "an entry unrecorded",
                json(json!([{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "z"}}])),
            ),
            ("a foreign entry removed", json(json!([{"op": "remove", "path": "/imagePullSecrets/0"}]))),
            ("the list removed", merge(json!({"imagePullSecrets": null}))),
            ("the list replaced", merge(json!({"imagePullSecrets": list(&["ours"])}))),
            ("by PUT", put(c, me, "serviceaccount/app", |o| o["imagePullSecrets"] = list(&["x", "ours"]))),
            ("by apply", apply(c, me, &account("app", &["ours"], json!({"added.regcred.dev/ours": "c"})))),
            (
                "a foreign entry, recorded as it goes",
                merge(
                    json!({"imagePullSecrets": list(&["ours", "y"]), "metadata": {"annotations": {"added.regcred.dev/x": "c"}}}),
                ),
            ),
            ("foreign ones in another order", merge(json!({"imagePullSecrets": list(&["y", "ours", "x"])}))),
            ("a foreign one twice", merge(json!({"imagePullSecrets": list(&["x", "x", "ours", "y"])}))),
            (
                "an entry whose record goes",
                json(json!([{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "gone"}},
                    {"op": "remove", "path": "/metadata/annotations/added.regcred.dev~1gone"}])),
            ),
        ],
        REGCREDS_SERVICE_ACCOUNTS,
    );
    assert_eq!(everything(c), before);

    // What the operator does send: an entry with its record; a record alone; both gone; a record gone.
    let annotation = |secret: &str| format!("/metadata/annotations/added.regcred.dev~1{secret}");
    let record = |secret: &str| json!({"op": "add", "path": annotation(secret), "value": "c"});
    assert_allowed(&[
        ("append", json(json!([{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "z"}}, record("z")]))),
        ("record", json(json!([record("x")]))),
        ("forget", json(json!([{"op": "remove", "path": annotation("gone")}]))),
        (
            "remove",
            json(
                json!([{"op": "remove", "path": "/imagePullSecrets/1"}, {"op": "remove", "path": annotation("ours")}]),
            ),
        ),
    ]);
    let after = c.get_json(&["-n", "team", "serviceaccount", "app"]);
    assert_eq!(after["imagePullSecrets"], list(&["x", "y", "z"]));

    // As some controllers leave it behind.
    let many: Vec<String> = (0..3000).map(|index| format!("dockercfg-{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    create(c, ADMIN, &account("crowded", &many, json!({"n": "1"}))).unwrap();
    let append = json!([{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "z"}}, record("z")]);
    assert_allowed(&[("a long list", patch(c, me, "serviceaccount/crowded", "json", append))]);
}

#[test]
fn nobody_else_sets_or_changes_the_operators_marks_and_everybody_may_take_them_away() {
    let c = &furnished(Controllers::Off);
    wait_in_force(c);
    let before = everything(c);
    for me in [ADMIN, EDITOR] {
        let labels = |what: &str, value: Value| {
            patch(c, me, what, "merge", json!({"metadata": {"labels": {"regcred.dev/credential": value}}}))
        };
        let annotations = |what: &str, key: &str, value: Value| {
            patch(c, me, what, "merge", json!({"metadata": {"annotations": {key: value}}}))
        };
        assert_refused(
            &[
                ("POST", create(c, me, &secret("new", PULL_SECRET, true))),
                ("apply that creates", apply(c, me, &secret("new", PULL_SECRET, true))),
                ("a label set", labels("secret/theirs", json!("c"))),
                ("a label changed", labels("secret/ours", json!("d"))),
                (
                    "a label changed by PUT",
                    put(c, me, "secret/ours", |o| o["metadata"]["labels"] = json!({"regcred.dev/credential": "d"})),
                ),
            ],
            MARKS,
        );
        assert_refused(
            &[
                ("a revision set", annotations("secret/theirs", "regcred.dev/revision", json!("v1:1"))),
                ("a revision changed", annotations("secret/ours", "regcred.dev/revision", json!("v1:1"))),
            ],
            MARKS,
        );
        assert_refused(
            &[
                ("a record set", annotations("serviceaccount/app", "added.regcred.dev/x", json!("c"))),
                ("a record changed", annotations("serviceaccount/app", "added.regcred.dev/ours", json!("d"))),
                (
                    "a record without an entry",
                    create(c, me, &account("new", &["x"], json!({"added.regcred.dev/y": "c"}))),
                ),
            ],
            RECORDS,
        );
        assert_eq!(everything(c), before);
    }

    // All else about marked objects is as ever; the marks may go; so may the objects.
    let me = EDITOR;
    let merge = |what: &str, change: Value| patch(c, me, what, "merge", change);
    assert_allowed(&[
        ("data", merge("secret/ours", json!({"data": {".dockerconfigjson": "e30="}}))),
        ("labels", merge("secret/ours", json!({"metadata": {"labels": {"team": "a"}, "annotations": {"a": "b"}}}))),
        ("a PUT", put(c, me, "secret/ours", |o| o["metadata"]["managedFields"] = json!([]))),
        ("the list", merge("serviceaccount/app", json!({"imagePullSecrets": [{"name": "x"}]}))),
        ("an annotation", merge("serviceaccount/app", json!({"metadata": {"annotations": {"n": "2"}}}))),
        (
            "a record gone",
            merge("serviceaccount/app", json!({"metadata": {"annotations": {"added.regcred.dev/ours": null}}})),
        ),
        ("a label gone", merge("secret/posing", json!({"metadata": {"labels": null}}))),
        ("a revision gone", merge("secret/posing", json!({"metadata": {"annotations": null}}))),
        ("a copy", create(c, me, &account("copy", &["x", "ours"], json!({"added.regcred.dev/ours": "c"})))),
        ("DELETE", delete(c, me, "secret/ours")),
        ("DELETE of a service account", delete(c, me, "serviceaccount/copy")),
    ]);
}

#[test]
fn the_operator_does_all_its_work_inside_the_fence() {
    let cluster = world::cluster(Options {
        controllers: Controllers::Default,
        audit: controlplane::Audit::Metadata,
        users: vec![User::new("somebody", &[])],
        ..Options::default()
    });
    install(&cluster, "policy");
    cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}).to_string()).unwrap();
    // RBAC refuses the operator what the probes need; the fence of others tells as much, as all came in one apply.
    eventually(SOON, || match create(&cluster, ADMIN, &secret("probe", PULL_SECRET, true)) {
        Ok(_) => Err(delete(&cluster, ADMIN, "secret/probe").unwrap()),
        Err(_) => Ok(()),
    });
    let world = World::on(cluster, &[]);
    world.source("key", &key('a'));
    // Distribution, beside what others have.
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
        world.service_account(name, "app", json!({}), &["x", "darwin", "y"]);
    }
    world.foreign_secret("team-b", "darwin", PULL_SECRET);
    let spec = |policy: &str| json!({"namespaces": {"names": ["team-*"]}, "attach": {"serviceAccounts": {"names": ["*"]}}, "conflictPolicy": policy});
    world.credential("darwin", spec("Fail"));
    world.wait_entries("team-a", "default", &["darwin"]);
    world.wait_failure("darwin", "team-b", "ForeignSecret");
    // Adoption of a Secret and of entries.
    let foreign = uid(&world.secret("team-b", "darwin").unwrap());
    world.credential("darwin", spec("Adopt"));
    world.wait_password("team-b", "darwin", &key('a'));
    world.wait_ready("darwin");
    assert_eq!(uid(&world.secret("team-b", "darwin").unwrap()), foreign);
    assert_eq!(world.account("team-a", "app")["metadata"]["annotations"]["added.regcred.dev/darwin"], "darwin");
    // Rotation, and a second entry in the same list.
    world.source("key", &key('b'));
    world.wait_password("team-a", "darwin", &key('b'));
    world.wait_password("team-b", "darwin", &key('b'));
    world.credential(
        "second",
        json!({"namespaces": {"names": ["team-a"]}, "attach": {"serviceAccounts": {"names": ["*"]}}}),
    );
    world.wait_entries("team-a", "app", &["x", "darwin", "y", "second"]);
    // Repair: of a value, of an entry, of a mark, of a Secret.
    world.patch("team-a", "secret/darwin", json!({"data": {".dockerconfigjson": "e30="}}));
    world.wait_password("team-a", "darwin", &key('b'));
    world.patch("team-a", "serviceaccount/default", json!({"imagePullSecrets": [{"name": "other"}]}));
    world.wait_accounts_with("second", &["team-a/app", "team-a/default"]);
    world.patch("team-a", "secret/darwin", json!({"metadata": {"annotations": {"regcred.dev/revision": null}}}));
    eventually(SOON, || match world.secret("team-a", "darwin")?["metadata"]["annotations"]["regcred.dev/revision"] {
        Value::String(_) => Ok(()),
        _ => Err("no revision".to_owned()),
    });
    world.kubectl(&["-n", "team-a", "delete", "secret", "darwin"]);
    world.wait_password("team-a", "darwin", &key('b'));
    // Removal: out of a namespace, with the credential, and orphaned.
    world.patch_spec("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_no_secret("team-b", "darwin");
    world.wait_entries("team-b", "app", &["x", "y"]);
    world.kubectl(&["delete", "registrycredential", "second", "--cascade=orphan"]);
    eventually(SOON, || match world.secret("team-a", "second")?["metadata"]["ownerReferences"] {
        Value::Null => Ok(()),
        _ => Err("the garbage collector hasn't let it go".to_owned()),
    });
    world.settle();
    world.delete_credential("darwin");
    world.wait_managed(&["team-a/second"]);
    world.wait_entries("team-a", "app", &["x", "y", "second"]);
    world.assert_nothing_was_forbidden();

    // An administrator's cleanup.
    world.operator.stop();
    let output = regcred(&world.cluster, ADMIN).arg("cleanup").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    world.wait_accounts_with("second", &[]);
    world.wait_managed(&["team-a/second"]);
}
