//! A `PostgreSQL` server of its own for tests: Debian's programs, a folder that is thrown away, an unprivileged user, a
//! free port on loopback.
//!
//! `cargo xtask test` and `cargo xtask postgres -- COMMAND` start one [`Cluster`] and name it in
//! [`SERVER_VARIABLE`]; each test makes itself a [`TestDatabase`] there.

mod cluster;
mod database;
mod pooler;
mod programs;

pub use cluster::Cluster;
pub use database::{SERVER_VARIABLE, TestDatabase, server_url};
pub use pooler::Pooler;
pub use programs::{bin_folder, has_pooler, psql};
