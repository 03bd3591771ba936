//! Re-geolocate and Force refresh of one host: queue a job, follow it, say what came of it.

use hostatlas_domain::{Coordinate, UnlocatedReason};
use leptos::task::spawn_local;
use web_sys::Element;

use crate::{
    browser::{self, Json, REFRESH},
    format,
};

/// How often a job that was asked for by hand is looked at. It runs first, so it is mostly done at the first look.
const FIRST_LOOKS_MILLISECONDS: i32 = 250;
/// How often a job is looked at that waits for something.
const LATER_LOOKS_MILLISECONDS: i32 = 2_000;
/// How many quick looks before the slow ones.
const FIRST_LOOKS: u32 = 12;

/// What is said below the buttons.
enum Progress {
    Working(String),
    Done(String),
    Failed(String),
}

/// A click on one of the two buttons.
pub fn ask(button: &Element) {
    let Ok(Some(form)) = button.closest("form") else { return };
    if form.has_attribute("data-busy") {
        return;
    }
    let force = button.get_attribute("value").as_deref() == Some("true");
    let ip = form.get_attribute("data-geolocate").unwrap_or_default();
    spawn_local(async move {
        let _ = form.set_attribute("data-busy", "");
        geolocate(&form, &ip, force).await;
        let _ = form.remove_attribute("data-busy");
        browser::announce(REFRESH);
    });
}

fn say(form: &Element, progress: &Progress) {
    let Ok(Some(chip)) = form.query_selector(".jobchip") else { return };
    let (tone, icon, text) = match progress {
        Progress::Working(text) => (None, "#i-running", text),
        Progress::Done(text) => (Some("ok"), "#i-completed", text),
        Progress::Failed(text) => (Some("bad"), "#i-unlocated", text),
    };
    let _ = match tone {
        Some(tone) => chip.set_attribute("data-tone", tone),
        None => chip.remove_attribute("data-tone"),
    };
    super::run::icon(&chip, icon, tone.is_none());
    browser::write(&chip, "p", text);
    browser::show(&chip, true);
}

async fn geolocate(form: &Element, ip: &str, force: bool) {
    say(form, &Progress::Working("Asking".to_owned()));
    let host = format!("/api/v1/hosts/{ip}");
    let before = browser::get_json(&host, None).await.ok().and_then(|host| point(&host.get("location")));
    let outcome = match browser::post_json(&format!("{host}/geolocate"), &[("force", force.into())]).await {
        Ok(queued) => follow(form, queued.count("job")).await,
        Err(refused) => Err(refused),
    };
    let told = match outcome {
        Ok(()) => browser::get_json(&host, None).await.map(|host| result(&host, before)),
        Err(failure) => Err(failure),
    };
    say(form, &told.unwrap_or_else(Progress::Failed));
}

/// Looks at a job until it is finished.
async fn follow(form: &Element, job: u64) -> Result<(), String> {
    let mut looks = 0;
    loop {
        let job = browser::get_json(&format!("/api/v1/jobs/{job}"), None).await?;
        let error = job.text("last_error");
        match job.text("state").as_deref() {
            Some("completed") => return Ok(()),
            Some("discarded") => return Err(error.unwrap_or_else(|| "The job was given up".to_owned())),
            Some("cancelled") => return Err("The job was cancelled".to_owned()),
            Some("running") => say(form, &Progress::Working("Running".to_owned())),
            _ => {
                let why = error.or_else(|| job.text("waiting_because"));
                say(
                    form,
                    &Progress::Working(
                        why.map_or_else(|| "Queued".to_owned(), |why| format!("Queued: {why}")),
                    ),
                );
            }
        }
        looks += 1;
        browser::sleep(if looks < FIRST_LOOKS { FIRST_LOOKS_MILLISECONDS } else { LATER_LOOKS_MILLISECONDS })
            .await;
    }
}

/// What the job found, in words: `Located: Frankfurt am Main, Germany, by mmdb`, and how far that is from before.
fn result(host: &Json, before: Option<Coordinate>) -> Progress {
    let location = host.get("location");
    match host.text("location_state").as_deref() {
        Some("located") => {
            let finest = location.text("city").or_else(|| location.text("region"));
            let names: Vec<String> = [finest, location.text("country")].into_iter().flatten().collect();
            let provider = location.text("provider").unwrap_or_default();
            let mut text = format!("Located: {}, by {}", names.join(", "), format::speaker(&provider));
            let moved = before.zip(point(&location)).map(|(before, now)| before.distance_km(now));
            if let Some(kilometres) = moved.filter(|kilometres| *kilometres >= 1.0) {
                text = format!("{text}, moved {}", format::kilometres(kilometres));
            }
            Progress::Done(text)
        }
        Some("not_applicable") => Progress::Failed("This address has no place".to_owned()),
        _ => {
            let slug = host.text("unlocated_reason").unwrap_or_default();
            let reason = UnlocatedReason::ALL.into_iter().find(|reason| reason.slug() == slug);
            Progress::Failed(reason.map_or("No place was found", UnlocatedReason::label).to_owned())
        }
    }
}

fn point(location: &Json) -> Option<Coordinate> {
    Coordinate::new(location.number("latitude")?, location.number("longitude")?).ok()
}
