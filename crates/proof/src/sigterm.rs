//! SIGTERM with 64 lookups in flight, again and again.
//!
//! An online provider that answers only after a minute keeps them in flight: the signal comes once the provider was
//! asked about each. Each time the worker has to end by itself with exit code 0, and leave its jobs waiting with no
//! attempt counted. At the end the provider answers at once, and each job is done by its first attempt. What was asked
//! outside is asked again: how often is counted.

use std::time::{Duration, Instant};

use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::{Settings, StandIn, World};
use tokio::task::JoinSet;

use crate::{
    Options, Report,
    database::{Database, Server},
    installation::{Installation, PATIENCE},
    probe::Probe,
};

/// Jobs in flight.
const IN_FLIGHT: u64 = 64;
/// Five seconds of grace, and what a process takes to end.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
/// Whom they are asked of.
const PROVIDER: ProviderName = ProviderName::IpApi;
/// Far longer than the grace.
const SLOW: Duration = Duration::from_mins(1);
/// None is ever waited for; a limit that is named would be that of single lookups, beside that of batches.
const LIMITS: &str = "unlimited";
const LOOK: Duration = Duration::from_millis(2);

/// Runs it.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    let (lanes, rounds) = options.form.pick((10_u32, 10_u32), (5, 1));
    let mut report = Report::on_backend("sigterm", options);
    let settings = Settings {
        world: World { seed: options.seed, unknown_one_in: 0, gap_one_in: 0 },
        latency: SLOW,
        unlimited: true,
        ..Settings::default()
    };
    // A stop takes its five seconds of grace: installations beside each other wait for it together.
    let server = Server::start(options.backend)?;
    let mut stopping = JoinSet::new();
    for number in 0..lanes {
        // One each, so that it is known of each whom it has asked.
        let stand_in = StandIn::start(settings.clone()).await?;
        let (installation, database) = prepare(options, &stand_in, &server, number)?;
        let lane = Lane { number, installation, database, stand_in, found: Found::default() };
        stopping.spawn(lane.stop_again_and_again(rounds));
    }
    let mut ended = Vec::new();
    while let Some(lane) = stopping.join_next().await {
        ended.push(lane??);
    }
    let (mut slowest, mut done) = (Duration::ZERO, 0);
    let (mut calls, mut batches, mut asked) = (0, 0, 0);
    for mut lane in ended {
        done += lane.drain().await?;
        let statistics = lane.stand_in.statistics(PROVIDER);
        calls += statistics.requests;
        batches += statistics.batches;
        asked += statistics.addresses_asked;
        slowest = slowest.max(lane.found.slowest);
        lane.found.violations.into_iter().for_each(|violation| report.violation(violation));
    }
    report.require(slowest <= options.form.patience(ENDS_WITHIN), || {
        format!("the slowest stop took {slowest:?}")
    });
    report.number("stops", lanes * rounds);
    report.number("in_flight", IN_FLIGHT);
    report.number("jobs_done", done);
    report.number("provider_calls", calls);
    report.number("provider_calls_in_batches", batches);
    report.number("addresses_asked", asked);
    report.number("addresses_asked_again", asked.saturating_sub(done));
    report.number("slowest_stop_ms", u64::try_from(slowest.as_millis())?);
    Ok(report)
}

/// An installation that asks the stand-in, and has hosts to ask about.
fn prepare(
    options: &Options,
    stand_in: &StandIn,
    server: &Server,
    number: u32,
) -> anyhow::Result<(Installation, Database)> {
    let mut installation = Installation::new(options)?;
    let provider = PROVIDER;
    std::fs::remove_dir_all(installation.path("mmdb"))?;
    installation.set("HOSTATLAS_PROVIDERS", provider.name());
    let variable = provider.name().to_uppercase().replace('-', "_");
    installation.set(&format!("HOSTATLAS_PROVIDER_{variable}_URL"), stand_in.base_url(provider));
    installation.set(&format!("HOSTATLAS_PROVIDER_{variable}_ALLOW_PRIVATE"), "1");
    installation.set(&format!("HOSTATLAS_PROVIDER_{variable}_LIMITS"), LIMITS);
    let database = server.database_of(&mut installation, &format!("lane_{number}"))?;
    installation.import(0..IN_FLIGHT)?;
    Ok((installation, database))
}

#[derive(Default)]
struct Found {
    violations: Vec<String>,
    slowest: Duration,
}

/// One installation.
struct Lane {
    number: u32,
    installation: Installation,
    database: Database,
    stand_in: StandIn,
    found: Found,
}

impl Lane {
    async fn stop_again_and_again(mut self, rounds: u32) -> anyhow::Result<Self> {
        for round in 0..rounds {
            if let Err(violation) = self.stop_once().await? {
                self.found.violations.push(format!("lane {}, round {round}: {violation}", self.number));
                break;
            }
        }
        Ok(self)
    }

    async fn stop_once(&mut self) -> anyhow::Result<Result<(), String>> {
        let mut probe = self.database.probe().await?;
        let before = self.addresses_asked();
        let mut worker = self.installation.start(&["worker"])?;
        if !self.all_in_flight(&mut probe, before).await? {
            let asked = self.addresses_asked() - before;
            return Ok(Err(format!(
                "the jobs were not all in flight, the provider was asked about {asked}: {}",
                worker.said()
            )));
        }
        worker.ask_to_stop()?;
        let asked = Instant::now();
        let ended = worker.ended_within(PATIENCE).await?;
        self.found.slowest = self.found.slowest.max(asked.elapsed());
        let Some(status) = ended else { return Ok(Err("it never ended".to_owned())) };
        if status.code() != Some(0) {
            return Ok(Err(format!("it ended with {status}: {}", worker.said())));
        }
        let kept = "SELECT count(*) FROM job WHERE state < 3 AND attempt = 0 AND crash_count = 0";
        let kept = probe.number(kept).await?;
        probe.close().await?;
        if kept != i64::try_from(IN_FLIGHT)? {
            return Ok(Err(format!("{kept} of {IN_FLIGHT} jobs wait with all their attempts")));
        }
        Ok(Ok(()))
    }

    fn addresses_asked(&self) -> u64 {
        self.stand_in.statistics(PROVIDER).addresses_asked
    }

    /// Waits until all of them run and the provider was asked about all of them, beyond the `before` of earlier rounds.
    async fn all_in_flight(&self, probe: &mut Probe, before: u64) -> anyhow::Result<bool> {
        let expected = i64::try_from(IN_FLIGHT)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.addresses_asked() >= before + IN_FLIGHT
                && probe.number("SELECT count(*) FROM job WHERE state = 3").await? == expected
            {
                return Ok(true);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(false)
    }

    /// Does what was given back so often; answers how many are done.
    async fn drain(&mut self) -> anyhow::Result<u64> {
        self.stand_in.change(|settings| settings.latency = Duration::ZERO);
        self.installation.run_well(&["worker", "--drain"])?;
        let mut probe = self.database.probe().await?;
        let done = probe.number("SELECT count(*) FROM job WHERE state = 4 AND attempt = 1").await?;
        probe.close().await?;
        if done != i64::try_from(IN_FLIGHT)? {
            let violation =
                format!("lane {}: {done} of {IN_FLIGHT} jobs were done by their first attempt", self.number);
            self.found.violations.push(violation);
        }
        Ok(u64::try_from(done)?)
    }
}
