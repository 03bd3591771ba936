use hostatlas_domain::{Coverage, Forecast};
use leptos::prelude::*;

use crate::{
    components::CoverageBar,
    format::{address, duration, grouped, percent},
};

/// The share that is located, how long the rest takes, and the counts of each state.
#[component]
pub fn Hero(
    /// The counts.
    coverage: Coverage,
    /// How long what is left takes with each provider.
    forecast: Vec<Forecast>,
) -> impl IntoView {
    let locatable = coverage.total.saturating_sub(coverage.not_applicable);
    let (next, note) = what_is_next(&coverage);
    let reasons = match coverage.unlocated_reasons.values().filter(|count| **count > 0).count() {
        0 => "none".to_owned(),
        1 => "1 reason".to_owned(),
        reasons => format!("{reasons} reasons"),
    };
    let fresh = coverage.located.saturating_sub(coverage.stale);
    view! {
        <section class="card coverhero" aria-label="Located share" id="coverage-hero" data-live>
            <div class="coverhero__fig">
                <span class="big">{coverage.percent_located.map_or_else(|| "–".to_owned(), percent)}</span>
                <span class="sub2">{format!("located, of {} that can have a place", grouped(locatable))}</span>
            </div>
            <div class="coverhero__eta">
                <strong class="strong">{next}</strong>
                <span class="sub2">{note}</span>
                {forecast_words(&forecast).map(|words| view! { <span class="sub2">{words}</span> })}
            </div>
            <div class="coverhero__bar cover">
                <CoverageBar coverage=coverage.clone() height=28 />
                <div class="scale" aria-hidden="true">
                    {[0, 25, 50, 75, 100]
                        .map(|mark| {
                            view! {
                                <span style=format!("--v:{mark}")>
                                    {if mark == 100 { "100\u{a0}%".to_owned() } else { mark.to_string() }}
                                </span>
                            }
                        })
                        .collect_view()}
                </div>
            </div>
            <div class="coverkeys">
                <Tile state="located" label="Located" tone="ok" count=coverage.located note=format!("{} fresh", grouped(fresh)) />
                <Tile state="stale" label="Stale" tone="warn" pattern="stale" count=coverage.stale note="of the located" />
                <Tile state="pending" label="Pending" tone="info" pattern="pending" count=coverage.pending note="not looked up yet" />
                <Tile state="unlocated" label="Unlocated" tone="bad" count=coverage.unlocated note=reasons />
                <Tile
                    state="not_applicable"
                    label="Not applicable"
                    tone="mute"
                    count=coverage.not_applicable
                    note="private, special"
                />
            </div>
        </section>
    }
}

/// What is left to do, and a note on it.
fn what_is_next(coverage: &Coverage) -> (String, String) {
    match (coverage.pending, coverage.pending_unqueued) {
        _ if coverage.total == 0 => {
            ("No hosts yet".to_owned(), "nothing has been imported that could have a place".to_owned())
        }
        (0, _) if coverage.unlocated == 0 => {
            ("Nothing is missing".to_owned(), "every host that can have a place has one".to_owned())
        }
        (0, _) => ("Nothing is pending".to_owned(), "what is left was looked up and not found".to_owned()),
        (pending, 0) => {
            (format!("{} pending", grouped(pending)), "all of them have a job in the queue".to_owned())
        }
        (pending, bare) => {
            (format!("{} pending", grouped(pending)), format!("{} of them have no job", grouped(bare)))
        }
    }
}

/// How many hosts are in a state; leads to them.
#[component]
fn Tile(
    /// As a query names it.
    state: &'static str,
    label: &'static str,
    tone: &'static str,
    #[prop(optional)] pattern: Option<&'static str>,
    count: u64,
    #[prop(into)] note: String,
) -> impl IntoView {
    view! {
        <a class="stat" data-tone=tone href=address("/hosts", &[("q", &format!("state:{state}"))])>
            <span class="stat__label">
                <i class="key" data-tone=tone data-pattern=pattern></i>
                {label}
            </span>
            <span class="stat__value">{grouped(count)}</span>
            <span class="stat__note">{note}</span>
        </a>
    }
}

/// `41,200 left: about 27 h with ip-api, 1 s with a database`; `None` where nothing is left.
fn forecast_words(forecast: &[Forecast]) -> Option<String> {
    let left = forecast.iter().map(|one| one.hosts).max().filter(|hosts| *hosts > 0)?;
    let mut known: Vec<(&str, u64)> =
        forecast.iter().filter_map(|one| Some((one.provider.as_str(), one.seconds?))).collect();
    known.sort_by_key(|(_, seconds)| std::cmp::Reverse(*seconds));
    let parts: Vec<String> =
        known.into_iter().map(|(provider, seconds)| with_provider(provider, seconds)).collect();
    let known = if parts.is_empty() { "how long cannot be said".to_owned() } else { parts.join(", ") };
    Some(format!("{} left: {known}", grouped(left)))
}

/// `about 27 h with ip-api`
fn with_provider(provider: &str, seconds: u64) -> String {
    let name = if provider == "mmdb" { "a database" } else { provider };
    #[expect(clippy::cast_precision_loss, reason = "a forecast is far below 2^52 seconds")]
    let time = duration(seconds.max(1) as f64);
    if seconds < 60 { format!("{time} with {name}") } else { format!("about {time} with {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forecast_names_the_slowest_first_and_says_nothing_when_nothing_is_left() {
        let of = |provider: &str, hosts, seconds| Forecast { provider: provider.to_owned(), hosts, seconds };
        let left =
            [of("mmdb", 41_200, Some(1)), of("ip-api", 41_200, Some(97_200)), of("ipinfo", 41_200, None)];
        assert_eq!(
            forecast_words(&left).as_deref(),
            Some("41,200 left: about 27\u{a0}h with ip-api, 1\u{a0}s with a database")
        );
        assert_eq!(forecast_words(&[of("mmdb", 0, Some(0))]), None);
    }
}
