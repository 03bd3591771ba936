//! How fast answers come in where nothing is limited.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    super::{process::run_measured, rate, remove},
    Online,
    processes::StandIn,
    unlimited,
};

impl Online {
    /// Hosts located each second, without limits.
    pub(super) fn speed(&self) -> Result<Value> {
        let mut report = serde_json::Map::new();
        for (latency, hosts, goal) in [("20", 200_000, 14_250), ("100", 80_000, 3_400)] {
            let mut runs = serde_json::Map::new();
            for workers in [4, 10] {
                let modes: [(&str, &[&str]); 2] = [
                    ("async_batch", &["geolocate", "--async-batch", "--json"]),
                    ("worker", &["worker", "--drain"]),
                ];
                for (mode, arguments) in modes {
                    runs.insert(
                        format!("{mode}_{workers}_in_flight"),
                        self.unlimited_run(latency, hosts, workers, arguments)?,
                    );
                }
            }
            report.insert(format!("{latency}_ms"), json!({ "goal": goal, "runs": runs }));
        }
        Ok(Value::Object(report))
    }

    fn unlimited_run(&self, latency: &str, hosts: u32, workers: u32, arguments: &[&str]) -> Result<Value> {
        let stand_in = StandIn::start(&self.stand_in, &["--unlimited", "--latency-ms", latency])?;
        let config = self.configure(&stand_in, &[unlimited("ip-api")], workers)?;
        let database = self.hosts("speed", hosts)?;
        let arguments = [&["--config", &config], arguments].concat();
        let measured = run_measured(&self.binary, &database, &arguments)?;
        let statistics = stand_in.of("ip-api")?;
        let coverage = self.coverage(&database)?;
        remove(&database);
        Ok(json!({
            "hosts_per_second": rate(hosts, measured.seconds),
            "cpu_seconds": measured.cpu_seconds,
            "stand_in_cpu_seconds": stand_in.cpu_seconds(),
            "resident_mib": measured.resident_mib,
            "requests": statistics["requests"],
            "located": coverage["located"],
            "unlocated": coverage["unlocated"],
            "pending": coverage["pending"],
        }))
    }
}
