//! Writing answers: what `locations_apply` and `jobs_finish` share.

mod special;

use std::time::Duration;

use hostatlas_domain::{LocationState, ProviderName, Timestamp, Topic, UnlocatedReason};
use hostatlas_store::{
    AppliedLocations, Attempt, StoreError,
    backend::{Answer, Answers, Caches, IdMap, Learned},
};
use sqlx::SqliteConnection;

use super::{
    before::{Before, Hosts, PlaceBefore, places_left},
    resolve::resolve,
};
use crate::{
    counters::{CoverageDelta, hour_of},
    database::next_map_number,
    error::engine,
    packed::{id_array, push_row},
    rows::update,
};

/// How many attempts of one batch the list of recent results keeps.
const RECENT_OF_BATCH: usize = 20;
/// How many recent results are kept.
const RECENT_KEPT: i64 = 200;

/// What to write about one host.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) host: i64,
    pub(crate) attempt: Attempt,
    pub(crate) rule: Rule,
}

/// Which hosts an attempt may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Those that no person pinned.
    Unpinned,
    /// Pending ones alone.
    Pending,
    /// Any: a person wants it so.
    Any,
}

/// What was written, and what the caller has still to write with its own part.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) summary: AppliedLocations,
    /// Hosts that are pending no more.
    pub(crate) left_pending: Vec<i64>,
    pub(crate) coverage: CoverageDelta,
    pub(crate) places_changed: bool,
    pub(crate) learned: Learned,
}

impl Applied {
    /// Writes the counters; answers the topics that changed.
    pub(crate) async fn finish(&self, connection: &mut SqliteConnection) -> Result<Vec<Topic>, StoreError> {
        let mut topics = Vec::with_capacity(3);
        // A refresh that finds everything as it was still moves the times that recent results show.
        let AppliedLocations { located, unlocated, pinned, .. } = self.summary;
        let attempted = located + unlocated + pinned > 0;
        if self.coverage.write(connection).await? || attempted {
            topics.push(Topic::Coverage);
        }
        if self.places_changed {
            topics.push(Topic::Map);
        }
        Ok(topics)
    }
}

/// Writes answers that are `age` old, at most one a host and sorted by host.
///
/// It leaves to its caller: `pending_live`, [`Applied::finish`], touching topics, and handing on what was learned once
/// the transaction is committed.
pub(crate) async fn apply_attempts(
    connection: &mut SqliteConnection,
    now: i64,
    age: Duration,
    writes: &[Write],
    caches: &Caches,
) -> Result<Applied, StoreError> {
    if writes.is_empty() {
        return Ok(Applied::default());
    }
    let attempted_at = Timestamp::from_millis(now).minus(age).as_millis();
    let (answers, learned) = resolve(connection, writes, caches).await?;
    let hosts = Hosts::read(connection, writes).await?;
    let left = places_left(connection, writes, &answers, &hosts).await?;
    let applied = Applied { learned, ..Applied::default() };
    let mut batch = Batch { attempted_at, left, applied, ..Batch::default() };
    batch.decide(writes, &answers, hosts);
    batch.write(connection).await?;
    Ok(batch.applied)
}

/// Located hosts of one provider and database: what they share is bound once.
#[derive(Debug)]
struct LocatedGroup {
    provider: ProviderName,
    database_build: Option<i64>,
    /// Host, place, network, accuracy.
    rows: Vec<[Option<i64>; 4]>,
}

/// What a batch comes to.
#[derive(Default)]
struct Batch {
    attempted_at: i64,
    /// The places that hosts leave.
    left: IdMap<PlaceBefore>,
    located: Vec<LocatedGroup>,
    /// Host, reason, database build.
    unlocated: Vec<[Option<i64>; 3]>,
    /// Located hosts whose refresh failed.
    touched: Vec<i64>,
    /// Pinned hosts that were found somewhere.
    confirmed: Vec<i64>,
    /// Hosts with a special address that stand nowhere again.
    unsited: Vec<i64>,
    place_hosts: IdMap<i64>,
    /// Host, from, to, provider.
    moves: String,
    /// Host, state, reason, place, provider.
    recent: String,
    recent_step: usize,
    applied: Applied,
}

impl Batch {
    fn decide(&mut self, writes: &[Write], answers: &Answers, hosts: Hosts) {
        self.recent_step = writes.len().div_ceil(RECENT_OF_BATCH).max(1);
        let mut attempted = hosts.before.into_iter().peekable();
        for (index, write) in writes.iter().enumerate() {
            let before = attempted.next_if(|before| before.host == write.host);
            let exists = hosts.existing.as_ref().is_none_or(|existing| existing.contains(&write.host));
            let state = before.map_or(LocationState::Pending, |before| before.state);
            let late = before.is_some_and(|before| before.attempted_at > self.attempted_at);
            if write.rule == Rule::Pending && state != LocationState::Pending {
                continue;
            }
            if !exists || (late && write.rule != Rule::Any) {
                self.applied.summary.ignored += 1;
                continue;
            }
            let recent = index % self.recent_step == 0;
            match before.filter(|before| !before.is_ordinary()) {
                Some(before) => self.decide_special(write, &before, answers[index], recent),
                None => self.decide_ordinary(write, before.as_ref(), answers[index], recent),
            }
        }
    }

    fn decide_ordinary(
        &mut self,
        write: &Write,
        before: Option<&Before>,
        answer: Option<Answer>,
        recent: bool,
    ) {
        match (&write.attempt, answer) {
            (Attempt::Located(_), Some(answer)) => self.locate(write.host, before, answer, recent),
            (Attempt::Unlocated { reason, database_build }, _) => {
                let build = database_build.map(Timestamp::as_millis);
                self.miss(write.host, before, *reason, build, recent);
            }
            (Attempt::Located(_), None) | (Attempt::NotApplicable, _) => self.applied.summary.ignored += 1,
        }
    }

    fn locate(&mut self, host: i64, before: Option<&Before>, answer: Answer, recent: bool) {
        self.leave(host, before, Some(&answer));
        let coverage = &mut self.applied.coverage;
        coverage.state(LocationState::Located, 1);
        coverage.precision(answer.precision, 1);
        coverage.provider(answer.provider, 1);
        if before.is_none_or(|before| before.class.is_public()) {
            coverage.located_hour(hour_of(self.attempted_at), 1);
        }
        *self.place_hosts.entry(answer.place).or_default() += 1;
        self.applied.summary.located += 1;

        let provider = Some(answer.provider.number().into());
        let from = before.and_then(|before| before.location).map(|from| from.place);
        // Another name for the same point is no move.
        if let Some(from) =
            from.filter(|from| self.left.get(from).is_some_and(|left| left.units != answer.units))
            && from != answer.place
        {
            self.applied.summary.moved += 1;
            push_row(&mut self.moves, &[Some(host), Some(from), Some(answer.place), provider]);
        }
        if recent {
            let state = Some(LocationState::Located.number().into());
            push_row(&mut self.recent, &[Some(host), state, None, Some(answer.place), provider]);
        }
        let accuracy = answer.accuracy_km.map(i64::from);
        let same = |group: &LocatedGroup| {
            group.provider == answer.provider && group.database_build == answer.database_build
        };
        let at = self.located.iter().position(same).unwrap_or_else(|| {
            let (provider, database_build) = (answer.provider, answer.database_build);
            self.located.push(LocatedGroup { provider, database_build, rows: Vec::new() });
            self.located.len() - 1
        });
        self.located[at].rows.push([Some(host), Some(answer.place), answer.network, accuracy]);
    }

    fn miss(
        &mut self,
        host: i64,
        before: Option<&Before>,
        reason: UnlocatedReason,
        database_build: Option<i64>,
        recent: bool,
    ) {
        self.applied.summary.unlocated += 1;
        let number = Some(reason.number().into());
        let stays = before.is_some_and(|before| before.state == LocationState::Located);
        if recent {
            let state = if stays { LocationState::Located } else { LocationState::Unlocated };
            push_row(&mut self.recent, &[Some(host), Some(state.number().into()), number, None, None]);
        }
        if stays {
            self.touched.push(host);
            return;
        }
        self.leave(host, before, None);
        self.applied.coverage.state(LocationState::Unlocated, 1);
        self.applied.coverage.reason(reason, 1);
        self.unlocated.push([Some(host), number, database_build]);
    }

    /// Takes a host out of the counts that it was in, for an answer that puts it somewhere.
    fn leave(&mut self, host: i64, before: Option<&Before>, answer: Option<&Answer>) {
        let coverage = &mut self.applied.coverage;
        let Some(before) = before else {
            coverage.state(LocationState::Pending, -1);
            self.applied.left_pending.push(host);
            return;
        };
        coverage.state(before.state, -1);
        if before.state == LocationState::Pending {
            self.applied.left_pending.push(host);
        }
        if before.state == LocationState::NotApplicable {
            coverage.class(before.class, -1);
        }
        if let Some(reason) = before.reason.filter(|_| before.state == LocationState::Unlocated) {
            coverage.reason(reason, -1);
        }
        if let Some(location) = before.location {
            let stays = answer.filter(|answer| answer.place == location.place).map(|answer| answer.precision);
            let left = || self.left.get(&location.place).map(|left| left.precision);
            if let Some(precision) = stays.or_else(left) {
                coverage.precision(precision, -1);
            }
            coverage.provider(location.provider, -1);
            if before.class.is_public() {
                coverage.located_hour(hour_of(location.located_at), -1);
            }
            *self.place_hosts.entry(location.place).or_default() -= 1;
        }
    }

    async fn write(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        for group in &self.located {
            write_located(connection, group, self.attempted_at).await?;
        }
        self.write_unlocated(connection).await?;
        self.write_special(connection).await?;
        self.write_place_hosts(connection).await?;
        self.write_moves(connection).await?;
        self.write_recent(connection).await
    }

    async fn write_unlocated(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let head = "UPDATE host SET location_state = 2, attempted_at = ?, reason = x.column2, \
                    database_build = x.column3 FROM (";
        let tail = ") AS x WHERE host.id = x.column1";
        update(connection, [head, tail], &[Some(self.attempted_at)], &self.unlocated).await?;
        let touch = "UPDATE host SET attempted_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))";
        self.write_hosts(connection, touch, &self.touched).await
    }

    async fn write_hosts(
        &self,
        connection: &mut SqliteConnection,
        statement: &'static str,
        hosts: &[i64],
    ) -> Result<(), StoreError> {
        if hosts.is_empty() {
            return Ok(());
        }
        sqlx::query(statement)
            .bind(id_array(hosts.iter().copied()))
            .bind(self.attempted_at)
            .execute(connection)
            .await
            .map_err(engine)?;
        Ok(())
    }

    async fn write_place_hosts(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let changed = self.place_hosts.drain().filter(|(_, hosts)| *hosts != 0);
        let mut places: Vec<_> = changed.map(|(place, hosts)| [Some(place), Some(hosts)]).collect();
        if places.is_empty() {
            return Ok(());
        }
        places.sort_unstable();
        let number = next_map_number(connection).await?;
        let head = "UPDATE place SET changed = ?, hosts = place.hosts + x.column2 FROM (";
        update(connection, [head, ") AS x WHERE place.id = x.column1"], &[Some(number)], &places).await?;
        self.applied.places_changed = true;
        Ok(())
    }

    async fn write_moves(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.moves.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO location_change (host, at, from_place, to_place, provider) \
             SELECT value ->> 0, ?2, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1)",
        )
        .bind(format!("[{}]", self.moves))
        .bind(self.attempted_at)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }

    async fn write_recent(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.recent.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO recent_result (host, location_state, reason, place, provider, attempted_at) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?2 FROM json_each(?1)",
        )
        .bind(format!("[{}]", self.recent))
        .bind(self.attempted_at)
        .execute(&mut *connection)
        .await
        .map_err(engine)?;
        sqlx::query("DELETE FROM recent_result WHERE id <= (SELECT max(id) FROM recent_result) - ?1")
            .bind(RECENT_KEPT)
            .execute(connection)
            .await
            .map_err(engine)?;
        Ok(())
    }
}

async fn write_located(
    connection: &mut SqliteConnection,
    group: &LocatedGroup,
    attempted_at: i64,
) -> Result<(), StoreError> {
    let head = "UPDATE host SET location_state = 1, reason = NULL, provider = ?, database_build = ?, located_at = ?, \
                attempted_at = ?, place = x.column2, network = x.column3, accuracy_km = x.column4 FROM (";
    let provider = Some(group.provider.number().into());
    let constants = [provider, group.database_build, Some(attempted_at), Some(attempted_at)];
    update(connection, [head, ") AS x WHERE host.id = x.column1"], &constants, &group.rows).await
}
