mod facets;

use facets::{FacetCounts, Facets};
use hostatlas_domain::{HostSort, HostSummary, Page, ProblemCode, Timestamp, UnknownHostSort};
use hostatlas_services::{HostCount, Permission};
use leptos::prelude::*;

use super::{LIMIT, page, query};
use crate::{
    ApiError,
    api::{authorize, hosts::search_hosts, services},
    components::{Chrome, FormNotice, HostTable, Icon, Live, QueryChips, Tab},
    format::{address, counted, grouped, sentence},
};

/// How far matches are counted, by themselves and for the facets. Counting on would take longer than anybody reads.
const COUNT_CAP: u32 = 10_000;

/// What the host list shows.
struct Loaded {
    page: Page<HostSummary>,
    count: HostCount,
    facets: FacetCounts,
    total: u64,
    sort: HostSort,
    /// Why nothing matches.
    nothing_because: Option<String>,
    now: Timestamp,
}

async fn load(q: String, sort: String, cursor: String) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let services = services()?;
    let sort: HostSort = match sort.as_str() {
        "" => HostSort::default(),
        word => word.parse().map_err(|error: UnknownHostSort| {
            ApiError::new(ProblemCode::InvalidRequest, &error.to_string())
        })?,
    };
    let page = search_hosts(q.clone(), sort, cursor, LIMIT).await?;
    let hosts = services.hosts();
    let facets = FacetCounts::of(&hosts, &q, COUNT_CAP).await?;
    let count = match facets.matching(&q) {
        // What facets have counted to the end is not counted again.
        Some(all) if all.exact => all,
        first => {
            let count = hosts.count(&q, COUNT_CAP.into()).await?;
            HostCount { hosts: count.hosts.max(first.map_or(0, |first| first.hosts)), ..count }
        }
    };
    let total = services.coverage().get().await?.total;
    let nothing_because = if page.items.is_empty() { hosts.nothing_because(&q).await? } else { None };
    Ok(Loaded { page, count, facets, total, sort, nothing_because, now: services.now() })
}

/// The host list: search, facets by state, pages by key.
#[component]
pub fn HostsPage() -> impl IntoView {
    let (q, cursor) = (query("q"), query("cursor"));
    let shown = q.clone();
    let content =
        page(load(q.clone(), query("sort"), cursor.clone()), move |loaded| list(&shown, &cursor, loaded));
    view! {
        <Chrome title="Hosts" tab=Tab::Hosts query=q.clone()>
            <QueryChips q path="/hosts" />
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="coverage imports" />
    }
}

fn list(q: &str, cursor: &str, loaded: Loaded) -> impl IntoView + use<> {
    let Loaded { page, count, facets, total, sort, nothing_because, now } = loaded;
    let matches = match (q.is_empty(), count.exact) {
        (true, _) => counted(total, "host", "hosts"),
        (false, true) => {
            let verb = if count.hosts == 1 { "matches" } else { "match" };
            format!("{} of {} {verb}, exact count", grouped(count.hosts), grouped(total))
        }
        // What is rare may begin behind all that was looked at.
        (false, false) if count.hosts == 0 => format!("none of {} found to match so far", grouped(total)),
        // Either so many match, or so many were found as far as was looked.
        (false, false) => format!("at least {} of {} match", grouped(count.hosts), grouped(total)),
    };
    let first = cursor.is_empty();
    let order = if sort == HostSort::Address { "by address" } else { "newest first" };
    let rows = counted(u64::try_from(page.items.len()).unwrap_or(0), "row", "rows");
    let start = address("/hosts", &[("q", q), ("sort", sort_slug(sort))]);
    let next = page.next_cursor.as_ref().map(|cursor| address(&start, &[("cursor", cursor)]));
    let empty = page.items.is_empty() && next.is_none() && first;
    let none_here = page.items.is_empty();
    let map = address("/", &[("q", q)]);
    view! {
        <div class="pagehead">
            <h1>"Hosts"</h1>
            <p class="lede" id="host-count" data-live>
                {matches}
            </p>
            <div class="push">
                <a href=map class="btn">
                    <Icon name="map" />
                    "Show on map"
                </a>
            </div>
        </div>
        <div class="cols cols--side-main">
            <Facets counts=facets q=q.to_owned() />
            <div class="table-wrap">
                {if empty {
                    view! { <NoHosts searched=!q.is_empty() because=nothing_because /> }.into_any()
                } else if none_here {
                    view! { <NoneHere more=next.is_some() /> }.into_any()
                } else {
                    view! { <HostTable hosts=page.items sort sortable=q.is_empty() now /> }.into_any()
                }}
                <nav class="pager" aria-label="Pages">
                    <span>{format!("{rows}, {order}")}</span>
                    <span class="btn-row">
                        {(!first)
                            .then(|| {
                                view! {
                                    <a class="btn btn--sm" href=start.clone()>
                                        "First page"
                                    </a>
                                }
                            })}
                        {next
                            .map(|next| {
                                view! {
                                    <a class="btn btn--sm" rel="next" href=next>
                                        "Next"
                                    </a>
                                }
                            })}
                    </span>
                </nav>
                {(!empty).then(|| view! { <Export q=q.to_owned() /> })}
            </div>
        </div>
    }
}

fn sort_slug(sort: HostSort) -> &'static str {
    if sort == HostSort::Address { "" } else { sort.slug() }
}

/// A page on which nothing matches, of a list that goes on or began before it.
#[component]
fn NoneHere(more: bool) -> impl IntoView {
    let (head, words) = if more {
        (
            "No match among the hosts of this page",
            "A page looks at some thousand hosts. The next one looks at those after them.",
        )
    } else {
        ("No further host matches", "The hosts before are on the pages before.")
    };
    view! {
        <div class="empty">
            <h2>{head}</h2>
            <p>{words}</p>
        </div>
    }
}

/// All that match as a file.
#[component]
fn Export(q: String) -> impl IntoView {
    let link = |(format, word): (&str, &'static str)| {
        let href = address("/api/v1/hosts/export", &[("q", &q), ("format", format)]);
        view! {
            <a class="btn btn--sm" href=href>
                {word}
            </a>
        }
    };
    let links = [("csv", "CSV"), ("ndjson", "NDJSON"), ("addresses", "Addresses")].map(link).collect_view();
    let what = if q.is_empty() { "Export all hosts" } else { "Export all that match" };
    view! {
        <div class="pager" role="group" aria-labelledby="export">
            <span id="export">{what}</span>
            <span class="btn-row">{links}</span>
        </div>
    }
}

/// Nothing matches, and what would.
#[component]
fn NoHosts(searched: bool, because: Option<String>) -> impl IntoView {
    if searched {
        view! {
            <div class="empty">
                <h2>"No host matches"</h2>
                {because.map(|because| view! { <p id="nothing-because">{sentence(&because)}</p> })}
                <p>"A search may name an address, a block, a country, a city, a port, an AS number or an organization, and all terms must hold."</p>
                <ul class="examples">
                    {["192.0.2.0/24", "country:DE port:443", "city:\"San Jose\"", "AS15169", "org:Telekom", "state:stale"]
                        .map(|example| {
                            view! {
                                <li>
                                    <a class="mono" href=address("/hosts", &[("q", example)])>
                                        {example}
                                    </a>
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
                <a class="btn" href="/hosts">
                    "Show all hosts"
                </a>
            </div>
        }
        .into_any()
    } else {
        view! {
            <div class="empty">
                <h2>"No host has been imported yet"</h2>
                <p>"Give hostatlas what a scanner wrote; masscan, nmap and zmap output and plain lists of addresses are recognised by their content."</p>
                <p>
                    <code>"hostatlas import scan.json"</code>
                </p>
            </div>
        }
        .into_any()
    }
}
