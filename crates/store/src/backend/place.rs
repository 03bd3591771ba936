use hostatlas_domain::{Coordinate, Place, Precision};

/// The columns of a place.
#[derive(Debug)]
pub struct PlaceRow {
    /// Latitude and longitude, in hundred thousandths of a degree.
    pub units: (i64, i64),
    /// What it stands for, by its number.
    pub precision: i64,
    /// City, region and country code; each empty where it is not known.
    pub names: [String; 3],
}

impl PlaceRow {
    /// The place; none where the stored point is not on earth.
    #[must_use]
    pub fn place(self) -> Option<Place> {
        let (latitude, longitude) = (i32::try_from(self.units.0).ok()?, i32::try_from(self.units.1).ok()?);
        let [city, region, country] = self.names;
        let present = |text: String| (!text.is_empty()).then_some(text);
        Some(Place {
            coordinate: Coordinate::from_units(latitude, longitude).ok()?,
            precision: u8::try_from(self.precision).ok().and_then(Precision::from_number)?,
            city: present(city),
            region: present(region),
            country: country.parse().ok(),
        })
    }
}
