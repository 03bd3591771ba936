//! The ground near by: tiles, and the far land until they are there.

use js_sys::Array;
use web_sys::Path2d;

use super::Painter;
use crate::{
    browser,
    map::{
        base_map::BaseMap,
        tiles::{EXTENT, Seen, Tile},
        viewport::Viewport,
    },
};

/// From here on lesser rivers are drawn: before, they would be a net over everything.
const STREAM_ZOOM: f64 = 6.5;

impl Painter {
    /// Draws the land: tiles where they are there, and the far land in the place of those that are still to come.
    pub(super) fn ground(&self, viewport: &Viewport, land: Option<&BaseMap>, near: Option<&[Seen]>) {
        let Some(near) = near else {
            if let Some(land) = land {
                self.land(viewport, land);
            }
            return;
        };
        let context = &self.context;
        let missing: Vec<&Seen> = near.iter().filter(|seen| seen.tile.is_none()).collect();
        if let Some(land) = land.filter(|_| !missing.is_empty()) {
            context.save();
            context.begin_path();
            for seen in missing {
                self.frame_of(seen);
            }
            context.clip();
            self.land(viewport, land);
            context.restore();
        }
        for seen in near {
            if let Some(tile) = &seen.tile {
                context.save();
                context.begin_path();
                self.frame_of(seen);
                context.clip();
                let (left, top, side) = seen.place;
                let _ = context.translate(left, top);
                let _ = context.scale(side / EXTENT, side / EXTENT);
                self.tile(tile, side / EXTENT, viewport.zoom);
                context.restore();
            }
        }
    }

    /// The tile's square, on whole pixels of the screen: between two squares that end in the middle of one, the sea
    /// would shine through.
    fn frame_of(&self, seen: &Seen) {
        let ratio = browser::window().device_pixel_ratio();
        let whole = |pixels: f64| (pixels * ratio).round() / ratio;
        let (left, top, side) = seen.place;
        let (x, y) = (whole(left), whole(top));
        self.context.rect(x, y, whole(left + side) - x, whole(top + side) - y);
    }

    /// Draws a tile whose unit is `scale` pixels wide.
    fn tile(&self, tile: &Tile, scale: f64, zoom: f64) {
        let (context, colours) = (&self.context, &self.colours);
        context.set_line_join("round");
        let line = |path: &Option<Path2d>, colour: &str, width: f64| {
            if let Some(path) = path {
                context.set_stroke_style_str(colour);
                context.set_line_width(width / scale);
                context.stroke_with_path(path);
            }
        };
        let broken = |dash: f64, gap: f64| {
            let _ = context.set_line_dash(&Array::of2(&(dash / scale).into(), &(gap / scale).into()));
        };
        // The coast first and land over it, so that only its outer half remains.
        line(&tile.land, &colours.coast, 2.2);
        if let Some(land) = &tile.land {
            context.set_fill_style_str(&colours.land);
            context.fill_with_path_2d(land);
        }
        if zoom >= STREAM_ZOOM {
            line(&tile.streams, &colours.river, 0.9);
        }
        line(&tile.rivers, &colours.river, if zoom >= STREAM_ZOOM { 1.6 } else { 1.0 });
        line(&tile.lakes, &colours.coast, 1.0);
        if let Some(lakes) = &tile.lakes {
            context.set_fill_style_str(&colours.sea);
            context.fill_with_path_2d(lakes);
        }
        broken(4.0, 3.0);
        line(&tile.states, &colours.border, 1.0);
        broken(7.0, 4.0);
        line(&tile.disputed, &colours.coast, 1.2);
        let _ = context.set_line_dash(&Array::new());
        line(&tile.borders, &colours.coast, 1.2);
    }
}
