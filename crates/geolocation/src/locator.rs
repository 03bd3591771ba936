use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use futures::future::join_all;
use hostatlas_domain::{Address, AddressClass, ProviderName, Timestamp, classify};

use crate::{
    Answer, DatabaseStatus, Lookup, MmdbSet, Provider, ProviderInfo, ReloadOutcome, Site,
    online::{
        CacheConfig, HttpTransport, Ledger, MemoryLedger, OnlineOptions, OnlineProvider, Outcome, Pool,
        PoolConfig, Transport,
    },
    sites::Sites,
};

/// For how long a lookup waits for leave to call somebody, unless said otherwise: what a person takes for slow, but
/// working.
const PATIENCE: Duration = Duration::from_secs(5);
/// Calls to online providers that may be under way at once, unless said otherwise: four batches of a hundred keep up
/// with 20,000 addresses a second at 20 ms.
const WORKERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// Asks the providers, in their order, where addresses are. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Locator {
    inner: Arc<Inner>,
}

struct Inner {
    databases: Option<MmdbSet>,
    online: Option<Pool>,
    sites: Sites,
}

/// Collects what a [`Locator`] asks. The order of the calls is the order of asking, but that databases come before
/// online providers.
#[must_use = "a builder builds nothing until `build` is called"]
pub struct LocatorBuilder {
    databases: Option<MmdbSet>,
    online: Vec<(Arc<dyn OnlineProvider>, Arc<dyn Transport>)>,
    transports: Vec<(OnlineOptions, Arc<dyn Transport>)>,
    ledger: Option<Arc<dyn Ledger>>,
    cache: CacheConfig,
    workers: NonZeroUsize,
    sites: Vec<Site>,
}

/// How to go about a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocateOptions {
    /// Whether online providers are asked although their answers are kept. An enquiry of the same address that is
    /// under way is still shared.
    pub force: bool,
    /// For how long to wait for leave to call an online provider before an address is [`Lookup::Deferred`].
    pub patience: Duration,
    /// The most addresses in one request; as many as each provider takes if not given.
    pub batch_size: Option<NonZeroUsize>,
}

impl Default for LocateOptions {
    fn default() -> Self {
        Self { force: false, patience: PATIENCE, batch_size: None }
    }
}

impl Default for LocatorBuilder {
    fn default() -> Self {
        Self {
            databases: None,
            online: Vec::new(),
            transports: Vec::new(),
            ledger: None,
            cache: CacheConfig::default(),
            workers: WORKERS,
            sites: Vec::new(),
        }
    }
}

impl LocatorBuilder {
    /// Asks these database files. A later call replaces what an earlier one gave.
    pub fn mmdb(mut self, databases: MmdbSet) -> Self {
        self.databases = Some(databases);
        self
    }

    /// Asks this online provider, over HTTP, about what the databases do not know or know by country alone. A later
    /// call replaces an earlier provider of the same name.
    pub fn online(mut self, provider: Arc<dyn OnlineProvider>, options: OnlineOptions) -> Self {
        let made = self.transports.iter().find(|(made, _)| *made == options);
        let transport = made.map_or_else(
            || Arc::new(HttpTransport::new(options)) as Arc<dyn Transport>,
            |(_, made)| Arc::clone(made),
        );
        self.transports.push((options, Arc::clone(&transport)));
        self.online_over(provider, transport)
    }

    /// As [`LocatorBuilder::online`], by a way of its own to send requests.
    pub fn online_over(mut self, provider: Arc<dyn OnlineProvider>, transport: Arc<dyn Transport>) -> Self {
        self.online.retain(|(other, _)| other.name() != provider.name());
        self.online.push((provider, transport));
        self
    }

    /// Where calls are counted and answers kept beyond this process; a [`MemoryLedger`] if not given.
    pub fn ledger(mut self, ledger: Arc<dyn Ledger>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// For how long the answers of online providers are believed.
    pub fn cache(mut self, cache: CacheConfig) -> Self {
        self.cache = cache;
        self
    }

    /// How many calls to online providers may be under way at once; 4 if not given.
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = workers;
        self
    }

    /// Where private networks are. The narrowest that holds an address counts.
    pub fn sites(mut self, sites: Vec<Site>) -> Self {
        self.sites = sites;
        self
    }

    /// The finished locator. Without any provider every lookup of a public address fails with
    /// [`UnlocatedReason::NoDatabase`](hostatlas_domain::UnlocatedReason::NoDatabase).
    pub fn build(self) -> Locator {
        let Self { databases, online, transports: _, ledger, cache, workers, sites } = self;
        let online = (!online.is_empty()).then(|| {
            let ledger = ledger.unwrap_or_else(|| Arc::new(MemoryLedger::default()));
            Pool::new(PoolConfig { providers: online, ledger, cache, workers })
        });
        Locator { inner: Arc::new(Inner { databases, online, sites: Sites::new(sites) }) }
    }
}

impl Locator {
    /// Starts a locator that asks nobody.
    pub fn builder() -> LocatorBuilder {
        LocatorBuilder::default()
    }

    /// Where one address is. Stops at the first provider that knows more than its country.
    pub async fn locate(&self, address: Address) -> Lookup {
        let lookups = self.locate_with(&[address], LocateOptions::default()).await;
        lookups.into_iter().next().unwrap_or_else(|| Outcome::default().into())
    }

    /// Where many addresses are, in their order. Providers are asked for at most `batch_size` at once (0 counts as
    /// 1), and only for what the providers before them did not locate.
    ///
    /// Lookups in database files run on blocking threads, over all cores when a batch is large.
    pub async fn locate_batch(&self, addresses: &[Address], batch_size: usize) -> Vec<Lookup> {
        let batch_size = Some(NonZeroUsize::new(batch_size).unwrap_or(NonZeroUsize::MIN));
        self.locate_with(addresses, LocateOptions { batch_size, ..LocateOptions::default() }).await
    }

    /// Where many addresses are, in their order.
    ///
    /// Databases are asked about all, online providers about what is left. Dropping the future ends the calls that
    /// are under way for it; their permits stay counted.
    pub async fn locate_with(&self, addresses: &[Address], options: LocateOptions) -> Vec<Lookup> {
        let mut attempts = self.ask_databases(addresses, options.batch_size).await;
        if let Some(pool) = &self.inner.online {
            let open: Vec<usize> = (0..addresses.len())
                .filter(|&index| attempts[index].as_ref().is_ok_and(|outcome| !outcome.is_settled()))
                .collect();
            if !open.is_empty() {
                let asked: Vec<Address> = open.iter().map(|&index| addresses[index]).collect();
                let outcomes = pool.locate(&asked, options, None).await;
                for (index, outcome) in open.into_iter().zip(outcomes) {
                    if let Ok(attempt) = &mut attempts[index] {
                        attempt.merge(outcome);
                    }
                }
            }
        }
        attempts.into_iter().map(|attempt| attempt.map_or_else(|lookup| lookup, Lookup::from)).collect()
    }

    /// What every provider says of `address`: the databases, then each online provider, past the cache and within
    /// the limits. Empty for an address that nobody may be asked about.
    pub async fn ask_all(&self, address: Address) -> Vec<(ProviderName, Lookup)> {
        if !classify(address).is_public() {
            return Vec::new();
        }
        let mut said = Vec::new();
        if self.inner.databases.is_some() {
            said.push((ProviderName::Mmdb, self.ask(ProviderName::Mmdb, address).await));
        }
        if let Some(pool) = &self.inner.online {
            let asked = pool.names().into_iter().map(|(position, name)| async move {
                (name, Self::ask_online(pool, position, address).await)
            });
            said.extend(join_all(asked).await);
        }
        said
    }

    /// What one provider says of `address`, past the cache and within its limits. One that is not configured fails
    /// like a missing database.
    pub async fn ask(&self, provider: ProviderName, address: Address) -> Lookup {
        let mut outcome = match self.begin(address) {
            Ok(outcome) => outcome,
            Err(lookup) => return lookup,
        };
        if provider == ProviderName::Mmdb {
            if let Some(databases) = &self.inner.databases {
                outcome.note(provider, databases.lookup(address).await);
            }
            return outcome.into();
        }
        let pool = self.inner.online.as_ref();
        match pool.and_then(|pool| Some((pool, pool.position(provider)?))) {
            Some((pool, position)) => Self::ask_online(pool, position, address).await,
            None => outcome.into(),
        }
    }

    async fn ask_online(pool: &Pool, position: usize, address: Address) -> Lookup {
        let options = LocateOptions { force: true, ..LocateOptions::default() };
        pool.locate(&[address], options, Some(position)).await.into_iter().next().unwrap_or_default().into()
    }

    /// How many of `addresses` a lookup would send to online providers: those that the databases do not know better
    /// than by country, and of which no answer is kept unless it is a forced one.
    pub async fn would_send(&self, addresses: &[Address], force: bool) -> usize {
        let Some(pool) = &self.inner.online else { return 0 };
        let attempts = self.ask_databases(addresses, None).await;
        let left: Vec<Address> = addresses
            .iter()
            .zip(attempts)
            .filter(|(_, attempt)| attempt.as_ref().is_ok_and(|outcome| !outcome.is_settled()))
            .map(|(address, _)| *address)
            .collect();
        if force { left.len() } else { pool.unknown(&left).await }
    }

    /// Where many addresses are, asking the database files alone, on this thread and without waiting.
    ///
    /// This is the bulk path: ascending addresses share most of their way through the search tree. Any order gives
    /// the same answers, more slowly.
    pub fn locate_sorted(&self, addresses: &[Address]) -> Vec<Lookup> {
        let mut session = self.inner.databases.as_ref().map(MmdbSet::session);
        addresses
            .iter()
            .map(|&address| match classify(address) {
                class if !class.is_public() => self.without_asking(address, class),
                _ => match session.as_mut().map(|session| session.lookup(address)) {
                    Some(Ok(Answer::Found(located))) => Lookup::Located(located),
                    answer => {
                        let mut outcome = Outcome::default();
                        if let Some(answer) = answer {
                            outcome.note(ProviderName::Mmdb, answer);
                        }
                        outcome.into()
                    }
                },
            })
            .collect()
    }

    /// Whether anything may be sent to somebody else's machine.
    pub fn has_online(&self) -> bool {
        self.inner.online.is_some()
    }

    /// The online providers, in the order of asking.
    pub fn providers(&self) -> Vec<ProviderInfo> {
        self.inner.online.as_ref().map(Pool::infos).unwrap_or_default()
    }

    /// Build time of the newest database of places in use; a miss that is older is worth another look.
    pub fn database_build(&self) -> Option<Timestamp> {
        self.inner.databases.as_ref().and_then(Provider::database_build)
    }

    /// Every database file that is configured or was found, in use or not.
    pub fn databases(&self) -> Vec<DatabaseStatus> {
        self.inner.databases.as_ref().map(MmdbSet::status).unwrap_or_default()
    }

    /// The database files of places that are used instead of those in the directory; empty where none is named.
    pub fn named_places(&self) -> Vec<PathBuf> {
        self.inner.databases.as_ref().map(|databases| databases.config().city.clone()).unwrap_or_default()
    }

    /// The directory that is searched for database files, if one is.
    pub fn database_directory(&self) -> Option<PathBuf> {
        self.inner.databases.as_ref().and_then(|databases| databases.config().directory.clone())
    }

    /// Takes up database files that were replaced or added since the last call, and says what came of it.
    ///
    /// Costs one `stat` a file while nothing changes. A new file is copied and checked first, which takes up to a
    /// second: call it on a blocking thread. Lookups under way end with the files they began with.
    pub fn reload_if_changed(&self) -> Vec<ReloadOutcome> {
        self.inner.databases.as_ref().map(MmdbSet::reload_if_changed).unwrap_or_default()
    }

    /// What is known of an address before anybody is asked; the lookup of one that nobody may be asked about.
    fn begin(&self, address: Address) -> Result<Outcome, Lookup> {
        match classify(address) {
            class if class.is_public() => Ok(Outcome::default()),
            class => Err(self.without_asking(address, class)),
        }
    }

    fn without_asking(&self, address: Address, class: AddressClass) -> Lookup {
        let site = self.inner.sites.locate(address);
        site.map_or(Lookup::NotApplicable(class), |located| Lookup::Located(Arc::clone(located)))
    }

    async fn ask_databases(
        &self,
        addresses: &[Address],
        batch_size: Option<NonZeroUsize>,
    ) -> Vec<Result<Outcome, Lookup>> {
        let mut attempts: Vec<_> = addresses.iter().map(|&address| self.begin(address)).collect();
        let Some(databases) = &self.inner.databases else { return attempts };
        let open: Vec<usize> = (0..attempts.len()).filter(|&index| attempts[index].is_ok()).collect();
        for indexes in open.chunks(batch_size.map_or(usize::MAX, NonZeroUsize::get)) {
            let asked: Vec<Address> = indexes.iter().map(|&index| addresses[index]).collect();
            let answers = databases.lookup_batch(&asked).await;
            for (&index, answer) in indexes.iter().zip(answers) {
                if let Ok(attempt) = &mut attempts[index] {
                    attempt.note(ProviderName::Mmdb, answer);
                }
            }
        }
        attempts
    }
}
