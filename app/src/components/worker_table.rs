//! The processes that run jobs, and what each is doing.

use hostatlas_domain::{JobState, RunningJobs, Timestamp, WorkerState, WorkerStatus};
use leptos::prelude::*;

use super::{Ago, Badge, Column, DataTable};
use crate::format::{address, counted, grouped};

/// The processes that run jobs, a row each.
#[component]
pub fn WorkerTable(
    /// Its rows.
    workers: Vec<WorkerStatus>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
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
                <Badge tone icon word />
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
