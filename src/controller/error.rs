//! What an API server's answer to a write, or to the reading of a Secret, means for us.

use std::time::Duration;

use kube::core::Status;

use crate::{
    api::{Reason, printable},
    cluster::{SourceFailure, gate::NotLeading},
    process::metrics::WriteResult,
};

/// How long a write may take before we count it as failed. The answer may still come: the next plan sees.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a write didn't happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The object isn't the one that we saw: look again, then plan again.
    #[error("the object has changed since it was read")]
    Moved,
    /// The object or its namespace is gone or going: nothing is left to do.
    #[error("the object or its namespace is gone")]
    Gone,
    /// RBAC, a quota or an admission policy refuses it.
    #[error("{0}")]
    Denied(String),
    /// The API server calls it invalid.
    #[error("{0}")]
    Invalid(String),
    /// It happened, and what was written is not what is there.
    #[error("what regcred writes is changed by somebody else at once: a webhook, a policy or another controller")]
    Undone,
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
    /// The API server has too much to do, or its etcd: it may work later, and better where we ask for less at once.
    #[error("{0}")]
    TooBusy(String),
}

impl WriteError {
    /// The reason for statuses.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Denied(_) => Reason::WriteDenied,
            Self::Invalid(_) => Reason::WriteInvalid,
            Self::Moved | Self::Gone | Self::Undone | Self::Unavailable(_) | Self::TooBusy(_) => Reason::WriteFailed,
        }
    }
}

/// Reads a Secret, or says in a sentence why it can't be; `forbidden` where the right is missing.
///
/// # Errors
/// That sentence.
pub async fn of_reading<T>(read: impl Future<Output = Result<T, SourceFailure>>, forbidden: &str) -> Result<T, String> {
    match tokio::time::timeout(WRITE_TIMEOUT, read).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(SourceFailure::Forbidden)) => Err(forbidden.to_owned()),
        Ok(Err(SourceFailure::Answer(why))) => Err(why),
        Ok(Err(SourceFailure::Client(error))) => Err(WriteError::from(error).to_string()),
        Err(_) => Err("the API server didn't answer".to_owned()),
    }
}

/// What a write came to, for the metrics.
pub fn result<T>(written: &Result<T, WriteError>) -> WriteResult {
    match written {
        Ok(_) => WriteResult::Done,
        Err(WriteError::Moved | WriteError::Gone) => WriteResult::Conflict,
        Err(
            WriteError::Denied(_)
            | WriteError::Invalid(_)
            | WriteError::Undone
            | WriteError::Unavailable(_)
            | WriteError::TooBusy(_),
        ) => WriteResult::Failed,
    }
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(*status),
            kube::Error::Service(error) if error.is::<NotLeading>() => Self::Unavailable(error.to_string()),
            kube::Error::HyperError(_) | kube::Error::Service(_) => {
                Self::Unavailable("the API server can't be reached".to_owned())
            }
            // The error's own text may quote an answer.
            _ => Self::Unavailable("the API server's answer can't be understood".to_owned()),
        }
    }
}

impl From<Status> for WriteError {
    fn from(status: Status) -> Self {
        let terminating = status.details.iter().flat_map(|d| &d.causes).any(|c| c.reason == "NamespaceTerminating");
        match status.code {
            _ if is_refused_by_admission(&status.message) => Self::Denied(printable(&status.message)),
            404 => Self::Gone,
            403 if terminating => Self::Gone,
            409 => Self::Moved,
            401 | 403 => Self::Denied(printable(&status.message)),
            400 | 422 => Self::Invalid(printable(&status.message)),
            429 | 500..=599 => Self::TooBusy(format!("{} (HTTP {})", printable(&status.message), status.code)),
            code => Self::Unavailable(format!("{} (HTTP {code})", printable(&status.message))),
        }
    }
}

/// Admission policies and webhooks choose the code of their refusals, 422 by default for policies: only the sentence
/// that the API server wraps round them tells a refusal from an object that is invalid.
fn is_refused_by_admission(message: &str) -> bool {
    message.contains("ValidatingAdmissionPolicy '") && message.contains("' denied request: ")
        || message.contains("admission webhook \"") && message.contains("\" denied the request")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, message: &str) -> WriteError {
        Status { code, message: message.to_owned(), ..Status::default() }.into()
    }

    #[test]
    fn what_admission_refuses_is_denied_whatever_code_it_chooses() {
        let policy =
            "secrets \"darwin\" is forbidden: ValidatingAdmissionPolicy 'seal' with binding 'seal' denied request: no";
        let webhook = "admission webhook \"policy.example.com\" denied the request: no";
        for message in [policy, webhook] {
            for code in [400, 403, 409, 422] {
                assert_eq!(of(code, message), WriteError::Denied(message.to_owned()));
            }
        }
        assert_eq!(of(403, "no such right").reason(), Reason::WriteDenied);
        assert_eq!(of(422, "Secret \"darwin\" is invalid: type").reason(), Reason::WriteInvalid);
        assert_eq!(of(409, "the object has been modified"), WriteError::Moved);
    }
}
