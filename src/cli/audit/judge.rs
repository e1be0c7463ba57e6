//! PURE: what is known of a cluster → which pods have a pull secret for their images, and what a person should look at.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use super::report::{AuditReport, ContainerShape, Coverage, Kind, Located, NotRead, Stand, Summary};
use crate::{
    api::SecretName,
    cli::{
        args::Scope,
        diagnosis::{Cluster, Credential, Finding, lack, nearest, of_credentials, of_named, of_reference, of_waiting},
        pod::{Pod, Use},
    },
    image::{
        Keyring, PullPolicy, Reference, ReferenceError,
        pull::{Credentials, Outcome, Seen, Waiting},
    },
    process::Text,
};

/// An image that some pods use.
struct Image<'a> {
    reference: Result<Reference, ReferenceError>,
    /// The RegistryCredentials that are for it.
    credentials: Vec<&'a Credential>,
}

/// Judges all of it.
pub fn judge(cluster: &Cluster, scope: &Scope, not_read: Vec<NotRead>) -> AuditReport {
    let namespace = match scope {
        Scope::All => None,
        Scope::Namespace(name) => Some(name.clone()),
    };
    let (summary, containers, findings) = (Summary::default(), Vec::new(), Vec::new());
    let report = AuditReport { namespace, not_read, summary, containers, findings };
    let mut judge = Judge { cluster, keyring: cluster.keyring(), images: HashMap::new(), report };
    for credential in &cluster.credentials {
        judge.report.summary.registry_credentials.entry(credential.name().to_string()).or_default();
    }
    cluster.pods.iter().for_each(|pod| judge.pod(pod));
    judge.accounts();
    judge.unused();
    for located in &judge.report.findings {
        *judge.report.summary.findings.entry(located.finding.reason).or_default() += 1;
    }
    judge.report
}

struct Judge<'a> {
    cluster: &'a Cluster,
    keyring: Keyring<usize>,
    images: HashMap<&'a str, Rc<Image<'a>>>,
    report: AuditReport,
}

impl<'a> Judge<'a> {
    fn pod(&mut self, pod: &'a Pod) {
        if pod.is_over {
            self.report.summary.pods_over += 1;
            return;
        }
        self.report.summary.pods += 1;
        let secrets: Vec<&Seen> = pod.pull_secrets.iter().map(|name| self.cluster.seen(&pod.namespace, name)).collect();
        for it in &pod.uses {
            self.report.summary.containers += 1;
            self.container(pod, it, &secrets);
        }
        // What its service account names, too, is found there, once.
        let account = self.cluster.account(pod).map(|account| &*account.entries).unwrap_or_default();
        let own: BTreeSet<_> = pod
            .pull_secrets
            .iter()
            .filter(|name| !account.contains(name))
            .filter_map(|name| Some((name, of_named(self.cluster, &pod.namespace, name)?)))
            .map(|(name, finding)| (name, finding.reason, finding.message, finding.remedy))
            .collect();
        for (_, reason, message, remedy) in own {
            self.found(pod, None, Finding { reason, message, remedy });
        }
    }

    fn container(&mut self, pod: &'a Pod, it: &'a Use, secrets: &[&Seen]) {
        let waiting = it.waiting.as_ref().and_then(|(reason, message)| Waiting::of(reason.as_str(), message));
        self.report.summary.waiting += usize::from(waiting.is_some());
        let image = self.image(&it.image);
        let reference = match &image.reference {
            Ok(reference) => reference,
            Err(error) => return self.found(pod, Some(it), of_reference(it.image.as_str(), *error)),
        };
        self.found_all(pod, it, of_policy(it, reference));
        let is_known = secrets.iter().any(|seen| matches!(seen, Seen::Read { .. }));
        if image.credentials.is_empty() && waiting.is_none() && !is_known {
            return;
        }
        let credentials = Credentials::of(reference, secrets.iter().copied(), self.cluster.now);
        self.cover(pod, it, &image.credentials, &credentials, waiting.is_some());
        self.found_all(pod, it, of_credentials(reference, &credentials));
        self.found_all(pod, it, waiting.and_then(|waiting| of_waiting(waiting, reference, credentials.outcome)));
    }

    /// Whether a container has a pull secret of one of the RegistryCredentials that are for its image, or any other.
    fn cover(&mut self, pod: &'a Pod, it: &Use, matching: &[&'a Credential], credentials: &Credentials, waits: bool) {
        let Some(credential) = nearest(self.cluster, pod, matching) else { return };
        let tried = credentials.tries.first().and_then(|attempt| pod.pull_secrets.get(attempt.secret));
        let lacks = lack(self.cluster, pod, credential, credentials.outcome);
        let coverage = match credentials.outcome {
            Outcome::Credentials => Stand::Covered,
            Outcome::Anonymous | Outcome::Blocked(_) => Stand::NotCovered,
            Outcome::Unknown => Stand::Unknown,
        };
        for credential in matching {
            let counts = self.report.summary.registry_credentials.entry(credential.name().to_string()).or_default();
            count(counts, coverage);
        }
        self.report.containers.push(ContainerShape {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            container: it.name.clone(),
            image: it.image.clone(),
            registry_credential: credential.name().to_string(),
            coverage,
            secret: tried.filter(|_| coverage == Stand::Covered).map(SecretName::to_string),
            reason: lacks.as_ref().map(|finding| finding.reason),
        });
        // What may have a Secret that wasn't read and goes on is no finding.
        if credentials.outcome != Outcome::Unknown || waits {
            self.found_all(pod, it, lacks);
        }
    }

    /// The Secrets that service accounts name.
    fn accounts(&mut self) {
        let cluster = self.cluster;
        for ((namespace, name), account) in cluster.accounts.iter().flatten().filter(|(_, account)| !account.deleting) {
            let entries: BTreeSet<_> = account.entries.iter().filter(|entry| !entry.as_str().is_empty()).collect();
            for entry in entries {
                let finding = of_named(cluster, namespace, entry);
                self.report.findings.extend(finding.map(|finding| Located {
                    namespace: namespace.clone(),
                    kind: Kind::ServiceAccount,
                    name: name.to_string(),
                    controller: None,
                    container: None,
                    image: None,
                    finding,
                }));
            }
        }
    }

    /// The pull secrets that nobody names. Those that RegistryCredentials make or attach are left out: a pod that comes may name
    /// one.
    fn unused(&mut self) {
        let cluster = self.cluster;
        if cluster.accounts.is_none() {
            return;
        }
        let mut named = cluster.named();
        let used = cluster.pods.iter().filter(|pod| !pod.is_over);
        named.extend(used.flat_map(|pod| pod.used_secrets.iter().map(|name| (&pod.namespace, name))));
        for ((namespace, name), known) in cluster.secrets.iter().flatten() {
            let is_pull_secret = matches!(known.seen, Seen::NotRead { .. } | Seen::Read { .. } | Seen::Unparseable(_));
            let is_used = named.contains(&(namespace, name)) || cluster.is_attached(namespace, name);
            if !is_pull_secret || known.is_marked || is_used {
                continue;
            }
            self.report.findings.push(Located {
                namespace: namespace.clone(),
                kind: Kind::Secret,
                name: name.to_string(),
                controller: None,
                container: None,
                image: None,
                finding: Finding {
                    reason: "PullSecretUnused",
                    message: "it is in no imagePullSecrets, and no pod uses it otherwise".to_owned(),
                    remedy:
                        "If nothing else reads it (the template of a CronJob or of a Deployment with no replicas, a \
                             build, Flux, Argo CD), delete it."
                            .to_owned(),
                },
            });
        }
    }

    /// The image, looked up once however many pods use it.
    fn image(&mut self, text: &'a Text) -> Rc<Image<'a>> {
        let (cluster, keyring) = (self.cluster, &self.keyring);
        let look = || {
            let reference = Reference::parse(text.as_str());
            let credentials = reference.as_ref().map(|reference| cluster.credentials_for(keyring, reference));
            Rc::new(Image { credentials: credentials.unwrap_or_default(), reference })
        };
        self.images.entry(text.as_str()).or_insert_with(look).clone()
    }

    fn found_all(&mut self, pod: &Pod, it: &Use, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.found(pod, Some(it), finding));
    }

    fn found(&mut self, pod: &Pod, it: Option<&Use>, finding: Finding) {
        self.report.findings.push(Located {
            namespace: pod.namespace.clone(),
            kind: Kind::Pod,
            name: pod.name.to_string(),
            controller: pod.controller.as_ref().map(|(kind, name)| format!("{kind}/{name}")),
            container: it.map(|it| it.name.clone()),
            image: it.map(|it| it.image.clone()),
            finding,
        });
    }
}

fn count(counts: &mut Coverage, stand: Stand) {
    match stand {
        Stand::Covered => counts.covered += 1,
        Stand::NotCovered => counts.not_covered += 1,
        Stand::Unknown => counts.unknown += 1,
    }
}

/// A policy with which the image isn't what one thinks.
fn of_policy(it: &Use, reference: &Reference) -> Option<Finding> {
    let is_latest = reference.is_latest() && reference.digest().is_none();
    let (reason, message, remedy) = match it.policy? {
        PullPolicy::Always => return None,
        PullPolicy::IfNotPresent if !is_latest => return None,
        PullPolicy::IfNotPresent => (
            "LatestNotPulled",
            "the tag is latest, and the policy IfNotPresent: each node keeps the image that it has pulled first",
            "Name a version or a digest, or use Always.",
        ),
        PullPolicy::Never => (
            "PullPolicyNever",
            "the policy is Never: the image isn't pulled, and the container starts only on a node that has it",
            "Use IfNotPresent, unless the nodes are given the image in another way.",
        ),
    };
    Some(Finding { reason, message: message.to_owned(), remedy: remedy.to_owned() })
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
