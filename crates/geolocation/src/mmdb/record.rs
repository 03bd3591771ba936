use hostatlas_domain::{
    Coordinate, CountryCode, InvalidCoordinate, Network, Place, Precision, UnlocatedReason, sanitize,
};

use super::wire::WireRecord;
use crate::country_centre;

/// Longest text that is kept of a name, in characters.
const LONGEST_NAME: usize = 256;

/// What one record of a database says, judged: safe text, a valid place or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where, or why it says no place.
    pub place: Result<Place, UnlocatedReason>,
    /// The network; may be empty.
    pub network: Network,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<u16>,
}

impl From<WireRecord<'_>> for Record {
    fn from(wire: WireRecord<'_>) -> Self {
        let network = Network {
            asn: wire.asn,
            organization: wire.as_organization.and_then(name).or_else(|| wire.organization.and_then(name)),
            isp: wire.isp.and_then(name),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
        let accuracy_km = wire
            .accuracy_km
            .map(f64::ceil)
            .filter(|radius| (1.0..=f64::from(u16::MAX)).contains(radius))
            .map(|radius| radius as u16);
        Self { place: place(&wire), network, timezone: wire.timezone.and_then(name), accuracy_km }
    }
}

/// The place of a record: its own point, else the centre of its country.
fn place(wire: &WireRecord<'_>) -> Result<Place, UnlocatedReason> {
    let (city, region) = (wire.city.and_then(name), wire.region.and_then(name));
    let country = wire
        .country_code
        .and_then(|code| code.trim().parse().ok())
        .or_else(|| wire.country.and_then(|text| text.trim().parse().ok()))
        .or_else(|| wire.country.and_then(CountryCode::from_name));
    let point = match (wire.latitude, wire.longitude) {
        (Some(latitude), Some(longitude)) => Some(Coordinate::new(latitude, longitude)),
        _ => None,
    };
    if let Some(Ok(coordinate)) = point {
        let precision = match (&city, &region) {
            (Some(_), _) => Precision::City,
            (None, Some(_)) => Precision::Region,
            // A database without any names still means its points.
            (None, None) if !wire.keys.names => Precision::City,
            (None, None) => Precision::Country,
        };
        return Ok(Place { coordinate, precision, city, region, country });
    }
    if let Some((country, coordinate)) = country.and_then(|code| Some((code, country_centre(code)?))) {
        return Ok(Place { coordinate, precision: Precision::Country, city, region, country: Some(country) });
    }
    let states_a_country =
        || wire.country_code.into_iter().chain(wire.country).any(|text| name(text).is_some());
    if point == Some(Err(InvalidCoordinate::NullIsland)) || states_a_country() {
        return Err(UnlocatedReason::NullIsland);
    }
    Err(UnlocatedReason::NoRecord)
}

/// A name that says something: providers write the unknown as empty text or as a dash.
fn name(text: &str) -> Option<String> {
    let mut name = sanitize(text, LONGEST_NAME);
    name.shrink_to_fit();
    (!name.is_empty() && name != "-").then_some(name)
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::Asn;

    use super::*;

    fn wire<'text>(city: &'text str, region: &'text str, country_code: &'text str) -> WireRecord<'text> {
        let mut wire = WireRecord {
            latitude: Some(50.1155),
            longitude: Some(8.6842),
            city: Some(city),
            region: Some(region),
            country_code: Some(country_code),
            ..WireRecord::default()
        };
        wire.keys.names = true;
        wire
    }

    #[test]
    fn a_point_stands_for_the_finest_name_there_is() {
        let precisions = [("Frankfurt", "Hesse"), ("", "Hesse"), ("-", " ")]
            .map(|(city, region)| Record::from(wire(city, region, "DE")).place.map(|place| place.precision));
        assert_eq!(precisions, [Ok(Precision::City), Ok(Precision::Region), Ok(Precision::Country)]);
    }

    #[test]
    fn a_point_off_the_earth_is_none() {
        let record = WireRecord { latitude: Some(f64::NAN), ..wire("Frankfurt", "", "DE") };
        let place = Record::from(record).place.expect("its country is known");
        assert_eq!(
            (place.precision, Some(place.coordinate)),
            (Precision::Country, country_centre("DE".parse().expect("a code")))
        );
    }

    #[test]
    fn a_country_may_be_given_by_name() {
        let record = WireRecord { country: Some("Germany"), ..WireRecord::default() };
        assert_eq!(Record::from(record).place.map(|place| place.country), Ok("DE".parse().ok()));
    }

    #[test]
    fn a_country_that_is_none_is_a_null_island() {
        let record = WireRecord { country_code: Some("ZZ"), ..WireRecord::default() };
        assert_eq!(Record::from(record).place, Err(UnlocatedReason::NullIsland));
    }

    #[test]
    fn a_network_alone_is_no_place() {
        let record = Record::from(WireRecord {
            asn: Some(Asn(1)),
            as_organization: Some("A"),
            ..WireRecord::default()
        });
        assert_eq!((record.place, record.network.asn), (Err(UnlocatedReason::NoRecord), Some(Asn(1))));
    }

    #[test]
    fn hostile_text_is_made_one_safe_line() {
        let long = format!("a\u{202e}\r\n{}", "b".repeat(10_000));
        let place = Record::from(wire(&long, "", "DE")).place.expect("a place");
        assert_eq!(place.city, Some(format!("a{}", "b".repeat(255))));
    }

    #[test]
    fn an_accuracy_outside_its_range_is_unknown() {
        let radii = [0.0, 0.4, 20.0, 65_536.0, f64::NAN, -5.0].map(|radius| {
            Record::from(WireRecord { accuracy_km: Some(radius), ..wire("", "", "DE") }).accuracy_km
        });
        assert_eq!(radii, [None, Some(1), Some(20), None, None, None]);
    }
}
