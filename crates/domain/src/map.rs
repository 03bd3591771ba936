use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{PlaceId, Precision};

/// A box of the map in degrees. Where west is greater than east it crosses the antimeridian.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// -180 to 180.
    pub west: f64,
    /// -90 to 90.
    pub south: f64,
    /// -180 to 180.
    pub east: f64,
    /// -90 to 90, at least south.
    pub north: f64,
}

/// Text that is no box.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a box: use west,south,east,north in degrees")]
pub struct InvalidBoundingBox(String);

impl BoundingBox {
    /// The whole earth.
    pub const WORLD: Self = Self { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };

    /// A box, its longitudes brought into ±180 and its latitudes into ±90.
    ///
    /// A box that is 360 degrees wide or more is the whole turn.
    pub fn new(west: f64, south: f64, east: f64, north: f64) -> Option<Self> {
        if ![west, south, east, north].iter().all(|degrees| degrees.is_finite()) || south > north {
            return None;
        }
        let (south, north) = (south.clamp(-90.0, 90.0), north.clamp(-90.0, 90.0));
        if east - west >= 360.0 {
            return Some(Self { west: -180.0, south, east: 180.0, north });
        }
        let wrap = |degrees: f64| {
            if (-180.0..=180.0).contains(&degrees) {
                degrees
            } else {
                (degrees + 180.0).rem_euclid(360.0) - 180.0
            }
        };
        Some(Self { west: wrap(west), south, east: wrap(east), north })
    }

    /// The point in its middle: degrees north and east.
    pub fn middle(&self) -> (f64, f64) {
        let east = if self.east < self.west { self.east + 360.0 } else { self.east };
        let longitude = f64::midpoint(self.west, east);
        let longitude = if longitude > 180.0 { longitude - 360.0 } else { longitude };
        (f64::midpoint(self.south, self.north), longitude)
    }

    /// Whether the point lies inside or on the edge.
    pub fn contains(&self, latitude: f64, longitude: f64) -> bool {
        let across = if self.west <= self.east {
            (self.west..=self.east).contains(&longitude)
        } else {
            longitude >= self.west || longitude <= self.east
        };
        across && (self.south..=self.north).contains(&latitude)
    }
}

impl FromStr for BoundingBox {
    type Err = InvalidBoundingBox;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidBoundingBox(crate::sanitize(text, 128));
        let degrees: Vec<f64> = text
            .split(',')
            .map(|part| part.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|_| invalid())?;
        let [west, south, east, north] = degrees[..] else { return Err(invalid()) };
        Self::new(west, south, east, north).ok_or_else(invalid)
    }
}

/// What a mark on the map stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MapEntryKind {
    /// Several places that stand too close to be told apart at this zoom.
    Cluster,
    /// One place.
    Place,
    /// Hosts of which only the country or region is known: drawn as an area, never as a pin.
    Area,
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MapEntry {
    /// What it stands for.
    pub kind: MapEntryKind,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Hosts.
    pub hosts: u64,
    /// Places.
    pub places: u64,
    /// The place, where it is one.
    pub place_id: Option<PlaceId>,
    /// The coarsest precision in it.
    pub precision: Precision,
    /// West, south, east, north of its places.
    pub bounds: [f64; 4],
    /// What to call it: its most crowded place.
    pub label: String,
    /// ISO 3166-1 alpha-2 code of that place.
    pub country_code: Option<String>,
    /// Hosts of it whose location is stale.
    pub stale: u64,
}

/// Hosts that no map can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotShown {
    /// No attempt concluded.
    pub pending: u64,
    /// Attempted, without a place.
    pub unlocated: u64,
    /// Private and special-purpose addresses.
    pub not_applicable: u64,
    /// Whether all were counted. With a query counting ends at 10,000 each.
    pub exact: bool,
}

/// The place nearest to the middle of a box that holds no host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Nearest {
    /// The place.
    #[serde(flatten)]
    pub place: MapEntry,
    /// How far it is from there.
    pub distance_km: f64,
    /// In which of eight directions: `north`, `north-east`, ...
    pub direction: String,
}

/// The marks of a box at a zoom: at most 500, and their hosts are all located hosts in the box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MapAnswer {
    /// The marks, most hosts first.
    pub clusters: Vec<MapEntry>,
    /// Located hosts in the box.
    pub hosts: u64,
    /// Places in the box.
    pub places: u64,
    /// Hosts that the map cannot show.
    pub not_shown: NotShown,
    /// Where the box holds no host: the place nearest to its middle, if there is one.
    pub nearest: Option<Nearest>,
}

impl MapAnswer {
    /// The smallest box that holds all marks; where west is greater than east it crosses the antimeridian.
    pub fn extent(&self) -> Option<BoundingBox> {
        let south = self.clusters.iter().map(|mark| mark.bounds[1]).reduce(f64::min)?;
        let north = self.clusters.iter().map(|mark| mark.bounds[3]).reduce(f64::max)?;
        let turn = |[west, _, east, _]: [f64; 4]| (west, if east < west { east + 360.0 } else { east });
        let mut spans: Vec<(f64, f64)> = self.clusters.iter().map(|mark| turn(mark.bounds)).collect();
        spans.sort_by(|one, other| one.0.total_cmp(&other.0));
        // The box leaves out the widest empty stretch of the turn. The one across the antimeridian comes first.
        let first = spans[0].0;
        let last = spans.iter().map(|span| span.1).fold(f64::MIN, f64::max);
        let (mut widest, mut west, mut east) = (first + 360.0 - last, first, last);
        let mut reached = (last - 360.0).max(first);
        for (begin, end) in spans {
            if begin - reached > widest {
                (widest, west, east) = (begin - reached, begin, reached + 360.0);
            }
            reached = reached.max(end);
        }
        BoundingBox::new(west, south, east, north)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_over_the_antimeridian_holds_both_sides() {
        let pacific: BoundingBox = "170,-30,-170,30".parse().expect("a box");
        assert_eq!(
            [175.0, -175.0, 0.0].map(|longitude| pacific.contains(0.0, longitude)),
            [true, true, false]
        );
    }

    fn answer(bounds: &[[f64; 4]]) -> MapAnswer {
        let mark = |bounds: &[f64; 4]| MapEntry {
            kind: MapEntryKind::Cluster,
            latitude: bounds[1],
            longitude: bounds[0],
            hosts: 1,
            places: 2,
            place_id: None,
            precision: Precision::City,
            bounds: *bounds,
            label: String::new(),
            country_code: None,
            stale: 0,
        };
        MapAnswer {
            clusters: bounds.iter().map(mark).collect(),
            hosts: 0,
            places: 0,
            not_shown: NotShown::default(),
            nearest: None,
        }
    }

    #[test]
    fn an_answer_reaches_as_far_as_its_marks() {
        let germany = answer(&[[6.0, 47.0, 9.0, 51.0], [13.0, 52.0, 14.0, 54.0]]);
        assert_eq!(germany.extent(), "6,47,14,54".parse().ok());
        assert_eq!(answer(&[]).extent(), None);
    }

    #[test]
    fn marks_on_both_sides_of_the_antimeridian_are_held_by_a_small_box() {
        let pacific = answer(&[[-176.0, -20.0, -175.0, -10.0], [170.0, -40.0, 178.0, -35.0]]);
        assert_eq!(pacific.extent(), "170,-40,-175,-10".parse().ok());
        let crossing = answer(&[[175.0, -20.0, -170.0, -10.0], [-179.0, -20.0, -178.0, -10.0]]);
        assert_eq!(crossing.extent(), "175,-20,-170,-10".parse().ok());
        assert_eq!(crossing.extent().map(|all| all.middle()), Some((-15.0, -177.5)));
    }

    #[test]
    fn a_box_wider_than_the_world_is_the_world() {
        assert_eq!("-400,-95,400,95".parse::<BoundingBox>(), Ok(BoundingBox::WORLD));
    }
}
