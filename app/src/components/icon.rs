use leptos::prelude::*;

/// One of the drawings of [`Sprite`]. Decoration: a word always stands beside it, or names the button that it is in.
#[component]
pub fn Icon(
    /// Which one.
    name: &'static str,
    /// 14 px instead of 16.
    #[prop(optional)]
    small: bool,
    /// Turns round, for work that goes on.
    #[prop(optional)]
    spin: bool,
) -> impl IntoView {
    let class = match (small, spin) {
        (false, false) => "icon",
        (true, false) => "icon icon--sm",
        (false, true) => "icon spin",
        (true, true) => "icon icon--sm spin",
    };
    view! {
        <svg class=class viewBox="0 0 16 16" aria-hidden="true">
            <use href=format!("#i-{name}") />
        </svg>
    }
}

/// The drawings, once a page.
#[cfg(feature = "ssr")]
#[component]
pub fn Sprite() -> impl IntoView {
    view! {
        <svg class="sprite" width="0" height="0" aria-hidden="true" focusable="false">
            <defs>
                <symbol id="i-area" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.5" />
                    <path d="M4.5 9.5l5-5M6 12l6-6M3.6 6.9 6.9 3.6M9.2 12.4l3.2-3.2" />
                </symbol>
                <symbol id="i-available" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.5" />
                </symbol>
                <symbol id="i-box" viewBox="0 0 16 16">
                    <path d="M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3" />
                </symbol>
                <symbol id="i-cancelled" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.75" />
                    <path d="m4 12 8-8" />
                </symbol>
                <symbol id="i-close" viewBox="0 0 16 16">
                    <path d="m4 4 8 8M12 4l-8 8" />
                </symbol>
                <symbol id="i-completed" viewBox="0 0 16 16">
                    <path d="m3 8.5 3.25 3.25L13 4.75" style="stroke-width:2" />
                </symbol>
                <symbol id="i-copy" viewBox="0 0 16 16">
                    <rect x="5.5" y="5.5" width="8" height="8" rx="1.25" />
                    <path d="M10.5 5.5V3.75c0-.7-.55-1.25-1.25-1.25h-5.5c-.7 0-1.25.55-1.25 1.25v5.5c0 .7.55 1.25 1.25 1.25H5.5" />
                </symbol>
                <symbol id="i-coverage" viewBox="0 0 16 16">
                    <path d="M2 13.5h12M4 13.5V8M8 13.5V3M12 13.5V6" />
                </symbol>
                <symbol id="i-discarded" viewBox="0 0 16 16">
                    <path class="solid" d="M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5z" />
                    <path d="m6 6 4 4M10 6l-4 4" style="stroke:var(--surface);stroke-width:1.6" />
                </symbol>
                <symbol id="i-force" viewBox="0 0 16 16">
                    <path d="M8.75 1.5 3 9h4l-.75 5.5L12.5 7h-4z" />
                </symbol>
                <symbol id="i-globe" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.5" />
                    <path d="M2.5 8h11M8 2.5c2 1.6 2.6 3.4 2.6 5.5S10 11.9 8 13.5C6 11.9 5.4 10.1 5.4 8S6 4.1 8 2.5z" />
                </symbol>
                <symbol id="i-hosts" viewBox="0 0 16 16">
                    <rect x="2" y="2.5" width="12" height="4.5" rx="1" />
                    <rect x="2" y="9" width="12" height="4.5" rx="1" />
                    <path d="M4.5 4.75h.01M4.5 11.25h.01M8 4.75h3.5M8 11.25h3.5" />
                </symbol>
                <symbol id="i-info" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.75" />
                    <path d="M8 7.5V11M8 5.1v.01" />
                </symbol>
                <symbol id="i-jobs" viewBox="0 0 16 16">
                    <path d="M6 4h8M6 8h8M6 12h8" />
                    <path d="m1.5 4 1 1 1.75-2M1.5 8l1 1 1.75-2" />
                    <circle cx="2.75" cy="12" r="1" />
                </symbol>
                <symbol id="i-left" viewBox="0 0 16 16">
                    <path d="M10 3.5 5.5 8l4.5 4.5" />
                </symbol>
                <symbol id="i-list" viewBox="0 0 16 16">
                    <path d="M5.5 4H14M5.5 8H14M5.5 12H14M2.5 4h.01M2.5 8h.01M2.5 12h.01" />
                </symbol>
                <symbol id="i-locate" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="4" />
                    <path d="M8 1.5V4M8 12v2.5M1.5 8H4M12 8h2.5" />
                </symbol>
                <symbol id="i-located" viewBox="0 0 16 16">
                    <circle class="solid" cx="8" cy="8" r="6" />
                    <path d="m5.4 8.2 1.8 1.8 3.5-3.8" style="stroke:var(--surface);stroke-width:1.75" />
                </symbol>
                <symbol id="i-map" viewBox="0 0 16 16">
                    <path d="m2 4 4-1.5 4 1.5 4-1.5v9.5l-4 1.5-4-1.5-4 1.5zM6 2.5V12M10 4v9.5" />
                </symbol>
                <symbol id="i-minus" viewBox="0 0 16 16">
                    <path d="M3 8h10" />
                </symbol>
                <symbol id="i-moved" viewBox="0 0 16 16">
                    <circle cx="3.5" cy="12" r="1.75" />
                    <circle class="solid" cx="12.5" cy="4" r="2" />
                    <path d="M5.2 11.2 11 5.6" stroke-dasharray="1.8 1.8" />
                </symbol>
                <symbol id="i-na" viewBox="0 0 16 16">
                    <rect x="2.75" y="2.75" width="10.5" height="10.5" rx="1" />
                    <path d="M5.5 8h5" />
                </symbol>
                <symbol id="i-pause" viewBox="0 0 16 16">
                    <path d="M5 3v10M11 3v10" />
                </symbol>
                <symbol id="i-pending" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.5" stroke-dasharray="2.2 2.12" />
                </symbol>
                <symbol id="i-play" viewBox="0 0 16 16">
                    <path d="M4.5 3v10l8-5z" />
                </symbol>
                <symbol id="i-plus" viewBox="0 0 16 16">
                    <path d="M8 3v10M3 8h10" />
                </symbol>
                <symbol id="i-providers" viewBox="0 0 16 16">
                    <ellipse cx="8" cy="4" rx="5.5" ry="2" />
                    <path d="M2.5 4v8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2V4M2.5 8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2" />
                </symbol>
                <symbol id="i-refresh" viewBox="0 0 16 16">
                    <path d="M13.5 8A5.5 5.5 0 1 1 11.6 3.8M13.5 2v3h-3" />
                </symbol>
                <symbol id="i-retryable" viewBox="0 0 16 16">
                    <path d="M3 6.5h7a3 3 0 0 1 0 6H6M5.5 3.5l-3 3 3 3" />
                </symbol>
                <symbol id="i-running" viewBox="0 0 16 16">
                    <path d="M8 2.25A5.75 5.75 0 1 1 2.25 8" />
                </symbol>
                <symbol id="i-scheduled" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.75" />
                    <path d="M8 4.5V8l2.5 1.5" />
                </symbol>
                <symbol id="i-search" viewBox="0 0 16 16">
                    <circle cx="7" cy="7" r="4.5" />
                    <path d="m10.5 10.5 3.5 3.5" />
                </symbol>
                <symbol id="i-stale" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.5" />
                    <path d="M8 4.75V8l2.25 1.5" />
                    <path d="M12.5 12.5 14 14" />
                </symbol>
                <symbol id="i-theme" viewBox="0 0 16 16">
                    <circle cx="8" cy="8" r="5.5" />
                    <path class="solid" d="M8 2.5v11a5.5 5.5 0 0 0 0-11z" />
                </symbol>
                <symbol id="i-unlocated" viewBox="0 0 16 16">
                    <path d="M8 1.9 14.1 8 8 14.1 1.9 8z" />
                    <path d="M6.6 6.7c.1-.8.7-1.2 1.4-1.2.8 0 1.4.5 1.4 1.2 0 .9-1.4 1-1.4 2M8 10.6v.01" />
                </symbol>
                <symbol id="i-up" viewBox="0 0 16 16">
                    <path d="M8 13V3M4 7l4-4 4 4" />
                </symbol>
                <symbol id="i-down" viewBox="0 0 16 16">
                    <path d="M8 3v10M4 9l4 4 4-4" />
                </symbol>
                <symbol id="i-warn" viewBox="0 0 16 16">
                    <path d="M8 2.25 14.25 13H1.75z" />
                    <path d="M8 6.5v3M8 11.2v.01" />
                </symbol>
            </defs>
        </svg>
    }
}
