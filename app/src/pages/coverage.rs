use hostatlas_domain::{
    CountryCoverage, Coverage, Forecast, LookupCost, ProviderCoverage, RecentResult, Run, Timestamp,
    UnlocatedReason,
};
use hostatlas_services::{Permission, Selection, Services};
use leptos::prelude::*;

use super::page;
use crate::{
    ApiError,
    api::{authorize, services},
    components::{
        Ago, Card, Chrome, Column, CoverageBar, DataTable, FormNotice, Icon, Live, LocationBadge, RunCard,
        Tab, cost_words,
    },
    format::{address, duration, grouped, percent, share},
};

/// Countries in the table.
const COUNTRIES: usize = 20;
/// Latest results in the list.
const RECENT: u32 = 12;

struct Loaded {
    coverage: Coverage,
    countries: Vec<CountryCoverage>,
    providers: Vec<ProviderCoverage>,
    recent: Vec<RecentResult>,
    run: Option<Run>,
    forecast: Vec<Forecast>,
    /// What locating what is missing, and refreshing what is stale, would send to whom.
    costs: [Option<String>; 2],
    now: Timestamp,
}

async fn load() -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let services = services()?;
    let coverage = services.coverage();
    Ok(Loaded {
        coverage: coverage.get().await?,
        countries: coverage.countries().await?,
        providers: coverage.providers().await?,
        recent: coverage.recent(RECENT).await?,
        run: services.runs().latest().await?,
        forecast: services.providers().forecast().await?,
        costs: costs(&services).await?,
        now: services.now(),
    })
}

async fn costs(services: &Services) -> Result<[Option<String>; 2], ApiError> {
    let providers = services.providers();
    if providers.cost_of_asking_all().third_parties.is_empty() {
        return Ok([None, None]);
    }
    let statuses = providers.list().await?;
    let missing = providers.cost(&Selection::Missing, false).await?;
    let stale = providers.cost(&Selection::Stale, false).await?;
    let words = |cost: LookupCost| cost_words(&cost, &statuses).filter(|_| cost.hosts > 0);
    Ok([words(missing), words(stale)])
}

/// How much of what was found is located, what is missing, and the buttons that mend it.
#[component]
pub fn CoveragePage() -> impl IntoView {
    let content = page(load(), sheet);
    view! {
        <Chrome title="Coverage" tab=Tab::Coverage>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="coverage jobs" />
    }
}

fn sheet(loaded: Loaded) -> impl IntoView {
    let Loaded { coverage, countries, providers, recent, run, forecast, costs, now } = loaded;
    let [missing_cost, stale_cost] = costs;
    let located = coverage.located;
    view! {
        <div class="pagehead">
            <h1>"Coverage"</h1>
            <p class="lede" id="coverage-total" data-live>
                {format!("{} hosts, counted at {}", grouped(coverage.total), now.to_readable())}
            </p>
        </div>
        <Hero coverage=coverage.clone() forecast />
        <section class="card" aria-labelledby="mend-head">
            <div class="card__head">
                <h2 id="mend-head">"Close the gap"</h2>
                <span class="card__note">"A run looks up at once, in this process; queued jobs go through the worker and can be paused."</span>
            </div>
            <div class="card__body mend">
                <div class="btn-row">
                    <RunForm
                        selection="missing"
                        icon="locate"
                        class="btn btn--primary"
                        word="Locate what is missing"
                        count=coverage.pending + coverage.unlocated
                    />
                    <RunForm selection="stale" icon="refresh" class="btn" word="Refresh what is stale" count=coverage.stale />
                </div>
                <div class="stack" style="--gap:2px" id="run-costs" data-live>
                    {missing_cost.map(|cost| view! { <p class="hint">"What is missing: " {cost}</p> })}
                    {stale_cost.map(|cost| view! { <p class="hint">"What is stale: " {cost}</p> })}
                </div>
                <div class="btn-row">
                    <QueueForm what="due" q="" word="Queue what is due" />
                    <QueueForm what="query" q="state:stale" word="Queue what is stale" />
                </div>
                <RunCard run />
            </div>
        </section>
        <div class="cols cols--3-2">
            <div class="stack">
                <Reasons coverage=coverage.clone() />
                <Countries countries located />
            </div>
            <div class="stack">
                <Providers providers located />
                <Recent recent now />
            </div>
        </div>
    }
}

#[component]
fn RunForm(
    selection: &'static str,
    icon: &'static str,
    class: &'static str,
    word: &'static str,
    count: u64,
) -> impl IntoView {
    view! {
        <form method="post" action="/api/fn/runs/start" data-run>
            <input type="hidden" name="selection" value=selection />
            <button type="submit" class=class>
                <Icon name=icon />
                {word}
                " "
                <span class="count" id=format!("count-{selection}") data-live>
                    {grouped(count)}
                </span>
            </button>
        </form>
    }
}

#[component]
fn QueueForm(what: &'static str, q: &'static str, word: &'static str) -> impl IntoView {
    view! {
        <form method="post" action="/api/fn/jobs/queue">
            <input type="hidden" name="what" value=what />
            <input type="hidden" name="q" value=q />
            <button type="submit" class="btn">
                <Icon name="jobs" />
                {word}
            </button>
        </form>
    }
}

#[component]
fn Hero(coverage: Coverage, forecast: Vec<Forecast>) -> impl IntoView {
    let locatable = coverage.total.saturating_sub(coverage.not_applicable);
    let tile = |tone: &'static str,
                pattern: Option<&'static str>,
                label: &'static str,
                state: &'static str,
                count: u64,
                note: String| {
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
    };
    let next = match (coverage.pending, coverage.pending_unqueued) {
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
    };
    let reasons = coverage.unlocated_reasons.values().filter(|count| **count > 0).count();
    let fresh = coverage.located.saturating_sub(coverage.stale);
    view! {
        <section class="card coverhero" aria-label="Located share" id="coverage-hero" data-live>
            <div class="coverhero__fig">
                <span class="big">{coverage.percent_located.map_or_else(|| "–".to_owned(), percent)}</span>
                <span class="sub2">{format!("located, of {} that can have a place", grouped(locatable))}</span>
            </div>
            <div class="coverhero__eta">
                <strong class="strong">{next.0}</strong>
                <span class="sub2">{next.1}</span>
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
                {tile("ok", None, "Located", "located", coverage.located, format!("{} fresh", grouped(fresh)))}
                {tile("warn", Some("stale"), "Stale", "stale", coverage.stale, "of the located".to_owned())}
                {tile("info", Some("pending"), "Pending", "pending", coverage.pending, "not looked up yet".to_owned())}
                {tile(
                    "bad",
                    None,
                    "Unlocated",
                    "unlocated",
                    coverage.unlocated,
                    match reasons {
                        0 => "none".to_owned(),
                        1 => "1 reason".to_owned(),
                        reasons => format!("{reasons} reasons"),
                    },
                )}
                {tile("mute", None, "Not applicable", "not_applicable", coverage.not_applicable, "private, special".to_owned())}
            </div>
        </section>
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

/// What to do about hosts that are unlocated for this reason.
fn mend(reason: UnlocatedReason) -> &'static str {
    match reason {
        UnlocatedReason::NoRecord | UnlocatedReason::NullIsland => {
            "Tried again when a newer database is there."
        }
        UnlocatedReason::NoDatabase => {
            "Put a city database for this address family into mmdb/, then queue again."
        }
        UnlocatedReason::RateLimited | UnlocatedReason::Unreachable => "Tried again within the hour, or now.",
        UnlocatedReason::Rejected => "Set a valid key, then queue again.",
        UnlocatedReason::Malformed | UnlocatedReason::Poison | UnlocatedReason::Failed => {
            "See the jobs for what failed."
        }
    }
}

#[component]
fn Reasons(coverage: Coverage) -> impl IntoView {
    let most = coverage.unlocated_reasons.values().copied().max().unwrap_or(0);
    let mut rows: Vec<(UnlocatedReason, u64)> = UnlocatedReason::ALL
        .into_iter()
        .filter_map(|reason| coverage.unlocated_reasons.get(reason.slug()).map(|count| (reason, *count)))
        .filter(|(_, count)| *count > 0)
        .collect();
    rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let empty = rows.is_empty();
    let row = move |(reason, count): (UnlocatedReason, u64)| {
        let term = format!("reason:{}", reason.slug());
        view! {
            <li data-tone="bad">
                <div class="reasons__top">
                    <span>{reason.label()}</span>
                    <strong>{grouped(count)}</strong>
                </div>
                <span class="hbar">
                    <span style=format!("--v:{:.1}", share(count, most))></span>
                </span>
                <div class="reasons__fix">
                    <a class="mono sub" href=address("/hosts", &[("q", &term)])>
                        {term.clone()}
                    </a>
                    <span class="hint">{mend(reason)}</span>
                    <form class="push" method="post" action="/api/fn/jobs/queue">
                        <input type="hidden" name="what" value="query" />
                        <input type="hidden" name="q" value=term.clone() />
                        <button type="submit" class="btn btn--sm" aria-label=format!("Queue again: {}", reason.label())>
                            "Queue again"
                        </button>
                    </form>
                </div>
            </li>
        }
    };
    view! {
        <Card id="reasons-head" title="Why unlocated">
            <div id="reasons" data-live>
                {empty.then(|| view! { <p class="card__body sub">"No host was looked up in vain."</p> })}
                <ul class="reasons">{rows.into_iter().map(row).collect_view()}</ul>
            </div>
        </Card>
    }
}

#[component]
fn Countries(countries: Vec<CountryCoverage>, located: u64) -> impl IntoView {
    let most = countries.first().map_or(0, |country| country.hosts);
    let more = countries.len().saturating_sub(COUNTRIES);
    let row = move |country: CountryCoverage| {
        let code = country.country_code.clone();
        let name = country.country.unwrap_or_else(|| "Not named".to_owned());
        let link = match &code {
            Some(code) => {
                let href = address("/hosts", &[("q", &format!("country:{code}"))]);
                view! {
                    <a class="plain" href=href>
                        {name}
                    </a>
                }
                .into_any()
            }
            None => name.into_any(),
        };
        view! {
            <tr>
                <th scope="row">{code.map(|code| view! { <span class="cc">{code}</span> " " })} {link}</th>
                <td class="num">{grouped(country.hosts)}</td>
                <td>
                    <span class="hbar">
                        <span style=format!("--v:{:.1}", share(country.hosts, most))></span>
                    </span>
                </td>
                <td class="num sub">{percent(share(country.hosts, located))}</td>
                <td class="num">{percent(share(country.precise, country.hosts))}</td>
            </tr>
        }
    };
    let columns = vec![
        Column::text("Country"),
        Column::number("Hosts"),
        Column::unseen("Bar").class("w30"),
        Column::number("Share"),
        Column::number("To the city"),
    ];
    let beside =
        (more > 0).then(|| view! { <span class="push card__note">{format!("and {more} more")}</span> });
    view! {
        <Card id="countries-head" title="By country" beside=beside.into_any()>
            <DataTable
                caption="Located hosts by country, most first"
                columns
                class="covertable"
                scrolls="By country"
                id="countries"
            >
                {countries.into_iter().take(COUNTRIES).map(row).collect_view()}
            </DataTable>
        </Card>
    }
}

#[component]
fn Providers(providers: Vec<ProviderCoverage>, located: u64) -> impl IntoView {
    let row = move |provider: ProviderCoverage| {
        view! {
            <tr>
                <th scope="row">
                    <span class="mono">{provider.provider}</span>
                </th>
                <td class="num">{grouped(provider.hosts)}</td>
                <td class="num sub">{percent(share(provider.hosts, located))}</td>
            </tr>
        }
    };
    let columns = vec![Column::text("Provider"), Column::number("Located"), Column::number("Share")];
    let all = view! {
        <a class="push card__note" href="/providers">
            "Providers"
        </a>
    };
    view! {
        <Card id="providers-head" title="By provider" beside=all.into_any()>
            <DataTable
                caption="Located hosts by provider"
                columns
                class="covertable"
                scrolls="By provider"
                id="providers"
            >
                {providers.into_iter().map(row).collect_view()}
            </DataTable>
        </Card>
    }
}

#[component]
fn Recent(recent: Vec<RecentResult>, now: Timestamp) -> impl IntoView {
    let empty = recent.is_empty();
    let row = move |result: RecentResult| {
        let detail = match result.provider {
            Some(provider) => format!("{} · {provider}", result.summary),
            None => result.summary,
        };
        view! {
            <li>
                <LocationBadge state=result.location_state />
                <span class="recent__main">
                    <a class="addr" href=format!("/hosts/{}", result.ip)>
                        {result.ip.to_string()}
                    </a>
                    <span class="hostrow__sub">{detail}</span>
                </span>
                <span class="sub">
                    <Ago at=result.attempted_at now />
                </span>
            </li>
        }
    };
    view! {
        <Card id="recent-head" title="Recent results">
            <div id="recent" data-live>
                {empty.then(|| view! { <p class="card__body sub">"Nothing was looked up yet."</p> })}
                <ul class="recent">{recent.into_iter().map(row).collect_view()}</ul>
            </div>
        </Card>
    }
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
