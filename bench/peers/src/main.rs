//! Another program's queue, on a database of its own that is empty at the start.
//!
//! `hostatlas-peers graphile postgres://... 200000` drains no-op jobs and prints one JSON object.
//!
//! `hostatlas-peers wake postgres://...` waits, idle; for each line of its standard input it queues a job, and prints how
//! many microseconds passed from before that until its handler was called. It runs at its default settings.
//!
//! Draining, `graphile_worker` runs at the settings of its own `benches/perf_test.rs`: a local queue of 5,000 jobs, 500 at once,
//! completions gathered for 5 ms. The clock stops when its table is empty, not when the last handler returned: a job
//! that is done and not yet stored as done would run again after a crash.

use std::{
    io::BufRead,
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
use tokio::sync::mpsc;

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

#[derive(Serialize, Deserialize)]
struct Woken {}

/// Where the handler says when it was called.
#[derive(Clone, Debug)]
struct Called(mpsc::UnboundedSender<Instant>);

impl TaskHandler for Woken {
    const IDENTIFIER: &'static str = "woken";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let now = Instant::now();
        let called = context.get_ext::<Called>().ok_or("nobody to tell")?;
        called.0.send(now).map_err(|_| "nobody listens")
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match words.as_slice() {
        ["graphile", url, jobs] => match jobs.parse() {
            Ok(jobs) => graphile(url, jobs).await.map(|report| println!("{report}")),
            Err(_) => Err("JOBS is a number".into()),
        },
        ["wake", url] => wake(url).await,
        _ => {
            eprintln!(
                "usage: hostatlas-peers graphile postgres://... JOBS\n       hostatlas-peers wake postgres://..."
            );
            return ExitCode::from(2);
        }
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
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

async fn wake(url: &str) -> Result<(), Failure> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
    let (sender, mut called) = mpsc::unbounded_channel();
    let options = WorkerOptions::default().add_extension(Called(sender)).pg_pool(pool).define_job::<Woken>();
    let worker = Arc::new(options.init().await?);
    let running = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.run().await }
    });
    let (asked, mut rounds) = mpsc::unbounded_channel();
    // A thread of its own: reading a terminal or a pipe blocks.
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines();
        while lines.next().is_some_and(|line| line.is_ok() && asked.send(()).is_ok()) {}
    });
    let utilities = worker.create_utils();
    while rounds.recv().await.is_some() {
        let began = Instant::now();
        utilities.add_job(Woken {}, JobSpec::default()).await?;
        let moment = called.recv().await.ok_or("the worker ended")?;
        println!("{}", moment.duration_since(began).as_micros());
    }
    worker.request_shutdown();
    running.await??;
    Ok(())
}
