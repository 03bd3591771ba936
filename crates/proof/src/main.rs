//! `proof NAME`: one proof, its seed on standard error first, its report as one line of JSON on standard output.
//! `proof --each [NAME...]`: these or all, one after the other, and a table on standard error at the end.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail, ensure};
use clap::{Parser, ValueEnum};
use hostatlas_proof::{Backend, Form, Options, Proof, Report, Suite};

/// Shows that hostatlas loses nothing and applies nothing twice, or how it does.
///
/// Ends with 0 if all that was to be shown was shown, with 1 if something does not hold, with 2 if something could not
/// be run on this machine.
#[derive(Parser)]
struct Arguments {
    /// What to prove
    #[arg(value_enum)]
    proofs: Vec<Proof>,
    /// Each in a process of its own, on each backend that it takes, and a table at the end; without a name, all of them
    #[arg(long)]
    each: bool,
    /// Seconds instead of minutes
    #[arg(long)]
    short: bool,
    /// What to prove it on, of the proofs that run on either [default: sqlite; with --each, both]
    #[arg(long, value_enum)]
    backend: Option<Backend>,
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
        backend: arguments.backend.unwrap_or(Backend::Sqlite),
    };
    if arguments.each {
        let all = Proof::value_variants();
        let proofs = if arguments.proofs.is_empty() { all } else { &arguments.proofs };
        return each(proofs, arguments.backend, &options);
    }
    let &[proof] = arguments.proofs.as_slice() else { bail!("name one proof, or several with --each") };
    ensure!(
        arguments.backend.is_none() || proof.takes_backend(),
        "`{}` decides by itself what it runs on: leave --backend out",
        proof.name()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(path) = arguments.inside {
        runtime.block_on(proof.inside(&options, &path))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("seed {}", options.seed));
    let mut report = runtime.block_on(proof.run(&options)).unwrap_or_else(|error| {
        let mut report = Report::new(&proof.name(), &options);
        report.not_run(format!("{error:#}"));
        report
    });
    print(&report.to_json());
    Ok(ExitCode::from(report.exit_code()))
}

fn each(proofs: &[Proof], backend: Option<Backend>, options: &Options) -> anyhow::Result<ExitCode> {
    let suite = Suite::run(proofs, backend, options, print, |name| say(&format!("==> {name}")))?;
    say(&suite.table());
    Ok(ExitCode::from(suite.exit_code()))
}

/// The `hostatlas` of the same build.
fn beside() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where this program lies")?;
    Ok(own.with_file_name("hostatlas"))
}

#[expect(clippy::print_stderr, reason = "whoever watches can repeat a run that never ends")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
fn print(report: &str) {
    println!("{}", report.trim_end());
}
