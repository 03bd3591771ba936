use leptos::prelude::*;

/// A sentence whose words between backticks, commands and settings, are set as code.
#[component]
pub fn Words(
    /// Its words, with commands and settings between backticks.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    // An odd one is no bracket but a letter of somebody's text.
    if !text.matches('`').count().is_multiple_of(2) {
        return text.into_any();
    }
    let part = |(index, part): (usize, &str)| {
        let part = part.to_owned();
        if index.is_multiple_of(2) { part.into_any() } else { view! { <code>{part}</code> }.into_any() }
    };
    text.split('`').enumerate().map(part).collect_view().into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code_and_stays_text() {
        let html = |text: &str| view! { <p><Words text /></p> }.to_html();
        assert!(html("run `hostatlas import <b>` now").contains("<code>hostatlas import &lt;b&gt;</code>"));
        assert!(!html("one ` alone").contains("<code>"));
    }
}
