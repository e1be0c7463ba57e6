//! One list in pages, or one object: what is there, or the gap that it leaves.

use kube::{
    Client,
    api::{GetParams, ListParams},
    core::{ObjectList, Request},
};
use serde::de::DeserializeOwned;

use crate::api::printable;

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// How often a list is begun anew where the API server has forgotten in the middle which one it was.
const TRIES: usize = 5;

/// Why what there is of a kind isn't known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which objects, as in `Secrets`.
    pub what: &'static str,
    /// In a word.
    pub cause: Cause,
    /// In a sentence.
    pub why: String,
}

/// Why a list isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The user may not read it.
    Forbidden,
    /// The API server doesn't have the kind.
    NotServed,
}

/// What a list came to.
#[derive(Clone, Debug)]
pub enum Listed<T> {
    /// All that there is, in the API server's order.
    These(Vec<T>),
    /// It isn't known.
    Unknown(Gap),
}

impl<T> Listed<T> {
    /// What is known to be there.
    pub fn items(&self) -> &[T] {
        match self {
            Self::These(items) => items,
            Self::Unknown(_) => &[],
        }
    }

    /// Why it isn't known.
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Self::These(_) => None,
            Self::Unknown(gap) => Some(gap),
        }
    }

    /// What is known to be there, and why the rest isn't.
    pub fn into_parts(self) -> (Vec<T>, Option<Gap>) {
        match self {
            Self::These(items) => (items, None),
            Self::Unknown(gap) => (Vec::new(), Some(gap)),
        }
    }
}

/// What to ask for.
pub struct List {
    /// What it is called in a sentence.
    pub what: &'static str,
    /// The URL's path.
    pub path: String,
    /// The selectors.
    pub params: ListParams,
    /// Whether the API server is asked to leave out all but the metadata.
    pub metadata_only: bool,
}

impl List {
    /// All pages; `tell` hears how many objects each has.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer.
    pub async fn all<K>(&self, client: &Client, tell: impl Fn(usize)) -> Result<Listed<K>, String>
    where
        K: Clone + DeserializeOwned,
    {
        for _ in 0..TRIES {
            match self.once(client, &tell).await {
                Ok(items) => return Ok(Listed::These(items)),
                // The page that follows is gone with the version of the list that it belongs to.
                Err(kube::Error::Api(status)) if status.code == 410 => {}
                Err(error) => return gap(self.what, error).map(Listed::Unknown),
            }
        }
        Err(format!("the {} can't be listed: they are forgotten faster than they can be read; try again", self.what))
    }

    async fn once<K>(&self, client: &Client, tell: &impl Fn(usize)) -> kube::Result<Vec<K>>
    where
        K: Clone + DeserializeOwned,
    {
        let mut params = ListParams { limit: Some(PAGE), ..self.params.clone() };
        let mut items = Vec::new();
        loop {
            let request = Request::new(&self.path);
            let request = if self.metadata_only { request.list_metadata(&params) } else { request.list(&params) };
            let page: ObjectList<K> = client.request(request.map_err(kube::Error::BuildRequest)?).await?;
            tell(page.items.len());
            items.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(items);
            }
        }
    }
}

/// The metadata of the one object of this name below a path, as a list.
///
/// # Errors
/// A sentence, where there is none, or the API server can't answer.
pub async fn one<K>(client: &Client, path: &str, name: &str) -> Result<Listed<K>, String>
where
    K: Clone + DeserializeOwned,
{
    let request = Request::new(path).get_metadata(name, &GetParams::default());
    let request = request.map_err(|_| format!("{name:?} can't be the name of a namespace"))?;
    match client.request(request).await {
        Ok(object) => Ok(Listed::These(vec![object])),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Err(format!("namespace {name} doesn't exist; name another one, or leave --namespace out"))
        }
        Err(error) => gap("namespaces", error).map(Listed::Unknown),
    }
}

/// A refusal is a gap; anything else is an error.
fn gap(what: &'static str, error: kube::Error) -> Result<Gap, String> {
    match error {
        kube::Error::Api(status) if status.code == 403 => Ok(Gap {
            what,
            cause: Cause::Forbidden,
            why: format!("you may not read {what}: {}", printable(&status.message)),
        }),
        kube::Error::Api(status) if status.code == 404 => Ok(Gap {
            what,
            cause: Cause::NotServed,
            why: format!("the API server knows no {what}: their definition isn't installed"),
        }),
        kube::Error::Api(status) if status.code == 401 => {
            Err("the API server doesn't know you; log in again".to_owned())
        }
        kube::Error::Api(status) => Err(format!("the {what} can't be listed: {}", printable(&status.message))),
        // The error's own text may quote an answer.
        kube::Error::SerdeError(_) => {
            Err(format!("the {what} can't be listed: the API server's answer can't be understood"))
        }
        error => Err(format!("the {what} can't be listed: {error}")),
    }
}
