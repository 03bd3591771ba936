//! Builds the site, fetches the data, and runs the steps behind `make`.
//!
//! Never part of the product: the binary is `hostatlas` in `server`, and these are the steps that a `Makefile`
//! would otherwise hold in shell. Every command prints how many seconds each of its steps took.

#![expect(clippy::print_stdout, reason = "a build tool talks to the person at the terminal")]

mod asn;
mod basemap;
#[cfg(feature = "bench")]
mod bench;
mod borders;
mod compress;
mod contract;
mod data;
mod nginx;
mod postgres;
mod prepare;
mod site;
mod steps;
#[cfg(test)]
mod style;
mod test_mmdb;
mod verify;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  site [--debug]                build the WASM, style and assets into target/site
  data [--offline] [--update]   fetch the default location databases into mmdb/
  prepare [--debug]             everything that `make run` needs: data, server, site, demo database
  test                          everything that `make test` runs
  postgres -- COMMAND           run a command with a PostgreSQL server of its own, for tests alone
  e2e                           the browser tests alone, on a debug server
  contract                      REST against its OpenAPI document alone, on a debug server
  lint                          formatting, clippy for the server and for the browser
  test-mmdb FOLDER              write small invented location databases, for the browser tests
  basemap                       make public/basemap and public/vendor again from their npm packages
  borders                       make crates/geolocation/data/borders.bin again from the base map
  bench [NAME]                  the benchmarks behind `make bench`; only with --features bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Err(error) = std::env::set_current_dir(workspace::root()) {
        println!("error: cannot enter `{}`: {error}", workspace::root().display());
        return ExitCode::FAILURE;
    }
    let done = match words.as_slice() {
        ["site"] => site::build(site::Profile::Release),
        ["site", "--debug"] => site::build(site::Profile::Debug),
        ["data", flags @ ..] => data::Flags::parse(flags).and_then(data::fetch),
        ["prepare"] => prepare::run(site::Profile::Release),
        ["prepare", "--debug"] => prepare::run(site::Profile::Debug),
        ["test"] => verify::run(),
        ["postgres", "--", command @ ..] if !command.is_empty() => postgres::run(command),
        ["e2e"] => verify::browser(),
        ["contract"] => verify::contract(),
        ["lint"] => verify::lint(),
        ["test-mmdb", folder] => test_mmdb::write(std::path::Path::new(folder)),
        ["basemap"] => basemap::make(),
        ["borders"] => borders::make(),
        #[cfg(feature = "bench")]
        ["bench"] => bench::run(None),
        #[cfg(feature = "bench")]
        ["bench", only] => bench::run(Some(only)),
        _ => {
            println!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
