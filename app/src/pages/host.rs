mod commands;
mod location;
mod services;
mod stats;
mod timeline;

use hostatlas_domain::{AddressClass, Host, Job, Place, Timestamp};
use hostatlas_services::{HostHistory, Permission};
use leptos::prelude::*;

use self::{
    commands::CommandsCard, location::LocationCard, services::ServicesCard, stats::HostStats,
    timeline::TimelineCard,
};
use super::{page, parameter};
use crate::{
    ApiError,
    api::{authorize, services},
    components::{Card, Chrome, FormNotice, GeolocateControls, JobsOfHost, Live, LocationBadge, Tab},
    format::address,
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
    // Where it was thought to be before, if that is how it came to where it is thought to be now.
    let before = history.locations.first().filter(|change| is_at(&host, &change.to)).cloned();
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
                <LocationCard host=host.clone() before now />
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

/// Whether the host is thought to be at this place.
fn is_at(host: &Host, place: &Place) -> bool {
    let answer = host.location.as_ref().map(|location| &location.answer);
    let point = answer.and_then(|answer| answer.latitude.zip(answer.longitude));
    point == Some((place.coordinate.latitude(), place.coordinate.longitude()))
}

#[component]
fn JobsCard(ip: String, jobs: Vec<Job>, now: Timestamp) -> impl IntoView {
    let all = view! {
        <a class="push card__note" href=address("/jobs", &[("ip", &ip)])>
            "All of this host"
        </a>
    };
    view! {
        <Card id="jobs-head" title="Jobs" beside=all.into_any()>
            <div id="host-jobs" data-live>
                {if jobs.is_empty() {
                    view! { <p class="card__body sub">"No job is kept for this host."</p> }.into_any()
                } else {
                    view! { <JobsOfHost caption="Latest jobs of this host" jobs now /> }.into_any()
                }}
            </div>
        </Card>
    }
}
