use hostatlas_domain::ProviderName;

/// Every setting that exists. Its name in `hostatlas.toml` is [`Key::toml`], in the environment [`Key::variable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::enum_variant_names, reason = "one is named as the environment of its users names it")]
pub enum Key {
    /// Where the data is: `sqlite://FILE`.
    DatabaseUrl,
    /// The same database past a pooler.
    DatabaseDirectUrl,
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
    /// Folder for the backups that are made by schedule.
    BackupDir,
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
    /// Refused with the reason: there are no accounts that it could be of.
    AdminPassword,
    /// Token of ipinfo.
    IpinfoToken,
    /// Key of ipgeolocation.
    IpgeolocationApiKey,
    /// Hours for which a provider's answer is taken without asking again.
    CacheLocatedHours,
    /// Hours for which a provider that does not know an address is not asked again about it.
    CacheMissedHours,
    /// Something about one online provider.
    Provider(ProviderName, ProviderField),
}

/// What can be set about an online provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderField {
    /// Base URL.
    Url,
    /// Whether the URL may lead to a private address.
    AllowPrivate,
    /// Key, token or licence.
    Key,
    /// Account number, where the key alone does not name it.
    Account,
    /// Which of the provider's products.
    Plan,
    /// What it allows, as in `45/min, 1000/day`.
    Limits,
}

impl ProviderField {
    const KNOWN: [Self; 6] =
        [Self::Url, Self::AllowPrivate, Self::Key, Self::Account, Self::Plan, Self::Limits];
    /// What else there is to say about a provider that the operator describes stands in its table in the file.
    const DESCRIBED: [Self; 4] = [Self::Url, Self::AllowPrivate, Self::Key, Self::Limits];

    /// Those that make sense for a provider.
    pub fn of(provider: ProviderName) -> impl Iterator<Item = Self> {
        let fields = if is_custom(provider) { &Self::DESCRIBED[..] } else { &Self::KNOWN[..] };
        fields.iter().copied()
    }

    /// Its name in a provider's table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::AllowPrivate => "allow_private",
            Self::Key => "key",
            Self::Account => "account",
            Self::Plan => "plan",
            Self::Limits => "limits",
        }
    }
}

/// Whether the operator describes this provider.
pub const fn is_custom(provider: ProviderName) -> bool {
    matches!(
        provider,
        ProviderName::Custom1 | ProviderName::Custom2 | ProviderName::Custom3 | ProviderName::Custom4
    )
}

const PLAIN: [Key; 19] = [
    Key::DatabaseUrl,
    Key::DatabaseDirectUrl,
    Key::Listen,
    Key::AllowedHosts,
    Key::Site,
    Key::Providers,
    Key::MmdbDir,
    Key::BackupDir,
    Key::MmdbCity,
    Key::MmdbAsn,
    Key::MaxAgeDays,
    Key::MaxWorkers,
    Key::Scope,
    Key::Log,
    Key::AdminPassword,
    Key::IpinfoToken,
    Key::IpgeolocationApiKey,
    Key::CacheLocatedHours,
    Key::CacheMissedHours,
];

impl Key {
    /// All of them, in the order in which `config show` lists them.
    pub fn all() -> impl Iterator<Item = Self> {
        let online = ProviderName::ASKED.into_iter().filter(|provider| provider.is_online());
        let fields = online.flat_map(|provider| {
            ProviderField::of(provider).map(move |field| Self::Provider(provider, field))
        });
        PLAIN.into_iter().chain(fields)
    }

    /// The name in the file; a dotted one stands in a table.
    pub fn toml(self) -> String {
        match self {
            Self::Provider(provider, field) => format!("provider.{provider}.{}", field.name()),
            _ => self.plain_name().to_owned(),
        }
    }

    /// The environment variable.
    pub fn variable(self) -> String {
        let shouted = |provider: ProviderName| provider.name().to_uppercase().replace('-', "_");
        match self {
            // Names that people already have in their environment.
            Self::IpinfoToken | Self::IpgeolocationApiKey => self.plain_name().to_uppercase(),
            Self::Provider(provider, field) => {
                format!("HOSTATLAS_PROVIDER_{}_{}", shouted(provider), field.name().to_uppercase())
            }
            _ => format!("HOSTATLAS_{}", self.plain_name().to_uppercase()),
        }
    }

    /// Whether its value is never printed.
    pub const fn is_secret(self) -> bool {
        matches!(
            self,
            Self::AdminPassword
                | Self::IpinfoToken
                | Self::IpgeolocationApiKey
                | Self::Provider(_, ProviderField::Key)
        )
    }

    /// Whether it is a URL of which only the part before the `?` is printed.
    pub const fn is_template(self) -> bool {
        matches!(self, Self::Provider(provider, ProviderField::Url) if is_custom(provider))
    }

    /// Whether it takes several values.
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::AllowedHosts
                | Self::Providers
                | Self::MmdbCity
                | Self::MmdbAsn
                | Self::Scope
                | Self::Provider(_, ProviderField::Limits)
        )
    }

    const fn plain_name(self) -> &'static str {
        match self {
            Self::DatabaseUrl => "database_url",
            Self::DatabaseDirectUrl => "database_direct_url",
            Self::Listen => "listen",
            Self::AllowedHosts => "allowed_hosts",
            Self::Site => "site",
            Self::Providers => "providers",
            Self::MmdbDir => "mmdb_dir",
            Self::BackupDir => "backup_dir",
            Self::MmdbCity => "mmdb_city",
            Self::MmdbAsn => "mmdb_asn",
            Self::MaxAgeDays => "max_age_days",
            Self::MaxWorkers => "max_workers",
            Self::Scope => "scope",
            Self::Log => "log",
            Self::AdminPassword => "admin_password",
            Self::IpinfoToken => "ipinfo_token",
            Self::IpgeolocationApiKey => "ipgeolocation_api_key",
            Self::CacheLocatedHours => "cache_located_hours",
            Self::CacheMissedHours => "cache_missed_hours",
            Self::Provider(..) => "provider",
        }
    }
}
