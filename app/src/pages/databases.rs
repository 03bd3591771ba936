mod result;

use hostatlas_domain::{
    CandidateComparison, CandidateDatabase, ComparisonState, Databases, InstalledDatabase, Timestamp,
};
use hostatlas_services::Permission;
use leptos::prelude::*;

use self::result::ResultView;
use super::page;
use crate::{
    ApiError,
    api::{authorize, databases::list_databases, services},
    components::{Ago, Badge, Card, Chrome, Column, DataTable, FormNotice, Icon, Live, Tab},
    format::{NBSP, counted, grouped, share},
};

struct Loaded {
    databases: Databases,
    now: Timestamp,
}

async fn load() -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    Ok(Loaded { databases: list_databases().await?, now: services()?.now() })
}

/// The database files, and what a new one would change before it is installed.
#[component]
pub fn DatabasesPage() -> impl IntoView {
    let content = page(load(), sheet);
    view! {
        <Chrome title="Databases" tab=Tab::Providers>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="" />
    }
}

fn sheet(Loaded { databases, now }: Loaded) -> impl IntoView {
    let Databases { installed, candidates_folder, candidates_problem, candidates, comparison } = databases;
    let current = installed.iter().filter(|file| file.in_use && file.role.as_deref() != Some("asn"));
    let current_build = current.filter_map(|file| file.database_build).max();
    view! {
        <div class="pagehead">
            <div class="stack" style="--gap:6px">
                <ol class="crumbs">
                    <li>
                        <a href="/providers">"Providers"</a>
                    </li>
                </ol>
                <h1>"Databases"</h1>
                <p class="lede">"The files that locate hosts on this machine, and what a new one would change."</p>
            </div>
        </div>
        <Card id="installed-head" title="Installed">
            <Installed installed now />
        </Card>
        <Card id="candidates-head" title="Compare before installing">
            <div class="card__body stack" style="--gap:2px">
                <p>
                    "Put a new file into " <code class="breaks">{candidates_folder}</code>
                    ": it is not used there. Comparing tells which hosts would move, and changes nothing."
                </p>
                <p class="hint">
                    "To install it, move it one folder up with a rename, over the old file. It is in use within seconds."
                </p>
            </div>
            <Candidates candidates problem=candidates_problem now />
        </Card>
        <section class="card" aria-labelledby="comparison-head">
            <div class="card__head">
                <h2 id="comparison-head">"What would change"</h2>
            </div>
            <div class="card__body stack">
                <State comparison=comparison.clone() />
            </div>
        </section>
        <div id="comparison-result" class="stack" data-live>
            {comparison
                .and_then(|comparison| match comparison.state {
                    ComparisonState::Finished { result } => Some(view! { <ResultView result current_build /> }),
                    _ => None,
                })}
        </div>
    }
}

/// `123.4 MB`
#[expect(clippy::cast_precision_loss, reason = "a size to read")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}{NBSP}bytes"),
        1_000..1_000_000 => format!("{:.1}{NBSP}kB", bytes as f64 / 1e3),
        _ => format!("{:.1}{NBSP}MB", bytes as f64 / 1e6),
    }
}

#[component]
fn Installed(installed: Vec<InstalledDatabase>, now: Timestamp) -> impl IntoView {
    if installed.is_empty() {
        let none =
            "No database file is there: hosts are located by online providers alone, if any is set up.";
        return view! { <p class="card__body sub">{none}</p> }.into_any();
    }
    let row = move |file: InstalledDatabase| {
        let (tone, icon, word) = match (&file.problem, file.in_use) {
            (None, true) => ("ok", "located", "In use"),
            (None, false) => ("mute", "na", "Not in use"),
            (Some(_), true) => ("warn", "warn", "In use as it was"),
            (Some(_), false) => ("bad", "discarded", "Not in use"),
        };
        let damaged = (file.unreadable_records > 0).then(|| {
            format!("{} met", counted(file.unreadable_records, "damaged record", "damaged records"))
        });
        let notes = [file.problem, file.remedy, damaged].into_iter().flatten();
        let notes = notes.map(|note| view! { <span class="sub dbnote">{note}</span> }).collect_view();
        view! {
            <tr>
                <th scope="row" class="mono wrap breaks">
                    {file.name}
                </th>
                <td data-label="Tells">{file.role.unwrap_or_else(|| "-".to_owned())}</td>
                <td data-label="Addresses">{file.families.unwrap_or_else(|| "-".to_owned())}</td>
                <td data-label="Built">
                    {file
                        .database_build
                        .map(|build| view! { {build.to_date()} ", " <Ago at=build now /> " old" })}
                </td>
                <td data-label="Size" class="num">
                    {file.bytes.map(size)}
                </td>
                <td data-label="State" class="wrap">
                    <Badge tone icon word />
                    {notes}
                </td>
            </tr>
        }
    };
    let columns = vec![
        Column::text("File"),
        Column::text("Tells"),
        Column::text("Addresses"),
        Column::text("Built"),
        Column::number("Size"),
        Column::text("State"),
    ];
    view! {
        <DataTable caption="Installed database files" columns class="table--records dbtable" scrolls="Installed database files" id="installed">
            {installed.into_iter().map(row).collect_view()}
        </DataTable>
    }
    .into_any()
}

#[component]
fn Candidates(
    candidates: Vec<CandidateDatabase>,
    #[prop(optional_no_strip)] problem: Option<String>,
    now: Timestamp,
) -> impl IntoView {
    let row = move |(index, file): (usize, CandidateDatabase)| {
        view! {
            <tr>
                <th scope="row" class="mono wrap breaks">
                    {file.name.clone()}
                </th>
                <td data-label="Size" class="num">
                    {size(file.bytes)}
                </td>
                <td data-label="Written">{file.modified_at.map(|at| view! { <Ago at now long=true /> })}</td>
                <td class="act">
                    <form method="post" action="/api/fn/databases/compare" data-swap>
                        <input type="hidden" name="name" value=file.name.clone() />
                        <button
                            type="submit"
                            class="btn btn--sm"
                            id=format!("compare-{index}")
                            aria-label=format!("Compare {}", file.name)
                        >
                            "Compare"
                        </button>
                    </form>
                </td>
            </tr>
        }
    };
    let columns = vec![
        Column::text("File"),
        Column::number("Size"),
        Column::text("Written"),
        Column::unseen("Compare"),
    ];
    let table = (!candidates.is_empty()).then(|| {
        view! {
            <DataTable caption="Candidates" columns class="table--records dbtable" scrolls="Candidates">
                {candidates.into_iter().enumerate().map(row).collect_view()}
            </DataTable>
        }
        .into_any()
    });
    let none = || view! { <p class="card__body sub">"No file is there."</p> }.into_any();
    let problem = problem.map(|problem| {
        view! { <p class="card__body" role="alert">{format!("The folder cannot be read: {problem}")}</p> }
            .into_any()
    });
    view! {
        <div id="candidates" data-live>
            {problem.or(table).unwrap_or_else(none)}
        </div>
    }
}

/// What the comparison does. Its headline is read out when it changes; how far it is, is not.
#[component]
fn State(#[prop(optional_no_strip)] comparison: Option<CandidateComparison>) -> impl IntoView {
    let Some(CandidateComparison { name, state, .. }) = comparison else {
        return view! {
            <div role="status">
                <p id="comparison-state" class="sub" data-live>
                    "Nothing was compared since the server started."
                </p>
            </div>
            <div id="comparison-progress" data-live></div>
        }
        .into_any();
    };
    let running = state.is_running();
    let (tone, icon, headline) = match &state {
        ComparisonState::Running { .. } => (None, "running", format!("Comparing {name}")),
        ComparisonState::Finished { result } => (
            Some("ok"),
            "completed",
            format!(
                "{name} would move {} of {}",
                grouped(result.moves.moved()),
                counted(result.hosts, "host", "hosts")
            ),
        ),
        ComparisonState::Failed { .. } => (Some("bad"), "warn", format!("{name} was not compared")),
    };
    let detail = match state {
        ComparisonState::Running { compared, total } => view! {
            <div class="meter meter--live">
                <span style=format!("--v:{:.1}", share(compared, total))></span>
            </div>
            <p class="hint">
                {format!("{} of {} compared", grouped(compared), counted(total, "host", "hosts"))}
            </p>
            <noscript>
                <p class="hint">
                    <a href="/databases">"See how far it is now"</a>
                </p>
            </noscript>
        }
        .into_any(),
        ComparisonState::Finished { .. } => ().into_any(),
        ComparisonState::Failed { detail, hint } => {
            view! { <p class="breaks">{detail}</p> {hint.map(|hint| view! { <p class="hint">{hint}</p> })} }
                .into_any()
        }
    };
    view! {
        <div role="status">
            <div class="jobchip" id="comparison-state" data-live data-tone=tone data-goes-on=running.then_some("")>
                <Icon name=icon spin=running />
                <p class="breaks">{headline}</p>
            </div>
        </div>
        <div id="comparison-progress" class="stack" style="--gap:6px" data-live>
            {detail}
        </div>
    }
    .into_any()
}
