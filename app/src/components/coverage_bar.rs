use hostatlas_domain::Coverage;
use leptos::prelude::*;

use crate::format::{counted, grouped, share};

/// The share of each location state as one bar.
#[component]
pub fn CoverageBar(
    /// The counts.
    coverage: Coverage,
    /// Its height in pixels.
    height: u8,
) -> impl IntoView {
    let Coverage { total, located, pending, unlocated, not_applicable, stale, .. } = coverage;
    let fresh = located.saturating_sub(stale);
    let label = format!(
        "{} located and fresh, {} stale, {} pending, {} unlocated, {} not applicable, of {}",
        grouped(fresh),
        grouped(stale),
        grouped(pending),
        grouped(unlocated),
        grouped(not_applicable),
        counted(total, "host", "hosts")
    );
    let part = |count: u64, tone: &'static str, pattern: Option<&'static str>| {
        (count > 0).then(|| {
            view! { <span data-tone=tone data-pattern=pattern style=format!("--v:{:.2}", share(count, total))></span> }
        })
    };
    view! {
        <div class="cover__bar" style=format!("--bar-h:{height}px") role="img" aria-label=label>
            {part(fresh, "ok", None)} {part(stale, "warn", Some("stale"))} {part(pending, "info", Some("pending"))}
            {part(unlocated, "bad", None)} {part(not_applicable, "mute", None)}
        </div>
    }
}

/// The counts of the bar in words.
#[component]
pub fn CoverageKeys(
    /// The counts.
    coverage: Coverage,
) -> impl IntoView {
    let key = |tone: &'static str, pattern: Option<&'static str>, word: &'static str, count: u64| {
        view! {
            <span>
                <i class="key" data-tone=tone data-pattern=pattern></i>
                {word}
                " "
                <strong>{grouped(count)}</strong>
            </span>
        }
    };
    view! {
        <div class="keys">
            {key("ok", None, "Located", coverage.located)} {key("warn", Some("stale"), "Stale", coverage.stale)}
            {key("info", Some("pending"), "Pending", coverage.pending)} {key("bad", None, "Unlocated", coverage.unlocated)}
            {key("mute", None, "Not applicable", coverage.not_applicable)}
        </div>
    }
}
