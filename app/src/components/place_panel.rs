use hostatlas_domain::{
    Coordinate, Host, HostLocation, HostSummary, LocationState, MapAnswer, MapEntry, MapEntryKind, Nearest,
    Page, PlaceId, Precision, Timestamp,
};
use hostatlas_services::PlaceView;
use leptos::prelude::*;

use super::{
    Ago, Column, DataTable, Fact, GeolocateControls, Icon, LocationBadge, PlaceControls, RunCard,
    position_accuracy, position_name,
};
use crate::format::{NBSP, address, counted, grouped, nearest_words, percent, share};

/// What the panel beside the map is about.
#[derive(Clone, Debug)]
pub enum Panel {
    /// Nothing is open.
    Closed,
    /// The marks in view as a table.
    List(Box<MapAnswer>),
    /// One place.
    Place(Box<OpenPlace>),
}

/// One place with a page of its hosts, one of which may be open.
#[derive(Clone, Debug)]
pub struct OpenPlace {
    /// The place.
    pub place: PlaceView,
    /// Its hosts.
    pub page: Page<HostSummary>,
    /// From where that page starts.
    pub cursor: String,
    /// The host that is open.
    pub open: Option<Host>,
    /// What looking that host up would send to whom, in words.
    pub host_cost: Option<String>,
    /// The same for all hosts of the place.
    pub place_cost: Option<String>,
}

/// The panel beside the map. Scripts exchange it as a whole; without them its links load the page.
#[component]
pub fn MapPanel(
    /// What it is about.
    panel: Panel,
    /// The filter of the map.
    q: String,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    match panel {
        Panel::Closed => view! { <div id="panel"></div> }.into_any(),
        Panel::List(answer) => view! {
            <div id="panel" data-place="list">
                <PlaceList answer=*answer q />
            </div>
        }
        .into_any(),
        Panel::Place(open) => {
            let place = open.place.place.clone();
            let (id, hosts, label) = (open.place.place_id.0, open.place.hosts, open.place.label.clone());
            view! {
                <div
                    id="panel"
                    data-place=id
                    data-lat=place.coordinate.latitude()
                    data-lon=place.coordinate.longitude()
                    data-hosts=hosts
                    data-area=(place.precision != Precision::City).then_some("")
                    data-label=label
                >
                    <PlacePanel open=*open q now />
                </div>
            }
            .into_any()
        }
    }
}

fn close(q: &str) -> impl IntoView + use<> {
    view! {
        <a
            class="btn btn--icon btn--quiet btn--sm"
            href=address("/", &[("q", q)])
            data-panel
            data-close
            aria-label="Close panel (Esc)"
            title="Close panel (Esc)"
        >
            <Icon name="close" />
        </a>
    }
}

/// What a place's point stands for, in words.
fn precision_words(precision: Precision) -> &'static str {
    match precision {
        Precision::City => "city",
        Precision::Region => "centre of the region; the city is not known",
        Precision::Country => "centre of the country; the place is not known",
    }
}

#[component]
fn PlacePanel(open: OpenPlace, q: String, now: Timestamp) -> impl IntoView {
    let OpenPlace { place, page, cursor, open, host_cost, place_cost } = open;
    let id = place.place_id;
    let crumbs = [place.place.country.map(|country| country.name().to_owned()), place.place.region.clone()];
    let point = place.place.coordinate;
    let facts = format!(
        " · {} · {} here",
        precision_words(place.place.precision),
        counted(place.hosts, "host", "hosts")
    );
    let open_ip = open.as_ref().map(|host| host.ip);
    let next = page.next_cursor.clone();
    let start = address("/", &[("q", &q), ("place", &id.0.to_string())]);
    let here = address(&start, &[("cursor", &cursor)]);
    let empty = page.items.is_empty();
    let rows = page.items.into_iter().map(|host| {
        let detail = open.clone().filter(|_| open_ip == Some(host.ip));
        view! { <PanelHost host detail cost=host_cost.clone() here=here.clone() now /> }
    });
    let rows = rows.collect_view();
    view! {
        <aside class="aside" aria-labelledby="place-name" id="place">
            <div class="aside__head">
                <div class="row">
                    <ol class="crumbs">
                        {crumbs.into_iter().flatten().map(|crumb| view! { <li>{crumb}</li> }).collect_view()}
                    </ol>
                    <span class="push">{close(&q)}</span>
                </div>
                <h2 id="place-name" tabindex="-1">
                    {place.label.clone()}
                </h2>
                <p class="sub2">
                    <span class="mono">{format!("{:.4}, {:.4}", point.latitude(), point.longitude())}</span>
                    {facts}
                </p>
                <PlaceControls id=id.0 hosts=place.hosts cost=place_cost />
                <RunCard />
            </div>
            <div class="aside__body" tabindex="0" role="region" aria-label="Hosts of this place">
                {empty.then(|| view! { <p class="panelnote">"No host of this filter stands here."</p> })}
                <ul class="hostlist">{rows}</ul>
            </div>
            <nav class="pager" aria-label="Pages of this place">
                <span>{format!("{}, by address", counted(place.hosts, "host", "hosts"))}</span>
                <span class="btn-row">
                    {(!cursor.is_empty())
                        .then(|| {
                            view! {
                                <a class="btn btn--sm" href=start.clone() data-panel>
                                    "First 50"
                                </a>
                            }
                        })}
                    {next
                        .map(|next| {
                            view! {
                                <a class="btn btn--sm" href=address(&start, &[("cursor", &next)]) data-panel>
                                    "Next 50"
                                </a>
                            }
                        })}
                </span>
            </nav>
        </aside>
    }
}

#[component]
fn PanelHost(
    host: HostSummary,
    detail: Option<Host>,
    cost: Option<String>,
    here: String,
    now: Timestamp,
) -> impl IntoView {
    let ip = host.ip.to_string();
    let open = detail.is_some();
    let href = if open { here } else { address(&here, &[("host", &ip)]) };
    let more = host.open_ports.saturating_sub(4);
    let (state, stale, precision) = (host.location_state, host.stale, host.precision);
    view! {
        <li data-open=open.then_some("")>
            <div class="hostrow hostrow--plain">
                <div class="hostrow__main">
                    <span>
                        <a class="addr" id=format!("row-{ip}") href=href data-panel aria-expanded=open.to_string()>
                            {ip.clone()}
                        </a>
                        <span>
                            {host
                                .ports
                                .iter()
                                .take(4)
                                .map(|port| view! { <span class="port">{port.get()}</span> " " })
                                .collect_view()}
                            {(more > 0).then(|| view! { <span class="sub">{format!("+{more}")}</span> })}
                        </span>
                    </span>
                    <span class="hostrow__sub">
                        {host.organization.or(host.asn).unwrap_or_else(|| "Network not known".to_owned())}
                    </span>
                </div>
                <div class="hostrow__end" id=format!("state-{ip}") data-live>
                    <LocationBadge state stale precision />
                    {host.located_at.map(|at| view! { <Ago at now /> })}
                </div>
            </div>
            {detail.map(|host| view! { <OpenHost host cost now /> })}
        </li>
    }
}

#[component]
fn OpenHost(host: Host, cost: Option<String>, now: Timestamp) -> impl IntoView {
    let ip = host.ip.to_string();
    let state = match host.location_state {
        LocationState::Located => None,
        LocationState::Unlocated => host.unlocated_reason.map(|reason| reason.label().to_owned()),
        LocationState::NotApplicable => Some(host.address_class.label().to_owned()),
        LocationState::Pending => Some("Not looked up yet".to_owned()),
    };
    let accuracy = host.location.as_ref().and_then(|location| location.answer.accuracy_km);
    let services = host.services.iter().map(|service| {
        let closed = if service.state == "open" { "" } else { " closed" };
        let name = service.service.as_deref().map(|name| format!("{NBSP}{name}")).unwrap_or_default();
        format!("{}/{}{name}{closed}", service.port, service.protocol)
    });
    let services: Vec<String> = services.take(12).collect();
    let more = host.services.len().saturating_sub(services.len());
    let more = if more > 0 { format!(", {more} more") } else { String::new() };
    view! {
        <div class="hostopen">
            <dl class="facts" id="panel-facts" data-live data-accuracy=accuracy>
                <Fact name="State" value=state />
                {host.location.map(|location| position_facts(location, now))}
                <Fact name="Services" value=(!services.is_empty()).then(|| services.join(", ") + &more) />
            </dl>
            <GeolocateControls ip=ip.clone() cost small=true>
                <a href=format!("/hosts/{ip}") class="btn btn--sm btn--quiet">
                    "Open host"
                </a>
            </GeolocateControls>
        </div>
    }
}

fn position_facts(location: HostLocation, now: Timestamp) -> impl IntoView {
    let HostLocation { answer, located_at, .. } = location;
    let point = answer
        .latitude
        .zip(answer.longitude)
        .and_then(|(latitude, longitude)| Coordinate::new(latitude, longitude).ok());
    let provider = answer.provider.clone().unwrap_or_default();
    let says = match answer.database_build {
        Some(build) => format!("{provider}, build {}", build.to_date()),
        None => provider,
    };
    let network: Vec<&str> =
        [answer.asn.as_deref(), answer.organization.as_deref()].into_iter().flatten().collect();
    let network = if network.is_empty() { "not known".to_owned() } else { network.join(" ") };
    view! {
        <Fact name="Location" value=position_name(&answer) />
        <Fact name="Position" value=point.map(|point| point.to_string()) />
        <Fact name="Accuracy" value=position_accuracy(&answer) />
        <Fact name="Provider" value=says />
        <dt>"Located"</dt>
        <dd>
            {match located_at {
                Some(at) => view! { <Ago at now long=true /> }.into_any(),
                None => "not since it was let go".into_any(),
            }}
        </dd>
        <Fact name="Network" value=network />
    }
}

/// The marks in view as a table: the equal of the canvas for those who do not see it or do not point.
#[component]
fn PlaceList(answer: MapAnswer, q: String) -> impl IntoView {
    let places = if answer.clusters.is_empty() {
        view! { <NoPlace nearest=answer.nearest q=q.clone() /> }.into_any()
    } else {
        let row = |mark: MapEntry| view! { <PlaceListRow mark q=q.clone() /> };
        let rows = answer.clusters.into_iter().map(row).collect_view();
        let columns = vec![
            Column::text("Place"),
            Column::number("Places"),
            Column::number("Stale"),
            Column::number("Hosts"),
        ];
        view! {
            <DataTable caption="Places in view, most hosts first" columns class="placetable">
                {rows}
            </DataTable>
        }
        .into_any()
    };
    view! {
        <aside class="aside" aria-labelledby="list-name" id="places">
            <div class="aside__head">
                <div class="row">
                    <h2 id="list-name" tabindex="-1">
                        "Places in view"
                    </h2>
                    <span class="push">{close(&q)}</span>
                </div>
                <p class="sub2">"What the map draws, most hosts first. It follows the map."</p>
            </div>
            <div class="aside__body" tabindex="0" role="region" aria-label="Places in view">
                {places}
            </div>
        </aside>
    }
}

/// That no place is in view, and where the nearest is.
#[component]
fn NoPlace(nearest: Option<Nearest>, q: String) -> impl IntoView {
    let found = nearest.map(|Nearest { place, distance_km, direction }| {
        let (latitude, longitude) = (place.latitude, place.longitude);
        let words = nearest_words(&place.label, place.hosts, distance_km, &direction);
        let around = [longitude - 1.0, latitude - 1.0, longitude + 1.0, latitude + 1.0];
        let around = around.map(|degrees| format!("{degrees:.2}")).join(",");
        let href = address("/", &[("q", &q), ("list", "1"), ("bbox", &around), ("zoom", "8")]);
        view! {
            <p>{words}</p>
            <p class="btn-row">
                <a class="btn btn--sm" href=href data-point=format!("{latitude},{longitude}")>
                    {format!("Go to {}", place.label)}
                </a>
            </p>
        }
    });
    view! {
        <div class="panelnote" id="no-place">
            <p>"No place is in this view."</p>
            {found}
        </div>
    }
}

#[component]
fn PlaceListRow(mark: MapEntry, q: String) -> impl IntoView {
    let bounds = mark.bounds.map(|degrees| degrees.to_string()).join(",");
    let (href, opens) = match mark.place_id {
        Some(PlaceId(id)) => (address("/", &[("q", &q), ("place", &id.to_string())]), true),
        None => (address("/", &[("q", &q), ("list", "1"), ("bbox", &bounds), ("zoom", "8")]), false),
    };
    let kind = if mark.kind == MapEntryKind::Area { " (area)" } else { "" };
    view! {
        <tr>
            <th scope="row" class="wrap">
                {mark.country_code.map(|code| view! { <span class="cc">{code}</span> " " })}
                <a class="plain" href=href data-panel=opens.then_some("") data-bounds=(!opens).then_some(bounds)>
                    {mark.label}
                    {kind}
                </a>
            </th>
            <td class="num sub">{grouped(mark.places)}</td>
            <td class="num sub">{(mark.stale > 0).then(|| percent(share(mark.stale, mark.hosts)))}</td>
            <td class="num">{grouped(mark.hosts)}</td>
        </tr>
    }
}
