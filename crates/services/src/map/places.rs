use std::collections::HashMap;

use hostatlas_domain::{Coordinate, CountryCode, Place, PlaceId, Precision};
use hostatlas_store::PlaceHosts;

use super::marks::project;

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
    pub(super) fn len(&self) -> u32 {
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
    pub(super) fn with_hosts(&self, counts: &[(PlaceId, u64)]) -> Self {
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

    pub(super) fn area_places(&self) -> impl Iterator<Item = PlaceId> {
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

    /// Whether the place is in a group.
    pub(super) fn knows(&self, id: PlaceId) -> bool {
        self.by_place.contains_key(&id)
    }

    /// Takes a place in, if it says which country or region it stands for.
    pub(super) fn add(&mut self, id: PlaceId, place: &Place) {
        let region = place.region.clone().filter(|_| place.precision == Precision::Region);
        if place.country.is_none() && region.is_none() {
            return;
        }
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry((place.country, region)).or_insert(next);
        self.by_place.insert(id, number);
    }
}
