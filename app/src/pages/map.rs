use hostatlas_domain::{
    BoundingBox, Coverage, Host, HostSort, MapAnswer, MapEntry, MapEntryKind, NotShown, PlaceId, ProblemCode,
    Timestamp,
};
use hostatlas_services::{EmptyReason, Permission, Selection, Services};
use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::{Script, Stylesheet, Title};

use super::{page, query};
use crate::{
    ApiError,
    api::{authorize, services},
    components::{
        Attributions, CoverageBar, CoverageKeys, FormNotice, Icon, Live, MapPanel, OpenPlace, Panel,
        QueryChips, Tab, TopBar, Words, costs_words,
    },
    format::{address, compact, counted, grouped, percent, sentence},
    islands::MapView,
};

/// The zoom at which the server clusters for those without scripts.
const STILL_ZOOM: u8 = 1;
/// The zoom at which it lists places for them.
const STILL_LIST_ZOOM: u8 = 5;
/// Marks of the map without scripts.
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
    bbox: BoundingBox,
    zoom: u8,
}

impl Asked {
    fn read() -> Self {
        let zoom = query("zoom").parse::<f64>().ok().filter(|zoom| (0.0..=24.0).contains(zoom));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 24 is checked")]
        let zoom = zoom.map_or(STILL_LIST_ZOOM, |zoom| zoom as u8);
        Self {
            q: query("q"),
            place: query("place").parse().ok(),
            host: query("host"),
            cursor: query("cursor"),
            list: query("list") == "1",
            bbox: query("bbox").parse().unwrap_or(BoundingBox::WORLD),
            zoom,
        }
    }
}

/// What the page shows.
struct Loaded {
    answer: MapAnswer,
    coverage: Coverage,
    panel: Panel,
    now: Timestamp,
    reasons: Vec<EmptyReason>,
    /// Why nothing matches.
    nothing_because: Option<String>,
}

async fn load(asked: Asked) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let services = services()?;
    let answer = services.map().answer(BoundingBox::WORLD, STILL_ZOOM, &asked.q).await?;
    let coverage = services.coverage().get().await?;
    let reasons =
        if coverage.located == 0 { services.coverage().empty_map_reasons().await? } else { Vec::new() };
    let panel = match asked.place {
        Some(id) => place_panel(&services, PlaceId(id), &asked).await?,
        None if asked.list => {
            Panel::List(Box::new(services.map().answer(asked.bbox, asked.zoom, &asked.q).await?))
        }
        None => Panel::Closed,
    };
    let nothing_because =
        if answer.hosts == 0 { services.hosts().nothing_because(&asked.q).await? } else { None };
    Ok(Loaded { answer, coverage, panel, now: services.now(), reasons, nothing_because })
}

/// The panel of a place; a place that is not there opens none.
async fn place_panel(services: &Services, id: PlaceId, asked: &Asked) -> Result<Panel, ApiError> {
    let place = match services.map().place(id).await {
        Ok(place) => place,
        Err(error) if error.problem().code == ProblemCode::NotFound => return Ok(Panel::Closed),
        Err(error) => return Err(error.into()),
    };
    let page = if asked.q.is_empty() {
        services.map().place_hosts(id, Some(&asked.cursor), PANEL_LIMIT).await?
    } else {
        let narrowed = format!("place:{} {}", id.0, asked.q);
        services.hosts().search(&narrowed, HostSort::Address, Some(&asked.cursor), PANEL_LIMIT).await?
    };
    let open = if asked.host.is_empty() { None } else { services.hosts().get(&asked.host).await.ok() };
    let (host_cost, place_cost) = costs(services, id, open.as_ref()).await?;
    let cursor = asked.cursor.clone();
    Ok(Panel::Place(Box::new(OpenPlace { place, page, cursor, open, host_cost, place_cost })))
}

/// What looking up the open host, and all hosts of its place, would send to whom; nothing where nobody is asked.
async fn costs(
    services: &Services,
    place: PlaceId,
    open: Option<&Host>,
) -> Result<(Option<String>, Option<String>), ApiError> {
    let providers = services.providers();
    if providers.cost_of_asking_all().third_parties.is_empty() {
        return Ok((None, None));
    }
    let statuses = providers.list().await?;
    let host = match open {
        Some(host) => {
            let ip = host.ip.to_string();
            costs_words(
                &providers.cost_of(&ip, false).await?,
                &providers.cost_of(&ip, true).await?,
                &statuses,
            )
        }
        None => None,
    };
    let all = Selection::Query(format!("place:{}", place.0));
    let (again, forced) = (providers.cost(&all, false).await?, providers.cost(&all, true).await?);
    Ok((host, costs_words(&again, &forced, &statuses)))
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
        <nav aria-label="Skip links">
            <a class="skip" href="#main">
                "Skip to map"
            </a>
            <a class="skip" href=address("/hosts", &[("q", &q)])>
                "Skip map, go to the list of hosts"
            </a>
        </nav>
        <div class="mapapp">
            <TopBar tab=Tab::Map query=q />
            {content}
        </div>
        <Live topics="coverage map" />
    }
}

fn chart(asked: &Asked, loaded: Loaded) -> impl IntoView + use<> {
    let Loaded { answer, coverage, panel, now, reasons, nothing_because } = loaded;
    let still = answer.clusters.iter().take(STILL_MARKS).cloned().collect::<Vec<_>>();
    let nothing_matches = answer.hosts == 0 && coverage.located > 0;
    let q = asked.q.clone();
    let places = answer.places;
    let extent = answer.extent().filter(|_| !q.is_empty());
    let extent =
        extent.map(|BoundingBox { west, south, east, north }| format!("{west},{south},{east},{north}"));
    let matching = (!q.is_empty()).then(|| matching(&answer));
    let is_empty = coverage.located == 0;
    let total = coverage.total;
    view! {
        <main id="main" tabindex="-1">
            <h1 class="visually-hidden">"Map of hosts"</h1>
            <div class="mapnotice">
                <FormNotice />
            </div>
            <StillMap marks=still q=q.clone() />
            <div class="mapview" data-extent=extent>
                <MapView />
                <div class="at mapchips">
                    <QueryChips q=q.clone() path="/" />
                </div>
                <Controls q=q.clone() places />
                <MapPanel panel q=q.clone() now />
            </div>
            <div id="empty-map" data-live>
                {is_empty.then(|| view! { <EmptyMap reasons total /> })}
                {nothing_matches.then(|| view! { <NothingMatches q because=nothing_because /> })}
            </div>
        </main>
        <Strip coverage matching />
    }
}

/// The counts of what a filter matches, and whether all of it was counted.
fn matching(answer: &MapAnswer) -> (Coverage, bool) {
    let NotShown { pending, unlocated, not_applicable, exact } = answer.not_shown;
    let located = answer.hosts;
    let total = located + pending + unlocated + not_applicable;
    let coverage = Coverage {
        total,
        located,
        pending,
        unlocated,
        not_applicable,
        stale: answer.clusters.iter().map(|mark| mark.stale).sum(),
        // A share of what was counted in part would be wrong.
        percent_located: Coverage::percent(located, total, not_applicable).filter(|_| exact),
        ..Coverage::default()
    };
    (coverage, exact)
}

/// How much of what was found the map shows: of all hosts, or of those that match the filter.
#[component]
fn Strip(coverage: Coverage, matching: Option<(Coverage, bool)>) -> impl IntoView {
    let matches = matching.as_ref().map(|(matching, exact)| {
        let least = if *exact { "" } else { "more than " };
        let word = if matching.total == 1 && *exact { "matches" } else { "match" };
        view! {
            <span class="strip__pct" id="strip-matches">
                {format!("{least}{}", counted(matching.total, "host", "hosts"))} " " <small>{word}</small>
            </span>
        }
    });
    let shown = matching.map_or(coverage, |(matching, _)| matching);
    let share = shown.percent_located.map_or_else(|| "–".to_owned(), percent);
    view! {
        <section class="strip" aria-label="Coverage" id="coverage-strip" data-live>
            {matches}
            <span class="strip__pct">{share} " " <small>"located"</small></span>
            <CoverageBar coverage=shown.clone() height=10 />
            <CoverageKeys coverage=shown />
            <span class="attrib">
                <Attributions />
                <span class="credit">"Natural Earth"</span>
            </span>
        </section>
    }
}

/// What floats over the map.
#[component]
fn Controls(q: String, places: u64) -> impl IntoView {
    let zoom = |order: &'static str, icon: &'static str, label: &'static str, title: &'static str| {
        view! {
            <button type="button" data-map=order aria-label=label title=title>
                <Icon name=icon />
            </button>
        }
    };
    let key = |class: &'static str, style: &'static str, word: &'static str| {
        view! {
            <li>
                <span class="sym">
                    <span class=class style=style></span>
                </span>
                <span>{word}</span>
            </li>
        }
    };
    view! {
        <div class="at at--tl needs-script">
            <div class="mapctl mapctl--stack" role="group" aria-label="Zoom">
                {zoom("nearer", "plus", "Zoom in", "Zoom in (+)")} {zoom("farther", "minus", "Zoom out", "Zoom out (-)")}
                {zoom("world", "globe", "Show the whole world", "Whole world (0)")}
            </div>
        </div>
        <section class="at at--bl mapctl legend only-wide" aria-label="Legend">
            <ul>
                {key("cluster", "--d:22px;--stale:30", "Cluster; ring shows its stale share")}
                {key("cluster", "--d:10px", "Under ten hosts")}
                {key("area", "--d:24px", "Country or region known, place not")}
            </ul>
        </section>
        <div class="at callout mapnothing" data-tone="info" id="map-nothing" hidden>
            <Icon name="info" />
            <p></p>
            <div class="btn-row">
                <a class="btn btn--sm" href=address("/", &[("q", &q)])>
                    "Go to the nearest hosts"
                </a>
                <button type="button" class="btn btn--sm" data-map="all">
                    {if q.is_empty() { "Show all hosts" } else { "Show all that match" }}
                </button>
            </div>
        </div>
        <div class="at at--br">
            <div class="callout" data-tone="bad" role="alert" id="map-trouble" hidden>
                <Icon name="warn" />
                <p></p>
                <button type="button" class="btn btn--sm" data-map="retry">
                    "Try again"
                </button>
            </div>
            <a class="btn mapbtn" id="list-toggle" href=address("/", &[("q", &q), ("list", "1")]) data-panel>
                <Icon name="list" />
                "Places in view "
                <span class="count" id="places-count">
                    {grouped(places)}
                </span>
            </a>
        </div>
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
                    <h3><Words text=reason.sentence /></h3>
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
fn NothingMatches(q: String, because: Option<String>) -> impl IntoView {
    view! {
        <section class="emptymap" aria-labelledby="empty-head">
            <div class="emptymap__head">
                <h2 id="empty-head">"No located host matches"</h2>
                <p>"The filter is " <code>{q.clone()}</code> ". Hosts without a place are in the list only."</p>
                {because.map(|because| view! { <p id="nothing-because">{sentence(&because)}</p> })}
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
