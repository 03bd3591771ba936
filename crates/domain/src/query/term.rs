//! How a query falls into terms, before anything is known of their fields.

use std::{fmt, str::FromStr};

use ipnet::IpNet;

use super::{HostQuery, InvalidQuery, LONGEST_QUERY};
use crate::{Address, sanitize};

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

/// The terms of a query, each with a value.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, InvalidQuery> {
    let term = |word| {
        let term = Term::read(word);
        if term.value.is_empty() { Err(term.value_error("a value is missing")) } else { Ok(term) }
    };
    words(text).into_iter().map(term).collect()
}

/// One term of a query.
pub(super) struct Term {
    /// The field that it names, in lower case.
    pub(super) field: Option<String>,
    /// Without quotes.
    pub(super) value: String,
    /// As it was written.
    pub(super) text: String,
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

    pub(super) fn value_error(&self, reason: impl fmt::Display) -> InvalidQuery {
        InvalidQuery::Value { term: sanitize(&self.text, 80), reason: reason.to_string() }
    }

    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, InvalidQuery> {
        self.value.parse().map_err(|error| self.value_error(error))
    }

    /// The id of a row.
    pub(super) fn id(&self) -> Result<i64, InvalidQuery> {
        let id = self.value.parse().ok().filter(|id| *id > 0);
        id.ok_or_else(|| self.value_error("an id is a whole number from 1, as in `17`"))
    }

    pub(super) fn parse_list<T: FromStr<Err: fmt::Display>>(&self) -> Result<Vec<T>, InvalidQuery> {
        self.value
            .split(',')
            .map(|value| value.trim().parse().map_err(|error| self.value_error(error)))
            .collect()
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
