//! What people and programs send, as text, understood once for REST, server functions and the command line.

use hostatlas_domain::{Address, Cursor, HostQuery};

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

pub(crate) fn parse_addresses(texts: &[String]) -> Result<Vec<Address>, Error> {
    texts.iter().filter(|text| !text.trim().is_empty()).map(|text| parse_address(text)).collect()
}

pub(crate) fn parse_query(text: &str) -> Result<HostQuery, Error> {
    Ok(text.parse::<HostQuery>()?)
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
    fn an_empty_cursor_means_the_first_page() {
        assert!(matches!(parse_cursor(Some(" ")), Ok(None)));
        assert!(matches!(parse_cursor(Some("zz")), Err(Error::InvalidRequest { .. })));
    }
}
