use std::io::{self, BufRead, IsTerminal};

use hostatlas_domain::Address;

use crate::failure::Failure;

/// More addresses than this belong in an import.
const MOST_ADDRESSES: usize = 1_000_000;

/// The addresses that the command line names; `-` reads them from standard input, one a line, blank lines and `#`
/// comments apart.
pub fn read(arguments: &[String]) -> Result<Vec<Address>, Failure> {
    let mut addresses = Vec::new();
    for argument in arguments {
        if argument == "-" {
            read_standard_input(&mut addresses)?;
        } else {
            addresses.push(parse(argument)?);
        }
    }
    Ok(addresses)
}

fn read_standard_input(addresses: &mut Vec<Address>) -> Result<(), Failure> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(Failure::usage("standard input is a terminal").with_hint("pipe addresses in, one a line"));
    }
    for (index, line) in input.lock().lines().enumerate() {
        let number = index + 1;
        let line = line.map_err(|error| Failure::error(format!("cannot read line {number}: {error}")))?;
        let text = line.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        if addresses.len() == MOST_ADDRESSES {
            return Err(Failure::error(format!("standard input holds more than {MOST_ADDRESSES} addresses"))
                .with_hint("`hostatlas import` takes lists of any length"));
        }
        addresses.push(parse(text).map_err(|failure| failure.in_line(number))?);
    }
    Ok(())
}

fn parse(text: &str) -> Result<Address, Failure> {
    text.parse::<Address>().map_err(|error| {
        Failure::usage(error.to_string())
            .with_hint("give IPv4 or IPv6 addresses, or `-` to read them from standard input")
    })
}
