//! What lies under the marks: land, the graticule, and the degree border around the map.

use std::f64::consts::PI;

use super::{Painter, RULER};
use crate::{
    format::NBSP,
    map::{
        base_map::BaseMap,
        viewport::{Viewport, project, wrap},
    },
};

impl Painter {
    pub(super) fn land(&self, viewport: &Viewport, base: &BaseMap) {
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
            for country in &seen {
                context.stroke_with_path(&country.outline);
            }
            context.set_fill_style_str(&self.colours.land);
            for country in &seen {
                context.fill_with_path_2d(&country.land);
            }
            context.set_stroke_style_str(&self.colours.border);
            context.set_line_width(0.8 / scale);
            for country in &seen {
                context.stroke_with_path(&country.outline);
            }
            context.restore();
        }
    }

    pub(super) fn graticule(&self, viewport: &Viewport, step: f64) {
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

    /// The degree border, as on a sea chart: dark and light stretches of one step each.
    pub(super) fn rulers(&self, viewport: &Viewport, step: f64) {
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

/// Degrees between two lines of the graticule: the least of these that are 60 pixels apart.
pub(super) fn ruler_step(viewport: &Viewport) -> f64 {
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
