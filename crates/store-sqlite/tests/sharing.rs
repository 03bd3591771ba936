//! Two stores on one file are what two processes are: each has its own connections, locks and writer.

use hostatlas_domain::{Address, DuePolicy, ImportId, ScanFormat, Scope, Timestamp};
use hostatlas_store::{AdminStore, ImportStore, Observation, RecordSightings, StartImport, StoreError};
use hostatlas_store_sqlite::{OpenMode, OpenOptions, SqliteStore};

const SEEN: Timestamp = Timestamp::from_secs(1_795_434_087);

struct Shared {
    _directory: tempfile::TempDir,
    one: SqliteStore,
    other: SqliteStore,
}

async fn shared() -> Shared {
    let directory = tempfile::tempdir().expect("a directory");
    let location = directory.path().join("hostatlas.db").display().to_string();
    let one = SqliteStore::open(OpenOptions::new(location.clone(), OpenMode::Create))
        .await
        .expect("a new database");
    let other =
        SqliteStore::open(OpenOptions::new(location, OpenMode::Existing)).await.expect("the database");
    Shared { _directory: directory, one, other }
}

fn import() -> StartImport {
    StartImport { source: "scan.json".to_owned(), format: ScanFormat::MasscanJson }
}

/// Records `count` hosts from `first` on, in one batch.
fn batch(import: ImportId, first: u32, count: u32) -> RecordSightings {
    let observation = |number: u32| Observation {
        address: Address::from(std::net::IpAddr::from(number.to_be_bytes())),
        port: None,
        first_seen: SEEN,
        last_seen: SEEN,
    };
    let observations = (first..first + count).map(observation).collect();
    RecordSightings { import, observations, scope: Scope::default(), due: DuePolicy::default() }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_a_whole_transaction() {
    let shared = shared().await;
    let id = shared.one.import_start(import()).await.expect("an import");
    // Polled once, so that the batch is on its way, then dropped.
    {
        let mut recording = shared.one.sightings_record(batch(id, 0x0800_0000, 5_000));
        assert!(futures::poll!(recording.as_mut()).is_pending());
    }
    // The writer works in order, so the batch is through once this is.
    shared.one.sightings_record(batch(id, 0x0900_0000, 2_000)).await.expect("recorded");
    let import = shared.one.import_get(id).await.expect("the import");
    assert_eq!((import.report.hosts_new, import.report.jobs_queued), (7_000, 7_000));
    assert_eq!(shared.one.check().await.expect("a check").findings, []);
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
