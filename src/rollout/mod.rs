//! PURE: the outcomes of namespaces → what `kubectl get` says.

mod ledger;
mod status;

pub use ledger::{Failure, Ledger, Outcome, Summary};
pub use status::{Hold, Report, State, build};
