use axum::http::StatusCode;
use hostatlas_domain::ProblemCode;
use leptos::prelude::*;
use leptos_axum::ResponseOptions;

use crate::{
    ApiError,
    components::{Icon, Words},
};

/// Why a page has nothing to show, what was not harmed, and where to go instead. It also sets the status of the answer.
#[component]
pub fn ProblemView(
    /// What happened.
    error: ApiError,
) -> impl IntoView {
    let problem = error.problem;
    if let Some(response) = use_context::<ResponseOptions>() {
        response
            .set_status(StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    }
    let harmless = match problem.code {
        ProblemCode::Internal | ProblemCode::Unavailable | ProblemCode::Timeout => {
            Some("What is stored was not touched.")
        }
        _ => None,
    };
    view! {
        <section class="card empty" aria-labelledby="problem">
            <h1 id="problem">
                <Icon name="warn" />
                " "
                {problem.title}
            </h1>
            <p><Words text=problem.detail /></p>
            {problem.hint.map(|hint| view! { <p><Words text=hint /></p> })}
            {harmless.map(|sentence| view! { <p>{sentence}</p> })}
            {problem.request_id.map(|id| view! { <p class="hint">"Request " <code>{id}</code></p> })}
            <div class="btn-row">
                <a class="btn" href="/">
                    "Map"
                </a>
                <a class="btn" href="/hosts">
                    "Hosts"
                </a>
            </div>
        </section>
    }
}
