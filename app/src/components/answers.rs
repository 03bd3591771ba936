use hostatlas_domain::{HostAnswer, LookupStatus, LookupView, Precision, Timestamp, UnlocatedReason};
use leptos::prelude::*;

use super::{Ago, Badge, Column, DataTable};
use crate::format::{NBSP, duration, kilometres};

/// Farther apart than a city and its surroundings, two answers are not the same place said twice.
const SAME_PLACE_KM: f64 = 60.0;

/// Whether an answer contradicts the chosen one: it is farther away than both are inaccurate. A point that stands for a
/// region or a country contradicts nothing.
pub fn disagrees(one: &HostAnswer, chosen: Option<&HostAnswer>) -> bool {
    let radius = |answer: &HostAnswer| answer.answer.accuracy_km.map_or(0.0, f64::from);
    let slack = radius(one) + chosen.map_or(0.0, radius);
    !one.chosen
        && one.answer.precision == Some(Precision::City)
        && chosen.is_some_and(|chosen| chosen.answer.precision == Some(Precision::City))
        && one.distance_km.is_some_and(|distance| distance > SAME_PLACE_KM.max(slack))
}

/// `1 of 4 disagrees by 187 km`, where some do.
pub fn disagreement(answers: &[HostAnswer]) -> Option<String> {
    let chosen = answers.iter().find(|answer| answer.chosen);
    let others: Vec<f64> =
        answers.iter().filter(|one| disagrees(one, chosen)).filter_map(|one| one.distance_km).collect();
    let most = others.iter().copied().max_by(f64::total_cmp)?;
    let verb = if others.len() == 1 { "disagrees" } else { "disagree" };
    let placed = answers.iter().filter(|one| one.answer.status == LookupStatus::Located).count();
    Some(format!("{} of {placed} {verb} by {}", others.len(), kilometres(most)))
}

/// What each provider says of one host, side by side; the chosen answer is tinted and marked.
#[component]
pub fn AnswersTable(
    /// The answers, the chosen one first.
    answers: Vec<HostAnswer>,
    /// Now.
    now: Timestamp,
) -> impl IntoView {
    let chosen = answers.iter().find(|answer| answer.chosen).cloned();
    let row = move |one: HostAnswer| {
        let far = disagrees(&one, chosen.as_ref());
        let HostAnswer { answer, answered_at, chosen, distance_km } = one;
        let away = distance_km.map(kilometres);
        let away = if far { away.map(warned).into_any() } else { away.into_any() };
        let mark = chosen.then(|| {
            view! {
                <svg class="icon icon--sm" viewBox="0 0 16 16" role="img" aria-label="Chosen">
                    <use href="#i-located" />
                </svg>
                " "
            }
        });
        let provider = answer.provider.clone().unwrap_or_default();
        let source = source(&answer);
        view! {
            <tr class=chosen.then_some("chosen")>
                <th scope="row">{mark} <span class="mono">{provider}</span></th>
                <td data-label="Says" class="wrap">
                    <Says answer=answer.clone() />
                </td>
                <td data-label="Known to" class="sub">
                    {answer.precision.map(Precision::slug)}
                </td>
                <td data-label="Away" class="num">
                    {away}
                </td>
                <td data-label="Within" class="num">
                    {answer.accuracy_km.map(|kilometres| format!("{kilometres}{NBSP}km"))}
                </td>
                <td data-label="Build" class="sub">
                    {source}
                </td>
                <td data-label="Asked" class="num sub">
                    {answered_at.map_or_else(|| "now".into_any(), |at| view! { <Ago at now /> }.into_any())}
                </td>
            </tr>
        }
    };
    let columns = vec![
        Column::text("Provider"),
        Column::text("Says"),
        Column::text("Known to"),
        Column::number("Away"),
        Column::number("Within"),
        Column::text("Build"),
        Column::number("Asked"),
    ];
    view! {
        <DataTable caption="What each provider says" columns class="table--records provs" scrolls="Provider answers">
            {answers.into_iter().map(row).collect_view()}
        </DataTable>
    }
}

fn warned(text: String) -> impl IntoView {
    view! { <Badge tone="warn" icon="warn" word=text /> }
}

/// From when an answer is: the build of a database, or that somebody was asked.
fn source(answer: &LookupView) -> String {
    match (answer.database_build, answer.provider.as_deref()) {
        (Some(build), _) => build.to_date(),
        (None, Some("manual")) => "by a person".to_owned(),
        (None, Some("site")) => "a site".to_owned(),
        (None, Some("mmdb")) => String::new(),
        _ => "online".to_owned(),
    }
}

/// An answer in words: the place, or why there is none.
#[component]
pub fn Says(
    /// The answer.
    answer: LookupView,
) -> impl IntoView {
    let reason = || {
        let slug = answer.reason.clone().unwrap_or_default();
        let known = UnlocatedReason::ALL.into_iter().find(|reason| reason.slug() == slug);
        known.map_or(slug, |reason| reason.label().to_owned())
    };
    let badge = |tone: &'static str, icon: &'static str, word: String| {
        view! { <Badge tone icon word long=true /> }.into_any()
    };
    match answer.status {
        LookupStatus::Located => {
            let names: Vec<&str> =
                [answer.city.as_deref(), answer.region.as_deref()].into_iter().flatten().collect();
            let country = answer.country.as_deref().unwrap_or("an unnamed place");
            let name = match answer.precision {
                Some(Precision::Country) => format!("{country}, country only"),
                Some(Precision::Region) => {
                    format!("{}, region only", answer.region.as_deref().unwrap_or(country))
                }
                _ if names.is_empty() => country.to_owned(),
                _ => names.join(", "),
            };
            view! { {answer.country_code.clone().map(|code| view! { <span class="cc">{code}</span> " " })} {name} }
                .into_any()
        }
        LookupStatus::Miss => badge("mute", "unlocated", "Knows no place".to_owned()),
        LookupStatus::Failed => badge("bad", "discarded", reason()),
        LookupStatus::NotApplicable => badge("mute", "na", "Has no place".to_owned()),
        LookupStatus::Deferred => badge("warn", "scheduled", reason()),
    }
}

/// How long a lookup took: `8 µs`, `120 ms`, `1.9 s`.
pub fn took(time: std::time::Duration) -> String {
    if time.as_micros() < 1_000 {
        format!("{}{NBSP}µs", time.as_micros())
    } else if time.as_millis() < 1_000 {
        format!("{}{NBSP}ms", time.as_millis())
    } else {
        duration(time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(precision: Precision, accuracy_km: Option<u16>, distance_km: f64, chosen: bool) -> HostAnswer {
        let view =
            LookupView::without_place("8.8.8.8".parse().expect("an address"), LookupStatus::Located, None);
        let answer = LookupView { precision: Some(precision), accuracy_km, ..view };
        HostAnswer { answer, answered_at: None, chosen, distance_km: Some(distance_km) }
    }

    #[test]
    fn only_cities_farther_apart_than_their_radii_contradict_each_other() {
        let chosen = answer(Precision::City, Some(50), 0.0, true);
        let said = |others: Vec<HostAnswer>| disagreement(&[vec![chosen.clone()], others].concat());
        assert_eq!(said(vec![answer(Precision::City, Some(20), 59.0, false)]), None);
        assert_eq!(said(vec![answer(Precision::City, Some(100), 149.0, false)]), None);
        assert_eq!(said(vec![answer(Precision::Country, None, 900.0, false)]), None);
        assert_eq!(
            said(vec![
                answer(Precision::City, Some(20), 187.2, false),
                answer(Precision::City, None, 3.0, false)
            ]),
            Some("1 of 3 disagrees by 187\u{a0}km".to_owned())
        );
    }
}
