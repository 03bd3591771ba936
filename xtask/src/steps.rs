//! Steps with a name and a time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What has been run so far, in the order in which it ended. Shared by the threads that run steps side by side.
pub struct Steps {
    started: Instant,
    ended: Mutex<Vec<Ended>>,
}

struct Ended {
    name: String,
    took: Duration,
    note: Option<String>,
    failed: bool,
}

impl Steps {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { started: Instant::now(), ended: Mutex::default() }
    }

    /// Runs one step, says so before and after, and keeps its time and its error. Answers whether it went well.
    pub fn run(&self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        self.run_noting(name, || work().map(|()| None))
    }

    /// As [`Steps::run`], for a step whose own last words (a test runner's summary) belong into the table.
    pub fn run_noting(&self, name: &str, work: impl FnOnce() -> Result<Option<String>>) -> bool {
        println!("==> {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        let failed = result.is_err();
        let note = match result {
            Ok(note) => {
                println!("<== {name}: {:.1} s", took.as_secs_f64());
                note
            }
            Err(error) => {
                println!("<== {name}: FAILED after {:.1} s: {error:#}", took.as_secs_f64());
                None
            }
        };
        let mut ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ended.push(Ended { name: name.to_owned(), took, note, failed });
        !failed
    }

    /// Prints the table of steps; fails when one of them did.
    pub fn close(self) -> Result<()> {
        let total = self.started.elapsed();
        let ended = self.ended.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!();
        for step in &ended {
            let state = if step.failed { "  FAILED" } else { "" };
            let note = step.note.as_ref().map_or_else(String::new, |note| format!("  {note}"));
            println!("{:>7.1} s  {}{state}{note}", step.took.as_secs_f64(), step.name);
        }
        println!("{:>7.1} s  wall time of all steps", total.as_secs_f64());
        let failed: Vec<&str> =
            ended.iter().filter(|step| step.failed).map(|step| step.name.as_str()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_whole_and_is_named() {
        let steps = Steps::new();
        let went_well = [
            steps.run("first", || Ok(())),
            steps.run("second", || bail!("broken")),
            steps.run_noting("third", || Ok(Some("3 passed".to_owned()))),
        ];

        let error = steps.close().expect_err("one step failed").to_string();

        assert_eq!((went_well, error.as_str()), ([true, false, true], "failed: second"));
    }
}
