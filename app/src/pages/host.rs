mod answers;
mod commands;
mod location;
mod services;
mod stats;
mod timeline;

use hostatlas_domain::{
    AddressClass, Host, HostAnswer, HostAnswers, Job, LookupCost, Place, ProviderStatus, Timestamp,
};
use hostatlas_services::{HostHistory, Permission};
use leptos::prelude::*;

use self::{
    answers::ProviderAnswers, commands::CommandsCard, location::LocationCard, services::ServicesCard,
    stats::HostStats, timeline::TimelineCard,
};
use super::{page, parameter, query};
use crate::{
    ApiError,
    api::{authorize, services, told},
    components::{
        Card, Chrome, FormNotice, GeolocateControls, JobsOfHost, Live, LocationBadge, Tab, costs_words, left,
    },
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
    said: Said,
    now: Timestamp,
}

/// What the providers say of the host, and what asking them would send to whom.
struct Said {
    answers: HostAnswers,
    silent: Vec<HostAnswer>,
    providers: Vec<ProviderStatus>,
    again: LookupCost,
    forced: LookupCost,
    all: LookupCost,
}

async fn load(ip: String, told: String) -> Result<Loaded, ApiError> {
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
    let providers = services.providers();
    let said = Said {
        answers: providers.answers(&ip).await?,
        silent: told::get(&told).unwrap_or_default().into_iter().map(not_chosen).collect(),
        providers: providers.list().await?,
        again: providers.cost_of(&ip, false).await?,
        forced: providers.cost_of(&ip, true).await?,
        all: providers.cost_of_asking_all(),
    };
    Ok(Loaded { host, history, jobs, neighbours, said, now: services.now() })
}

/// All that is known of one host.
#[component]
pub fn HostPage() -> impl IntoView {
    let ip = parameter("ip");
    let content = page(load(ip.clone(), query("told")), sheet);
    view! {
        <Chrome title=ip tab=Tab::Hosts>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="jobs coverage imports" />
    }
}

fn sheet(loaded: Loaded) -> impl IntoView {
    let Loaded { host, history, jobs, neighbours, said, now } = loaded;
    let ip = host.ip.to_string();
    let asked = host.clone();
    let Said { answers, silent, providers, again, forced, all } = said;
    let cost = costs_words(&again, &forced, &providers).filter(|_| host.address_class.is_public());
    let least = all.third_parties.iter().filter_map(|party| {
        let name = party.provider.clone();
        left(&providers, &name).map(|left| (name, left))
    });
    let least = least.min_by_key(|(_, left)| *left);
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
                <GeolocateControls ip=ip.clone() cost />
            </div>
        </div>
        <HostStats host=host.clone() neighbours now />
        <div class="cols cols--main-side">
            <div class="stack">
                <LocationCard host=host.clone() before now>
                    <ProviderAnswers host=asked answers silent cost=all left=least now />
                </LocationCard>
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

/// An answer that is stored nowhere.
fn not_chosen(told: told::Told) -> HostAnswer {
    HostAnswer { answer: told.answer, answered_at: None, chosen: false, distance_km: None }
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
