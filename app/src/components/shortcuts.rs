use leptos::prelude::*;

/// Keys, and what they do. The letters after `g` are those of `data-key` in the navigation.
const KEYS: [(&[&str], &str); 7] = [
    (&["/"], "Search hosts"),
    (&["g", "m"], "Map"),
    (&["g", "h"], "Hosts"),
    (&["g", "c"], "Coverage"),
    (&["g", "j"], "Jobs"),
    (&["g", "p"], "Providers"),
    (&["?"], "These shortcuts"),
];

/// Lists the shortcuts and turns them off; the island [`Shortcuts`](crate::islands::Shortcuts) opens it.
#[component]
pub fn ShortcutsDialog() -> impl IntoView {
    let row = |(keys, what): (&'static [&'static str], &'static str)| {
        let keys = keys.iter().map(|key| view! { <kbd class="kbd">{*key}</kbd> }).collect_view();
        view! {
            <div>
                <dt>{keys}</dt>
                <dd>{what}</dd>
            </div>
        }
    };
    view! {
        <dialog class="dialog" id="shortcuts" aria-labelledby="shortcuts-title">
            <div class="dialog__head">
                <h2 id="shortcuts-title">"Keyboard shortcuts"</h2>
            </div>
            <div class="dialog__body">
                <dl class="shortcuts">{KEYS.map(row).collect_view()}</dl>
                <label class="check-label">
                    <input class="check" type="checkbox" id="shortcuts-on" autocomplete="off" checked />
                    "Use these shortcuts in this browser"
                </label>
            </div>
            <form class="dialog__foot" method="dialog">
                <button class="btn">"Close"</button>
            </form>
        </dialog>
    }
}
