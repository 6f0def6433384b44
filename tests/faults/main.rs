//! What clusters and the networks before them do, one row a fault: each has its bound, and what was measured is shown
//! beside it. The rows only wait, so they run side by side in one cluster; what harms its API server is in `outages`.

mod answers;
mod connections;
mod credentials;
mod ends;
mod figures;
mod proxies;
mod scene;
mod secrets;

use std::process::ExitCode;

use testbed::{Needs, Test, run_tests_beside};

/// Every row, by the name of its fault.
macro_rules! rows {
    ($($file:ident: $($row:ident),* $(,)?);* $(;)?) => { [$($(Test::new(stringify!($row), $file::$row)),*),*] };
}

fn main() -> ExitCode {
    // The longest first: others take the places of those that are over.
    let rows = rows![
        connections:
            proxy_with_a_dead_backend_is_noticed,
            outage_is_told_when_it_begins_every_30_s_and_when_it_ends,
            watch_that_always_breaks_is_no_flood,
            half_open_watch_is_noticed,
            api_server_comes_up_20_s_late;
        answers:
            missing_headers_cost_20_s,
            stalled_answer_costs_20_s;
        secrets:
            secrets_are_in_no_line_at_any_level;
        credentials:
            right_granted_10_s_late_is_enough,
            token_replaced_in_its_file_is_used;
        connections:
            lost_syn_costs_5_s,
            stalled_tls_handshake_costs_5_s,
            reset_and_closed_watches_are_resumed_at_once,
            slow_line_is_no_fault,
            job_deleted_while_partitioned_is_decided_by_its_deletion,
            answer_cut_anywhere_is_asked_for_again;
        credentials:
            exec_plugin_runs_once,
            exec_plugin_runs_again_when_its_token_expires,
            exec_plugin_runs_again_after_a_401,
            exec_plugin_gives_a_certificate,
            exec_plugin_ends_with_the_wait,
            exec_plugin_that_fails_after_a_401_is_a_refusal,
            service_account_of_the_pod_is_used_without_a_proxy;
        answers:
            retry_after_is_a_floor,
            server_s_troubles_are_survived;
        proxies:
            environment_names_the_proxy,
            kubeconfig_names_the_proxy,
            proxy_that_refuses_is_named,
            certificate_replaced_after_a_failed_handshake_is_used,
            empty_root_serves_without_certificates;
        ends:
            outputs_that_take_nothing_hold_nothing_up,
            deadline_holds_in_every_fault,
            signals_end_it_in_every_fault;
    ];
    // They read the audit log and change the network of their cluster.
    let code = run_tests_beside(12, Needs::ControlPlane, rows.map(Test::of_own_cluster));
    figures::print();
    code
}
