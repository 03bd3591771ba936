use std::{
    cmp::Reverse,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    thread::available_parallelism,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use hostatlas_domain::{Address, ProviderName, Timestamp};
use tokio::task::spawn_blocking;

use super::{
    bulk::Bulk,
    generation::{Generation, Session},
    private_copy::PrivateCopies,
    source::{Listed, Source},
    status::{DatabaseStatus, Problem, ReloadOutcome, Role},
};
use crate::{Answer, LookupError, Provider};

/// A batch up to this size is looked up in place: it takes less time than handing it to another thread.
const SMALL_BATCH: usize = 64;
/// A thread is given at least so many lookups.
const LEAST_PER_THREAD: usize = 512;

/// Which database files to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MmdbConfig {
    /// Every `*.mmdb` file directly in here is used for what its records hold; where two files serve one purpose,
    /// the newer one is asked first. Files that appear later are taken up.
    pub directory: Option<PathBuf>,
    /// City and country databases, asked in this order. If there are any, those of the directory are not used.
    pub city: Vec<PathBuf>,
    /// ASN databases, asked in this order. If there are any, those of the directory are not used.
    pub asn: Vec<PathBuf>,
    /// Where private copies are kept: up to twice as large as the files themselves, shared by all processes that name the same
    /// directory, and of no other use. Losing it costs one copy.
    pub private_copy_dir: PathBuf,
}

/// The database files of this machine, as one provider. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct MmdbSet {
    inner: Arc<Inner>,
}

struct Inner {
    config: MmdbConfig,
    copies: PrivateCopies,
    current: ArcSwap<Generation>,
    sources: Mutex<Sources>,
}

#[derive(Default)]
struct Sources {
    files: Vec<Source>,
    /// What is wrong with the directory itself.
    directory: Option<Problem>,
}

impl MmdbSet {
    /// Opens what `config` names, and says what is wrong with the rest.
    ///
    /// Never fails as a whole: without any usable file every lookup fails with
    /// [`UnlocatedReason::NoDatabase`](hostatlas_domain::UnlocatedReason::NoDatabase), until
    /// [`MmdbSet::reload_if_changed`] finds one. Files are copied and checked the first time, which takes up to a
    /// second each; afterwards opening takes milliseconds. Blocks: call it before the server starts or on a blocking
    /// thread.
    pub fn open(config: &MmdbConfig) -> (Self, Vec<Problem>) {
        let set = Self {
            inner: Arc::new(Inner {
                copies: PrivateCopies::new(config.private_copy_dir.clone()),
                config: config.clone(),
                current: ArcSwap::from_pointee(Generation::new(Vec::new())),
                sources: Mutex::default(),
            }),
        };
        set.reload_if_changed();
        let problems = set.problems();
        (set, problems)
    }

    /// What it was opened with.
    pub fn config(&self) -> &MmdbConfig {
        &self.inner.config
    }

    /// What is wrong at present with the directory and the files.
    pub fn problems(&self) -> Vec<Problem> {
        let sources = self.sources();
        sources.directory.iter().chain(sources.files.iter().filter_map(Source::problem)).cloned().collect()
    }

    /// Every file that is configured or was found, in use or not.
    pub fn status(&self) -> Vec<DatabaseStatus> {
        let describe = |source: &Source| DatabaseStatus { in_use: self.uses(source), ..source.status() };
        self.sources().files.iter().map(describe).collect()
    }

    /// Takes up files that were replaced or added; see [`Locator::reload_if_changed`](crate::Locator::reload_if_changed).
    pub fn reload_if_changed(&self) -> Vec<ReloadOutcome> {
        let mut sources = match self.inner.sources.try_lock() {
            Ok(sources) => sources,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread is at it, and tells.
            Err(TryLockError::WouldBlock) => return Vec::new(),
        };
        let (wanted, directory) = self.wanted();
        sources.directory = directory;
        let mut outcomes = Vec::new();
        for source in &mut sources.files {
            if !wanted.iter().any(|(path, listed)| source.is(path, *listed)) {
                outcomes.extend(source.gone());
            }
        }
        sources.files.retain(|source| {
            source.database().is_some() || wanted.iter().any(|(path, listed)| source.is(path, *listed))
        });
        for (path, listed) in wanted {
            let known = sources.files.iter().position(|source| source.is(&path, listed));
            let index = known.unwrap_or_else(|| {
                sources.files.push(Source::new(path, listed));
                sources.files.len() - 1
            });
            outcomes.extend(sources.files[index].refresh(&self.inner.copies));
        }
        if !outcomes.is_empty() {
            self.inner.current.store(Arc::new(self.assemble(&sources.files)));
        }
        outcomes
    }

    /// Begins lookups of many addresses that borrow their answers. They end with the files they began with.
    pub fn bulk(&self) -> Bulk {
        Bulk::new(self.session())
    }

    /// Begins a run of lookups in the files that are in use now.
    pub(crate) fn session(&self) -> Session {
        Session::new(self.inner.current.load_full())
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.inner.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files to use, and what is wrong with the directory.
    fn wanted(&self) -> (Vec<(PathBuf, Listed)>, Option<Problem>) {
        let MmdbConfig { directory, city, asn, .. } = &self.inner.config;
        let listed =
            |paths: &[PathBuf], listed| paths.iter().cloned().map(move |path| (path, listed)).collect();
        let mut wanted: Vec<_> = listed(city, Listed::City);
        wanted.extend::<Vec<_>>(listed(asn, Listed::Asn));
        let Some(directory) = directory.as_ref().filter(|_| city.is_empty() || asn.is_empty()) else {
            return (wanted, None);
        };
        let found = match scan(directory) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let remedy =
                    "make it readable for the user hostatlas runs as, or configure another".to_owned();
                let what = format!("could not be searched for databases: {error}");
                return (wanted, Some(Problem { path: directory.clone(), what, remedy }));
            }
        };
        let problem = (wanted.is_empty() && found.is_empty()).then(|| Problem {
            path: directory.clone(),
            what: "holds no database, so `mmdb` can locate nothing".to_owned(),
            remedy: "put a city database (an MMDB file) there, or name one in `HOSTATLAS_MMDB_CITY`"
                .to_owned(),
        });
        let found = found.into_iter().filter(|path| !wanted.iter().any(|(listed, _)| listed == path));
        let found: Vec<_> = found.map(|path| (path, Listed::No)).collect();
        wanted.extend(found);
        (wanted, problem)
    }

    /// Whether a file's version is used, and not overridden by a list.
    fn uses(&self, source: &Source) -> bool {
        let MmdbConfig { city, asn, .. } = &self.inner.config;
        source.database().is_some_and(|database| match (source.listed(), database.role()) {
            (Listed::City | Listed::Asn, _) => true,
            (Listed::No, Role::City | Role::Country) => city.is_empty(),
            (Listed::No, Role::Asn) => asn.is_empty(),
        })
    }

    fn assemble(&self, sources: &[Source]) -> Generation {
        let mut used: Vec<&Source> = sources.iter().filter(|source| self.uses(source)).collect();
        // Lists keep their order; of what was merely found, the newest comes first.
        used.sort_by_key(|source| match source.listed() {
            Listed::No => Reverse(source.database().and_then(|database| database.build())),
            Listed::City | Listed::Asn => Reverse(None),
        });
        Generation::new(used.into_iter().filter_map(Source::database).map(Arc::clone).collect())
    }
}

fn scan(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mmdb")) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Looks `addresses` up, the smallest first, and gives the answers with the positions they belong to.
fn look_up(
    mut session: Session,
    addresses: Vec<(usize, Address)>,
) -> Vec<(usize, Result<Answer, LookupError>)> {
    addresses.into_iter().map(|(index, address)| (index, session.lookup(address))).collect()
}

#[async_trait]
impl Provider for MmdbSet {
    fn name(&self) -> ProviderName {
        ProviderName::Mmdb
    }

    async fn lookup(&self, address: Address) -> Result<Answer, LookupError> {
        self.session().lookup(address)
    }

    async fn lookup_batch(&self, addresses: &[Address]) -> Vec<Result<Answer, LookupError>> {
        if addresses.len() <= SMALL_BATCH {
            let mut session = self.session();
            return addresses.iter().map(|&address| session.lookup(address)).collect();
        }
        let mut sorted: Vec<(usize, Address)> = addresses.iter().copied().enumerate().collect();
        sorted.sort_unstable_by_key(|(_, address)| u128::from_be_bytes(address.to_key()));
        let cores = available_parallelism().map_or(1, usize::from);
        let part = sorted.len().div_ceil(cores).max(LEAST_PER_THREAD);
        let generation = self.inner.current.load_full();
        let parts: Vec<_> = sorted
            .chunks(part)
            .map(|part| {
                let (session, part) = (Session::new(Arc::clone(&generation)), part.to_vec());
                spawn_blocking(move || look_up(session, part))
            })
            .collect();
        let mut answers = vec![Err(LookupError::Interrupted); addresses.len()];
        for part in parts {
            // A part that did not end leaves its addresses interrupted: the program is stopping.
            for (index, answer) in part.await.unwrap_or_default() {
                answers[index] = answer;
            }
        }
        answers
    }

    fn database_build(&self) -> Option<Timestamp> {
        self.inner.current.load().build()
    }
}
