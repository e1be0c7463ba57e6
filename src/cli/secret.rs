//! A Secret as the API server sends it → what is known of it as a pull secret.

use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    credential::SourceSecret,
    image::{
        docker_logins::{self, ConfigFormat},
        pull::Seen,
    },
};

/// A whole Secret, with its data; `None` if it isn't one.
pub fn read(body: &[u8]) -> Option<Seen> {
    let secret = SourceSecret::from_json(body).ok()?;
    let object: Object = serde_json::from_slice(body).ok()?;
    let no_pull_secret = || Seen::NoPullSecret { secret_type: Some(secret.secret_type().to_owned()) };
    let Some(format) = ConfigFormat::of_type(secret.secret_type()) else { return Some(no_pull_secret()) };
    let config = secret.get(format.key()).unwrap_or_default();
    if config.is_empty() {
        return Some(no_pull_secret());
    }
    Some(match docker_logins::read(format, config) {
        Ok(logins) => Seen::Read { logins, written: object.metadata.written() },
        Err(fault) => Seen::Unparseable(fault),
    })
}

/// A Secret without its data.
#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

/// What of its metadata matters here. Annotations are left out: `kubectl apply` leaves a copy of the data there.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    creation_timestamp: Option<String>,
    managed_fields: Vec<Manager>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manager {
    time: Option<String>,
    #[serde(default)]
    fields_v1: Fields,
}

#[derive(Default, Deserialize)]
struct Fields {
    #[serde(rename = "f:data")]
    data: Option<IgnoredAny>,
}

impl Metadata {
    /// When the data was written last, or when the Secret was made.
    fn written(&self) -> Option<i64> {
        let writers = self.managed_fields.iter().filter(|manager| manager.fields_v1.data.is_some());
        let times = writers.filter_map(|manager| manager.time.as_deref());
        let second = |time: &str| Some(time.parse::<Timestamp>().ok()?.as_second());
        times.filter_map(second).max().or_else(|| second(self.creation_timestamp.as_deref()?))
    }
}
