//! Names of countries, seas and places. They yield to marks, and to greater names.

use leptos::web_sys::CanvasRenderingContext2d;
use wasm_bindgen::JsValue;

use super::{Painter, RULER, Scene};
use crate::map::{
    base_map::{Label, Labels},
    marks::{Mark, MarkKind, mark_radius},
    tiles::{Seen, Town},
    viewport::{Viewport, nearest_copy, project},
};

/// Before this zoom only marks with a number in them have names: there are too many others.
const DOT_LABEL_ZOOM: f64 = 4.75;
/// Marks of fewer hosts are dots.
const DOT: u64 = 10;
/// Rather than not stand at all, a name may run under marks of so many times fewer hosts.
const FAR_FEWER: u64 = 10;
/// A name that stands so near already is of the same town: degrees of longitude, in units of the square at zoom 0.
const SAME_TOWN: f64 = 0.75 / 360.0 * 256.0;
/// Half the height of a line.
const HALF_LINE: f64 = 8.0;

/// Left, top, right and bottom of what a name may not cover.
struct Taken {
    area: [f64; 4],
    /// The hosts of a mark; more than any mark has, where it is none.
    hosts: u64,
}

/// The names of one picture: what is taken already, and what was written.
pub(super) struct Names<'a> {
    viewport: &'a Viewport,
    taken: Vec<Taken>,
    /// Towns in view, greatest first.
    towns: Vec<&'a Town>,
    /// Names of places that were written, and where in the square at zoom 0.
    written: Vec<(String, (f64, f64))>,
}

impl<'a> Names<'a> {
    /// Nothing is written yet; marks stand where they are.
    pub(super) fn new(viewport: &'a Viewport, scene: &Scene, near: &'a [Seen]) -> Self {
        let mut towns: Vec<&Town> = Vec::new();
        // Tiles come with theirs in order. A sorting routine would weigh more in the first view than this loop.
        for town in near.iter().filter_map(|seen| seen.tile.as_ref()).flat_map(|tile| &tile.towns) {
            let at = towns.partition_point(|other| (other.rank, -other.people) <= (town.rank, -town.people));
            towns.insert(at, town);
        }
        Self { viewport, taken: occupied(viewport, scene), towns, written: Vec::new() }
    }

    /// Whether a label in this box covers nothing and is not cut; it may run under marks of `under` hosts and fewer.
    fn fits(&self, area: [f64; 4], under: u64) -> bool {
        let [left, top, right, bottom] = area;
        let inside =
            left > RULER && right < self.viewport.width && top > 0.0 && bottom < self.viewport.height - RULER;
        let covers = |[west, north, east, south]: [f64; 4]| {
            left < east && right > west && top < south && bottom > north
        };
        inside && !self.taken.iter().any(|taken| covers(taken.area) && taken.hosts > under)
    }

    fn take(&mut self, area: [f64; 4]) {
        self.taken.push(Taken { area, hosts: u64::MAX });
    }

    /// The middle of a line `half` its width, beside a sign that reaches `reach` pixels from `x` and `y`: below it, above,
    /// right or left of it, or athwart, wherever it fits first.
    fn beside(&self, (x, y): (f64, f64), reach: f64, half: f64, under: u64) -> Option<(f64, f64)> {
        let (down, across) = (reach + HALF_LINE + 6.0, reach + half + 4.0);
        let aside = half * 0.7;
        let spots = [
            (x, y + down),
            (x, y - down),
            (x + across, y),
            (x - across, y),
            (x + aside, y + down),
            (x - aside, y + down),
            (x + aside, y - down),
            (x - aside, y - down),
        ];
        spots.into_iter().find(|(x, y)| self.fits(line_box(*x, *y, half), under))
    }

    fn is_written(&self, name: &str, at: (f64, f64)) -> bool {
        let near =
            |other: (f64, f64)| nearest_copy(other.0 - at.0).abs().max((other.1 - at.1).abs()) < SAME_TOWN;
        self.written.iter().any(|(known, other)| known == name && near(*other))
    }

    /// How many people live where a mark is, if the map knows.
    fn people(&self, mark: &Mark) -> f64 {
        let at = project(mark.latitude, mark.longitude);
        let near = |town: &&&Town| (town.at.0 - at.0).abs().max((town.at.1 - at.1).abs()) < SAME_TOWN;
        self.towns.iter().find(|town| town.name == mark.label && near(town)).map_or(0.0, |town| town.people)
    }
}

fn line_box(x: f64, y: f64, half: f64) -> [f64; 4] {
    [x - half, y - HALF_LINE, x + half, y + HALF_LINE]
}

impl Painter {
    /// Names of marks where they fit, those with the most hosts first, then those with the most people. A town has its
    /// name once, at its greatest mark.
    pub(super) fn mark_names(&self, names: &mut Names, scene: &Scene) {
        let context = &self.context;
        self.write_with(&format!("500 12px {}", self.colours.sans));
        context.set_line_join("round");
        let selected = scene.selection.as_ref().map(|place| (place.latitude, place.longitude));
        let all = names.viewport.zoom >= DOT_LABEL_ZOOM;
        let mut marks: Vec<(&Mark, f64)> = Vec::new();
        for mark in
            scene.marks.iter().filter(|mark| mark.kind != MarkKind::Area && (all || mark.hosts >= DOT))
        {
            let people = names.people(mark);
            // They come with those of the most hosts first.
            let at = marks.partition_point(|(other, more)| other.hosts > mark.hosts || *more >= people);
            marks.insert(at, (mark, people));
        }
        for (mark, _) in marks {
            let at = project(mark.latitude, mark.longitude);
            if selected == Some((mark.latitude, mark.longitude)) || names.is_written(&mark.label, at) {
                continue;
            }
            let half = self.half_width(&mark.label);
            let (x, y) = names.viewport.place(at);
            let radius = mark_radius(mark);
            for shift in names.viewport.copies(x, half) {
                let sign = (x + shift, y);
                let spot = names.beside(sign, radius, half, 0);
                let spot = spot.or_else(|| names.beside(sign, radius, half, mark.hosts / FAR_FEWER));
                if let Some((x, y)) = spot {
                    self.haloed(&mark.label, x, y, &self.colours.label);
                    names.take(line_box(x, y, half));
                    names.written.push((mark.label.clone(), at));
                }
            }
        }
    }

    /// Names of countries and seas: they yield to data and to greater names.
    pub(super) fn labels(&self, names: &mut Names, labels: &Labels) {
        let zoom = names.viewport.zoom;
        let most = if zoom < 2.0 { 14.0 } else { 22.0 * (zoom - 1.0).exp2() };
        for label in &labels.names {
            if label.rank <= if label.sea { zoom.max(1.0) } else { most } {
                self.label(names, label);
            }
        }
        set_letter_spacing(&self.context, "0px");
    }

    fn label(&self, names: &mut Names, label: &Label) {
        let context = &self.context;
        let lines: Vec<String> =
            if label.sea { sea_lines(&label.text) } else { vec![label.text.to_uppercase()] };
        if label.sea {
            self.write_with("italic 12px Georgia, 'Times New Roman', 'DejaVu Serif', serif");
            set_letter_spacing(context, "0.7px");
            context.set_fill_style_str(&self.colours.label_sea);
        } else {
            self.write_with(&format!("11px {}", self.colours.sans));
            set_letter_spacing(context, "1px");
            context.set_fill_style_str(&self.colours.label);
        }
        let half = lines.iter().map(|line| self.half_width(line)).fold(0.0, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "a label has one or two lines")]
        let count = lines.len() as f64;
        let (x, y) = names.viewport.place(label.at);
        for shift in names.viewport.copies(x, half) {
            let high = HALF_LINE * count;
            let area = [x + shift - half, y - high, x + shift + half, y + high];
            if !names.fits(area, 0) {
                continue;
            }
            for (row, line) in lines.iter().enumerate() {
                #[expect(clippy::cast_precision_loss, reason = "a label has one or two lines")]
                let lift = (row as f64 - (count - 1.0) / 2.0) * 15.0;
                let _ = context.fill_text(line, x + shift, y + lift);
            }
            names.take(area);
        }
    }

    /// Towns without a mark, greatest first: a small ring and a name, so that one sees where one is.
    pub(super) fn town_names(&self, names: &mut Names) {
        self.write_with(&format!("11px {}", self.colours.sans));
        let most = names.viewport.zoom * 1.25 - 3.0;
        for town in names.towns.clone() {
            if town.rank > most || names.is_written(&town.name, town.at) {
                continue;
            }
            let half = self.half_width(&town.name);
            let (x, y) = names.viewport.place(town.at);
            for shift in names.viewport.copies(x, half) {
                let (x, y) = (x + shift, y);
                let radius = if town.capital { 3.0 } else { 2.0 };
                if !names.fits([x - 4.0, y - 4.0, x + 4.0, y + 4.0], 0) {
                    continue;
                }
                if let Some((left, top)) = names.beside((x, y), radius, half, 0) {
                    self.town_sign(x, y, radius, town.capital);
                    self.haloed(&town.name, left, top, &self.colours.label);
                    names.take(line_box(left, top, half));
                    names.written.push((town.name.clone(), town.at));
                }
            }
        }
    }

    fn write_with(&self, font: &str) {
        self.context.set_font(font);
        self.context.set_text_align("center");
        self.context.set_text_baseline("middle");
    }

    /// Half the room that a line takes with the font that is set.
    fn half_width(&self, line: &str) -> f64 {
        self.context.measure_text(line).map_or(40.0, |size| size.width()) / 2.0 + 3.0
    }

    /// Text that stays readable over coasts and borders.
    pub(super) fn haloed(&self, text: &str, x: f64, y: f64, colour: &str) {
        self.context.set_line_width(3.0);
        self.context.set_stroke_style_str(&self.colours.land);
        let _ = self.context.stroke_text(text, x, y);
        self.context.set_fill_style_str(colour);
        let _ = self.context.fill_text(text, x, y);
    }
}

/// What no name may cover: the marks.
fn occupied(viewport: &Viewport, scene: &Scene) -> Vec<Taken> {
    let selected = scene.selection.iter().map(|place| (place.latitude, place.longitude, 40.0, u64::MAX));
    let marks = scene.marks.iter();
    let marks = marks.map(|mark| (mark.latitude, mark.longitude, mark_radius(mark) + 2.0, mark.hosts));
    let moved = scene.moved.iter().map(|from| (from.latitude, from.longitude, 24.0, u64::MAX));
    let mut taken = Vec::new();
    for (latitude, longitude, reach, hosts) in marks.chain(selected).chain(moved) {
        let (x, y) = viewport.place(project(latitude, longitude));
        for shift in viewport.copies(x, reach) {
            let area = [x + shift - reach, y - reach, x + shift + reach, y + reach];
            taken.push(Taken { area, hosts });
        }
    }
    taken
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
