use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{
        IntoResponse,
        sse::{Event as Message, KeepAlive, Sse},
    },
    routing::get,
};
use futures::{Stream, StreamExt, stream};
use hostatlas_domain::{JobId, Problem};
use hostatlas_services::{Event, Services};
use serde::Deserialize;

use crate::http::{
    AppState,
    client::Client,
    errors::Refusal,
    extract::{self, Query},
};

/// Tells nginx to pass each event on when it comes: otherwise it gathers some kilobytes first, which takes hours.
const UNBUFFERED: [(&str, &str); 1] = [("x-accel-buffering", "no")];
/// Proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a browser opens a broken stream again.
const RETRY: Duration = Duration::from_secs(2);
/// Jobs that one stream may watch.
const MOST_JOBS: usize = 16;

pub fn router() -> Router<AppState> {
    Router::new().route("/events", get(listen))
}

/// What to listen to besides the topics.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventParameters {
    /// Numbers of jobs, separated by commas: their events are named `job:<id>` and carry the job.
    job: Option<String>,
}

/// Server-sent events `map`, `jobs`, `coverage`, `imports`: something under that topic changed, in whatever process.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventParameters), responses(
    (status = 200, description = "a stream that does not end", body = str, content_type = "text/event-stream"),
    (status = 503, description = "too many streams are open", body = Problem, content_type = "application/problem+json"),
))]
pub async fn listen(
    State(state): State<AppState>,
    client: Client,
    Query(parameters): Query<EventParameters>,
) -> Result<impl IntoResponse, Refusal> {
    let jobs = watched(parameters.job.as_deref().unwrap_or_default())?;
    let place = state.limits.stream(client)?;
    let greeting = Message::default().comment("listening").retry(RETRY);
    let shutdown = state.shutdown.clone().cancelled_owned();
    let messages = stream::once(async { greeting })
        .chain(messages(&state.services, &jobs))
        .take_until(shutdown)
        .map(move |message| {
            let _held = &place;
            Ok::<_, Infallible>(message)
        });
    let stream = Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still here"));
    Ok((UNBUFFERED, stream))
}

fn messages(services: &Services, jobs: &[JobId]) -> impl Stream<Item = Message> + Send + 'static + use<> {
    let topics = services.events().subscribe().filter_map(|event| async move {
        match event {
            Event::Changed(topic) => Some(Message::default().event(topic.slug()).data("{}")),
            Event::Job(_) => None,
        }
    });
    let watched = jobs.iter().map(|&id| {
        let states = services.events().watch_job(id);
        states
            .map(move |job| {
                let message = Message::default().event(format!("job:{id}"));
                message
                    .json_data(&job)
                    .unwrap_or_else(|_| Message::default().comment("a job could not be written"))
            })
            .boxed()
    });
    stream::select(topics, stream::select_all(watched))
}

fn watched(text: &str) -> Result<Vec<JobId>, Refusal> {
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    let ids: Vec<JobId> = ids.map(|id| extract::number(id, "a job").map(JobId)).collect::<Result<_, _>>()?;
    if ids.len() > MOST_JOBS {
        return Err(Refusal::invalid(
            format!("{} jobs", ids.len()),
            &format!("a stream watches at most {MOST_JOBS} jobs"),
        ));
    }
    Ok(ids)
}
