//! What people do a cluster's work with: plain requests as its administrator. A kubectl takes tenths of a second, and a
//! schedule makes hundreds of requests.

use controlplane::{ADMIN, ControlPlane};
use kube::{
    Client, Config,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    config::{KubeConfigOptions, Kubeconfig},
    core::Request,
};
use serde_json::Value;
use tokio::runtime::Runtime;

pub const NAMESPACES: &str = "/api/v1/namespaces";
pub const CREDENTIALS: &str = "/apis/regcred.dev/v1alpha1/registrycredentials";

/// The path of the objects of one kind (`secrets`, …) in a namespace.
pub fn within(namespace: &str, kind: &str) -> String {
    format!("{NAMESPACES}/{namespace}/{kind}")
}

pub struct People {
    runtime: Runtime,
    client: Client,
}

/// What the API server answers: the object, or the HTTP status of a refusal.
pub type Answer = Result<Value, u16>;

impl People {
    pub fn of(cluster: &ControlPlane) -> People {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig(ADMIN)).unwrap();
        let client = runtime.block_on(async {
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
            Client::try_from(config).unwrap()
        });
        People { runtime, client }
    }

    fn send(&self, request: Result<axum::http::Request<Vec<u8>>, kube::core::request::Error>) -> Answer {
        self.try_send(request).unwrap_or_else(|error| {
            panic!("the API server, which has no fault of ours, doesn't answer: {error}");
        })
    }

    /// As [`People::send`]; an error where the API server can't be reached.
    fn try_send(
        &self,
        request: Result<axum::http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Answer, kube::Error> {
        match self.runtime.block_on(self.client.request::<Value>(request.unwrap())) {
            Ok(object) => Ok(Ok(object)),
            Err(kube::Error::Api(status)) => Ok(Err(status.code)),
            Err(error) => Err(error),
        }
    }

    /// As [`People::get`]; `None` where the API server can't be reached, as while it is killed.
    pub fn try_get(&self, path: &str, name: &str) -> Option<Answer> {
        self.try_send(Request::new(path).get(name, &Default::default())).ok()
    }

    /// As [`People::list`]; empty where the API server can't be reached.
    pub fn try_list(&self, path: &str) -> Vec<Value> {
        let list = self.try_send(Request::new(path).list(&ListParams::default()));
        let list = list.ok().and_then(Result::ok).unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// All objects of a path, such as `/api/v1/secrets`.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let list = self.send(Request::new(path).list(&ListParams::default()));
        list.unwrap_or_else(|code| panic!("{path}: {code}"))["items"].as_array().cloned().unwrap_or_default()
    }

    pub fn get(&self, path: &str, name: &str) -> Answer {
        self.send(Request::new(path).get(name, &Default::default()))
    }

    pub fn create(&self, path: &str, object: &Value) -> Answer {
        self.send(Request::new(path).create(&PostParams::default(), object.to_string().into()))
    }

    /// Replaces it by what was read and changed, if nobody came between.
    pub fn replace(&self, path: &str, object: &Value) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.send(Request::new(path).replace(name, &PostParams::default(), object.to_string().into()))
    }

    pub fn merge(&self, path: &str, name: &str, patch: &Value) -> Answer {
        self.send(Request::new(path).patch(name, &PatchParams::default(), &Patch::Merge(patch)))
    }

    /// Server-side apply that takes over whatever others have.
    pub fn apply(&self, path: &str, name: &str, manager: &str, object: &Value) -> Answer {
        self.send(Request::new(path).patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(object)))
    }

    /// `kubectl delete --cascade=orphan`; what it owns stays.
    pub fn delete_orphaning(&self, path: &str, name: &str) -> Answer {
        self.send(Request::new(path).delete(name, &DeleteParams::orphan()))
    }

    pub fn delete(&self, path: &str, name: &str) -> Answer {
        self.send(Request::new(path).delete(name, &DeleteParams::background()))
    }

    /// Deletes what was seen and nothing that came after it.
    pub fn delete_seen(&self, path: &str, object: &Value) -> Answer {
        let uid = object["metadata"]["uid"].as_str().map(str::to_owned);
        let preconditions = Preconditions { uid, resource_version: None };
        let params = DeleteParams::background().preconditions(preconditions);
        self.send(Request::new(path).delete(object["metadata"]["name"].as_str().unwrap(), &params))
    }
}
