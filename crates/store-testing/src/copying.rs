//! Moving a whole installation into an empty database.

use std::num::NonZeroU32;

use hostatlas_domain::{
    DuePolicy, JobKind, JobState, Mode, Priority, ProviderAnswerStatus, ProviderName, ScanFormat,
    ScheduleTask, UnlocatedReason,
};
use hostatlas_store::{
    Attempt, COPY_TABLES, CopyTable, CopyValue, EnqueueJobs, HostSelection, NewAnswer, Rescue, Settled,
    StartImport, Store, StoreError, WorkerId,
};

use crate::{TestStore, factory::*};

type Rows = Vec<Vec<CopyValue>>;

const SOURCE: &str = "sqlite:///srv/hostatlas.db";

/// An installation with something in nearly every table.
async fn fill(test: &TestStore) {
    record(
        &**test,
        &[
            banner("8.8.8.1", 22, "ssh", "SSH-2.0-\"x\"\0\u{ff}"),
            open("8.8.8.1", 443),
            up("8.8.8.2"),
            up("8.8.8.3"),
            up("8.8.8.4"),
            up("10.0.0.1"),
            up("2001:4860::1"),
        ],
    )
    .await;
    record(&**test, &[closed("8.8.8.1", 443)]).await;
    apply(&**test, "8.8.8.1", Attempt::Located(frankfurt())).await;
    apply(&**test, "8.8.8.1", Attempt::Located(tokyo())).await;
    apply(&**test, "8.8.8.2", Attempt::Unlocated { reason: UnlocatedReason::NoRecord, database_build: None })
        .await;
    let jobs = lease(&**test, 3).await;
    finish(&**test, vec![finished(&jobs[0], done())]).await;
    let discarded = Settled::Discarded("it is \"broken\"\n".to_owned(), UnlocatedReason::NoRecord);
    finish(&**test, vec![finished(&jobs[1], discarded)]).await;
    test.kind_pause(JobKind::SslCert, true).await.expect("paused");
    test.kind_cap(JobKind::Geolocation, NonZeroU32::new(3)).await.expect("capped");
    let pinned = nuremberg().place.clone();
    test.location_pin(address("8.8.8.3"), pinned).await.expect("pinned");
    let status = ProviderAnswerStatus::Miss(UnlocatedReason::NoRecord);
    let answer = NewAnswer { address: address("8.8.8.8"), provider: ProviderName::IpApi, status };
    test.answers_keep(vec![answer]).await.expect("kept");
    test.run_start(Mode::AsyncBatch, 10).await.expect("a run");
    test.schedule_ask(ScheduleTask::Check).await.expect("asked");
    while test.tidy().await.expect("housekeeping") {}
}

async fn rows(store: &dyn Store, table: &CopyTable, limit: u32) -> Rows {
    let mut all: Rows = Vec::new();
    loop {
        let after = all.last().map(|row| row[..table.key].to_vec());
        let rows = store.copy_read(table, after.as_deref(), limit).await.expect("rows");
        let is_last = rows.len() < limit as usize;
        all.extend(rows);
        if is_last {
            return all;
        }
    }
}

async fn everything(store: &dyn Store) -> Vec<(&'static str, Rows)> {
    let mut all = Vec::new();
    for table in COPY_TABLES {
        all.push((table.name, rows(store, table, 1_000).await));
    }
    all
}

/// Copies until it is done or `transactions` were written; answers whether it is done.
async fn copy(source: &dyn Store, target: &dyn Store, mut transactions: u32) -> bool {
    source.copy_source().await.expect("prepared");
    let begun = target.copy_begin(SOURCE).await.expect("begun");
    assert_eq!(begun.len(), COPY_TABLES.len());
    for (table, progress) in COPY_TABLES.iter().zip(begun) {
        assert_eq!(table.name, progress.name);
        let (mut after, mut is_done) = (progress.after, progress.done);
        while !is_done {
            if transactions == 0 {
                return false;
            }
            transactions -= 1;
            let rows = source.copy_read(table, after.as_deref(), 2).await.expect("rows");
            is_done = rows.len() < 2;
            after = rows.last().map(|row| row[..table.key].to_vec()).or(after);
            target.copy_write(table, rows, is_done).await.expect("written");
        }
    }
    true
}

/// Rows come by key, in pieces as in one; every table has its columns.
pub async fn every_table_is_read_row_by_row(source: &TestStore, _: &TestStore) {
    fill(source).await;
    source.copy_source().await.expect("prepared");
    for table in COPY_TABLES {
        let whole = rows(&**source, table, 1_000).await;
        assert!(whole.iter().all(|row| row.len() == table.columns.len()), "{}", table.name);
        assert_eq!(rows(&**source, table, 1).await, whole, "{}", table.name);
    }
    let filled = everything(&**source).await.into_iter().filter(|(_, rows)| !rows.is_empty());
    let empty: Vec<_> = COPY_TABLES.iter().map(|table| table.name).collect();
    let filled: Vec<_> = filled.map(|(name, _)| name).collect();
    let empty: Vec<_> = empty.into_iter().filter(|name| !filled.contains(name)).collect();
    assert_eq!(empty, ["provider_window", "provider_state"]);
}

/// The target is what the source is, and goes on from there.
pub async fn a_copy_is_equal_and_works(source: &TestStore, target: &TestStore) {
    fill(source).await;
    let changes = target.changes().await.expect("changes");
    assert!(copy(&**source, &**target, u32::MAX).await);
    assert_eq!(everything(&**target).await, everything(&**source).await);
    target.copy_end().await.expect("ended");
    for (before, after) in changes.topics.iter().zip(target.changes().await.expect("changes").topics) {
        assert!(after.number > before.number, "{:?} is not shown as changed", after.topic);
    }
    let (places, _) = target.places_changed(0).await.expect("places");
    assert_eq!(places.iter().map(|place| place.hosts).sum::<u64>(), 2);

    // New rows are numbered after the copied ones, and known ones are met again.
    let known = target.jobs_list(hostatlas_domain::JobFilter::default(), None, 1).await.expect("jobs");
    let recorded = record(&**target, &[up("8.8.8.2"), up("9.9.9.9")]).await;
    assert_eq!((recorded.hosts_new, recorded.jobs_queued), (1, 1));
    let newest = target.jobs_list(hostatlas_domain::JobFilter::default(), None, 1).await.expect("jobs");
    assert!(newest.items[0].id > known.items[0].id);
    apply(&**target, "9.9.9.9", Attempt::Located(frankfurt())).await;

    // What was running is taken back once its lease has run out.
    let running = target.jobs_stats().await.expect("stats").geolocation.running;
    assert_eq!(running, 1);
    (target.advance)(LEASE + SECOND);
    assert_eq!(target.jobs_rescue(Rescue::Expired).await.expect("a rescue").rescued, 1);
    let again = lease(&**target, 10).await;
    assert!(again.iter().any(|job| job.crash_count == 1 || job.attempt > 0));
    assert!(target.worker_role().await.is_ok());
}

/// Killed at any point, the same command completes it.
pub async fn a_copy_goes_on_where_it_was_interrupted(source: &TestStore, target: &TestStore) {
    fill(source).await;
    let mut interruptions = 0;
    while !copy(&**source, &*(target.again)().await, 3).await {
        interruptions += 1;
    }
    assert!(interruptions > 10, "{interruptions}");
    let progress = target.copy_begin(SOURCE).await.expect("begun");
    for (table, progress) in COPY_TABLES.iter().zip(progress) {
        let copied = rows(&**target, table, 1_000).await.len() as u64;
        assert_eq!((progress.copied, progress.done), (copied, true), "{}", table.name);
    }
    assert_eq!(everything(&**target).await, everything(&**source).await);
    target.copy_end().await.expect("ended");
}

/// What is there stays as it is.
pub async fn a_target_that_is_not_empty_is_refused(source: &TestStore, target: &TestStore) {
    fill(source).await;
    record(&**target, &[up("9.9.9.9")]).await;
    let before = everything(&**target).await;
    let refused = target.copy_begin(SOURCE).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(everything(&**target).await, before);
    assert!(target.worker_role().await.is_ok());
}

async fn is_refused(target: &TestStore, because: &str) {
    let before = everything(&**target).await;
    let refused = target.copy_begin(SOURCE).await;
    let Err(StoreError::Conflict(reason)) = refused else { panic!("{because}: {refused:?}") };
    assert!(reason.contains(&format!("`{because}`")), "{reason}");
    assert_eq!(everything(&**target).await, before);
    assert_eq!(target.copy_unfinished().await.expect("an answer"), None);
}

/// Answers cost calls, and a run is somebody's.
pub async fn a_target_that_holds_no_hosts_but_something_else_is_refused(one: &TestStore, other: &TestStore) {
    let status = ProviderAnswerStatus::Miss(UnlocatedReason::NoRecord);
    let answer = NewAnswer { address: address("8.8.8.8"), provider: ProviderName::IpApi, status };
    one.answers_keep(vec![answer]).await.expect("kept");
    is_refused(one, "answer").await;
    other.run_start(Mode::AsyncBatch, 10).await.expect("a run");
    is_refused(other, "run").await;
}

/// What a person decided is not undone in silence; what recurring work did in an empty database is no obstacle.
pub async fn a_target_in_which_a_person_set_something_is_refused(source: &TestStore, target: &TestStore) {
    target.kind_pause(JobKind::SslCert, true).await.expect("paused");
    is_refused(target, "job_kind").await;
    target.kind_pause(JobKind::SslCert, false).await.expect("resumed");
    target.kind_cap(JobKind::Geolocation, NonZeroU32::new(3)).await.expect("capped");
    is_refused(target, "job_kind").await;
    target.kind_cap(JobKind::Geolocation, None).await.expect("no cap");
    let [often, as_before] = ["every 5m", "every 1m"].map(|rule| rule.parse().expect("a rule"));
    target.schedule_change(ScheduleTask::Prune, often, SECOND).await.expect("changed");
    is_refused(target, "schedule").await;
    target.schedule_change(ScheduleTask::Prune, as_before, SECOND).await.expect("changed");
    target.schedule_pause(ScheduleTask::Check).await.expect("paused");
    is_refused(target, "schedule").await;
    let daily = "every 1d".parse().expect("a rule");
    target.schedule_resume(ScheduleTask::Check, daily, None).await.expect("resumed");

    (target.advance)(SECOND * 2);
    let due = target.schedule_claim(WorkerId(1), LEASE).await.expect("an answer");
    assert!(due.is_some(), "nothing ran");
    fill(source).await;
    assert!(copy(&**source, &**target, u32::MAX).await);
    assert_eq!(everything(&**target).await, everything(&**source).await);
    target.copy_end().await.expect("ended");
}

/// Two sources cannot be mixed, and nobody works on half an installation.
pub async fn half_a_copy_belongs_to_its_source(source: &TestStore, target: &TestStore) {
    fill(source).await;
    assert!(!copy(&**source, &**target, 20).await);
    let refused = target.copy_begin("sqlite:///srv/other.db").await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(target.copy_unfinished().await.expect("an answer").as_deref(), Some(SOURCE));
    let refused = target.worker_role().await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::CopyUnfinished { .. })), "{refused:?}");
    let scan = StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson };
    let place = nuremberg().place.clone();
    let selection = HostSelection::Due(DuePolicy::default());
    let all = EnqueueJobs { selection, after: None, limit: 10, priority: Priority::FIRST, force: false };
    for (what, refused) in [
        ("an import", target.import_start(scan).await.map(|_| ())),
        ("a run", target.run_start(Mode::AsyncBatch, 1).await.map(|_| ())),
        ("a job", target.job_enqueue(request("8.8.8.1")).await.map(|_| ())),
        ("jobs", target.jobs_enqueue(all).await.map(|_| ())),
        ("a pin", target.location_pin(address("8.8.8.1"), place).await),
    ] {
        assert!(matches!(refused, Err(StoreError::CopyUnfinished { .. })), "{what}: {refused:?}");
    }
    assert!(copy(&**source, &**target, u32::MAX).await);
    target.copy_end().await.expect("ended");
    assert_eq!(target.copy_unfinished().await.expect("an answer"), None);
    assert!(target.worker_role().await.is_ok());
    let job = lease(&**target, 1).await.remove(0);
    assert_eq!(target.job_get(job.id).await.expect("the job").state, JobState::Running);
}

/// What a copy brought is thrown away, and the same copy begins anew.
pub async fn a_copy_that_is_discarded_begins_anew(source: &TestStore, target: &TestStore) {
    fill(source).await;
    target.copy_discard().await.expect("nothing to discard");
    assert!(copy(&**source, &**target, u32::MAX).await);
    // An import that nobody stopped.
    record(&**source, &[up("9.9.9.9"), up("8.8.8.1")]).await;

    target.copy_discard().await.expect("discarded");

    let begun = target.copy_begin(SOURCE).await.expect("begun");
    assert!(begun.iter().all(|table| table.after.is_none() && table.copied == 0 && !table.done), "{begun:?}");
    assert!(everything(&**target).await.iter().all(|(_, rows)| rows.is_empty()));
    assert!(copy(&**source, &**target, u32::MAX).await);
    assert_eq!(everything(&**target).await, everything(&**source).await);
    target.copy_end().await.expect("ended");
}

/// Rows that no copy brings are nobody's: neither before it begins, nor after it ended, nor where they are known.
pub async fn rows_are_taken_only_while_a_copy_is_under_way(source: &TestStore, target: &TestStore) {
    fill(source).await;
    rows_are_refused(source, target).await;
    assert!(copy(&**source, &**target, u32::MAX).await);
    target.copy_end().await.expect("ended");
    rows_are_refused(source, target).await;
}

async fn rows_are_refused(source: &TestStore, target: &TestStore) {
    let before = everything(&**target).await;
    for (table, (_, brought)) in COPY_TABLES.iter().zip(everything(&**source).await) {
        for brought in [brought, Rows::new()] {
            let refused = target.copy_write(table, brought, true).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{}: {refused:?}", table.name);
        }
    }
    assert_eq!(everything(&**target).await, before);
}
