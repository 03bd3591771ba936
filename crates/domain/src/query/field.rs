//! What each field of a query asks of a host, and what a word without a field does.

use ipnet::IpNet;

use super::{HostFilter, InvalidQuery, term::Term};
use crate::{
    Address, Asn, CountryCode, ImportId, LocationState, PlaceId, ProviderName, UnlocatedReason, sanitize,
};

/// A field of the grammar, as help and hints list it.
#[derive(Clone, Copy, Debug)]
pub struct QueryField {
    /// What people write before the colon.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What it asks of a host.
    pub asks: &'static str,
    /// A term with it.
    pub example: &'static str,
    add: fn(&mut HostFilter, &Term) -> Result<(), InvalidQuery>,
}

/// Every field that a query knows, and the only list of them.
pub const QUERY_FIELDS: [QueryField; 11] = [
    QueryField {
        name: "net",
        aliases: &["ip", "address", "cidr"],
        asks: "an address, or a block of addresses",
        example: "net:192.0.2.0/24",
        add: add_range,
    },
    QueryField {
        name: "country",
        aliases: &[],
        asks: "countries by code or name",
        example: "country:DE,Austria",
        add: add_countries,
    },
    QueryField {
        name: "city",
        aliases: &[],
        asks: "the name of a city",
        example: "city:\"New York\"",
        add: |filter, term| once_option(term, &mut filter.city, term.value.clone()),
    },
    QueryField {
        name: "port",
        aliases: &[],
        asks: "an open port, 1 to 65535",
        example: "port:80,443",
        add: |filter, term| {
            let ports = term.parse_list()?;
            once(term, &mut filter.ports, ports)
        },
    },
    QueryField {
        name: "asn",
        aliases: &[],
        asks: "autonomous systems",
        example: "asn:AS15169",
        add: |filter, term| {
            let asns = term.parse_list()?;
            once(term, &mut filter.asns, asns)
        },
    },
    QueryField {
        name: "org",
        aliases: &["organization"],
        asks: "a part of the organization's name",
        example: "org:telekom",
        add: |filter, term| once_option(term, &mut filter.organization, term.value.clone()),
    },
    QueryField {
        name: "state",
        aliases: &[],
        asks: "pending, located, stale, unlocated or not_applicable",
        example: "state:stale",
        add: add_state,
    },
    QueryField {
        name: "reason",
        aliases: &[],
        asks: "why a host is unlocated",
        example: "reason:no_record",
        add: add_reason,
    },
    QueryField {
        name: "provider",
        aliases: &[],
        asks: "who located it",
        example: "provider:mmdb",
        add: add_provider,
    },
    QueryField {
        name: "place",
        aliases: &[],
        asks: "the id of a place",
        example: "place:17",
        add: |filter, term| {
            let id = term.id()?;
            once_option(term, &mut filter.place, PlaceId(id))
        },
    },
    QueryField {
        name: "import",
        aliases: &[],
        asks: "the import that first brought the host",
        example: "import:3",
        add: |filter, term| {
            let id = term.id()?;
            once_option(term, &mut filter.import, ImportId(id))
        },
    },
];

impl QueryField {
    fn named(name: &str) -> Option<&'static Self> {
        QUERY_FIELDS.iter().find(|field| field.name == name || field.aliases.contains(&name))
    }
}

/// What to do about a field that does not exist, or a value that does not fit.
pub(super) fn hint() -> String {
    let names = QUERY_FIELDS.map(|field| field.name).join(", ");
    format!("fields are {names}, as in `country:DE port:443`")
}

/// Adds to a filter what a term asks for.
pub(super) fn add(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let Some(name) = &term.field else {
        return add_word(filter, term);
    };
    if let Some(field) = QueryField::named(name) {
        return (field.add)(filter, term);
    }
    let hint = if name.starts_with('-') {
        "terms cannot be excluded yet: leave the `-` out".to_owned()
    } else {
        hint()
    };
    Err(InvalidQuery::NotSupported { term: sanitize(&term.text, 80), hint })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostQuery;

    #[test]
    fn every_field_of_the_list_is_understood_under_each_of_its_names() {
        for field in QUERY_FIELDS {
            let (_, value) = field.example.split_once(':').expect("a value");
            let meant: HostQuery = field.example.parse().expect(field.example);
            assert!(!meant.is_empty(), "{}", field.example);
            for name in field.aliases {
                let same: HostQuery = format!("{name}:{value}").parse().expect(name);
                assert_eq!(same.filter(), meant.filter(), "{name}");
            }
        }
    }

    #[test]
    fn a_number_that_is_none_is_refused_in_our_own_words() {
        for text in ["place:x", "place:0", "import:-1", "import:99999999999999999999", "port:x", "asn:x"] {
            let error = text.parse::<HostQuery>().expect_err(text).to_string();
            let raw = ["invalid digit", "number too", "out of range", "non-zero"];
            assert!(raw.iter().all(|raw| !error.contains(raw)), "{error}");
        }
    }
}
