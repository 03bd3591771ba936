//! What became of jobs that a person named by their ids.

use std::collections::{HashMap, HashSet};

use hostatlas_domain::{JobId, JobRefusal, JobState, RefusedJob};

use crate::ChangedJobs;

/// The answer to a retry of `ids`: `found` are those that exist with their state before, `changed` those that are
/// available now.
#[must_use]
pub fn retried(
    ids: &[JobId],
    found: impl Iterator<Item = (JobId, JobState)>,
    changed: &[JobId],
) -> ChangedJobs {
    // A finished job stays finished only because its key has a live job, which may be one that this retry revived.
    let reason =
        |state: JobState| if state.is_live() { JobRefusal::State(state) } else { JobRefusal::Replaced };
    by_id(ids, found.map(|(id, state)| (id, reason(state))), changed)
}

/// The answer to a cancellation of `ids`; as [`retried`].
#[must_use]
pub fn cancelled(
    ids: &[JobId],
    found: impl Iterator<Item = (JobId, JobState)>,
    changed: &[JobId],
) -> ChangedJobs {
    by_id(ids, found.map(|(id, state)| (id, JobRefusal::State(state))), changed)
}

fn by_id(ids: &[JobId], found: impl Iterator<Item = (JobId, JobRefusal)>, changed: &[JobId]) -> ChangedJobs {
    let reasons: HashMap<JobId, JobRefusal> = found.collect();
    // A job that is named twice is one job.
    let mut known: HashSet<JobId> = changed.iter().copied().collect();
    let left = ids.iter().copied().filter(|id| known.insert(*id));
    let refused: Vec<RefusedJob> = left
        .map(|id| RefusedJob { id, reason: reasons.get(&id).copied().unwrap_or(JobRefusal::Unknown) })
        .collect();
    ChangedJobs { changed: changed.len() as u64, skipped: refused.len() as u64, refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_that_was_named_is_changed_or_refused_once() {
        let ids = [7, 1, 2, 7, 3].map(JobId);
        let found = [(1, JobState::Completed), (2, JobState::Running), (3, JobState::Completed)];
        let found = || found.iter().map(|(id, state)| (JobId(*id), *state));
        let refused = |id, reason| RefusedJob { id: JobId(id), reason };
        let running = refused(2, JobRefusal::State(JobState::Running));
        let unknown = refused(7, JobRefusal::Unknown);
        assert_eq!(
            retried(&ids, found(), &[JobId(3)]),
            ChangedJobs {
                changed: 1,
                skipped: 3,
                refused: vec![unknown, refused(1, JobRefusal::Replaced), running],
            }
        );
        let completed = |id| refused(id, JobRefusal::State(JobState::Completed));
        assert_eq!(cancelled(&ids, found(), &[JobId(2)]).refused, [unknown, completed(1), completed(3)]);
    }
}
