//! `proof NAME`: one proof, its seed on standard error first, its report as one line of JSON on standard output.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use hostatlas_proof::{Form, Options, Proof, Report};

/// Shows that hostatlas loses nothing and applies nothing twice, or how it does.
#[derive(Parser)]
struct Arguments {
    /// What to prove
    #[arg(value_enum)]
    proof: Proof,
    /// Seconds instead of minutes
    #[arg(long)]
    short: bool,
    /// Decides everything that is random; printed, so that a run can be repeated [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// The `hostatlas` to prove [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// What the proof starts itself with, for the part that has to die or to have a file system of its own
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let options = Options {
        form: if arguments.short { Form::Short } else { Form::Full },
        seed: arguments.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        binary: arguments.binary.map_or_else(beside, |path| Ok(std::path::absolute(path)?))?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(path) = arguments.inside {
        runtime.block_on(arguments.proof.inside(&options, &path))?;
        return Ok(ExitCode::SUCCESS);
    }
    announce(&options);
    let mut report = match runtime.block_on(arguments.proof.run(&options)) {
        Ok(report) => report,
        Err(error) => {
            let name = arguments.proof.to_possible_value().map(|value| value.get_name().to_owned());
            let mut report = Report::new(&name.unwrap_or_default(), &options);
            report.not_run(format!("{error:#}"));
            report
        }
    };
    print(&report.to_json());
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The `hostatlas` of the same build.
fn beside() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where this program lies")?;
    Ok(own.with_file_name("hostatlas"))
}

#[expect(clippy::print_stderr, reason = "whoever watches can repeat a run that never ends")]
fn announce(options: &Options) {
    eprintln!("seed {}", options.seed);
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
fn print(report: &str) {
    println!("{report}");
}
