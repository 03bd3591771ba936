//! Finding the jobs that a person means, in bounded work.

use hostatlas_domain::{Address, JobFilter, JobId, JobKind, JobState};
use hostatlas_store::StoreError;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{KINDS, kind_of, state_of};
use crate::error::engine;

/// A job that a person means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: i64,
    pub(super) kind: JobKind,
    pub(super) state: JobState,
    pub(super) host: i64,
    pub(super) port: i32,
    pub(super) protocol: i16,
    pub(super) finished_at: i64,
    /// Finished, and a job of the same key is live.
    pub(super) replaced: bool,
}

impl Candidate {
    /// Its id, and the state it was in when it was read.
    pub(super) fn before(&self) -> (JobId, JobState) {
        (JobId(self.id), self.state)
    }

    /// What is the same for all jobs about one thing.
    pub(super) fn key(&self) -> (i64, JobKind, i32, i16) {
        (self.host, self.kind, self.port, self.protocol)
    }
}

/// The jobs of these ids, newest first.
pub(super) async fn by_ids(
    connection: &mut PgConnection,
    ids: &[JobId],
) -> Result<Vec<Candidate>, StoreError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    read(connection, "SELECT unnest($1::bigint[]) AS id".to_owned(), ids).await
}

/// These jobs as they are now, newest first. They are locked by id, and stay so; whether one is replaced stays so too,
/// where its host was locked before.
pub(super) async fn locked(
    connection: &mut PgConnection,
    ids: Vec<i64>,
) -> Result<Vec<Candidate>, StoreError> {
    let there: Vec<i64> = sqlx::query_scalar("SELECT id FROM job WHERE id = ANY($1) ORDER BY id FOR UPDATE")
        .bind(ids)
        .fetch_all(&mut *connection)
        .await
        .map_err(engine)?;
    read(connection, "SELECT unnest($1::bigint[]) AS id".to_owned(), there).await
}

/// The jobs of a host that match, newest first. A host has few.
pub(super) async fn of_host(
    connection: &mut PgConnection,
    address: Address,
    filter: &JobFilter,
) -> Result<Vec<Candidate>, StoreError> {
    let Some(host) = host_of(connection, address).await? else { return Ok(Vec::new()) };
    let source = format!(
        "SELECT id FROM ({}) AS of_host WHERE true{}{}",
        all_of_host(host),
        equals("kind", filter.kind.map(JobKind::number)),
        equals("state", filter.state.map(JobState::number)),
    );
    read(connection, source, Vec::new()).await
}

/// The statement for the jobs of a host, with kind and state: the live ones stand in one index, the finished in another.
pub(super) fn all_of_host(host: i64) -> String {
    format!(
        "SELECT id, kind, state FROM job WHERE host = {host} AND state < 4 \
         UNION ALL SELECT id, kind, state FROM job WHERE host = {host} AND state > 3"
    )
}

/// The row of an address.
pub(super) async fn host_of(
    connection: &mut PgConnection,
    address: Address,
) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar("SELECT id FROM host WHERE address = $1")
        .bind(address.to_key().as_slice())
        .fetch_optional(connection)
        .await
        .map_err(engine)
}

/// ` AND column = value`, where there is a value.
pub(super) fn equals(column: &str, value: Option<u8>) -> String {
    value.map_or_else(String::new, |value| format!(" AND {column} = {value}"))
}

/// ` AND kind = number`, or that it is one of those that this version knows.
fn of_kind(kind: Option<JobKind>) -> String {
    kind.map_or_else(|| format!(" AND kind < {KINDS}"), |kind| equals("kind", Some(kind.number())))
}

/// Some waiting jobs in these states, of one kind or all.
pub(super) async fn waiting(
    connection: &mut PgConnection,
    kind: Option<JobKind>,
    states: &[JobState],
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let states: Vec<_> = states.iter().map(|state| state.number().to_string()).collect();
    let source = format!(
        "SELECT id FROM job WHERE state < 3 AND state IN ({}){} LIMIT {limit}",
        states.join(","),
        of_kind(kind),
    );
    read(connection, source, Vec::new()).await
}

/// Some running jobs, of one kind or all.
pub(super) async fn running(
    connection: &mut PgConnection,
    kind: Option<JobKind>,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let kind = of_kind(kind);
    read(connection, format!("SELECT id FROM job WHERE state = 3{kind} LIMIT {limit}"), Vec::new()).await
}

/// Jobs in states that `job_rare` holds, newest first and older than `before`.
pub(super) async fn rare(
    connection: &mut PgConnection,
    kind: Option<JobKind>,
    states: &[JobState],
    before: i64,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    read(connection, rare_ids(kind, states, before, limit), Vec::new()).await
}

/// The statement for [`rare`]: one seek for each state and kind.
pub(super) fn rare_ids(kind: Option<JobKind>, states: &[JobState], before: i64, limit: u32) -> String {
    let kinds = kind.map_or_else(|| JobKind::ALL.to_vec(), |kind| vec![kind]);
    let mut seeks = Vec::with_capacity(states.len() * kinds.len());
    for state in states {
        for kind in &kinds {
            let (state, kind) = (state.number(), kind.number());
            seeks.push(format!(
                "(SELECT id FROM job WHERE state = {state} AND kind = {kind} AND id < {before} \
                 ORDER BY id DESC LIMIT {limit})"
            ));
        }
    }
    format!("SELECT id FROM ({}) AS seeks ORDER BY id DESC LIMIT {limit}", seeks.join(" UNION ALL "))
}

/// Completed jobs, latest first, that were finished before the given one.
pub(super) async fn completed(
    connection: &mut PgConnection,
    kind: Option<JobKind>,
    before: (i64, i64),
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let source = format!(
        "SELECT id FROM job WHERE state > 3 AND state = 4 AND finished_at <= {} AND (finished_at, id) < ({}, {}){} \
         ORDER BY finished_at DESC, id DESC LIMIT {limit}",
        before.0,
        before.0,
        before.1,
        of_kind(kind),
    );
    read(connection, source, Vec::new()).await
}

/// A row of [`read`].
type Columns = (i64, i16, i16, i64, i32, i16, i64, bool);

/// The jobs whose ids `source` answers; `ids` is its $1.
async fn read(
    connection: &mut PgConnection,
    source: String,
    ids: Vec<i64>,
) -> Result<Vec<Candidate>, StoreError> {
    // `$1` is named once more, since a source need not.
    let sql = format!(
        "SELECT j.id, j.kind, j.state, j.host, j.port, j.protocol, coalesce(j.finished_at, 0), \
         j.state > 3 AND EXISTS (SELECT 1 FROM job AS l WHERE l.host = j.host \
         AND l.kind = j.kind AND l.port = j.port AND l.protocol = j.protocol AND l.state < 4) \
         FROM (SELECT DISTINCT id FROM ({source}) AS source WHERE $1::bigint[] IS NOT NULL) AS x \
         CROSS JOIN LATERAL (SELECT * FROM job WHERE job.id = x.id OFFSET 0) AS j WHERE j.kind < {KINDS} \
         ORDER BY j.id DESC"
    );
    let rows: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(ids)
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    rows.into_iter()
        .map(|(id, kind, state, host, port, protocol, finished_at, replaced)| {
            let (kind, state) = (kind_of(kind)?, state_of(state)?);
            Ok(Candidate { id, kind, state, host, port, protocol, finished_at, replaced })
        })
        .collect()
}
