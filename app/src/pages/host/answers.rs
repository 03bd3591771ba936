use hostatlas_domain::{Host, HostAnswer, HostAnswers, LookupCost, Timestamp};
use leptos::prelude::*;

use crate::{
    components::{AnswersTable, Badge, Icon, disagreement},
    format::{counted, grouped},
};

/// What the providers say, side by side; the buttons that ask all of them, and that let a person decide.
#[component]
pub fn ProviderAnswers(
    /// The host.
    host: Host,
    /// What is kept of what they said, the chosen one first.
    answers: HostAnswers,
    /// Who could not be asked just now, or did not answer.
    silent: Vec<HostAnswer>,
    /// Whom asking all would send the address to.
    cost: LookupCost,
    /// Which of them allows the least, and how much.
    left: Option<(String, u64)>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let ip = host.ip.to_string();
    let public = host.address_class.is_public();
    let all: Vec<HostAnswer> = answers.answers.into_iter().chain(silent).collect();
    let badge = disagreement(&all).map(|words| view! { <Badge tone="warn" icon="warn" word=words /> });
    let pinned = answers
        .pinned
        .then(|| view! { <Badge tone="info" icon="locate" word="Fixed by a person" filled=true /> });
    let empty = all.is_empty();
    let rule = if answers.pinned {
        "A person fixed this location: no answer replaces it until providers may decide again."
    } else {
        "The finest answer counts, city before region before country; among equals the provider that is asked first. \
         What a person fixes goes before all."
    };
    view! {
        <div id="answers" data-live>
            <div class="subhead">
                <h3>"What each provider says"</h3>
                {badge}
                {pinned}
            </div>
            {if empty {
                view! { <p class="card__body sub">"Nobody was asked yet."</p> }.into_any()
            } else {
                view! { <AnswersTable answers=all now /> }.into_any()
            }}
            <p class="hint answers__rule">{rule}</p>
        </div>
        <div class="answers__acts">
            {public.then(|| view! { <AskAll ip=ip.clone() cost left /> })}
            <Override host pinned=answers.pinned />
        </div>
    }
}

/// The button that asks everybody, with what that costs before it is pressed.
#[component]
fn AskAll(ip: String, cost: LookupCost, left: Option<(String, u64)>) -> impl IntoView {
    let LookupCost { third_parties, .. } = cost;
    let clear: Vec<&str> =
        third_parties.iter().filter(|party| party.clear_text).map(|party| party.provider.as_str()).collect();
    let words = if third_parties.is_empty() {
        "Only the databases on this machine are asked: no online provider is set up.".to_owned()
    } else {
        let parties = counted(third_parties.len() as u64, "third party", "third parties");
        let clear =
            if clear.is_empty() { String::new() } else { format!(", in clear text to {}", clear.join(", ")) };
        let left =
            left.map(|(name, left)| format!(": {name} has {} left", grouped(left))).unwrap_or_default();
        format!("Sends this address to {parties}{clear}. It costs one lookup of each{left}.")
    };
    view! {
        <form method="post" action="/api/fn/providers/ask_all" data-swap>
            <input type="hidden" name="ip" value=ip />
            <button type="submit" class="btn" id="ask-all" aria-describedby="ask-all-cost">
                <Icon name="providers" />
                "Ask all now"
            </button>
            <p class="hint" id="ask-all-cost" data-live>
                {words}
            </p>
        </form>
    }
}

/// Where a person says what no provider knows better.
#[component]
fn Override(host: Host, pinned: bool) -> impl IntoView {
    let ip = host.ip.to_string();
    if pinned {
        return view! {
            <form id="override" method="post" action="/api/fn/providers/unpin" data-swap data-live>
                <input type="hidden" name="ip" value=ip />
                <button type="submit" class="btn" id="unpin">
                    <Icon name="retryable" />
                    "Let providers decide again"
                </button>
                <p class="hint">"The host stays here until it is looked up again, which is queued at once."</p>
            </form>
        }
        .into_any();
    }
    let answer = host.location.map(|location| location.answer);
    let number = |value: Option<f64>| value.map(|degrees| format!("{degrees:.4}"));
    let field = |name: &'static str, label: &'static str, value: Option<String>| {
        view! {
            <div class="field">
                <label for=format!("fix-{name}")>{label}</label>
                <input
                    class="input"
                    id=format!("fix-{name}")
                    name=name
                    type="text"
                    maxlength="128"
                    autocomplete="off"
                    value=value
                />
            </div>
        }
    };
    let degrees = |name: &'static str, label: &'static str, most: &'static str, value: Option<f64>| {
        view! {
            <div class="field">
                <label for=format!("fix-{name}")>{label}</label>
                <input
                    class="input"
                    id=format!("fix-{name}")
                    name=name
                    type="number"
                    step="any"
                    min=format!("-{most}")
                    max=most
                    required
                    value=number(value)
                />
            </div>
        }
    };
    let of = |get: fn(&hostatlas_domain::LookupView) -> Option<String>| answer.as_ref().and_then(get);
    view! {
        <details class="override" id="override" data-live>
            <summary class="btn btn--quiet">
                <Icon name="locate" />
                "Set position"
            </summary>
            <form class="override__form" method="post" action="/api/fn/providers/pin" data-swap>
                <input type="hidden" name="ip" value=ip />
                {degrees("latitude", "Latitude, degrees north", "90", answer.as_ref().and_then(|answer| answer.latitude))}
                {degrees("longitude", "Longitude, degrees east", "180", answer.as_ref().and_then(|answer| answer.longitude))}
                {field("city", "City", of(|answer| answer.city.clone()))}
                {field("region", "Region", of(|answer| answer.region.clone()))}
                <div class="field">
                    <label for="fix-country">"Country, two letters"</label>
                    <input
                        class="input"
                        id="fix-country"
                        name="country_code"
                        type="text"
                        maxlength="2"
                        pattern="[A-Za-z]{2}"
                        autocomplete="off"
                        value=of(|answer| answer.country_code.clone())
                    />
                </div>
                <button type="submit" class="btn btn--primary" id="pin">
                    "Fix this location"
                </button>
            </form>
            <p class="hint">"It survives every refresh, until you let providers decide again."</p>
        </details>
    }
    .into_any()
}
