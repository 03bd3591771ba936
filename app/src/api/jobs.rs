//! Jobs.

use hostatlas_domain::{Job, JobId, JobKind, KindStatus, Page, QueueStats};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::{
    api::{authorize, services},
    format::address,
};
#[cfg(feature = "ssr")]
use hostatlas_domain::{JobFilter, JobTargets, ProblemCode};
#[cfg(feature = "ssr")]
use hostatlas_services::{ChangedJobs, EnqueueRequest, Permission, Selection};

/// The filter that three fields of a form or of the address bar mean; empty ones mean none.
#[cfg(feature = "ssr")]
pub fn job_filter(state: &str, kind: &str, ip: &str) -> Result<JobFilter, ApiError> {
    fn read<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Option<T>, ApiError> {
        match text.trim() {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|error: T::Err| ApiError::new(ProblemCode::InvalidRequest, &error.to_string())),
        }
    }
    Ok(JobFilter { state: read(state)?, kind: read(kind)?, ip: read(ip)? })
}

/// A page of the jobs in `state`, of `kind`, of `ip`, newest first; empty ones do not matter.
#[server(prefix = "/api/fn", endpoint = "jobs/list")]
pub async fn list_jobs(
    state: String,
    kind: String,
    ip: String,
    cursor: String,
    limit: u32,
) -> Result<Page<Job>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.jobs().list(job_filter(&state, &kind, &ip)?, Some(&cursor), limit).await?)
}

/// One job.
#[server(prefix = "/api/fn", endpoint = "jobs/get")]
pub async fn get_job(id: JobId) -> Result<Job, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.jobs().get(id).await?)
}

/// All counts.
#[server(prefix = "/api/fn", endpoint = "jobs/stats")]
pub async fn get_job_stats() -> Result<QueueStats, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.jobs().stats().await?)
}

/// Each kind with its counts and pause.
#[server(prefix = "/api/fn", endpoint = "jobs/kinds")]
pub async fn get_job_kinds() -> Result<Vec<KindStatus>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.jobs().kinds().await?)
}

/// Queues geolocation jobs for hosts that are due (`what` is `due`), for those that match `q`, or for all.
#[server(prefix = "/api/fn", endpoint = "jobs/queue")]
pub async fn queue_jobs(
    #[server(default)] what: String,
    #[server(default)] q: String,
    #[server(default)] force: bool,
) -> Result<u64, ApiError> {
    authorize(Permission::ManageJobs)?;
    let selection = queue_selection(&what, q)?;
    let request = EnqueueRequest { selection, force, kind: JobKind::Geolocation };
    let report = services()?.jobs().enqueue(request).await?.report;
    let (queued, duplicate) = (report.queued.to_string(), report.duplicate.to_string());
    leptos_axum::redirect(&address("/jobs", &[("queued", &queued), ("duplicate", &duplicate)]));
    Ok(report.queued)
}

/// The hosts that `what` names: `due`, `all`, or `query` with `q`. A query beside another word would be ignored, so it is
/// refused: whoever wrote it did not mean all hosts.
#[cfg(feature = "ssr")]
fn queue_selection(what: &str, q: String) -> Result<Selection, ApiError> {
    let refused = |detail: &str| Err(ApiError::new(ProblemCode::InvalidRequest, detail));
    match (what, q.trim().is_empty()) {
        ("query", false) => Ok(Selection::Query(q)),
        ("query", true) => refused("the query is empty: say which hosts, or choose another answer"),
        ("due" | "all", false) => refused(
            "there is a query, but another answer is chosen: choose \"Those that match\", or empty the query",
        ),
        ("due", true) => Ok(Selection::Due),
        ("all", true) => Ok(Selection::All),
        _ => refused("no hosts are named: choose what is due, all, or those that match"),
    }
}

/// Does to jobs what the button `action` says: `retry`, `cancel` the ticked ones; `retry_matching`, `cancel_matching` those
/// of the filter, which must have a condition; `retry_all`, `cancel_all` every job, without a filter.
#[server(prefix = "/api/fn", endpoint = "jobs/change")]
pub async fn change_jobs(
    action: String,
    #[server(default)] ids: Vec<i64>,
    #[server(default)] state: String,
    #[server(default)] kind: String,
    #[server(default)] ip: String,
) -> Result<u64, ApiError> {
    authorize(Permission::ManageJobs)?;
    let jobs = services()?.jobs();
    let ticked = || JobTargets::Ids(ids.iter().copied().map(JobId).collect());
    let filter = job_filter(&state, &kind, &ip)?;
    let given = (filter != JobFilter::default()).then(|| filter.clone());
    let named = |filter, all| {
        JobTargets::named(None, filter, all)
            .map_err(|error| ApiError::new(ProblemCode::InvalidRequest, &error.to_string()))
    };
    let ChangedJobs { changed, skipped, .. } = match action.as_str() {
        "retry" => jobs.retry(ticked()).await?,
        "cancel" => jobs.cancel(ticked()).await?,
        "retry_matching" => jobs.retry(named(Some(filter), false)?).await?,
        "cancel_matching" => jobs.cancel(named(Some(filter), false)?).await?,
        "retry_all" => jobs.retry(named(given, true)?).await?,
        "cancel_all" => jobs.cancel(named(given, true)?).await?,
        _ => {
            return Err(ApiError::new(
                ProblemCode::InvalidRequest,
                "the form was not filled in as this page sends it",
            ));
        }
    };
    let (done, left) = (changed.to_string(), skipped.to_string());
    let pairs =
        [("state", state.as_str()), ("kind", &kind), ("ip", &ip), ("changed", &done), ("skipped", &left)];
    leptos_axum::redirect(&address("/jobs", &pairs));
    Ok(changed)
}

/// Makes a finished or waiting job available now.
#[server(prefix = "/api/fn", endpoint = "jobs/retry")]
pub async fn retry_job(id: JobId) -> Result<u64, ApiError> {
    authorize(Permission::ManageJobs)?;
    let done = services()?.jobs().retry(JobTargets::Ids(vec![id])).await?;
    leptos_axum::redirect(&told(id, &done));
    Ok(done.changed)
}

/// Stops a job that waits or runs.
#[server(prefix = "/api/fn", endpoint = "jobs/cancel")]
pub async fn cancel_job(id: JobId) -> Result<u64, ApiError> {
    authorize(Permission::ManageJobs)?;
    let done = services()?.jobs().cancel(JobTargets::Ids(vec![id])).await?;
    leptos_axum::redirect(&told(id, &done));
    Ok(done.changed)
}

#[cfg(feature = "ssr")]
fn told(id: JobId, done: &ChangedJobs) -> String {
    format!("/jobs/{id}?changed={}&skipped={}", done.changed, done.skipped)
}

/// Holds a kind back: none of its jobs starts.
#[server(prefix = "/api/fn", endpoint = "jobs/pause")]
pub async fn pause_kind(kind: JobKind) -> Result<(), ApiError> {
    authorize(Permission::ManageJobs)?;
    Ok(services()?.jobs().pause(kind).await?)
}

/// Bounds how many jobs of a kind run at once over all processes; empty for no bound.
#[server(prefix = "/api/fn", endpoint = "jobs/cap")]
pub async fn cap_kind(kind: JobKind, #[server(default)] cap: String) -> Result<(), ApiError> {
    authorize(Permission::ManageJobs)?;
    let cap = match cap.trim() {
        "" => None,
        number => Some(number.parse().map_err(|_| {
            ApiError::new(
                ProblemCode::InvalidRequest,
                "the cap must be a whole number from 1; leave it empty to remove the limit",
            )
        })?),
    };
    Ok(services()?.jobs().cap(kind, cap).await?)
}

/// Lets a kind run again.
#[server(prefix = "/api/fn", endpoint = "jobs/resume")]
pub async fn resume_kind(kind: JobKind) -> Result<(), ApiError> {
    authorize(Permission::ManageJobs)?;
    Ok(services()?.jobs().resume(kind).await?)
}
