//! PURE: the outcomes of namespaces → what `kubectl get` says.

mod blind;
mod rollout;
mod status;
mod stuck_counts;

pub use blind::blind;
pub use rollout::{Failure, Outcome, RolloutProgress, Summary};
pub use status::{Report, Resolution, build};
pub use stuck_counts::{Stuck, StuckCounts};
