//! What all cases share: the node, the registry, and the operator as it is shipped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use controlplane::docs::{Block, Place, blocks};
use controlplane::{ControlPlane, eventually};
use serde_json::{Value, json};

use crate::node::Node;
use crate::registry::Registry;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Set by `run.sh`, to the archive of the image that the Dockerfile makes.
const OPERATOR_IMAGE: &str = "REGCRED_E2E_IMAGE";

/// By which an administrator installs it.
const DOCUMENT: &str = "docs/kustomize.md";

/// What tells the document's blocks of commands for a node from each other; each is typed as it stands there.
const INSTALL: &str = "-k config/default";
const UP: &str = "rollout status";
const EVICT: &str = "-k config/overlays/stuck-pods/evict";
const SCOPED: &str = "-k config/overlays/scoped";

/// The namespace that the operator runs in and that source Secrets are in.
pub const NAMESPACE: &str = "regcred-system";

pub struct Suite {
    pub node: Node,
    pub registry: Registry,
}

/// Where the archive of the operator's image is.
pub fn operator_image() -> PathBuf {
    std::env::var_os(OPERATOR_IMAGE).expect("`make e2e` builds the image and says where it is").into()
}

impl Suite {
    /// Starts everything in `folder` and installs the operator by the document's commands, with all rights that it may have.
    pub fn start(folder: &Path, cgroup: &str) -> Suite {
        let crd = std::fs::read_to_string(format!("{ROOT}/crds/registrycredentials.regcred.dev.yaml")).unwrap();
        let registry = Registry::start(folder);
        let node = Node::start(folder, cgroup, vec![crd]);
        node.import(&operator_image());
        let suite = Suite { node, registry };
        assert_eq!(
            documented().len(),
            [INSTALL, UP, EVICT, SCOPED].len(),
            "a block of the document's is typed by nobody"
        );
        suite.type_documented(INSTALL, Path::new(ROOT));
        suite.type_documented(EVICT, Path::new(ROOT));
        suite.type_documented(UP, Path::new(ROOT));
        suite
    }

    /// Types the document's block for a node that has this in it, in that folder.
    fn type_documented(&self, part: &str, folder: &Path) {
        let mut blocks = documented();
        blocks.retain(|block| block.text.contains(part));
        let [block] = &blocks[..] else { panic!("{DOCUMENT} has {part} in {} blocks for a node", blocks.len()) };
        let (code, written) = self.cluster().shell(folder, &block.text);
        assert!(code == 0, "{DOCUMENT}, line {}: {written}{}", block.line, self.report(NAMESPACE));
    }

    /// Puts `config/overlays/scoped` with these names of Secrets and service accounts in place of `config/default`, by
    /// the document's command. Gives the audit log's position when no pod was left that isn't told of them.
    pub fn confine(&self, secrets: &[String], accounts: &[String]) -> u64 {
        let overlay =
            controlplane::scoped_overlay(self.cluster().folder(), &Path::new(ROOT).join("config"), secrets, accounts);
        let copy = overlay.ancestors().nth(3).expect("config/overlays/scoped is in a folder");
        self.type_documented(SCOPED, copy);
        self.type_documented(UP, copy);
        eventually(Duration::from_secs(60), || {
            let pods = self.cluster().try_get_json(&["-n", NAMESPACE, "pods"])?;
            let pods = pods["items"].as_array().cloned().unwrap_or_default();
            let told = |pod: &Value| pod["spec"]["containers"][0]["args"] == json!(secrets);
            let told = pods.iter().filter(|pod| told(pod)).count();
            if (told, pods.len()) == (2, 2) { Ok(()) } else { Err(format!("{told} of {} pods are new", pods.len())) }
        });
        self.cluster().audit_position()
    }

    pub fn cluster(&self) -> &ControlPlane {
        &self.node.cluster
    }

    /// The pods and events of the namespaces whose names begin so, and the operator's last log lines.
    pub fn report(&self, namespaces: &str) -> String {
        let cluster = self.cluster();
        let table = |args: &[&str]| {
            let output = cluster.kubectl(args);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let lines = text.lines().enumerate().filter(|(at, line)| *at == 0 || line.starts_with(namespaces));
            lines.map(|(_, line)| format!("\n  {line}")).collect::<String>()
        };
        let pods = table(&["get", "pods", "-A", "-o", "wide"]);
        let events = table(&["get", "events", "-A", "--sort-by=.lastTimestamp"]);
        let credentials = table(&["get", "regcred", "-o", "wide"]);
        format!(
            "\npods:{pods}\nevents:{events}\ncredentials:{credentials}\noperator:{}\nregistry:{}{}",
            self.operator_log(40),
            self.registry.last_lines(5),
            self.node.last_lines(5)
        )
    }

    /// The end of the operator's log.
    pub fn operator_log(&self, count: usize) -> String {
        let logs = self.node.pod_logs(NAMESPACE);
        let lines: Vec<&str> = logs.iter().flat_map(|(_, log)| log.lines()).collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// The document's commands for a cluster with a node.
fn documented() -> Vec<Block> {
    let document = std::fs::read_to_string(format!("{ROOT}/{DOCUMENT}")).unwrap();
    let blocks = blocks(&document).unwrap_or_else(|why| panic!("in {DOCUMENT}\n{why}"));
    blocks.into_iter().filter(|block| block.runs_on(Place::Node)).collect()
}
