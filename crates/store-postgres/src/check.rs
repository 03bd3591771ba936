//! Compares the database with itself.

use std::time::Duration;

use hostatlas_store::{CheckReport, Finding, StoreError};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{database::Database, error::engine};

/// A check reads everything.
const TIMEOUT: Duration = Duration::from_hours(1);
/// Findings of one kind that are told one by one; a broken index would name every row.
const MOST_FINDINGS: i64 = 20;

/// What each counter must be: its name, its key, and the count.
const COUNTERS: [&str; 7] = [
    "SELECT 'state', location_state::bigint, count(*) FROM host GROUP BY 2",
    "SELECT 'reason', reason, count(*) FROM host WHERE location_state = 2 GROUP BY 2",
    "SELECT 'class', class, count(*) FROM host WHERE location_state = 3 GROUP BY 2",
    "SELECT 'precision', place.precision, count(*) FROM host JOIN place ON place.id = host.place \
     WHERE location_state = 1 GROUP BY 2",
    "SELECT 'provider', provider, count(*) FROM host WHERE location_state = 1 GROUP BY 2",
    "SELECT 'located_hour', located_at / 3600000, count(*) FROM host WHERE location_state = 1 AND class = 0 \
     GROUP BY 2",
    "SELECT 'pending_live', 0, count(*) FROM host JOIN job ON job.host = host.id AND job.state < 4 AND kind = 2 \
     WHERE location_state = 0",
];

/// Each query answers how many rows break a law.
const LAWS: [(&str, &str, &str); 11] = [
    (
        "queue",
        "jobs are running without a lease",
        "SELECT count(*) FROM job WHERE state = 3 AND (leased_until IS NULL OR claimed_by IS NULL)",
    ),
    (
        "queue",
        "jobs hold a lease without running",
        "SELECT count(*) FROM job WHERE state <> 3 AND leased_until IS NOT NULL",
    ),
    (
        "queue",
        "finished jobs have no end",
        "SELECT count(*) FROM job WHERE state > 3 AND finished_at IS NULL",
    ),
    (
        "queue",
        "live jobs have a twin",
        "SELECT count(*) FROM (SELECT 1 FROM job WHERE state < 4 GROUP BY host, kind, port, protocol \
         HAVING count(*) > 1) AS twins",
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
        "SELECT count(*) FROM host WHERE CASE WHEN class = 0 THEN location_state = 3 ELSE location_state <> 3 \
         AND NOT (location_state = 1 AND coalesce(provider IN (8, 9), false)) END",
    ),
    (
        "host",
        "pinned hosts are not where a person put them",
        "SELECT count(*) FROM host WHERE pinned <> 0 AND (location_state <> 1 OR provider IS DISTINCT FROM 8)",
    ),
    (
        "host",
        "located hosts stand on a place that is gone",
        "SELECT count(*) FROM host WHERE location_state = 1 \
         AND NOT EXISTS (SELECT 1 FROM place WHERE place.id = host.place)",
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

async fn compare(connection: &mut PgConnection) -> Result<CheckReport, StoreError> {
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

/// What the server itself knows of damage: pages that it read with a wrong checksum, and indexes that were not
/// finished or that it finds out of order.
async fn integrity(connection: &mut PgConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let mut find = |detail: String| {
        report.findings.push(Finding { check: "integrity".to_owned(), detail });
    };
    let damaged: Option<i64> = sqlx::query_scalar(
        "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    if let Some(pages) = damaged.filter(|pages| *pages > 0) {
        find(format!("the server read {pages} pages with a wrong checksum"));
    }
    let indexes: Vec<(i64, String, bool, bool)> = sqlx::query_as(
        "SELECT index.indexrelid::bigint, class.relname::text, index.indisvalid, \
                EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = index.indexrelid)
         FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
         WHERE class.relnamespace = current_schema()::regnamespace ORDER BY class.relname",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(engine)?;
    let broken = indexes.iter().filter(|(_, _, is_valid, is_being_built)| !is_valid && !is_being_built);
    for (_, name, _, _) in broken {
        find(format!("the index `{name}` is not complete: housekeeping makes it again"));
    }
    report.checked += 1 + indexes.len() as u64;
    if !may_verify_trees(connection).await? {
        return Ok(());
    }
    for (id, name, _, _) in indexes.into_iter().filter(|(_, _, is_valid, _)| *is_valid) {
        verify_tree(connection, id, &name, report).await?;
    }
    Ok(())
}

/// Whether the server has `amcheck` and lets us use it. It is an extension that only a superuser can add.
async fn may_verify_trees(connection: &mut PgConnection) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        "SELECT coalesce((SELECT has_function_privilege(pg_proc.oid, 'EXECUTE') FROM pg_proc
            WHERE pg_proc.oid = to_regprocedure('bt_index_check(regclass)')), false)",
    )
    .fetch_one(connection)
    .await
    .map_err(engine)
}

async fn verify_tree(
    connection: &mut PgConnection,
    id: i64,
    name: &str,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    use sqlx::Connection;
    // A savepoint: the first damaged tree must not end the whole check.
    let mut attempt = connection.begin().await.map_err(engine)?;
    let verified =
        sqlx::query("SELECT bt_index_check($1::oid::regclass)").bind(id).execute(&mut *attempt).await;
    attempt.rollback().await.map_err(engine)?;
    report.checked += 1;
    match verified {
        Ok(_) => Ok(()),
        Err(error)
            if error.as_database_error().is_some_and(|said| said.code().as_deref() == Some("XX002")) =>
        {
            let detail = format!("the index `{name}` is damaged: {error}");
            report.findings.push(Finding { check: "integrity".to_owned(), detail });
            Ok(())
        }
        Err(error) => Err(engine(error)),
    }
}

async fn counters(connection: &mut PgConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let real = COUNTERS.join(" UNION ALL ");
    let statement = format!(
        "WITH real (name, key, n) AS ({real})
         SELECT name, key, sum(counted)::bigint, sum(n)::bigint FROM
             (SELECT name, key, n AS counted, 0 AS n FROM counter
              UNION ALL SELECT name, key, n, 0 FROM counter_delta
              UNION ALL SELECT name, key, 0, n FROM real) AS compared
         GROUP BY name, key ORDER BY name, key"
    );
    let rows: Vec<(String, Option<i64>, i64, i64)> =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_all(connection).await.map_err(engine)?;
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

async fn job_counts(connection: &mut PgConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let rows: Vec<(i16, i16, i64, i64)> = sqlx::query_as(
        "SELECT kind, state, sum(counted)::bigint, sum(n)::bigint FROM
             (SELECT kind, state, n AS counted, 0 AS n FROM job_count
              UNION ALL SELECT kind, state, n, 0 FROM job_count_delta
              UNION ALL SELECT kind, state, 0, count(*) FROM job GROUP BY kind, state) AS compared
         GROUP BY kind, state ORDER BY kind, state",
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

async fn place_hosts(connection: &mut PgConnection, report: &mut CheckReport) -> Result<(), StoreError> {
    let places: i64 =
        sqlx::query_scalar("SELECT count(*) FROM place").fetch_one(&mut *connection).await.map_err(engine)?;
    report.checked += places.cast_unsigned();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT id, sum(counted)::bigint, sum(n)::bigint FROM
             (SELECT id, hosts AS counted, 0 AS n FROM place
              UNION ALL SELECT place, n, 0 FROM place_delta
              UNION ALL SELECT place, 0, count(*) FROM host WHERE location_state = 1 GROUP BY place) AS compared
         GROUP BY id HAVING sum(counted) <> sum(n) LIMIT $1",
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
