use std::{path::PathBuf, sync::Arc, time::Duration};

use hostatlas_domain::{
    Address, AddressClass, Located, LookupStatus, ProviderName, Timestamp, UnlocatedReason, classify,
};

use crate::{Answer, DatabaseStatus, LookupError, MmdbSet, Provider, ReloadOutcome};

/// Asks the providers, in their order, where addresses are. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Locator {
    inner: Arc<Inner>,
}

struct Inner {
    databases: Option<MmdbSet>,
    providers: Vec<Arc<dyn Provider>>,
}

/// Collects what a [`Locator`] asks. The order of the calls is the order of asking.
#[derive(Default)]
pub struct LocatorBuilder {
    databases: Option<MmdbSet>,
    providers: Vec<Arc<dyn Provider>>,
}

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A place was found.
    ///
    /// Equal answers usually share one allocation, so whoever stores many can compare pointers first; two
    /// allocations may still hold equal answers.
    Located(Arc<Located>),
    /// Every provider that answered knows no place: [`UnlocatedReason::NoRecord`] or
    /// [`UnlocatedReason::NullIsland`].
    Miss(UnlocatedReason),
    /// No provider located it, and at least one could not answer.
    Failed {
        /// What a host is stored with.
        reason: UnlocatedReason,
        /// What each provider that failed said, in the order of asking. Empty if none is configured.
        failures: Vec<(ProviderName, String)>,
    },
    /// A private or special-purpose address: nobody was asked.
    NotApplicable(AddressClass),
    /// Whoever could know may not be asked yet: the address is still due.
    Deferred {
        /// For how long.
        wait: Duration,
        /// Why, and who it is.
        why: String,
    },
}

impl Lookup {
    /// The place and network, if there is one.
    pub const fn located(&self) -> Option<&Arc<Located>> {
        match self {
            Self::Located(located) => Some(located),
            _ => None,
        }
    }

    /// Why there is no place; `None` for a located address and for one that has none by its class.
    pub const fn reason(&self) -> Option<UnlocatedReason> {
        match self {
            Self::Miss(reason) | Self::Failed { reason, .. } => Some(*reason),
            Self::Located(_) | Self::NotApplicable(_) | Self::Deferred { .. } => None,
        }
    }

    /// The one word for it.
    pub const fn status(&self) -> LookupStatus {
        match self {
            Self::Located(_) => LookupStatus::Located,
            Self::Miss(_) => LookupStatus::Miss,
            Self::Failed { .. } => LookupStatus::Failed,
            Self::NotApplicable(_) => LookupStatus::NotApplicable,
            Self::Deferred { .. } => LookupStatus::Deferred,
        }
    }
}

impl LocatorBuilder {
    /// Asks these database files next. A later call replaces what an earlier one gave.
    #[must_use]
    pub fn mmdb(mut self, databases: MmdbSet) -> Self {
        self.providers.retain(|provider| provider.name() != ProviderName::Mmdb);
        self.providers.push(Arc::new(databases.clone()));
        self.databases = Some(databases);
        self
    }

    /// The finished locator. Without any provider every lookup of a public address fails with
    /// [`UnlocatedReason::NoDatabase`].
    pub fn build(self) -> Locator {
        let Self { databases, providers } = self;
        Locator { inner: Arc::new(Inner { databases, providers }) }
    }
}

impl Locator {
    /// Starts a locator that asks nobody.
    pub fn builder() -> LocatorBuilder {
        LocatorBuilder::default()
    }

    /// Where one address is. Stops at the first provider that knows a place.
    pub async fn locate(&self, address: Address) -> Lookup {
        let mut attempt = match Attempt::begin(address) {
            Ok(attempt) => attempt,
            Err(class) => return Lookup::NotApplicable(class),
        };
        for provider in &self.inner.providers {
            attempt.note(provider.name(), provider.lookup(address).await);
            if attempt.located.is_some() {
                break;
            }
        }
        attempt.conclude()
    }

    /// Where many addresses are, in their order. Providers are asked for at most `batch_size` at once (0 counts as
    /// 1), and only for what the providers before them did not locate.
    ///
    /// Lookups in database files run on blocking threads, over all cores when a batch is large.
    pub async fn locate_batch(&self, addresses: &[Address], batch_size: usize) -> Vec<Lookup> {
        let mut attempts: Vec<_> = addresses.iter().copied().map(Attempt::begin).collect();
        for provider in &self.inner.providers {
            let open: Vec<usize> = (0..attempts.len())
                .filter(|&index| attempts[index].as_ref().is_ok_and(|attempt| attempt.located.is_none()))
                .collect();
            for indexes in open.chunks(batch_size.max(1)) {
                let asked: Vec<Address> = indexes.iter().map(|&index| addresses[index]).collect();
                let answers = provider.lookup_batch(&asked).await;
                for (&index, answer) in indexes.iter().zip(answers) {
                    if let Ok(attempt) = &mut attempts[index] {
                        attempt.note(provider.name(), answer);
                    }
                }
            }
        }
        attempts
            .into_iter()
            .map(|attempt| attempt.map_or_else(Lookup::NotApplicable, Attempt::conclude))
            .collect()
    }

    /// Where many addresses are, asking the database files alone, on this thread and without waiting.
    ///
    /// This is the bulk path: ascending addresses share most of their way through the search tree. Any order gives
    /// the same answers, more slowly.
    pub fn locate_sorted(&self, addresses: &[Address]) -> Vec<Lookup> {
        let mut session = self.inner.databases.as_ref().map(MmdbSet::session);
        addresses
            .iter()
            .map(|&address| match Attempt::begin(address) {
                Err(class) => Lookup::NotApplicable(class),
                Ok(mut attempt) => match session.as_mut().map(|session| session.lookup(address)) {
                    Some(Ok(Answer::Found(located))) => Lookup::Located(located),
                    Some(answer) => {
                        attempt.note(ProviderName::Mmdb, answer);
                        attempt.conclude()
                    }
                    None => attempt.conclude(),
                },
            })
            .collect()
    }

    /// Build time of the newest database of places in use; a miss that is older is worth another look.
    pub fn database_build(&self) -> Option<Timestamp> {
        self.inner.providers.iter().filter_map(|provider| provider.database_build()).max()
    }

    /// Every database file that is configured or was found, in use or not.
    pub fn databases(&self) -> Vec<DatabaseStatus> {
        self.inner.databases.as_ref().map(MmdbSet::status).unwrap_or_default()
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
}

/// What is known so far of one public address.
#[derive(Default)]
struct Attempt {
    located: Option<Arc<Located>>,
    miss: Option<UnlocatedReason>,
    failure: Option<UnlocatedReason>,
    failures: Vec<(ProviderName, String)>,
}

impl Attempt {
    /// Gives the class of an address that nobody may be asked about.
    fn begin(address: Address) -> Result<Self, AddressClass> {
        match classify(address) {
            class if class.is_public() => Ok(Self::default()),
            class => Err(class),
        }
    }

    fn note(&mut self, provider: ProviderName, answer: Result<Answer, LookupError>) {
        match answer {
            Ok(Answer::Found(located)) => self.located = Some(located),
            Ok(Answer::Miss(reason)) => {
                self.miss.get_or_insert(reason);
            }
            Err(error) => {
                // A missing database is the weakest failure: it says nothing about those who could be asked.
                if self.failure.is_none_or(|reason| reason == UnlocatedReason::NoDatabase) {
                    self.failure = Some(error.reason());
                }
                self.failures.push((provider, error.to_string()));
            }
        }
    }

    fn conclude(self) -> Lookup {
        let Self { located, miss, failure, failures } = self;
        if let Some(located) = located {
            return Lookup::Located(located);
        }
        match (miss, failure) {
            (Some(reason), None | Some(UnlocatedReason::NoDatabase)) => Lookup::Miss(reason),
            (_, failure) => {
                Lookup::Failed { reason: failure.unwrap_or(UnlocatedReason::NoDatabase), failures }
            }
        }
    }
}
