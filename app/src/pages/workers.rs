use std::collections::BTreeSet;

use hostatlas_domain::{JobState, RunningJobs, Timestamp, WorkerState, WorkerStatus};
use hostatlas_services::Permission;
use leptos::prelude::*;

use super::page;
use crate::{
    ApiError,
    api::{authorize, services, workers::list_workers},
    components::{Ago, Chrome, Column, Command, DataTable, Icon, Live, QueueTab, QueueTabs, Tab},
    format::{NBSP, address, counted, grouped},
};

struct Loaded {
    workers: Vec<WorkerStatus>,
    now: Timestamp,
}

async fn load() -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(Loaded { workers: list_workers().await?, now: services()?.admin().now().await? })
}

/// The processes that run jobs, on all machines, and what each is doing.
#[component]
pub fn WorkersPage() -> impl IntoView {
    let content = page(load(), sheet);
    view! {
        <Chrome title="Workers" tab=Tab::Jobs>
            {content}
        </Chrome>
        // A worker reports every ten seconds; between two looks nothing is missed.
        <Live topics="jobs" every=5 />
    }
}

fn sheet(Loaded { workers, now }: Loaded) -> impl IntoView {
    let lede = summary(&workers);
    let empty = workers.is_empty();
    view! {
        <div class="pagehead">
            <h1>"Workers"</h1>
            <p class="lede" id="workers-lede" data-live>
                {lede}
            </p>
            <QueueTabs current=QueueTab::Workers />
        </div>
        <div class="table-wrap" id="workers" data-live>
            {if empty {
                view! { <Nobody /> }.into_any()
            } else {
                view! { <List workers now /> }.into_any()
            }}
        </div>
        <p class="hint">
            "Each process reports every 10 seconds. One that has not for 30 is silent: its jobs are taken back and run \
             elsewhere. It is forgotten after an hour."
        </p>
    }
}

/// How many there are in all; what is out of order comes last.
fn summary(workers: &[WorkerStatus]) -> String {
    if workers.is_empty() {
        return "No process runs jobs".to_owned();
    }
    let heard: Vec<_> = workers.iter().filter(|worker| worker.state != WorkerState::Silent).collect();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let different = |texts: BTreeSet<&str>| count(texts.len());
    let machines = different(heard.iter().map(|worker| worker.host_name.as_str()).collect());
    let versions = different(heard.iter().map(|worker| worker.version.as_str()).collect());
    let running = heard.iter().flat_map(|worker| &worker.running).map(|running| running.jobs).sum();
    let text = format!(
        "{} on {}, {} running",
        counted(count(heard.len()), "process", "processes"),
        counted(machines, "machine", "machines"),
        counted(running, "job", "jobs")
    );
    let several = (versions > 1).then(|| format!(", {versions}{NBSP}versions"));
    let silent = workers.len() - heard.len();
    let silent = (silent > 0).then(|| format!(", {}{NBSP}silent", grouped(count(silent))));
    text + &several.unwrap_or_default() + &silent.unwrap_or_default()
}

#[component]
fn Nobody() -> impl IntoView {
    view! {
        <div class="empty">
            <h2>"Nobody works"</h2>
            <p>"What is queued waits until a process runs it. Start one, here or on another machine:"</p>
            <Command text="hostatlas worker".to_owned() />
        </div>
    }
}

#[component]
fn List(workers: Vec<WorkerStatus>, now: Timestamp) -> impl IntoView {
    let columns = vec![
        Column::text("Machine"),
        Column::text("State"),
        Column::text("Running"),
        Column::text("Serves"),
        Column::number("Done"),
        Column::number("Failed"),
        Column::text("Version"),
        Column::number("Up for"),
        Column::number("Heard"),
    ];
    view! {
        <DataTable caption="Processes that run jobs" columns class="table--records workertable" scrolls="Workers">
            {workers.into_iter().map(|worker| view! { <Row worker now /> }).collect_view()}
        </DataTable>
    }
}

/// Tone, drawing and word of a process.
const fn signs(worker: &WorkerStatus) -> (&'static str, &'static str, &'static str) {
    match (worker.state, worker.running.is_empty()) {
        (WorkerState::Alive, false) => ("info", "running", "Working"),
        (WorkerState::Alive, true) => ("ok", "completed", "Idle"),
        (WorkerState::Stopping, _) => ("mute", "pause", "Stopping"),
        (WorkerState::Silent, _) => ("bad", "warn", "Silent"),
    }
}

/// What it runs of one kind, with the jobs themselves behind it.
fn running_link(running: &RunningJobs) -> impl IntoView + use<> {
    let jobs = address("/jobs", &[("state", JobState::Running.slug()), ("kind", running.kind.slug())]);
    view! {
        <a class="plain runs" href=jobs>
            {running.kind.slug()}
            " "
            <strong>{grouped(running.jobs)}</strong>
        </a>
    }
}

#[component]
fn Row(worker: WorkerStatus, now: Timestamp) -> impl IntoView {
    let (tone, icon, word) = signs(&worker);
    let silent = worker.state == WorkerState::Silent;
    let idle = worker.running.is_empty();
    let served: Vec<_> = worker.kinds.iter().map(|kind| kind.slug()).collect();
    let at_once = counted(worker.concurrency.into(), "batch", "batches");
    view! {
        <tr id=format!("worker-{}", worker.id)>
            <th scope="row" class="wrap">
                // A name in another direction of writing must not turn what follows it around.
                <bdi class="breaks">{worker.host_name}</bdi>
                " "
                <span class="sub">{format!("{} {}", worker.command, worker.process_id)}</span>
            </th>
            <td class="statecell">
                <span class="badge" data-tone=tone>
                    <Icon name=icon spin=icon == "running" />
                    {word}
                </span>
            </td>
            <td data-label="Running" class="wrap">
                {idle.then_some("-")}
                {worker.running.iter().map(running_link).collect_view()}
            </td>
            <td data-label="Serves" class="wrap">
                {if served.is_empty() { "nothing that this version knows".to_owned() } else { served.join(", ") }}
                " "
                <span class="sub">{(!served.is_empty()).then(|| format!("{at_once} each"))}</span>
            </td>
            <td data-label="Done" class="num">
                {grouped(worker.completed)}
            </td>
            <td data-label="Failed" class="num">
                {grouped(worker.failed)}
            </td>
            <td data-label="Version" class="wrap">
                <span class="mono breaks">{worker.version}</span>
            </td>
            <td data-label="Up for" class="num">
                {(!silent).then(|| view! { <Ago at=worker.started_at now /> })}
            </td>
            <td data-label="Heard" class="num sub">
                <Ago at=worker.heard_at now long=true />
            </td>
        </tr>
    }
}
