//! SIGTERM with 64 lookups in flight, again and again.
//!
//! An online provider that answers only after a minute keeps them in flight. Each time the worker has to end by
//! itself with exit code 0, and leave its jobs waiting with no attempt counted. At the end the provider answers at
//! once, and each job is done by its first attempt.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::{Settings, StandIn, World};
use tokio::task::JoinSet;

use crate::{
    Options, Report,
    database::{AnyProbe, Database, Server},
    installation::{Installation, PATIENCE},
};

/// Jobs in flight.
const IN_FLIGHT: u64 = 64;
/// Five seconds of grace, and what a process takes to end.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
/// Far longer than the grace.
const SLOW: Duration = Duration::from_mins(1);
/// So many that none is ever waited for.
const LIMITS: &str = "100000/min";
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
    let stand_in = Arc::new(StandIn::start(settings).await?);
    // A stop takes its five seconds of grace: installations beside each other wait for it together.
    let server = Server::start(options.backend)?;
    let mut stopping = JoinSet::new();
    for number in 0..lanes {
        let (installation, database) = prepare(options, &stand_in, &server, number)?;
        let lane = Lane { number, installation, database, found: Found::default() };
        stopping.spawn(lane.stop_again_and_again(rounds));
    }
    let mut ended = Vec::new();
    while let Some(lane) = stopping.join_next().await {
        ended.push(lane??);
    }
    stand_in.change(|settings| settings.latency = Duration::ZERO);
    let mut slowest = Duration::ZERO;
    for mut lane in ended {
        lane.drain().await?;
        slowest = slowest.max(lane.found.slowest);
        lane.found.violations.into_iter().for_each(|violation| report.violation(violation));
    }
    report.require(slowest <= options.form.patience(ENDS_WITHIN), || {
        format!("the slowest stop took {slowest:?}")
    });
    report.number("stops", lanes * rounds);
    report.number("in_flight", IN_FLIGHT);
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
    let provider = ProviderName::IpApi;
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
        let mut worker = self.installation.start(&["worker"])?;
        if !all_running(&mut probe).await? {
            return Ok(Err(format!("the jobs were not all claimed: {}", worker.said())));
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

    /// Does what was given back so often.
    async fn drain(&mut self) -> anyhow::Result<()> {
        self.installation.run_well(&["worker", "--drain"])?;
        let mut probe = self.database.probe().await?;
        let done = probe.number("SELECT count(*) FROM job WHERE state = 4 AND attempt = 1").await?;
        probe.close().await?;
        if done != i64::try_from(IN_FLIGHT)? {
            let violation =
                format!("lane {}: {done} of {IN_FLIGHT} jobs were done by their first attempt", self.number);
            self.found.violations.push(violation);
        }
        Ok(())
    }
}

async fn all_running(probe: &mut AnyProbe) -> anyhow::Result<bool> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if probe.number("SELECT count(*) FROM job WHERE state = 3").await? == i64::try_from(IN_FLIGHT)? {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(false)
}
