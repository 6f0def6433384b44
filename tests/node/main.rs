//! The shipped image on a real node: pods run, and kubelet, scheduler and controllers say what is told of them.

mod gone;
mod releases;
mod shipped;
mod support;
mod why;

use std::process::ExitCode;

use testbed::{Needs, Test, run_tests, tests};

fn main() -> ExitCode {
    // The longest first: others take the places of those that are over.
    let of_own_cluster = tests![
        gone:
            deployment_outlives_the_job_s_ttl,
            stateful_set_s_pod_whose_job_never_was_waits_alone,
            daemon_set_s_pod_proves_it_by_its_own_earlier_run;
        why:
            image_that_does_not_exist,
            job_refused_by_admission;
    ];
    let anywhere = tests![
        why:
            hook_that_waits_for_itself,
            command_not_found,
            crash_loop,
            out_of_memory,
            unschedulable_by_node_selector,
            unschedulable_by_resources,
            missing_config_map,
            missing_secret,
            failing_init_container,
            failing_readiness_probe,
            job_out_of_quota,
            migration_with_a_traceback,
            log_with_escapes_and_long_lines,
            backoff_limit,
            active_deadline,
            migration_that_crashes_and_restarts,
            restarted_migration_whose_pod_is_gone_is_still_explained,
            no_logs_quotes_nothing_that_a_program_wrote,
            event_on_the_waiting_pod;
        releases:
            rollout_of_an_image_that_does_not_exist_fails_until_it_is_taken_back,
            six_kinds_are_waited_for_with_the_printed_role_alone,
            daemon_set_is_waited_for_on_this_node,
            pod_that_waits_for_its_own_deployment_is_told_so,
            pod_that_waits_for_a_service_with_only_itself_is_told_so;
        gone:
            deployment_made_at_zero_replicas_has_no_proof,
            new_revision_waits_for_its_own_job,
            cron_job_s_pods_prove_it_to_each_other;
        support:
            node_runs_a_pod_and_serves_its_log,
            memory_limit_is_enforced,
            pod_reaches_the_api_server,
            failing_probe_keeps_a_pod_unready;
        shipped:
            both_pods_stay_in_init_until_the_job_completes,
            failed_job_ends_the_init_containers_with_1,
            deadline_on_a_job_that_never_ends_gives_124,
            image_answers_to_groundnutys_name,
            denied_container_leaves_the_role_in_its_message,
            n10_message_goes_where_the_container_wants_it,
            n14_usage_error_leaves_its_message;
    ];
    run_tests(10, Needs::Node, of_own_cluster.map(Test::of_own_cluster).into_iter().chain(anywhere))
}
