//! The control plane as a whole: started in order, stopped in order, nothing left behind.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::apiserver::Apiserver;
use crate::controllers::{self, Controllers};
use crate::direct::Direct;
use crate::etcd::Contents;
use crate::kubectl::Kubectl;
use crate::process::{Exit, Process};
use crate::users::{self, ADMIN, User};
use crate::{etcd, wait};

/// Without etcd, or with watches that don't end, the apiserver would take its time.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What comes after all else that a test has done.
const LAST: &str = "the-last-of-a-test";

/// Whether the apiserver writes down who asks for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audit {
    /// No audit log.
    #[default]
    Off,
    /// One entry for each request, without bodies: see [`ControlPlane::audit_log`].
    Metadata,
}

/// What to start. The default is etcd and kube-apiserver alone.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which controllers to run.
    pub controllers: Controllers,
    /// Whether to keep an audit log.
    pub audit: Audit,
    /// Applied before the controllers start, its CRDs established: what the garbage collector doesn't see
    /// at its start it looks for only every 30 s.
    pub manifests: Vec<String>,
    /// Users besides the standard ones ([`ADMIN`], [`crate::OPERATOR`], [`crate::READER`], [`crate::SPARES`]).
    pub users: Vec<User>,
    /// Where kube-apiserver listens, for a network namespace of one's own. Default: a free port.
    pub port: Option<u16>,
    /// More flags for kube-apiserver; of those given twice the last counts.
    pub apiserver_flags: Vec<String>,
}

/// A running control plane in a temporary folder. Dropping it stops everything and removes the folder.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped, that is stopped, in this order.
    direct: OnceLock<Direct>,
    controller_manager: Mutex<Option<Process>>,
    apiserver: Mutex<Option<Process>>,
    etcd: Process,
    recipe: Apiserver,
    kubectl: Kubectl,
    users: Vec<User>,
    /// Whether a part of it was stopped, or etcd compacted.
    disturbed: AtomicBool,
    /// Requests of before aren't told of.
    requests_from: RequestsFrom,
    folder: TempDir,
}

impl ControlPlane {
    /// Starts it and waits until it is ready: the apiserver says so, the manifests are applied, and with
    /// controllers the namespace `default` has its service account. Panics with the reason if it can't.
    #[track_caller]
    pub fn start(options: Options) -> ControlPlane {
        ControlPlane::try_start(&options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`ControlPlane::start`], but gives the reason back: a sentence and the last log lines.
    pub fn try_start(options: &Options) -> Result<ControlPlane, String> {
        for _ in 0..4 {
            match ControlPlane::attempt(options) {
                Err(error) if error.contains("address already in use") => {} // somebody was faster; other ports then
                result => return result,
            }
        }
        ControlPlane::attempt(options)
    }

    /// The one that all users in this process share: starts it with `options` if nobody has it now. It is stopped
    /// when the last of them lets go of it.
    #[track_caller]
    pub fn shared_with(options: impl FnOnce() -> Options) -> Arc<ControlPlane> {
        static SHARED: Mutex<Weak<ControlPlane>> = Mutex::new(Weak::new());
        // Poisoned: it couldn't be started for another test, which has said so. Try again.
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(ControlPlane::start(options()));
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// [`ControlPlane::shared_with`] the default controllers and an audit log.
    #[track_caller]
    pub fn shared() -> Arc<ControlPlane> {
        let options = || Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() };
        ControlPlane::shared_with(options)
    }

    fn attempt(options: &Options) -> Result<ControlPlane, String> {
        let folder = tempfile::Builder::new().prefix("regcred-controlplane-").tempdir();
        let folder = folder.map_err(|error| format!("no temporary folder can be made: {error}"))?;
        let users = [users::standard(), options.users.clone()].concat();
        let (etcd, etcd_url) = etcd::start(folder.path())?;
        let recipe = Apiserver::prepare(folder.path(), &etcd_url, options, &users)?;
        let kubectl = Kubectl::new(folder.path(), users::kubeconfig(folder.path(), ADMIN))?;
        let apiserver = Mutex::new(Some(recipe.start(&kubectl)?));
        let controller_manager = Mutex::new(None);
        let (disturbed, requests_from) = (AtomicBool::new(false), RequestsFrom::default());
        let this = ControlPlane {
            direct: OnceLock::new(),
            controller_manager,
            apiserver,
            etcd,
            recipe,
            kubectl,
            users,
            disturbed,
            requests_from,
            folder,
        };
        for manifest in &options.manifests {
            this.install(manifest)?;
        }
        this.start_controllers(&options.controllers)?;
        this.disturbed.store(false, Ordering::Relaxed);
        Ok(this)
    }

    /// Applies a manifest and waits until all CRDs are served.
    pub fn install(&self, manifest: &str) -> Result<(), String> {
        self.apply(manifest)?;
        wait::poll(Duration::from_secs(20), || {
            let crds = self.try_get_json(&["customresourcedefinitions"])?;
            for crd in crds["items"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (group, plural) = (text(&crd["spec"]["group"]), text(&crd["spec"]["names"]["plural"]));
                let version = text(&crd["spec"]["versions"][0]["name"]);
                // Discovery follows a moment after the condition Established.
                let served = self.kubectl.ok(&["get", "--raw", &format!("/apis/{group}/{version}")])?;
                if !served.contains(&format!("\"{plural}\"")) {
                    return Err(format!("{plural}.{group} isn't served yet"));
                }
            }
            Ok(())
        })
    }

    /// Starts kube-controller-manager, stopping the one that runs; with [`Controllers::Off`] it only stops it.
    /// Waits for the service account of namespace `default` if it is to make that.
    pub fn start_controllers(&self, controllers: &Controllers) -> Result<(), String> {
        self.stop_controllers();
        if *controllers == Controllers::Off {
            return Ok(());
        }
        let process = controllers::start(self.folder(), controllers)?;
        let result = wait::poll(Duration::from_secs(60), || {
            if !process.is_running() {
                return Ok(Err("kube-controller-manager ended while starting".to_owned()));
            }
            if controllers.make_service_accounts() {
                self.kubectl.ok(&["get", "--raw", "/api/v1/namespaces/default/serviceaccounts/default"])?;
            }
            Ok(Ok(()))
        });
        result.and_then(|ended| ended).map_err(|error| format!("{error}{}", process.last_lines(15)))?;
        *lock(&self.controller_manager) = Some(process);
        Ok(())
    }

    /// Stops kube-controller-manager, if it runs.
    pub fn stop_controllers(&self) {
        self.disturbed.store(true, Ordering::Relaxed);
        lock(&self.controller_manager).take();
    }

    /// Stops the apiserver (SIGTERM, SIGKILL after 5 s): an outage. Its port, keys and data stay.
    pub fn stop_apiserver(&self) -> Option<Exit> {
        self.disturbed.store(true, Ordering::Relaxed);
        lock(&self.apiserver).take().map(|process| process.stop(STOP_WITHIN))
    }

    /// SIGKILL to the apiserver.
    pub fn kill_apiserver(&self) -> Option<Exit> {
        self.disturbed.store(true, Ordering::Relaxed);
        lock(&self.apiserver).take().map(|process| process.kill9())
    }

    /// Ends the outage: the same apiserver on the same port, ready. Nothing if it runs.
    #[track_caller]
    pub fn start_apiserver(&self) {
        let mut apiserver = lock(&self.apiserver);
        if apiserver.is_none() {
            *apiserver = Some(self.recipe.start(&self.kubectl).unwrap_or_else(|error| panic!("{error}")));
        }
    }

    /// Stops the apiserver and starts it again.
    #[track_caller]
    pub fn restart_apiserver(&self) {
        self.stop_apiserver();
        self.start_apiserver();
    }

    /// Compacts etcd: of each object it then has the newest version only, so that old ones can't be watched from.
    #[track_caller]
    pub fn compact_etcd(&self) {
        self.disturbed.store(true, Ordering::Relaxed);
        etcd::compact(self.recipe.etcd()).unwrap_or_else(|error| panic!("{error}"));
    }

    /// `https://127.0.0.1:port` of the apiserver.
    pub fn url(&self) -> String {
        self.recipe.url()
    }

    /// The certificates to trust for [`ControlPlane::url`], in PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.recipe.ca()
    }

    /// The user's bearer token.
    #[track_caller]
    pub fn token(&self, user: &str) -> String {
        assert!(self.users.iter().any(|known| known.name == user), "there is no user {user}: see Options::users");
        users::token(user)
    }

    /// The user's kubeconfig.
    #[track_caller]
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.token(user);
        users::kubeconfig(self.folder(), user)
    }

    /// The folder of logs, keys, kubeconfigs and data; removed in the end.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The log of the apiserver, over restarts, for a failing test to show.
    pub fn apiserver_log(&self) -> String {
        std::fs::read_to_string(self.folder().join("kube-apiserver.log")).unwrap_or_default()
    }

    /// The process ids of what runs now: etcd, kube-apiserver, kube-controller-manager.
    pub fn pids(&self) -> Vec<u32> {
        let others = [&self.apiserver, &self.controller_manager];
        let others = others.into_iter().filter_map(|process| lock(process).as_ref().map(Process::pid));
        std::iter::once(self.etcd.pid()).chain(others).collect()
    }

    /// How many bytes etcd stores for the objects of one kind, by its plural: the newest version of each.
    #[track_caller]
    pub fn stored_bytes(&self, kind: &str) -> usize {
        self.contents().unwrap_or_else(|error| panic!("{error}")).bytes_of(kind)
    }

    /// Where the requests begin that count.
    pub(crate) fn requests_from(&self) -> &RequestsFrom {
        &self.requests_from
    }

    /// Requests so far don't count from now on.
    pub(crate) fn forget_requests(&mut self) {
        let last = self.audit_log().into_iter().map(|entry| entry.received).max();
        let after = last.unwrap_or_else(|| self.requests_from.after.clone());
        self.requests_from = RequestsFrom { position: self.audit_position(), after };
    }

    /// Whether it runs as it was started, without a part having been stopped meanwhile.
    pub(crate) fn is_undisturbed(&self) -> bool {
        let alive = |process: &Option<Process>| process.as_ref().is_none_or(Process::is_running);
        !self.disturbed.load(Ordering::Relaxed)
            && alive(&lock(&self.apiserver))
            && alive(&lock(&self.controller_manager))
    }

    /// What etcd holds now.
    pub(crate) fn contents(&self) -> Result<Contents, String> {
        Contents::read(self.recipe.etcd())
    }

    /// What etcd holds when the controllers have made all that they make for what is there.
    pub(crate) fn settled(&self) -> Result<Contents, String> {
        let mut before = self.contents()?;
        wait::poll(Duration::from_secs(20), || {
            thread::sleep(Duration::from_millis(300));
            let now = self.contents()?;
            let made = lock(&self.controller_manager).is_none()
                || now.of("namespaces").iter().all(|(key, _)| {
                    let name = key.rsplit('/').next().unwrap_or_default();
                    now.any(&format!("/serviceaccounts/{name}/default"))
                        && now.any(&format!("/configmaps/{name}/kube-root-ca.crt"))
                });
            if made && now == before {
                return Ok(());
            }
            before = now;
            Err("the controllers go on making objects".to_owned())
        })?;
        Ok(before)
    }

    /// Makes it hold again what it held then, and waits until kube-apiserver and the controllers have heard of all that:
    /// they then serve a namespace that is made after it.
    pub(crate) fn restore(&self, beginning: &Contents) -> Result<(), String> {
        self.put_back(beginning)?;
        if !beginning.any("/serviceaccounts/default/default") {
            return Ok(()); // nobody makes them
        }
        let direct = self.direct()?;
        direct.make_namespace(LAST)?;
        wait::poll(Duration::from_secs(20), || {
            let account = direct.get(&["-n", LAST, "serviceaccount", "default"]);
            account.unwrap_or_else(|| Err("no such question".to_owned()))
        })?;
        self.put_back(beginning)
    }

    /// Gone is what was made since, back what was taken away or changed.
    fn put_back(&self, beginning: &Contents) -> Result<(), String> {
        let mut quiet = 0;
        wait::poll(Duration::from_secs(20), || {
            quiet = if beginning.put_back(self.recipe.etcd())? == 0 { quiet + 1 } else { 0 };
            thread::sleep(Duration::from_millis(30));
            if quiet > 2 { Ok(()) } else { Err("something goes on changing it".to_owned()) }
        })
    }

    /// For what needs no kubectl; started when something does.
    pub(crate) fn direct(&self) -> Result<&Direct, String> {
        if let Some(direct) = self.direct.get() {
            return Ok(direct);
        }
        let started = Direct::start(self.folder(), &self.kubectl)?;
        Ok(self.direct.get_or_init(|| started))
    }

    pub(crate) fn kubectl_of(&self, user: &str) -> Kubectl {
        Kubectl::new(self.folder(), self.kubeconfig(user)).expect("kubectl was there at the start")
    }
}

/// The first request of the audit log that counts.
#[derive(Debug, Default)]
pub(crate) struct RequestsFrom {
    /// Where it stands, in bytes.
    pub(crate) position: u64,
    /// It came later than this; what ends late was asked for before.
    pub(crate) after: String,
}

fn lock(process: &Mutex<Option<Process>>) -> MutexGuard<'_, Option<Process>> {
    process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
