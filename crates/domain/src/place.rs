use std::fmt;

use serde::{Deserialize, Serialize};

use crate::CountryCode;

/// The row of a place. Never deleted or renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct PlaceId(pub i64);

/// A point on the earth, kept in whole units of 0.00001 degree (about a metre), so that equal points are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Coordinate {
    latitude_e5: i32,
    longitude_e5: i32,
}

/// A point that is not on the earth, or the pair (0, 0), which providers use for "unknown".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCoordinate {
    /// Not finite, or outside ±90 and ±180 degrees.
    #[error("coordinates outside the earth")]
    OutOfRange,
    /// Latitude 0 and longitude 0 are valid each; together they mean that the provider does not know.
    #[error("coordinates 0, 0")]
    NullIsland,
}

impl Coordinate {
    /// Degrees north and east.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, InvalidCoordinate> {
        let on_earth = latitude.is_finite()
            && longitude.is_finite()
            && (-90.0..=90.0).contains(&latitude)
            && (-180.0..=180.0).contains(&longitude);
        if !on_earth {
            return Err(InvalidCoordinate::OutOfRange);
        }
        #[expect(clippy::cast_possible_truncation, reason = "180 degrees are 18,000,000 units")]
        let units = |degrees: f64| (degrees * 1e5).round() as i32;
        Self::from_units(units(latitude), units(longitude))
    }

    /// Units of 0.00001 degree, as stored.
    pub const fn from_units(latitude_e5: i32, longitude_e5: i32) -> Result<Self, InvalidCoordinate> {
        if latitude_e5.unsigned_abs() > 9_000_000 || longitude_e5.unsigned_abs() > 18_000_000 {
            return Err(InvalidCoordinate::OutOfRange);
        }
        if latitude_e5 == 0 && longitude_e5 == 0 {
            return Err(InvalidCoordinate::NullIsland);
        }
        Ok(Self { latitude_e5, longitude_e5 })
    }

    /// Degrees north, -90 to 90.
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude_e5) / 1e5
    }

    /// Degrees east, -180 to 180.
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude_e5) / 1e5
    }

    /// Units of 0.00001 degree, latitude first.
    pub const fn units(self) -> (i32, i32) {
        (self.latitude_e5, self.longitude_e5)
    }

    /// Great-circle distance in kilometres (haversine on a sphere of radius 6371 km; off by 0.5 % at most).
    pub fn distance_km(self, other: Self) -> f64 {
        let (from, to) = (self.latitude().to_radians(), other.latitude().to_radians());
        let half_latitude = (to - from) / 2.0;
        let half_longitude = (other.longitude() - self.longitude()).to_radians() / 2.0;
        let chord = half_latitude.sin().powi(2) + from.cos() * to.cos() * half_longitude.sin().powi(2);
        2.0 * 6371.0 * chord.sqrt().min(1.0).asin()
    }

    /// In which of eight directions one sets out from here to go there the shortest way: `north`, `north-east`, ...
    pub fn direction_to(self, other: Self) -> &'static str {
        const DIRECTIONS: [&str; 8] =
            ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"];
        let (from, to) = (self.latitude().to_radians(), other.latitude().to_radians());
        let across = (other.longitude() - self.longitude()).to_radians();
        let east = across.sin() * to.cos();
        let north = from.cos() * to.sin() - from.sin() * to.cos() * across.cos();
        let eighths = (east.atan2(north).to_degrees() / 45.0).round().rem_euclid(8.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        DIRECTIONS[eighths as usize % 8]
    }
}

impl fmt::Display for Coordinate {
    /// `50.1155° N, 8.6842° E`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (latitude, longitude) = (self.latitude(), self.longitude());
        let north = if latitude < 0.0 { 'S' } else { 'N' };
        let east = if longitude < 0.0 { 'W' } else { 'E' };
        write!(formatter, "{:.4}°\u{a0}{north}, {:.4}°\u{a0}{east}", latitude.abs(), longitude.abs())
    }
}

/// What a place's point stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// A city or something finer.
    City,
    /// The centre of a region: the city is not known.
    Region,
    /// The centre of a country: nothing finer is known.
    Country,
}

impl Precision {
    /// All, finest first. The position is the number that is stored.
    pub const ALL: [Self; 3] = [Self::City, Self::Region, Self::Country];

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`Precision::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word in JSON.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::Region => "region",
            Self::Country => "country",
        }
    }
}

/// One distinct coordinate with its names. Many hosts share one.
///
/// Names come from providers: they are text to show, never markup.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The point.
    pub coordinate: Coordinate,
    /// What the point stands for.
    pub precision: Precision,
    /// Its city, as the provider writes it; at most 256 characters.
    pub city: Option<String>,
    /// Its region, state or province.
    pub region: Option<String>,
    /// Its country.
    pub country: Option<CountryCode>,
}

impl Place {
    /// What a person calls it: the city without a district in parentheses, else region, else country, else the point.
    pub fn label(&self) -> String {
        if let Some(city) = &self.city {
            return city.split(" (").next().unwrap_or(city).to_owned();
        }
        match (&self.region, self.country) {
            (Some(region), _) => region.clone(),
            (None, Some(country)) => country.name().to_owned(),
            (None, None) => self.coordinate.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_is_that_of_the_shortest_way() {
        let berlin = Coordinate::new(52.52, 13.4).expect("a coordinate");
        let to = |latitude, longitude| {
            berlin.direction_to(Coordinate::new(latitude, longitude).expect("a coordinate"))
        };
        // Tokyo lies farther south, but the way there leads over Siberia.
        let found = [to(53.5, 10.0), to(48.1, 11.6), to(52.2, 21.0), to(35.7, 139.7), to(59.3, 18.1)];
        assert_eq!(found, ["north-west", "south", "east", "north-east", "north"]);
    }

    #[test]
    fn zero_is_a_valid_latitude_and_longitude_but_not_both() {
        assert_eq!(Coordinate::new(0.0, 0.0), Err(InvalidCoordinate::NullIsland));
        assert!(Coordinate::new(0.0, 32.5).is_ok() && Coordinate::new(51.5, 0.0).is_ok());
    }

    #[test]
    fn what_is_not_on_earth_is_refused() {
        for (latitude, longitude) in [(f64::NAN, 1.0), (90.1, 0.0), (0.0, -180.1), (f64::INFINITY, 0.0)] {
            assert_eq!(Coordinate::new(latitude, longitude), Err(InvalidCoordinate::OutOfRange));
        }
    }

    #[test]
    fn frankfurt_to_nuremberg_is_187_km() {
        let frankfurt = Coordinate::new(50.1155, 8.6842).expect("on earth");
        let nuremberg = Coordinate::new(49.4521, 11.0767).expect("on earth");
        assert!((frankfurt.distance_km(nuremberg) - 187.0).abs() < 2.0);
    }
}
