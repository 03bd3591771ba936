mod hero;
mod imports;
mod tables;

use hostatlas_domain::{
    CountryCoverage, Coverage, Forecast, Import, LookupCost, Page, ProviderCoverage, RecentResult, Run,
    Timestamp,
};
use hostatlas_services::{Permission, Selection, Services};
use leptos::prelude::*;

use self::{
    hero::Hero,
    imports::Imports,
    tables::{Countries, Providers, Reasons, Recent},
};
use super::page;
use crate::{
    ApiError,
    api::{authorize, imports::list_imports, services},
    components::{Chrome, FormNotice, Icon, Live, RunCard, Tab, cost_words},
    format::{counted, grouped},
};

/// Latest results in the list.
const RECENT: u32 = 12;
/// Latest imports in the table.
const IMPORTS: u32 = 10;

struct Loaded {
    coverage: Coverage,
    countries: Vec<CountryCoverage>,
    providers: Vec<ProviderCoverage>,
    recent: Vec<RecentResult>,
    imports: Page<Import>,
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
        imports: list_imports(String::new(), IMPORTS).await?,
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
        <Live topics="coverage jobs imports" />
    }
}

fn sheet(loaded: Loaded) -> impl IntoView {
    let Loaded { coverage, countries, providers, recent, imports, run, forecast, costs, now } = loaded;
    let [missing_cost, stale_cost] = costs;
    let located = coverage.located;
    view! {
        <div class="pagehead">
            <h1>"Coverage"</h1>
            <p class="lede" id="coverage-total" data-live>
                {format!("{}, counted at {}", counted(coverage.total, "host", "hosts"), now.to_readable())}
            </p>
        </div>
        <Hero coverage=coverage.clone() forecast />
        <section class="card" id="actions" aria-labelledby="mend-head">
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
        <Imports more=imports.next_cursor.is_some() imports=imports.items now />
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
