//! The conformance suite: what every backend must do, one named case for each law.
//!
//! A backend's `tests/conformance.rs` names a function that opens an empty store and calls [`conformance!`]; each case
//! becomes one test. A case that needs a server and finds none fails: it never skips.

#![allow(clippy::wildcard_imports, reason = "the factory is the vocabulary of every case")]

pub mod caps;
pub mod claims;
pub mod copying;
pub mod crashes;
mod factory;
pub mod fences;
pub mod hosts;
pub mod imports;
pub mod locations;
pub mod managing;
pub mod map;
pub mod newer;
pub mod pins;
pub mod providers;
pub mod races;
pub mod requests;
pub mod runs;
pub mod schedules;
pub mod schemas;
pub mod sites;
pub mod walk;
pub mod workers;

use std::{pin::Pin, sync::Arc, time::Duration};

use hostatlas_store::Store;

/// See [`TestStore::again`].
pub type Again = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send>> + Send + Sync>;

/// An empty store, whose clock a test can move.
pub struct TestStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Moves its clock forward.
    pub advance: Box<dyn Fn(Duration) + Send + Sync>,
    /// Opens it once more, as another process does that is started later. Its clock is moved with the first one's.
    pub again: Again,
    /// What must live as long as the store: its folder, its server.
    pub keep: Box<dyn std::any::Any + Send + Sync>,
}

impl std::ops::Deref for TestStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        self.store.as_ref()
    }
}

/// What holds after every case: the store is true to itself.
pub async fn assert_sound(test: &TestStore) {
    let report = test.store.check().await.expect("the check runs");
    assert_eq!(report.findings, [], "the store contradicts itself");
    assert!(report.checked > 10, "only {} things were compared", report.checked);
    test.store.close().await;
}

/// Makes a test of every case. `$open` is an async function that answers a [`TestStore`].
#[macro_export]
macro_rules! conformance {
    ($open:path) => {
        $crate::conformance!(@cases $open, imports:
            a_scan_makes_hosts_services_and_jobs,
            recording_twice_changes_only_the_last_import,
            times_only_widen,
            a_private_address_is_not_applicable_and_gets_no_job,
            a_closed_port_closes_a_known_service_and_makes_none,
            an_old_record_changes_neither_state_nor_banner,
            seeing_a_stale_host_again_queues_it,
            probe_jobs_are_queued_only_inside_the_scope,
            undo_removes_what_only_that_import_brought,
            imports_are_undone_in_any_order,
            undo_of_a_located_import_leaves_counters_true,
            an_import_reports_its_progress_and_end,
            a_silent_import_is_interrupted,
            batches_of_one_import_may_be_recorded_at_once,
        );
        $crate::conformance!(@cases $open, hosts:
            pages_follow_each_other_without_gap_or_repetition,
            each_field_of_a_filter_is_honoured,
            a_list_by_time_pages_through_every_host,
            counting_stops_at_its_cap,
            facets_count_the_hosts_that_match,
            facets_stop_at_their_cap,
            due_in_the_store_is_due_in_the_domain,
            an_unknown_host_is_an_error,
            located_hosts_come_page_by_page,
        );
        $crate::conformance!(@cases $open, locations:
            an_answer_puts_a_host_on_a_place,
            equal_places_are_one_row,
            a_failure_leaves_a_located_host_located,
            an_older_answer_never_overwrites,
            a_move_is_remembered_with_its_distance,
            coverage_counts_every_state_once,
            staleness_grows_with_time_alone,
            recent_results_are_newest_first,
        );
        $crate::conformance!(@cases $open, requests:
            a_request_merges_into_the_live_job,
            a_finished_job_blocks_nothing,
            a_forced_request_reruns_a_running_job,
            bulk_requests_walk_through_the_selection,
            selected_hosts_are_queued_later,
        );
        $crate::conformance!(@cases $open, claims:
            the_most_urgent_runs_first,
            the_oldest_first_share_ignores_priority,
            a_peeked_job_still_waits,
            a_paused_kind_is_not_claimed,
            the_next_due_time_is_known,
        );
        $crate::conformance!(@cases $open, fences:
            a_late_finish_changes_nothing,
            a_snooze_gives_the_attempt_back,
            a_retry_waits_its_delay,
            discarding_marks_a_pending_host,
            a_rescued_job_ignores_its_first_worker,
            a_renewed_lease_is_not_rescued,
            a_lease_is_overdue_a_while_after_it_ran_out,
            what_a_worker_claimed_before_its_session_ended_is_taken_back_at_once,
            released_jobs_keep_their_attempts,
        );
        $crate::conformance!(@cases $open, managing:
            retry_revives_the_newest_and_skips_live_keys,
            cancelling_leaves_the_host_alone,
            a_named_job_that_cannot_be_changed_says_why,
            a_filtered_list_pages_through_all_matches,
            pruning_spares_what_is_young,
            the_id_of_a_deleted_job_is_not_given_again,
            no_move_outside_the_state_table_happens,
        );
        $crate::conformance!(@cases $open, runs:
            one_run_at_a_time,
            a_silent_run_is_interrupted,
            a_cancelled_run_hears_of_it,
            a_run_keeps_what_it_deferred,
        );
        $crate::conformance!(@cases $open, pins:
            a_pinned_host_keeps_its_place,
            a_finished_job_leaves_a_pinned_host_alone,
            pinning_a_pending_host_locates_it,
            pinning_again_moves_the_host,
            an_unpinned_host_is_due_where_it_stands,
            a_special_host_may_be_pinned,
            undoing_takes_pinned_and_sited_hosts_along,
            only_known_hosts_are_pinned,
        );
        $crate::conformance!(@cases $open, sites:
            a_site_places_a_special_host,
            a_host_without_its_site_has_no_place_again,
            what_a_site_does_not_say_changes_no_special_host,
            a_sited_host_is_never_due_and_never_stale,
            special_hosts_are_selected_by_block_and_state,
        );
        $crate::conformance!(@cases $open, providers:
            permits_end_with_the_limit_and_come_back,
            a_call_takes_from_all_limits_or_none,
            a_limit_of_addresses_grants_what_is_left,
            accounts_are_counted_apart,
            four_tasks_never_exceed_a_limit,
            a_restart_in_mid_window_keeps_the_count,
            an_answer_ends_its_window_sooner,
            a_call_that_was_not_sent_gives_its_permits_back,
            a_call_without_limits_is_granted,
            a_closed_provider_is_left_alone,
            what_calls_came_to_adds_up,
            the_newest_answer_is_kept,
            many_answers_are_kept_at_once,
            old_answers_about_no_host_are_forgotten,
        );
        $crate::conformance!(@cases $open, map:
            places_report_their_changes_once,
            a_filtered_map_counts_matching_hosts,
            every_change_moves_its_topic,
        );
        $crate::conformance!(@cases $open, crashes:
            crashed_jobs_come_in_groups_and_then_alone,
            three_deaths_alone_discard_a_job,
            what_has_to_run_alone_waits_for_who_has_nothing_else,
        );
        $crate::conformance!(@cases $open, caps:
            a_capped_kind_runs_no_more_than_its_cap,
            a_cap_holds_no_other_kind_back,
            four_processes_never_exceed_a_cap,
            a_cap_counts_what_was_peeked,
        );
        $crate::conformance!(@cases $open, workers:
            a_worker_reports_and_leaves,
            a_silent_worker_is_shown_and_then_forgotten,
            how_long_a_worker_has_been_silent_is_counted_by_the_clock_of_the_store,
            a_duty_has_one_holder,
            a_duty_passes_on,
        );
        $crate::conformance!(@cases $open, schedules:
            the_four_tasks_are_there,
            each_occurrence_goes_to_one_of_eight,
            an_occurrence_whose_lease_ran_out_is_done_again,
            a_renewed_occurrence_is_not_taken,
            asked_for_while_it_runs_it_runs_again,
            a_paused_task_runs_when_it_is_asked_for,
            a_task_that_is_resumed_has_the_next_time_that_is_said,
            an_occurrence_that_is_given_up_is_done_again_also_while_it_is_paused,
            an_end_is_remembered,
            a_changed_rule_moves_the_next_time,
            a_rule_that_is_changed_while_it_runs_decides_when_it_is_next,
        );
        $crate::conformance!(@pairs $open, copying:
            every_table_is_read_row_by_row,
            a_copy_is_equal_and_works,
            a_copy_goes_on_where_it_was_interrupted,
            a_target_that_is_not_empty_is_refused,
            a_target_that_holds_no_hosts_but_something_else_is_refused,
            a_target_in_which_a_person_set_something_is_refused,
            half_a_copy_belongs_to_its_source,
            a_copy_that_is_discarded_begins_anew,
            rows_are_taken_only_while_a_copy_is_under_way,
        );
        $crate::conformance!(@pairs $open, newer:
            jobs_of_an_unknown_kind_are_left_alone,
            undoing_takes_jobs_of_an_unknown_kind_along,
        );
        $crate::conformance!(@pairs $open, walk:
            counters_agree_with_the_rows_after_any_order_of_operations,
        );
        $crate::conformance!(@cases $open, races:
            no_job_is_claimed_twice,
            four_processes_share_the_queue,
            imports_and_finishes_of_the_same_hosts_agree,
            imports_that_bring_the_same_new_hosts_agree,
            an_import_that_is_undone_while_it_records_leaves_nothing,
            either_a_finish_or_a_rescue_counts,
            counters_stay_true_whatever_meets,
        );
    };
    (@cases $open:path, $noun:ident: $($case:ident,)+) => {
        mod $noun {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let test = $open().await;
                    $crate::$noun::$case(&test).await;
                    $crate::assert_sound(&test).await;
                }
            )+
        }
    };
    (@pairs $open:path, $noun:ident: $($case:ident,)+) => {
        mod $noun {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let (one, other) = ($open().await, $open().await);
                    $crate::$noun::$case(&one, &other).await;
                    for test in [one, other] {
                        $crate::assert_sound(&test).await;
                    }
                }
            )+
        }
    };
}
