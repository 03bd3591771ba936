//! The search box's grammar: terms that must all hold.
//!
//! `country:DE port:443,8443 net:192.0.2.0/24 city:"New York" asn:AS15169 org:Google state:stale reason:no_record`.
//! A word without a field is recognised by its shape: an address, a CIDR block, an AS number, a port; anything else is
//! looked for in city, country and organization names. What is not supported is an error, never a wider result.

use std::{fmt, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Asn, CountryCode, ImportId, LocationState, PlaceId, PortNumber, UnlocatedReason, sanitize,
};

/// Which hosts a list, a map or a bulk action means; all given parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostFilter {
    /// Inside this block.
    pub range: Option<IpNet>,
    /// In one of these countries.
    pub countries: Vec<CountryCode>,
    /// In a city of this name, upper and lower case alike; districts in parentheses count as the city.
    pub city: Option<String>,
    /// With one of these ports open.
    pub ports: Vec<PortNumber>,
    /// In one of these autonomous systems.
    pub asns: Vec<Asn>,
    /// Whose organization's name contains this, upper and lower case alike.
    pub organization: Option<String>,
    /// In this location state.
    pub state: Option<LocationState>,
    /// Located longer ago than the maximum age.
    pub stale: bool,
    /// Unlocated for this reason.
    pub reason: Option<UnlocatedReason>,
    /// On this place.
    pub place: Option<PlaceId>,
    /// First brought by this import.
    pub import: Option<ImportId>,
    /// Whose city, region, country or organization contains each of these words.
    pub words: Vec<String>,
}

impl HostFilter {
    /// Whether it lets every host pass.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Text from a search box, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HostQuery {
    text: String,
    filter: HostFilter,
}

/// Why a query was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// A value does not fit its field.
    #[error("`{term}`: {reason}")]
    Value {
        /// The term as it was written.
        term: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A field or form that this version does not know.
    #[error("`{term}` is not supported")]
    NotSupported {
        /// The term as it was written.
        term: String,
        /// What may have been meant.
        hint: String,
    },
}

impl InvalidQuery {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Value { .. } => FIELDS_HINT.to_owned(),
            Self::NotSupported { hint, .. } => hint.clone(),
        }
    }
}

/// Longer queries are refused: they are no search by a person.
const LONGEST_QUERY: usize = 1024;
const FIELDS_HINT: &str = "fields are ip, net, country, city, port, asn, org, state, reason, place and import, as in `country:DE port:443`";

impl HostQuery {
    /// What was typed, trimmed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it means.
    pub fn filter(&self) -> &HostFilter {
        &self.filter
    }

    /// Whether it lets every host pass.
    pub fn is_empty(&self) -> bool {
        self.filter.is_empty()
    }
}

impl fmt::Display for HostQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for HostQuery {
    type Err = InvalidQuery;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > LONGEST_QUERY {
            return Err(InvalidQuery::Value {
                term: sanitize(text, 32),
                reason: format!("a query may have {LONGEST_QUERY} bytes"),
            });
        }
        let mut filter = HostFilter::default();
        for term in terms(text)? {
            add_term(&mut filter, &term)?;
        }
        Ok(Self { text: text.to_owned(), filter })
    }
}

/// One term of a query.
struct Term {
    field: Option<String>,
    value: String,
    text: String,
}

impl Term {
    fn read(word: &str) -> Self {
        let unquoted = word.replace('"', "");
        let field = word.split_once(':').filter(|(field, _)| {
            !field.is_empty()
                && field.chars().all(|letter| letter.is_ascii_alphabetic() || "-_".contains(letter))
        });
        // An IPv6 address starts like a field; it is one only when the whole word is an address or block.
        let is_address = unquoted.parse::<Address>().is_ok() || unquoted.parse::<IpNet>().is_ok();
        match field.filter(|_| !is_address) {
            Some((field, value)) => Self {
                field: Some(field.to_ascii_lowercase()),
                value: value.replace('"', "").trim().to_owned(),
                text: word.to_owned(),
            },
            None => Self { field: None, value: unquoted.trim().to_owned(), text: word.to_owned() },
        }
    }

    fn value_error(&self, reason: impl fmt::Display) -> InvalidQuery {
        InvalidQuery::Value { term: sanitize(&self.text, 80), reason: reason.to_string() }
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, InvalidQuery> {
        self.value.parse().map_err(|error| self.value_error(error))
    }

    fn parse_list<T: FromStr<Err: fmt::Display>>(&self) -> Result<Vec<T>, InvalidQuery> {
        self.value
            .split(',')
            .map(|value| value.trim().parse().map_err(|error| self.value_error(error)))
            .collect()
    }
}

/// One term of a query, for people who want to be rid of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryTerm {
    /// As it was written.
    pub text: String,
    /// The field that it names, in lower case; none where its shape says what is meant.
    pub field: Option<String>,
    /// What it asks for, without quotes.
    pub value: String,
    /// Whether it is understood where it stands alone. Terms that are may still contradict each other.
    pub understood: bool,
    /// The query without it: empty where it was the only one.
    pub without: String,
}

/// The terms of a query, whether it is understood or not, in their order; none where no query may be so long.
///
/// Joined by blanks they mean what `text` means.
pub fn query_terms(text: &str) -> Vec<QueryTerm> {
    if text.trim().len() > LONGEST_QUERY {
        return Vec::new();
    }
    let words = words(text);
    let term = |(at, word): (usize, &&str)| {
        let Term { field, value, text } = Term::read(word);
        let rest: Vec<&str> =
            words.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, word)| *word).collect();
        QueryTerm {
            understood: word.parse::<HostQuery>().is_ok(),
            without: rest.join(" "),
            text,
            field,
            value,
        }
    };
    words.iter().enumerate().map(term).collect()
}

/// Splits at white space outside double quotes.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest
            .char_indices()
            .find(|(_, letter)| {
                quoted ^= *letter == '"';
                letter.is_whitespace() && !quoted
            })
            .map_or(rest.len(), |(at, _)| at);
        let (word, tail) = rest.split_at(end);
        rest = tail.trim_start();
        words.push(word);
    }
    words
}

fn terms(text: &str) -> Result<Vec<Term>, InvalidQuery> {
    let term = |word| {
        let term = Term::read(word);
        if term.value.is_empty() { Err(term.value_error("a value is missing")) } else { Ok(term) }
    };
    words(text).into_iter().map(term).collect()
}

fn add_term(filter: &mut HostFilter, term: &Term) -> Result<(), InvalidQuery> {
    let Some(field) = &term.field else {
        return add_word(filter, term);
    };
    match field.as_str() {
        "ip" | "net" | "cidr" | "address" => add_range(filter, term),
        "country" => {
            let country = |value: &str| {
                value
                    .parse::<CountryCode>()
                    .ok()
                    .or_else(|| CountryCode::from_name(value))
                    .ok_or(value.to_owned())
            };
            let countries: Result<Vec<_>, _> =
                term.value.split(',').map(|value| country(value.trim())).collect();
            let countries = countries.map_err(|value| {
                term.value_error(format!("`{value}` is not a country: use a name or a code such as DE"))
            })?;
            once(term, &mut filter.countries, countries)
        }
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
        "reason" => {
            let reason = UnlocatedReason::ALL.into_iter().find(|reason| reason.slug() == term.value);
            let known = || UnlocatedReason::ALL.map(UnlocatedReason::slug).join(", ");
            let reason = reason.ok_or_else(|| term.value_error(format!("use one of {}", known())))?;
            once_option(term, &mut filter.reason, reason)
        }
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
        _ => Err(InvalidQuery::NotSupported { term: sanitize(&term.text, 80), hint: FIELDS_HINT.to_owned() }),
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
    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> HostFilter {
        text.parse::<HostQuery>().expect(text).filter().clone()
    }

    #[test]
    fn fields_and_bare_words_are_understood_by_their_shape() {
        let found = filter("country:de,US port:443,8443 AS15169 198.51.100.0/24 city:\"New York\" frankfurt");
        let expected = HostFilter {
            range: Some("198.51.100.0/24".parse().expect("a block")),
            countries: vec!["DE".parse().expect("a country"), "US".parse().expect("a country")],
            city: Some("New York".to_owned()),
            ports: vec![
                PortNumber::try_from(443).expect("a port"),
                PortNumber::try_from(8443).expect("a port"),
            ],
            asns: vec![Asn(15169)],
            words: vec!["frankfurt".to_owned()],
            ..HostFilter::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_ipv6_address_is_no_field() {
        assert_eq!(filter("abcd::1").range, Some("abcd::1/128".parse().expect("a block")));
    }

    #[test]
    fn what_is_not_supported_is_an_error() {
        for text in
            ["-port:443", "-frankfurt", "colour:blue", "country:DE country:US", "net:10.0.0.0/8 192.0.2.1"]
        {
            assert!(matches!(text.parse::<HostQuery>(), Err(InvalidQuery::NotSupported { .. })), "{text}");
        }
        for text in ["port:0", "port:70000", "country:Atlantis", "state:lost", "port:", "ip:1.2.3"] {
            assert!(matches!(text.parse::<HostQuery>(), Err(InvalidQuery::Value { .. })), "{text}");
        }
    }

    #[test]
    fn each_term_says_what_is_left_without_it() {
        let text = " Country:DE  city:\"New York\" abcd::1 ";
        let terms = query_terms(text);
        let shown: Vec<_> = terms
            .iter()
            .map(|term| (term.field.as_deref(), term.value.as_str(), term.without.as_str()))
            .collect();
        let expected = [
            (Some("country"), "DE", "city:\"New York\" abcd::1"),
            (Some("city"), "New York", "Country:DE abcd::1"),
            (None, "abcd::1", "Country:DE city:\"New York\""),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_term_that_is_not_understood_can_be_taken_out() {
        let terms = query_terms("country:DE prot:443 port:");
        let understood: Vec<_> = terms.iter().map(|term| term.understood).collect();
        assert_eq!((understood, terms[1].without.as_str()), (vec![true, false, false], "country:DE port:"));
        assert_eq!(query_terms("  "), []);
        assert_eq!(query_terms(&"a ".repeat(LONGEST_QUERY)), []);
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_or_an_error(text: String) {
            let _ = text.parse::<HostQuery>();
        }

        #[test]
        fn terms_mean_what_the_query_means_and_leave_the_others_alone(text in "[a-z0-9:\" ,]{0,40}") {
            let terms = query_terms(&text);
            let texts: Vec<&str> = terms.iter().map(|term| term.text.as_str()).collect();
            let joined = texts.join(" ").parse::<HostQuery>().map(|query| query.filter().clone());
            prop_assert_eq!(joined, text.parse::<HostQuery>().map(|query| query.filter().clone()));
            for (at, term) in terms.iter().enumerate() {
                let mut others = texts.clone();
                others.remove(at);
                let left = query_terms(&term.without);
                let left: Vec<&str> = left.iter().map(|term| term.text.as_str()).collect();
                prop_assert_eq!(left, others);
            }
        }
    }
}
