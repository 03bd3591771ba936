use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use hostatlas_domain::{Job, JobId, Topic};
use hostatlas_store::Changes;
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Services;

/// How long the poller waits for a nudge before it asks the store anyway: what another process commits has to reach a
/// page within two seconds.
const LONGEST_WAIT: Duration = Duration::from_millis(400);
/// The least time between two polls, however often they are asked for: this is what coalesces.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// How often database files are checked for replacement: one `stat` a file.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// A subscriber that falls further behind is told that everything changed.
const BACKLOG: usize = 64;

/// Something that live pages react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Something under this topic changed.
    Changed(Topic),
    /// This job, which the subscriber watches, changed.
    Job(JobId),
}

/// What changed, whichever process changed it.
#[derive(Clone)]
pub struct Events {
    services: Services,
}

/// One poller a process, however many pages listen.
pub(crate) struct Hub {
    sender: broadcast::Sender<Topic>,
    started: AtomicBool,
    nudge: Notify,
    over: CancellationToken,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(BACKLOG).0,
            started: AtomicBool::new(false),
            nudge: Notify::new(),
            over: CancellationToken::new(),
        }
    }
}

impl Hub {
    /// Polls soon, since this process has just written.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Stops polling: the store is about to close.
    pub(crate) fn stop(&self) {
        self.over.cancel();
    }

    /// Begins to poll, the first time.
    pub(crate) fn start(&self, services: &Services) {
        if !self.started.swap(true, Ordering::AcqRel) {
            let (services, over) = (services.clone(), self.over.clone());
            tokio::spawn(async move { over.run_until_cancelled(poll(services)).await });
        }
    }
}

impl Events {
    pub(crate) fn new(services: Services) -> Self {
        Self { services }
    }

    /// The topics that change from now on, coalesced: at most one event a topic and tenth of a second.
    ///
    /// Must be called inside a tokio runtime. The stream ends with the process.
    pub fn subscribe(&self) -> impl Stream<Item = Event> + Send + 'static + use<> {
        self.topics().map(Event::Changed)
    }

    /// As [`Events::subscribe`], and an event for each of these jobs whenever it changed.
    pub fn subscribe_with_jobs(
        &self,
        jobs: Vec<JobId>,
    ) -> impl Stream<Item = Event> + Send + 'static + use<> {
        let watched =
            jobs.into_iter().map(|id| self.watch_job(id).skip(1).map(move |_| Event::Job(id)).boxed());
        stream::select(self.subscribe(), stream::select_all(watched))
    }

    /// The job as it is, and again whenever it changed; ends when there is no such job (any more).
    pub fn watch_job(&self, id: JobId) -> impl Stream<Item = Job> + Send + 'static + use<> {
        let services = self.services.clone();
        let moments = stream::once(async { Topic::Jobs }).chain(self.topics()).filter(|topic| {
            let is_jobs = *topic == Topic::Jobs;
            async move { is_jobs }
        });
        let states = moments.then(move |_| {
            let services = services.clone();
            async move { services.store().job_get(id).await }
        });
        states
            .take_while(|job| {
                let exists = !matches!(job, Err(hostatlas_store::StoreError::UnknownJob(_)));
                async move { exists }
            })
            .filter_map(|job| async move { job.ok() })
            .scan(None, |last: &mut Option<Job>, job| {
                let changed = last.as_ref() != Some(&job);
                *last = Some(job.clone());
                async move { Some(changed.then_some(job)) }
            })
            .filter_map(|job| async move { job })
            .boxed()
    }

    fn topics(&self) -> impl Stream<Item = Topic> + Send + 'static + use<> {
        let hub = self.services.hub();
        hub.start(&self.services);
        let receiver = hub.sender.subscribe();
        stream::unfold(receiver, |mut receiver| async move {
            let topics = match receiver.recv().await {
                Ok(topic) => vec![topic],
                Err(broadcast::error::RecvError::Lagged(_)) => Topic::ALL.to_vec(),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((stream::iter(topics), receiver))
        })
        .flatten()
        .boxed()
    }
}

/// Asks the store for change numbers for as long as the process lives, and keeps the map's places and the database
/// files fresh on the way.
async fn poll(services: Services) {
    let mut known: Option<Changes> = None;
    let mut reloaded = Instant::now();
    let mut failing = false;
    loop {
        match services.store().changes().await {
            Ok(changes) => {
                if failing {
                    info!("Live pages get news again");
                }
                failing = false;
                for topic in known.iter().flat_map(|known| changes.since(known)) {
                    if topic == Topic::Map {
                        // A page that asks as soon as it hears of the change must find it.
                        services.map_index().refresh_if_used(services.store()).await;
                    }
                    // Nobody listening is no failure.
                    let _ = services.hub().sender.send(topic);
                }
                known = Some(changes);
            }
            Err(error) if !failing => {
                failing = true;
                warn!(
                    error = &error as &dyn std::error::Error,
                    "Live pages get no news: the store does not answer"
                );
            }
            Err(_) => {}
        }
        if reloaded.elapsed() >= RELOAD_INTERVAL {
            reloaded = Instant::now();
            crate::worker::reload_databases(&services).await;
        }
        tokio::time::sleep(SHORTEST_INTERVAL).await;
        let _ = tokio::time::timeout(LONGEST_WAIT, services.hub().nudge.notified()).await;
    }
}
