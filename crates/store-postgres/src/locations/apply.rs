//! Writing answers: what `locations_apply` and `jobs_finish` share.

mod special;
mod write;

use std::{collections::HashMap, time::Duration};

use hostatlas_domain::{LocationState, Timestamp, Topic, UnlocatedReason};
use hostatlas_store::{
    AppliedLocations, Attempt, StoreError,
    backend::{Answer, Answers, Caches, Learned},
};
use sqlx::PgConnection;

use self::write::{LocatedRows, Moves, Recent, UnlocatedRows};
use super::{
    before::{Before, Hosts, PlaceBefore, lock_hosts, places_left},
    resolve::resolve,
};
use crate::counters::{CoverageDelta, hour_of};

/// How many attempts of one batch the list of recent results keeps.
const RECENT_OF_BATCH: usize = 20;

/// What to write about one host.
#[derive(Clone, Debug)]
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
    pub(crate) async fn finish(&self, connection: &mut PgConnection) -> Result<Vec<Topic>, StoreError> {
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

/// Locks the hosts of `writes` and does what [`apply_to`] does.
pub(crate) async fn apply_attempts(
    connection: &mut PgConnection,
    now: i64,
    age: Duration,
    writes: &[Write],
    caches: &Caches,
) -> Result<Applied, StoreError> {
    let ids: Vec<i64> = writes.iter().map(|write| write.host).collect();
    let hosts = lock_hosts(connection, &ids).await?;
    apply_to(connection, now, age, writes, &hosts, caches).await
}

/// Writes answers that are `age` old, at most one a host and sorted by host, about `hosts`, which this transaction has
/// locked.
///
/// It leaves to its caller: `pending_live`, [`Applied::finish`], touching topics, and handing on what was learned once
/// the transaction is committed.
pub(crate) async fn apply_to(
    connection: &mut PgConnection,
    now: i64,
    age: Duration,
    writes: &[Write],
    hosts: &Hosts,
    caches: &Caches,
) -> Result<Applied, StoreError> {
    if writes.is_empty() {
        return Ok(Applied::default());
    }
    let attempted_at = Timestamp::from_millis(now).minus(age).as_millis();
    let (answers, learned) = resolve(connection, writes, caches).await?;
    let left = places_left(connection, writes, &answers, hosts).await?;
    let applied = Applied { learned, ..Applied::default() };
    let mut batch = Batch { attempted_at, left, applied, ..Batch::default() };
    batch.decide(writes, &answers, hosts);
    batch.write(connection).await?;
    Ok(batch.applied)
}

/// What a batch comes to.
#[derive(Default)]
struct Batch {
    attempted_at: i64,
    /// The places that hosts leave.
    left: HashMap<i64, PlaceBefore>,
    located: LocatedRows,
    unlocated: UnlocatedRows,
    /// Located hosts whose refresh failed.
    touched: Vec<i64>,
    /// Pinned hosts that were found somewhere.
    confirmed: Vec<i64>,
    /// Hosts with a special address that stand nowhere again.
    unsited: Vec<i64>,
    place_hosts: HashMap<i64, i64>,
    moves: Moves,
    recent: Recent,
    applied: Applied,
}

impl Batch {
    fn decide(&mut self, writes: &[Write], answers: &Answers, hosts: &Hosts) {
        let recent_step = writes.len().div_ceil(RECENT_OF_BATCH).max(1);
        for (index, (write, answer)) in writes.iter().zip(answers).enumerate() {
            let Some(before) = hosts.get(write.host) else {
                self.applied.summary.ignored += 1;
                continue;
            };
            if write.rule == Rule::Pending && before.state != LocationState::Pending {
                continue;
            }
            let late = before.attempted_at.is_some_and(|attempted_at| attempted_at > self.attempted_at);
            if late && write.rule != Rule::Any {
                self.applied.summary.ignored += 1;
                continue;
            }
            let recent = index % recent_step == 0;
            if before.is_ordinary() {
                self.decide_ordinary(write, before, *answer, recent);
            } else {
                self.decide_special(write, before, *answer, recent);
            }
        }
    }

    fn decide_ordinary(&mut self, write: &Write, before: &Before, answer: Option<Answer>, recent: bool) {
        match (&write.attempt, answer) {
            (Attempt::Located(_), Some(answer)) => self.locate(before, answer, recent),
            (Attempt::Unlocated { reason, database_build }, _) => {
                self.miss(before, *reason, database_build.map(Timestamp::as_millis), recent);
            }
            (Attempt::Located(_), None) | (Attempt::NotApplicable, _) => self.applied.summary.ignored += 1,
        }
    }

    fn locate(&mut self, before: &Before, answer: Answer, recent: bool) {
        self.leave(before, Some(&answer));
        let coverage = &mut self.applied.coverage;
        coverage.state(LocationState::Located, 1);
        coverage.precision(answer.precision, 1);
        coverage.provider(answer.provider, 1);
        if before.class.is_public() {
            coverage.located_hour(hour_of(self.attempted_at), 1);
        }
        *self.place_hosts.entry(answer.place).or_default() += 1;
        self.applied.summary.located += 1;

        let provider = i16::from(answer.provider.number());
        let from = before.location.map(|from| from.place);
        // Another name for the same point is no move.
        if let Some(from) =
            from.filter(|from| self.left.get(from).is_some_and(|left| left.units != answer.units))
            && from != answer.place
        {
            self.applied.summary.moved += 1;
            self.moves.host.push(before.host);
            self.moves.from.push(from);
            self.moves.to.push(answer.place);
            self.moves.provider.push(provider);
        }
        if recent {
            self.recent.push(before.host, LocationState::Located, None, Some(&answer));
        }
        self.located.host.push(before.host);
        self.located.place.push(answer.place);
        self.located.network.push(answer.network);
        self.located.accuracy_km.push(answer.accuracy_km.map(i32::from));
        self.located.provider.push(provider);
        self.located.database_build.push(answer.database_build);
    }

    fn miss(&mut self, before: &Before, reason: UnlocatedReason, database_build: Option<i64>, recent: bool) {
        self.applied.summary.unlocated += 1;
        let stays = before.state == LocationState::Located;
        if recent {
            let state = if stays { LocationState::Located } else { LocationState::Unlocated };
            self.recent.push(before.host, state, Some(reason), None);
        }
        if stays {
            self.touched.push(before.host);
            return;
        }
        self.leave(before, None);
        self.applied.coverage.state(LocationState::Unlocated, 1);
        self.applied.coverage.reason(reason, 1);
        self.unlocated.host.push(before.host);
        self.unlocated.reason.push(reason.number().into());
        self.unlocated.database_build.push(database_build);
    }

    /// Takes a host out of the counts that it was in, for an answer that puts it somewhere.
    fn leave(&mut self, before: &Before, answer: Option<&Answer>) {
        let coverage = &mut self.applied.coverage;
        coverage.state(before.state, -1);
        if before.state == LocationState::Pending {
            self.applied.left_pending.push(before.host);
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
}
