//! Imports as rows: begun, noted, listed. What they record is in [`crate::observations`], undoing them in
//! [`crate::undo`].

use async_trait::async_trait;
use hostatlas_domain::{Cursor, Import, ImportId, ImportReport, LineCounts, Page, Timestamp, Topic, Undone};
use hostatlas_store::{
    FinishImport, ImportStore, RecordSightings, Recorded, StartImport, StoreError,
    backend::{import_state, line_notes, line_notes_text},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    SqliteStore, copy,
    database::{Size, touch},
    error::{corrupt, engine},
    observations, undo,
};

/// Most imports that one page holds.
const MOST_ROWS: u32 = 1000;

#[async_trait]
impl ImportStore for SqliteStore {
    async fn import_start(&self, params: StartImport) -> Result<ImportId, StoreError> {
        self.database
            .write(Size::Small, move |connection, now| {
                Box::pin(async move { start(connection, now, &params).await })
            })
            .await
    }

    async fn sightings_record(&self, params: RecordSightings) -> Result<Recorded, StoreError> {
        // A live import writes a few rows a second and somebody watches it; a file is thousands of rows.
        let size = if params.observations.len() <= 100 { Size::Small } else { Size::Bulk };
        self.database
            .write(size, move |connection, now| {
                Box::pin(async move { observations::record(connection, now, &params).await })
            })
            .await
    }

    async fn import_finish(&self, params: FinishImport) -> Result<Import, StoreError> {
        self.database
            .write(Size::Small, move |connection, now| {
                Box::pin(async move { finish(connection, now, &params).await })
            })
            .await
    }

    async fn import_undo(&self, id: ImportId) -> Result<Undone, StoreError> {
        undo::undo(&self.database, id).await
    }

    async fn import_get(&self, id: ImportId) -> Result<Import, StoreError> {
        self.database.read(move |connection, now| Box::pin(get(connection, now, id))).await
    }

    async fn imports_list(&self, cursor: Option<Cursor>, limit: u32) -> Result<Page<Import>, StoreError> {
        let before = cursor.map_or(Ok(i64::MAX), |cursor| cursor.number(0))?;
        self.database.read(move |connection, now| Box::pin(list(connection, now, before, limit))).await
    }
}

async fn start(
    connection: &mut SqliteConnection,
    now: i64,
    params: &StartImport,
) -> Result<ImportId, StoreError> {
    copy::refuse_half(connection).await?;
    let id = sqlx::query_scalar(
        "INSERT INTO import (source, format, started_at, reported_at) VALUES (?1, ?2, ?3, ?3) RETURNING id",
    )
    .bind(params.source.clone())
    .bind(params.format.slug())
    .bind(now)
    .fetch_one(&mut *connection)
    .await
    .map_err(engine)?;
    touch(connection, &[Topic::Imports]).await?;
    Ok(ImportId(id))
}

async fn finish(
    connection: &mut SqliteConnection,
    now: i64,
    params: &FinishImport,
) -> Result<Import, StoreError> {
    let line_notes = line_notes_text(&params.first_bad, &params.reasons)?;
    let LineCounts { ok, repaired, duplicate, skipped, bad } = params.lines;
    let mut update = sqlx::query(
        "UPDATE import SET lines_ok = ?2, lines_repaired = ?3, lines_duplicate = ?4, lines_skipped = ?5,
             lines_bad = ?6, truncated = ?7, first_bad = ?8, reported_at = ?9,
             finished_at = CASE WHEN state = 0 AND ?10 <> 0 THEN ?9 ELSE finished_at END,
             state = CASE WHEN state = 0 THEN ?10 ELSE state END
         WHERE id = ?1",
    )
    .bind(params.id.0);
    for count in [ok, repaired, duplicate, skipped, bad] {
        update = update.bind(i64::try_from(count).unwrap_or(i64::MAX));
    }
    update
        .bind(params.truncated)
        .bind(line_notes)
        .bind(now)
        .bind(params.state.number())
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
    touch(connection, &[Topic::Imports]).await?;
    get(connection, now, params.id).await
}

async fn get(connection: &mut SqliteConnection, now: i64, id: ImportId) -> Result<Import, StoreError> {
    let row = sqlx::query("SELECT * FROM import WHERE id = ?1").bind(id.0).fetch_optional(connection).await;
    row.map_err(engine)?.map_or(Err(StoreError::UnknownImport(id)), |row| read(&row, now))
}

async fn list(
    connection: &mut SqliteConnection,
    now: i64,
    before: i64,
    limit: u32,
) -> Result<Page<Import>, StoreError> {
    let limit = limit.clamp(1, MOST_ROWS);
    let rows = sqlx::query("SELECT * FROM import WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
        .bind(before)
        .bind(limit + 1)
        .fetch_all(connection)
        .await
        .map_err(engine)?;
    let mut items: Vec<Import> = rows.iter().map(|row| read(row, now)).collect::<Result<_, _>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more);
    let next_cursor = last.map(|import| Cursor::from_number(import.report.id.0).to_string());
    Ok(Page { items, next_cursor })
}

fn read(row: &SqliteRow, now: i64) -> Result<Import, StoreError> {
    let count = |name: &str| -> Result<u64, StoreError> {
        let count: i64 = row.try_get(name).map_err(engine)?;
        u64::try_from(count).map_err(|_| corrupt("a negative count"))
    };
    let format: String = row.try_get("format").map_err(engine)?;
    let (first_bad, reasons) = line_notes(row.try_get("first_bad").map_err(engine)?)?;
    let finished_at: Option<i64> = row.try_get("finished_at").map_err(engine)?;
    let state: u8 = row.try_get("state").map_err(engine)?;
    let reported_at = row.try_get("reported_at").map_err(engine)?;
    let (state, finished_at) = import_state(state, reported_at, finished_at, now)?;
    Ok(Import {
        source: row.try_get("source").map_err(engine)?,
        state,
        started_at: Timestamp::from_millis(row.try_get("started_at").map_err(engine)?),
        finished_at: finished_at.map(Timestamp::from_millis),
        report: ImportReport {
            id: ImportId(row.try_get("id").map_err(engine)?),
            format: format.parse().map_err(|_| corrupt("a scan format"))?,
            hosts_new: count("hosts_new")?,
            hosts_seen: count("hosts_seen")?,
            services_new: count("services_new")?,
            services_seen: count("services_seen")?,
            lines: LineCounts {
                ok: count("lines_ok")?,
                repaired: count("lines_repaired")?,
                duplicate: count("lines_duplicate")?,
                skipped: count("lines_skipped")?,
                bad: count("lines_bad")?,
            },
            truncated: row.try_get("truncated").map_err(engine)?,
            jobs_queued: count("jobs_queued")?,
            first_bad,
            reasons,
        },
    })
}
