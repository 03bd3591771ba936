use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle};

use crate::printer::{Printer, count};

/// Without a terminal a line is printed so often: enough to see in a log that it goes on.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of input.
    Bytes,
    /// Hosts or records.
    Count,
}

/// A bar with rate and time left on standard error; where that is no terminal, a line every few seconds.
pub struct Progress<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
    began: Instant,
    last_line: Instant,
}

impl<'a> Progress<'a> {
    /// A bar up to `total`, or a running count if that is not known.
    pub fn new(printer: &'a Printer, total: Option<u64>, unit: Unit) -> Self {
        let bar = if printer.shows_progress() {
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            bar
        } else {
            ProgressBar::hidden()
        };
        let now = Instant::now();
        let progress =
            Self { printer, bar: bar.with_finish(ProgressFinish::AndClear), began: now, last_line: now };
        progress.set_style(total.is_some(), unit);
        progress
    }

    /// Learns the total late.
    pub fn set_total(&self, total: Option<u64>, unit: Unit) {
        if let Some(total) = total.filter(|total| self.bar.length() != Some(*total)) {
            self.bar.set_length(total);
            self.set_style(true, unit);
        }
    }

    /// Moves to `position`; `message` says what was done so far.
    pub fn update(&mut self, position: u64, message: impl Fn() -> String) {
        if self.printer.shows_progress() {
            self.bar.set_position(position);
            self.bar.set_message(Cow::Owned(message()));
        } else if !self.printer.is_quiet() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let seconds = self.began.elapsed().as_secs();
            self.printer.note(&format!("{seconds} s: {}", message()));
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }

    fn set_style(&self, total_known: bool, unit: Unit) {
        let template = match (unit, total_known) {
            (Unit::Bytes, true) => {
                "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}"
            }
            (Unit::Bytes, false) => "{spinner} {bytes}  {bytes_per_sec}  {msg}",
            (Unit::Count, true) => {
                "{bar:30} {percent:>3} %  {human_pos}/{human_len}  {rate}/s  {eta} left  {msg}"
            }
            (Unit::Count, false) => "{spinner} {human_pos}  {rate}/s  {msg}",
        };
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate of hosts is small and not negative"
            )]
            let _ = out.write_str(&count(state.per_sec() as u64));
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.with_key("rate", rate));
        }
    }
}
