//! Every registry: Docker Hub, GitHub's and one on a port of its own, by one login for all and by a docker config.

use serde_json::{Value, json};

use crate::case::{Case, DOCKER_CONFIG, Login, docker_config, pod, pull_secrets};

/// The registries, each with what tells its project and its pods apart.
const REGISTRIES: [(&str, &str); 3] = [("docker.io", "hub"), ("ghcr.io", "ghcr"), ("registry.example.com:5000", "own")];

/// With what a login may have in it: the dollar of a robot's name; a colon, quotes and letters beyond ASCII.
const USER: &str = "robot$puller";
const PASSWORD: &str = r#"pa:ss "wörd" $1"#;

/// What a Secret's owner permits.
fn mark() -> Value {
    json!({"regcred.dev/registries": REGISTRIES.map(|(host, _)| host).join(", ")})
}

/// The project of a case in a registry. Each has one of its own, so that a login for another registry is refused.
fn project(case: &Case, short: &str) -> String {
    format!("{}-{short}", case.name)
}

/// An image in each registry.
fn images(case: &Case) -> [String; 3] {
    REGISTRIES.map(|(host, short)| case.image(host, &project(case, short)))
}

/// From now on the registries give the case's images to these alone.
fn accept(case: &Case, logins: &[Login; 3]) {
    for ((_, short), &(_, user, password)) in REGISTRIES.iter().zip(logins) {
        case.registry().accept(&project(case, short), &[(user, password)]);
    }
}

/// The same login everywhere.
fn everywhere(password: &str) -> [Login<'_>; 3] {
    REGISTRIES.map(|(host, _)| (host, USER, password))
}

/// A login for each, none of which another registry takes.
fn of_their_own(passwords: &[String; 3]) -> [Login<'_>; 3] {
    let users = ["me", USER, "you"];
    std::array::from_fn(|at| (REGISTRIES[at].0, users[at], passwords[at].as_str()))
}

fn passwords(generation: &str) -> [String; 3] {
    REGISTRIES.map(|(_, short)| format!("{generation}:{short}"))
}

/// Puts the login into a Secret that is marked for all three, and gives its version.
fn store_login(case: &Case, password: &str) -> String {
    case.source_of("kubernetes.io/basic-auth", mark(), json!({"username": USER, "password": password}))
}

/// Puts the logins into a docker config, and gives its version.
fn store_config(case: &Case, logins: &[Login]) -> String {
    case.source_of(DOCKER_CONFIG, json!({}), json!({".dockerconfigjson": docker_config(logins)}))
}

/// Makes a RegistryCredential of that kind, and waits until it is ready.
fn roll_out(case: &Case, kind: &str, version: &str) {
    let credential = json!({kind: {"secretRef": {"name": case.source_name()}}});
    case.credential(json!({"credential": credential, "registries": null}));
    case.wait_rolled_out(version);
}

/// Makes a pod with a container for each image.
fn pod_of(case: &Case, namespace: &str, name: &str, images: &[String]) {
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(at, image)| json!({"name": format!("app-{at}"), "image": image, "imagePullPolicy": "Always"}))
        .collect();
    case.apply(&pod(namespace, name, json!(containers), json!({})));
}

/// Makes a pod for each image, which names that pull secret itself, and waits until each waits for its image. Whoever
/// asked the registries did so with that login, and never without one.
fn assert_refused(case: &Case, namespace: &str, secret: &str, images: &[String; 3], logins: &[Login; 3]) {
    let pods = REGISTRIES.map(|(_, short)| format!("{secret}-{short}"));
    for (name, image) in pods.iter().zip(images) {
        let containers = json!([{"name": "app", "image": image, "imagePullPolicy": "Always"}]);
        case.apply(&pod(namespace, name, containers, json!({"imagePullSecrets": [{"name": secret}]})));
    }
    for name in &pods {
        case.wait_pull_error(namespace, name);
    }
    for ((_, short), (_, user, _)) in REGISTRIES.iter().zip(logins) {
        let requests = case.registry().requests(&project(case, short));
        assert!(requests.iter().any(|request| !request.granted), "{requests:?}");
        assert!(requests.iter().all(|request| request.user == *user), "{requests:?}");
    }
}

pub fn one_login_pulls_from_each_registry_that_its_owner_has_marked_and_from_no_other(case: &Case) {
    let images = images(case);
    let other = project(case, "other");
    let unmarked = case.image("quay.io", &other);
    let namespace = case.namespace("a", true);
    accept(case, &everywhere(PASSWORD));
    case.registry().accept(&other, &[(USER, PASSWORD)]);
    // As an editor leaves it, with a line break at its end.
    let version = store_login(case, &format!("{PASSWORD}\n"));
    roll_out(case, "basicAuth", &version);

    // Docker Hub's images have no host as a rule.
    let short = images[0].trim_start_matches("docker.io/").to_owned();
    pod_of(case, &namespace, "all", &[&images[..], &[short]].concat());
    case.pod(&namespace, "unmarked", &unmarked, "Always");
    case.wait_running(&namespace, "all");
    case.wait_pull_error(&namespace, "unmarked");
    let requests = case.registry().requests(&other);
    assert!(!requests.is_empty(), "it was never asked");
    assert!(requests.iter().all(|request| request.user.is_empty()), "the login went elsewhere: {requests:?}");
}

pub fn a_docker_config_with_three_registries_pulls_from_each_by_its_own_login(case: &Case) {
    let images = images(case);
    let namespace = case.namespace("a", true);
    let passwords = passwords("first");
    let logins = of_their_own(&passwords);
    accept(case, &logins);
    // As `docker login` names Docker Hub.
    let hub = ("https://index.docker.io/v1/", logins[0].1, logins[0].2);
    let version = store_config(case, &[hub, logins[1], logins[2]]);
    roll_out(case, "dockerConfig", &version);

    pod_of(case, &namespace, "all", &images);
    case.wait_running(&namespace, "all");
    for ((_, short), (_, user, _)) in REGISTRIES.iter().zip(logins) {
        let requests = case.registry().requests(&project(case, short));
        assert!(requests.iter().all(|request| request.granted && request.user == user), "{requests:?}");
    }
}

pub fn after_a_rotation_of_a_login_pods_pull_with_the_new_password_alone(case: &Case) {
    let (old, new) = (everywhere("old"), everywhere(PASSWORD));
    let version = store_login(case, "old");
    roll_out(case, "basicAuth", &version);
    assert_rotates(case, &old, &new, || store_login(case, PASSWORD));
}

pub fn after_a_rotation_of_a_docker_config_pods_pull_with_the_new_passwords_alone(case: &Case) {
    let (old, new) = (passwords("old"), passwords("new"));
    let (old, new) = (of_their_own(&old), of_their_own(&new));
    let version = store_config(case, &old);
    roll_out(case, "dockerConfig", &version);
    assert_rotates(case, &old, &new, || store_config(case, &new));
}

/// Pods pull by the old logins, then by the new ones, and what has the old ones by then is refused.
fn assert_rotates(case: &Case, old: &[Login; 3], new: &[Login; 3], store_new: impl Fn() -> String) {
    let images = images(case);
    let namespace = case.namespace("a", true);
    accept(case, old);
    pod_of(case, &namespace, "before", &images);
    case.wait_running(&namespace, "before");

    accept(case, new);
    let version = store_new();
    case.wait_rolled_out(&version);
    pod_of(case, &namespace, "after", &images);
    case.wait_running(&namespace, "after");
    case.by_hand(&namespace, "stale", old);
    assert_refused(case, &namespace, "stale", &images, new);
}

/// Attach only: the Secret is there, or comes, by somebody else's hand.
pub fn a_secret_that_somebody_else_makes_is_attached_and_pods_pull_with_it(case: &Case) {
    let (host, image) = ("ghcr.io", case.image("ghcr.io", &case.name));
    let namespace = case.namespace("a", true);
    case.registry().accept(&case.name, &[(USER, PASSWORD)]);
    case.credential(json!({
        "credential": null, "registries": null, "secretTemplate": null, "existingSecretName": case.secret(),
    }));
    let wait = |what: &str| {
        let (object, what) = (format!("regcred/{}", case.name), format!("--for={what}"));
        case.cluster().kubectl_ok(&["wait", &object, &what, "--timeout=60s"]);
    };
    wait("jsonpath={.status.failures[0].reason}=SecretMissing");
    case.by_hand(&namespace, &case.secret(), &[(host, USER, PASSWORD)]);
    let secret = || case.cluster().get_json(&["-n", &namespace, "secret", &case.secret()]);
    let before = secret();
    wait("condition=Ready");
    assert_eq!(pull_secrets(&case.service_account(&namespace)), [case.secret()]);

    case.pod(&namespace, "app", &image, "Always");
    case.wait_running(&namespace, "app");
    let requests = case.registry().requests(&case.name);
    assert!(requests.iter().all(|request| request.granted && request.user == USER), "{requests:?}");
    assert_eq!(secret(), before, "it is nobody's to write but theirs");
}

/// The operator asks no registry, so it rolls out what it is given.
pub fn a_wrong_login_ends_in_a_pull_error(case: &Case) {
    let config = case.another("config");
    let namespaces = [case, &config].map(|case| case.namespace("a", true));
    let (right, wrong) = (passwords("right"), passwords("wrong"));
    for case in [case, &config] {
        accept(case, &of_their_own(&right));
    }
    let version = store_login(case, "wrong");
    roll_out(case, "basicAuth", &version);
    let version = store_config(&config, &of_their_own(&wrong));
    roll_out(&config, "dockerConfig", &version);
    assert_refused(case, &namespaces[0], &case.secret(), &images(case), &everywhere("wrong"));
    assert_refused(&config, &namespaces[1], &config.secret(), &images(&config), &of_their_own(&wrong));
}
