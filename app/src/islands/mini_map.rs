use leptos::{html, prelude::*};

/// A still map of one host. It reads where the host is from the element with the id `position`, which the server
/// renders and keeps up to date.
#[island]
pub fn MiniMap() -> impl IntoView {
    let container = NodeRef::<html::Div>::new();
    Effect::new(move |attached: Option<bool>| match (attached, container.get()) {
        (Some(true), _) => true,
        (_, None) => false,
        (_, Some(element)) => {
            begin(&element);
            true
        }
    });
    view! { <div class="minimap__canvas" node_ref=container></div> }
}

/// Effects do not run on the server.
#[cfg(not(feature = "hydrate"))]
fn begin(_element: &web_sys::HtmlElement) {}

#[cfg(feature = "hydrate")]
fn begin(element: &web_sys::HtmlElement) {
    in_browser::attach(element);
}

#[cfg(feature = "hydrate")]
mod in_browser {
    use std::{cell::RefCell, rc::Rc};

    use leptos::{task::spawn_local, web_sys::HtmlElement};
    use wasm_bindgen::{JsCast, closure::Closure};
    use web_sys::ResizeObserver;

    use crate::{
        browser::{self, REFRESHED, THEME},
        map::{BaseMap, Labels, Move, Painter, Scene, Selection, Tiles, Viewport},
    };

    /// How near a still map looks at most, and where it does not know the country's frame: at a city, a region and a country.
    const MOST_ZOOM: f64 = 6.5;
    const CITY_ZOOM: f64 = 5.5;
    const AREA_ZOOM: f64 = 3.25;
    /// Room around the two ends of a move, for their names, in pixels.
    const ROOM: f64 = 56.0;
    /// Room around a country: the degree border on two sides, and a name below what lies at its edge.
    const MARGIN: f64 = 44.0;

    struct Still {
        painter: Painter,
        scene: Scene,
        asked: bool,
    }

    pub fn attach(element: &HtmlElement) {
        let Ok(painter) = Painter::new(element.clone()) else { return };
        let still = Rc::new(RefCell::new(Still { painter, scene: Scene::default(), asked: false }));
        let redraw = {
            let still = Rc::clone(&still);
            move || draw(&still)
        };
        browser::on_document(REFRESHED, redraw.clone());
        let (themed, drawn) = (Rc::clone(&still), redraw.clone());
        let theme_changed = move || {
            themed.borrow_mut().painter.theme_changed();
            drawn();
        };
        browser::on_document(THEME, theme_changed.clone());
        browser::on_system_theme(theme_changed);
        let resized = Closure::<dyn FnMut()>::new(redraw.clone());
        if let Ok(observer) = ResizeObserver::new(resized.as_ref().unchecked_ref()) {
            observer.observe(element);
        }
        resized.forget();
        spawn_local(async move {
            still.borrow_mut().scene.labels = Some(Labels::fetch().await.unwrap_or_default());
            // Only now is it known how near the map is, and so which land it needs.
            redraw();
        });
    }

    /// Fetches the land of a view: tiles, or from afar all of it, once.
    fn want(still: &Rc<RefCell<Still>>, viewport: &Viewport) {
        let (tiles, drawn) = (Rc::clone(&still.borrow().scene.tiles), Rc::clone(still));
        tiles.want(viewport, &(Rc::new(move || draw(&drawn)) as Rc<dyn Fn()>));
        if viewport.zoom >= Tiles::LEAST_ZOOM || std::mem::replace(&mut still.borrow_mut().asked, true) {
            return;
        }
        let still = Rc::clone(still);
        spawn_local(async move {
            if let Ok(land) = BaseMap::fetch().await {
                still.borrow_mut().scene.land = Some(land);
                draw(&still);
            }
        });
    }

    fn draw(still: &Rc<RefCell<Still>>) {
        let viewport = draw_scene(&mut still.borrow_mut());
        if let Some(viewport) = viewport {
            want(still, &viewport);
        }
    }

    /// The view that shows where in its country a point is.
    fn view(scene: &Scene, code: Option<&str>, at: (f64, f64), area: bool, size: (f64, f64)) -> Viewport {
        let frame = scene.labels.as_ref().zip(code).and_then(|(labels, code)| labels.frame(code, at.0, at.1));
        match frame {
            Some([west, south, east, north]) => {
                Viewport::over((south, west), (north, east), MOST_ZOOM, MARGIN, size)
            }
            None => Viewport::new(at.0, at.1, if area { AREA_ZOOM } else { CITY_ZOOM }, size.0, size.1),
        }
    }

    /// Draws what is there, and answers the view; none where there is nothing to draw, or nothing yet to tell the view by.
    fn draw_scene(still: &mut Still) -> Option<Viewport> {
        still.scene.labels.as_ref()?;
        let position = browser::document().get_element_by_id("position")?;
        let number = |name: &str| position.get_attribute(name).and_then(|text| text.parse::<f64>().ok());
        let text = |name: &str| position.get_attribute(name);
        let (latitude, longitude) = number("data-lat").zip(number("data-lon"))?;
        let area = text("data-precision").is_some_and(|precision| precision != "city");
        still.scene.selection = Some(Selection {
            latitude,
            longitude,
            accuracy_km: number("data-accuracy"),
            hosts: 1,
            area,
            label: text("data-label"),
        });
        let from = number("data-from-lat").zip(number("data-from-lon"));
        still.scene.moved = from.map(|(latitude, longitude)| Move {
            latitude,
            longitude,
            label: text("data-from-label"),
            kilometres: number("data-moved").unwrap_or(0.0),
        });
        let size = still.painter.size();
        let zoom = if area { AREA_ZOOM } else { CITY_ZOOM };
        let viewport = match from {
            Some(from) => Viewport::over((latitude, longitude), from, zoom, ROOM, size),
            None => view(&still.scene, text("data-country").as_deref(), (latitude, longitude), area, size),
        };
        still.painter.draw(&viewport, &still.scene);
        if let Some((map, name)) = still.painter.frame().zip(text("data-map")) {
            let _ = map.set_attribute("aria-label", &name);
        }
        Some(viewport)
    }
}
