//! How long it takes from an event to its effect, for every event that regcred promises to follow.

use std::{
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, SECRET, credentials, namespace},
    regcred::{Regcred, credential, source},
};

#[derive(clap::Args)]
pub struct Args {
    /// How many target namespaces.
    #[arg(long, default_value_t = 200)]
    namespaces: usize,
    /// The built operator.
    #[arg(long)]
    operator: PathBuf,
}

struct Promises {
    cluster: Cluster,
    slowest: f64,
}

pub async fn run(args: Args) {
    let cluster = Cluster::new(args.namespaces, 1).await;
    let mut promises = Promises { cluster, slowest: 0.0 };
    println!("| event, with {} target namespaces | seconds to its effect |\n| --- | ---: |", args.namespaces);
    promises.go(&args).await;
    println!("\nslowest: {:.2} s", promises.slowest);
}

impl Promises {
    async fn timed(&mut self, what: &str, act: impl Future<Output = ()>, done: impl AsyncFn(&Cluster) -> bool) {
        act.await;
        let started = Instant::now();
        self.since(what, started, done).await;
    }

    async fn since(&mut self, what: &str, started: Instant, done: impl AsyncFn(&Cluster) -> bool) {
        while !done(&self.cluster).await {
            assert!(started.elapsed() < Duration::from_secs(60), "{what}: not so after a minute");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let seconds = started.elapsed().as_secs_f64();
        self.slowest = self.slowest.max(seconds);
        println!("| {what} | {seconds:.2} |");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    async fn go(&mut self, args: &Args) {
        let n = args.namespaces;
        let targets =
            json!({"names": ["team-*"], "selector": {"matchLabels": {"pulls": "yes"}}, "exclude": ["kube-*"]});
        let operator = Regcred::start(&self.cluster, &args.operator, "");
        operator.wait_ready();
        credential(&self.cluster, 0, targets.clone()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let client = self.cluster.client.clone();
        let accounts = move |ns: &str| Api::<ServiceAccount>::namespaced(client.clone(), ns);
        let client = self.cluster.client.clone();
        let secrets = move |ns: &str| Api::<Secret>::namespaced(client.clone(), ns);
        let namespaces = Api::<Namespace>::all(self.cluster.client.clone());
        let credentials = credentials(&self.cluster.client);
        let merge = |value: Value| Patch::Merge(value);
        let pp = PatchParams::default();
        let entry = |ns: &'static str, name: &'static str, wanted: bool| {
            let accounts = accounts.clone();
            async move |_: &Cluster| {
                let object = accounts(ns).get_opt(name).await.unwrap();
                object.is_some_and(|o| o.image_pull_secrets.iter().flatten().any(|e| e.name == SECRET)) == wanted
            }
        };
        let spec = |value: Value| {
            let (credentials, pp) = (credentials.clone(), pp.clone());
            async move {
                credentials.patch("darwin", &pp, &Patch::Merge(json!({"spec": value}))).await.unwrap();
            }
        };
        let all = async |c: &Cluster| c.seen.entries() == n && c.seen.secrets() == n;

        source(&self.cluster, 'a').await;
        self.since("a source that appears after the resource: all namespaces", Instant::now(), all).await;

        let create = async {
            let object = serde_json::from_value(json!({"metadata": {"name": "team-new"}})).unwrap();
            namespaces.create(&PostParams::default(), &object).await.unwrap();
            let object = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
            accounts("team-new").create(&PostParams::default(), &object).await.unwrap();
        };
        self.timed("a new namespace", create, entry("team-new", "default", true)).await;
        let create = async {
            let object = serde_json::from_value(json!({"metadata": {"name": "builder"}})).unwrap();
            accounts("team-new").create(&PostParams::default(), &object).await.unwrap();
        };
        self.timed("a new service account", create, entry("team-new", "builder", true)).await;
        let create = async {
            let object = serde_json::from_value(json!({"metadata": {"name": "other"}})).unwrap();
            namespaces.create(&PostParams::default(), &object).await.unwrap();
            let object = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
            accounts("other").create(&PostParams::default(), &object).await.unwrap();
            let label = merge(json!({"metadata": {"labels": {"pulls": "yes"}}}));
            namespaces.patch("other", &pp, &label).await.unwrap();
        };
        self.timed("a namespace relabelled into the target", create, entry("other", "default", true)).await;
        let relabel = async {
            namespaces.patch("other", &pp, &merge(json!({"metadata": {"labels": {"pulls": null}}}))).await.unwrap();
        };
        let gone = async |_: &Cluster| {
            let no_secret = secrets("other").get_metadata_opt(SECRET).await.unwrap().is_none();
            no_secret && entry("other", "default", false)(&self.cluster).await
        };
        let started = Instant::now();
        relabel.await;
        while !gone(&self.cluster).await {
            assert!(started.elapsed() < Duration::from_secs(60));
        }
        println!("| a namespace relabelled out of the target | {:.2} |", started.elapsed().as_secs_f64());

        let total = n + 1;
        for (what, change) in [
            ("changed registries: all namespaces", json!({"registries": ["gcr.io/darwin/"]})),
            ("a changed template: all namespaces", json!({"secretTemplate": {"labels": {"a": "b"}}})),
        ] {
            let old = self.cluster.seen.revisions();
            self.timed(what, spec(change), async |c| c.seen.rotated(&old) == total).await;
        }
        let old = self.cluster.seen.revisions();
        source(&self.cluster, 'b').await;
        self.since("a rotated key: all namespaces", Instant::now(), async |c| c.seen.rotated(&old) == total).await;
        let exclude = json!({"namespaces": {"exclude": [namespace(1)]}});
        self.timed("changed targets: one leaves", spec(exclude), entry("team-00001", "default", false)).await;
        let back = json!({"namespaces": {"exclude": ["kube-*"]}});
        self.timed("changed targets: it comes back", spec(back), entry("team-00001", "default", true)).await;
        let names = json!({"attach": {"serviceAccounts": {"names": ["builder"]}}});
        self.timed("changed service accounts: all but one leave", spec(names), async |c| c.seen.entries() == 1).await;
        let names = json!({"attach": {"serviceAccounts": {"names": ["*"]}}});
        let everyone = total + 1;
        self.timed("changed service accounts: all come back", spec(names), async |c| c.seen.entries() == everyone)
            .await;

        spec(json!({"suspend": true})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let old = self.cluster.seen.revisions();
        source(&self.cluster, 'a').await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(self.cluster.seen.rotated(&old), 0, "nothing is written while suspended");
        let go_on = spec(json!({"suspend": false}));
        self.timed("no longer suspended: all namespaces catch up", go_on, async |c| c.seen.rotated(&old) == total)
            .await;

        let value = |s: Option<Secret>| s.and_then(|s| s.data).and_then(|d| d.get(".dockerconfigjson").cloned());
        let good = value(secrets("team-00002").get_opt(SECRET).await.unwrap());
        let holds = async |_: &Cluster| value(secrets("team-00002").get_opt(SECRET).await.unwrap()) == good;
        let break_it = async {
            let data = merge(json!({"stringData": {".dockerconfigjson": "{\"auths\":{}}"}}));
            secrets("team-00002").patch(SECRET, &pp, &data).await.unwrap();
        };
        self.timed("a managed Secret changed by somebody", break_it, &holds).await;
        let delete = async {
            secrets("team-00002").delete(SECRET, &DeleteParams::default()).await.unwrap();
        };
        self.timed("a managed Secret deleted by somebody", delete, &holds).await;
        let again = async {
            accounts("team-00003").delete("default", &DeleteParams::default()).await.unwrap();
            let object = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
            accounts("team-00003").create(&PostParams::default(), &object).await.unwrap();
        };
        self.timed("a service account made anew", again, entry("team-00003", "default", true)).await;
        let overwrite = async {
            let list = merge(json!({"imagePullSecrets": [{"name": "other"}]}));
            accounts("team-00004").patch("default", &pp, &list).await.unwrap();
        };
        self.timed("a list overwritten by somebody", overwrite, entry("team-00004", "default", true)).await;

        credential(&self.cluster, 1, targets.clone()).await;
        let two = async |c: &Cluster| c.seen.entries() == 2 * everyone && c.seen.secrets() == 2 * total;
        self.since("a second RegistryCredential: all namespaces", Instant::now(), two).await;
        let delete = async {
            credentials.delete("darwin-1", &DeleteParams::default()).await.unwrap();
        };
        let one = async |c: &Cluster| c.seen.entries() == everyone && c.seen.secrets() == total;
        self.timed("a deleted RegistryCredential: all namespaces, no garbage collector", delete, one).await;

        operator.stop();
        secrets("team-00005").delete(SECRET, &DeleteParams::default()).await.unwrap();
        let list = merge(json!({"imagePullSecrets": null}));
        accounts("team-00006").patch("default", &pp, &list).await.unwrap();
        let old = self.cluster.seen.revisions();
        source(&self.cluster, 'b').await;
        let operator = Regcred::start(&self.cluster, &args.operator, "");
        operator.wait_ready();
        let mended = async |c: &Cluster| c.seen.rotated(&old) == total && c.seen.entries() == everyone;
        self.since(
            "after a time down, from ready: a rotation, a deleted Secret, an overwritten list",
            Instant::now(),
            mended,
        )
        .await;
        operator.stop();
        credentials.delete("darwin", &DeleteParams::default()).await.unwrap();
        let operator = Regcred::start(&self.cluster, &args.operator, "");
        operator.wait_ready();
        let none = async |c: &Cluster| c.seen.entries() == 0 && c.seen.secrets() == 0;
        self.since("after a time down, from ready: a deleted RegistryCredential", Instant::now(), none).await;
        operator.stop();
    }
}
