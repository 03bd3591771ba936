//! What the map is made of. Rows are read as they come and not collected first: a serving process reads all places
//! when it starts, and its memory is bounded.
//!
//! A place's hosts are its row and the differences that housekeeping has not added up yet. What changed is told by
//! transaction: each difference carries the transaction that wrote it, and a place the last one of those that were
//! added up. The number to ask with next is the oldest transaction that may still be going on: what older ones wrote was
//! seen, and one that commits late is told of then, whether it is a difference still or was added up meanwhile.

use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use hostatlas_domain::{Coordinate, CountryCode, HostFilter, Place, PlaceId, Precision, Topic, TopicChange};
use hostatlas_store::{Changes, MapStore, PlaceHosts, StoreError};
use sqlx::PgConnection;

use crate::{
    PostgresStore,
    error::{corrupt, engine},
    hosts,
    rows::byte,
};

#[async_trait]
impl MapStore for PostgresStore {
    async fn places_changed(&self, since: i64) -> Result<(Vec<PlaceHosts>, i64), StoreError> {
        // Asked before the view is taken: whoever works elsewhere now and is still at it then writes nothing here.
        let elsewhere = self.database.read(|connection, _| Box::pin(elsewhere(connection))).await?;
        self.database
            .read_with(elsewhere, move |connection, _, elsewhere| {
                Box::pin(changed(connection, since, elsewhere))
            })
            .await
    }

    async fn places_named(&self, ids: &[PlaceId]) -> Result<Vec<(PlaceId, Place)>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        self.database.read_with(ids, |connection, _, ids| Box::pin(named(connection, ids))).await
    }

    async fn places_matching(
        &self,
        filter: HostFilter,
        max_age: Duration,
    ) -> Result<Vec<(PlaceId, u64)>, StoreError> {
        self.database
            .read_with(filter, move |connection, now, filter| {
                Box::pin(hosts::places_matching(connection, now, filter, max_age))
            })
            .await
    }

    async fn changes(&self) -> Result<Changes, StoreError> {
        let before = self.database.past.latest();
        let numbers = self.database.read(|connection, _| Box::pin(changes(connection))).await?;
        Ok(self.database.past.changes(&before, numbers))
    }
}

/// Transactions that go on in other databases of the server; they share our numbers and hold nothing of ours.
async fn elsewhere(connection: &mut PgConnection) -> Result<Vec<i64>, StoreError> {
    // The view shows 32 bits of a number. Those it means are among the latest, so the rest follows from the present.
    sqlx::query_scalar(
        "SELECT next - ((next - backend_xid::text::bigint) & 4294967295)
         FROM pg_stat_activity, (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) AS present
         WHERE backend_xid IS NOT NULL AND datid <> (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)
}

/// The bounds of what this view sees: the oldest transaction that may still write here, and the first that has not
/// begun.
async fn bounds(connection: &mut PgConnection, elsewhere: &[i64]) -> Result<(i64, i64), StoreError> {
    sqlx::query_as(
        "SELECT least(min(going_on.number), max(present.next)), max(present.next)
         FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) AS present
         LEFT JOIN (SELECT xact::text::bigint AS number FROM pg_snapshot_xip(pg_current_snapshot()) AS xact)
             AS going_on ON going_on.number <> ALL($1)",
    )
    .bind(elsewhere)
    .fetch_one(connection)
    .await
    .map_err(engine)
}

async fn changed(
    connection: &mut PgConnection,
    since: i64,
    elsewhere: &[i64],
) -> Result<(Vec<PlaceHosts>, i64), StoreError> {
    let (oldest, next) = bounds(connection, elsewhere).await?;
    // A number that is ahead of this server's came with a copy from another one, and tells nothing.
    let mut rows = sqlx::query_as::<_, (i64, i32, i32, i16, i64)>(
        "SELECT id, latitude_e5, longitude_e5, precision, hosts + coalesce(n, 0)
         FROM place LEFT JOIN
             (SELECT place, sum(n)::bigint AS n, max(xact::text::bigint) AS changed FROM place_delta GROUP BY place)
                 AS delta ON delta.place = place.id
         WHERE CASE WHEN $1 = 0 THEN hosts + coalesce(n, 0) > 0
             ELSE delta.changed >= $1 OR (place.changed >= $1 AND place.changed < $2) END",
    )
    .bind(since)
    .bind(next)
    .fetch(connection);
    let mut places = Vec::new();
    while let Some((id, latitude, longitude, precision, hosts)) = rows.try_next().await.map_err(engine)? {
        places.push(PlaceHosts {
            id: PlaceId(id),
            coordinate: coordinate(latitude, longitude)?,
            precision: precision_of(precision)?,
            hosts: u64::try_from(hosts).map_err(|_| corrupt("a negative count"))?,
        });
    }
    Ok((places, oldest))
}

async fn named(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<(PlaceId, Place)>, StoreError> {
    let mut rows = sqlx::query_as::<_, (i64, i32, i32, i16, String, String, String)>(
        "SELECT id, latitude_e5, longitude_e5, precision, city, region, country_code
         FROM place WHERE id = ANY($1)",
    )
    .bind(ids)
    .fetch(connection);
    let present = |text: String| (!text.is_empty()).then_some(text);
    let mut places = Vec::new();
    while let Some((id, latitude, longitude, precision, city, region, country)) =
        rows.try_next().await.map_err(engine)?
    {
        let country = present(country).map(|code| code.parse::<CountryCode>());
        places.push((
            PlaceId(id),
            Place {
                coordinate: coordinate(latitude, longitude)?,
                precision: precision_of(precision)?,
                city: present(city),
                region: present(region),
                country: country.transpose().map_err(|_| corrupt("a country"))?,
            },
        ));
    }
    Ok(places)
}

/// Each committed change adds a row, and adding rows up keeps their number: so this grows with every commit.
async fn changes(connection: &mut PgConnection) -> Result<Vec<TopicChange>, StoreError> {
    let rows: Vec<(i16, i64)> = sqlx::query_as(
        "SELECT topic, number + coalesce(n, 0)
         FROM change LEFT JOIN (SELECT topic, count(*) AS n FROM change_delta GROUP BY topic) AS delta USING (topic)
         ORDER BY topic",
    )
    .fetch_all(connection)
    .await
    .map_err(engine)?;
    rows.into_iter()
        .map(|(topic, number)| {
            let topic = Topic::ALL.get(usize::from(byte(topic, "a topic")?)).copied();
            Ok(TopicChange { topic: topic.ok_or_else(|| corrupt("a topic"))?, number })
        })
        .collect()
}

fn coordinate(latitude_e5: i32, longitude_e5: i32) -> Result<Coordinate, StoreError> {
    Coordinate::from_units(latitude_e5, longitude_e5).map_err(|_| corrupt("coordinates"))
}

fn precision_of(number: i16) -> Result<Precision, StoreError> {
    Precision::from_number(byte(number, "a precision")?).ok_or_else(|| corrupt("a precision"))
}
