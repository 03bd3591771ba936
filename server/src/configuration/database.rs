use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
};

use super::values::without_password;

/// Where the hosts and the jobs are.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file.
    File(PathBuf),
    /// The URL of a PostgreSQL database, with its password, if it has one.
    Server(String),
}

impl Database {
    /// What the store is opened with. It may hold a password: never for people.
    pub fn url(&self) -> Cow<'_, str> {
        match self {
            Self::File(file) => file.to_string_lossy(),
            Self::Server(url) => Cow::Borrowed(url),
        }
    }

    /// The folder of the file.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(file) => file.parent(),
            Self::Server(_) => None,
        }
    }

    /// Whether there is one. A server is not asked: whoever names one means it to be there.
    pub fn exists(&self) -> bool {
        match self {
            Self::File(file) => file.exists(),
            Self::Server(_) => true,
        }
    }

    /// Whether it is a file that the first import makes: it is not there, and the folder is.
    pub fn is_yet_to_be_made(&self) -> bool {
        let Self::File(file) = self else { return false };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        !file.exists() && folder.is_dir()
    }

    /// Whether it is on a server.
    pub const fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }
}

/// Without any password.
impl fmt::Display for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(formatter),
            Self::Server(url) => formatter.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Database({self})")
    }
}
