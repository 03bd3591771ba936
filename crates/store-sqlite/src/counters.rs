//! What a transaction adds to the counters. Pages read counters and never count; so whatever changes a row that is
//! counted writes one of these in the same transaction.

use std::collections::{BTreeMap, HashMap};

use hostatlas_domain::{
    AddressClass, JobKind, JobState, LocationState, Precision, ProviderName, UnlocatedReason,
};
use hostatlas_store::StoreError;
pub(crate) use hostatlas_store::backend::hour_of;
use sqlx::SqliteConnection;

use crate::{
    error::engine,
    packed::{push_number, push_row, push_text, separate},
};

/// What a transaction adds to `counter`.
#[derive(Debug, Default)]
pub(crate) struct CoverageDelta {
    state: [i64; LocationState::ALL.len()],
    reason: [i64; UnlocatedReason::ALL.len()],
    class: [i64; AddressClass::ALL.len()],
    precision: [i64; Precision::ALL.len()],
    provider: [i64; ProviderName::ALL.len()],
    located_hour: HashMap<i64, i64>,
    pending_live: i64,
}

impl CoverageDelta {
    pub(crate) fn state(&mut self, state: LocationState, hosts: i64) {
        self.state[usize::from(state.number())] += hosts;
    }

    pub(crate) fn reason(&mut self, reason: UnlocatedReason, hosts: i64) {
        self.reason[usize::from(reason.number())] += hosts;
    }

    pub(crate) fn class(&mut self, class: AddressClass, hosts: i64) {
        self.class[usize::from(class.number())] += hosts;
    }

    pub(crate) fn precision(&mut self, precision: Precision, hosts: i64) {
        self.precision[usize::from(precision.number())] += hosts;
    }

    pub(crate) fn provider(&mut self, provider: ProviderName, hosts: i64) {
        self.provider[usize::from(provider.number())] += hosts;
    }

    /// Hosts that were located in this hour (see [`hour_of`]). Those with a special address are not counted: what
    /// configuration or a person says of them does not become stale.
    pub(crate) fn located_hour(&mut self, hour: i64, hosts: i64) {
        *self.located_hour.entry(hour).or_default() += hosts;
    }

    /// Pending hosts that have a live geolocation job.
    pub(crate) fn pending_live(&mut self, hosts: i64) {
        self.pending_live += hosts;
    }

    /// Adds it up; answers whether there was anything to add.
    pub(crate) async fn write(&self, connection: &mut SqliteConnection) -> Result<bool, StoreError> {
        let mut json = String::from("[");
        let groups: [(&str, &[i64]); 5] = [
            ("state", &self.state),
            ("reason", &self.reason),
            ("class", &self.class),
            ("precision", &self.precision),
            ("provider", &self.provider),
        ];
        for (name, counts) in groups {
            for (key, count) in (0..).zip(counts) {
                push_counter(&mut json, name, key, *count);
            }
        }
        for (hour, count) in &self.located_hour {
            push_counter(&mut json, "located_hour", *hour, *count);
        }
        push_counter(&mut json, "pending_live", 0, self.pending_live);
        if json.len() == 1 {
            return Ok(false);
        }
        json.push(']');
        sqlx::query(
            "INSERT INTO counter (name, key, n) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1) \
             WHERE true ON CONFLICT (name, key) DO UPDATE SET n = n + excluded.n",
        )
        .bind(json)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(true)
    }
}

fn push_counter(json: &mut String, name: &str, key: i64, count: i64) {
    if count == 0 {
        return;
    }
    separate(json);
    json.push('[');
    push_text(json, name);
    json.push(',');
    push_number(json, key);
    json.push(',');
    push_number(json, count);
    json.push(']');
}

/// What a transaction adds to `job_count`.
#[derive(Debug, Default)]
pub(crate) struct JobDelta {
    known: [[i64; JobState::ALL.len()]; JobKind::ALL.len()],
    /// Of kinds that only a newer version knows, by the kind's and the state's number.
    others: BTreeMap<(i64, u8), i64>,
}

impl JobDelta {
    pub(crate) fn add(&mut self, kind: JobKind, state: JobState, jobs: i64) {
        self.known[usize::from(kind.number())][usize::from(state.number())] += jobs;
    }

    /// As [`JobDelta::add`], of a kind by its number, which only a newer version may know; answers the kind.
    pub(crate) fn add_stored(&mut self, kind: i64, state: JobState, jobs: i64) -> Option<JobKind> {
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

    pub(crate) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut json = String::from("[");
        for (kind, counts) in (0..).zip(&self.known) {
            for (state, count) in (0..).zip(counts).filter(|(_, count)| **count != 0) {
                push_row(&mut json, &[Some(kind), Some(state), Some(*count)]);
            }
        }
        for ((kind, state), count) in self.others.iter().filter(|(_, count)| **count != 0) {
            push_row(&mut json, &[Some(*kind), Some((*state).into()), Some(*count)]);
        }
        if json.len() == 1 {
            return Ok(());
        }
        json.push(']');
        sqlx::query(
            "UPDATE job_count SET n = job_count.n + x.n FROM \
             (SELECT value ->> 0 AS kind, value ->> 1 AS state, value ->> 2 AS n FROM json_each(?1)) AS x \
             WHERE job_count.kind = x.kind AND job_count.state = x.state",
        )
        .bind(json)
        .execute(connection)
        .await
        .map_err(engine)?;
        Ok(())
    }
}
