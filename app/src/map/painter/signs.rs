//! Marks, areas, and the one place that is looked at.

use std::f64::consts::{PI, TAU};

use super::{Move, Painter, Selection};
use crate::{
    format::{NBSP, compact, kilometres, share},
    map::{
        marks::{Mark, MarkKind, mark_radius, radius},
        viewport::{Viewport, nearest_copy, project},
    },
};

/// Length of a degree of latitude in kilometres.
const KILOMETRES_PER_DEGREE: f64 = 111.2;
/// How far the arc of a move leans out, as a share of its length.
const ARC_LEAN: f64 = 0.22;
/// Radius of the ring where a moved host was, in pixels.
const GHOST: f64 = 6.0;

impl Painter {
    pub(super) fn mark(&self, viewport: &Viewport, mark: &Mark, hover: bool) {
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

    pub(super) fn selection(&self, viewport: &Viewport, place: &Selection) {
        let (x, y) = viewport.place(project(place.latitude, place.longitude));
        let kilometre = viewport.copy_width()
            / 360.0
            / KILOMETRES_PER_DEGREE
            / place.latitude.to_radians().cos().max(0.01);
        let circle = place.accuracy_km.map(|kilometres| (kilometres, kilometres * kilometre));
        let reach = circle.map_or(40.0, |(_, reach)| reach.max(40.0));
        for shift in viewport.copies(x, reach) {
            let x = x + shift;
            if let Some((radius_km, reach)) = circle.filter(|(_, reach)| *reach > 8.0) {
                self.context.set_global_alpha(0.1);
                self.disc(x, y, reach, &self.colours.accent);
                self.context.set_global_alpha(1.0);
                self.ring(x, y, reach, 1.5, &self.colours.accent, TAU);
                self.note(x, (y - reach).max(12.0), &format!("within {radius_km:.0}{NBSP}km"));
            }
            let radius = radius(place.hosts.max(10)).max(8.0);
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

    /// The way of a move: a ring where the host was thought to be, and a broken arc to where it is.
    pub(super) fn moved(&self, viewport: &Viewport, to: &Selection, from: &Move) {
        let (context, colours) = (&self.context, &self.colours);
        let (start, end) = (project(from.latitude, from.longitude), project(to.latitude, to.longitude));
        let across = nearest_copy(start.0 - end.0);
        let (x, y) = viewport.place(end);
        let (left, top) = viewport.place((end.0 + across, start.1));
        // The arc leans to the north, as far as the way is long.
        let (lean_x, lean_y) = ((y - top) * ARC_LEAN, (left - x) * ARC_LEAN);
        let (lean_x, lean_y) = if lean_y > 0.0 { (-lean_x, -lean_y) } else { (lean_x, lean_y) };
        let (over_x, over_y) = (f64::midpoint(x, left) + lean_x, f64::midpoint(y, top) + lean_y);
        context.begin_path();
        context.move_to(left, top);
        context.quadratic_curve_to(over_x, over_y, x, y);
        context.set_stroke_style_str(&colours.accent);
        context.set_line_width(2.0);
        let _ = context.set_line_dash(&js_sys::Array::of2(&5.0.into(), &4.0.into()));
        context.stroke();
        let _ = context.set_line_dash(&js_sys::Array::new());
        self.disc(left, top, GHOST, &colours.surface);
        self.ring(left, top, GHOST, 2.0, &colours.accent, TAU);
        if let Some(label) = &from.label {
            context.set_font(&format!("500 12px {}", colours.sans));
            context.set_text_align("center");
            context.set_text_baseline("middle");
            self.haloed(label, left, top + GHOST + 12.0, &colours.ink);
        }
        let middle = (x + 2.0 * over_x + left) / 4.0;
        self.note(middle, (y + 2.0 * over_y + top) / 4.0, &format!("moved {}", kilometres(from.kilometres)));
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

    /// A town without hosts: a ring, with a dot in it where a country is governed from there.
    pub(super) fn town_sign(&self, x: f64, y: f64, radius: f64, capital: bool) {
        self.disc(x, y, radius, &self.colours.land);
        self.ring(x, y, radius, 1.0, &self.colours.label, TAU);
        if capital {
            self.disc(x, y, 1.2, &self.colours.label);
        }
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
}
