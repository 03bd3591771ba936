//! The search box's grammar: terms that must all hold.
//!
//! `country:DE port:443,8443 net:192.0.2.0/24 city:"New York" asn:AS15169 org:Google state:stale reason:no_record
//! provider:mmdb`.
//! A word without a field is recognised by its shape: an address, a CIDR block, an AS number, a port; anything else is
//! looked for in city, country and organization names. What is not supported is an error, never a wider result.

mod field;
mod filter;
mod term;

use std::{fmt, str::FromStr};

pub use field::{QUERY_FIELDS, QueryField};
pub use filter::HostFilter;
pub use term::{QueryTerm, query_terms};

use crate::sanitize;

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
            Self::Value { .. } => field::hint(),
            Self::NotSupported { hint, .. } => hint.clone(),
        }
    }
}

/// Longer queries are refused: they are no search by a person.
const LONGEST_QUERY: usize = 1024;

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
        for term in term::terms(text)? {
            field::add(&mut filter, &term)?;
        }
        Ok(Self { text: text.to_owned(), filter })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Asn, PortNumber};

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
        for text in
            ["port:0", "port:70000", "country:Atlantis", "state:lost", "port:", "ip:1.2.3", "provider:nobody"]
        {
            assert!(matches!(text.parse::<HostQuery>(), Err(InvalidQuery::Value { .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_or_an_error(text: String) {
            let _ = text.parse::<HostQuery>();
        }
    }
}
