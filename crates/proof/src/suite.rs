//! Proofs one after the other, each in a process of its own, with a table of all at the end.

use std::{
    fmt::Write,
    io::Read,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;

use crate::{Backend, Form, Options, Proof};

/// No proof may keep the others from being run.
const LONGEST: Duration = Duration::from_hours(1);
const LONGEST_SHORT: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(50);
/// The widest figures of a line of the table.
const FIGURES_WIDTH: usize = 150;

/// What became of one proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    DoesNotHold,
    NotRun,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "DOES NOT HOLD",
            Self::NotRun => "not run",
        }
    }
}

/// A line of the table.
#[derive(Debug)]
struct Line {
    name: String,
    verdict: Verdict,
    seconds: f64,
    figures: String,
    /// Why not, if it does not hold or was not run.
    reason: Option<String>,
}

/// All of them.
#[derive(Debug)]
pub struct Suite {
    seed: u64,
    lines: Vec<Line>,
}

impl Suite {
    /// Runs each of these proofs, on both backends where it takes one and `backend` names none, whatever becomes of the
    /// others. `say` gets each report as it comes, `announce` the name of what begins.
    pub fn run(
        proofs: &[Proof],
        backend: Option<Backend>,
        options: &Options,
        say: impl Fn(&str),
        announce: impl Fn(&str),
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where this program lies")?;
        let mut lines = Vec::new();
        for &proof in proofs {
            let backends = match backend {
                _ if !proof.takes_backend() => vec![None],
                Some(backend) => vec![Some(backend)],
                None => Backend::ALL.map(Some).to_vec(),
            };
            for backend in backends {
                let run = Run { program: program.clone(), proof, backend, options: options.clone() };
                announce(&run.name());
                let (report, line) = run.to_its_end();
                if let Some(report) = &report {
                    say(report);
                }
                lines.push(line);
            }
        }
        Ok(Self { seed: options.seed, lines })
    }

    /// What to end with: 1 if a proof does not hold, or else 2 if one could not be run, or else 0.
    pub fn exit_code(&self) -> u8 {
        let any = |verdict| self.lines.iter().any(|line| line.verdict == verdict);
        if any(Verdict::DoesNotHold) { 1 } else { 2 * u8::from(any(Verdict::NotRun)) }
    }

    /// The table.
    pub fn table(&self) -> String {
        let width = self.lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
        let mut table = format!("{:width$}  {:13}  {:>7}  figures (seed {})\n", "proof", "", "s", self.seed);
        for Line { name, verdict, seconds, figures, reason } in &self.lines {
            // A string takes whatever is written to it.
            let line = format!("{name:width$}  {:13}  {seconds:7.1}  {figures}", verdict.word());
            let _ = writeln!(table, "{}", line.trim_end());
            if let Some(reason) = reason {
                let _ = writeln!(table, "{:width$}    {reason}", "");
            }
        }
        table
    }
}

/// One proof on one backend.
struct Run {
    program: PathBuf,
    proof: Proof,
    backend: Option<Backend>,
    options: Options,
}

impl Run {
    fn name(&self) -> String {
        let name = self.proof.name();
        self.backend.map_or_else(|| name.clone(), |backend| format!("{name} ({})", backend.name()))
    }

    /// Its report and its line of the table.
    fn to_its_end(&self) -> (Option<String>, Line) {
        let began = Instant::now();
        let said = self.said();
        let seconds = began.elapsed().as_secs_f64();
        let (report, read) = match said {
            Ok(said) => {
                let read =
                    serde_json::from_str::<Value>(&said).map_err(|_| "it ended without a report".to_owned());
                (read.is_ok().then_some(said), read)
            }
            Err(error) => (None, Err(format!("{error:#}"))),
        };
        let (verdict, figures, reason) = match read {
            Ok(report) => judged(&report),
            // A proof that breaks down shows nothing, and is not to be taken for one that a machine does not allow.
            Err(error) => (Verdict::DoesNotHold, String::new(), Some(error)),
        };
        (report, Line { name: self.name(), verdict, seconds, figures, reason })
    }

    /// What it wrote to its standard output.
    fn said(&self) -> anyhow::Result<String> {
        let mut command = Command::new(&self.program);
        command.arg(self.proof.name()).arg("--seed").arg(self.options.seed.to_string());
        command.arg("--binary").arg(&self.options.binary);
        if self.options.form == Form::Short {
            command.arg("--short");
        }
        if let Some(backend) = self.backend {
            command.args(["--backend", backend.name()]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut stdout = child.stdout.take().context("standard output is not piped")?;
        let reading = std::thread::spawn(move || {
            let mut said = String::new();
            stdout.read_to_string(&mut said).map(|_| said)
        });
        let longest = self.options.form.pick(LONGEST, LONGEST_SHORT);
        let ended = ended_within(&mut child, longest)?;
        anyhow::ensure!(ended, "it was stopped after {} minutes", longest.as_secs() / 60);
        Ok(reading.join().map_err(|_| anyhow::anyhow!("its report could not be read"))??)
    }
}

/// Waits for its end, and makes one if it takes too long. Answers whether it ended by itself.
fn ended_within(child: &mut Child, longest: Duration) -> anyhow::Result<bool> {
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > longest {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}

/// What a report comes to.
fn judged(report: &Value) -> (Verdict, String, Option<String>) {
    let figures = figures(&report["numbers"]);
    let text = |value: &Value| value.as_str().map(|text| text.lines().next().unwrap_or_default().to_owned());
    if report["holds"] == true {
        return (Verdict::Holds, figures, None);
    }
    // What was seen before it could not go on counts, too.
    if report["violation_count"].as_u64() == Some(0) && report["not_run"].is_string() {
        return (Verdict::NotRun, figures, text(&report["not_run"]));
    }
    let count = report["violation_count"].as_u64().unwrap_or(0);
    let first = text(&report["violations"][0]).unwrap_or_else(|| "it says not why".to_owned());
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    (Verdict::DoesNotHold, figures, Some(format!("{first}{more}")))
}

/// The numbers of a report in one line.
fn figures(numbers: &Value) -> String {
    let mut line = String::new();
    for (name, value) in numbers.as_object().into_iter().flatten() {
        let figure = match value {
            Value::Number(number) => format!("{} {number}", name.replace('_', " ")),
            Value::Array(all) => format!("{} {}", name.replace('_', " "), all.len()),
            _ => continue,
        };
        if line.len() + figure.len() + 2 > FIGURES_WIDTH {
            line.push_str(", ...");
            break;
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&figure);
    }
    line
}

impl Proof {
    /// Its name on the command line and in its report.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(name: &str, report: &Value) -> Line {
        let (verdict, figures, reason) = judged(report);
        Line { name: name.to_owned(), verdict, seconds: 1.25, figures, reason }
    }

    fn held() -> Line {
        line(
            "kill",
            &json!({"holds": true, "violation_count": 0, "numbers": {"lost": 0, "applied_twice": 0}}),
        )
    }

    fn not_run() -> Line {
        let report = json!({
            "holds": false, "violation_count": 0, "not_run": "there is no C compiler `cc`", "numbers": {}
        });
        line("clock-skew", &report)
    }

    fn failed() -> Line {
        let report = json!({
            "holds": false, "violation_count": 2, "violations": ["7 jobs were lost", "more"], "numbers": {"lost": 7}
        });
        line("soak (postgres)", &report)
    }

    #[test]
    fn the_table_says_of_each_proof_whether_it_holds_with_its_figures_and_why_not() {
        let suite = Suite { seed: 7, lines: vec![held(), not_run(), failed()] };
        assert_eq!(
            suite.table(),
            "proof                                 s  figures (seed 7)\n\
             kill             holds              1.2  applied twice 0, lost 0\n\
             clock-skew       not run            1.2\n                   there is no C compiler `cc`\n\
             soak (postgres)  DOES NOT HOLD      1.2  lost 7\n                   7 jobs were lost (and 1 more)\n"
        );
    }

    #[test]
    fn what_does_not_hold_outweighs_what_was_not_run_and_neither_is_a_success() {
        let code = |lines| Suite { seed: 7, lines }.exit_code();
        assert_eq!(code(vec![held()]), 0);
        assert_eq!(code(vec![not_run(), held()]), 2);
        assert_eq!(code(vec![failed(), not_run(), held()]), 1);
    }

    #[test]
    fn a_violation_before_a_proof_could_not_go_on_is_a_violation() {
        let report = json!({
            "holds": false, "violation_count": 1, "violations": ["a job was lost"], "not_run": "no compiler",
            "numbers": {}
        });
        assert_eq!(judged(&report).0, Verdict::DoesNotHold);
    }
}
