//! What a provider that is out costs, and a hundred thousand clicks.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    super::{
        generate::{Scan, addresses},
        http::Client,
        path,
        process::{Server, run_measured},
        timed,
    },
    Asked, Online, count, number,
    processes::{Running, StandIn},
    sleep_until, unlimited,
};

const CLICKS: u64 = 100_000;
const CLICKERS: u64 = 8;

impl Online {
    /// Two providers asked about one address at a time, one of which is out for forty seconds.
    pub(super) fn provider_out(&self) -> Result<Value> {
        let stand_in = StandIn::start(&self.stand_in, &["--unlimited", "--latency-ms", "20"])?;
        let config = self.configure(&stand_in, &[unlimited("ip-api"), unlimited("freeipapi")], 4)?;
        let database = self.hosts("out", 60_000)?;
        stand_in.control(&json!({ "provider": "ip-api", "fault": "unavailable" }))?;
        let arguments = ["--config", &config, "geolocate", "--async-batch", "--batch-size", "1"];
        let mut process = Running::start(self, &database, &arguments)?;
        stand_in.first_request()?;
        let began = Instant::now();
        sleep_until(began + Duration::from_secs(10));
        let until_open = count(&stand_in.of("ip-api")?["faulted"]);
        sleep_until(began + Duration::from_secs(40));
        let (out, other) = (stand_in.of("ip-api")?, stand_in.of("freeipapi")?);
        let calls = count(&out["requests"]) + count(&other["requests"]);
        let answered = count(&other["distinct_addresses"]);
        stand_in.control(&json!({ "provider": "ip-api", "fault": "none" }))?;
        let repaired = Instant::now();
        let back = loop {
            if count(&stand_in.of("ip-api")?["addresses_answered"]) > 0 {
                break Some(repaired.elapsed().as_secs_f64());
            }
            if repaired.elapsed() > Duration::from_mins(2) || process.has_ended()? {
                break None;
            }
            thread::sleep(Duration::from_millis(50));
        };
        process.interrupt()?;
        Ok(json!({
            "failures_until_the_breaker_opened": until_open,
            "failures_in_40_seconds": out["faulted"],
            "calls_while_out": calls,
            "hosts_answered_while_out": answered,
            "calls_per_host": number(calls) / number(answered.max(1)),
            "seconds_until_back": back,
        }))
    }

    /// Clicks on one host that no database locates.
    pub(super) fn clicks(&self) -> Result<Value> {
        let stand_in = StandIn::start(&self.stand_in, &["--latency-ms", "20"])?;
        let config = self.configure(&stand_in, &[Asked::new("ip-api", &[])], 10)?;
        let database = self.folder.join("clicks.db");
        let scan = self.folder.join("click.ndjson");
        Scan { lines: 1, repeats: false, sorted: false }.write(&scan)?;
        run_measured(&self.binary, &database, &["import", path(&scan)?, "--json"])?;
        let host = addresses(1)[0];
        let server = Server::start(&self.binary, &database, &["--config", &config])?;
        let clicked = AtomicU64::new(0);
        let ((), took) = timed(|| {
            thread::scope(|scope| {
                let clickers: Vec<_> =
                    (0..CLICKERS).map(|_| scope.spawn(|| click(&server, &host, &clicked))).collect();
                clickers.into_iter().try_for_each(|clicker| {
                    clicker.join().map_err(|_| anyhow::anyhow!("a clicker panicked"))?
                })
            })
        })?;
        // What was queued last may still be worked on.
        thread::sleep(Duration::from_secs(3));
        let statistics = stand_in.of("ip-api")?;
        Ok(json!({
            "clicks": clicked.into_inner(),
            "calls": statistics["requests"],
            "clicks_per_second": (number(CLICKS) / took.as_secs_f64()).round(),
            "coverage": self.coverage(&database)?,
        }))
    }
}

fn click(server: &Server, host: &impl fmt::Display, clicked: &AtomicU64) -> Result<()> {
    let client = Client::new(&server.base);
    let way = format!("/api/v1/hosts/{host}/geolocate");
    for _ in 0..CLICKS / CLICKERS {
        client.post(&way, "{\"force\":false}")?;
        clicked.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
