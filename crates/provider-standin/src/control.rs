//! `/control`: what a person turns while it runs.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use hostatlas_domain::ProviderName;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    desk::{Desk, Statistics},
    fault::Fault,
    http::{Request, Response},
    server::Shared,
};

/// What `POST /control` takes; whatever is absent stays as it is.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    /// Whom the next four are for; absent for all.
    provider: Option<String>,
    /// A fault's name, `none` for none.
    fault: Option<String>,
    /// For how many requests the fault stays; absent for ever.
    requests: Option<u32>,
    down: Option<bool>,
    /// Forgets counts, windows, bans and faults first.
    #[serde(default)]
    reset: bool,
    latency_ms: Option<u64>,
    jitter_ms: Option<u64>,
    error_rate: Option<f64>,
    unlimited: Option<bool>,
    /// 0 for the published lengths.
    window_seconds: Option<u64>,
    /// 0 for the published numbers.
    permits: Option<u32>,
}

#[derive(Serialize)]
struct State {
    fault: Option<&'static str>,
    down: bool,
    statistics: Statistics,
}

/// Answers a request to `/control`.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Response {
    if request.method == "POST" {
        let outcome = serde_json::from_slice(&request.body)
            .map_err(|error| error.to_string())
            .and_then(|command| apply(shared, &command));
        if let Err(problem) = outcome {
            return Response::json(400, &json!({ "error": problem }));
        }
    }
    state(shared)
}

fn providers() -> impl Iterator<Item = ProviderName> {
    ProviderName::ASKED.into_iter().filter(|provider| provider.is_online())
}

fn apply(shared: &Shared, command: &Command) -> Result<(), String> {
    let chosen: Vec<ProviderName> = match &command.provider {
        None => providers().collect(),
        Some(name) => {
            vec![name.parse().map_err(|error: hostatlas_domain::UnknownProvider| error.to_string())?]
        }
    };
    let fault = match command.fault.as_deref() {
        None => None,
        Some("none") => Some(None),
        Some(name) => Some(Some(name.parse::<Fault>().map_err(|error| error.to_string())?)),
    };
    for provider in chosen {
        shared.with_desk(provider, |desk| {
            if command.reset {
                *desk = Desk::default();
            }
            if let Some(fault) = fault {
                (desk.fault, desk.fault_requests) = (fault, command.requests);
            }
            desk.down = command.down.unwrap_or(desk.down);
        });
    }
    let settings = &mut *shared.settings();
    if let Some(millis) = command.latency_ms {
        settings.latency = Duration::from_millis(millis);
    }
    if let Some(millis) = command.jitter_ms {
        settings.jitter = Duration::from_millis(millis);
    }
    if let Some(seconds) = command.window_seconds {
        settings.window = (seconds > 0).then(|| Duration::from_secs(seconds));
    }
    if let Some(permits) = command.permits {
        settings.permits = (permits > 0).then_some(permits);
    }
    settings.error_rate = command.error_rate.unwrap_or(settings.error_rate).clamp(0.0, 1.0);
    settings.unlimited = command.unlimited.unwrap_or(settings.unlimited);
    Ok(())
}

fn state(shared: &Shared) -> Response {
    let providers: BTreeMap<&str, State> = providers()
        .map(|provider| {
            let state = shared.with_desk(provider, |desk| State {
                fault: desk.fault.map(Fault::slug),
                down: desk.down,
                statistics: desk.statistics,
            });
            (provider.name(), state)
        })
        .collect();
    let settings = shared.settings().clone();
    Response::json(
        200,
        &json!({
            "seed": shared.world.seed,
            "latency_ms": settings.latency.as_millis(),
            "jitter_ms": settings.jitter.as_millis(),
            "error_rate": settings.error_rate,
            "unlimited": settings.unlimited,
            "window_seconds": settings.window.map(|window| window.as_secs()),
            "permits": settings.permits,
            "redirects_followed": shared.trapped.load(Ordering::Relaxed),
            "providers": providers,
            "faults": Fault::ALL.iter().map(|fault| fault.slug()).collect::<Vec<_>>(),
        }),
    )
}
