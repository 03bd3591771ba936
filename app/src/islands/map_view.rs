use hostatlas_domain::MapEntry;
use leptos::{ev::KeyboardEvent, html, prelude::*};

use super::{
    map_list::MapList,
    place_panel::PlacePanel,
    steering::{MapSignals, Order, steer},
};
use crate::{components::Icon, format::grouped, wire::PlacePanelData};

/// Which panel is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panel {
    None,
    List,
    Place(i64),
}

/// The interactive map with its controls and panels.
#[island]
pub fn MapView(
    /// The filter.
    q: String,
    /// Latitude, longitude and zoom, if the address has them.
    view: Option<(f64, f64, f64)>,
    /// The open place.
    panel: Option<PlacePanelData>,
    /// From where its page of hosts starts.
    cursor: String,
    /// Whether the list of places is open.
    list: bool,
    /// The marks of that list.
    marks: Vec<MapEntry>,
) -> impl IntoView {
    let signals = MapSignals::new(q, panel, cursor, list, marks);
    let container = NodeRef::<html::Div>::new();
    Effect::new(move |attached: Option<bool>| match (attached, container.get()) {
        (Some(true), _) => true,
        (_, None) => false,
        (_, Some(element)) => {
            begin(signals, &element, view);
            true
        }
    });
    let open = Memo::new(move |_| match signals.place.get() {
        Some(place) => Panel::Place(place.id),
        None if signals.list.get() => Panel::List,
        None => Panel::None,
    });
    let keys = move |event: KeyboardEvent| match event.key().as_str() {
        "0" => steer(signals, Order::World),
        "Escape" if open.get_untracked() != Panel::None => {
            signals.close_panel();
            if let Some(map) = container.get_untracked() {
                let _ = map.focus();
            }
        }
        _ => {}
    };
    view! {
        <div class="mapview" class:has-aside=move || open.get() != Panel::None on:keydown=keys>
            <div class="map" role="region" aria-label="World map">
                <div
                    id="map"
                    node_ref=container
                    tabindex="0"
                    role="application"
                    aria-label="Map of hosts. Arrow keys move it, plus and minus zoom, 0 shows the world, Tab leads to the largest marks."
                    data-state=move || signals.state.get()
                    data-hosts=move || signals.hosts.get().to_string()
                    data-entries=move || signals.marks.with(Vec::len).to_string()
                ></div>
                <Proxies signals />
                {move || {
                    signals
                        .tip
                        .get()
                        .map(|tip| {
                            view! {
                                <div class="tip maptip" style=format!("left:{:.0}px;top:{:.0}px", tip.x, tip.y)>
                                    <strong>{tip.head}</strong>
                                    <div>{tip.detail}</div>
                                </div>
                            }
                        })
                }}
            </div>
            <Controls signals />
            {move || match open.get() {
                Panel::None => ().into_any(),
                Panel::List => view! { <MapList signals /> }.into_any(),
                Panel::Place(_) => {
                    signals.place.get_untracked().map(|head| view! { <PlacePanel head signals /> }).into_any()
                }
            }}
            <p class="visually-hidden" role="status">
                {move || signals.status.get()}
            </p>
        </div>
    }
}

#[cfg(feature = "hydrate")]
fn begin(signals: MapSignals, element: &web_sys::HtmlElement, view: Option<(f64, f64, f64)>) {
    super::steering::attach(signals, element, view);
}

/// Effects do not run on the server.
#[cfg(not(feature = "hydrate"))]
fn begin(_signals: MapSignals, _element: &web_sys::HtmlElement, _view: Option<(f64, f64, f64)>) {}

/// Focusable twins of the greatest marks: what is pointed at goes through them to the canvas.
#[component]
fn Proxies(signals: MapSignals) -> impl IntoView {
    let twins = move || {
        let button = |proxy: super::steering::Proxy| {
            let index = proxy.index;
            let choose = move |_| {
                let mark = signals.marks.with_untracked(|marks| marks.get(index).cloned());
                if let Some(mark) = mark {
                    signals.choose(&mark);
                }
            };
            view! {
                <button
                    type="button"
                    style=format!("--x:{:.0};--y:{:.0}", proxy.x, proxy.y)
                    on:click=choose
                    on:focus=move |_| steer(signals, Order::Highlight(Some(index)))
                    on:blur=move |_| steer(signals, Order::Highlight(None))
                >
                    {proxy.name}
                </button>
            }
        };
        signals.proxies.get().into_iter().map(button).collect_view()
    };
    view! {
        <div class="map__proxies" role="group" aria-label="Largest marks in view">
            {twins}
        </div>
    }
}

#[component]
fn Controls(signals: MapSignals) -> impl IntoView {
    let zoom = move |order: Order, icon: &'static str, label: &'static str, title: &'static str| {
        view! {
            <button type="button" aria-label=label title=title on:click=move |_| steer(signals, order.clone())>
                <Icon name=icon />
            </button>
        }
    };
    let toggle = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        signals.toggle_list();
    };
    view! {
        <div class="at at--tl needs-script">
            <div class="mapctl mapctl--stack" role="group" aria-label="Zoom">
                {zoom(Order::Nearer, "plus", "Zoom in", "Zoom in (+)")}
                {zoom(Order::Farther, "minus", "Zoom out", "Zoom out (-)")}
                {zoom(Order::World, "globe", "Show the whole world", "Whole world (0)")}
            </div>
        </div>
        <section class="at at--bl mapctl legend only-wide" aria-label="Legend">
            <ul>
                <li>
                    <span class="sym">
                        <span class="cluster" style="--d:22px;--stale:30"></span>
                    </span>
                    <span>"Cluster; ring shows its stale share"</span>
                </li>
                <li>
                    <span class="sym">
                        <span class="cluster" style="--d:10px"></span>
                    </span>
                    <span>"Under ten hosts"</span>
                </li>
                <li>
                    <span class="sym">
                        <span class="area" style="--d:24px"></span>
                    </span>
                    <span>"Country or region known, place not"</span>
                </li>
            </ul>
        </section>
        <div class="at at--br">
            {move || {
                signals
                    .trouble
                    .get()
                    .map(|why| {
                        view! {
                            <div class="callout" data-tone="bad" role="alert">
                                <Icon name="warn" />
                                <p>{why}</p>
                                <button type="button" class="btn btn--sm" on:click=move |_| steer(signals, Order::Reload)>
                                    "Try again"
                                </button>
                            </div>
                        }
                    })
            }}
            <a class="btn mapbtn" href=signals.address(None, "", "", true) on:click=toggle>
                <Icon name="list" />
                "Places in view "
                <span class="count">{move || grouped(signals.places.get())}</span>
            </a>
        </div>
    }
}
