//! The operator's own Secret: made once, kept, never replaced for want of a right to read it; and what revisions made with it
//! tell.

use base64::{Engine, engine::general_purpose::STANDARD};
use controlplane::{Controllers, Lent, Operator, Options, eventually};
use regcred::credential::{Login, RegistryKey, Revision, RevisionKey, RootKey, docker_config::DockerConfig};
use serde_json::{Value, json};

use crate::{
    evidence::{namespaces, requests, versions},
    world::{ROOT, SOON, World, cluster, credential, key, operator},
};

const STATE: &str = "regcred-state";

fn stored(world: &World) -> Result<Value, String> {
    world.get(&["-n", STATE, "secret", "root-key"])
}

/// The bytes under `key`.
fn root(world: &World) -> Vec<u8> {
    STANDARD.decode(stored(world).unwrap()["data"]["key"].as_str().unwrap()).unwrap()
}

fn root_secret(type_: &str, bytes: &[u8]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": type_, "metadata": {"name": "root-key", "namespace": STATE},
        "data": {"key": STANDARD.encode(bytes)},
    })
}

fn revision(world: &World, namespace: &str) -> String {
    let secret = world.wait_secret(namespace, "darwin");
    secret["metadata"]["annotations"]["regcred.dev/revision"].as_str().unwrap().to_owned()
}

/// The Ready condition, once it says this.
fn wait_unavailable(world: &World, says: &[&str]) {
    eventually(SOON, || {
        let status = world.status("darwin")?;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|it| it["type"] == "Ready").ok_or("no Ready yet")?;
        let message = ready["message"].as_str().unwrap_or_default();
        let told = ready["status"] == "Unknown" && ready["reason"] == "StateUnavailable";
        if told && says.iter().all(|text| message.contains(text)) { Ok(()) } else { Err(format!("{ready:#}")) }
    });
}

fn delete_key(world: &World) {
    world.kubectl(&["-n", STATE, "delete", "secret", "root-key"]);
}

/// Three namespaces with the Secret and the entry.
fn rolled_out() -> World {
    let world = World::new();
    namespaces(&world.cluster, "team", 3);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    world
}

/// A reader of metadata knows the registry, the user name, and how a revision is made; what he lacks is the key.
#[test]
fn a_password_cannot_be_guessed_from_what_a_reader_of_metadata_sees() {
    const WORDS: [&str; 9] =
        ["", "123456", "password", "hunter2", "letmein", "qwerty", "dragon", "correct horse battery staple", "s3cret!"];
    let world = World::new();
    world.namespace("team-0", json!({}));
    world
        .cluster
        .apply(
            &json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
                "metadata": {
                    "name": "login", "namespace": "regcred-system",
                    "annotations": {"regcred.dev/registries": "ghcr.io"},
                },
                "stringData": {"username": "robot", "password": "hunter2"},
            })
            .to_string(),
        )
        .unwrap();
    let mut darwin = credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    darwin["spec"]["credential"] = json!({"basicAuth": {"secretRef": {"name": "login"}}});
    darwin["spec"].as_object_mut().unwrap().remove("registries");
    world.cluster.apply(&darwin.to_string()).unwrap();
    world.wait_ready("darwin");

    let seen = revision(&world, "team-0");
    let registry = RegistryKey::parse("ghcr.io").unwrap();
    let guess = |key: &RevisionKey| {
        WORDS.into_iter().find(|word| {
            let login = Login::new("robot", word);
            let config = DockerConfig::render([(&registry, &login)]).unwrap();
            let none = Default::default();
            Revision::new(key, &config, &"darwin".into(), &none, &none).as_str() == seen
        })
    };
    let ours = RootKey::new(&root(&world)).unwrap();
    assert_eq!(guess(&ours.revision_key()), Some("hunter2"), "with the key it can, so the guesses are the right ones");
    assert_eq!(guess(&RevisionKey::nobodys()), None);
    assert_eq!(guess(&RootKey::new(&[0; 32]).unwrap().revision_key()), None);
    assert_eq!(guess(&RootKey::new(seen.as_bytes().first_chunk::<32>().unwrap()).unwrap().revision_key()), None);
    // Nor is the key in anything but its Secret.
    let key = STANDARD.encode(root(&world));
    let everything = world.cluster.kubectl_ok(&["get", "registrycredentials,events.events.k8s.io", "-A", "-o", "json"]);
    let metrics = world.operator.get("/metrics").unwrap().1;
    for (text, of) in [(&everything, "statuses and Events"), (&world.operator.log(), "the log"), (&metrics, "metrics")]
    {
        assert!(!text.contains(&key) && !text.contains("hunter2"), "{of}");
    }
}

#[test]
fn the_key_is_made_once_and_a_restart_finds_it() {
    let world = rolled_out();
    let made = stored(&world).unwrap();
    assert_eq!(
        (made["type"].as_str(), made["immutable"].as_bool(), root(&world).len()),
        (Some("regcred.dev/root-key"), Some(true), 32)
    );
    assert!(revision(&world, "team-0").starts_with("v2:"));
    let before = versions(&world);
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.wait_ready("darwin");
    assert_eq!(stored(&world).unwrap(), made);
    assert_eq!(versions(&world), before);
    // Neither a target, whatever a RegistryCredential says, nor a place for sources.
    world.credential("other", json!({"namespaces": {"names": ["*"]}}));
    world.wait_ready("other");
    assert!(world.secret(STATE, "other").is_err());
    assert!(world.secret("default", "other").is_ok());
    let created = requests(&world.cluster).into_iter().filter(|it| it.verb == "create" && it.resource == "secrets");
    assert_eq!(created.filter(|it| it.namespace == STATE).count(), 1);
}

#[test]
fn replicas_that_start_together_come_to_have_one_key_and_write_each_secret_once() {
    let cluster = cluster(Options { controllers: Controllers::Default, ..Options::default() });
    namespaces(&cluster, "team", 5);
    let start = |cluster: &Lent| operator(cluster, &["--leader-elect", "true"]);
    let replicas: Vec<Operator> = (0..3).map(|_| start(&cluster)).collect();
    replicas.iter().for_each(|replica| replica.wait_ready(SOON));
    let mut replicas = replicas.into_iter();
    let world = World::with(cluster, replicas.next().unwrap());
    let others: Vec<Operator> = replicas.collect();
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    let before = (versions(&world), root(&world));
    // Each of the others comes to lead, as those before it end.
    for next in [&world.operator, &others[0]] {
        next.stop();
        let secret = format!("team-of-{}", next.pid());
        world.namespace(&secret, json!({}));
        world.wait_password(&secret, "darwin", &key('a'));
        let after = versions(&world);
        assert!(before.0.iter().all(|(name, version)| after.get(name) == Some(version)), "something was written again");
    }
    assert_eq!(root(&world), before.1);
}

#[test]
fn a_lost_key_is_replaced_at_the_next_start_by_one_paced_rewrite_and_an_event() {
    let world = rolled_out();
    let (first, old) = (root(&world), revision(&world, "team-0"));
    // While the operator runs it needs it no more.
    delete_key(&world);
    world.namespace("team-new", json!({}));
    world.wait_password("team-new", "darwin", &key('a'));
    assert_eq!(revision(&world, "team-new"), old);
    world.operator.restart();
    world.operator.wait_ready(SOON);
    eventually(SOON, || match (revision(&world, "team-0"), revision(&world, "team-new")) {
        (one, other) if one == other && one != old => Ok(()),
        found => Err(format!("{found:?}")),
    });
    assert_ne!(root(&world), first);
    world.wait_password("team-0", "darwin", &key('a'));
    eventually(SOON, || {
        let events = world.get(&["-n", "default", "events.events.k8s.io"])?;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let told = events.iter().filter(|it| it["reason"] == "RootKeyReplaced" && it["regarding"]["name"] == "darwin");
        if told.count() == 1 { Ok(()) } else { Err(format!("{events:#?}")) }
    });
    let rewritten = requests(&world.cluster);
    let rewritten = rewritten.iter().filter(|it| {
        ["create", "update", "patch"].contains(&&*it.verb)
            && it.resource == "secrets"
            && it.namespace.starts_with("team-")
    });
    assert_eq!(rewritten.count(), 4 + 4, "each once more");
}

#[test]
fn a_key_that_cannot_be_read_is_waited_for_and_nothing_is_written_meanwhile() {
    let world = rolled_out();
    let bytes = root(&world);
    world.operator.stop();
    delete_key(&world);
    for broken in [root_secret("Opaque", &bytes), root_secret("regcred.dev/root-key", &bytes[..31])] {
        world.cluster.apply(&broken.to_string()).unwrap();
        let before = versions(&world);
        world.source("key", &key('b'));
        world.operator.restart();
        wait_unavailable(&world, &["regcred-state/root-key", "restore it, or delete it"]);
        eventually(SOON, || match world.operator.get("/readyz")? {
            (503, said) if said.contains("regcred-state/root-key") => Ok(()),
            answer => Err(format!("{answer:?}")),
        });
        assert_eq!(versions(&world), before);
        world.operator.stop();
        delete_key(&world);
    }
    // Deleted, it goes on by itself: with what is put back or, if it is faster, with a key of its own.
    world.cluster.apply(&root_secret("Opaque", &bytes).to_string()).unwrap();
    world.operator.restart();
    wait_unavailable(&world, &["restore it, or delete it"]);
    delete_key(&world);
    if let Err(error) = world.cluster.apply(&root_secret("regcred.dev/root-key", &bytes).to_string()) {
        assert!(error.contains("immutable"), "{error}");
    }
    world.operator.wait_ready(SOON);
    world.wait_password("team-0", "darwin", &key('b'));
    world.wait_ready("darwin");
}

#[test]
fn without_its_namespace_the_operator_says_so_and_goes_on_once_it_is_there() {
    let cluster = cluster(Options { controllers: Controllers::Default, ..Options::default() });
    cluster.kubectl_ok(&["delete", "namespace", STATE]);
    let operator = operator(&cluster, &[]);
    let mut world = World::with(cluster, operator);
    world.may_be_refused = true; // where its role went with the namespace
    world.source("key", &key('a'));
    world.namespace("team-0", json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    wait_unavailable(&world, &["config/namespace"]);
    assert!(world.secret("team-0", "darwin").is_err());
    world.namespace(STATE, json!({}));
    let role = std::fs::read_to_string(format!("{ROOT}/config/rbac/state_role.yaml")).unwrap();
    world.cluster.apply(&role).unwrap();
    world.operator.wait_ready(SOON);
    world.wait_ready("darwin");
    world.wait_password("team-0", "darwin", &key('a'));
}
