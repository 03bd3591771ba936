use hostatlas_domain::{Host, Place, Precision, Timestamp};
use hostatlas_services::HostHistory;
use leptos::prelude::*;

use crate::{
    components::{Ago, Card, Icon, position_name},
    format::{kilometres, speaker},
};

/// One thing that happened to a host.
struct Happening {
    at: Timestamp,
    tone: &'static str,
    icon: &'static str,
    text: String,
    detail: Option<String>,
}

fn happenings(host: &Host, history: HostHistory) -> Vec<Happening> {
    let name = |place: &Place| {
        let country = place.country.map(|country| format!(", {}", country.name())).unwrap_or_default();
        if place.precision == Precision::Country {
            place.label()
        } else {
            format!("{}{country}", place.label())
        }
    };
    let moves = history.locations.into_iter().map(|change| Happening {
        at: change.at,
        tone: "ok",
        icon: "moved",
        text: format!("Moved to {}", name(&change.to)),
        detail: Some(format!(
            "from {}, {} · {}",
            name(&change.from),
            kilometres(change.distance_km),
            speaker(&change.provider)
        )),
    });
    let services = history.services.into_iter().map(|change| Happening {
        at: change.at,
        tone: if change.state == "open" { "info" } else { "mute" },
        icon: if change.state == "open" { "plus" } else { "cancelled" },
        text: format!(
            "Service {}: {}/{}",
            if change.state == "open" { "opened" } else { "closed" },
            change.port,
            change.protocol
        ),
        detail: None,
    });
    let located = host.location.iter().filter_map(|location| {
        Some(Happening {
            at: location.located_at?,
            tone: "ok",
            icon: "located",
            text: format!("Located: {}", position_name(&location.answer)),
            detail: location.answer.provider.as_ref().map(|provider| format!("by {}", speaker(provider))),
        })
    });
    let asked = host.attempted_at.iter().filter(|_| host.location.is_none()).map(|at| Happening {
        at: *at,
        tone: "bad",
        icon: "unlocated",
        text: "Looked up without a place".to_owned(),
        detail: host.unlocated_reason.map(|reason| reason.label().to_owned()),
    });
    let import = |id: Option<hostatlas_domain::ImportId>| id.map(|id| format!("import {}", id.0));
    let seen = [
        Happening {
            at: host.last_seen,
            tone: "",
            icon: "hosts",
            text: "Last seen".to_owned(),
            detail: import(host.last_import),
        },
        Happening {
            at: host.first_seen,
            tone: "",
            icon: "plus",
            text: "First seen".to_owned(),
            detail: import(host.first_import),
        },
    ];
    let mut all: Vec<_> = moves.chain(services).chain(located).chain(asked).chain(seen).collect();
    all.sort_by_key(|happening| std::cmp::Reverse(happening.at));
    all
}

/// What happened to the host, newest first.
#[component]
pub fn TimelineCard(
    /// The host.
    host: Host,
    /// Its moves and the changes of its services.
    history: HostHistory,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let item = move |happening: Happening| {
        view! {
            <li data-tone=happening.tone>
                <Icon name=happening.icon />
                <div>
                    <p>{happening.text}</p>
                    {happening.detail.map(|detail| view! { <p class="detail">{detail}</p> })}
                    <small>
                        <Ago at=happening.at now long=true />
                    </small>
                </div>
            </li>
        }
    };
    view! {
        <Card id="timeline-head" title="Timeline">
            <div class="card__body">
                <ol class="timeline" id="timeline" data-live>
                    {happenings(&host, history).into_iter().map(item).collect_view()}
                </ol>
            </div>
        </Card>
    }
}
