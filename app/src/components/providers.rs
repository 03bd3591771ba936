use hostatlas_domain::{BreakerState, LimitStatus, ProviderStatus, Timestamp};
use leptos::prelude::*;

use super::{Ago, Badge, Icon};
use crate::format::{NBSP, counted, duration, grouped, percent, share};

/// The providers in the order of asking, then those that could be.
#[component]
pub fn ProviderList(
    /// How each does.
    providers: Vec<ProviderStatus>,
    /// The form with the address to test.
    form: &'static str,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let row = |provider: ProviderStatus| view! { <ProviderRow provider form now /> };
    view! { <ol class="prov" id="provider-list" data-live>{providers.into_iter().map(row).collect_view()}</ol> }
}

/// Whether a provider answers on this machine.
fn is_offline(provider: &ProviderStatus) -> bool {
    provider.third_party.is_none()
}

#[component]
fn ProviderRow(provider: ProviderStatus, form: &'static str, now: Timestamp) -> impl IntoView {
    let off = !provider.enabled || provider.disabled_because.is_some();
    let name = provider.name.clone();
    let position = (provider.position > 0).then_some(provider.position);
    view! {
        <li data-off=off.then_some("") id=format!("provider-{name}")>
            <span class="prov__pos">{position}</span>
            <div>
                <h3>{name.clone()}</h3>
                <p class="sub">
                    <What provider=provider.clone() now />
                </p>
            </div>
            <div>
                <State provider=provider.clone() now />
            </div>
            <div class="prov__limits">
                <Limits provider=provider.clone() now />
            </div>
            <div>
                <Record provider=provider.clone() now />
            </div>
            <div class="row">
                {(!off)
                    .then(|| {
                        view! {
                            <button
                                type="submit"
                                class="btn btn--sm"
                                form=form
                                name="provider"
                                value=name.clone()
                                id=format!("test-{name}")
                                aria-label=format!("Test {name}")
                            >
                                "Test"
                            </button>
                        }
                    })}
            </div>
        </li>
    }
}

/// What it is: a database and its build, or somebody else's machine and how addresses travel there.
#[component]
fn What(provider: ProviderStatus, now: Timestamp) -> impl IntoView {
    match provider.third_party.clone() {
        None => match provider.database_build {
            Some(build) => {
                view! { {format!("Database, build {}, ", build.to_date())} <Ago at=build now /> " old" }
                    .into_any()
            }
            None if provider.name == "mmdb" => "Database, none is there".into_any(),
            None => "Answers on this machine".into_any(),
        },
        Some(host) => {
            let way = if provider.clear_text { "plain HTTP" } else { "HTTPS" };
            view! {
                "Online, "
                {way}
                ", "
                <span class="break">{host}</span>
                {provider.terms.clone().map(|terms| view! { <span class="prov__terms">{terms}</span> })}
            }
            .into_any()
        }
    }
}

/// Tone, drawing and word of what it does now, and a moment or a sentence that explains it.
enum Explained {
    Nothing,
    Words(String),
    Until(&'static str, Timestamp),
}

fn state_of(
    provider: &ProviderStatus,
    now: Timestamp,
) -> (&'static str, &'static str, &'static str, Explained) {
    let closed = provider.limits.iter().filter_map(|limit| shut(limit, now)).max();
    match (provider.enabled, &provider.disabled_because, provider.breaker) {
        (false, ..) => {
            ("mute", "na", "Not set up", Explained::Words("not named in HOSTATLAS_PROVIDERS".to_owned()))
        }
        (_, Some(why), _) => ("bad", "discarded", "Off", Explained::Words(why.clone())),
        (.., BreakerState::Open) => (
            "warn",
            "pause",
            "Left alone",
            provider
                .breaker_until
                .map_or(Explained::Nothing, |until| Explained::Until("failed too often; tried again", until)),
        ),
        (.., BreakerState::HalfOpen) => (
            "info",
            "retryable",
            "Trying again",
            Explained::Words("one call finds out whether it answers".to_owned()),
        ),
        _ => match closed {
            Some(until) => ("warn", "scheduled", "Rate limited", Explained::Until("opens", until)),
            None if is_offline(provider) && provider.database_build.is_none() => {
                ("bad", "discarded", "No database", Explained::Words("put one into mmdb/".to_owned()))
            }
            None => ("ok", "located", "Ready", Explained::Nothing),
        },
    }
}

/// Until when a limit lets nothing through.
fn shut(limit: &LimitStatus, now: Timestamp) -> Option<Timestamp> {
    let used_up = limit.resets_at.filter(|_| limit.left == 0);
    limit.closed_until.max(used_up).filter(|until| *until > now)
}

#[component]
fn State(provider: ProviderStatus, now: Timestamp) -> impl IntoView {
    let (tone, icon, word, explained) = state_of(&provider, now);
    let explained = match explained {
        Explained::Nothing => {
            provider.last_call_at.map(|at| view! { "asked " <Ago at now long=true /> }.into_any())
        }
        Explained::Words(words) => Some(words.into_any()),
        Explained::Until(word, until) => Some(view! { {word} " " <Ago at=until now long=true /> }.into_any()),
    };
    view! {
        <Badge tone icon word />
        {explained.map(|explained| view! { <p class="sub">{explained}</p> })}
        {provider
            .clear_text
            .then(|| {
                view! {
                    <p class="sub prov__clear" data-tone="warn">
                        <Icon name="warn" small=true />
                        " Addresses travel in clear text"
                    </p>
                }
            })}
    }
}

/// What is left of each limit, and when there is more.
#[component]
fn Limits(provider: ProviderStatus, now: Timestamp) -> impl IntoView {
    if provider.limits.is_empty() {
        return view! { <p class="sub">"No limit"</p> }.into_any();
    }
    if !provider.enabled {
        let allowed = |limit: LimitStatus| format!("{} {}", grouped(limit.permits.into()), limit.name);
        let allowed: Vec<String> = provider.limits.into_iter().map(allowed).collect();
        return view! { <p class="sub">{allowed.join(", ")}</p> }.into_any();
    }
    let limit = move |limit: LimitStatus| {
        let used = u64::from(limit.permits.saturating_sub(limit.left));
        let words = format!(
            "{} of {} {}, {} left",
            grouped(used),
            grouped(limit.permits.into()),
            limit.name,
            grouped(limit.left.into())
        );
        let until = limit.closed_until.max(limit.resets_at).filter(|until| *until > now);
        view! {
            <div
                class="meter"
                data-tone=(limit.left == 0).then_some("warn")
                role="img"
                aria-label=format!("{} of {} {} used", grouped(used), grouped(limit.permits.into()), limit.name)
            >
                <span style=format!("--v:{:.1}", share(used, limit.permits.into()))></span>
            </div>
            <p class="sub">{words} {until.map(|at| view! { "; all again " <Ago at now long=true /> })}</p>
        }
    };
    provider.limits.into_iter().map(limit).collect_view().into_any()
}

/// What it did so far.
#[component]
fn Record(provider: ProviderStatus, now: Timestamp) -> impl IntoView {
    let offline = is_offline(&provider);
    if provider.calls == 0 {
        let words = if offline { "asked first, nothing is sent" } else { "never asked" };
        return view! { <p class="sub">{words}</p> }.into_any();
    }
    let known = percent(share(provider.located, provider.located + provider.missed));
    let sent = counted(provider.addresses_sent, "address", "addresses");
    let times = provider.p50_ms.map(duration_of).zip(provider.p95_ms.map(duration_of));
    let (last, last_at) = (provider.last_error.clone(), provider.last_error_at);
    view! {
        <p class="prov__sent">{format!("{sent} sent, {known} known")}</p>
        <p class="sub">
            {provider.success_percent.map(|rate| format!("{} of {} answered", percent(rate), counted(provider.calls, "call", "calls")))}
        </p>
        <p class="sub">{times.map(|(half, most)| format!("p50 {half}, p95 {most}"))}</p>
        {last
            .map(|error| {
                view! {
                    <p class="sub prov__error">
                        "Last error "
                        {last_at.map(|at| view! { <Ago at now long=true /> ": " })}
                        <span>{error}</span>
                    </p>
                }
            })}
    }
    .into_any()
}

/// `120 ms`, `1.5 s`
fn duration_of(millis: u32) -> String {
    if millis < 1_000 {
        format!("{millis}{NBSP}ms")
    } else if millis < 10_000 {
        format!("{:.1}{NBSP}s", f64::from(millis) / 1_000.0)
    } else {
        duration(f64::from(millis) / 1_000.0)
    }
}

/// Who was sent how much.
#[component]
pub fn WhoSaw(
    /// How each provider does.
    providers: Vec<ProviderStatus>,
    /// Hosts with private and special addresses.
    never_sent: u64,
) -> impl IntoView {
    let mut seen = Vec::new();
    for provider in providers {
        let Some(host) = provider.third_party else { continue };
        if provider.enabled || provider.addresses_sent > 0 {
            let clear = if provider.clear_text { ", in clear text" } else { "" };
            let sent = counted(provider.addresses_sent, "address", "addresses");
            seen.push((provider.name, format!("{sent} to {host}{clear}")));
        }
    }
    let nobody = seen.is_empty();
    view! {
        <div class="card__body stack" style="--gap:12px" id="who-saw" data-live>
            <p>"Databases are read here; nothing leaves this machine. Online providers receive the address they are asked about."</p>
            {nobody
                .then(|| {
                    view! {
                        <p>
                            "No online provider is set up. Name those that may be asked, in order: "
                            <code>"HOSTATLAS_PROVIDERS=mmdb,ip-api"</code>
                        </p>
                    }
                })}
            <dl class="facts">
                {seen.into_iter().map(|(who, what)| view! { <dt>{who}</dt> <dd>{what}</dd> }).collect_view()}
                <dt>"Never sent"</dt>
                <dd>{counted(never_sent, "private or special address", "private and special addresses")}</dd>
            </dl>
            <p class="hint">"Their terms stand beside their names above. Base map: Natural Earth, public domain."</p>
        </div>
    }
}
