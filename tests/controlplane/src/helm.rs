//! Helm, untouched by the settings of whoever runs the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::binaries::tool;
use crate::control_plane::ControlPlane;
use crate::users::ADMIN;

/// The versions that people use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelmVersion {
    /// 3.22.
    Three,
    /// 4.3.
    Four,
}

/// With a folder of its own, in which its commands run.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: TempDir,
}

impl Helm {
    /// Without a cluster. Panics where Helm can't be built.
    #[track_caller]
    pub fn new(version: HelmVersion) -> Helm {
        let name = match version {
            HelmVersion::Three => "helm-3",
            HelmVersion::Four => "helm",
        };
        let program = tool(name).unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        Helm { program, kubeconfig: folder.path().join("no-cluster"), folder }
    }

    /// As the cluster's administrator.
    #[track_caller]
    pub fn on(version: HelmVersion, cluster: &ControlPlane) -> Helm {
        Helm { kubeconfig: cluster.kubeconfig(ADMIN), ..Helm::new(version) }
    }

    /// Where its commands run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs it.
    pub fn output(&self, args: &[&str]) -> Output {
        let home = self.folder();
        let mut command = Command::new(&self.program);
        command.env_clear().current_dir(home).args(args).env("HOME", home).env("KUBECONFIG", &self.kubeconfig);
        for folder in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(folder, home.join(folder));
        }
        command.output().expect("helm runs")
    }

    /// What it writes. Panics with its complaint if it fails.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "helm {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("helm writes UTF-8")
    }

    /// Its complaint. Panics if it succeeds.
    #[track_caller]
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(!output.status.success(), "helm {args:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}
