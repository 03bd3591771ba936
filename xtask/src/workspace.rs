//! Where things are, and how other programs are started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Held while packages are installed: steps that need some run side by side.
static INSTALLING: Mutex<()> = Mutex::new(());
/// How often work is tried that needs a registry, and how long it is left alone in between.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands inside the workspace")
}

/// Cargo itself, the one that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whether `program` can be started at all.
pub fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs `command` with our own terminal; fails with its name when it does.
pub fn run(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("cannot start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs `command` with its output in `target/logs/<log>.log`, so that two steps at once do not mix their lines.
///
/// The output is printed only when the command fails, and its last line with a test runner's summary is returned.
pub fn run_logged(command: &mut Command, log: &str) -> Result<String> {
    let name = describe(command);
    let path = PathBuf::from(format!("target/logs/{log}.log"));
    fs::create_dir_all("target/logs")?;
    let file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("cannot start `{name}`"))?;
    let output = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    if !status.success() {
        println!("{output}");
        bail!("`{name}` failed ({status}); its output is above and in {}", path.display());
    }
    Ok(output)
}

/// Runs `command` as root: as we are, or by `sudo`.
pub fn run_as_root(program: &str, arguments: &[&str], log: &str) -> Result<()> {
    let is_root = read(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = Command::new(if is_root { program } else { "sudo" });
    if !is_root {
        command.arg(program);
    }
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    run_logged(&mut command, log).map(drop)
}

/// Installs Debian's packages; those of one step after those of another, since `apt-get` ends with an error where
/// another holds its lists.
pub fn install(log: &str, packages: &[&str]) -> Result<()> {
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let install = ["-o", "DPkg::Lock::Timeout=300", "install", "--yes", "--no-install-recommends"];
    persist(|| {
        run_as_root("apt-get", &["update"], log)?;
        run_as_root("apt-get", &[&install[..], packages].concat(), log)
    })
}

/// Does work that other machines take part in, and does it again after a pause if it fails.
pub fn persist(work: impl Fn() -> Result<()>) -> Result<()> {
    for _ in 1..ATTEMPTS {
        match work() {
            Ok(()) => return Ok(()),
            Err(error) => println!("{error:#}; it is tried again in {} s", PAUSE.as_secs()),
        }
        std::thread::sleep(PAUSE);
    }
    work()
}

/// Runs `command` and returns what it wrote to stdout.
pub fn read(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{name}` did not print text"))
}

/// The SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a file, read in pieces: the databases are larger than a build machine may spare.
pub fn sha256_file(path: &Path) -> Result<String> {
    let mut file = fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

/// Every file below `folder`, as paths relative to it, sorted.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let entries = fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if let Ok(relative) = entry.path().strip_prefix(folder) {
                found.push(relative.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    command.get_args().fold(program, |text, argument| format!("{text} {}", argument.to_string_lossy()))
}
