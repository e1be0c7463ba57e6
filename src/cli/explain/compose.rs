//! PURE: what is known of images, a pod and its pull secrets → the answer.

use super::{
    case::{Asked, Case},
    findings,
    report::{
        CredentialsShape, Explanation, Explanations, PolicyShape, PullSecretShape, ReferenceShape, SubjectShape,
        TryShape,
    },
    subject::Subject,
};
use crate::{
    api::SecretName,
    cli::{diagnosis::Finding, pod::Use},
    image::{
        PullPolicy, Reference,
        pull::{Credentials, Outcome, Seen, Source},
    },
};

/// Explains one image, or each of the pod's.
pub fn explain(case: &Case, image: Option<&str>) -> Explanations {
    let asked = asked(case, image);
    let findings = findings::of_secrets(case);
    Explanations {
        subject: case.subject.as_ref().map(|Subject { kind, name, pod, .. }| SubjectShape {
            kind: kind.as_str(),
            namespace: pod.namespace.to_string(),
            name: name.clone(),
            service_account: pod.service_account.to_string(),
        }),
        pull_secrets: pull_secrets(case).into_iter().map(|(name, seen)| pull_secret(name, seen)).collect(),
        images: asked.iter().map(|asked| explanation(case, asked, &findings)).collect(),
        findings,
    }
}

fn pull_secrets(case: &Case) -> Vec<(&SecretName, &Seen)> {
    case.subject.as_ref().map(|subject| case.pull_secrets(&subject.pod)).unwrap_or_default()
}

/// The image that was asked about with the places where the pod has it, however it is written there; or all of the pod's,
/// each with its policy once.
fn asked<'a>(case: &'a Case, image: Option<&'a str>) -> Vec<Asked<'a>> {
    let uses = case.subject.iter().flat_map(|subject| &subject.pod.uses);
    if let Some(image) = image {
        let wanted = Reference::parse(image);
        let same =
            |it: &&Use| it.image.as_str() == image || wanted.is_ok() && Reference::parse(it.image.as_str()) == wanted;
        return vec![Asked::new(image, uses.filter(same).collect())];
    }
    let mut found: Vec<Asked<'_>> = Vec::new();
    for it in uses {
        match found.iter_mut().find(|asked| asked.image == it.image.as_str() && asked.uses[0].policy == it.policy) {
            Some(asked) => asked.uses.push(it),
            None => found.push(Asked::new(it.image.as_str(), vec![it])),
        }
    }
    found
}

fn explanation(case: &Case, asked: &Asked<'_>, of_secrets: &[Finding]) -> Explanation {
    let reference = asked.reference.as_ref().ok();
    let seen: Vec<&Seen> = pull_secrets(case).into_iter().map(|(_, seen)| seen).collect();
    let credentials = reference
        .filter(|_| case.subject.is_some())
        .map(|reference| Credentials::of(reference, seen.iter().copied(), case.cluster.now));
    Explanation {
        image: asked.image.to_owned(),
        used_by: asked.uses.iter().map(|it| it.name.to_string()).collect(),
        reference: reference.map(|reference| ReferenceShape {
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            tag: reference.effective_tag().map(str::to_owned),
            digest: reference.digest().map(str::to_owned),
        }),
        pull_policy: policy(case, asked),
        findings: findings::of_image(case, asked, credentials.as_ref(), of_secrets),
        credentials: credentials.map(|credentials| shape(case, &credentials)),
    }
}

fn policy(case: &Case, asked: &Asked<'_>) -> PolicyShape {
    let (default, by) = PullPolicy::default_for(asked.image);
    let stored = asked.uses.first().and_then(|it| it.policy);
    let (policy, from, because) = match (case.policy, stored) {
        (Some(given), _) => (given, "Given", format!("it was given; where a pod has none, the default is {default}")),
        (None, Some(stored)) if stored == default => (stored, "Pod", format!("the pod has it, and {by}")),
        (None, Some(stored)) => (stored, "Pod", format!("the pod has it, where the default would be {default}")),
        (None, None) => {
            (default, "Default", format!("{by}; where the admission plugin AlwaysPullImages is on, it is Always"))
        }
    };
    let because = match (from, policy) {
        // The plugin has had its say.
        ("Default", PullPolicy::Always) => by.to_string(),
        _ => because,
    };
    PolicyShape { policy: policy.as_str(), from, because, meaning: policy.sentence() }
}

fn pull_secret(name: &SecretName, seen: &Seen) -> PullSecretShape {
    let (state, detail, registry_credential) = match seen {
        Seen::Missing => ("Missing", Some("it doesn't exist".to_owned()), None),
        Seen::Unseen(why) => ("NotAllowed", Some(why.clone()), None),
        Seen::NoPullSecret { secret_type } => {
            ("NoPullSecret", secret_type.as_ref().map(|it| format!("its type is {it}")), None)
        }
        Seen::NotRead { managed: None } => ("NotRead", Some("add --read-secrets".to_owned()), None),
        Seen::NotRead { managed: Some(managed) } => {
            let open = if managed.registries.is_some() { "" } else { ", which isn't rolled out; add --read-secrets" };
            let detail = format!("managed by RegistryCredential {}{open}", managed.credential);
            ("NotRead", Some(detail), Some(managed.credential.clone()))
        }
        Seen::Unparseable(fault) => ("Unparseable", Some(fault.to_string()), None),
        Seen::Read { logins, .. } => {
            let plural = if logins.len() == 1 { "entry" } else { "entries" };
            ("Read", Some(format!("{} {plural}", logins.len())), None)
        }
    };
    PullSecretShape { name: name.to_string(), state, detail, registry_credential }
}

fn shape(case: &Case, credentials: &Credentials) -> CredentialsShape {
    let named = pull_secrets(case);
    let name = |secret: usize| named.get(secret).map_or("", |(name, _)| name.as_str());
    let (outcome, meaning) = match (credentials.outcome, credentials.tries.first()) {
        (Outcome::Blocked(secret), _) => (
            "Blocked",
            format!(
                "Nothing is pulled: the kubelet can't read Secret {}, and then pulls no image of the pod, public or not.",
                name(secret)
            ),
        ),
        (Outcome::Credentials, Some(first)) => {
            let one = format!("Secret {}'s entry {} is used", name(first.secret), first.entry);
            let order = match credentials.tries.len() {
                1 => one,
                count => format!("{one} first, and the {} after it where the registry refuses it", others(count - 1)),
            };
            let unread =
                if credentials.incomplete { " A Secret that wasn't read may come before or after." } else { "" };
            let never = "The kubelet then never asks anonymously: where the registry refuses what it is given, not even \
                         a public image is pulled.";
            ("Credentials", format!("{order}.{unread} {never}"))
        }
        (Outcome::Anonymous | Outcome::Credentials, _) => (
            "Anonymous",
            "No entry is for the image, so the registry is asked anonymously, which does for a public image only, unless \
             the node has a credential of its own."
                .to_owned(),
        ),
        (Outcome::Unknown, _) => (
            "Unknown",
            "The registry is asked anonymously, unless a Secret that wasn't read has an entry for the image or the node \
             has a credential of its own."
                .to_owned(),
        ),
    };
    let tried = credentials.tries.iter().map(|attempt| TryShape {
        secret: name(attempt.secret).to_owned(),
        entry: attempt.entry.clone(),
        known_by: match attempt.source {
            Source::Data => "Data",
            Source::RegistryCredential => "RegistryCredential",
        },
        expired: attempt.expired,
    });
    CredentialsShape { outcome, meaning, tried: tried.collect(), incomplete: credentials.incomplete }
}

fn others(count: usize) -> String {
    if count == 1 { "other one".to_owned() } else { format!("{count} others") }
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
