//! One namespace: observe → plan → apply → report, until nothing is left to do.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tracing::{debug, warn};

use super::{
    apply::{self, Task},
    backoff::{LASTING, TRANSIENT},
    context::Context,
    error::WriteError,
    queue::Priority,
    stuck_pods,
};
use crate::{
    api::{CredentialName, NamespaceName, Reason, SecretName, ServiceAccountName},
    plan::{self, Change, Contested, LongAbsent, Step, Write, catalog::Catalog},
    process::metrics::ReconcileResult,
    progress::{Failure, Outcome},
};

/// How often a plan is made anew in one reconcile. Three rounds do all work: Secrets, entries, deletions; the others
/// are for what moves meanwhile.
const ROUNDS: usize = 8;

/// How often one object is written in one reconcile before it is clear that somebody undoes it at once.
const ENOUGH: usize = 2;

/// How many writes of one namespace are in flight at once.
const WRITES: usize = 8;

/// Reconciles one namespace and says when to come again.
pub async fn reconcile(context: &Arc<Context>, name: &NamespaceName) -> ReconcileResult {
    let (contested, until) = context.removal_tracker().contested(name, Instant::now());
    let (long_absent, gone) = long_absent(context, name);
    let (vanishing, due) = context.recreate_backoff().waiting(name, Instant::now());
    context.index().forget_unwatched(name);
    let mut run = Run {
        context,
        name,
        catalog: context.catalog(),
        contested,
        long_absent,
        vanishing,
        written: HashMap::new(),
        failed: BTreeMap::new(),
        refused: HashMap::new(),
        waits_for_unconfirmed: false,
    };
    for _ in 0..ROUNDS {
        let tasks = run.plan();
        if !tasks.is_empty() {
            run.execute(tasks).await;
        } else if !run.settle_unconfirmed().await {
            break;
        }
    }
    for task in run.plan() {
        // It has moved in every round.
        run.failed.insert(target(&task), (affected(&task), WriteError::Moved));
    }
    let wait = run.wait();
    let failed = !run.refused.is_empty() || run.failed.values().any(|(_, error)| *error != WriteError::Gone);
    run.report();
    stuck_pods::refresh(context, name);
    match wait {
        Some(wait) => context.namespaces.add_at(name.clone(), Instant::now() + wait),
        None => context.retries.worked(name),
    }
    for time in [until, gone, due].into_iter().flatten() {
        context.namespaces.add_at(name.clone(), time);
    }
    if failed { ReconcileResult::Failed } else { ReconcileResult::Done }
}

/// The Secrets that others make and that have been away from here for long, and when the next one will have been.
fn long_absent(context: &Context, name: &NamespaceName) -> (LongAbsent, Option<Instant>) {
    let catalog = context.catalog();
    let index = context.index();
    let absent = index.get(name).map(|namespace| plan::absent(name, &catalog.all_desired(), namespace));
    drop(index);
    context.absence_tracker().long_absent(name, &absent.unwrap_or_default(), Instant::now())
}

/// What a step writes to: one that failed isn't tried again in the same run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Target {
    Secret(SecretName),
    ServiceAccount(ServiceAccountName),
}

struct Run<'a> {
    context: &'a Arc<Context>,
    name: &'a NamespaceName,
    /// As of the last plan.
    catalog: Arc<Catalog>,
    contested: Contested,
    /// Secrets of others that have been away for long.
    long_absent: LongAbsent,
    /// Secrets that aren't made again yet.
    vanishing: BTreeSet<SecretName>,
    /// How often each was written.
    written: HashMap<Target, usize>,
    /// Writes that failed, and the credentials whose status speaks of each.
    failed: BTreeMap<Target, (Vec<CredentialName>, WriteError)>,
    refused: HashMap<CredentialName, plan::Refusal>,
    /// A Secret isn't deleted yet, as it isn't certain that no service account names it.
    waits_for_unconfirmed: bool,
}

impl Run<'_> {
    /// The steps that are right now and haven't failed yet, with all that it takes to execute them.
    fn plan(&mut self) -> Vec<Task> {
        self.refused.clear();
        self.waits_for_unconfirmed = false;
        // A round may take seconds: what was suspended or deleted meanwhile is gone on with no more.
        self.catalog = self.context.catalog();
        let index = self.context.index();
        let Some(namespace) = index.get(self.name) else {
            self.context.unconfirmed_patches().forget(self.name);
            return Vec::new();
        };
        let is_certain = !self.context.unconfirmed_patches().has(self.name);
        let mut tasks = Vec::new();
        let all_desired = self.catalog.all_desired();
        for step in plan::plan(self.name, &all_desired, namespace, &self.contested, &self.long_absent) {
            let task = match step {
                Step::Refuse { credential, refusal } => {
                    // One is enough for a status line; the same one each time, so that statuses don't flap.
                    let kept = self.refused.entry(credential).or_insert_with(|| refusal.clone());
                    *kept = kept.clone().min(refusal);
                    continue;
                }
                Step::WriteSecret { secret, write: Write::Create, .. } if self.vanishing.contains(&secret) => continue,
                Step::WriteSecret { credential, secret, write } => match self.catalog.get(&credential) {
                    Some(entry) => Task::WriteSecret { entry: entry.clone(), secret, write },
                    None => continue,
                },
                Step::PatchServiceAccount { service_account, changes } => {
                    let Some(observed) = namespace.service_accounts.get(&service_account) else { continue };
                    let patch = plan::json_patch(observed, &changes);
                    Task::PatchServiceAccount { service_account, changes, patch }
                }
                Step::DeleteSecret { .. } if !is_certain => {
                    self.waits_for_unconfirmed = true;
                    continue;
                }
                Step::DeleteSecret { secret, uid, resource_version } => {
                    Task::DeleteSecret { secret, uid, resource_version }
                }
            };
            if !self.failed.contains_key(&target(&task)) {
                tasks.push(task);
            }
        }
        tasks
    }

    /// Reads service accounts with an unconfirmed patch, and says whether there is something to plan anew. One whose patch has
    /// just failed is read only if something waits for it: it is tried again anyway.
    async fn settle_unconfirmed(&self) -> bool {
        let mut unconfirmed_patches = self.context.unconfirmed_patches().of(self.name);
        if !self.waits_for_unconfirmed {
            unconfirmed_patches.retain(|account| !self.failed.contains_key(&Target::ServiceAccount(account.clone())));
        }
        for account in &unconfirmed_patches {
            if let Err(error) = apply::settle_unconfirmed_patch(self.context, self.name, account).await {
                debug!(namespace = %self.name, %account, %error, "still in doubt");
                return false;
            }
        }
        !unconfirmed_patches.is_empty()
    }

    async fn execute(&mut self, tasks: Vec<Task>) {
        let (context, name) = (self.context, self.name);
        let results: Vec<_> = stream::iter(tasks)
            .map(|task| async move {
                let result = apply::execute(context, name, &task).await;
                (task, result)
            })
            .buffer_unordered(WRITES)
            .collect()
            .await;
        for (task, result) in results {
            let target = target(&task);
            let writes = self.written.entry(target.clone()).or_default();
            // That leads to another write by itself.
            let is_settling = matches!(&task, Task::WriteSecret { write: Write::Settle { .. }, .. });
            let result = match (result, *writes) {
                (Ok(()), ENOUGH..) if !is_settling => Err(WriteError::Undone),
                (result, _) => result,
            };
            match result {
                Ok(()) => {
                    *writes += usize::from(!is_settling);
                    debug!(namespace = %name, ?target, "written");
                }
                Err(WriteError::Moved) => debug!(namespace = %name, ?target, "moved meanwhile: planned again"),
                Err(error) => {
                    if error != WriteError::Gone {
                        warn!(namespace = %name, ?target, reason = error.reason().as_str(), %error, "a write failed");
                    }
                    self.failed.insert(target, (affected(&task), error));
                }
            }
        }
    }

    /// How long to wait before the next try, where one may help.
    fn wait(&self) -> Option<Duration> {
        let unseen = self.refused.values().any(|refusal| refusal.reason() == Reason::WrongType);
        let mut longest = unseen.then_some(LASTING);
        if self.context.unconfirmed_patches().has(self.name) {
            longest = Some(TRANSIENT);
        }
        for (_, error) in self.failed.values() {
            match error {
                // What went away is no failure; but a namespace made a moment ago may not be known everywhere yet.
                WriteError::Gone if self.context.index().get(self.name).is_none() => {}
                WriteError::Gone | WriteError::Unavailable(_) | WriteError::TooBusy(_) | WriteError::Moved => {
                    longest = Some(TRANSIENT);
                }
                WriteError::Denied(_) | WriteError::Invalid(_) | WriteError::Undone => {
                    longest = longest.or(Some(LASTING))
                }
            }
        }
        longest.map(|longest| self.context.retries.failed(self.name, longest))
    }

    fn report(self) {
        if self.failed.values().any(|(_, error)| *error == WriteError::Gone) {
            return; // the namespace, or what was in it, is going: what becomes of it is known next time
        }
        let outcomes = self.outcomes();
        let touched = self.context.rollout().record(self.name, &self.catalog, &outcomes);
        self.context.statuses.add_all(touched, Priority::Live);
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let index = self.context.index();
        let Some(namespace) = index.get(self.name) else {
            return Vec::new();
        };
        let progress = plan::assess(self.name, &self.catalog.all_desired(), namespace);
        drop(index);
        let outcome = |(credential, progress): (CredentialName, plan::Progress)| {
            let failed = self.failed.values().find(|(affected, _)| affected.contains(&credential));
            let failure = match (self.refused.get(&credential), failed) {
                (Some(refusal), _) => Some(Failure { reason: refusal.reason(), message: refusal.to_string() }),
                (None, Some((_, error))) => Some(Failure { reason: error.reason(), message: error.to_string() }),
                (None, None) => None,
            };
            Outcome { credential, progress, failure }
        };
        progress.into_iter().map(outcome).collect()
    }
}

fn target(task: &Task) -> Target {
    match task {
        Task::WriteSecret { secret, .. } | Task::DeleteSecret { secret, .. } => Target::Secret(secret.clone()),
        Task::PatchServiceAccount { service_account, .. } => Target::ServiceAccount(service_account.clone()),
    }
}

/// Whose status speaks of a failure of this write.
fn affected(task: &Task) -> Vec<CredentialName> {
    match task {
        Task::WriteSecret { entry, .. } => vec![entry.desired.credential.clone()],
        Task::PatchServiceAccount { changes, .. } => changes
            .iter()
            .filter_map(|change| match change {
                Change::Append(_, credential) | Change::Record(_, credential) => Some(credential.clone()),
                Change::Remove(_) | Change::Forget(_) => None,
            })
            .collect(),
        Task::DeleteSecret { .. } => Vec::new(),
    }
}
