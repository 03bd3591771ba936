//! Two stores on one file are what two processes are: each has its own connections, locks and writer.

use hostatlas_domain::{Address, DuePolicy, PortNumber, Protocol, ScanFormat, Scope, Timestamp};
use hostatlas_store::{
    AdminStore, ImportStore, Observation, ObservedPort, RecordSightings, StartImport, StoreError,
};
use hostatlas_store_sqlite::{Mode, OpenOptions, SqliteStore};

const SEEN: Timestamp = Timestamp::from_secs(1_795_434_087);

struct Shared {
    _directory: tempfile::TempDir,
    one: SqliteStore,
    other: SqliteStore,
}

async fn shared() -> Shared {
    let directory = tempfile::tempdir().expect("a directory");
    let location = directory.path().join("hostatlas.db").display().to_string();
    let one =
        SqliteStore::open(OpenOptions::new(location.clone(), Mode::Create)).await.expect("a new database");
    let other = SqliteStore::open(OpenOptions::new(location, Mode::Existing)).await.expect("the database");
    Shared { _directory: directory, one, other }
}

fn import() -> StartImport {
    StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson }
}

/// `count` hosts from 8.0.0.0 on, every `step`th address.
fn observations(start: u32, step: u32, count: u32) -> Vec<Observation> {
    (0..count)
        .map(|index| Observation {
            address: Address::from(std::net::IpAddr::from(
                (0x0800_0000 + start + index * step).to_be_bytes(),
            )),
            port: Some(ObservedPort {
                port: PortNumber::try_from(443).expect("a port"),
                protocol: Protocol::Tcp,
                open: true,
                banner: None,
            }),
            first_seen: SEEN,
            last_seen: SEEN,
        })
        .collect()
}

async fn record(store: &SqliteStore, batches: u32, start: u32) -> Result<u64, StoreError> {
    let id = store.import_start(import()).await?;
    let mut made = 0;
    for batch in 0..batches {
        let recorded = store
            .sightings_record(RecordSightings {
                import: id,
                observations: observations(start + batch * 4_000, 2, 2_000),
                scope: Scope::default(),
                due: DuePolicy::default(),
            })
            .await?;
        made += recorded.hosts_new;
    }
    Ok(made)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_into_one_file_lose_nothing() {
    let shared = shared().await;
    // Odd addresses and even ones: every batch of one lies between the rows of the other.
    let (even, odd) = tokio::join!(record(&shared.one, 5, 0), record(&shared.other, 5, 1));
    assert_eq!((even.expect("an import"), odd.expect("an import")), (10_000, 10_000));
    let report = shared.other.check().await.expect("a check");
    assert_eq!(report.findings, []);
    assert!(report.checked > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_of_the_same_hosts_make_each_once() {
    let shared = shared().await;
    let (one, other) = tokio::join!(record(&shared.one, 3, 0), record(&shared.other, 3, 0));
    assert_eq!(one.expect("an import") + other.expect("an import"), 6_000);
    assert_eq!(shared.one.check().await.expect("a check").findings, []);
}

#[tokio::test]
async fn one_process_has_the_worker_role() {
    let shared = shared().await;
    let role = shared.one.worker_role().await.expect("a free role");
    let refusal = shared.other.worker_role().await.err().expect("a held role");
    let holder = format!("process {} since ", std::process::id());
    assert!(
        matches!(&refusal, StoreError::WorkerRoleHeld { holder: name } if name.starts_with(&holder)),
        "{refusal}"
    );
    drop(role);
    assert!(shared.other.worker_role().await.is_ok());
}

#[tokio::test]
async fn what_one_process_commits_moves_the_change_number_of_the_other() {
    use hostatlas_domain::Topic;
    use hostatlas_store::MapStore;

    let shared = shared().await;
    let number = |changes: Vec<hostatlas_domain::TopicChange>| {
        changes.into_iter().find(|change| change.topic == Topic::Imports).expect("the topic").number
    };
    let before = number(shared.other.changes().await.expect("changes"));
    shared.one.import_start(import()).await.expect("an import");
    assert_eq!(number(shared.other.changes().await.expect("changes")), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_a_whole_transaction() {
    let shared = shared().await;
    let id = shared.one.import_start(import()).await.expect("an import");
    let params = RecordSightings {
        import: id,
        observations: observations(0, 1, 5_000),
        scope: Scope::default(),
        due: DuePolicy::default(),
    };
    // Polled once, so that the batch is on its way, then dropped.
    {
        let mut recording = shared.one.sightings_record(params);
        assert!(futures::poll!(recording.as_mut()).is_pending());
    }
    // The writer works in order, so the batch is through once this is.
    record(&shared.one, 1, 100_000).await.expect("an import");
    let import = shared.one.import_get(id).await.expect("the import");
    assert_eq!((import.report.hosts_new, import.report.jobs_queued), (5_000, 5_000));
    assert_eq!(shared.one.check().await.expect("a check").findings, []);
}

#[tokio::test]
async fn undoing_an_import_takes_back_what_only_it_brought() {
    let shared = shared().await;
    let store = &shared.one;
    let ids = [
        store.import_start(import()).await.expect("an import"),
        store.import_start(import()).await.expect("one"),
    ];
    // The first 1000 hosts are the first import's, the next 500 both's, the last 500 the second's.
    for (id, start, count) in [(ids[0], 0, 1_500), (ids[1], 1_000, 1_000)] {
        let params = RecordSightings {
            import: id,
            observations: observations(start, 1, count),
            scope: Scope::default(),
            due: DuePolicy::default(),
        };
        store.sightings_record(params).await.expect("a batch");
    }

    let first = store.import_undo(ids[0]).await.expect("an undo");
    assert_eq!((first.hosts, first.services, first.jobs), (1_000, 1_000, 1_000));
    assert_eq!(store.check().await.expect("a check").findings, []);
    let second = store.import_undo(ids[1]).await.expect("an undo");
    assert_eq!((second.hosts, second.services, second.jobs), (1_000, 1_000, 1_000));
    let again = store.import_undo(ids[1]).await.expect("an undo");
    assert_eq!(again, hostatlas_domain::Undone::default());
    assert_eq!(store.check().await.expect("a check").findings, []);
}

#[tokio::test]
async fn housekeeping_makes_each_list_index_and_then_rests() {
    let shared = shared().await;
    let mut made = 0;
    while shared.one.tidy().await.expect("housekeeping") {
        made += 1;
        assert!(made < 20, "housekeeping does not come to an end");
    }
    assert_eq!(made, 6);
    assert!(!shared.other.tidy().await.expect("housekeeping"));
}
