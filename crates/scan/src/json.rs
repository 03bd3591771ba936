//! masscan's JSON of every era, its JSON lines, zmap's JSON lines, and what wrappers make of them.
//!
//! Objects are found by line where a line is an object, which is what every scanner writes, and by their
//! brackets otherwise (indented by jq, or a whole document on one line). The brackets and commas around
//! them are not believed: masscan wrote them wrongly for years, and a killed scan leaves them out.

use std::io::Read;

use crate::{
    Record, ScanError,
    input::Input,
    lines::{Line, LineEnd, Lines, MAX_LINE_BYTES, after_progress, is_blank, trim},
    moment,
    object::{self, EndFinder, Fault, Object, Port, Value},
    record::{Common, Records, address, bad_address, shown},
    stdout::is_noise,
};

pub(crate) struct JsonReader {
    lines: Lines,
    records: Records,
    pending: Option<Pending>,
    /// A `[` was read and its `]` was not.
    open: bool,
    cut: bool,
    /// The last line that was called bad, so that a long one is called so once.
    bad_line: u64,
}

/// An object whose end has not come.
struct Pending {
    line: u64,
    bytes: Vec<u8>,
    end: EndFinder,
    /// Why it is bad already; its bytes are not kept then.
    broken: Option<String>,
}

impl JsonReader {
    pub(crate) fn new() -> Self {
        Self {
            lines: Lines::in_parts(),
            records: Records::new(),
            pending: None,
            open: false,
            cut: false,
            bad_line: 0,
        }
    }

    pub(crate) fn next<R: Read>(&mut self, input: &mut Input<R>) -> Result<Option<Record>, ScanError> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Ok(Some(record));
            }
            let Some(line) = self.lines.next(input)? else {
                let Some(pending) = self.pending.take() else { return Ok(None) };
                match pending.broken {
                    Some(reason) => self.records.push_back(Record::Bad { line: pending.line, reason }),
                    None => self.cut = true,
                }
                continue;
            };
            let mut state = State {
                records: &mut self.records,
                pending: &mut self.pending,
                open: &mut self.open,
                cut: &mut self.cut,
                bad_line: &mut self.bad_line,
            };
            state.line(&line);
        }
    }

    pub(crate) fn truncated(&self) -> bool {
        self.cut || self.open
    }
}

/// All of the reader but its lines, which the current line borrows.
struct State<'a> {
    records: &'a mut Records,
    pending: &'a mut Option<Pending>,
    open: &'a mut bool,
    cut: &'a mut bool,
    bad_line: &'a mut u64,
}

impl State<'_> {
    fn line(&mut self, line: &Line<'_>) {
        let mut bytes = line.bytes;
        if let Some(mut pending) = self.pending.take() {
            if line.at_start && begins_record(bytes) {
                let reason = pending.broken.unwrap_or_else(|| "record is cut off in its middle".to_owned());
                self.records.push_back(Record::Bad { line: pending.line, reason });
            } else {
                let end = pending.end.find(bytes);
                pending.extend(&bytes[..end.unwrap_or(bytes.len())]);
                let Some(end) = end else {
                    if line.end != LineEnd::Part {
                        pending.extend(b"\n");
                    }
                    *self.pending = Some(pending);
                    return;
                };
                self.finish(pending);
                bytes = &bytes[end..];
            }
        } else if line.at_start {
            bytes = after_progress(bytes);
        }
        self.objects(bytes, line);
    }

    /// Reads the objects of a line, or of what is left of it.
    fn objects(&mut self, mut bytes: &[u8], line: &Line<'_>) {
        let mut after_noise = false;
        loop {
            let Some(at) = bytes.iter().position(|byte| !is_blank(*byte)) else { return };
            bytes = &bytes[at..];
            match bytes[0] {
                b',' => {}
                b'[' if is_noise(bytes) => return,
                b'[' => *self.open = true,
                b']' => *self.open = false,
                b'{' => match self.object(bytes, line, after_noise) {
                    Some(length) => {
                        bytes = &bytes[length..];
                        after_noise = false;
                        continue;
                    }
                    None => return,
                },
                _ => {
                    let junk = bytes.iter().position(|byte| *byte == b'{').unwrap_or(bytes.len());
                    if junk == bytes.len() {
                        return self.junk(bytes, line);
                    }
                    after_noise = true;
                    bytes = &bytes[junk..];
                    continue;
                }
            }
            bytes = &bytes[1..];
        }
    }

    /// Reads the object at the beginning of `bytes`. None if it does not end there.
    fn object(&mut self, bytes: &[u8], line: &Line<'_>, after_noise: bool) -> Option<usize> {
        let fault = match object::read(bytes) {
            Ok((object, length)) => {
                *self.open &= !object.finished;
                records_of(&object, line.number, after_noise, self.records);
                return Some(length);
            }
            Err(fault) => fault,
        };
        let mut end = EndFinder::default();
        let found = end.find(bytes);
        match (fault, found) {
            (Fault::Syntax(reason), Some(_)) => {
                self.records.push_back(Record::Bad { line: line.number, reason: reason.to_owned() });
            }
            (Fault::Incomplete, _) | (Fault::Syntax(_), None) if line.end == LineEnd::Input => {
                *self.cut = true;
            }
            (Fault::Incomplete, Some(_)) => {
                let reason = "brackets do not match".to_owned();
                self.records.push_back(Record::Bad { line: line.number, reason });
            }
            (fault, None) => {
                let broken = match fault {
                    Fault::Incomplete => None,
                    Fault::Syntax(reason) => Some(reason.to_owned()),
                };
                let mut pending = Pending { line: line.number, bytes: Vec::new(), end, broken };
                pending.extend(bytes);
                *self.pending = Some(pending);
            }
        }
        found
    }

    /// Reads an object that is now whole.
    fn finish(&mut self, pending: Pending) {
        let line = pending.line;
        let reason = match (pending.broken, object::read(&pending.bytes)) {
            (Some(reason), _) => reason,
            (None, Ok((object, _))) => {
                *self.open &= !object.finished;
                return records_of(&object, line, false, self.records);
            }
            (None, Err(Fault::Syntax(reason))) => reason.to_owned(),
            (None, Err(Fault::Incomplete)) => "brackets do not match".to_owned(),
        };
        self.records.push_back(Record::Bad { line, reason });
    }

    fn junk(&mut self, bytes: &[u8], line: &Line<'_>) {
        if line.end == LineEnd::Input {
            *self.cut = true;
        } else if !is_noise(bytes) && *self.bad_line != line.number {
            *self.bad_line = line.number;
            self.records.push_back(Record::Bad {
                line: line.number,
                reason: format!("{} is no JSON object", shown(bytes)),
            });
        }
    }
}

impl Pending {
    fn extend(&mut self, bytes: &[u8]) {
        if self.broken.is_none() && self.bytes.len() + bytes.len() > MAX_LINE_BYTES {
            self.broken = Some(format!("record is longer than {MAX_LINE_BYTES} bytes"));
        }
        if self.broken.is_none() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes = Vec::new();
        }
    }
}

/// Whether a line begins a record by itself, whatever was before it: a brace and the key of an address.
///
/// A brace alone does not say so: indented documents have one on most lines.
fn begins_record(line: &[u8]) -> bool {
    let Some(rest) = trim(line).strip_prefix(b"{") else { return false };
    let rest = trim(rest);
    let key = rest.strip_prefix(b"\"").unwrap_or(rest);
    [&b"ip"[..], b"saddr"].iter().any(|name| {
        key.strip_prefix(*name).is_some_and(|rest| matches!(rest.first(), Some(b'"' | b':' | b' ')))
    })
}

fn records_of(object: &Object<'_>, line: u64, after_noise: bool, records: &mut Records) {
    let Some(text) = object.address else {
        if !object.finished {
            records.push_back(Record::Bad { line, reason: "record has no address".to_owned() });
        }
        return;
    };
    let Some(address) = address(text.raw()) else {
        records.push_back(bad_address(line, text.raw()));
        return;
    };
    let seen_at = match (object.timestamp, object.timestamp_micros) {
        (Some(seconds), Some(micros)) => moment::with_micros(seconds.raw(), micros.raw()),
        (Some(time), None) => time.moment(),
        _ => None,
    };
    let repaired = object.mended || after_noise || (object.timestamp.is_some() && seen_at.is_none());
    let seen = Common { line, address, seen_at, repaired };
    if let Some(reason) = failed_probe(object) {
        records.push_back(seen.skipped(reason));
        return;
    }
    if let Some(first) = &object.ports.first {
        for port in std::iter::once(first).chain(&object.ports.more) {
            records.push_back(record_of(&seen, port));
        }
    } else if object.own.number.is_some() {
        let mut own = object.own;
        if own.protocol.is_none() && object.classification.is_some_and(|value| value.raw() == b"udp") {
            own.protocol = Some(Value::Bare(b"udp"));
        }
        records.push_back(record_of(&seen, &own));
    } else {
        records.push_back(seen.up());
    }
}

/// Why a row of zmap's is no open port.
fn failed_probe(object: &Object<'_>) -> Option<String> {
    let success = object.success.map(Value::raw);
    let classification = object.classification.map(Value::raw);
    crate::zmap::failed_probe(success, classification)
}

fn record_of(seen: &Common, port: &Port<'_>) -> Record {
    let protocol = port.protocol.map_or(&b""[..], Value::raw);
    let Some(number) = port.number.map(Value::raw) else {
        return Record::Bad { line: seen.line, reason: "record has no port".to_owned() };
    };
    let said_nothing = port.banner.is_none_or(|banner| banner.raw().is_empty());
    let state = port.status.map_or(&b""[..], Value::raw);
    if match port.status {
        Some(_) => said_nothing || state != b"open",
        None => port.banner.is_none() && port.service.is_none(),
    } {
        return seen.port(protocol, number, state);
    }
    let (banner, banner_mended) = port.banner.map_or((Vec::new(), false), Value::bytes);
    let (service, service_mended) = port.service.map_or((Vec::new(), false), Value::bytes);
    let seen = Common { repaired: seen.repaired || banner_mended || service_mended, ..*seen };
    seen.banner(protocol, number, &service, banner)
}
