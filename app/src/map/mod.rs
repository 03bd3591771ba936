//! The map in the browser: Leaflet moves it, a canvas of ours shows it. The only module that knows either.
//!
//! `viewport` and `marks` are arithmetic, `base_map` holds the land and `tiles` what is drawn
//! near by, `painter` draws, `chart` binds all to Leaflet.

mod base_map;
mod chart;
mod marks;
mod painter;
mod tiles;
mod viewport;

pub use base_map::{BaseMap, Labels};
pub use chart::{Chart, Listener, View};
pub use marks::{Mark, mark_name, tooltip};
pub use painter::{Move, Painter, Scene, Selection};
pub use tiles::Tiles;
pub use viewport::Viewport;
