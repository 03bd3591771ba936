//! Recurring work. A form is led back to the page with what happened in the address.

use hostatlas_domain::{Schedule, ScheduleTask};
use leptos::prelude::*;

use crate::ApiError;
#[cfg(feature = "ssr")]
use crate::api::{authorize, services};
#[cfg(feature = "ssr")]
use hostatlas_services::Permission;

/// All of it, with when it is done next and how it went.
#[server(prefix = "/api/fn", endpoint = "schedules/list")]
pub async fn list_schedules() -> Result<Vec<Schedule>, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(services()?.schedules().list().await?)
}

/// Gives a task another rule.
#[server(prefix = "/api/fn", endpoint = "schedules/change")]
pub async fn change_schedule(task: ScheduleTask, #[server(default)] rule: String) -> Result<(), ApiError> {
    authorize(Permission::Administer)?;
    services()?.schedules().change(task, &rule).await?;
    leptos_axum::redirect(&format!("/schedules?scheduled=changed&task={task}"));
    Ok(())
}

/// Does a task no more until it is resumed.
#[server(prefix = "/api/fn", endpoint = "schedules/pause")]
pub async fn pause_schedule(task: ScheduleTask) -> Result<(), ApiError> {
    authorize(Permission::Administer)?;
    services()?.schedules().pause(task).await?;
    leptos_axum::redirect(&format!("/schedules?scheduled=paused&task={task}"));
    Ok(())
}

/// Takes a task up again.
#[server(prefix = "/api/fn", endpoint = "schedules/resume")]
pub async fn resume_schedule(task: ScheduleTask) -> Result<(), ApiError> {
    authorize(Permission::Administer)?;
    services()?.schedules().resume(task).await?;
    leptos_axum::redirect(&format!("/schedules?scheduled=resumed&task={task}"));
    Ok(())
}

/// Has a task done now.
#[server(prefix = "/api/fn", endpoint = "schedules/run")]
pub async fn run_schedule(task: ScheduleTask) -> Result<(), ApiError> {
    authorize(Permission::Administer)?;
    services()?.schedules().run_now(task).await?;
    leptos_axum::redirect(&format!("/schedules?scheduled=asked&task={task}"));
    Ok(())
}
