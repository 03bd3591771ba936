use hostatlas_domain::{LookupView, Precision};

/// `Frankfurt am Main, Germany`
pub fn position_name(answer: &LookupView) -> String {
    let finest = answer.city.as_deref().or(answer.region.as_deref());
    match (finest, answer.country.as_deref()) {
        (Some(finest), Some(country)) => format!("{finest}, {country}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "an unnamed place".to_owned(),
    }
}

/// How sure a position is, in words.
pub fn position_accuracy(answer: &LookupView) -> String {
    match (answer.precision, answer.accuracy_km) {
        (Some(Precision::Country), _) => "country known, place not".to_owned(),
        (Some(Precision::Region), _) => "region known, city not".to_owned(),
        (_, Some(kilometres)) => format!("within {kilometres}\u{a0}km"),
        _ => "radius not given".to_owned(),
    }
}
