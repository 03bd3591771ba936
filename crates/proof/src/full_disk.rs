//! A disk that is full in the middle of work, again and again.
//!
//! The disk is a small file system in memory, mounted in a name space of the proof's own, so that no right over the
//! machine is needed. A server works on it; while lists are imported and lookups are asked for, all that is left is
//! filled, and after a moment freed. A round counts if a write was refused in it: a log that is written from its beginning
//! again takes a few even without room.

use std::{
    fs::{self, File},
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    Form, Options, Report, http,
    installation::{Installation, PATIENCE},
    probe::SqliteProbe,
    process::Process,
    workbench,
};

/// Room for the database, its log and what grows in between.
const DISK_MIB: u32 = 192;
/// How soon a write succeeds again once there is room.
const HEALS_WITHIN: Duration = Duration::from_secs(5);
/// How long the disk stays full, in milliseconds.
const FULL_FOR: std::ops::Range<u64> = 100..600;
/// And how much longer, at most, until a write was refused.
const FULL_AT_MOST: Duration = Duration::from_secs(5);
/// Hosts in the list that is imported while the disk fills.
const LIST: u64 = 500;
/// Writes that are asked for while the disk is full.
const WRITES_WHILE_FULL: u64 = 10;
const LOOK: Duration = Duration::from_millis(20);
/// Where the part in the name space leaves its report.
const REPORT: &str = "report.json";

/// Runs it, in a name space of its own.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("full-disk", options);
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount"])
        .arg(std::env::current_exe()?)
        .args(["full-disk", "--seed", &options.seed.to_string()])
        .arg("--binary")
        .arg(&options.binary)
        .arg("--inside")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if options.form == Form::Short {
        command.arg("--short");
    }
    let mut inside = match Process::start(command) {
        Ok(inside) => inside,
        Err(error) => {
            report.not_run(format!(
                "a mount name space cannot be made: {error:#}; install `unshare` (Debian's `util-linux`)"
            ));
            return Ok(report);
        }
    };
    let ended = inside.ended_within(Duration::from_mins(20)).await?;
    // Written beside the disk, since what is mounted is gone with its name space.
    match fs::read_to_string(folder.path().join(REPORT)) {
        Ok(found) => {
            report.adopt(&serde_json::from_str(&found)?);
            report.require(ended.is_some_and(|status| status.success()), || {
                format!("the part in the name space ended with {ended:?}: {}", inside.said().trim())
            });
        }
        Err(_) => report.not_run(format!(
            "no file system could be mounted and worked on ({ended:?}): {}",
            inside.said().trim()
        )),
    }
    Ok(report)
}

/// The proof itself, in the name space.
pub(crate) async fn inside(options: &Options, folder: &Path) -> anyhow::Result<()> {
    let disk = folder.join("disk");
    fs::create_dir(&disk)?;
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={DISK_MIB}m"), "tmpfs"])
        .arg(&disk)
        .status()?;
    anyhow::ensure!(mounted.success(), "mount ended with {mounted}");
    let installation = Installation::within(options, &disk)?;
    // From here on nothing that fails is the machine's fault. Unless it comes to its end, this is what it leaves.
    let mut broken_off = Report::new("full-disk", options);
    broken_off.violation("the proof broke off in the middle");
    fs::write(folder.join(REPORT), broken_off.to_json())?;
    let mut report = Report::new("full-disk", options);
    let worked = work(options, installation, &disk, &mut report).await;
    report.require_end(worked);
    Ok(fs::write(folder.join(REPORT), report.to_json())?)
}

async fn work(
    options: &Options,
    installation: Installation,
    disk: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    installation.import(0..LIST)?;
    let (server, address) = installation.serve()?;
    let mut filling = Filling {
        random: StdRng::seed_from_u64(options.seed),
        fill: disk.join("fill"),
        installation,
        server,
        address,
        next_host: LIST,
        imported: LIST,
        accepted: Vec::new(),
        rounds: 0,
        rounds_met: 0,
        refused: 0,
        imports_refused: 0,
        accepted_while_full: 0,
        slowest: Duration::ZERO,
    };
    let wanted = options.form.pick(50, 4);
    filling
        .rounds(wanted, report)
        .await
        .with_context(|| format!("the server said {}", filling.server.said()))?;
    filling.judge(wanted, report).await
}

struct Filling {
    installation: Installation,
    server: Process,
    address: SocketAddr,
    random: StdRng,
    /// What takes all the room.
    fill: PathBuf,
    next_host: u64,
    /// Hosts whose import was acknowledged.
    imported: u64,
    /// Jobs that the server said it had queued.
    accepted: Vec<i64>,
    rounds: u32,
    /// Those in which a write was refused.
    rounds_met: u32,
    refused: u64,
    imports_refused: u64,
    accepted_while_full: u64,
    slowest: Duration,
}

impl Filling {
    /// So many rounds in which a write is refused. One in which none was is done again, for as many as are wanted.
    async fn rounds(&mut self, wanted: u32, report: &mut Report) -> anyhow::Result<()> {
        while self.rounds_met < wanted && self.rounds < 2 * wanted {
            let round = self.rounds;
            self.round(round, report).await.with_context(|| format!("round {round}"))?;
            self.rounds += 1;
        }
        Ok(())
    }

    async fn round(&mut self, round: u32, report: &mut Report) -> anyhow::Result<()> {
        // The list is written while there is room for it.
        let numbers = self.next_host..self.next_host + LIST;
        self.next_host = numbers.end;
        let list = format!("round-{round}.txt");
        crate::addresses::write_list(&self.installation.path(&list), numbers)?;
        let mut import = self.installation.start(&["import", &list])?;
        tokio::time::sleep(Duration::from_millis(self.random.random_range(0..150))).await;
        fill(&self.fill)?;
        self.rounds_met += u32::from(self.while_full(round, report).await?);
        let freed = Instant::now();
        fs::remove_file(&self.fill)?;
        self.heal(round, freed, report).await?;

        // Either it was acknowledged and all of it is there, or it said that it failed; then it is run again.
        let Some(status) = import.ended_within(PATIENCE).await? else {
            report.violation(format!("round {round}: the import hangs: {}", import.said()));
            return Ok(());
        };
        if !status.success() {
            self.imports_refused += 1;
            let said = import.said();
            report.require(status.code() == Some(1) && names_the_disk(&said), || {
                format!("round {round}: the import ended with {status} and no clear word: {said}")
            });
            let again = self.installation.run(&["import", &list])?;
            report.require(again.status.success(), || {
                let said = String::from_utf8_lossy(&again.stderr).into_owned();
                format!("round {round}: the import failed with room on the disk: {said}")
            });
        }
        self.imported += LIST;
        fs::remove_file(self.installation.path(&list))?;
        let mut probe = SqliteProbe::reading(&self.installation.database()).await?;
        let found = probe.integrity().await?;
        report.require(found == "ok", || format!("round {round}: integrity: {found}"));
        let hosts = u64::try_from(probe.number("SELECT count(*) FROM host").await?)?;
        report.require(hosts == self.imported, || {
            format!("round {round}: {hosts} hosts are left of {}", self.imported)
        });
        probe.close().await
    }

    /// Reads are answered; writes are kept, or refused in the form that refusals have. Answers whether one was refused.
    async fn while_full(&mut self, round: u32, report: &mut Report) -> anyhow::Result<bool> {
        let (began, earlier) = (Instant::now(), self.refused);
        let full_for = Duration::from_millis(self.random.random_range(FULL_FOR));
        let mut writes = 0;
        while began.elapsed() < full_for
            || writes < WRITES_WHILE_FULL
            || self.refused == earlier && began.elapsed() < FULL_AT_MOST
        {
            let read = http::get(self.address, "/api/v1/hosts?limit=5").await.context("reading")?;
            report.require(read.status == 200, || {
                format!("round {round}: a read was answered with {}: {}", read.status, read.body)
            });
            let accepted = self.write(round, report).await?;
            self.accepted_while_full += u64::from(accepted);
            writes += 1;
        }
        Ok(self.refused > earlier)
    }

    /// Asks for a lookup of a random host; answers whether that was accepted.
    async fn write(&mut self, round: u32, report: &mut Report) -> anyhow::Result<bool> {
        let host = workbench::host(self.random.random_range(0..LIST));
        let path = format!("/api/v1/hosts/{host}/geolocate");
        let answer = http::post(self.address, &path, "{\"force\":true}").await.context("writing")?;
        match answer.status {
            202 => {
                let job = answer.json()["job"].as_i64();
                report.require(job.is_some(), || format!("an answer without a job: {}", answer.body));
                self.accepted.extend(job);
                Ok(true)
            }
            503 => {
                self.refused += 1;
                report.require(answer.is_problem(), || {
                    format!("round {round}: a refusal is `{}`: {}", answer.content_type, answer.body)
                });
                Ok(false)
            }
            status => {
                report
                    .violation(format!("round {round}: a write was answered with {status}: {}", answer.body));
                Ok(false)
            }
        }
    }

    async fn heal(&mut self, round: u32, freed: Instant, report: &mut Report) -> anyhow::Result<()> {
        while !self.write(round, report).await? {
            if freed.elapsed() > PATIENCE {
                report.violation(format!("round {round}: it never healed"));
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        self.slowest = self.slowest.max(freed.elapsed());
        Ok(())
    }

    async fn judge(&mut self, wanted: u32, report: &mut Report) -> anyhow::Result<()> {
        self.server.ask_to_stop()?;
        let ended = self.server.ended_within(PATIENCE).await?;
        report.require(ended.is_some_and(|status| status.code() == Some(0)), || {
            format!("the server ended with {ended:?}: {}", self.server.said())
        });
        self.installation.run_well(&["worker", "--drain"])?;
        let checked = self.installation.run(&["db", "check"])?;
        report.require(checked.status.success(), || {
            format!("`db check` found: {}", String::from_utf8_lossy(&checked.stdout))
        });
        let mut probe = SqliteProbe::reading(&self.installation.database()).await?;
        self.accepted.sort_unstable();
        self.accepted.dedup();
        let done = probe.list("SELECT id FROM job WHERE state = 4").await?;
        let done: std::collections::HashSet<i64> = done.into_iter().collect();
        let lost = self.accepted.iter().filter(|job| !done.contains(job)).count();
        report.require(lost == 0, || format!("{lost} jobs that were accepted are lost"));
        let pending = probe.number("SELECT count(*) FROM host WHERE location_state = 0").await?;
        report.require(pending == 0, || format!("{pending} hosts were never located"));
        probe.close().await?;
        let slowest = self.slowest;
        report.require(slowest <= report.form().patience(HEALS_WITHIN), || {
            format!("it healed only after {slowest:?}")
        });
        report.require(self.refused > 0, || "no write ever met the full disk".to_owned());
        let met = self.rounds_met;
        report.require(met >= wanted || report.form() == Form::Short, || {
            format!("in {met} of {} rounds a write met the full disk, not in {wanted}", self.rounds)
        });
        report.number("rounds", self.rounds);
        report.number("rounds_with_a_refusal", met);
        report.number("imports_refused", self.imports_refused);
        report.number("hosts_imported", self.imported);
        report.number("jobs_accepted", self.accepted.len());
        report.number("writes_accepted_while_full", self.accepted_while_full);
        report.number("writes_refused", self.refused);
        report.number("lost", lost);
        report.number("slowest_heal_ms", u64::try_from(slowest.as_millis())?);
        Ok(())
    }
}

/// Whether a command that could not write said so, and what to do.
fn names_the_disk(said: &str) -> bool {
    let is_named = said.contains("cannot be written") || said.contains("free space");
    said.contains("error: ") && said.contains("hint: ") && is_named
}

/// Takes all the room that is left.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    for size in [1 << 20, 4096, 1] {
        let block = vec![0xAA; size];
        // Its end is what is wanted: there is no room left for another block.
        while file.write_all(&block).is_ok() {}
    }
    Ok(())
}
