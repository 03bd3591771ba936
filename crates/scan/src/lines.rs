use std::io::Read;

use hostatlas_domain::Timestamp;
use memchr::{memchr, memrchr};

use crate::{
    Record, ScanError,
    input::Input,
    record::{Records, date},
};

/// The longest line that is read; a longer one is one bad record.
///
/// masscan keeps at most 64 KiB of a banner and writes six bytes for each.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// From here on a long line comes in parts where the format can read parts.
const PART_BYTES: usize = 64 * 1024;

/// Splits the input into lines without copying them.
pub(crate) struct Lines {
    number: u64,
    in_parts: bool,
    inside_line: bool,
}

/// A line, without its end and without a byte order mark.
pub(crate) struct Line<'a> {
    pub(crate) bytes: &'a [u8],
    /// The first is 1.
    pub(crate) number: u64,
    pub(crate) end: LineEnd,
    /// False if an earlier part of the same line was already given.
    pub(crate) at_start: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// It is whole.
    Newline,
    /// The input ended: the line may be cut.
    Input,
    /// The line goes on.
    Part,
    /// The line was too long, and its bytes were thrown away.
    TooLong,
}

impl Lines {
    /// Lines of at most [`MAX_LINE_BYTES`].
    pub(crate) fn whole() -> Self {
        Self { number: 0, in_parts: false, inside_line: false }
    }

    /// Lines of any length, long ones in parts: for documents written on one line.
    pub(crate) fn in_parts() -> Self {
        Self { in_parts: true, ..Self::whole() }
    }

    /// The next line, as soon as its end has come. None at the end of the input.
    pub(crate) fn next<'a, R: Read>(
        &mut self,
        input: &'a mut Input<R>,
    ) -> Result<Option<Line<'a>>, ScanError> {
        let mut searched = 0;
        let (length, end) = loop {
            let bytes = input.bytes();
            if let Some(at) = memchr(b'\n', &bytes[searched..]) {
                break (searched + at + 1, LineEnd::Newline);
            }
            searched = bytes.len();
            if self.in_parts && searched >= PART_BYTES {
                break (searched, LineEnd::Part);
            }
            if searched > MAX_LINE_BYTES {
                return self.skip_long(input).map(Some);
            }
            if !input.fill()? {
                if searched == 0 {
                    return Ok(None);
                }
                break (searched, LineEnd::Input);
            }
        };
        let at_start = !self.inside_line;
        self.number += u64::from(at_start);
        self.inside_line = end == LineEnd::Part;
        let mut bytes = input.take(length);
        if end == LineEnd::Newline {
            bytes = &bytes[..length - 1];
        }
        if end != LineEnd::Part {
            bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        }
        if at_start {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        Ok(Some(Line { bytes, number: self.number, end, at_start }))
    }

    fn skip_long<'a, R: Read>(&mut self, input: &mut Input<R>) -> Result<Line<'a>, ScanError> {
        self.number += 1;
        loop {
            let length = input.bytes().len();
            let newline = memchr(b'\n', input.bytes());
            input.take(newline.map_or(length, |at| at + 1));
            if newline.is_some() || !input.fill()? {
                return Ok(Line { bytes: &[], number: self.number, end: LineEnd::TooLong, at_start: true });
            }
        }
    }
}

/// A format in which a line says all about its records.
pub(crate) trait LineFormat {
    /// Reads one line.
    fn line(&mut self, line: &Line<'_>, records: &mut Records);

    /// A record that an earlier line holds and that was too many to give at once.
    fn left_over(&mut self) -> Option<Record> {
        None
    }

    /// Whether a last line without an end may be believed. If not, it may be a beginning that only looks
    /// whole: `192.0.2.1` of `192.0.2.15`.
    fn believes_unended_line(&self) -> bool;

    /// Whether a document was begun and not ended.
    fn is_open(&self) -> bool {
        false
    }

    /// When the scan began, as far as the lines so far have said.
    fn started(&self) -> Option<Timestamp> {
        None
    }
}

/// Reads the records of a format whose lines stand alone.
pub(crate) struct LineReader {
    lines: Lines,
    format: Box<dyn LineFormat + Send>,
    records: Records,
    cut: bool,
}

impl LineReader {
    pub(crate) fn new(format: impl LineFormat + Send + 'static) -> Self {
        Self { lines: Lines::whole(), format: Box::new(format), records: Records::new(), cut: false }
    }

    pub(crate) fn next<R: Read>(&mut self, input: &mut Input<R>) -> Result<Option<Record>, ScanError> {
        loop {
            if let Some(record) = self.records.pop_front().or_else(|| self.format.left_over()) {
                return Ok(Some(record));
            }
            let Some(line) = self.lines.next(input)? else { return Ok(None) };
            match line.end {
                LineEnd::TooLong => {
                    let reason = format!("line is longer than {MAX_LINE_BYTES} bytes");
                    self.records.push_back(Record::Bad { line: line.number, reason });
                }
                LineEnd::Input => {
                    let believed = self.format.believes_unended_line();
                    self.format.line(&line, &mut self.records);
                    let count = self.records.len();
                    self.records.retain(|record| believed && !matches!(record, Record::Bad { .. }));
                    self.cut |= self.records.len() < count;
                }
                LineEnd::Newline | LineEnd::Part => self.format.line(&line, &mut self.records),
            }
            date(&mut self.records, || self.format.started());
        }
    }

    pub(crate) fn truncated(&self) -> bool {
        self.cut || self.format.is_open()
    }
}

/// White space, and the NULs that fill a preallocated file.
pub(crate) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0
}

/// What follows the progress that a terminal overwrites with carriage returns.
pub(crate) fn after_progress(bytes: &[u8]) -> &[u8] {
    match memrchr(b'\r', bytes) {
        Some(at) if bytes[at + 1..].iter().any(|byte| !is_blank(*byte)) => &bytes[at + 1..],
        _ => bytes,
    }
}

/// `bytes` without blanks at both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let Some(first) = bytes.iter().position(|byte| !is_blank(*byte)) else { return &[] };
    let last = bytes.iter().rposition(|byte| !is_blank(*byte)).unwrap_or(first);
    &bytes[first..=last]
}

/// Takes the next word off `rest`, and one blank after it; None if only blanks are left.
pub(crate) fn next_word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let bytes = *rest;
    let start = bytes.iter().position(|byte| !blank(byte))?;
    let end = bytes[start..].iter().position(blank).map_or(bytes.len(), |length| start + length);
    *rest = bytes.get(end + 1..).unwrap_or_default();
    Some(&bytes[start..end])
}
