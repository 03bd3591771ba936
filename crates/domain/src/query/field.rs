//! What each field of a query asks of a host, and what a word without a field does.

use ipnet::IpNet;

use super::{HostFilter, InvalidQuery, term::Term};
use crate::{
    Address, Asn, CountryCode, ImportId, LocationState, PlaceId, ProviderName, UnlocatedReason, sanitize,
};

pub(super) const HINT: &str = "fields are ip, net, country, city, port, asn, org, state, reason, provider, place and import, as in `country:DE port:443`";

/// Adds to a filter what a term asks for.
pub(super) fn add(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let Some(field) = &term.field else {
        return add_word(filter, term);
    };
    match field.as_str() {
        "ip" | "net" | "cidr" | "address" => add_range(filter, term),
        "country" => add_countries(filter, term),
        "city" => once_option(term, &mut filter.city, term.value.clone()),
        "port" => {
            let ports = term.parse_list()?;
            once(term, &mut filter.ports, ports)
        }
        "asn" => {
            let asns = term.parse_list()?;
            once(term, &mut filter.asns, asns)
        }
        "org" | "organization" => once_option(term, &mut filter.organization, term.value.clone()),
        "state" => add_state(filter, term),
        "reason" => add_reason(filter, term),
        "provider" => add_provider(filter, term),
        "place" => {
            let id = term.parse()?;
            once_option(term, &mut filter.place, PlaceId(id))
        }
        "import" => {
            let id = term.parse()?;
            once_option(term, &mut filter.import, ImportId(id))
        }
        other if other.starts_with('-') => Err(InvalidQuery::NotSupported {
            term: sanitize(&term.text, 80),
            hint: "terms cannot be excluded yet: leave the `-` out".to_owned(),
        }),
        _ => Err(InvalidQuery::NotSupported { term: sanitize(&term.text, 80), hint: HINT.to_owned() }),
    }
}

fn add_word(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let word = &term.value;
    if word.parse::<Address>().is_ok() || word.parse::<IpNet>().is_ok() {
        return add_range(filter, term);
    }
    if word.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("as")) && word.parse::<Asn>().is_ok() {
        let asn = term.parse()?;
        return once(term, &mut filter.asns, vec![asn]);
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        let port = term.parse()?;
        return once(term, &mut filter.ports, vec![port]);
    }
    if word.starts_with('-') {
        return Err(InvalidQuery::NotSupported {
            term: sanitize(word, 80),
            hint: "words cannot be excluded yet: leave the `-` out".to_owned(),
        });
    }
    filter.words.push(word.clone());
    Ok(())
}

fn add_range(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let range = match term.value.parse::<Address>() {
        Ok(address) => IpNet::from(address.ip()),
        Err(_) => term
            .value
            .parse::<IpNet>()
            .map_err(|_| term.value_error("not an address or a block such as 192.0.2.0/24"))?
            .trunc(),
    };
    let range = match filter.range {
        None => range,
        Some(wider) if wider.contains(&range) => range,
        Some(narrower) if range.contains(&narrower) => narrower,
        Some(_) => {
            return Err(InvalidQuery::NotSupported {
                term: sanitize(&term.text, 80),
                hint: "two blocks that do not overlap match nothing: keep one".to_owned(),
            });
        }
    };
    filter.range = Some(range);
    Ok(())
}

fn add_countries(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let country = |text: &str| {
        let country = text.parse::<CountryCode>().ok().or_else(|| CountryCode::from_name(text));
        country.ok_or_else(|| {
            term.value_error(format!("`{text}` is not a country: use a name or a code such as DE"))
        })
    };
    let countries = term.value.split(',').map(|text| country(text.trim())).collect::<Result<_, _>>()?;
    once(term, &mut filter.countries, countries)
}

fn add_state(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    if term.value == "stale" {
        filter.stale = true;
        return Ok(());
    }
    let state = LocationState::ALL.into_iter().find(|state| state.slug() == term.value);
    let state =
        state.ok_or_else(|| term.value_error("use pending, located, stale, unlocated or not_applicable"))?;
    once_option(term, &mut filter.state, state)
}

fn add_reason(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let reason = UnlocatedReason::ALL.into_iter().find(|reason| reason.slug() == term.value);
    let known = || UnlocatedReason::ALL.map(UnlocatedReason::slug).join(", ");
    let reason = reason.ok_or_else(|| term.value_error(format!("use one of {}", known())))?;
    once_option(term, &mut filter.reason, reason)
}

fn add_provider(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let known = || ProviderName::ALL.map(ProviderName::name).join(", ");
    let provider = ProviderName::ALL.into_iter().find(|provider| provider.name() == term.value);
    let provider = provider.ok_or_else(|| term.value_error(format!("use one of {}", known())))?;
    once_option(term, &mut filter.provider, provider)
}

/// A field that is given twice would have to hold twice; no host is in two countries, so that is a mistake to show.
fn twice(term: &Term) -> InvalidQuery {
    InvalidQuery::NotSupported {
        term: sanitize(&term.text, 80),
        hint: "this field is given twice: join alternatives with a comma, as in `port:80,443`".to_owned(),
    }
}

fn once<T>(term: &Term, slot: &mut Vec<T>, values: Vec<T>) -> Result<(), InvalidQuery> {
    if !slot.is_empty() {
        return Err(twice(term));
    }
    *slot = values;
    Ok(())
}

fn once_option<T>(term: &Term, slot: &mut Option<T>, value: T) -> Result<(), InvalidQuery> {
    if slot.is_some() {
        return Err(twice(term));
    }
    *slot = Some(value);
    Ok(())
}
