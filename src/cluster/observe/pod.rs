//! A pod as far as it matters: whether it waits for an image, for which, and who would make it again.

use std::collections::HashMap;

use serde::Deserialize;

use crate::{
    api::{SecretName, ServiceAccountName},
    process::Text,
};

/// How a container waits whose image the kubelet can't get: after an attempt, and until the next.
const WAITING: [&str; 2] = ["ErrImagePull", "ImagePullBackOff"];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) service_account_name: ServiceAccountName,
    pub(super) image_pull_secrets: Option<Vec<Reference>>,
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    #[serde(default)]
    pub(super) name: SecretName,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Deserialize)]
struct ContainerStatus {
    name: String,
    #[serde(default)]
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
}

impl Status {
    /// The images that are waited for, each once, as the spec writes them: a status may name another.
    pub(super) fn waited_for(self, spec: &Spec) -> Box<[Text]> {
        let containers = [&spec.init_containers, &spec.containers].into_iter().flatten().flatten();
        let images: HashMap<&str, &str> = containers.map(|c| (c.name.as_str(), c.image.as_str())).collect();
        let statuses = [self.init_container_statuses, self.container_statuses].into_iter().flatten().flatten();
        let waiting = statuses.filter(|s| s.state.waiting.as_ref().is_some_and(|w| WAITING.contains(&&*w.reason)));
        let mut found: Vec<Text> =
            waiting.filter_map(|s| images.get(s.name.as_str()).copied()).map(Text::from).collect();
        found.sort_unstable();
        found.dedup();
        found.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        api::PodName,
        cluster::observe::Observed,
        plan::{Pod, ResourceVersion, Second},
    };

    /// A pod with one init container and two containers, of which the second waits for its image.
    fn pod() -> Value {
        json!({
            "metadata": {
                "name": "api-1", "namespace": "team-a", "uid": "p", "resourceVersion": "41",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "other"},
                    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api", "uid": "rs", "controller": true},
                ],
            },
            "spec": {
                "serviceAccountName": "default",
                "imagePullSecrets": [{"name": "theirs"}, {}],
                "initContainers": [{"name": "init", "image": "gcr.io/darwin/init:1"}],
                "containers": [{"name": "a", "image": "gcr.io/darwin/a:1"}, {"name": "b", "image": "gcr.io/darwin/b:1"}],
            },
            "status": {
                "phase": "Pending",
                "initContainerStatuses": [{"name": "init", "image": "x", "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [
                    {"name": "a", "image": "x", "state": {"waiting": {"reason": "PodInitializing"}}},
                    {"name": "b", "image": "x", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
                ],
            },
        })
    }

    fn observed(pod: &Value) -> Option<Pod> {
        serde_json::from_str::<Observed<Option<Pod>>>(&pod.to_string()).unwrap().object
    }

    /// With the value at this place replaced.
    fn with(pointer: &str, value: Value) -> Value {
        let mut pod = pod();
        *pod.pointer_mut(pointer).unwrap() = value;
        pod
    }

    #[test]
    fn a_pod_that_waits_is_read_as_far_as_it_matters() {
        let expected = Pod {
            uid: "p".into(),
            resource_version: ResourceVersion(41),
            created: Second(1_767_225_600),
            owner: "rs".into(),
            service_account: "default".into(),
            entries: ["theirs", ""].map(Into::into).into(),
            images: ["gcr.io/darwin/b:1".into()].into(),
        };
        assert_eq!(observed(&pod()), Some(expected));
        let whole: Observed<Option<Pod>> = serde_json::from_value(pod()).unwrap();
        assert_eq!(whole.key::<PodName>(), ("team-a".into(), "api-1".into()));
    }

    #[test]
    fn each_image_counts_once_and_those_of_init_containers_count_too() {
        let waiting = |name: &str, reason: &str| json!({"name": name, "state": {"waiting": {"reason": reason}}});
        let both = json!([waiting("a", "ErrImagePull"), waiting("b", "ErrImagePull")]);
        let mut pod = with("/status/containerStatuses", both);
        pod["status"]["initContainerStatuses"] = json!([waiting("init", "ErrImagePull")]);
        pod["spec"]["containers"][1]["image"] = json!("gcr.io/darwin/a:1");
        let images: Vec<String> = observed(&pod).unwrap().images.iter().map(Text::to_string).collect();
        assert_eq!(images, ["gcr.io/darwin/a:1", "gcr.io/darwin/init:1"]);
    }

    #[test]
    fn other_pods_are_passed_over() {
        for (pointer, value) in [
            ("/metadata/ownerReferences", json!([])),
            ("/metadata/ownerReferences", json!(null)),
            ("/metadata/ownerReferences/1/controller", json!(false)),
            ("/status/containerStatuses/1/state", json!({"running": {}})),
            ("/status/containerStatuses/1/state/waiting/reason", json!("CreateContainerConfigError")),
            ("/status/containerStatuses/1/state/waiting/reason", json!("InvalidImageName")),
            ("/status/containerStatuses", json!(null)),
            ("/status", json!({})),
            ("/status", json!(null)),
            ("/spec/containers", json!(null)),
        ] {
            assert_eq!(observed(&with(pointer, value)), None, "{pointer}");
        }
        let mut leaving = pod();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:09Z");
        assert_eq!(observed(&leaving), None);
        assert_eq!(observed(&json!({})), None);
    }
}
