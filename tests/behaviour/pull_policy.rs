//! The pull policies that a real API server fills in, against those of `regcred::image`.

use controlplane::{ControlPlane, Options, kubernetes};
use regcred::image::{PullPolicy, Reference};
use serde_json::{Value, json};

const PODS: usize = 10;
const CONTAINERS: usize = 50;
const INIT_CONTAINERS: usize = 30;
const VOLUMES: usize = 20;

/// A small generator of numbers, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A text that is an image reference, or nearly one: each part is one that none can have in one of ten.
fn image(chance: &mut Chance) -> String {
    let digest = format!("@{SHA256}");
    let unknown = format!("@sha1:{}", "0".repeat(40));
    let parts: [(&[&str], &[&str]); 4] = [
        (
            &[
                "",
                "",
                "gcr.io/",
                "docker.io/",
                "index.docker.io/",
                "localhost/",
                "localhost:5000/",
                "r:443/",
                "UPPER/",
                "[::1]:5000/",
                "[fc00::1]/",
                "a_b.example/",
                "europe-docker.pkg.dev/",
            ],
            &["-a.example/", "r:/", "[::1/", "https://gcr.io/"],
        ),
        (
            &["app", "team/app", "team/app__x", "a/b/c-d.e", "latest", "a--b", "1"],
            &["a..b", "App", "a/", "a___b", "a//b"],
        ),
        (
            &["", "", "", ":latest", ":latest", ":1.2", ":Latest", ":latest-1", ":_", ":5000"],
            &[":-x", ":", ":latest:1"],
        ),
        (&["", "", "", &digest], &["@sha256:e3b0", &unknown, "@", "@latest"]),
    ];
    parts
        .iter()
        .map(|(valid, invalid)| if chance.below(10) == 0 { chance.pick(invalid) } else { chance.pick(valid) })
        .collect()
}

fn pod(number: usize, images: &[String]) -> Value {
    let (containers, rest) = images.split_at(CONTAINERS);
    let (init, volumes) = rest.split_at(INIT_CONTAINERS);
    let container =
        |prefix: &str, (at, image): (usize, &String)| json!({"name": format!("{prefix}{at}"), "image": image});
    let volume = |(at, image): (usize, &String)| json!({"name": format!("v{at}"), "image": {"reference": image}});
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{number}"), "namespace": "default"},
        "spec": {
            "containers": containers.iter().enumerate().map(|it| container("c", it)).collect::<Vec<_>>(),
            "initContainers": init.iter().enumerate().map(|it| container("i", it)).collect::<Vec<_>>(),
            "volumes": volumes.iter().enumerate().map(volume).collect::<Vec<_>>(),
        },
    })
}

#[test]
fn the_api_server_fills_in_the_policies_that_regcred_says() {
    let cluster = ControlPlane::start(Options::default());
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}});
    cluster.apply(&account.to_string()).unwrap();
    let mut chance = Chance(17);
    let per_pod = CONTAINERS + INIT_CONTAINERS + VOLUMES;
    let pods: Vec<Value> =
        (0..PODS).map(|number| pod(number, &(0..per_pod).map(|_| image(&mut chance)).collect::<Vec<_>>())).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods}).to_string();
    let said = cluster.kubectl_with_input(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &list).unwrap();
    // kubectl prints the objects one after the other.
    let said = serde_json::Deserializer::from_str(&said).into_iter::<Value>().map(Result::unwrap);

    let mut compared = [0; 3];
    for pod in said {
        let containers = ["containers", "initContainers"].map(|list| pod["spec"][list].as_array().unwrap().clone());
        let containers = containers.iter().flatten().map(|it| (it["image"].clone(), it["imagePullPolicy"].clone()));
        let volumes = pod["spec"]["volumes"].as_array().unwrap().iter().map(|it| &it["image"]);
        let volumes = volumes.filter(|it| it.is_object()).map(|it| (it["reference"].clone(), it["pullPolicy"].clone()));
        for (image, policy) in containers.chain(volumes) {
            let image = image.as_str().unwrap();
            let (ours, why) = PullPolicy::default_for(image);
            assert_eq!(policy.as_str(), Some(ours.as_str()), "{image}: {why}");
            let kind = if Reference::parse(image).is_err() { 0 } else { 1 + usize::from(ours == PullPolicy::Always) };
            compared[kind] += 1;
        }
    }
    // Images as volumes are off unless they are asked for below 1.35, and their volumes then come back empty.
    let served = if kubernetes() < (1, 35) { per_pod - VOLUMES } else { per_pod };
    assert_eq!(compared.iter().sum::<usize>(), PODS * served);
    assert!(compared.iter().all(|count| *count > 100), "too few of a kind to show anything: {compared:?}");
}
