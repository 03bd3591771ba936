//! Islands: the parts of a page that move. Each also works, or stands aside, where scripts do not run.

mod copy;
mod geolocate;
mod live;
mod map_list;
mod map_view;
mod mini_map;
mod place_panel;
mod region;
mod run;
mod select_all;
mod steering;
mod theme;

pub use copy::Command;
pub use geolocate::GeolocateButtons;
pub use live::LiveChip;
pub use map_view::MapView;
pub use mini_map::MiniMap;
pub use region::LiveRegion;
pub use run::RunPanel;
pub use select_all::SelectAll;
pub use theme::ThemeToggle;
