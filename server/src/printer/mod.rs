//! The only way to write: data to standard output, everything else to standard error.
//!
//! Text from scans and providers is escaped before it reaches a terminal or a file: no control character and none that
//! turns text around gets out.

mod json;
mod list;
mod table;

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hostatlas_domain::escape_control;
use serde::Serialize;

pub use json::{check_known, csv_line, document, project, value};
pub use list::{Column, List, Show};
pub use table::{count, key_values};

use crate::failure::Failure;

/// In which form data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// One document.
    Json,
    /// One document a line.
    Ndjson,
    /// With a header line.
    Csv,
}

/// How to print; the same flags for every command.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct OutputArguments {
    /// Print one JSON document
    #[arg(long, global = true, group = "output_format")]
    pub json: bool,
    /// Print one JSON document a line (the default when the output is no terminal)
    #[arg(long, global = true, group = "output_format")]
    pub ndjson: bool,
    /// Print CSV
    #[arg(long, global = true, group = "output_format")]
    pub csv: bool,
    /// Print for people (the default on a terminal)
    #[arg(long, global = true, group = "output_format")]
    pub table: bool,
    /// Print only these fields, in this order, by the names of --json; a dot reaches into an object
    #[arg(long, global = true, value_delimiter = ',', value_name = "A,B")]
    pub fields: Vec<String>,
    /// Leave out the header line of CSV and tables
    #[arg(long, global = true)]
    pub no_header: bool,
    /// Say nothing but data and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// Writes to both outputs.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Printer {
    output: Arc<Mutex<BufWriter<Stdout>>>,
    format: Format,
    format_is_asked_for: bool,
    fields: Vec<String>,
    header: bool,
    quiet: bool,
    progress: bool,
}

impl Printer {
    /// As the flags say, and where they say nothing as the terminal does.
    pub fn new(arguments: &OutputArguments) -> Self {
        let format = match arguments {
            OutputArguments { json: true, .. } => Format::Json,
            OutputArguments { ndjson: true, .. } => Format::Ndjson,
            OutputArguments { csv: true, .. } => Format::Csv,
            OutputArguments { table: true, .. } => Format::Table,
            _ if io::stdout().is_terminal() => Format::Table,
            _ => Format::Ndjson,
        };
        Self {
            output: Arc::new(Mutex::new(BufWriter::with_capacity(64 * 1024, io::stdout()))),
            format,
            format_is_asked_for: arguments.json || arguments.ndjson || arguments.csv || arguments.table,
            fields: arguments.fields.clone(),
            header: !arguments.no_header,
            quiet: arguments.quiet,
            progress: io::stderr().is_terminal() && !arguments.quiet,
        }
    }

    /// In which form data is printed.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether a flag says in which form data is printed: a command with a flag of its own for it refuses both.
    pub const fn format_is_asked_for(&self) -> bool {
        self.format_is_asked_for
    }

    /// Whether `--fields` chooses what is printed.
    pub const fn chooses_fields(&self) -> bool {
        !self.fields.is_empty()
    }

    /// The same output in another form, for a command that has a flag of its own for it.
    pub fn in_format(&self, format: Option<Format>) -> Self {
        Self { format: format.unwrap_or(self.format), ..self.clone() }
    }

    /// Whether people read standard error on a terminal, and want to.
    pub const fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Whether notes are wanted.
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Prints a list whose items come one by one. `columns` is what people see, `fields` is what `--fields` may name
    /// and CSV holds.
    pub fn list(
        &self,
        columns: &'static [Column<'static>],
        fields: &'static [&'static str],
    ) -> Result<List<'_>, Failure> {
        List::new(self, columns, fields)
    }

    /// As [`Printer::object`], for a thing that has objects which may be missing: `known` are all its fields.
    pub fn object_of<T: Serialize>(
        &self,
        known: &[&str],
        object: &T,
        human: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        json::check_known(&self.fields, known)?;
        self.object(object, human)
    }

    /// Prints one thing: `human` for people, else its JSON (as CSV a header and a line).
    pub fn object<T: Serialize>(&self, object: &T, human: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Table if self.fields.is_empty() => self.text(&human())?,
            Format::Table | Format::Json | Format::Ndjson if self.fields.is_empty() => {
                let text = json::text(object, self.format == Format::Json && io::stdout().is_terminal())?;
                self.write_line(&text)?;
            }
            Format::Table | Format::Json | Format::Ndjson => {
                let value = json::value(object)?;
                self.write_line(&json::project(&value, &self.fields)?)?;
            }
            Format::Csv => {
                let value = json::value(object)?;
                let fields = if self.fields.is_empty() { json::names(&value) } else { self.fields.clone() };
                json::check_fields(&value, &fields)?;
                if self.header {
                    self.write_line(&fields.join(","))?;
                }
                self.write_line(&json::csv_line(&value, &fields))?;
            }
        }
        self.flush()
    }

    /// Prints lines of data as they are, but for control characters.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        self.write_line(&escape_control(text.as_bytes()))
    }

    /// Says something that is no data, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            write_error(text);
        }
    }

    /// Says that something is not as it should be.
    #[expect(clippy::unused_self, reason = "commands write through their printer alone")]
    pub fn warning(&self, text: &str) {
        write_error(&format!("warning: {text}"));
    }

    /// Says why a command failed.
    pub fn failure(&self, failure: &Failure) {
        let _ = self.flush();
        report(failure);
    }

    /// Hands on what is buffered.
    pub fn flush(&self) -> Result<(), Failure> {
        Ok(self.lock().flush()?)
    }

    fn write_line(&self, line: &str) -> Result<(), Failure> {
        let mut output = self.lock();
        output.write_all(line.as_bytes())?;
        output.write_all(b"\n")?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BufWriter<Stdout>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the help of a command says about the fields it prints.
pub fn fields_help(fields: &[&str]) -> String {
    format!("Fields for --fields: {}", fields.join(", "))
}

/// Prints `error: …`, its details and `hint: …`.
pub fn report(failure: &Failure) {
    if failure.is_silent() {
        return;
    }
    let mut text = format!("error: {failure}");
    for detail in failure.details() {
        text.push_str("\n  ");
        text.push_str(detail);
    }
    if let Some(hint) = failure.hint() {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
    write_error(&text);
}

fn write_error(text: &str) {
    let mut line = escape_control(text.as_bytes());
    line.push('\n');
    // Nobody is left to be told that standard error is closed.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
