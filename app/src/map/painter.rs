mod colours;
mod ground;
mod names;
mod near;
mod signs;

use std::rc::Rc;

use leptos::web_sys::{Element, HtmlElement};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use self::colours::Colours;
use super::{
    base_map::{BaseMap, Labels},
    marks::Mark,
    tiles::Tiles,
    viewport::Viewport,
};
use crate::browser;

/// How wide the degree border is, in pixels.
pub const RULER: f64 = 20.0;
/// From here on marks have names: before, they would only name the country that is written beside them.
const MARK_LABEL_ZOOM: f64 = 3.75;

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

/// From where the one place that is looked at was moved to where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What that place is called.
    pub label: Option<String>,
    /// How far it is, in kilometres.
    pub kilometres: f64,
}

/// All that is drawn.
#[derive(Default)]
pub struct Scene {
    /// The land as it is seen from afar.
    pub land: Option<BaseMap>,
    /// The land as it is seen near by, fetched when the map comes near.
    pub tiles: Rc<Tiles>,
    /// Names.
    pub labels: Option<Labels>,
    /// Marks, most hosts first.
    pub marks: Vec<Mark>,
    /// The mark under the pointer or with the focus.
    pub hover: Option<usize>,
    /// What is looked at.
    pub selection: Option<Selection>,
    /// From where it came.
    pub moved: Option<Move>,
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

    /// The map around the canvas, which has its name.
    pub fn frame(&self) -> Option<Element> {
        self.element.closest(".map").ok().flatten()
    }

    /// Draws.
    pub fn draw(&self, viewport: &Viewport, scene: &Scene) {
        self.fit(viewport);
        let context = &self.context;
        context.set_fill_style_str(&self.colours.sea);
        context.fill_rect(0.0, 0.0, viewport.width, viewport.height);
        let step = ground::ruler_step(viewport);
        self.graticule(viewport, step);
        let near = scene.tiles.seen(viewport);
        self.ground(viewport, scene.land.as_ref(), near.as_deref());
        let mut names = names::Names::new(viewport, scene, near.as_deref().unwrap_or_default());
        if viewport.zoom >= MARK_LABEL_ZOOM {
            self.mark_names(&mut names, scene);
        }
        if let Some(labels) = &scene.labels {
            self.labels(&mut names, labels);
        }
        self.town_names(&mut names);
        for (index, mark) in scene.marks.iter().enumerate().rev() {
            if scene.hover != Some(index) {
                self.mark(viewport, mark, false);
            }
        }
        if let Some((selection, moved)) = scene.selection.as_ref().zip(scene.moved.as_ref()) {
            self.moved(viewport, selection, moved);
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
}
