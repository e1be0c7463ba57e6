//! regcred: a Kubernetes operator that manages registry pull secrets.
//!
//! The data's way through the modules, from the ground up:
//!
//! - [`text`], [`small_map`]: how what is cached stays small.
//! - [`printable`]: text of others, made fit to be shown.
//! - [`names`]: names of Kubernetes objects as types.
//! - [`image`]: pure; what an image reference names, when it is pulled, and which entries of docker configs are for it.
//! - [`api`]: the custom resource, its rules, reasons and status.
//! - [`credential`]: pure; a source Secret's bytes → a pull secret, and the body that is applied.
//! - [`pull`]: pure; an image and the pull secrets of a pod → which credentials the kubelet tries, in which order.
//! - [`managed_names`]: which Secret names may be managed.
//! - [`plan`]: pure; what is wanted and what is there in one namespace → the steps to take.
//! - [`catalog`]: all RegistryCredentials, each with its claim and its pull secret.
//! - [`observe`]: the API server's objects → what a plan looks at; nothing else of them is decoded.
//! - [`index`]: what the watches have told, by namespace.
//! - [`rollout`]: pure; the outcomes of namespaces → statuses.
//! - [`wish`]: pure; a RegistryCredential → what it wants, or why nothing may be written for it.
//! - [`gate`]: lets writes onto the wire only while this replica leads.
//! - [`controller`]: IO; watches fill the index and the catalog, a queue of namespaces is planned and written.
//! - [`leader`]: IO; which of the replicas writes.
//! - [`cli`]: the commands of the binary, with what they share.
//! - [`metrics`], [`server`], [`telemetry`], [`cluster`], [`process`]: what a well-behaved process needs.

pub mod api;
pub mod catalog;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod credential;
pub mod gate;
pub mod image;
pub mod index;
pub mod leader;
pub mod managed_names;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod plan;
pub mod printable;
pub mod process;
pub mod pull;
pub mod rollout;
pub mod server;
pub mod small_map;
pub mod telemetry;
pub mod text;
pub mod wish;
