//! IO: the API server: which one to talk to, the gate that writes pass, how to ask for what must not be decoded, and the
//! cache of what it has told.

pub mod gate;
pub mod index;
pub mod observe;
mod root_key;
mod secret_writes;
mod source;
mod transport;

use std::{path::Path, sync::Arc};

use http_body_util::BodyExt;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
pub use root_key::{create_root_key, read_root_key};
pub use secret_writes::{create_secret, patch_secret, replace_secret, settle_secret};
pub use source::{SourceFailure, read_source};
pub use transport::client;
use zeroize::Zeroizing;

use crate::cluster::gate::Gate;

/// The operator's connections to its cluster.
pub struct Connected {
    /// Sends nothing once the gate is lost.
    pub client: Client,
    /// For the election alone, which is what opens the gate.
    pub election: Client,
    /// Where we run.
    pub place: Where,
}

/// Finds the cluster: `$KUBECONFIG`, then the pod's service account, then `~/.kube/config`.
///
/// # Errors
/// A sentence that says what was tried.
pub async fn connect(gate: &Arc<Gate>) -> Result<Connected, String> {
    let options = KubeConfigOptions::default();
    let (config, place) = if std::env::var_os("KUBECONFIG").is_some_and(|paths| !paths.is_empty()) {
        let config = Config::from_kubeconfig(&options).await;
        (config.map_err(|error| format!("$KUBECONFIG can't be used: {error}"))?, Where::Outside)
    } else if let Ok(config) = Config::incluster() {
        let namespace = config.default_namespace.clone();
        (config, Where::Inside { namespace })
    } else {
        let config = Config::from_kubeconfig(&options).await;
        let config = config.map_err(|error| {
            format!("no cluster to talk to: $KUBECONFIG isn't set, this isn't a pod, and ~/.kube/config: {error}")
        })?;
        (config, Where::Outside)
    };
    let client = |gate: &Arc<Gate>| {
        client(config.clone(), gate).map_err(|error| format!("the cluster's address can't be used: {error}"))
    };
    Ok(Connected { client: client(gate)?, election: client(&Arc::default())?, place })
}

/// A client with the rights of whoever runs the command, and the namespace of their context, as kubectl finds both: the
/// file given, else `$KUBECONFIG`, else `~/.kube/config`; where none is there and no context is asked for, the pod's
/// service account.
///
/// # Errors
/// A sentence that says what was tried.
pub async fn connect_as_user(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<(Client, String), String> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = if let Some(file) = kubeconfig {
        let read = Kubeconfig::read_from(file).map_err(|error| format!("--kubeconfig: {error}"))?;
        Config::from_custom_kubeconfig(read, &options)
            .await
            .map_err(|error| format!("--kubeconfig {}: {error}", file.display()))?
    } else {
        match (Config::from_kubeconfig(&options).await, context) {
            (Ok(config), _) => config,
            (Err(KubeconfigError::ReadConfig(..)), None) if let Ok(config) = Config::incluster() => config,
            (Err(error), _) => return Err(format!("no cluster to talk to: {error}; name one with --kubeconfig")),
        }
    };
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| format!("the cluster's address can't be used: {error}"))?;
    Ok((client, namespace))
}

/// Sends a request, and gives the answer's body undecoded, in memory that is wiped: it may hold a Secret's data, and the
/// client would log what it can't decode.
///
/// # Errors
/// The client's, where there is no answer. A refusal is one.
pub async fn read_undecoded(
    client: &Client,
    request: http::Request<Vec<u8>>,
) -> Result<(http::StatusCode, Zeroizing<Vec<u8>>), kube::Error> {
    let response = client.send(request.map(Into::into)).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, Zeroizing::new(body.to_vec())))
}

/// Where we run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// In a pod.
    Inside {
        /// Of this namespace.
        namespace: String,
    },
    /// Anywhere else.
    Outside,
}

impl Where {
    /// The namespace that source Secrets live in unless --credential-namespaces says otherwise.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Inside { namespace } => namespace,
            Self::Outside => "regcred-system",
        }
    }
}
