use hostatlas_domain::{JobState, LocationState, Precision};
use leptos::prelude::*;

use super::Icon;

/// A host's location state. The word is always there: colour is never the only sign.
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
    view! {
        <span class=if filled { "badge badge--fill" } else { "badge" } data-tone=tone>
            <Icon name=icon />
            {word}
        </span>
    }
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
    view! {
        <span class=if filled { "badge badge--fill" } else { "badge" } data-tone=tone>
            <Icon name=icon spin=state == JobState::Running />
            {state.label()}
        </span>
    }
}
