//! Whether an online answer may be believed. The names, places and networks of all providers, offline or online,
//! follow the same rules; an answer that came over a network has to pass more of them.

use std::sync::Arc;

use hostatlas_domain::{
    Address, Asn, Coordinate, CountryCode, InvalidCoordinate, Located, ProviderName, UnlocatedReason,
    sanitize,
};

use super::borders::kilometres_outside;
use crate::{
    Answer, LookupError, country_centre,
    mmdb::{Keys, Record, WireRecord},
};

/// How far outside the country that it names a point may lie. Borders are drawn coarsely, some are disputed, and
/// islands and ships belong to somebody; a point beyond this is another country's.
const FARTHEST_OUTSIDE_KM: f64 = 500.0;

/// How far from the middle of it a point may lie, in a territory too small or scattered to have an outline.
const FARTHEST_FROM_CENTRE_KM: f64 = 1_000.0;

/// What an online provider says of one address, not yet judged. Texts may be empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnlineRecord<'text> {
    /// Degrees north and east.
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub city: Option<&'text str>,
    pub region: Option<&'text str>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<&'text str>,
    /// A country's name.
    pub country: Option<&'text str>,
    pub timezone: Option<&'text str>,
    pub asn: Option<Asn>,
    /// The holder of the autonomous system.
    pub as_organization: Option<&'text str>,
    pub organization: Option<&'text str>,
    pub isp: Option<&'text str>,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<f64>,
}

/// The answer that a record gives.
///
/// [`LookupError::Malformed`] where it contradicts itself or the earth: half a point, a point that is none, a country
/// code that is none, a point far outside the country. The point (0, 0) is a miss, and a country alone is a place at
/// its centre.
pub(super) fn judge(provider: ProviderName, record: &OnlineRecord<'_>) -> Result<Answer, LookupError> {
    let point = match (record.latitude, record.longitude) {
        (None, None) => None,
        (Some(latitude), Some(longitude)) => match Coordinate::new(latitude, longitude) {
            Ok(point) => Some(point),
            Err(InvalidCoordinate::NullIsland) => return Ok(Answer::Miss(UnlocatedReason::NullIsland)),
            Err(InvalidCoordinate::OutOfRange) => {
                return Err(refused(format!("the point {latitude}, {longitude} is not on the earth")));
            }
        },
        (Some(_), None) => return Err(refused("a latitude came without a longitude")),
        (None, Some(_)) => return Err(refused("a longitude came without a latitude")),
    };
    if let (Some(_), Some(code)) = (point, stated_code(record))
        && code.parse::<CountryCode>().is_err()
    {
        return Err(refused(format!("`{}` is no country", sanitize(code, 64))));
    }
    let Record { place, network, timezone, accuracy_km } = Record::from(wire(record));
    let place = match place {
        Ok(place) => place,
        Err(reason) => return Ok(Answer::Miss(reason)),
    };
    if let (Some(point), Some(country)) = (point, place.country) {
        near(point, country)?;
    }
    Ok(Answer::Found(Arc::new(Located {
        place,
        network,
        timezone,
        provider,
        accuracy_km,
        database_build: None,
    })))
}

/// Whether an answer is about the address that was asked about, by the address that it repeats.
pub(super) fn same_address(asked: Address, repeated: Option<&str>) -> Result<(), LookupError> {
    match repeated.map(str::parse::<Address>) {
        Some(Ok(address)) if address == asked => Ok(()),
        Some(Ok(address)) => Err(refused(format!("the answer is about {address}"))),
        Some(Err(error)) => Err(refused(format!("the answer is about something else: {error}"))),
        None => Err(refused("the answer does not say about which address it is")),
    }
}

/// `AS15169 Google LLC`, `AS15169`, `15169` or a name alone, as the number and the name in it.
pub(super) fn numbered_name(text: Option<&str>) -> (Option<Asn>, Option<&str>) {
    let Some(text) = text.map(str::trim) else { return (None, None) };
    let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
    match head.parse() {
        Ok(asn) => (Some(asn), Some(rest)),
        Err(_) => (None, Some(text)),
    }
}

/// An autonomous system's number; none for 0 and for what is no such number.
pub(super) fn system_number(number: Option<f64>) -> Option<Asn> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    number
        .filter(|number| (1.0..=f64::from(u32::MAX)).contains(number) && number.fract() == 0.0)
        .map(|number| Asn(number as u32))
}

/// What should be a country's code, unless it says that there is none.
fn stated_code<'text>(record: &OnlineRecord<'text>) -> Option<&'text str> {
    record.country_code.map(str::trim).filter(|code| !matches!(*code, "" | "-"))
}

fn near(point: Coordinate, country: CountryCode) -> Result<(), LookupError> {
    let (away, most) = match kilometres_outside(country, point) {
        Some(outside) => (outside, FARTHEST_OUTSIDE_KM),
        // The outlying islands of the United States are all over two oceans.
        None if country.as_str() == "UM" => return Ok(()),
        None => {
            let Some(centre) = country_centre(country) else { return Ok(()) };
            (centre.distance_km(point), FARTHEST_FROM_CENTRE_KM)
        }
    };
    if away <= most {
        return Ok(());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the earth is 20,000 km long"
    )]
    let away = thousands(away.round() as u32);
    Err(refused(format!("the point lies {away} km outside {}", country.name())))
}

/// `1,234`
fn thousands(number: u32) -> String {
    match (number / 1_000, number % 1_000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}

fn wire<'text>(record: &OnlineRecord<'text>) -> WireRecord<'text> {
    let OnlineRecord { latitude, longitude, city, region, country_code, country, timezone, asn, .. } =
        *record;
    WireRecord {
        latitude,
        longitude,
        city,
        region,
        country_code,
        country,
        timezone,
        accuracy_km: record.accuracy_km,
        asn,
        as_organization: record.as_organization,
        organization: record.organization,
        isp: record.isp,
        // All of these providers name places, so a point without a name stands for its country.
        keys: Keys { point: latitude.is_some(), names: true, country: true, network: true },
    }
}

fn refused(detail: impl Into<String>) -> LookupError {
    LookupError::Malformed { detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::Precision;

    use super::*;

    const FRANKFURT: OnlineRecord<'static> = OnlineRecord {
        latitude: Some(50.1155),
        longitude: Some(8.6842),
        city: Some("Frankfurt am Main"),
        region: Some("Hesse"),
        country_code: Some("DE"),
        country: Some("Germany"),
        timezone: Some("Europe/Berlin"),
        asn: Some(Asn(3320)),
        as_organization: Some("Deutsche Telekom AG"),
        organization: None,
        isp: None,
        accuracy_km: Some(20.0),
    };

    fn verdict(record: OnlineRecord<'_>) -> Result<Answer, LookupError> {
        judge(ProviderName::IpApi, &record)
    }

    fn located(record: OnlineRecord<'_>) -> Arc<Located> {
        match verdict(record) {
            Ok(Answer::Found(located)) => located,
            other => panic!("not located: {other:?}"),
        }
    }

    fn complaint(record: OnlineRecord<'_>) -> String {
        match verdict(record) {
            Err(LookupError::Malformed { detail }) => detail,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_sound_answer_is_a_location_of_its_provider() {
        let located = located(FRANKFURT);
        assert_eq!(
            (located.place.label().as_str(), located.place.precision, located.provider, located.accuracy_km),
            ("Frankfurt am Main", Precision::City, ProviderName::IpApi, Some(20))
        );
    }

    #[test]
    fn a_point_has_two_halves_that_are_on_the_earth() {
        let halves =
            [(Some(50.0), None), (None, Some(8.0)), (Some(91.0), Some(8.0)), (Some(50.0), Some(-180.5))];
        let said =
            halves.map(|(latitude, longitude)| complaint(OnlineRecord { latitude, longitude, ..FRANKFURT }));
        assert_eq!(
            said,
            [
                "a latitude came without a longitude",
                "a longitude came without a latitude",
                "the point 91, 8 is not on the earth",
                "the point 50, -180.5 is not on the earth",
            ]
        );
    }

    #[test]
    fn null_island_is_a_miss_whatever_country_is_named() {
        let record = OnlineRecord { latitude: Some(0.0), longitude: Some(0.0), ..FRANKFURT };
        assert_eq!(verdict(record), Ok(Answer::Miss(UnlocatedReason::NullIsland)));
    }

    #[test]
    fn a_country_alone_is_its_centre() {
        let country = OnlineRecord { country_code: Some("de"), ..OnlineRecord::default() };
        let place = located(country).place.clone();
        assert_eq!(
            (place.precision, Some(place.coordinate)),
            (Precision::Country, country_centre("DE".parse().expect("a code")))
        );
    }

    #[test]
    fn nothing_at_all_is_a_miss() {
        assert_eq!(verdict(OnlineRecord::default()), Ok(Answer::Miss(UnlocatedReason::NoRecord)));
        let blank = OnlineRecord { city: Some(""), country_code: Some("-"), ..OnlineRecord::default() };
        assert_eq!(verdict(blank), Ok(Answer::Miss(UnlocatedReason::NoRecord)));
    }

    #[test]
    fn a_code_that_is_no_country_is_refused() {
        assert_eq!(complaint(OnlineRecord { country_code: Some("ZZ"), ..FRANKFURT }), "`ZZ` is no country");
    }

    #[test]
    fn a_point_in_another_country_is_refused() {
        let swapped = OnlineRecord { latitude: Some(8.6842), longitude: Some(50.1155), ..FRANKFURT };
        let said = complaint(swapped);
        assert!(said.starts_with("the point lies 5,5") && said.ends_with(" km outside Germany"), "{said}");
    }

    #[test]
    fn a_point_at_sea_or_over_the_border_is_believed() {
        for (latitude, longitude) in [(54.5, 6.0), (48.8566, 2.3522)] {
            let record = OnlineRecord { latitude: Some(latitude), longitude: Some(longitude), ..FRANKFURT };
            assert!(matches!(verdict(record), Ok(Answer::Found(_))), "{latitude}, {longitude}");
        }
    }

    #[test]
    fn a_territory_without_an_outline_is_held_to_its_centre() {
        let gibraltar = OnlineRecord {
            latitude: Some(36.14),
            longitude: Some(-5.35),
            country_code: Some("GI"),
            ..FRANKFURT
        };
        assert!(matches!(verdict(gibraltar), Ok(Answer::Found(_))));
        assert!(complaint(OnlineRecord { country_code: Some("GI"), ..FRANKFURT }).ends_with("Gibraltar"));
    }

    #[test]
    fn an_answer_is_about_the_address_in_whatever_form_it_is_written() {
        let asked = |text: &str| text.parse::<Address>().expect("an address");
        assert_eq!(same_address(asked("8.8.8.8"), Some("::ffff:8.8.8.8")), Ok(()));
        assert_eq!(same_address(asked("2001:4860::8888"), Some("2001:4860:0:0:0:0:0:8888")), Ok(()));
        for repeated in [Some("8.8.4.4"), Some("dns.google"), Some(""), None] {
            assert!(same_address(asked("8.8.8.8"), repeated).is_err(), "{repeated:?}");
        }
    }

    #[test]
    fn a_network_is_a_number_a_name_or_both() {
        let read = ["AS5769 Videotron Telecom Ltee", "4837", "AS15169", "Videotron", ""]
            .map(|text| numbered_name(Some(text)));
        assert_eq!(
            read,
            [
                (Some(Asn(5769)), Some("Videotron Telecom Ltee")),
                (Some(Asn(4837)), Some("")),
                (Some(Asn(15169)), Some("")),
                (None, Some("Videotron")),
                (None, Some("")),
            ]
        );
        assert_eq!(
            [0.0, 1.5, -1.0, 4e9, 5e9].map(|number| system_number(Some(number))).iter().flatten().count(),
            1
        );
    }
}
