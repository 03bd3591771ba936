//! What a transaction adds to the counters. Pages read counters and never count; so whatever changes a row that is
//! counted writes one of these in the same transaction. It writes differences, which wait for nobody; housekeeping
//! adds them up.

use std::collections::BTreeMap;

use hostatlas_domain::{
    AddressClass, JobKind, JobState, LocationState, Precision, ProviderName, Topic, UnlocatedReason,
};
use hostatlas_store::StoreError;
pub(crate) use hostatlas_store::backend::hour_of;
use sqlx::PgConnection;

use crate::error::engine;

/// What a transaction adds to `counter`.
#[derive(Debug, Default)]
pub(crate) struct CoverageDelta(BTreeMap<(&'static str, i64), i64>);

impl CoverageDelta {
    fn add(&mut self, name: &'static str, key: i64, hosts: i64) {
        *self.0.entry((name, key)).or_default() += hosts;
    }

    pub(crate) fn state(&mut self, state: LocationState, hosts: i64) {
        self.add("state", state.number().into(), hosts);
    }

    pub(crate) fn reason(&mut self, reason: UnlocatedReason, hosts: i64) {
        self.add("reason", reason.number().into(), hosts);
    }

    pub(crate) fn class(&mut self, class: AddressClass, hosts: i64) {
        self.add("class", class.number().into(), hosts);
    }

    pub(crate) fn precision(&mut self, precision: Precision, hosts: i64) {
        self.add("precision", precision.number().into(), hosts);
    }

    pub(crate) fn provider(&mut self, provider: ProviderName, hosts: i64) {
        self.add("provider", provider.number().into(), hosts);
    }

    /// Hosts that were located in this hour (see [`hour_of`]). Those with a special address are not counted: what
    /// configuration or a person says of them does not become stale.
    pub(crate) fn located_hour(&mut self, hour: i64, hosts: i64) {
        self.add("located_hour", hour, hosts);
    }

    /// Pending hosts that have a live geolocation job.
    pub(crate) fn pending_live(&mut self, hosts: i64) {
        self.add("pending_live", 0, hosts);
    }

    /// Writes it; answers whether there was anything to write.
    pub(crate) async fn write(&self, connection: &mut PgConnection) -> Result<bool, StoreError> {
        let (mut names, mut keys, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for ((name, key), count) in self.0.iter().filter(|(_, count)| **count != 0) {
            names.push(*name);
            keys.push(*key);
            counts.push(*count);
        }
        if names.is_empty() {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO counter_delta (name, key, n) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])",
        )
        .bind(names)
        .bind(keys)
        .bind(counts)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(true)
    }
}

/// What a transaction adds to `job_count`.
#[derive(Debug, Default)]
pub(crate) struct JobDelta {
    known: [[i64; JobState::ALL.len()]; JobKind::ALL.len()],
    /// Of kinds that only a newer version knows, by the kind's and the state's number.
    others: BTreeMap<(i16, u8), i64>,
}

impl JobDelta {
    pub(crate) fn add(&mut self, kind: JobKind, state: JobState, jobs: i64) {
        self.known[usize::from(kind.number())][usize::from(state.number())] += jobs;
    }

    /// As [`JobDelta::add`], of a kind by its number, which only a newer version may know; answers the kind.
    pub(crate) fn add_stored(&mut self, kind: i16, state: JobState, jobs: i64) -> Option<JobKind> {
        let known = u8::try_from(kind).ok().and_then(JobKind::from_number);
        match known {
            Some(kind) => self.add(kind, state, jobs),
            None => *self.others.entry((kind, state.number())).or_default() += jobs,
        }
        known
    }

    /// One job went from a state to another.
    pub(crate) fn moved(&mut self, kind: JobKind, from: JobState, to: JobState) {
        self.add(kind, from, -1);
        self.add(kind, to, 1);
    }

    /// Writes it, if there is anything to write.
    pub(crate) async fn write(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let (mut kinds, mut states, mut counts) = (Vec::<i16>::new(), Vec::<i16>::new(), Vec::new());
        for (kind, of_kind) in (0..).zip(&self.known) {
            for (state, count) in (0..).zip(of_kind).filter(|(_, count)| **count != 0) {
                kinds.push(kind);
                states.push(state);
                counts.push(*count);
            }
        }
        for ((kind, state), count) in self.others.iter().filter(|(_, count)| **count != 0) {
            kinds.push(*kind);
            states.push(i16::from(*state));
            counts.push(*count);
        }
        if kinds.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO job_count_delta (kind, state, n) \
             SELECT * FROM unnest($1::smallint[], $2::smallint[], $3::bigint[])",
        )
        .bind(kinds)
        .bind(states)
        .bind(counts)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }
}

/// Moves the change numbers of `topics`; the last statement of whatever changes what they show.
pub(crate) async fn touch(connection: &mut PgConnection, topics: &[Topic]) -> Result<(), StoreError> {
    let topics: Vec<i16> = topics.iter().map(|topic| i16::from(topic.number())).collect();
    sqlx::query("INSERT INTO change_delta (topic) SELECT DISTINCT unnest($1::smallint[])")
        .bind(topics)
        .execute(connection)
        .await
        .map_err(engine)?;
    Ok(())
}
