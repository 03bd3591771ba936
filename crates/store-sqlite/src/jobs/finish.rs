//! Ending attempts.

use hostatlas_domain::{
    JobId, JobKind, JobState, LeaseToken, Timestamp, Topic, UnlocatedReason, truncate_bytes,
};
use hostatlas_store::{
    Attempt, ERROR_BYTES, Fence, FinishJobs, Finished, RESULT_BYTES, Settled, StoreError, backend::IdSet,
};
use sqlx::SqliteConnection;

use super::{claim::later, kind_of, state_of};
use crate::{
    counters::JobDelta,
    database::touch,
    error::engine,
    locations::{
        Applied, Caches, Learned, Rule, Write, apply_attempts, geolocation_live, one_of_each_host,
        pending_of_live,
    },
    packed::{id_array, push_number, push_row, push_text, rows, separate},
};

/// A job as it is, before its end is written.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: i64,
    token: i64,
    host: i64,
    kind: JobKind,
    state: JobState,
    rerun: bool,
}

/// Ends attempts; answers the jobs whose fence did not hold.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    now: i64,
    params: FinishJobs,
    caches: Caches,
) -> Result<(Vec<JobId>, Learned), StoreError> {
    let FinishJobs { fence, finished, age } = params;
    let (held, lost) = held(connection, fence, finished).await?;
    if held.is_empty() {
        return Ok((lost, Learned::default()));
    }
    let started_at = Timestamp::from_millis(now).minus(age).as_millis();
    let mut ends = Ends::new(fence, now);
    let mut writes = Vec::new();
    for (job, finished) in &held {
        let end = ends.add(job, &finished.settled);
        let discarded = match &finished.settled {
            Settled::Discarded(_, reason)
                if end == JobState::Discarded && job.kind == JobKind::Geolocation =>
            {
                Some(Attempt::Unlocated { reason: *reason, database_build: None })
            }
            _ => None,
        };
        if let Some(attempt) = finished.effect.clone() {
            writes.push(Write { host: job.host, attempt, rule: Rule::Unpinned });
        } else if let Some(attempt) = discarded {
            writes.push(Write { host: job.host, attempt, rule: Rule::Pending });
        }
    }
    let writes = one_of_each_host(writes);
    let applied = apply_attempts(connection, now, age, &writes, &caches).await?;
    ends.write(connection, started_at).await?;
    let learned = settle_counts(connection, applied, &ends.geolocations, ends.counts).await?;
    Ok((lost, learned))
}

/// The jobs whose fence holds, each once, and the others. We hold the write lock, so what is read here stays so.
async fn held(
    connection: &mut SqliteConnection,
    fence: Fence,
    mut finished: Vec<Finished>,
) -> Result<(Vec<(Held, Finished)>, Vec<JobId>), StoreError> {
    finished.sort_by_key(|finished| finished.id);
    let jobs = finished.iter().map(|finished| (finished.id, finished.token)).collect::<Vec<_>>();
    let known = read(connection, &jobs).await?;
    let mut known = known.into_iter().peekable();
    let (mut holding, mut lost) = (Vec::with_capacity(finished.len()), Vec::new());
    for finished in finished {
        // An id that comes twice is taken by its first end.
        let job = known.next_if(|job| job.id == finished.id.0);
        let holds = |job: &Held| {
            let in_state = match fence {
                Fence::Running => job.state == JobState::Running,
                Fence::Waiting => job.state.is_waiting(),
            };
            in_state && LeaseToken(job.token) == finished.token
        };
        match job.filter(holds) {
            Some(job) => holding.push((job, finished)),
            None => lost.push(finished.id),
        }
    }
    Ok((holding, lost))
}

/// Those of these jobs that exist, each once, by id. `jobs` is sorted.
async fn read(
    connection: &mut SqliteConnection,
    jobs: &[(JobId, LeaseToken)],
) -> Result<Vec<Held>, StoreError> {
    let mut ids: Vec<i64> = jobs.iter().map(|(id, _)| id.0).collect();
    ids.dedup();
    let packed: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(concat_ws(',', j.id, j.lease_token, j.host, j.kind, j.state, j.rerun), ';') \
         FROM json_each(?1) AS x CROSS JOIN job AS j ON j.id = x.value",
    )
    .bind(id_array(ids))
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    rows(packed.as_deref())
        .map(|mut row| {
            Ok(Held {
                id: row.number()?,
                token: row.number()?,
                host: row.number()?,
                kind: kind_of(row.number()?)?,
                state: state_of(row.number()?)?,
                rerun: row.number()? != 0,
            })
        })
        .collect()
}

/// What became of geolocation jobs, for `pending_live`.
#[derive(Debug, Default)]
pub(super) struct Geolocations {
    /// Hosts whose job was live.
    pub(super) live: IdSet,
    /// Of those, hosts whose job is live no more.
    pub(super) ended: Vec<i64>,
}

/// The ends of a batch, as parameters.
struct Ends<'f> {
    now: i64,
    /// 1 if the attempt is counted only now.
    uncounted: i64,
    counts: JobDelta,
    geolocations: Geolocations,
    /// Jobs and their results.
    completed: Vec<(i64, &'f str)>,
    /// Job, state, when to run, what is added to its attempts, why it waits, what failed.
    others: String,
}

impl<'f> Ends<'f> {
    fn new(fence: Fence, now: i64) -> Self {
        Self {
            now,
            uncounted: i64::from(fence == Fence::Waiting),
            counts: JobDelta::default(),
            geolocations: Geolocations::default(),
            completed: Vec::new(),
            others: String::new(),
        }
    }

    /// Notes an end; answers the state that the job goes to.
    fn add(&mut self, job: &Held, settled: &'f Settled) -> JobState {
        let (end, run_at, attempts, result, error) = if job.rerun {
            let error = match settled {
                Settled::Retryable(_, error) | Settled::Discarded(error, _) => Some(error),
                Settled::Completed(_) | Settled::Snoozed(..) => None,
            };
            // A new request has all its attempts.
            (JobState::Available, Some(self.now), -i64::from(u16::MAX), None, error)
        } else {
            match settled {
                Settled::Completed(_) => (JobState::Completed, None, self.uncounted, None, None),
                Settled::Snoozed(delay, reason) => (
                    JobState::Scheduled,
                    Some(later(self.now, *delay)),
                    self.uncounted - 1,
                    Some(reason),
                    None,
                ),
                Settled::Retryable(delay, error) => {
                    (JobState::Retryable, Some(later(self.now, *delay)), self.uncounted, None, Some(error))
                }
                Settled::Discarded(error, _) => {
                    (JobState::Discarded, None, self.uncounted, None, Some(error))
                }
            }
        };
        self.counts.moved(job.kind, job.state, end);
        if job.kind == JobKind::Geolocation {
            self.geolocations.live.insert(job.host);
            if !end.is_live() {
                self.geolocations.ended.push(job.host);
            }
        }
        match settled {
            Settled::Completed(result) if end == JobState::Completed => {
                self.completed.push((job.id, truncate_bytes(result, RESULT_BYTES)));
            }
            _ => {
                let (result, error) = (result.map(String::as_str), error.map(String::as_str));
                self.push_other(
                    &[Some(job.id), Some(end.number().into()), run_at, Some(attempts)],
                    result,
                    error,
                );
            }
        }
        end
    }

    fn push_other(&mut self, numbers: &[Option<i64>], result: Option<&str>, error: Option<&str>) {
        push_row(&mut self.others, numbers);
        self.others.pop();
        for (text, most) in [(result, RESULT_BYTES), (error, ERROR_BYTES)] {
            self.others.push(',');
            match text {
                Some(text) => push_text(&mut self.others, truncate_bytes(text, most)),
                None => self.others.push_str("null"),
            }
        }
        self.others.push(']');
    }

    async fn write_completed(
        &self,
        connection: &mut SqliteConnection,
        started_at: i64,
    ) -> Result<(), StoreError> {
        let Some((_, first)) = self.completed.first() else { return Ok(()) };
        let all_equal = self.completed.iter().all(|(_, result)| result == first);
        // A batch whose jobs all found the same needs no text for each.
        let (statement, jobs) = if all_equal {
            let statement = "UPDATE job SET state = 4, finished_at = ?2, leased_until = NULL, claimed_by = NULL, \
                 lease_token = lease_token + ?3, attempt = min(attempt + ?3, max_attempts), \
                 started_at = iif(?3, ?4, started_at), result = nullif(?5, '') \
                 WHERE id IN (SELECT value FROM json_each(?1))";
            (statement, id_array(self.completed.iter().map(|(id, _)| *id)))
        } else {
            let statement = "UPDATE job SET state = 4, finished_at = ?2, leased_until = NULL, claimed_by = NULL, \
                 lease_token = lease_token + ?3, attempt = min(attempt + ?3, max_attempts), \
                 started_at = iif(?3, ?4, started_at), result = nullif(x.result, '') \
                 FROM (SELECT cast(key AS INTEGER) AS id, value AS result FROM json_each(?1)) AS x \
                 WHERE job.id = x.id AND ?5 IS NOT NULL";
            (statement, results(&self.completed))
        };
        sqlx::query(statement)
            .bind(jobs)
            .bind(self.now)
            .bind(self.uncounted)
            .bind(started_at)
            .bind(*first)
            .execute(connection)
            .await
            .map_err(engine)?;
        Ok(())
    }

    async fn write(&self, connection: &mut SqliteConnection, started_at: i64) -> Result<(), StoreError> {
        self.write_completed(connection, started_at).await?;
        if !self.others.is_empty() {
            // Who came to an end did not kill its worker: an earlier crash is forgiven.
            sqlx::query(
                "UPDATE job SET state = x.state, run_at = coalesce(x.run_at, job.run_at), \
                 attempt = max(min(attempt + x.attempts, max_attempts), 0), result = x.result, \
                 last_error = coalesce(x.error, last_error), finished_at = iif(x.state = 6, ?2, NULL), \
                 leased_until = NULL, claimed_by = NULL, rerun = 0, crash_count = 0, \
                 lease_token = lease_token + ?3, started_at = iif(?3, ?4, started_at) \
                 FROM (SELECT value ->> 0 AS id, value ->> 1 AS state, value ->> 2 AS run_at, \
                 value ->> 3 AS attempts, value ->> 4 AS result, value ->> 5 AS error FROM json_each(?1)) AS x \
                 WHERE job.id = x.id",
            )
            .bind(format!("[{}]", self.others))
            .bind(self.now)
            .bind(self.uncounted)
            .bind(started_at)
            .execute(connection)
            .await
            .map_err(engine)?;
        }
        Ok(())
    }
}

/// `{"1":"text"}` of jobs and their results.
fn results(completed: &[(i64, &str)]) -> String {
    let mut json = String::from("{");
    for (id, result) in completed {
        separate(&mut json);
        json.push('"');
        push_number(&mut json, *id);
        json.push_str("\":");
        push_text(&mut json, result);
    }
    json.push('}');
    json
}

/// Writes the counters of ended jobs and of what was written about their hosts.
pub(super) async fn settle_counts(
    connection: &mut SqliteConnection,
    mut applied: Applied,
    geolocations: &Geolocations,
    counts: JobDelta,
) -> Result<Learned, StoreError> {
    let left: IdSet = applied.left_pending.iter().copied().collect();
    // Hosts that are pending no more leave the count if they had a live job: those of this batch had.
    let (here, elsewhere): (Vec<i64>, Vec<i64>) =
        left.iter().partition(|host| geolocations.live.contains(host));
    let mut fewer = i64::try_from(here.len()).unwrap_or(i64::MAX);
    fewer += geolocation_live(connection, &elsewhere).await?;
    // Hosts that stay pending leave it with their job.
    let without: Vec<i64> = geolocations.ended.iter().copied().filter(|host| !left.contains(host)).collect();
    fewer += pending_of_live(connection, &without).await?;
    applied.coverage.pending_live(-fewer);

    counts.write(connection).await?;
    let mut topics = applied.finish(connection).await?;
    topics.push(Topic::Jobs);
    touch(connection, &topics).await?;
    Ok(applied.learned)
}

/// The reason and the words with which a job is given up whose worker died again and again.
pub(super) const POISON: (UnlocatedReason, &str) =
    (UnlocatedReason::Poison, "its worker died three times while it ran this job alone");
