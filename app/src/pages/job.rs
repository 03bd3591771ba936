use hostatlas_domain::{Job, JobId, JobKind, JobState, ProblemCode, Timestamp, WorkerStatus};
use hostatlas_services::Permission;
use leptos::prelude::*;

use super::{page, parameter};
use crate::{
    ApiError,
    api::{authorize, jobs::get_job, services, workers::list_workers},
    components::{
        Card, Chrome, Fact, FormNotice, Icon, JobBadge, JobsOfHost, Live, MomentFact, Tab, job_target,
        job_words, job_worker,
    },
    format::{address, duration, share},
};

/// Other jobs of the same host that are shown.
const OTHERS: u32 = 9;

struct Loaded {
    job: Job,
    others: Vec<Job>,
    workers: Vec<WorkerStatus>,
    now: Timestamp,
}

async fn load(id: String) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let id = id.parse().map_err(|_| {
        ApiError::new(ProblemCode::NotFound, "There is no such job: its number is a whole number.")
    })?;
    let services = services()?;
    let job = get_job(JobId(id)).await?;
    let others = services.jobs().for_host(&job.ip.to_string(), None, OTHERS).await?.items;
    let workers = if job.worker.is_some() { list_workers().await? } else { Vec::new() };
    Ok(Loaded { job, others, workers, now: services.now() })
}

/// One job: why it waits, its life, its facts.
#[component]
pub fn JobPage() -> impl IntoView {
    let id = parameter("id");
    let content = page(load(id.clone()), sheet);
    view! {
        <Chrome title=format!("Job {id}") tab=Tab::Jobs>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="jobs" />
    }
}

fn title(kind: JobKind) -> &'static str {
    match kind {
        JobKind::BannerGrab => "Banner of ",
        JobKind::DomainEnum => "Names of ",
        JobKind::Geolocation => "Geolocation of ",
        JobKind::SslCert => "Certificate of ",
    }
}

fn sheet(loaded: Loaded) -> impl IntoView {
    let Loaded { job, others, workers, now } = loaded;
    let id = job.id;
    let others: Vec<Job> = others.into_iter().filter(|other| other.id != id).collect();
    let button = |action: &'static str, class: &'static str, icon: &'static str, word: &'static str| {
        view! {
            <form method="post" action=action>
                <input type="hidden" name="id" value=id.0 />
                <button type="submit" class=class>
                    <Icon name=icon />
                    {word}
                </button>
            </form>
        }
    };
    let retry = if job.state.is_waiting() { "Run now" } else { "Retry" };
    let may_retry = job.state.is_waiting() || job.state.may_become(JobState::Available);
    view! {
        <div class="pagehead">
            <div class="stack" style="--gap:6px">
                <ol class="crumbs">
                    <li>
                        <a href="/jobs">"Jobs"</a>
                    </li>
                    <li>
                        <a href=address("/jobs", &[("kind", job.kind.slug())])>{job.kind.slug()}</a>
                    </li>
                </ol>
                <h1>
                    {title(job.kind)}
                    <a class="addr" href=format!("/hosts/{}", job.ip)>
                        {job_target(&job)}
                    </a>
                </h1>
                <p class="lede row" id="job-state" data-live>
                    <JobBadge state=job.state filled=true />
                    <span>"Job " <span class="mono">{id.0}</span></span>
                    <span>{format!("attempt {} of {}", job.attempt, job.max_attempts)}</span>
                </p>
            </div>
            <div class="push" id="job-actions" data-live>
                {(may_retry && job.state != JobState::Running)
                    .then(|| button("/api/fn/jobs/retry", "btn btn--primary", "retryable", retry))}
                {job.state.is_live().then(|| button("/api/fn/jobs/cancel", "btn btn--danger", "cancelled", "Cancel"))}
            </div>
        </div>
        <div id="job-words" data-live>
            <Words job=job.clone() workers now />
        </div>
        <div class="cols cols--main-side">
            <div class="stack">
                <Life job=job.clone() now />
                {(!others.is_empty())
                    .then(|| {
                        view! {
                            <Card id="others-head" title="Other jobs of this host">
                                <JobsOfHost caption="Other jobs of this host" jobs=others now />
                            </Card>
                        }
                    })}
            </div>
            <Facts job now />
        </div>
    }
}

/// Why it waits, what it found, or what it failed with.
#[component]
fn Words(job: Job, workers: Vec<WorkerStatus>, now: Timestamp) -> impl IntoView {
    let (words, bad) = job_words(&job);
    let (tone, icon, head) = match job.state {
        JobState::Available => ("info", "available", "Waits for a worker".to_owned()),
        JobState::Scheduled => ("info", "scheduled", "Waits for its time".to_owned()),
        JobState::Retryable => {
            let left = duration(job.run_at.since(now).as_secs_f64());
            ("warn", "retryable", format!("Waits for its next attempt, in {left}"))
        }
        JobState::Running => ("info", "running", "Runs".to_owned()),
        JobState::Completed => ("ok", "completed", "Done".to_owned()),
        JobState::Cancelled => ("mute", "cancelled", "Cancelled".to_owned()),
        JobState::Discarded => ("bad", "discarded", "Given up".to_owned()),
    };
    let tone = if bad && tone == "info" { "warn" } else { tone };
    view! {
        <section class="callout" data-tone=tone aria-labelledby="words-head">
            <Icon name=icon spin=job.state == JobState::Running />
            <div>
                <h2 id="words-head">{head} " " {job_worker(&job, &workers)}</h2>
                {(!words.is_empty()).then(|| view! { <p>{words}</p> })}
            </div>
        </section>
    }
}

/// The job's life on one axis of time: waiting, then the last attempt.
#[component]
fn Life(job: Job, now: Timestamp) -> impl IntoView {
    let end = job.finished_at.unwrap_or(now);
    let started = job.started_at.filter(|_| !job.state.is_waiting() || job.attempt > 0);
    let whole = end.since(job.created_at).as_millis().max(1);
    let part = |from: Timestamp, to: Timestamp| {
        share(u64::try_from(to.since(from).as_millis()).unwrap_or(0), u64::try_from(whole).unwrap_or(1))
    };
    let (waited, ran) = match started {
        Some(started) => (part(job.created_at, started), part(started, end)),
        None => (100.0, 0.0),
    };
    let time = |moment: Timestamp| moment.to_readable().get(11..19).unwrap_or_default().to_owned();
    let ran_for = started.map(|started| duration(end.since(started).as_secs_f64()));
    let waited_for = duration(started.unwrap_or(end).since(job.created_at).as_secs_f64());
    // An attempt that goes on has not failed.
    let attempt = match job.state {
        JobState::Completed => "done",
        JobState::Running => "active",
        _ => "run",
    };
    let label = format!(
        "Queued {}, waited {waited_for}{}",
        job.created_at.to_readable(),
        match &ran_for {
            Some(ran) => format!(", then {ran} since its last attempt began"),
            None => String::new(),
        }
    );
    view! {
        <Card id="life-head" title="Life of this job">
            <div class="card__body" id="job-life" data-live>
                <div class="life" role="img" aria-label=label>
                    <span data-k="wait" style=format!("--v:{waited:.1}")></span>
                    {started
                        .map(|_| {
                            view! { <span data-k=attempt style=format!("--v:{ran:.1}")></span> }
                        })}
                </div>
                <div class="scale" aria-hidden="true">
                    <span style="--v:0">{time(job.created_at)}</span>
                    <span style="--v:100">{if job.finished_at.is_some() { time(end) } else { "now".to_owned() }}</span>
                </div>
                <div class="keys">
                    <span>
                        <i class="lk" data-k="wait"></i>
                        "Waited "
                        <strong>{waited_for}</strong>
                    </span>
                    {ran_for
                        .map(|ran| {
                            view! {
                                <span>
                                    <i class="lk" data-k=attempt></i>
                                    "Last attempt "
                                    <strong>{ran}</strong>
                                </span>
                            }
                        })}
                </div>
            </div>
        </Card>
    }
}

#[component]
fn Facts(job: Job, now: Timestamp) -> impl IntoView {
    let port =
        job.port.map(|port| format!("{port}/{}", job.protocol.map_or("tcp", |protocol| protocol.name())));
    // What the page says above its cards is not said twice.
    let words = job_words(&job).0;
    let unsaid = |text: &Option<String>| text.clone().filter(|text| !words.contains(text.as_str()));
    let (result, last_error) = (unsaid(&job.result), unsaid(&job.last_error));
    view! {
        <Card id="facts-head" title="Facts">
            <dl class="facts card__body" id="job-facts" data-live>
                <Fact name="Kind" value=job.kind.slug().to_owned() />
                <dt>"Host"</dt>
                <dd>
                    <a class="addr" href=format!("/hosts/{}", job.ip)>
                        {job.ip.to_string()}
                    </a>
                </dd>
                <Fact name="Port" value=port />
                <dt>"Priority"</dt>
                <dd>{job.priority.get()} " " <span class="sub">"0 runs first"</span></dd>
                <Fact name="Forced" value=(if job.force { "yes, past age and cache" } else { "no" }).to_owned() />
                <MomentFact name="Queued" at=Some(job.created_at) now />
                <MomentFact name="Runs at" at=job.state.is_waiting().then_some(job.run_at) now />
                <MomentFact name="Started" at=job.started_at now />
                <MomentFact name="Finished" at=job.finished_at now />
                <Fact name="Attempts" value=format!("{} of {}", job.attempt, job.max_attempts) />
                <Fact name="Result" value=result />
                <Fact name="Last error" value=last_error />
            </dl>
        </Card>
    }
}
