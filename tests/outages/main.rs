//! What changes the whole cluster: the API server and etcd go away, a node appears. Each case has a cluster for
//! itself; faults of the network before one that stays as it is are in `control_plane`.

mod crowd;
mod replacements;
mod servers;
mod support;

use std::process::ExitCode;

use testbed::{Needs, run_tests, tests};

fn main() -> ExitCode {
    // The longest first: others take the places of those that are over.
    let cases = tests![
        servers:
            api_server_killed_and_restarted_45_s_later_is_survived;
        crowd:
            five_hundred_waiters_survive_a_restart;
        servers:
            etcd_stopped_for_20_s_is_survived,
            two_api_servers_restarted_in_turn_are_survived,
            job_gone_with_its_history_is_waited_for;
        support: control_plane_survives_its_programs;
        replacements:
            n8_stateful_set_is_held_by_the_pod_that_is_being_replaced,
            n8_daemon_set_is_held_by_the_pod_that_is_being_replaced;
    ];
    run_tests(4, Needs::ControlPlaneEach, cases)
}
