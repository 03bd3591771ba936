use hostatlas_domain::{Import, ImportState, LineCounts, Timestamp};
use leptos::prelude::*;

use crate::{
    components::{Ago, Badge, Card, Column, DataTable},
    format::{address, grouped},
};

/// The latest imports.
#[component]
pub fn Imports(
    /// The imports, newest first.
    imports: Vec<Import>,
    /// Whether there are older ones.
    more: bool,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let empty = imports.is_empty();
    let columns = vec![
        Column::text("Source"),
        Column::text("State"),
        Column::text("Started"),
        Column::text("Format"),
        Column::number("Hosts"),
        Column::number("New"),
        Column::text("Records"),
    ];
    let beside = more.then(|| {
        view! {
            <span class="push card__note">
                "the latest; " <code>"hostatlas import list"</code> " has them all"
            </span>
        }
    });
    view! {
        <Card id="imports" title="Imports" beside=beside.into_any()>
            <div id="imports-list" data-live>
                {if empty {
                    view! {
                        <p class="card__body sub">
                            "No scan has been imported yet. In a terminal: " <code>"hostatlas import scan.json"</code>
                        </p>
                    }
                        .into_any()
                } else {
                    view! {
                        <DataTable caption="Imports, newest first" columns class="covertable" scrolls="Imports">
                            {imports.into_iter().map(|import| view! { <Row import now /> }).collect_view()}
                        </DataTable>
                    }
                        .into_any()
                }}
            </div>
        </Card>
    }
}

#[component]
fn Row(import: Import, now: Timestamp) -> impl IntoView {
    let Import { source, state, started_at, report, .. } = import;
    let (tone, icon, word) = signs(state);
    let name = if source == "-" { "standard input".to_owned() } else { source };
    let new = grouped(report.hosts_new);
    let new = if report.hosts_new > 0 {
        let query = format!("import:{}", report.id.0);
        view! {
            <a class="plain" href=address("/hosts", &[("q", &query)])>
                {new}
            </a>
        }
        .into_any()
    } else {
        new.into_any()
    };
    view! {
        <tr>
            <th scope="row" class="wrap">
                {name}
            </th>
            <td>
                <Badge tone icon word />
            </td>
            <td class="sub">
                <Ago at=started_at now long=true />
            </td>
            <td class="mono sub">{report.format.slug()}</td>
            <td class="num">{grouped(report.hosts_seen)}</td>
            <td class="num">{new}</td>
            <td class="sub">{records(report.lines, report.truncated)}</td>
        </tr>
    }
}

const fn signs(state: ImportState) -> (&'static str, &'static str, &'static str) {
    match state {
        ImportState::Running => ("info", "running", "Running"),
        ImportState::Done => ("ok", "completed", "Done"),
        ImportState::Undone => ("mute", "cancelled", "Undone"),
        ImportState::Interrupted => ("warn", "warn", "Interrupted"),
    }
}

/// `1,204 read, 3 bad, cut short`
fn records(lines: LineCounts, truncated: bool) -> String {
    let mut words = vec![format!("{} read", grouped(lines.ok))];
    let others = [
        (lines.repaired, "repaired"),
        (lines.duplicate, "seen before"),
        (lines.skipped, "skipped"),
        (lines.bad, "bad"),
    ];
    words.extend(
        others
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{} {word}", grouped(count))),
    );
    if truncated {
        words.push("cut short".to_owned());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_by_what_became_of_them() {
        let lines = LineCounts { ok: 1_204, bad: 3, ..LineCounts::default() };
        assert_eq!(records(lines, true), "1,204 read, 3 bad, cut short");
        assert_eq!(records(LineCounts::default(), false), "0 read");
    }
}
