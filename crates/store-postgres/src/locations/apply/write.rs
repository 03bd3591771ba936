//! What a batch comes to, as rows by column.

use hostatlas_domain::{LocationState, UnlocatedReason};
use hostatlas_store::StoreError;
use sqlx::PgConnection;

use super::{Answer, Batch};
use crate::error::engine;

/// How many recent results are kept.
const RECENT_KEPT: i64 = 200;

/// Hosts that stand on a place now, by column.
#[derive(Debug, Default)]
pub(super) struct LocatedRows {
    pub(super) host: Vec<i64>,
    pub(super) place: Vec<i64>,
    pub(super) network: Vec<Option<i64>>,
    pub(super) accuracy_km: Vec<Option<i32>>,
    pub(super) provider: Vec<i16>,
    pub(super) database_build: Vec<Option<i64>>,
}

/// Hosts that stand nowhere, by column.
#[derive(Debug, Default)]
pub(super) struct UnlocatedRows {
    pub(super) host: Vec<i64>,
    pub(super) reason: Vec<i16>,
    pub(super) database_build: Vec<Option<i64>>,
}

/// Hosts that stood elsewhere, by column.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) host: Vec<i64>,
    pub(super) from: Vec<i64>,
    pub(super) to: Vec<i64>,
    pub(super) provider: Vec<i16>,
}

/// Attempts for the list of recent results, by column.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub(super) host: Vec<i64>,
    pub(super) state: Vec<i16>,
    pub(super) reason: Vec<Option<i16>>,
    pub(super) place: Vec<Option<i64>>,
    pub(super) provider: Vec<Option<i16>>,
}

impl Recent {
    pub(super) fn push(
        &mut self,
        host: i64,
        state: LocationState,
        reason: Option<UnlocatedReason>,
        answer: Option<&Answer>,
    ) {
        self.host.push(host);
        self.state.push(state.number().into());
        self.reason.push(reason.map(|reason| reason.number().into()));
        self.place.push(answer.map(|answer| answer.place));
        self.provider.push(answer.map(|answer| answer.provider.number().into()));
    }
}

impl Batch {
    pub(super) async fn write(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        self.write_located(connection).await?;
        self.write_unlocated(connection).await?;
        self.write_special(connection).await?;
        self.write_place_hosts(connection).await?;
        self.write_moves(connection).await?;
        self.write_recent(connection).await
    }

    async fn write_located(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows = &self.located;
        if rows.host.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE host SET location_state = 1, reason = NULL, provider = x.provider, \
             database_build = x.database_build, located_at = $7, attempted_at = $7, place = x.place, \
             network = x.network, accuracy_km = x.accuracy_km \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::smallint[], $6::bigint[]) \
             AS x(id, place, network, accuracy_km, provider, database_build) WHERE host.id = x.id",
        )
        .bind(&rows.host)
        .bind(&rows.place)
        .bind(&rows.network)
        .bind(&rows.accuracy_km)
        .bind(&rows.provider)
        .bind(&rows.database_build)
        .bind(self.attempted_at)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }

    async fn write_unlocated(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows = &self.unlocated;
        if !rows.host.is_empty() {
            sqlx::query(
                "UPDATE host SET location_state = 2, attempted_at = $4, reason = x.reason, \
                 database_build = x.database_build \
                 FROM unnest($1::bigint[], $2::smallint[], $3::bigint[]) AS x(id, reason, database_build) \
                 WHERE host.id = x.id",
            )
            .bind(&rows.host)
            .bind(&rows.reason)
            .bind(&rows.database_build)
            .bind(self.attempted_at)
            .execute(&mut *connection)
            .await
            .map_err(engine)?;
        }
        let touch = "UPDATE host SET attempted_at = $2 WHERE id = ANY($1)";
        self.write_hosts(connection, touch, &self.touched).await
    }

    pub(super) async fn write_hosts(
        &self,
        connection: &mut PgConnection,
        statement: &'static str,
        hosts: &[i64],
    ) -> Result<(), StoreError> {
        if hosts.is_empty() {
            return Ok(());
        }
        sqlx::query(statement)
            .bind(hosts)
            .bind(self.attempted_at)
            .execute(connection)
            .await
            .map_err(engine)?;
        Ok(())
    }

    /// Notes what each place gains and loses. A large city would otherwise be a row that every worker waits for.
    async fn write_place_hosts(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let changed = self.place_hosts.drain().filter(|(_, hosts)| *hosts != 0);
        let (places, hosts): (Vec<i64>, Vec<i64>) = changed.unzip();
        if places.is_empty() {
            return Ok(());
        }
        sqlx::query("INSERT INTO place_delta (place, n) SELECT * FROM unnest($1::bigint[], $2::bigint[])")
            .bind(places)
            .bind(hosts)
            .execute(connection)
            .await
            .map_err(engine)?;
        self.applied.places_changed = true;
        Ok(())
    }

    async fn write_moves(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let moves = &self.moves;
        if moves.host.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO location_change (host, at, from_place, to_place, provider) \
             SELECT x.host, $5, x.from_place, x.to_place, x.provider \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[]) \
             AS x(host, from_place, to_place, provider)",
        )
        .bind(&moves.host)
        .bind(&moves.from)
        .bind(&moves.to)
        .bind(&moves.provider)
        .bind(self.attempted_at)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }

    async fn write_recent(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let recent = &self.recent;
        if recent.host.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO recent_result (host, location_state, reason, place, provider, attempted_at) \
             SELECT x.host, x.state, x.reason, x.place, x.provider, $6 \
             FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::bigint[], $5::smallint[]) \
             AS x(host, state, reason, place, provider)",
        )
        .bind(&recent.host)
        .bind(&recent.state)
        .bind(&recent.reason)
        .bind(&recent.place)
        .bind(&recent.provider)
        .bind(self.attempted_at)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
        // Whoever else is at it removes the same rows: waiting for that would put all workers in one line.
        sqlx::query(
            "DELETE FROM recent_result WHERE id = ANY(ARRAY(SELECT id FROM recent_result \
             WHERE id <= (SELECT max(id) FROM recent_result) - $1 FOR UPDATE SKIP LOCKED))",
        )
        .bind(RECENT_KEPT)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }
}
