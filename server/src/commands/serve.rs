use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use hostatlas_services::{Error, OpenMode, Services, WorkerOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::worker::DEFAULT_CONCURRENCY;
use crate::{
    context::{Context, Opening},
    failure::{Exit, Failure},
    http::{self, AllowedHosts, Site},
    shutdown::Shutdown,
};

/// How often a server without the worker role asks for it: its holder may have ended.
const ROLE_RETRY: Duration = Duration::from_secs(10);
/// A worker that stopped after so long did run: that it stopped is said although the reason is the same as before.
const RAN_FOR: Duration = Duration::from_secs(10);
/// Longer than a worker gives what is in flight before it hands it back, so that nothing waits for a lease to run out.
const WORKER_PATIENCE: Duration = Duration::from_secs(7);

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Loopback address and port; port 0 takes a free one [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Run no jobs in this process
    #[arg(long)]
    no_worker: bool,
}

pub async fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    // The port first: who starts a second server by mistake should not wait for databases to learn it.
    let listener = bind(context.configuration.listen).await?;
    context.warn_of_unused_settings();
    let services = context.services(Opening::waiting(OpenMode::Create)).await?;
    let shutdown = Shutdown::listen()?;
    let site = Site::new(&context.configuration.site);
    if !site.is_built() {
        context.printer.warning(&format!(
            "there is no built site in `{}`: pages have neither style nor map\nhint: run `cargo xtask site` in the checkout \
             and serve from there, or name its folder with HOSTATLAS_SITE",
            context.configuration.site.display()
        ));
    }
    let allowed = AllowedHosts::new(&context.configuration.allowed_hosts, context.configuration.listen);
    let router = http::router(services.clone(), &site, allowed, shutdown.token());
    let address =
        listener.local_addr().map_err(|error| cannot_listen(context.configuration.listen, &error))?;
    if arguments.no_worker {
        services.place_sites().await;
    }
    let worker = (!arguments.no_worker).then(|| tokio::spawn(work(services, shutdown.token())));
    info!(database = %context.configuration.database, "Serving http://{address}");
    context.printer.note(&format!("hostatlas serves http://{address}  (Ctrl-C stops it)"));
    http::serve(listener, router, shutdown.token()).await;
    if let Some(worker) = worker
        && tokio::time::timeout(WORKER_PATIENCE, worker).await.is_err()
    {
        info!("The worker was stopped in the middle of a batch; its jobs run again");
    }
    Ok(shutdown.exit(Exit::Done))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen(address, &error))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AddrInUse => Failure::error(format!("`{address}` is in use by another program"))
            .with_hint("stop it, or choose another port: `hostatlas serve --listen 127.0.0.1:3001`"),
        io::ErrorKind::PermissionDenied => Failure::error(format!("this user may not listen on `{address}`"))
            .with_hint("choose a port above 1023: `hostatlas serve --listen 127.0.0.1:3000`"),
        _ => Failure::error(format!("cannot listen on `{address}`: {error}"))
            .with_hint("choose another address: `hostatlas serve --listen 127.0.0.1:3001`"),
    }
}

/// Runs jobs until `shutdown`. While another process is the worker, or none can run, it says why once, and takes over when
/// that ends.
async fn work(services: Services, shutdown: CancellationToken) {
    let mut said = None;
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        let options =
            WorkerOptions { command: "serve", concurrency: DEFAULT_CONCURRENCY, kinds: None, drain: false };
        let ended = services.worker(options).run(shutdown.clone()).await;
        if began.elapsed() > RAN_FOR {
            said = None;
        }
        match ended {
            Ok(_) => said = None,
            Err(Error::WorkerRoleHeld { holder }) => {
                if said.as_ref() != Some(&holder) {
                    info!("Serving without a worker: another process is the worker ({holder})");
                    said = Some(holder);
                }
            }
            Err(error) if error.is_schema_newer() => {
                let hint = error.hint().unwrap_or_default();
                error!("No jobs are run here any more: {error}; {hint}, and restart this server with it");
                return;
            }
            Err(error) => {
                let why = error.to_string();
                if said.as_ref() != Some(&why) {
                    error!(
                        error = &error as &dyn std::error::Error,
                        "The worker stopped: {error}; it is started again until it runs"
                    );
                    said = Some(why);
                }
            }
        }
        let _ = tokio::time::timeout(ROLE_RETRY, shutdown.cancelled()).await;
    }
}
