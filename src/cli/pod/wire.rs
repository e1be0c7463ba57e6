//! A pod as the API server sends it, as far as its pulls go.

use std::collections::BTreeSet;

use serde::{Deserialize, de::IgnoredAny};

use super::{Pod, Use, named};
use crate::{
    api::{NamespaceName, PodName, SecretName, ServiceAccountName},
    image::PullPolicy,
    plan::Second,
    process::Text,
};

#[derive(Deserialize)]
pub struct Wire {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: PodName,
    namespace: NamespaceName,
    creation_timestamp: Option<jiff::Timestamp>,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Default, Deserialize)]
struct Annotations {
    /// The kubelet's mark of a mirror.
    #[serde(rename = "kubernetes.io/config.mirror")]
    mirror: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Owner {
    kind: Text,
    name: Text,
    #[serde(default)]
    controller: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    service_account_name: Option<ServiceAccountName>,
    image_pull_secrets: Vec<Named>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    ephemeral_containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: SecretName,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: Text,
    #[serde(default)]
    image: Text,
    image_pull_policy: Option<Text>,
    #[serde(default)]
    env: Vec<Variable>,
    #[serde(default)]
    env_from: Vec<Variables>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variable {
    value_from: Option<ValueFrom>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    secret_key_ref: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variables {
    secret_ref: Option<Named>,
}

impl Container {
    fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        let one = self.env.iter().filter_map(|variable| variable.value_from.as_ref()?.secret_key_ref.as_ref());
        let all = self.env_from.iter().filter_map(|variables| variables.secret_ref.as_ref());
        one.chain(all).map(|reference| &reference.name)
    }
}

#[derive(Deserialize)]
struct Volume {
    name: Text,
    image: Option<ImageVolume>,
    secret: Option<SecretVolume>,
    projected: Option<Projected>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretVolume {
    #[serde(default)]
    secret_name: SecretName,
}

#[derive(Deserialize)]
struct Projected {
    #[serde(default)]
    sources: Vec<Projection>,
}

#[derive(Deserialize)]
struct Projection {
    secret: Option<Named>,
}

impl Volume {
    fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        let projected = self.projected.iter().flat_map(|projected| &projected.sources);
        let projected = projected.filter_map(|source| Some(&source.secret.as_ref()?.name));
        self.secret.iter().map(|secret| &secret.secret_name).chain(projected)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageVolume {
    #[serde(default)]
    reference: Text,
    pull_policy: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Text,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    name: Text,
    #[serde(default)]
    state: State,
}

#[derive(Default, Deserialize)]
struct State {
    waiting: Option<Waiting>,
}

#[derive(Deserialize)]
struct Waiting {
    #[serde(default)]
    reason: Text,
    #[serde(default)]
    message: Box<str>,
}

impl From<Wire> for Pod {
    fn from(Wire { metadata, spec, status }: Wire) -> Self {
        let has_ended = matches!(status.phase.as_str(), "Succeeded" | "Failed");
        let statuses = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
        let mut statuses: Vec<ContainerStatus> = statuses.into_iter().flatten().collect();
        let mut waiting = |name: &Text| {
            let status = statuses.iter_mut().find(|status| status.name == *name)?;
            status.state.waiting.take().map(|waiting| (waiting.reason, waiting.message))
        };
        let mut containers = spec.init_containers;
        containers.extend(spec.containers.into_iter().chain(spec.ephemeral_containers));
        let used = containers.iter().flat_map(Container::secrets);
        let used: BTreeSet<SecretName> = used.chain(spec.volumes.iter().flat_map(Volume::secrets)).cloned().collect();
        let mut uses: Vec<Use> = containers
            .into_iter()
            .map(|container| Use {
                waiting: waiting(&container.name),
                policy: policy(container.image_pull_policy.as_ref()),
                image: container.image,
                name: container.name,
            })
            .collect();
        uses.extend(spec.volumes.into_iter().filter_map(|volume| {
            let image = volume.image?;
            let (name, policy) = (format!("volume {}", volume.name).into(), policy(image.pull_policy.as_ref()));
            Some(Use { image: image.reference, name, policy, waiting: None })
        }));
        let entries: Box<[SecretName]> = spec.image_pull_secrets.into_iter().map(|entry| entry.name).collect();
        let controller = metadata.owner_references.into_iter().find(|owner| owner.controller);
        Self {
            namespace: metadata.namespace,
            name: metadata.name,
            created: Second(metadata.creation_timestamp.map_or(i64::MAX, jiff::Timestamp::as_second)),
            controller: controller.map(|owner| (owner.kind, owner.name)),
            is_over: has_ended || metadata.deletion_timestamp.is_some(),
            service_account: spec.service_account_name.unwrap_or_else(|| "default".into()),
            is_static: metadata.annotations.mirror.is_some(),
            pull_secrets: named(&entries),
            entries,
            used_secrets: used.into_iter().collect(),
            uses: uses.into(),
        }
    }
}

fn policy(text: Option<&Text>) -> Option<PullPolicy> {
    text?.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(value: &Value) -> Pod {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn all_that_has_an_image_is_read_and_nothing_else() {
        let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "not found"}});
        let pod = pod(&json!({
            "metadata": {
                "name": "api-1", "namespace": "team-a", "creationTimestamp": "2026-01-01T00:00:00Z",
                "managedFields": [{"manager": "kubectl"}], "annotations": {"a": "b"},
                "ownerReferences": [
                    {"kind": "ConfigMap", "name": "c", "uid": "1"},
                    {"kind": "ReplicaSet", "name": "api", "uid": "2", "controller": true},
                ],
            },
            "spec": {
                "serviceAccountName": "builder",
                "imagePullSecrets": [{"name": "one"}, {}, {"name": ""}, {"name": "two"}],
                "initContainers": [{"name": "init", "image": "a", "imagePullPolicy": "Never"}],
                "containers": [{
                    "name": "main", "image": "b", "imagePullPolicy": "Always", "command": ["x"],
                    "env": [
                        {"name": "A", "value": "a"},
                        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "variable", "key": "k"}}},
                        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    ],
                    "envFrom": [{"secretRef": {"name": "variables"}}, {"configMapRef": {"name": "c"}}],
                }],
                "ephemeralContainers": [{"name": "debug", "image": "c", "imagePullPolicy": "Sometimes"}],
                "volumes": [
                    {"name": "v", "image": {"reference": "d", "pullPolicy": "IfNotPresent"}},
                    {"name": "w", "emptyDir": {}},
                    {"name": "x", "secret": {"secretName": "volume"}},
                    {"name": "y", "projected": {"sources": [{"secret": {"name": "projected"}}, {"configMap": {}}]}},
                ],
            },
            "status": {"phase": "Pending", "containerStatuses": [{"name": "main", "image": "b", "state": waiting}]},
        }));
        let seen = |it: &Use| (it.name.to_string(), it.image.to_string(), it.policy, it.waiting.is_some());
        let expected = [
            ("init", "a", Some(PullPolicy::Never), false),
            ("main", "b", Some(PullPolicy::Always), true),
            ("debug", "c", None, false),
            ("volume v", "d", Some(PullPolicy::IfNotPresent), false),
        ];
        let expected = expected.map(|(name, image, policy, waits)| (name.to_owned(), image.to_owned(), policy, waits));
        assert_eq!(pod.uses.iter().map(seen).collect::<Vec<_>>(), expected);
        assert_eq!(pod.uses[1].waiting, Some(("ErrImagePull".into(), "not found".into())));
        assert_eq!(pod.controller, Some(("ReplicaSet".into(), "api".into())));
        assert_eq!((pod.created, pod.is_over), (Second(1_767_225_600), false));
        assert_eq!(&*pod.pull_secrets, ["one".into(), "two".into()]);
        assert_eq!(&*pod.entries, ["one", "", "", "two"].map(SecretName::from));
        assert_eq!(&*pod.used_secrets, ["projected", "variable", "variables", "volume"].map(SecretName::from));
        assert!(!pod.is_static);
        assert_eq!((pod.service_account.as_str(), pod.namespace.as_str()), ("builder", "team-a"));
    }

    #[test]
    fn a_nodes_own_pod_is_known_by_the_kubelets_mark() {
        let annotations = json!({"kubernetes.io/config.mirror": "abc", "kubernetes.io/config.source": "file"});
        assert!(pod(&json!({"metadata": {"name": "a", "namespace": "b", "annotations": annotations}})).is_static);
    }

    #[test]
    fn what_pulls_nothing_any_more_is_over() {
        for (field, value, over) in [
            ("status", json!({"phase": "Running"}), false),
            ("status", json!({"phase": "Succeeded"}), true),
            ("status", json!({"phase": "Failed"}), true),
            ("metadata", json!({"name": "a", "namespace": "b", "deletionTimestamp": "2026-01-01T00:00:00Z"}), true),
        ] {
            let mut value_of = json!({"metadata": {"name": "a", "namespace": "b"}});
            value_of[field] = value;
            assert_eq!(pod(&value_of).is_over, over, "{value_of}");
            assert_eq!(pod(&value_of).service_account.as_str(), "default");
        }
    }
}
