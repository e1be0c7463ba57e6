//! What is asked: what applying or deleting something would do, or what is still to be done.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use kube::api::DynamicObject;

use super::{args::PlanArgs, intent::Flags, report::Change};
use crate::{
    api::CredentialName,
    cli::check::applied::{self, Applied, AppliedSecret},
    plan::decoded::{DecodedCredential, is_going},
};

/// All RegistryCredentials by their names.
pub type Objects = BTreeMap<CredentialName, DynamicObject>;

/// What is asked about, and what would happen to each.
pub type Subjects = BTreeMap<CredentialName, Change>;

/// What would happen to RegistryCredentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: what the operator has to do is asked for.
    None,
    /// `kubectl apply`.
    Apply,
    /// `kubectl delete`.
    Delete,
}

impl Action {
    /// As reports have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Apply => "Apply",
            Self::Delete => "Delete",
        }
    }
}

/// See the module's documentation.
pub struct Question {
    /// What would happen.
    pub action: Action,
    /// To those of these names; to none in particular where there is none.
    names: Vec<CredentialName>,
    /// What the files have.
    files: Applied,
}

/// The RegistryCredentials that would be there, and which of them are asked about.
pub struct Answerable {
    /// What there would be.
    pub after: Objects,
    /// What is asked about and what would happen to each; `None` where all are.
    pub subjects: Option<Subjects>,
}

impl Question {
    /// Reads the files.
    ///
    /// # Errors
    /// A sentence, where one can't be read or has nothing to ask about.
    pub fn new(args: &PlanArgs) -> Result<Self, String> {
        let files = if args.files.is_empty() { Applied::default() } else { applied::read(&args.files)? };
        let names = args.names.iter().map(|name| name.as_str().into());
        let given = files.credentials.iter().filter_map(|object| object.metadata.name.as_deref()).map(Into::into);
        let action = match (args.delete, args.files.is_empty()) {
            (true, _) => Action::Delete,
            (false, false) => Action::Apply,
            (false, true) => Action::None,
        };
        let question = Self { action, names: names.chain(given).collect(), files };
        let has_secrets = action == Action::Apply && !question.files.secrets.is_empty();
        if !question.names.is_empty() || has_secrets || action == Action::None {
            Ok(question)
        } else if args.files.is_empty() {
            Err("--delete needs to know which: name RegistryCredentials, or a file of them with -f".to_owned())
        } else {
            Err(format!("there is no RegistryCredential in {}; name a file that has one", shown(&args.files)))
        }
    }

    /// The Secrets that would be applied.
    pub fn secrets(&self) -> &[AppliedSecret] {
        if self.action == Action::Apply { &self.files.secrets } else { &[] }
    }

    /// The RegistryCredentials in the files.
    pub fn manifests(&self) -> &[DynamicObject] {
        &self.files.credentials
    }

    /// What was passed over in the files.
    pub fn skipped(&self) -> &[String] {
        &self.files.skipped
    }

    /// What there would be, given what there is.
    ///
    /// # Errors
    /// A sentence, where something that is asked about doesn't exist, or the API server wouldn't take it.
    pub fn put(&self, before: &Objects, flags: &Flags) -> Result<Answerable, String> {
        let (mut after, subjects) = match self.action {
            Action::Apply => self.applied(before, flags)?,
            Action::None | Action::Delete => self.named(before)?,
        };
        after.retain(|_, object| !is_going(object));
        let all = self.action == Action::None && self.names.is_empty();
        Ok(Answerable { after, subjects: (!all).then_some(subjects) })
    }

    fn applied(&self, before: &Objects, flags: &Flags) -> Result<(Objects, Subjects), String> {
        let (mut after, mut subjects) = (before.clone(), Subjects::new());
        for manifest in &self.files.credentials {
            let name = CredentialName::from(manifest.metadata.name.as_deref().unwrap_or_default());
            let (object, change) = apply(before.get(&name), manifest, flags)?;
            subjects.insert(name.clone(), change);
            after.insert(name, object);
        }
        // A source that changes changes what comes of it.
        for (name, _) in before.iter().filter(|(_, object)| self.brings_source_of(object, flags)) {
            subjects.entry(name.clone()).or_insert(Change::None);
        }
        if subjects.is_empty() {
            let said = "these files have no RegistryCredential, and none in the cluster takes its key from a Secret in \
                        them; name a file that has one";
            return Err(said.to_owned());
        }
        Ok((after, subjects))
    }

    fn named(&self, before: &Objects) -> Result<(Objects, Subjects), String> {
        let (mut after, mut subjects) = (before.clone(), Subjects::new());
        for name in &self.names {
            if !before.contains_key(name) {
                return Err(format!(
                    "RegistryCredential {name} doesn't exist; kubectl get regcred lists those that do"
                ));
            }
            if self.action == Action::Delete {
                after.remove(name);
            }
            let change = if self.action == Action::Delete { Change::Delete } else { Change::None };
            subjects.insert(name.clone(), change);
        }
        Ok((after, subjects))
    }

    fn brings_source_of(&self, object: &DynamicObject, flags: &Flags) -> bool {
        let source = DecodedCredential::new(object, &flags.limits).source_key(&flags.limits);
        source.is_some_and(|(namespace, name)| self.files.secrets.iter().any(|secret| secret.is(&namespace, &name)))
    }
}

/// The object that an apply makes of what is there.
fn apply(
    before: Option<&DynamicObject>,
    manifest: &DynamicObject,
    flags: &Flags,
) -> Result<(DynamicObject, Change), String> {
    let Some(before) = before else {
        return Ok((created(manifest), Change::Create));
    };
    if is_going(before) {
        let name = before.metadata.name.as_deref().unwrap_or_default();
        return Err(format!("RegistryCredential {name} is being deleted; ask again when it is gone"));
    }
    let mut after = before.clone();
    after.data["spec"] = manifest.data.get("spec").cloned().unwrap_or_default();
    let (was, is) = (DecodedCredential::new(before, &flags.limits), DecodedCredential::new(&after, &flags.limits));
    if was.secret != is.secret {
        return Err(format!(
            "RegistryCredential {}: the API server refuses this, as the Secrets' name can't change from {} to {}, since \
             running pods name it; create a second RegistryCredential with the new name, and delete this one when no pod \
             needs it any more",
            is.credential, was.secret, is.secret
        ));
    }
    let change = if was.spec() == is.spec() { Change::None } else { Change::Update };
    Ok((after, change))
}

/// With a UID that nothing has.
fn created(manifest: &DynamicObject) -> DynamicObject {
    let mut object = manifest.clone();
    let name = object.metadata.name.clone();
    object.metadata =
        kube::core::ObjectMeta { uid: name.as_ref().map(|name| format!("new {name}")), name, ..Default::default() };
    if let Some(data) = object.data.as_object_mut() {
        data.remove("status");
    }
    object
}

fn shown(files: &[impl AsRef<Path>]) -> String {
    let names: BTreeSet<String> = files.iter().map(|file| file.as_ref().display().to_string()).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
