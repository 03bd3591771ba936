//! What a database shows, against what the model says.

use std::collections::{BTreeMap, HashMap};

use hostatlas_domain::{Address, Job, JobFilter, JobId, PlaceId};
use hostatlas_store::{JobStore, Store};

use super::{Lane, Stop};
use crate::fencing::model::Row;

/// All jobs: none more, none less, each in its state and with its attempts.
pub(super) async fn jobs(queue: &dyn JobStore, lanes: &[Lane]) -> Result<(), Stop> {
    let (mut real, mut cursor): (HashMap<JobId, Job>, _) = (HashMap::new(), None);
    loop {
        let page = queue.jobs_list(JobFilter::default(), cursor, 1_000).await?;
        real.extend(page.items.into_iter().map(|job| (job.id, job)));
        cursor = page.next_cursor.as_deref().map(str::parse).transpose()?;
        if cursor.is_none() {
            break;
        }
    }
    for (at, lane) in lanes.iter().enumerate() {
        for (id, row) in lane.ids.iter().zip(&lane.state.rows) {
            let (Some(id), Some(row)) = (id, row) else { continue };
            let Some(job) = real.remove(id) else {
                return Err(Stop::Differs(at, lane.failed(format!("job {id} was lost"))));
            };
            if let Some(what) = differs(&job, row) {
                return Err(Stop::Differs(at, lane.failed(what)));
            }
        }
    }
    let Some(job) = real.into_values().next() else { return Ok(()) };
    let of = |lane: &Lane| lane.hosts.iter().any(|(address, _)| *address == job.ip);
    let at = lanes.iter().position(of).unwrap_or(0);
    Err(Stop::Differs(at, lanes[at].failed(format!("job {} is there and should not be", job.id))))
}

fn differs(job: &Job, row: &Row) -> Option<String> {
    if job.state != row.state {
        return Some(format!("job {} is {} instead of {}", job.id, job.state, row.state));
    }
    if job.attempt != u32::from(row.attempt) {
        return Some(format!("job {} began {} attempts instead of {}", job.id, job.attempt, row.attempt));
    }
    (job.finished_at.is_some() == job.state.is_live())
        .then(|| format!("job {} is {} and finished at {:?}", job.id, job.state, job.finished_at))
}

/// Every host stands where the last effect put it that was to be applied.
pub(super) async fn effects(
    store: &dyn Store,
    lanes: &[Lane],
    before: Option<Address>,
    places: &mut BTreeMap<PlaceId, u32>,
) -> Result<(), Stop> {
    let located = store.hosts_located(before, 1_000).await?;
    let unknown: Vec<PlaceId> =
        located.iter().map(|host| host.place).filter(|place| !places.contains_key(place)).collect();
    if !unknown.is_empty() {
        for (id, place) in store.places_named(&unknown).await? {
            places.insert(id, place.city.and_then(|city| city.parse().ok()).unwrap_or(0));
        }
    }
    let real: HashMap<Address, u32> =
        located.iter().map(|host| (host.address, places.get(&host.place).copied().unwrap_or(0))).collect();
    for (at, lane) in lanes.iter().enumerate() {
        for ((address, _), applied) in lane.hosts.iter().zip(lane.applied) {
            let found = real.get(address).copied().unwrap_or(0);
            if found != applied {
                let what = format!("effect {found} was applied last to {address} instead of {applied}");
                return Err(Stop::Differs(at, lane.failed(what)));
            }
        }
    }
    Ok(())
}

/// Every host moved as often as effects were to be applied: each puts it elsewhere, the first moves it from nowhere.
pub(super) async fn histories(store: &dyn Store, lanes: &[Lane]) -> Result<(), Stop> {
    for (at, lane) in lanes.iter().enumerate() {
        for ((address, _), effects) in lane.hosts.iter().zip(lane.effects) {
            let moves = store.host_history(*address).await?.locations.len();
            if moves != effects.saturating_sub(1) {
                let what = format!("{address} moved {moves} times by {effects} effects");
                return Err(Stop::Differs(at, lane.failed(what)));
            }
        }
    }
    Ok(())
}
