use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::failure::Failure;

/// Starts the log on standard error: for people on a terminal, as JSON elsewhere. `filter` is that of the
/// configuration, `fallback` the command's own: commands that people wait for log warnings alone.
pub fn start(filter: Option<&str>, fallback: &str) -> Result<(), Failure> {
    let directives = filter.unwrap_or(fallback);
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        Failure::error(format!("`log`: `{directives}` is not a log filter: {error}"))
            .with_hint("write it as `info`, or as `info,hostatlas=debug`")
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::NONE);
    // tracing-subscriber 0.3.20 and later escape control characters in both forms.
    let started = if io::stderr().is_terminal() {
        log.compact().with_target(false).try_init()
    } else {
        log.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
    started.map_err(|error| Failure::error(format!("cannot start the log: {error}")))
}
