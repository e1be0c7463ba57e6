//! regcred: a Kubernetes operator that manages registry pull secrets.
//!
//! From the top down; a room imports only from those below it, which `tests/structure.rs` checks:
//!
//! - [`cli`]: the commands, among them `run`, which is the operator.
//! - [`leader`]: which replica writes.
//! - [`controller`]: IO; watches fill the caches, and queues of credentials, namespaces and statuses are worked off.
//! - [`cluster`]: IO; the API server: how it is reached, the gate that writes pass, and the cache of what it has told.
//! - [`progress`]: pure; the outcomes of namespaces → statuses.
//! - [`plan`]: pure; what is desired and what is there in one namespace → the steps to take.
//! - [`credential`]: pure; a source Secret's bytes → a pull secret, and the body that is applied.
//! - [`image`]: pure; image references, docker configs, and which logins the kubelet tries for a pod.
//! - [`api`]: the custom resource, its rules, reasons and status; names of Kubernetes objects.
//! - [`process`]: the HTTP server, metrics and logs; text, maps and JSON for what is cached or secret.

pub mod api;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod credential;
pub mod image;
pub mod leader;
pub mod plan;
pub mod process;
pub mod progress;
