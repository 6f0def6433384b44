//! The built binary against a real API server and real controllers. No pod runs: a test plays the kubelet, and what
//! stands between the binary and the API server. The cases only wait, so they run side by side in one cluster; what
//! harms its API server is in `outages`. A case with a number (`n1_`) is a wait that once let go too early, or never.

mod answers;
mod blocked;
mod completions;
mod connections;
mod credentials;
mod custom;
mod endpoints;
mod goals;
mod gone;
mod helped;
mod kubeconfigs;
mod live;
mod looks;
mod outcomes;
mod proofs;
mod proxies;
mod rbac;
mod rollouts;
mod secrets;
mod simple;
mod stories;
mod support;
mod told;
mod verdicts;
mod waits;

use std::process::ExitCode;

use testbed::{Needs, Test, run_tests, tests};

#[expect(clippy::too_many_lines, reason = "a table")]
fn main() -> ExitCode {
    // They read the audit log, or play proxies and kubelets beside a cluster of their own. The longest first (the very
    // first one may have to build the static binary): others take the places of those that are over.
    let of_own_cluster = tests![
        proxies: empty_root_serves_without_certificates;
        connections:
            proxy_with_a_dead_backend_is_noticed,
            outage_is_told_when_it_begins_every_30_s_and_when_it_ends,
            watch_that_always_breaks_is_no_flood,
            half_open_watch_is_noticed,
            api_server_comes_up_20_s_late;
        rbac:
            every_verb_that_a_mode_lacks_is_missed_as_documented,
            every_mode_stays_within_its_printed_role,
            every_mode_uses_all_of_its_printed_role,
            many_kinds_are_waited_for_within_one_printed_role,
            cluster_role_is_enough_for_all_namespaces,
            polling_ends_by_watching_when_the_right_comes;
        answers:
            missing_headers_cost_20_s,
            stalled_answer_costs_20_s;
        secrets:
            secrets_are_in_no_line_at_any_level;
        kubeconfigs:
            kubeconfigs_mean_what_kubectl_means_by_them,
            files_of_a_list_are_merged_as_kubectl_does;
        told:
            blocked_wait_beats_every_30_s_and_asks_seldom,
            mistyped_names_of_other_kinds_are_met_with_near_ones;
        helped:
            right_that_would_tell_of_a_hook_is_named_once,
            many_targets_beat_in_one_line,
            pod_that_is_not_ready_for_a_reason_of_its_node_is_explained;
        looks:
            n1_rest_without_a_watch_is_proved_by_a_second_list,
            n1_rest_is_not_over_while_requests_fail,
            n1_ready_of_one_target_does_not_outlive_its_stream,
            n1_polled_target_is_looked_at_once_more_at_the_end,
            n9_selector_of_jobs_waits_for_one_that_comes_a_moment_later,
            n2_watch_that_cannot_be_opened_does_not_blind_the_wait,
            n11_old_job_without_list_is_polled,
            n12_polls_are_frequent_in_the_beginning;
        credentials:
            right_granted_10_s_late_is_enough,
            token_replaced_in_its_file_is_used,
            exec_plugin_runs_once,
            exec_plugin_runs_again_when_its_token_expires,
            exec_plugin_runs_again_after_a_401,
            exec_plugin_gives_a_certificate,
            exec_plugin_ends_with_the_wait,
            exec_plugin_that_fails_after_a_401_is_a_refusal,
            service_account_of_the_pod_is_used_without_a_proxy;
        connections:
            lost_syn_costs_5_s,
            stalled_tls_handshake_costs_5_s,
            reset_and_closed_watches_are_resumed_at_once,
            slow_line_is_no_fault,
            job_deleted_while_partitioned_is_decided_by_its_deletion,
            answer_cut_anywhere_is_asked_for_again;
        answers:
            retry_after_is_a_floor,
            server_s_troubles_are_survived;
        proxies:
            environment_names_the_proxy,
            kubeconfig_names_the_proxy,
            proxy_that_refuses_is_named,
            certificate_replaced_after_a_failed_handshake_is_used;
        completions:
            names_of_the_cluster_are_offered_by_one_request,
            what_may_not_be_listed_is_not_offered,
            exec_plugin_cannot_speak_into_the_line;
        blocked:
            outputs_that_take_nothing_hold_nothing_up,
            deadline_holds_in_every_fault,
            signals_end_it_in_every_fault;
        outcomes:
            n4_failure_stays_one_when_the_deadline_passes_during_its_report,
            n4_failure_stays_one_when_a_signal_comes_during_its_report,
            n5_one_look_ends_although_the_search_for_proof_fails,
            n13_failed_job_is_waited_for_where_that_is_asked_for,
            n13_failed_target_is_named_at_the_deadline,
            n14_every_end_leaves_its_message_where_the_kubelet_reads_it,
            n14_bad_end_goes_to_stderr_and_progress_to_stdout;
        proofs:
            n3_job_that_vanished_unseen_is_proved_by_its_own_event,
            n3_job_that_vanished_unseen_is_proved_by_a_mark_with_its_uid,
            n3_mark_of_an_earlier_job_says_nothing_of_one_that_was_seen,
            n6_kept_ready_has_no_trouble_left,
            n7_reason_of_a_condition_steers_nothing,
            n10_marks_of_many_targets_prove_each_of_them,
            n13_missing_fail_is_for_every_named_target;
        support: audit_log_counts_one_request;
        verdicts: kubectl_decides_about_paths_as_it_did;
        secrets:
            values_of_secrets_and_config_maps_are_in_no_line,
            values_in_mangled_answers_are_in_no_line;
        custom:
            object_is_ready_when_its_controller_says_so_of_the_present_spec,
            ready_of_an_older_spec_is_not_ready,
            stalled_object_has_failed,
            conditions_and_fields_are_waited_for,
            other_alternative_is_enough,
            object_that_is_gone_is_deleted,
            object_that_is_made_anew_is_deleted,
            every_object_of_a_selector_has_to_be_gone,
            kind_is_understood_in_all_its_forms,
            object_of_the_cluster_needs_no_namespace,
            kind_that_is_installed_later_is_waited_for,
            kind_that_is_not_installed_is_no_deletion,
            word_that_nobody_knows_is_a_usage_error_with_near_kinds,
            mistyped_kind_of_a_group_is_met_with_a_near_one,
            discovery_takes_two_requests_and_none_for_known_kinds,
            group_whose_server_is_down_is_not_taken_for_none,
            page_of_a_proxy_is_no_discovery,
            kind_of_the_cluster_is_mistyped_with_a_near_name,
            object_goes_with_its_kind,
            kind_that_goes_and_comes_back_is_followed_again,
            kind_is_found_again_in_another_version,
            kind_that_went_unseen_is_waited_for_again,
            refused_discovery_ends_with_77;
        simple:
            namespace_is_ready_until_it_is_deleted,
            node_is_ready_by_its_condition,
            definition_is_established_and_its_group_served,
            definition_whose_names_are_taken_has_failed,
            kinds_of_the_cluster_take_no_namespace;
        endpoints:
            service_is_ready_with_as_many_endpoints_as_are_asked_for,
            port_that_no_pod_has_is_not_served,
            endpoint_that_is_published_before_it_is_ready_does_not_serve,
            endpoint_on_its_way_out_does_not_count,
            endpoints_are_asked_for_by_the_option_alone;
        rollouts:
            daemon_set_is_rolled_out_with_its_pod_on_each_node,
            daemon_set_on_the_same_node_is_judged_by_its_pod_there;
        waits:
            complete_job_takes_one_request,
            wait_takes_a_list_and_a_watch;
    ];
    let anywhere = tests![
        rbac:
            role_limited_to_a_name_does_not_show_another,
            role_taken_away_while_polling_ends_with_77,
            denied_wait_prints_a_role_that_allows_it;
        live:
            targets_are_redrawn_in_place_and_a_transcript_is_left,
            colors_can_be_had_or_not,
            terminal_is_left_alone_where_it_cannot_draw,
            targets_beyond_the_last_row_are_counted,
            long_name_leaves_room_for_the_reason,
            exec_plugin_asks_on_the_terminal;
        support: job_controller_completes_a_job_with_a_written_pod_status;
        verdicts:
            objects_of_all_fixtures_are_taken_back;
        helped:
            service_without_pods_is_met_with_near_ones,
            namespace_that_does_not_exist_is_told_to_whoever_may_know,
            last_line_names_what_ended_the_wait_alone,
            json_says_as_much_as_the_lines;
        told:
            mistyped_name_is_met_with_the_nearest_one,
            nearest_name_is_told_at_a_near_deadline_too,
            selector_that_matches_nothing_is_met_with_a_count,
            completed_job_of_before_is_told,
            names_that_may_not_be_listed_are_no_loss,
            refused_evidence_is_said_once_and_changes_nothing,
            pod_that_holds_a_rollout_up_is_named,
            cron_job_is_explained_by_the_pod_of_its_newest_job,
            json_is_one_object_a_line_with_the_documented_fields,
            quiet_says_nothing_but_a_bad_end,
            colors_come_when_they_are_asked_for,
            log_is_text_or_json,
            events_without_the_right_are_remarked_on;
        stories:
            job_that_is_retried_and_completes_is_ready,
            job_without_retries_left_has_failed,
            job_past_its_deadline_has_failed,
            job_with_a_pointless_exit_code_has_failed,
            suspended_job_is_waited_for_until_it_was_resumed_and_completes,
            job_without_parallelism_is_waited_for,
            indexed_job_needs_every_index,
            indexed_job_with_a_failed_index_has_failed,
            job_is_not_done_while_pods_end_that_its_success_policy_spares,
            job_is_not_over_for_job_we_while_its_pods_end,
            job_deleted_while_it_runs_counts_for_nothing,
            job_deleted_as_soon_as_it_completes_is_ready,
            job_deleted_as_soon_as_it_fails_has_failed,
            failed_job_is_an_end_for_job_we,
            every_job_of_a_selector_has_to_complete,
            job_that_loses_its_label_is_waited_for_again,
            finished_job_of_the_last_release_is_stale,
            one_job_is_enough_for_any_and_none_left_is_a_failure,
            stateful_set_is_ready_with_its_last_pod,
            unpullable_pod_beside_a_ready_one_is_enough_for_pod_wr,
            evicted_pod_counts_only_if_nobody_replaces_it,
            pod_on_its_way_out_is_not_ready,
            fewer_pods_than_the_least_number_are_waited_for,
            pods_are_found_by_a_field_selector,
            pods_of_all_namespaces_have_to_be_ready,
            failed_pod_of_a_job_points_to_the_job,
            service_is_ready_with_the_pods_behind_it,
            service_without_a_selector_is_ready_with_its_slices,
            service_without_a_selector_is_ready_with_its_endpoints,
            service_of_a_name_elsewhere_is_ready,
            every_service_of_a_label_has_to_be_ready,
            service_with_another_selector_has_other_pods_behind_it,
            targets_of_all_kinds_have_to_be_ready_together;
        simple:
            config_map_secret_and_service_account_have_to_exist,
            config_map_that_is_being_deleted_is_not_there,
            config_map_and_secret_need_each_key_that_is_asked_for,
            existence_is_asked_for_by_metadata_alone,
            existence_is_polled_by_metadata_alone,
            claim_is_ready_when_it_is_bound_and_has_failed_when_it_is_lost,
            ingress_is_ready_with_an_address,
            service_is_ready_with_the_address_of_its_load_balancer;
        goals:
            deletion_is_seen_and_so_is_creation,
            refusal_is_no_deletion,
            right_that_is_taken_away_is_no_deletion,
            get_alone_is_enough_to_see_a_deletion,
            get_alone_is_enough_to_see_that_it_was_made_anew,
            failure_is_no_deletion,
            deletion_during_an_outage_is_seen_after_it,
            failed_job_ends_a_wait_for_something_else,
            built_in_kinds_are_waited_for_by_conditions_and_fields,
            path_has_to_lead_to_one_value,
            deadline_of_a_goal_says_what_is_lacking,
            job_that_is_cleaned_up_is_deleted,
            object_that_loses_its_labels_is_not_gone;
        rollouts:
            deployment_is_rolled_out_with_its_last_pod,
            deployment_with_an_old_pod_is_still_rolling_out,
            deployment_past_its_progress_deadline_has_failed,
            deployment_that_is_rolled_back_has_not_failed,
            deployment_that_is_recreated_and_rolled_back_has_not_failed,
            deployment_with_a_new_template_has_not_failed_by_its_old_one,
            deployment_whose_pods_are_refused_says_why,
            deployment_that_is_paused_says_so,
            every_deployment_of_a_selector_has_to_be_rolled_out,
            stateful_set_is_rolled_out_pod_by_pod,
            stateful_set_is_rolled_out_from_its_partition_on,
            replica_set_is_complete_with_as_many_pods_as_it_is_to_keep,
            replication_controller_is_complete_with_as_many_pods_as_it_is_to_keep,
            cron_job_is_as_its_newest_job_is,
            suspended_cron_job_without_a_job_says_so,
            same_node_has_to_be_known;
        gone:
            mark_in_a_sibling_of_a_deployment_is_proof,
            mark_in_a_sibling_of_a_stateful_set_is_proof,
            mark_in_a_sibling_of_a_bare_replica_set_is_no_proof,
            mark_in_a_sibling_of_a_job_is_proof,
            mark_in_a_sibling_of_another_kind_of_owner_is_proof_by_its_hash,
            mark_in_a_sibling_that_is_being_deleted_is_proof,
            mark_in_a_sibling_s_last_state_is_proof,
            sibling_that_finishes_later_is_seen,
            this_pod_s_own_earlier_run_is_proof,
            this_pod_being_initialized_is_proof_for_an_init_container_only,
            sibling_without_a_mark_is_no_proof,
            mark_of_another_job_is_no_proof,
            mark_of_another_namespace_is_no_proof,
            mark_with_another_exit_code_than_0_is_no_proof,
            sibling_that_still_runs_is_no_proof,
            sibling_of_another_revision_is_no_proof,
            sibling_of_another_owner_is_no_proof,
            pod_without_a_controller_has_no_siblings,
            job_that_appears_always_wins,
            each_target_needs_a_proof_of_its_own,
            without_the_right_to_list_pods_it_says_so_and_waits,
            unknown_pod_says_so_and_waits,
            missing_fail_ends_with_1_without_proof,
            missing_ready_takes_a_missing_job_as_done,
            missing_ready_waits_for_a_job_that_exists;
        waits:
            job_created_after_the_wait_began_is_waited_for,
            failed_job_ends_the_wait_with_1,
            job_that_never_ends_meets_the_deadline,
            missing_job_is_waited_for_and_named,
            timeout_zero_looks_once,
            pods_of_a_selector_become_ready_one_by_one,
            sigterm_and_sigint_end_it_with_their_codes,
            unknown_context_is_a_configuration_error,
            denied_wait_ends_with_77_after_the_grace,
            denied_wait_is_77_at_the_deadline_too,
            right_granted_within_the_grace_is_enough,
            get_alone_is_enough_by_polling,
            get_and_list_are_enough_by_polling,
            job_beside_an_unready_pod_is_not_enough_for_all_but_for_any,
            names_are_those_that_a_real_api_server_takes;
    ];
    run_tests(16, Needs::ControlPlane, of_own_cluster.map(Test::of_own_cluster).into_iter().chain(anywhere))
}
