use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use hostatlas_domain::{
    Coordinate, CountryCode, HostFilter, HostQuery, LocationState, NotShown, Place, PlaceId, Precision,
    TopicChange,
};
use hostatlas_store::{PlaceHosts, Store};
use tokio::{sync::Mutex, time::Instant};
use tracing::warn;

use super::marks::project;
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

/// All places that have hosts, by id: columns, since one pass over 100,000 of them answers every request. 29 bytes each.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlaceTable {
    ids: Vec<i64>,
    latitudes: Vec<i32>,
    longitudes: Vec<i32>,
    xs: Vec<u32>,
    ys: Vec<u32>,
    hosts: Vec<u32>,
    precisions: Vec<Precision>,
}

impl PlaceTable {
    /// Takes changed counts in.
    pub(super) fn apply(&mut self, mut changed: Vec<PlaceHosts>) {
        changed.sort_unstable_by_key(|place| place.id);
        changed.dedup_by_key(|place| place.id);
        let mut new = Vec::new();
        for place in changed {
            match self.ids.binary_search(&place.id.0) {
                Ok(index) => self.hosts[index] = count(place.hosts),
                Err(_) => new.push(place),
            }
        }
        // Ids only grow: what is new nearly always comes after what is known.
        if let (Some(first), Some(last)) = (new.first(), self.ids.last())
            && first.id.0 < *last
        {
            self.merge(new);
        } else {
            self.extend(new);
        }
    }

    fn extend(&mut self, new: Vec<PlaceHosts>) {
        for place in new {
            let (latitude, longitude) = place.coordinate.units();
            let (x, y) = project(latitude, longitude);
            self.ids.push(place.id.0);
            self.latitudes.push(latitude);
            self.longitudes.push(longitude);
            self.xs.push(x);
            self.ys.push(y);
            self.hosts.push(count(place.hosts));
            self.precisions.push(place.precision);
        }
    }

    fn merge(&mut self, new: Vec<PlaceHosts>) {
        let mut all: Vec<PlaceHosts> = (0..self.len()).map(|index| self.get(index)).chain(new).collect();
        all.sort_unstable_by_key(|place| place.id);
        *self = Self::default();
        self.extend(all);
    }

    #[expect(clippy::cast_possible_truncation, reason = "there are fewer places than metres on the equator")]
    fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// The places with hosts whose latitude and longitude (units of 0.00001 degree) fit: those that stand for a
    /// country or region, and the others.
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer places than metres on the equator")]
    pub(super) fn select(&self, fits: impl Fn(i32, i32) -> bool) -> (Vec<u32>, Vec<u32>) {
        let (mut areas, mut points) = (Vec::new(), Vec::new());
        let places =
            self.latitudes.iter().zip(&self.longitudes).zip(&self.hosts).zip(&self.precisions).enumerate();
        for (index, (((latitude, longitude), hosts), precision)) in places {
            if *hosts > 0 && fits(*latitude, *longitude) {
                let chosen = if *precision == Precision::City { &mut points } else { &mut areas };
                chosen.push(index as u32);
            }
        }
        (areas, points)
    }

    pub(super) fn get(&self, index: u32) -> PlaceHosts {
        let index = index as usize;
        let coordinate = Coordinate::from_units(self.latitudes[index], self.longitudes[index])
            .expect("what was taken in was a coordinate");
        PlaceHosts {
            id: PlaceId(self.ids[index]),
            coordinate,
            precision: self.precisions[index],
            hosts: u64::from(self.hosts[index]),
        }
    }

    pub(super) fn id(&self, index: u32) -> PlaceId {
        PlaceId(self.ids[index as usize])
    }

    pub(super) fn hosts_at(&self, index: u32) -> u64 {
        u64::from(self.hosts[index as usize])
    }

    pub(super) fn latitude(&self, index: u32) -> i32 {
        self.latitudes[index as usize]
    }

    pub(super) fn longitude(&self, index: u32) -> i32 {
        self.longitudes[index as usize]
    }

    /// Where it falls on the world, both from 0 to 2^32.
    pub(super) fn projected(&self, index: u32) -> (u32, u32) {
        (self.xs[index as usize], self.ys[index as usize])
    }

    /// Hosts on one place.
    pub(super) fn hosts_on(&self, id: PlaceId) -> u64 {
        self.ids.binary_search(&id.0).map_or(0, |index| u64::from(self.hosts[index]))
    }

    /// The same places with these counts; places that are not known yet are left out.
    fn with_hosts(&self, counts: &[(PlaceId, u64)]) -> Self {
        let known = counts.iter().filter_map(|(id, hosts)| {
            let index = self.ids.binary_search(&id.0).ok()?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "there are fewer places than metres on the equator"
            )]
            let place = self.get(index as u32);
            Some(PlaceHosts { hosts: *hosts, ..place })
        });
        let mut table = Self::default();
        table.apply(known.collect());
        table
    }

    fn area_places(&self) -> impl Iterator<Item = PlaceId> {
        let areas =
            self.ids.iter().zip(&self.precisions).filter(|(_, precision)| **precision != Precision::City);
        areas.map(|(id, _)| PlaceId(*id))
    }
}

/// A count as it is kept; there are no more addresses on one place than this.
fn count(hosts: u64) -> u32 {
    u32::try_from(hosts).unwrap_or(u32::MAX)
}

/// Which places that stand for a country or a region stand for the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct AreaGroups {
    by_place: HashMap<PlaceId, u32>,
    numbers: HashMap<(Option<CountryCode>, Option<String>), u32>,
}

impl AreaGroups {
    pub(super) fn group(&self, id: PlaceId) -> Option<u32> {
        self.by_place.get(&id).copied()
    }

    fn add(&mut self, id: PlaceId, place: &Place) {
        let region = place.region.clone().filter(|_| place.precision == Precision::Region);
        if place.country.is_none() && region.is_none() {
            return;
        }
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry((place.country, region)).or_insert(next);
        self.by_place.insert(id, number);
    }
}

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
    topics: Vec<TopicChange>,
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
    version: u64,
}

/// All places in memory, kept current.
pub(crate) struct MapIndex {
    snapshot: ArcSwap<Snapshot>,
    refreshing: Mutex<()>,
    names: moka::sync::Cache<PlaceId, Arc<Place>>,
    matching: moka::sync::Cache<String, Arc<Matching>>,
    /// Held while a query is matched, so that requests that come together ask the store once.
    matching_now: Mutex<()>,
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
        let topics = store.changes().await?;
        let known = self.snapshot.load_full();
        if known.checked.is_some() && known.topics == topics {
            self.snapshot.store(Arc::new(Snapshot { checked, ..Snapshot::clone(&known) }));
            return Ok(());
        }
        let (changed, since) = store.places_changed(known.since).await?;
        let coverage = store.coverage(self.max_age).await?;
        let mut snapshot = Snapshot::clone(&known);
        if !changed.is_empty() {
            snapshot.version += 1;
            Arc::make_mut(&mut snapshot.places).apply(changed);
            self.name_areas(store, &mut snapshot).await?;
        }
        snapshot.since = since;
        snapshot.topics = topics;
        snapshot.checked = checked;
        snapshot.stale_hosts = coverage.stale;
        snapshot.not_shown = NotShown {
            pending: coverage.pending,
            unlocated: coverage.unlocated,
            not_applicable: coverage.not_applicable,
        };
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    async fn name_areas(&self, store: &dyn Store, snapshot: &mut Snapshot) -> Result<(), Error> {
        let unnamed: Vec<PlaceId> =
            snapshot.places.area_places().filter(|id| !snapshot.areas.by_place.contains_key(id)).collect();
        for ids in unnamed.chunks(NAMES_BATCH) {
            for (id, place) in store.places_named(ids).await? {
                Arc::make_mut(&mut snapshot.areas).add(id, &place);
            }
        }
        Ok(())
    }

    /// Stale hosts by place, as of the last count.
    pub(super) fn stale(&self) -> Arc<HashMap<PlaceId, u64>> {
        self.stale.load_full()
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
            version: snapshot.version,
        });
        self.matching.insert(query.text().to_owned(), matching.clone());
        Ok(matching)
    }

    fn known_matching(&self, query: &HostQuery, snapshot: &Snapshot) -> Option<Arc<Matching>> {
        let known = self.matching.get(query.text())?;
        let usable = known.version == snapshot.version || known.made.elapsed() < MATCHES_REUSED_FOR;
        usable.then_some(known)
    }

    /// Names of places, from memory where they are there: places are never renamed.
    pub(super) async fn names(
        &self,
        store: &dyn Store,
        ids: impl Iterator<Item = PlaceId>,
    ) -> Result<HashMap<PlaceId, Place>, Error> {
        let mut names = HashMap::new();
        let mut missing = Vec::new();
        for id in ids {
            match self.names.get(&id) {
                Some(place) => {
                    names.insert(id, Place::clone(&place));
                }
                None => missing.push(id),
            }
        }
        for ids in missing.chunks(NAMES_BATCH) {
            for (id, place) in store.places_named(ids).await? {
                self.names.insert(id, Arc::new(place.clone()));
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
    let mut not_shown = NotShown::default();
    if only_located {
        return Ok(not_shown);
    }
    let fields = [
        (LocationState::Pending, &mut not_shown.pending),
        (LocationState::Unlocated, &mut not_shown.unlocated),
        (LocationState::NotApplicable, &mut not_shown.not_applicable),
    ];
    for (state, field) in fields {
        if filter.state.is_none_or(|asked| asked == state) {
            let filter = HostFilter { state: Some(state), ..filter.clone() };
            *field = store.hosts_count(filter, max_age, NOT_SHOWN_CAP).await?.hosts;
        }
    }
    Ok(not_shown)
}
