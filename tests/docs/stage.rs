//! Where a document's commands are typed: a cluster that has nothing of regcred's yet, and a folder as the reader has it.

use std::{fs, os::unix::fs::symlink, path::Path, path::PathBuf, process::Command, time::Duration};

use controlplane::{ControlPlane, Controllers, OPERATOR, Operator, Options, docs::Place, eventually, tool};
use serde_json::Value;

use crate::ROOT;

pub const SOON: Duration = Duration::from_secs(30);

/// So that Helm knows nothing of the settings of whoever runs the tests.
const HELM: &str = "for of in CACHE CONFIG DATA; do export HELM_${of}_HOME=$PWD/helm; done\n";

pub struct Stage {
    operator: Option<(Vec<String>, Operator)>, // with its arguments; stopped first
    pub cluster: ControlPlane,
    folder: PathBuf,
}

impl Stage {
    pub fn new() -> Stage {
        let cluster = ControlPlane::start(Options { controllers: Controllers::Default, ..Options::default() });
        let folder = cluster.folder().join("repository");
        let commands = folder.join("commands");
        fs::create_dir_all(&commands).unwrap();
        // A copy, as readers are told to change files there.
        for part in ["charts", "config", "crds"] {
            let status = Command::new("cp").arg("-r").arg(Path::new(ROOT).join(part)).arg(&folder).status();
            assert!(status.expect("cp runs").success());
        }
        for name in ["regcred", "kubectl-regcred"] {
            symlink(env!("CARGO_BIN_EXE_regcred"), commands.join(name)).unwrap();
        }
        symlink(tool("helm").unwrap(), commands.join("helm")).unwrap();
        Stage { operator: None, cluster, folder }
    }

    /// Types it: the exit code, and what was written.
    pub fn run(&mut self, place: Place, script: &str) -> (i32, String) {
        let nowhere = if place == Place::Shell { "export KUBECONFIG=/nonexistent\n" } else { "" };
        let result = self.cluster.shell(&self.folder, &format!("{HELM}PATH=$PWD/commands:$PATH\n{nowhere}{script}"));
        self.follow_deployment();
        result
    }

    /// Types what has to succeed, on the cluster: for asides.
    #[track_caller]
    pub fn ok(&mut self, script: &str) -> String {
        let (code, written) = self.run(Place::Cluster, script);
        assert_eq!(code, 0, "{script}\n{written}");
        written
    }

    /// Puts it to the end of a file.
    pub fn append(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{before}{text}\n")).unwrap();
    }

    /// Writes a file anew.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.folder.join(path), text).unwrap();
    }

    pub fn apply(&self, object: &Value) {
        self.cluster.apply(&object.to_string()).unwrap();
    }

    /// Waits until a command writes just this.
    pub fn wait_for(&mut self, script: &str, wanted: &str) {
        eventually(SOON, || match self.cluster.shell(&self.folder, script) {
            (0, written) if written.trim() == wanted => Ok(()),
            (code, written) => Err(format!("{script}: {code} {written}")),
        });
    }

    /// No node runs the Deployment's pods, so this does: the built operator, as its service account, with its arguments.
    fn follow_deployment(&mut self) {
        let Ok(deployment) = self.cluster.try_get_json(&["-n", "regcred-system", "deployment", "regcred"]) else {
            self.operator = None;
            return;
        };
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let words = [&container["command"], &container["args"]].into_iter().flat_map(|list| list.as_array()).flatten();
        let args: Vec<_> = words.filter_map(Value::as_str).skip_while(|word| *word != "run").skip(1).collect();
        if self.operator.as_ref().is_some_and(|(running, _)| *running == args) {
            return;
        }
        self.operator = None;
        let (binary, kubeconfig) = (Path::new(env!("CARGO_BIN_EXE_regcred")), self.cluster.kubeconfig(OPERATOR));
        let operator = Operator::start(binary, &kubeconfig, &args, &[]);
        operator.wait_ready(SOON);
        self.operator = Some((args.iter().map(|&arg| arg.to_owned()).collect(), operator));
    }
}
