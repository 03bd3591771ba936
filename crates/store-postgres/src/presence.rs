//! The session by which others see that a worker lives.
//!
//! Its process holds a shared advisory lock under the worker's id on a connection of its own, and looks several times a
//! second whose locks the others hold. The server frees a lock when the session ends: at once when the process is
//! killed, since its system closes the connection; not while its machine is frozen or cut off. So a lock that is gone
//! says that leases need not be waited for, and nothing more: what must be right depends on the leases and their tokens.
//!
//! A session says something about another only while it lasts itself: a server that crashes, restarts or fails over ends
//! all of them, and whoever comes back first must not take the others for dead. And a worker that lost its session gets
//! a moment to come back.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hostatlas_store::{SessionNews, WorkerId, WorkerSession};
use rand::Rng;
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

/// How often the locks of others are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// So long after a lock was first seen to be gone its worker is said to be, and said so again: what a statement of the dead
/// was writing just then is locked by it until the statement ends, after ten seconds at most. The first is longer than a
/// living worker takes to come back, and short enough that orphans run again within two seconds.
const SAID_AFTER: [Duration; 7] = [
    Duration::from_millis(750),
    Duration::from_millis(1_250),
    Duration::from_millis(1_750),
    Duration::from_millis(2_750),
    Duration::from_millis(4_750),
    Duration::from_millis(7_750),
    Duration::from_millis(11_750),
];
/// How long connecting or an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who lost its session comes back at once, but not all in the same moment.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// No longer, however long the server is away: the others must not see it without this worker for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// News that may wait to be heeded.
const NEWS_KEPT: usize = 256;

/// All workers that reported, and whether a session of theirs holds their lock: the two halves of a lock's number are
/// those of the worker's id.
const WORKERS: &str = "SELECT worker.id, held.id IS NOT NULL FROM worker LEFT JOIN
    (SELECT DISTINCT (classid::bigint << 32) | objid::bigint AS id FROM pg_locks
     WHERE locktype = 'advisory' AND objsubid = 1 AND granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS held ON held.id = worker.id";

/// The presence of one worker, for as long as this lives.
pub(crate) struct Presence {
    news: Mutex<mpsc::Receiver<SessionNews>>,
    task: JoinHandle<()>,
}

impl Presence {
    /// Connects by `options`, again and again where that fails.
    pub(crate) fn start(options: PgConnectOptions, worker: WorkerId) -> Self {
        let (sender, news) = mpsc::channel(NEWS_KEPT);
        let task = tokio::spawn(keep(options, worker, sender));
        Self { news: Mutex::new(news), task }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl WorkerSession for Presence {
    async fn news(&self) -> SessionNews {
        match self.news.lock().await.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}

/// Holds a session until nobody wants its news any more.
async fn keep(options: PgConnectOptions, worker: WorkerId, news: mpsc::Sender<SessionNews>) {
    let (mut pause, mut was_held) = (SHORTEST_PAUSE, false);
    loop {
        match tokio::time::timeout(PATIENCE, hold(&options, worker)).await {
            Ok(Ok(session)) => {
                if was_held && news.send(SessionNews::Regained).await.is_err() {
                    return;
                }
                (pause, was_held) = (SHORTEST_PAUSE, true);
                match look(session, worker, &news).await {
                    Ended::Lost(error) => {
                        tracing::debug!(error, "The session of this worker was lost; it is made anew");
                    }
                    Ended::Unwanted => return,
                }
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "This worker has no session; its jobs are taken back by time if it dies");
            }
            Err(_) => tracing::debug!("The server did not give this worker a session in time"),
        }
        let jitter = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep(pause.mul_f64(jitter)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A session that holds the worker's lock. It is shared, so that nobody waits for a session of the same worker that the
/// server has not missed yet.
async fn hold(options: &PgConnectOptions, worker: WorkerId) -> Result<PgConnection, sqlx::Error> {
    let mut session = options.connect().await?;
    sqlx::query("SELECT pg_advisory_lock_shared($1)").bind(worker.0).execute(&mut session).await?;
    Ok(session)
}

/// Why looking ended.
enum Ended {
    /// The session did.
    Lost(String),
    /// Nobody wants the news any more.
    Unwanted,
}

/// Looks at the others until the session is lost.
async fn look(mut session: PgConnection, own: WorkerId, news: &mpsc::Sender<SessionNews>) -> Ended {
    let mut others = Others::default();
    loop {
        let workers = sqlx::query_as(WORKERS).fetch_all(&mut session);
        let workers: Vec<(i64, bool)> = match tokio::time::timeout(PATIENCE, workers).await {
            Ok(Ok(workers)) => workers,
            Ok(Err(error)) => return Ended::Lost(error.to_string()),
            Err(_) => return Ended::Lost("the server did not answer in time".to_owned()),
        };
        let others_alone = workers.into_iter().filter(|(worker, _)| *worker != own.0);
        for (worker, ago) in others.see(others_alone, Instant::now()) {
            if news.send(SessionNews::Ended { worker, ago }).await.is_err() {
                return Ended::Unwanted;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What one session has seen of those of other workers.
#[derive(Default)]
struct Others(HashMap<i64, Seen>);

enum Seen {
    Held,
    Gone {
        since: Instant,
        /// How often that was said.
        said: usize,
    },
}

impl Others {
    /// Takes in who holds a lock; answers who is to be taken for gone now, and since how long. Whoever was never seen to
    /// hold one is waited for by time.
    fn see(&mut self, workers: impl Iterator<Item = (i64, bool)>, now: Instant) -> Vec<(WorkerId, Duration)> {
        let mut gone = Vec::new();
        let mut before = std::mem::take(&mut self.0);
        for (worker, holds) in workers {
            let seen = match (holds, before.remove(&worker)) {
                (true, _) => Seen::Held,
                (false, None) => continue,
                (false, Some(Seen::Held)) => Seen::Gone { since: now, said: 0 },
                (false, Some(Seen::Gone { since, mut said })) => {
                    let ago = now.duration_since(since);
                    if SAID_AFTER.get(said).is_some_and(|after| ago >= *after) {
                        gone.push((WorkerId(worker), ago));
                        said += 1;
                    }
                    Seen::Gone { since, said }
                }
            };
            self.0.insert(worker, seen);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What is said at each look, in milliseconds from the first.
    fn said(looks: &[(u32, &[(i64, bool)])]) -> Vec<(u32, i64, u128)> {
        let (mut others, began) = (Others::default(), Instant::now());
        let mut said = Vec::new();
        for (at, workers) in looks {
            let gone = others.see(workers.iter().copied(), began + MS * *at);
            said.extend(gone.into_iter().map(|(worker, ago)| (*at, worker.0, ago.as_millis())));
        }
        said
    }

    #[test]
    fn a_lock_that_is_gone_is_said_after_a_moment_and_a_few_times_more() {
        let (held, gone): (&[_], &[_]) = (&[(1, true), (2, true)], &[(1, false), (2, true)]);
        let looks =
            [0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750, 2_000, 3_000, 5_000, 8_000, 12_000, 60_000];
        let looks: Vec<_> = looks.iter().map(|at| (*at, if *at == 0 { held } else { gone })).collect();
        let at = [1_000, 1_500, 2_000, 3_000, 5_000, 8_000, 12_000];
        let expected = at.map(|at| (at, 1, u128::from(at - 250)));
        assert_eq!(said(&looks), expected);
    }

    #[test]
    fn who_comes_back_in_time_leaves_or_never_held_a_lock_is_not_taken_for_dead() {
        let back: [(u32, &[_]); 4] =
            [(0, &[(1, true)]), (250, &[(1, false)]), (900, &[(1, true)]), (1_100, &[(1, true)])];
        assert_eq!(said(&back), []);
        let again: [(u32, &[_]); 4] =
            [(0, &[(1, true)]), (250, &[(1, false)]), (500, &[(1, true)]), (1_500, &[(1, false)])];
        assert_eq!(said(&again), [], "the moment is counted anew");
        let left: [(u32, &[_]); 3] = [(0, &[(1, true)]), (250, &[]), (9_000, &[(1, false)])];
        assert_eq!(said(&left), []);
        let never: [(u32, &[_]); 2] = [(0, &[(1, false)]), (9_000, &[(1, false)])];
        assert_eq!(said(&never), []);
    }
}
