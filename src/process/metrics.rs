//! Counters for Prometheus. Every label comes from a closed set, RegistryCredentials' names aside.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// The label's value.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.as_str())
            }
        }
    };
}

label! {
    /// Which reconcile loop.
    Controller {
        /// One RegistryCredential.
        Credential = "credential",
        /// One namespace.
        Namespace = "namespace",
    }
}

label! {
    /// What a reconcile came to.
    ReconcileResult {
        /// Nothing is left to do.
        Done = "success",
        /// Something failed or was refused.
        Failed = "error",
    }
}

label! {
    /// What is written.
    WriteKind {
        /// Creation, patch or server-side apply of a Secret.
        WriteSecret = "write_secret",
        /// JSON patch of a service account.
        PatchServiceAccount = "patch_service_account",
        /// Deletion of a Secret.
        DeleteSecret = "delete_secret",
        /// Eviction of a pod that was created before its pull secret.
        EvictPod = "evict_pod",
        /// Server-side apply of a status.
        Status = "status",
    }
}

label! {
    /// What a write came to.
    WriteResult {
        /// It happened.
        Done = "success",
        /// The object had moved or was gone.
        Conflict = "conflict",
        /// It was refused or failed.
        Failed = "error",
    }
}

label! {
    /// A watch.
    Watch {
        /// RegistryCredentials.
        RegistryCredentials = "registrycredentials",
        /// Secrets in the credential namespaces.
        Sources = "sources",
        /// Namespaces.
        Namespaces = "namespaces",
        /// Secrets of the managed type.
        Secrets = "secrets",
        /// Service accounts.
        ServiceAccounts = "serviceaccounts",
        /// Pending pods.
        Pods = "pods",
        /// The Lease that says which replica writes.
        Lease = "leases",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    controller: Controller,
    result: ReconcileResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: Controller,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: WriteKind,
    result: WriteResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    watch: Watch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CredentialLabels {
    credential: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    credential: String,
    condition: String,
}

/// The RegistryCredentials that have gauges, with the types of their conditions.
type Known = Vec<(String, Vec<String>)>;

/// All counters; cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_time: Family<ControllerLabels, Histogram>,
    queue_depth: Family<ControllerLabels, Gauge>,
    rollout_limit: Gauge,
    leader: Gauge,
    writes: Family<WriteLabels, Counter>,
    watch_errors: Family<WatchLabels, Counter>,
    watch_age: Family<WatchLabels, Gauge>,
    last_events: Arc<Mutex<Vec<(Watch, Instant)>>>,
    conditions: Family<ConditionLabels, Gauge>,
    desired: Family<CredentialLabels, Gauge>,
    ready: Family<CredentialLabels, Gauge>,
    failed: Family<CredentialLabels, Gauge>,
    expires_at: Family<CredentialLabels, Gauge>,
    known: Arc<Mutex<Known>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("regcred");
        let metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_time: Family::new_with_constructor(|| {
                Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
            }),
            queue_depth: Family::default(),
            rollout_limit: Gauge::default(),
            leader: Gauge::default(),
            writes: Family::default(),
            watch_errors: Family::default(),
            watch_age: Family::default(),
            last_events: Arc::default(),
            conditions: Family::default(),
            desired: Family::default(),
            ready: Family::default(),
            failed: Family::default(),
            expires_at: Family::default(),
            known: Arc::default(),
        };
        registry.register("reconcile", "Reconciles by controller and result", metrics.reconciles.clone());
        registry.register_with_unit(
            "reconcile_time",
            "How long a reconcile took",
            Unit::Seconds,
            metrics.reconcile_time.clone(),
        );
        registry.register("workqueue_depth", "Keys that wait in the work queue", metrics.queue_depth.clone());
        registry.register(
            "rollout_concurrency_limit",
            "How many namespaces of a roll-out may be in work at once; lower while the API server has too much to do",
            metrics.rollout_limit.clone(),
        );
        registry.register("leader", "1 for the replica that writes, 0 for a standby", metrics.leader.clone());
        registry.register("writes", "Writes to the API server by kind and result", metrics.writes.clone());
        registry.register("watch_errors", "Failures of a watch; each is tried again", metrics.watch_errors.clone());
        registry.register_with_unit(
            "watch_last_event_age",
            "Time since the last event of a watch",
            Unit::Seconds,
            metrics.watch_age.clone(),
        );
        registry.register(
            "credential_condition",
            "Conditions of each RegistryCredential: 1 True, 0 False, -1 Unknown",
            metrics.conditions.clone(),
        );
        registry.register("credential_namespaces_desired", "Target namespaces", metrics.desired.clone());
        registry.register("credential_namespaces_ready", "Target namespaces that are ready", metrics.ready.clone());
        registry.register("credential_namespaces_failed", "Target namespaces that failed", metrics.failed.clone());
        registry.register_with_unit(
            "credential_expires_at",
            "When the first of a RegistryCredential's logins ends, in Unix time, where a token says so itself",
            Unit::Seconds,
            metrics.expires_at.clone(),
        );
        Self { registry: Arc::new(Mutex::new(registry)), ..metrics }
    }
}

impl Metrics {
    /// Starts to measure a reconcile.
    pub fn timer(&self, controller: Controller) -> Timer {
        Timer { metrics: self.clone(), controller, started: Instant::now() }
    }

    /// A write has ended.
    pub fn write(&self, kind: WriteKind, result: WriteResult) {
        self.writes.get_or_create(&WriteLabels { kind, result }).inc();
    }

    /// A watch has told something.
    pub fn watch_event(&self, watch: Watch) {
        let mut events = self.last_events.lock().unwrap_or_else(PoisonError::into_inner);
        match events.iter_mut().find(|(known, _)| *known == watch) {
            Some((_, last)) => *last = Instant::now(),
            None => events.push((watch, Instant::now())),
        }
    }

    /// A watch has failed.
    pub fn watch_error(&self, watch: Watch) {
        self.watch_errors.get_or_create(&WatchLabels { watch }).inc();
    }

    /// What a RegistryCredential's status says: its conditions, each with its type and status, and how many namespaces are
    /// desired, ready and failed, and when its logins end.
    pub fn status<'a>(
        &self,
        name: &str,
        said: impl Iterator<Item = (&'a str, &'a str)>,
        namespaces: Option<[i64; 3]>,
        expires_at: Option<i64>,
    ) {
        let credential = || name.to_owned();
        let mut conditions = Vec::new();
        for (condition, status) in said {
            let value = match status {
                "True" => 1,
                "False" => 0,
                _ => -1,
            };
            let labels = ConditionLabels { credential: credential(), condition: condition.to_owned() };
            self.conditions.get_or_create(&labels).set(value);
            conditions.push(condition.to_owned());
        }
        if let Some([desired, ready, failed]) = namespaces {
            let labels = CredentialLabels { credential: credential() };
            self.desired.get_or_create(&labels).set(desired);
            self.ready.get_or_create(&labels).set(ready);
            self.failed.get_or_create(&labels).set(failed);
        }
        let labels = CredentialLabels { credential: credential() };
        match expires_at {
            Some(second) => _ = self.expires_at.get_or_create(&labels).set(second),
            None => _ = self.expires_at.remove(&labels),
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, _)| other != name);
        known.push((credential(), conditions));
    }

    /// A RegistryCredential is gone.
    pub fn forget(&self, name: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, conditions) in known.extract_if(.., |(other, _)| other == name) {
            for condition in conditions {
                self.conditions.remove(&ConditionLabels { credential: name.to_owned(), condition });
            }
        }
        let labels = CredentialLabels { credential: name.to_owned() };
        self.desired.remove(&labels);
        self.ready.remove(&labels);
        self.failed.remove(&labels);
        self.expires_at.remove(&labels);
    }

    /// Everything, in Prometheus' text form.
    pub fn render(&self, depths: &[(Controller, usize)], rollout_limit: usize, leads: bool) -> String {
        self.leader.set(leads.into());
        self.rollout_limit.set(i64::try_from(rollout_limit).unwrap_or(i64::MAX));
        for (controller, depth) in depths {
            let depth = i64::try_from(*depth).unwrap_or(i64::MAX);
            self.queue_depth.get_or_create(&ControllerLabels { controller: *controller }).set(depth);
        }
        for (watch, last) in &*self.last_events.lock().unwrap_or_else(PoisonError::into_inner) {
            let age = i64::try_from(last.elapsed().as_secs()).unwrap_or(i64::MAX);
            self.watch_age.get_or_create(&WatchLabels { watch: *watch }).set(age);
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            text.clear(); // writing to a String can't fail
        }
        text
    }
}

/// Measures one reconcile.
pub struct Timer {
    metrics: Metrics,
    controller: Controller,
    started: Instant,
}

impl Timer {
    /// It has ended.
    pub fn done(self, result: ReconcileResult) {
        let controller = self.controller;
        self.metrics.reconciles.get_or_create(&ReconcileLabels { controller, result }).inc();
        let time = self.metrics.reconcile_time.get_or_create(&ControllerLabels { controller });
        time.observe(self.started.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_login_ends_is_a_series_for_as_long_as_it_is_known() {
        let metrics = Metrics::default();
        let ends = |end: Option<i64>| {
            metrics.status("darwin", [("Ready", "True")].into_iter(), None, end);
            let text = metrics.render(&[], 1, true);
            let series = text.lines().find(|line| line.starts_with("regcred_credential_expires_at_seconds{"));
            series.map(str::to_owned)
        };
        let series = |end: i64| format!("regcred_credential_expires_at_seconds{{credential=\"darwin\"}} {end}");
        assert_eq!(ends(None), None);
        assert_eq!(ends(Some(1_800_000_000)), Some(series(1_800_000_000)));
        assert_eq!(ends(Some(1_900_000_000)), Some(series(1_900_000_000)));
        assert_eq!(ends(None), None);
        ends(Some(1_800_000_000));
        metrics.forget("darwin");
        assert!(!metrics.render(&[], 1, true).contains("darwin"));
    }
}
