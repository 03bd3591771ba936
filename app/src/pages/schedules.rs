use hostatlas_domain::{Schedule, Timestamp};
use hostatlas_services::Permission;
use leptos::prelude::*;

use super::page;
use crate::{
    ApiError,
    api::{authorize, schedules::list_schedules, services},
    components::{Chrome, FormNotice, Live, QueueTab, QueueTabs, ScheduleList, Tab},
};

struct Loaded {
    schedules: Vec<Schedule>,
    now: Timestamp,
}

async fn load() -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(Loaded { schedules: list_schedules().await?, now: services()?.admin().now().await? })
}

/// Recurring work: what is done when, how it went, and the forms that change that.
#[component]
pub fn SchedulesPage() -> impl IntoView {
    let content = page(load(), sheet);
    view! {
        <Chrome title="Schedules" tab=Tab::Jobs>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="" every=2 />
    }
}

fn sheet(Loaded { schedules, now }: Loaded) -> impl IntoView {
    view! {
        <div class="pagehead">
            <h1>"Schedules"</h1>
            <p class="lede">"Done by one worker each time, however many run."</p>
            <QueueTabs current=QueueTab::Schedules />
        </div>
        <ScheduleList schedules now />
    }
}
