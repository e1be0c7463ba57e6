//! Reads and applies objects over one `kubectl proxy`: a kubectl for each look is a tenth of a second of CPU, one that
//! applies a quarter, and tests that wait look often.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kubectl::Kubectl;
use crate::ports::free_port;
use crate::process::Process;
use crate::{http, wait};

/// The kinds that tests look at most: singular, kind, and the path of their group and version.
const KINDS: [(&str, &str, &str); 7] = [
    ("configmap", "ConfigMap", "/api/v1"),
    ("lease", "Lease", "/apis/coordination.k8s.io/v1"),
    ("namespace", "Namespace", "/api/v1"),
    ("pod", "Pod", "/api/v1"),
    ("registrycredential", "RegistryCredential", "/apis/regcred.dev/v1alpha1"),
    ("secret", "Secret", "/api/v1"),
    ("serviceaccount", "ServiceAccount", "/api/v1"),
];

/// As kubectl applies.
const APPLIED: &str = "fieldManager=kubectl&force=true&fieldValidation=Strict";

#[derive(Debug)]
pub(crate) struct Direct {
    port: u16,
    _proxy: Process,
}

impl Direct {
    /// Starts the proxy and waits until it listens.
    pub(crate) fn start(folder: &Path, kubectl: &Kubectl) -> Result<Direct, String> {
        let port = free_port();
        let command = kubectl.command(&["proxy", &format!("--port={port}")]);
        let proxy = Process::start("kubectl proxy", &command, &folder.join("kubectl-proxy.log"))?;
        wait::poll(Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| format!("kubectl proxy: {error}"))
        })?;
        Ok(Direct { port, _proxy: proxy })
    }

    /// Makes a namespace; what is asked by [`Direct::get`] tells what becomes of it.
    pub(crate) fn make_namespace(&self, name: &str) -> Result<(), String> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        match http::post(self.port, "/api/v1/namespaces", &body.to_string())? {
            (201, _) => Ok(()),
            (status, body) => Err(format!("namespace {name} can't be made: {status} {body}")),
        }
    }

    /// What `kubectl apply --server-side --force-conflicts` does with JSON: an object, or a List of them. `None` where
    /// kubectl had better do it: for a kind that isn't looked at often, and to say what the API server refuses.
    pub(crate) fn apply(&self, manifest: &str) -> Option<String> {
        let whole: Value = serde_json::from_str(manifest).ok()?;
        let objects = match whole["kind"].as_str() {
            Some("List") => whole["items"].as_array()?.iter().collect(),
            _ => vec![&whole],
        };
        let paths: Vec<String> = objects.iter().map(|object| path_of(object)).collect::<Option<_>>()?;
        for (path, object) in paths.iter().zip(objects) {
            match http::patch(self.port, path, "application/apply-patch+yaml", &object.to_string()) {
                Ok((200 | 201, _)) => {}
                _ => return None,
            }
        }
        Some(paths.join("\n"))
    }

    /// What `kubectl get ARGS -o json` gives or says on stderr; `None` for arguments that are beyond this.
    pub(crate) fn get(&self, args: &[&str]) -> Option<Result<Value, String>> {
        let (path, kind, version) = path(args)?;
        Some(http::get(self.port, &path).and_then(|(status, body)| {
            let mut answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
            if status != 200 {
                let text = |member: &str| answer[member].as_str().unwrap_or_default();
                return Err(format!("Error from server ({}): {}\n", text("reason"), text("message")));
            }
            if let Some(items) = answer.get_mut("items").and_then(Value::as_array_mut) {
                for item in items {
                    item["kind"] = json!(kind);
                    item["apiVersion"] = json!(version);
                }
                answer["kind"] = json!("List");
            }
            Ok(answer)
        }))
    }
}

/// Where an object is applied.
fn path_of(object: &Value) -> Option<String> {
    let at = &object["metadata"];
    let (singular, _, version) =
        *KINDS.iter().find(|(_, kind, version)| object["kind"] == *kind && object["apiVersion"] == group(version))?;
    let namespace = match (is_cluster_wide(singular), at["namespace"].as_str().unwrap_or("default")) {
        (true, _) => String::new(),
        (false, namespace) => format!("/namespaces/{namespace}"),
    };
    let name = at["name"].as_str()?;
    Some(format!("{version}{namespace}/{singular}s/{name}?{APPLIED}"))
}

/// A path's group and version as an object has them.
fn group(version: &str) -> &str {
    version.strip_prefix("/apis/").or(version.strip_prefix("/api/")).unwrap_or(version)
}

fn is_cluster_wide(singular: &str) -> bool {
    ["namespace", "registrycredential"].contains(&singular)
}

/// Where that is, its kind and its version.
fn path(args: &[&str]) -> Option<(String, &'static str, &'static str)> {
    let (namespace, rest) = match args {
        ["-n", namespace, rest @ ..] => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (kind, name) = match (rest, namespace) {
        ([kind, "-A" | "--all-namespaces"], None) => (kind, None),
        ([kind], _) => (kind, None),
        ([kind, name], _) if !name.starts_with('-') => (kind, Some(*name)),
        _ => return None,
    };
    let (singular, kind, version) =
        *KINDS.iter().find(|(one, ..)| kind == one || kind.strip_suffix('s') == Some(one))?;
    let namespace = match (namespace, is_cluster_wide(singular), name, args.len()) {
        (_, true, ..) | (None, false, None, 2) => String::new(),
        (Some(namespace), ..) => format!("/namespaces/{namespace}"),
        (None, ..) => "/namespaces/default".to_owned(),
    };
    let name = name.map(|name| format!("/{name}")).unwrap_or_default();
    Some((format!("{version}{namespace}/{singular}s{name}"), kind, group(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_that_kubectl_asks_for() {
        let path = |args: &[&str]| path(args).map(|(path, ..)| path);
        for (args, wanted) in [
            (&["-n", "team", "secret", "darwin"][..], "/api/v1/namespaces/team/secrets/darwin"),
            (&["secret", "darwin"], "/api/v1/namespaces/default/secrets/darwin"),
            (&["secrets"], "/api/v1/namespaces/default/secrets"),
            (&["secrets", "-A"], "/api/v1/secrets"),
            (&["-n", "team", "serviceaccounts"], "/api/v1/namespaces/team/serviceaccounts"),
            (&["namespace", "team"], "/api/v1/namespaces/team"),
            (&["registrycredentials"], "/apis/regcred.dev/v1alpha1/registrycredentials"),
            (&["-n", "team", "lease", "a"], "/apis/coordination.k8s.io/v1/namespaces/team/leases/a"),
        ] {
            assert_eq!(path(args).as_deref(), Some(wanted), "{args:?}");
        }
        for args in [
            &["secrets,pods", "-A"][..],
            &["secrets", "-l"],
            &["-n", "a", "deployment", "b"],
            &["secrets", "-A", "-l", "a"],
        ] {
            assert_eq!(path(args), None, "{args:?}");
        }
    }

    #[test]
    fn objects_are_applied_where_kubectl_applies_them() {
        let at = |object: Value| path_of(&object);
        let meta = json!({"name": "a", "namespace": "team"});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta});
        let end = format!("?{APPLIED}");
        assert_eq!(at(secret), Some(format!("/api/v1/namespaces/team/secrets/a{end}")));
        let credential =
            json!({"apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": "a"}});
        assert_eq!(at(credential), Some(format!("/apis/regcred.dev/v1alpha1/registrycredentials/a{end}")));
        for other in
            [json!({"apiVersion": "v2", "kind": "Secret", "metadata": meta}), json!({"kind": "Role", "metadata": meta})]
        {
            assert_eq!(at(other), None);
        }
    }
}
