//! PURE: the outcomes of namespaces → what `kubectl get` says.

mod blind;
mod ledger;
mod status;
mod tally;

pub use blind::blind;
pub use ledger::{Failure, Ledger, Outcome, Summary};
pub use status::{Report, State, build};
pub use tally::{Stuck, Tally};
