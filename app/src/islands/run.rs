use hostatlas_domain::RunState;
use leptos::{ev::MouseEvent, prelude::*, task::spawn_local};
use serde::Serialize;

use crate::{
    browser::{self, REFRESH},
    components::Icon,
    format::{NBSP, counted, duration, grouped, share},
    wire::RunProgress,
};

/// How often a run is looked at.
const LOOKS_MILLISECONDS: i32 = 400;

/// What a batch run is asked for: the hosts of a query, or a selection.
#[derive(Clone, Debug, Serialize)]
pub struct RunRequest {
    /// Hosts that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// `missing`, `stale` or `all`, where there is no query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<&'static str>,
    mode: &'static str,
    /// Bypasses age and cache.
    pub force: bool,
}

impl RunRequest {
    /// A run over the hosts that match.
    pub fn query(q: String, force: bool) -> Self {
        Self { q: Some(q), selection: None, mode: "async_batch", force }
    }

    /// A run over a selection.
    pub fn selection(selection: &'static str) -> Self {
        Self { q: None, selection: Some(selection), mode: "async_batch", force: false }
    }
}

/// What a view of a run holds.
#[derive(Clone, Copy)]
pub struct RunSignals {
    /// The run.
    pub run: RwSignal<Option<RunProgress>>,
    /// Why it could not be started.
    pub refused: RwSignal<Option<String>>,
}

impl RunSignals {
    /// Begins with what the server knows.
    pub fn new(run: Option<RunProgress>) -> Self {
        Self { run: RwSignal::new(run), refused: RwSignal::new(None) }
    }

    /// Starts a run and follows it to its end.
    pub fn start(self, request: RunRequest) {
        self.refused.set(None);
        spawn_local(async move {
            match browser::post_json::<RunProgress>("/api/v1/runs", &request).await {
                Ok(run) => {
                    let id = run.id;
                    self.run.set(Some(run));
                    self.follow(id).await;
                }
                Err(refused) => self.refused.set(Some(refused)),
            }
        });
    }

    /// Follows a run to its end.
    pub async fn follow(self, id: i64) {
        loop {
            match browser::get_json::<RunProgress>(&format!("/api/v1/runs/{id}"), None).await {
                Ok(run) => {
                    let ended = run.state != RunState::Running;
                    self.run.set(Some(run));
                    if ended {
                        break;
                    }
                }
                Err(refused) => {
                    self.refused.set(Some(refused));
                    break;
                }
            }
            browser::sleep(LOOKS_MILLISECONDS).await;
        }
        browser::announce(REFRESH);
    }
}

/// A run with its progress, and Cancel while it goes on.
#[component]
pub fn RunStatus(
    /// The run.
    signals: RunSignals,
) -> impl IntoView {
    let cancel = move |event: MouseEvent, id: i64| {
        event.prevent_default();
        spawn_local(async move {
            if let Err(refused) = browser::post_json::<RunProgress>(&format!("/api/v1/runs/{id}/cancel"), &()).await {
                signals.refused.set(Some(refused));
            }
        });
    };
    let shown = move || {
        signals.run.get().map(|run| {
            let id = run.id;
            let running = run.state == RunState::Running;
            let (tone, icon) = match run.state {
                RunState::Running => (None, "running"),
                RunState::Done => (Some("ok"), "completed"),
                RunState::Cancelled => (Some("mute"), "cancelled"),
                RunState::Interrupted | RunState::Failed => (Some("bad"), "warn"),
            };
            view! {
                <div class="jobchip" data-tone=tone>
                    <Icon name=icon spin=running />
                    <p>{headline(&run)}</p>
                    {running
                        .then(|| {
                            view! {
                                <form method="post" action="/api/fn/runs/cancel">
                                    <input type="hidden" name="id" value=id />
                                    <button type="submit" class="btn btn--sm btn--quiet" on:click=move |event| cancel(event, id)>
                                        "Cancel"
                                    </button>
                                </form>
                            }
                        })}
                    {running
                        .then(|| {
                            view! {
                                <div class="meter meter--live">
                                    <span style=format!("--v:{:.1}", share(run.considered, run.total))></span>
                                </div>
                            }
                        })} <small>{details(&run)}</small>
                </div>
            }
        })
    };
    view! {
        <div role="status">
            {shown}
            {move || {
                signals
                    .refused
                    .get()
                    .map(|why| {
                        view! {
                            <div class="jobchip" data-tone="bad">
                                <Icon name="warn" />
                                <p>{why}</p>
                            </div>
                        }
                    })
            }}
        </div>
    }
}

fn headline(run: &RunProgress) -> String {
    match run.state {
        RunState::Running => format!("Looking up {}", counted(run.total, "host", "hosts")),
        RunState::Done => format!("Looked up {}", counted(run.considered, "host", "hosts")),
        RunState::Cancelled => "The run was cancelled; what it found is kept".to_owned(),
        RunState::Interrupted => "The run was interrupted; what it found is kept".to_owned(),
        RunState::Failed => run.error.clone().unwrap_or_else(|| "The run failed".to_owned()),
    }
}

fn details(run: &RunProgress) -> String {
    let mut text = format!(
        "{} of {} done, {} located, {} without a place, {} failed",
        grouped(run.considered),
        grouped(run.total),
        grouped(run.located),
        grouped(run.unlocated),
        grouped(run.failed)
    );
    if run.state == RunState::Running && run.rate > 0.0 {
        text.push_str(&format!(" · {:.0} a second", run.rate));
    }
    if let (RunState::Running, Some(left)) = (run.state, run.seconds_left) {
        text.push_str(&format!(" · {} left", duration(left)).replace(' ', &NBSP.to_string()));
    }
    text
}

/// Starts batch runs over what is missing or stale, with progress and cancel.
#[island]
pub fn RunPanel(
    /// The latest run.
    latest: Option<RunProgress>,
    /// Hosts without a place that could have one.
    missing: u64,
    /// Hosts whose location is stale.
    stale: u64,
) -> impl IntoView {
    let signals = RunSignals::new(latest);
    Effect::new(move |_| {
        let going = signals.run.get_untracked().filter(|run| run.state == RunState::Running);
        if let Some(run) = going {
            spawn_local(signals.follow(run.id));
        }
    });
    let start = move |selection: &'static str, icon: &'static str, class: &'static str, word: &'static str, count: u64| {
        let click = move |event: MouseEvent| {
            event.prevent_default();
            signals.start(RunRequest::selection(selection));
        };
        view! {
            <form method="post" action="/api/fn/runs/start">
                <input type="hidden" name="selection" value=selection />
                <button type="submit" class=class on:click=click>
                    <Icon name=icon />
                    {word}
                    " "
                    <span class="count" id=format!("count-{selection}") data-live>
                        {grouped(count)}
                    </span>
                </button>
            </form>
        }
    };
    view! {
        <div class="btn-row">
            {start("missing", "locate", "btn btn--primary", "Locate what is missing", missing)}
            {start("stale", "refresh", "btn", "Refresh what is stale", stale)}
        </div>
        <RunStatus signals />
    }
}
