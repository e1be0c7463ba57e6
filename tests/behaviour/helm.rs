//! `helm --wait`: what it waits for is there when it ends, and for what can't come it doesn't wait in vain.

use std::{
    fs,
    process::Output,
    time::{Duration, Instant},
};

use controlplane::{ControlPlane, Helm, HelmVersion, Options};
use serde_json::{Value, json};

use crate::{
    health::verdicts,
    world::{SOON, World, cluster, credential, key},
};

/// Helm 4 with a chart of one RegistryCredential.
struct Deployer(Helm);

/// How an installation or upgrade ended.
struct Ended {
    output: Output,
    after: Duration,
}

impl Ended {
    #[track_caller]
    fn well(self) -> Duration {
        assert!(self.output.status.success(), "{}", self.said());
        self.after
    }

    /// What it says of why it failed.
    #[track_caller]
    fn badly(self) -> String {
        assert!(!self.output.status.success(), "it was deployed: {}", self.said());
        self.said()
    }

    fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}{}", text(&self.output.stdout), text(&self.output.stderr))
    }
}

impl Deployer {
    fn on(cluster: &ControlPlane) -> Deployer {
        let helm = Helm::on(HelmVersion::Four, cluster);
        let chart = helm.folder().join("chart");
        fs::create_dir_all(chart.join("templates")).unwrap();
        fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: credential\nversion: 0.1.0\n").unwrap();
        Deployer(helm)
    }

    /// `helm upgrade --install --wait` of a chart with this RegistryCredential, as a release of its name.
    fn deploy(&self, manifest: &Value, timeout: &str) -> Ended {
        let file = self.0.folder().join("chart/templates/credential.json.yaml");
        fs::write(file, manifest.to_string()).unwrap();
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let started = Instant::now();
        let output = self.0.output(&["upgrade", "--install", name, "chart", "--wait", "--timeout", timeout]);
        Ended { output, after: started.elapsed() }
    }

    /// What Helm calls the release.
    fn status(&self, name: &str) -> String {
        let release: Value = serde_json::from_str(&self.0.ok(&["status", name, "-o", "json"])).unwrap();
        release["info"]["status"].as_str().unwrap().to_owned()
    }
}

fn spec(source: &str, more: Value) -> Value {
    let mut spec = json!({
        "credential": {"gcpServiceAccountKey": {"secretRef": {"name": source}}},
        "namespaces": {"names": ["team-*"]},
    });
    for (member, value) in more.as_object().unwrap() {
        spec[member] = value.clone();
    }
    spec
}

/// Longer than anything here takes: whoever waits so long has waited in vain.
const NEVER: &str = "120s";

#[test]
fn helm_waits_until_a_credential_is_rolled_out_and_for_none_that_cannot_be() {
    let world = World::new();
    let helm = Deployer::on(&world.cluster);
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
    }
    world.source("key", &key('a'));

    let after = helm.deploy(&credential("darwin", spec("key", json!({}))), NEVER).well();
    // At this moment, not a little later.
    let status = world.status("darwin").unwrap();
    assert_eq!(
        (&status["namespaces"]["summary"], &status["serviceAccounts"]["summary"]),
        (&json!("2/2"), &json!("2/2"))
    );
    assert_eq!(helm.status("darwin"), "deployed");
    eprintln!("helm --wait of a good credential: {after:?}");
    assert!(after < SOON, "{after:?}");

    // What can't come is told at once, with what to do about it.
    world.source("invalid", "not a key");
    for (name, told) in [
        ("missing", "Secret regcred-system/missing doesn't exist; create it"),
        ("invalid", "Secret regcred-system/invalid, key key.json:"),
    ] {
        let ended = helm.deploy(&credential(name, spec(name, json!({}))), NEVER);
        let after = ended.after;
        let said = ended.badly();
        eprintln!("helm --wait of a credential that is {name}: {after:?}: {said}");
        assert!(said.contains(told), "{said}");
        assert!(after < SOON, "{name}: {after:?}");
        assert_eq!(helm.status(name), "failed");
    }

    // An upgrade that mends it is waited for, not given up for what was said of the one before.
    helm.deploy(&credential("missing", spec("key", json!({}))), NEVER).well();
    assert_eq!(world.status("missing").unwrap()["namespaces"]["summary"], "2/2");
    world.settle();
}

#[test]
fn helm_does_not_wait_for_a_suspended_credential() {
    let world = World::new();
    let helm = Deployer::on(&world.cluster);
    world.namespace("team-a", json!({}));
    world.source("key", &key('a'));
    helm.deploy(&credential("darwin", spec("key", json!({}))), NEVER).well();

    let suspended = spec("key", json!({"suspend": true, "registries": ["eu.gcr.io/darwin/"]}));
    let after = helm.deploy(&credential("darwin", suspended), NEVER).well();
    eprintln!("helm --wait of a credential that is suspended now: {after:?}");
    assert!(after < SOON, "{after:?}");
    let object = world.cluster.get_json(&["registrycredential", "darwin"]);
    let found = verdicts(std::slice::from_ref(&object)).pop().unwrap();
    assert_eq!((found.kstatus.status.as_str(), found.argocd.status.as_str()), ("Current", "Suspended"), "{object:#}");

    // One that never was rolled out doesn't pass for one that was.
    let suspended = spec("key", json!({"suspend": true}));
    let ended = helm.deploy(&credential("suspended", suspended), NEVER);
    let after = ended.after;
    let said = ended.badly();
    assert!(said.contains("spec.suspend is true"), "{said}");
    assert!(after < SOON, "{after:?}");
    world.settle();
}

#[test]
fn without_an_operator_helm_waits_for_its_timeout() {
    let cluster = cluster(Options::default());
    let helm = Deployer::on(&cluster);
    let ended = helm.deploy(&credential("darwin", spec("key", json!({}))), "5s");
    let after = ended.after;
    let said = ended.badly();
    eprintln!("helm --wait without an operator: {after:?}: {said}");
    assert!(after >= Duration::from_secs(5), "{after:?}: {said}");
    assert!(said.contains("darwin"), "{said}");
    assert_eq!(helm.status("darwin"), "failed");

    // What people see meanwhile.
    let table = cluster.kubectl_ok(&["get", "registrycredential", "darwin", "-o", "wide"]);
    let row: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["darwin", "Unknown", "Pending"], "{table}");
    assert!(table.contains("regcred has not seen this yet"), "{table}");
}
