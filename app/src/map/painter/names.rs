//! Names of countries, seas and places. They yield to marks, and to greater names.

use leptos::web_sys::CanvasRenderingContext2d;
use wasm_bindgen::JsValue;

use super::{Painter, RULER, Scene};
use crate::map::{
    base_map::Labels,
    marks::{MarkKind, mark_radius},
    viewport::{Viewport, project},
};

impl Painter {
    /// Names under marks, greatest first, where they fit.
    pub(super) fn mark_labels(&self, viewport: &Viewport, scene: &Scene, taken: &mut Vec<[f64; 4]>) {
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

    /// Labels yield to data and to greater labels: one is drawn only where it fits.
    pub(super) fn labels(&self, viewport: &Viewport, labels: &Labels, mut taken: Vec<[f64; 4]>) {
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

    /// Text that stays readable over coasts and borders.
    pub(super) fn haloed(&self, text: &str, x: f64, y: f64, colour: &str) {
        self.context.set_line_width(3.0);
        self.context.set_stroke_style_str(&self.colours.land);
        let _ = self.context.stroke_text(text, x, y);
        self.context.set_fill_style_str(colour);
        let _ = self.context.fill_text(text, x, y);
    }
}

/// Boxes that no label may cover: the marks.
pub(super) fn occupied(viewport: &Viewport, scene: &Scene) -> Vec<[f64; 4]> {
    let selected = scene.selection.iter().map(|place| (place.latitude, place.longitude, 40.0));
    let marks = scene.marks.iter().map(|mark| (mark.latitude, mark.longitude, mark_radius(mark) + 4.0));
    let moved = scene.moved.iter().map(|from| (from.latitude, from.longitude, 24.0));
    let mut boxes = Vec::new();
    for (latitude, longitude, reach) in marks.chain(selected).chain(moved) {
        let (x, y) = viewport.place(project(latitude, longitude));
        for shift in viewport.copies(x, reach) {
            boxes.push([x + shift - reach, y - reach, x + shift + reach, y + reach]);
        }
    }
    boxes
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
