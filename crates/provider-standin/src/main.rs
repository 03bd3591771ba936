//! `provider-standin`: the stand-in for a person to try hostatlas against.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use clap::Parser;
use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::{Settings, StandIn, World};

/// A server on loopback that speaks as the online geolocation providers do, with their limits.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8600")]
    listen: SocketAddr,
    /// Every answer comes so much later.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// And up to so much later still.
    #[arg(long, default_value_t = 0)]
    jitter_ms: u64,
    /// Every limit's window is as long as this, instead of a minute, a day or a month.
    #[arg(long)]
    window_seconds: Option<u64>,
    /// Without limits.
    #[arg(long)]
    unlimited: bool,
    /// The share of requests that end with 500, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    error_rate: f64,
    /// Another seed is another world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    anyhow::ensure!(
        arguments.listen.ip().is_loopback(),
        "the stand-in listens on loopback only, such as 127.0.0.1:8600"
    );
    let defaults = Settings::default();
    let settings = Settings {
        world: World { seed: arguments.seed, ..defaults.world },
        latency: Duration::from_millis(arguments.latency_ms),
        jitter: Duration::from_millis(arguments.jitter_ms),
        window: arguments.window_seconds.map(|seconds| Duration::from_secs(seconds.max(1))),
        unlimited: arguments.unlimited,
        error_rate: arguments.error_rate.clamp(0.0, 1.0),
        ..defaults
    };
    let stand_in = StandIn::listen(arguments.listen, settings).await?;
    #[expect(clippy::print_stdout, reason = "a person reads and pastes this")]
    {
        print!("{}", instructions(&stand_in));
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// What to paste into the shell that hostatlas is started from.
fn instructions(stand_in: &StandIn) -> String {
    let providers: Vec<ProviderName> = ProviderName::ASKED
        .into_iter()
        .filter(|provider| provider.is_online() && !provider.name().starts_with("custom"))
        .collect();
    let names: Vec<_> = providers.iter().map(|provider| provider.name()).collect();
    let mut text = String::new();
    let mut line = |line: String| {
        // Writing to a String never fails.
        let _ = writeln!(text, "{line}");
    };
    line(
        "# Paste where hostatlas is started; leave out of HOSTATLAS_PROVIDERS whom you do not want."
            .to_owned(),
    );
    line(format!("export HOSTATLAS_PROVIDERS={}", names.join(",")));
    for provider in providers {
        let name = provider.name().to_uppercase().replace('-', "_");
        line(format!("export HOSTATLAS_PROVIDER_{name}_URL={}", stand_in.base_url(provider)));
        line(format!("export HOSTATLAS_PROVIDER_{name}_ALLOW_PRIVATE=1"));
    }
    line("export IPINFO_TOKEN=stand-in IPGEOLOCATION_API_KEY=stand-in".to_owned());
    line("export HOSTATLAS_PROVIDER_MAXMIND_ACCOUNT=1 HOSTATLAS_PROVIDER_MAXMIND_KEY=stand-in".to_owned());
    line(format!("# What it saw, and every fault's name: curl http://{}/control", stand_in.address()));
    line(format!(
        "# A fault, until \"none\": curl -d '{{\"provider\":\"ip-api\",\"fault\":\"reset-in-body\"}}' http://{}/control",
        stand_in.address()
    ));
    text
}
