//! Lists in pages against an API server of the tests' own.

use std::sync::{Arc, Mutex};

use http::{Request, Response, header::ACCEPT};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::*;

/// Requests, as `PATH QUERY`.
type Asked = Arc<Mutex<Vec<String>>>;

/// Answers by the number of requests before, and the request.
fn client(answer: impl Fn(usize, &str) -> (u16, Value) + Send + Sync + 'static) -> (Client, Asked) {
    let asked = Asked::default();
    let (answer, kept) = (Arc::new(answer), asked.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let metadata = request.headers().get(ACCEPT).is_some_and(|a| a.to_str().unwrap().contains("PartialObject"));
        let query = request.uri().query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
        let path = [request.uri().path(), &query.collect::<Vec<_>>().join("&")].join(" ").trim_end().to_owned();
        let mut kept = kept.lock().unwrap();
        let (code, body) = answer(kept.len(), &path);
        kept.push(format!("{}{path}", if metadata { "metadata of " } else { "" }));
        let answer = Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap();
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    (Client::new(service, "default"), asked)
}

fn page(names: &[&str], next: &str) -> (u16, Value) {
    let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name, "namespace": "a"}})).collect();
    (200, json!({"metadata": {"continue": next, "resourceVersion": "7"}, "items": items}))
}

fn refusal(code: u16, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": ""}),
    )
}

fn names<T>(listed: &Listed<Observed<T>>) -> Vec<&str> {
    listed.items().iter().map(|seen| seen.name.as_str()).collect()
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_begun_anew_where_a_page_is_gone() {
    let (client, asked) = client(|before, _| match before {
        0 => page(&["x", "y"], "two"),
        1 => refusal(410, "The provided continue parameter is too old"),
        2 => page(&["x", "z"], "three"),
        _ => page(&["last"], ""),
    });
    let lister = Lister::new(client, Scope::All);
    assert_eq!(names(&lister.service_accounts().await.unwrap()), ["x", "z", "last"]);
    let path = "/api/v1/serviceaccounts limit=500";
    let next = |token: &str| format!("{path}&continue={token}");
    assert_eq!(*asked.lock().unwrap(), [path.to_owned(), next("two"), path.to_owned(), next("three")]);
}

#[tokio::test]
async fn a_list_that_is_forgotten_again_and_again_is_given_up() {
    let (client, _) = client(|before, _| if before % 2 == 0 { page(&["x"], "next") } else { refusal(410, "too old") });
    let said = Lister::new(client, Scope::All).service_accounts().await.unwrap_err();
    assert_eq!(
        said,
        "the service accounts can't be listed: they are forgotten faster than they can be read; try again"
    );
}

#[tokio::test]
async fn what_is_forbidden_or_not_served_is_a_gap_and_what_fails_is_an_error() {
    let (client, _) = client(|_, path| match path {
        path if path.contains("/secrets") => refusal(403, "secrets is forbidden"),
        path if path.contains("registrycredentials") => {
            refusal(404, "the server could not find the requested resource")
        }
        path if path.contains("serviceaccounts") => refusal(500, "etcd"),
        _ => refusal(401, "Unauthorized"),
    });
    let lister = Lister::new(client, Scope::All);
    let secrets = lister.pull_secrets(&ManagedNames::Any).await.unwrap();
    assert_eq!(
        (names(&secrets).len(), secrets.gap().map(|gap| gap.why.as_str())),
        (0, Some("you may not read Secrets: secrets is forbidden"))
    );
    let credentials = lister.registry_credentials().await.unwrap();
    let why = "the API server knows no RegistryCredentials: their definition isn't installed";
    assert_eq!(credentials.gap().map(|gap| gap.why.as_str()), Some(why));
    assert_eq!(lister.service_accounts().await.unwrap_err(), "the service accounts can't be listed: etcd");
    assert_eq!(lister.namespaces().await.unwrap_err(), "the API server doesn't know you; log in again");
}

#[tokio::test]
async fn one_namespace_is_asked_for_by_its_name_and_lists_are_of_it_alone() {
    let (client, asked) = client(|_, path| match path {
        path if path.contains("gone") => refusal(404, "namespaces \"gone\" not found"),
        "/api/v1/namespaces/team-a" => (200, json!({"metadata": {"name": "team-a", "labels": {"a": "b"}}})),
        _ => page(&["pull"], ""),
    });
    let lister = Lister::new(client.clone(), Scope::Namespace("team-a".to_owned()));
    assert_eq!(names(&lister.namespaces().await.unwrap()), ["team-a"]);
    lister.pull_secrets(&ManagedNames::Any).await.unwrap();
    let only: ManagedNames = ["one", "two"].map(SecretName::from).into_iter().collect();
    assert_eq!(names(&lister.pull_secrets(&only).await.unwrap()), ["pull", "pull"]);
    let other = lister.secrets_of_other_types([&"one".into()]).await.unwrap();
    assert!(other.items().iter().all(|seen| seen.object.wrong_type), "{other:?}");
    lister.registry_credentials().await.unwrap();
    let path = "metadata of /api/v1/namespaces/team-a";
    let of = |selector: &str| format!("{path}/secrets fieldSelector={selector}&limit=500");
    let typed = "type%3Dkubernetes.io%2Fdockerconfigjson";
    assert_eq!(
        *asked.lock().unwrap(),
        [
            path.to_owned(),
            of(typed),
            of(&format!("metadata.name%3Done%2C{typed}")),
            of(&format!("metadata.name%3Dtwo%2C{typed}")),
            of(&format!("metadata.name%3Done%2C{}", typed.replace("%3D", "%21%3D"))),
            "/apis/regcred.dev/v1alpha1/registrycredentials limit=500".to_owned(),
        ]
    );
    let gone = Lister::new(client, Scope::Namespace("gone".to_owned())).namespaces().await.unwrap_err();
    assert_eq!(gone, "namespace gone doesn't exist; name another one, or leave --namespace out");
}
