//! What documents leave to their readers: what there is in their clusters, the keys that they have, and what comes of it
//! besides what is written.

use controlplane::{Controllers, tool};
use serde_json::{Value, json};

use crate::stage::Stage;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// Something to be done before or after the first command that has `at` in it.
pub struct Aside {
    when: When,
    pub at: &'static str,
    act: fn(&mut Stage),
}

fn before(at: &'static str, act: fn(&mut Stage)) -> Aside {
    Aside { when: When::Before, at, act }
}

fn after(at: &'static str, act: fn(&mut Stage)) -> Aside {
    Aside { when: When::After, at, act }
}

/// Does what is to be done now, once.
pub fn act(when: When, command: &str, asides: &mut Vec<Aside>, stage: &mut Stage) {
    let now = |aside: &mut Aside| aside.when == when && command.contains(aside.at);
    for aside in asides.extract_if(.., now) {
        (aside.act)(stage);
    }
}

/// What is there before a document begins: nothing, or regcred, or its sample rolled out.
pub fn set_the_scene(document: &str, stage: &mut Stage) {
    let scene: fn(&mut Stage) = match document {
        "docs/first-credential.md" => |_| {},
        "docs/gitops.md" => |stage| {
            stage.ok("kubectl create namespace argocd; kubectl create namespace flux-system");
            stage.ok(&format!("kubectl apply --server-side -f {}", tool("gitops-crds").unwrap().display()));
            stage.ok("kubectl wait crd --all --for=condition=Established --timeout=30s");
        },
        "docs/rotation.md" | "docs/status.md" => roll_out,
        _ => return,
    };
    stage.ok("kubectl create namespace team-a; kubectl create namespace team-b");
    install(stage);
    scene(stage);
}

/// Applies the sample and waits for it.
fn roll_out(stage: &mut Stage) {
    stage.write("key.json", &key('a'));
    stage.ok("kubectl -n regcred-system create secret generic darwin-gcr-key --from-file=key.json");
    stage.ok("kubectl apply -f config/samples/darwin.yaml");
    stage.ok("kubectl wait regcred/darwin --for=condition=Ready --timeout=60s");
}

pub fn of(document: &str) -> Vec<Aside> {
    match document {
        "README.md" => vec![
            before("helm install", |stage| {
                stage.ok("kubectl create namespace team-a; kubectl create namespace team-b");
            }),
            after("helm install", wait_image),
            before("create secret generic", |stage| stage.write("key.json", &key('a'))),
            before("explain --pod", |stage| pod(stage, "team-a", "api-6d4f", "api", "gcr.io/darwin/api:1", json!({}))),
        ],
        "docs/first-credential.md" => vec![before("create secret generic", |stage| stage.write("key.json", &key('a')))],
        "docs/kustomize.md" => vec![
            after("-k config/default", |stage| {
                wait_image(stage);
                restart_controllers(stage);
            }),
            before("delete regcred --all", roll_out),
            after("delete -k config/namespace", nothing_is_left),
        ],
        "docs/rotation.md" => vec![
            before("kubectl replace", |stage| stage.write("key.json", &key('b'))),
            after("kubectl replace", |stage| {
                for namespace in ["default", "team-a", "team-b"] {
                    assert_eq!(password(stage, namespace), key('b'));
                }
            }),
        ],
        "docs/status.md" => {
            let waiting = |stage: &mut Stage| pod(stage, "team-a", "api-6d4f", "api", "gcr.io/darwin/api:1", json!({}));
            vec![before("explain --pod", waiting)]
        }
        "docs/cli.md" => [plans(), explanations(), audits()].into_iter().flatten().collect(),
        "docs/install.md" => installed_by_helm(),
        "docs/security.md" => vec![before("auth can-i", |stage| {
            install(stage);
            stage.ok("kubectl create namespace team-a");
        })],
        _ => Vec::new(),
    }
}

/// A credential is rolled out, stays so through an upgrade, and goes.
fn installed_by_helm() -> Vec<Aside> {
    vec![
        after("helm install", |stage| {
            wait_image(stage);
            restart_controllers(stage);
            source(stage, 'a');
            let name = json!({"name": "darwin-secret"});
            let spec = json!({"namespaces": {"names": ["default"]}, "secretTemplate": name});
            stage.apply(&credential(spec));
            stage.ok("kubectl wait regcred/darwin --for=condition=Ready --timeout=60s");
        }),
        after("helm upgrade", |stage| {
            wait_image(stage);
            assert_eq!(password(stage, "default"), key('a'));
        }),
        after("delete regcred --all", |stage| {
            stage.wait_for("kubectl get secret -A -l regcred.dev/credential -o name", "");
        }),
        after("delete namespace regcred-state", nothing_is_left),
    ]
}

/// The image that the documents tell people to push is the Deployment's.
fn wait_image(stage: &mut Stage) {
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    let command = format!("kubectl -n regcred-system get deployment regcred -o {image}");
    stage.wait_for(&command, "registry.example.com/regcred:v0.1.0");
}

/// Six namespaces are targets, in one of which somebody else's Secret is in the way.
fn plans() -> Vec<Aside> {
    vec![
        before("plan -f darwin.yaml", |stage| {
            install(stage);
            for name in ["team-a", "team-b", "team-c", "team-d", "team-e"] {
                stage.ok(&format!("kubectl create namespace {name}"));
            }
            stage.ok(&pull_secret("team-c", "darwin"));
            stage.wait_for("kubectl get serviceaccount -A -o name | grep -c /default$", "11"); // namespaces
            stage.ok("kubectl -n regcred-system create secret generic key --from-literal=key.json=soon");
            let darwin = credential(json!({"namespaces": {"names": ["default", "team-*"]}}));
            stage.write("darwin.yaml", &darwin.to_string());
        }),
        before("plan --delete darwin", |stage| {
            source(stage, 'a');
            stage.ok("kubectl apply -f darwin.yaml");
            stage.wait_for("kubectl get regcred darwin -o jsonpath={.status.namespaces.summary}", "5/6");
        }),
        before("plan -f new-key.yaml", |stage| stage.write("new-key.yaml", &source_of('b').to_string())),
        before("plan -f darwin.yaml -n team-a", |stage| {
            stage.ok("kubectl delete regcred darwin");
            stage.wait_for("kubectl get secret -A -l regcred.dev/credential -o name", "");
        }),
    ]
}

/// Two Secrets are for the pod, whose image the registry refuses.
fn explanations() -> Vec<Aside> {
    vec![before("explain --pod api-6d4f", |stage| {
        stage.ok("kubectl apply -f darwin.yaml");
        stage.wait_for("kubectl get regcred darwin -o jsonpath={.status.namespaces.summary}", "5/6");
        stage.ok(&pull_secret("default", "team-registry"));
        let both = json!({"imagePullSecrets": [{"name": "darwin"}, {"name": "team-registry"}]});
        stage.ok(&format!("kubectl patch serviceaccount default -p '{both}'"));
        pod(stage, "default", "api-6d4f", "api", "gcr.io/darwin/api:1", json!({}));
        waits(stage, "default", "api-6d4f", "api", "403 Forbidden");
    })]
}

/// Another cluster, with a pod for each of several reasons.
fn audits() -> Vec<Aside> {
    vec![before("audit -A", |stage| {
        *stage = Stage::new();
        install(stage);
        for name in ["team-a", "team-b", "shop"] {
            stage.ok(&format!("kubectl create namespace {name}"));
        }
        source(stage, 'a');
        stage.apply(&credential(json!({
            "namespaces": {"names": ["team-*"]}, "secretTemplate": {"name": "darwin-secret"},
        })));
        stage.ok("kubectl wait regcred/darwin --for=condition=Ready --timeout=60s");
        stage.ok("kubectl -n team-b create serviceaccount builder");
        let dockerhub = json!([{"name": "dockerhub"}]);
        let both = json!({"imagePullSecrets": [{"name": "darwin-secret"}, {"name": "dockerhub"}]});
        stage.ok(&format!("kubectl -n team-b patch serviceaccount default -p '{both}'"));
        pod(stage, "team-a", "api-6d4f-x2v", "main", "gcr.io/darwin/api:1", json!({}));
        waits(stage, "team-a", "api-6d4f-x2v", "main", "403 Forbidden");
        let own = json!({"imagePullSecrets": dockerhub});
        pod(stage, "team-a", "report-7", "main", "gcr.io/darwin/report:7", own);
        let builder = json!({"serviceAccountName": "builder"});
        pod(stage, "team-b", "build-1", "main", "gcr.io/darwin/builder:3", builder);
        let proxy = json!({"name": "proxy", "image": "nginx", "imagePullPolicy": "IfNotPresent"});
        let containers = json!([{"name": "main", "image": "gcr.io/darwin/web:2"}, proxy]);
        pod(stage, "shop", "web-5c7b-9kq", "main", "", json!({"containers": containers}));
        waits(stage, "shop", "web-5c7b-9kq", "main", "401 Unauthorized");
    })]
}

/// Makes a pull secret as people do.
fn pull_secret(namespace: &str, name: &str) -> String {
    let login = "--docker-server=gcr.io --docker-username=somebody --docker-password=anything";
    format!("kubectl -n {namespace} create secret docker-registry {name} {login}")
}

/// Else the garbage collector would see the new kind after 30 s.
fn restart_controllers(stage: &Stage) {
    stage.cluster.start_controllers(&Controllers::Default).unwrap();
}

/// As docs/kustomize.md says, without what is optional.
fn install(stage: &mut Stage) {
    for part in ["crd", "namespace", "default"] {
        stage.ok(&format!("kubectl apply --server-side -k config/{part}"));
    }
    restart_controllers(stage);
}

/// A service-account key that opens nothing.
fn key(which: char) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/throwaway-key-{which}.json", crate::ROOT)).unwrap()
}

fn source(stage: &Stage, which: char) {
    stage.apply(&source_of(which));
}

fn source_of(which: char) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "regcred-system"},
        "stringData": {"key.json": key(which)},
    })
}

/// RegistryCredential darwin with these members of the spec besides.
fn credential(more: Value) -> Value {
    let mut spec = json!({
        "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "key"}}}, "registries": ["gcr.io/darwin/"],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": "darwin"}, "spec": spec,
    })
}

fn pod(stage: &mut Stage, namespace: &str, name: &str, container: &str, image: &str, more: Value) {
    stage.wait_for(&format!("kubectl -n {namespace} get serviceaccount default -o name"), "serviceaccount/default");
    let mut spec = json!({"containers": [{"name": container, "image": image}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stage.apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}, "spec": spec,
    }));
}

/// As the kubelet says it.
fn waits(stage: &mut Stage, namespace: &str, name: &str, container: &str, answer: &str) {
    let message = format!("failed to pull: unexpected status from HEAD request to https://gcr.io/v2/: {answer}");
    let state = json!({"waiting": {"reason": "ImagePullBackOff", "message": message}});
    let status =
        json!({"name": container, "state": state, "image": "", "imageID": "", "ready": false, "restartCount": 0});
    let patch = json!({"status": {"phase": "Pending", "containerStatuses": [status]}});
    stage.ok(&format!("kubectl -n {namespace} patch pod {name} --subresource=status --type=merge -p '{patch}'"));
}

/// The key in a namespace's Secret.
fn password(stage: &Stage, namespace: &str) -> String {
    let secret = stage.cluster.get_json(&["-n", namespace, "secret", "darwin-secret"]);
    controlplane::password(&secret).unwrap()
}

/// No pull secret, no entry, no record of one, and nothing of what was installed.
fn nothing_is_left(stage: &mut Stage) {
    let accounts = stage.cluster.get_json(&["serviceaccounts", "-A"]).to_string();
    assert!(!accounts.contains("darwin-secret") && !accounts.contains("regcred"), "{accounts}");
    let secrets = stage.cluster.get_json(&["secrets", "-A"])["items"].clone();
    assert_eq!(secrets, json!([]));
    let kinds = "crd,clusterrole,clusterrolebinding,namespace,validatingadmissionpolicy,mutatingadmissionpolicy";
    let left = stage.ok(&format!("kubectl get {kinds} -o name"));
    assert!(!left.contains("regcred"), "{left}");
}
