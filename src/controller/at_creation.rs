//! Whether the API server could create service accounts with their entry (config/policy/at-creation): where it can't, a pod
//! may come before its entry, which whoever reads the log should know.

use kube::Client;
use tracing::{debug, info};

/// The versions that config/policy/at-creation comes in, newest first.
const VERSIONS: [&str; 2] = ["admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"];

const RESOURCE: &str = "mutatingadmissionpolicies";

/// Looks once at what the API server serves, and says so where it is neither of the two.
pub async fn say_if_missing(client: Client) {
    for version in VERSIONS {
        match client.list_api_group_resources(version).await {
            Ok(list) if list.resources.iter().any(|resource| resource.name == RESOURCE) => {
                debug!(version, "config/policy/at-creation can be applied");
                return;
            }
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            // It is asked for people only, and the next start asks again.
            Err(_) => return,
        }
    }
    info!(
        "this API server has no MutatingAdmissionPolicy (Kubernetes 1.36 has), so config/policy/at-creation can't be \
         applied: a pod that is created together with its service account may come before its pull secret's entry"
    );
}
