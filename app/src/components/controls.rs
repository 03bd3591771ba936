use hostatlas_domain::{Run, RunState};
use leptos::prelude::*;

use super::Icon;
use crate::{
    format::{counted, duration, share},
    run_words,
};

/// The two buttons of a host: Re-geolocate queues a job, Force refresh also bypasses age and cache. Progress and result
/// appear below them. Without scripts they are a form that leads to the job.
#[component]
pub fn GeolocateControls(
    /// The host.
    ip: String,
    /// Smaller, in a list.
    #[prop(optional)]
    small: bool,
    /// What either button would send to whom.
    #[prop(optional_no_strip)]
    cost: Option<String>,
    /// More links beside the buttons.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let (first, second) = if small { ("btn btn--sm", "btn btn--sm") } else { ("btn btn--primary", "btn") };
    let target = ip.clone();
    view! {
        <form class="geolocate" method="post" action="/api/fn/hosts/geolocate" data-geolocate=target>
            <input type="hidden" name="ip" value=ip />
            <div class="btn-row">
                <button type="submit" class=first name="force" value="false">
                    <Icon name="refresh" />
                    "Re-geolocate"
                </button>
                <button type="submit" class=second name="force" value="true">
                    <Icon name="force" />
                    "Force refresh"
                </button>
                {children.map(|children| children())}
            </div>
            <p class="hint" id="geolocate-cost" data-live>
                {cost}
            </p>
            <div role="status">
                <div class="jobchip" hidden>
                    <Icon name="running" spin=true />
                    <p></p>
                </div>
            </div>
        </form>
    }
}

/// Re-geolocate and Force refresh for all hosts of a place, as one run.
#[component]
pub fn PlaceControls(
    /// The place.
    id: i64,
    /// How many hosts stand there.
    hosts: u64,
    /// What either button would send to whom.
    #[prop(optional_no_strip)]
    cost: Option<String>,
) -> impl IntoView {
    let all = counted(hosts, "host", "hosts");
    view! {
        <form method="post" action="/api/fn/runs/start" data-run>
            <input type="hidden" name="q" value=format!("place:{id}") />
            <div class="btn-row asideacts">
                <button
                    type="submit"
                    class="btn btn--primary"
                    name="force"
                    value="false"
                    title=format!("Re-geolocate all {all} here")
                >
                    <Icon name="refresh" />
                    "Re-geolocate"
                </button>
                <button type="submit" class="btn" name="force" value="true" title=format!("Force refresh of all {all} here")>
                    <Icon name="force" />
                    "Force refresh"
                </button>
            </div>
            <p class="hint" id="place-cost" data-live>
                {cost}
            </p>
        </form>
    }
}

/// The card of a run, hidden until there is one: how far it is, and Cancel while it goes on.
#[component]
pub fn RunCard(
    /// The run to begin with.
    #[prop(optional_no_strip)]
    run: Option<Run>,
) -> impl IntoView {
    let running = run.as_ref().is_some_and(|run| run.state == RunState::Running);
    let (tone, icon) = match run.as_ref().map(|run| run.state) {
        None | Some(RunState::Running) => (None, "running"),
        Some(RunState::Done) => (Some("ok"), "completed"),
        Some(RunState::Cancelled) => (Some("mute"), "cancelled"),
        Some(RunState::Interrupted | RunState::Failed) => (Some("bad"), "warn"),
    };
    let id = run.as_ref().map(|run| run.id.0);
    let part = run.as_ref().map_or(0.0, |run| share(run.summary.considered, run.total));
    let (head, detail) = match run.as_ref() {
        None => (String::new(), String::new()),
        Some(run) => words(run),
    };
    view! {
        <div role="status">
            <div class="jobchip" id="run" data-tone=tone data-run-id=id data-running=running.then_some("") hidden=run.is_none()>
                <Icon name=icon spin=running />
                <p>{head}</p>
                <form method="post" action="/api/fn/runs/cancel" data-run-cancel hidden=!running>
                    <input type="hidden" name="id" value=id />
                    <button type="submit" class="btn btn--sm btn--quiet">
                        "Cancel"
                    </button>
                </form>
                <div class="meter meter--live" hidden=!running>
                    <span style=format!("--v:{part:.1}")></span>
                </div>
                <small>{detail}</small>
            </div>
        </div>
    }
}

fn words(run: &Run) -> (String, String) {
    let state = match run.state {
        RunState::Running => "running",
        RunState::Done => "done",
        RunState::Cancelled => "cancelled",
        RunState::Interrupted => "interrupted",
        RunState::Failed => "failed",
    };
    let summary = &run.summary;
    let mut detail = run_words::details(
        summary.considered,
        run.total,
        [summary.located, summary.unlocated, summary.failed],
    );
    if let (RunState::Running, Some(left)) = (run.state, run.seconds_left) {
        detail = format!("{detail} · {} left", duration(left));
    }
    (run_words::headline(state, summary.considered, run.total, run.error.clone()), detail)
}

/// A command to run in a terminal, and a button that copies it.
#[component]
pub fn Command(
    /// The command.
    text: String,
) -> impl IntoView {
    let label = format!("Copy: {text}");
    view! {
        <div class="cmd">
            <code tabindex="0">{text.clone()}</code>
            <button
                type="button"
                class="btn btn--icon btn--quiet btn--sm needs-script"
                data-copy=text
                aria-label=label.clone()
                title=label
            >
                <Icon name="copy" />
            </button>
            <span class="visually-hidden" role="status"></span>
        </div>
    }
}
