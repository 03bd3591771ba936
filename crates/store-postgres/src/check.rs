//! Compares the database with itself.

use std::time::Duration;

use hostatlas_store::{CheckReport, Finding, StoreError};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    database::Database,
    error::{code, code_of, engine},
    indexes::{Index, indexes},
};

/// A check reads everything.
const TIMEOUT: Duration = Duration::from_hours(1);
/// Findings of one kind that are told one by one; a broken index would name every row.
const MOST_FINDINGS: i64 = 20;

/// What each counter must be: its name, and the count by key.
const COUNTERS: [(&str, &str); 7] = [
    ("state", "SELECT location_state::bigint, count(*) FROM host GROUP BY 1"),
    ("reason", "SELECT reason, count(*) FROM host WHERE location_state = 2 GROUP BY 1"),
    ("class", "SELECT class, count(*) FROM host WHERE location_state = 3 GROUP BY 1"),
    (
        "precision",
        "SELECT place.precision, count(*) FROM host JOIN place ON place.id = host.place WHERE location_state = 1 \
         GROUP BY 1",
    ),
    ("provider", "SELECT provider, count(*) FROM host WHERE location_state = 1 GROUP BY 1"),
    (
        "located_hour",
        "SELECT located_at / 3600000, count(*) FROM host WHERE location_state = 1 AND class = 0 GROUP BY 1",
    ),
    (
        "pending_live",
        "SELECT 0, count(*) FROM host JOIN job ON job.host = host.id AND job.state < 4 AND kind = 2 \
         WHERE location_state = 0",
    ),
];

/// Each query answers how many rows break a law.
const LAWS: [(&str, &str, &str); 12] = [
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
///
/// Each comparison is a transaction of its own: what is compared in it is of one moment, and dead rows are kept, and
/// tables held, for no longer than one reading takes.
pub(crate) async fn check(database: &Database) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    integrity(database, &mut report).await?;
    for (name, real) in COUNTERS {
        let rows =
            database.read_within(TIMEOUT, move |connection, _| Box::pin(counter(connection, name, real)));
        counters_agree(name, rows.await?, &mut report);
    }
    let strays = database.read(|connection, _| Box::pin(stray_counters(connection))).await?;
    for (name, key, counted) in strays {
        counters_agree(&name, vec![(key, counted, 0)], &mut report);
    }
    let jobs = database.read_within(TIMEOUT, |connection, _| Box::pin(job_counts(connection))).await?;
    jobs_agree(jobs, &mut report);
    let places = database.read_within(TIMEOUT, |connection, _| Box::pin(place_hosts(connection))).await?;
    places_agree(places, &mut report);
    for (check, law, statement) in LAWS {
        let broken: i64 = database
            .read_within(TIMEOUT, move |connection, _| {
                Box::pin(
                    async move { sqlx::query_scalar(statement).fetch_one(connection).await.map_err(engine) },
                )
            })
            .await?;
        report.checked += 1;
        if broken > 0 {
            report.findings.push(Finding { check: check.to_owned(), detail: format!("{broken} {law}") });
        }
    }
    Ok(report)
}

/// What the server itself knows of damage: pages that it read with a wrong checksum, and indexes that were not
/// finished or that it finds out of order.
async fn integrity(database: &Database, report: &mut CheckReport) -> Result<(), StoreError> {
    let (damaged, indexes, may_verify) =
        database.read(|connection, _| Box::pin(known_damage(connection))).await?;
    let mut find = |detail: String| {
        report.findings.push(Finding { check: "integrity".to_owned(), detail });
    };
    if let Some(pages) = damaged.filter(|pages| *pages > 0) {
        find(format!("the server read {pages} pages with a wrong checksum"));
    }
    for Index { name, .. } in indexes.iter().filter(|index| index.is_torso()) {
        find(format!("the index `{name}` is not complete: housekeeping makes it again"));
    }
    report.checked += 1 + indexes.len() as u64;
    if !may_verify {
        return Ok(());
    }
    for Index { id, name, .. } in indexes.into_iter().filter(|index| index.is_valid) {
        let damage =
            database.read_within(TIMEOUT, move |connection, _| Box::pin(verify_tree(connection, id)));
        report.checked += 1;
        if let Some(damage) = damage.await? {
            let detail = format!("the index `{name}` is damaged: {damage}");
            report.findings.push(Finding { check: "integrity".to_owned(), detail });
        }
    }
    Ok(())
}

/// How many pages were found damaged, where that is known; the indexes; and whether these can be verified.
async fn known_damage(connection: &mut PgConnection) -> Result<(Option<i64>, Vec<Index>, bool), StoreError> {
    let damaged: Option<i64> = sqlx::query_scalar(
        "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    let indexes = indexes(connection).await?;
    Ok((damaged, indexes, may_verify_trees(connection).await?))
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

/// What the server says of a damaged tree. Its transaction has failed then, which ends no other.
async fn verify_tree(connection: &mut PgConnection, id: i64) -> Result<Option<String>, StoreError> {
    match sqlx::query("SELECT bt_index_check($1::oid::regclass)").bind(id).execute(connection).await {
        Ok(_) => Ok(None),
        Err(error) if code_of(&error) == Some(code::INDEX_CORRUPTED) => Ok(Some(error.to_string())),
        Err(error) => Err(engine(error)),
    }
}

/// By key: what is counted, and what is.
async fn counter(
    connection: &mut PgConnection,
    name: &str,
    real: &str,
) -> Result<Vec<(Option<i64>, i64, i64)>, StoreError> {
    let statement = format!(
        "WITH real (key, n) AS ({real})
         SELECT key, sum(counted)::bigint, sum(n)::bigint FROM
             (SELECT key, n AS counted, 0 AS n FROM counter WHERE name = $1
              UNION ALL SELECT key, n, 0 FROM counter_delta WHERE name = $1
              UNION ALL SELECT key, 0, n FROM real) AS compared
         GROUP BY key ORDER BY key"
    );
    sqlx::query_as(AssertSqlSafe(statement)).bind(name).fetch_all(connection).await.map_err(engine)
}

/// Counters of other names, which nothing moves: their name, key and count.
async fn stray_counters(
    connection: &mut PgConnection,
) -> Result<Vec<(String, Option<i64>, i64)>, StoreError> {
    let known = COUNTERS.map(|(name, _)| name);
    sqlx::query_as(
        "SELECT name, key, sum(n)::bigint FROM
             (SELECT name, key, n FROM counter UNION ALL SELECT name, key, n FROM counter_delta) AS counted
         WHERE name <> ALL($1) GROUP BY name, key ORDER BY name, key",
    )
    .bind(&known[..])
    .fetch_all(connection)
    .await
    .map_err(engine)
}

fn counters_agree(name: &str, rows: Vec<(Option<i64>, i64, i64)>, report: &mut CheckReport) {
    for (key, counted, real) in rows {
        report.checked += 1;
        if counted != real {
            let key = key.map_or("nothing".to_owned(), |key| key.to_string());
            let detail = format!("`{name}` {key} is counted as {counted} and is {real}");
            report.findings.push(Finding { check: "counter".to_owned(), detail });
        }
    }
}

/// By kind and state: what is counted, and what is.
async fn job_counts(connection: &mut PgConnection) -> Result<Vec<(i16, i16, i64, i64)>, StoreError> {
    sqlx::query_as(
        "SELECT kind, state, sum(counted)::bigint, sum(n)::bigint FROM
             (SELECT kind, state, n AS counted, 0 AS n FROM job_count
              UNION ALL SELECT kind, state, n, 0 FROM job_count_delta
              UNION ALL SELECT kind, state, 0, count(*) FROM job GROUP BY kind, state) AS compared
         GROUP BY kind, state ORDER BY kind, state",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)
}

fn jobs_agree(rows: Vec<(i16, i16, i64, i64)>, report: &mut CheckReport) {
    for (kind, state, counted, real) in rows {
        report.checked += 1;
        if counted != real {
            let detail =
                format!("jobs of kind {kind} in state {state} are counted as {counted} and are {real}");
            report.findings.push(Finding { check: "counter".to_owned(), detail });
        }
    }
}

/// How many places there are, and by place, where they differ, what is counted and what is.
async fn place_hosts(connection: &mut PgConnection) -> Result<(i64, Vec<(i64, i64, i64)>), StoreError> {
    let places: i64 =
        sqlx::query_scalar("SELECT count(*) FROM place").fetch_one(&mut *connection).await.map_err(engine)?;
    let rows = sqlx::query_as(
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
    Ok((places, rows))
}

fn places_agree((places, rows): (i64, Vec<(i64, i64, i64)>), report: &mut CheckReport) {
    report.checked += places.cast_unsigned();
    report.findings.extend(rows.into_iter().map(|(id, counted, real)| Finding {
        check: "counter".to_owned(),
        detail: format!("place {id} is counted as {counted} hosts and has {real}"),
    }));
}
