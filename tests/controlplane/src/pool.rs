//! Control planes that tests use one after the other. Most of a start's cost is kube-apiserver's own (five seconds of CPU);
//! putting back what etcd held takes a tenth of one.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::control_plane::{ControlPlane, Options};
use crate::etcd::Contents;

/// Admission policies are in force for about a second after they are gone, as kube-apiserver reads them anew once a second;
/// and rights for a moment, as its authorizer watches them.
const LINGER: Duration = Duration::from_secs(3);

/// Where rights are.
const RIGHTS: [&str; 4] = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];

/// How many wait here at most. Those longest unused end first.
const MAX_IDLE: usize = 4;

static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

/// One that nobody uses, for whoever asks for the same options.
struct Idle {
    options: String,
    ready_at: Instant,
    cluster: ControlPlane,
    beginning: Contents,
}

/// A control plane of one's own until it is dropped: then it is put back to how it was at the start and lent to the next,
/// unless a test fails or has done to it what can't be undone.
#[derive(Debug)]
pub struct Lent {
    cluster: Option<ControlPlane>,
    options: String,
    beginning: Contents,
}

impl ControlPlane {
    /// As [`ControlPlane::start`], or one that has served another test and holds again what it held at its start.
    #[track_caller]
    pub fn lend(options: Options) -> Lent {
        let wanted = format!("{options:?}");
        if let Some(found) = take(&wanted) {
            thread::sleep(found.ready_at.saturating_duration_since(Instant::now()));
            return Lent { cluster: Some(found.cluster), options: wanted, beginning: found.beginning };
        }
        let cluster = ControlPlane::start(options);
        let beginning = cluster.settled().unwrap_or_else(|error| panic!("{error}"));
        Lent { cluster: Some(cluster), options: wanted, beginning }
    }
}

/// The one with these options that is ready first.
fn take(options: &str) -> Option<Idle> {
    let mut idle = idle();
    let fitting = idle.iter().enumerate().filter(|(_, one)| one.options == options);
    let (first, _) = fitting.min_by_key(|(_, one)| one.ready_at)?;
    Some(idle.remove(first))
}

impl Deref for Lent {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        self.cluster.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(cluster) = self.cluster.take() else { return };
        if thread::panicking() {
            return; // dropped, as it is
        }
        if let Some(ready_at) = self.restore(&cluster) {
            give_back(Idle {
                options: std::mem::take(&mut self.options),
                ready_at,
                cluster,
                beginning: std::mem::take(&mut self.beginning),
            });
        }
    }
}

impl Lent {
    /// When it is as it was at the start; never, where it can't be or isn't worth it.
    fn restore(&self, cluster: &ControlPlane) -> Option<Instant> {
        let now = cluster.is_undisturbed().then(|| cluster.contents().ok())??;
        // Controllers wouldn't notice at once that what they rely on is back.
        let relied_on = ["namespaces", "apiextensions.k8s.io/customresourcedefinitions"];
        if relied_on.iter().any(|kind| !self.beginning.of(kind).iter().all(|one| now.of(kind).contains(one))) {
            return None;
        }
        if relied_on[1..].iter().any(|kind| self.beginning.of(kind) != now.of(kind)) {
            return None;
        }
        cluster.restore(&self.beginning).ok()?;
        let lingers = now.any("admissionpolic") || RIGHTS.iter().any(|kind| self.beginning.of(kind) != now.of(kind));
        Some(Instant::now() + if lingers { LINGER } else { Duration::ZERO })
    }
}

fn give_back(mut one: Idle) {
    one.cluster.forget_requests();
    let mut idle = idle();
    idle.push(one);
    let surplus = idle.len().saturating_sub(MAX_IDLE);
    let ended: Vec<Idle> = idle.drain(..surplus).collect();
    drop(idle);
    drop(ended); // which takes a moment
}

fn idle() -> MutexGuard<'static, Vec<Idle>> {
    IDLE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
