//! The chart and `config`, rendered and compared object by object: whoever installs one has what the other has.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use controlplane::{HelmVersion, binary};
use serde_json::{Value, json};

use crate::{
    ROOT,
    render::{BOTH, Objects, objects, template},
};

/// What the chart adds to the labels of every object, and of the pods.
const ADDED_LABELS: [&str; 4] =
    ["helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"];

fn kustomize(folder: &Path) -> String {
    let output = Command::new(binary("kubectl").unwrap()).arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// These folders of `config`.
fn config(parts: &[&str]) -> Objects {
    let render = |part: &&str| kustomize(&Path::new(ROOT).join("config").join(part));
    objects(&parts.iter().map(render).collect::<Vec<_>>().join("\n---\n"))
}

/// What of an object may differ, taken away.
fn plain(mut object: Value) -> Value {
    for pointer in ["/metadata/labels", "/spec/template/metadata/labels"] {
        if let Some(Value::Object(labels)) = object.pointer_mut(pointer) {
            labels.retain(|label, _| !ADDED_LABELS.contains(&label.as_str()));
        }
    }
    if let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") {
        // config/overlays/scoped has to part what is one list; the image runs /regcred anyway.
        let words = ["command", "args"].map(|part| container[part].as_array().cloned().unwrap_or_default()).concat();
        let words: Vec<Value> = words.into_iter().filter(|word| word != "/regcred").collect();
        container["args"] = words.into();
        container.as_object_mut().unwrap().remove("command");
    }
    object
}

/// That the chart has the objects of `config`, but for the namespaces: the release's is made by whoever installs it, and the
/// state's is kept.
#[track_caller]
fn assert_same(mut chart: Objects, mut config: Objects, state: &str) {
    // An uninstallation is Helm's.
    chart.retain(|id, _| !id[2].ends_with("-protect-uninstall"));
    let namespace = |name: &str| ["Namespace".to_owned(), String::new(), name.to_owned()];
    config.remove(&namespace("regcred-system"));
    let kept =
        chart.get_mut(&namespace(state)).and_then(|made| made["metadata"].as_object_mut()?.remove("annotations"));
    assert_eq!(kept, Some(json!({"helm.sh/resource-policy": "keep"})));
    assert!(chart.keys().eq(config.keys()), "{:#?} aren't {:#?}", chart.keys(), config.keys());
    for ((id, made), (_, wanted)) in chart.into_iter().zip(config) {
        let (made, wanted) = (plain(made), plain(wanted));
        assert!(made == wanted, "{id:?} is\n{made:#}\nin the chart and in config\n{wanted:#}");
    }
}

#[test]
fn by_default_the_chart_is_config_with_both_policies() {
    for helm in BOTH {
        let chart = template(helm, "regcred", "regcred-system", &[]);
        assert_same(chart, config(&["crd", "namespace", "policy", "policy/at-creation", "default"]), "regcred-state");
    }
}

#[test]
fn with_names_the_chart_is_the_scoped_overlay_and_with_rights_on_pods_and_monitoring_the_other_ones() {
    let names = "secretNames={darwin-secret},serviceAccountNames={default}";
    let monitoring = "metrics.serviceMonitor.create=true,metrics.rules.create=true,metrics.dashboard.create=true";
    for helm in BOTH {
        let args = ["--set", names, "--set", monitoring, "--set", "stuckPods=Evict,policies.atCreation=none"];
        let chart = template(helm, "regcred", "regcred-system", &args);
        let parts = ["crd", "namespace", "policy", "overlays/scoped", "overlays/stuck-pods/evict", "monitoring"];
        assert_same(chart, config(&parts), "regcred-state");
    }
    let args = ["--set", "metrics.podMonitor.create=true,stuckPods=Report,policies.atCreation=v1beta1"];
    let chart = template(HelmVersion::Four, "regcred", "regcred-system", &args);
    let at_creation = "policy/at-creation-v1beta1";
    let pods = ["overlays/stuck-pods/report", "monitoring/pod-monitor"];
    let parts = [&["crd", "namespace", "policy", at_creation, "default"][..], &pods].concat();
    assert_same(chart, config(&parts), "regcred-state");
}

/// The overlay of docs/kustomize.md for another namespace and name, beside everything that moves with it.
#[test]
fn in_another_namespace_and_under_another_name_the_chart_is_config_relocated() {
    let folder = tempfile::tempdir().unwrap();
    symlink(format!("{ROOT}/config"), folder.path().join("config")).unwrap();
    let overlay = folder.path().join("images");
    fs::create_dir(&overlay).unwrap();
    let moved = "namespace: images\nnamePrefix: acme-\nresources:\n- ../config/policy\n- ../config/policy/at-creation\n\
                 - ../config/default\n- ../config/overlays/stuck-pods/evict\ntransformers: [../config/relocate]\n";
    fs::write(overlay.join("kustomization.yaml"), moved).unwrap();
    let mut wanted = config(&["crd", "namespace"]);
    wanted.extend(objects(&kustomize(&overlay)));
    for helm in BOTH {
        let chart = template(helm, "acme", "images", &["--set", "stuckPods=Evict"]);
        assert_same(chart, wanted.clone(), "regcred-state");
    }
}

#[test]
fn nothing_of_the_usual_names_is_left_where_all_names_are_others() {
    let args = ["--set", "stateNamespace.name=keys,serviceAccount.name=images-writer,stuckPods=Evict"];
    for (id, object) in template(HelmVersion::Four, "acme", "images", &args) {
        let text = object.to_string();
        // The file's name in the CRD's descriptions is no name of an object.
        if id[0] == "CustomResourceDefinition" {
            continue;
        }
        for name in ["regcred-system", "'regcred-state'", ":regcred'", "in regcred-state"] {
            assert!(!text.contains(name), "{id:?} has {name}: {text}");
        }
        for namespace in ["/metadata/namespace", "/subjects/0/namespace"] {
            let namespace = object.pointer(namespace).and_then(Value::as_str);
            assert!(namespace.is_none_or(|name| ["images", "keys", "default"].contains(&name)), "{id:?}: {object:#}");
        }
        let subject = object.pointer("/subjects/0/name").and_then(Value::as_str);
        assert!(subject.is_none_or(|name| name == "images-writer"), "{id:?}: {object:#}");
    }
}
