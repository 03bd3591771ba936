//! Islands: the parts of a page that move.
//!
//! None has properties: each reads what it needs from the elements that the server rendered, which also work, or stand
//! aside, where scripts do not run. No view is written twice, and the first view stays within its budget.

mod actions;
mod geolocate;
mod live;
mod map_view;
mod mini_map;
mod page;
mod run;
mod shortcuts;
#[cfg(feature = "hydrate")]
mod steering;
mod stream;
mod theme;
mod times;

pub use live::LiveChip;
pub use map_view::MapView;
pub use mini_map::MiniMap;
pub use page::LivePage;
pub use shortcuts::Shortcuts;
pub use theme::ThemeToggle;
