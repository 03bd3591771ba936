//! Which programs, and as whom they run.

use std::{
    env, fs,
    io::{Error, Result},
    net::TcpListener,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Where Debian keeps every version of the server.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The first version that the store works with.
const OLDEST: u32 = 15;

/// The folder of the server's programs: the newest of Debian's, else what `PATH` finds.
pub fn bin_folder() -> Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.filter(|version| *version >= OLDEST).max();
    let debian = newest.map(|version| Path::new(VERSIONS).join(version.to_string()).join("bin"));
    let paths = env::var_os("PATH").unwrap_or_default();
    let found =
        debian.into_iter().chain(env::split_paths(&paths)).find(|folder| folder.join("initdb").exists());
    found.ok_or_else(|| Error::other("PostgreSQL 15 or later is missing: install Debian's `postgresql`"))
}

/// The pooler's program, where it is installed.
pub(crate) fn pooler_program() -> Option<PathBuf> {
    let paths = env::var_os("PATH").unwrap_or_default();
    // Debian puts it where only an administrator's PATH looks.
    let folders = env::split_paths(&paths).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.exists())
}

/// Whether a pooler is installed.
pub fn has_pooler() -> bool {
    pooler_program().is_some()
}

/// An account that is not root's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// Whom the servers run as: us, or where we are root, which they refuse, somebody who may do less.
    pub(crate) fn unprivileged() -> Result<Option<Self>> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let find = |name: &str| {
            let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut numbers = line.split(':').skip(2).map(|number| number.parse().ok());
            Some(Self { user: numbers.next()??, group: numbers.next()?? })
        };
        let found = find("postgres").or_else(|| find("nobody"));
        found.map(Some).ok_or_else(|| Error::other("there is neither a user `postgres` nor `nobody`"))
    }

    /// Gives a folder or file to this account.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
    }
}

/// A command that runs as `account`, in a folder that it can enter.
pub(crate) fn command(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(Stdio::null());
    // The caller's own settings must not reach a server of ours.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    command
}

/// Runs a command to its end; an error has what it wrote.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output()?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Err(Error::other(format!("{}: {status}\n{stdout}{stderr}", command.get_program().to_string_lossy())))
}

/// Runs one statement in the database of `url`, and answers its rows, one a line, without any decoration.
pub fn psql(url: &str, statement: &str) -> Result<String> {
    let program = bin_folder()?.join("psql");
    let mut command = command(&program, None);
    let plain = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
    run(command.args(plain).args(["--command", statement, url]))
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
