//! What people and programs send, as text, understood once for REST, server functions and the command line.

use hostatlas_domain::{Address, Cursor, HostFilter, HostQuery};

use crate::Error;

/// The most items that a page may be asked for.
const LARGEST_PAGE: u32 = 1000;

pub(crate) fn parse_address(text: &str) -> Result<Address, Error> {
    let address = text.trim().parse::<Address>();
    address.map_err(|error| {
        Error::invalid(
            error.to_string(),
            "give an IPv4 or IPv6 address, as in `203.0.113.7` or `2001:db8::7`",
        )
    })
}

/// The hosts that something is done to, by address. An empty list is a mistake: it must not come to mean all hosts.
pub(crate) fn parse_addresses(texts: &[String]) -> Result<Vec<Address>, Error> {
    if texts.is_empty() {
        return Err(Error::invalid("the list of addresses is empty", "name at least one host"));
    }
    texts.iter().map(|text| parse_address(text)).collect()
}

pub(crate) fn parse_query(text: &str) -> Result<HostQuery, Error> {
    Ok(text.parse::<HostQuery>()?)
}

/// The hosts that something is done to, by a query. One without a condition would match every host, so it is refused: all
/// hosts are meant by name.
pub(crate) fn parse_conditions(text: &str) -> Result<HostFilter, Error> {
    let query = parse_query(text)?;
    if query.is_empty() {
        return Err(Error::invalid(
            "the query has no condition, so it would match every host",
            "say which hosts, as in `country:DE`, or ask for all hosts by name",
        ));
    }
    Ok(query.filter().clone())
}

/// Empty text means the first page.
pub(crate) fn parse_cursor(text: Option<&str>) -> Result<Option<Cursor>, Error> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(str::parse).transpose().map_err(|error: hostatlas_domain::InvalidCursor| {
        Error::invalid(error.to_string(), "leave the cursor out to start from the first page")
    })
}

pub(crate) fn parse_limit(limit: u32) -> Result<u32, Error> {
    if (1..=LARGEST_PAGE).contains(&limit) {
        return Ok(limit);
    }
    Err(Error::invalid(format!("`limit` is {limit}"), "use a limit from 1 to 1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_from_1_to_1000() {
        let accepted = [0, 1, 1000, 1001].map(|limit| parse_limit(limit).is_ok());
        assert_eq!(accepted, [false, true, true, false]);
    }

    #[test]
    fn hosts_to_act_on_are_never_all_by_omission() {
        assert!(matches!(parse_conditions(" "), Err(Error::InvalidRequest { .. })));
        assert!(parse_conditions("country:DE").is_ok());
        assert!(matches!(parse_addresses(&[]), Err(Error::InvalidRequest { .. })));
        assert!(matches!(parse_addresses(&[" ".to_owned()]), Err(Error::InvalidRequest { .. })));
    }

    #[test]
    fn an_empty_cursor_means_the_first_page() {
        assert!(matches!(parse_cursor(Some(" ")), Ok(None)));
        assert!(matches!(parse_cursor(Some("zz")), Err(Error::InvalidRequest { .. })));
    }
}
