use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use hostatlas_domain::{
    Job, JobFilter, JobId, JobKind, JobTargets, KindStatus, Page, Problem, QueueStats, RefusedAddress,
    RefusedJob,
};
use hostatlas_services::{
    ChangedJobs, EnqueueRequest, EnqueuedHosts, EnqueuedJobsReport, Permission, Selection, Services,
};
use serde::{Deserialize, Serialize};

use super::coverage::Items;
use crate::http::{
    AppState,
    errors::Refusal,
    extract::{self, Query},
};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/jobs", get(list).post(enqueue))
        .route("/jobs/stats", get(stats))
        .route("/jobs/kinds", get(kinds))
        .route("/jobs/retry", post(retry))
        .route("/jobs/cancel", post(cancel))
        .route("/jobs/{id}", get(show))
        .route("/jobs/kinds/{kind}/pause", post(pause))
        .route("/jobs/kinds/{kind}/resume", post(resume))
        .route("/jobs/kinds/{kind}/cap", post(cap))
}

/// Which page of which jobs.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// One state.
    state: Option<String>,
    /// One kind.
    kind: Option<String>,
    /// One host.
    ip: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 1000, default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// Which jobs, by what they are.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterBody {
    /// One state.
    state: Option<String>,
    /// One kind.
    kind: Option<String>,
    /// One host.
    ip: Option<String>,
}

impl FilterBody {
    fn read(&self) -> Result<JobFilter, Refusal> {
        Ok(JobFilter {
            state: extract::word(self.state.as_deref())?,
            kind: extract::word(self.kind.as_deref())?,
            ip: extract::word(self.ip.as_deref())?,
        })
    }
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(ListParameters), responses(
    (status = 200, description = "a page", body = Page<Job>),
    (status = 400, description = "an unknown state or kind", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(services): State<Services>,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<Page<Job>>, Refusal> {
    let ListParameters { state, kind, ip, cursor, limit } = parameters;
    let filter = FilterBody { state, kind, ip }.read()?;
    let limit = extract::limit(limit.as_deref())?;
    Ok(Json(services.jobs().list(filter, cursor.as_deref(), limit).await?))
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = i64, Path, description = "its number")), responses(
    (status = 200, description = "the job", body = Job),
    (status = 404, description = "no such job", body = Problem, content_type = "application/problem+json"),
))]
pub async fn show(State(services): State<Services>, Path(id): Path<String>) -> Result<Json<Job>, Refusal> {
    Ok(Json(services.jobs().get(JobId(extract::number(&id, "a job")?)).await?))
}

/// Counts by kind and state, and which kinds are paused or capped.
#[utoipa::path(get, path = "/api/v1/jobs/stats", tag = "jobs", responses((status = 200, description = "the counts", body = QueueStats)))]
pub async fn stats(State(services): State<Services>) -> Result<Json<QueueStats>, Refusal> {
    Ok(Json(services.jobs().stats().await?))
}

/// Each kind with its counts, its pause and whether anything serves it.
#[utoipa::path(get, path = "/api/v1/jobs/kinds", tag = "jobs", responses((status = 200, description = "the kinds", body = Items<KindStatus>)))]
pub async fn kinds(State(services): State<Services>) -> Result<Json<Items<KindStatus>>, Refusal> {
    Ok(Json(Items::new(services.jobs().kinds().await?)))
}

/// For which hosts to queue lookups: exactly one of `q`, `ips`, `due_only` and `all`.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnqueueBody {
    /// Hosts that match this query, which has a condition.
    q: Option<String>,
    /// These hosts, at least one.
    ips: Option<Vec<String>>,
    /// Hosts whose location is missing or stale.
    due_only: bool,
    /// Every public host.
    all: bool,
    /// Whether age and cache are bypassed.
    force: bool,
    /// `geolocation` (default); the probe kinds cannot be queued by hand.
    kind: Option<String>,
}

/// What queueing did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EnqueueAnswer {
    considered: u64,
    queued: u64,
    /// Hosts that already had a live job, which took the request in.
    duplicate: u64,
    /// The addresses of `ips` that got no job.
    refused: Vec<RefusedAddress>,
}

/// Queues lookups for many hosts.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs", request_body = EnqueueBody, responses(
    (status = 202, description = "how many", body = EnqueueAnswer),
    (status = 400, description = "no hosts were named", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no scan saw any of `ips`", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "the only address is private", body = Problem, content_type = "application/problem+json"),
))]
pub async fn enqueue(
    State(services): State<Services>,
    extract::Json(body): extract::Json<EnqueueBody>,
) -> Result<(StatusCode, Json<EnqueueAnswer>), Refusal> {
    services.authorize(Permission::ManageJobs)?;
    let kind = extract::word(body.kind.as_deref())?.unwrap_or(JobKind::Geolocation);
    let EnqueueBody { q, ips, due_only, all, force, .. } = body;
    let named = [
        q.map(Selection::Query),
        ips.map(Selection::Addresses),
        due_only.then_some(Selection::Due),
        all.then_some(Selection::All),
    ];
    let selection = Selection::only(named)?.ok_or_else(|| {
        Refusal::invalid(
            "no hosts are named",
            "send one of `q`, `ips`, `\"due_only\": true` and `\"all\": true`",
        )
    })?;
    let EnqueuedHosts { report, refused } =
        services.jobs().enqueue(EnqueueRequest { selection, force, kind }).await?;
    let EnqueuedJobsReport { considered, queued, duplicate } = report;
    Ok((StatusCode::ACCEPTED, Json(EnqueueAnswer { considered, queued, duplicate, refused })))
}

/// Jobs by number, those that match a filter, or every job: exactly one of the three.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetBody {
    /// These jobs, at least one.
    #[serde(deserialize_with = "extract::optional_whole_numbers")]
    ids: Option<Vec<i64>>,
    /// All that match; a filter has at least one condition.
    #[serde(deserialize_with = "extract::optional_object")]
    filter: Option<FilterBody>,
    /// Every job.
    all: bool,
}

/// What a bulk action did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangedAnswer {
    changed: u64,
    /// Jobs that could not be changed: in a state from which it is not allowed, or with a live job of the same key.
    skipped: u64,
    /// Why, for each skipped job of `ids`: `unknown`, `replaced` by a live job of the same key, or its state.
    refused: Vec<RefusedJob>,
}

impl From<ChangedJobs> for ChangedAnswer {
    fn from(changed: ChangedJobs) -> Self {
        let ChangedJobs { changed, skipped, refused } = changed;
        Self { changed, skipped, refused }
    }
}

impl TargetBody {
    fn targets(self) -> Result<JobTargets, Refusal> {
        let filter = self.filter.as_ref().map(FilterBody::read).transpose()?;
        let ids = self.ids.map(|ids| ids.into_iter().map(JobId).collect());
        JobTargets::named(ids, filter, self.all).map_err(|error| {
            let hint = "send one of `ids`, a `filter` with a condition, and `\"all\": true`";
            Refusal::invalid(error.to_string(), hint)
        })
    }
}

/// Makes finished and waiting jobs available now.
#[utoipa::path(post, path = "/api/v1/jobs/retry", tag = "jobs", request_body = TargetBody, responses(
    (status = 200, description = "how many", body = ChangedAnswer),
    (status = 400, description = "no jobs were named", body = Problem, content_type = "application/problem+json"),
))]
pub async fn retry(
    State(services): State<Services>,
    extract::Json(body): extract::Json<TargetBody>,
) -> Result<Json<ChangedAnswer>, Refusal> {
    services.authorize(Permission::ManageJobs)?;
    Ok(Json(services.jobs().retry(body.targets()?).await?.into()))
}

/// Cancels live jobs; about their hosts nothing changes.
#[utoipa::path(post, path = "/api/v1/jobs/cancel", tag = "jobs", request_body = TargetBody, responses(
    (status = 200, description = "how many", body = ChangedAnswer),
    (status = 400, description = "no jobs were named", body = Problem, content_type = "application/problem+json"),
))]
pub async fn cancel(
    State(services): State<Services>,
    extract::Json(body): extract::Json<TargetBody>,
) -> Result<Json<ChangedAnswer>, Refusal> {
    services.authorize(Permission::ManageJobs)?;
    Ok(Json(services.jobs().cancel(body.targets()?).await?.into()))
}

/// Stops claiming jobs of a kind; what runs goes on.
#[utoipa::path(post, path = "/api/v1/jobs/kinds/{kind}/pause", tag = "jobs", params(("kind" = JobKind, Path)), responses(
    (status = 204, description = "paused"),
    (status = 400, description = "no such kind", body = Problem, content_type = "application/problem+json"),
))]
pub async fn pause(
    State(services): State<Services>,
    Path(kind): Path<String>,
) -> Result<StatusCode, Refusal> {
    services.authorize(Permission::ManageJobs)?;
    services.jobs().pause(read_kind(&kind)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a kind up again.
#[utoipa::path(post, path = "/api/v1/jobs/kinds/{kind}/resume", tag = "jobs", params(("kind" = JobKind, Path)), responses(
    (status = 204, description = "taken up again"),
    (status = 400, description = "no such kind", body = Problem, content_type = "application/problem+json"),
))]
pub async fn resume(
    State(services): State<Services>,
    Path(kind): Path<String>,
) -> Result<StatusCode, Refusal> {
    services.authorize(Permission::ManageJobs)?;
    services.jobs().resume(read_kind(&kind)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many jobs of a kind may run at once.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CapBody {
    /// From 1; null for as many as their workers like. Has to be given.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    #[expect(clippy::option_option, reason = "`null` removes the cap; a body without it is a mistake")]
    cap: Option<Option<u32>>,
}

/// A null that was sent is no field that was left out.
#[expect(clippy::option_option, reason = "`null` removes the cap; a body without it is a mistake")]
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    extract::optional_whole_number(deserializer).map(Some)
}

/// Bounds how many jobs of a kind run at once, over all processes; what runs goes on.
#[utoipa::path(post, path = "/api/v1/jobs/kinds/{kind}/cap", tag = "jobs", params(("kind" = JobKind, Path)), request_body = CapBody, responses(
    (status = 204, description = "bounded"),
    (status = 400, description = "no such kind, or no cap", body = Problem, content_type = "application/problem+json"),
))]
pub async fn cap(
    State(services): State<Services>,
    Path(kind): Path<String>,
    extract::Json(body): extract::Json<CapBody>,
) -> Result<StatusCode, Refusal> {
    services.authorize(Permission::ManageJobs)?;
    let kind = read_kind(&kind)?;
    let Some(cap) = body.cap else {
        return Err(Refusal::invalid(
            "the body has no `cap`",
            "send a whole number from 1, or null to remove the limit",
        ));
    };
    services.jobs().cap(kind, cap).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn read_kind(text: &str) -> Result<JobKind, Refusal> {
    text.parse().map_err(|error: hostatlas_domain::UnknownJobKind| {
        Refusal::invalid(error.to_string(), "`/api/v1/jobs/kinds` lists the kinds")
    })
}
