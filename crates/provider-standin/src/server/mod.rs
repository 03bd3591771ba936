mod exchange;
mod unreachable;
mod wire;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hostatlas_domain::{ProviderName, Timestamp};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    cities::City,
    desk::{Desk, Statistics},
    fault::Fault,
    http::{Request, Requests, Response},
    settings::Settings,
    world::World,
};
use exchange::Exchange;
use unreachable::Unreachable;

/// The server. Ends, with all its connections, when dropped.
pub struct StandIn {
    shared: Arc<Shared>,
    unreachable: Unreachable,
    _tasks: JoinSet<()>,
}

/// What connections share.
pub(crate) struct Shared {
    pub(crate) address: SocketAddr,
    pub(crate) origin: String,
    pub(crate) world: World,
    settings: Mutex<Settings>,
    desks: Mutex<BTreeMap<ProviderName, Desk>>,
    /// Requests of all kinds, by which jitter and errors are drawn.
    pub(crate) count: AtomicU64,
    /// Requests that followed a redirect.
    pub(crate) trapped: AtomicU64,
    started: Instant,
    epoch: Timestamp,
}

/// The path under which `provider` is served: its name.
pub fn prefix(provider: ProviderName) -> &'static str {
    provider.name()
}

impl StandIn {
    /// Serves on a free port of 127.0.0.1.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await
    }

    /// Serves on `address`.
    pub async fn listen(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            address,
            origin: format!("http://{address}"),
            world: settings.world,
            settings: Mutex::new(settings),
            desks: Mutex::default(),
            count: AtomicU64::new(0),
            trapped: AtomicU64::new(0),
            started: Instant::now(),
            epoch: Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(0)),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        let unreachable = Unreachable::open(&mut tasks).await?;
        Ok(Self { shared, unreachable, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The base URL of `provider`, with a slash at its end.
    pub fn base_url(&self, provider: ProviderName) -> String {
        format!("{}/{}/", self.shared.origin, prefix(provider))
    }

    /// The base URL of `provider` under `fault`: that of its own, or for faults of the connection one that has them.
    pub fn base_url_under(&self, provider: ProviderName, fault: Fault) -> String {
        let origin = self.unreachable.origin(fault).unwrap_or_else(|| self.shared.origin.clone());
        format!("{origin}/{}/", prefix(provider))
    }

    /// `provider` has `fault` from now on.
    pub fn set_fault(&self, provider: ProviderName, fault: Fault) {
        self.shared.with_desk(provider, |desk| (desk.fault, desk.fault_requests) = (Some(fault), None));
    }

    /// `provider` has `fault` for the next `requests` requests.
    pub fn set_fault_for(&self, provider: ProviderName, fault: Fault, requests: u32) {
        self.shared
            .with_desk(provider, |desk| (desk.fault, desk.fault_requests) = (Some(fault), Some(requests)));
    }

    /// `provider` works again.
    pub fn clear_fault(&self, provider: ProviderName) {
        self.shared.with_desk(provider, |desk| desk.fault = None);
    }

    /// `provider` resets every connection, until it is up again.
    pub fn set_down(&self, provider: ProviderName, down: bool) {
        self.shared.with_desk(provider, |desk| desk.down = down);
    }

    /// Forgets counts, windows, bans and faults of `provider`.
    pub fn reset(&self, provider: ProviderName) {
        self.shared.with_desk(provider, |desk| *desk = Desk::default());
    }

    /// Changes how it behaves. The world stays.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.settings());
    }

    /// What `provider` saw and did so far.
    pub fn statistics(&self, provider: ProviderName) -> Statistics {
        self.shared.with_desk(provider, |desk| desk.statistics)
    }

    /// How often a redirect was followed.
    pub fn trapped(&self) -> u64 {
        self.shared.trapped.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Where `address` truly is; `None` where nobody knows.
    pub fn city(&self, address: IpAddr) -> Option<&'static City> {
        self.shared.world.city(address)
    }

    /// The whole world of this stand-in.
    pub fn world(&self) -> World {
        self.shared.world
    }

    /// What a request would be answered at once, without a connection, latency or faults of the wire: for simulations
    /// of many hours.
    pub fn answer(&self, request: Request) -> Response {
        self.shared.exchange(request).response
    }
}

impl Shared {
    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_desk<T>(&self, provider: ProviderName, act: impl FnOnce(&mut Desk) -> T) -> T {
        act(self.desks.lock().unwrap_or_else(PoisonError::into_inner).entry(provider).or_default())
    }

    /// The wall's time at the start and tokio's since, so that tests may stop it.
    pub(crate) fn now(&self) -> Timestamp {
        self.epoch.plus(self.started.elapsed())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(&shared)));
                }
                // Out of file descriptors: some come back.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            // Ended conversations are let go, or a long run would keep them all.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(mut stream: TcpStream, shared: Arc<Shared>) {
    // A failure only means that the last small packet waits for the one before.
    let _ = stream.set_nodelay(true);
    let mut requests = Requests::new();
    while let Some(request) = requests.next(&mut stream).await {
        let Exchange { response, transport, delay } = shared.exchange(request);
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if !wire::deliver(&mut stream, &response, transport).await.unwrap_or(false) {
            return;
        }
    }
}
