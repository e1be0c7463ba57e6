//! A real Kubernetes control plane on loopback, for regcred's tests, demo and benchmark.
//!
//! [`ControlPlane`] runs etcd, kube-apiserver and, where wanted, kube-controller-manager;
//! [`Operator`] runs regcred against it, through a [`FaultProxy`] where answers are to go wrong; [`eventually`] waits for what either of them promises.
//! Every child is a [`Process`]: it ends with its handle, and with us, however we end.
#![forbid(unsafe_code)]

mod apiserver;
mod audit;
mod binaries;
mod control_plane;
mod controllers;
mod direct;
pub mod docs;
mod etcd;
mod fault_proxy;
mod helm;
mod http;
mod kubectl;
mod logins;
mod operator;
mod overlay;
mod pool;
mod ports;
mod process;
mod requests;
mod users;
mod wait;

pub use audit::AuditEntry;
pub use binaries::{binary, kubernetes, throwaway_key, tool};
pub use control_plane::{Audit, ControlPlane, Options};
pub use controllers::{Controllers, DEFAULT_CONTROLLERS};
pub use fault_proxy::{Answer, FaultProxy, Request};
pub use helm::{Helm, HelmVersion};
pub use logins::{logins, password};
pub use operator::Operator;
pub use overlay::scoped_overlay;
pub use pool::Lent;
pub use ports::free_port;
pub use process::{Exit, Process};
pub use requests::{RequestCount, diff};
pub use users::{ADMIN, CONTROLLER_MANAGER, OPERATOR, READER, SPARES, User};
pub use wait::eventually;
