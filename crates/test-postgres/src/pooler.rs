use std::{
    fs,
    io::{Error, Result},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::programs::{Account, command, free_port, pooler_program, run};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Debian's `pgbouncer` in transaction mode before a server, stopped when this is dropped.
pub struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// The version of the program, such as `1.18.0`.
    pub fn version() -> Result<String> {
        let said = run(command(&program()?, None).arg("--version"))?;
        let version = said.lines().next().and_then(|line| line.split(' ').nth(1));
        version.map(str::to_owned).ok_or_else(|| Error::other(format!("pgbouncer says `{said}` of itself")))
    }

    /// Starts one before the server of a URL such as `postgres://postgres@127.0.0.1:5432/postgres`. `settings` are
    /// further lines of its configuration.
    pub fn start(server: &str, settings: &str) -> Result<Self> {
        let program = program()?;
        let address = server.split(['@', '/', '?']).find(|part| part.contains(':') && !part.ends_with(':'));
        let (host, port) =
            address.and_then(|address| address.rsplit_once(':')).unwrap_or(("127.0.0.1", "5432"));
        let account = Account::unprivileged()?;
        let folder = tempfile::Builder::new().prefix("hostatlas-pooler-").tempdir()?;
        let own_port = free_port()?;
        let file = folder.path().join("pgbouncer.ini");
        fs::write(
            &file,
            format!(
                "[databases]\n* = host={host} port={port} user=postgres\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {own_port}\nunix_socket_dir =\nauth_type = any\n\
                 pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\n\
                 server_reset_query_always = 0\n{settings}\n"
            ),
        )?;
        if let Some(account) = account {
            account.own(folder.path())?;
            account.own(&file)?;
        }
        let mut start = command(&program, account);
        let process = start.arg("--quiet").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let pooler = Self { process, port: own_port, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", own_port)).is_err() {
            if began.elapsed() > PATIENCE {
                return Err(Error::other("pgbouncer does not start"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(pooler)
    }

    /// The URL of a database behind it.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

fn program() -> Result<PathBuf> {
    pooler_program().ok_or_else(|| {
        Error::other("pgbouncer is missing: install Debian's `pgbouncer`, or run `make test`, which does")
    })
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
