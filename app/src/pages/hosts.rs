use hostatlas_domain::{Coverage, HostSort, HostSummary, Page, Timestamp};
use hostatlas_services::{HostCount, Permission};
use leptos::prelude::*;

use super::{LIMIT, page, query};
use crate::{
    ApiError,
    api::{authorize, coverage::get_coverage, hosts::search_hosts, services},
    components::{Chrome, FormNotice, HostTable, Icon, Live, Tab},
    format::{address, counted, grouped, share},
};

/// How far matches are counted. Counting on would take longer than anybody reads.
const COUNT_CAP: u64 = 10_000;

/// What the host list shows.
struct Loaded {
    page: Page<HostSummary>,
    count: HostCount,
    coverage: Coverage,
    now: Timestamp,
}

async fn load(q: String, sort: HostSort, cursor: String) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let services = services()?;
    let page = search_hosts(q.clone(), sort, cursor, LIMIT).await?;
    let count = services.hosts().count(&q, COUNT_CAP).await?;
    Ok(Loaded { page, count, coverage: get_coverage().await?, now: services.now() })
}

/// The host list: search, facets by state, pages by key.
#[component]
pub fn HostsPage() -> impl IntoView {
    let (q, cursor) = (query("q"), query("cursor"));
    let sort = HostSort::from_slug(&query("sort")).filter(|_| q.is_empty()).unwrap_or_default();
    let shown = q.clone();
    let content =
        page(load(q.clone(), sort, cursor.clone()), move |loaded| list(&shown, sort, &cursor, loaded));
    view! {
        <Chrome title="Hosts" tab=Tab::Hosts query=q>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="coverage imports" />
    }
}

fn list(q: &str, sort: HostSort, cursor: &str, loaded: Loaded) -> impl IntoView + use<> {
    let Loaded { page, count, coverage, now } = loaded;
    let matches = match (q.is_empty(), count.exact) {
        (true, _) => counted(coverage.total, "host", "hosts"),
        (false, true) => {
            let verb = if count.hosts == 1 { "matches" } else { "match" };
            format!("{} of {} {verb}, exact count", grouped(count.hosts), grouped(coverage.total))
        }
        (false, false) => {
            format!("more than {} match, counted to {}", grouped(COUNT_CAP), grouped(COUNT_CAP))
        }
    };
    let first = cursor.is_empty();
    let order = if sort == HostSort::Address { "by address" } else { "newest first" };
    let rows = counted(u64::try_from(page.items.len()).unwrap_or(0), "row", "rows");
    let start = address("/hosts", &[("q", q), ("sort", sort_slug(sort))]);
    let next = page.next_cursor.as_ref().map(|cursor| address(&start, &[("cursor", cursor)]));
    let empty = page.items.is_empty() && next.is_none() && first;
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
            <Facets coverage=coverage.clone() q=q.to_owned() />
            <div class="table-wrap">
                {if empty {
                    view! { <NoHosts searched=!q.is_empty() /> }.into_any()
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
            </div>
        </div>
    }
}

fn sort_slug(sort: HostSort) -> &'static str {
    if sort == HostSort::Address { "" } else { sort.slug() }
}

/// Nothing matches, and what would.
#[component]
fn NoHosts(searched: bool) -> impl IntoView {
    if searched {
        view! {
            <div class="empty">
                <h2>"No host matches"</h2>
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

#[component]
fn Facets(coverage: Coverage, q: String) -> impl IntoView {
    let most = coverage.located.max(coverage.pending).max(coverage.unlocated).max(coverage.not_applicable);
    let facet = |icon: &'static str, word: &'static str, state: &'static str, count: u64| {
        let term = format!("state:{state}");
        let current = (q == term).then_some("true");
        view! {
            <li>
                <a href=address("/hosts", &[("q", &term)]) aria-current=current style=format!("--v:{:.1}", share(count, most))>
                    <span>
                        <Icon name=icon small=true />
                        " "
                        {word}
                    </span>
                    <span class="n">{grouped(count)}</span>
                </a>
            </li>
        }
    };
    view! {
        <div class="facets only-wide" role="group" aria-label="Facets">
            <section class="facet">
                <h2>"Location state, all hosts"</h2>
                <ul id="facet-states" data-live>
                    {facet("located", "Located", "located", coverage.located)}
                    {facet("stale", "Stale", "stale", coverage.stale)}
                    {facet("pending", "Pending", "pending", coverage.pending)}
                    {facet("unlocated", "Unlocated", "unlocated", coverage.unlocated)}
                    {facet("na", "Not applicable", "not_applicable", coverage.not_applicable)}
                </ul>
            </section>
        </div>
    }
}
