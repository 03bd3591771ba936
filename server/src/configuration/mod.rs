//! Settings: defaults, then `hostatlas.toml`, then the environment, then flags. The only module that reads the
//! environment.

mod database;
mod key;
mod provider_settings;
mod reader;
mod sources;
mod suggest;
mod unused;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use hostatlas_domain::{DEFAULT_MAX_AGE, ProviderName, Scope};
use hostatlas_services::{CustomConfig, OnlineProviderConfig, Site, UnusedSetting};

pub use database::Database;
pub use key::{Key, ProviderField};
use reader::Reader;
pub use sources::{Given, Origin, Settings};
pub use suggest::nearest;
pub use values::{LONGEST_AGE_DAYS, MOST_WORKERS};
use values::{
    SECONDS_OF_A_DAY, database, database_server, days, host_name, hours, loopback, path, provider, range,
    text, workers,
};

use crate::failure::Failure;

/// Whoever sets a password relies on it.
const NO_ACCOUNTS: &str = "this version has no accounts, so the password would protect nothing: whoever reaches the server may change \
     everything\nremove the setting; `serve` listens on this machine alone, and a proxy that asks for a password can stand in \
     front of it (docs/OPERATIONS.md)";

/// What the program works with.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Where the hosts and the jobs are.
    pub database: Database,
    /// The URL of the same PostgreSQL database past a pooler, to listen at for work.
    pub database_direct: Option<Database>,
    /// Where `serve` listens: a loopback address.
    pub listen: SocketAddr,
    /// Names under which a browser may call, in lower case and without ports.
    pub allowed_hosts: Vec<String>,
    /// Folder of the built site.
    pub site: PathBuf,
    /// In the order of asking.
    pub providers: Vec<ProviderName>,
    /// What is set about the online providers among them.
    pub online: Vec<OnlineProviderConfig>,
    /// For how long an answer is taken without asking again.
    pub cache_located_for: Duration,
    /// For how long a provider that does not know an address is not asked again about it.
    pub cache_missed_for: Duration,
    /// Where the hosts of private networks are.
    pub sites: Vec<Site>,
    /// Folder of location databases.
    pub mmdb_dir: PathBuf,
    /// Folder for the backups that are made by schedule.
    pub backup_dir: PathBuf,
    /// Databases of places, instead of the folder.
    pub mmdb_city: Vec<PathBuf>,
    /// Databases of networks, instead of the folder.
    pub mmdb_asn: Vec<PathBuf>,
    /// After which time a location is stale.
    pub max_age: Duration,
    /// Lookups at the same time.
    pub max_workers: NonZeroUsize,
    /// What may be probed.
    pub scope: Scope,
    /// Where an import sorts what it reads.
    pub spill_dir: PathBuf,
    /// What is logged.
    pub log: Option<String>,
    /// Where private copies of location databases are kept; losing them costs a copy.
    pub cache_dir: PathBuf,
    /// Settings that are given and change nothing.
    pub unused: Vec<UnusedSetting>,
    shown: Vec<Shown>,
}

/// One effective setting, as `config show` lists it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Shown {
    /// Its name in the file.
    pub key: String,
    /// Its value; `***` for a secret, null where there is none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub origin: String,
    /// Its environment variable.
    pub variable: String,
}

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--database-url`.
    pub database_url: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--max-age-days`.
    pub max_age_days: Option<u64>,
    /// `--max-workers`.
    pub max_workers: Option<usize>,
}

impl Configuration {
    /// Reads all sources.
    pub fn load(flags: &Flags) -> Result<Self, Failure> {
        let sources::File { mut settings, sites, custom } = sources::read_file(flags.config.as_deref())?;
        settings.extend(sources::read_environment(env::vars_os())?);
        settings.extend(flags.settings());
        Self::from_settings(settings, &sites, custom)
    }

    fn from_settings(
        settings: Settings,
        sites: &[sources::SiteTable],
        custom: BTreeMap<ProviderName, CustomConfig>,
    ) -> Result<Self, Failure> {
        let mut reader = Reader::new(settings);
        let database = reader.one(Key::DatabaseUrl, Some("sqlite://hostatlas.db"), database)?;
        let database_direct = reader.optional(Key::DatabaseDirectUrl, database_server)?;
        let listen = reader.one(Key::Listen, Some("127.0.0.1:3000"), loopback)?;
        let allowed_hosts = reader.list(Key::AllowedHosts, "localhost,127.0.0.1,[::1]", host_name)?;
        let site = reader.one(Key::Site, Some("target/site"), path)?;
        let mut providers = reader.list(Key::Providers, "mmdb", provider)?;
        let mut named = BTreeSet::new();
        providers.retain(|provider| named.insert(*provider));
        let mmdb_dir = mmdb_folder(&database);
        let mmdb_dir = reader.one(Key::MmdbDir, Some(&mmdb_dir.to_string_lossy()), path)?;
        let backup_dir = database.folder().unwrap_or_else(|| Path::new("")).join("backups");
        let backup_dir = reader.one(Key::BackupDir, Some(&backup_dir.to_string_lossy()), path)?;
        let mmdb_city = reader.list(Key::MmdbCity, "", path)?;
        let mmdb_asn = reader.list(Key::MmdbAsn, "", path)?;
        let default_days = (DEFAULT_MAX_AGE.as_secs() / SECONDS_OF_A_DAY).to_string();
        let max_age = reader.one(Key::MaxAgeDays, Some(&default_days), days)?;
        let max_workers = reader.one(Key::MaxWorkers, Some("10"), workers)?;
        let scope = reader.list(Key::Scope, "", range)?;
        let log = reader.optional(Key::Log, text)?;
        reader.refuse(Key::AdminPassword, NO_ACCOUNTS)?;
        let cache_located_for = reader.one(Key::CacheLocatedHours, Some("24"), hours)?;
        let cache_missed_for = reader.one(Key::CacheMissedHours, Some("1"), hours)?;
        let described: Vec<ProviderName> = custom.keys().copied().collect();
        let online = provider_settings::read(&mut reader, &providers, custom)?;
        let sites = sites.iter().map(provider_settings::site).collect::<Result<_, _>>()?;
        let unused = unused::find(
            &reader.given(),
            &unused::Circumstances { providers: &providers, database: &database, described: &described },
        );
        Ok(Self {
            unused,
            spill_dir: spill_folder(&database),
            database,
            database_direct: database_direct.map(Database::Server),
            listen,
            allowed_hosts,
            site,
            shown: reader.shown(&providers),
            providers,
            online,
            cache_located_for,
            cache_missed_for,
            sites,
            mmdb_dir,
            backup_dir,
            mmdb_city,
            mmdb_asn,
            max_age,
            max_workers,
            scope: Scope::new(&scope),
            log,
            cache_dir: cache_folder(),
        })
    }

    /// Every setting with its value and origin; secrets as `***`. Of providers, those of the configured ones and
    /// whatever is set about others.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }
}

impl Flags {
    fn settings(&self) -> Settings {
        let given = [
            (Key::DatabaseUrl, "--database-url", self.database_url.clone()),
            (Key::Listen, "--listen", self.listen.clone()),
            (Key::MaxAgeDays, "--max-age-days", self.max_age_days.map(|days| days.to_string())),
            (Key::MaxWorkers, "--max-workers", self.max_workers.map(|workers| workers.to_string())),
        ];
        let setting = |(key, flag, value): (Key, &'static str, Option<String>)| {
            value.map(|value| (key, Given { values: vec![value], origin: Origin::Flag(flag) }))
        };
        given.into_iter().filter_map(setting).collect()
    }
}

/// `mmdb/` beside the database file, then `hostatlas/mmdb` in the user's data directory; the first if neither exists.
fn mmdb_folder(database: &Database) -> PathBuf {
    let beside = database.folder().unwrap_or_else(|| Path::new("")).join("mmdb");
    match user_folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("hostatlas/mmdb")) {
        Some(folder) if !beside.is_dir() && folder.is_dir() => folder,
        _ => beside,
    }
}

/// On the disk of the database file: a temporary folder is often in memory, and small. Beside a server there is none.
fn spill_folder(database: &Database) -> PathBuf {
    match database.folder() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) => folder.to_owned(),
        None => env::temp_dir(),
    }
}

/// `hostatlas/mmdb` in the user's cache directory, or in the temporary one.
fn cache_folder() -> PathBuf {
    user_folder("XDG_CACHE_HOME", ".cache").unwrap_or_else(env::temp_dir).join("hostatlas/mmdb")
}

/// A directory of the XDG base directory specification: the variable where it is absolute, else its place at home.
fn user_folder(variable: &str, at_home: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(at_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: Key, value: &str) -> Result<Configuration, Failure> {
        let given = Given { values: sources::split(key, value), origin: Origin::Flag("--test") };
        Configuration::from_settings(Settings::from([(key, given)]), &[], BTreeMap::new())
    }

    fn refused(key: Key, value: &str) -> String {
        with(key, value).expect_err("to be refused").to_string()
    }

    #[test]
    fn without_any_setting_everything_has_a_default() {
        let configuration =
            Configuration::from_settings(Settings::new(), &[], BTreeMap::new()).expect("defaults are sound");
        assert_eq!(configuration.database, Database::File(PathBuf::from("hostatlas.db")));
        assert_eq!(configuration.allowed_hosts, ["localhost", "127.0.0.1", "[::1]"]);
        assert_eq!(configuration.max_age, DEFAULT_MAX_AGE);
    }

    #[test]
    fn a_provider_that_is_named_twice_is_asked_once() {
        let providers = with(Key::Providers, "mmdb,mmdb").expect("sound").providers;
        assert_eq!(providers, [ProviderName::Mmdb]);
    }

    #[test]
    fn a_database_is_an_sqlite_file() {
        let file = |value| with(Key::DatabaseUrl, value).expect("sound").database;
        assert_eq!(
            ["sqlite://a.db", "sqlite:///var/a.db", "sqlite:a.db", "a.db"].map(file),
            ["a.db", "/var/a.db", "a.db", "a.db"].map(|file| Database::File(PathBuf::from(file)))
        );
        assert!(!refused(Key::DatabaseUrl, "mysql://me:secret@db/x").contains("secret"));
    }

    #[test]
    fn the_password_of_a_database_is_never_shown() {
        for url in ["postgres://me:secret@db.test/atlas", "postgresql://db.test/atlas?password=secret"] {
            let configuration = with(Key::DatabaseUrl, url).expect("sound");
            assert_eq!(configuration.database.url(), url);
            let shown = format!("{configuration:?}{}", configuration.database);
            assert!(!shown.contains("secret") && shown.contains("db.test/atlas"), "{shown}");
        }
        let direct = with(Key::DatabaseDirectUrl, "postgres://me:secret@db.test/atlas").expect("sound");
        assert!(!format!("{direct:?}").contains("secret"));
        assert!(!refused(Key::DatabaseDirectUrl, "mysql://me:secret@db.test/atlas").contains("secret"));
    }

    #[test]
    fn only_loopback_addresses_are_listened_on() {
        for address in ["127.0.0.1:0", "[::1]:3000", "localhost:80", "127.5.5.5:1"] {
            with(Key::Listen, address).expect(address);
        }
        for address in ["0.0.0.0:3000", "[::]:3000", "192.0.2.1:80", "3000", "localhost", "127.0.0.1:99999"] {
            refused(Key::Listen, address);
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let configuration = with(Key::IpinfoToken, "tok_123").expect("sound");
        let shown: Vec<_> = configuration.shown().iter().filter_map(|shown| shown.value.clone()).collect();
        assert!(shown.contains(&"***".to_owned()) && !shown.iter().any(|value| value.contains("tok_123")));
    }

    #[test]
    fn a_password_that_protects_nothing_is_refused_and_not_repeated() {
        let said = refused(Key::AdminPassword, "hunter2");
        assert!(said.contains("`admin_password`") && said.contains("no accounts"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (key, value) in
            [(Key::MaxAgeDays, "-1"), (Key::MaxAgeDays, "40000"), (Key::MaxWorkers, "0"), (Key::Scope, "x")]
        {
            refused(key, value);
        }
    }
}
