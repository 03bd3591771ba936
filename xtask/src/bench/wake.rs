//! How soon an idle worker begins with a job: in the process that queued it, in another one that hears `NOTIFY`, and
//! where nobody is told and it only looks now and then.
//!
//! A click over HTTP queues a job, at a random moment of the interval in which an idle worker looks. The clock starts
//! before the request is sent. It stops with what the job's row says, by the clock of the same machine: when it was
//! claimed, and when its end was stored. A row has whole milliseconds, and the whole of the one that it names is counted.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::Ipv4Addr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use hostatlas_test_postgres::{Cluster, Pooler, psql};
use serde_json::{Value, json};

use super::{
    generate::{Numbers, Scan, addresses},
    http::{Client, Latencies},
    path, postgres,
    process::{Server, command_at, sqlite_url},
};

/// Clicks where the worker is told of them.
const ROUNDS: usize = 300;
/// Clicks where it is not: each takes half a second.
const POLLED_ROUNDS: usize = 100;
/// Clicks before those that count: statements are prepared, files are read.
const WARM_UP: usize = 5;
/// The shortest pause between two clicks, in milliseconds: the worker is idle again.
const SHORTEST_PAUSE: u64 = 50;
/// A random part is added to it, up to this: somewhere in the second between two looks.
const RANDOM_PAUSE: u64 = 1_000;
/// How often one row is read until its job has ended. Rare enough that the worker does not feel it.
const LOOK: Duration = Duration::from_millis(20);
/// A job that has not ended by then never will.
const PATIENCE: Duration = Duration::from_secs(30);
const DAY: u64 = 86_400_000;
/// The benchmarks of this module.
const NAMES: [&str; 3] = ["wake_in_process", "wake_by_notify", "wake_by_polling"];

/// Runs those of [`NAMES`] that are wanted.
pub fn run(
    folder: &Path,
    binary: &Path,
    wanted: impl Fn(&str) -> bool,
    note: &mut impl FnMut(&str, Value),
) -> Result<()> {
    if !NAMES.into_iter().any(&wanted) {
        return Ok(());
    }
    let scan = folder.join("wake.ndjson");
    Scan { lines: 100, repeats: false, sorted: false }.write(&scan)?;
    let bench = Wake { binary, scan: path(&scan)? };
    if wanted("wake_in_process") {
        let database = folder.join("wake.db");
        note("wake_in_process", bench.in_process(&sqlite_url(&database))?);
    }
    if wanted("wake_by_notify") || wanted("wake_by_polling") {
        let server = postgres::start()?;
        if wanted("wake_by_notify") {
            note("wake_by_notify", bench.by_notify(&server)?);
        }
        if wanted("wake_by_polling") {
            note("wake_by_polling", bench.by_polling(&server)?);
        }
    }
    fs::remove_file(&scan)?;
    Ok(())
}

struct Wake<'a> {
    binary: &'a Path,
    scan: &'a str,
}

impl Wake<'_> {
    /// The worker of `serve`, on SQLite.
    fn in_process(&self, url: &str) -> Result<Value> {
        self.prepare(url)?;
        let server = Server::start_at(self.binary, url, &[])?;
        Clicks::new(&server).run(ROUNDS, || Ok(()))
    }

    /// A worker that hears of what another process queued; and in turns with it, click by click, another program's
    /// worker on the same server.
    fn by_notify(&self, server: &Cluster) -> Result<Value> {
        let url = database(server, "wake_by_notify")?;
        self.prepare(&url)?;
        let serving = Server::start_at(self.binary, &url, &["--no-worker"])?;
        let worker = self.worker(&url)?;
        postgres::build_peers()?;
        let mut peer = Peer::start(&database(server, "wake_peer")?)?;
        let mut latencies = Latencies::default();
        let mut round = 0;
        let ours = Clicks::new(&serving).run(ROUNDS, || {
            let took = peer.wake()?;
            round += 1;
            if round > WARM_UP {
                latencies.add(took);
            }
            Ok(())
        })?;
        drop(worker);
        Ok(json!({ "hostatlas": ours, "graphile_worker, until its handler is called": latencies.report() }))
    }

    /// A worker behind a pooler, where nothing can be heard.
    fn by_polling(&self, server: &Cluster) -> Result<Value> {
        let url = database(server, "wake_by_polling")?;
        self.prepare(&url)?;
        let pooler = Pooler::start(&server.url(), "").context("no pgbouncer could be started")?;
        let pooled = format!("{}?pooler=transaction", pooler.url_of("wake_by_polling"));
        let serving = Server::start_at(self.binary, &url, &["--no-worker"])?;
        let worker = self.worker(&pooled)?;
        let report = Clicks::new(&serving).run(POLLED_ROUNDS, || Ok(()))?;
        drop(worker);
        Ok(report)
    }

    /// A schema and a hundred hosts, whose first jobs are done.
    fn prepare(&self, url: &str) -> Result<()> {
        let steps: [&[&str]; 3] =
            [&["db", "migrate"], &["import", self.scan, "--json"], &["worker", "--drain"]];
        for arguments in steps {
            let output =
                command_at(self.binary, url, arguments).output().context("cannot start hostatlas")?;
            if !output.status.success() {
                bail!(
                    "`hostatlas {}` failed: {}",
                    arguments.join(" "),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
        Ok(())
    }

    fn worker(&self, url: &str) -> Result<Process> {
        let mut command = command_at(self.binary, url, &["worker"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Process).context("cannot start hostatlas")
    }
}

/// An empty database; answers its URL.
fn database(server: &Cluster, name: &str) -> Result<String> {
    psql(&server.url(), &format!("CREATE DATABASE {name}"))?;
    Ok(server.url_of(name))
}

/// A person who clicks on hosts now and then.
struct Clicks {
    client: Client,
    hosts: Vec<Ipv4Addr>,
    numbers: Numbers,
}

impl Clicks {
    fn new(server: &Server) -> Self {
        Self { client: Client::new(&server.base), hosts: addresses(100), numbers: Numbers::new(5) }
    }

    /// Clicks, waits until the job has ended, lets `others` have their turn, pauses; again and again.
    fn run(mut self, rounds: usize, mut others: impl FnMut() -> Result<()>) -> Result<Value> {
        let (mut claimed, mut finished) = (Latencies::default(), Latencies::default());
        let hosts: Vec<_> = self.hosts.iter().copied().cycle().take(WARM_UP + rounds).collect();
        for (round, host) in hosts.into_iter().enumerate() {
            let (until_claimed, until_finished) = self.click(host)?;
            others()?;
            if round >= WARM_UP {
                claimed.add(until_claimed);
                finished.add(until_finished);
            }
            let pause = SHORTEST_PAUSE + self.numbers.next() % RANDOM_PAUSE;
            thread::sleep(Duration::from_millis(pause));
        }
        Ok(json!({ "until_claimed": claimed.report(), "until_finished": finished.report() }))
    }

    /// From the click until its job was claimed, and until it had ended.
    fn click(&self, host: Ipv4Addr) -> Result<(Duration, Duration)> {
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
        let answer = self.client.post(&format!("/api/v1/hosts/{host}/geolocate"), "{\"force\":true}")?;
        let answer: Value = serde_json::from_slice(&answer)?;
        if answer["duplicate"] == true {
            bail!("the job before was still there");
        }
        let way = format!("/api/v1/jobs/{}", answer["job"]);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            thread::sleep(LOOK);
            let job: Value = serde_json::from_str(&self.client.get_plain(&way)?)?;
            if job["state"] == "completed" {
                let since = |field: &str| {
                    let moment = job[field].as_str().and_then(millisecond_of_day);
                    moment
                        .map(|moment| passed(begun, moment))
                        .with_context(|| format!("{job} has no {field}"))
                };
                return Ok((since("started_at")?, since("finished_at")?));
            }
        }
        bail!("a job did not end within {} s", PATIENCE.as_secs())
    }
}

/// The millisecond of its day that a moment such as `2026-11-23T14:00:00.25Z` is in.
fn millisecond_of_day(moment: &str) -> Option<u64> {
    let (_, time) = moment.strip_suffix('Z')?.split_once('T')?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut seconds = 0;
    for part in whole.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(seconds * 1_000 + format!("{fraction:0<3}").get(..3)?.parse::<u64>().ok()?)
}

/// From `begun`, since 1970, to the end of a millisecond of its day or of the next.
fn passed(begun: Duration, millisecond: u64) -> Duration {
    let of_day = Duration::from_millis(millisecond + 1);
    let day = Duration::from_millis(DAY);
    let begun = Duration::from_secs(begun.as_secs() % (DAY / 1_000))
        + Duration::from_nanos(begun.subsec_nanos().into());
    // What is before it by more than half a day is after midnight; by less, the two clocks differ.
    let end = if of_day + day / 2 < begun { of_day + day } else { of_day };
    end.saturating_sub(begun)
}

/// A process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another program's idle worker, which queues itself a job for every line that it reads.
struct Peer {
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
    _process: Process,
}

impl Peer {
    fn start(url: &str) -> Result<Self> {
        let mut command = Command::new(postgres::PEER_BINARY);
        command.args(["wake", url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the peer")?;
        let asked = child.stdin.take().context("no stdin")?;
        let answers = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { asked, answers, _process: Process(child) })
    }

    fn wake(&mut self) -> Result<Duration> {
        self.asked.write_all(b"\n").context("the peer reads no more")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let microseconds = line.trim().parse().context("the peer ended")?;
        Ok(Duration::from_micros(microseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_millisecond_that_a_row_names_is_counted_whole() {
        let begun = Duration::new(1_795_442_400, 100_700_000);
        assert_eq!(begun.as_secs() % 86_400, 14 * 3_600, "two in the afternoon");
        let row = millisecond_of_day("2026-11-23T14:00:00.11Z").expect("a moment");
        assert_eq!(passed(begun, row), Duration::from_micros(10_300));
        let whole = millisecond_of_day("2026-11-23T14:00:01Z").expect("a moment");
        assert_eq!(passed(begun, whole), Duration::from_micros(900_300));
    }

    #[test]
    fn a_job_may_end_after_midnight() {
        let begun = Duration::new(1_795_442_400 + 10 * 3_600 - 1, 999_000_000);
        let row = millisecond_of_day("2026-11-24T00:00:00.004Z").expect("a moment");
        assert_eq!(passed(begun, row), Duration::from_millis(6));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "2026-11-23", "2026-11-23T14:00:00", "2026-11-23Tx:00:00Z", "2026-11-23T14:00:00.xZ"]
        {
            assert_eq!(millisecond_of_day(text), None, "{text}");
        }
    }
}
