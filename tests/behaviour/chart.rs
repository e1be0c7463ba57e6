//! charts/regcred on a real API server, by Helm 3 and 4: what it installs works, and what it leaves is what the docs say.
//! No node runs its Deployment's pods: the operator is a process here, as the Deployment's user and with its arguments.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use controlplane::{Audit, ControlPlane, Controllers, Helm, HelmVersion, Lent, Options, binary};
use serde_json::{Value, json};

use crate::{
    relocate::{NAMESPACE, SECRET, cluster_with, plays_its_part},
    world::{ROOT, SOON, World, key, operator},
};

const CRD: &str = "registrycredentials.regcred.dev";

/// A release's name and namespace, and more arguments.
fn install(helm: &Helm, release: &str, namespace: &str, args: &[&str]) -> String {
    let chart = format!("{ROOT}/charts/regcred");
    helm.ok(&[&["install", release, &chart, "-n", namespace, "--create-namespace"], args].concat())
}

fn refused(helm: &Helm, release: &str, namespace: &str, args: &[&str]) -> String {
    let chart = format!("{ROOT}/charts/regcred");
    helm.refused(&[&["install", release, &chart, "-n", namespace, "--create-namespace"], args].concat())
}

/// With nothing of regcred's.
fn bare() -> Lent {
    let options = Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() };
    ControlPlane::lend(options)
}

/// So that the garbage collector sees a CRD that is newer than itself.
fn restart_controllers(cluster: &ControlPlane) {
    cluster.start_controllers(&Controllers::Default).unwrap();
}

/// The names of all that regcred could leave behind.
fn everything(cluster: &ControlPlane) -> BTreeSet<String> {
    let mut kinds =
        vec!["namespaces", "crd", "clusterroles", "clusterrolebindings", "roles", "rolebindings", "secrets"];
    kinds.extend(["serviceaccounts", "configmaps", "leases", "services", "deployments", "poddisruptionbudgets"]);
    kinds.extend(["networkpolicies", "validatingadmissionpolicies", "validatingadmissionpolicybindings"]);
    if controlplane::kubernetes() >= (1, 34) {
        kinds.extend(["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"]);
    }
    let list = cluster.get_json(&["-A", &kinds.join(",")]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |object: &Value| {
        let (at, kind) = (&object["metadata"], text(&object["kind"]));
        format!("{kind} {}/{}", text(&at["namespace"]), text(&at["name"]))
    };
    list["items"].as_array().unwrap().iter().map(name).collect()
}

/// The whole story in another namespace and under another name, inside the fences.
fn does_all_its_work(version: HelmVersion, args: &[&str]) {
    let cluster = cluster_with(Vec::new());
    let helm = Helm::on(version, &cluster);
    let notes = install(&helm, "acme", NAMESPACE, args);
    assert_eq!(notes.contains("ACCESS TO EVERY SECRET OF THE CLUSTER"), args.is_empty(), "{notes}");
    restart_controllers(&cluster);
    plays_its_part(cluster, |_| {
        helm.ok(&["uninstall", "acme", "-n", NAMESPACE]);
    });
}

#[test]
fn by_helm_4_the_operator_does_all_its_work_in_another_namespace_and_name_inside_the_fences() {
    does_all_its_work(HelmVersion::Four, &[]);
}

#[test]
fn by_helm_3_and_with_rights_by_name_it_does_so_too() {
    let names = format!("secretNames={{{SECRET}}},serviceAccountNames={{default,app}}");
    does_all_its_work(HelmVersion::Three, &["--set", &names]);
}

#[test]
fn the_three_commands_that_the_notes_tell_people_to_type_do_what_they_say() {
    for names in ["", "darwin-secret,other"] {
        let cluster = bare();
        let helm = Helm::on(HelmVersion::Four, &cluster);
        let args = ["--set", &format!("secretNames={{{names}}}")];
        let notes = install(&helm, "regcred", "regcred-system", if names.is_empty() { &[] } else { &args });
        let managed: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
        let flag = if managed.is_empty() { vec![] } else { [&["--managed-secret-names"][..], &managed].concat() };
        let operator = operator(&cluster, &flag);
        operator.wait_ready(SOON);
        let start = notes.find("kubectl -n regcred-system create secret").unwrap();
        let end = notes.find("\nBefore `helm uninstall`").unwrap();
        let commands = notes[start..end].replace("REGISTRY", "registry.example.com");
        let (code, written) = cluster.shell(cluster.folder(), &commands);
        assert_eq!(code, 0, "{commands}\n{written}");
        let secret = managed.first().unwrap_or(&"registry");
        assert!(written.contains(&format!("registrycredential.regcred.dev/{secret} condition met")), "{written}");
        cluster.get_json(&["-n", "default", "secret", secret]);
    }
}

/// A copy of the chart, of another version and with this done to its CRD.
fn changed_chart(folder: &Path, change: impl FnOnce(&str) -> String) {
    let copied = Command::new("cp").arg("-r").arg(format!("{ROOT}/charts/regcred")).arg(folder.join("chart")).status();
    assert!(copied.unwrap().success());
    let edit = |path: &str, change: &dyn Fn(&str) -> String| {
        let path = folder.join("chart").join(path);
        let before = fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after);
        fs::write(&path, after).unwrap();
    };
    edit("Chart.yaml", &|text| text.replace("version: 0.1.0", "version: 0.2.0"));
    let crd = format!("files/crds/{CRD}.yaml");
    let changed = change(&fs::read_to_string(folder.join("chart").join(&crd)).unwrap());
    edit(&crd, &|_| changed.clone());
}

#[test]
fn an_upgrade_brings_a_changed_crd_and_a_rollback_the_one_before_and_no_credential_is_lost() {
    for version in [HelmVersion::Three, HelmVersion::Four] {
        let cluster = bare();
        let helm = Helm::on(version, &cluster);
        install(&helm, "regcred", "regcred-system", &[]);
        let credential = crate::world::credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
        cluster.apply(&credential.to_string()).unwrap();
        let uid = || cluster.get_json(&["registrycredential", "darwin"])["metadata"]["uid"].clone();
        let before = uid();
        let columns = || {
            let crd = cluster.get_json(&["crd", CRD]);
            crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap().len()
        };
        let shipped = columns();
        let column = "  - additionalPrinterColumns:\n    - {jsonPath: .spec.suspend, name: SUSPENDED, type: boolean}\n";
        changed_chart(helm.folder(), |crd| crd.replace("  - additionalPrinterColumns:\n", column));
        helm.ok(&["upgrade", "regcred", "chart", "-n", "regcred-system"]);
        assert_eq!((columns(), uid()), (shipped + 1, before.clone()), "{version:?}");
        helm.ok(&["rollback", "regcred", "1", "-n", "regcred-system"]);
        assert_eq!((columns(), uid()), (shipped, before), "{version:?}");
    }
}

#[test]
fn a_second_regcred_in_a_cluster_is_refused_with_a_sentence() {
    let cluster = bare();
    // Who may write RegistryCredentials is no regcred.
    let gitops = json!({"kind": "ServiceAccount", "name": "gitops", "namespace": "default"});
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "regcred-editor"});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [gitops],
        "metadata": {"name": "gitops", "labels": {"app.kubernetes.io/name": "regcred"}},
    });
    cluster.apply(&binding.to_string()).unwrap();
    for version in [HelmVersion::Three, HelmVersion::Four] {
        let helm = Helm::on(version, &cluster);
        install(&helm, "regcred", "regcred-system", &[]);
        let before = everything(&cluster);
        let sentence =
            "there is a regcred in this cluster already, service account regcred in namespace regcred-system";
        for (release, namespace) in [("acme", "images"), ("acme", "regcred-system"), ("regcred", "images")] {
            let why = refused(&helm, release, namespace, &[]);
            assert!(why.contains(sentence), "{version:?} {release} {namespace}: {why}");
        }
        // The one that is there isn't in its own way.
        helm.ok(&[
            "upgrade",
            "regcred",
            &format!("{ROOT}/charts/regcred"),
            "-n",
            "regcred-system",
            "--set",
            "replicas=1",
        ]);
        let new: Vec<_> = everything(&cluster).difference(&before).cloned().collect();
        let of_helm =
            |name: &String| name.contains("sh.helm.release") || name.contains(" images/") || name.ends_with("/images");
        assert!(new.iter().all(of_helm), "{new:?}");
        helm.ok(&["uninstall", "regcred", "-n", "regcred-system"]);
    }
    // One that Helm knows nothing of.
    for part in ["namespace", "default"] {
        cluster.kubectl_ok(&["apply", "--server-side", "--force-conflicts", "-k", &format!("{ROOT}/config/{part}")]);
    }
    let why = refused(&Helm::on(HelmVersion::Four, &cluster), "acme", "images", &[]);
    assert!(why.contains("there is a regcred in this cluster already"), "{why}");
}

#[test]
fn an_uninstallation_loses_nothing_and_leaves_what_the_docs_say() {
    let cluster = bare();
    let helm = Helm::on(HelmVersion::Four, &cluster);
    let before = everything(&cluster);
    install(&helm, "regcred", "regcred-system", &[]);
    restart_controllers(&cluster);
    let operator = operator(&cluster, &["--leader-elect", "true"]);
    operator.wait_ready(SOON);
    let world = World::with(cluster, operator);
    world.namespace("team-a", json!({}));
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_entries("team-a", "default", &["darwin"]);
    world.wait_ready("darwin");
    let cluster = &world.cluster;
    let mut installed = everything(cluster);
    for version in [HelmVersion::Three, HelmVersion::Four] {
        let why = Helm::on(version, cluster).refused(&["uninstall", "regcred", "-n", "regcred-system"]);
        assert!(why.contains("the RegistryCredential darwin is left") && why.contains("--no-hooks"), "{why}");
        assert_eq!(everything(cluster), installed);
        // Who has thought better of it goes on as before.
        let helm = Helm::on(version, cluster);
        let last = helm.ok(&["history", "regcred", "-n", "regcred-system", "-o", "json"]);
        let last: Value = serde_json::from_str(&last).unwrap();
        let last = last.as_array().unwrap().last().unwrap()["revision"].to_string();
        helm.ok(&["rollback", "regcred", &last, "-n", "regcred-system"]);
        helm.ok(&["upgrade", "regcred", &format!("{ROOT}/charts/regcred"), "-n", "regcred-system"]);
        installed = everything(cluster);
    }
    world.operator.stop(); // as the Deployment's pods would be

    helm.ok(&["uninstall", "regcred", "-n", "regcred-system", "--no-hooks"]);
    let left: Vec<String> = everything(cluster).difference(&before).cloned().collect();
    let of_any_namespace = |name: &&String| !name.ends_with("/default") && !name.ends_with("/kube-root-ca.crt");
    let left: Vec<&String> = left.iter().filter(of_any_namespace).collect();
    let docs = [
        "CustomResourceDefinition /registrycredentials.regcred.dev",
        "Lease regcred-system/regcred",
        "Namespace /regcred-state",
        "Namespace /regcred-system",
        "Namespace /team-a",
        "Secret regcred-state/root-key",
        "Secret regcred-system/key",
        "Secret team-a/darwin",
    ];
    assert_eq!(left, docs);
    assert_eq!(world.entries("team-a", "default").unwrap(), ["darwin"]);
    assert_eq!(cluster.get_json(&["registrycredential", "darwin"])["status"]["namespaces"]["summary"], "1/1");

    // Elsewhere it takes over what is left only if it is told to.
    let why = refused(&helm, "acme", "images", &[]);
    assert!(why.contains("invalid ownership metadata"), "{why}");
    for (version, release) in [(HelmVersion::Four, "acme"), (HelmVersion::Three, "pulls")] {
        let helm = Helm::on(version, cluster);
        install(&helm, release, "images", &["--take-ownership"]);
        assert!(world.get(&["registrycredential", "darwin"]).is_ok());
        helm.ok(&["uninstall", release, "-n", "images", "--no-hooks"]);
    }
}

#[test]
fn what_was_installed_from_config_is_taken_over_in_place() {
    let cases =
        [(HelmVersion::Three, "default"), (HelmVersion::Four, "default"), (HelmVersion::Four, "overlays/scoped")];
    for (version, base) in cases {
        let cluster = bare();
        for part in ["crd", "namespace", "policy", base] {
            cluster.kubectl_ok(&["apply", "--server-side", "-k", &format!("{ROOT}/config/{part}")]);
        }
        let deployment = || cluster.get_json(&["-n", "regcred-system", "deployment", "regcred"]);
        let before = deployment()["metadata"]["uid"].clone();
        let helm = Helm::on(version, &cluster);
        let force: &[&str] = if version == HelmVersion::Four { &["--force-conflicts"] } else { &[] };
        let values = ["--set", "replicas=1,secretNames={own}"];
        install(&helm, "regcred", "regcred-system", &[&["--take-ownership"], &values[..], force].concat());
        let after = deployment();
        assert_eq!((&after["spec"]["replicas"], &after["metadata"]["uid"]), (&json!(1), &before), "{version:?} {base}");
        let container = &after["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["command"], json!(["/regcred"]), "{version:?} {base}");
        assert_eq!(container["args"], json!(["run", "--managed-secret-names", "own"]), "{version:?} {base}");
        let role = cluster.get_json(&["clusterrole", "regcred"]).to_string();
        assert!(role.contains(r#"["own"]"#) && !role.contains("darwin-secret"), "{version:?} {base}: {role}");
        let chart = format!("{ROOT}/charts/regcred");
        let upgrade = ["upgrade", "regcred", &chart, "-n", "regcred-system", "--set", "image.tag=v9,secretNames={own}"];
        helm.ok(&[&upgrade[..], force].concat());
        let image = deployment()["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        assert_eq!(image, "ghcr.io/regcred/regcred:v9", "{version:?} {base}");
        helm.ok(&["uninstall", "regcred", "-n", "regcred-system"]);
        let left = cluster.get_json(&["-A", "deployments,clusterroles,roles", "-l", "app.kubernetes.io/name=regcred"]);
        assert_eq!(left["items"], json!([]), "{version:?} {base}");
    }
}

#[test]
fn the_one_manifest_installs_everything_by_one_command_and_again() {
    let cluster = bare();
    let kubectl = binary("kubectl").unwrap();
    let output = Command::new(kubectl).args(["kustomize", &format!("{ROOT}/config/install")]).output().unwrap();
    let manifest = String::from_utf8(output.stdout).unwrap();
    let apply = || cluster.kubectl_with_input(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &manifest);
    apply().unwrap();
    restart_controllers(&cluster);
    let operator = operator(&cluster, &[]);
    operator.wait_ready(SOON);
    let world = World::with(cluster, operator);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["default"]}}));
    world.wait_ready("darwin");
    // Whatever somebody has changed by another command meanwhile.
    let deployment = ["-n", "regcred-system", "deployment/regcred"];
    world.cluster.kubectl_ok(&[&["scale", "--replicas=5"], &deployment[..]].concat());
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    world.cluster.kubectl_with_input(&apply, &manifest).unwrap();
    assert_eq!(world.get(&["-n", "regcred-system", "deployment", "regcred"]).unwrap()["spec"]["replicas"], 2);
    world.wait_ready("darwin");
}
