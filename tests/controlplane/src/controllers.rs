//! kube-controller-manager: service accounts, namespaces' ends and garbage collection come from it.

use std::path::Path;
use std::process::Command;

use crate::apiserver;
use crate::binaries::binary;
use crate::process::Process;
use crate::users::{self, CONTROLLER_MANAGER};

/// What regcred's promises need: service accounts and their tokens, namespaces that end, owners' garbage.
pub const DEFAULT_CONTROLLERS: [&str; 6] = [
    SERVICE_ACCOUNTS,
    "serviceaccount-token-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "clusterrole-aggregation-controller", // without it the roles view, edit and admin are empty
    "root-ca-certificate-publisher-controller",
];

const SERVICE_ACCOUNTS: &str = "serviceaccount-controller";

/// Which of kube-controller-manager's controllers run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Controllers {
    /// None: no kube-controller-manager. A new namespace stays without service account, a deleted one terminates for ever.
    #[default]
    Off,
    /// [`DEFAULT_CONTROLLERS`].
    Default,
    /// [`DEFAULT_CONTROLLERS`] and these, such as `deployment-controller`.
    And(Vec<String>),
    /// These only.
    Only(Vec<String>),
}

impl Controllers {
    /// Their names.
    pub fn names(&self) -> Vec<String> {
        let default = DEFAULT_CONTROLLERS.map(str::to_owned).to_vec();
        match self {
            Controllers::Off => Vec::new(),
            Controllers::Default => default,
            Controllers::And(more) => [default.as_slice(), more.as_slice()].concat(),
            Controllers::Only(names) => names.clone(),
        }
    }

    pub(crate) fn make_service_accounts(&self) -> bool {
        self.names().iter().any(|name| name == SERVICE_ACCOUNTS)
    }
}

pub(crate) fn start(folder: &Path, controllers: &Controllers) -> Result<Process, String> {
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let mut command = Command::new(binary("kube-controller-manager")?);
    command.args([
        flag("kubeconfig", &users::kubeconfig(folder, CONTROLLER_MANAGER)),
        flag("service-account-private-key-file", &apiserver::service_account_key(folder)),
        flag("root-ca-file", &apiserver::ca(folder)),
        format!("--controllers={}", controllers.names().join(",")),
    ]);
    command.args([
        "--leader-elect=false",
        "--use-service-account-credentials=false",
        "--kube-api-qps=2000",
        "--kube-api-burst=4000",
        "--bind-address=127.0.0.1",
        "--secure-port=0", // it serves nothing
        "--profiling=false",
    ]);
    Process::start("kube-controller-manager", &command, &folder.join("kube-controller-manager.log"))
}
