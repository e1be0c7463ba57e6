//! Writes one RegistryCredential's status, when it has something new to say and about once a second at most.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use serde_json::json;
use tracing::{debug, warn};

use super::{
    backoff::{Backoff, TRANSIENT},
    context::{Context, Published},
    error::{self, WRITE_TIMEOUT, WriteError},
    refused_watches::STANDS,
};
use crate::{
    api::{CredentialName, FIELD_MANAGER, Reason, RegistryCredential, RegistryCredentialStatus, StallCause, Stalled},
    plan::ResourceVersion,
    process::metrics::WriteKind,
    progress::{self, Report},
};

/// A roll-out often ends within this time of its start: then one write says it all.
const SETTLE: Duration = Duration::from_millis(100);

/// At most [`BURST`] writes in so long a time: one a second, with room for a start and its end at once.
const PERIOD: Duration = Duration::from_secs(2);
const BURST: usize = 2;

/// Writes statuses and publishes Events on their transitions.
pub struct Writer {
    context: Arc<Context>,
    recorder: Recorder,
    retries: Backoff<CredentialName>,
    /// When each status was last written, at most [`BURST`] times.
    written: std::collections::HashMap<CredentialName, VecDeque<Instant>>,
}

impl Writer {
    /// With nothing written yet.
    pub fn new(context: Arc<Context>) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
        let recorder = Recorder::new(context.client.clone(), reporter);
        Self { context, recorder, retries: Backoff::default(), written: Default::default() }
    }

    /// Writes statuses for good.
    pub async fn run(mut self) {
        let context = self.context.clone();
        loop {
            let name = context.statuses.next().await;
            self.write_when_due(&name).await;
            context.statuses.done(&name);
        }
    }

    /// Writes why nothing is known of the present, until this has happened. It ends between two statuses: what was taken
    /// from the queue has to be given back.
    pub async fn run_while_blind(mut self, until: impl Future<Output = ()>) {
        let context = self.context.clone();
        tokio::pin!(until);
        let next_while_blind = || async {
            while context.blind().is_none() {
                // That a refusal has lasted is told by no event.
                tokio::time::sleep(SETTLE).await;
            }
            context.statuses.next().await
        };
        loop {
            let name = tokio::select! {
                () = &mut until => return,
                name = next_while_blind() => name,
            };
            self.write_when_due(&name).await;
            context.statuses.done(&name);
        }
    }

    async fn write_when_due(&mut self, name: &CredentialName) {
        let now = Instant::now();
        let blind = self.context.blind();
        let found = self.context.states().get(name).cloned();
        if found.is_none() && blind.is_none() {
            self.written.remove(name);
            self.retries.worked(name);
            return;
        }
        if blind.is_none() && !self.context.is_planning() {
            // It was refused until a moment ago, and everything is yet to be counted.
            self.context.statuses.add_at(name.clone(), now + SETTLE);
            return;
        }
        if blind.is_some() {
            // That a refusal no longer stands is told by no event.
            self.context.statuses.add_at(name.clone(), now + STANDS);
        }
        let times = self.written.entry(name.clone()).or_default();
        if let Some(due) = times.front().filter(|_| times.len() == BURST).map(|first| *first + PERIOD)
            && due > now
        {
            self.context.statuses.add_at(name.clone(), due);
            return;
        }
        if let Some(settled) = found.as_ref().map(|found| found.since + SETTLE)
            && settled > now
            && self.is_behind(name)
        {
            self.context.statuses.add_at(name.clone(), settled);
            return;
        }
        match self.write(name, found.as_ref(), blind).await {
            Ok(Written::Unchanged) => {}
            Ok(Written::Yes) => {
                self.retries.worked(name);
                let times = self.written.entry(name.clone()).or_default();
                if times.len() == BURST {
                    times.pop_front();
                }
                times.push_back(Instant::now());
            }
            // It is gone or another one by now, which its own event tells; or the API server was too busy.
            Err(WriteError::Gone | WriteError::Moved) => {
                self.context.statuses.add_at(name.clone(), Instant::now() + PERIOD);
            }
            Err(error) => {
                warn!(credential = %name, %error, "the status couldn't be written and is tried again");
                let wait = self.retries.failed(name, TRANSIENT);
                self.context.statuses.add_at(name.clone(), Instant::now() + wait);
            }
        }
    }

    fn is_behind(&self, name: &CredentialName) -> bool {
        self.context.rollout().summary(name).is_some_and(|sums| sums.behind > 0)
    }

    async fn write(
        &self,
        name: &CredentialName,
        found: Option<&Published>,
        blind: Option<(Reason, String)>,
    ) -> Result<Written, WriteError> {
        let Some(object) = self.context.objects().get(name).cloned() else {
            return Ok(Written::Unchanged);
        };
        // One that an older version wrote, or somebody broke, is written anew.
        let previous = object.data.get("status").cloned();
        let previous = previous.and_then(|s| serde_json::from_value::<RegistryCredentialStatus>(s).ok());
        let previous = previous.unwrap_or_default();
        let status = match (blind, found) {
            (Some((reason, why)), _) => {
                progress::blind(&previous, object.metadata.generation, reason, &why, Timestamp::now())
            }
            (None, Some(found)) => {
                let summary = self.context.rollout().summary(name);
                let stuck = self.context.stuck.report(name, &self.context.catalog());
                let report =
                    Report { generation: found.generation, resolution: found.resolution.clone(), summary, stuck };
                progress::build(&previous, &report, Timestamp::now())
            }
            (None, None) => return Ok(Written::Unchanged),
        };
        let conditions = status.conditions.iter().map(|c| (&*c.type_, &*c.status));
        let counts = status.namespaces.as_ref().map(|counts| [counts.desired, counts.ready, counts.failed]);
        let expires_at = status.credential_expires_at.as_ref().map(|time| time.0.as_second());
        self.context.metrics.status(name.as_str(), conditions, counts, expires_at);
        let uid = object.uid().unwrap_or_default();
        if status == previous || found.is_some_and(|found| found.uid != uid) {
            return Ok(Written::Unchanged);
        }

        let resource = ApiResource::erase::<RegistryCredential>(&());
        let api = Api::<DynamicObject>::all_with(self.context.client.clone(), &resource);
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name.as_str(), "uid": uid},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(body);
        let call = api.patch_status(name.as_str(), &params, &patch);
        let result = match tokio::time::timeout(WRITE_TIMEOUT, call).await {
            Ok(answer) => answer.map_err(WriteError::from),
            Err(_) => Err(WriteError::Unavailable("the API server didn't answer".to_owned())),
        };
        self.context.metrics.write(WriteKind::Status, error::result(&result));
        let written = result?;
        self.remember(name, written);
        self.publish(&object, &previous, &status, found.and_then(|found| found.resolution.as_ref().err()));
        Ok(Written::Yes)
    }

    /// The next status follows this one, even where its event is still on its way.
    fn remember(&self, name: &CredentialName, written: DynamicObject) {
        let version =
            |object: &DynamicObject| object.metadata.resource_version.as_deref()?.parse::<ResourceVersion>().ok();
        let mut objects = self.context.objects();
        if let Some(known) = objects.get_mut(name)
            && known.uid() == written.uid()
            && version(known) < version(&written)
        {
            *known = Arc::new(written);
        }
    }

    /// An Event where the Ready condition's reason has changed, and never for the progress of a roll-out.
    fn publish(
        &self,
        object: &DynamicObject,
        previous: &RegistryCredentialStatus,
        status: &RegistryCredentialStatus,
        stalled: Option<&Stalled>,
    ) {
        let ready = |status: &RegistryCredentialStatus| {
            let ready = status.conditions.iter().find(|c| c.type_ == "Ready")?;
            Some((ready.status.clone(), ready.reason.clone(), ready.message.clone()))
        };
        let Some((is_ready, reason, message)) = ready(status) else { return };
        let before = ready(previous).map(|(_, reason, _)| reason);
        if before.as_deref() == Some(&*reason) || reason == Reason::RollingOut.as_str() {
            return;
        }
        let calm = is_ready == "True"
            || matches!(stalled.map(Stalled::cause), Some(StallCause::Suspended | StallCause::Orphaned));
        let event = Event {
            type_: if calm { EventType::Normal } else { EventType::Warning },
            reason,
            note: Some(message.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let reference = object.object_ref(&ApiResource::erase::<RegistryCredential>(&()));
        let (recorder, name) = (self.recorder.clone(), object.name_any());
        // The next status needn't wait for an Event.
        tokio::spawn(async move {
            match tokio::time::timeout(WRITE_TIMEOUT, recorder.publish(&event, &reference)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => debug!(credential = name, "an Event couldn't be published"),
            }
        });
    }
}

enum Written {
    Yes,
    Unchanged,
}
