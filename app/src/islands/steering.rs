//! Between the map page's signals and the chart, which exists in the browser only.

use hostatlas_domain::{MapEntry, Page, PlaceId, Precision};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    browser,
    format::{address, grouped},
    wire::{HostDetail, HostRow, PlaceHead, PlacePanelData},
};

/// Hosts on a page of a place's panel.
pub const PANEL_LIMIT: &str = "50";
/// How wide the panel is on a wide screen, in pixels: `--aside`.
#[cfg(feature = "hydrate")]
const PANEL_WIDTH: f64 = 408.0;

/// A focusable twin of a mark that the canvas draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    /// Its place in the list of marks.
    pub index: usize,
    /// Pixels from the left edge.
    pub x: f64,
    /// Pixels from the top edge.
    pub y: f64,
    /// What it is called.
    pub name: String,
}

/// What is shown beside the pointer.
#[derive(Clone, Debug, PartialEq)]
pub struct Tip {
    /// Pixels from the left edge.
    pub x: f64,
    /// Pixels from the top edge.
    pub y: f64,
    /// Its first line.
    pub head: String,
    /// Its second line.
    pub detail: String,
}

/// What the map page shows at the moment.
#[derive(Clone, Copy)]
pub struct MapSignals {
    /// The filter.
    pub q: StoredValue<String>,
    /// `loading`, `ready`, `empty` or `error`.
    pub state: RwSignal<&'static str>,
    /// Located hosts in view.
    pub hosts: RwSignal<u64>,
    /// Places in view.
    pub places: RwSignal<u64>,
    /// The marks in view.
    pub marks: RwSignal<Vec<MapEntry>>,
    /// The greatest of them as buttons.
    pub proxies: RwSignal<Vec<Proxy>>,
    /// Beside the pointer.
    pub tip: RwSignal<Option<Tip>>,
    /// Told to screen readers.
    pub status: RwSignal<String>,
    /// Why the marks could not be fetched.
    pub trouble: RwSignal<Option<String>>,
    /// Whether the list of places is open.
    pub list: RwSignal<bool>,
    /// The place that is open.
    pub place: RwSignal<Option<PlaceHead>>,
    /// A page of its hosts.
    pub page: RwSignal<Option<Page<HostRow>>>,
    /// From where that page starts.
    pub cursor: RwSignal<String>,
    /// The host that is open in it.
    pub open_ip: RwSignal<Option<String>>,
    /// What is known of that host.
    pub open: RwSignal<Option<HostDetail>>,
}

/// What the chart is told.
#[derive(Clone, Debug)]
pub enum Order {
    /// One step nearer.
    Nearer,
    /// One step farther.
    Farther,
    /// The whole world.
    World,
    /// Lift out a mark.
    Highlight(Option<usize>),
    /// Show what a cluster holds.
    ZoomTo(Box<MapEntry>),
    /// Draw the open place.
    ShowPlace,
    /// Fetch the marks again.
    Reload,
}

impl MapSignals {
    /// Begins with what the server rendered.
    pub fn new(q: String, panel: Option<PlacePanelData>, cursor: String, list: bool, marks: Vec<MapEntry>) -> Self {
        let (place, page, open) = match panel {
            Some(panel) => (Some(panel.head), Some(panel.page), panel.open),
            None => (None, None, None),
        };
        Self {
            q: StoredValue::new(q),
            state: RwSignal::new("loading"),
            hosts: RwSignal::new(marks.iter().map(|mark| mark.hosts).sum()),
            places: RwSignal::new(marks.iter().map(|mark| mark.places).sum()),
            marks: RwSignal::new(marks),
            proxies: RwSignal::new(Vec::new()),
            tip: RwSignal::new(None),
            status: RwSignal::new(String::new()),
            trouble: RwSignal::new(None),
            list: RwSignal::new(list && place.is_none()),
            place: RwSignal::new(place),
            page: RwSignal::new(page),
            cursor: RwSignal::new(cursor),
            open_ip: RwSignal::new(open.as_ref().map(|host| host.ip.clone())),
            open: RwSignal::new(open),
        }
    }

    /// `9,214 places, 231,507 hosts in view`
    pub fn summary(self) -> String {
        let (places, hosts) = (self.places.get_untracked(), self.hosts.get_untracked());
        let word = |number: u64, one: &str| if number == 1 { one.to_owned() } else { format!("{one}s") };
        format!("{} {}, {} {} in view", grouped(places), word(places, "place"), grouped(hosts), word(hosts, "host"))
    }

    /// Opens what a mark stands for: a place in the panel, a cluster by zooming in.
    pub fn choose(self, mark: &MapEntry) {
        match mark.place_id {
            Some(PlaceId(id)) => self.open_place(PlaceHead {
                id,
                label: mark.label.clone(),
                country: mark
                    .country_code
                    .as_deref()
                    .and_then(|code| code.parse::<hostatlas_domain::CountryCode>().ok())
                    .map(|country| country.name().to_owned()),
                latitude: mark.latitude,
                longitude: mark.longitude,
                precision: mark.precision,
                hosts: mark.hosts,
            }),
            None => steer(self, Order::ZoomTo(Box::new(mark.clone()))),
        }
    }

    /// Opens a place's panel.
    pub fn open_place(self, head: PlaceHead) {
        self.page.set(None);
        self.open_ip.set(None);
        self.open.set(None);
        self.cursor.set(String::new());
        self.list.set(false);
        self.tip.set(None);
        self.place.set(Some(head));
        self.load_page();
        steer(self, Order::ShowPlace);
        self.write_address();
    }

    /// Closes whatever panel is open.
    pub fn close_panel(self) {
        self.place.set(None);
        self.page.set(None);
        self.open_ip.set(None);
        self.open.set(None);
        self.cursor.set(String::new());
        self.list.set(false);
        steer(self, Order::ShowPlace);
        self.write_address();
    }

    /// Opens or closes the list of places in view.
    pub fn toggle_list(self) {
        let open = !self.list.get_untracked();
        if self.place.get_untracked().is_some() {
            self.close_panel();
        }
        self.list.set(open);
        self.write_address();
    }

    /// Fetches the page of hosts that starts at the cursor.
    pub fn load_page(self) {
        let Some(place) = self.place.get_untracked() else { return };
        let (q, cursor) = (self.q.get_value(), self.cursor.get_untracked());
        let url = if q.is_empty() {
            address(&format!("/api/v1/places/{}/hosts", place.id), &[("cursor", &cursor), ("limit", PANEL_LIMIT)])
        } else {
            let narrowed = format!("place:{} {q}", place.id);
            address("/api/v1/hosts", &[("q", &narrowed), ("cursor", &cursor), ("limit", PANEL_LIMIT)])
        };
        spawn_local(async move {
            let page = browser::get_json::<Page<HostRow>>(&url, None).await;
            if self.place.get_untracked().is_none_or(|now| now.id != place.id) {
                return;
            }
            match page {
                Ok(page) => self.page.set(Some(page)),
                Err(why) => self.trouble.set(Some(why)),
            }
        });
    }

    /// Opens a host in its place's panel, or closes it again.
    pub fn toggle_host(self, ip: String) {
        let opens = self.open_ip.get_untracked().as_deref() != Some(&ip);
        self.open.set(None);
        self.open_ip.set(opens.then_some(ip));
        self.load_open();
        self.write_address();
    }

    /// Fetches what is known of the open host.
    pub fn load_open(self) {
        let Some(ip) = self.open_ip.get_untracked() else { return };
        spawn_local(async move {
            let host = browser::get_json::<HostDetail>(&format!("/api/v1/hosts/{ip}"), None).await;
            if self.open_ip.get_untracked() == Some(ip) {
                match host {
                    Ok(host) => {
                        self.open.set(Some(host));
                        steer(self, Order::ShowPlace);
                    }
                    Err(why) => self.trouble.set(Some(why)),
                }
            }
        });
    }

    /// The address of the map with this panel, for links that also work without scripts.
    pub fn address(self, place: Option<i64>, host: &str, cursor: &str, list: bool) -> String {
        let place = place.map(|id| id.to_string()).unwrap_or_default();
        let q = self.q.get_value();
        address(
            "/",
            &[("q", &q), ("place", &place), ("cursor", cursor), ("host", host), ("list", if list { "1" } else { "" })],
        )
    }

    /// Writes position, filter and panel into the address bar.
    pub fn write_address(self) {
        let place = self.place.get_untracked().map(|place| place.id);
        let host = self.open_ip.get_untracked().unwrap_or_default();
        let mut text = self.address(place, &host, &self.cursor.get_untracked(), self.list.get_untracked());
        if let Some((latitude, longitude, zoom)) = position() {
            text = address(
                &text,
                &[("lat", &format!("{latitude:.4}")), ("lon", &format!("{longitude:.4}")), ("zoom", &format!("{zoom}"))],
            );
        }
        browser::replace_address(&text);
    }
}

/// What a place's point stands for, in words.
pub fn precision_words(precision: Precision) -> &'static str {
    match precision {
        Precision::City => "city",
        Precision::Region => "centre of the region; the city is not known",
        Precision::Country => "centre of the country; the place is not known",
    }
}

#[cfg(not(feature = "hydrate"))]
fn position() -> Option<(f64, f64, f64)> {
    None
}

/// There is no chart on the server.
#[cfg(not(feature = "hydrate"))]
pub fn steer(_signals: MapSignals, _order: Order) {}

#[cfg(feature = "hydrate")]
pub use in_browser::{attach, steer};
#[cfg(feature = "hydrate")]
use in_browser::position;

#[cfg(feature = "hydrate")]
mod in_browser {
    use std::{cell::RefCell, rc::Rc};

    use hostatlas_domain::{MapAnswer, MapEntryKind, Topic};
    use leptos::{prelude::*, task::spawn_local, web_sys::HtmlElement};
    use web_sys::AbortController;

    use super::{MapSignals, Order, PANEL_WIDTH, Proxy, Tip};
    use crate::{
        browser::{self, REFRESH},
        format::address,
        map::{Chart, Listener, Selection, View, mark_name, tooltip},
    };

    /// How many marks get a focusable twin.
    const PROXIES: usize = 50;
    /// How long the map must rest before its marks are asked for.
    const REST_MILLISECONDS: i32 = 90;
    /// At most this often a screen reader is told what is in view.
    const STATUS_MILLISECONDS: i32 = 2_000;

    /// One page has one map.
    #[derive(Default)]
    struct Live {
        chart: Option<Rc<Chart>>,
        request: Option<AbortController>,
        loads: u32,
        status_waits: bool,
    }

    thread_local!(static LIVE: RefCell<Live> = RefCell::default());

    fn chart() -> Option<Rc<Chart>> {
        LIVE.with_borrow(|live| live.chart.clone())
    }

    pub fn position() -> Option<(f64, f64, f64)> {
        chart().map(|chart| chart.view()).map(|view| (view.latitude, view.longitude, view.zoom))
    }

    /// Brings the map to life.
    pub fn attach(signals: MapSignals, element: &HtmlElement, view: Option<(f64, f64, f64)>) {
        let view = view.map(|(latitude, longitude, zoom)| View { latitude, longitude, zoom });
        let Ok(chart) = Chart::new(element, view) else {
            signals.state.set("error");
            signals.trouble.set(Some("The map could not be started. Hosts and coverage work without it.".to_owned()));
            return;
        };
        LIVE.with_borrow_mut(|live| live.chart = Some(Rc::clone(&chart)));
        chart.start(Listener {
            rested: Box::new(move || {
                place_proxies(signals);
                signals.write_address();
                load(signals);
            }),
            hovered: Box::new(move |hover| {
                let tip = hover.and_then(|(index, x, y)| {
                    let (head, detail) = signals.marks.with_untracked(|marks| marks.get(index).map(tooltip))?;
                    Some(Tip { x, y, head, detail })
                });
                if signals.tip.with_untracked(|shown| *shown != tip) {
                    signals.tip.set(tip);
                }
            }),
            chosen: Box::new(move |mark| signals.choose(&mark)),
        });
        browser::on_document(&browser::topic_event(Topic::Map.slug()), move || load(signals));
        browser::on_document(REFRESH, move || {
            load(signals);
            signals.load_open();
        });
        show_place(signals, &chart);
        load(signals);
    }

    pub fn steer(signals: MapSignals, order: Order) {
        let Some(chart) = chart() else { return };
        match order {
            Order::Nearer => chart.zoom_by(1.0),
            Order::Farther => chart.zoom_by(-1.0),
            Order::World => chart.show_world(),
            Order::Highlight(mark) => chart.hover(mark),
            Order::ZoomTo(mark) => chart.zoom_to(&mark),
            Order::ShowPlace => show_place(signals, &chart),
            Order::Reload => load(signals),
        }
    }

    fn show_place(signals: MapSignals, chart: &Rc<Chart>) {
        let place = signals.place.get_untracked();
        if let Some(place) = &place {
            let narrow = chart.viewport().width <= 720.0;
            chart.uncover(place.latitude, place.longitude, if narrow { 0.0 } else { PANEL_WIDTH });
        }
        let accuracy = signals.open.with_untracked(|open| open.as_ref()?.location.as_ref()?.accuracy_km);
        chart.select(place.map(|place| Selection {
            latitude: place.latitude,
            longitude: place.longitude,
            accuracy_km: accuracy.map(f64::from),
            hosts: place.hosts,
            area: place.precision != hostatlas_domain::Precision::City,
            label: Some(place.label),
        }));
    }

    /// Asks for the marks in view once the map rests; an answer that is overtaken is dropped.
    fn load(signals: MapSignals) {
        let turn = LIVE.with_borrow_mut(|live| {
            live.loads += 1;
            live.loads
        });
        spawn_local(async move {
            browser::sleep(REST_MILLISECONDS).await;
            if LIVE.with_borrow(|live| live.loads) != turn {
                return;
            }
            let Some(chart) = chart() else { return };
            let request = AbortController::new().ok();
            let overtaken = LIVE.with_borrow_mut(|live| std::mem::replace(&mut live.request, request.clone()));
            if let Some(overtaken) = overtaken {
                overtaken.abort();
            }
            let viewport = chart.viewport();
            let [west, south, east, north] = viewport.bounds();
            let bounds = format!("{west:.4},{south:.4},{east:.4},{north:.4}");
            let zoom = format!("{:.0}", viewport.zoom.floor());
            let url = address("/api/v1/map", &[("bbox", &bounds), ("zoom", &zoom), ("q", &signals.q.get_value())]);
            let answer = browser::get_json::<MapAnswer>(&url, request.map(|request| request.signal()).as_ref()).await;
            if LIVE.with_borrow(|live| live.loads) == turn {
                show(signals, &chart, answer);
            }
        });
    }

    fn show(signals: MapSignals, chart: &Rc<Chart>, answer: Result<MapAnswer, String>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                signals.trouble.set(Some(why));
                signals.state.set("error");
                return;
            }
        };
        signals.trouble.set(None);
        chart.set_marks(answer.clusters.clone());
        signals.hosts.set(answer.hosts);
        signals.places.set(answer.places);
        signals.state.set(if answer.clusters.is_empty() { "empty" } else { "ready" });
        if signals.marks.with_untracked(|marks| *marks != answer.clusters) {
            signals.marks.set(answer.clusters);
        }
        place_proxies(signals);
        tell(signals);
    }

    fn place_proxies(signals: MapSignals) {
        let Some(chart) = chart() else { return };
        let proxies = signals.marks.with_untracked(|marks| {
            let seen = marks.iter().enumerate().filter_map(|(index, mark)| {
                let (x, y) = chart.pixel(mark)?;
                Some(Proxy { index, x, y, name: mark_name(mark) })
            });
            seen.take(PROXIES).collect::<Vec<_>>()
        });
        if signals.proxies.with_untracked(|shown| *shown != proxies) {
            signals.proxies.set(proxies);
        }
    }

    fn tell(signals: MapSignals) {
        if LIVE.with_borrow_mut(|live| std::mem::replace(&mut live.status_waits, true)) {
            return;
        }
        spawn_local(async move {
            browser::sleep(STATUS_MILLISECONDS).await;
            LIVE.with_borrow_mut(|live| live.status_waits = false);
            let areas = signals.marks.with_untracked(|marks| marks.iter().any(|mark| mark.kind == MapEntryKind::Area));
            let note = if areas { ", some of them known by country or region only" } else { "" };
            signals.status.set(format!("{}{note}", signals.summary()));
        });
    }
}
