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
    /// Makes what the bar is drawn on; none without a terminal.
    target: Option<Target>,
    total: Option<u64>,
    unit: Unit,
    waits: bool,
    began: Instant,
    last_line: Instant,
}

type Target = Box<dyn Fn() -> ProgressDrawTarget + Send>;

impl<'a> Progress<'a> {
    /// A bar up to `total`, or a running count if that is not known.
    pub fn new(printer: &'a Printer, total: Option<u64>, unit: Unit) -> Self {
        let target: Target = Box::new(|| ProgressDrawTarget::stderr_with_hz(10));
        Self::drawn_on(printer, printer.shows_progress().then_some(target), total, unit)
    }

    fn drawn_on(printer: &'a Printer, target: Option<Target>, total: Option<u64>, unit: Unit) -> Self {
        let now = Instant::now();
        let bar = new_bar(target.as_ref(), total, unit);
        Self { printer, bar, target, total, unit, waits: false, began: now, last_line: now }
    }

    /// Learns the total late, or goes on to count something else.
    ///
    /// That is a new bar: changed one by one, the old one's position would be drawn beside the new total.
    pub fn set_total(&mut self, total: Option<u64>, unit: Unit) {
        if total.is_some() && (total, unit) != (self.total, self.unit) {
            (self.total, self.unit) = (total, unit);
            self.waits = false;
            self.bar.finish_and_clear();
            self.bar = new_bar(self.target.as_ref(), total, unit);
        }
    }

    /// Moves to `position`; `message` says what was done so far.
    pub fn update(&mut self, position: u64, message: impl Fn() -> String) {
        if std::mem::take(&mut self.waits) {
            self.bar.set_style(style(self.total.is_some(), self.unit));
        }
        self.show(position, message);
    }

    /// Says what is waited for in place of a rate and of the time left, which mean nothing meanwhile.
    pub fn wait(&mut self, position: u64, message: impl Fn() -> String) {
        if !std::mem::replace(&mut self.waits, true)
            && let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos}  {msg}")
        {
            self.bar.set_style(style);
        }
        self.show(position, message);
    }

    fn show(&mut self, position: u64, message: impl Fn() -> String) {
        if self.target.is_some() {
            self.bar.set_position(position);
            self.bar.set_message(Cow::Owned(message()));
        } else if !self.printer.is_quiet() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let seconds = self.began.elapsed().as_secs();
            self.printer.note(&format!("{seconds} s: {}", message()));
        }
    }

    /// Says something above the bar.
    pub fn warning(&self, text: &str) {
        self.bar.suspend(|| self.printer.warning(text));
    }

    /// Removes the bar.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

fn new_bar(target: Option<&Target>, total: Option<u64>, unit: Unit) -> ProgressBar {
    // Hidden until it is whole, so that no frame shows one half of it.
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
        .with_style(style(total.is_some(), unit))
        .with_finish(ProgressFinish::AndClear);
    if let Some(target) = target {
        bar.set_draw_target(target());
    }
    bar
}

fn style(total_known: bool, unit: Unit) -> ProgressStyle {
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
    match ProgressStyle::with_template(template) {
        Ok(style) => style.with_key("rate", rate),
        Err(_) => ProgressStyle::default_bar(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        io,
        sync::{Arc, Mutex},
    };

    use indicatif::TermLike;

    use super::*;
    use crate::printer::OutputArguments;

    /// A terminal that keeps all that is written to it.
    #[derive(Clone, Debug, Default)]
    struct Frames(Arc<Mutex<Vec<String>>>);

    impl Frames {
        /// The different `position/total` that were shown.
        fn positions(&self) -> BTreeSet<String> {
            let frames = self.0.lock().expect("nothing panics with it");
            let shown = frames.iter().filter_map(|frame| frame.split("  ").find(|part| part.contains('/')));
            shown.map(str::to_owned).collect()
        }
    }

    impl TermLike for Frames {
        fn width(&self) -> u16 {
            200
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("nothing panics with it").push(text.to_owned());
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_frame_shows_the_position_of_one_thing_and_the_total_of_another() {
        let frames = Frames::default();
        let printer = Printer::new(&OutputArguments::default());
        let terminal = frames.clone();
        let target: Target =
            Box::new(move || ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255));

        let mut progress = Progress::drawn_on(&printer, Some(target), Some(153_123_553), Unit::Bytes);
        progress.update(153_123_553, String::new);
        progress.set_total(Some(1_500_000), Unit::Count);
        progress.update(4_000, String::new);
        progress.set_total(Some(1_500_000), Unit::Count);
        progress.update(5_000, String::new);
        progress.set_total(Some(70), Unit::Count);
        progress.update(7, String::new);
        progress.finish();

        let expected = ["146.03 MiB/146.03 MiB", "4,000/1,500,000", "5,000/1,500,000", "7/70"];
        assert_eq!(frames.positions(), expected.map(str::to_owned).into());
    }
}
