//! Work that comes at a steady rate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::{Address, JobKind};
use hostatlas_store::{EnqueueJobs, HostSelection, Store};

/// Requests in a second.
const TICKS: u32 = 10;

/// Queues jobs at a steady rate, host after host, as a refresh does.
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    after: Option<Address>,
    /// Jobs made so far.
    pub(crate) queued: i64,
}

impl Feed {
    pub(crate) fn new(store: &Arc<dyn Store>) -> Self {
        Self { store: store.clone(), after: None, queued: 0 }
    }

    /// Where the jobs go.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Feeds so many jobs a second for so long, and calls `look` each time.
    pub(crate) async fn run_for(
        &mut self,
        duration: Duration,
        rate: u32,
        mut look: impl FnMut(),
    ) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / TICKS);
        let began = Instant::now();
        while began.elapsed() < duration {
            tick.tick().await;
            self.queue(rate / TICKS).await?;
            look();
        }
        Ok(())
    }

    /// Queues so many jobs that none of them merges into one that is still there.
    pub(crate) async fn queue(&mut self, jobs: u32) -> anyhow::Result<()> {
        let mut left = jobs;
        while left > 0 {
            let from_the_first = self.after.is_none();
            let params = EnqueueJobs {
                selection: HostSelection::All,
                after: self.after,
                limit: left,
                priority: JobKind::Geolocation.default_priority(),
                force: true,
            };
            let made = self.store.jobs_enqueue(params).await?;
            self.queued += i64::try_from(made.queued)?;
            self.after = made.next;
            let considered = u32::try_from(made.considered)?;
            // A page may end with the last host: then the next one is empty, and all begins anew.
            anyhow::ensure!(considered > 0 || !from_the_first, "there are no hosts");
            left = left.saturating_sub(considered);
        }
        Ok(())
    }
}
