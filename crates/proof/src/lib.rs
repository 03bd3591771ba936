//! Proofs that the queue and the store lose nothing and apply nothing twice.
//!
//! Each proof is a module with `run(&Options) -> Report`, a full form and a short one. They look into the database
//! behind the back of what they prove, so they alone speak SQL and name backends outside `server`. Only they create
//! the tables in which a job that is applied twice is seen.

mod addresses;
mod installation;
pub mod kill;
mod probe;
mod process;
mod report;

pub use report::{Form, Options, Report};

use clap::ValueEnum;

/// What can be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Proof {
    /// SIGKILL at random while lists are imported and jobs are run, on `SQLite`
    Kill,
}

impl Proof {
    /// Runs it to its end. An error means that nothing was shown either way.
    pub async fn run(self, options: &Options) -> anyhow::Result<Report> {
        match self {
            Self::Kill => kill::run(options).await,
        }
    }
}
