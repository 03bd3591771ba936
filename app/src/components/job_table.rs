use hostatlas_domain::{Job, JobKind, JobState, Timestamp, WorkerStatus};
use leptos::prelude::*;

use super::{Ago, Column, DataTable, Icon, JobBadge};
use crate::format::duration;

/// What a job is about: `192.0.2.7` or `192.0.2.7:443`.
pub fn job_target(job: &Job) -> String {
    match job.port {
        Some(port) if job.ip.is_ipv4() => format!("{}:{port}", job.ip),
        Some(port) => format!("[{}]:{port}", job.ip),
        None => job.ip.to_string(),
    }
}

/// Why a job waits, what it found, or what it failed with; the second part tells whether that is bad news.
pub fn job_words(job: &Job) -> (String, bool) {
    let error = || job.last_error.clone().unwrap_or_default();
    match job.state {
        JobState::Completed => (job.result.clone().unwrap_or_default(), false),
        JobState::Discarded => (error(), true),
        JobState::Cancelled => ("Stopped before it ran to its end".to_owned(), false),
        _ => match (&job.waiting_because, &job.last_error) {
            // What waits for its next attempt names the error in its reason.
            (Some(why), Some(error)) if why.contains(error.as_str()) => (why.clone(), true),
            (Some(why), Some(error)) => (format!("{error}; {why}"), true),
            (Some(why), None) => (why.clone(), false),
            (None, Some(error)) => (error.clone(), true),
            (None, None) => (String::new(), false),
        },
    }
}

/// Who runs a job, as a link to it in the list of workers; nothing while nobody does.
///
/// A process that does not report any more is not in the list, but was there.
pub fn job_worker(job: &Job, workers: &[WorkerStatus]) -> Option<impl IntoView + use<>> {
    let id = job.worker?;
    let worker = workers
        .iter()
        .find(|worker| worker.id == id)
        .map(|worker| (worker.host_name.clone(), format!(", {} {}", worker.command, worker.process_id)));
    Some(match worker {
        Some((host_name, process)) => view! {
            "on "
            <a href=format!("/workers#worker-{id}")>
                <bdi>{host_name}</bdi>
                {process}
            </a>
        }
        .into_any(),
        None => "on a process that reports no more".into_any(),
    })
}

/// The job list. Every row has a checkbox that belongs to the form `form`.
#[component]
pub fn JobTable(
    /// Its rows.
    jobs: Vec<Job>,
    /// The form that acts on what is selected.
    form: &'static str,
    /// The processes that may run them.
    workers: Vec<WorkerStatus>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let select_all = view! {
        <input
            class="check needs-script"
            type="checkbox"
            data-select-all=form
            aria-label="Select all on this page"
        />
    };
    let columns = vec![
        Column::text(select_all).class("fit"),
        Column::text("Job").sorted(Some("descending")),
        Column::text("State"),
        Column::text("Kind"),
        Column::text("Target"),
        Column::number(view! { <abbr title="Priority, 0 runs first">"P"</abbr> }),
        Column::number("Attempt"),
        Column::number("Queued"),
        Column::number("Ran"),
        Column::text("Why waiting, result or error").class("why"),
    ];
    view! {
        <DataTable caption="Jobs, newest first" columns class="table--records jobtable" scrolls="Jobs" rows_stay=true>
            {jobs.into_iter().map(|job| job_row(&job, form, &workers, now)).collect_view()}
        </DataTable>
    }
}

/// Some jobs of one host, in a few words each.
#[component]
pub fn JobsOfHost(
    /// What they are, for those who do not see the table.
    caption: &'static str,
    /// The jobs.
    jobs: Vec<Job>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let row = move |job: Job| {
        let at = job.finished_at.or(job.started_at).unwrap_or(job.created_at);
        view! {
            <tr>
                <th scope="row">
                    <a class="mono" href=format!("/jobs/{}", job.id)>
                        {job.id.0}
                    </a>
                </th>
                <td>{job.kind.slug()}</td>
                <td>
                    <JobBadge state=job.state />
                </td>
                <td class="num sub">
                    <Ago at now />
                </td>
            </tr>
        }
    };
    let columns = ["Job", "Kind", "State", "When"].map(Column::text).into();
    view! {
        <DataTable caption columns class="minitable" headless=true>
            {jobs.into_iter().map(row).collect_view()}
        </DataTable>
    }
}

fn job_row(job: &Job, form: &'static str, workers: &[WorkerStatus], now: Timestamp) -> impl IntoView + use<> {
    let (words, bad) = job_words(job);
    let worker = job_worker(job, workers);
    let ran = match (job.started_at, job.finished_at) {
        (Some(started), Some(finished)) => duration(finished.since(started).as_secs_f64()),
        (Some(started), None) if job.state == JobState::Running => duration(now.since(started).as_secs_f64()),
        _ => String::new(),
    };
    let waits = job.state.is_waiting() && !words.is_empty() && !bad;
    let id = job.id;
    let title = words.clone();
    view! {
        <tr id=format!("job-{id}")>
            <td class="fit">
                <input class="check" type="checkbox" name="ids[]" value=id.0 form=form aria-label=format!("Select job {id}") />
            </td>
            <th scope="row">
                <a class="addr" href=format!("/jobs/{id}")>
                    {id.0}
                </a>
            </th>
            <td class="statecell">
                <JobBadge state=job.state />
            </td>
            <td data-label="Kind">{JobKind::slug(job.kind)}</td>
            <td data-label="Target">
                <a class="addr" href=format!("/hosts/{}", job.ip)>
                    {job_target(job)}
                </a>
            </td>
            <td class="num hide-narrow">{job.priority.get()}</td>
            <td data-label="Attempt" class="num">
                {format!("{}/{}", job.attempt, job.max_attempts)}
            </td>
            <td class="num sub hide-narrow">
                <Ago at=job.created_at now />
            </td>
            <td class="num sub hide-narrow">{ran}</td>
            <td data-label="Result" class="clip why wrap" data-tone=bad.then_some("bad") title=title>
                {waits.then(|| view! { <Icon name="info" small=true /> " " })}
                {worker}
                {words}
            </td>
        </tr>
    }
}
