//! What kustomize makes of an overlay with config/relocate, compared with what it makes of config itself.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use controlplane::{
    OPERATOR, binary,
    docs::{self, Mark},
    tool,
};
use serde_json::Value;

use super::{NAMESPACE, USER};
use crate::world::ROOT;

/// Whose kustomize; what lies between was tried by hand.
#[derive(Clone, Copy, Debug)]
pub enum Kustomize {
    /// 4.5.7.
    Oldest,
    /// 5.8.1.
    Newest,
    Kubectl,
}

impl Kustomize {
    pub fn build(self, folder: &Path) -> String {
        let (program, verb) = match self {
            Self::Oldest => (tool("kustomize-4.5"), "build"),
            Self::Newest => (tool("kustomize-5.8"), "build"),
            Self::Kubectl => (binary("kubectl"), "kustomize"),
        };
        let output = Command::new(program.unwrap()).arg(verb).arg(folder).output().unwrap();
        assert!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The block of docs/kustomize.md of that kind with this in it.
fn block(of_kind: fn(&Mark) -> bool, with: &str) -> String {
    let blocks = docs::blocks(&fs::read_to_string(format!("{ROOT}/docs/kustomize.md")).unwrap()).unwrap();
    let found = blocks.into_iter().find(|block| of_kind(&block.mark) && block.text.contains(with));
    found.unwrap_or_else(|| panic!("docs/kustomize.md has no such block with {with}")).text
}

/// The overlay in docs/kustomize.md.
pub fn documented() -> String {
    block(|mark| *mark == Mark::File(format!("{NAMESPACE}/kustomization.yaml")), "config/relocate")
}

/// How docs/kustomize.md installs it.
pub fn commands() -> String {
    block(|mark| *mark == Mark::NotRun, "-k images")
}

/// Writes an overlay where a user would have it: in a folder beside `config`.
pub fn overlay(folder: &Path, kustomization: &str) -> PathBuf {
    if !folder.join("config").exists() {
        symlink(format!("{ROOT}/config"), folder.join("config")).unwrap();
    }
    let overlay = folder.join(NAMESPACE);
    fs::create_dir_all(&overlay).unwrap();
    fs::write(overlay.join("kustomization.yaml"), kustomization).unwrap();
    overlay
}

/// By kind, namespace and name.
type Objects = BTreeMap<[String; 3], Value>;

fn objects(objects: impl IntoIterator<Item = Value>) -> Objects {
    let mut all = Objects::new();
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = ["/kind", "/metadata/namespace", "/metadata/name"].map(text);
        assert!(all.insert(id.clone(), object).is_none(), "{id:?} is there twice");
    }
    all
}

fn parse(render: &str) -> Vec<Value> {
    render.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// An overlay's settings, and what has to come of them.
#[derive(Clone, Copy)]
struct Place {
    namespace: Option<&'static str>,
    prefix: &'static str,
    suffix: &'static str,
    user: &'static str,
}

impl Place {
    /// The overlay, of these parts of config.
    fn kustomization(&self, parts: &[&str]) -> String {
        let namespace = self.namespace.map(|namespace| format!("namespace: {namespace}\n")).unwrap_or_default();
        let (prefix, suffix) = (self.prefix, self.suffix);
        let parts: String = parts.iter().map(|part| format!("- ../config/{part}\n")).collect();
        format!(
            "{namespace}namePrefix: \"{prefix}\"\nnameSuffix: \"{suffix}\"\nresources:\n{parts}transformers: [../config/relocate]\n"
        )
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}{}", self.prefix, self.suffix)
    }

    /// What has to become of an object of config: names, and what refers to them, and nothing else.
    fn relocated(&self, mut object: Value) -> Value {
        self.rewrite(&mut object);
        let mut named = vec!["/roleRef/name", "/subjects/0/name", "/spec/policyName"];
        named.push("/spec/template/spec/serviceAccountName");
        if object["kind"] != "Namespace" {
            named.push("/metadata/name");
        }
        for pointer in named {
            if let Some(Value::String(name)) = object.pointer_mut(pointer) {
                *name = self.name(name);
            }
        }
        object
    }

    fn rewrite(&self, value: &mut Value) {
        match value {
            Value::String(text) if text == "regcred-system" => {
                *text = self.namespace.unwrap_or("regcred-system").to_owned();
            }
            Value::String(text) => *text = text.replace(&format!("'{OPERATOR}'"), &format!("'{}'", self.user)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.rewrite(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.rewrite(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

const DOCUMENTED: Place = Place { namespace: Some(NAMESPACE), prefix: "acme-", suffix: "", user: USER };

/// Each kustomize makes the same of an overlay in this place, and that is what has to come of `parts`.
fn assert_relocated(place: Place, parts: &[&str], kustomization: &str) {
    let plain =
        parts.iter().flat_map(|part| parse(&Kustomize::Kubectl.build(&Path::new(ROOT).join("config").join(part))));
    let wanted = objects(plain.map(|object| place.relocated(object)));
    let folder = tempfile::tempdir().unwrap();
    let overlay = overlay(folder.path(), kustomization);
    for kustomize in [Kustomize::Oldest, Kustomize::Newest, Kustomize::Kubectl] {
        let text = kustomize.build(&overlay);
        let found = objects(parse(&text));
        assert!(found.keys().eq(wanted.keys()), "{kustomize:?}: {:#?} aren't {:#?}", found.keys(), wanted.keys());
        for (id, object) in &found {
            assert_eq!(object, &wanted[id], "{kustomize:?} {id:?}");
        }
        let left = text.contains("regcred-system") || text.contains(OPERATOR);
        assert!(place.namespace.is_none() || !left, "{kustomize:?} leaves the old namespace in {text}");
        let events =
            |kind: &str| found.contains_key(&[kind.to_owned(), "default".to_owned(), place.name("regcred-events")]);
        assert!(events("Role") && events("RoleBinding"), "{kustomize:?}: Events are in default");
    }
}

#[test]
fn every_kustomize_makes_the_same_of_the_documented_overlay_and_leaves_nothing_behind() {
    assert_relocated(DOCUMENTED, &["policy", "policy/at-creation", "default"], &documented());
}

#[test]
fn the_other_overlays_and_the_namespace_follow_alike() {
    let parts = ["namespace/system", "policy", "policy/at-creation", "overlays/scoped", "overlays/stuck-pods/evict"];
    assert_relocated(DOCUMENTED, &parts, &DOCUMENTED.kustomization(&parts));
}

#[test]
fn a_namespace_alone_will_do_and_so_will_names_alone() {
    let parts = ["policy", "policy/at-creation", "default"];
    let namespace = Place { prefix: "", user: "system:serviceaccount:images:regcred", ..DOCUMENTED };
    let user = "system:serviceaccount:regcred-system:acme-regcred-two";
    let names = Place { namespace: None, suffix: "-two", user, ..DOCUMENTED };
    for place in [namespace, names] {
        assert_relocated(place, &parts, &place.kustomization(&parts));
    }
}

#[test]
fn the_policies_may_be_left_out_or_be_of_an_older_version() {
    for parts in [&["default"][..], &["policy/at-creation-v1beta1", "default"]] {
        assert_relocated(DOCUMENTED, parts, &DOCUMENTED.kustomization(parts));
    }
}
