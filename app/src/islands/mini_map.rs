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
        map::{BaseMap, Labels, Move, Painter, Scene, Selection, Viewport},
    };

    /// How near a still map looks at a city, a region and a country.
    const CITY_ZOOM: f64 = 5.5;
    const AREA_ZOOM: f64 = 3.25;
    /// Room around the two ends of a move, for their names, in pixels.
    const ROOM: f64 = 56.0;

    struct Still {
        painter: Painter,
        scene: Scene,
    }

    pub fn attach(element: &HtmlElement) {
        let Ok(painter) = Painter::new(element.clone()) else { return };
        let still = Rc::new(RefCell::new(Still { painter, scene: Scene::default() }));
        let redraw = {
            let still = Rc::clone(&still);
            move || draw(&mut still.borrow_mut())
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
            if let Ok(base) = BaseMap::fetch("110m").await {
                still.borrow_mut().scene.coarse = Some(base);
                redraw();
            }
            if let Ok(labels) = Labels::fetch().await {
                still.borrow_mut().scene.labels = Some(labels);
                redraw();
            }
        });
    }

    fn draw(still: &mut Still) {
        let Some(position) = browser::document().get_element_by_id("position") else { return };
        let number = |name: &str| position.get_attribute(name).and_then(|text| text.parse::<f64>().ok());
        let text = |name: &str| position.get_attribute(name);
        let (Some(latitude), Some(longitude)) = (number("data-lat"), number("data-lon")) else { return };
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
            None => Viewport::new(latitude, longitude, zoom, size.0, size.1),
        };
        still.painter.draw(&viewport, &still.scene);
        if let Some((map, name)) = still.painter.frame().zip(text("data-map")) {
            let _ = map.set_attribute("aria-label", &name);
        }
    }
}
