//! What a proof says at its end, in one line of JSON.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Backend;

/// Violations that are written out; of the others only their number is.
const LISTED: usize = 20;

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// As `docs/OPERATIONS.md` claims it.
    Full,
    /// Seconds, for every run of the tests.
    Short,
}

impl Form {
    /// How long something may take. A short form runs beside other tests on a busy machine: it shows that something
    /// happens, and leaves how soon to the full form.
    pub fn patience(self, limit: Duration) -> Duration {
        self.pick(limit, limit.saturating_mul(10))
    }

    /// The number for this form.
    pub fn pick<T>(self, full: T, short: T) -> T {
        match self {
            Self::Full => full,
            Self::Short => short,
        }
    }
}

/// How a proof runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much is done.
    pub form: Form,
    /// What decides everything that is random.
    pub seed: u64,
    /// The `hostatlas` to prove.
    pub binary: PathBuf,
    /// What to prove it on, where a proof runs on either.
    pub backend: Backend,
}

/// The result of one proof.
#[derive(Debug, Serialize)]
pub struct Report {
    proof: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'static str>,
    form: Form,
    seed: u64,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_run: Option<String>,
    violation_count: usize,
    violations: Vec<String>,
    numbers: Map<String, Value>,
    seconds: f64,
    #[serde(skip)]
    began: Instant,
}

impl Report {
    /// A report without anything in it. It holds until somebody says otherwise.
    pub fn new(proof: &str, options: &Options) -> Self {
        Self {
            proof: proof.to_owned(),
            backend: None,
            form: options.form,
            seed: options.seed,
            holds: true,
            not_run: None,
            violation_count: 0,
            violations: Vec::new(),
            numbers: Map::new(),
            seconds: 0.0,
            began: Instant::now(),
        }
    }

    /// The same for a proof that runs on the backend that it is told.
    pub fn on_backend(proof: &str, options: &Options) -> Self {
        Self { backend: Some(options.backend.name()), ..Self::new(proof, options) }
    }

    /// Notes a figure.
    pub fn number(&mut self, name: &str, value: impl Into<Value>) {
        self.numbers.insert(name.to_owned(), value.into());
    }

    /// Notes that something is not as it has to be.
    pub fn violation(&mut self, what: impl Into<String>) {
        self.holds = false;
        self.violation_count += 1;
        if self.violations.len() < LISTED {
            self.violations.push(what.into());
        }
    }

    /// Notes a violation unless `held`.
    pub fn require(&mut self, held: bool, what: impl FnOnce() -> String) {
        if !held {
            self.violation(what());
        }
    }

    /// Notes a violation if a part of the proof could not go on. Once what is proven is at work, that it does not answer
    /// or cannot be started again is its own fault, and not the machine's, for which there is [`Report::not_run`].
    pub fn require_end(&mut self, part: anyhow::Result<()>) {
        if let Err(error) = part {
            self.violation(format!("it could not go on: {error:#}"));
        }
    }

    /// Takes over what a part of the proof found in a process of its own.
    pub fn adopt(&mut self, other: &Value) {
        self.numbers.extend(other["numbers"].as_object().cloned().unwrap_or_default());
        for violation in other["violations"].as_array().into_iter().flatten() {
            self.violation(violation.as_str().unwrap_or_default());
        }
        if let Some(reason) = other["not_run"].as_str() {
            self.not_run(reason);
        }
        self.require(self.holds == (other["holds"] == true), || "a part of the proof did not end".to_owned());
    }

    /// Says that this machine does not allow the proof: nothing was shown.
    pub fn not_run(&mut self, reason: impl Into<String>) {
        self.holds = false;
        self.not_run = Some(reason.into());
    }

    /// How much is done.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether all that was to be shown was shown.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// What to end with: 0 if it holds, 1 if something was seen that must not be, 2 if nothing was shown.
    pub fn exit_code(&self) -> u8 {
        match (self.holds, self.violation_count) {
            (true, _) => 0,
            (false, 0) => 2,
            (false, _) => 1,
        }
    }

    /// Why it was not run at all.
    pub fn reason_not_run(&self) -> Option<&str> {
        self.not_run.as_deref()
    }

    /// The report as one line.
    pub fn to_json(&mut self) -> String {
        self.seconds = (self.began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        serde_json::to_string(self)
            .unwrap_or_else(|error| format!("{{\"holds\":false,\"error\":\"{error}\"}}"))
    }
}

/// As reports say it.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options { form: Form::Short, seed: 7, binary: PathBuf::from("hostatlas"), backend: Backend::Sqlite }
    }

    #[test]
    fn a_report_holds_until_something_is_violated() {
        let mut report = Report::new("kill", &options());
        report.require(true, || unreachable!("nothing is wrong"));
        assert_eq!((report.holds(), report.exit_code()), (true, 0));
        report.require(false, || "a job was lost".to_owned());
        assert_eq!(report.exit_code(), 1);
        let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(json["holds"], false);
        assert_eq!(json["violations"], serde_json::json!(["a job was lost"]));
        assert_eq!(json["seed"], 7);
    }

    #[test]
    fn what_was_not_run_does_not_hold() {
        let mut report = Report::new("full-disk", &options());
        report.not_run("no file system may be mounted here");
        assert!(!report.holds());
        assert_eq!(report.exit_code(), 2);
    }

    #[test]
    fn what_broke_down_in_the_middle_is_a_violation() {
        let mut report = Report::new("kill", &options());
        report.require_end(Ok(()));
        report.require_end(Err(anyhow::anyhow!("no answer in time").context("a read")));
        let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
        let violations = serde_json::json!(["it could not go on: a read: no answer in time"]);
        assert_eq!((report.exit_code(), &json["violations"]), (1, &violations));
    }

    #[test]
    fn a_flood_of_violations_is_counted_and_not_written_out() {
        let mut report = Report::new("kill", &options());
        (0..100).for_each(|number| report.violation(format!("violation {number}")));
        let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(
            (json["violation_count"].clone(), json["violations"].as_array().map(Vec::len)),
            (100.into(), Some(20))
        );
    }
}
