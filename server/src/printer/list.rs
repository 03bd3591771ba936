use std::io::IsTerminal;

use serde::Serialize;
use serde_json::Value;

use super::{Format, Printer, json, table};
use crate::failure::Failure;

/// A column as people see it.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    /// Its heading.
    pub heading: &'a str,
    /// The field of the JSON that it shows.
    pub field: &'a str,
    /// How.
    pub show: Show,
}

impl<'a> Column<'a> {
    /// A column.
    pub const fn new(heading: &'a str, field: &'a str, show: Show) -> Self {
        Self { heading, field, show }
    }
}

/// How a value is shown in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// As text; lists are joined by commas.
    Text,
    /// As text that a table does not cut: every word of it counts.
    Whole,
    /// As a number, to the right.
    Number,
    /// As a moment, without fractions of a second.
    Time,
}

/// A table is aligned as a whole, so it must be held; longer lists are printed in blocks of so many rows.
const ROWS_OF_A_BLOCK: usize = 1_000;

/// A list that is being printed.
pub struct List<'a> {
    printer: &'a Printer,
    columns: Vec<Column<'a>>,
    rows: Vec<Value>,
    fields: Vec<String>,
    printed: u64,
}

impl<'a> List<'a> {
    pub(super) fn new(
        printer: &'a Printer,
        columns: &'static [Column<'static>],
        known: &'static [&'static str],
    ) -> Result<Self, Failure> {
        json::check_known(&printer.fields, known)?;
        let fields: Vec<String> = if printer.fields.is_empty() && printer.format == Format::Csv {
            known.iter().map(|&field| field.to_owned()).collect()
        } else {
            printer.fields.clone()
        };
        let shown = |field: &'a String| {
            let column = columns.iter().find(|column| column.field == field).copied();
            column.unwrap_or(Column::new(field, field, Show::Text))
        };
        let columns = if printer.fields.is_empty() {
            columns.to_vec()
        } else {
            printer.fields.iter().map(shown).collect()
        };
        if printer.format == Format::Csv && printer.header {
            printer.write_line(&fields.join(","))?;
        }
        Ok(Self { printer, columns, rows: Vec::new(), fields, printed: 0 })
    }

    /// Prints the next item.
    pub fn push<T: Serialize>(&mut self, item: &T) -> Result<(), Failure> {
        match self.printer.format {
            Format::Table => {
                self.rows.push(json::value(item)?);
                if self.rows.len() == ROWS_OF_A_BLOCK {
                    self.print_rows()?;
                }
            }
            Format::Json => {
                let opening = if self.printed == 0 { "[" } else { "," };
                let line = format!("{opening}{}", self.json(item)?);
                self.printer.write_line(&line)?;
            }
            Format::Ndjson => {
                let line = self.json(item)?;
                self.printer.write_line(&line)?;
            }
            Format::Csv => {
                let line = json::csv_line(&json::value(item)?, &self.fields);
                self.printer.write_line(&line)?;
            }
        }
        self.printed += 1;
        Ok(())
    }

    /// Ends the list; says `nothing` when it was empty and people read it.
    pub fn finish(mut self, nothing: &str) -> Result<u64, Failure> {
        match self.printer.format {
            Format::Table if self.printed == 0 => self.printer.note(nothing),
            Format::Table => self.print_rows()?,
            Format::Json => self.printer.write_line(if self.printed == 0 { "[]" } else { "]" })?,
            Format::Ndjson | Format::Csv => {}
        }
        self.printer.flush()?;
        Ok(self.printed)
    }

    fn json<T: Serialize>(&self, item: &T) -> Result<String, Failure> {
        if self.fields.is_empty() {
            return json::text(item, false);
        }
        json::project(&json::value(item)?, &self.fields)
    }

    fn print_rows(&mut self) -> Result<(), Failure> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let width = std::io::stdout().is_terminal();
        let text = table::render(&self.columns, &rows, self.printer.header, width);
        self.printer.text(&text)
    }
}
