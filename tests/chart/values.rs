//! Which values the chart takes, and what each does.

use controlplane::HelmVersion;
use serde_json::{Value, json};

use crate::{
    read,
    render::{Objects, only, refused, template},
};

pub fn schema() -> Value {
    serde_json::from_str(&read("charts/regcred/values.schema.json")).unwrap()
}

pub fn defaults() -> Value {
    serde_saphyr::from_str(&read("charts/regcred/values.yaml")).unwrap()
}

/// As a release acme in images with these values.
fn with(values: &[&str]) -> Objects {
    let args: Vec<&str> = values.iter().flat_map(|value| ["--set", *value]).collect();
    template(HelmVersion::Four, "acme", "images", &args)
}

fn container(objects: &Objects) -> Value {
    only(objects, "Deployment", "acme-regcred")["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The schema's members of an object whose members are all known, and of those within.
fn groups(path: &str, schema: &Value, found: &mut Vec<String>) {
    if schema["additionalProperties"] == false {
        found.push(path.to_owned());
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        groups(&format!("{path}{name}."), member, found);
    }
}

#[test]
fn an_unknown_value_is_refused_by_name_wherever_it_is() {
    let mut found = Vec::new();
    groups("", &schema(), &mut found);
    assert!(found.len() > 10, "{found:?}");
    for group in found {
        let said = refused("images", &["--set", &format!("{group}unheardOf=1")]);
        assert!(said.contains("additional properties 'unheardOf' not allowed"), "{group}: {said}");
    }
    let said = refused("images", &["--set", "secretName={a}"]);
    assert!(said.contains("additional properties 'secretName' not allowed"), "{said}");
}

#[test]
fn a_value_that_cannot_be_is_refused_with_its_place() {
    for (value, said) in [
        ("replicas=two", "/replicas"),
        ("image.digest=latest", "/image/digest"),
        ("policies.atCreation=yes", "/policies/atCreation"),
        ("stuckPods=Delete", "/stuckPods"),
        ("extraArgs={run}", "/extraArgs/0"),
        ("secretNames={team-*}", "/secretNames/0"),
        ("secretNames=darwin", "/secretNames"),
    ] {
        let why = refused("images", &["--set", value]);
        assert!(why.contains(said), "{value}: {why}");
    }
    let why = refused("regcred-state", &[]);
    assert!(why.contains("stateNamespace.name regcred-state is where source Secrets live"), "{why}");
    let why = refused("images", &["--kube-version", "1.30.9"]);
    assert!(why.contains("chart requires kubeVersion: >=1.31.0-0"), "{why}");
}

/// The schema has every default, and values.yaml every member of the schema.
#[test]
fn schema_and_defaults_have_the_same_members() {
    fn compare(path: &str, schema: &Value, value: &Value) {
        let Some(members) = schema["properties"].as_object().filter(|_| value.is_object()) else { return };
        let known: Vec<&String> = members.keys().filter(|name| *name != "global").collect();
        let given: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(known, given, "in {path}");
        members.iter().for_each(|(name, member)| compare(&format!("{path}.{name}"), member, &value[name]));
    }
    compare("values", &schema(), &defaults());
}

#[test]
fn one_list_of_names_writes_the_rights_and_the_flag() {
    let objects = with(&["secretNames={a,b}", "serviceAccountNames={default,app}"]);
    let rules = only(&objects, "ClusterRole", "acme-regcred")["rules"].as_array().unwrap().clone();
    let of = |resource: &str| rules.iter().filter(|rule| rule["resources"] == json!([resource])).collect::<Vec<_>>();
    assert_eq!(of("secrets").len(), 1);
    assert_eq!(of("secrets")[0]["resourceNames"], json!(["a", "b"]));
    let [all, named] = of("serviceaccounts")[..] else { panic!("{rules:#?}") };
    assert_eq!((&all["verbs"], &all["resourceNames"]), (&json!(["list", "watch"]), &Value::Null));
    assert_eq!((&named["verbs"], &named["resourceNames"]), (&json!(["get", "patch"]), &json!(["default", "app"])));
    assert_eq!(container(&objects)["args"], json!(["run", "--managed-secret-names", "a", "b"]));

    // Each narrows by itself.
    let objects = with(&["secretNames={a}"]);
    let rules = only(&objects, "ClusterRole", "acme-regcred")["rules"].as_array().unwrap();
    let accounts = rules.iter().find(|rule| rule["resources"] == json!(["serviceaccounts"])).unwrap();
    assert_eq!(accounts["verbs"], json!(["get", "list", "watch", "patch"]));
}

#[test]
fn the_at_creation_policy_is_of_the_version_that_the_cluster_serves() {
    let policy = "admissionregistration.k8s.io";
    let (v1, v1beta1) =
        (format!("{policy}/v1/MutatingAdmissionPolicy"), format!("{policy}/v1beta1/MutatingAdmissionPolicy"));
    let cases: [(&[&str], Option<&str>); 8] = [
        (&["--api-versions", "v1/Secret", "--api-versions", &v1, "--api-versions", &v1beta1], Some("v1")),
        (&["--api-versions", "v1/Secret", "--api-versions", &v1beta1], Some("v1beta1")),
        (&["--api-versions", "v1/Secret"], None),
        (&[], Some("v1")), // Kubernetes 1.36
        (&["--kube-version", "1.35.0"], None),
        (&["--kube-version", "1.35.0", "--set", "policies.atCreation=v1beta1"], Some("v1beta1")),
        (&["--kube-version", "1.35.0", "--set", "policies.atCreation=v1"], Some("v1")),
        (&["--set", "policies.atCreation=none"], None),
    ];
    for (args, wanted) in cases {
        let objects = template(HelmVersion::Four, "acme", "images", args);
        let found: Vec<&Value> =
            objects.values().filter(|o| o["kind"].as_str().unwrap().starts_with("Mutating")).collect();
        assert_eq!(found.len(), if wanted.is_some() { 2 } else { 0 }, "{args:?}");
        let versions = found.iter().map(|object| object["apiVersion"].as_str().unwrap().rsplit('/').next());
        assert!(versions.into_iter().all(|version| version == wanted), "{args:?}: {found:#?}");
    }
}

#[test]
fn what_is_not_to_be_made_is_left_out() {
    let all = with(&[]);
    for (value, kinds) in [
        ("crd.create=false", &["CustomResourceDefinition"][..]),
        ("stateNamespace.create=false", &["Namespace"]),
        ("policies.protectCrd=false", &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
        (
            "policies.protectUninstall=false",
            &["ConfigMap", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
        ),
        ("serviceAccount.create=false", &["ServiceAccount"]),
        ("podDisruptionBudget.create=false", &["PodDisruptionBudget"]),
        ("networkPolicy.create=false", &["NetworkPolicy"]),
        ("metrics.service.create=false", &["Service"]),
    ] {
        let objects = with(&[value]);
        let gone: Vec<&str> = all.keys().filter(|id| !objects.contains_key(*id)).map(|[kind, ..]| &**kind).collect();
        assert_eq!(gone, kinds, "{value}");
        assert_eq!(all.len() - gone.len(), objects.len(), "{value}");
    }
    let objects = with(&["policies.fence=false"]);
    assert_eq!(all.len() - objects.len(), 4);
    assert!(objects.keys().all(|[_, _, name]| !name.contains("fence")));
}

#[test]
fn sources_may_live_in_namespaces_of_their_own() {
    let objects = with(&["credentialNamespaces={vault,keys}"]);
    let at =
        |namespace: &str| objects.contains_key(&["RoleBinding", namespace, "acme-regcred-sources"].map(str::to_owned));
    assert!(at("vault") && at("keys") && !at("images"), "{:#?}", objects.keys());
    assert_eq!(container(&objects)["args"], json!(["run", "--credential-namespaces=vault,keys"]));
}

#[test]
fn the_deployment_follows_its_values() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let objects = with(&[
        "image.repository=registry.example.com/regcred",
        &format!("image.digest={digest}"),
        "image.pullPolicy=Always",
        "imagePullSecrets[0].name=own",
        "replicas=1",
        "extraArgs={--log-format=text}",
        "allowedRegistries={registry.example.com}",
        "stateNamespace.name=keys",
        "resources.limits.memory=512Mi",
        "affinity.nodeAffinity.x=y",
        "tolerations[0].operator=Exists",
        "nodeSelector.disk=ssd",
        "priorityClassName=high",
        "podAnnotations.note=a",
        "podLabels.team=b",
        "commonLabels.owner=c",
        "serviceAccount.annotations.cloud=d",
    ]);
    let deployment = only(&objects, "Deployment", "acme-regcred");
    let (template, pod) = (&deployment["spec"]["template"]["metadata"], &deployment["spec"]["template"]["spec"]);
    let container = &pod["containers"][0];
    assert_eq!(container["image"], format!("registry.example.com/regcred@{digest}"));
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["resources"]["limits"]["memory"], "512Mi");
    assert_eq!(container["resources"]["requests"]["cpu"], "50m");
    let args = ["run", "--allowed-registries=registry.example.com", "--state-namespace=keys", "--log-format=text"];
    assert_eq!(container["args"], json!(args));
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "own"}]));
    assert_eq!(pod["affinity"], json!({"nodeAffinity": {"x": "y"}}));
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux", "disk": "ssd"}));
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!((&template["annotations"]["note"], &template["labels"]["team"]), (&json!("a"), &json!("b")));
    assert_eq!(only(&objects, "ServiceAccount", "acme-regcred")["metadata"]["annotations"], json!({"cloud": "d"}));
    let unlabelled: Vec<_> = objects
        .iter()
        .filter(|(_, object)| object["metadata"]["labels"]["owner"] != "c")
        .map(|(id, _)| &id[0])
        .collect();
    assert_eq!(unlabelled, ["CustomResourceDefinition"]);
    // What selects pods and is selected can't be taken away by a label of one's own.
    let objects =
        with(&["commonLabels.app\\.kubernetes\\.io/name=other", "podLabels.app\\.kubernetes\\.io/name=other"]);
    assert!(objects.values().all(|object| object["metadata"]["labels"]["app.kubernetes.io/name"] != "other"));
    let deployment = only(&objects, "Deployment", "acme-regcred");
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"], "regcred");

    let tag = with(&["image.tag=v9"]);
    assert!(only(&tag, "Deployment", "acme-regcred").to_string().contains("ghcr.io/regcred/regcred:v9\""));
}

#[test]
fn objects_of_ones_own_come_along_as_yaml_or_as_a_template() {
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-two\"}";
    let objects = json!([map("one"), text]).to_string();
    let objects = template(HelmVersion::Four, "acme", "images", &["--set-json", &format!("extraObjects={objects}")]);
    for name in ["one", "acme-two"] {
        only(&objects, "ConfigMap", name);
    }
}

#[test]
fn everything_is_called_by_the_releases_name_and_no_name_is_too_long() {
    let named = |release: &str, args: &[&str]| {
        let objects = template(HelmVersion::Four, release, "images", args);
        let deployment = objects.keys().find(|[kind, ..]| kind == "Deployment").unwrap()[2].clone();
        let longest = objects.keys().filter(|[kind, ..]| kind == "Service").map(|[_, _, name]| name.len()).max();
        assert!(longest <= Some(63), "{release}: {longest:?}");
        deployment
    };
    assert_eq!(named("regcred", &[]), "regcred");
    assert_eq!(named("my-regcred", &[]), "my-regcred");
    assert_eq!(named("acme", &[]), "acme-regcred");
    assert_eq!(named("acme", &["--set", "fullnameOverride=pulls"]), "pulls");
    named(&"a".repeat(53), &[]);
}
