//! What the operator does, seen from outside: the built binary under its shipped RBAC, on a real kube-apiserver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod probe;
mod world;

mod adoption;
mod conflict;
mod contested;
mod denied;
mod distribution;
mod orphan;
mod removal;
mod repair;
mod rotation;
mod targets;
mod uninstall;
