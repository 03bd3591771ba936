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
use sqlx::SqliteConnection;

pub(crate) use hostatlas_store::backend::{Caches, Learned};

pub(crate) use self::apply::{Applied, Rule, Write, apply_attempts};
use crate::{
    SqliteStore,
    database::{Size, touch},
    error::engine,
    packed::id_array,
};

/// Up to so many hosts a batch may share its commit with others.
const SMALL_BATCH: usize = 200;

#[async_trait]
impl LocationStore for SqliteStore {
    async fn locations_apply(&self, params: ApplyLocations) -> Result<AppliedLocations, StoreError> {
        if params.writes.is_empty() {
            return Ok(AppliedLocations::default());
        }
        let size = if params.writes.len() <= SMALL_BATCH { Size::Small } else { Size::Bulk };
        let caches = self.caches.clone();
        let applied = self
            .database
            .write(size, move |connection, now| Box::pin(apply(connection, now, params, caches)))
            .await?;
        self.caches.learn(applied.learned);
        Ok(applied.summary)
    }

    async fn location_pin(&self, address: Address, place: Place) -> Result<(), StoreError> {
        let caches = self.caches.clone();
        let applied = self
            .database
            .write(Size::Small, move |connection, now| {
                Box::pin(pin::pin(connection, now, address, place, caches))
            })
            .await?;
        self.caches.learn(applied.learned);
        Ok(())
    }

    async fn location_unpin(&self, address: Address) -> Result<bool, StoreError> {
        let caches = self.caches.clone();
        self.database
            .write(Size::Small, move |connection, now| Box::pin(pin::unpin(connection, now, address, caches)))
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

async fn apply(
    connection: &mut SqliteConnection,
    now: i64,
    params: ApplyLocations,
    caches: Caches,
) -> Result<Applied, StoreError> {
    let writes = params.writes.into_iter();
    let writes = writes
        .map(|write| Write { host: write.host.0, attempt: write.attempt, rule: Rule::Unpinned })
        .collect();
    let writes = one_of_each_host(writes);
    apply_writes(connection, now, params.age, &writes, &caches).await
}

/// Writes answers that are `age` old, sorted by host, with all that follows from them.
async fn apply_writes(
    connection: &mut SqliteConnection,
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

/// How many of these hosts have a live geolocation job.
pub(crate) async fn geolocation_live(
    connection: &mut SqliteConnection,
    hosts: &[i64],
) -> Result<i64, StoreError> {
    if hosts.is_empty() {
        return Ok(0);
    }
    sqlx::query_scalar(
        "SELECT count(*) FROM json_each(?1) AS x CROSS JOIN job INDEXED BY job_live ON job.host = x.value \
         WHERE job.kind = 2 AND job.port = 0 AND job.protocol = 0 AND job.state < 4",
    )
    .bind(id_array(hosts.iter().copied()))
    .fetch_one(connection)
    .await
    .map_err(engine)
}

/// How many of these hosts are pending.
pub(crate) async fn pending(connection: &mut SqliteConnection, hosts: &[i64]) -> Result<i64, StoreError> {
    if hosts.is_empty() {
        return Ok(0);
    }
    sqlx::query_scalar(
        "SELECT count(*) FROM json_each(?1) AS x CROSS JOIN host ON host.id = x.value WHERE host.location_state = 0",
    )
    .bind(id_array(hosts.iter().copied()))
    .fetch_one(connection)
    .await
    .map_err(engine)
}

/// How many of these hosts, all of which have a live geolocation job until this transaction, are pending.
pub(crate) async fn pending_of_live(
    connection: &mut SqliteConnection,
    hosts: &[i64],
) -> Result<i64, StoreError> {
    if hosts.is_empty() {
        return Ok(0);
    }
    let counted: Option<i64> =
        sqlx::query_scalar("SELECT n FROM counter WHERE name = 'pending_live' AND key = 0")
            .fetch_optional(&mut *connection)
            .await
            .map_err(engine)?;
    // Where no such host is counted at all, none of these needs to be looked at.
    if counted.unwrap_or(0) == 0 { Ok(0) } else { pending(connection, hosts).await }
}
