//! The order of the operator's writes, which no end state tells: at the moment at which it asks for one, what has to come
//! before must have come.

use std::sync::{Arc, Mutex};

use controlplane::Request;
use jiff::Timestamp;
use serde_json::Value;

use crate::people::{People, within};

/// Looks at each write before the API server gets it, and collects what is wrong.
pub struct Order {
    people: Arc<People>,
    wrong: Arc<Mutex<Vec<Early>>>,
}

/// What the operator asked for too early.
#[derive(Clone, Debug)]
pub enum Early {
    /// An entry for a Secret that isn't there at that time. It may have been, a moment ago.
    Entry { namespace: String, secret: String, at: Timestamp },
    /// The deletion of a Secret that this service account still names.
    Deletion(String),
}

impl Order {
    pub fn new(people: &Arc<People>, wrong: &Arc<Mutex<Vec<Early>>>) -> Order {
        Order { people: people.clone(), wrong: wrong.clone() }
    }

    pub fn look(&self, request: &Request) {
        let path: Vec<&str> = request.path().trim_start_matches('/').split('/').collect();
        let ["api", "v1", "namespaces", namespace, kind, name] = path[..] else { return };
        let early = match (request.method.as_str(), kind) {
            ("PATCH", "serviceaccounts") => self.entries(namespace, &request.json()),
            ("DELETE", "secrets") => self.deletion(namespace, name),
            _ => return,
        };
        self.wrong.lock().unwrap().extend(early);
    }

    fn entries(&self, namespace: &str, patch: &Value) -> Vec<Early> {
        let operations = patch.as_array().into_iter().flatten();
        let added = operations.filter(|o| o["op"] == "add" && is_list(&o["path"])).map(|o| o["value"].clone());
        let entries = added.flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value]));
        let names = entries.filter_map(|entry| entry["name"].as_str().map(str::to_owned));
        let absent = names.filter(|name| self.people.try_get(&within(namespace, "secrets"), name) == Some(Err(404)));
        absent.map(|secret| Early::Entry { namespace: namespace.to_owned(), secret, at: Timestamp::now() }).collect()
    }

    fn deletion(&self, namespace: &str, secret: &str) -> Vec<Early> {
        let accounts = self.people.try_list(&within(namespace, "serviceaccounts"));
        let annotation = format!("added.regcred.dev/{secret}");
        let named = accounts.into_iter().filter(|account| account["metadata"]["annotations"][&annotation].is_string());
        let account = |account: &Value| account["metadata"]["name"].as_str().unwrap().to_owned();
        let tell = |account| format!("{account} still names Secret {namespace}/{secret}");
        named.map(|named| Early::Deletion(tell(account(&named)))).collect()
    }
}

fn is_list(path: &Value) -> bool {
    path.as_str().is_some_and(|path| path.starts_with("/imagePullSecrets"))
}
