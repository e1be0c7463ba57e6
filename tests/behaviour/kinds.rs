//! Docker configs and user names with passwords as sources: rolled out, rotated, kept, taken back, and never taken unless
//! their owner marked them.

use std::{collections::BTreeMap, time::SystemTime};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use controlplane::eventually;
use serde_json::{Value, json};

use crate::{
    evidence::{apply_all, assert_unsaid, wait_reasons},
    world::{SOON, World, credential},
};

/// Something that must never be repeated.
const MARKER: &str = "Xq7LeakedMarker";

/// A Secret in the operator's namespace; `null` among its annotations takes one away.
pub fn secret(name: &str, type_: &str, annotations: Value, data: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": type_, "stringData": data,
        "metadata": {"name": name, "namespace": "regcred-system", "annotations": annotations},
    })
}

/// A docker config with these logins: registry, user name, password.
pub fn docker_config(logins: &[(&str, &str, &str)]) -> String {
    let entry = |(registry, username, password): &(&str, &str, &str)| {
        ((*registry).to_owned(), json!({"auth": STANDARD.encode(format!("{username}:{password}"))}))
    };
    json!({"auths": logins.iter().map(entry).collect::<serde_json::Map<_, _>>()}).to_string()
}

/// A RegistryCredential of that kind for the namespaces `team-*`.
pub fn of_kind(name: &str, kind: Value, more: Value) -> Value {
    let mut spec = json!({"credential": kind, "registries": null, "namespaces": {"names": ["team-*"]}});
    for (member, value) in more.as_object().unwrap() {
        spec[member] = value.clone();
    }
    let mut whole = credential(name, spec);
    whole["spec"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
    whole
}

impl World {
    pub fn put(&self, object: &Value) {
        self.cluster.apply(&object.to_string()).unwrap();
    }

    /// The logins of a managed Secret: registry → user name and password.
    fn logins(&self, namespace: &str, name: &str) -> Result<BTreeMap<String, (String, String)>, String> {
        controlplane::logins(&self.secret(namespace, name)?)
    }

    pub fn wait_logins(&self, namespace: &str, name: &str, wanted: &[(&str, &str, &str)]) {
        let owned = |&(registry, username, password): &(&str, &str, &str)| {
            (registry.to_owned(), (username.to_owned(), password.to_owned()))
        };
        let wanted: BTreeMap<_, _> = wanted.iter().map(owned).collect();
        eventually(SOON, || match self.logins(namespace, name)? {
            found if found == wanted => Ok(()),
            found => Err(format!("{namespace}/{name} has {found:?}, not {wanted:?}")),
        });
    }
}

const HUB: &str = "https://index.docker.io/v1/";

/// What comes after a roll-out is the same for each kind: a rotation, a fault, a restart, a removal.
fn assert_rotates_keeps_and_goes(
    world: &World,
    source: &str,
    rotate: &Value,
    fault: &Value,
    after: &[(&str, &str, &str)],
) {
    let uid = world.wait_secret("team-a", "darwin")["metadata"]["uid"].clone();
    world.put(rotate);
    for namespace in ["team-a", "team-b"] {
        world.wait_logins(namespace, "darwin", after);
    }
    assert_eq!(world.wait_secret("team-a", "darwin")["metadata"]["uid"], uid, "in place");
    world.wait_ready("darwin");

    // A fault, an absence and a restart in the middle of it: the last good login stays.
    world.put(fault);
    world.wait_condition("darwin", "CredentialValid", "False", "InvalidCredential");
    world.namespace("team-late", json!({}));
    world.settle();
    world.wait_logins("team-a", "darwin", after);
    assert!(world.secret("team-late", "darwin").is_err(), "a new namespace gets nothing while it isn't known what");
    world.kubectl(&["-n", "regcred-system", "delete", "secret", source]);
    let message = world.wait_condition("darwin", "CredentialValid", "False", "SourceNotFound");
    assert!(message.contains("create it: kubectl -n regcred-system create secret "), "{message}");
    let before = world.writes("team-a", "secrets").len();
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.settle();
    world.wait_logins("team-b", "darwin", after);
    assert_eq!(world.writes("team-a", "secrets").len(), before, "a restart writes nothing");

    world.put(rotate);
    world.wait_ready("darwin");
    world.wait_logins("team-late", "darwin", after);
    world.wait_entries("team-late", "default", &["darwin"]);
    world.delete_credential("darwin");
    for namespace in ["team-a", "team-b", "team-late"] {
        world.wait_no_secret(namespace, "darwin");
        world.wait_entries(namespace, "default", &[]);
    }
    assert_unsaid(world, &[MARKER.to_owned()]);
}

fn two_teams() -> World {
    let world = World::new();
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
    }
    world
}

#[test]
fn a_docker_config_with_three_registries_is_rolled_out_rotated_kept_and_removed() {
    let world = two_teams();
    let config = |logins: &[(&str, &str, &str)]| {
        let data = json!({".dockerconfigjson": docker_config(logins)});
        secret("logins", "kubernetes.io/dockerconfigjson", json!({}), data)
    };
    let (a, b) = (format!("{MARKER}-a"), format!("{MARKER}-b"));
    let three =
        |password| [("docker.io", "me", password), ("ghcr.io", "you", "p:q"), ("registry.example.com:5000", "u", "p")];
    world.put(&config(&three(&a)));
    world.put(&of_kind("darwin", json!({"dockerConfig": {"secretRef": {"name": "logins"}}}), json!({})));
    let status = world.wait_ready("darwin");
    assert_eq!(status["identity"]["principal"], "3 logins", "{status:#}");
    let rendered =
        |password| [(HUB, "me", password), ("ghcr.io", "you", "p:q"), ("registry.example.com:5000", "u", "p")];
    world.wait_logins("team-b", "darwin", &rendered(&a));
    world.wait_entries("team-b", "default", &["darwin"]);

    // spec.registries narrows, and no more is asked of the source than that.
    world.patch_spec("darwin", json!({"registries": ["ghcr.io"]}));
    world.wait_logins("team-a", "darwin", &[("ghcr.io", "you", "p:q")]);
    world.patch_spec("darwin", json!({"registries": ["quay.io"]}));
    let message = world.wait_condition("darwin", "CredentialValid", "False", "RegistryNotInSource");
    assert!(message.contains("has no login for quay.io"), "{message}");
    world.settle();
    world.wait_logins("team-a", "darwin", &[("ghcr.io", "you", "p:q")]);
    world.patch_spec("darwin", json!({"registries": null}));
    world.wait_logins("team-a", "darwin", &rendered(&a));

    let mut broken = config(&[]);
    broken["stringData"][".dockerconfigjson"] = json!(format!(r#"{{"auths": {{"ghcr.io": {{"auth": "{MARKER}"}}}}}}"#));
    assert_rotates_keeps_and_goes(&world, "logins", &config(&three(&b)), &broken, &rendered(&b));
}

/// A token that says that it ends in so many seconds, and when that is.
fn token(seconds: u64) -> (String, u64) {
    let end = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + seconds;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    (format!("{}.{}.{MARKER}", part(json!({"alg": "RS256"})), part(json!({"exp": end}))), end)
}

#[test]
fn a_token_that_ends_is_said_to_have_ended_without_any_event_and_nothing_goes() {
    let world = two_teams();
    let config = |password: &str| {
        let data = json!({".dockerconfigjson": docker_config(&[("ghcr.io", "me", password)])});
        secret("logins", "kubernetes.io/dockerconfigjson", json!({}), data)
    };
    let (first, end) = token(10);
    world.put(&config(&first));
    world.put(&of_kind("darwin", json!({"dockerConfig": {"secretRef": {"name": "logins"}}}), json!({})));
    let status = world.wait_ready("darwin");
    let expires_at = status["credentialExpiresAt"].as_str().unwrap().to_owned();
    world.wait_logins("team-b", "darwin", &[("ghcr.io", "me", &first)]);
    let metric = |end: u64| format!("regcred_credential_expires_at_seconds{{credential=\"darwin\"}} {end}\n");
    assert!(world.operator.get("/metrics").unwrap().1.contains(&metric(end)), "{}", metric(end));
    let before = world.writes("team-a", "secrets").len();

    let message = world.wait_condition("darwin", "CredentialValid", "False", "TokenExpired");
    assert!(message.contains("the login for ghcr.io is a token that expired at"), "{message}");
    world.wait_condition("darwin", "Stalled", "True", "TokenExpired");
    world.settle();
    assert_eq!(world.status("darwin").unwrap()["credentialExpiresAt"], expires_at, "it is when it was");
    assert_eq!(world.writes("team-a", "secrets").len(), before);
    for namespace in ["team-a", "team-b"] {
        world.wait_logins(namespace, "darwin", &[("ghcr.io", "me", &first)]);
        world.wait_entries(namespace, "default", &["darwin"]);
    }

    let (second, end) = token(86_400);
    world.put(&config(&second));
    world.wait_ready("darwin");
    world.wait_logins("team-a", "darwin", &[("ghcr.io", "me", &second)]);
    assert!(world.operator.get("/metrics").unwrap().1.contains(&metric(end)), "{}", metric(end));
    world.put(&config("no token"));
    world.wait_logins("team-a", "darwin", &[("ghcr.io", "me", "no token")]);
    // The status follows the Secrets.
    eventually(SOON, || match world.wait_ready("darwin") {
        status if status["credentialExpiresAt"].is_null() => Ok(()),
        status => Err(format!("{status:#}")),
    });
    assert_unsaid(&world, &[MARKER.to_owned()]);
}

#[test]
fn a_user_name_and_password_are_rolled_out_rotated_kept_and_removed() {
    let world = two_teams();
    let marked = json!({"regcred.dev/registries": "docker.io, ghcr.io/team/"});
    let login = |password: &str| {
        secret("login", "kubernetes.io/basic-auth", marked.clone(), json!({"username": "me", "password": password}))
    };
    let (a, b) = (format!("{MARKER}-a"), format!("{MARKER}-b"));
    world.put(&login(&format!("{a}\n")));
    world.put(&of_kind("darwin", json!({"basicAuth": {"secretRef": {"name": "login"}}}), json!({})));
    let status = world.wait_ready("darwin");
    assert_eq!(status["identity"]["principal"], "me", "{status:#}");
    let said = world.wait_condition("darwin", "CredentialValid", "True", "Valid");
    assert!(said.contains("key password ends with a line break, which was left out"), "{said}");
    fn rendered(password: &str) -> [(&str, &str, &str); 2] {
        [(HUB, "me", password), ("ghcr.io/team/", "me", password)]
    }
    world.wait_logins("team-a", "darwin", &rendered(&a));
    world.wait_entries("team-b", "default", &["darwin"]);

    assert_rotates_keeps_and_goes(&world, "login", &login(&b), &login(""), &rendered(&b));
}

#[test]
fn a_registry_that_its_owner_withdraws_goes_and_comes_back_with_his_word() {
    let world = two_teams();
    let login = |registries: Value| {
        secret("login", "Opaque", json!({"regcred.dev/registries": registries}), json!({"token": MARKER}))
    };
    let kind = json!({"basicAuth": {"secretRef": {"name": "login"}, "username": "me", "passwordKey": "token"}});
    world.put(&login(json!("ghcr.io,quay.io")));
    world.put(&of_kind("darwin", kind, json!({"registries": ["ghcr.io", "quay.io"]})));
    world.wait_ready("darwin");
    let both = [("ghcr.io", "me", MARKER), ("quay.io", "me", MARKER)];
    world.wait_logins("team-a", "darwin", &both);

    world.put(&login(json!("quay.io")));
    world.wait_logins("team-a", "darwin", &both[1..]);
    // The status follows the Secrets.
    eventually(SOON, || match world.wait_condition("darwin", "CredentialValid", "True", "Valid") {
        said if said.contains("doesn't permit ghcr.io") && said.contains("annotate") => Ok(()),
        said => Err(said),
    });

    // None is left: nothing stays.
    for registries in [json!("registry.example.com"), json!("")] {
        world.put(&login(registries));
        let said = world.wait_condition("darwin", "CredentialValid", "False", "Revoked");
        assert!(said.contains("kubectl -n regcred-system annotate") && said.contains("secret login"), "{said}");
        for namespace in ["team-a", "team-b"] {
            world.wait_no_secret(namespace, "darwin");
            world.wait_entries(namespace, "default", &[]);
        }
        world.put(&login(json!("ghcr.io,quay.io")));
        world.wait_ready("darwin");
        world.wait_logins("team-b", "darwin", &both);
        world.wait_entries("team-b", "default", &["darwin"]);
    }

    // A mark that can't be read, or that got lost as the Secret was made anew, is a fault, and removes nothing.
    world.put(&login(json!("not a registry")));
    world.wait_condition("darwin", "CredentialValid", "False", "InvalidCredential");
    world.kubectl(&["-n", "regcred-system", "delete", "secret", "login"]);
    world.wait_condition("darwin", "CredentialValid", "False", "SourceNotFound");
    world.kubectl(&["-n", "regcred-system", "create", "secret", "generic", "login", "--from-literal=token=another"]);
    let said = world.wait_condition("darwin", "CredentialValid", "False", "SourceNotMarked");
    assert!(said.contains("what was rolled out before stays"), "{said}");
    world.settle();
    world.wait_logins("team-a", "darwin", &both);
    world.wait_entries("team-b", "default", &["darwin"]);
    let mark = "regcred.dev/registries=quay.io";
    world.kubectl(&["-n", "regcred-system", "annotate", "secret", "login", mark]);
    world.wait_logins("team-a", "darwin", &[("quay.io", "me", "another")]);
    assert_unsaid(&world, &[MARKER.to_owned()]);
}

#[test]
fn no_secret_that_its_owner_has_not_marked_leaves_the_credential_namespace() {
    let world = two_teams();
    let config = docker_config(&[("ghcr.io", "me", MARKER)]);
    let data = json!({"username": "me", "password": MARKER, "key.json": config, "config.json": config});
    let of = |name: &str, type_: &str, annotations: Value, more: &[(&str, &str)]| {
        let mut data = data.clone();
        more.iter().for_each(|(key, value)| data[*key] = json!(value));
        secret(name, type_, annotations, data)
    };
    let mint = json!({"regcred.dev/registries": "ghcr.io", "regcred.dev/use": "Mint"});
    let unknown = json!({"regcred.dev/registries": "ghcr.io", "regcred.dev/use": "Else"});
    let secrets = [
        of("opaque", "Opaque", json!({}), &[]),
        of("basic", "kubernetes.io/basic-auth", json!({}), &[]),
        of("ssh", "kubernetes.io/ssh-auth", json!({}), &[("ssh-privatekey", MARKER)]),
        of("tls", "kubernetes.io/tls", json!({}), &[("tls.crt", MARKER), ("tls.key", MARKER)]),
        of("bootstrap", "bootstrap.kubernetes.io/token", json!({}), &[]),
        of("helm", "helm.sh/release.v1", json!({}), &[]),
        of("issued", "regcred.dev/issued", json!({"regcred.dev/registries": "ghcr.io"}), &[]),
        of("mint", "Opaque", mint.clone(), &[]),
        of("mint-config", "kubernetes.io/dockerconfigjson", mint, &[(".dockerconfigjson", &config)]),
        of("unknown-use", "Opaque", unknown, &[]),
        of("similar", "Opaque", json!({"regcred.dev/registry": "ghcr.io", "registries": "ghcr.io"}), &[]),
    ];
    let names: Vec<String> =
        secrets.iter().map(|secret| secret["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    apply_all(&world.cluster, secrets.to_vec());

    let mut made = Vec::new();
    for name in &names {
        for (short, kind, registries) in [
            (
                "key",
                json!({"gcpServiceAccountKey": {"secretRef": {"name": name, "key": "key.json"}}}),
                json!(["gcr.io"]),
            ),
            (
                "word",
                json!({"gcpServiceAccountKey": {"secretRef": {"name": name, "key": "password"}}}),
                json!(["gcr.io"]),
            ),
            ("config", json!({"dockerConfig": {"secretRef": {"name": name, "key": "config.json"}}}), Value::Null),
            ("typed", json!({"dockerConfig": {"secretRef": {"name": name}}}), json!(["ghcr.io"])),
            ("login", json!({"basicAuth": {"secretRef": {"name": name}}}), json!(["ghcr.io"])),
            (
                "whole",
                json!({"basicAuth": {"secretRef": {"name": name}, "username": "me", "passwordKey": "key.json"}}),
                Value::Null,
            ),
        ] {
            let called = format!("{short}-{name}");
            // Names of Secrets that the operator may manage where it has rights by name.
            let more = json!({"registries": registries, "secretTemplate": {"name": "evil"}});
            made.push(of_kind(&called, kind, more));
        }
    }
    let count = made.len();
    apply_all(&world.cluster, made);
    let conditions = eventually(SOON, || {
        let list = world.get(&["registrycredentials"])?;
        let invalid: Vec<(String, String)> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|object| {
                let conditions = object["status"]["conditions"].as_array()?;
                let found = conditions.iter().find(|c| c["type"] == "CredentialValid" && c["status"] == "False")?;
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                Some((text(&object["metadata"]["name"]), text(&found["reason"])))
            })
            .collect();
        if invalid.len() == count { Ok(invalid) } else { Err(format!("{} of {count} are refused", invalid.len())) }
    });
    let reason = |name: &str| conditions.iter().find(|(one, _)| one == name).unwrap().1.as_str();
    for (name, wanted) in [
        ("login-opaque", "SourceNotMarked"),
        ("login-basic", "SourceNotMarked"),
        ("config-opaque", "SourceNotMarked"),
        ("login-similar", "SourceNotMarked"),
        ("login-mint", "Revoked"),
        ("typed-mint-config", "Revoked"),
        ("login-unknown-use", "SourceNotMarked"),
        ("login-issued", "SourceTypeNotAllowed"),
        ("login-tls", "SourceTypeNotAllowed"),
        ("config-helm", "SourceTypeNotAllowed"),
        ("key-opaque", "InvalidKey"),
    ] {
        assert_eq!(reason(name), wanted, "{name}");
    }
    world.settle();
    assert!(world.managed().unwrap().is_empty(), "{:?}", world.managed().unwrap().keys());
    assert!(world.writes("team-a", "secrets").is_empty() && world.writes("team-b", "secrets").is_empty());
    assert_unsaid(&world, &[MARKER.to_owned()]);
}

#[test]
fn a_tool_that_writes_the_source_again_and_again_is_followed_where_something_changed() {
    let world = two_teams();
    // As External Secrets writes: an apply under its own name, with the annotation from its template, each hour.
    let write = |password: &str, hour: u32| {
        let annotations =
            json!({"regcred.dev/registries": "ghcr.io", "reconcile.external-secrets.io/data-hash": hour.to_string()});
        let mut object = secret("login", "Opaque", annotations, json!({"username": "me", "password": password}));
        object["data"] = json!({"username": STANDARD.encode("me"), "password": STANDARD.encode(password)});
        object.as_object_mut().unwrap().remove("stringData");
        let args = ["apply", "--server-side", "--force-conflicts", "--field-manager=external-secrets", "-f", "-"];
        world.cluster.kubectl_with_input(&args, &object.to_string()).unwrap();
    };
    write(MARKER, 0);
    world.put(&of_kind("darwin", json!({"basicAuth": {"secretRef": {"name": "login"}}}), json!({})));
    world.wait_ready("darwin");
    world.wait_logins("team-a", "darwin", &[("ghcr.io", "me", MARKER)]);
    let before = world.writes("team-a", "secrets").len();
    for hour in 1..4 {
        write(MARKER, hour);
    }
    world.settle();
    assert_eq!(world.writes("team-a", "secrets").len(), before, "the same login again");
    write("another", 4);
    for namespace in ["team-a", "team-b"] {
        world.wait_logins(namespace, "darwin", &[("ghcr.io", "me", "another")]);
    }
    assert_eq!(world.writes("team-a", "secrets").len(), before + 1);
    wait_reasons(&world, &[("darwin", "RolledOut")]);
}

#[test]
fn another_kind_takes_the_place_of_the_first_without_a_gap() {
    let world = two_teams();
    world.source("key", &crate::world::key('a'));
    world.credential("darwin", json!({"registries": ["gcr.io"], "namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    let uid = world.wait_secret("team-a", "darwin")["metadata"]["uid"].clone();
    let data = json!({".dockerconfigjson": docker_config(&[("gcr.io", "_json_key", "k")])});
    world.put(&secret("logins", "kubernetes.io/dockerconfigjson", json!({}), data));
    let spec = json!({"credential": {"gcpServiceAccountKey": null, "dockerConfig": {"secretRef": {"name": "logins"}}}});
    world.patch_spec("darwin", spec);
    world.wait_logins("team-a", "darwin", &[("gcr.io", "_json_key", "k")]);
    world.wait_ready("darwin");
    assert_eq!(world.wait_secret("team-a", "darwin")["metadata"]["uid"], uid, "in place");
    world.wait_entries("team-a", "default", &["darwin"]);
}
