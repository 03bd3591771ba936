//! Database files that wait in a folder to be compared: one comparison at a time, in the background of the process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::UNIX_EPOCH,
};

use hostatlas_domain::{
    CandidateComparison, CandidateDatabase, ComparisonState, Databases, InstalledDatabase, MmdbComparison,
    Timestamp,
};
use hostatlas_geolocation::{AddressFamilies, DatabaseStatus, Role};
use tokio::task::spawn_blocking;
use tracing::warn;

use super::Mmdb;
use crate::{Error, Permission, Services};

/// The folder of the candidates, in the folder of the databases. What looks for databases does not look into folders.
const FOLDER: &str = "candidates";

impl Mmdb {
    /// The files in use, those that wait to be compared, and the latest comparison of this process.
    pub async fn databases(&self) -> Result<Databases, Error> {
        let folder = self.candidates_folder();
        let candidates_folder = folder.display().to_string();
        let listed = spawn_blocking(move || list(&folder)).await;
        let (found, candidates_problem) = match listed.map_err(|error| Error::Internal(error.into()))? {
            Ok(found) => (found, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Ok(Databases {
            installed: self.status().into_iter().map(installed).collect(),
            candidates_folder,
            candidates_problem,
            candidates: found.into_iter().map(|(candidate, _)| candidate).collect(),
            comparison: self.services.latest_comparison().get(),
        })
    }

    /// Begins to compare the candidate of this name and returns at once; [`Mmdb::databases`] tells how far it is.
    ///
    /// [`Error::NotFound`] if no candidate is called so: the name is compared with those that were listed and never
    /// becomes part of a path. [`Error::Conflict`] while another comparison goes on.
    pub async fn compare_candidate(&self, name: &str) -> Result<CandidateComparison, Error> {
        self.services.authorize(Permission::Administer)?;
        let (folder, wanted) = (self.candidates_folder(), name.to_owned());
        let found = spawn_blocking(move || find(&folder, &wanted)).await;
        let path = found.map_err(|error| Error::Internal(error.into()))??;
        let coverage = self.services.coverage().get().await?;
        let begun = CandidateComparison {
            name: name.to_owned(),
            began_at: self.services.now(),
            state: ComparisonState::Running {
                compared: 0,
                total: coverage.total.saturating_sub(coverage.not_applicable),
            },
        };
        self.services.latest_comparison().begin(begun.clone())?;
        tokio::spawn(carry_out(self.services.clone(), name.to_owned(), path));
        Ok(begun)
    }

    fn candidates_folder(&self) -> PathBuf {
        self.services.config().mmdb_dir.join(FOLDER)
    }
}

/// The comparison that goes on, or the last one, in memory.
#[derive(Default)]
pub(crate) struct LatestComparison(Mutex<Option<CandidateComparison>>);

impl LatestComparison {
    fn lock(&self) -> MutexGuard<'_, Option<CandidateComparison>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Option<CandidateComparison> {
        self.lock().clone()
    }

    /// Takes the place of one that is over.
    fn begin(&self, begun: CandidateComparison) -> Result<(), Error> {
        let mut latest = self.lock();
        if let Some(going_on) = latest.as_ref().filter(|latest| latest.state.is_running()) {
            return Err(Error::Conflict {
                detail: format!("`{}` is being compared", going_on.name),
                hint: Some("wait until that is done".to_owned()),
            });
        }
        *latest = Some(begun);
        Ok(())
    }

    fn advance(&self, hosts: u64) {
        if let Some(CandidateComparison { state: ComparisonState::Running { compared, total }, .. }) =
            self.lock().as_mut()
        {
            *compared = hosts;
            // Hosts may have come in since it began.
            *total = hosts.max(*total);
        }
    }

    fn end(&self, state: ComparisonState) {
        if let Some(latest) = self.lock().as_mut() {
            latest.state = state;
        }
    }
}

async fn carry_out(services: Services, name: String, path: PathBuf) {
    let shown = path.display().to_string();
    let compared = {
        let services = services.clone();
        // A task of its own: should it panic, the comparison failed, and does not go on for ever.
        tokio::spawn(async move {
            let mmdb = services.mmdb();
            mmdb.compare(&path, |hosts| services.latest_comparison().advance(hosts)).await
        })
    };
    let ended = compared.await.unwrap_or_else(|error| Err(Error::Internal(error.into())));
    let state = match ended {
        Ok(result) => ComparisonState::Finished { result: MmdbComparison { path: name, ..result } },
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "`{name}` could not be compared");
            let problem = error.problem();
            ComparisonState::Failed { detail: problem.detail.replace(&shown, &name), hint: problem.hint }
        }
    };
    services.latest_comparison().end(state);
}

/// The candidates by name, each with its path. Blocks.
fn list(folder: &Path) -> io::Result<Vec<(CandidateDatabase, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // One that was removed meanwhile is none.
        if let Some(candidate) = candidate(&path) {
            found.push((candidate, path));
        }
    }
    found.sort_unstable_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    Ok(found)
}

fn candidate(path: &Path) -> Option<CandidateDatabase> {
    let name = path.file_name()?.to_str()?;
    let is_mmdb = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mmdb"));
    let metadata = fs::metadata(path).ok().filter(|metadata| is_mmdb && metadata.is_file())?;
    let since_epoch = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let millis = since_epoch.and_then(|since| i64::try_from(since.as_millis()).ok());
    Some(CandidateDatabase {
        name: name.to_owned(),
        bytes: metadata.len(),
        modified_at: millis.map(Timestamp::from_millis),
    })
}

/// The path of the candidate that is called so, as it was listed. Blocks.
fn find(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let listed = list(folder).map_err(|error| Error::Unavailable {
        detail: format!("the folder of the candidates cannot be read: {error}"),
        hint: Some("let this user read it".to_owned()),
    })?;
    let found = listed.into_iter().find(|(candidate, _)| candidate.name == name);
    found.map(|(_, path)| path).ok_or_else(|| Error::NotFound {
        detail: format!("no candidate is called `{}`", hostatlas_domain::sanitize(name, 64)),
        hint: Some("use a name from the list of candidates".to_owned()),
    })
}

fn installed(status: DatabaseStatus) -> InstalledDatabase {
    let (problem, remedy) = status.problem.map(|problem| (problem.what, problem.remedy)).unzip();
    InstalledDatabase {
        name: status.path.file_name().unwrap_or(status.path.as_os_str()).to_string_lossy().into_owned(),
        in_use: status.in_use,
        role: status.role.map(|role| Role::slug(role).to_owned()),
        families: status.families.map(|families| AddressFamilies::label(families).to_owned()),
        database_build: status.database_build,
        bytes: status.bytes,
        unreadable_records: status.unreadable_records,
        problem,
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with an installed database, and a candidate, a text and a folder beside the candidate.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let candidates = folder.path().join(FOLDER);
        fs::create_dir_all(candidates.join("folder.mmdb")).expect("folders");
        fs::write(folder.path().join("city.mmdb"), "installed").expect("a file");
        fs::write(candidates.join("new.mmdb"), "candidate").expect("a file");
        fs::write(candidates.join("notes.txt"), "text").expect("a file");
        folder
    }

    #[test]
    fn candidates_are_the_mmdb_files_of_their_folder_alone() {
        let folder = folder();
        let listed = list(&folder.path().join(FOLDER)).expect("a list");
        let names: Vec<_> = listed.iter().map(|(candidate, _)| (&*candidate.name, candidate.bytes)).collect();
        assert_eq!(names, [("new.mmdb", 9)]);
        assert_eq!(list(&folder.path().join("nowhere")).expect("an empty list"), []);
    }

    #[test]
    fn a_name_that_is_not_listed_is_refused_whatever_path_it_spells() {
        let folder = folder();
        let candidates = folder.path().join(FOLDER);
        assert_eq!(find(&candidates, "new.mmdb").expect("the file"), candidates.join("new.mmdb"));
        let absolute = candidates.join("new.mmdb").display().to_string();
        let names = [
            "../city.mmdb",
            "./new.mmdb",
            "..",
            ".",
            "",
            "/etc/passwd",
            &absolute,
            "../candidates/new.mmdb",
            "folder.mmdb",
            "folder.mmdb/",
            "notes.txt",
            "new.mmdb\0",
            "NEW.mmdb",
        ];
        for name in names {
            let refused = find(&candidates, name);
            assert!(matches!(refused, Err(Error::NotFound { .. })), "{name}: {refused:?}");
        }
    }

    #[test]
    fn one_comparison_goes_on_at_a_time() {
        let latest = LatestComparison::default();
        let begun = |name: &str| CandidateComparison {
            name: name.to_owned(),
            began_at: Timestamp::from_millis(0),
            state: ComparisonState::Running { compared: 0, total: 5 },
        };
        latest.begin(begun("a.mmdb")).expect("the first");
        latest.advance(7);
        let running = latest.get().map(|latest| latest.state);
        assert_eq!(running, Some(ComparisonState::Running { compared: 7, total: 7 }));
        let refused = latest.begin(begun("b.mmdb"));
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        latest.end(ComparisonState::Failed { detail: "cut short".to_owned(), hint: None });
        latest.begin(begun("b.mmdb")).expect("the next");
        assert_eq!(latest.get().map(|latest| latest.name).as_deref(), Some("b.mmdb"));
    }
}
