use hostatlas_domain::{EnqueuedJob, JobState, LocationState};
use leptos::{ev::MouseEvent, prelude::*, task::spawn_local};
use serde::Serialize;

use crate::{
    browser::{self, REFRESH},
    components::Icon,
    format::{NBSP, address},
    wire::{HostDetail, HostPosition, JobProgress},
};

/// How often a job that was asked for by hand is looked at. It runs first, so it is mostly done at the first look.
const FIRST_LOOKS_MILLISECONDS: i32 = 250;
/// How often a job is looked at that waits for something.
const LATER_LOOKS_MILLISECONDS: i32 = 2_000;
/// How many quick looks before the slow ones.
const FIRST_LOOKS: u32 = 12;

/// How far a re-geolocation is.
#[derive(Clone, Debug, PartialEq)]
enum Progress {
    /// Nothing was asked.
    Idle,
    /// Goes on.
    Working(String),
    /// Ended with an answer.
    Done(String),
    /// Ended without one.
    Failed(String),
}

#[derive(Serialize)]
struct Request {
    force: bool,
}

/// Queues a geolocation job, follows it to its end, and says what came of it.
async fn geolocate(ip: String, force: bool, progress: RwSignal<Progress>) {
    progress.set(Progress::Working("Asking".to_owned()));
    let host = address(&format!("/api/v1/hosts/{ip}"), &[]);
    let before = browser::get_json::<HostDetail>(&host, None).await.ok().and_then(|host| host.location);
    let outcome = match browser::post_json::<EnqueuedJob>(&format!("{host}/geolocate"), &Request { force }).await {
        Ok(queued) => follow(queued.job.0, progress).await,
        Err(refused) => Err(refused),
    };
    let told = match outcome {
        Ok(()) => browser::get_json::<HostDetail>(&host, None).await.map(|host| result(&host, before.as_ref())),
        Err(failure) => Err(failure),
    };
    progress.set(match told {
        Ok(Ok(text)) => Progress::Done(text),
        Ok(Err(text)) | Err(text) => Progress::Failed(text),
    });
    browser::announce(REFRESH);
}

/// Looks at a job until it is finished.
async fn follow(job: i64, progress: RwSignal<Progress>) -> Result<(), String> {
    let mut looks = 0;
    loop {
        let job: JobProgress = browser::get_json(&format!("/api/v1/jobs/{job}"), None).await?;
        match job.state {
            JobState::Completed => return Ok(()),
            JobState::Discarded => return Err(job.last_error.unwrap_or_else(|| "The job was given up".to_owned())),
            JobState::Cancelled => return Err("The job was cancelled".to_owned()),
            JobState::Running => progress.set(Progress::Working("Running".to_owned())),
            JobState::Available | JobState::Scheduled | JobState::Retryable => {
                let why = job.last_error.or(job.waiting_because);
                progress.set(Progress::Working(why.map_or_else(|| "Queued".to_owned(), |why| format!("Queued: {why}"))));
            }
        }
        looks += 1;
        browser::sleep(if looks < FIRST_LOOKS { FIRST_LOOKS_MILLISECONDS } else { LATER_LOOKS_MILLISECONDS }).await;
    }
}

/// What the job found, in words: `Located: Frankfurt am Main, Germany, by mmdb`, and how far that is from before.
fn result(host: &HostDetail, before: Option<&HostPosition>) -> Result<String, String> {
    match (host.location_state, &host.location) {
        (LocationState::Located, Some(now)) => {
            let provider = now.provider.as_deref().unwrap_or("a provider");
            let mut text = format!("Located: {}, by {provider}", now.name());
            if let Some(kilometres) = before.and_then(|before| distance(before, now)).filter(|kilometres| *kilometres >= 1.0) {
                text.push_str(&format!(", moved {kilometres:.0}{NBSP}km"));
            }
            Ok(text)
        }
        (LocationState::NotApplicable, _) => Err("This address has no place".to_owned()),
        _ => Err(host.unlocated_reason.map_or("No place was found", |reason| reason.label()).to_owned()),
    }
}

fn distance(before: &HostPosition, now: &HostPosition) -> Option<f64> {
    let point = |position: &HostPosition| {
        hostatlas_domain::Coordinate::new(position.latitude?, position.longitude?).ok()
    };
    Some(point(before)?.distance_km(point(now)?))
}

/// The two buttons of a host: Re-geolocate queues a job, Force refresh also bypasses age and cache. Progress and result
/// appear below them. Without scripts they are a form that leads to the job.
#[component]
pub fn GeolocateControls(
    /// The host.
    ip: String,
    /// Smaller, in a list.
    small: bool,
    /// More links beside the buttons.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let progress = RwSignal::new(Progress::Idle);
    let asked = ip.clone();
    let ask = move |event: MouseEvent, force: bool| {
        event.prevent_default();
        if !matches!(progress.get_untracked(), Progress::Working(_)) {
            spawn_local(geolocate(asked.clone(), force, progress));
        }
    };
    let forced = ask.clone();
    let size = if small { " btn--sm" } else { "" };
    view! {
        <form class="geolocate" method="post" action="/api/fn/hosts/geolocate">
            <input type="hidden" name="ip" value=ip />
            <div class="btn-row">
                <button
                    type="submit"
                    class=format!("btn{}{size}", if small { "" } else { " btn--primary" })
                    name="force"
                    value="false"
                    on:click=move |event| ask(event, false)
                >
                    <Icon name="refresh" />
                    "Re-geolocate"
                </button>
                <button type="submit" class=format!("btn{size}") name="force" value="true" on:click=move |event| forced(event, true)>
                    <Icon name="force" />
                    "Force refresh"
                </button>
                {children.map(|children| children())}
            </div>
            <div role="status">{move || chip(progress.get())}</div>
        </form>
    }
}

fn chip(progress: Progress) -> Option<AnyView> {
    let (tone, icon, text) = match progress {
        Progress::Idle => return None,
        Progress::Working(text) => (None, "running", text),
        Progress::Done(text) => (Some("ok"), "completed", text),
        Progress::Failed(text) => (Some("bad"), "unlocated", text),
    };
    let view = view! {
        <div class="jobchip" data-tone=tone>
            <Icon name=icon spin=tone.is_none() />
            <p>{text}</p>
        </div>
    };
    Some(view.into_any())
}

/// [`GeolocateControls`] as an island of its own.
#[island]
pub fn GeolocateButtons(
    /// The host.
    ip: String,
) -> impl IntoView {
    view! { <GeolocateControls ip small=false /> }
}
