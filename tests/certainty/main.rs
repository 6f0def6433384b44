//! An exit 0 that can be relied upon, and no wait in vain: every case once let go too early or never, was seen so on a
//! real cluster or read in the code, and has its number in its name.

mod ends;
mod gone;
mod looks;
mod scene;
mod sets;

use std::process::ExitCode;

use testbed::{Needs, Test, run_tests_beside};

/// Every case, by its name.
macro_rules! cases {
    ($($file:ident: $($case:ident),* $(,)?);* $(;)?) => { [$($(Test::new(stringify!($case), $file::$case)),*),*] };
}

fn main() -> ExitCode {
    let cases = cases![
        looks:
            n1_rest_without_a_watch_is_proved_by_a_second_list,
            n1_rest_is_not_over_while_requests_fail,
            n1_ready_of_one_target_does_not_outlive_its_stream,
            n1_polled_target_is_looked_at_once_more_at_the_end,
            n2_watch_that_cannot_be_opened_does_not_blind_the_wait,
            n11_old_job_without_list_is_polled,
            n12_polls_are_frequent_in_the_beginning;
        gone:
            n3_job_that_vanished_unseen_is_proved_by_its_own_event,
            n3_job_that_vanished_unseen_is_proved_by_a_mark_with_its_uid,
            n3_mark_of_an_earlier_job_says_nothing_of_one_that_was_seen,
            n6_kept_ready_has_no_trouble_left,
            n7_reason_of_a_condition_steers_nothing,
            n10_marks_of_many_targets_prove_each_of_them,
            n13_missing_fail_is_for_every_named_target;
        ends:
            n4_failure_stays_one_when_the_deadline_passes_during_its_report,
            n4_failure_stays_one_when_a_signal_comes_during_its_report,
            n5_one_look_ends_although_the_search_for_proof_fails,
            n13_failed_job_is_waited_for_where_that_is_asked_for,
            n13_failed_target_is_named_at_the_deadline,
            n14_every_end_leaves_its_message_where_the_kubelet_reads_it,
            n14_bad_end_goes_to_stderr_and_progress_to_stdout;
        sets:
            n8_stateful_set_is_held_by_the_pod_that_is_being_replaced,
            n8_daemon_set_is_held_by_the_pod_that_is_being_replaced,
            n9_selector_of_jobs_waits_for_one_that_comes_a_moment_later;
    ];
    // They play proxies and kubelets beside a cluster of their own.
    run_tests_beside(8, Needs::ControlPlane, cases.map(Test::of_own_cluster))
}
