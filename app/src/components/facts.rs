use hostatlas_domain::Timestamp;
use leptos::prelude::*;

use super::{Ago, Exactly};

/// One line of a list of facts; nothing where nothing is known.
#[component]
pub fn Fact(
    /// What it is about.
    name: &'static str,
    /// What is known.
    #[prop(into)]
    value: Option<String>,
) -> impl IntoView {
    value.map(|value| view! { <dt>{name}</dt> <dd>{value}</dd> })
}

/// A moment as a line of a list of facts: exactly, and how long ago; nothing where it has not come.
#[component]
pub fn MomentFact(
    /// What happened.
    name: &'static str,
    /// When.
    at: Option<Timestamp>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    at.map(|at| {
        view! {
            <dt>{name}</dt>
            <dd>
                <Exactly at />
                " "
                <span class="sub">
                    <Ago at now long=true />
                </span>
            </dd>
        }
    })
}
