//! What the operator does, seen from outside: the built binary under its shipped RBAC, on a real kube-apiserver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod evidence;
mod fault_proxy;
mod world;

mod bad_input;
mod crd;
mod distribution;
mod docker_config;
mod held;
mod metrics;
mod outage;
mod proxy;
mod restart;
