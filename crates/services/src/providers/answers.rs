use std::sync::Arc;

use hostatlas_domain::{
    Coordinate, Host, HostAnswer, HostAnswers, Located, LookupStatus, LookupView, ProviderAnswerStatus,
    ProviderName,
};
use hostatlas_geolocation::Lookup;
use hostatlas_store::StoredAnswer;

use crate::{Error, Services, geolocate::view};

/// Which of several answers about one address counts: of those with the finest precision (city before region before
/// country), that of the provider that comes first in the configured order.
///
/// Distances play no part: two providers that copy the same mistake would outvote one that is right. The other answers
/// are kept and shown beside the one that counts, with how far they are from it.
pub fn consensus<'a>(
    order: &[ProviderName],
    answers: impl IntoIterator<Item = (ProviderName, &'a Arc<Located>)>,
) -> Option<&'a Arc<Located>> {
    let rank = |provider: ProviderName| {
        order.iter().position(|configured| *configured == provider).unwrap_or(order.len())
    };
    let best = answers
        .into_iter()
        .min_by_key(|(provider, located)| (located.place.precision.number(), rank(*provider)));
    best.map(|(_, located)| located)
}

/// What is known of a host, side by side; `more` are answers that are nowhere kept.
pub(super) async fn of_host(
    services: &Services,
    host: &Host,
    more: Vec<LookupView>,
) -> Result<HostAnswers, Error> {
    let stored = services.store().answers_get(vec![host.ip]).await?;
    let mut others: Vec<HostAnswer> = Vec::new();
    if services.config().providers.contains(&ProviderName::Mmdb) && host.address_class.is_public() {
        let lookups = services.locator().locate_sorted(&[host.ip]);
        others.extend(lookups.first().map(|lookup| of_databases(host, lookup)));
    }
    others.extend(stored.into_iter().map(|stored| of_ledger(host, stored)));
    others.extend(more.into_iter().map(|answer| not_chosen(answer, None)));
    Ok(assemble(host, others, &services.config().providers))
}

fn of_databases(host: &Host, lookup: &Lookup) -> HostAnswer {
    let mut answer = view(host.ip, lookup);
    answer.provider = Some(ProviderName::Mmdb.name().to_owned());
    not_chosen(answer, None)
}

fn of_ledger(host: &Host, stored: StoredAnswer) -> HostAnswer {
    let answered_at = Some(stored.answer.answered_at);
    let mut answer = match stored.answer.status {
        ProviderAnswerStatus::Located(location) => LookupView::located(host.ip, &location),
        ProviderAnswerStatus::Miss(reason) => {
            LookupView::without_place(host.ip, LookupStatus::Miss, Some(reason.slug().to_owned()))
        }
    };
    answer.provider = Some(stored.answer.provider.name().to_owned());
    HostAnswer { answered_at, ..not_chosen(answer, None) }
}

const fn not_chosen(answer: LookupView, distance_km: Option<f64>) -> HostAnswer {
    HostAnswer { answer, answered_at: None, chosen: false, distance_km }
}

/// The location that the host has first, then the others from near to far, then those without a place.
fn assemble(host: &Host, others: Vec<HostAnswer>, order: &[ProviderName]) -> HostAnswers {
    let chosen = host.location.as_ref();
    let chosen_at = chosen.and_then(|location| point(&location.answer));
    let mut answers: Vec<HostAnswer> = Vec::with_capacity(others.len() + 1);
    for mut other in others {
        // The host's own location is shown once; a newer answer of the same provider that differs is news.
        let same = chosen.is_some_and(|location| {
            location.answer.provider == other.answer.provider && chosen_at == point(&other.answer)
        });
        if same {
            continue;
        }
        other.distance_km = chosen_at.zip(point(&other.answer)).map(|(from, to)| from.distance_km(to));
        answers.push(other);
    }
    let rank = |answer: &HostAnswer| {
        let name = answer.answer.provider.as_deref();
        order.iter().position(|provider| Some(provider.name()) == name).unwrap_or(order.len())
    };
    answers.sort_by(|left, right| {
        let distance = |answer: &HostAnswer| answer.distance_km.unwrap_or(f64::INFINITY);
        let place = |answer: &HostAnswer| answer.answer.status != LookupStatus::Located;
        distance(left)
            .total_cmp(&distance(right))
            .then(place(left).cmp(&place(right)))
            .then(rank(left).cmp(&rank(right)))
    });
    if let Some(location) = chosen {
        let first = HostAnswer {
            answer: location.answer.clone(),
            answered_at: location.located_at,
            chosen: true,
            distance_km: chosen_at.map(|_| 0.0),
        };
        answers.insert(0, first);
    }
    HostAnswers { pinned: host.pinned, spread_km: spread(&answers), answers }
}

fn point(answer: &LookupView) -> Option<Coordinate> {
    Coordinate::new(answer.latitude?, answer.longitude?).ok()
}

fn spread(answers: &[HostAnswer]) -> Option<f64> {
    let points: Vec<Coordinate> = answers.iter().filter_map(|answer| point(&answer.answer)).collect();
    let pairs = points
        .iter()
        .enumerate()
        .flat_map(|(index, from)| points[index + 1..].iter().map(|to| from.distance_km(*to)));
    pairs.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::{
        AddressClass, HostLocation, LocationState, Network, Place, PlaceId, Precision, Timestamp,
    };

    use super::*;

    fn located(latitude: f64, precision: Precision, provider: ProviderName) -> Arc<Located> {
        let coordinate = Coordinate::new(latitude, 8.0).expect("on earth");
        Arc::new(Located {
            place: Place { coordinate, precision, city: None, region: None, country: None },
            network: Network::default(),
            timezone: None,
            provider,
            accuracy_km: None,
            database_build: None,
        })
    }

    fn answer(latitude: f64, provider: ProviderName) -> LookupView {
        let found = located(latitude, Precision::City, provider);
        view("8.8.8.8".parse().expect("an address"), &Lookup::Located(found))
    }

    fn host(location: Option<LookupView>) -> Host {
        let located_at = Timestamp::from_secs(7);
        Host {
            ip: "8.8.8.8".parse().expect("an address"),
            first_seen: located_at,
            last_seen: located_at,
            location_state: LocationState::Pending,
            unlocated_reason: None,
            address_class: AddressClass::Public,
            location: location.map(|answer| HostLocation {
                answer,
                located_at: Some(located_at),
                place_id: PlaceId(1),
            }),
            pinned: false,
            attempted_at: None,
            stale: false,
            services: Vec::new(),
            first_import: None,
            last_import: None,
        }
    }

    const ORDER: [ProviderName; 3] = [ProviderName::Mmdb, ProviderName::IpApi, ProviderName::Ipinfo];

    #[test]
    fn the_finest_answer_counts_and_among_equals_the_first_provider() {
        let country = located(1.0, Precision::Country, ProviderName::Mmdb);
        let city = located(2.0, Precision::City, ProviderName::IpApi);
        let other_city = located(3.0, Precision::City, ProviderName::Ipinfo);
        let all = [
            (ProviderName::Ipinfo, &other_city),
            (ProviderName::Mmdb, &country),
            (ProviderName::IpApi, &city),
        ];
        assert_eq!(consensus(&ORDER, all), Some(&city));
        assert_eq!(consensus(&ORDER, all[..2].iter().copied()), Some(&other_city));
        assert_eq!(consensus(&ORDER, all[1..2].iter().copied()), Some(&country));
        assert_eq!(consensus(&ORDER, []), None);
    }

    #[test]
    fn the_location_of_the_host_is_first_and_the_others_follow_by_distance() {
        let miss = LookupView {
            provider: Some("maxmind".to_owned()),
            ..LookupView::without_place("8.8.8.8".parse().expect("an address"), LookupStatus::Miss, None)
        };
        let others = vec![
            not_chosen(miss, None),
            not_chosen(answer(52.0, ProviderName::IpApi), None),
            not_chosen(answer(51.0, ProviderName::Ipinfo), None),
            not_chosen(answer(50.0, ProviderName::Mmdb), None),
        ];
        let all = assemble(&host(Some(answer(50.0, ProviderName::Mmdb))), others, &ORDER);
        let shown: Vec<_> = all
            .answers
            .iter()
            .map(|answer| {
                let kilometres = answer.distance_km.map(f64::round);
                (answer.answer.provider.as_deref().unwrap_or_default(), answer.chosen, kilometres)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("mmdb", true, Some(0.0)),
                ("ipinfo", false, Some(111.0)),
                ("ip-api", false, Some(222.0)),
                ("maxmind", false, None)
            ]
        );
        assert_eq!(all.spread_km.map(f64::round), Some(222.0));
    }

    #[test]
    fn a_host_without_a_place_has_answers_and_none_is_chosen() {
        let all = assemble(&host(None), vec![not_chosen(answer(52.0, ProviderName::IpApi), None)], &ORDER);
        assert!(!all.answers[0].chosen && all.answers[0].distance_km.is_none() && all.spread_km.is_none());
    }
}
