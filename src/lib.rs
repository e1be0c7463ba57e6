//! regcred: a Kubernetes operator that manages registry pull secrets.

pub mod api;
pub mod credential;
pub mod names;
