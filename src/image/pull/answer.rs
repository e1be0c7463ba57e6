//! What a registry has answered, by the kubelet's message. The message itself may quote anything, so it isn't passed on.

use std::fmt;

/// Why an image couldn't be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 401: no credential, or one that the registry doesn't take.
    Unauthorized,
    /// 403: a credential that may not read the image.
    Forbidden,
    /// 404: no such image, or none that this credential may know of.
    NotFound,
    /// 429: too many pulls.
    TooMany,
    /// The registry couldn't be reached.
    Network,
    /// Something else.
    Other,
}

/// What containerd and CRI-O write, in the order in which it is looked for: the texts of 401 and 403 speak of images that
/// may not exist, too.
const SIGNS: [(Answer, &[&str]); 5] = [
    (Answer::TooMany, &["429 too many", "toomanyrequests"]),
    (
        Answer::Unauthorized,
        &[
            "401 unauthorized",
            "unauthorized:",
            "authentication required",
            "failed to authorize",
            "authorization failed",
            "invalid username/password",
        ],
    ),
    (Answer::Forbidden, &["403 forbidden", "denied:", "access denied", "access forbidden"]),
    (Answer::NotFound, &["404 not found", "not found", "manifest unknown", "name unknown"]),
    (
        Answer::Network,
        &[
            "no such host",
            "connection refused",
            "connection reset",
            "i/o timeout",
            "deadline exceeded",
            "network is unreachable",
            "no route to host",
            "x509:",
            "tls:",
            "registry is unavailable",
            "server gave http",
            ": eof",
        ],
    ),
];

impl Answer {
    /// The answer that a container's `state.waiting.message` tells of.
    pub fn of(message: &str) -> Self {
        let message = message.to_lowercase();
        let found = SIGNS.iter().find(|(_, signs)| signs.iter().any(|sign| message.contains(sign)));
        found.map_or(Self::Other, |(answer, _)| *answer)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthorized => "the registry wants a login that it takes (401)",
            Self::Forbidden => "the registry refuses the image to whoever asked (403)",
            Self::NotFound => "the registry has no such image, or none that this login may know of (404)",
            Self::TooMany => "the registry has had too many pulls from this address or login (429)",
            Self::Network => "the registry can't be reached, or its certificate isn't trusted",
            Self::Other => "the registry or the container runtime has given another reason",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (message, answer) in [
            (
                "Back-off pulling image \"gcr.io/a/b:1\": ErrImagePull: failed to pull and unpack image \"gcr.io/a/b:1\": failed to resolve reference \"gcr.io/a/b:1\": failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://gcr.io/token: 401 Unauthorized",
                Answer::Unauthorized,
            ),
            (
                "failed to pull and unpack image \"docker.io/a/b:1\": failed to resolve reference \"docker.io/a/b:1\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
                Answer::Unauthorized,
            ),
            (
                "failed to resolve reference \"gcr.io/a/b:1\": unexpected status from HEAD request to https://gcr.io/v2/a/b/manifests/1: 403 Forbidden",
                Answer::Forbidden,
            ),
            (
                "reading manifest 1 in gcr.io/a/b: denied: Permission \"artifactregistry.repositories.downloadArtifacts\" denied",
                Answer::Forbidden,
            ),
            (
                "rpc error: code = NotFound desc = failed to resolve reference \"gcr.io/a/b:1\": gcr.io/a/b:1: not found",
                Answer::NotFound,
            ),
            ("reading manifest 1 in gcr.io/a/b: manifest unknown", Answer::NotFound),
            (
                "failed to do request: Head \"https://r.example/v2/\": dial tcp: lookup r.example: no such host",
                Answer::Network,
            ),
            (
                "failed to do request: Head \"https://r.example/v2/\": tls: failed to verify certificate: x509: unknown authority",
                Answer::Network,
            ),
            ("toomanyrequests: You have reached your pull rate limit", Answer::TooMany),
            ("failed to extract layer: no space left on device", Answer::Other),
            ("", Answer::Other),
        ] {
            assert_eq!(Answer::of(message), answer, "{message}");
            assert!(!answer.to_string().is_empty());
        }
    }

    /// tests/e2e/cases/answers.rs has them said, with PRINT_ANSWERS=1 it prints them.
    #[test]
    fn what_a_real_kubelet_said_is_told_apart() {
        let recorded: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/image/answers.json")).unwrap();
        let messages = recorded["messages"].as_object().unwrap();
        assert_eq!(messages.len(), 9);
        for (name, said) in messages {
            for reason in ["ErrImagePull", "ImagePullBackOff"] {
                let answer = Answer::of(said[reason].as_str().unwrap());
                assert_eq!(format!("{answer:?}"), said["answer"].as_str().unwrap(), "{name}, {reason}");
            }
        }
    }
}
