use hostatlas_domain::{ProblemCode, ScheduleTask};
use leptos::{prelude::*, server_fn::error::ServerFnUrlError};
use leptos_router::hooks::use_query_map;

use super::Icon;
use crate::{ApiError, format::counted};

/// What became of a form that was sent without scripts: server functions lead back here and say it in the address.
#[component]
pub fn FormNotice() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok());
    let done = |text: String, detail: Option<String>| {
        view! {
            <div class="callout" data-tone="ok">
                <Icon name="completed" />
                <div>
                    <strong>{text}</strong>
                    {detail.map(|detail| view! { <p>{detail}</p> })}
                </div>
            </div>
        }
    };
    let queued = number("queued").map(|queued| {
        let waiting = number("duplicate").filter(|waiting| *waiting > 0);
        let detail = waiting.map(|waiting| {
            format!(
                "{} already waiting; they took this request in.",
                counted(waiting, "job was", "jobs were")
            )
        });
        done(format!("{} queued", counted(queued, "job", "jobs")), detail)
    });
    let changed = number("changed").map(|changed| {
        let skipped = number("skipped").filter(|skipped| *skipped > 0);
        let detail = skipped.map(|skipped| {
            format!(
                "{} left as they were: their state does not allow it, or such a job is already waiting.",
                counted(skipped, "job", "jobs")
            )
        });
        done(format!("{} changed", counted(changed, "job", "jobs")), detail)
    });
    let refused = query.get("__err").map(|text| {
        let problem = ServerFnUrlError::<ApiError>::decode_err(&text).problem;
        let detail = if problem.code == ProblemCode::Internal { problem.title } else { problem.detail };
        view! {
            <div class="callout" data-tone="bad" role="alert">
                <Icon name="warn" />
                <div>
                    <strong>{detail}</strong>
                    {problem.hint.map(|hint| view! { <p>{hint}</p> })}
                </div>
            </div>
        }
    });
    let fixed = query.get("fixed").map(|fixed| {
        if fixed == "here" {
            done("The location is fixed".to_owned(), Some("No answer replaces it.".to_owned()))
        } else {
            done("Providers decide again".to_owned(), Some("The host is looked up again.".to_owned()))
        }
    });
    let asked = query.get("asked").map(|_| {
        done("All providers were asked".to_owned(), Some("What they say stands under the map.".to_owned()))
    });
    let scheduled = query.get("scheduled").zip(query.get("task")).and_then(|(what, task)| {
        let task: ScheduleTask = task.parse().ok()?;
        let (text, detail) = match what.as_str() {
            "changed" => ("has a new rule", None),
            "paused" => ("is paused", Some("What is under way goes on.")),
            "resumed" => ("is taken up again", None),
            "asked" => ("is asked for", Some("The next free worker does it, even while it is paused.")),
            _ => return None,
        };
        Some(done(format!("{task} {text}"), detail.map(str::to_owned)))
    });
    // The region stays and its content is exchanged, so that it is read out.
    view! {
        <div class="notice" role="status">
            <div id="notice" data-live>
                {queued}
                {changed}
                {fixed}
                {asked}
                {scheduled}
                {refused}
            </div>
        </div>
    }
}
