//! The hostatlas program: command line, web server and worker in one.

// As in `hostatlas-app`, whose pages are compiled here.
#![recursion_limit = "512"]

mod arguments;
mod commands;
mod configuration;
mod context;
mod failure;
mod http;
mod logging;
mod numbers;
mod printer;
mod progress;
mod shutdown;
mod stores;

use std::{process::ExitCode, time::Duration};

use arguments::{Arguments, Command};
use clap::Parser;
use configuration::Configuration;
use context::Context;
use failure::{Exit, Failure};
use printer::Printer;

/// A blocked read of standard input outlives its command; the process does not wait for it.
const PATIENCE_WITH_THREADS: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(&arguments.output);
    match start(arguments, &printer) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.exit())
        }
    }
}

fn start(arguments: Arguments, printer: &Printer) -> Result<Exit, Failure> {
    let configuration = Configuration::load(&arguments.flags())?;
    logging::start(configuration.log.as_deref(), arguments.log_filter())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("cannot start threads: {error}")))?;
    let context = Context::new(configuration, printer);
    let result = runtime.block_on(run(&context, arguments.command));
    runtime.shutdown_timeout(PATIENCE_WITH_THREADS);
    result
}

async fn run(context: &Context<'_>, command: Command) -> Result<Exit, Failure> {
    let result = match command {
        Command::Serve(arguments) => commands::serve::run(context, arguments).await,
        Command::Worker(arguments) => commands::worker::run(context, arguments).await,
        Command::Import(arguments) => commands::import::run(context, arguments).await,
        Command::Geolocate(arguments) => commands::geolocate::run(context, arguments).await,
        Command::Lookup(arguments) => commands::lookup::run(context, arguments).await,
        Command::Providers(arguments) => commands::providers::run(context, arguments).await,
        Command::Hosts(action) => commands::hosts::run(context, action).await,
        Command::Jobs(action) => commands::jobs::run(context, action).await,
        Command::Workers => commands::workers::run(context).await,
        Command::Schedules(arguments) => commands::schedules::run(context, arguments).await,
        Command::Stats(action) => commands::stats::run(context, action).await,
        Command::Doctor => commands::doctor::run(context).await,
        Command::Config(action) => commands::config::run(context, &action).await,
        Command::Mmdb(action) => commands::mmdb::run(context, action).await,
        Command::Db(action) => commands::db::run(context, action).await,
    };
    context.close().await;
    result
}
