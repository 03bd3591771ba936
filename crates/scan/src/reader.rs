use std::io::Read;

use hostatlas_domain::ScanFormat;

use crate::{
    Record, ScanError,
    binary::BinaryReader,
    grepable::Grepable,
    input::Input,
    json::JsonReader,
    lines::LineReader,
    list::List,
    plain::Plain,
    rustscan::Rustscan,
    sniff::sniff,
    stdout::{Stdout, Unicornscan},
    xml::XmlReader,
    zmap::Csv,
};

/// Reads scan output of any known format from any reader, in constant memory.
///
/// It takes what a read gives and asks for more only when no further record is whole. So a growing file or a
/// pipe is followed with a reader that blocks where it has nothing yet, and returns 0 only at the real end.
/// A last line without an end is given out only at that end, and only where it cannot be a mere beginning.
pub struct ScanReader<R: Read> {
    input: Input<R>,
    format: ScanFormat,
    parser: Parser,
}

enum Parser {
    Empty,
    Json(JsonReader),
    Lines(LineReader),
    Xml(Box<XmlReader>),
    Binary(BinaryReader),
}

impl<R: Read> ScanReader<R> {
    /// Recognises gzip (also several members), zstd, UTF-16 and the format by content, for which it waits until
    /// the first line has come; `format` forces a format.
    ///
    /// Fails with [`ScanError::NotAScan`] if the beginning is of no known format.
    pub fn new(reader: R, format: Option<ScanFormat>) -> Result<Self, ScanError> {
        let mut input = Input::new(reader)?;
        let format = match format {
            Some(format) => format,
            None => sniff(&mut input)?,
        };
        let parser = match format {
            ScanFormat::Empty => Parser::Empty,
            ScanFormat::MasscanJson
            | ScanFormat::MasscanNdjson
            | ScanFormat::ZmapJson
            | ScanFormat::NaabuJson
            | ScanFormat::ShodanJson
            | ScanFormat::Json => Parser::Json(JsonReader::new()),
            ScanFormat::MasscanList => Parser::Lines(LineReader::new(List::default())),
            ScanFormat::MasscanGrepable | ScanFormat::NmapGrepable => {
                Parser::Lines(LineReader::new(Grepable::default()))
            }
            ScanFormat::MasscanStdout => Parser::Lines(LineReader::new(Stdout::default())),
            ScanFormat::Unicornscan => Parser::Lines(LineReader::new(Unicornscan::default())),
            ScanFormat::ZmapCsv | ScanFormat::NaabuCsv => Parser::Lines(LineReader::new(Csv::default())),
            ScanFormat::RustscanGrepable => Parser::Lines(LineReader::new(Rustscan)),
            ScanFormat::Plain => Parser::Lines(LineReader::new(Plain::default())),
            ScanFormat::MasscanXml | ScanFormat::NmapXml => Parser::Xml(Box::default()),
            ScanFormat::MasscanBinary => Parser::Binary(BinaryReader::default()),
        };
        Ok(Self { input, format, parser })
    }

    /// What was recognised or forced. An input without any content is [`ScanFormat::Empty`].
    pub fn format(&self) -> ScanFormat {
        self.format
    }

    /// The next record, or none at the end of the input. One that says no time has the time at which its scan began, if
    /// the input tells that.
    ///
    /// Fails only if the input itself cannot be read. Records that came before the failure were given out, and
    /// calling on gives what was already in memory.
    pub fn next_record(&mut self) -> Result<Option<Record>, ScanError> {
        match &mut self.parser {
            Parser::Empty => Ok(None),
            Parser::Json(parser) => parser.next(&mut self.input),
            Parser::Lines(parser) => parser.next(&mut self.input),
            Parser::Xml(parser) => parser.next(&mut self.input),
            Parser::Binary(parser) => parser.next(&mut self.input),
        }
    }

    /// Whether the input ended in the middle of a record, of a document that has an end, or of compressed data.
    /// Final once [`ScanReader::next_record`] gave none.
    pub fn truncated(&self) -> bool {
        let parser = match &self.parser {
            Parser::Empty => false,
            Parser::Json(parser) => parser.truncated(),
            Parser::Lines(parser) => parser.truncated(),
            Parser::Xml(parser) => parser.truncated(),
            Parser::Binary(parser) => parser.truncated(),
        };
        parser || self.input.cut()
    }

    /// How many bytes were taken from the reader, still compressed: what a progress bar over a file's size needs.
    pub fn compressed_bytes_read(&self) -> u64 {
        self.input.compressed_bytes_read()
    }
}
