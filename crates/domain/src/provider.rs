use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Address, AddressClass, Location, Precision, Timestamp};

/// Something that answers "where is this address".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderName {
    /// Database files on this machine.
    Mmdb,
    /// ip-api.com
    IpApi,
    /// ipinfo.io
    Ipinfo,
    /// ipinfo.io's free tier without coordinates
    IpinfoLite,
    /// freeipapi.com
    Freeipapi,
    /// ipgeolocation.io
    Ipgeolocation,
    /// ipwho.is
    Ipwhois,
    /// MaxMind's web service
    Maxmind,
    /// A person said so. Never asked; no refresh replaces it.
    Manual,
    /// A named site that the operator configured for a private range. Never asked.
    Site,
    /// The first service that the operator described in the configuration.
    #[serde(rename = "custom-1")]
    Custom1,
    /// The second.
    #[serde(rename = "custom-2")]
    Custom2,
    /// The third.
    #[serde(rename = "custom-3")]
    Custom3,
    /// The fourth.
    #[serde(rename = "custom-4")]
    Custom4,
}

/// A provider name that hostatlas does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown provider `{0}`")]
pub struct UnknownProvider(pub String);

impl ProviderName {
    /// All of them. The position is the number that is stored: append only.
    pub const ALL: [Self; 14] = [
        Self::Mmdb,
        Self::IpApi,
        Self::Ipinfo,
        Self::IpinfoLite,
        Self::Freeipapi,
        Self::Ipgeolocation,
        Self::Ipwhois,
        Self::Maxmind,
        Self::Manual,
        Self::Site,
        Self::Custom1,
        Self::Custom2,
        Self::Custom3,
        Self::Custom4,
    ];

    /// Those that can be asked, and so named in `HOSTATLAS_PROVIDERS`.
    pub const ASKED: [Self; 12] = [
        Self::Mmdb,
        Self::IpApi,
        Self::Ipinfo,
        Self::IpinfoLite,
        Self::Freeipapi,
        Self::Ipgeolocation,
        Self::Ipwhois,
        Self::Maxmind,
        Self::Custom1,
        Self::Custom2,
        Self::Custom3,
        Self::Custom4,
    ];

    /// The name in configuration, JSON and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mmdb => "mmdb",
            Self::IpApi => "ip-api",
            Self::Ipinfo => "ipinfo",
            Self::IpinfoLite => "ipinfo-lite",
            Self::Freeipapi => "freeipapi",
            Self::Ipgeolocation => "ipgeolocation",
            Self::Ipwhois => "ipwhois",
            Self::Maxmind => "maxmind",
            Self::Manual => "manual",
            Self::Site => "site",
            Self::Custom1 => "custom-1",
            Self::Custom2 => "custom-2",
            Self::Custom3 => "custom-3",
            Self::Custom4 => "custom-4",
        }
    }

    /// Whether asking it sends addresses to somebody else's machine.
    pub const fn is_online(self) -> bool {
        !matches!(self, Self::Mmdb | Self::Manual | Self::Site)
    }

    /// The number under which it is stored.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Reads [`ProviderName::number`].
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for ProviderName {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name() == text)
            .ok_or_else(|| UnknownProvider(crate::sanitize(text, 64)))
    }
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LookupStatus {
    /// A place was found.
    Located,
    /// The providers were asked and do not know.
    Miss,
    /// No provider could be asked, or none answered.
    Failed,
    /// A private or special-purpose address: nobody was asked.
    NotApplicable,
    /// Whoever could know may not be asked yet.
    Deferred,
}

/// One answer as `lookup --ndjson` prints it. Absent facts are null, never empty text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LookupView {
    /// The address that was asked about.
    pub ip: Address,
    /// How the lookup ended.
    pub status: LookupStatus,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// What the point stands for.
    pub precision: Option<Precision>,
    /// City.
    pub city: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Country name.
    pub country: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    pub country_code: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// `AS` and number.
    pub asn: Option<String>,
    /// Holder of the autonomous system.
    pub organization: Option<String>,
    /// Access provider.
    pub isp: Option<String>,
    /// Who answered.
    pub provider: Option<String>,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<u16>,
    /// Build time of the database that answered.
    pub database_build: Option<Timestamp>,
    /// Why there is no place: the class of a special address, or what failed.
    pub reason: Option<String>,
}

impl LookupView {
    /// An answer without a place.
    pub fn without_place(ip: Address, status: LookupStatus, reason: Option<String>) -> Self {
        Self {
            ip,
            status,
            latitude: None,
            longitude: None,
            precision: None,
            city: None,
            region: None,
            country: None,
            country_code: None,
            timezone: None,
            asn: None,
            organization: None,
            isp: None,
            provider: None,
            accuracy_km: None,
            database_build: None,
            reason,
        }
    }

    /// The answer for an address that nobody is asked about.
    pub fn not_applicable(ip: Address, class: AddressClass) -> Self {
        Self::without_place(ip, LookupStatus::NotApplicable, Some(class.slug().to_owned()))
    }

    /// The answer with a place.
    pub fn located(ip: Address, location: &Location) -> Self {
        let place = location.place.as_ref();
        Self {
            latitude: place.map(|place| place.coordinate.latitude()),
            longitude: place.map(|place| place.coordinate.longitude()),
            precision: place.map(|place| place.precision),
            city: place.and_then(|place| place.city.clone()),
            region: place.and_then(|place| place.region.clone()),
            country: place.and_then(|place| place.country).map(|country| country.name().to_owned()),
            country_code: place.and_then(|place| place.country).map(|country| country.to_string()),
            timezone: location.timezone.clone(),
            asn: location.network.asn.map(|asn| asn.to_string()),
            organization: location.network.organization.clone(),
            isp: location.network.isp.clone(),
            provider: Some(location.provider.name().to_owned()),
            accuracy_km: location.accuracy_km,
            database_build: location.database_build,
            ..Self::without_place(ip, LookupStatus::Located, None)
        }
    }
}
