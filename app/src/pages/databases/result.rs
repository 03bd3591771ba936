use hostatlas_domain::{HostMove, MmdbComparison, MoveEnd, Timestamp};
use leptos::prelude::*;

use crate::{
    components::{Card, Column, DataTable},
    format::{address, counted, duration, grouped, kilometres, percent, share},
};

/// What a database file would change.
#[component]
pub fn ResultView(
    /// What would change.
    result: MmdbComparison,
    /// When the newest database of places in use was built; the comparison may be older than that.
    current_build: Option<Timestamp>,
) -> impl IntoView {
    let compared_with = result.current_build;
    let outdated = compared_with != current_build;
    let day =
        |build: Option<Timestamp>| build.map_or_else(|| "at an unknown time".to_owned(), Timestamp::to_date);
    let about = format!(
        "A {} database for {}, built {}; in use is one built {}. {} in {}.",
        result.role,
        result.families,
        day(result.database_build),
        day(compared_with),
        counted(result.hosts, "host", "hosts"),
        duration(result.seconds),
    );
    let (distances, otherwise) = (result.clone(), result.clone());
    let farthest = (!result.farthest.is_empty()).then(|| {
        view! {
            <Card id="farthest-head" title="Farthest moves">
                <Farthest moves=result.farthest />
            </Card>
        }
    });
    view! {
        <p class="hint">
            {about} {outdated.then_some(" Since then another database was installed: compare again.")}
        </p>
        <div class="cols cols--3-2">
            <Card id="distances-head" title="How far hosts would move">
                <Distances result=distances />
            </Card>
            <Card id="otherwise-head" title="What else would change">
                <Otherwise result=otherwise />
            </Card>
        </div>
        {farthest}
    }
}

#[component]
fn Distances(result: MmdbComparison) -> impl IntoView {
    let classes = result.moves.classes();
    let placed: u64 = classes.iter().map(|(_, hosts)| hosts).sum();
    let row = move |(class, hosts): (&'static str, u64)| {
        view! {
            <tr>
                <th scope="row">{class}</th>
                <td class="num">{grouped(hosts)}</td>
                <td>
                    {(hosts > 0)
                        .then(|| {
                            view! {
                                <span class="hbar">
                                    <span style=format!("--v:{:.1}", share(hosts, placed))></span>
                                </span>
                            }
                        })}
                </td>
                <td class="num sub">{percent(share(hosts, placed))}</td>
            </tr>
        }
    };
    let columns = vec![
        Column::text("Distance"),
        Column::number("Hosts"),
        Column::unseen("Bar").class("w30"),
        Column::number("Share"),
    ];
    view! {
        <DataTable
            caption="Hosts by how far they would move"
            columns
            class="covertable"
            scrolls="How far hosts would move"
        >
            {classes.into_iter().map(row).collect_view()}
        </DataTable>
    }
}

#[component]
fn Otherwise(result: MmdbComparison) -> impl IntoView {
    let rows = [
        ("Change country", "among those that move", result.other_country),
        ("Gain a place", "have none now", result.gained),
        (
            "Lose a place",
            "the file does not know them; they keep it unless something knows better",
            result.lost,
        ),
        ("Stay without a place", "neither knows them", result.still_unlocated),
        ("Not covered", "of an address family that the file does not hold", result.not_covered),
        ("Decided otherwise", "pinned, of a site, or known more finely", result.kept),
    ];
    let row = |(what, why, hosts): (&'static str, &'static str, u64)| {
        view! {
            <tr>
                <th scope="row" class="wrap">
                    {what}
                    <span class="sub dbnote">{why}</span>
                </th>
                <td class="num">{grouped(hosts)}</td>
            </tr>
        }
    };
    view! {
        <DataTable
            caption="Hosts whose place would change otherwise, or stay"
            columns=vec![Column::text("Hosts that"), Column::number("Hosts")]
            class=""
        >
            {rows.into_iter().map(row).collect_view()}
        </DataTable>
    }
}

#[component]
fn Farthest(moves: Vec<HostMove>) -> impl IntoView {
    let row = |far: HostMove| {
        view! {
            <tr>
                <th scope="row">
                    <a class="addr" href=format!("/hosts/{}", far.ip)>
                        {far.ip.to_string()}
                    </a>
                </th>
                <td class="num">{kilometres(far.distance_km)}</td>
                <td>
                    <End end=far.from />
                </td>
                <td>
                    <End end=far.to />
                </td>
            </tr>
        }
    };
    let columns =
        vec![Column::text("Host"), Column::number("Distance"), Column::text("From"), Column::text("To")];
    view! {
        <DataTable caption="The farthest moves, farthest first" columns class="" scrolls="Farthest moves">
            {moves.into_iter().map(row).collect_view()}
        </DataTable>
    }
}

/// One end of a move, which leads to the map there.
#[component]
fn End(end: MoveEnd) -> impl IntoView {
    let [latitude, longitude] = [end.latitude, end.longitude].map(|degrees| format!("{degrees:.4}"));
    let href = address("/", &[("lat", &latitude), ("lon", &longitude), ("zoom", "8")]);
    view! {
        {end.country_code.map(|code| view! { <span class="cc">{code}</span> " " })}
        <a class="plain" href=href>
            {end.label}
        </a>
    }
}
