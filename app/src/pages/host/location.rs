use hostatlas_domain::{Coordinate, Host, HostLocation, LocationChange, LocationState, Precision, Timestamp};
use leptos::prelude::*;

use crate::{
    components::{Ago, Card, Fact, position_accuracy, position_name},
    format::{address, kilometres, speaker},
    islands::MiniMap,
};

/// What stands where the time of a location would, once a person let the host go.
const UNTIL_LOOKED_UP: &str = "Not looked up since it was let go";

/// Where it is, on a map and in words; or why that is not known.
///
/// Everything is there in both states, so that the page finds the twin of each part when the host is located while the
/// page is open; the map is hidden while there is no point to show on it.
#[component]
pub fn LocationCard(
    /// The host.
    host: Host,
    /// The move that brought it here.
    before: Option<LocationChange>,
    /// Now.
    now: Timestamp,
    /// What stands below.
    children: Children,
) -> impl IntoView {
    let located = view! {
        <span class="card__note push" id="located" data-live>
            {match &host.location {
                Some(location) => {
                    let provider = location.answer.provider.clone().unwrap_or_default();
                    match location.located_at {
                        Some(at) => view! { "Located " <Ago at now long=true /> {format!(" by {}", speaker(&provider))} }.into_any(),
                        None => UNTIL_LOOKED_UP.into_any(),
                    }
                }
                None => host.attempted_at.map(|at| view! { "Last asked " <Ago at now long=true /> }).into_any(),
            }}
        </span>
    };
    let label = host.location.as_ref().map_or_else(|| "Map".to_owned(), map_label);
    let still = host.location.clone().map(|location| view! { <StillMap location /> });
    let words = match host.location.clone() {
        Some(location) => view! { <PositionFacts location before now /> }.into_any(),
        None => view! {
            <div class="card__body" id="position" data-live>
                <p>{why_nowhere(&host)}</p>
            </div>
        }
        .into_any(),
    };
    view! {
        <Card id="location-head" title="Location" beside=located.into_any()>
            <div class="locgrid">
                <div class="map minimap" role="img" aria-label=label>
                    {still}
                    <MiniMap />
                </div>
                {words}
            </div>
            {children()}
        </Card>
    }
}

fn why_nowhere(host: &Host) -> String {
    match host.location_state {
        LocationState::Pending => {
            "No provider was asked yet. Its job waits in the queue, or Re-geolocate queues one.".to_owned()
        }
        LocationState::NotApplicable => {
            format!(
                "{}. Such an address has no place, and is never sent to a provider.",
                host.address_class.explanation()
            )
        }
        _ => match host.unlocated_reason {
            Some(reason) => format!("{}.", reason.label()),
            None => "No place was found.".to_owned(),
        },
    }
}

fn map_label(location: &HostLocation) -> String {
    format!("Map: {}, {}", position_name(&location.answer), position_accuracy(&location.answer))
}

/// The same place without scripts: a mark on the outline of the world.
#[component]
fn StillMap(location: HostLocation) -> impl IntoView {
    let (latitude, longitude) =
        (location.answer.latitude.unwrap_or(0.0), location.answer.longitude.unwrap_or(0.0));
    let class = if location.answer.precision == Some(Precision::City) { "cluster" } else { "area" };
    view! {
        <noscript>
            <div class="map__world">
                <div class="map__marks">
                    <span class=class aria-current="true" style=format!("--lat:{latitude};--lon:{longitude};--d:14px")></span>
                </div>
            </div>
        </noscript>
    }
}

#[component]
fn PositionFacts(location: HostLocation, before: Option<LocationChange>, now: Timestamp) -> impl IntoView {
    let map = map_label(&location);
    let HostLocation { answer, located_at, place_id } = location;
    let accuracy = position_accuracy(&answer);
    let point = answer
        .latitude
        .zip(answer.longitude)
        .and_then(|(latitude, longitude)| Coordinate::new(latitude, longitude).ok());
    let precision = answer.precision.map_or("city", Precision::slug);
    let build = answer.database_build.map(|build| format!(", build {}", build.to_date()));
    let provider = answer.provider.clone().unwrap_or_default();
    let label = answer.city.clone().or(answer.region.clone()).or(answer.country.clone());
    let network = answer.asn.clone().zip(answer.organization.clone());
    let moved = before.as_ref().map(|change| {
        let text = format!("{}, {} away, until ", change.from.label(), kilometres(change.distance_km));
        view! {
            <dt>"Before"</dt>
            <dd>
                {text} <Ago at=change.at now long=true />
            </dd>
        }
    });
    let from = before.map(|change| (change.from.coordinate, change.from.label(), change.distance_km));
    let on_map = address(
        "/",
        &[
            ("place", &place_id.0.to_string()),
            ("host", &answer.ip.to_string()),
            ("lat", &answer.latitude.map(|degrees| format!("{degrees:.4}")).unwrap_or_default()),
            ("lon", &answer.longitude.map(|degrees| format!("{degrees:.4}")).unwrap_or_default()),
            ("zoom", "6"),
        ],
    );
    let country = answer.country_code.clone();
    view! {
        <dl
            class="facts card__body"
            id="position"
            data-live
            data-lat=answer.latitude.map(|degrees| degrees.to_string())
            data-lon=answer.longitude.map(|degrees| degrees.to_string())
            data-accuracy=answer.accuracy_km.map(|kilometres| kilometres.to_string())
            data-precision=precision
            data-country=country
            data-label=label
            data-map=map
            data-from-lat=from.as_ref().map(|(point, ..)| point.latitude().to_string())
            data-from-lon=from.as_ref().map(|(point, ..)| point.longitude().to_string())
            data-from-label=from.as_ref().map(|(_, label, _)| label.clone())
            data-moved=from.as_ref().map(|(.., kilometres)| format!("{kilometres:.0}"))
        >
            <Fact name="Position" value=point.map(|point| point.to_string()) />
            <Fact name="Accuracy" value=accuracy />
            <Fact name="City" value=answer.city />
            <Fact name="Region" value=answer.region />
            {answer
                .country
                .map(|country| {
                    view! {
                        <dt>"Country"</dt>
                        <dd>
                            {answer.country_code.map(|code| view! { <span class="cc">{code}</span> " " })}
                            {country}
                        </dd>
                    }
                })}
            <Fact name="Time zone" value=answer.timezone />
            <Fact name="Network" value=network.map(|(asn, name)| format!("{asn} {name}")) />
            <Fact name="Access" value=answer.isp />
            <Fact name="Says" value=format!("{}{}", speaker(&provider), build.unwrap_or_default()) />
            <dt>"Located"</dt>
            <dd>
                {match located_at {
                    Some(at) => view! { <Ago at now long=true /> }.into_any(),
                    None => UNTIL_LOOKED_UP.into_any(),
                }}
            </dd>
            {moved}
            <dt>"Map"</dt>
            <dd>
                <a href=on_map>"Show on the map"</a>
            </dd>
        </dl>
    }
}
