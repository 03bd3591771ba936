use leptos::{html, prelude::*};

/// The map itself. It reads position, filter and selection from the element `#panel` and the address bar; everything
/// around it is rendered by the server.
#[island]
pub fn MapView() -> impl IntoView {
    let container = NodeRef::<html::Div>::new();
    Effect::new(move |attached: Option<bool>| match (attached, container.get()) {
        (Some(true), _) => true,
        (_, None) => false,
        (_, Some(element)) => {
            begin(&element);
            true
        }
    });
    view! {
        <div class="map" role="region" aria-label="World map">
            <div
                id="map"
                node_ref=container
                tabindex="0"
                role="application"
                aria-label="Map of hosts. Arrow keys move it, plus and minus zoom, 0 shows the world, Tab leads to the largest marks."
                data-state="loading"
                data-hosts="0"
                data-entries="0"
            ></div>
            <div class="map__proxies" role="group" aria-label="Largest marks in view"></div>
            <div class="tip maptip" hidden>
                <strong></strong>
                <div></div>
            </div>
            <p class="visually-hidden" role="status" id="map-status"></p>
        </div>
    }
}

#[cfg(feature = "hydrate")]
fn begin(element: &web_sys::HtmlElement) {
    super::steering::attach(element);
}

/// Effects do not run on the server.
#[cfg(not(feature = "hydrate"))]
fn begin(_element: &web_sys::HtmlElement) {}
