use hostatlas_domain::{MapEntry, MapEntryKind, PlaceId};
use leptos::{ev::MouseEvent, prelude::*};

use super::steering::MapSignals;
use crate::{
    components::Icon,
    format::{address, grouped, percent, share},
};

/// The marks in view as a table: the equal of the canvas for those who do not see it or do not point.
#[component]
pub fn MapList(
    /// What the map shows.
    signals: MapSignals,
) -> impl IntoView {
    let close = move |event: MouseEvent| {
        event.prevent_default();
        signals.close_panel();
    };
    view! {
        <aside class="aside" aria-labelledby="list-name" id="places">
            <div class="aside__head">
                <div class="row">
                    <h2 id="list-name">"Places in view"</h2>
                    <span class="push">
                        <a
                            class="btn btn--icon btn--quiet btn--sm"
                            href=signals.address(None, "", "", false)
                            aria-label="Close panel (Esc)"
                            title="Close panel (Esc)"
                            on:click=close
                        >
                            <Icon name="close" />
                        </a>
                    </span>
                </div>
                <p class="sub2">"What the map draws, most hosts first. It follows the map."</p>
            </div>
            <div class="aside__body" tabindex="0" role="region" aria-label="Places in view">
                <table class="table placetable">
                    <caption class="visually-hidden">"Places in view, most hosts first"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Place"</th>
                            <th scope="col" class="num">
                                "Places"
                            </th>
                            <th scope="col" class="num">
                                "Stale"
                            </th>
                            <th scope="col" class="num">
                                "Hosts"
                            </th>
                        </tr>
                    </thead>
                    <tbody>
                        {move || {
                            signals.marks.get().into_iter().map(|mark| view! { <MapListRow mark signals /> }).collect_view()
                        }}
                    </tbody>
                </table>
            </div>
        </aside>
    }
}

#[component]
fn MapListRow(mark: MapEntry, signals: MapSignals) -> impl IntoView {
    let href = match mark.place_id {
        Some(PlaceId(id)) => signals.address(Some(id), "", "", false),
        None => address(
            &signals.address(None, "", "", true),
            &[("lat", &mark.latitude.to_string()), ("lon", &mark.longitude.to_string()), ("zoom", "6")],
        ),
    };
    let country = mark.country_code.clone();
    let kind = if mark.kind == MapEntryKind::Area { " (area)" } else { "" };
    let name = format!("{}{kind}", mark.label);
    let (places, hosts) = (grouped(mark.places), grouped(mark.hosts));
    let stale = (mark.stale > 0).then(|| percent(share(mark.stale, mark.hosts)));
    let click = move |event: MouseEvent| {
        event.prevent_default();
        signals.choose(&mark);
    };
    view! {
        <tr>
            <th scope="row" class="wrap">
                {country.map(|code| view! { <span class="cc">{code}</span> " " })}
                <a class="plain" href=href on:click=click>
                    {name}
                </a>
            </th>
            <td class="num sub">{places}</td>
            <td class="num sub">{stale}</td>
            <td class="num">{hosts}</td>
        </tr>
    }
}
