//! Who may talk to the apiserver: its token file is read once, so all users exist from the start.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

/// The cluster's administrator (`system:masters`).
pub const ADMIN: &str = "admin";
/// The service account that regcred runs as, under whatever RBAC a test applies for it.
pub const OPERATOR: &str = "system:serviceaccount:regcred-system:regcred";
/// A user without any right but those that a test binds to the name `reader`.
pub const READER: &str = "reader";
/// More users without any right.
pub const SPARES: [&str; 3] = ["spare-1", "spare-2", "spare-3"];
/// What kube-controller-manager runs as (`system:masters`, too; a name of its own in the audit log).
pub const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

/// A user as the apiserver sees it.
#[derive(Clone, Debug)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// Its groups; `system:authenticated` comes by itself.
    pub groups: Vec<String>,
}

impl User {
    /// A user of that name in those groups.
    pub fn new(name: &str, groups: &[&str]) -> User {
        User { name: name.to_owned(), groups: groups.iter().map(|&group| group.to_owned()).collect() }
    }
}

/// The users that every control plane has.
pub(crate) fn standard() -> Vec<User> {
    let mut users = vec![
        User::new(ADMIN, &["system:masters"]),
        User::new(CONTROLLER_MANAGER, &["system:masters"]),
        User::new(OPERATOR, &["system:serviceaccounts", "system:serviceaccounts:regcred-system"]),
        User::new(READER, &[]),
    ];
    users.extend(SPARES.map(|name| User::new(name, &[])));
    users
}

/// The user's bearer token. No secret: the apiserver listens on loopback and lives for minutes.
pub(crate) fn token(user: &str) -> String {
    format!("token-of-{}", user.replace(':', "-"))
}

/// Writes what `--token-auth-file` reads.
pub(crate) fn write_token_file(path: &Path, users: &[User]) -> Result<(), String> {
    let line = |(index, user): (usize, &User)| {
        format!("{},{},uid-{index},\"{}\"\n", token(&user.name), user.name, user.groups.join(","))
    };
    let lines: String = users.iter().enumerate().map(line).collect();
    fs::write(path, lines).map_err(|error| format!("{} can't be written: {error}", path.display()))
}

/// Where the user's kubeconfig is. No colon in it, as `$KUBECONFIG` is a list separated by them.
pub(crate) fn kubeconfig(folder: &Path, user: &str) -> PathBuf {
    folder.join(format!("{}.kubeconfig", user.replace(':', "-")))
}

/// Writes a kubeconfig (JSON is YAML) for each user.
pub(crate) fn write_kubeconfigs(folder: &Path, url: &str, ca: &Path, users: &[User]) -> Result<(), String> {
    for user in users {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": ca}}],
            "users": [{"name": user.name, "user": {"token": token(&user.name)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user.name}}],
            "current-context": "test",
        });
        let path = kubeconfig(folder, &user.name);
        fs::write(&path, config.to_string())
            .map_err(|error| format!("{} can't be written: {error}", path.display()))?;
    }
    Ok(())
}
