use std::{cell::RefCell, rc::Rc};

use leaflet::{LatLng, LatLngBounds, Map, MapOptions, Point};
use leptos::{task::spawn_local, web_sys::HtmlElement};
use wasm_bindgen::JsValue;

use super::{
    base_map::{BaseMap, Labels},
    marks::{Mark, reach},
    painter::{Painter, RULER, Scene, Selection},
    viewport::{Viewport, project, wrap},
};
use crate::browser::{self, THEME};

/// Nearer than this the base map says nothing any more, and places of one town stand apart already.
const MOST_ZOOM: f64 = 14.0;
const LEAST_ZOOM: f64 = 1.0;
/// Nearer than this a box is not shown: one town and what lies around it.
const SHOWN_ZOOM: f64 = 8.0;
/// A place that one goes to is looked at from between these.
const GO_ZOOMS: (f64, f64) = (4.0, SHOWN_ZOOM);

/// How far from a panel a place must be to be in sight, in pixels.
const MARGIN: f64 = 48.0;

/// Where the map stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east, ±180.
    pub longitude: f64,
    /// Zoom.
    pub zoom: f64,
}

/// The mark under the pointer, by its number, with the pixel of the pointer.
pub type Hover = Option<(usize, f64, f64)>;

/// What a chart tells.
pub struct Listener {
    /// It came to rest.
    pub rested: Box<dyn Fn()>,
    /// The pointer is over a mark, at this pixel; or over none.
    pub hovered: Box<dyn Fn(Hover)>,
    /// A mark was chosen.
    pub chosen: Box<dyn Fn(Mark)>,
}

/// Leaflet's map with our canvas in it.
pub struct Chart {
    map: Map,
    element: HtmlElement,
    painter: RefCell<Painter>,
    scene: RefCell<Scene>,
    frame_waits: RefCell<bool>,
}

impl Chart {
    /// Binds Leaflet to an element. Fails where Leaflet was not loaded.
    pub fn new(element: &HtmlElement, view: Option<View>) -> Result<Rc<Self>, JsValue> {
        let options = MapOptions::new();
        options.set_attribution_control(false);
        options.set_zoom_control(false);
        // The canvas draws every frame itself: Leaflet's animation would stretch what is not in its panes.
        options.set_zoom_animation(false);
        options.set_zoom_snap(0.25);
        options.set_zoom_delta(1.0);
        options.set_wheel_px_per_zoom_level(120.0);
        options.set_min_zoom(LEAST_ZOOM);
        options.set_max_zoom(MOST_ZOOM);
        options.set_max_bounds_viscosity(1.0);
        options.set_max_bounds(LatLngBounds::new(
            &LatLng::new(-85.0, -100_000.0),
            &LatLng::new(85.0, 100_000.0),
        ));
        let map = Map::new_with_element(element, &options)?;
        let painter = Painter::new(element.clone())?;
        let chart = Rc::new(Self {
            map,
            element: element.clone(),
            painter: RefCell::new(painter),
            scene: RefCell::new(Scene::default()),
            frame_waits: RefCell::new(false),
        });
        let view = view.unwrap_or_else(|| chart.world());
        chart.map.set_view(&LatLng::new(view.latitude, view.longitude), view.zoom);
        Ok(chart)
    }

    /// Starts to listen and to fetch the base map.
    pub fn start(self: &Rc<Self>, listener: Listener) {
        let listener = Rc::new(listener);
        let (chart, told) = (Rc::clone(self), Rc::clone(&listener));
        self.map.on_move(Box::new(move |_| {
            // What was under the pointer moves away from it.
            (told.hovered)(None);
            chart.hover(None);
            chart.draw();
        }));
        let (chart, told) = (Rc::clone(self), Rc::clone(&listener));
        self.map.on_move_end(Box::new(move |_| {
            chart.draw();
            chart.fetch_tiles();
            (told.rested)();
        }));
        let chart = Rc::clone(self);
        self.map.on_resize(Box::new(move |_| {
            chart.draw();
            chart.fetch_tiles();
        }));
        let (chart, told) = (Rc::clone(self), Rc::clone(&listener));
        self.map.on_mouse_move(Box::new(move |event| {
            let point = event.container_point();
            let found = chart.at(point.x(), point.y());
            (told.hovered)(found.map(|index| (index, point.x(), point.y())));
            chart.hover(found);
        }));
        let (chart, told) = (Rc::clone(self), Rc::clone(&listener));
        self.map.on_mouse_out(Box::new(move |_| {
            (told.hovered)(None);
            chart.hover(None);
        }));
        let (chart, told) = (Rc::clone(self), listener);
        self.map.on_mouse_click(Box::new(move |event| {
            let point = event.container_point();
            let found = chart.at(point.x(), point.y());
            let mark = found.and_then(|index| chart.scene.borrow().marks.get(index).cloned());
            if let Some(mark) = mark {
                (told.chosen)(mark);
            }
        }));
        let chart = Rc::clone(self);
        browser::on_document(THEME, move || chart.theme_changed());
        let chart = Rc::clone(self);
        browser::on_system_theme(move || chart.theme_changed());
        self.fetch_base();
        self.fetch_tiles();
        self.draw();
    }

    fn theme_changed(self: &Rc<Self>) {
        self.painter.borrow_mut().theme_changed();
        self.draw();
    }

    fn fetch_base(self: &Rc<Self>) {
        let chart = Rc::clone(self);
        spawn_local(async move {
            // Without the base map the marks are still right, so a failure here stops nothing.
            if let Ok(land) = BaseMap::fetch().await {
                chart.scene.borrow_mut().land = Some(land);
                chart.draw();
            }
            if let Ok(labels) = Labels::fetch().await {
                chart.scene.borrow_mut().labels = Some(labels);
                chart.draw();
            }
        });
    }

    /// Fetches the tiles of what is in view. One that cannot be had stops nothing: the far land stands in its place.
    fn fetch_tiles(self: &Rc<Self>) {
        let tiles = Rc::clone(&self.scene.borrow().tiles);
        let chart = Rc::clone(self);
        let came = move || {
            chart.draw();
            chart.fetch_tiles();
        };
        tiles.want(&self.viewport(), &(Rc::new(came) as Rc<dyn Fn()>));
    }

    /// What is on the screen.
    pub fn viewport(&self) -> Viewport {
        let (center, size) = (self.map.get_center(), self.map.get_size());
        Viewport::new(center.lat(), center.lng(), self.map.get_zoom(), size.x(), size.y())
    }

    /// Where the map stands.
    pub fn view(&self) -> View {
        let center = self.map.get_center();
        View { latitude: center.lat(), longitude: wrap(center.lng()), zoom: self.map.get_zoom() }
    }

    /// The view that shows the whole world, or as much of it as leaves marks apart on a narrow screen.
    fn world(&self) -> View {
        let (width, height) = self.painter.borrow().size();
        let whole = (width.max(height) / 256.0).log2();
        View { latitude: 24.0, longitude: 10.0, zoom: ((whole * 4.0).floor() / 4.0).clamp(LEAST_ZOOM, 3.0) }
    }

    /// Draws in the next frame, however often it is asked for.
    pub fn draw(self: &Rc<Self>) {
        if self.frame_waits.replace(true) {
            return;
        }
        let chart = Rc::clone(self);
        leptos::prelude::request_animation_frame(move || {
            chart.frame_waits.replace(false);
            chart.painter.borrow().draw(&chart.viewport(), &chart.scene.borrow());
        });
    }

    /// Shows these marks.
    pub fn set_marks(self: &Rc<Self>, marks: Vec<Mark>) {
        let mut scene = self.scene.borrow_mut();
        (scene.marks, scene.hover) = (marks, None);
        drop(scene);
        self.draw();
    }

    /// Lifts a mark out, as under the pointer.
    pub fn hover(self: &Rc<Self>, mark: Option<usize>) {
        if self.scene.borrow().hover != mark {
            self.scene.borrow_mut().hover = mark;
            let cursor = if mark.is_some() { "pointer" } else { "" };
            let _ = self.element.style().set_property("cursor", cursor);
            self.draw();
        }
    }

    /// Draws a place as the one that is looked at.
    pub fn select(self: &Rc<Self>, selection: Option<Selection>) {
        self.scene.borrow_mut().selection = selection;
        self.draw();
    }

    /// Where a mark is drawn, in the copy of the world that is nearest to the middle.
    pub fn pixel(&self, mark: &Mark) -> Option<(f64, f64)> {
        let viewport = self.viewport();
        let (x, y) = viewport.place(project(mark.latitude, mark.longitude));
        let middle = viewport.width / 2.0;
        let inside =
            |x: f64| (RULER..viewport.width).contains(&x) && (0.0..viewport.height - RULER).contains(&y);
        let shifts = viewport.copies(x, 0.0).map(|shift| x + shift).filter(|x| inside(*x));
        shifts.min_by(|one, other| (one - middle).abs().total_cmp(&(other - middle).abs())).map(|x| (x, y))
    }

    /// The mark at a pixel: the nearest of those that reach it.
    fn at(&self, x: f64, y: f64) -> Option<usize> {
        let viewport = self.viewport();
        let scene = self.scene.borrow();
        let distance = |mark: &Mark| {
            let (left, top) = viewport.place(project(mark.latitude, mark.longitude));
            let nearest = viewport
                .copies(left, reach(mark))
                .map(|shift| (left + shift - x).abs())
                .fold(f64::MAX, f64::min);
            nearest.hypot(top - y)
        };
        let near = scene.marks.iter().enumerate().map(|(index, mark)| (index, distance(mark), reach(mark)));
        near.filter(|(_, distance, reach)| distance <= reach)
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .map(|(index, ..)| index)
    }

    /// Whether the map is as near as it goes.
    pub fn is_nearest(&self) -> bool {
        self.map.get_zoom() >= MOST_ZOOM
    }

    /// Zooms to what a cluster holds; answers false where the map is as near as it goes.
    pub fn zoom_to(&self, bounds: [f64; 4]) -> bool {
        if self.is_nearest() {
            return false;
        }
        self.fit(bounds, MOST_ZOOM, !browser::prefers_reduced_motion());
        true
    }

    /// Shows a box as a whole, at once.
    pub fn show(&self, bounds: [f64; 4]) {
        self.fit(bounds, SHOWN_ZOOM, false);
        if self.map.get_zoom() <= self.world().zoom {
            self.show_world();
        }
    }

    /// Moves to a place.
    pub fn go_to(&self, latitude: f64, longitude: f64) {
        let zoom = self.map.get_zoom().clamp(GO_ZOOMS.0, GO_ZOOMS.1);
        self.map.set_view(&LatLng::new(latitude, longitude), zoom);
    }

    fn fit(&self, [west, south, east, north]: [f64; 4], most: f64, flies: bool) {
        let east = if east < west { east + 360.0 } else { east };
        let bounds = LatLngBounds::new(&LatLng::new(south, west), &LatLng::new(north, east));
        let options = js_sys::Object::new();
        let set = |name: &str, value: &JsValue| {
            let _ = js_sys::Reflect::set(&options, &JsValue::from_str(name), value);
        };
        set("maxZoom", &most.into());
        set("padding", &Point::new(60.0, 60.0).into());
        if flies {
            set("duration", &0.5.into());
            self.map.fly_to_bounds_with_options(&bounds, &options);
        } else {
            set("animate", &JsValue::FALSE);
            self.map.fit_bounds_with_options(&bounds, &options);
        }
    }

    /// Brings a place out from under a panel that covers `right` pixels of the right side and `bottom` of the foot.
    pub fn uncover(&self, latitude: f64, longitude: f64, right: f64, bottom: f64) {
        let viewport = self.viewport();
        let (shown, high) = (viewport.width - right, viewport.height - bottom);
        if shown < 100.0 || high < 60.0 {
            return;
        }
        let (x, y) = viewport.place(project(latitude, longitude));
        let x = viewport.copies(x, 0.0).map(|shift| x + shift).fold(x, f64::min);
        let middle = f64::midpoint(shown, RULER);
        let across = if x > shown - MARGIN { x - middle } else { 0.0 };
        let down = if bottom > 0.0 && y > high - MARGIN { y - high / 2.0 } else { 0.0 };
        if across == 0.0 && down == 0.0 {
            return;
        }
        // Leaflet does not leave the square, so where little of it lies to the south the map must come nearer first.
        let (nearer, target) = viewport.with_point_at(latitude, longitude, middle, high / 2.0);
        if down > 0.0 && nearer > viewport.zoom {
            self.map.set_view(&LatLng::new(target.0, target.1), nearer);
        } else {
            self.map.pan_by(&Point::new(across, down));
        }
    }

    /// One step nearer or farther.
    pub fn zoom_by(&self, steps: f64) {
        self.map.set_zoom(self.map.get_zoom() + steps);
    }

    /// Shows the whole world.
    pub fn show_world(&self) {
        let view = self.world();
        self.map.set_view(&LatLng::new(view.latitude, view.longitude), view.zoom);
    }
}
