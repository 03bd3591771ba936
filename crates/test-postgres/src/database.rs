use std::{
    env,
    fs::File,
    io::Result,
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::programs::psql;

/// Names the server that tests make their databases on: a superuser's URL.
pub const SERVER_VARIABLE: &str = "HOSTATLAS_TEST_POSTGRES_URL";

/// The server of [`SERVER_VARIABLE`].
///
/// # Panics
/// Where there is none: a test that needs a server and has none fails, it does not skip.
pub fn server_url() -> String {
    env::var(SERVER_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "this test needs a PostgreSQL server: run `make test`, or \
             `cargo xtask postgres -- cargo nextest run ...`"
        )
    })
}

/// A database of one test, dropped with this value.
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// An empty one on the server of [`SERVER_VARIABLE`].
    pub fn empty() -> Result<Self> {
        Self::of_template("template0", "ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
    }

    /// One that `migrate` prepared, given its URL. That is done once for each `version`, a word of letters, digits and
    /// underscores; every further database is a copy, which takes a tenth of the time.
    pub fn migrated(version: &str, migrate: impl FnOnce(&str)) -> Result<Self> {
        let server = server_url();
        let template = format!("hostatlas_template_{version}");
        let asked = format!("SELECT 1 FROM pg_database WHERE datname = '{template}'");
        if psql(&server, &asked)?.is_empty() {
            // Tests are processes of their own; only one of them makes it.
            let lock = File::create(env::temp_dir().join(format!("{template}.lock")))?;
            lock.lock()?;
            if psql(&server, &asked)?.is_empty() {
                let made = Self::empty()?;
                migrate(&made.url());
                psql(&server, &format!("ALTER DATABASE {} RENAME TO {template}", made.name))?;
            }
        }
        Self::of_template(&template, "")
    }

    fn of_template(template: &str, options: &str) -> Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostatlas_test_{since_1970}_{}_{number}", process::id());
        let server = server_url();
        psql(&server, &format!("CREATE DATABASE {name} TEMPLATE {template} {options}"))?;
        Ok(Self { server, name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, for the superuser.
    pub fn url(&self) -> String {
        url_of(&self.server, &self.name)
    }

    /// Runs one statement in it; see [`psql`].
    pub fn run(&self, statement: &str) -> Result<String> {
        psql(&self.url(), statement)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // The server may be gone, and all of it with it.
        let _ = psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// The URL of another database of the same server.
pub(crate) fn url_of(server: &str, database: &str) -> String {
    let (address, parameters) = server.split_once('?').map_or((server, None), |(a, p)| (a, Some(p)));
    let base = address.rsplit_once('/').map_or(address, |(base, _)| base);
    parameters
        .map_or_else(|| format!("{base}/{database}"), |parameters| format!("{base}/{database}?{parameters}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_parameters_for_another_database() {
        let url = url_of("postgres://me@127.0.0.1:5432/postgres?sslmode=disable", "atlas");
        assert_eq!(url, "postgres://me@127.0.0.1:5432/atlas?sslmode=disable");
    }
}
