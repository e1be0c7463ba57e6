//! The pull secret that a credential resolves to: once per change, the same for every namespace.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    docker_config::DockerConfig,
    revision::{Revision, RevisionKey},
};
use crate::api::SecretName;

/// How many letters and digits in a row make a quotation of the credential.
const QUOTED_BYTES: usize = 16;

/// What every target namespace gets.
pub struct PullSecret {
    name: SecretName,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    revision: Revision,
    encoded: Zeroizing<String>,
    expires_at: Option<Timestamp>,
}

impl PullSecret {
    /// Labels and annotations are the template's; regcred's own are added where the Secret is applied.
    pub fn new(
        name: SecretName,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        config: &DockerConfig,
        expires_at: Option<Timestamp>,
        key: &RevisionKey,
    ) -> Self {
        Self {
            revision: Revision::new(key, config, &name, &labels, &annotations),
            encoded: Zeroizing::new(BASE64_STANDARD.encode(config.expose_bytes())),
            name,
            labels,
            annotations,
            expires_at,
        }
    }

    /// The Secrets' name.
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    /// The template's labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// The template's annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The fingerprint of all the above and of the data.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The docker config in base64, as the API has it.
    pub fn expose_encoded(&self) -> &str {
        &self.encoded
    }

    /// Whether a text, such as an admission webhook's refusal, repeats a part of the credential: 16 letters or digits in
    /// a row that stand so in a login, in the docker config or in the base64 of either. A text may hold up to 15 of them; a
    /// registry's name or an address, which have a dot or a hyphen sooner, don't count.
    pub fn is_quoted_in(&self, text: &str) -> bool {
        let quoted: HashSet<&[u8]> = runs(text.as_bytes()).collect();
        let quotes = |bytes: &[u8]| runs(bytes).any(|run| quoted.contains(run));
        let decoded = |base64: &[u8]| {
            let mut bytes = Zeroizing::new(Vec::with_capacity(base64.len()));
            BASE64_STANDARD.decode_vec(base64, &mut bytes).ok().map(|()| bytes)
        };
        let Some(config) = decoded(self.encoded.as_bytes()) else { return true };
        // What stands between quotation marks and isn't base64 is a name.
        let mut logins = config.split(|byte| *byte == b'"').filter_map(decoded);
        quotes(self.encoded.as_bytes()) || quotes(&config) || logins.any(|login| quotes(&login))
    }

    /// When the credential stops working; `None` for one that doesn't by itself, as a key.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// Every stretch of so many letters and digits.
fn runs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.windows(QUOTED_BYTES).filter(|run| run.iter().all(u8::is_ascii_alphanumeric))
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecret")
            .field("name", &self.name)
            .field("revision", &self.revision)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{
        registry::RegistryKey,
        testing::{KEY_A, one_login, resolved, revision_key, spec},
    };
    use std::collections::BTreeSet;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn map(pairs: Pairs<'_>) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn secret(password: &str, name: &str, labels: Pairs<'_>, annotations: Pairs<'_>) -> PullSecret {
        let registry = [RegistryKey::parse("gcr.io").unwrap()];
        let config = one_login(&registry, password).unwrap();
        PullSecret::new(name.into(), map(labels), map(annotations), &config, None, &revision_key())
    }

    #[test]
    fn the_revision_changes_with_every_part() {
        let all = [
            secret("pw", "name", &[], &[]),
            secret("pw2", "name", &[], &[]),
            secret("pw", "name2", &[], &[]),
            secret("pw", "name", &[("a", "b")], &[]),
            secret("pw", "name", &[], &[("a", "b")]),
            secret("pw", "name", &[("ab", "")], &[]),
            secret("pw", "name", &[("", "ab")], &[]),
            secret("pw", "name", &[("a", "b"), ("c", "d")], &[]),
            secret("pw", "name", &[("a", "b")], &[("c", "d")]),
        ];
        let revisions: BTreeSet<&Revision> = all.iter().map(PullSecret::revision).collect();
        assert_eq!(revisions.len(), all.len());
        assert_eq!(secret("pw", "name", &[], &[]).revision(), all[0].revision());
    }

    #[test]
    fn it_gives_back_what_it_was_made_of() {
        let soon = Timestamp::from_second(1_800_000_000).unwrap();
        let registry = [RegistryKey::parse("gcr.io").unwrap()];
        let config = one_login(&registry, "pw").unwrap();
        let secret =
            PullSecret::new("n".into(), map(&[("l", "1")]), map(&[("a", "2")]), &config, Some(soon), &revision_key());
        assert_eq!(secret.name().as_str(), "n");
        assert_eq!(secret.labels(), &map(&[("l", "1")]));
        assert_eq!(secret.annotations(), &map(&[("a", "2")]));
        assert_eq!(secret.expires_at(), Some(soon));
        let decoded = BASE64_STANDARD.decode(secret.expose_encoded()).unwrap();
        assert_eq!(decoded, config.expose_bytes());
    }

    #[test]
    fn a_text_that_quotes_the_credential_is_known() {
        let secret = secret("-abcdefghijklmnopq-rs/tu-", "name", &[], &[]);
        let auth = BASE64_STANDARD.encode("_json_key:-abcdefghijklmnopq-rs/tu-");
        let quotes = |text: &str| secret.is_quoted_in(text);
        assert!(quotes("denied: \\nabcdefghijklmnopxyz"));
        assert!(quotes("bcdefghijklmnopq"));
        assert!(!quotes("abcdefghijklmno, bcdefghijklmnop"), "15 in a row");
        assert!(!quotes("ABCDEFGHIJKLMNOPQRS"));
        assert!(quotes(&format!("data: {}", &secret.expose_encoded()[8..24])), "its base64");
        assert!(quotes(&format!("auth: {}", &auth[8..24])), "the login's base64");
        assert!(!quotes(""));
    }

    #[test]
    fn naming_registries_and_the_account_is_not_quoting() {
        let secret = resolved("darwin", &spec(&["gcr.io/darwin/", "europe-docker.pkg.dev/darwin/images/"]));
        let text = "gcr.io/darwin/ europe-docker.pkg.dev/darwin/images/ puller@darwin.iam.gserviceaccount.com dockerconfigjson";
        assert!(!secret.is_quoted_in(text));
        let key: String = KEY_A.chars().skip(600).take(64).collect();
        assert!(secret.is_quoted_in(&key));
    }

    #[test]
    fn debug_shows_no_data() {
        let secret = secret("pw-pw-pw-pw", "name", &[], &[]);
        let shown = format!("{secret:?}");
        assert!(shown.contains("name") && shown.contains("v2:"));
        assert!(!shown.contains("pw-pw") && !shown.contains(&secret.expose_encoded()[..8]));
    }
}
