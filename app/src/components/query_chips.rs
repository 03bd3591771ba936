use hostatlas_domain::{QueryTerm, query_terms};
use leptos::prelude::*;

use super::Icon;
use crate::format::address;

/// What a query was understood as: its terms, each with a link to the query without it.
#[component]
pub fn QueryChips(
    /// The query.
    q: String,
    /// The page that searches.
    path: &'static str,
) -> impl IntoView {
    let terms = query_terms(&q);
    (!terms.is_empty()).then(|| {
        view! {
            <ul class="chips chips--query" aria-label="Terms of the query">
                {terms.into_iter().map(|term| chip(term, path)).collect_view()}
            </ul>
        }
    })
}

fn chip(term: QueryTerm, path: &str) -> impl IntoView + use<> {
    let QueryTerm { text, field, value, understood, without } = term;
    let remove = format!("Remove {text}");
    view! {
        <li class="chip" class=("chip--bad", !understood)>
            {(!understood)
                .then(|| {
                    view! {
                        <Icon name="warn" small=true />
                        <span class="visually-hidden">"Not understood: "</span>
                    }
                })}
            {field.map(|field| view! { <i>{field} ":"</i> })}
            <b>{value}</b>
            <a href=address(path, &[("q", &without)]) aria-label=remove.clone() title=remove>
                <Icon name="close" small=true />
            </a>
        </li>
    }
}
