//! Recurring work, with the forms that change it.

use hostatlas_domain::{Schedule, ScheduleOutcome, ScheduleState, ScheduleTask, Timestamp};
use hostatlas_services::{
    BACKUP_DAYS_KEPT, BACKUP_WEEKS_KEPT, BACKUPS_KEPT, COMPLETED_KEPT_FOR, DISCARDED_KEPT_FOR,
};
use leptos::prelude::*;

use super::{Ago, Badge, Exactly, Icon};
use crate::format::{duration, span};

/// Characters that fit into three lines of the column.
const SHORT_DETAIL: usize = 110;

/// Recurring work: what is done when, how it went, and the forms that change that.
#[component]
pub fn ScheduleList(
    /// Its items.
    schedules: Vec<Schedule>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    view! {
        <div class="card">
            // Each item says in words what it is; the heads are for those who compare.
            <div class="scheds__head" aria-hidden="true">
                <span>"Task"</span>
                <span>"Now"</span>
                <span>"Last time"</span>
                <span>"When"</span>
                <span></span>
            </div>
            <ul class="scheds">
                {schedules.into_iter().map(|schedule| view! { <Item schedule now /> }).collect_view()}
            </ul>
        </div>
        <p class="hint" id="rule-hint">
            "A rule is " <code>"every 15m"</code> " (s, m, h or d, counted from the end of the last time) or five cron fields in UTC: minute, hour, day, month, weekday, as in "
            <code>"30 3 * * 1"</code> "."
        </p>
    }
}

/// Name and purpose.
fn words(task: ScheduleTask) -> (&'static str, String) {
    match task {
        ScheduleTask::Refresh => (
            "Refresh",
            "Queues a lookup for each host whose location is missing, stale or worth another try.".to_owned(),
        ),
        ScheduleTask::Prune => (
            "Prune",
            format!(
                "Deletes finished jobs: completed and cancelled after {}, given up after {}.",
                span(COMPLETED_KEPT_FOR),
                span(DISCARDED_KEPT_FOR)
            ),
        ),
        ScheduleTask::Check => {
            ("Check", "Compares every counter with a full count, and the queue with its laws.".to_owned())
        }
        ScheduleTask::Backup => (
            "Backup",
            format!(
                "Writes a verified copy of the database. Keeps the newest {BACKUPS_KEPT}, the last of each of \
                 {BACKUP_DAYS_KEPT} days, and the last of each of {BACKUP_WEEKS_KEPT} weeks."
            ),
        ),
    }
}

#[component]
fn Item(schedule: Schedule, now: Timestamp) -> impl IntoView {
    let task = schedule.task;
    let slug = task.slug();
    let (name, purpose) = words(task);
    let rule = schedule.rule.to_string();
    view! {
        <li aria-labelledby=format!("{slug}-name")>
            <div>
                <h2 id=format!("{slug}-name")>{name}</h2>
                <p class="sub">{purpose}</p>
            </div>
            <div id=format!("{slug}-state") class="sched__state" data-live>
                <State schedule=schedule.clone() now />
            </div>
            <div id=format!("{slug}-last") class="sched__last" data-live>
                <Last schedule=schedule.clone() now />
            </div>
            <form
                class="sched__rule"
                id=format!("{slug}-rule-form")
                method="post"
                action="/api/fn/schedules/change"
                data-swap
                data-live
            >
                <input type="hidden" name="task" value=slug />
                <label class="visually-hidden" for=format!("{slug}-rule")>
                    {format!("When to {slug}")}
                </label>
                <input
                    class="input mono"
                    id=format!("{slug}-rule")
                    name="rule"
                    type="text"
                    required
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    maxlength="100"
                    aria-describedby="rule-hint"
                    value=rule
                />
                <button type="submit" class="btn btn--sm" id=format!("{slug}-save") aria-label=format!("Save the rule of {slug}")>
                    "Save"
                </button>
            </form>
            <Acts schedule />
        </li>
    }
}

#[component]
fn State(schedule: Schedule, now: Timestamp) -> impl IntoView {
    let (tone, icon, word) = match schedule.state {
        ScheduleState::Waiting => ("ok", "scheduled", "Waits"),
        ScheduleState::Due => ("info", "available", "Due"),
        ScheduleState::Running => ("info", "running", "Running"),
        ScheduleState::Paused => ("warn", "pause", "Paused"),
    };
    let detail = match schedule.state {
        ScheduleState::Waiting => view! {
            "next "
            <Ago at=schedule.next_at now long=true />
            ", "
            <Exactly at=schedule.next_at />
        }
        .into_any(),
        ScheduleState::Due => "the next free worker takes it".into_any(),
        ScheduleState::Running => schedule.started_at.map(|at| view! { "since " <Ago at now /> }).into_any(),
        ScheduleState::Paused => schedule.paused_at.map(|at| view! { "since " <Exactly at /> }).into_any(),
    };
    view! {
        <Badge tone icon word />
        <p class="sub">{detail}</p>
    }
}

/// How it went the last time.
#[component]
fn Last(schedule: Schedule, now: Timestamp) -> impl IntoView {
    let Some((outcome, at)) = schedule.outcome.zip(schedule.finished_at) else {
        return view! { <p class="sub">"Not done yet"</p> }.into_any();
    };
    let (tone, icon, word) = match outcome {
        ScheduleOutcome::Done => ("ok", "completed", "Done"),
        ScheduleOutcome::Failed => ("bad", "discarded", "Failed"),
    };
    // While it is done again, or after an interruption, the start is of another time than the end.
    let took = schedule.started_at.filter(|started| *started <= at);
    let took = took.map(|started| duration(at.since(started).as_secs_f64()));
    view! {
        <p>
            <Badge tone icon word />
            " "
            <span class="sub">
                <Ago at now long=true />
                {took.map(|took| format!(", took {took}"))}
            </span>
        </p>
        {schedule.detail.map(|detail| view! { <Detail id=format!("{}-detail", schedule.task) detail /> })}
    }
    .into_any()
}

/// What it did or what went wrong; what is long opens on demand.
#[component]
fn Detail(id: String, detail: String) -> impl IntoView {
    if detail.chars().count() <= SHORT_DETAIL {
        return view! { <p class="sub breaks">{detail}</p> }.into_any();
    }
    // The summary is the text itself, cut off until it is opened: nothing is said twice.
    view! {
        <details id=id class="sched__detail">
            <summary class="sub breaks">{detail}</summary>
        </details>
    }
    .into_any()
}

#[component]
fn Acts(schedule: Schedule) -> impl IntoView {
    let slug = schedule.task.slug();
    let (action, icon, word) = if schedule.paused_at.is_some() {
        ("/api/fn/schedules/resume", "play", "Resume")
    } else {
        ("/api/fn/schedules/pause", "pause", "Pause")
    };
    view! {
        <div class="btn-row sched__acts">
            <form method="post" action="/api/fn/schedules/run" data-swap>
                <input type="hidden" name="task" value=slug />
                <button type="submit" class="btn btn--sm" id=format!("{slug}-run") aria-label=format!("Run now: {slug}")>
                    <Icon name="play" />
                    "Run now"
                </button>
            </form>
            <form method="post" action=action id=format!("{slug}-pause-form") data-swap data-live>
                <input type="hidden" name="task" value=slug />
                <button
                    type="submit"
                    class="btn btn--sm btn--quiet"
                    id=format!("{slug}-pause")
                    aria-label=format!("{word} {slug}")
                >
                    <Icon name=icon />
                    {word}
                </button>
            </form>
        </div>
    }
}
