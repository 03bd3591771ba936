//! The command line. Each command's own arguments stand in its file under `commands`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        config, db, geolocate, hosts, import, jobs, lookup, mmdb, providers, schedules, serve, stats, worker,
        workers,
    },
    configuration::Flags,
    printer::{OutputArguments, fields_help},
};

/// Puts the hosts that a scan found on a world map, and keeps their locations fresh.
#[derive(Debug, Parser)]
#[command(name = "hostatlas", version, about, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done, 1 error, 2 usage, 3 part failed, 4 waits for quota, 5 outcome unknown, 130 interrupted."
)]
pub struct Arguments {
    #[command(flatten)]
    pub settings: SettingArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(subcommand)]
    pub command: Command,
}

/// Settings that every command knows.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Settings")]
pub struct SettingArguments {
    /// Configuration file [default: hostatlas.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the data is [default: `sqlite://hostatlas.db`]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the map and the pages, with a worker in the same process
    Serve(serve::Arguments),
    /// Run queued jobs
    Worker(worker::Arguments),
    /// Read scan output (masscan, nmap, zmap or plain addresses), store the hosts and queue their jobs
    Import(import::Arguments),
    /// Look up where the stored hosts are: queue jobs, look up in batches, or (neither flag) one by one
    Geolocate(geolocate::Arguments),
    /// Ask where addresses are, and store nothing; needs no database of hosts
    Lookup(lookup::Arguments),
    /// What each provider of locations is doing, whom it sends addresses to, and what is left of its quota
    Providers(providers::Arguments),
    /// Search, show, export and pin hosts
    #[command(subcommand)]
    Hosts(hosts::Action),
    /// See and change the queue
    #[command(subcommand)]
    Jobs(jobs::Action),
    /// The processes that run jobs, on all machines, and what each is doing
    #[command(after_help = fields_help(&workers::FIELDS))]
    Workers,
    /// Recurring work: refresh, prune, check, backup
    Schedules(schedules::Arguments),
    /// Figures for people and monitoring
    #[command(subcommand)]
    Stats(stats::Action),
    /// Say what is wrong and what to do about it
    Doctor,
    /// The effective configuration
    #[command(subcommand)]
    Config(config::Action),
    /// The database files of places, and what a new one would change
    #[command(subcommand)]
    Mmdb(mmdb::Action),
    /// The database
    #[command(subcommand)]
    Db(db::Action),
}

impl Arguments {
    /// What the command line says about settings.
    pub fn flags(&self) -> Flags {
        let mut flags = Flags {
            config: self.settings.config.clone(),
            database_url: self.settings.database_url.clone(),
            ..Flags::default()
        };
        match &self.command {
            Command::Serve(arguments) => flags.listen.clone_from(&arguments.listen),
            Command::Geolocate(arguments) => {
                flags.max_age_days = arguments.max_age_days;
                flags.max_workers = arguments.max_workers;
            }
            _ => {}
        }
        flags
    }

    /// What is logged unless the configuration says: commands that run on their own tell what they do, the others
    /// only what goes wrong. That nothing can be written is the answer of those, and said once.
    pub const fn log_filter(&self) -> &'static str {
        match &self.command {
            Command::Serve(_) => "info",
            Command::Worker(arguments) if !arguments.drain => "info",
            _ => "warn,hostatlas::writing=off",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{any::TypeId, num::NonZeroUsize, time::Duration};

    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    /// What the standard library and clap say of numbers.
    const RAW: [&str; 9] = [
        "would be zero",
        "invalid digit",
        "number too large",
        "number too small",
        "cannot parse",
        "invalid float",
        "is not in ",
        "unexpected argument",
        "invalid character",
    ];

    /// Calls `see` for each argument of each command, with the words of the command.
    fn each_argument(command: &clap::Command, path: &[String], see: &mut impl FnMut(&[String], &clap::Arg)) {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            see(path, argument);
        }
        for inner in command.get_subcommands() {
            each_argument(inner, &[path, &[inner.get_name().to_owned()]].concat(), see);
        }
    }

    fn is_number(argument: &clap::Arg) -> bool {
        let id = argument.get_value_parser().type_id();
        let numbers = [
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<i64>(),
            TypeId::of::<usize>(),
            TypeId::of::<f64>(),
            TypeId::of::<NonZeroUsize>(),
            TypeId::of::<Duration>(),
            TypeId::of::<jobs::Cap>(),
        ];
        numbers.iter().any(|number| id == *number)
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused_in_our_own_words() {
        let mut numbers = Vec::new();
        each_argument(&Arguments::command(), &["hostatlas".to_owned()], &mut |path, argument| {
            let name = format!("{} {}", path.join(" "), argument.get_id());
            let number = is_number(argument);
            for value in ["0", "x", "-1", "99999999999999999999999999"] {
                let mut line = path.to_vec();
                line.extend(argument.get_long().map(|long| format!("--{long}")));
                // What stands before the argument in its command.
                if argument.is_positional() && path.ends_with(&["cap".to_owned()]) && number {
                    line.push("geolocation".to_owned());
                }
                line.push(value.to_owned());
                let Err(error) = Arguments::command().try_get_matches_from(line) else { continue };
                let text = error.to_string();
                let raw = RAW.iter().find(|raw| text.contains(**raw));
                // Only what takes numbers has to take a minus for one.
                let is_ours = raw.is_none_or(|raw| !number && *raw == "unexpected argument");
                assert!(is_ours, "{name} {value}: {text}");
                let is_signed = argument.get_value_parser().type_id() == TypeId::of::<f64>();
                if number && value != "0" && !(is_signed && value == "-1") {
                    assert_eq!(error.kind(), ErrorKind::ValueValidation, "{name} {value}: {text}");
                    assert!(text.contains(": use "), "{name} {value}: {text}");
                }
            }
            if number {
                numbers.push(name);
            }
        });
        assert!(numbers.len() >= 15, "{numbers:?}");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
