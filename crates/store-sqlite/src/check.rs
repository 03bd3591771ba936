//! Compares the database with itself.

use std::time::Duration;

use hostatlas_store::{CheckReport, Finding, StoreError};
use sqlx::SqliteConnection;

use crate::{database::Database, error::engine};

/// A check reads everything.
const TIMEOUT: Duration = Duration::from_hours(1);
/// Findings of one kind that are told one by one; a broken index would name every row.
const MOST_FINDINGS: u32 = 20;

/// What each counter must be: its name, its key, and the count.
const COUNTERS: [&str; 7] = [
    "SELECT 'state', location_state, count(*) FROM host GROUP BY 2",
    "SELECT 'reason', reason, count(*) FROM host WHERE location_state = 2 GROUP BY 2",
    "SELECT 'class', class, count(*) FROM host WHERE location_state = 3 GROUP BY 2",
    "SELECT 'precision', precision, count(*) FROM host JOIN place ON place.id = place WHERE location_state = 1 \
     GROUP BY 2",
    "SELECT 'provider', provider, count(*) FROM host WHERE location_state = 1 GROUP BY 2",
    "SELECT 'located_hour', located_at / 3600000, count(*) FROM host WHERE location_state = 1 AND class = 0 \
     GROUP BY 2",
    "SELECT 'pending_live', 0, count(*) FROM host JOIN job ON job.host = host.id AND job.state < 4 AND kind = 2 \
     WHERE location_state = 0",
];

/// Each query answers how many rows break a law.
const LAWS: [(&str, &str, &str); 10] = [
    (
        "queue",
        "jobs are running without a lease",
        "SELECT count(*) FROM job WHERE state = 3 \
         AND (leased_until IS NULL OR claimed_by IS NULL OR lease_token = 0)",
    ),
    (
        "queue",
        "jobs hold a lease without running",
        "SELECT count(*) FROM job WHERE state <> 3 AND (leased_until IS NOT NULL OR claimed_by IS NOT NULL)",
    ),
    (
        "queue",
        "jobs were attempted more often than they may be",
        "SELECT count(*) FROM job WHERE attempt > max_attempts",
    ),
    (
        "queue",
        "finished jobs have no end",
        "SELECT count(*) FROM job WHERE state > 3 AND finished_at IS NULL",
    ),
    (
        "queue",
        "jobs are about a host that is gone",
        "SELECT count(*) FROM job WHERE NOT EXISTS (SELECT 1 FROM host WHERE host.id = job.host)",
    ),
    (
        "host",
        "located hosts have no place or time",
        "SELECT count(*) FROM host WHERE location_state = 1 AND (place IS NULL OR located_at IS NULL)",
    ),
    (
        "host",
        "unlocated hosts have no reason",
        "SELECT count(*) FROM host WHERE location_state = 2 AND reason IS NULL",
    ),
    (
        "host",
        "special addresses are not what their class says",
        "SELECT count(*) FROM host WHERE iif(class = 0, location_state = 3, location_state <> 3 \
         AND NOT (location_state = 1 AND provider IN (8, 9)))",
    ),
    (
        "host",
        "pinned hosts are not where a person put them",
        "SELECT count(*) FROM host WHERE pinned <> 0 AND (location_state <> 1 OR provider IS NOT 8)",
    ),
    (
        "service",
        "services belong to a host that is gone",
        "SELECT count(*) FROM service WHERE NOT EXISTS (SELECT 1 FROM host WHERE host.id = service.host)",
    ),
];

/// See [`hostatlas_store::AdminStore::check`].
pub(crate) async fn check(database: &Database) -> Result<CheckReport, StoreError> {
    // One view of the database, so that counters and rows are of one moment.
    database.read_within(TIMEOUT, |connection, _| Box::pin(compare(connection))).await
}

async fn compare(connection: &mut SqliteConnection) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    integrity(connection, &mut report).await?;
    counters(connection, &mut report).await?;
    job_counts(connection, &mut report).await?;
    place_hosts(connection, &mut report).await?;
    for (check, law, statement) in LAWS {
        let broken: i64 = sqlx::query_scalar(statement).fetch_one(&mut *connection).await.map_err(engine)?;
        report.checked += 1;
        if broken > 0 {
            report.findings.push(Finding { check: check.to_owned(), detail: format!("{broken} {law}") });
        }
    }
    Ok(report)
}

async fn integrity(connection: &mut SqliteConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let rows: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(connection).await.map_err(engine)?;
    report.checked += 1;
    let wrong = rows.into_iter().filter(|row| row != "ok");
    report.findings.extend(wrong.map(|detail| Finding { check: "integrity".to_owned(), detail }));
    Ok(())
}

async fn counters(connection: &mut SqliteConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let real = COUNTERS.join(" UNION ALL ");
    let statement = format!(
        "WITH real(name, key, n) AS ({real})
         SELECT name, key, sum(counted), sum(n) FROM
             (SELECT name, key, n AS counted, 0 AS n FROM counter UNION ALL SELECT name, key, 0, n FROM real)
         GROUP BY name, key"
    );
    let rows: Vec<(String, Option<i64>, i64, i64)> =
        sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_all(connection).await.map_err(engine)?;
    for (name, key, counted, real) in rows {
        report.checked += 1;
        if counted != real {
            let key = key.map_or("nothing".to_owned(), |key| key.to_string());
            let detail = format!("`{name}` {key} is counted as {counted} and is {real}");
            report.findings.push(Finding { check: "counter".to_owned(), detail });
        }
    }
    Ok(())
}

async fn job_counts(connection: &mut SqliteConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT kind, state, sum(counted), sum(n) FROM
             (SELECT kind, state, n AS counted, 0 AS n FROM job_count
              UNION ALL SELECT kind, state, 0, count(*) FROM job GROUP BY kind, state)
         GROUP BY kind, state",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    for (kind, state, counted, real) in rows {
        report.checked += 1;
        if counted != real {
            let detail =
                format!("jobs of kind {kind} in state {state} are counted as {counted} and are {real}");
            report.findings.push(Finding { check: "counter".to_owned(), detail });
        }
    }
    Ok(())
}

async fn place_hosts(connection: &mut SqliteConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let places: i64 =
        sqlx::query_scalar("SELECT count(*) FROM place").fetch_one(&mut *connection).await.map_err(engine)?;
    report.checked += places.cast_unsigned();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT id, sum(counted), sum(n) FROM
             (SELECT id, hosts AS counted, 0 AS n FROM place
              UNION ALL SELECT place, 0, count(*) FROM host WHERE location_state = 1 GROUP BY place)
         GROUP BY id HAVING sum(counted) <> sum(n) LIMIT ?1",
    )
    .bind(MOST_FINDINGS)
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    report.findings.extend(rows.into_iter().map(|(id, counted, real)| Finding {
        check: "counter".to_owned(),
        detail: format!("place {id} is counted as {counted} hosts and has {real}"),
    }));
    Ok(())
}
