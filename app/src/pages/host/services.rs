use hostatlas_domain::{Service, Timestamp};
use leptos::prelude::*;

use crate::components::{Ago, Card};

/// What is open, with its banners.
#[component]
pub fn ServicesCard(
    /// Its services.
    services: Vec<Service>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let open = services.iter().filter(|service| service.state == "open").count();
    let row = move |service: Service| {
        let port = format!("{}/{}", service.port, service.protocol);
        let closed = service.state != "open";
        view! {
            <li class="svc">
                <div class="svc__head">
                    <span class="svc__port">
                        {service.port.get()} <small>{format!("/{}", service.protocol.name())}</small>
                    </span>
                    <strong>{service.service.unwrap_or_else(|| "unknown".to_owned())}</strong>
                    {closed.then(|| view! { <span class="sub">{service.state.clone()}</span> })}
                    <span class="push sub">
                        {if closed { "closed since " } else { "seen " }} <Ago at=service.last_seen now long=true />
                    </span>
                </div>
                {service
                    .banner
                    .map(|banner| {
                        view! {
                            <pre class="banner" role="group" tabindex="0" aria-label=format!("Banner of port {port}")>
                                {banner}
                            </pre>
                        }
                    })}
            </li>
        }
    };
    let empty = services.is_empty();
    let beside = view! { <span class="card__note">{format!("{open} open")}</span> }.into_any();
    view! {
        <Card id="services-head" title="Services" beside>
            {empty.then(|| view! { <p class="card__body sub">"No open port was reported."</p> })}
            <ul class="svcs">{services.into_iter().map(row).collect_view()}</ul>
        </Card>
    }
}
