use std::collections::BTreeSet;

use hostatlas_domain::{Timestamp, WorkerState, WorkerStatus};
use hostatlas_services::{HEARTBEAT, Permission, WORKER_FORGOTTEN_AFTER, WORKER_SILENT_AFTER};
use leptos::prelude::*;

use super::page;
use crate::{
    ApiError,
    api::{authorize, services, workers::list_workers},
    components::{Chrome, Command, Live, QueueTab, QueueTabs, Tab, WorkerTable},
    format::{NBSP, counted, grouped, span},
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
        // It looks more often than a worker reports, so between two looks nothing is missed.
        <Live topics="jobs" every=5 />
    }
}

fn sheet(Loaded { workers, now }: Loaded) -> impl IntoView {
    let lede = summary(&workers);
    let empty = workers.is_empty();
    let rhythm = format!(
        "Each process reports every {}. One that has not for {} is silent: its jobs are taken back and run elsewhere. \
         It is forgotten after {}.",
        span(HEARTBEAT),
        span(WORKER_SILENT_AFTER),
        span(WORKER_FORGOTTEN_AFTER)
    );
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
                view! { <WorkerTable workers now /> }.into_any()
            }}
        </div>
        <p class="hint">{rhythm}</p>
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
