//! PURE: what is wanted and what is there → what to do. No client, no clock, no await.
//!
//! [`plan`] looks at one namespace and returns the steps that are right *now*; whoever executes them observes again
//! and plans again until nothing is left to do. So no step rests on a prediction: an entry is planned only once our
//! Secret has been seen, and a Secret's deletion only once its entries are gone. A crash between any two steps loses
//! nothing, as the next plan starts from what is there.

mod absence_tracker;
mod assess;
pub mod catalog;
mod decision;
pub mod decoded;
mod desired;
mod forecast;
pub mod managed_names;
mod observed;
mod patch;
#[cfg(test)]
mod proof;
mod recreate_backoff;
mod refusal;
mod removal_tracker;
mod steps;
mod stuck_pods;
mod targets;
#[cfg(test)]
mod tests;
mod waiting_pods;
mod write;

pub use absence_tracker::{AbsenceTracker, LongAbsent};
pub use assess::{Progress, SecretProgress, absent, assess};
pub use desired::{Desired, DesiredState, Maker, Scope, StuckRule};
pub use forecast::{Effect, Forecast, RefFate, SecretFate, UpdateCause, forecast};
pub use observed::{
    Annotations, ListWriter, Namespace, OtherOwners, Pod, ResourceVersion, Second, Secret, ServiceAccount,
    WriteOperation,
};
pub use patch::{Change, json_patch};
pub use recreate_backoff::RecreateBackoff;
pub use refusal::Refusal;
pub use removal_tracker::{Contested, RemovalTracker};
pub use steps::{Step, plan};
pub use stuck_pods::{is_stuck, ref_made, stuck};
pub use targets::{NamespaceRule, ServiceAccountRule};
pub use waiting_pods::{EvictionLimiter, WaitingPods};
pub use write::Write;
