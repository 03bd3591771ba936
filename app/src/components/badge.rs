use hostatlas_domain::{JobState, LocationState, Precision};
use leptos::prelude::*;

use super::Icon;

/// A coloured label: tone, drawing and word. The word is always there: colour is never the only sign.
#[component]
pub fn Badge<W>(
    /// Its colour: `ok`, `info`, `warn`, `bad` or `mute`.
    tone: &'static str,
    /// The name of its drawing; what runs turns round.
    icon: &'static str,
    /// Its word, or a few.
    word: W,
    /// On a tinted ground.
    #[prop(optional)]
    filled: bool,
    /// Its words may take several lines.
    #[prop(optional)]
    long: bool,
) -> impl IntoView
where
    W: IntoView + 'static,
{
    let class = match (filled, long) {
        (false, false) => "badge",
        (true, false) => "badge badge--fill",
        (false, true) => "badge badge--long",
        (true, true) => "badge badge--fill badge--long",
    };
    view! {
        <span class=class data-tone=tone>
            <Icon name=icon spin=icon == "running" />
            {word}
        </span>
    }
}

/// A host's location state.
#[component]
pub fn LocationBadge(
    /// The state.
    state: LocationState,
    /// Whether a located host is stale.
    #[prop(optional)]
    stale: bool,
    /// What a located host's point stands for.
    #[prop(optional_no_strip)]
    precision: Option<Precision>,
    /// On a tinted ground.
    #[prop(optional)]
    filled: bool,
) -> impl IntoView {
    let (tone, icon, word) = match (state, stale, precision) {
        (LocationState::Located, true, _) => ("warn", "stale", "Stale"),
        (LocationState::Located, false, Some(Precision::Country)) => ("ok", "area", "Country only"),
        (LocationState::Located, false, Some(Precision::Region)) => ("ok", "area", "Region only"),
        (LocationState::Located, false, _) => ("ok", "located", "Located"),
        (LocationState::Pending, ..) => ("info", "pending", "Pending"),
        (LocationState::Unlocated, ..) => ("bad", "unlocated", "Unlocated"),
        (LocationState::NotApplicable, ..) => ("mute", "na", "Not applicable"),
    };
    view! { <Badge tone icon word filled /> }
}

/// The colour and the drawing of a job's state.
pub const fn job_signs(state: JobState) -> (&'static str, &'static str) {
    match state {
        JobState::Available => ("info", "available"),
        JobState::Scheduled => ("info", "scheduled"),
        JobState::Running => ("info", "running"),
        JobState::Retryable => ("warn", "retryable"),
        JobState::Completed => ("ok", "completed"),
        JobState::Cancelled => ("mute", "cancelled"),
        JobState::Discarded => ("bad", "discarded"),
    }
}

/// A job's state: shape, word and colour.
#[component]
pub fn JobBadge(
    /// The state.
    state: JobState,
    /// On a tinted ground.
    #[prop(optional)]
    filled: bool,
) -> impl IntoView {
    let (tone, icon) = job_signs(state);
    view! { <Badge tone icon word=state.label() filled /> }
}
