use hostatlas_domain::LocationState;
use leptos::{ev::MouseEvent, html, prelude::*};

use super::{
    geolocate::GeolocateControls,
    run::{RunRequest, RunSignals, RunStatus},
    steering::{MapSignals, precision_words},
};
use crate::{
    components::{Icon, LocationBadge},
    format::{NBSP, counted, grouped},
    wire::{HostDetail, HostRow, PlaceHead},
};

/// A click that is not meant to open a new tab.
fn plain(event: &MouseEvent) -> bool {
    !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key())
}

/// One place: its two buttons, and its hosts page by page.
#[component]
pub fn PlacePanel(
    /// The place.
    head: PlaceHead,
    /// What the map shows.
    signals: MapSignals,
) -> impl IntoView {
    let heading = NodeRef::<html::H2>::new();
    Effect::new(move |before: Option<()>| {
        // The first run is the page that the server rendered: it must not take the focus.
        if let (Some(heading), None) = (heading.get(), before) {
            let _ = heading.focus();
        }
    });
    let close = move |event: MouseEvent| {
        event.prevent_default();
        signals.close_panel();
    };
    let id = head.id;
    view! {
        <aside class="aside" aria-labelledby="place-name" id="place">
            <div class="aside__head">
                <div class="row">
                    <ol class="crumbs">
                        <li>{head.country.clone().unwrap_or_else(|| "Country not known".to_owned())}</li>
                    </ol>
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
                <h2 id="place-name" tabindex="-1" node_ref=heading>
                    {head.label.clone()}
                </h2>
                <p class="sub2">
                    <span class="mono">{format!("{:.4}, {:.4}", head.latitude, head.longitude)}</span>
                    {format!(" · {} · {} here", precision_words(head.precision), counted(head.hosts, "host", "hosts"))}
                </p>
                <PlaceActions id hosts=head.hosts />
            </div>
            <div class="aside__body" tabindex="0" role="region" aria-label="Hosts of this place">
                {move || match signals.page.get() {
                    None => view! { <p class="panelnote">"Loading hosts"</p> }.into_any(),
                    Some(page) if page.items.is_empty() => {
                        view! { <p class="panelnote">"No host stands here any more."</p> }.into_any()
                    }
                    Some(page) => {
                        let rows = page.items.into_iter().map(|row| view! { <PanelHost id row signals /> });
                        view! { <ul class="hostlist">{rows.collect_view()}</ul> }.into_any()
                    }
                }}
            </div>
            <PanelPager id total=head.hosts signals />
        </aside>
    }
}

/// Re-geolocate and Force refresh for all hosts of a place, as one run.
#[component]
fn PlaceActions(id: i64, hosts: u64) -> impl IntoView {
    let run = RunSignals::new(None);
    let q = format!("place:{id}");
    let button = move |force: bool| {
        let query = format!("place:{id}");
        let click = move |event: MouseEvent| {
            event.prevent_default();
            run.start(RunRequest::query(query.clone(), force));
        };
        let (class, icon, word) =
            if force { ("btn", "force", "Force refresh") } else { ("btn btn--primary", "refresh", "Re-geolocate") };
        view! {
            <button
                type="submit"
                class=class
                name="force"
                value=force.to_string()
                title=format!("{word} all {} here", counted(hosts, "host", "hosts"))
                on:click=click
            >
                <Icon name=icon />
                {word}
            </button>
        }
    };
    view! {
        <form method="post" action="/api/fn/runs/start">
            <input type="hidden" name="q" value=q />
            <div class="btn-row asideacts">{button(false)} {button(true)}</div>
        </form>
        <RunStatus signals=run />
    }
}

#[component]
fn PanelHost(id: i64, row: HostRow, signals: MapSignals) -> impl IntoView {
    let ip = StoredValue::new(row.ip.clone());
    let is_open = Memo::new(move |_| signals.open_ip.get().is_some_and(|open| open == ip.get_value()));
    let toggle = move |event: MouseEvent| {
        if plain(&event) {
            event.prevent_default();
            signals.toggle_host(ip.get_value());
        }
    };
    let href = signals.address(Some(id), &row.ip, &signals.cursor.get_untracked(), false);
    let more = row.open_ports.saturating_sub(4);
    let located = row.located_at.as_deref().and_then(|moment| moment.get(..10)).unwrap_or_default().to_owned();
    view! {
        <li data-open=move || is_open.get().then_some("")>
            <div class="hostrow hostrow--plain">
                <div class="hostrow__main">
                    <span>
                        <a class="addr" href=href aria-expanded=move || is_open.get().to_string() on:click=toggle>
                            {row.ip.clone()}
                        </a>
                        <span>
                            {row.ports.iter().take(4).map(|port| view! { <span class="port">{*port}</span> " " }).collect_view()}
                            {(more > 0).then(|| view! { <span class="sub">{format!("+{more}")}</span> })}
                        </span>
                    </span>
                    <span class="hostrow__sub">{row.organization.clone().unwrap_or_else(|| "Network not known".to_owned())}</span>
                </div>
                <div class="hostrow__end">
                    <LocationBadge state=row.location_state stale=row.stale precision=row.precision />
                    <span>{located}</span>
                </div>
            </div>
            {move || {
                is_open
                    .get()
                    .then(|| {
                        let ip = ip.get_value();
                        let page = format!("/hosts/{ip}");
                        view! {
                            <div class="hostopen">
                                {move || match signals.open.get() {
                                    Some(host) => facts(&host).into_any(),
                                    None => view! { <p class="sub">"Loading"</p> }.into_any(),
                                }} <GeolocateControls ip small=true>
                                    <a href=page class="btn btn--sm btn--quiet">
                                        "Open host"
                                    </a>
                                </GeolocateControls>
                            </div>
                        }
                    })
            }}
        </li>
    }
}

fn facts(host: &HostDetail) -> impl IntoView + use<> {
    let fact = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <dt>{name}</dt> <dd>{value}</dd> })
    };
    let location = host.location.as_ref();
    let position = location.and_then(|location| {
        Some(hostatlas_domain::Coordinate::new(location.latitude?, location.longitude?).ok()?.to_string())
    });
    let says = location.and_then(|location| {
        let provider = location.provider.clone()?;
        let build = location.database_build.as_deref().and_then(|build| build.get(..10));
        Some(build.map_or(provider.clone(), |build| format!("{provider}, build {build}")))
    });
    let network = location.and_then(|location| {
        let parts: Vec<&str> = [location.asn.as_deref(), location.organization.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    });
    let state = match host.location_state {
        LocationState::Located => None,
        LocationState::Unlocated => host.unlocated_reason.map(|reason| reason.label().to_owned()),
        LocationState::NotApplicable => Some(host.address_class.label().to_owned()),
        LocationState::Pending => Some("Not looked up yet".to_owned()),
    };
    let services = host.services.iter().map(|service| {
        let closed = if service.state == "open" { "" } else { " closed" };
        let name = service.service.as_deref().map(|name| format!("{NBSP}{name}")).unwrap_or_default();
        format!("{}/{}{name}{closed}", service.port, service.protocol.name())
    });
    let services: Vec<String> = services.take(12).collect();
    let more = host.services.len().saturating_sub(services.len());
    let more = if more > 0 { format!(", {} more", grouped(u64::try_from(more).unwrap_or(0))) } else { String::new() };
    view! {
        <dl class="facts">
            {fact("State", state)} {fact("Place", location.map(crate::wire::HostPosition::name))} {fact("Position", position)}
            {fact("Accuracy", location.map(|location| location.accuracy().unwrap_or_else(|| "radius not given".to_owned())))}
            {fact("Says", says)}
            {fact("Located", location.and_then(|location| location.located_at.get(..16)).map(|moment| moment.replace('T', " ") + " UTC"))}
            {fact("Network", network)}
            {fact("Services", (!services.is_empty()).then(|| services.join(", ") + &more))}
        </dl>
    }
}

#[component]
fn PanelPager(id: i64, total: u64, signals: MapSignals) -> impl IntoView {
    let go = move |event: MouseEvent, cursor: String| {
        if plain(&event) {
            event.prevent_default();
            signals.cursor.set(cursor);
            signals.page.set(None);
            signals.load_page();
            signals.write_address();
        }
    };
    let first = move || {
        (!signals.cursor.get().is_empty()).then(|| {
            view! {
                <a class="btn btn--sm" href=signals.address(Some(id), "", "", false) on:click=move |event| go(event, String::new())>
                    "First 50"
                </a>
            }
        })
    };
    let next = move || {
        signals.page.get().and_then(|page| page.next_cursor).map(|cursor| {
            let href = signals.address(Some(id), "", &cursor, false);
            view! {
                <a class="btn btn--sm" href=href on:click=move |event| go(event, cursor.clone())>
                    "Next 50"
                </a>
            }
        })
    };
    view! {
        <div class="pager">
            <span>{format!("{}, by address", counted(total, "host", "hosts"))}</span>
            <span class="btn-row">{first} {next}</span>
        </div>
    }
}
