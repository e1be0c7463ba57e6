//! What the operator does, seen from outside: the built binary under its shipped RBAC, on a real kube-apiserver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod evidence;
mod fault_proxy;
mod probe;
mod world;

mod adoption;
mod bad_input;
mod busy;
mod conflict;
mod contested;
mod crd;
mod denied;
mod distribution;
mod docker_config;
mod held;
mod metrics;
mod orphan;
mod outage;
mod proxy;
mod removal;
mod repair;
mod restart;
mod rotation;
mod stuck_pods;
mod targets;
mod uninstall;
