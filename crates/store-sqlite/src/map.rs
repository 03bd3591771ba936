//! What the map is made of. Rows are read as they come and not collected first: a serving process reads all places
//! when it starts, and its memory is bounded.

use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use hostatlas_domain::{Coordinate, CountryCode, HostFilter, Place, PlaceId, Precision, Topic, TopicChange};
use hostatlas_store::{Changes, MapStore, PlaceHosts, StoreError};
use sqlx::SqliteConnection;

use crate::{
    SqliteStore,
    error::{corrupt, engine},
    hosts, packed,
};

#[async_trait]
impl MapStore for SqliteStore {
    async fn places_changed(&self, since: i64) -> Result<(Vec<PlaceHosts>, i64), StoreError> {
        self.database.read(move |connection, _| Box::pin(changed(connection, since))).await
    }

    async fn places_named(&self, ids: &[PlaceId]) -> Result<Vec<(PlaceId, Place)>, StoreError> {
        let ids = packed::id_array(ids.iter().map(|id| id.0));
        self.database.read(move |connection, _| Box::pin(named(connection, ids))).await
    }

    async fn places_matching(
        &self,
        filter: HostFilter,
        max_age: Duration,
    ) -> Result<Vec<(PlaceId, u64)>, StoreError> {
        self.database
            .read(move |connection, now| {
                Box::pin(async move { hosts::places_matching(connection, now, &filter, max_age).await })
            })
            .await
    }

    async fn changes(&self) -> Result<Changes, StoreError> {
        let before = self.database.past.latest();
        let numbers = self.database.read(|connection, _| Box::pin(changes(connection))).await?;
        Ok(self.database.past.changes(&before, numbers))
    }
}

async fn changed(
    connection: &mut SqliteConnection,
    since: i64,
) -> Result<(Vec<PlaceHosts>, i64), StoreError> {
    let number: i64 = sqlx::query_scalar("SELECT number FROM change WHERE topic = ?1")
        .bind(Topic::Map.number())
        .fetch_one(&mut *connection)
        .await
        .map_err(engine)?;
    let statement = if since == 0 {
        "SELECT id, latitude_e5, longitude_e5, precision, hosts FROM place WHERE hosts > ?1"
    } else {
        "SELECT id, latitude_e5, longitude_e5, precision, hosts FROM place WHERE changed > ?1"
    };
    let mut rows = sqlx::query_as::<_, (i64, i32, i32, u8, i64)>(statement).bind(since).fetch(connection);
    let mut places = Vec::new();
    while let Some((id, latitude, longitude, precision, hosts)) = rows.try_next().await.map_err(engine)? {
        places.push(PlaceHosts {
            id: PlaceId(id),
            coordinate: coordinate(latitude, longitude)?,
            precision: precision_of(precision)?,
            hosts: u64::try_from(hosts).map_err(|_| corrupt("a negative count"))?,
        });
    }
    Ok((places, number))
}

async fn named(connection: &mut SqliteConnection, ids: String) -> Result<Vec<(PlaceId, Place)>, StoreError> {
    let mut rows = sqlx::query_as::<_, (i64, i32, i32, u8, String, String, String)>(
        "SELECT place.id, latitude_e5, longitude_e5, precision, city, region, country_code
         FROM json_each(?1) AS wanted CROSS JOIN place ON place.id = wanted.value",
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

async fn changes(connection: &mut SqliteConnection) -> Result<Vec<TopicChange>, StoreError> {
    let rows: Vec<(u8, i64)> =
        sqlx::query_as("SELECT topic, number FROM change").fetch_all(connection).await.map_err(engine)?;
    rows.into_iter()
        .map(|(topic, number)| {
            let topic = Topic::ALL.get(usize::from(topic)).copied().ok_or_else(|| corrupt("a topic"))?;
            Ok(TopicChange { topic, number })
        })
        .collect()
}

fn coordinate(latitude_e5: i32, longitude_e5: i32) -> Result<Coordinate, StoreError> {
    Coordinate::from_units(latitude_e5, longitude_e5).map_err(|_| corrupt("coordinates"))
}

fn precision_of(number: u8) -> Result<Precision, StoreError> {
    Precision::from_number(number).ok_or_else(|| corrupt("a precision"))
}
