//! Workers ask a real queue for work, and get what the model says is due.

use std::time::Duration;

use hostatlas_domain::{JobId, JobKind};
use hostatlas_store::{ClaimJobs, ClaimMode, ClaimedJob, Fence, FinishJobs, JobStore, StoreError, WorkerId};
use rand::{Rng, rngs::StdRng};

use super::{
    super::model::{Action, ROWS_OF_KEY},
    Batch, Failed, KINDS, LEASE, Lane, Stop, lasts,
};

impl Batch<'_> {
    /// A worker takes some or all of what is due, of one key or both.
    pub(super) async fn claim(&mut self, random: &mut StdRng) -> Result<(), Stop> {
        let worker = random.random_range(0..2_u8);
        let some = random.random_bool(0.3);
        let params = asking(worker, ClaimMode::Lease, some, random);
        loop {
            let claimed = self.replay.jobs.jobs_claim(params.clone()).await?;
            for job in &claimed {
                self.given(job, worker, &params)?;
            }
            if claimed.is_empty() || some {
                break;
            }
        }
        if some { Ok(()) } else { self.all_given(&params, &[]) }
    }

    /// A worker looks at some or all of what is due, of one key or both, and leaves it as it is.
    pub(super) async fn peek(&mut self, random: &mut StdRng) -> Result<(), Stop> {
        let worker = random.random_range(0..2_u8);
        let some = random.random_bool(0.3);
        let mut params = asking(worker, ClaimMode::Peek, some, random);
        loop {
            let seen = self.replay.jobs.jobs_claim(params.clone()).await?;
            for job in &seen {
                if params.except.contains(&job.id) {
                    return Err(nowhere(format!("job {} was given, which was to be left out", job.id)));
                }
                self.given(job, worker, &params)?;
                params.except.push(job.id);
            }
            if seen.is_empty() || some {
                break;
            }
        }
        if some { Ok(()) } else { self.all_given(&params, &params.except) }
    }

    /// A job was given to a worker, and has to be as the model says.
    fn given(&mut self, job: &ClaimedJob, worker: u8, params: &ClaimJobs) -> Result<(), Stop> {
        let found = self.lanes.iter().enumerate().find_map(|(at, lane)| Some((at, lane.slot_of(job.id)?)));
        let Some((at, slot)) = found else {
            return Err(nowhere(format!("job {} was claimed, which nobody asked for", job.id)));
        };
        let lane = &mut self.lanes[at];
        let peeks = params.mode == ClaimMode::Peek;
        let numbered = u8::try_from(slot).unwrap_or(0);
        let action = if peeks {
            Action::Peek { worker, slot: numbered }
        } else {
            Action::Claim { worker, slot: numbered }
        };
        if lane.step(&self.model, action).is_none() || !params.kinds.contains(&job.kind) {
            let what = format!("job {} was claimed, which is not due", job.id);
            return Err(Stop::Differs(at, lane.failed(what)));
        }
        let Some(row) = lane.state.rows[slot] else { return Ok(()) };
        // Who only looks is told which attempt it would be.
        let attempt = if peeks { (row.attempt + 1).min(self.model.bounds.attempts) } else { row.attempt };
        let expected = [i64::from(row.token), attempt.into(), row.crashes.into()];
        let real = [job.token.0, job.attempt.into(), job.crash_count.into()];
        if expected != real {
            let what = format!("token, attempt and crashes of a claim are {real:?} instead of {expected:?}");
            return Err(Stop::Differs(at, lane.failed(what)));
        }
        Ok(())
    }

    /// Nothing that is due was kept back, but for what was looked at.
    fn all_given(&self, params: &ClaimJobs, seen: &[JobId]) -> Result<(), Stop> {
        let is_left = |lane: &Lane| {
            lane.state.rows.iter().zip(lane.ids).enumerate().any(|(slot, (row, id))| {
                params.kinds.contains(&KINDS[slot / ROWS_OF_KEY])
                    && row.is_some_and(|row| row.is_due())
                    && !id.is_some_and(|id| seen.contains(&id))
            })
        };
        match self.lanes.iter().position(is_left) {
            Some(at) => {
                Err(Stop::Differs(at, self.lanes[at].failed("a job that is due was not given to who asked")))
            }
            None => Ok(()),
        }
    }
}

/// Whether a queue that may have many workers refuses to have jobs run that are not marked as running.
pub(in crate::fencing) async fn refuses_peeks(jobs: &dyn JobStore) -> anyhow::Result<bool> {
    let params = ClaimJobs {
        kinds: KINDS.to_vec(),
        limit: 1,
        lease: lasts(LEASE),
        worker: WorkerId(1),
        mode: ClaimMode::Peek,
        oldest_first: false,
        crashed_limit: 1,
        alone: true,
        except: Vec::new(),
    };
    let claimed = jobs.jobs_claim(params).await.map(|_| ());
    let params = FinishJobs { fence: Fence::Waiting, finished: Vec::new(), age: Duration::ZERO };
    let finished = jobs.jobs_finish(params).await.map(|_| ());
    let refused = |answer| matches!(answer, Err(StoreError::NotSupported { .. }));
    Ok(refused(claimed) && refused(finished))
}

fn asking(worker: u8, mode: ClaimMode, some: bool, random: &mut StdRng) -> ClaimJobs {
    let kinds: Vec<JobKind> = match random.random_range(0..4) {
        0 => vec![KINDS[0]],
        1 => vec![KINDS[1]],
        _ => KINDS.to_vec(),
    };
    ClaimJobs {
        kinds,
        limit: if some { random.random_range(1..40) } else { 1_000 },
        lease: lasts(LEASE),
        worker: WorkerId(1 + i64::from(worker)),
        mode,
        oldest_first: random.random_bool(0.3),
        crashed_limit: 50,
        alone: true,
        except: Vec::new(),
    }
}

/// Something that is wrong in no schedule of its own.
fn nowhere(what: String) -> Stop {
    Stop::Differs(0, Failed { what, history: Vec::new() })
}
