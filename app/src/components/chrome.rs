use hostatlas_domain::Attribution;
use leptos::prelude::*;
use leptos_meta::Title;

use super::{Icon, ShortcutsDialog};
use crate::{
    api::attributions::list_attributions,
    islands::{LiveChip, LivePage, Shortcuts, ThemeToggle},
};

/// Which part of the program a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// The map.
    Map,
    /// Host list and hosts.
    Hosts,
    /// Coverage.
    Coverage,
    /// Jobs.
    Jobs,
    /// Providers.
    Providers,
    /// None of them.
    None,
}

/// Brand, navigation, the one query box, live, theme.
#[component]
pub fn TopBar(
    /// Which part is current.
    tab: Tab,
    /// What the query box holds.
    #[prop(into)]
    query: String,
) -> impl IntoView {
    let link = |to: Tab, href: &'static str, icon: &'static str, word: &'static str| {
        // Map is `m`: see the list of shortcuts.
        let key = &icon[..1];
        view! {
            <a href=href data-key=key aria-current=(to == tab).then_some("page")>
                <Icon name=icon />
                {word}
            </a>
        }
    };
    view! {
        <header class="topbar">
            <a class="brand" href="/">
                <svg viewBox="0 0 22 22" aria-hidden="true">
                    <circle cx="11" cy="11" r="9" />
                    <path d="M2 11h18M11 2c-3.6 2.6-5 5.6-5 9s1.4 6.4 5 9M11 2c3.6 2.6 5 5.6 5 9s-1.4 6.4-5 9" />
                    <circle class="fix" cx="15.2" cy="7.2" r="3.1" />
                </svg>
                "hostatlas"
            </a>
            <nav class="topnav" aria-label="Main">
                {link(Tab::Map, "/", "map", "Map")} {link(Tab::Hosts, "/hosts", "hosts", "Hosts")}
                {link(Tab::Coverage, "/coverage", "coverage", "Coverage")} {link(Tab::Jobs, "/jobs", "jobs", "Jobs")}
                {link(Tab::Providers, "/providers", "providers", "Providers")}
            </nav>
            <form
                class="query"
                role="search"
                aria-label="Search hosts"
                method="get"
                action=if tab == Tab::Map { "/" } else { "/hosts" }
            >
                <Icon name="search" />
                <input
                    class="query__input"
                    id="q"
                    name="q"
                    type="search"
                    aria-label="Search hosts"
                    aria-keyshortcuts="/"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    maxlength="1024"
                    placeholder="country:DE port:443 org:\"Deutsche Telekom\""
                    value=query
                />
            </form>
            <div class="topbar__end">
                <LiveChip />
                <button
                    type="button"
                    id="shortcuts-open"
                    class="btn btn--icon btn--quiet needs-script only-wide"
                    aria-label="Keyboard shortcuts"
                    title="Keyboard shortcuts"
                >
                    <span class="kbd" aria-hidden="true">
                        "?"
                    </span>
                </button>
                <ThemeToggle />
            </div>
        </header>
        <ShortcutsDialog />
        <Shortcuts />
    }
}

/// Brings a page to life: it follows these topics, separated by blanks, and looks again every so many seconds where what
/// it shows has no topic.
#[component]
pub fn Live(
    /// The topics.
    topics: &'static str,
    /// How often to look again, in seconds.
    #[prop(optional)]
    every: Option<u32>,
) -> impl IntoView {
    view! {
        <div id="live" data-topics=topics data-every=every hidden></div>
        <LivePage />
    }
}

/// Whose data is shown, as its licences ask; nothing where none does. It fetches by itself because every page has it.
#[component]
pub fn Attributions() -> impl IntoView {
    Suspend::new(async move {
        // A page that cannot read the database says so itself.
        let attributions = list_attributions().await.unwrap_or_default();
        attributions.into_iter().map(|attribution| view! { <Credit attribution /> }).collect_view()
    })
}

/// The words of one licence, with its links.
#[component]
fn Credit(attribution: Attribution) -> impl IntoView {
    let Attribution { text, url, license, license_url, sources } = attribution;
    let license = license.zip(license_url).map(|(name, url)| {
        view! {
            " ("
            <a href=url rel="license noreferrer">
                {name}
            </a>
            ")"
        }
    });
    view! {
        <span class="credit" title=sources.join(", ")>
            <a href=url rel="noreferrer">
                {text}
            </a>
            {license}
        </span>
    }
}

/// The frame of every page but the map.
#[component]
pub fn Chrome(
    /// The name of the page.
    #[prop(into)]
    title: String,
    /// Which part of the program it belongs to.
    tab: Tab,
    /// What the query box holds.
    #[prop(optional, into)]
    query: String,
    /// The page.
    children: Children,
) -> impl IntoView {
    view! {
        <Title text=format!("{title} · hostatlas") />
        <a class="skip" href="#main">
            "Skip to content"
        </a>
        <TopBar tab query />
        <main id="main" class="page" tabindex="-1">
            {children()}
        </main>
        <footer class="foot">
            <span>"hostatlas " {env!("CARGO_PKG_VERSION")}</span>
            <Attributions />
            <span>"Base map: Natural Earth"</span>
            <span class="push">"Times in UTC"</span>
        </footer>
    }
}
