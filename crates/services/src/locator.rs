use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use hostatlas_domain::{Limit, LimitWindow, ProviderName};
use hostatlas_geolocation::{
    Locator, MmdbConfig, MmdbSet, Problem, Site,
    online::{
        CacheConfig, ConfigError, CustomConfig, Ledger, OnlineOptions, OnlineProvider, ProviderConfig,
        custom, provider,
    },
};

use crate::ProviderProblem;

/// What a [`Locator`] is made from.
#[derive(Clone, Debug)]
pub struct LocatorConfig {
    /// The providers, in the order of asking.
    pub order: Vec<ProviderName>,
    /// The location databases; used where [`ProviderName::Mmdb`] is in the order.
    pub mmdb: MmdbConfig,
    /// The online providers of the order; one that is missing here is asked as it publishes.
    pub online: Vec<OnlineProviderConfig>,
    /// Where private networks are.
    pub sites: Vec<Site>,
    /// For how long an answer is taken without asking again.
    pub cache_located_for: Duration,
    /// For how long a provider that does not know an address is not asked again about it.
    pub cache_missed_for: Duration,
    /// How many calls may be under way at once.
    pub max_workers: NonZeroUsize,
}

/// An online provider and where it may be.
#[derive(Clone, Debug)]
pub struct OnlineProviderConfig {
    /// Who.
    pub name: ProviderName,
    /// How it is asked.
    pub config: OnlineConfig,
    /// Whether its URL may lead to a private address.
    pub allow_private: bool,
}

/// How an online provider is asked.
#[derive(Clone, Debug)]
pub enum OnlineConfig {
    /// One that hostatlas knows.
    Known(ProviderConfig),
    /// One that the operator describes.
    Custom(Box<CustomConfig>),
}

/// A locator, and what is wrong with what it was made from. It works without that.
pub struct MadeLocator {
    /// The locator.
    pub locator: Locator,
    /// Location databases that cannot be used.
    pub databases: Vec<Problem>,
    /// Online providers that cannot be asked.
    pub providers: Vec<ProviderProblem>,
}

/// Makes the locator of a process. `ledger` counts what online providers allow: [`crate::StoreLedger`] for all
/// processes of an installation; none for this process alone.
///
/// Checking a new database file takes up to a second, and blocks.
pub fn locator(config: LocatorConfig, ledger: Option<Arc<dyn Ledger>>) -> MadeLocator {
    let mut builder = Locator::builder().workers(config.max_workers).sites(config.sites).cache(CacheConfig {
        located_for: config.cache_located_for,
        missed_for: config.cache_missed_for,
        ..CacheConfig::default()
    });
    if let Some(ledger) = ledger {
        builder = builder.ledger(ledger);
    }
    let (mut databases, mut problems) = (Vec::new(), Vec::new());
    for name in config.order {
        if name == ProviderName::Mmdb {
            let (set, found) = MmdbSet::open(&config.mmdb);
            databases.extend(found);
            builder = builder.mmdb(set);
            continue;
        }
        let given = config.online.iter().find(|given| given.name == name);
        let allow_private = given.is_some_and(|given| given.allow_private);
        match make(name, given.map(|given| &given.config)) {
            Ok(provider) => builder = builder.online(provider, OnlineOptions { allow_private }),
            Err(error) => problems.push(problem(name, &error)),
        }
    }
    MadeLocator { locator: builder.build(), databases, providers: problems }
}

fn make(name: ProviderName, config: Option<&OnlineConfig>) -> Result<Arc<dyn OnlineProvider>, ConfigError> {
    match config {
        None => provider(name, &ProviderConfig::default()),
        Some(OnlineConfig::Custom(config)) => custom(name, (**config).clone()),
        Some(OnlineConfig::Known(config)) => {
            let given = config.limits.as_deref().unwrap_or_default();
            if given.iter().any(Limit::is_unlimited) {
                return provider(name, &ProviderConfig { limits: Some(Vec::new()), ..config.clone() });
            }
            let published = ProviderConfig { limits: None, ..config.clone() };
            if given.is_empty() {
                return provider(name, &published);
            }
            let published = provider(name, &published)?;
            let limits = given.iter().map(|limit| in_place_of(published.as_ref(), limit)).collect();
            provider(name, &ProviderConfig { limits: Some(limits), ..config.clone() })
        }
    }
}

/// A limit as it is configured, under the name and in the unit of the published one that it replaces: `batches a
/// minute` by its name, `a minute` by its window, `batches` by its word where only one limit has that. Of several it is
/// the last, since that is the one for single addresses.
fn in_place_of(published: &dyn OnlineProvider, given: &Limit) -> Limit {
    let limits: Vec<&Limit> = published.endpoints().iter().flat_map(|endpoint| &endpoint.limits).collect();
    let of = |is_meant: &dyn Fn(&Limit) -> bool| limits.iter().rfind(|limit| is_meant(limit)).copied();
    let word = |limit: &Limit| limit.name.split(" a ").next().unwrap_or_default().to_owned();
    let only_of_its_word = || {
        let mut named: Vec<&&Limit> = limits.iter().filter(|limit| word(limit) == word(given)).collect();
        named.dedup_by_key(|limit| &limit.name);
        if let [only] = named[..] { Some(*only) } else { None }
    };
    let replaced = of(&|limit| limit.name == given.name)
        .or_else(|| of(&|limit| given.name.starts_with("a ") && limit.window == given.window))
        .or_else(only_of_its_word);
    let Some(replaced) = replaced else { return given.clone() };
    // In the same share of the window as the published limit's calls: to spread them over all of it would lose one for
    // every delay.
    let pace = match (given.window, replaced.window) {
        (LimitWindow::Rolling(length), LimitWindow::Rolling(published)) => {
            let share = replaced.spacing.mul_f64(f64::from(replaced.permits)).div_duration_f64(published);
            length.mul_f64(share.min(1.0)) / given.permits.max(1)
        }
        (LimitWindow::Rolling(length), _) => length / given.permits.max(1),
        (LimitWindow::Day | LimitWindow::Month, _) => replaced.spacing,
    };
    Limit {
        spacing: replaced.spacing.min(pace),
        permits: given.permits,
        window: given.window,
        ..replaced.clone()
    }
}

/// How to come by a database of places where there is none.
pub fn places_remedy(locator: &Locator) -> String {
    let files = locator.named_places();
    if !files.is_empty() {
        // The directory is not searched for places then, so a file there would change nothing.
        let files: Vec<String> = files.iter().map(|file| format!("`{}`", file.display())).collect();
        return format!(
            "put a city database (MMDB) at {}, which `HOSTATLAS_MMDB_CITY` (`mmdb_city`) names, or name another one",
            files.join(" or ")
        );
    }
    let named = "with `HOSTATLAS_MMDB_CITY`";
    match locator.database_directory() {
        Some(directory) => {
            format!("put a city database (MMDB) into `{}`, or name one {named}", directory.display())
        }
        None => format!("name a city database (MMDB) {named}"),
    }
}

fn problem(provider: ProviderName, error: &ConfigError) -> ProviderProblem {
    let mend = match error {
        ConfigError::MissingKey { variable, .. } | ConfigError::MissingAccount { variable, .. } => {
            format!("set `{variable}`")
        }
        ConfigError::Undescribed(_) => {
            format!("describe it in `hostatlas.toml` under `[provider.{provider}]`")
        }
        _ => format!("mend `[provider.{provider}]` in `hostatlas.toml`, or the variable that sets it"),
    };
    ProviderProblem {
        provider,
        detail: error.to_string(),
        remedy: format!("{mend}, or take `{provider}` out of `HOSTATLAS_PROVIDERS`"),
    }
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::LimitUnit;

    use super::*;

    fn limits_of(given: &[(&'static str, u32)]) -> Result<Vec<(String, u32)>, ConfigError> {
        let minute = LimitWindow::Rolling(Duration::from_mins(1));
        let limit = |(name, permits): &(&'static str, u32)| Limit {
            name: (*name).into(),
            unit: LimitUnit::Calls,
            permits: *permits,
            window: minute,
            spacing: Duration::ZERO,
        };
        let limits = Some(given.iter().map(limit).collect());
        let config = OnlineConfig::Known(ProviderConfig { limits, ..ProviderConfig::default() });
        let made = make(ProviderName::IpApi, Some(&config))?;
        let limits = made.endpoints().iter().flat_map(|endpoint| &endpoint.limits);
        Ok(limits.map(|limit| (limit.name.to_string(), limit.permits)).collect())
    }

    #[test]
    fn a_configured_limit_takes_the_place_of_the_published_one() {
        let expected = |batches, lookups| {
            Ok(vec![("batches a minute".to_owned(), batches), ("lookups a minute".to_owned(), lookups)])
        };
        assert_eq!(limits_of(&[("batches a minute", 3)]), expected(3, 45));
        assert_eq!(limits_of(&[("batches a window of 6 s", 3)]), expected(3, 45));
        assert_eq!(limits_of(&[("a minute", 7)]), expected(15, 7));
        assert_eq!(limits_of(&[("batches a window of 5 s", 2)]), expected(2, 45));
        assert!(limits_of(&[("apples a minute", 7)]).is_err());
        assert_eq!(limits_of(&[(Limit::UNLIMITED, u32::MAX)]), Ok(Vec::new()));
        assert_eq!(limits_of(&[]), expected(15, 45));
    }

    #[test]
    fn a_provider_without_its_key_is_named_with_the_remedy_and_the_rest_works() {
        let config = LocatorConfig {
            order: vec![ProviderName::IpinfoLite, ProviderName::IpApi],
            mmdb: MmdbConfig::default(),
            online: Vec::new(),
            sites: Vec::new(),
            cache_located_for: Duration::ZERO,
            cache_missed_for: Duration::ZERO,
            max_workers: NonZeroUsize::MIN,
        };
        let made = locator(config, None);
        let asked: Vec<_> = made.locator.providers().iter().map(|info| info.name).collect();
        assert_eq!(asked, [ProviderName::IpApi]);
        assert_eq!(made.providers.len(), 1);
        assert!(made.providers[0].remedy.contains("IPINFO_TOKEN"), "{:?}", made.providers);
    }
}
