//! Drains no-op jobs with another program's queue and prints one JSON object:
//!
//! `hostatlas-peers graphile postgres://... 200000` (the database is its own and empty).
//!
//! `graphile_worker` runs at the settings of its own `benches/perf_test.rs`: a local queue of 5,000 jobs, 500 at once,
//! completions gathered for 5 ms. The clock stops when its table is empty, not when the last handler returned: a job
//! that is done and not yet stored as done would run again after a crash.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Jobs in one insert.
const CHUNK: u64 = 10_000;
/// Its connections, at most.
const CONNECTIONS: u32 = 10;

#[derive(Serialize, Deserialize)]
struct NoOp {
    id: u64,
}

#[derive(Clone, Debug)]
struct Handled(Arc<AtomicU64>);

impl TaskHandler for NoOp {
    const IDENTIFIER: &'static str = "no_op";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(handled) = context.get_ext::<Handled>() {
            handled.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<(), String>(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, url, jobs] = arguments.as_slice() else {
        eprintln!("usage: hostatlas-peers graphile postgres://... JOBS");
        return ExitCode::from(2);
    };
    let measured = match (peer.as_str(), jobs.parse()) {
        ("graphile", Ok(jobs)) => graphile(url, jobs).await,
        _ => Err("the peer is `graphile`, and JOBS a number".into()),
    };
    match measured {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn graphile(url: &str, jobs: u64) -> Result<serde_json::Value, Failure> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
    let handled = Arc::new(AtomicU64::new(0));
    let worker = WorkerOptions::default()
        .concurrency(500)
        .poll_interval(Duration::from_millis(5))
        .complete_job_batch_delay(Duration::from_millis(5))
        .local_queue(LocalQueueConfig::default().with_size(5_000))
        .add_extension(Handled(Arc::clone(&handled)))
        .pg_pool(pool.clone())
        .define_job::<NoOp>()
        .init()
        .await?;
    let began = Instant::now();
    let utilities = worker.create_utils();
    for first in (0..jobs).step_by(CHUNK as usize) {
        let chunk: Vec<RawJobSpec> = (first..(first + CHUNK).min(jobs))
            .map(|id| RawJobSpec {
                identifier: "no_op".to_owned(),
                payload: json!({ "id": id }),
                spec: JobSpec::default(),
            })
            .collect();
        utilities.add_raw_jobs(&chunk).await?;
    }
    let enqueued = began.elapsed().as_secs_f64();
    let worker = Arc::new(worker);
    let began = Instant::now();
    let running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    while handled.load(Ordering::Relaxed) < jobs || waiting(&pool).await? > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let drained = began.elapsed().as_secs_f64();
    worker.request_shutdown();
    running.await??;
    Ok(json!({
        "peer": "graphile_worker 0.14.1",
        "jobs": jobs,
        "handled": handled.load(Ordering::Relaxed),
        "enqueued_per_second": (jobs as f64 / enqueued).round(),
        "jobs_per_second": (jobs as f64 / drained).round(),
    }))
}

/// How many jobs its table holds, one at most: a full count would be part of what is measured.
async fn waiting(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM graphile_worker._private_jobs LIMIT 1) AS one")
        .fetch_one(pool)
        .await
}
