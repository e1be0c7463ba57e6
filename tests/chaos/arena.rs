//! Where schedules take place: a control plane and a proxy, used by one after the other, as starting them takes longer
//! than a schedule's quietest part.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use controlplane::{Audit, ControlPlane, Controllers, FaultProxy, Operator, Options};

use crate::people::People;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub struct Arena {
    pub proxy: FaultProxy, // stopped first
    pub people: Arc<People>,
    pub cluster: ControlPlane,
}

static IDLE: Mutex<Vec<Arena>> = Mutex::new(Vec::new());

impl Arena {
    /// One that nobody uses now, or a new one.
    pub fn take() -> Arena {
        let idle = IDLE.lock().unwrap().pop();
        idle.unwrap_or_else(Arena::start)
    }

    /// For the next schedule. One that failed is dropped instead: who knows what it has left behind.
    pub fn give_back(self) {
        IDLE.lock().unwrap().push(self);
    }

    /// Stops all.
    pub fn stop_all() {
        IDLE.lock().unwrap().clear();
    }

    fn start() -> Arena {
        let crd = std::fs::read_to_string(format!("{ROOT}/crds/registrycredentials.regcred.dev.yaml")).unwrap();
        let cluster = ControlPlane::start(Options {
            controllers: Controllers::Default,
            audit: Audit::Metadata,
            manifests: vec![crd],
            ..Options::default()
        });
        // With pods in view, there is one watch more that faults may hit.
        for part in ["namespace", "rbac", "overlays/stuck-pods/report"] {
            cluster.kubectl_ok(&["apply", "--server-side", "-k", &format!("{ROOT}/config/{part}")]);
        }
        Arena { proxy: FaultProxy::start(&cluster), people: Arc::new(People::of(&cluster)), cluster }
    }

    /// The built operator under its shipped RBAC, behind the proxy.
    pub fn operator(&self, args: &[&str]) -> Operator {
        Operator::start(Path::new(env!("CARGO_BIN_EXE_regcred")), self.proxy.kubeconfig(), args, &[])
    }
}
