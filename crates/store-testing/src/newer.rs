//! What a version does beside a newer one, whose jobs it does not know: it leaves them alone, and fails at nothing.

use std::time::Duration;

use hostatlas_domain::{JobFilter, JobId, JobKind, JobState, JobStats};
use hostatlas_store::{
    COPY_TABLES, ClaimJobs, ClaimMode, CopyTable, CopyValue, EnqueueJob, JobSelection, PrunePolicy, Rescue,
    StoreError, WorkerId,
};

use crate::{TestStore, factory::*};

/// The number of a kind that nobody knows yet.
const KIND: i64 = 9;
/// The state of each job of that kind.
const STATES: [JobState; 4] =
    [JobState::Available, JobState::Running, JobState::Completed, JobState::Discarded];

/// Copies an installation, and puts what a newer version would have queued for its first host into it; answers the
/// jobs' ids.
async fn with_jobs_of_a_newer_version(source: &TestStore, target: &TestStore) -> Vec<JobId> {
    source.copy_source().await.expect("prepared");
    target.copy_begin("source").await.expect("begun");
    let mut ids = Vec::new();
    for table in COPY_TABLES {
        let mut rows = source.copy_read(table, None, 1_000).await.expect("rows");
        match table.name {
            "job" => {
                let first = rows.first().expect("a job").clone();
                for (number, state) in (1_000..).zip(STATES) {
                    rows.push(newer_job(table, &first, number, state));
                    ids.push(JobId(number));
                }
            }
            "job_kind" => rows.push(vec![
                CopyValue::Integer(KIND),
                // Paused and with a cap, so that both are read.
                CopyValue::Integer(1),
                CopyValue::Integer(3),
            ]),
            "job_count" => rows.extend((0..).zip(JobState::ALL).map(|(number, state)| {
                let jobs = STATES.iter().filter(|of_job| **of_job == state).count();
                [KIND, number, i64::try_from(jobs).expect("a few")].map(CopyValue::Integer).to_vec()
            })),
            _ => {}
        }
        target.copy_write(table, rows, true).await.expect("written");
    }
    target.copy_end().await.expect("ended");
    ids
}

/// A job like `other`, of a kind that only a newer version knows. Its lease and its end are long ago.
fn newer_job(table: &CopyTable, other: &[CopyValue], id: i64, state: JobState) -> Vec<CopyValue> {
    let mut row = other.to_vec();
    let mut set = |name: &str, value: Option<i64>| {
        let at = table.columns.iter().position(|column| *column == name).expect("a column");
        row[at] = value.map_or(CopyValue::Null, CopyValue::Integer);
    };
    set("id", Some(id));
    set("kind", Some(KIND));
    // The key of a live job is its own.
    set("port", Some(id));
    set("protocol", Some(0));
    set("state", Some(state.number().into()));
    set("finished_at", (!state.is_live()).then_some(1));
    set("leased_until", (state == JobState::Running).then_some(1));
    set("claimed_by", (state == JobState::Running).then_some(1));
    set("lease_token", Some(1));
    row
}

async fn newer_rows(test: &TestStore) -> Vec<Vec<CopyValue>> {
    let table = COPY_TABLES.iter().find(|table| table.name == "job").expect("the table");
    let kind = table.columns.iter().position(|column| *column == "kind").expect("a column");
    let mut rows = test.copy_read(table, None, 1_000).await.expect("rows");
    rows.retain(|row| row[kind] == CopyValue::Integer(KIND));
    rows
}

/// How many jobs wait and run.
fn totals(stats: &JobStats) -> [u64; 2] {
    let of_each = JobKind::ALL.map(|kind| *stats.of(kind));
    [
        of_each.iter().map(hostatlas_domain::JobCounts::waiting).sum(),
        of_each.iter().map(|counts| counts.running).sum(),
    ]
}

/// Neither listed, claimed, rescued, changed nor pruned, but counted apart; and everything else works as ever.
pub async fn jobs_of_an_unknown_kind_are_left_alone(source: &TestStore, test: &TestStore) {
    record(&**source, &[up("8.8.8.1"), up("8.8.8.2"), up("8.8.8.3")]).await;
    let ids = with_jobs_of_a_newer_version(source, test).await;
    let before = newer_rows(test).await;
    assert_eq!(before.len(), STATES.len());

    assert_eq!(totals(&test.jobs_stats().await.expect("stats")), [3, 0]);
    assert_eq!(test.jobs_of_newer_kinds().await.expect("a count"), 1, "one of the four waits");
    let kinds = test.kinds_status().await.expect("kinds");
    assert_eq!(kinds.iter().map(|status| status.kind).collect::<Vec<_>>(), JobKind::ALL);
    for state in [None].into_iter().chain(JobState::ALL.map(Some)) {
        for ip in [None, Some(address("8.8.8.1"))] {
            let filter = JobFilter { state, kind: None, ip };
            let page = test.jobs_list(filter.clone(), None, 100).await.expect("a page");
            assert!(page.items.iter().all(|job| !ids.contains(&job.id)), "{filter:?}");
        }
    }
    let unknown = test.job_get(ids[0]).await;
    assert!(matches!(unknown, Err(StoreError::UnknownJob(_))), "{unknown:?}");

    // What is done to all, and to these by their numbers.
    let all = || JobSelection::Matching { filter: JobFilter::default(), limit: 1_000 };
    let of_host = || JobSelection::Matching {
        filter: JobFilter { ip: Some(address("8.8.8.1")), ..JobFilter::default() },
        limit: 1_000,
    };
    assert_eq!(test.jobs_cancel(of_host()).await.expect("cancelled").changed, 1);
    assert_eq!(test.jobs_cancel(all()).await.expect("cancelled").changed, 2);
    assert_eq!(test.jobs_cancel(JobSelection::Ids(ids.clone())).await.expect("none").changed, 0);
    assert_eq!(test.jobs_retry(all()).await.expect("revived").changed, 3);
    assert_eq!(test.jobs_retry(JobSelection::Ids(ids.clone())).await.expect("none").changed, 0);
    let request = EnqueueJob {
        kind: JobKind::Geolocation,
        address: address("8.8.8.1"),
        port: None,
        priority: hostatlas_domain::Priority::FIRST,
        delay: Duration::ZERO,
        force: false,
    };
    assert!(test.job_enqueue(request).await.expect("merged").duplicate);

    assert!(test.jobs_next_due(&JobKind::ALL).await.expect("a time").is_some());
    let claim = |mode| ClaimJobs {
        kinds: JobKind::ALL.to_vec(),
        limit: 100,
        lease: LEASE,
        worker: WorkerId(7),
        mode,
        oldest_first: false,
        crashed_limit: 50,
        alone: true,
        except: Vec::new(),
    };
    let claimed = test.jobs_claim(claim(ClaimMode::Lease)).await.expect("jobs");
    assert_eq!(claimed.len(), 3);
    for rescue in [Rescue::Expired, Rescue::All] {
        let rescued = test.jobs_rescue(rescue).await.expect("a rescue").rescued;
        assert_eq!(rescued, if rescue == Rescue::All { 3 } else { 0 });
    }
    let policy =
        PrunePolicy { completed_after: Duration::ZERO, discarded_after: Duration::ZERO, limit: 1_000 };
    assert_eq!(test.jobs_prune(policy).await.expect("pruned"), 0);
    while test.tidy().await.expect("housekeeping") {}
    assert_eq!(newer_rows(test).await, before);
    assert_eq!(test.check().await.expect("a check").findings, []);
}

/// A host that goes takes all of its jobs along.
pub async fn undoing_takes_jobs_of_an_unknown_kind_along(source: &TestStore, test: &TestStore) {
    record(&**source, &[up("8.8.8.1"), up("8.8.8.2")]).await;
    with_jobs_of_a_newer_version(source, test).await;
    let import = test.imports_list(None, 1).await.expect("imports").items[0].report.id;
    let undone = test.import_undo(import).await.expect("undone");
    assert_eq!((undone.hosts, undone.jobs), (2, 2 + STATES.len() as u64));
    assert_eq!(newer_rows(test).await.len(), 0);
}
