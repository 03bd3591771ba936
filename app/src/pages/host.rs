use hostatlas_domain::{
    AddressClass, Host, HostLocation, Job, LocationState, Place, Precision, Service, Timestamp,
};
use hostatlas_services::{HostHistory, Permission};
use leptos::prelude::*;

use super::{page, parameter};
use crate::{
    ApiError,
    api::{authorize, services},
    components::{
        Ago, Chrome, Command, FormNotice, GeolocateControls, Icon, JobBadge, Live, LocationBadge, Tab,
        position_accuracy, position_name,
    },
    format::{NBSP, address, counted},
    islands::MiniMap,
};

/// Jobs of the host that are shown.
const JOBS: u32 = 12;

/// What the page shows.
struct Loaded {
    host: Host,
    history: HostHistory,
    jobs: Vec<Job>,
    neighbours: Option<u64>,
    now: Timestamp,
}

async fn load(ip: String) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let services = services()?;
    let host = services.hosts().get(&ip).await?;
    let history = services.hosts().history(&ip).await?;
    let jobs = services.jobs().for_host(&ip, None, JOBS).await?.items;
    let neighbours = match &host.location {
        // A place that is gone in the meantime takes nothing from the host.
        Some(location) => services.map().place(location.place_id).await.ok().map(|place| place.hosts),
        None => None,
    };
    Ok(Loaded { host, history, jobs, neighbours, now: services.now() })
}

/// All that is known of one host.
#[component]
pub fn HostPage() -> impl IntoView {
    let ip = parameter("ip");
    let content = page(load(ip.clone()), sheet);
    view! {
        <Chrome title=ip tab=Tab::Hosts>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="jobs coverage imports" />
    }
}

fn sheet(loaded: Loaded) -> impl IntoView {
    let Loaded { host, history, jobs, neighbours, now } = loaded;
    let ip = host.ip.to_string();
    let block = match host.ip.ip() {
        std::net::IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    };
    let precision = host.location.as_ref().and_then(|location| location.answer.precision);
    view! {
        <div class="pagehead hosthead">
            <div class="stack" style="--gap:6px">
                <ol class="crumbs">
                    <li>
                        <a href="/hosts">"Hosts"</a>
                    </li>
                    <li>
                        <a href=address("/hosts", &[("q", &block)]) class="mono">
                            {block.clone()}
                        </a>
                    </li>
                </ol>
                <h1 class="hostname">
                    <span class="addr">{ip.clone()}</span>
                </h1>
                <p class="lede row" id="host-state" data-live>
                    <LocationBadge
                        state=host.location_state
                        stale=host.stale
                        precision
                        filled=true
                    />
                    {(host.address_class != AddressClass::Public).then(|| host.address_class.label())}
                </p>
            </div>
            <div class="push hosthead__acts">
                <GeolocateControls ip=ip.clone() />
            </div>
        </div>
        <HostStats host=host.clone() neighbours now />
        <div class="cols cols--main-side">
            <div class="stack">
                <LocationCard host=host.clone() now />
                <ServicesCard services=host.services.clone() now />
            </div>
            <div class="stack">
                <TimelineCard host=host.clone() history now />
                <JobsCard ip=ip.clone() jobs now />
                <CommandsCard host />
            </div>
        </div>
    }
}

#[component]
fn HostStats(host: Host, neighbours: Option<u64>, now: Timestamp) -> impl IntoView {
    let open = host.services.iter().filter(|service| service.state == "open").count();
    let closed = host.services.len() - open;
    let ports: Vec<String> = host.services.iter().take(6).map(|service| service.port.to_string()).collect();
    let answer = host.location.as_ref().map(|location| &location.answer);
    let area = answer.and_then(|answer| {
        let parts: Vec<&str> =
            [answer.region.as_deref(), answer.country.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    });
    let shared = neighbours
        .filter(|hosts| *hosts > 1)
        .map(|hosts| format!("shared by {}", counted(hosts, "host", "hosts")));
    let place_note: Vec<String> = [area, shared].into_iter().flatten().collect();
    let without = match host.location_state {
        LocationState::NotApplicable => "Has no place",
        LocationState::Pending => "Not looked up yet",
        _ => "Not known",
    };
    let why = match host.location_state {
        LocationState::Unlocated => host.unlocated_reason.map(|reason| reason.label().to_owned()),
        LocationState::NotApplicable => Some(host.address_class.label().to_owned()),
        _ => None,
    };
    let seen = match (host.first_import, host.last_import) {
        (Some(first), Some(last)) if first != last => format!("imports {} to {}", first.0, last.0),
        (Some(import), _) | (_, Some(import)) => format!("import {}", import.0),
        _ => String::new(),
    };
    let stat = |label: &'static str, value: AnyView, note: String| {
        view! {
            <div class="stat">
                <span class="stat__label">{label}</span>
                <span class="stat__value stat__value--text">{value}</span>
                <span class="stat__note">{note}</span>
            </div>
        }
    };
    let finest = answer.and_then(|answer| {
        answer.city.clone().or_else(|| answer.region.clone()).or_else(|| answer.country.clone())
    });
    let network = answer.and_then(|answer| answer.organization.clone().or_else(|| answer.isp.clone()));
    let asn = answer.and_then(|answer| answer.asn.clone()).unwrap_or_default();
    let services = match (open, closed) {
        (0, 0) => "None".to_owned(),
        (open, 0) => format!("{open} open"),
        (open, closed) => format!("{open} open, {closed} closed"),
    };
    view! {
        <div class="stats" id="host-stats" data-live>
            {stat(
                "Place",
                finest.unwrap_or_else(|| without.to_owned()).into_any(),
                if place_note.is_empty() { why.unwrap_or_default() } else { place_note.join(" · ") },
            )} {stat("Network", network.unwrap_or_else(|| "Not known".to_owned()).into_any(), asn)}
            {stat("Services", services.into_any(), ports.join(", "))}
            {stat("Seen", view! { <Ago at=host.last_seen now long=true /> }.into_any(), format!("first {}, {seen}", host.first_seen.to_date()))}
        </div>
    }
}

#[component]
fn LocationCard(host: Host, now: Timestamp) -> impl IntoView {
    let content = match host.location.clone() {
        Some(location) => view! {
            <div class="locgrid">
                <div class="map minimap" role="img" aria-label=map_label(&location)>
                    <StillMap location=location.clone() />
                    <MiniMap />
                </div>
                <PositionFacts location now />
            </div>
        }
        .into_any(),
        None => view! {
            <div class="card__body" id="no-location" data-live>
                <p>{why_nowhere(&host)}</p>
                {host.attempted_at.map(|at| view! { <p class="hint">"Last asked " <Ago at now long=true /></p> })}
            </div>
        }
        .into_any(),
    };
    let located = host.location.map(|location| {
        let provider = location.answer.provider.unwrap_or_default();
        view! {
            <span class="card__note push" id="located" data-live>
                "Located "
                <Ago at=location.located_at now long=true />
                {format!(" by {provider}")}
            </span>
        }
    });
    view! {
        <section class="card" aria-labelledby="location-head">
            <div class="card__head">
                <h2 id="location-head">"Location"</h2>
                {located}
            </div>
            {content}
        </section>
    }
}

fn why_nowhere(host: &Host) -> String {
    match host.location_state {
        LocationState::Pending => {
            "No provider was asked yet. Its job waits in the queue, or Re-geolocate queues one.".to_owned()
        }
        LocationState::NotApplicable => {
            format!(
                "{}. Such an address has no place, and is never sent to a provider.",
                host.address_class.explanation()
            )
        }
        _ => match host.unlocated_reason {
            Some(reason) => format!("{}.", reason.label()),
            None => "No place was found.".to_owned(),
        },
    }
}

fn map_label(location: &HostLocation) -> String {
    format!("Map: {}, {}", position_name(&location.answer), position_accuracy(&location.answer))
}

/// The same place without scripts: a mark on the outline of the world.
#[component]
fn StillMap(location: HostLocation) -> impl IntoView {
    let (latitude, longitude) =
        (location.answer.latitude.unwrap_or(0.0), location.answer.longitude.unwrap_or(0.0));
    let class = if location.answer.precision == Some(Precision::City) { "cluster" } else { "area" };
    view! {
        <noscript>
            <div class="map__world">
                <div class="map__marks">
                    <span class=class aria-current="true" style=format!("--lat:{latitude};--lon:{longitude};--d:14px")></span>
                </div>
            </div>
        </noscript>
    }
}

#[component]
fn PositionFacts(location: HostLocation, now: Timestamp) -> impl IntoView {
    let HostLocation { answer, located_at, place_id } = location;
    let accuracy = position_accuracy(&answer);
    let point = match (answer.latitude, answer.longitude) {
        (Some(latitude), Some(longitude)) => hostatlas_domain::Coordinate::new(latitude, longitude).ok(),
        _ => None,
    };
    let precision = answer.precision.map_or("city", Precision::slug);
    let build = answer.database_build.map(|build| format!(", build {}", build.to_date()));
    let provider = answer.provider.clone().unwrap_or_default();
    let label = answer.city.clone().or(answer.region.clone()).or(answer.country.clone());
    let fact = |name: &'static str, value: Option<String>| {
        value.map(|value| view! { <dt>{name}</dt> <dd>{value}</dd> })
    };
    let on_map = address(
        "/",
        &[
            ("place", &place_id.0.to_string()),
            ("host", &answer.ip.to_string()),
            ("lat", &answer.latitude.map(|degrees| format!("{degrees:.4}")).unwrap_or_default()),
            ("lon", &answer.longitude.map(|degrees| format!("{degrees:.4}")).unwrap_or_default()),
            ("zoom", "6"),
        ],
    );
    view! {
        <dl
            class="facts card__body"
            id="position"
            data-live
            data-lat=answer.latitude.map(|degrees| degrees.to_string())
            data-lon=answer.longitude.map(|degrees| degrees.to_string())
            data-accuracy=answer.accuracy_km.map(|kilometres| kilometres.to_string())
            data-precision=precision
            data-label=label
        >
            {fact("Position", point.map(|point| point.to_string()))}
            {fact("Accuracy", Some(accuracy))}
            {fact("City", answer.city)} {fact("Region", answer.region)}
            {answer
                .country
                .map(|country| {
                    view! {
                        <dt>"Country"</dt>
                        <dd>
                            {answer.country_code.map(|code| view! { <span class="cc">{code}</span> " " })}
                            {country}
                        </dd>
                    }
                })} {fact("Time zone", answer.timezone)} {fact("Network", answer.asn.zip(answer.organization).map(|(asn, name)| format!("{asn} {name}")))}
            {fact("Access", answer.isp)} {fact("Says", Some(format!("{provider}{}", build.unwrap_or_default())))} <dt>"Located"</dt>
            <dd>
                <Ago at=located_at now long=true />
            </dd> <dt>"Map"</dt>
            <dd>
                <a href=on_map>"Show on the map"</a>
            </dd>
        </dl>
    }
}

#[component]
fn ServicesCard(services: Vec<Service>, now: Timestamp) -> impl IntoView {
    let open = services.iter().filter(|service| service.state == "open").count();
    let row = move |service: Service| {
        let port = format!("{}/{}", service.port, service.protocol);
        let closed = service.state != "open";
        view! {
            <li class="svc">
                <div class="svc__head">
                    <span class="svc__port">
                        {service.port.get()} <small>{format!("/{}", service.protocol.name())}</small>
                    </span>
                    <strong>{service.service.unwrap_or_else(|| "unknown".to_owned())}</strong>
                    {closed.then(|| view! { <span class="sub">{service.state.clone()}</span> })}
                    <span class="push sub">
                        {if closed { "closed since " } else { "seen " }} <Ago at=service.last_seen now long=true />
                    </span>
                </div>
                {service
                    .banner
                    .map(|banner| {
                        view! {
                            <pre class="banner" role="group" tabindex="0" aria-label=format!("Banner of port {port}")>
                                {banner}
                            </pre>
                        }
                    })}
            </li>
        }
    };
    let empty = services.is_empty();
    view! {
        <section class="card" aria-labelledby="services-head">
            <div class="card__head">
                <h2 id="services-head">"Services"</h2>
                <span class="card__note">{format!("{open} open")}</span>
            </div>
            {empty.then(|| view! { <p class="card__body sub">"No open port was reported."</p> })}
            <ul class="svcs">{services.into_iter().map(row).collect_view()}</ul>
        </section>
    }
}

/// One thing that happened to a host.
struct Happening {
    at: Timestamp,
    tone: &'static str,
    icon: &'static str,
    text: String,
    detail: Option<String>,
}

fn happenings(host: &Host, history: HostHistory) -> Vec<Happening> {
    let name = |place: &Place| {
        let country = place.country.map(|country| format!(", {}", country.name())).unwrap_or_default();
        if place.precision == Precision::Country {
            place.label()
        } else {
            format!("{}{country}", place.label())
        }
    };
    let moves = history.locations.into_iter().map(|change| Happening {
        at: change.at,
        tone: "ok",
        icon: "moved",
        text: format!("Moved to {}", name(&change.to)),
        detail: Some(format!(
            "from {}, {:.0}{NBSP}km · {}",
            name(&change.from),
            change.distance_km,
            change.provider
        )),
    });
    let services = history.services.into_iter().map(|change| Happening {
        at: change.at,
        tone: if change.state == "open" { "info" } else { "mute" },
        icon: if change.state == "open" { "plus" } else { "cancelled" },
        text: format!(
            "Service {}: {}/{}",
            if change.state == "open" { "opened" } else { "closed" },
            change.port,
            change.protocol
        ),
        detail: None,
    });
    let located = host.location.iter().map(|location| Happening {
        at: location.located_at,
        tone: "ok",
        icon: "located",
        text: format!("Located: {}", position_name(&location.answer)),
        detail: location.answer.provider.as_ref().map(|provider| format!("by {provider}")),
    });
    let asked = host.attempted_at.iter().filter(|_| host.location.is_none()).map(|at| Happening {
        at: *at,
        tone: "bad",
        icon: "unlocated",
        text: "Looked up without a place".to_owned(),
        detail: host.unlocated_reason.map(|reason| reason.label().to_owned()),
    });
    let import = |id: Option<hostatlas_domain::ImportId>| id.map(|id| format!("import {}", id.0));
    let seen = [
        Happening {
            at: host.last_seen,
            tone: "",
            icon: "hosts",
            text: "Last seen".to_owned(),
            detail: import(host.last_import),
        },
        Happening {
            at: host.first_seen,
            tone: "",
            icon: "plus",
            text: "First seen".to_owned(),
            detail: import(host.first_import),
        },
    ];
    let mut all: Vec<_> = moves.chain(services).chain(located).chain(asked).chain(seen).collect();
    all.sort_by_key(|happening| std::cmp::Reverse(happening.at));
    all
}

#[component]
fn TimelineCard(host: Host, history: HostHistory, now: Timestamp) -> impl IntoView {
    let item = |happening: Happening| {
        view! {
            <li data-tone=happening.tone>
                <Icon name=happening.icon />
                <div>
                    <p>{happening.text}</p>
                    {happening.detail.map(|detail| view! { <p class="detail">{detail}</p> })}
                    <small>
                        <Ago at=happening.at now long=true />
                    </small>
                </div>
            </li>
        }
    };
    view! {
        <section class="card" aria-labelledby="timeline-head">
            <div class="card__head">
                <h2 id="timeline-head">"Timeline"</h2>
            </div>
            <div class="card__body">
                <ol class="timeline" id="timeline" data-live>
                    {happenings(&host, history).into_iter().map(item).collect_view()}
                </ol>
            </div>
        </section>
    }
}

#[component]
fn JobsCard(ip: String, jobs: Vec<Job>, now: Timestamp) -> impl IntoView {
    let empty = jobs.is_empty();
    let row = |job: Job| {
        let at = job.finished_at.or(job.started_at).unwrap_or(job.created_at);
        view! {
            <tr>
                <th scope="row">
                    <a class="mono" href=format!("/jobs/{}", job.id)>
                        {job.id.0}
                    </a>
                </th>
                <td>{job.kind.slug()}</td>
                <td>
                    <JobBadge state=job.state />
                </td>
                <td class="num sub">
                    <Ago at now />
                </td>
            </tr>
        }
    };
    view! {
        <section class="card" aria-labelledby="jobs-head">
            <div class="card__head">
                <h2 id="jobs-head">"Jobs"</h2>
                <a class="push card__note" href=address("/jobs", &[("ip", &ip)])>
                    "All of this host"
                </a>
            </div>
            <div id="host-jobs" data-live>
                {if empty {
                    view! { <p class="card__body sub">"No job is kept for this host."</p> }.into_any()
                } else {
                    view! {
                        <table class="table minitable">
                            <caption class="visually-hidden">"Latest jobs of this host"</caption>
                            <thead class="visually-hidden">
                                <tr>
                                    <th scope="col">"Job"</th>
                                    <th scope="col">"Kind"</th>
                                    <th scope="col">"State"</th>
                                    <th scope="col">"When"</th>
                                </tr>
                            </thead>
                            <tbody>{jobs.into_iter().map(row).collect_view()}</tbody>
                        </table>
                    }
                        .into_any()
                }}
            </div>
        </section>
    }
}

#[component]
fn CommandsCard(host: Host) -> impl IntoView {
    let ip = host.ip.to_string();
    let open: Vec<u16> = host
        .services
        .iter()
        .filter(|service| service.state == "open")
        .map(|service| service.port.get())
        .collect();
    let ports: Vec<String> = open.iter().take(20).map(u16::to_string).collect();
    let family = if host.ip.is_ipv4() { "" } else { " -6" };
    let mut commands =
        vec![format!("hostatlas hosts show {ip}"), format!("hostatlas geolocate --ip {ip} --force")];
    if !ports.is_empty() {
        commands.push(format!("nmap{family} -sV -p {} {ip}", ports.join(",")));
    }
    if open.contains(&443) {
        let target = if host.ip.is_ipv4() { format!("{ip}:443") } else { format!("[{ip}]:443") };
        commands.push(format!("openssl s_client -connect {target}"));
    }
    view! {
        <section class="card" aria-labelledby="commands-head">
            <div class="card__head">
                <h2 id="commands-head">"Commands"</h2>
            </div>
            <div class="card__body stack" style="--gap:6px">
                {commands.into_iter().map(|text| view! { <Command text /> }).collect_view()}
            </div>
        </section>
    }
}
