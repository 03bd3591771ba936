//! How a command ends when it does not end well.

use std::{error::Error as _, fmt, io};

use hostatlas_services::Error;

/// How a command ended; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done. Repaired, cut short and empty input is done, too.
    Done = 0,
    /// It could not be done.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Part of it failed; of the doctor: something is missing or waits.
    PartFailed = 3,
    /// Nothing failed for good, and some of what is left waits until an online provider may be asked again.
    WaitsForQuota = 4,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

/// What is printed as `error: …` and `hint: …`.
#[derive(Debug)]
pub struct Failure {
    message: String,
    details: Vec<String>,
    hint: Option<String>,
    exit: u8,
    /// Whoever read our output has gone: nothing is wrong and nothing is to be said.
    reader_gone: bool,
}

impl Failure {
    /// Exit code 1.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            details: Vec::new(),
            hint: None,
            exit: Exit::Failed as u8,
            reader_gone: false,
        }
    }

    /// Exit code 2: the command line asks for something that does not exist.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage as u8, ..Self::error(message) }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds lines below the message.
    #[must_use]
    pub fn with_details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// Names the line of standard input that it is about.
    #[must_use]
    pub fn in_line(self, number: usize) -> Self {
        Self { message: format!("line {number}: {}", self.message), ..self }
    }

    /// Names the option that it is about.
    #[must_use]
    pub fn in_option(self, option: &str) -> Self {
        Self { message: format!("{option}: {}", self.message), ..self }
    }

    /// Lines below the message.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit code.
    pub const fn exit(&self) -> u8 {
        self.exit
    }

    /// Whether nothing is to be said.
    pub const fn is_silent(&self) -> bool {
        self.reader_gone
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let chain = std::iter::successors(error.source(), |&cause| cause.source());
        Self {
            message: error.to_string(),
            details: chain.map(ToString::to_string).collect(),
            hint: error.hint(),
            exit: error.exit_code(),
            reader_gone: false,
        }
    }
}

impl From<io::Error> for Failure {
    /// An error of writing to standard output.
    fn from(error: io::Error) -> Self {
        let reader_gone = error.kind() == io::ErrorKind::BrokenPipe;
        let exit = if reader_gone { Exit::Done } else { Exit::Failed } as u8;
        Self { exit, reader_gone, ..Self::error(format!("cannot write the output: {error}")) }
    }
}
