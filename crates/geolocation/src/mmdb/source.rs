use std::{fs, io, path::PathBuf, sync::Arc};

use super::{
    database::{Database, Refusal},
    private_copy::{PrivateCopies, Stamp},
    status::{DatabaseStatus, Problem, ReloadOutcome, Role},
};

/// Calls of [`Source::refresh`] that are left out at most after a failure that may pass.
const LONGEST_PAUSE: u32 = 64;

/// What the operator said a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Found in the directory; whatever it is.
    No,
    /// Listed among the databases of places.
    City,
    /// Listed among the databases of networks.
    Asn,
}

/// One of the operator's files, and the version of it in use.
pub struct Source {
    path: PathBuf,
    listed: Listed,
    /// The state that was last judged.
    stamp: Option<Stamp>,
    database: Option<Arc<Database>>,
    problem: Option<Problem>,
    failures: u32,
    pause: u32,
}

impl Source {
    /// A file that was not looked at yet.
    pub fn new(path: PathBuf, listed: Listed) -> Self {
        Self { path, listed, stamp: None, database: None, problem: None, failures: 0, pause: 0 }
    }

    /// Whether this is the file, in the same role.
    pub fn is(&self, path: &std::path::Path, listed: Listed) -> bool {
        self.path == path && self.listed == listed
    }

    /// The version in use.
    pub fn database(&self) -> Option<&Arc<Database>> {
        self.database.as_ref()
    }

    /// Why the file as it is now is not in use.
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// What the operator said it is for.
    pub fn listed(&self) -> Listed {
        self.listed
    }

    /// What can be told of it, `in_use` apart: that depends on the other files.
    pub fn status(&self) -> DatabaseStatus {
        let mut status = DatabaseStatus {
            path: self.path.clone(),
            in_use: false,
            role: None,
            families: None,
            database_type: None,
            database_build: None,
            nodes: None,
            bytes: None,
            unreadable_records: 0,
            problem: self.problem.clone(),
        };
        if let Some(database) = &self.database {
            database.describe(&mut status);
        }
        status
    }

    /// Looks at the file, and takes up a changed version if it is sound. `None` if there is nothing new to tell.
    pub fn refresh(&mut self, copies: &PrivateCopies) -> Option<ReloadOutcome> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let stamp = match fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => Stamp::of(&metadata),
            Ok(_) => return self.refuse(None, Refusal::lasting("is no file", "name an MMDB file")),
            Err(error) => return self.refuse(None, missing(&error)),
        };
        if self.stamp == Some(stamp) {
            return None;
        }
        match copies.open(&self.path, stamp).and_then(|database| self.suits(database)) {
            Ok(database) => {
                self.stamp = Some(stamp);
                self.failures = 0;
                let had_problem = self.problem.take().is_some();
                let same = self.database.as_ref().is_some_and(|old| old.digest() == database.digest());
                if same && !had_problem {
                    return None;
                }
                let database_build = database.build();
                self.database = Some(Arc::new(database));
                Some(ReloadOutcome::Loaded { path: self.path.clone(), database_build })
            }
            Err(refusal) => {
                if self.database.is_none() {
                    let earlier = copies.last_good(&self.path).and_then(|database| self.suits(database).ok());
                    self.database = earlier.map(Arc::new);
                }
                self.refuse(Some(stamp), refusal)
            }
        }
    }

    /// Notes that the file is no longer configured or found. Its last version stays in use until a restart.
    pub fn gone(&mut self) -> Option<ReloadOutcome> {
        self.refuse(None, missing(&io::ErrorKind::NotFound.into()))
    }

    fn refuse(&mut self, stamp: Option<Stamp>, refusal: Refusal) -> Option<ReloadOutcome> {
        let Refusal { mut what, remedy, passing } = refusal;
        if let Some(database) = &self.database {
            let version =
                database.build().map_or_else(String::new, |build| format!(", built {},", build.to_date()));
            what = format!("{what}; the version before it{version} stays in use");
        }
        self.stamp = stamp.filter(|_| !passing);
        if passing {
            self.failures += 1;
            self.pause = (1 << self.failures.min(6)).min(LONGEST_PAUSE);
        }
        let problem = Problem { path: self.path.clone(), what, remedy };
        let news = self.problem.as_ref() != Some(&problem);
        self.problem = Some(problem.clone());
        news.then_some(ReloadOutcome::Refused(problem))
    }

    fn suits(&self, mut database: Database) -> Result<Database, Refusal> {
        match (self.listed, database.role()) {
            (Listed::City, Role::Asn) => Err(Refusal::lasting(
                "holds networks and no places, but is listed as a city database",
                "list it as an ASN database",
            )),
            (Listed::Asn, Role::City | Role::Country) if !database.has_network() => Err(Refusal::lasting(
                "holds places and no networks, but is listed as an ASN database",
                "list it as a city database",
            )),
            (Listed::Asn, _) => {
                database.use_for_networks_alone();
                Ok(database)
            }
            _ => Ok(database),
        }
    }
}

fn missing(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Refusal::lasting("does not exist", "put the file there, or configure another")
        }
        _ => Refusal::lasting(
            format!("cannot be looked at: {error}"),
            "make it readable for the user hostatlas runs as",
        ),
    }
}
