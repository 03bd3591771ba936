//! Where hosts are: writing answers and counting them.

mod apply;
mod before;
mod coverage;
mod pin;
mod resolve;

use std::time::Duration;

use async_trait::async_trait;
use hostatlas_domain::{Address, CountryCoverage, Coverage, Place, RecentResult};
use hostatlas_store::{AppliedLocations, ApplyLocations, LocationStore, StoreError};
use sqlx::PgConnection;

pub(crate) use hostatlas_store::backend::{Caches, Learned};

pub(crate) use self::{
    apply::{Applied, Rule, Write, apply_attempts, apply_to},
    before::{Hosts, lock_hosts},
};
use crate::{PostgresStore, counters::touch, error::engine};

#[async_trait]
impl LocationStore for PostgresStore {
    async fn locations_apply(&self, params: ApplyLocations) -> Result<AppliedLocations, StoreError> {
        if params.writes.is_empty() {
            return Ok(AppliedLocations::default());
        }
        let writes = params.writes.into_iter();
        let writes = writes
            .map(|write| Write { host: write.host.0, attempt: write.attempt, rule: Rule::Unpinned })
            .collect();
        let (writes, age) = (one_of_each_host(writes), params.age);
        let applied = self
            .database
            .write_with((writes, self.caches.clone()), move |connection, now, (writes, caches)| {
                Box::pin(apply_writes(connection, now, age, writes, caches))
            })
            .await?;
        self.caches.learn(applied.learned);
        Ok(applied.summary)
    }

    async fn location_pin(&self, address: Address, place: Place) -> Result<(), StoreError> {
        let applied = self
            .database
            .write_with((place, self.caches.clone()), move |connection, now, (place, caches)| {
                Box::pin(pin::pin(connection, now, address, place, caches))
            })
            .await?;
        self.caches.learn(applied.learned);
        Ok(())
    }

    async fn location_unpin(&self, address: Address) -> Result<bool, StoreError> {
        self.database
            .write_with(self.caches.clone(), move |connection, now, caches| {
                Box::pin(pin::unpin(connection, now, address, caches))
            })
            .await
    }

    async fn coverage(&self, max_age: Duration) -> Result<Coverage, StoreError> {
        self.database
            .read(move |connection, now| Box::pin(coverage::coverage(connection, now, max_age)))
            .await
    }

    async fn coverage_countries(&self) -> Result<Vec<CountryCoverage>, StoreError> {
        self.database.read(|connection, _| Box::pin(coverage::countries(connection))).await
    }

    async fn coverage_recent(&self, limit: u32) -> Result<Vec<RecentResult>, StoreError> {
        self.database.read(move |connection, _| Box::pin(coverage::recent(connection, limit))).await
    }
}

/// Writes answers that are `age` old, sorted by host, with all that follows from them.
async fn apply_writes(
    connection: &mut PgConnection,
    now: i64,
    age: Duration,
    writes: &[Write],
    caches: &Caches,
) -> Result<Applied, StoreError> {
    let mut applied = apply_attempts(connection, now, age, writes, caches).await?;
    let live = geolocation_live(connection, &applied.left_pending).await?;
    applied.coverage.pending_live(-live);
    let topics = applied.finish(connection).await?;
    if !topics.is_empty() {
        touch(connection, &topics).await?;
    }
    Ok(applied)
}

/// Sorted by host; of several for one host the last stays.
pub(crate) fn one_of_each_host(mut writes: Vec<Write>) -> Vec<Write> {
    writes.sort_by_key(|write| write.host);
    writes.dedup_by(|later, kept| {
        let same = later.host == kept.host;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    writes
}

/// How many of these hosts, which this transaction has locked, have a live geolocation job.
pub(crate) async fn geolocation_live(
    connection: &mut PgConnection,
    hosts: &[i64],
) -> Result<i64, StoreError> {
    if hosts.is_empty() {
        return Ok(0);
    }
    sqlx::query_scalar(
        "SELECT count(*) FROM job WHERE host = ANY($1) AND kind = 2 AND port = 0 AND protocol = 0 AND state < 4",
    )
    .bind(hosts)
    .fetch_one(connection)
    .await
    .map_err(engine)
}
