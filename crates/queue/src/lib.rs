//! The life of a job: claim, run, renew, finish, rescue.
//!
//! A [`Handler`] brings a kind, a batch size and a deadline, and says what happened as an [`Outcome`]; the queue
//! decides what follows. Nothing here matches on a kind, and nothing here knows what a job does.
//!
//! Where only one process works, it holds an exclusive worker role. Where many do, each reports what it is doing, and one
//! of them at a time has the duty to take back what the dead left.
//!
//! Effects in the database happen exactly once: a finish counts only under its fence. Effects outside happen at
//! least once: a worker that dies after them leaves a job that runs again.

mod backoff;
mod batch;
mod exclusion;
mod handler;
mod housekeeping;
mod lane;
mod leases;
mod worker;

pub use backoff::{BACKOFF_BASE, BACKOFF_CAP, backoff, jittered};
pub use handler::{Handler, JobError, Outcome, settle};
pub use leases::HEARTBEAT;
pub use worker::{QueueWorker, QueueWorkerOptions, WorkSummary, WorkerIdentity};
