use hostatlas_domain::{BoundingBox, Coverage, MapAnswer, MapEntry, MapEntryKind, PlaceId, ProblemCode};
use hostatlas_services::{EmptyReason, Permission, Services};
use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::{Script, Stylesheet, Title};

use super::{page, query};
use crate::{
    ApiError,
    api::{authorize, services},
    components::{Attribution, CoverageBar, CoverageKeys, FormNotice, Icon, Tab, TopBar},
    format::{address, compact, grouped, percent},
    islands::{LiveRegion, MapView},
    wire::{PlaceHead, PlacePanelData, rows},
};

/// The zoom at which the server clusters for those without scripts.
const STILL_ZOOM: u8 = 1;
/// Marks of the map without scripts, and rows of its list.
const STILL_MARKS: usize = 60;
/// Hosts on a page of a place's panel.
const PANEL_LIMIT: u32 = 50;

/// What the address bar says.
#[derive(Clone, Debug)]
struct Asked {
    q: String,
    place: Option<i64>,
    host: String,
    cursor: String,
    list: bool,
    view: Option<(f64, f64, f64)>,
}

impl Asked {
    fn read() -> Self {
        let number = |name: &str| query(name).parse::<f64>().ok().filter(|number| number.is_finite());
        let view = match (number("lat"), number("lon"), number("zoom")) {
            (Some(latitude), Some(longitude), Some(zoom)) => {
                Some((latitude.clamp(-85.0, 85.0), longitude.clamp(-540.0, 540.0), zoom.clamp(1.0, 11.0)))
            }
            _ => None,
        };
        Self {
            q: query("q"),
            place: query("place").parse().ok(),
            host: query("host"),
            cursor: query("cursor"),
            list: query("list") == "1",
            view,
        }
    }
}

/// What the page shows.
struct Loaded {
    answer: MapAnswer,
    coverage: Coverage,
    panel: Option<PlacePanelData>,
    reasons: Vec<EmptyReason>,
}

async fn load(asked: Asked) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let services = services()?;
    let answer = services.map().answer(BoundingBox::WORLD, STILL_ZOOM, &asked.q).await?;
    let coverage = services.coverage().get().await?;
    let reasons =
        if coverage.located == 0 { services.coverage().empty_map_reasons().await? } else { Vec::new() };
    let panel = match asked.place {
        Some(id) => place_panel(&services, id, &asked).await?,
        None => None,
    };
    Ok(Loaded { answer, coverage, panel, reasons })
}

/// The panel of a place; a place that is not there opens none.
async fn place_panel(services: &Services, id: i64, asked: &Asked) -> Result<Option<PlacePanelData>, ApiError> {
    let place = match services.map().place(PlaceId(id)).await {
        Ok(place) => place,
        Err(error) if error.problem().code == ProblemCode::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let page = services.map().place_hosts(PlaceId(id), Some(&asked.cursor), PANEL_LIMIT).await?;
    let open = if asked.host.is_empty() { None } else { services.hosts().get(&asked.host).await.ok() };
    let head = PlaceHead {
        id,
        label: place.label,
        country: place.place.country.map(|country| country.name().to_owned()),
        latitude: place.place.coordinate.latitude(),
        longitude: place.place.coordinate.longitude(),
        precision: place.place.precision,
        hosts: place.hosts,
    };
    Ok(Some(PlacePanelData { head, page: rows(page), open: open.map(Into::into) }))
}

/// The map: it fills the window, above a strip that says how much of what was found it shows.
#[component]
pub fn MapPage() -> impl IntoView {
    let asked = Asked::read();
    let q = asked.q.clone();
    let nonce = use_nonce().map(|nonce| nonce.to_string()).unwrap_or_default();
    let content = page(load(asked.clone()), move |loaded| chart(&asked, loaded));
    view! {
        <Title text="Map · hostatlas" />
        <Stylesheet href="/vendor/leaflet-1.9.4/leaflet.css" />
        <Script src="/vendor/leaflet-1.9.4/leaflet.js" defer="true" nonce=nonce />
        <a class="skip" href="#main">
            "Skip to map"
        </a>
        <a class="skip" href=address("/hosts", &[("q", &q)])>
            "Skip map, go to the list of hosts"
        </a>
        <div class="mapapp">
            <TopBar tab=Tab::Map query=q />
            {content}
        </div>
        <LiveRegion topics="coverage map".to_owned() />
    }
}

fn chart(asked: &Asked, loaded: Loaded) -> impl IntoView + use<> {
    let Loaded { answer, coverage, panel, reasons } = loaded;
    let still = answer.clusters.iter().take(STILL_MARKS).cloned().collect::<Vec<_>>();
    let listed = if asked.list { answer.clusters.clone() } else { Vec::new() };
    let nothing_matches = answer.hosts == 0 && coverage.located > 0;
    let share = coverage.percent_located.map_or_else(|| "–".to_owned(), percent);
    let asked = asked.clone();
    let q = asked.q.clone();
    view! {
        <main id="main" tabindex="-1">
            <h1 class="visually-hidden">"Map of hosts"</h1>
            <div class="mapnotice">
                <FormNotice />
            </div>
            <StillMap marks=still q=q.clone() />
            <MapView q=q.clone() view=asked.view panel cursor=asked.cursor list=asked.list marks=listed />
            <div id="empty-map" data-live>
                {(coverage.located == 0).then(|| view! { <EmptyMap reasons total=coverage.total /> })}
                {nothing_matches.then(|| view! { <NothingMatches q /> })}
            </div>
        </main>
        <section class="strip" aria-label="Coverage" id="coverage-strip" data-live>
            <span class="strip__pct">{share} " " <small>"located"</small></span>
            <CoverageBar coverage=coverage.clone() height=10 />
            <CoverageKeys coverage />
            <span class="attrib">
                <Attribution />
                " · Natural Earth"
            </span>
        </section>
    }
}

/// The map without scripts: links on the outline of the world.
#[component]
fn StillMap(marks: Vec<MapEntry>, q: String) -> impl IntoView {
    let mark = move |mark: MapEntry| {
        let size = if mark.hosts < 10 { 14 } else { 28 };
        let class = if mark.kind == MapEntryKind::Area { "area" } else { "cluster" };
        let href = match mark.place_id {
            Some(PlaceId(id)) => address("/", &[("q", &q), ("place", &id.to_string())]),
            None => address("/", &[("q", &q), ("list", "1")]),
        };
        let name = format!("{}, {} hosts", mark.label, grouped(mark.hosts));
        let text = if mark.hosts < 10 { String::new() } else { compact(mark.hosts) };
        view! {
            <a
                class=class
                href=href
                aria-label=name
                style=format!("--lat:{};--lon:{};--d:{size}px", mark.latitude, mark.longitude)
            >
                <span>{text}</span>
            </a>
        }
    };
    view! {
        <noscript>
            <div class="map map--still">
                <div class="map__world">
                    <div class="map__marks">{marks.into_iter().map(mark).collect_view()}</div>
                </div>
            </div>
        </noscript>
    }
}

/// Why the map is empty, in order of cause, each with what mends it. `hostatlas doctor` says the same.
#[component]
fn EmptyMap(reasons: Vec<EmptyReason>, total: u64) -> impl IntoView {
    let head = if total == 0 { "No host has been imported yet" } else { "No host has been located yet" };
    let lede = if total == 0 {
        "The map shows hosts that a scan found.".to_owned()
    } else {
        format!("{} hosts were imported. None of them is on the map.", grouped(total))
    };
    let item = |reason: EmptyReason| {
        let (tone, icon) = match reason.code.as_str() {
            "no_hosts" | "no_database" | "no_jobs" => ("bad", "warn"),
            "jobs_waiting" => ("info", "pending"),
            "jobs_paused" => ("warn", "pause"),
            "unlocated" => ("bad", "unlocated"),
            _ => ("mute", "na"),
        };
        view! {
            <li data-tone=tone>
                <Icon name=icon />
                <div>
                    <h3>{reason.sentence}</h3>
                    {(!reason.action_href.is_empty())
                        .then(|| {
                            view! {
                                <div class="btn-row">
                                    <a class="btn btn--sm" href=reason.action_href>
                                        {reason.action_label}
                                    </a>
                                </div>
                            }
                        })}
                </div>
                <strong>{(reason.count > 0).then(|| grouped(reason.count))}</strong>
            </li>
        }
    };
    view! {
        <section class="emptymap" aria-labelledby="empty-head">
            <div class="emptymap__head">
                <h2 id="empty-head">{head}</h2>
                <p>{lede}</p>
            </div>
            <ol class="why">{reasons.into_iter().map(item).collect_view()}</ol>
            <div class="emptymap__foot">
                <span>"In a terminal:"</span>
                {if total == 0 {
                    view! { <code class="mono">"hostatlas import scan.json"</code> }
                } else {
                    view! { <code class="mono">"hostatlas doctor"</code> }
                }}
            </div>
        </section>
    }
}

#[component]
fn NothingMatches(q: String) -> impl IntoView {
    view! {
        <section class="emptymap" aria-labelledby="empty-head">
            <div class="emptymap__head">
                <h2 id="empty-head">"No located host matches"</h2>
                <p>"The filter is " <code>{q.clone()}</code> ". Hosts without a place are in the list only."</p>
                <div class="btn-row">
                    <a class="btn" href="/">
                        "Show all hosts"
                    </a>
                    <a class="btn" href=address("/hosts", &[("q", &q)])>
                        "Open the list"
                    </a>
                </div>
            </div>
        </section>
    }
}
