use hostatlas_domain::{ProblemCode, ScheduleTask};
use leptos::{prelude::*, server_fn::error::ServerFnUrlError};
use leptos_router::{hooks::use_query_map, params::ParamsMap};

use super::{Icon, Words};
use crate::{ApiError, format::counted};

/// What became of a form that was sent without scripts: server functions lead back here and say it in the address.
#[component]
pub fn FormNotice() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let done = [queued(&query), changed(&query), fixed(&query), asked(&query), scheduled(&query)];
    // The region stays and its content is exchanged, so that it is read out.
    view! {
        <div class="notice" role="status">
            <div id="notice" data-live>
                {done.into_iter().flatten().map(|done| view! { <DoneNotice done /> }).collect_view()}
                {query.get("__err").map(|error| view! { <RefusedNotice error /> })}
            </div>
        </div>
    }
}

/// What a form did.
struct Done {
    text: String,
    detail: Option<String>,
}

#[component]
fn DoneNotice(done: Done) -> impl IntoView {
    view! {
        <div class="callout" data-tone="ok">
            <Icon name="completed" />
            <div>
                <strong>{done.text}</strong>
                {done.detail.map(|detail| view! { <p>{detail}</p> })}
            </div>
        </div>
    }
}

/// `error` is as a server function wrote it into the address.
#[component]
fn RefusedNotice(error: String) -> impl IntoView {
    let problem = ServerFnUrlError::<ApiError>::decode_err(&error).problem;
    let detail = if problem.code == ProblemCode::Internal { problem.title } else { problem.detail };
    view! {
        <div class="callout" data-tone="bad" role="alert">
            <Icon name="warn" />
            <div>
                <strong><Words text=detail /></strong>
                {problem.hint.map(|hint| view! { <p><Words text=hint /></p> })}
            </div>
        </div>
    }
}

fn number(query: &ParamsMap, name: &str) -> Option<u64> {
    query.get(name)?.parse().ok()
}

fn queued(query: &ParamsMap) -> Option<Done> {
    let text = format!("{} queued", counted(number(query, "queued")?, "job", "jobs"));
    let waiting = number(query, "duplicate").filter(|waiting| *waiting > 0);
    let detail = waiting.map(|waiting| {
        format!("{} already waiting; they took this request in.", counted(waiting, "job was", "jobs were"))
    });
    Some(Done { text, detail })
}

fn changed(query: &ParamsMap) -> Option<Done> {
    let text = format!("{} changed", counted(number(query, "changed")?, "job", "jobs"));
    let skipped = number(query, "skipped").filter(|skipped| *skipped > 0);
    let detail = skipped.map(|skipped| {
        format!(
            "{} left as they were: their state does not allow it, or such a job is already waiting.",
            counted(skipped, "job", "jobs")
        )
    });
    Some(Done { text, detail })
}

fn fixed(query: &ParamsMap) -> Option<Done> {
    let (text, detail) = match query.get("fixed")?.as_str() {
        "here" => ("The location is fixed", "No answer replaces it."),
        _ => ("Providers decide again", "The host is looked up again."),
    };
    Some(Done { text: text.to_owned(), detail: Some(detail.to_owned()) })
}

fn asked(query: &ParamsMap) -> Option<Done> {
    query.get("asked")?;
    let detail = Some("What they say stands under the map.".to_owned());
    Some(Done { text: "All providers were asked".to_owned(), detail })
}

fn scheduled(query: &ParamsMap) -> Option<Done> {
    let what = query.get("scheduled")?;
    let task: ScheduleTask = query.get("task")?.parse().ok()?;
    let (text, detail) = match what.as_str() {
        "changed" => ("has a new rule", None),
        "paused" => ("is paused", Some("What is under way goes on.")),
        "resumed" => ("is taken up again", None),
        "asked" => ("is asked for", Some("The next free worker does it, even while it is paused.")),
        _ => return None,
    };
    Some(Done { text: format!("{task} {text}"), detail: detail.map(str::to_owned) })
}
