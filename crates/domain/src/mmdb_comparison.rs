use serde::{Deserialize, Serialize};

use crate::{Address, Place, Timestamp};

/// What a database file of places would change if it were installed: where the stored hosts are, against where it
/// says they are.
///
/// Each host is counted once: in one class of [`MmdbComparison::moves`], or in one of the five counts after
/// [`MmdbComparison::other_country`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MmdbComparison {
    /// The file.
    pub path: String,
    /// `city` or `country`.
    pub role: String,
    /// `IPv4`, `IPv6` or `IPv4 and IPv6`: which hosts it can tell about.
    pub families: String,
    /// When it was built, if it says so.
    pub database_build: Option<Timestamp>,
    /// Build time of the newest database of places in use.
    pub current_build: Option<Timestamp>,
    /// Hosts that were compared or left out: the sum of all classes and counts but `other_country`.
    pub hosts: u64,
    /// Hosts that are on a place and would be on one, by how far apart the two are.
    pub moves: MoveCounts,
    /// Of those, how many would be in another country.
    pub other_country: u64,
    /// Hosts that are on no place and would be on one.
    pub gained: u64,
    /// Hosts on a place that the file does not know. They keep it, as long as nothing else says better.
    pub lost: u64,
    /// Hosts that are on no place and would stay so.
    pub still_unlocated: u64,
    /// Hosts of an address family that the file does not hold.
    pub not_covered: u64,
    /// Hosts whose place a database does not decide: pinned ones, those of sites, and for a country database those
    /// that are known more finely.
    pub kept: u64,
    /// The farthest moves, farthest first, at most 20.
    pub farthest: Vec<HostMove>,
    /// How long it took.
    pub seconds: f64,
}

/// How many hosts would move how far, along the great circle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MoveCounts {
    /// Not at all.
    pub same: u64,
    /// Less than 1 km.
    pub under_1_km: u64,
    /// 1 to 10 km.
    pub under_10_km: u64,
    /// 10 to 100 km.
    pub under_100_km: u64,
    /// 100 to 500 km.
    pub under_500_km: u64,
    /// 500 km and more.
    pub farther: u64,
}

impl MoveCounts {
    /// Counts one host that would move so far.
    pub fn add(&mut self, distance_km: f64) {
        let class = match distance_km {
            km if km <= 0.0 => &mut self.same,
            km if km < 1.0 => &mut self.under_1_km,
            km if km < 10.0 => &mut self.under_10_km,
            km if km < 100.0 => &mut self.under_100_km,
            km if km < 500.0 => &mut self.under_500_km,
            _ => &mut self.farther,
        };
        *class += 1;
    }

    /// The classes with the words for them, nearest first.
    pub const fn classes(&self) -> [(&'static str, u64); 6] {
        [
            ("same place", self.same),
            ("under 1 km", self.under_1_km),
            ("1 to 10 km", self.under_10_km),
            ("10 to 100 km", self.under_100_km),
            ("100 to 500 km", self.under_500_km),
            ("500 km and more", self.farther),
        ]
    }

    /// Hosts that would move at all.
    pub const fn moved(&self) -> u64 {
        self.under_1_km + self.under_10_km + self.under_100_km + self.under_500_km + self.farther
    }
}

/// A host that would move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostMove {
    /// Its address.
    pub ip: Address,
    /// How far, in kilometres along the great circle.
    pub distance_km: f64,
    /// Where it is.
    pub from: MoveEnd,
    /// Where it would be.
    pub to: MoveEnd,
}

/// One end of a move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MoveEnd {
    /// What a person calls the place.
    pub label: String,
    /// ISO 3166-1 alpha-2 code.
    pub country_code: Option<String>,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl From<&Place> for MoveEnd {
    fn from(place: &Place) -> Self {
        Self {
            label: place.label(),
            country_code: place.country.map(|country| country.as_str().to_owned()),
            latitude: place.coordinate.latitude(),
            longitude: place.coordinate.longitude(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distance_is_in_one_class_and_an_edge_in_the_farther() {
        let mut moves = MoveCounts::default();
        for km in [0.0, 0.001, 1.0, 9.99, 10.0, 100.0, 499.0, 500.0, 20_000.0] {
            moves.add(km);
        }
        let expected = MoveCounts {
            same: 1,
            under_1_km: 1,
            under_10_km: 2,
            under_100_km: 1,
            under_500_km: 2,
            farther: 2,
        };
        assert_eq!((moves, moves.moved()), (expected, 8));
    }
}
