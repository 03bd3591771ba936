use hostatlas_domain::{CountryCoverage, Coverage, UnlocatedReason, query_terms};
use leptos::prelude::*;

use crate::{
    components::Icon,
    format::{address, grouped, share},
};

/// Countries that are offered; the page on coverage has them all.
const MOST_COUNTRIES: usize = 8;

/// One way to narrow the list.
struct Choice {
    word: String,
    icon: Option<&'static str>,
    term: String,
    hosts: u64,
}

/// Ways to narrow the list, with counts that are kept anyway: those of all hosts.
#[component]
pub fn Facets(coverage: Coverage, countries: Vec<CountryCoverage>, q: String) -> impl IntoView {
    let state = |icon, word: &str, state: &str, hosts| Choice {
        word: word.to_owned(),
        icon: Some(icon),
        term: format!("state:{state}"),
        hosts,
    };
    let states = vec![
        state("located", "Located", "located", coverage.located),
        state("stale", "Stale", "stale", coverage.stale),
        state("pending", "Pending", "pending", coverage.pending),
        state("unlocated", "Unlocated", "unlocated", coverage.unlocated),
        state("na", "Not applicable", "not_applicable", coverage.not_applicable),
    ];
    let known = countries.iter().filter_map(|country| {
        let code = country.country_code.as_ref()?;
        Some(Choice {
            word: country.country.clone().unwrap_or_else(|| code.clone()),
            icon: None,
            term: format!("country:{code}"),
            hosts: country.hosts,
        })
    });
    let shown: Vec<_> = known.take(MOST_COUNTRIES).collect();
    let more = countries.len().saturating_sub(shown.len());
    let reasons = UnlocatedReason::ALL.into_iter().map(|reason| Choice {
        word: reason.label().to_owned(),
        icon: None,
        term: format!("reason:{}", reason.slug()),
        hosts: coverage.unlocated_reasons.get(reason.slug()).copied().unwrap_or(0),
    });
    let reasons: Vec<_> = reasons.filter(|reason| reason.hosts > 0).collect();
    // One provider for all is no choice.
    let mut providers: Vec<_> = coverage.providers.iter().filter(|(_, hosts)| **hosts > 0).collect();
    providers.sort_by_key(|(name, hosts)| (std::cmp::Reverse(**hosts), (*name).clone()));
    let providers: Vec<_> = providers
        .into_iter()
        .map(|(name, hosts)| Choice {
            word: name.clone(),
            icon: None,
            term: format!("provider:{name}"),
            hosts: *hosts,
        })
        .collect();
    let (no_country, no_reason) = (shown.is_empty(), reasons.is_empty());
    let one_provider = providers.len() < 2 && !q.contains("provider:");
    // A host is in one state and one country, so a choice takes the place of the one before.
    let of_state = ["state", "reason"];
    view! {
        <div class="facets only-wide" role="group" aria-label="Facets">
            <section class="facet">
                <h2>"Location state, all hosts"</h2>
                <ul id="facet-states" data-live>
                    {choices(states, &q, &of_state)}
                </ul>
            </section>
            <section class="facet" id="facet-countries" data-live hidden=no_country>
                <h2>"Country, all hosts"</h2>
                <ul>
                    {choices(shown, &q, &["country"])}
                </ul>
                {(more > 0)
                    .then(|| {
                        view! {
                            <a class="more" href="/coverage">
                                {format!("{} more", grouped(u64::try_from(more).unwrap_or(0)))}
                            </a>
                        }
                    })}
            </section>
            <section class="facet" id="facet-providers" data-live hidden=one_provider>
                <h2>"Located by, all hosts"</h2>
                <ul>
                    {choices(providers, &q, &["provider"])}
                </ul>
            </section>
            <section class="facet" id="facet-reasons" data-live hidden=no_reason>
                <h2>"Unlocated because, all hosts"</h2>
                <ul>
                    {choices(reasons, &q, &of_state)}
                </ul>
            </section>
        </div>
    }
}

fn choices(choices: Vec<Choice>, q: &str, replaced: &[&str]) -> impl IntoView + use<> {
    let most = choices.iter().map(|choice| choice.hosts).max().unwrap_or(0);
    let link = |choice: Choice| {
        let Choice { word, icon, term, hosts } = choice;
        let (target, current) = toggled(q, &term, replaced);
        let (bar, title) = (format!("--v:{:.1}", share(hosts, most)), word.clone());
        view! {
            <li>
                <a href=address("/hosts", &[("q", &target)]) aria-current=current.then_some("true") style=bar>
                    <span title=title>
                        {icon.map(|icon| view! { <Icon name=icon small=true /> " " })}
                        {word}
                    </span>
                    <span class="n">{grouped(hosts)}</span>
                </a>
            </li>
        }
    };
    choices.into_iter().map(link).collect_view()
}

/// `q` with `term` instead of its terms of these fields, or without `term` if it has it; and whether it does.
fn toggled(q: &str, term: &str, replaced: &[&str]) -> (String, bool) {
    let terms = query_terms(q);
    if let Some(held) = terms.iter().find(|held| held.text == term) {
        return (held.without.clone(), true);
    }
    let stays = |field: &Option<String>| field.as_deref().is_none_or(|field| !replaced.contains(&field));
    let mut words: Vec<&str> =
        terms.iter().filter(|term| stays(&term.field)).map(|term| term.text.as_str()).collect();
    words.push(term);
    (words.join(" "), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_narrows_the_query_replaces_its_own_kind_and_is_taken_back() {
        let query = "port:443 country:DE";
        assert_eq!(
            toggled(query, "state:stale", &["state"]),
            ("port:443 country:DE state:stale".into(), false)
        );
        assert_eq!(toggled(query, "country:FR", &["country"]), ("port:443 country:FR".into(), false));
        assert_eq!(toggled(query, "country:DE", &["country"]), ("port:443".into(), true));
    }
}
