//! Accepting connections, with bounds that a library's default server does not set.

use std::{convert::Infallible, io, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::{client::Peer, limits::MOST_STREAMS, patient::Patient};

/// Open connections: every event stream there may be, and as many that ask. Each is bound in time or by its own limit, so
/// that none of them stays for nothing.
const MOST_CONNECTIONS: usize = 2 * MOST_STREAMS;
/// Files of everything else: the database, its locks, location databases, connections to providers.
const OTHER_FILES: usize = 256;
/// A request's head that has not come by then never will.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
const MOST_HEADERS: usize = 64;
const LARGEST_HEAD: usize = 32 * 1024;
/// An answer of which its reader takes nothing for so long is given up. Long enough for a pause in a pipe behind `curl`.
const READER_PATIENCE: Duration = Duration::from_mins(1);
/// Answers in the making get this long after we were asked to stop.
const PATIENCE: Duration = Duration::from_secs(4);
/// After an error of accepting (no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `shutdown` fires, then lets answers in the making end.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(room_for_connections()));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "Cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = connections.watch(connection(stream, peer, router.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(error = &error as &dyn std::error::Error, "A connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(PATIENCE, connections.shutdown()).await.is_err() {
        debug!("Some connections were cut");
    }
}

/// As many connections as there may be, or as this process may have open files, of which it asks for enough.
fn room_for_connections() -> usize {
    let wanted = (MOST_CONNECTIONS + OTHER_FILES) as u64;
    let limit = getrlimit(Resource::Nofile);
    let mut files = limit.current.unwrap_or(wanted);
    if files < wanted {
        let more = limit.maximum.map_or(wanted, |most| most.min(wanted));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum: limit.maximum }).is_ok() {
            files = more;
        }
    }
    let room = usize::try_from(files.min(wanted)).unwrap_or(MOST_CONNECTIONS);
    let connections = room.saturating_sub(OTHER_FILES).clamp(room / 2, MOST_CONNECTIONS).max(1);
    if connections < MOST_CONNECTIONS {
        warn!(
            connections,
            open_files = files,
            "Only {connections} connections at once: this process may have {files} open files; allow it {wanted} \
             (`ulimit -n {wanted}`, or `LimitNOFILE={wanted}` in its unit)"
        );
    }
    connections
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    // A place first: who has to wait waits in the kernel's queue, where it costs nothing.
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Answers are written whole; waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    Ok((stream, peer.ip(), place))
}

fn connection(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
) -> http1::Connection<
    TokioIo<Patient<TcpStream>>,
    impl hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send>,
> {
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, READER_PATIENCE)), service)
}
