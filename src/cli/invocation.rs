//! Under which name the binary was called: by itself, or by kubectl as a plugin.

use std::{ffi::OsStr, path::Path};

/// The name that kubectl looks for on the PATH at `kubectl regcred`.
const PLUGIN: &str = "kubectl-regcred";

/// How the user calls the binary whose first argument this is: `kubectl regcred` or `regcred`.
pub fn name(program: Option<&OsStr>) -> &'static str {
    match program.and_then(|program| Path::new(program).file_name()) {
        Some(name) if name == PLUGIN => "kubectl regcred",
        _ => "regcred",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_called_through_kubectl() {
        let name = |program: &str| name(Some(OsStr::new(program)));
        assert_eq!(name("/usr/local/bin/kubectl-regcred"), "kubectl regcred");
        assert_eq!(name("kubectl-regcred"), "kubectl regcred");
        assert_eq!(name("./regcred"), "regcred");
        assert_eq!(name("/kubectl-regcred/regcred"), "regcred");
        assert_eq!(super::name(None), "regcred");
    }
}
