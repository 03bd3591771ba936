use std::f64::consts::{PI, TAU};

use leptos::web_sys::HtmlElement;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::{
    base_map::{BaseMap, Labels},
    marks::{Mark, MarkKind, mark_radius},
    viewport::{Viewport, project, wrap},
};
use crate::{
    browser,
    format::{NBSP, compact, share},
};

/// How wide the degree border is, in pixels.
pub const RULER: f64 = 20.0;
/// From here on marks have names: before, they would only name the country that is written beside them.
const MARK_LABEL_ZOOM: f64 = 4.75;
/// Length of a degree of latitude in kilometres.
const KILOMETRES_PER_DEGREE: f64 = 111.2;

/// The colours of the map, read from the style sheet whenever the theme changes.
struct Colours {
    sea: String,
    land: String,
    coast: String,
    border: String,
    grid: String,
    label: String,
    label_sea: String,
    edge: String,
    mark: String,
    on_mark: String,
    halo: String,
    ink: String,
    surface: String,
    warn: String,
    accent: String,
    on_accent: String,
    raised: String,
    sans: String,
}

impl Colours {
    fn read(element: &HtmlElement) -> Self {
        let style = browser::window().get_computed_style(element).ok().flatten();
        let read = |name: &str| {
            style
                .as_ref()
                .and_then(|style| style.get_property_value(name).ok())
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Self {
            sea: read("--map-sea"),
            land: read("--map-land"),
            coast: read("--map-coast"),
            border: read("--map-border"),
            grid: read("--map-grid"),
            label: read("--map-label"),
            label_sea: read("--map-label-sea"),
            edge: read("--map-edge"),
            mark: read("--cluster"),
            on_mark: read("--on-cluster"),
            halo: read("--cluster-halo"),
            ink: read("--ink"),
            surface: read("--surface"),
            warn: read("--warn"),
            accent: read("--accent"),
            on_accent: read("--on-accent"),
            raised: read("--raised"),
            sans: read("--font-sans"),
        }
    }
}

/// The one place that is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<f64>,
    /// Its hosts; none draws a plain pin.
    pub hosts: u64,
    /// Whether only an area is known.
    pub area: bool,
    /// A name to write under it.
    pub label: Option<String>,
}

/// All that is drawn.
#[derive(Default)]
pub struct Scene {
    /// The coarse land.
    pub coarse: Option<BaseMap>,
    /// The fine land, fetched when the map comes near.
    pub fine: Option<BaseMap>,
    /// Names.
    pub labels: Option<Labels>,
    /// Marks, most hosts first.
    pub marks: Vec<Mark>,
    /// The mark under the pointer or with the focus.
    pub hover: Option<usize>,
    /// What is looked at.
    pub selection: Option<Selection>,
}

/// Draws a scene on a canvas that fills an element.
pub struct Painter {
    element: HtmlElement,
    canvas: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
    colours: Colours,
}

impl Painter {
    /// Puts a canvas into the element.
    pub fn new(element: HtmlElement) -> Result<Self, JsValue> {
        let canvas: HtmlCanvasElement = browser::document().create_element("canvas")?.unchecked_into();
        canvas.set_class_name("map__canvas");
        canvas.set_attribute("aria-hidden", "true")?;
        element.prepend_with_node_1(&canvas)?;
        let context = canvas.get_context("2d")?.ok_or(JsValue::NULL)?.unchecked_into();
        let colours = Colours::read(&element);
        Ok(Self { element, canvas, context, colours })
    }

    /// Reads the colours again.
    pub fn theme_changed(&mut self) {
        self.colours = Colours::read(&self.element);
    }

    /// The size of the element in pixels.
    pub fn size(&self) -> (f64, f64) {
        (f64::from(self.element.client_width()), f64::from(self.element.client_height()))
    }

    /// Draws.
    pub fn draw(&self, viewport: &Viewport, scene: &Scene) {
        self.fit(viewport);
        let context = &self.context;
        context.set_fill_style_str(&self.colours.sea);
        context.fill_rect(0.0, 0.0, viewport.width, viewport.height);
        let step = ruler_step(viewport);
        self.graticule(viewport, step);
        if let Some(base) = scene.fine.as_ref().filter(|_| viewport.zoom >= 4.0).or(scene.coarse.as_ref()) {
            self.land(viewport, base);
        }
        let mut taken = self.occupied(viewport, scene);
        if viewport.zoom >= MARK_LABEL_ZOOM {
            self.mark_labels(viewport, scene, &mut taken);
        }
        if let Some(labels) = &scene.labels {
            self.labels(viewport, labels, taken);
        }
        for (index, mark) in scene.marks.iter().enumerate().rev() {
            if scene.hover != Some(index) {
                self.mark(viewport, mark, false);
            }
        }
        if let Some(selection) = &scene.selection {
            self.selection(viewport, selection);
        }
        if let Some(mark) = scene.hover.and_then(|index| scene.marks.get(index)) {
            self.mark(viewport, mark, true);
        }
        self.rulers(viewport, step);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a canvas is a few thousand pixels wide"
    )]
    fn fit(&self, viewport: &Viewport) {
        let ratio = browser::window().device_pixel_ratio();
        let (width, height) = ((viewport.width * ratio) as u32, (viewport.height * ratio) as u32);
        if self.canvas.width() != width || self.canvas.height() != height {
            self.canvas.set_width(width);
            self.canvas.set_height(height);
        }
        let _ = self.context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0);
    }

    fn land(&self, viewport: &Viewport, base: &BaseMap) {
        let context = &self.context;
        let scale = viewport.scale();
        let (left, top) = viewport.origin();
        for shift in viewport.copies(left, viewport.copy_width()) {
            let seen: Vec<_> = base
                .countries
                .iter()
                .filter(|country| {
                    let [west, north, east, south] = country.bounds;
                    left + shift + east * scale >= 0.0
                        && left + shift + west * scale <= viewport.width
                        && top + south * scale >= 0.0
                        && top + north * scale <= viewport.height
                })
                .collect();
            context.save();
            let _ = context.translate(left + shift, top);
            let _ = context.scale(scale, scale);
            context.set_line_join("round");
            // Coasts first and land over them, so that only the outer half of a coast remains and no border has one.
            context.set_stroke_style_str(&self.colours.coast);
            context.set_line_width(2.2 / scale);
            seen.iter().for_each(|country| context.stroke_with_path(&country.outline));
            context.set_fill_style_str(&self.colours.land);
            seen.iter().for_each(|country| context.fill_with_path_2d(&country.land));
            context.set_stroke_style_str(&self.colours.border);
            context.set_line_width(0.8 / scale);
            seen.iter().for_each(|country| context.stroke_with_path(&country.outline));
            context.restore();
        }
    }

    fn graticule(&self, viewport: &Viewport, step: f64) {
        let context = &self.context;
        context.set_stroke_style_str(&self.colours.grid);
        context.set_line_width(1.0);
        context.begin_path();
        for (x, _) in meridians(viewport, step) {
            context.move_to(x, 0.0);
            context.line_to(x, viewport.height);
        }
        for (y, _) in parallels(viewport, step) {
            context.move_to(0.0, y);
            context.line_to(viewport.width, y);
        }
        context.stroke();
    }

    /// Boxes that no label may cover: the marks.
    fn occupied(&self, viewport: &Viewport, scene: &Scene) -> Vec<[f64; 4]> {
        let selected = scene.selection.iter().map(|place| (place.latitude, place.longitude, 40.0));
        let marks = scene.marks.iter().map(|mark| (mark.latitude, mark.longitude, mark_radius(mark) + 4.0));
        let mut boxes = Vec::new();
        for (latitude, longitude, reach) in marks.chain(selected) {
            let (x, y) = viewport.place(project(latitude, longitude));
            for shift in viewport.copies(x, reach) {
                boxes.push([x + shift - reach, y - reach, x + shift + reach, y + reach]);
            }
        }
        boxes
    }

    /// Names under marks, greatest first, where they fit.
    fn mark_labels(&self, viewport: &Viewport, scene: &Scene, taken: &mut Vec<[f64; 4]>) {
        let context = &self.context;
        context.set_font(&format!("500 12px {}", self.colours.sans));
        context.set_text_align("center");
        context.set_text_baseline("middle");
        context.set_line_join("round");
        let selected = scene.selection.as_ref().map(|place| (place.latitude, place.longitude));
        for mark in &scene.marks {
            if mark.kind == MarkKind::Area || selected == Some((mark.latitude, mark.longitude)) {
                continue;
            }
            let half = context.measure_text(&mark.label).map_or(40.0, |size| size.width()) / 2.0 + 3.0;
            let (x, y) = viewport.place(project(mark.latitude, mark.longitude));
            let y = y + mark_radius(mark) + 14.0;
            for shift in viewport.copies(x, half) {
                let x = x + shift;
                let area = [x - half, y - 8.0, x + half, y + 8.0];
                if fits(area, taken, viewport) {
                    self.haloed(&mark.label, x, y, &self.colours.label);
                    taken.push(area);
                }
            }
        }
    }

    /// Text that stays readable over coasts and borders.
    fn haloed(&self, text: &str, x: f64, y: f64, colour: &str) {
        self.context.set_line_width(3.0);
        self.context.set_stroke_style_str(&self.colours.land);
        let _ = self.context.stroke_text(text, x, y);
        self.context.set_fill_style_str(colour);
        let _ = self.context.fill_text(text, x, y);
    }

    /// Labels yield to data and to greater labels: one is drawn only where it fits.
    fn labels(&self, viewport: &Viewport, labels: &Labels, mut taken: Vec<[f64; 4]>) {
        let context = &self.context;
        context.set_text_align("center");
        context.set_text_baseline("middle");
        let most = if viewport.zoom < 2.0 { 14.0 } else { 22.0 * (viewport.zoom - 1.0).exp2() };
        for label in labels.0.iter().filter(|label| label.sea || label.rank <= most) {
            if label.sea && label.rank > viewport.zoom.max(1.0) {
                continue;
            }
            let lines: Vec<String> =
                if label.sea { sea_lines(&label.text) } else { vec![label.text.to_uppercase()] };
            if label.sea {
                context.set_font("italic 12px Georgia, 'Times New Roman', 'DejaVu Serif', serif");
                set_letter_spacing(context, "0.7px");
                context.set_fill_style_str(&self.colours.label_sea);
            } else {
                context.set_font(&format!("11px {}", self.colours.sans));
                set_letter_spacing(context, "1px");
                context.set_fill_style_str(&self.colours.label);
            }
            let width = lines
                .iter()
                .filter_map(|line| context.measure_text(line).ok())
                .map(|size| size.width())
                .fold(0.0, f64::max);
            #[expect(clippy::cast_precision_loss, reason = "a label has one or two lines")]
            let half = (width / 2.0 + 3.0, 8.0 * lines.len() as f64);
            let (x, y) = viewport.place(label.at);
            for shift in viewport.copies(x, half.0) {
                let area = [x + shift - half.0, y - half.1, x + shift + half.0, y + half.1];
                if !fits(area, &taken, viewport) {
                    continue;
                }
                for (row, line) in lines.iter().enumerate() {
                    #[expect(clippy::cast_precision_loss, reason = "a label has one or two lines")]
                    let lift = (row as f64 - (lines.len() as f64 - 1.0) / 2.0) * 15.0;
                    let _ = context.fill_text(line, x + shift, y + lift);
                }
                taken.push(area);
            }
        }
        set_letter_spacing(context, "0px");
    }

    fn disc(&self, x: f64, y: f64, radius: f64, fill: &str) {
        self.context.begin_path();
        let _ = self.context.arc(x, y, radius, 0.0, TAU);
        self.context.set_fill_style_str(fill);
        self.context.fill();
    }

    fn ring(&self, x: f64, y: f64, radius: f64, width: f64, colour: &str, arc: f64) {
        self.context.begin_path();
        let _ = self.context.arc(x, y, radius, -PI / 2.0, -PI / 2.0 + arc);
        self.context.set_stroke_style_str(colour);
        self.context.set_line_width(width);
        self.context.stroke();
    }

    fn mark(&self, viewport: &Viewport, mark: &Mark, hover: bool) {
        let radius = mark_radius(mark);
        let (x, y) = viewport.place(project(mark.latitude, mark.longitude));
        if y < -radius - 6.0 || y > viewport.height + radius + 6.0 {
            return;
        }
        for shift in viewport.copies(x, radius + 6.0) {
            if mark.kind == MarkKind::Area {
                self.area(x + shift, y, radius, mark.hosts, hover);
            } else {
                self.bubble(x + shift, y, radius, mark, hover);
            }
        }
    }

    fn bubble(&self, x: f64, y: f64, radius: f64, mark: &Mark, hover: bool) {
        let (fill, text) = if hover {
            (&self.colours.ink, &self.colours.surface)
        } else {
            (&self.colours.mark, &self.colours.on_mark)
        };
        self.disc(x, y, radius + 1.5, &self.colours.halo);
        self.disc(x, y, radius, fill);
        if mark.stale > 0 && radius > 5.0 {
            self.context.set_global_alpha(0.38);
            self.ring(x, y, radius + 3.0, 3.0, &self.colours.mark, TAU);
            self.context.set_global_alpha(1.0);
            self.ring(
                x,
                y,
                radius + 3.0,
                3.0,
                &self.colours.warn,
                TAU * share(mark.stale, mark.hosts) / 100.0,
            );
        }
        if radius > 5.0 {
            self.count(x, y, radius, mark.hosts, text);
        }
    }

    fn count(&self, x: f64, y: f64, radius: f64, hosts: u64, colour: &str) {
        let size = if radius >= 27.0 {
            14
        } else if radius >= 21.0 {
            13
        } else {
            11
        };
        self.context.set_font(&format!("600 {size}px {}", self.colours.sans));
        self.context.set_text_align("center");
        self.context.set_text_baseline("middle");
        self.context.set_fill_style_str(colour);
        let _ = self.context.fill_text(&compact(hosts), x, y + 0.5);
    }

    /// Hosts of which only the country or region is known: hatched, with a broken edge, never a pin.
    fn area(&self, x: f64, y: f64, radius: f64, hosts: u64, hover: bool) {
        let context = &self.context;
        context.save();
        context.begin_path();
        let _ = context.arc(x, y, radius, 0.0, TAU);
        context.clip();
        context.set_global_alpha(0.55);
        context.set_stroke_style_str(&self.colours.mark);
        context.set_line_width(1.0);
        context.begin_path();
        let mut offset = -2.0 * radius;
        while offset < 2.0 * radius {
            context.move_to(x + offset - radius, y + radius);
            context.line_to(x + offset + radius, y - radius);
            offset += 8.5;
        }
        context.stroke();
        context.restore();
        let _ = context.set_line_dash(&js_sys::Array::of2(&4.0.into(), &3.0.into()));
        self.ring(x, y, radius, 1.5, &self.colours.mark, TAU);
        let _ = context.set_line_dash(&js_sys::Array::new());
        context.set_font(&format!("600 11px {}", self.colours.sans));
        let width = context.measure_text(&compact(hosts)).map_or(20.0, |size| size.width()) + 8.0;
        let (ground, text) = if hover {
            (&self.colours.ink, &self.colours.surface)
        } else {
            (&self.colours.land, &self.colours.ink)
        };
        context.set_fill_style_str(ground);
        context.fill_rect(x - width / 2.0, y - 8.0, width, 16.0);
        self.count(x, y, 12.0, hosts, text);
    }

    fn selection(&self, viewport: &Viewport, place: &Selection) {
        let (x, y) = viewport.place(project(place.latitude, place.longitude));
        let kilometre = viewport.copy_width()
            / 360.0
            / KILOMETRES_PER_DEGREE
            / place.latitude.to_radians().cos().max(0.01);
        let circle = place.accuracy_km.map(|kilometres| (kilometres, kilometres * kilometre));
        let reach = circle.map_or(40.0, |(_, reach)| reach.max(40.0));
        for shift in viewport.copies(x, reach) {
            let x = x + shift;
            if let Some((kilometres, reach)) = circle.filter(|(_, reach)| *reach > 8.0) {
                self.context.set_global_alpha(0.1);
                self.disc(x, y, reach, &self.colours.accent);
                self.context.set_global_alpha(1.0);
                self.ring(x, y, reach, 1.5, &self.colours.accent, TAU);
                self.note(x, (y - reach).max(12.0), &format!("within {kilometres:.0}{NBSP}km"));
            }
            let radius = super::marks::radius(place.hosts.max(10)).max(8.0);
            if place.area {
                self.ring(x, y, radius.max(14.0), 2.0, &self.colours.accent, TAU);
                self.area(x, y, radius.max(12.0), place.hosts, false);
            } else {
                self.disc(x, y, radius + 5.0, &self.colours.halo);
                self.ring(x, y, radius + 3.5, 2.0, &self.colours.accent, TAU);
                self.disc(x, y, radius, &self.colours.accent);
                if place.hosts >= 10 {
                    self.count(x, y, radius, place.hosts, &self.colours.on_accent);
                }
            }
            if let Some(label) = &place.label {
                self.context.set_font(&format!("500 12px {}", self.colours.sans));
                self.context.set_text_align("center");
                self.context.set_text_baseline("middle");
                self.haloed(label, x, y + radius + 16.0, &self.colours.ink);
            }
        }
    }

    fn note(&self, x: f64, y: f64, text: &str) {
        self.context.set_font(&format!("500 11px {}", self.colours.sans));
        self.context.set_text_align("center");
        self.context.set_text_baseline("middle");
        let width = self.context.measure_text(text).map_or(70.0, |size| size.width()) + 10.0;
        self.context.set_fill_style_str(&self.colours.raised);
        self.context.fill_rect(x - width / 2.0, y - 8.5, width, 17.0);
        self.context.set_fill_style_str(&self.colours.accent);
        let _ = self.context.fill_text(text, x, y + 0.5);
    }

    /// The degree border, as on a sea chart: dark and light stretches of one step each.
    fn rulers(&self, viewport: &Viewport, step: f64) {
        let context = &self.context;
        let bottom = viewport.height - RULER;
        let colours = &self.colours;
        context.set_fill_style_str(&colours.sea);
        context.fill_rect(0.0, 0.0, RULER, viewport.height);
        context.fill_rect(0.0, bottom, viewport.width, RULER);
        context.set_fill_style_str(&colours.edge);
        context.fill_rect(RULER - 1.0, 0.0, 1.0, bottom);
        context.fill_rect(0.0, bottom, viewport.width, 1.0);
        context.set_font(&format!("11px {}", colours.sans));
        context.set_text_align("center");
        context.set_text_baseline("middle");
        let columns: Vec<_> = meridians(viewport, step).collect();
        let width = step / 360.0 * viewport.copy_width();
        for (x, longitude) in columns {
            context.fill_rect(x, bottom, width / 2.0, 4.0);
            if x > RULER + 16.0 {
                let _ = context.fill_text(&degrees(wrap(longitude), 'E', 'W'), x, bottom + 12.0);
            }
        }
        for (y, latitude) in parallels(viewport, step) {
            let (_, next) = viewport.place(project(latitude + step / 2.0, 0.0));
            let top = next.max(0.0);
            if y > top && top < bottom {
                context.fill_rect(RULER - 4.0, top, 4.0, y.min(bottom) - top);
            }
            if y > 16.0 && y < bottom - 16.0 {
                context.save();
                let _ = context.translate(8.0, y);
                let _ = context.rotate(-PI / 2.0);
                let _ = context.fill_text(&degrees(latitude, 'N', 'S'), 0.0, 0.0);
                context.restore();
            }
        }
    }
}

/// Whether a label in this box covers nothing and is not cut.
fn fits(area: [f64; 4], taken: &[[f64; 4]], viewport: &Viewport) -> bool {
    let [left, top, right, bottom] = area;
    let inside = left > RULER && right < viewport.width && top > 0.0 && bottom < viewport.height - RULER;
    inside
        && !taken
            .iter()
            .any(|other| left < other[2] && right > other[0] && top < other[3] && bottom > other[1])
}

/// Degrees between two lines of the graticule: the least of these that are 60 pixels apart.
fn ruler_step(viewport: &Viewport) -> f64 {
    const STEPS: [f64; 11] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];
    let pixels = viewport.copy_width() / 360.0;
    STEPS.into_iter().find(|step| step * pixels >= 60.0).unwrap_or(30.0)
}

/// The meridians in sight, with the pixel of each.
fn meridians(viewport: &Viewport, step: f64) -> impl Iterator<Item = (f64, f64)> + use<> {
    let viewport = *viewport;
    let first = (viewport.longitude_at(0.0) / step).floor();
    let pixel = move |longitude: f64| viewport.place(project(0.0, longitude)).0;
    (0..64)
        .map(move |index| (first + f64::from(index)) * step)
        .map(move |longitude| (pixel(longitude), longitude))
        .take_while(move |(x, _)| *x <= viewport.width)
}

/// The parallels in sight, with the pixel of each.
fn parallels(viewport: &Viewport, step: f64) -> impl Iterator<Item = (f64, f64)> + use<> {
    let viewport = *viewport;
    let last = 80.0_f64.min((viewport.latitude_at(0.0) / step).floor() * step);
    (0..64)
        .map(move |index| last - f64::from(index) * step)
        .map(move |latitude| (viewport.place(project(latitude, 0.0)).1, latitude))
        .take_while(move |(y, latitude)| *y <= viewport.height + 400.0 && *latitude >= -85.0)
}

/// `30° E`, `0°`, `0.25° N`
fn degrees(value: f64, positive: char, negative: char) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    if rounded == 0.0 {
        return "0°".to_owned();
    }
    if rounded.abs() >= 180.0 {
        return "180°".to_owned();
    }
    format!("{}°{NBSP}{}", rounded.abs(), if rounded > 0.0 { positive } else { negative })
}

/// A sea's name in two lines, as on a chart: `North` over `Atlantic Ocean`.
fn sea_lines(name: &str) -> Vec<String> {
    match name.split_once(' ') {
        Some((first, rest)) if rest.contains(' ') => vec![first.to_owned(), rest.to_owned()],
        _ => vec![name.to_owned()],
    }
}

/// `letterSpacing` of a canvas is not in every browser; without it the names stand a little closer.
fn set_letter_spacing(context: &CanvasRenderingContext2d, spacing: &str) {
    let _ = js_sys::Reflect::set(context, &JsValue::from_str("letterSpacing"), &JsValue::from_str(spacing));
}
