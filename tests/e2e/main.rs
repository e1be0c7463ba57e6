//! The proof on a real node: pods pull because of us. The operator runs there as the Deployment and the image that we ship.
//!
//! Everything is real but the registry's address: containerd asks ours for whatever host an image names.
//! Each case has a project, namespaces and a RegistryCredential of its own, and all run at once on one node.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod answering;
mod case;
mod image;
mod node;
mod registry;
mod sandbox;
mod suite;

mod cases {
    pub mod answers;
    pub mod chart;
    pub mod deployment;
    pub mod helm;
    pub mod invalid_key;
    pub mod kinds;
    pub mod others;
    pub mod pulls;
    pub mod requests;
    pub mod rotation;
    pub mod scoped;
    pub mod shipped_image;
}

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use case::Case;
use libtest_mimic::{Arguments, Conclusion, Trial};
use suite::Suite;

type Test = fn(&Case);

/// A look at everything.
type Look = fn(&Suite);

/// By name; a case's project and namespaces begin with its name's last part.
const CASES: [(&str, Test); 22] = [
    ("pulls::target", cases::pulls::only_pods_in_a_target_namespace_pull),
    ("pulls::named", cases::pulls::a_pod_that_names_the_secret_itself_pulls_and_no_service_account_is_touched),
    ("rotation::always", cases::rotation::after_a_rotation_new_pods_pull_with_the_new_key_and_running_ones_run_on),
    ("rotation::present", cases::rotation::an_image_that_is_present_needs_no_pull_before_and_after_a_rotation),
    ("chart::early", cases::chart::a_pod_that_was_too_early_runs_once_it_is_made_again),
    ("chart::born", cases::chart::every_pod_runs_whose_service_account_is_created_with_its_entry),
    ("chart::evicted", cases::chart::a_deployment_that_was_too_early_heals_where_its_pods_are_evicted),
    ("chart::named", cases::chart::a_chart_whose_pod_names_the_secret_heals_by_itself),
    ("others::list", cases::others::somebody_elses_pull_secret_in_the_same_list_keeps_working),
    ("others::secret", cases::others::a_foreign_secret_of_our_name_stays_and_nothing_refers_to_it),
    ("kinds::login", cases::kinds::one_login_pulls_from_each_registry_that_its_owner_has_marked_and_from_no_other),
    ("kinds::config", cases::kinds::a_docker_config_with_three_registries_pulls_from_each_by_its_own_login),
    ("kinds::new-login", cases::kinds::after_a_rotation_of_a_login_pods_pull_with_the_new_password_alone),
    ("kinds::new-config", cases::kinds::after_a_rotation_of_a_docker_config_pods_pull_with_the_new_passwords_alone),
    ("kinds::wrong", cases::kinds::a_wrong_login_ends_in_a_pull_error),
    ("kinds::existing", cases::kinds::a_secret_that_somebody_else_makes_is_attached_and_pods_pull_with_it),
    ("invalid_key::source", cases::invalid_key::pods_pull_by_the_last_good_key_while_the_source_is_broken),
    ("answers::found", cases::answers::explain_names_what_a_real_registry_has_answered),
    (
        "answers::order",
        cases::answers::logins_come_in_the_order_that_explain_gives_and_a_wrong_one_keeps_a_public_image_away,
    ),
    (
        "answers::blocked",
        cases::answers::a_secret_that_the_kubelet_cannot_read_blocks_a_public_image_and_one_that_is_absent_does_not,
    ),
    (
        "shipped_image::content",
        cases::shipped_image::it_says_how_it_is_run_and_has_the_program_its_license_and_certificates_alone,
    ),
    ("shipped_image::alone", cases::shipped_image::it_runs_as_a_user_without_rights_and_has_no_shell),
];

/// What must hold in the end, one after the other: of the operator's pods, and of the audit log.
const AFTERWARDS: [(&str, Look); 6] = [
    ("deployment::confined", cases::deployment::the_operator_runs_without_rights_on_its_node_and_was_never_restarted),
    ("deployment::probes", cases::deployment::a_leader_that_hangs_is_followed_by_the_standby_and_restarted),
    ("deployment::update", cases::deployment::rotations_go_on_while_the_operator_is_updated_or_evicted),
    ("requests::none_was_forbidden", cases::requests::none_was_forbidden),
    ("requests::secrets_are_read_as_documented", cases::requests::secrets_are_read_as_documented),
    ("requests::no_right_is_unused", cases::requests::no_right_is_unused),
];

/// The last, one after the other, as each takes rights from the operator that all others use.
const CONFINED: [(&str, Test); 2] = [
    (
        "scoped::names",
        cases::scoped::with_rights_by_name_it_serves_the_names_on_its_list_and_holds_others_with_what_they_have,
    ),
    ("helm::wait", cases::helm::a_release_takes_the_operator_over_and_wait_tells_whether_its_pods_are_ready),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if arguments.list {
        let nothing = || Ok(());
        let cases = CASES.iter().chain(&CONFINED).map(|(name, _)| *name);
        let names: Vec<&str> = cases.chain(AFTERWARDS.map(|(name, _)| name)).collect();
        return libtest_mimic::run(&arguments, names.into_iter().map(|name| Trial::test(name, nothing)).collect())
            .exit_code();
    }
    let Some(cgroup) = sandbox::cgroup() else { return sandbox::enter() };
    sandbox::set_up();
    let suite = Arc::new(Suite::start(Path::new(sandbox::FOLDER), &cgroup));
    // The cases wait for most of their time, so the number of cores doesn't matter.
    let at_once = Arguments { test_threads: arguments.test_threads.or(Some(CASES.len())), ..arguments.clone() };
    let trial = |(name, test): (&'static str, Test)| {
        let case = Case::new(&suite, name);
        Trial::test(name, move || case.run(test))
    };
    let cases = libtest_mimic::run(&at_once, CASES.map(trial).into());
    // They look back on all cases.
    let everything = arguments.filter.is_none() && arguments.skip.is_empty();
    let failed = cases.has_failed()
        || everything && afterwards(&arguments, &suite).has_failed()
        || libtest_mimic::run(&in_order(&arguments), CONFINED.map(trial).into()).has_failed();
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn in_order(arguments: &Arguments) -> Arguments {
    Arguments { test_threads: Some(1), ..arguments.clone() }
}

fn afterwards(arguments: &Arguments, suite: &Arc<Suite>) -> Conclusion {
    let trials = AFTERWARDS.map(|(name, look)| {
        let suite = suite.clone();
        Trial::test(name, move || {
            look(&suite);
            Ok(())
        })
    });
    libtest_mimic::run(&in_order(arguments), trials.into())
}
