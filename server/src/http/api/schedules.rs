use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use hostatlas_domain::{Problem, Schedule, ScheduleTask, UnknownScheduleTask};
use hostatlas_services::{Permission, Services};
use serde::Deserialize;

use super::coverage::Items;
use crate::http::{AppState, errors::Refusal, extract};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/schedules", get(list))
        .route("/schedules/{task}/change", post(change))
        .route("/schedules/{task}/pause", post(pause))
        .route("/schedules/{task}/resume", post(resume))
        .route("/schedules/{task}/run", post(run))
}

/// Recurring work: what is done when, and how it went.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules", responses((status = 200, description = "all of it", body = Items<Schedule>)))]
pub async fn list(State(services): State<Services>) -> Result<Json<Items<Schedule>>, Refusal> {
    Ok(Json(Items::new(services.schedules().list().await?)))
}

/// When something is to be done.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleBody {
    /// `every 15m` (s, m, h or d), or five cron fields in UTC.
    rule: String,
}

/// Gives a task another rule, from now on.
#[utoipa::path(post, path = "/api/v1/schedules/{task}/change", tag = "schedules", params(("task" = ScheduleTask, Path)), request_body = RuleBody, responses(
    (status = 204, description = "changed"),
    (status = 400, description = "no such task, or no rule", body = Problem, content_type = "application/problem+json"),
))]
pub async fn change(
    State(services): State<Services>,
    Path(task): Path<String>,
    extract::Json(body): extract::Json<RuleBody>,
) -> Result<StatusCode, Refusal> {
    services.authorize(Permission::Administer)?;
    services.schedules().change(read_task(&task)?, &body.rule).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Does a task no more until it is resumed; what is under way goes on.
#[utoipa::path(post, path = "/api/v1/schedules/{task}/pause", tag = "schedules", params(("task" = ScheduleTask, Path)), responses(
    (status = 204, description = "paused"),
    (status = 400, description = "no such task", body = Problem, content_type = "application/problem+json"),
))]
pub async fn pause(
    State(services): State<Services>,
    Path(task): Path<String>,
) -> Result<StatusCode, Refusal> {
    services.authorize(Permission::Administer)?;
    services.schedules().pause(read_task(&task)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a task up again; what was missed is done at once.
#[utoipa::path(post, path = "/api/v1/schedules/{task}/resume", tag = "schedules", params(("task" = ScheduleTask, Path)), responses(
    (status = 204, description = "taken up again"),
    (status = 400, description = "no such task", body = Problem, content_type = "application/problem+json"),
))]
pub async fn resume(
    State(services): State<Services>,
    Path(task): Path<String>,
) -> Result<StatusCode, Refusal> {
    services.authorize(Permission::Administer)?;
    services.schedules().resume(read_task(&task)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has a task done now by a running worker, even while it is paused.
#[utoipa::path(post, path = "/api/v1/schedules/{task}/run", tag = "schedules", params(("task" = ScheduleTask, Path)), responses(
    (status = 202, description = "asked for"),
    (status = 400, description = "no such task", body = Problem, content_type = "application/problem+json"),
))]
pub async fn run(State(services): State<Services>, Path(task): Path<String>) -> Result<StatusCode, Refusal> {
    services.authorize(Permission::Administer)?;
    services.schedules().run_now(read_task(&task)?).await?;
    Ok(StatusCode::ACCEPTED)
}

fn read_task(text: &str) -> Result<ScheduleTask, Refusal> {
    text.parse().map_err(|UnknownScheduleTask(name)| {
        let error = UnknownScheduleTask(hostatlas_domain::sanitize(&name, 64));
        Refusal::invalid(error.to_string(), "`/api/v1/schedules` lists the tasks")
    })
}
