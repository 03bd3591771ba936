//! Between the map page, which the server renders, and the chart.
//!
//! A panel is whatever the server renders for its address: opening one is asking for that address and taking over the
//! element `#panel` of the answer.

use std::{cell::RefCell, rc::Rc};

use hostatlas_domain::Topic;
use leptos::{
    task::spawn_local,
    web_sys::{Document, Element, HtmlElement},
};
use wasm_bindgen::JsCast;
use web_sys::{AbortController, KeyboardEvent, MouseEvent, UrlSearchParams};

use crate::{
    browser::{self, Json, REFRESH, REFRESHED},
    format::{address, grouped, nearest_words},
    map::{Chart, Listener, Mark, Selection, View, mark_name, tooltip},
};

/// How many marks get a focusable twin.
const PROXIES: usize = 50;
/// How long the map must rest before its marks are asked for.
const REST_MILLISECONDS: i32 = 90;
/// At most this often a screen reader is told what is in view.
const STATUS_MILLISECONDS: i32 = 2_000;
/// How wide the panel is on a wide screen, in pixels: `--aside`.
const PANEL_WIDTH: f64 = 408.0;
/// Below this width the panel is a sheet at the foot.
const NARROW: f64 = 720.0;

/// One page has one map.
#[derive(Default)]
struct Live {
    chart: Option<Rc<Chart>>,
    element: Option<HtmlElement>,
    request: Option<AbortController>,
    loads: u32,
    status_waits: bool,
    /// The filter.
    q: String,
    /// The address of the open panel, without the position of the map.
    panel: String,
    marks: Vec<Mark>,
}

thread_local!(static LIVE: RefCell<Live> = RefCell::default());

fn chart() -> Option<Rc<Chart>> {
    LIVE.with_borrow(|live| live.chart.clone())
}

fn element_of(id: &str) -> Option<Element> {
    browser::document().get_element_by_id(id)
}

/// Brings the map to life.
pub fn attach(element: &HtmlElement) {
    let search = browser::window().location().search().unwrap_or_default();
    let asked = UrlSearchParams::new_with_str(&search).ok();
    let text = |name: &str| asked.as_ref().and_then(|asked| asked.get(name)).unwrap_or_default();
    let number = |name: &str| text(name).parse::<f64>().ok();
    let view = number("lat").zip(number("lon")).zip(number("zoom"));
    let view = view.map(|((latitude, longitude), zoom)| View { latitude, longitude, zoom });
    let is_placed = view.is_some() || !text("place").is_empty();
    let q = text("q").trim().to_owned();
    let parts = ["q", "place", "host", "cursor", "list"].map(|name| (name, text(name)));
    let panel = address("/", &parts.each_ref().map(|(name, value)| (*name, value.as_str())));
    let Ok(chart) = Chart::new(element, view) else {
        let _ = element.set_attribute("data-state", "error");
        trouble(Some("The map could not be started. Hosts and coverage work without it."));
        return;
    };
    LIVE.with_borrow_mut(|live| {
        live.chart = Some(Rc::clone(&chart));
        live.element = Some(element.clone());
        (live.q, live.panel) = (q, panel);
    });
    // A filter without a position shows what matches.
    if let Some(extent) = extent().filter(|_| !is_placed) {
        chart.show(extent);
    }
    chart.start(Listener {
        rested: Box::new(|| {
            place_proxies();
            write_address();
            load();
        }),
        hovered: Box::new(tip),
        chosen: Box::new(|mark| choose(&mark)),
    });
    browser::on_document(&browser::topic_event(Topic::Map.slug()), load);
    browser::on_document(REFRESH, load);
    browser::on_document(REFRESHED, show_place);
    browser::on_event("click", |event| clicked(event.unchecked_ref()));
    browser::on_event("keydown", |event| pressed(event.unchecked_ref()));
    browser::on_event("focusin", |event| focused(&event));
    show_place();
    load();
}

/// The box that holds what the filter matches.
fn extent() -> Option<[f64; 4]> {
    let holder = browser::document().query_selector("[data-extent]").ok().flatten()?;
    numbers(&holder, "data-extent").try_into().ok()
}

fn numbers(element: &Element, attribute: &str) -> Vec<f64> {
    let text = element.get_attribute(attribute).unwrap_or_default();
    text.split(',').filter_map(|degrees| degrees.parse().ok()).collect()
}

/// The canvas shows which mark the focus is on, as it does for the pointer.
fn focused(event: &web_sys::Event) {
    let twin = browser::closest(event, "button[data-mark]").and_then(|twin| twin.get_attribute("data-mark"));
    if let Some(chart) = chart() {
        chart.hover(twin.and_then(|index| index.parse().ok()));
    }
}

fn clicked(event: &MouseEvent) {
    if event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key() {
        return;
    }
    let Some(chart) = chart() else { return };
    if let Some(button) = browser::closest(event, "[data-map]") {
        match button.get_attribute("data-map").as_deref() {
            Some("nearer") => chart.zoom_by(1.0),
            Some("farther") => chart.zoom_by(-1.0),
            Some("world") => chart.show_world(),
            Some("all") => match extent() {
                Some(extent) => chart.show(extent),
                None => chart.show_world(),
            },
            _ => load(),
        }
    } else if let Some(link) = browser::closest(event, "a[data-bounds]") {
        event.prevent_default();
        if let Ok(bounds) = numbers(&link, "data-bounds").try_into() {
            chart.zoom_to(bounds);
        }
    } else if let Some(link) = browser::closest(event, "a[data-point]") {
        event.prevent_default();
        if let [latitude, longitude] = numbers(&link, "data-point")[..] {
            go_to(&chart, latitude, longitude);
        }
    } else if let Some(link) = browser::closest(event, "a[data-panel]") {
        event.prevent_default();
        open(link.get_attribute("href").unwrap_or_default());
    } else if let Some(mark) = browser::closest(event, "button[data-mark]") {
        let index: Option<usize> = mark.get_attribute("data-mark").and_then(|index| index.parse().ok());
        let mark = index.and_then(|index| LIVE.with_borrow(|live| live.marks.get(index).cloned()));
        if let Some(mark) = mark {
            choose(&mark);
        }
    }
}

/// Moves to a place, and out from under a panel.
fn go_to(chart: &Chart, latitude: f64, longitude: f64) {
    chart.go_to(latitude, longitude);
    if let Some(panel) = element_of("panel").filter(|panel| panel.has_child_nodes()) {
        let (right, bottom) = covered(&panel, chart.viewport().width);
        chart.uncover(latitude, longitude, right, bottom);
    }
}

fn pressed(event: &KeyboardEvent) {
    let in_map = browser::closest(event, ".map").is_some();
    match event.key().as_str() {
        "0" if in_map => {
            if let Some(chart) = chart() {
                chart.show_world();
            }
        }
        "Escape" => {
            let close =
                element_of("panel").and_then(|panel| panel.query_selector("a[data-close]").ok().flatten());
            if let Some(href) = close.and_then(|close| close.get_attribute("href")) {
                open(href);
            }
        }
        _ => {}
    }
}

/// Opens what a mark stands for: a place in the panel, a cluster by zooming in.
fn choose(mark: &Mark) {
    let q = LIVE.with_borrow(|live| live.q.clone());
    match mark.place_id {
        Some(id) => open(address("/", &[("q", &q), ("place", &id.to_string())])),
        None => {
            // Places that stand on top of each other at any zoom are told apart in the list.
            if chart().is_some_and(|chart| !chart.zoom_to(mark.bounds)) {
                open(address("/", &[("q", &q), ("list", "1")]));
            }
        }
    }
}

/// The address under which the server renders the panel for what is in view.
fn panel_source(panel: &str) -> String {
    let Some(chart) = chart().filter(|_| panel.contains("list=1")) else { return panel.to_owned() };
    let (bounds, zoom) = in_view(&chart);
    // As near as it goes, the list still tells places apart that the map cannot.
    let zoom = if chart.is_nearest() { "24".to_owned() } else { zoom };
    address(panel, &[("bbox", &bounds), ("zoom", &zoom)])
}

fn in_view(chart: &Chart) -> (String, String) {
    let viewport = chart.viewport();
    let [west, south, east, north] = viewport.bounds();
    (format!("{west:.4},{south:.4},{east:.4},{north:.4}"), format!("{:.0}", viewport.zoom.floor()))
}

/// Opens the panel of an address.
fn open(href: String) {
    LIVE.with_borrow_mut(|live| live.panel.clone_from(&href));
    write_address();
    spawn_local(async move {
        match browser::get_page(&panel_source(&href)).await {
            Ok(page) if LIVE.with_borrow(|live| live.panel == href) => {
                take_over(&page, true);
                show_place();
            }
            Ok(_) => {}
            Err(why) => trouble(Some(&why)),
        }
    });
}

/// Puts the panel of `page` in the place of ours. What was scrolled stays, and the focus goes where it was, to the name
/// of a new panel, or back to the map.
fn take_over(page: &Document, moves_focus: bool) {
    let (Some(old), Some(new)) = (element_of("panel"), page.get_element_by_id("panel")) else { return };
    let document = browser::document();
    let Ok(new) = document.import_node_with_deep(&new, true) else { return };
    let scrolled = |panel: &Element| panel.query_selector(".aside__body").ok().flatten();
    let same = new.unchecked_ref::<Element>().get_attribute("data-place") == old.get_attribute("data-place");
    let top = scrolled(&old).filter(|_| same).map_or(0, |body| body.scroll_top());
    let focused =
        document.active_element().filter(|focused| old.contains(Some(focused))).map(|focused| focused.id());
    let moves_focus = moves_focus || focused.is_some();
    if old.replace_with_with_node_1(&new).is_err() {
        return;
    }
    let new: Element = new.unchecked_into();
    if let Some(body) = scrolled(&new) {
        body.set_scroll_top(top);
    }
    let target = focused.filter(|id| !id.is_empty()).and_then(|id| element_of(&id));
    let target = target.or_else(|| new.query_selector("h2").ok().flatten()).or_else(|| element_of("map"));
    if let Some(target) = target.filter(|_| moves_focus) {
        let _ = target.unchecked_into::<HtmlElement>().focus();
    }
}

/// Writes position, filter and panel into the address bar.
fn write_address() {
    let Some(chart) = chart() else { return };
    let View { latitude, longitude, zoom } = chart.view();
    let panel = LIVE.with_borrow(|live| live.panel.clone());
    let place =
        [("lat", format!("{latitude:.4}")), ("lon", format!("{longitude:.4}")), ("zoom", zoom.to_string())];
    browser::replace_address(&address(
        &panel,
        &place.each_ref().map(|(name, value)| (*name, value.as_str())),
    ));
}

/// How many pixels of the map's right side and of its foot the panel covers.
fn covered(panel: &Element, width: f64) -> (f64, f64) {
    if width > NARROW {
        return (PANEL_WIDTH, 0.0);
    }
    let sheet = panel.first_element_child();
    (0.0, sheet.map_or(0.0, |sheet| sheet.get_bounding_client_rect().height()))
}

/// Draws the place that is open, and brings it out from under its panel.
fn show_place() {
    let (Some(chart), Some(panel)) = (chart(), element_of("panel")) else { return };
    let facts = panel.query_selector("#panel-facts").ok().flatten();
    let number =
        |element: &Element, name: &str| element.get_attribute(name).and_then(|text| text.parse::<f64>().ok());
    let (Some(latitude), Some(longitude)) = (number(&panel, "data-lat"), number(&panel, "data-lon")) else {
        chart.select(None);
        return;
    };
    let (right, bottom) = covered(&panel, chart.viewport().width);
    chart.uncover(latitude, longitude, right, bottom);
    chart.select(Some(Selection {
        latitude,
        longitude,
        accuracy_km: facts.and_then(|facts| number(&facts, "data-accuracy")),
        hosts: panel.get_attribute("data-hosts").and_then(|hosts| hosts.parse().ok()).unwrap_or(1),
        area: panel.has_attribute("data-area"),
        label: panel.get_attribute("data-label"),
    }));
}

fn trouble(why: Option<&str>) {
    let Some(note) = element_of("map-trouble") else { return };
    browser::write(&note, "p", why.unwrap_or_default());
    browser::show(&note, why.is_some());
}

fn tip(hover: Option<(usize, f64, f64)>) {
    let Ok(Some(tip)) = browser::document().query_selector(".maptip") else { return };
    let text = hover.and_then(|(index, ..)| LIVE.with_borrow(|live| live.marks.get(index).map(tooltip)));
    let Some(((_, x, y), (head, detail))) = hover.zip(text) else {
        browser::show(&tip, false);
        return;
    };
    browser::write(&tip, "strong", &head);
    browser::write(&tip, "div", &detail);
    let style = tip.unchecked_ref::<HtmlElement>().style();
    let _ = style.set_property("left", &format!("{x:.0}px"));
    let _ = style.set_property("top", &format!("{y:.0}px"));
    browser::show(&tip, true);
}

/// Asks for the marks in view once the map rests; an answer that is overtaken is dropped.
fn load() {
    let turn = LIVE.with_borrow_mut(|live| {
        live.loads += 1;
        live.loads
    });
    spawn_local(async move {
        browser::sleep(REST_MILLISECONDS).await;
        let overtaken = || LIVE.with_borrow(|live| live.loads) != turn;
        let Some(chart) = chart().filter(|_| !overtaken()) else { return };
        let request = AbortController::new().ok();
        let earlier = LIVE.with_borrow_mut(|live| std::mem::replace(&mut live.request, request.clone()));
        if let Some(earlier) = earlier {
            earlier.abort();
        }
        let (bounds, zoom) = in_view(&chart);
        let q = LIVE.with_borrow(|live| live.q.clone());
        let url = address("/api/v1/map", &[("bbox", &bounds), ("zoom", &zoom), ("q", &q)]);
        let answer = browser::get_json(&url, request.map(|request| request.signal()).as_ref()).await;
        if overtaken() {
            return;
        }
        match answer {
            Ok(answer) => {
                let marks = answer.get("clusters").items().iter().filter_map(Mark::read).collect();
                show(&chart, marks, answer.count("hosts"), answer.count("places"));
                show_nothing(&answer.get("nearest"));
            }
            Err(why) => {
                set("data-state", "error");
                trouble(Some(&why));
            }
        }
        refresh_list().await;
    });
}

/// The list of places follows the map.
async fn refresh_list() {
    let panel = LIVE.with_borrow(|live| live.panel.clone());
    if !panel.contains("list=1") {
        return;
    }
    if let Ok(page) = browser::get_page(&panel_source(&panel)).await
        && LIVE.with_borrow(|live| live.panel == panel)
    {
        take_over(&page, false);
    }
}

fn set(attribute: &str, value: &str) {
    LIVE.with_borrow(|live| {
        if let Some(element) = &live.element {
            let _ = element.set_attribute(attribute, value);
        }
    });
}

fn show(chart: &Rc<Chart>, marks: Vec<Mark>, hosts: u64, places: u64) {
    trouble(None);
    set("data-hosts", &hosts.to_string());
    set("data-entries", &marks.len().to_string());
    set("data-state", if marks.is_empty() { "empty" } else { "ready" });
    if let Some(count) = element_of("places-count") {
        count.set_text_content(Some(&grouped(places)));
    }
    LIVE.with_borrow_mut(|live| live.marks.clone_from(&marks));
    // A number of what was drawn before would now name another mark.
    tip(None);
    chart.set_marks(marks);
    place_proxies();
    tell(hosts, places);
}

/// Says that no host is in view and where the nearest is, or that there is no need to.
fn show_nothing(nearest: &Json) {
    let Some(note) = element_of("map-nothing") else { return };
    let place = Mark::read(nearest);
    if let Some(mark) = &place {
        let (far, direction) = (nearest.number("distance_km"), nearest.text("direction"));
        let words =
            nearest_words(&mark.label, mark.hosts, far.unwrap_or_default(), &direction.unwrap_or_default());
        browser::write(&note, "p", &format!("No host is in this view. {words}"));
        if let Ok(Some(link)) = note.query_selector("a") {
            let _ = link.set_attribute("data-point", &format!("{},{}", mark.latitude, mark.longitude));
        }
    }
    browser::show(&note, place.is_some());
}

/// Puts a focusable twin over each of the greatest marks. Pointers go through them to the canvas.
fn place_proxies() {
    let Some(chart) = chart() else { return };
    let document = browser::document();
    let Ok(Some(group)) = document.query_selector(".map__proxies") else { return };
    let twins: Vec<(usize, f64, f64, String)> = LIVE.with_borrow(|live| {
        let seen = live.marks.iter().enumerate();
        let seen =
            seen.filter_map(|(index, mark)| chart.pixel(mark).map(|(x, y)| (index, x, y, mark_name(mark))));
        seen.take(PROXIES).collect()
    });
    // Twins are used again, so that the one with the focus keeps it.
    while usize::try_from(group.children().length()).unwrap_or(0) > twins.len() {
        let Some(last) = group.last_element_child() else { break };
        last.remove();
    }
    for (position, (index, x, y, name)) in twins.into_iter().enumerate() {
        let known = u32::try_from(position).ok().and_then(|position| group.children().item(position));
        let twin = if let Some(twin) = known {
            twin
        } else {
            let Ok(twin) = document.create_element("button") else { return };
            let _ = twin.set_attribute("type", "button");
            let _ = group.append_child(&twin);
            twin
        };
        let _ = twin.set_attribute("data-mark", &index.to_string());
        let _ = twin.set_attribute("style", &format!("--x:{x:.0};--y:{y:.0}"));
        twin.set_text_content(Some(&name));
    }
}

fn tell(hosts: u64, places: u64) {
    if LIVE.with_borrow_mut(|live| std::mem::replace(&mut live.status_waits, true)) {
        return;
    }
    spawn_local(async move {
        browser::sleep(STATUS_MILLISECONDS).await;
        LIVE.with_borrow_mut(|live| live.status_waits = false);
        if let Some(status) = element_of("map-status") {
            let word = |number: u64, word: &str| {
                format!("{} {word}{}", grouped(number), if number == 1 { "" } else { "s" })
            };
            status.set_text_content(Some(&format!(
                "{}, {} in view",
                word(places, "place"),
                word(hosts, "host")
            )));
        }
    });
}
