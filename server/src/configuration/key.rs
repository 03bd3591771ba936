use hostatlas_domain::ProviderName;

/// Every setting that exists. Its name in `hostatlas.toml` is [`Key::toml`], in the environment [`Key::variable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::enum_variant_names, reason = "one is named as the environment of its users names it")]
pub enum Key {
    /// Where the data is: `sqlite://FILE`.
    DatabaseUrl,
    /// Where `serve` listens.
    Listen,
    /// Under which names a browser may call `serve`.
    AllowedHosts,
    /// Folder of the built site.
    Site,
    /// Providers in the order of asking.
    Providers,
    /// Folder of the location databases.
    MmdbDir,
    /// Databases of places; replaces the folder.
    MmdbCity,
    /// Databases of networks; replaces the folder.
    MmdbAsn,
    /// Days after which a location is stale.
    MaxAgeDays,
    /// Lookups at the same time.
    MaxWorkers,
    /// Ranges that may be probed.
    Scope,
    /// What is logged: `info`, `debug`, `hostatlas=trace`.
    Log,
    /// Kept for the accounts of a later version.
    AdminPassword,
    /// Token of ipinfo.
    IpinfoToken,
    /// Key of ipgeolocation.
    IpgeolocationApiKey,
    /// Base URL of a provider.
    ProviderUrl(ProviderName),
    /// Whether a provider's URL may lead to a private address.
    ProviderAllowPrivate(ProviderName),
}

const PLAIN: [Key; 15] = [
    Key::DatabaseUrl,
    Key::Listen,
    Key::AllowedHosts,
    Key::Site,
    Key::Providers,
    Key::MmdbDir,
    Key::MmdbCity,
    Key::MmdbAsn,
    Key::MaxAgeDays,
    Key::MaxWorkers,
    Key::Scope,
    Key::Log,
    Key::AdminPassword,
    Key::IpinfoToken,
    Key::IpgeolocationApiKey,
];

impl Key {
    /// All of them, in the order in which `config show` lists them.
    pub fn all() -> impl Iterator<Item = Self> {
        let providers = ProviderName::ALL
            .into_iter()
            .filter(|provider| *provider != ProviderName::Mmdb)
            .flat_map(|provider| [Self::ProviderUrl(provider), Self::ProviderAllowPrivate(provider)]);
        PLAIN.into_iter().chain(providers)
    }

    /// The name in the file; a dotted one stands in a table.
    pub fn toml(self) -> String {
        match self {
            Self::ProviderUrl(provider) => format!("provider.{provider}.url"),
            Self::ProviderAllowPrivate(provider) => format!("provider.{provider}.allow_private"),
            _ => self.plain_name().to_owned(),
        }
    }

    /// The environment variable.
    pub fn variable(self) -> String {
        let shouted = |provider: ProviderName| provider.name().to_uppercase().replace('-', "_");
        match self {
            // Names that people already have in their environment.
            Self::IpinfoToken | Self::IpgeolocationApiKey => self.plain_name().to_uppercase(),
            Self::ProviderUrl(provider) => format!("HOSTATLAS_PROVIDER_{}_URL", shouted(provider)),
            Self::ProviderAllowPrivate(provider) => {
                format!("HOSTATLAS_PROVIDER_{}_ALLOW_PRIVATE", shouted(provider))
            }
            _ => format!("HOSTATLAS_{}", self.plain_name().to_uppercase()),
        }
    }

    /// Whether its value is never printed.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::AdminPassword | Self::IpinfoToken | Self::IpgeolocationApiKey)
    }

    /// Whether it takes several values.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::AllowedHosts | Self::Providers | Self::MmdbCity | Self::MmdbAsn | Self::Scope)
    }

    const fn plain_name(self) -> &'static str {
        match self {
            Self::DatabaseUrl => "database_url",
            Self::Listen => "listen",
            Self::AllowedHosts => "allowed_hosts",
            Self::Site => "site",
            Self::Providers => "providers",
            Self::MmdbDir => "mmdb_dir",
            Self::MmdbCity => "mmdb_city",
            Self::MmdbAsn => "mmdb_asn",
            Self::MaxAgeDays => "max_age_days",
            Self::MaxWorkers => "max_workers",
            Self::Scope => "scope",
            Self::Log => "log",
            Self::AdminPassword => "admin_password",
            Self::IpinfoToken => "ipinfo_token",
            Self::IpgeolocationApiKey => "ipgeolocation_api_key",
            Self::ProviderUrl(_) | Self::ProviderAllowPrivate(_) => "provider",
        }
    }
}
