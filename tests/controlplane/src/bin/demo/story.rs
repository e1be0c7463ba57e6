//! What is shown, in order, and what has to be so afterwards.

use std::collections::BTreeMap;
use std::fs;

use controlplane::throwaway_key;
use serde_json::Value;

use crate::stage::Stage;
use crate::{Failure, Outcome};

type Step = fn(&mut Stage) -> Outcome;

/// Each says in its title what it shows. The last one is left to the user with `--keep`.
pub const STEPS: [(&str, Step); 8] = [
    ("Install regcred: its CRD, the policies that guard it, its namespace and its rights", install),
    (
        "A key and a RegistryCredential: each target namespace gets the Secret, and its service account names it",
        roll_out,
    ),
    ("A namespace that is made afterwards is served, too", later_namespace),
    ("A Secret of that name that somebody made by hand is left alone, and the status says so", refuse),
    ("… until you allow it to be adopted: then it is taken over in place", adopt),
    ("Rotate the key, and wait until the old one may be revoked", rotate),
    ("A broken key is refused, and the Secrets that work stay", refuse_key),
    ("Delete the RegistryCredential: what regcred made or added goes, and nothing else", clean_up),
];

const CREDENTIALS: &str = "kubectl get registrycredentials";
const READY: &str = "kubectl wait --for=condition=Ready registrycredential/darwin";
const SECRETS: &str = "kubectl get secrets -A --field-selector=type=kubernetes.io/dockerconfigjson";
const SERVICE_ACCOUNTS: &str = "kubectl get serviceaccounts -A --field-selector=metadata.name=default \\
    -o 'custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,PULL SECRETS:.imagePullSecrets[*].name'";
const LEGACY_SECRET: &str = "kubectl -n legacy get secret darwin-secret \\
    -o custom-columns=NAME:.metadata.name,UID:.metadata.uid,OWNER:.metadata.ownerReferences[0].name";

fn install(stage: &mut Stage) -> Outcome {
    stage.run("kubectl version")?;
    stage.run("kubectl apply --server-side -k config/crd")?;
    stage.run("kubectl wait --for=condition=Established crd/registrycredentials.regcred.dev")?;
    stage.run("kubectl apply --server-side -k config/policy")?;
    stage.run("kubectl apply --server-side -k config/namespace")?;
    stage.run("kubectl apply --server-side -k config/rbac")?;
    stage.screen.note("There are no nodes here, so regcred runs beside the API server, as its service account and with no other rights.");
    stage.start_controllers()?;
    stage.screen.checked("regcred is ready");
    Ok(())
}

fn roll_out(stage: &mut Stage) -> Outcome {
    stage.run("kubectl create namespace team-a")?;
    stage.run("kubectl create namespace team-b")?;
    stage.run_when(
        || Ok(service_accounts(stage)?.contains_key("team-b")),
        "team-b has no service account",
        r#"kubectl -n team-b patch serviceaccount default -p '{"imagePullSecrets": [{"name": "dockerhub"}]}'"#,
    )?;
    stage.screen.note("key.json was made for this demo and opens nothing; from Google, yours looks the same.");
    write_key(stage, "key.json", "1st-key-of-the-demo")?;
    stage.run("kubectl -n regcred-system create secret generic darwin-gcr-key --from-file=key.json")?;
    stage.run("grep -v '#' config/samples/darwin.yaml")?;
    stage.run("kubectl apply -f config/samples/darwin.yaml")?;
    stage.run(READY)?;
    stage.run(CREDENTIALS)?;
    stage.run(SECRETS)?;
    stage.run(SERVICE_ACCOUNTS)?;
    expect_served(stage, "key.json", &["default", "team-a", "team-b"])?;
    stage.screen.checked("default, team-a and team-b hold the key; team-b's service account still names dockerhub");
    Ok(())
}

fn later_namespace(stage: &mut Stage) -> Outcome {
    stage.run("kubectl create namespace team-c")?;
    let served = || Ok(service_accounts(stage)?.get("team-c").is_some_and(|names| names == "darwin-secret"));
    stage.run_when(served, "team-c isn't served", "kubectl -n team-c get secrets")?;
    stage.run("kubectl -n team-c get serviceaccount default -o jsonpath='{.imagePullSecrets}{\"\\n\"}'")?;
    expect_served(stage, "key.json", &["default", "team-a", "team-b", "team-c"])?;
    stage.screen.checked("team-c has the Secret, and its service account names it");
    Ok(())
}

fn refuse(stage: &mut Stage) -> Outcome {
    stage.run("kubectl create namespace legacy")?;
    stage.run(
        "kubectl -n legacy create secret docker-registry darwin-secret --docker-server=https://gcr.io \\
    --docker-username=_json_key --docker-password=\"$(cat key.json)\"",
    )?;
    stage.run(LEGACY_SECRET)?;
    let by_hand = stage.object("-n legacy secret darwin-secret")?;
    stage.screen.note("Now the namespace gets the label that the RegistryCredential selects by.");
    stage.run("kubectl label namespace legacy images=private")?;
    stage.run("kubectl wait --for=jsonpath='{.status.namespaces.failed}'=1 registrycredential/darwin")?;
    stage.run(CREDENTIALS)?;
    stage.run(
        "kubectl get registrycredential darwin \\
    -o jsonpath='{range .status.failures[*]}{.namespace}: {.reason}: {.message}{\"\\n\"}{end}'",
    )?;
    expect(stage.object("-n legacy secret darwin-secret")? == by_hand, "the Secret made by hand has changed")?;
    expect(
        service_accounts(stage)?.get("legacy").is_some_and(String::is_empty),
        "the service account in legacy names a Secret",
    )?;
    let failures = &stage.object("registrycredential darwin")?["status"]["failures"];
    expect(failures[0]["namespace"] == "legacy", "the status doesn't name legacy")?;
    expect(failures[0]["reason"] == "ForeignSecret", "the status doesn't say ForeignSecret")?;
    expect_served(stage, "key.json", &["default", "team-a", "team-b", "team-c"])?;
    stage.screen.checked("the Secret in legacy is as it was, and all other namespaces are served");
    Ok(())
}

fn adopt(stage: &mut Stage) -> Outcome {
    let by_hand = stage.object("-n legacy secret darwin-secret")?;
    stage.run(r#"kubectl patch registrycredential darwin --type=merge -p '{"spec": {"conflictPolicy": "Adopt"}}'"#)?;
    stage.run(READY)?;
    stage.run(CREDENTIALS)?;
    stage.run(LEGACY_SECRET)?;
    let adopted = stage.object("-n legacy secret darwin-secret")?;
    expect(adopted["metadata"]["uid"] == by_hand["metadata"]["uid"], "the Secret in legacy is another one")?;
    expect(adopted["metadata"]["ownerReferences"][0]["name"] == "darwin", "the Secret in legacy isn't owned")?;
    expect_served(stage, "key.json", &ALL)?;
    stage.screen.checked("it is the same Secret (the same UID), now regcred's, so pods that name it notice nothing");
    Ok(())
}

fn rotate(stage: &mut Stage) -> Outcome {
    stage.run(IDENTITY)?;
    write_key(stage, "new-key.json", "2nd-key-of-the-demo")?;
    put_key(stage, "new-key.json")?;
    wait_for_key(stage)?;
    stage.run(IDENTITY)?;
    stage.run(CREDENTIALS)?;
    expect_identity(stage, "2nd-key-of-the-demo")?;
    expect_served(stage, "new-key.json", &ALL)?;
    stage.screen.checked("all five Secrets hold the new key, so the old one may be revoked");
    Ok(())
}

fn refuse_key(stage: &mut Stage) -> Outcome {
    let before = pull_secrets(stage)?;
    stage.run("head -c 1000 new-key.json > broken.json")?;
    put_key(stage, "broken.json")?;
    stage.run("kubectl wait --for=condition=Stalled registrycredential/darwin")?;
    stage.run(CREDENTIALS)?;
    stage.run(
        "kubectl get registrycredential darwin \\
    -o jsonpath='{.status.conditions[?(@.type==\"CredentialValid\")].message}{\"\\n\"}'",
    )?;
    stage.run(SECRETS)?;
    expect(pull_secrets(stage)? == before, "a Secret has changed")?;
    expect_served(stage, "new-key.json", &ALL)?;
    stage.screen.checked("all five Secrets still hold the last good key, byte for byte");
    put_key(stage, "new-key.json")?;
    wait_for_key(stage)?;
    stage.run(CREDENTIALS)?;
    expect(pull_secrets(stage)? == before, "a Secret was written again with what it held")?;
    stage.screen.checked("with the right key again all is well, and no Secret had to be written");
    Ok(())
}

fn clean_up(stage: &mut Stage) -> Outcome {
    stage.run("kubectl delete registrycredential darwin")?;
    stage.run_when(|| Ok(pull_secrets(stage)?.is_empty()), "there still are Secrets", SECRETS)?;
    let names_it = |(_, names): (String, String)| names.contains("darwin-secret");
    let none = || Ok(!service_accounts(stage)?.into_iter().any(names_it));
    stage.run_when(none, "a service account still names darwin-secret", SERVICE_ACCOUNTS)?;
    let team_b = service_accounts(stage)?.remove("team-b");
    expect(team_b.as_deref() == Some("dockerhub"), "the service account in team-b has lost dockerhub")?;
    stage.run("kubectl -n regcred-system get secrets")?;
    stage.read("kubectl -n regcred-system get secret darwin-gcr-key")?;
    stage.screen.checked("the Secrets and the entries are gone; dockerhub and your source Secret are still there");
    Ok(())
}

/// All namespaces that `config/samples/darwin.yaml` targets, from step 5 on.
const ALL: [&str; 5] = ["default", "legacy", "team-a", "team-b", "team-c"];

const IDENTITY: &str = "kubectl get registrycredential darwin -o jsonpath='{.status.identity.detail}{\"\\n\"}'";

/// Replaces the key in the source Secret.
fn put_key(stage: &Stage, file: &str) -> Outcome {
    stage.run(&format!(
        "kubectl -n regcred-system create secret generic darwin-gcr-key --from-file=key.json={file} \\
    --dry-run=client -o yaml | kubectl replace -f -"
    ))
}

/// First until regcred has seen the key, then until every namespace has it.
fn wait_for_key(stage: &Stage) -> Outcome {
    stage.run(
        "version=$(kubectl -n regcred-system get secret darwin-gcr-key -o jsonpath='{.metadata.resourceVersion}')
kubectl wait --for=jsonpath='{.status.observedSource.resourceVersion}'=$version registrycredential/darwin",
    )?;
    stage.run(READY)
}

fn write_key(stage: &Stage, file: &str, id: &str) -> Outcome {
    let key = throwaway_key("darwin", "puller@darwin.iam.gserviceaccount.com", id);
    fs::write(stage.folder().join(file), format!("{key:#}\n"))
        .map_err(|error| Failure::Wrong(format!("{file} can't be written: {error}")))
}

fn expect(so: bool, otherwise: &str) -> Outcome {
    if so { Ok(()) } else { Err(Failure::Wrong(otherwise.to_owned())) }
}

fn expect_identity(stage: &Stage, id: &str) -> Outcome {
    let found = &stage.object("registrycredential darwin")?["status"]["identity"]["detail"];
    expect(*found == format!("project darwin, key {id}"), &format!("status.identity.detail is {found}"))
}

/// That exactly these namespaces have the key's pull secret (but for the one in `legacy`, until it is adopted) and a
/// service account that names it, and that what others added is still there.
fn expect_served(stage: &Stage, key: &str, namespaces: &[&str]) -> Outcome {
    let key = stage.read(&format!("cat {key}"))?;
    let accounts = service_accounts(stage)?;
    for (namespace, names) in &accounts {
        let wanted = match namespaces.contains(&namespace.as_str()) {
            true if namespace == "team-b" => "dockerhub darwin-secret",
            true => "darwin-secret",
            false => "",
        };
        expect(names == wanted, &format!("the service account in {namespace} names “{names}”, not “{wanted}”"))?;
    }
    for namespace in namespaces {
        expect(accounts.contains_key(*namespace), &format!("{namespace} has no service account"))?;
        let found = password(stage, namespace)?;
        expect(found == key, &format!("the Secret in {namespace} doesn't hold the key"))?;
    }
    Ok(())
}

/// What the kubelet would send to the registry.
fn password(stage: &Stage, namespace: &str) -> Outcome<String> {
    let secret = stage.read(&format!("kubectl -n {namespace} get secret darwin-secret -o json"))?;
    let secret = serde_json::from_str(&secret).map_err(|_| "kubectl printed no JSON".to_owned())?;
    Ok(controlplane::password(&secret)?)
}

/// The names in imagePullSecrets of each namespace's service account `default`.
fn service_accounts(stage: &Stage) -> Outcome<BTreeMap<String, String>> {
    let list = stage.object("serviceaccounts -A --field-selector=metadata.name=default")?;
    let names = |account: &Value| {
        let entries = account["imagePullSecrets"].as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| entry["name"].as_str()).collect::<Vec<_>>().join(" ")
    };
    Ok(items(&list).iter().map(|account| (text(&account["metadata"]["namespace"]), names(account))).collect())
}

/// Namespace and whole content of each pull secret in the cluster.
fn pull_secrets(stage: &Stage) -> Outcome<BTreeMap<String, Value>> {
    let list = stage.object("secrets -A --field-selector=type=kubernetes.io/dockerconfigjson")?;
    Ok(items(&list).iter().map(|secret| (text(&secret["metadata"]["namespace"]), secret.clone())).collect())
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
