//! `regcred plan` on a real API server: what it names is what the operator then does, and it writes nothing itself.

use std::collections::BTreeSet;

use controlplane::{ADMIN, Audit, ControlPlane, Lent, Options, READER, eventually};
use serde_json::{Value, json};

use crate::{
    planned::{SECRETS, Stored, effects, follow, plan, refusals, said, strings},
    world::{self, SOON, World, credential, key, rolled_out},
};

#[test]
fn what_is_planned_is_what_the_operator_then_does() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b", "team-c", "team-d"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
    }
    world.service_account("team-a", "builder", json!({}), &["theirs"]);
    world.service_account("team-c", "builder", json!({}), &["darwin"]);
    world.foreign_secret("team-c", "darwin", "kubernetes.io/dockerconfigjson");
    world.foreign_secret("team-d", "darwin", "Opaque");
    world.settle();
    let ask = |args: &[&str], manifests: &[&Value]| plan(&world.cluster, ADMIN, args, manifests);
    let apply = |manifest: &Value| drop(world.cluster.apply(&manifest.to_string()).unwrap());

    // Creation, with two Secrets in the way; contents are known once the source is read.
    let spec = |more: Value| {
        let mut spec = json!({"namespaces": {"names": ["team-*"]}, "attach": {"serviceAccounts": {"names": ["default", "builder"]}}});
        more.as_object().unwrap().iter().for_each(|(member, value)| spec[member] = value.clone());
        credential("darwin", spec)
    };
    let created = spec(json!({}));
    let (report, code) = ask(&["-f", "FILE"], &[&created]);
    assert_eq!(code, 1, "{report:#}");
    let wanted = [
        "team-a Create Secret darwin",
        "team-a Add darwin in builder",
        "team-a Add darwin in default",
        "team-b Create Secret darwin",
        "team-b Add darwin in default",
    ];
    assert_eq!(effects(&report), strings(&wanted));
    assert_eq!(refusals(&report), strings(&["team-c ForeignSecret", "team-d WrongType"]));
    assert_eq!(
        (&report["registryCredentials"][0]["change"], &report["registryCredentials"][0]["contents"]),
        (&json!("Create"), &json!("NotCompared"))
    );
    let (read, _) = ask(&["-f", "FILE", "--read-source"], &[&created]);
    assert_eq!((effects(&read), &read["registryCredentials"][0]["contents"]), (effects(&report), &json!("Compared")));
    follow(&world, &report, || apply(&created));
    let said =
        [world.wait_failure("darwin", "team-c", "ForeignSecret"), world.wait_failure("darwin", "team-d", "WrongType")];
    let namespaces = report["namespaces"].as_array().unwrap();
    let sentences: Vec<_> = namespaces.iter().filter_map(|it| it["refusals"][0]["message"].as_str()).collect();
    assert_eq!(sentences, said, "the sentences are the status' own");

    // The same again is nothing, but for what is refused; then other registries, and the key file itself.
    let (report, _) = ask(&["-f", "FILE"], &[&created]);
    assert_eq!((effects(&report), refusals(&report).len()), (BTreeSet::new(), 2));
    let changed = spec(json!({"registries": ["gcr.io/darwin/", "eu.gcr.io/darwin/"]}));
    let (report, _) = ask(&["-f", "FILE"], &[&changed]);
    assert_eq!(effects(&report), strings(&["team-a Update Secret darwin", "team-b Update Secret darwin"]));
    follow(&world, &report, || apply(&changed));
    let source = |key: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "regcred-system"},
            "stringData": {"key.json": key},
        })
    };
    let (report, _) = ask(&["-f", "FILE"], &[&source(&key('a'))]);
    assert_eq!(
        (effects(&report), &report["registryCredentials"][0]["contents"]),
        (BTreeSet::new(), &json!("Compared"))
    );
    let (report, _) = ask(&["-f", "FILE"], &[&source(&key('b'))]);
    assert_eq!(effects(&report), strings(&["team-a Update Secret darwin", "team-b Update Secret darwin"]));
    follow(&world, &report, || apply(&source(&key('b'))));
    let (report, code) = ask(&["-f", "FILE"], &[&source("{}")]);
    assert_eq!((effects(&report), code), (BTreeSet::new(), 1));
    assert_eq!(report["registryCredentials"][0]["held"]["reason"], "InvalidKey", "{report:#}");

    // Fewer targets; then all, taking over what can be.
    let narrow = spec(
        json!({"registries": changed["spec"]["registries"], "namespaces": {"names": ["team-a"]}, "attach": {"serviceAccounts": {"names": ["builder"]}}}),
    );
    let (report, code) = ask(&["-f", "FILE"], &[&narrow]);
    let wanted = ["team-a Remove darwin in default", "team-b Delete Secret darwin", "team-b Remove darwin in default"];
    assert_eq!((effects(&report), code), (strings(&wanted), 0));
    follow(&world, &report, || apply(&narrow));
    let adopting = spec(json!({"registries": changed["spec"]["registries"], "conflictPolicy": "Adopt"}));
    let (report, code) = ask(&["-f", "FILE"], &[&adopting]);
    assert_eq!(refusals(&report), strings(&["team-d WrongType"]));
    assert!(effects(&report).contains("team-c Record darwin in builder"), "{report:#}");
    assert_eq!((effects(&report).len(), code), (6, 1), "{report:#}");
    follow(&world, &report, || apply(&adopting));

    // Another one for the same name gets it where the first goes.
    let mut heir = spec(json!({"secretTemplate": {"name": "darwin"}}));
    heir["metadata"]["name"] = json!("other");
    world.wait_older("darwin");
    let (report, code) = ask(&["-f", "FILE"], &[&heir]);
    assert_eq!((effects(&report), code), (BTreeSet::new(), 1));
    assert!(refusals(&report).contains("team-a NameTaken"), "{report:#}");
    follow(&world, &report, || apply(&heir));
    let (report, _) = ask(&["--delete", "darwin"], &[]);
    let shown = effects(&report);
    assert!(
        shown.contains("team-a Update Secret darwin") && shown.contains("team-a Record darwin in builder"),
        "{shown:#?}"
    );
    follow(&world, &report, || world.delete_credential("darwin"));
    let (report, code) = ask(&["--delete", "-f", "FILE"], &[&heir]);
    assert!(effects(&report).contains("team-c Delete Secret darwin"), "{report:#}");
    assert_eq!(code, 0);
    follow(&world, &report, || world.delete_credential("other"));
    assert_eq!(world.managed().unwrap().len(), 0);
}

#[test]
fn what_is_left_to_do_is_planned_while_the_operator_is_down() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b", "team-c"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
    }
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    for name in ["team-a", "team-b", "team-c"] {
        world.wait_entries(name, "default", &["darwin"]);
    }
    world.wait_ready("darwin");
    world.settle();
    let before = Stored::now(&world, &SECRETS);
    let (text, code) = said(&world.cluster, ADMIN, &[], &[]);
    assert!(text.starts_with("nothing to do\nnote: contents not compared for darwin, zz-marker: "), "{text}");
    assert_eq!(code, 0);

    world.operator.stop();
    world.kubectl(&["-n", "team-a", "delete", "secret", "darwin"]);
    world.patch("team-b", "secret/darwin", json!({"stringData": {".dockerconfigjson": "{\"auths\": {}}"}}));
    world.patch("team-c", "serviceaccount/default", json!({"imagePullSecrets": null}));
    world.namespace("team-d", json!({}));
    world.wait_account("team-d", "default");
    let (report, code) = plan(&world.cluster, ADMIN, &["darwin"], &[]);
    let wanted = [
        "team-a Create Secret darwin",
        "team-b Update Secret darwin",
        "team-c Add darwin in default",
        "team-d Create Secret darwin",
        "team-d Add darwin in default",
    ];
    assert_eq!((effects(&report), code), (strings(&wanted), 0));
    assert_eq!(report["namespaces"][1]["secrets"][0]["cause"], "Drift", "{report:#}");
    let (one, _) = plan(&world.cluster, ADMIN, &["-n", "team-d"], &[]);
    assert_eq!((effects(&one), &one["namespace"]), (strings(&wanted[3..]), &json!("team-d")));
    // A rotation that the operator hasn't seen shows only to who reads the source.
    world.source("key", &key('b'));
    let (read, _) = plan(&world.cluster, ADMIN, &["darwin", "--read-source"], &[]);
    let also = ["team-c Update Secret darwin"];
    assert_eq!(effects(&read), strings(&[&wanted[..], &also].concat()));
    world.operator.restart();
    world.operator.wait_ready(SOON);
    eventually(SOON, || {
        let (left, _) = plan(&world.cluster, ADMIN, &["--read-source"], &[]);
        if effects(&left).is_empty() { Ok(()) } else { Err(format!("{left:#}")) }
    });
    // The entry that was taken out of team-c is there again, so it is no difference in the end.
    let changes = before.changes(&Stored::now(&world, &SECRETS));
    let mut planned = effects(&read);
    planned.remove("team-c Add darwin in default");
    planned.remove("team-a Create Secret darwin");
    planned.insert("team-a Update Secret darwin".to_owned());
    assert_eq!(changes, planned);
}

/// A cluster on which no operator runs, with 20 namespaces and a RegistryCredential.
fn furnished() -> (Lent, Value) {
    let cluster = world::cluster(Options { audit: Audit::Metadata, ..Options::default() });
    let names: Vec<String> = (0..20).map(|at| format!("team-{at}")).collect();
    let namespace = |name: &String| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let account = |name: &String| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}});
    let all: Vec<String> =
        names.iter().flat_map(|name| [namespace(name), account(name)]).map(|it| it.to_string()).collect();
    cluster.apply(&all.join("\n---\n")).unwrap();
    let darwin = credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    (cluster, darwin)
}

#[test]
fn it_lists_each_kind_once_in_pages_and_writes_nothing() {
    let (cluster, darwin) = furnished();
    // Enough for a second page.
    let account = |at: usize| {
        let metadata = json!({"name": format!("app-{at}"), "namespace": "team-0"});
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}).to_string()
    };
    let accounts: Vec<String> = (0..500).map(account).collect();
    cluster.kubectl_with_input(&["create", "-f", "-"], &accounts.join("\n---\n")).unwrap();
    let position = cluster.audit_position();
    let (report, code) = plan(&cluster, ADMIN, &["-f", "FILE"], &[&darwin]);
    assert_eq!((effects(&report).len(), code), (40, 0), "{report:#}");
    let asked = |wanted: &[&str]| {
        eventually(SOON, || {
            let log = cluster.audit_log_since(position);
            let asked = log.iter().filter(|entry| entry.user == ADMIN && !entry.resource.is_empty());
            let asked: Vec<_> = asked.map(|it| format!("{} {}/{}", it.verb, it.resource, it.name)).collect();
            let mut sorted = asked.clone();
            sorted.sort();
            if sorted == wanted { Ok(()) } else { Err(format!("{asked:?}")) }
        });
    };
    let lists = [
        "list namespaces/",
        "list registrycredentials/",
        "list secrets/",
        "list secrets/darwin",
        "list serviceaccounts/",
        "list serviceaccounts/",
    ];
    asked(&lists);
    let (report, code) = plan(&cluster, ADMIN, &["-f", "FILE", "--read-source"], &[&darwin]);
    assert_eq!(
        (&report["registryCredentials"][0]["held"]["reason"], code),
        (&json!("SourceNotFound"), 1),
        "{report:#}"
    );
    let mut both = vec!["get secrets/key", "get secrets/root-key"];
    both.extend(lists.iter().chain(lists.iter().filter(|it| **it != "list secrets/darwin")));
    both.sort_unstable();
    asked(&both);
}

#[test]
fn what_the_operator_has_taken_needs_no_flag() {
    let (cluster, _) = furnished();
    let darwin = |more: Value| {
        let mut spec = json!({"namespaces": {"names": ["team-*"]}, "registries": ["registry.example.com/x/"]});
        more.as_object().unwrap().iter().for_each(|(member, value)| spec[member] = value.clone());
        credential("darwin", spec)
    };
    cluster.apply(&darwin(json!({})).to_string()).unwrap();
    let ask = |args: &[&str], manifests: &[&Value]| {
        let (report, code) = plan(&cluster, ADMIN, args, manifests);
        let of = &report["registryCredentials"][0];
        let held = of["held"]["reason"].as_str().unwrap_or("-").to_owned();
        (held, of["contents"].as_str().unwrap_or("-").to_owned(), code, report["notes"].to_string())
    };
    let labelled = darwin(json!({"secretTemplate": {"labels": {"a": "b"}}}));
    let (held, _, code, _) = ask(&["-f", "FILE"], &[&labelled]);
    assert_eq!((held.as_str(), code), ("RegistryNotAllowed", 1), "nothing says that the operator takes it");

    rolled_out(&cluster, "darwin");
    let (held, _, code, _) = ask(&["-f", "FILE"], &[&labelled]);
    assert_eq!((held.as_str(), code), ("-", 0));
    let source = |key: &str| {
        let metadata = json!({"name": "key", "namespace": "regcred-system"});
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "stringData": {"key.json": key}})
    };
    // Without the operator's own Secret it can be said whether a source can be used, and not whether it is another one.
    let (held, contents, code, notes) = ask(&["-f", "FILE"], &[&source(&key('b'))]);
    assert_eq!((held.as_str(), contents.as_str(), code), ("-", "NotCompared", 0));
    assert!(notes.contains("regcred-state/root-key") && notes.contains("count as changed"), "{notes}");
    let (held, _, code, _) = ask(&["-f", "FILE"], &[&source("{}")]);
    assert_eq!((held.as_str(), code), ("InvalidKey", 1));
    let other = darwin(json!({"registries": ["registry.example.com/x/", "other.example.com"]}));
    assert_eq!(ask(&["-f", "FILE"], &[&other]).0, "RegistryNotAllowed");

    // It has found the source, which isn't where one would look for it first.
    let (held, contents, code, notes) = ask(&["darwin", "--read-source"], &[]);
    assert_eq!((held.as_str(), contents.as_str(), code), ("-", "NotCompared", 0), "{notes}");
    assert!(notes.contains("--credential-namespaces"), "{notes}");
    let (held, ..) = ask(&["darwin", "--read-source", "--credential-namespaces=regcred-system"], &[]);
    assert_eq!(held, "SourceNotFound");
}

#[test]
fn rights_in_one_namespace_are_enough_for_that_one() {
    let (cluster, darwin) = furnished();
    let ask = |args: &[&str]| said(&cluster, READER, args, &[&darwin]);
    let (text, code) = ask(&["-f", "FILE"]);
    assert_eq!(code, 2, "{text}");
    let begins = |text: &str, with: &str| assert!(text.starts_with(with), "{text}");
    begins(&text, "regcred: you may not read RegistryCredentials: registrycredentials.regcred.dev is forbidden");

    // With a right on each, a new one taking effect a moment later.
    let bind = |args: &[&str], args2: &[&str]| {
        cluster.kubectl_ok(&[&["create"], args].concat());
        cluster.kubectl_ok(&[&["create"], args2].concat());
    };
    bind(
        &["clusterrole", "creds", "--verb=list", "--resource=registrycredentials.regcred.dev"],
        &["clusterrolebinding", "creds", "--clusterrole=creds", "--user=reader"],
    );
    eventually(SOON, || match ask(&["-f", "FILE"]) {
        (text, 2) if text.starts_with("regcred: you may not read namespaces: ") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    bind(
        &["-n", "team-3", "role", "all", "--verb=get,list", "--resource=secrets,serviceaccounts"],
        &["-n", "team-3", "rolebinding", "all", "--role=all", "--user=reader"],
    );
    let (text, code) = eventually(SOON, || match ask(&["-f", "FILE", "-n", "team-3"]) {
        (text, 2) => Err(text),
        done => Ok(done),
    });
    begins(
        &text,
        "NAMESPACE   ACTION      OBJECT                   DETAIL\nteam-3      Create      Secret darwin            for \
         RegistryCredential darwin\nteam-3      Add entry   ServiceAccount default   darwin of RegistryCredential \
         darwin\n1 Secret to create; 1 entry to add in 1 service account; in 1 namespace\nnote: you may not read namespaces: ",
    );
    assert_eq!(code, 0);
    let (text, code) = ask(&["-f", "FILE", "-n", "team-3", "--read-source"]);
    assert!(
        code == 0
            && text.contains("Secret regcred-system/key, the source of darwin, can't be read: you may not read it"),
        "{text}"
    );
    let (text, code) = ask(&["-f", "FILE", "-n", "team-4"]);
    assert_eq!(code, 2);
    begins(&text, "regcred: you may not read Secrets: ");
}

#[test]
fn what_cannot_be_planned_is_said_in_one_sentence() {
    let (cluster, darwin) = furnished();
    cluster.apply(&darwin.to_string()).unwrap();
    let ask = |args: &[&str], manifest: &Value| said(&cluster, ADMIN, args, &[manifest]);
    let mut refused = darwin.clone();
    refused["spec"]["registries"] = json!(["https://gcr.io/darwin/"]);
    let mut renamed = darwin.clone();
    renamed["spec"]["secretTemplate"] = json!({"name": "another"});
    let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
    for (args, manifest, wanted) in [
        (&["-f", "FILE"][..], &refused, "regcred: FILE:1:"),
        (
            &["-f", "FILE"],
            &renamed,
            "regcred: RegistryCredential darwin: the API server refuses this, as the Secrets' name can't change from darwin to another",
        ),
        (&["-f", "FILE"], &nothing, "regcred: there is no RegistryCredential in FILE; name a file that has one\n"),
        (
            &["nobody"],
            &nothing,
            "regcred: RegistryCredential nobody doesn't exist; kubectl get regcred lists those that do\n",
        ),
        (&["--delete"], &nothing, "regcred: --delete needs to know which: "),
        (&["-n", "gone"], &nothing, "regcred: namespace gone doesn't exist; "),
    ] {
        let (text, code) = ask(args, manifest);
        assert!(code == 2 && text.starts_with(wanted) && text.lines().count() == 1, "{args:?}: {text}");
    }
    let (text, _) = ask(&["-f", "FILE"], &refused);
    assert!(
        text.contains("spec.registries[0]: ") && text.ends_with("; regcred check FILE says all that is wrong\n"),
        "{text}"
    );
    let (server, _) = (cluster.apply(&renamed.to_string()).unwrap_err(), ());
    assert!(server.contains("the Secrets' name can't change"), "the API server takes it: {server}");
}

#[test]
fn before_the_definition_is_installed_all_is_new() {
    let cluster = ControlPlane::start(Options::default());
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}});
    cluster.apply(&account.to_string()).unwrap();
    let darwin = credential("darwin", json!({"namespaces": {"names": ["default"]}}));
    let (report, code) = plan(&cluster, ADMIN, &["-f", "FILE"], &[&darwin]);
    let wanted = strings(&["default Add darwin in default", "default Create Secret darwin"]);
    assert_eq!((effects(&report), code), (wanted, 0), "{report:#}");
    let note = "the API server knows no RegistryCredentials: their definition isn't installed; apply config/crd before the RegistryCredential";
    assert_eq!(report["notes"][0], note);
    let (text, code) = said(&cluster, ADMIN, &[], &[]);
    assert!(code == 2 && text.ends_with("; without them nothing can be said\n"), "{text}");
}
