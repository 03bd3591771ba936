use std::time::Duration;

use hostatlas_domain::{LimitUnit, LimitWindow, ProviderName};

use crate::world::World;

const MINUTE: Duration = Duration::from_mins(1);

/// How the stand-in behaves. Everything may be changed while it runs, but the world.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it answers.
    pub world: World,
    /// Every answer comes so much later.
    pub latency: Duration,
    /// And up to so much later still.
    pub jitter: Duration,
    /// The share of requests that end with 500, from 0 to 1.
    pub error_rate: f64,
    /// No limits at all.
    pub unlimited: bool,
    /// Every window is as long as this instead of its own length; calendar days and months become rolling windows.
    pub window: Option<Duration>,
    /// Every limit allows so many instead of its own number.
    pub permits: Option<u32>,
    /// More requests than this to a closed window, and the provider bans; `None` where it never does.
    pub ban_after: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            world: World { seed: 1, unknown_one_in: 40, gap_one_in: 25 },
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            error_rate: 0.0,
            unlimited: false,
            window: None,
            permits: None,
            ban_after: Some(20),
        }
    }
}

/// One published limit of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is counted.
    pub unit: LimitUnit,
    /// How many in a window.
    pub permits: u32,
    /// A window begins with its first request.
    pub window: LimitWindow,
}

/// What each provider publishes: the limit of single requests, and that of batches where it is another.
pub fn quotas(provider: ProviderName) -> &'static [Quota] {
    const fn calls(permits: u32, window: LimitWindow) -> Quota {
        Quota { unit: LimitUnit::Calls, permits, window }
    }
    const fn addresses(permits: u32, window: LimitWindow) -> Quota {
        Quota { unit: LimitUnit::Addresses, permits, window }
    }
    match provider {
        ProviderName::IpApi => {
            const { &[calls(45, LimitWindow::Rolling(MINUTE)), calls(15, LimitWindow::Rolling(MINUTE))] }
        }
        ProviderName::Ipinfo => const { &[addresses(50_000, LimitWindow::Month)] },
        ProviderName::Freeipapi => const { &[calls(60, LimitWindow::Rolling(MINUTE))] },
        ProviderName::Ipgeolocation | ProviderName::Maxmind => {
            const { &[addresses(1_000, LimitWindow::Day)] }
        }
        ProviderName::Ipwhois => const { &[calls(1, LimitWindow::Rolling(Duration::from_secs(1)))] },
        ProviderName::Custom1 | ProviderName::Custom2 | ProviderName::Custom3 | ProviderName::Custom4 => {
            const { &[calls(600, LimitWindow::Rolling(MINUTE))] }
        }
        ProviderName::IpinfoLite | ProviderName::Mmdb | ProviderName::Manual | ProviderName::Site => &[],
    }
}
