//! Finding the jobs that a person means, in bounded work.

use hostatlas_domain::{Address, JobFilter, JobId, JobKind, JobState};
use hostatlas_store::StoreError;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{KINDS, kind_of, state_of};
use crate::{
    error::engine,
    packed::{id_array, rows},
};

/// A job that a person means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: i64,
    pub(super) kind: JobKind,
    pub(super) state: JobState,
    pub(super) host: i64,
    pub(super) port: i64,
    pub(super) protocol: i64,
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
    pub(super) fn key(&self) -> (i64, JobKind, i64, i64) {
        (self.host, self.kind, self.port, self.protocol)
    }
}

/// The jobs of these ids, newest first.
pub(super) async fn by_ids(
    connection: &mut SqliteConnection,
    ids: &[JobId],
) -> Result<Vec<Candidate>, StoreError> {
    let mut ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.dedup();
    read(connection, "SELECT value AS id FROM json_each(?1)".to_owned(), Some(id_array(ids))).await
}

/// The jobs of a host that match, newest first. A host has few.
pub(super) async fn of_host(
    connection: &mut SqliteConnection,
    address: Address,
    filter: &JobFilter,
) -> Result<Vec<Candidate>, StoreError> {
    let Some(host) = host_of(connection, address).await? else { return Ok(Vec::new()) };
    let source = format!(
        "SELECT id FROM job INDEXED BY job_host WHERE host = {host}{}{} ORDER BY id DESC",
        equals("kind", filter.kind.map(JobKind::number)),
        equals("+state", filter.state.map(JobState::number)),
    );
    read(connection, source, None).await
}

/// The row of an address.
pub(super) async fn host_of(
    connection: &mut SqliteConnection,
    address: Address,
) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar("SELECT id FROM host WHERE address = ?1")
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
    connection: &mut SqliteConnection,
    kind: Option<JobKind>,
    states: &[JobState],
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let states: Vec<_> = states.iter().map(|state| state.number().to_string()).collect();
    let source = format!(
        "SELECT id FROM job INDEXED BY job_ready WHERE state < 3 AND +state IN ({}){} LIMIT {limit}",
        states.join(","),
        of_kind(kind),
    );
    read(connection, source, None).await
}

/// Some running jobs, of one kind or all.
pub(super) async fn running(
    connection: &mut SqliteConnection,
    kind: Option<JobKind>,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let kind = of_kind(kind);
    let source = format!("SELECT id FROM job INDEXED BY job_leased WHERE state = 3{kind} LIMIT {limit}");
    read(connection, source, None).await
}

/// Jobs in states that `job_rare` holds, newest first and older than `before`.
pub(super) async fn rare(
    connection: &mut SqliteConnection,
    kind: Option<JobKind>,
    states: &[JobState],
    before: i64,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let source = rare_ids(kind, states, before, limit);
    read(connection, source, None).await
}

/// The statement for [`rare`]: one seek for each state and kind.
pub(super) fn rare_ids(kind: Option<JobKind>, states: &[JobState], before: i64, limit: u32) -> String {
    let kinds = kind.map_or_else(|| JobKind::ALL.to_vec(), |kind| vec![kind]);
    let mut seeks = Vec::with_capacity(states.len() * kinds.len());
    for state in states {
        for kind in &kinds {
            let (state, kind) = (state.number(), kind.number());
            seeks.push(format!(
                "SELECT * FROM (SELECT id FROM job INDEXED BY job_rare WHERE state = {state} AND kind = {kind} \
                 AND id < {before} ORDER BY id DESC LIMIT {limit})"
            ));
        }
    }
    format!("{} ORDER BY id DESC LIMIT {limit}", seeks.join(" UNION ALL "))
}

/// Completed jobs, latest first, that were finished before the given one.
pub(super) async fn completed(
    connection: &mut SqliteConnection,
    kind: Option<JobKind>,
    before: (i64, i64),
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    let source = format!(
        "SELECT id FROM job INDEXED BY job_finished WHERE state > 3 AND state = 4 \
         AND finished_at <= {} AND (finished_at, id) < ({}, {}){} ORDER BY finished_at DESC, id DESC LIMIT {limit}",
        before.0,
        before.0,
        before.1,
        of_kind(kind),
    );
    read(connection, source, None).await
}

async fn read(
    connection: &mut SqliteConnection,
    source: String,
    ids: Option<String>,
) -> Result<Vec<Candidate>, StoreError> {
    let sql = format!(
        "SELECT group_concat(concat_ws(',', j.id, j.kind, j.state, j.host, j.port, j.protocol, \
         coalesce(j.finished_at, 0), j.state > 3 AND EXISTS (SELECT 1 FROM job AS l WHERE l.host = j.host \
         AND l.kind = j.kind AND l.port = j.port AND l.protocol = j.protocol AND l.state < 4)), ';') \
         FROM (SELECT id FROM ({source})) AS x CROSS JOIN job AS j ON j.id = x.id \
         WHERE j.kind < {KINDS}"
    );
    let packed: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(ids)
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(engine)?;
    let mut found = rows(packed.as_deref())
        .map(|mut row| {
            Ok(Candidate {
                id: row.number()?,
                kind: kind_of(row.number()?)?,
                state: state_of(row.number()?)?,
                host: row.number()?,
                port: row.number()?,
                protocol: row.number()?,
                finished_at: row.number()?,
                replaced: row.number()? != 0,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.id));
    Ok(found)
}
