//! An API server with more to do than it can: regcred asks for less at once, and still gets everything done.

use controlplane::{Controllers, Options};
use serde_json::json;

use crate::world::{World, cluster, key};

const NAMESPACES: usize = 150;

#[test]
fn an_api_server_that_is_too_busy_is_asked_for_less_at_once() {
    // It refuses what goes beyond four writes at a time with 429, and a roll-out begins with 72.
    let flags = ["--enable-priority-and-fairness=false", "--max-mutating-requests-inflight=4"];
    let cluster = cluster(Options {
        controllers: Controllers::Off,
        apiserver_flags: flags.map(str::to_owned).into(),
        ..Options::default()
    });
    let mut manifests = String::new();
    for index in 0..NAMESPACES {
        let metadata = json!({"name": format!("team-{index}")});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        let metadata = json!({"name": "default", "namespace": format!("team-{index}")});
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
        manifests += &format!("---\n{namespace}\n---\n{account}\n");
    }
    cluster.apply(&manifests).unwrap();

    let world = World::on(cluster, &[]);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    let status = world.wait_ready("darwin");
    assert_eq!(status["namespaces"]["summary"], format!("{NAMESPACES}/{NAMESPACES}"));

    let (_, metrics) = world.operator.get("/metrics").unwrap();
    let value = |series: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{metrics}")).parse().unwrap()
    };
    let limit = value("regcred_rollout_concurrency_limit");
    assert!((1.0..72.0).contains(&limit), "{limit}");
    let refused = value(r#"regcred_writes_total{kind="write_secret",result="error"}"#);
    assert!(refused > 0.0, "the API server was never too busy");
}
