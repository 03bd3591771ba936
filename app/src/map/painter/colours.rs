use leptos::web_sys::HtmlElement;

use crate::browser;

/// The colours of the map, read from the style sheet whenever the theme changes.
pub(super) struct Colours {
    pub(super) sea: String,
    pub(super) land: String,
    pub(super) coast: String,
    pub(super) border: String,
    pub(super) river: String,
    pub(super) grid: String,
    pub(super) label: String,
    pub(super) label_sea: String,
    pub(super) edge: String,
    pub(super) mark: String,
    pub(super) on_mark: String,
    pub(super) halo: String,
    pub(super) ink: String,
    pub(super) surface: String,
    pub(super) warn: String,
    pub(super) accent: String,
    pub(super) on_accent: String,
    pub(super) raised: String,
    pub(super) sans: String,
}

impl Colours {
    /// Reads them.
    pub(super) fn read(element: &HtmlElement) -> Self {
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
            river: read("--map-river"),
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
