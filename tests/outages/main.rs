//! What changes the whole cluster: the API server and etcd go away, a node appears. The cases run one after another;
//! faults of the network before a cluster that stays as it is are in `control_plane`.

mod crowd;
mod replacements;
mod servers;

use std::process::ExitCode;

use testbed::{Needs, Test, figures, run_tests, tests};

fn main() -> ExitCode {
    let cases = tests![
        servers:
            etcd_stopped_for_20_s_is_survived,
            api_server_killed_and_restarted_45_s_later_is_survived,
            two_api_servers_restarted_in_turn_are_survived,
            job_gone_with_its_history_is_waited_for;
        replacements:
            n8_stateful_set_is_held_by_the_pod_that_is_being_replaced,
            n8_daemon_set_is_held_by_the_pod_that_is_being_replaced;
        crowd:
            five_hundred_waiters_survive_a_restart;
    ];
    let code = run_tests(1, Needs::ControlPlane, cases.map(Test::of_own_cluster));
    figures::print();
    code
}
