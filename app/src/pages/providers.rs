use hostatlas_domain::{LookupView, ProviderStatus, Timestamp};
use hostatlas_services::{Permission, UnusedSetting};
use leptos::prelude::*;

use super::{page, query};
use crate::{
    ApiError,
    api::{
        authorize,
        providers::list_providers,
        services,
        told::{self, Told},
    },
    components::{
        Card, Chrome, Column, DataTable, FormNotice, Icon, Live, ProviderList, Says, Tab, WhoSaw, took,
    },
    format::{counted, sentence},
};

/// The form with the address to test. The buttons of the list belong to it.
const FORM: &str = "provider-test";

struct Loaded {
    providers: Vec<ProviderStatus>,
    unused: Vec<UnusedSetting>,
    never_sent: u64,
    ip: String,
    told: Option<Vec<Told>>,
    now: Timestamp,
}

async fn load(ip: String, told: String) -> Result<Loaded, ApiError> {
    authorize(Permission::ViewHosts)?;
    let services = services()?;
    let providers = list_providers().await?;
    let never_sent = services.coverage().get().await?.not_applicable;
    let unused = services.config().unused_settings.clone();
    Ok(Loaded { providers, unused, never_sent, ip, told: told::get(&told), now: services.now() })
}

/// How each provider does, what may still be asked, who saw which addresses, and a test.
#[component]
pub fn ProvidersPage() -> impl IntoView {
    let content = page(load(query("ip"), query("told")), sheet);
    view! {
        <Chrome title="Providers" tab=Tab::Providers>
            <FormNotice />
            {content}
        </Chrome>
        <Live topics="coverage jobs" />
    }
}

fn sheet(loaded: Loaded) -> impl IntoView {
    let Loaded { providers, unused, never_sent, ip, told, now } = loaded;
    let warnings = providers.iter().filter_map(warning).collect_view();
    let unused = unused.into_iter().map(without_effect).collect_view();
    let (tested, seen) = (providers.clone(), providers.clone());
    let beside = view! { <span class="card__note">"databases first, then online"</span> };
    view! {
        <div class="pagehead">
            <h1>"Providers"</h1>
            <p class="lede">
                "Asked from the top. The first that knows the place to the city wins; online ones share what the databases leave."
            </p>
            <div class="push">
                <a class="btn btn--sm" href="/databases">
                    "Database files"
                </a>
            </div>
        </div>
        <div id="provider-warnings" class="stack" data-live>
            {warnings} {unused}
        </div>
        <Card id="order-head" title="In order" beside=beside.into_any()>
            <ProviderList providers form=FORM now />
        </Card>
        <div class="cols cols--3-2">
            <Test providers=tested ip told />
            <Card id="saw-head" title="Who saw which addresses">
                <WhoSaw providers=seen never_sent />
            </Card>
        </div>
    }
}

/// A setting that somebody made for nothing.
fn without_effect(unused: UnusedSetting) -> impl IntoView {
    let UnusedSetting { name, because, remedy } = unused;
    view! {
        <div class="callout" data-tone="warn">
            <Icon name="warn" />
            <div>
                <h2>{format!("{name} has no effect")}</h2>
                <p>{sentence(&because)} " " {sentence(&remedy)}</p>
            </div>
        </div>
    }
}

/// Whether it is configured, and its key was not refused.
fn is_asked(provider: &ProviderStatus) -> bool {
    provider.enabled && provider.disabled_because.is_none()
}

/// A provider that is configured and yet not asked needs a person.
fn warning(provider: &ProviderStatus) -> Option<impl IntoView + use<>> {
    let why = provider.disabled_because.clone().filter(|_| provider.enabled)?;
    let why = why.trim_end_matches('.').to_owned();
    let name = provider.name.clone();
    let variable = match name.as_str() {
        "ipinfo" | "ipinfo-lite" => "IPINFO_TOKEN".to_owned(),
        "ipgeolocation" => "IPGEOLOCATION_API_KEY".to_owned(),
        _ => format!("HOSTATLAS_PROVIDER_{}_KEY", name.to_uppercase().replace('-', "_")),
    };
    Some(view! {
        <div class="callout" data-tone="warn">
            <Icon name="warn" />
            <div>
                <h2>{format!("{name} is off: it is not asked")}</h2>
                <p>
                    {why} ". Set " <code>{variable}</code>
                    " or take it out of " <code>"HOSTATLAS_PROVIDERS"</code> ", then restart."
                </p>
            </div>
        </div>
    })
}

#[component]
fn Test(providers: Vec<ProviderStatus>, ip: String, told: Option<Vec<Told>>) -> impl IntoView {
    let online: Vec<&ProviderStatus> =
        providers.iter().filter(|one| is_asked(one) && one.third_party.is_some()).collect();
    let clear = online.iter().any(|one| one.clear_text);
    let cost = match online.len() {
        0 => "asks the databases on this machine".to_owned(),
        some => format!(
            "sends it to {}{}, one lookup of each",
            counted(some as u64, "third party", "third parties"),
            if clear { ", in clear text" } else { "" }
        ),
    };
    let beside = view! { <span class="card__note push">"changes no host"</span> };
    view! {
        <Card id="test-head" title="Test an address" beside=beside.into_any()>
            <form class="toolbar" id=FORM method="post" action="/api/fn/providers/test" data-swap>
                <label class="visually-hidden" for="test-ip">
                    "Address to test"
                </label>
                <input
                    class="input mono testin"
                    id="test-ip"
                    name="ip"
                    type="text"
                    required
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    maxlength="64"
                    placeholder="8.8.8.8"
                    value=ip
                />
                <button type="submit" class="btn">
                    <Icon name="locate" />
                    "Ask all"
                </button>
                <span class="hint">{cost}</span>
            </form>
            <div id="told" data-live>
                {told.map(|told| view! { <Answers told /> })}
            </div>
        </Card>
    }
}

#[component]
fn Answers(told: Vec<Told>) -> impl IntoView {
    let row = |Told { answer, took: time }: Told| {
        let position = position(&answer);
        view! {
            <tr>
                <th scope="row" class="mono">
                    {answer.provider.clone()}
                </th>
                <td class="wrap">
                    <Says answer />
                </td>
                <td class="num mono">{position}</td>
                <td class="num sub">{time.map(took)}</td>
            </tr>
        }
    };
    let columns = vec![
        Column::text("Provider"),
        Column::text("Says"),
        Column::number("Position"),
        Column::number("Took"),
    ];
    view! {
        <DataTable caption="What each provider answered to the test" columns class="testout" scrolls="Test answers">
            {told.into_iter().map(row).collect_view()}
        </DataTable>
    }
}

/// `50.1155, 8.6842`
fn position(answer: &LookupView) -> Option<String> {
    let (latitude, longitude) = answer.latitude.zip(answer.longitude)?;
    Some(format!("{latitude:.4}, {longitude:.4}"))
}
