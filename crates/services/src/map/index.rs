use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use hostatlas_domain::{HostFilter, HostQuery, LocationState, MapAnswer, NotShown, Place, PlaceId};
use hostatlas_store::{Changes, HistoryId, Store};
use tokio::{sync::Mutex, time::Instant};
use tracing::warn;

use super::{
    cluster::LARGEST_ZOOM,
    places::{AreaGroups, PlaceTable},
};
use crate::{Error, Services};

/// How often the store is asked whether places changed, at most.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Names of places that are kept: more than any few hundred viewports show.
const NAMES_KEPT: u64 = 20_000;
/// For how long the answer to a query is kept while nothing changes, and while something does: matching a port reads all
/// services, and a map that is panned during an import asks several times a second.
const MATCHES_KEPT_FOR: Duration = Duration::from_secs(5);
const MATCHES_REUSED_FOR: Duration = Duration::from_secs(2);
/// How many places of such answers are kept in all.
const MATCHED_PLACES_KEPT: u64 = 500_000;
/// Hosts that a query leaves off the map are counted up to here.
const NOT_SHOWN_CAP: u64 = 10_000;
/// Which hosts are stale changes by the hour; counting them by place reads all hosts.
const STALE_KEPT_FOR: Duration = Duration::from_mins(1);
/// Names asked for at once.
const NAMES_BATCH: usize = 1_000;

/// The places as they were at one moment.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    pub(super) places: Arc<PlaceTable>,
    pub(super) areas: Arc<AreaGroups>,
    pub(super) not_shown: NotShown,
    stale_hosts: u64,
    /// The number to ask for changed places with.
    since: i64,
    /// Change numbers of all topics when this was made.
    changes: Changes,
    /// When it was last known to be current; none before the first load.
    checked: Option<Instant>,
    /// Grows with every change of the places.
    version: u64,
}

/// The places that a query matches.
pub(super) struct Matching {
    pub(super) places: PlaceTable,
    pub(super) stale: HashMap<PlaceId, u64>,
    pub(super) not_shown: NotShown,
    made: Instant,
    history: HistoryId,
    version: u64,
}

/// The answer for the whole world at one zoom, as long as neither places nor stale hosts change.
#[derive(Clone)]
struct World {
    version: u64,
    stale: Arc<HashMap<PlaceId, u64>>,
    answer: MapAnswer,
}

/// All places in memory, kept current.
pub(crate) struct MapIndex {
    snapshot: ArcSwap<Snapshot>,
    refreshing: Mutex<()>,
    names: moka::sync::Cache<(HistoryId, PlaceId), Arc<Place>>,
    matching: moka::sync::Cache<String, Arc<Matching>>,
    /// Held while a query is matched, so that requests that come together ask the store once.
    matching_now: Mutex<()>,
    /// By zoom.
    worlds: moka::sync::Cache<u8, Arc<World>>,
    stale: ArcSwap<HashMap<PlaceId, u64>>,
    stale_counting: Arc<AtomicBool>,
    stale_counted: std::sync::Mutex<Option<Instant>>,
    max_age: Duration,
}

impl MapIndex {
    pub(crate) fn new(max_age: Duration) -> Self {
        let matching = moka::sync::Cache::builder()
            .weigher(|_, matching: &Arc<Matching>| matching.places.len().max(1))
            .max_capacity(MATCHED_PLACES_KEPT)
            .time_to_live(MATCHES_KEPT_FOR)
            .build();
        Self {
            snapshot: ArcSwap::default(),
            refreshing: Mutex::new(()),
            names: moka::sync::Cache::new(NAMES_KEPT),
            matching,
            matching_now: Mutex::default(),
            worlds: moka::sync::Cache::new(u64::from(LARGEST_ZOOM) + 1),
            stale: ArcSwap::default(),
            stale_counting: Arc::default(),
            stale_counted: std::sync::Mutex::default(),
            max_age,
        }
    }

    /// The places, at most a second old; while one request refreshes them, others are answered from what is there.
    pub(super) async fn fresh(&self, services: &Services) -> Result<Arc<Snapshot>, Error> {
        // From the first request on, the poller refreshes on every change, ahead of the requests that follow from it.
        services.hub().start(services);
        let snapshot = self.snapshot.load_full();
        if snapshot.checked.is_some_and(|checked| checked.elapsed() < REFRESH_INTERVAL) {
            return Ok(snapshot);
        }
        let _refreshing = if snapshot.checked.is_none() {
            self.refreshing.lock().await
        } else {
            match self.refreshing.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok(snapshot),
            }
        };
        let known = self.snapshot.load_full();
        if known.checked.is_none_or(|checked| checked.elapsed() >= REFRESH_INTERVAL) {
            self.refresh(services.store().as_ref()).await?;
        }
        let snapshot = self.snapshot.load_full();
        self.count_stale(services, &snapshot);
        Ok(snapshot)
    }

    /// Refreshes now if anybody ever asked: the poller has just seen a change.
    pub(crate) async fn refresh_if_used(&self, store: &Arc<dyn Store>) {
        if self.snapshot.load().checked.is_none() {
            return;
        }
        let _refreshing = self.refreshing.lock().await;
        if let Err(error) = self.refresh(store.as_ref()).await {
            warn!(error = &error as &dyn std::error::Error, "The map's places could not be refreshed");
        }
    }

    async fn refresh(&self, store: &dyn Store) -> Result<(), Error> {
        let checked = Some(Instant::now());
        let changes = store.changes().await?;
        let known = self.snapshot.load_full();
        if known.checked.is_some() && known.changes == changes {
            self.snapshot.store(Arc::new(Snapshot { checked, ..Snapshot::clone(&known) }));
            return Ok(());
        }
        let mut snapshot = if known.changes.history == changes.history {
            Snapshot::clone(&known)
        } else {
            self.forget_stale();
            Snapshot { version: known.version + 1, ..Snapshot::default() }
        };
        let (changed, since) = store.places_changed(snapshot.since).await?;
        let coverage = store.coverage(self.max_age).await?;
        if !changed.is_empty() {
            snapshot.version += 1;
            Arc::make_mut(&mut snapshot.places).apply(changed);
            self.name_areas(store, &mut snapshot).await?;
        }
        snapshot.since = since;
        snapshot.changes = changes;
        snapshot.checked = checked;
        snapshot.stale_hosts = coverage.stale;
        snapshot.not_shown = NotShown {
            pending: coverage.pending,
            unlocated: coverage.unlocated,
            not_applicable: coverage.not_applicable,
            exact: true,
        };
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    async fn name_areas(&self, store: &dyn Store, snapshot: &mut Snapshot) -> Result<(), Error> {
        let unnamed: Vec<PlaceId> =
            snapshot.places.area_places().filter(|id| !snapshot.areas.knows(*id)).collect();
        for ids in unnamed.chunks(NAMES_BATCH) {
            for (id, place) in store.places_named(ids).await? {
                Arc::make_mut(&mut snapshot.areas).add(id, &place);
            }
        }
        Ok(())
    }

    /// The answer for the whole world at `zoom`, if it was given before and nothing on it has changed.
    pub(super) fn known_world(
        &self,
        zoom: u8,
        snapshot: &Snapshot,
        stale: &Arc<HashMap<PlaceId, u64>>,
    ) -> Option<MapAnswer> {
        let world = self.worlds.get(&zoom)?;
        let current = world.version == snapshot.version && Arc::ptr_eq(&world.stale, stale);
        current.then(|| world.answer.clone())
    }

    /// Keeps the answer for the whole world at `zoom`.
    pub(super) fn keep_world(
        &self,
        zoom: u8,
        snapshot: &Snapshot,
        stale: &Arc<HashMap<PlaceId, u64>>,
        answer: MapAnswer,
    ) {
        let world = World { version: snapshot.version, stale: stale.clone(), answer };
        self.worlds.insert(zoom, Arc::new(world));
    }

    /// Stale hosts by place, as of the last count.
    pub(super) fn stale(&self) -> Arc<HashMap<PlaceId, u64>> {
        self.stale.load_full()
    }

    /// The places have other numbers now: the next request has their stale hosts counted.
    fn forget_stale(&self) {
        self.stale.store(Arc::default());
        *self.stale_counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    /// Counts stale hosts by place in the background, if there are any and the last count is old.
    fn count_stale(&self, services: &Services, snapshot: &Snapshot) {
        let mut counted = self.stale_counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if snapshot.stale_hosts == 0 {
            if !self.stale.load().is_empty() {
                self.stale.store(Arc::default());
            }
            return;
        }
        let recent = counted.is_some_and(|at| at.elapsed() < STALE_KEPT_FOR);
        if recent || self.stale_counting.swap(true, Ordering::AcqRel) {
            return;
        }
        *counted = Some(Instant::now());
        let services = services.clone();
        tokio::spawn(async move {
            let index = services.map_index();
            let filter = HostFilter { stale: true, ..HostFilter::default() };
            match services.store().places_matching(filter, index.max_age).await {
                Ok(stale) => index.stale.store(Arc::new(stale.into_iter().collect())),
                Err(error) => warn!(
                    error = &error as &dyn std::error::Error,
                    "Stale hosts could not be counted by place"
                ),
            }
            index.stale_counting.store(false, Ordering::Release);
        });
    }

    /// The places that a query matches, kept for a few seconds.
    pub(super) async fn matching(
        &self,
        services: &Services,
        snapshot: &Snapshot,
        query: &HostQuery,
    ) -> Result<Arc<Matching>, Error> {
        if let Some(matching) = self.known_matching(query, snapshot) {
            return Ok(matching);
        }
        let _matching = self.matching_now.lock().await;
        if let Some(matching) = self.known_matching(query, snapshot) {
            return Ok(matching);
        }
        let store = services.store();
        let filter = query.filter();
        let counts = store.places_matching(filter.clone(), self.max_age).await?;
        let stale = if filter.stale {
            counts.clone()
        } else if snapshot.stale_hosts > 0 {
            let stale = HostFilter { stale: true, ..filter.clone() };
            store.places_matching(stale, self.max_age).await?
        } else {
            Vec::new()
        };
        let matching = Arc::new(Matching {
            places: snapshot.places.with_hosts(&counts),
            stale: stale.into_iter().collect(),
            not_shown: not_shown(store.as_ref(), filter, self.max_age).await?,
            made: Instant::now(),
            history: snapshot.changes.history,
            version: snapshot.version,
        });
        self.matching.insert(query.text().to_owned(), matching.clone());
        Ok(matching)
    }

    fn known_matching(&self, query: &HostQuery, snapshot: &Snapshot) -> Option<Arc<Matching>> {
        let known = self.matching.get(query.text())?;
        let is_recent = known.version == snapshot.version || known.made.elapsed() < MATCHES_REUSED_FOR;
        (is_recent && known.history == snapshot.changes.history).then_some(known)
    }

    /// Names of places, from memory where they are there: places are never renamed in one history.
    pub(super) async fn names(
        &self,
        store: &dyn Store,
        ids: impl Iterator<Item = PlaceId>,
    ) -> Result<HashMap<PlaceId, Place>, Error> {
        let history = self.snapshot.load().changes.history;
        let mut names = HashMap::new();
        let mut missing = Vec::new();
        for id in ids {
            match self.names.get(&(history, id)) {
                Some(place) => {
                    names.insert(id, Place::clone(&place));
                }
                None => missing.push(id),
            }
        }
        for ids in missing.chunks(NAMES_BATCH) {
            for (id, place) in store.places_named(ids).await? {
                self.names.insert((history, id), Arc::new(place.clone()));
                names.insert(id, place);
            }
        }
        Ok(names)
    }
}

/// Matching hosts that are on no place. A query for facts of a place or network matches none of them.
async fn not_shown(store: &dyn Store, filter: &HostFilter, max_age: Duration) -> Result<NotShown, Error> {
    let only_located = !filter.countries.is_empty()
        || filter.city.is_some()
        || !filter.asns.is_empty()
        || filter.organization.is_some()
        || filter.stale
        || filter.place.is_some()
        || !filter.words.is_empty();
    let mut not_shown = NotShown { exact: true, ..NotShown::default() };
    if only_located {
        return Ok(not_shown);
    }
    let mut exact = true;
    let fields = [
        (LocationState::Pending, &mut not_shown.pending),
        (LocationState::Unlocated, &mut not_shown.unlocated),
        (LocationState::NotApplicable, &mut not_shown.not_applicable),
    ];
    for (state, field) in fields {
        if filter.state.is_none_or(|asked| asked == state) {
            let filter = HostFilter { state: Some(state), ..filter.clone() };
            let count = store.hosts_count(filter, max_age, NOT_SHOWN_CAP).await?;
            *field = count.hosts;
            exact &= count.exact;
        }
    }
    Ok(NotShown { exact, ..not_shown })
}
