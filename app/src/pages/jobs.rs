use hostatlas_domain::{Job, JobCounts, JobKind, JobState, KindStatus, Page, Timestamp, WorkerStatus};
use hostatlas_services::Permission;
use leptos::prelude::*;

use super::{LIMIT, page, query};
use crate::{
    ApiError,
    api::{
        authorize,
        jobs::{get_job_kinds, list_jobs},
        services,
        workers::list_workers,
    },
    components::{Ago, Badge, Chrome, FormNotice, Icon, JobTable, Live, QueueTab, QueueTabs, Tab, job_signs},
    format::{address, counted, grouped},
};

/// The form that acts on ticked jobs.
const FORM: &str = "jobs-form";

/// The filter, as the address bar has it.
#[derive(Clone, Debug, Default)]
struct Filter {
    state: String,
    kind: String,
    ip: String,
    cursor: String,
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.state.is_empty() && self.kind.is_empty() && self.ip.is_empty()
    }

    fn address(&self, state: &str, cursor: &str) -> String {
        address("/jobs", &[("state", state), ("kind", &self.kind), ("ip", &self.ip), ("cursor", cursor)])
    }
}

struct Loaded {
    kinds: Vec<KindStatus>,
    page: Page<Job>,
    workers: Vec<WorkerStatus>,
    now: Timestamp,
}

async fn load(filter: Filter) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let now = services()?.now();
    let kinds = get_job_kinds().await?;
    let Filter { state, kind, ip, cursor } = filter;
    let page = list_jobs(state, kind, ip, cursor, LIMIT).await?;
    // Only a job that runs names a process.
    let names_worker = page.items.iter().any(|job| job.worker.is_some());
    let workers = if names_worker { list_workers().await? } else { Vec::new() };
    Ok(Loaded { kinds, page, workers, now })
}

/// The queue: kinds, states with counts, filters, the list with bulk actions, and the form that queues jobs.
#[component]
pub fn JobsPage() -> impl IntoView {
    let filter =
        Filter { state: query("state"), kind: query("kind"), ip: query("ip"), cursor: query("cursor") };
    let shown = filter.clone();
    let content = page(load(filter), move |loaded| queue(&shown, loaded));
    view! {
        <Chrome title="Jobs" tab=Tab::Jobs>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="jobs" />
    }
}

fn queue(filter: &Filter, loaded: Loaded) -> impl IntoView + use<> {
    let Loaded { kinds, page, workers, now } = loaded;
    let waiting: u64 = kinds.iter().map(|kind| kind.counts.waiting()).sum();
    let running: u64 = kinds.iter().map(|kind| kind.counts.running).sum();
    let oldest = kinds.iter().filter_map(|kind| kind.oldest_waiting).min();
    let chosen: Option<JobKind> = filter.kind.parse().ok();
    let mut counts = JobCounts::default();
    for kind in kinds.iter().filter(|kind| chosen.is_none_or(|chosen| chosen == kind.kind)) {
        for state in JobState::ALL {
            counts.add(state, kind.counts.of(state));
        }
    }
    let filter = filter.clone();
    view! {
        <div class="pagehead">
            <h1>"Jobs"</h1>
            <p class="lede" id="jobs-lede" data-live>
                {format!("{} waiting, {} running", grouped(waiting), grouped(running))}
                {oldest.map(|at| view! { ", oldest waiting " <Ago at now /> })}
            </p>
            <QueueTabs current=QueueTab::Jobs />
        </div>
        <div class="kinds">{kinds.into_iter().map(|kind| view! { <Kind kind now /> }).collect_view()}</div>
        <QueueForm />
        <div class="table-wrap">
            <StateTabs filter=filter.clone() counts />
            <Filters filter=filter.clone() />
            <Bulk filter=filter.clone() counts />
            <div class="newrows" id="new-rows" hidden>
                <a class="btn btn--sm btn--quiet" href=filter.address(&filter.state, "")>
                    <Icon name="up" />
                    <span data-new-count></span>
                </a>
            </div>
            <List filter page workers now />
        </div>
    }
}

#[component]
fn Kind(kind: KindStatus, now: Timestamp) -> impl IntoView {
    let KindStatus { kind, counts, paused_at, served, oldest_waiting, cap } = kind;
    let slug = kind.slug();
    let (action, icon, word) = if paused_at.is_some() {
        ("/api/fn/jobs/resume", "play", "Resume")
    } else {
        ("/api/fn/jobs/pause", "pause", "Pause")
    };
    let waiting = format!("{} waiting, {} running", grouped(counts.waiting()), grouped(counts.running));
    view! {
        <section class="kind" aria-label=slug>
            <h2>
                {slug} " " <small>{format!("priority {}", kind.default_priority().get())}</small>
            </h2>
            <form method="post" action=action id=format!("pause-{slug}") data-live>
                <input type="hidden" name="kind" value=slug />
                <button
                    type="submit"
                    id=format!("pause-{slug}-button")
                    class=if paused_at.is_some() { "btn btn--sm" } else { "btn btn--sm btn--quiet" }
                    aria-label=format!("{word} {slug}")
                >
                    <Icon name=icon />
                    {word}
                </button>
            </form>
            <div class="kind__state" id=format!("kind-{slug}") data-live>
                {paused_at
                    .map(|at| {
                        view! {
                            <p>
                                <Badge tone="warn" icon="pause" word=view! { "Paused " <Ago at now /> } />
                            </p>
                        }
                    })} <p>{waiting} {oldest_waiting.map(|at| view! { ", oldest " <Ago at now /> })}</p>
                {(!served).then(|| view! { <p class="sub">"No worker serves this kind yet."</p> })}
            </div>
            {served.then(|| view! { <Cap slug cap /> })}
        </section>
    }
}

/// How many of a kind may run at once over all processes, and the form that changes it.
#[component]
fn Cap(slug: &'static str, #[prop(optional_no_strip)] cap: Option<u32>) -> impl IntoView {
    let shown = cap.map_or_else(
        || "As many at once as the workers like".to_owned(),
        |cap| format!("At most {} at once", grouped(cap.into())),
    );
    view! {
        <details class="kind__cap" id=format!("cap-{slug}") data-live>
            <summary>{shown}</summary>
            <form method="post" action="/api/fn/jobs/cap" data-swap>
                <input type="hidden" name="kind" value=slug />
                <label for=format!("cap-{slug}-number")>"At most"</label>
                <input
                    class="input"
                    id=format!("cap-{slug}-number")
                    name="cap"
                    type="number"
                    min="1"
                    max="4294967295"
                    placeholder="any"
                    value=cap
                />
                <span>"at once"</span>
                <button type="submit" class="btn btn--sm" id=format!("cap-{slug}-save") aria-label=format!("Save the bound of {slug}")>
                    "Save"
                </button>
                <p class="hint">"Over all processes and machines; empty for as many as they like."</p>
            </form>
        </details>
    }
}

#[component]
fn QueueForm() -> impl IntoView {
    let choice = |value: &'static str, word: &'static str, checked: bool| {
        view! {
            <label class="radio-label">
                <input type="radio" class="radio" name="what" value=value checked=checked />
                {word}
            </label>
        }
    };
    view! {
        <section class="card" aria-labelledby="queue-head">
            <form class="queueform" method="post" action="/api/fn/jobs/queue">
                <h2 id="queue-head">"Geolocate hosts"</h2>
                <fieldset>
                    <legend class="visually-hidden">"Which hosts"</legend>
                    {choice("due", "What is due", true)} {choice("all", "All", false)} {choice("query", "Those that match", false)}
                </fieldset>
                <label class="visually-hidden" for="queue-q">
                    "Query"
                </label>
                <input
                    class="input mono"
                    id="queue-q"
                    name="q"
                    type="text"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    maxlength="1024"
                    placeholder="country:DE state:stale"
                />
                <label class="check-label">
                    <input class="check" type="checkbox" name="force" value="true" />
                    "Force: bypass age and cache"
                </label>
                <button type="submit" class="btn btn--primary">
                    <Icon name="plus" />
                    "Queue jobs"
                </button>
            </form>
        </section>
    }
}

#[component]
fn StateTabs(filter: Filter, counts: JobCounts) -> impl IntoView {
    // Counters are kept by kind and state; of one host the list itself is the count.
    let counted = filter.ip.is_empty();
    let tab = |slug: &'static str,
               word: &'static str,
               signs: Option<(&'static str, &'static str)>,
               count: u64| {
        view! {
            <a
                href=filter.address(slug, "")
                data-tone=signs.map(|(tone, _)| tone)
                aria-current=(filter.state == slug).then_some("page")
            >
                {signs.map(|(_, icon)| view! { <Icon name=icon /> })}
                {word}
                {counted
                    .then(|| {
                        view! {
                            " "
                            <span class="count" id=format!("count-{}", if slug.is_empty() { "all" } else { slug }) data-live>
                                {grouped(count)}
                            </span>
                        }
                    })}
            </a>
        }
    };
    let order = [
        JobState::Available,
        JobState::Running,
        JobState::Retryable,
        JobState::Scheduled,
        JobState::Completed,
        JobState::Cancelled,
        JobState::Discarded,
    ];
    view! {
        <nav class="tabs" aria-label="Jobs by state" tabindex="0">
            {tab("", "All", None, counts.total)}
            {order.map(|state| tab(state.slug(), state.label(), Some(job_signs(state)), counts.of(state))).collect_view()}
        </nav>
    }
}

#[component]
fn Filters(filter: Filter) -> impl IntoView {
    let clear = (!filter.is_empty()).then(|| {
        view! {
            <a class="btn btn--quiet" href="/jobs">
                "Clear"
            </a>
        }
    });
    let kind = filter.kind;
    view! {
        <form class="toolbar" role="search" aria-label="Filter jobs" method="get" action="/jobs">
            <input type="hidden" name="state" value=filter.state />
            <div class="query">
                <Icon name="search" />
                <input
                    class="query__input"
                    name="ip"
                    type="text"
                    aria-label="Address of the host"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder="Address of a host"
                    value=filter.ip
                />
            </div>
            <label class="visually-hidden" for="job-kind">
                "Kind"
            </label>
            <select class="select" id="job-kind" name="kind">
                <option value="">"Any kind"</option>
                {JobKind::ALL
                    .map(|each| {
                        view! {
                            <option value=each.slug() selected=each.slug() == kind>
                                {each.slug()}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
            <button type="submit" class="btn">
                "Filter"
            </button>
            {clear}
        </form>
    }
}

#[component]
fn Bulk(filter: Filter, counts: JobCounts) -> impl IntoView {
    let state: Option<JobState> = filter.state.parse().ok();
    // Of one host the counters say nothing, so the offer stands without a number.
    let number = |wanted: fn(JobState) -> bool| {
        let states = JobState::ALL
            .into_iter()
            .filter(|each| state.is_none_or(|state| state == *each) && wanted(*each));
        states.map(|each| counts.of(each)).sum::<u64>()
    };
    let known = filter.ip.is_empty();
    let retryable = number(|state| !state.is_live());
    let cancellable = number(JobState::is_live);
    let count = |number: u64| {
        known.then(|| view! { " " <span class="count" aria-hidden="true">{grouped(number)}</span> })
    };
    // Without a filter the buttons say "all", and so does what they send.
    let (scope, which, retry, cancel) = if filter.is_empty() {
        ("all jobs", "all jobs", "retry_all", "cancel_all")
    } else {
        ("the jobs of this filter", "all matching", "retry_matching", "cancel_matching")
    };
    view! {
        <form id=FORM class="bulkbar" method="post" action="/api/fn/jobs/change">
            <input type="hidden" name="state" value=filter.state.clone() />
            <input type="hidden" name="kind" value=filter.kind.clone() />
            <input type="hidden" name="ip" value=filter.ip.clone() />
            <span class="btn-row" role="group" aria-label="Ticked jobs">
                <span class="sub">"Ticked:"</span>
                <button type="submit" class="btn btn--sm" name="action" value="retry">
                    <Icon name="retryable" />
                    "Retry"
                </button>
                <button type="submit" class="btn btn--sm btn--danger" name="action" value="cancel">
                    <Icon name="cancelled" />
                    "Cancel"
                </button>
            </span>
            <span class="push btn-row" role="group" aria-label=format!("For {scope}")>
                <button type="submit" class="btn btn--sm" name="action" value=retry>
                    {format!("Retry {which}")}
                    {count(retryable)}
                </button>
                <button type="submit" class="btn btn--sm btn--danger" name="action" value=cancel>
                    {format!("Cancel {which}")}
                    {count(cancellable)}
                </button>
            </span>
        </form>
    }
}

#[component]
fn List(filter: Filter, page: Page<Job>, workers: Vec<WorkerStatus>, now: Timestamp) -> impl IntoView {
    let rows = counted(u64::try_from(page.items.len()).unwrap_or(0), "row", "rows");
    let first = filter.cursor.is_empty();
    let empty = page.items.is_empty() && page.next_cursor.is_none();
    let next = page.next_cursor.map(|cursor| filter.address(&filter.state, &cursor));
    let newest = filter.address(&filter.state, "");
    let table = if empty {
        let sentence = if filter.is_empty() {
            "Importing a scan queues one for every public host."
        } else {
            "No job is in this filter."
        };
        view! {
            <div class="empty">
                <h2>"No jobs"</h2>
                <p>{sentence}</p>
            </div>
        }
        .into_any()
    } else {
        view! { <JobTable jobs=page.items form=FORM workers now /> }.into_any()
    };
    view! {
        {table}
        <nav class="pager" aria-label="Pages">
            <span>{format!("{rows}, newest first")}</span>
            <span class="btn-row">
                {(!first)
                    .then(|| {
                        view! {
                            <a class="btn btn--sm" href=newest>
                                "Newest"
                            </a>
                        }
                    })}
                {next
                    .map(|next| {
                        view! {
                            <a class="btn btn--sm" rel="next" href=next>
                                "Older"
                            </a>
                        }
                    })}
            </span>
        </nav>
    }
}
