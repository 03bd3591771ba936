use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{JobKind, UnlocatedReason, truncate_bytes};
use hostatlas_store::{Attempt, ClaimMode, ClaimedJob, ERROR_BYTES, RESULT_BYTES, Settled};
use tokio_util::sync::CancellationToken;

use crate::{backoff, jittered};

/// A snooze is bounded, so that a provider's absurd "come back later" cannot hide a job for good.
const LONGEST_SNOOZE: Duration = Duration::from_hours(24);

/// Does the work of one kind.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Which kind.
    fn kind(&self) -> JobKind;

    /// How many jobs one call of [`Handler::run`] gets at most.
    fn batch_size(&self) -> u32;

    /// After how long a call is given up, and its jobs are retried.
    fn deadline(&self) -> Duration;

    /// [`ClaimMode::Peek`] only for work that has no effect outside the database.
    fn mode(&self) -> ClaimMode;

    /// Does the work and says, for each job in its order, what happened and what to write about its host.
    ///
    /// When `cancel` fires the process is stopping, or the leases were lost: what returns soon still counts.
    async fn run(&self, jobs: &[ClaimedJob], cancel: CancellationToken) -> Vec<(Outcome, Option<Attempt>)>;
}

/// What happened to a job; the queue decides what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done; with what it found, in a few words.
    Done(String),
    /// Not now, and not a failure: the attempt is given back. Says why it waits.
    Snooze(Duration, String),
    /// Failed, and another attempt may succeed.
    Retry(JobError),
    /// Failed, and no attempt can succeed, so the rest are skipped.
    Discard(JobError),
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JobError {
    /// In words.
    pub message: String,
    /// What its host becomes, if it is pending when the job is given up.
    pub reason: UnlocatedReason,
}

impl JobError {
    /// A failure.
    pub fn new(message: impl Into<String>, reason: UnlocatedReason) -> Self {
        Self { message: message.into(), reason }
    }
}

/// What becomes of a job: retries are delayed and end with the last attempt, texts are cut to what is stored.
///
/// `random` is from 0 to 1.
pub fn settle(outcome: Outcome, job: &ClaimedJob, random: f64) -> Settled {
    match outcome {
        Outcome::Done(result) => Settled::Completed(cut(result, RESULT_BYTES)),
        Outcome::Snooze(delay, why) => Settled::Snoozed(delay.min(LONGEST_SNOOZE), cut(why, RESULT_BYTES)),
        Outcome::Retry(error) if job.attempt < job.max_attempts => {
            Settled::Retryable(jittered(backoff(job.attempt), random), cut(error.message, ERROR_BYTES))
        }
        Outcome::Retry(error) | Outcome::Discard(error) => {
            Settled::Discarded(cut(error.message, ERROR_BYTES), error.reason)
        }
    }
}

fn cut(text: String, longest: usize) -> String {
    if text.len() <= longest { text } else { truncate_bytes(&text, longest).to_owned() }
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::{HostId, JobId, LeaseToken};

    use super::*;

    fn job(attempt: u32) -> ClaimedJob {
        ClaimedJob {
            id: JobId(1),
            token: LeaseToken(1),
            kind: JobKind::Geolocation,
            host: HostId(1),
            address: "8.8.8.8".parse().expect("an address"),
            port: None,
            attempt,
            max_attempts: 8,
            force: false,
            crash_count: 0,
            satisfied: false,
        }
    }

    #[test]
    fn a_retry_of_the_last_attempt_is_given_up() {
        let failed = || Outcome::Retry(JobError::new("refused", UnlocatedReason::Unreachable));
        let settled = [1, 7, 8].map(|attempt| settle(failed(), &job(attempt), 1.0));
        assert_eq!(
            settled,
            [
                Settled::Retryable(Duration::from_secs(15), "refused".to_owned()),
                Settled::Retryable(Duration::from_mins(16), "refused".to_owned()),
                Settled::Discarded("refused".to_owned(), UnlocatedReason::Unreachable),
            ]
        );
    }

    #[test]
    fn a_snooze_never_hides_a_job_for_more_than_a_day() {
        let settled = settle(Outcome::Snooze(Duration::MAX, "quota".to_owned()), &job(1), 0.5);
        assert_eq!(settled, Settled::Snoozed(Duration::from_hours(24), "quota".to_owned()));
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let settled = settle(Outcome::Done("é".repeat(200)), &job(1), 0.5);
        assert_eq!(settled, Settled::Completed("é".repeat(128)));
        let settled = settle(Outcome::Snooze(Duration::ZERO, "é".repeat(200)), &job(1), 0.5);
        assert_eq!(settled, Settled::Snoozed(Duration::ZERO, "é".repeat(128)));
    }
}
