//! `helm template`, and what is in it.

use std::collections::BTreeMap;

use controlplane::{Helm, HelmVersion};
use serde_json::Value;

use crate::ROOT;

pub const BOTH: [HelmVersion; 2] = [HelmVersion::Three, HelmVersion::Four];

/// By kind, namespace and name.
pub type Objects = BTreeMap<[String; 3], Value>;

/// As a release of this name, in this namespace, with these arguments besides.
pub fn template(version: HelmVersion, release: &str, namespace: &str, args: &[&str]) -> Objects {
    let chart = format!("{ROOT}/charts/regcred");
    let fixed = ["template", release, &chart, "-n", namespace];
    // Without a cluster that says so Helm takes a version of Kubernetes that it was made for.
    let kubernetes = if args.contains(&"--kube-version") { &[][..] } else { &["--kube-version", "1.36.3"] };
    objects(&Helm::new(version).ok(&[&fixed[..], kubernetes, args].concat()))
}

/// What Helm says against it.
pub fn refused(namespace: &str, args: &[&str]) -> String {
    let chart = format!("{ROOT}/charts/regcred");
    let fixed = ["template", "regcred", &chart, "-n", namespace, "--kube-version", "1.36.3"];
    Helm::new(HelmVersion::Four).refused(&[&fixed, args].concat())
}

/// The documents of a stream, each there once.
pub fn objects(text: &str) -> Objects {
    let mut all = Objects::new();
    for document in format!("\n{text}").split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document).unwrap_or_else(|why| panic!("{why}: {document}"));
        if object.is_null() {
            continue;
        }
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = ["/kind", "/metadata/namespace", "/metadata/name"].map(text);
        assert!(all.insert(id.clone(), object).is_none(), "{id:?} is there twice");
    }
    all
}

/// The only one of that kind and name.
#[track_caller]
pub fn only<'a>(objects: &'a Objects, kind: &str, name: &str) -> &'a Value {
    let found: Vec<_> = objects.iter().filter(|([k, _, n], _)| k == kind && n == name).collect();
    assert_eq!(found.len(), 1, "{kind} {name} among {:#?}", objects.keys());
    found[0].1
}
