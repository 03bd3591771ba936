//! Connections that the server ends in the middle of whatever they do.

use std::time::{Duration, Instant};

use rand::Rng;

use super::{Killing, LOOK};
use crate::Report;

/// The role that imports log in as.
pub(super) const IMPORTER: &str = "importer";
/// One in so many meets an import, where one runs.
const IMPORTS_MET: u32 = 6;
/// After a crash it takes a moment until somebody is connected again.
const SOMEBODY_CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// Ends one connection of a worker, rather one that does something. It counts only once the server says that it is gone.
const CUT_WORKER: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM
    (SELECT pid FROM pg_stat_activity
     WHERE application_name = 'hostatlas' AND datname = current_database() AND usename <> 'importer'
     AND backend_type = 'client backend'
     ORDER BY state = 'active' DESC NULLS LAST, random() LIMIT 1) AS chosen";
/// The same of an import.
const CUT_IMPORT: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) FROM
    (SELECT pid FROM pg_stat_activity
     WHERE application_name = 'hostatlas' AND datname = current_database() AND usename = 'importer'
     AND backend_type = 'client backend'
     ORDER BY state = 'active' DESC NULLS LAST, random() LIMIT 1) AS chosen";

impl Killing {
    /// Cuts one connection of a worker or an import; answers whether there was one.
    pub(super) async fn cut(&mut self, report: &mut Report) -> anyhow::Result<bool> {
        if self.random.random_ratio(1, IMPORTS_MET) {
            self.import_for_a_moment(report).await?;
            if self.cuts(CUT_IMPORT).await? {
                self.lost.by_imports = Some(Instant::now());
                self.counts.cuts_of_imports += 1;
                return Ok(true);
            }
        }
        let began = Instant::now();
        while began.elapsed() < SOMEBODY_CONNECTS_WITHIN {
            if self.cuts(CUT_WORKER).await? {
                self.lost.by_workers = Some(Instant::now());
                return Ok(true);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(false)
    }

    async fn cuts(&mut self, statement: &'static str) -> anyhow::Result<bool> {
        let was_cut = self.probe.number(statement).await? > 0;
        self.counts.cuts += u32::from(was_cut);
        Ok(was_cut)
    }
}
