use hostatlas_domain::{Host, LocationState, Timestamp};
use leptos::prelude::*;

use crate::{components::Ago, format::counted};

/// Four facts at a glance: place, network, services, seen.
#[component]
pub fn HostStats(
    /// The host.
    host: Host,
    /// Hosts at its place, itself included.
    neighbours: Option<u64>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let open = host.services.iter().filter(|service| service.state == "open").count();
    let closed = host.services.len() - open;
    let ports: Vec<String> = host.services.iter().take(6).map(|service| service.port.to_string()).collect();
    let answer = host.location.as_ref().map(|location| &location.answer);
    let area = answer.and_then(|answer| {
        let parts: Vec<&str> =
            [answer.region.as_deref(), answer.country.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    });
    let shared = neighbours
        .filter(|hosts| *hosts > 1)
        .map(|hosts| format!("shared by {}", counted(hosts, "host", "hosts")));
    let place_note: Vec<String> = [area, shared].into_iter().flatten().collect();
    let without = match host.location_state {
        LocationState::NotApplicable => "Has no place",
        LocationState::Pending => "Not looked up yet",
        _ => "Not known",
    };
    let why = match host.location_state {
        LocationState::Unlocated => host.unlocated_reason.map(|reason| reason.label().to_owned()),
        LocationState::NotApplicable => Some(host.address_class.label().to_owned()),
        _ => None,
    };
    let seen = match (host.first_import, host.last_import) {
        (Some(first), Some(last)) if first != last => format!("imports {} to {}", first.0, last.0),
        (Some(import), _) | (_, Some(import)) => format!("import {}", import.0),
        _ => String::new(),
    };
    let stat = |label: &'static str, value: AnyView, note: String| {
        view! {
            <div class="stat">
                <span class="stat__label">{label}</span>
                <span class="stat__value stat__value--text">{value}</span>
                <span class="stat__note">{note}</span>
            </div>
        }
    };
    let finest = answer.and_then(|answer| {
        answer.city.clone().or_else(|| answer.region.clone()).or_else(|| answer.country.clone())
    });
    let network = answer.and_then(|answer| answer.organization.clone().or_else(|| answer.isp.clone()));
    let asn = answer.and_then(|answer| answer.asn.clone()).unwrap_or_default();
    let services = match (open, closed) {
        (0, 0) => "None".to_owned(),
        (open, 0) => format!("{open} open"),
        (open, closed) => format!("{open} open, {closed} closed"),
    };
    view! {
        <div class="stats" id="host-stats" data-live>
            {stat(
                "Place",
                finest.unwrap_or_else(|| without.to_owned()).into_any(),
                if place_note.is_empty() { why.unwrap_or_default() } else { place_note.join(" · ") },
            )} {stat("Network", network.unwrap_or_else(|| "Not known".to_owned()).into_any(), asn)}
            {stat("Services", services.into_any(), ports.join(", "))}
            {stat("Seen", view! { <Ago at=host.last_seen now long=true /> }.into_any(), format!("first {}, {seen}", host.first_seen.to_date()))}
        </div>
    }
}
