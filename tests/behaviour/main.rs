//! What the operator does, seen from outside: the built binary under its shipped RBAC, on a real kube-apiserver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod every_kind;
mod evidence;
mod planned;
mod policies;
mod probe;
mod scope;
mod wire;
mod world;

mod adoption;
mod at_creation;
mod at_creation_rules;
mod audit;
mod bad_input;
mod busy;
mod chart;
mod check;
mod conflict;
mod contested;
mod crd;
mod denied;
mod distribution;
mod docker_config;
mod existing_secret;
mod explain;
mod fence;
mod health;
mod held;
mod helm;
mod kinds;
mod leader;
mod metrics;
mod monitoring;
mod orphan;
mod outage;
mod plan;
mod proxy;
mod pull_policy;
mod refused;
mod relocate;
mod removal;
mod repair;
mod restart;
mod root_key;
mod rotation;
mod samples;
mod scoped;
mod spoofing;
mod stuck_pods;
mod targets;
mod uninstall;
