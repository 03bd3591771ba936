use hostatlas_store::{AdminStore, ClaimMode, WorkerId};
use hostatlas_test_postgres::TestDatabase;
use sqlx::Connection;

use super::{super::frontier, *};
use crate::{OpenMode, OpenOptions, PostgresStore};

fn params(limit: u32, oldest_first: bool) -> ClaimJobs {
    ClaimJobs {
        kinds: JobKind::ALL.to_vec(),
        limit,
        lease: Duration::from_secs(30),
        worker: WorkerId(1),
        mode: ClaimMode::Lease,
        oldest_first,
        crashed_limit: 50,
        alone: true,
        except: Vec::new(),
    }
}

async fn plan(connection: &mut PgConnection, statement: &str) -> Vec<String> {
    let statement = ["$1", "$2", "$3", "$4"]
        .into_iter()
        .zip(["9000000000000", "'{}'::bigint[]", "1", "1"])
        .fold(statement.to_owned(), |statement, (parameter, value)| statement.replace(parameter, value));
    sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN {statement}")))
        .fetch_all(connection)
        .await
        .expect("a plan")
}

fn assert_seeks(plan: &[String], kinds: usize, beginning: &Beginning) {
    let text = plan.join("\n");
    assert!(!text.contains("Seq Scan on job") && !text.contains("Seq Scan on host"), "{text}");
    let seeks = plan.iter().filter(|line| line.contains("using job_ready on job")).count();
    assert_eq!(seeks, kinds, "{text}");
    for (at, line) in plan.iter().enumerate().filter(|(_, line)| line.contains("using job_ready")) {
        assert!(line.trim_start().starts_with("->  Index Scan using"), "{text}");
        let key = &plan[at + 1];
        assert!(["kind = ", "priority = ", "run_at <= "].iter().all(|part| key.contains(part)), "{text}");
        assert_eq!(key.contains("run_at >= "), beginning.ends.is_some(), "{text}");
        // What was found may be sorted, since each seek ends at its limit; what a seek reads may not.
        assert!(plan[at - 1].contains("LockRows") && plan[at - 2].contains("Limit"), "{text}");
    }
}

/// A database with hosts, and jobs of each: those of odd numbers are done, the others wait and became due at their
/// numbers.
async fn with_jobs(count: u32) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::empty().expect("a database");
    let options = OpenOptions::new(database.url(), OpenMode::Create);
    PostgresStore::open(options).await.expect("a store").close().await;
    let mut connection = PgConnection::connect(&database.url()).await.expect("a connection");
    for (name, value) in crate::session::session_settings() {
        run(&mut connection, &format!("SET {name} = {value}")).await;
    }
    let rows = format!(
        "INSERT INTO host (address, first_seen, last_seen, first_import, last_import)
             SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 1, 1, 1, 1 FROM generate_series(1, {count}) AS n;
         INSERT INTO job (kind, host, priority, state, run_at, created_at, finished_at)
             SELECT n % 4, n, n % 10, CASE WHEN n % 2 = 0 THEN 0 ELSE 4 END, n, n, n
             FROM generate_series(1, {count}) AS n"
    );
    run(&mut connection, &rows).await;
    (database, connection)
}

async fn run(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection).await.expect(statements);
}

async fn count_entries(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT {ENTRIES}")))
        .fetch_one(connection)
        .await
        .expect("a number")
}

/// Claims up to `limit` jobs; answers their numbers and how many entries of `job_ready` were looked at.
async fn lease_some(connection: &mut PgConnection, limit: u32, frontier: &Frontier) -> (Vec<i64>, i64) {
    run(connection, "BEGIN").await;
    let before = count_entries(connection).await;
    let params = ClaimJobs { kinds: vec![JobKind::Geolocation], ..params(limit, false) };
    let claimed = lease(connection, 9_000_000_000_000, &params, frontier).await.expect("a claim");
    let entries = count_entries(connection).await - before;
    run(connection, "COMMIT").await;
    (claimed.iter().map(|job| job.host.0).collect(), entries)
}

/// A reader that holds on to its snapshot keeps the entries of all jobs that were claimed since.
#[tokio::test]
async fn beside_a_long_reader_claims_do_not_step_over_all_that_was_claimed() {
    let (database, mut connection) = with_jobs(0).await;
    let jobs = 3 * u32::try_from(frontier::STEPS).expect("a small number");
    run(
        &mut connection,
        &format!(
            "INSERT INTO host (address, first_seen, last_seen, first_import, last_import)
                 SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 1, 1, 1, 1 FROM generate_series(1, {jobs}) AS n;
             INSERT INTO job (kind, host, priority, run_at, created_at)
                 SELECT 2, n, 2, n, n FROM generate_series(1, {jobs}) AS n"
        ),
    )
    .await;
    let mut reader = PgConnection::connect(&database.url()).await.expect("a connection");
    run(&mut reader, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM job").await;
    let left = 1_000;
    let claimed = jobs - left;
    run(&mut connection, &format!("UPDATE job SET state = 4, finished_at = 1 WHERE host <= {claimed}")).await;

    let frontier = Frontier::default();
    let mut next = i64::from(claimed) + 1;
    for round in 0..6 {
        let (hosts, entries) = lease_some(&mut connection, 100, &frontier).await;
        assert_eq!(hosts, (next..next + 100).collect::<Vec<_>>());
        next += 100;
        // The first finds out, and the second is asked where it ended.
        assert_eq!(entries >= i64::from(claimed), round < 2, "round {round}: {entries} entries");
    }
    run(&mut connection, "UPDATE job SET state = 0 WHERE host = 7").await;
    let (hosts, _) = lease_some(&mut connection, 1_000, &frontier).await;
    assert_eq!(hosts, (next..=i64::from(jobs)).collect::<Vec<_>>(), "what is ahead comes first");
    let (hosts, _) = lease_some(&mut connection, 1_000, &frontier).await;
    assert_eq!(hosts, [7], "what was given back is found when nothing else is left");

    run(&mut reader, "COMMIT").await;
    run(&mut connection, "VACUUM job").await;
    run(&mut connection, "UPDATE job SET state = 0, run_at = host WHERE host <= 10").await;
    let (hosts, _) = lease_some(&mut connection, 100, &frontier).await;
    assert_eq!(hosts, [7, 8, 9, 10], "from where the last ended");
    let (hosts, entries) = lease_some(&mut connection, 100, &frontier).await;
    assert!(hosts == [1, 2, 3, 4, 5, 6] && entries < 100, "{hosts:?} of {entries} entries");
    assert!(!frontier.ready().says_ends, "the reader is gone");
}

/// Behind a million waiting jobs a claim that reads or sorts a whole level takes seconds.
#[tokio::test]
async fn every_claim_seeks_each_kind_and_priority() {
    let (_database, mut connection) = with_jobs(60_000).await;
    let all: Vec<_> = JobKind::ALL.into_iter().map(|kind| (kind, 1_000)).collect();
    let in_the_middle = Beginning {
        ends: Some(Ends::from([((JobKind::ALL[2], 3), 20_000), ((JobKind::ALL[0], 5), 40_000)])),
        says_ends: true,
    };
    for analyze in ["SELECT 1", "ANALYZE"] {
        sqlx::raw_sql(analyze).execute(&mut connection).await.expect("done");
        for (rooms, oldest_first, limit, first) in [
            (&all[2..3], false, 1_000, Some(0)),
            (&all[2..3], false, 1_000, Some(1)),
            (&all[2..3], false, 1_000, Some(2)),
            (&all[..], false, 1_000, Some(0)),
            (&all[..], true, 1_000, Some(0)),
            (&all[2..3], false, 1, None),
        ] {
            for beginning in [&Beginning::default(), &in_the_middle] {
                let statement = statement(rooms, &params(limit, oldest_first), first, beginning);
                let plan = plan(&mut connection, &statement).await;
                assert_seeks(&plan, rooms.len(), beginning);
            }
        }
    }
    connection.close().await.expect("closed");
}
