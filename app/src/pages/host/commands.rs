use hostatlas_domain::Host;
use leptos::prelude::*;

use crate::components::{Card, Command};

/// What to type to go on in a terminal.
#[component]
pub fn CommandsCard(
    /// The host.
    host: Host,
) -> impl IntoView {
    let ip = host.ip.to_string();
    let open: Vec<u16> = host
        .services
        .iter()
        .filter(|service| service.state == "open")
        .map(|service| service.port.get())
        .collect();
    let ports: Vec<String> = open.iter().take(20).map(u16::to_string).collect();
    let family = if host.ip.is_ipv4() { "" } else { " -6" };
    let mut commands =
        vec![format!("hostatlas hosts show {ip}"), format!("hostatlas geolocate --ip {ip} --force")];
    if !ports.is_empty() {
        commands.push(format!("nmap{family} -sV -p {} {ip}", ports.join(",")));
    }
    if open.contains(&443) {
        let target = if host.ip.is_ipv4() { format!("{ip}:443") } else { format!("[{ip}]:443") };
        commands.push(format!("openssl s_client -connect {target}"));
    }
    view! {
        <Card id="commands-head" title="Commands">
            <div class="card__body stack" style="--gap:6px">
                {commands.into_iter().map(|text| view! { <Command text /> }).collect_view()}
            </div>
        </Card>
    }
}
