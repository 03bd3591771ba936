use hostatlas_domain::{CountryCode, LocationState, UnlocatedReason, query_terms};
use hostatlas_services::{HostCount, HostFacets, Hosts};
use leptos::prelude::*;

use crate::{
    ApiError,
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

/// What the facets of one kind count: the hosts that match the rest of the query.
pub struct Counted {
    /// The query without the terms whose place a choice takes.
    q: String,
    facets: HostFacets,
}

/// What all facets count.
pub struct FacetCounts {
    by_query: Vec<Counted>,
}

/// The fields of which a host has one value each, so that a choice takes the place of the one before.
const OF_STATE: [&str; 2] = ["state", "reason"];
const OF_COUNTRY: [&str; 1] = ["country"];
const OF_PROVIDER: [&str; 1] = ["provider"];

impl FacetCounts {
    /// Counts the first `cap` hosts for each kind: once for all kinds that the query has no term of.
    pub async fn of(hosts: &Hosts, q: &str, cap: u32) -> Result<Self, ApiError> {
        let mut by_query: Vec<Counted> = Vec::new();
        for replaced in [&OF_STATE[..], &OF_COUNTRY, &OF_PROVIDER] {
            let rest = without(q, replaced);
            if by_query.iter().all(|counted| counted.q != rest) {
                let facets = hosts.facets(&rest, cap).await?;
                by_query.push(Counted { q: rest, facets });
            }
        }
        Ok(Self { by_query })
    }

    /// How many hosts match the whole query, if a facet has counted those.
    pub fn matching(&self, q: &str) -> Option<HostCount> {
        let whole = without(q, &[]);
        self.by_query.iter().find(|counted| counted.q == whole).map(|counted| counted.facets.counted)
    }

    fn kind(&self, q: &str, replaced: &[&str]) -> &Counted {
        let rest = without(q, replaced);
        // `of` has counted each kind; the first is there in any case.
        self.by_query.iter().find(|counted| counted.q == rest).unwrap_or(&self.by_query[0])
    }
}

/// Ways to narrow the list, each with how many hosts it leads to.
#[component]
pub fn Facets(counts: FacetCounts, q: String) -> impl IntoView {
    let of_state = counts.kind(&q, &OF_STATE);
    let of_country = counts.kind(&q, &OF_COUNTRY);
    let of_provider = counts.kind(&q, &OF_PROVIDER);
    // What leads to no host is no choice, unless it is the one that was made. Of all hosts every state has its line.
    let offered = |counted: &Counted, choice: &Choice| {
        counted.q.is_empty() || choice.hosts > 0 || toggled(&q, &choice.term, &[]).1
    };
    let states: Vec<_> = states(&of_state.facets);
    let states: Vec<_> = states.into_iter().filter(|choice| offered(of_state, choice)).collect();
    let countries: Vec<_> = of_country.facets.countries.iter().take(MOST_COUNTRIES).map(country).collect();
    let more = of_country.facets.countries.len().saturating_sub(countries.len());
    let reasons = UnlocatedReason::ALL.into_iter().map(|reason| reason_choice(&of_state.facets, reason));
    let reasons: Vec<_> = reasons.filter(|reason| reason.hosts > 0).collect();
    let providers = providers(&of_provider.facets);
    let (no_country, no_reason) = (countries.is_empty(), reasons.is_empty());
    // One provider for all is no choice.
    let one_provider = providers.len() < 2 && !q.contains("provider:");
    let more = (more > 0).then(|| rest(more, of_country.q.is_empty()));
    view! {
        <div class="facets only-wide" role="group" aria-label="Facets">
            <section class="facet" id="facet-states" data-live>
                <FacetHead title="Location state" counted=of_state />
                <ul>{choices(states, &q, &OF_STATE, of_state)}</ul>
            </section>
            <section class="facet" id="facet-countries" data-live hidden=no_country>
                <FacetHead title="Country" counted=of_country />
                <ul>{choices(countries, &q, &OF_COUNTRY, of_country)}</ul>
                {more}
            </section>
            <section class="facet" id="facet-providers" data-live hidden=one_provider>
                <FacetHead title="Located by" counted=of_provider />
                <ul>{choices(providers, &q, &OF_PROVIDER, of_provider)}</ul>
            </section>
            <section class="facet" id="facet-reasons" data-live hidden=no_reason>
                <FacetHead title="Unlocated because" counted=of_state />
                <ul>{choices(reasons, &q, &OF_STATE, of_state)}</ul>
            </section>
        </div>
    }
}

/// What a facet narrows by, and which hosts it counts.
#[component]
fn FacetHead<'a>(title: &'static str, counted: &'a Counted) -> impl IntoView + use<> {
    view! {
        <h2>
            {title}
            <small title=counted.q.clone()>{whose(counted)}</small>
        </h2>
    }
}

/// Which hosts are counted.
fn whose(counted: &Counted) -> String {
    let hosts = grouped(counted.facets.counted.hosts);
    match (counted.q.is_empty(), counted.facets.counted.exact) {
        (true, _) => "of all hosts".to_owned(),
        (false, true) => format!("of {hosts} that match"),
        (false, false) if counted.facets.counted.hosts == 0 => "none found so far".to_owned(),
        (false, false) => format!("of the first {hosts}"),
    }
}

fn states(facets: &HostFacets) -> Vec<Choice> {
    let of = |icon, word: &str, state: &str, hosts: Option<u64>| Choice {
        word: word.to_owned(),
        icon: Some(icon),
        term: format!("state:{state}"),
        hosts: hosts.unwrap_or(0),
    };
    let count = |state: LocationState| facets.states.get(state.slug()).copied();
    vec![
        of("located", "Located", "located", count(LocationState::Located)),
        of("stale", "Stale", "stale", Some(facets.stale)),
        of("pending", "Pending", "pending", count(LocationState::Pending)),
        of("unlocated", "Unlocated", "unlocated", count(LocationState::Unlocated)),
        of("na", "Not applicable", "not_applicable", count(LocationState::NotApplicable)),
    ]
}

fn country((code, hosts): &(CountryCode, u64)) -> Choice {
    Choice { word: code.name().to_owned(), icon: None, term: format!("country:{code}"), hosts: *hosts }
}

fn reason_choice(facets: &HostFacets, reason: UnlocatedReason) -> Choice {
    Choice {
        word: reason.label().to_owned(),
        icon: None,
        term: format!("reason:{}", reason.slug()),
        hosts: facets.reasons.get(reason.slug()).copied().unwrap_or(0),
    }
}

/// Most hosts first.
fn providers(facets: &HostFacets) -> Vec<Choice> {
    let mut providers: Vec<_> = facets.providers.iter().filter(|(_, hosts)| **hosts > 0).collect();
    providers.sort_by_key(|(name, hosts)| (std::cmp::Reverse(**hosts), (*name).clone()));
    let choice = |(name, hosts): (&String, &u64)| Choice {
        word: name.clone(),
        icon: None,
        term: format!("provider:{name}"),
        hosts: *hosts,
    };
    providers.into_iter().map(choice).collect()
}

/// The countries that are not offered. Those of all hosts are on the coverage page.
fn rest(more: usize, of_all: bool) -> AnyView {
    let words = format!("{} more", grouped(u64::try_from(more).unwrap_or(0)));
    if of_all {
        view! {
            <a class="more" href="/coverage#countries-head">
                {words}
            </a>
        }
        .into_any()
    } else {
        view! { <p class="more">{words}</p> }.into_any()
    }
}

fn choices(choices: Vec<Choice>, q: &str, replaced: &[&str], counted: &Counted) -> impl IntoView + use<> {
    // A count that did not come to its end is said to be one: there may be more.
    let over = if counted.facets.counted.exact { "" } else { "+" };
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
                    <span class="n">{grouped(hosts)} {over}</span>
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
    let rest = without(q, replaced);
    (if rest.is_empty() { term.to_owned() } else { format!("{rest} {term}") }, false)
}

/// `q` without its terms of these fields.
fn without(q: &str, fields: &[&str]) -> String {
    let terms = query_terms(q);
    let stays = |field: &Option<String>| field.as_deref().is_none_or(|field| !fields.contains(&field));
    let words: Vec<&str> =
        terms.iter().filter(|term| stays(&term.field)).map(|term| term.text.as_str()).collect();
    words.join(" ")
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
