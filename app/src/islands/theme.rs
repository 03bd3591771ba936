use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::{
    browser::{self, THEME},
    components::Icon,
};

/// The next choice after what is set: the system's, light, dark.
fn next(current: Option<&str>) -> Option<&'static str> {
    match current {
        None => Some("light"),
        Some("light") => Some("dark"),
        _ => None,
    }
}

/// Switches between the system's theme, light and dark. A cookie keeps the choice, so that the server renders it and
/// no page flashes.
#[island]
pub fn ThemeToggle() -> impl IntoView {
    let label = RwSignal::new("Theme".to_owned());
    let show = move |theme: Option<&str>| label.set(format!("Theme: {}", theme.unwrap_or("system")));
    Effect::new(move |_| {
        let set = browser::document().document_element().and_then(|root| root.get_attribute("data-theme"));
        show(set.as_deref());
    });
    let switch = move |_| {
        let Some(root) = browser::document().document_element() else { return };
        let chosen = next(root.get_attribute("data-theme").as_deref());
        let (value, age) = if let Some(theme) = chosen {
            let _ = root.set_attribute("data-theme", theme);
            (theme, 31_536_000)
        } else {
            let _ = root.remove_attribute("data-theme");
            ("", 0)
        };
        let document: web_sys::HtmlDocument = browser::document().unchecked_into();
        let _ = document.set_cookie(&format!("theme={value}; path=/; max-age={age}; samesite=strict"));
        show(chosen);
        browser::announce(THEME);
    };
    view! {
        <button type="button" class="btn btn--icon btn--quiet needs-script" aria-label=label title=label on:click=switch>
            <Icon name="theme" />
        </button>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_clicks_lead_back_to_the_systems_theme() {
        assert_eq!(
            [next(None), next(Some("light")), next(Some("dark"))],
            [Some("light"), Some("dark"), None]
        );
    }
}
