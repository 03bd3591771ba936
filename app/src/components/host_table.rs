use hostatlas_domain::{HostSort, HostSummary, LocationState, Precision, Timestamp};
use leptos::prelude::*;

use super::{Ago, Column, DataTable, Icon, LocationBadge};
use crate::format::address;

/// The host list.
#[component]
pub fn HostTable(
    /// Its rows.
    hosts: Vec<HostSummary>,
    /// By what they are sorted.
    sort: HostSort,
    /// Whether another order can be asked for: a filtered list is always by address.
    sortable: bool,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let heading = move |by: HostSort, word: &'static str, class: &'static str| {
        let sorted = (sort == by).then_some(if by == HostSort::Address { "ascending" } else { "descending" });
        let arrow = if by == HostSort::Address { "up" } else { "down" };
        let content = if sortable {
            view! {
                <a class="sort plain" href=address("/hosts", &[("sort", by.slug())])>
                    {word}
                    <Icon name=arrow />
                </a>
            }
            .into_any()
        } else {
            word.into_any()
        };
        Column::text(content).class(class).sorted(sorted)
    };
    let columns = vec![
        heading(HostSort::Address, "Address", ""),
        Column::text("State"),
        Column::text("Place"),
        Column::text("Network").class("net"),
        Column::text("Services"),
        heading(HostSort::LocatedAt, "Located", "num hide-narrow"),
        heading(HostSort::FirstSeen, "First seen", "num hide-narrow"),
        heading(HostSort::LastSeen, "Seen", "num hide-narrow"),
    ];
    view! {
        <DataTable caption="Hosts, 50 at a time" columns class="table--records hosttable" scrolls="Hosts">
            {hosts.into_iter().map(|host| view! { <HostTableRow host now /> }).collect_view()}
        </DataTable>
    }
}

#[component]
fn HostTableRow(host: HostSummary, now: Timestamp) -> impl IntoView {
    let ip = host.ip.to_string();
    let place = match host.precision {
        _ if host.location_state != LocationState::Located => None,
        Some(Precision::Country) => Some("country only".to_owned()),
        Some(Precision::Region) => host.region.clone().map(|region| format!("{region}, region only")),
        _ => host.city.clone().or(host.region.clone()),
    };
    let why = match host.location_state {
        LocationState::NotApplicable => Some(host.address_class.label()),
        LocationState::Unlocated => host.unlocated_reason.map(hostatlas_domain::UnlocatedReason::label),
        _ => None,
    };
    let more = usize::try_from(host.open_ports).unwrap_or(0).saturating_sub(host.ports.len());
    let country = host.country.clone();
    view! {
        <tr>
            <th scope="row">
                <a class="addr" href=format!("/hosts/{ip}")>
                    {ip.clone()}
                </a>
            </th>
            <td class="statecell">
                <LocationBadge state=host.location_state stale=host.stale precision=host.precision />
            </td>
            <td data-label="Place">
                {host
                    .country_code
                    .clone()
                    .map(|code| view! { <abbr class="cc" title=country>{code}</abbr> " " })}
                {place.unwrap_or_default()}
            </td>
            <td data-label="Network" class="clip net">
                {match why {
                    Some(why) => view! { <span class="sub">{why}</span> }.into_any(),
                    None => host.organization.or(host.asn).unwrap_or_default().into_any(),
                }}
            </td>
            <td data-label="Services">
                {host.ports.iter().take(5).map(|port| view! { <span class="port">{port.get()}</span> " " }).collect_view()}
                {(more + host.ports.len().saturating_sub(5) > 0)
                    .then(|| {
                        view! { <span class="sub">{format!("+{}", more + host.ports.len().saturating_sub(5))}</span> }
                    })}
            </td>
            <td class="num sub hide-narrow">{host.located_at.map(|at| view! { <Ago at now /> })}</td>
            <td class="num sub hide-narrow">
                <Ago at=host.first_seen now />
            </td>
            <td class="num sub hide-narrow">
                <Ago at=host.last_seen now />
            </td>
        </tr>
    }
}
