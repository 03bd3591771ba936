//! Reading scan output into the store.

use hostatlas_domain::{
    AddressClass, BadLine, DuePolicy, ImportState, JobKind, LineCounts, LineOutcome, LineReason,
    LocationState, Scope, Undone,
};
use hostatlas_store::{Attempt, FinishImport, RecordSightings, Recorded, StoreError};

use crate::{TestStore, factory::*};

/// An open port makes a host, a service and a geolocation job.
pub async fn a_scan_makes_hosts_services_and_jobs(test: &TestStore) {
    let recorded = record(&**test, &[open("8.8.8.8", 53), open("8.8.8.8", 443), up("9.9.9.9")]).await;
    let expected =
        Recorded { hosts_new: 2, hosts_seen: 2, services_new: 2, services_seen: 2, jobs_queued: 2 };
    assert_eq!(recorded, expected);
    let stats = test.jobs_stats().await.expect("stats");
    assert_eq!((stats.geolocation.available, stats.banner_grab.total), (2, 0));
}

/// Importing the same file twice brings nothing new.
pub async fn recording_twice_changes_only_the_last_import(test: &TestStore) {
    let scan = [banner("8.8.8.8", 22, "ssh", "SSH-2.0"), up("9.9.9.9")];
    record(&**test, &scan).await;
    let before = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    let again = record(&**test, &scan).await;
    let expected = Recorded { hosts_seen: 2, services_seen: 1, ..Recorded::default() };
    assert_eq!(again, expected);
    let after = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_ne!(after.last_import, before.last_import);
    assert_eq!(hostatlas_domain::Host { last_import: before.last_import, ..after }, before);
}

/// First seen falls, last seen grows.
pub async fn times_only_widen(test: &TestStore) {
    for seen in [SEEN, SEEN.minus(DAY), SEEN.plus(DAY), SEEN] {
        record(&**test, &[at(open("8.8.8.8", 53), seen)]).await;
    }
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!((host.first_seen, host.last_seen), (SEEN.minus(DAY), SEEN.plus(DAY)));
    assert_eq!((host.services[0].first_seen, host.services[0].last_seen), (SEEN.minus(DAY), SEEN.plus(DAY)));
}

/// A special address is stored with its class and never queued.
pub async fn a_private_address_is_not_applicable_and_gets_no_job(test: &TestStore) {
    let recorded = record(&**test, &[open("10.0.0.1", 22), open("fd00::1", 22)]).await;
    assert_eq!((recorded.hosts_new, recorded.jobs_queued), (2, 0));
    let host = test.host_get(address("10.0.0.1"), MAX_AGE).await.expect("a host");
    assert_eq!(
        (host.location_state, host.address_class),
        (LocationState::NotApplicable, AddressClass::Private)
    );
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!((coverage.not_applicable, coverage.percent_located), (2, None));
}

/// A closed record refreshes its host, closes a known service and makes no new one.
pub async fn a_closed_port_closes_a_known_service_and_makes_none(test: &TestStore) {
    record(&**test, &[open("8.8.8.8", 21)]).await;
    let later = SEEN.plus(HOUR);
    let recorded =
        record(&**test, &[at(closed("8.8.8.8", 21), later), at(closed("8.8.8.8", 22), later)]).await;
    assert_eq!(recorded.services_new, 0);
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    let states: Vec<_> = host.services.iter().map(|seen| (seen.port.get(), seen.state.as_str())).collect();
    assert_eq!(states, [(21, "closed")]);
    let history = test.host_history(address("8.8.8.8")).await.expect("history");
    let changes: Vec<_> =
        history.services.iter().map(|change| (change.port.get(), change.state.as_str(), change.at)).collect();
    assert_eq!(changes, [(21, "closed", later)]);
}

/// A record from before what is known only widens the first sight.
pub async fn an_old_record_changes_neither_state_nor_banner(test: &TestStore) {
    record(&**test, &[banner("8.8.8.8", 22, "ssh", "new")]).await;
    record(&**test, &[at(banner("8.8.8.8", 22, "ssh", "old"), SEEN.minus(DAY))]).await;
    record(&**test, &[at(closed("8.8.8.8", 22), SEEN.minus(DAY))]).await;
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!((host.services[0].state.as_str(), host.services[0].banner.as_deref()), ("open", Some("new")));
}

/// Rediscovery refreshes: a stale host that is seen again is queued, a fresh one is not.
pub async fn seeing_a_stale_host_again_queues_it(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    let job = lease(&**test, 1).await.remove(0);
    finish(
        &**test,
        vec![hostatlas_store::Finished {
            effect: Some(Attempt::Located(frankfurt())),
            ..finished(&job, done())
        }],
    )
    .await;
    let fresh = record(&**test, &[up("8.8.8.8")]).await;
    (test.advance)(MAX_AGE + DAY);
    let stale = record(&**test, &[up("8.8.8.8")]).await;
    assert_eq!((fresh.jobs_queued, stale.jobs_queued), (0, 1));
}

/// Nothing is probed that the scope does not permit; inside it each kind has its rule.
pub async fn probe_jobs_are_queued_only_inside_the_scope(test: &TestStore) {
    let import = start(&**test).await;
    let observations = vec![
        open("8.8.8.8", 80),
        open("8.8.8.8", 443),
        banner("8.8.8.8", 10443, "X509", "cert"),
        open("9.9.9.9", 443),
    ];
    let scope = Scope::new(&["8.8.8.0/24".parse().expect("a block")]);
    let params = RecordSightings { import, observations, scope, due: DuePolicy::default() };
    test.sightings_record(params).await.expect("recorded");
    let stats = test.jobs_stats().await.expect("stats");
    let counts = JobKind::ALL.map(|kind| stats.of(kind).available);
    assert_eq!(counts, [3, 1, 2, 2]);
}

/// What another import has seen too stays.
pub async fn undo_removes_what_only_that_import_brought(test: &TestStore) {
    record(&**test, &[open("8.8.8.8", 53)]).await;
    let second = start(&**test).await;
    record_in(&**test, second, &[open("8.8.8.8", 53), open("8.8.8.8", 80), open("9.9.9.9", 53)]).await;
    let undone = test.import_undo(second).await.expect("undone");
    assert_eq!((undone.hosts, undone.services, undone.jobs), (1, 2, 1));
    assert!(matches!(test.host_get(address("9.9.9.9"), MAX_AGE).await, Err(StoreError::UnknownHost(_))));
    let host = test.host_get(address("8.8.8.8"), MAX_AGE).await.expect("a host");
    assert_eq!((host.services.len(), host.last_import), (1, host.first_import));
    assert_eq!(test.import_get(second).await.expect("an import").state, ImportState::Undone);
}

/// Whichever of two is undone first, what the other saw stays until that one is undone too; and once is enough.
pub async fn imports_are_undone_in_any_order(test: &TestStore) {
    for (order, block) in [([0, 1], "8.8.1"), ([1, 0], "8.8.2")] {
        let host = |last: u8| open(&format!("{block}.{last}"), 53);
        let imports = [start(&**test).await, start(&**test).await];
        record_in(&**test, imports[0], &[host(1), host(2), host(3)]).await;
        record_in(&**test, imports[1], &[host(3), host(4), host(5)]).await;
        for which in order {
            let undone = test.import_undo(imports[which]).await.expect("undone");
            let expected = if which == order[0] { 2 } else { 3 };
            assert_eq!((undone.hosts, undone.services, undone.jobs), (expected, expected, expected));
            assert_eq!(test.import_undo(imports[which]).await.expect("undone"), Undone::default());
        }
    }
}

/// Undoing takes located hosts from their places and counters.
pub async fn undo_of_a_located_import_leaves_counters_true(test: &TestStore) {
    let import = start(&**test).await;
    record_in(&**test, import, &[up("8.8.8.8"), up("10.0.0.1"), up("9.9.9.9")]).await;
    apply(&**test, "8.8.8.8", Attempt::Located(frankfurt())).await;
    test.import_undo(import).await.expect("undone");
    let coverage = test.coverage(MAX_AGE).await.expect("coverage");
    assert_eq!(
        (coverage.total, coverage.pending_unqueued, coverage.precision.values().sum::<u64>()),
        (0, 0, 0)
    );
    assert_eq!(test.jobs_stats().await.expect("stats").geolocation.total, 0);
}

/// An import's row tells what it read and brought.
pub async fn an_import_reports_its_progress_and_end(test: &TestStore) {
    let id = start(&**test).await;
    record_in(&**test, id, &[open("8.8.8.8", 53)]).await;
    let lines = LineCounts { ok: 1, duplicate: 2, ..LineCounts::default() };
    let first_bad = vec![BadLine { line: 7, reason: "no address".to_owned() }];
    let reasons = vec![LineReason {
        outcome: LineOutcome::Skipped,
        reason: "port is `filtered`".to_owned(),
        count: 2,
        line: 3,
    }];
    let end = FinishImport {
        id,
        lines,
        truncated: true,
        first_bad: first_bad.clone(),
        reasons: reasons.clone(),
        state: ImportState::Done,
    };
    let import = test.import_finish(end).await.expect("finished");
    assert_eq!((&import.report.first_bad, &import.report.reasons), (&first_bad, &reasons));
    assert_eq!((import.state, import.report.lines, import.report.hosts_new), (ImportState::Done, lines, 1));
    assert!(import.report.truncated && import.finished_at.is_some());
    let listed = test.imports_list(None, 10).await.expect("a list");
    assert_eq!(listed.items, [import]);
}

/// An import that says nothing has no process any more; one that reports again goes on.
pub async fn a_silent_import_is_interrupted(test: &TestStore) {
    let id = start(&**test).await;
    let state = async || test.import_get(id).await.expect("an import").state;
    let report = |state| FinishImport {
        id,
        lines: LineCounts::default(),
        truncated: false,
        first_bad: Vec::new(),
        reasons: Vec::new(),
        state,
    };
    (test.advance)(SECOND * 9);
    assert_eq!(state().await, ImportState::Running);
    (test.advance)(SECOND * 2);
    let silent = test.imports_list(None, 10).await.expect("a list").items.remove(0);
    assert_eq!((silent.state, silent.finished_at), (ImportState::Interrupted, Some(silent.started_at)));
    test.import_finish(report(ImportState::Running)).await.expect("reported");
    assert_eq!(state().await, ImportState::Running);
    test.import_finish(report(ImportState::Interrupted)).await.expect("reported");
    assert_eq!(state().await, ImportState::Interrupted);
    // It has ended: what comes late changes nothing.
    test.import_finish(report(ImportState::Done)).await.expect("reported");
    assert_eq!(state().await, ImportState::Interrupted);
}

/// Batches that share no host come to the same in any order, and also while others import the same hosts.
pub async fn batches_of_one_import_may_be_recorded_at_once(test: &TestStore) {
    const BATCHES: u8 = 12;
    assert!(test.batches_at_once() >= 1);
    let mut importing = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let store = (test.again)().await;
        importing.spawn(async move {
            let import = start(&*store).await;
            let mut recording = tokio::task::JoinSet::new();
            let mut next = 0;
            while next < BATCHES || !recording.is_empty() {
                while next < BATCHES && recording.len() < store.batches_at_once() {
                    let store = std::sync::Arc::clone(&store);
                    let batch: Vec<_> = (0..40).map(|last| open(&format!("8.8.{next}.{last}"), 22)).collect();
                    recording.spawn(async move { record_in(&*store, import, &batch).await });
                    next += 1;
                }
                recording.join_next().await.expect("one is under way").expect("recorded");
            }
            let report = store.import_get(import).await.expect("an import").report;
            store.close().await;
            report
        });
    }
    let reports = importing.join_all().await;
    let all = u64::from(BATCHES) * 40;
    assert!(
        reports.iter().all(|report| (report.hosts_seen, report.services_seen) == (all, all)),
        "{reports:?}"
    );
    assert_eq!(reports.iter().map(|report| report.hosts_new).sum::<u64>(), all);
    assert_eq!(reports.iter().map(|report| report.jobs_queued).sum::<u64>(), all);
    assert_eq!(test.jobs_stats().await.expect("stats").geolocation.available, all);
}
