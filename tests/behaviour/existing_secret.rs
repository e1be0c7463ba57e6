//! Attach only: somebody else makes the Secret, service accounts name it, and nobody but them ever writes it.

use controlplane::{ADMIN, Audit, Controllers, Options, eventually};
use serde_json::{Value, json};

use crate::{
    evidence::versions,
    planned::{effects, follow, plan, refusals, strings},
    probe::version,
    scope::MANAGED_NAMES,
    world::{SOON, World, cluster, key, regcred},
};

const DOCKER: &str = "kubernetes.io/dockerconfigjson";

/// A RegistryCredential that attaches this Secret in `team-*`, with these members of the spec besides.
pub fn attaching(name: &str, secret: &str, more: Value) -> Value {
    let mut spec = json!({"existingSecretName": secret, "namespaces": {"names": ["team-*"]}});
    for (member, value) in more.as_object().unwrap() {
        spec[member] = value.clone();
    }
    json!({"apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": name}, "spec": spec})
}

impl World {
    fn attach(&self, name: &str, secret: &str, more: Value) {
        self.assert_managed(secret);
        self.cluster.apply(&attaching(name, secret, more).to_string()).unwrap();
    }

    /// Namespaces with their service account.
    fn teams(&self, names: &[&str]) {
        for name in names {
            self.namespace(name, json!({}));
            self.wait_account(name, "default");
        }
    }

    /// That nobody's Secret was written, in any namespace of a team.
    fn assert_no_secret_was_written(&self) {
        let mut writes = self.all_writes();
        writes.retain(|write| write.resource == "secrets" && write.namespace.starts_with("team"));
        assert_eq!(writes, []);
        self.assert_nothing_was_forbidden();
    }
}

#[test]
fn a_secret_that_is_there_is_attached_counted_and_left_as_it_is_also_when_the_credential_goes() {
    let world = World::new();
    world.teams(&["team-a", "team-b", "elsewhere"]);
    for name in ["team-a", "team-b", "elsewhere"] {
        world.foreign_secret(name, "shared", DOCKER);
    }
    world.service_account("team-a", "builder", json!({}), &["other"]);
    world.service_account("team-a", "theirs", json!({}), &["shared"]);
    let secrets = || ["team-a", "team-b", "elsewhere"].map(|name| world.secret(name, "shared").unwrap());
    let before = secrets();

    let accounts = json!({"serviceAccounts": {"names": ["default", "builder", "theirs"]}});
    world.attach("darwin", "shared", json!({"attach": accounts}));
    let status = world.wait_ready("darwin");
    assert_eq!(status["namespaces"], json!({"desired": 2, "ready": 2, "failed": 0, "summary": "2/2"}));
    assert_eq!(status["serviceAccounts"], json!({"desired": 4, "ready": 4, "summary": "4/4"}));
    let said = world.wait_condition("darwin", "CredentialValid", "Unknown", "NotRead");
    assert_eq!(said, "somebody else makes the Secret, and regcred doesn't read it");
    for field in ["identity", "registries", "observedSource", "credentialExpiresAt"] {
        assert_eq!(status[field], Value::Null, "{field}: {status:#}");
    }
    world.wait_entries("team-a", "default", &["shared"]);
    world.wait_entries("team-a", "builder", &["other", "shared"]);
    world.wait_entries("team-b", "default", &["shared"]);
    assert_eq!(world.entries("elsewhere", "default").unwrap(), [""; 0]);
    let theirs = world.account("team-a", "theirs");
    assert_eq!(theirs["metadata"]["annotations"], Value::Null, "an entry of somebody else's stays theirs");
    let row = world.kubectl(&["get", "regcred", "darwin", "--no-headers"]);
    assert!(row.split_whitespace().take(5).eq(["darwin", "True", "RolledOut", "2/2", "4/4"]), "{row}");

    // Where nothing has changed, a restart writes nothing.
    world.settle();
    let all = versions(&world);
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.wait_ready("darwin");
    assert_eq!(versions(&world), all);

    // Neither the name nor who makes the Secret can change.
    for (patch, sentence) in [
        (json!({"existingSecretName": "other"}), "the Secrets' name can't change"),
        (
            json!({"existingSecretName": null, "credential": {"basicAuth": {"secretRef": {"name": "key"}}}}),
            "credential and existingSecretName can't take each other's place",
        ),
    ] {
        let patch = json!({"spec": patch}).to_string();
        let output = world.cluster.kubectl(&["patch", "regcred", "darwin", "--type=merge", "-p", &patch]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(sentence), "{said}");
    }

    // A namespace that is no target any more, then all of it.
    world.patch_spec("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_entries("team-b", "default", &[]);
    world.wait_entries("team-a", "default", &["shared"]);
    world.delete_credential("darwin");
    world.wait_accounts_with("shared", &["team-a/theirs"]);
    world.wait_entries("team-a", "builder", &["other"]);
    world.settle();
    assert_eq!(secrets(), before);
    assert_eq!(world.account("team-a", "theirs"), theirs);
    world.assert_no_secret_was_written();
}

#[test]
fn a_secret_that_comes_later_goes_and_is_made_again_is_followed_and_its_entry_outlasts_its_absence() {
    let world = World::new();
    world.teams(&["team-a", "team-b", "team-c"]);
    world.foreign_secret("team-a", "shared", DOCKER);
    world.attach("darwin", "shared", json!({}));
    world.wait_entries("team-a", "default", &["shared"]);
    let message = world.wait_failure("darwin", "team-b", "SecretMissing");
    assert!(message.starts_with("there is no Secret shared of type kubernetes.io/dockerconfigjson"), "{message}");
    let said = eventually(SOON, || {
        let said = world.wait_condition("darwin", "Ready", "False", "PartiallyReady");
        if said.contains("SecretMissing in 2 of 3 namespaces (team-b, team-c): ") { Ok(said) } else { Err(said) }
    });
    assert!(said.starts_with("1 of 3 namespaces are ready; "), "{said}");
    world.wait_condition("darwin", "Stalled", "False", "Progressing");
    assert_eq!(world.entries("team-b", "default").unwrap(), [""; 0]);

    for name in ["team-b", "team-c"] {
        world.foreign_secret(name, "shared", DOCKER);
        world.wait_entries(name, "default", &["shared"]);
    }
    world.wait_ready("darwin");

    // It goes: that is said at once, and the entry stays for a while, also where it wasn't there at a start.
    world.kubectl(&["-n", "team-b", "delete", "secret", "shared"]);
    world.wait_failure("darwin", "team-b", "SecretMissing");
    world.wait_namespaces("darwin", "2/3");
    let account = version(&world.account("team-b", "default"));
    world.settle();
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.settle();
    world.wait_failure("darwin", "team-b", "SecretMissing");
    assert_eq!(version(&world.account("team-b", "default")), account);
    // Who isn't chosen any more needn't wait.
    world.patch_spec("darwin", json!({"attach": {"serviceAccounts": {"names": ["builder"]}}}));
    world.wait_accounts_with("shared", &[]);
    world.patch_spec("darwin", json!({"attach": {"serviceAccounts": null}}));
    world.wait_accounts_with("shared", &["team-a/default", "team-c/default"]);

    world.foreign_secret("team-b", "shared", DOCKER);
    world.wait_entries("team-b", "default", &["shared"]);
    world.wait_ready("darwin");

    // While it is suspended nothing is done, and what is there is counted.
    world.patch_spec("darwin", json!({"suspend": true}));
    world.wait_condition("darwin", "Suspended", "True", "Suspended");
    world.patch("team-a", "serviceaccount/default", json!({"imagePullSecrets": null}));
    world.kubectl(&["-n", "team-c", "delete", "secret", "shared"]);
    world.wait_namespaces("darwin", "1/3");
    world.settle();
    assert_eq!(world.entries("team-a", "default").unwrap(), [""; 0]);
    assert_eq!(world.entries("team-c", "default").unwrap(), ["shared"]);
    world.patch_spec("darwin", json!({"suspend": false}));
    world.wait_entries("team-a", "default", &["shared"]);
    world.wait_failure("darwin", "team-c", "SecretMissing");
    world.assert_no_secret_was_written();
}

#[test]
fn a_secret_that_cannot_be_used_or_is_regcreds_own_is_refused_and_a_name_that_another_makes_is_taken() {
    let world = World::new();
    world.source("key", &key('a'));
    world.teams(&["team-a", "team-b", "team-c", "team-d"]);
    // Of another type; with our label, which anybody can write; on its way out; and made by another RegistryCredential.
    world.foreign_secret("team-a", "shared", "Opaque");
    world.foreign_secret("team-b", "shared", DOCKER);
    world.kubectl(&["-n", "team-b", "label", "secret", "shared", "regcred.dev/credential=z-older"]);
    world.foreign_secret("team-c", "shared", DOCKER);
    let finalizers = |list: Value| world.patch("team-c", "secret/shared", json!({"metadata": {"finalizers": list}}));
    finalizers(json!(["example.com/stays"]));
    world.kubectl(&["-n", "team-c", "delete", "secret", "shared", "--wait=false"]);
    let made = json!({"namespaces": {"names": ["team-d"]}, "secretTemplate": {"name": "shared"}});
    world.credential("z-older", made);
    world.wait_ready("z-older");
    world.wait_older("z-older");
    let things = || {
        let of = |name: &str| (world.secret(name, "shared").unwrap(), world.account(name, "default"));
        ["team-a", "team-b", "team-c", "team-d"].map(of)
    };
    let before = things();

    world.attach("darwin", "shared", json!({}));
    for (namespace, reason, says) in [
        ("team-a", "SecretMissing", "no Secret shared of type kubernetes.io/dockerconfigjson"),
        ("team-b", "ManagedSecret", "has the label regcred.dev/credential: z-older, so it is regcred's own"),
        ("team-c", "SecretMissing", "somebody else has to make"),
        ("team-d", "NameTaken", "RegistryCredential z-older already has the Secret name shared"),
    ] {
        let message = world.wait_failure("darwin", namespace, reason);
        assert!(message.contains(says), "{message}");
    }
    world.settle();
    assert_eq!(things(), before);

    // Each is attached as soon as it can be.
    world.kubectl(&["-n", "team-a", "delete", "secret", "shared"]);
    world.foreign_secret("team-a", "shared", DOCKER);
    world.kubectl(&["-n", "team-b", "label", "secret", "shared", "regcred.dev/credential-"]);
    finalizers(json!(null));
    world.wait_no_secret("team-c", "shared");
    world.foreign_secret("team-c", "shared", DOCKER);
    for name in ["team-a", "team-b", "team-c"] {
        world.wait_entries(name, "default", &["shared"]);
    }
    let theirs = || ["team-a", "team-b", "team-c"].map(|name| world.secret(name, "shared").unwrap());
    let there = theirs();
    // Who made the Secret of that name takes it with him, and somebody else makes one.
    world.delete_credential("z-older");
    world.wait_no_secret("team-d", "shared");
    world.wait_failure("darwin", "team-d", "SecretMissing");
    world.foreign_secret("team-d", "shared", DOCKER);
    world.wait_entries("team-d", "default", &["shared"]);
    world.wait_ready("darwin");
    assert_eq!(theirs(), there);
    for name in ["team-a", "team-b", "team-c"] {
        assert_eq!(world.writes(name, "secrets"), []);
    }
    world.assert_nothing_was_forbidden();
}

#[test]
fn a_list_that_somebody_applies_is_left_to_them_and_nothing_is_adopted() {
    let world = World::new();
    world.teams(&["team-a"]);
    world.foreign_secret("team-a", "shared", DOCKER);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": "team-a"},
        "imagePullSecrets": [{"name": "other"}],
    });
    let apply = ["apply", "--server-side", "--field-manager=gitops", "-f", "-"];
    world.cluster.kubectl_with_input(&apply, &account.to_string()).unwrap();
    world.attach("darwin", "shared", json!({"attach": {"serviceAccounts": {"names": ["*"]}}}));
    let message = world.wait_failure("darwin", "team-a", "ServiceAccountContested");
    assert!(message.contains("gitops applies") && message.ends_with("or add shared there"), "{message}");
    world.wait_entries("team-a", "default", &["shared"]);
    assert_eq!(world.entries("team-a", "app").unwrap(), ["other"]);
    world.assert_no_secret_was_written();
}

#[test]
fn what_is_planned_is_done_and_a_cleanup_takes_the_entries_and_no_secret() {
    let world = World::new();
    world.teams(&["team-a", "team-b", "team-c"]);
    world.foreign_secret("team-a", "darwin", DOCKER);
    world.foreign_secret("team-b", "darwin", "Opaque");
    world.settle();
    let ask = |args: &[&str], manifests: &[&Value]| plan(&world.cluster, ADMIN, args, manifests);
    let manifest = attaching("darwin", "darwin", json!({}));
    let (report, code) = ask(&["-f", "FILE"], &[&manifest]);
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(effects(&report), strings(&["team-a Add darwin in default"]));
    assert_eq!(refusals(&report), strings(&["team-b SecretMissing", "team-c SecretMissing"]));
    let credential = &report["registryCredentials"][0];
    assert_eq!((&credential["held"], &credential["contents"]), (&Value::Null, &Value::Null));
    assert_eq!(report["notes"], json!([]), "nothing of it has to be read");
    follow(&world, &report, || drop(world.cluster.apply(&manifest.to_string()).unwrap()));
    let sentences = report["namespaces"].as_array().unwrap().iter();
    let sentences: Vec<_> = sentences.filter_map(|it| it["refusals"][0]["message"].as_str()).collect();
    let said = ["team-b", "team-c"].map(|name| world.wait_failure("darwin", name, "SecretMissing"));
    assert_eq!(sentences, said, "the sentences are the status' own");
    let (deleted, _) = ask(&["--delete", "darwin"], &[]);
    assert_eq!(effects(&deleted), strings(&["team-a Remove darwin in default"]));

    // A pod's pull secret is there or it isn't; what it is for nobody claims to know.
    let explained = |namespace: &str| {
        let args = ["explain", "registry.example.com/app:1", "--service-account", &format!("{namespace}/default")];
        let output = regcred(&world.cluster, ADMIN).args(args).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let there = explained("team-a");
    assert!(there.contains("darwin") && !there.contains("isn't that of RegistryCredential"), "{there}");
    world.patch("team-c", "serviceaccount/default", json!({"imagePullSecrets": [{"name": "darwin"}]}));
    let missing = explained("team-c");
    assert!(
        missing.contains("Secret team-c/darwin, which RegistryCredential darwin leaves to somebody else"),
        "{missing}"
    );

    world.delete_credential("zz-marker");
    world.wait_accounts_with("zz-marker", &[]);
    world.operator.stop();
    let before = world.secret("team-a", "darwin").unwrap();
    let output = regcred(&world.cluster, ADMIN).arg("cleanup").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("cleaned up 1 service accounts and 0 Secrets"), "{said}");
    world.wait_accounts_with("darwin", &["team-c/default"]);
    assert_eq!(world.secret("team-a", "darwin").unwrap(), before);
}

#[test]
fn where_secrets_are_watched_by_name_only_those_names_can_be_attached() {
    let options = Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() };
    let mut world = World::on(cluster(options), &[MANAGED_NAMES, "shared,zz-marker"]);
    world.teams(&["team-a"]);
    world.foreign_secret("team-a", "shared", DOCKER);
    world.attach("darwin", "shared", json!({}));
    world.wait_entries("team-a", "default", &["shared"]);
    world.wait_ready("darwin");
    world.may_be_unmanaged = true;
    world.foreign_secret("team-a", "other", DOCKER);
    world.attach("unwatched", "other", json!({}));
    let message = world.wait_condition("unwatched", "Ready", "False", "SecretNameNotAllowed");
    assert!(message.contains("name other isn't one of the operator's --managed-secret-names"), "{message}");
    assert!(message.contains("with one of these as existingSecretName"), "{message}");
    world.wait_condition("unwatched", "Stalled", "True", "SecretNameNotAllowed");
    world.settle();
    assert_eq!(world.entries("team-a", "default").unwrap(), ["shared"]);
    world.assert_no_secret_was_written();
}
