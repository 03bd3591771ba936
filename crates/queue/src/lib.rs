//! The life of a job: claim, run, renew, finish, rescue, prune.
//!
//! A [`Handler`] brings a kind, a batch size and a deadline, and says what happened as an [`Outcome`]; the queue
//! decides what follows. Nothing here matches on a kind, and nothing here knows what a job does.
//!
//! Effects in the database happen exactly once: a finish counts only under its fence. Effects outside happen at
//! least once: a worker that dies after them leaves a job that runs again.

mod backoff;
mod batch;
mod handler;
mod housekeeping;
mod lane;
mod leases;
mod worker;

pub use backoff::{BACKOFF_BASE, BACKOFF_CAP, backoff, jittered};
pub use handler::{Handler, JobError, Outcome, settle};
pub use housekeeping::{COMPLETED_KEPT_FOR, DISCARDED_KEPT_FOR, PRUNE_BATCH};
pub use worker::{QueueWorker, QueueWorkerOptions, RunError, WorkSummary};
