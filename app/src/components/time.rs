use hostatlas_domain::Timestamp;
use leptos::prelude::*;

/// How long ago, with the exact moment for pointers and programs.
#[component]
pub fn Ago(
    /// The moment.
    at: Timestamp,
    /// Now.
    now: Timestamp,
    /// Says "4 min ago" instead of "4 min".
    #[prop(optional)]
    long: bool,
) -> impl IntoView {
    let ahead = at > now;
    let age = if ahead { now.age(at) } else { at.age(now) };
    let text = match (long, ahead) {
        _ if age == "now" => age,
        (_, true) => format!("in {age}"),
        (true, false) => format!("{age} ago"),
        (false, false) => age,
    };
    view! { <time datetime=at.to_string() title=at.to_readable()>{text}</time> }
}

/// A moment on the clock: in UTC, and in the time of the reader where scripts run.
#[component]
pub fn Exactly(
    /// The moment.
    at: Timestamp,
) -> impl IntoView {
    view! {
        <time class="exactly" datetime=at.to_string() title=at.to_readable() data-local="">
            {at.to_readable()}
        </time>
    }
}
