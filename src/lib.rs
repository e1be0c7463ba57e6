//! regcred: a Kubernetes operator that manages registry pull secrets.

pub mod api;
pub mod catalog;
pub mod credential;
pub mod index;
pub mod names;
pub mod plan;
pub mod rollout;
