//! Pods that were created before their service account had the entry: counted, and evicted where that is wanted. There is
//! no node here: what a kubelet would say of them, the test says.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use controlplane::{
    ADMIN, Answer, Audit, AuditEntry, ControlPlane, Controllers, FaultProxy, Lent, OPERATOR, Options, Request,
    eventually,
};
use serde_json::{Value, json};

use crate::{
    evidence::requests,
    existing_secret::attaching,
    probe::uid,
    world::{ROOT, SOON, World, cluster, key, operator_with},
};

const IMAGE: &str = "gcr.io/darwin/api:1";

/// A control plane where the operator may do so much to pods, beyond its shipped rights: `report`, `evict` or nothing.
fn with_rights(rights: Option<&str>) -> Lent {
    let cluster = cluster(Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() });
    rights.into_iter().for_each(|rights| grant(&cluster, rights));
    cluster
}

fn grant(cluster: &ControlPlane, rights: &str) {
    let folder = format!("{ROOT}/config/overlays/stuck-pods/{rights}");
    cluster.kubectl_ok(&["apply", "--server-side", "-k", &folder]);
}

fn begin(cluster: Lent) -> World {
    let world = World::on(cluster, &[]);
    world.source("key", &key('a'));
    for name in ["team-a", "elsewhere"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
    }
    world
}

/// A pod of a container, whose spec and status these members change. A controller of it is a ConfigMap: nothing but the
/// garbage collector, which wants it to exist, looks at what it is.
struct Pod<'a> {
    namespace: &'a str,
    name: &'a str,
    owner: Option<&'a str>,
    spec: Value,
    status: Value,
}

/// What a kubelet says of a container that waits.
fn waits(reason: &str) -> Value {
    let state = json!({"waiting": {"reason": reason}});
    json!({"name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

/// One that qualifies, if it is in time.
fn pod<'a>(name: &'a str) -> Pod<'a> {
    let status = json!({"phase": "Pending", "containerStatuses": [waits("ErrImagePull")]});
    Pod { namespace: "team-a", name, owner: Some("owner"), spec: json!({}), status }
}

impl World {
    fn stuck_pod(&self, pod: Pod<'_>) {
        let mut metadata = json!({"name": pod.name, "namespace": pod.namespace});
        if let Some(owner) = pod.owner {
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": owner, "namespace": pod.namespace},
            });
            self.cluster.apply(&map.to_string()).unwrap();
            let map = self.get(&["-n", pod.namespace, "configmap", owner]).unwrap();
            metadata["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid(&map), "controller": true}]);
        }
        let mut spec = json!({"containers": [{"name": "app", "image": IMAGE}]});
        for (member, value) in pod.spec.as_object().unwrap() {
            spec[member] = value.clone();
        }
        let whole = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        self.cluster.kubectl_with_input(&["create", "-f", "-"], &whole.to_string()).unwrap();
        self.pod_status(pod.namespace, pod.name, pod.status);
    }

    fn pod_status(&self, namespace: &str, name: &str, status: Value) {
        let patch = json!({"status": status}).to_string();
        self.kubectl(&["-n", namespace, "patch", "pod", name, "--subresource=status", "--type=merge", "-p", &patch]);
    }

    /// The names of all pods, in order: `namespace/name`.
    fn pods(&self) -> Result<Vec<String>, String> {
        let list = self.get(&["pods", "-A"])?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let metadata = items.iter().map(|pod| &pod["metadata"]);
        Ok(metadata.map(|at| format!("{}/{}", text(&at["namespace"]), text(&at["name"]))).collect())
    }

    fn wait_pods(&self, wanted: &[String]) {
        eventually(SOON, || match self.pods()? {
            found if found == wanted => Ok(()),
            found => Err(format!("the pods are {found:?}, not {wanted:?}")),
        });
    }

    /// Waits until the status says this of stuck pods.
    fn wait_stuck(&self, wanted: Value) {
        eventually(SOON, || match self.status("darwin")?["stuckPods"].clone() {
            found if found == wanted => Ok(()),
            found => Err(format!("stuckPods is {found}, not {wanted}")),
        });
    }

    /// How often the operator has asked whether it may watch pods, and what it was refused of them, evictions apart.
    fn asked(&self) -> (usize, Vec<AuditEntry>) {
        let log = requests(&self.cluster);
        let questions = log.iter().filter(|entry| entry.is_question() && entry.code == 201).count();
        let of_pods = |entry: &AuditEntry| entry.resource == "pods" && entry.subresource.is_empty();
        (questions, log.into_iter().filter(|entry| of_pods(entry) && entry.code == 403).collect())
    }

    fn wait_asked(&self, times: usize) {
        eventually(SOON, || match self.asked().0 {
            found if found >= times => Ok(()),
            found => Err(format!("it has asked {found} times, not {times}")),
        });
    }

    fn evictions(&self) -> Vec<(String, u16)> {
        let evictions = self.all_writes().into_iter().filter(|entry| entry.subresource == "eviction");
        evictions.map(|entry| (entry.name, entry.code)).collect()
    }
}

fn none() -> Value {
    json!({"count": 0})
}

#[test]
fn only_pods_that_were_too_early_are_counted_and_evicted() {
    let world = begin(with_rights(Some("evict")));
    world.service_account("team-a", "theirs", json!({}), &["theirs"]);
    world.service_account("team-a", "unchosen", json!({}), &[]);
    let init = json!([{"name": "init", "image": "gcr.io/darwin/init@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"}]);
    let mut waiting = waits("ImagePullBackOff");
    waiting["name"] = json!("init");
    let waiting = json!({"phase": "Pending", "initContainerStatuses": [waiting]});
    let pull_secrets = |name: &str| json!({"imagePullSecrets": [{"name": name}]});
    let theirs = || json!({"serviceAccountName": "theirs", "imagePullSecrets": [{"name": "theirs"}]});
    // Stuck.
    world.stuck_pod(pod("early"));
    world.stuck_pod(Pod {
        spec: json!({"initContainers": init}),
        status: waiting,
        owner: Some("other"),
        ..pod("early-init")
    });
    world.stuck_pod(Pod { spec: json!({"serviceAccountName": "theirs"}), owner: Some("third"), ..pod("early-theirs") });
    // Not stuck, or not because of us.
    world.stuck_pod(Pod { owner: None, ..pod("alone") });
    world.stuck_pod(Pod { spec: pull_secrets("darwin"), ..pod("has-our-entry") });
    world.stuck_pod(Pod { spec: pull_secrets("own"), ..pod("own-list") });
    world.stuck_pod(Pod { spec: json!({"serviceAccountName": "unchosen"}), ..pod("unchosen") });
    let elsewhere = |image: &str| json!({"containers": [{"name": "app", "image": image}]});
    world.stuck_pod(Pod { spec: elsewhere("gcr.io/darwin2/api:1"), ..pod("other-path") });
    world.stuck_pod(Pod { spec: elsewhere("darwin/api:1"), ..pod("docker-hub") });
    let status = json!({"phase": "Pending", "containerStatuses": [waits("CreateContainerConfigError")]});
    world.stuck_pod(Pod { status, ..pod("other-reason") });
    let status = json!({"phase": "Running", "containerStatuses": [waits("ErrImagePull")]});
    world.stuck_pod(Pod { status, ..pod("ran-before") });
    world.stuck_pod(Pod { namespace: "elsewhere", ..pod("no-target") });

    let accounts = json!({"names": ["default", "theirs"]});
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}, "attach": {"serviceAccounts": accounts}}));
    world.wait_entries("team-a", "theirs", &["theirs", "darwin"]);
    let stuck = ["team-a/early", "team-a/early-init", "team-a/early-theirs"];
    world.wait_stuck(json!({"count": 3, "pods": stuck}));
    let message = world.wait_condition("darwin", "Ready", "True", "RolledOut");
    assert!(message.ends_with("; 3 pods were created too early and can't pull"), "{message}");

    // Created later than the entry, so the list is its own: made again, it would be the same.
    let second = |time: &Value| time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    let managers = |account: &str| {
        let args = ["-n", "team-a", "get", "serviceaccount", account, "-o", "json", "--show-managed-fields"];
        serde_json::from_str::<Value>(&world.kubectl(&args)).unwrap()["metadata"]["managedFields"].clone()
    };
    assert_eq!(managers("default"), Value::Null, "nothing on it tells when it got its entry");
    let managers = managers("theirs");
    let ours = managers.as_array().unwrap().iter().find(|manager| manager["manager"] == "regcred").unwrap();
    let patched = second(&ours["time"]);
    let later = |name: &str| {
        world.stuck_pod(Pod { spec: theirs(), owner: Some("third"), ..pod(name) });
        let created = world.get(&["-n", "team-a", "pod", name]).unwrap()["metadata"]["creationTimestamp"].clone();
        if second(&created) > patched + 1 {
            return true;
        }
        world.kubectl(&["-n", "team-a", "delete", "pod", name, "--now"]);
        false
    };
    eventually(SOON, || if later("own-younger") { Ok(()) } else { Err("it is too early".to_owned()) });
    world.settle();
    world.wait_stuck(json!({"count": 3, "pods": stuck}));
    assert_eq!(world.evictions(), [], "Report evicts nothing");

    // A restart finds the same and has nothing to say.
    let version = |world: &World| world.get(&["registrycredential", "darwin"]).unwrap()["metadata"].clone();
    let before = version(&world);
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.settle();
    // The marker's own status comes from a list of pods that ours comes from, too.
    eventually(SOON, || match world.status("zz-marker")?["stuckPods"] == none() {
        true => Ok(()),
        false => Err("pods haven't been listed".to_owned()),
    });
    assert_eq!(version(&world), before);

    // Off takes the count away, and Report brings it back.
    world.patch_spec("darwin", json!({"stuckPods": "Ignore"}));
    world.wait_stuck(Value::Null);
    world.patch_spec("darwin", json!({"stuckPods": "Report"}));
    world.wait_stuck(json!({"count": 3, "pods": stuck}));

    let mut others = world.pods().unwrap();
    others.retain(|name| !stuck.contains(&&**name));
    assert_eq!(others.len(), 10, "{others:?}");
    world.patch_spec("darwin", json!({"stuckPods": "Evict"}));
    world.wait_pods(&others);
    world.wait_stuck(none());
    world.settle();
    world.wait_pods(&others);
    let mut evicted = world.evictions();
    evicted.sort();
    assert_eq!(evicted, ["early", "early-init", "early-theirs"].map(|name| (name.to_owned(), 201)));
    let (_, metrics) = world.operator.get("/metrics").unwrap();
    assert!(metrics.contains(r#"regcred_writes_total{kind="evict_pod",result="success"} 3"#), "{metrics}");
    world.assert_nothing_was_forbidden();
}

#[test]
fn nothing_is_evicted_or_counted_while_the_credential_is_held() {
    let world = begin(with_rights(Some("evict")));
    world.stuck_pod(pod("early"));
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_stuck(json!({"count": 1, "pods": ["team-a/early"]}));
    world.patch_spec("darwin", json!({"suspend": true, "stuckPods": "Evict"}));
    world.wait_condition("darwin", "Ready", "True", "Suspended");
    world.wait_stuck(Value::Null);
    world.settle();
    world.source("key", "not a key");
    world.patch_spec("darwin", json!({"suspend": false}));
    world.wait_condition("darwin", "Ready", "False", "InvalidKey");
    // What a kubelet says each time that it tries.
    world.pod_status("team-a", "early", json!({"containerStatuses": [waits("ImagePullBackOff")]}));
    world.settle();
    world.wait_stuck(Value::Null);
    assert_eq!(world.pods().unwrap(), ["team-a/early"]);
    assert_eq!(world.evictions(), []);

    world.source("key", &key('b'));
    world.wait_pods(&[]);
    world.wait_stuck(none());
}

#[test]
fn without_rights_on_pods_all_else_goes_on_and_nothing_is_counted() {
    let mut world = begin(with_rights(None));
    // The watch alone, as an earlier version's overlay gave it, isn't enough: it begins with a list.
    let watch = ["create", "clusterrole", "watch-pods", "--verb=watch", "--resource=pods"];
    world.cluster.kubectl_ok(&watch);
    let user = format!("--user={OPERATOR}");
    world.cluster.kubectl_ok(&["create", "clusterrolebinding", "watch-pods", "--clusterrole=watch-pods", &user]);
    world.stuck_pod(pod("early"));
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_asked(2);
    world.wait_ready("darwin");
    world.settle();
    world.wait_stuck(Value::Null);
    assert!(world.asked().0 < 8, "it asks less and less often");
    world.assert_nothing_was_forbidden();
    let told = world.operator.log().lines().filter(|line| line.contains("config/overlays/stuck-pods")).count();
    assert_eq!(told, 1, "{}", world.operator.log());

    // The right to watch is noticed, and is all that counting takes.
    grant(&world.cluster, "report");
    world.wait_stuck(json!({"count": 1, "pods": ["team-a/early"]}));
    world.assert_nothing_was_forbidden();
    world.may_be_refused = true; // who says Evict wants it tried
    world.patch_spec("darwin", json!({"stuckPods": "Evict"}));
    eventually(SOON, || match world.evictions().as_slice() {
        [_, (_, 403), ..] => Ok(()),
        found => Err(format!("it hasn't been refused twice: {found:?}")),
    });
    world.settle();
    world.wait_ready("darwin");
    world.wait_stuck(json!({"count": 1, "pods": ["team-a/early"]}));
    let told = world.operator.log().lines().filter(|line| line.contains("couldn't be evicted")).count();
    assert_eq!(told, 1, "{}", world.operator.log());
    grant(&world.cluster, "evict");
    world.wait_pods(&[]);
}

#[test]
fn a_right_that_is_taken_away_is_asked_for_again_and_who_may_not_ask_tries() {
    let mut world = begin(with_rights(Some("report")));
    world.may_be_refused = true; // so it learns that the right was taken away
    world.stuck_pod(pod("early"));
    world.operator.stop();
    let proxy = FaultProxy::start(&world.cluster);
    let mut busy = 2;
    proxy.answer(move |request| {
        let is_question = request.path() == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        is_question.then(|| match busy {
            0 => Answer::Refuse(403, "Forbidden", "a fault of the test".to_owned()),
            _ => {
                busy -= 1;
                Answer::Refuse(503, "ServiceUnavailable", "a fault of the test".to_owned())
            }
        })
    });
    let world = behind(&proxy, world);
    let early = json!({"count": 1, "pods": ["team-a/early"]});
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_stuck(early.clone());
    assert_eq!(world.asked().0, 0);

    proxy.answer(|_| None);
    world.kubectl(&["delete", "clusterrolebinding", "regcred-stuck-pods"]);
    let may = ["auth", "can-i", "watch", "pods", "-A", &format!("--as={OPERATOR}")];
    eventually(SOON, || match world.cluster.kubectl(&may).status.success() {
        true => Err("the API server doesn't know of it yet".to_owned()),
        false => Ok(()),
    });
    assert!(proxy.cut_watches() > 0);
    world.wait_stuck(Value::Null);
    world.wait_asked(3);
    let (_, refused) = world.asked();
    assert_eq!(refused.len(), 1, "it asks before it tries again: {refused:#?}");
    grant(&world.cluster, "report");
    world.wait_stuck(early);
}

/// The evictions that an operator behind this proxy asks for: when, and of which pod.
fn evictions(proxy: &FaultProxy, mut answer: impl FnMut(&str) -> Option<Answer> + Send + 'static) -> Evictions {
    let seen: Evictions = Arc::default();
    let all = seen.clone();
    proxy.answer(move |request: &Request| {
        let name = request.uri.split('?').next()?.strip_suffix("/eviction")?.rsplit('/').next()?.to_owned();
        let answer = answer(&name);
        all.lock().unwrap().push((Instant::now(), name));
        answer
    });
    seen
}

type Evictions = Arc<Mutex<Vec<(Instant, String)>>>;

fn behind(proxy: &FaultProxy, mut world: World) -> World {
    world.operator = operator_with(proxy.kubeconfig(), &["--credential-namespaces=regcred-system"]);
    world.operator.wait_ready(SOON);
    world
}

#[test]
fn an_owner_loses_one_pod_a_second_at_most_and_owners_do_not_wait_for_each_other() {
    const PODS: usize = 10;
    let world = begin(with_rights(Some("evict")));
    for owner in ["a", "b"] {
        for index in 0..PODS {
            world.stuck_pod(Pod { owner: Some(owner), ..pod(&format!("{owner}-{index}")) });
        }
    }
    world.operator.stop();
    let proxy = FaultProxy::start(&world.cluster);
    let seen = evictions(&proxy, |_| None);
    let world = behind(&proxy, world);
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}, "stuckPods": "Evict"}));
    world.wait_pods(&[]);

    let seen = seen.lock().unwrap().clone();
    let of = |owner: &str| -> Vec<Instant> {
        seen.iter().filter(|(_, name)| name.starts_with(owner)).map(|(time, _)| *time).collect()
    };
    for owner in ["a", "b"] {
        let times = of(owner);
        assert_eq!(times.len(), PODS, "{seen:?}");
        for five in times.windows(5) {
            // Four seconds, but for one that got here later than it was sent: on a busy machine, half a second and more.
            assert!(five[4] - five[0] > Duration::from_secs(3), "{seen:?}");
        }
    }
    let (first, last) = (seen.first().unwrap().0, seen.last().unwrap().0);
    assert!(last - first < Duration::from_secs(2 * PODS as u64 - 3), "one after the other: {seen:?}");
}

#[test]
fn a_pod_that_has_gone_on_is_not_evicted_and_a_busy_api_server_is_asked_again() {
    let world = begin(with_rights(Some("evict")));
    for name in ["busy", "made-again", "runs"] {
        world.stuck_pod(Pod { owner: Some(name), ..pod(name) });
    }
    world.operator.stop();
    let proxy = FaultProxy::start(&world.cluster);
    // What has happened to the pod when the eviction arrives.
    let ran = json!({"status": {"containerStatuses": [{
        "name": "app", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}},
    }]}});
    let ran = ran.to_string();
    let runs = ["-n", "team-a", "patch", "pod", "runs", "--subresource=status", "--type=merge", "-p", &ran];
    let mut runs = world.cluster.kubectl_command(ADMIN, &runs);
    let mut made_again: Vec<_> = {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "made-again", "namespace": "team-a"},
            "spec": {"containers": [{"name": "app", "image": IMAGE}]}});
        let file = world.cluster.folder().join("made-again.json");
        std::fs::write(&file, pod.to_string()).unwrap();
        let file = file.to_str().unwrap();
        let delete = ["-n", "team-a", "delete", "pod", "made-again", "--now"];
        [&delete[..], &["create", "-f", file]].map(|args| world.cluster.kubectl_command(ADMIN, args)).into()
    };
    let mut refused = 0;
    let seen = evictions(&proxy, move |name| {
        let ran = |command: &mut std::process::Command| assert!(command.output().unwrap().status.success());
        match name {
            "runs" => ran(&mut runs),
            "made-again" => made_again.drain(..).for_each(|mut command| ran(&mut command)),
            _ if refused < 2 => {
                refused += 1;
                return Some(Answer::Refuse(429, "TooManyRequests", "not now".to_owned()));
            }
            _ => {}
        }
        None
    });
    let world = behind(&proxy, world);
    let before = uid(&world.get(&["-n", "team-a", "pod", "made-again"]).unwrap());
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}, "stuckPods": "Evict"}));
    world.wait_pods(&["team-a/made-again".to_owned(), "team-a/runs".to_owned()]);
    world.wait_stuck(none());
    world.settle();
    let count = |name: &str| seen.lock().unwrap().iter().filter(|(_, seen)| seen == name).count();
    assert_eq!((count("busy"), count("runs"), count("made-again")), (3, 1, 1));
    let after = uid(&world.get(&["-n", "team-a", "pod", "made-again"]).unwrap());
    assert_ne!(before, after);
    let log = world.operator.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn where_others_make_the_secret_pods_are_counted_whichever_image_they_wait_for() {
    let world = begin(with_rights(Some("report")));
    world.stuck_pod(Pod {
        spec: json!({"containers": [{"name": "app", "image": "registry.example.com/app:1"}]}),
        ..pod("early")
    });
    world.stuck_pod(Pod { namespace: "elsewhere", ..pod("no-target") });
    world.foreign_secret("team-a", "shared", "kubernetes.io/dockerconfigjson");
    world.cluster.apply(&attaching("darwin", "shared", json!({})).to_string()).unwrap();
    world.wait_entries("team-a", "default", &["shared"]);
    world.wait_stuck(json!({"count": 1, "pods": ["team-a/early"]}));
    let message = world.wait_condition("darwin", "Ready", "True", "RolledOut");
    assert!(message.ends_with("; 1 pod was created too early and can't pull"), "{message}");
    // It would come again with an entry for a Secret that isn't there.
    world.kubectl(&["-n", "team-a", "delete", "secret", "shared"]);
    world.wait_stuck(none());
    assert_eq!(world.evictions(), []);
}
