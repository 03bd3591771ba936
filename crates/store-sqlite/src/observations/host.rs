use std::ops::Range;

use hostatlas_domain::{
    Address, AddressClass, LocationFacts, LocationState, Timestamp, UnlocatedReason, classify,
};
use hostatlas_store::{Observation, StoreError};
use sqlx::SqliteConnection;

use crate::{
    error::{corrupt, engine, other},
    packed,
    rows::insert,
};

/// A host of a batch.
pub(super) struct BatchHost {
    pub(super) id: i64,
    pub(super) address: Address,
    pub(super) class: AddressClass,
    first_seen: i64,
    last_seen: i64,
    /// Its observations in the batch.
    pub(super) observations: Range<usize>,
    /// What was known of it before, unless this batch made it.
    pub(super) known: Option<Known>,
    /// Whether this import touches it for the first time.
    pub(super) is_first_touch: bool,
}

/// What the store knew of a host.
pub(super) struct Known {
    first_seen: i64,
    last_seen: i64,
    pub(super) facts: LocationFacts,
}

impl BatchHost {
    pub(super) fn is_new(&self) -> bool {
        self.known.is_none()
    }
}

/// Makes or refreshes the hosts of a batch; answers them by address, each with its id.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    import: i64,
    observations: &[Observation],
) -> Result<Vec<BatchHost>, StoreError> {
    let mut hosts = gather(observations);
    let before = latest_id(connection).await?;
    let made = make(connection, import, &hosts).await?;
    // What was made as a whole has consecutive ids; a gap means that something was known.
    if made == hosts.len() as u64 && latest_id(connection).await? == before + made.cast_signed() {
        for (id, host) in (before + 1..).zip(&mut hosts) {
            host.id = id;
        }
    } else {
        find(connection, import, before, &mut hosts).await?;
        widen(connection, import, &hosts).await?;
    }
    Ok(hosts)
}

fn gather(observations: &[Observation]) -> Vec<BatchHost> {
    let mut hosts: Vec<BatchHost> = Vec::with_capacity(observations.len());
    for (index, observation) in observations.iter().enumerate() {
        let (first_seen, last_seen) = (observation.first_seen.as_millis(), observation.last_seen.as_millis());
        match hosts.last_mut() {
            Some(host) if host.address == observation.address => {
                host.first_seen = host.first_seen.min(first_seen);
                host.last_seen = host.last_seen.max(last_seen);
                host.observations.end = index + 1;
            }
            _ => hosts.push(BatchHost {
                id: 0,
                address: observation.address,
                class: classify(observation.address),
                first_seen,
                last_seen,
                observations: index..index + 1,
                known: None,
                is_first_touch: true,
            }),
        }
    }
    hosts
}

/// The last id that was ever given out.
async fn latest_id(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let latest: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'host'")
        .fetch_optional(connection)
        .await
        .map_err(engine)?;
    Ok(latest.unwrap_or(0))
}

/// Makes those that are not known; answers how many.
async fn make(
    connection: &mut SqliteConnection,
    import: i64,
    hosts: &[BatchHost],
) -> Result<u64, StoreError> {
    let head = "INSERT INTO host (address, first_seen, last_seen, class, location_state, first_import, last_import) \
                VALUES";
    let tail = "ON CONFLICT DO NOTHING";
    if hosts.iter().all(|host| host.class.is_public()) {
        let row = format!("(?,?,?,0,0,{import},{import})");
        return insert(connection, [head, &row, tail], hosts, |query, host| {
            query.bind(host.address.to_key().to_vec()).bind(host.first_seen).bind(host.last_seen)
        })
        .await;
    }
    let row = format!("(?,?,?,?,?,{import},{import})");
    insert(connection, [head, &row, tail], hosts, |query, host| {
        let state =
            if host.class.is_public() { LocationState::Pending } else { LocationState::NotApplicable };
        query
            .bind(host.address.to_key().to_vec())
            .bind(host.first_seen)
            .bind(host.last_seen)
            .bind(host.class.number())
            .bind(state.number())
    })
    .await
}

/// Reads the ids of all hosts, and what was known of those that are not newer than `before`.
async fn find(
    connection: &mut SqliteConnection,
    import: i64,
    before: i64,
    hosts: &mut [BatchHost],
) -> Result<(), StoreError> {
    let keys: Vec<u8> = hosts.iter().flat_map(|host| host.address.to_key()).collect();
    let count = i64::try_from(hosts.len()).map_err(other)?;
    let text: Option<String> = sqlx::query_scalar(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
         SELECT group_concat(concat_ws(',', i, id, first_seen, last_seen, last_import, location_state,
                    coalesce(reason, -1), coalesce(located_at, -1), coalesce(attempted_at, -1),
                    coalesce(database_build, -1)), ';')
         FROM n CROSS JOIN host ON host.address = substr(?1, i * 16 + 1, 16)",
    )
    .bind(keys)
    .bind(count)
    .fetch_one(connection)
    .await
    .map_err(engine)?;
    for mut row in packed::rows(text.as_deref()) {
        let index = usize::try_from(row.number()?).map_err(other)?;
        let host = hosts.get_mut(index).ok_or_else(|| corrupt("an index"))?;
        host.id = row.number()?;
        if host.id > before {
            continue;
        }
        let (first_seen, last_seen, last_import) = (row.number()?, row.number()?, row.number()?);
        let state =
            LocationState::from_number(small(row.number()?)?).ok_or_else(|| corrupt("a location state"))?;
        let reason = match row.number()? {
            -1 => None,
            number => Some(
                UnlocatedReason::from_number(small(number)?).ok_or_else(|| corrupt("an unlocated reason"))?,
            ),
        };
        let time = |millis: i64| (millis >= 0).then(|| Timestamp::from_millis(millis));
        let facts = LocationFacts {
            state,
            reason,
            located_at: time(row.number()?),
            attempted_at: time(row.number()?),
            database_build: time(row.number()?),
        };
        host.known = Some(Known { first_seen, last_seen, facts });
        host.is_first_touch = last_import != import;
    }
    if hosts.iter().any(|host| host.id == 0) {
        return Err(other("a host that was just recorded cannot be found"));
    }
    Ok(())
}

fn small(number: i64) -> Result<u8, StoreError> {
    u8::try_from(number).map_err(|_| corrupt("a number"))
}

/// Writes what changes of known hosts.
async fn widen(
    connection: &mut SqliteConnection,
    import: i64,
    hosts: &[BatchHost],
) -> Result<(), StoreError> {
    let changed: Vec<_> = hosts
        .iter()
        .filter(|host| {
            host.known.as_ref().is_some_and(|known| {
                host.is_first_touch || host.first_seen < known.first_seen || host.last_seen > known.last_seen
            })
        })
        .collect();
    // An insertion that conflicts, and not an update from a list: nothing is left to the planner.
    let head = "INSERT INTO host (id, address, first_seen, last_seen, first_import, last_import) VALUES";
    let row = format!("(?,?,?,?,{import},{import})");
    let tail = "ON CONFLICT DO UPDATE SET first_seen = min(first_seen, excluded.first_seen), \
                last_seen = max(last_seen, excluded.last_seen), \
                import_count = import_count + (last_import <> excluded.last_import), \
                last_import = excluded.last_import";
    insert(connection, [head, &row, tail], &changed, |query, host| {
        query.bind(host.id).bind(host.address.to_key().to_vec()).bind(host.first_seen).bind(host.last_seen)
    })
    .await?;
    Ok(())
}
