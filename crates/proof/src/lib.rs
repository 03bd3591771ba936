//! Proofs that the queue and the store lose nothing and apply nothing twice.
//!
//! Each proof is a module with `run(&Options) -> Report`, a full form and a short one. They look into the database
//! behind the back of what they prove, so they alone speak SQL and name backends outside `server`. Only they create
//! the tables in which a job that is applied twice is seen.

mod addresses;
pub mod clock_skew;
mod cluster;
mod database;
mod feed;
pub mod fencing;
pub mod full_disk;
mod http;
mod importing;
mod installation;
pub mod kill;
pub mod kill_postgres;
pub mod long_reader;
pub mod poison;
pub mod power_loss;
mod probe;
mod process;
mod report;
pub mod sigterm;
pub mod soak;
pub mod starvation;
mod suite;
mod workbench;

pub use database::Backend;
pub use report::{Form, Options, Report};
pub use suite::Suite;

use std::path::Path;

use clap::ValueEnum;

/// What can be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Proof {
    /// Every interleaving of a model of the queue, and random schedules on both real databases
    Fencing,
    /// What a disk may hold after the power went, at every moment of a recorded run on `SQLite`
    PowerLoss,
    /// SIGKILL at random while lists are imported and jobs are run, on `SQLite`
    Kill,
    /// SIGKILL, cut connections and crashes of the server under many workers, on `PostgreSQL`
    KillPostgres,
    /// A disk that is full in the middle of work
    FullDisk,
    /// A reader that does not let go, while jobs come at a steady rate
    LongReader,
    /// Jobs that kill their worker, among thousands that do not
    Poison,
    /// A flood of urgent jobs, and a few that are not
    Starvation,
    /// SIGTERM with 64 lookups in flight
    Sigterm,
    /// Clocks that jump, and machines that do not agree about the time
    ClockSkew,
    /// Minutes at seventy percent load, in which nothing may grow
    Soak,
}

impl Proof {
    /// Whether it runs on the backend that it is told. The others have one that they are about, or run on both.
    pub const fn takes_backend(self) -> bool {
        matches!(self, Self::Poison | Self::Starvation | Self::Sigterm | Self::Soak)
    }

    /// Runs it to its end. An error means that nothing was shown either way.
    pub async fn run(self, options: &Options) -> anyhow::Result<Report> {
        match self {
            Self::Fencing => fencing::run(options).await,
            Self::PowerLoss => power_loss::run(options).await,
            Self::Kill => kill::run(options).await,
            Self::KillPostgres => kill_postgres::run(options).await,
            Self::FullDisk => full_disk::run(options).await,
            Self::LongReader => long_reader::run(options).await,
            Self::Poison => poison::run(options).await,
            Self::Starvation => starvation::run(options).await,
            Self::Sigterm => sigterm::run(options).await,
            Self::ClockSkew => clock_skew::run(options).await,
            Self::Soak => soak::run(options).await,
        }
    }

    /// The part of a proof that runs in a process of its own, started by the proof itself with a path of its choice.
    pub async fn inside(self, options: &Options, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::FullDisk => full_disk::inside(options, path).await,
            Self::Poison => poison::inside(options, path).await,
            _ => anyhow::bail!("this proof has no part of its own"),
        }
    }
}
