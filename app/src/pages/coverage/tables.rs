use hostatlas_domain::{
    CountryCoverage, Coverage, ProviderCoverage, RecentResult, Timestamp, UnlocatedReason,
};
use leptos::prelude::*;

use crate::{
    components::{Ago, Card, Column, DataTable, LocationBadge},
    format::{address, grouped, percent, share},
};

/// Countries in the table.
const COUNTRIES: usize = 20;

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

/// Why hosts are unlocated, with what mends it.
#[component]
pub fn Reasons(
    /// The counts.
    coverage: Coverage,
) -> impl IntoView {
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

/// Located hosts by country.
#[component]
pub fn Countries(
    /// The countries, most hosts first.
    countries: Vec<CountryCoverage>,
    /// All located hosts.
    located: u64,
) -> impl IntoView {
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
            <div id="countries" data-live>
                {if countries.is_empty() {
                    view! { <NobodyLocated /> }.into_any()
                } else {
                    view! {
                        <DataTable
                            caption="Located hosts by country, most first"
                            columns
                            class="covertable"
                            scrolls="By country"
                        >
                            {countries.into_iter().take(COUNTRIES).map(row).collect_view()}
                        </DataTable>
                    }
                    .into_any()
                }}
            </div>
        </Card>
    }
}

/// Located hosts by provider.
#[component]
pub fn Providers(
    /// The providers.
    providers: Vec<ProviderCoverage>,
    /// All located hosts.
    located: u64,
) -> impl IntoView {
    let row = move |provider: ProviderCoverage| {
        view! {
            <tr>
                <th scope="row">
                    <a class="plain mono" href=address("/hosts", &[("q", &format!("provider:{}", provider.provider))])>
                        {provider.provider.clone()}
                    </a>
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
            <div id="providers" data-live>
                {if providers.is_empty() {
                    view! { <NobodyLocated /> }.into_any()
                } else {
                    view! {
                        <DataTable
                            caption="Located hosts by provider"
                            columns
                            class="covertable"
                            scrolls="By provider"
                        >
                            {providers.into_iter().map(row).collect_view()}
                        </DataTable>
                    }
                    .into_any()
                }}
            </div>
        </Card>
    }
}

/// A table of nothing would be a head alone.
#[component]
fn NobodyLocated() -> impl IntoView {
    view! { <p class="card__body sub">"No host is located yet."</p> }
}

/// The latest results.
#[component]
pub fn Recent(
    /// The results, newest first.
    recent: Vec<RecentResult>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
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
