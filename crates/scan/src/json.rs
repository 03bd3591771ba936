//! masscan's JSON of every era, its JSON lines, those of zmap, naabu and Shodan, and what wrappers make of them.
//!
//! Objects are found by line where a line is an object, which is what every scanner writes, and by their
//! brackets otherwise (indented by jq, or a whole document on one line). The brackets and commas around
//! them are not believed: masscan wrote them wrongly for years, and a killed scan leaves them out.
//!
//! Which tool wrote a record, each record says by itself: files are joined, and wrappers add members. One that has an
//! address and says nothing else that is known is not understood.

use std::io::Read;

use hostatlas_domain::ScanFormat;

use crate::{
    MAX_BANNER_BYTES, Record, ScanError,
    input::Input,
    lines::{Line, LineEnd, Lines, MAX_LINE_BYTES, after_progress, is_blank, trim},
    moment, naabu,
    object::{self, Author, EndFinder, Fault, Object, Port, Value},
    record::{Common, Records, bad_address, shown},
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
        let mut object = Object::default();
        let fault = match object::read(bytes, &mut object) {
            Ok(length) => {
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
        let mut object = Object::default();
        let reason = match (pending.broken, object::read(&pending.bytes, &mut object)) {
            (Some(reason), _) => reason,
            (None, Ok(_)) => {
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

/// The format of the document whose text begins with an object or with the bracket before one; none if more bytes
/// decide.
pub(crate) fn sniff(text: &[u8], ended: bool) -> Option<ScanFormat> {
    let is_between = |byte: &u8| is_blank(*byte) || matches!(byte, b'[' | b',');
    let Some(at) = text.iter().position(|byte| !is_between(byte)) else {
        return ended.then_some(ScanFormat::MasscanJson);
    };
    if text[at] != b'{' {
        return Some(ScanFormat::MasscanJson);
    }
    let mut object = Object::default();
    let whole = !matches!(object::read(&text[at..], &mut object), Err(Fault::Incomplete));
    match object.author() {
        Author::Zmap => Some(ScanFormat::ZmapJson),
        Author::Shodan => Some(ScanFormat::ShodanJson),
        Author::MasscanLine => Some(ScanFormat::MasscanNdjson),
        Author::Masscan => Some(ScanFormat::MasscanJson),
        _ if !whole && !ended => None,
        Author::Naabu => Some(ScanFormat::NaabuJson),
        Author::Unknown if object.finished || object.names_nothing() => Some(ScanFormat::MasscanJson),
        Author::Foreign(_) | Author::Unknown => Some(ScanFormat::Json),
    }
}

/// Whether a line begins a record by itself, whatever was before it: a brace and the key of an address, or a brace
/// at its very beginning with a key behind it.
///
/// A brace alone does not say so: indented documents have one on most lines.
fn begins_record(line: &[u8]) -> bool {
    if line.starts_with(b"{\"") {
        return true;
    }
    let Some(rest) = trim(line).strip_prefix(b"{") else { return false };
    let rest = trim(rest);
    let key = rest.strip_prefix(b"\"").unwrap_or(rest);
    [&b"ip"[..], b"saddr"].iter().any(|name| {
        key.strip_prefix(*name).is_some_and(|rest| matches!(rest.first(), Some(b'"' | b':' | b' ')))
    })
}

fn records_of(object: &Object<'_>, line: u64, after_noise: bool, records: &mut Records) {
    let author = object.author();
    if let Author::Foreign(tool) = author {
        let reason = format!("it is a record of {tool}, which this version does not read");
        records.push_back(Record::NotUnderstood { line, reason });
        return;
    }
    let Some(text) = object.address() else {
        records.extend(without_address(object, line));
        return;
    };
    let Some(mut seen) = Common::read(line, text.raw(), None) else {
        records.push_back(bad_address(line, text.raw()));
        return;
    };
    seen.seen_at = match (object.timestamp, object.timestamp_micros) {
        (Some(seconds), Some(micros)) => moment::with_micros(seconds.raw(), micros.raw()),
        (Some(time), None) => time.moment(),
        _ => None,
    };
    seen.repaired |= object.mended || after_noise || (object.timestamp.is_some() && seen.seen_at.is_none());
    if let Some(reason) = failed_probe(object) {
        records.push_back(seen.skipped(reason));
        return;
    }
    if let Some(first) = &object.ports.first {
        for port in std::iter::once(first).chain(&object.ports.more) {
            records.push_back(record_of(&seen, port));
        }
        return;
    }
    records.push_back(match author {
        Author::Naabu => naabu_record(&seen, object),
        Author::Shodan => shodan_record(&seen, object),
        _ => own_record(&seen, object, author),
    });
}

/// What becomes of an object that names no address.
fn without_address(object: &Object<'_>, line: u64) -> Option<Record> {
    if object.finished {
        return None;
    }
    Some(match object.strange {
        Some(member) if !object.names_port() => {
            let reason = format!(
                "its shape is not known: it has no address, and {} is no member of a scan's record",
                shown(member)
            );
            Record::NotUnderstood { line, reason }
        }
        _ => Record::Bad { line, reason: "record has no address".to_owned() },
    })
}

/// The record of an object whose port, if it has one, stands at its top.
fn own_record(seen: &Common, object: &Object<'_>, author: Author) -> Record {
    if object.own.number.is_some() {
        let mut own = object.own;
        if own.protocol.is_none() && object.classification.is_some_and(|value| value.raw() == b"udp") {
            own.protocol = Some(Value::Bare(b"udp"));
        }
        return record_of(seen, &own);
    }
    match object.strange {
        // zmap's probes of hosts have no port, and its records hold whatever fields were asked for.
        Some(member) if author != Author::Zmap => seen.not_understood(format!(
            "its shape is not known: it has no port, and {} is no member of a scan's record",
            shown(member)
        )),
        _ => seen.host(object.own.status.map_or(&b""[..], Value::raw)),
    }
}

/// naabu names a service after it has probed it, and the port alone otherwise.
fn naabu_record(seen: &Common, object: &Object<'_>) -> Record {
    let protocol = object.own.protocol.map_or(&b""[..], Value::raw);
    // It writes none, or 0, for a host that it only looked for.
    let number = object.own.number.map_or(&b"0"[..], Value::raw);
    let details = &object.details;
    let (banner, mended) = joined([details.product, details.version, details.extra]);
    if number == b"0" || (banner.is_empty() && details.name.is_none()) {
        return naabu::port(seen, protocol, number);
    }
    let seen = Common { repaired: seen.repaired || mended, ..*seen };
    let service = details.name.map_or_else(Vec::new, |name| name.text().0);
    seen.banner(naabu::protocol(protocol), number, &service, banner)
}

/// Shodan keeps what a service said, and who asked it; where it said nothing, what it is taken for.
fn shodan_record(seen: &Common, object: &Object<'_>) -> Record {
    let Some(number) = object.own.number.map(Value::raw) else {
        return seen.not_understood("its shape is not known: it is Shodan's, and has no port");
    };
    let protocol = object.own.protocol.map_or(&b""[..], Value::raw);
    let details = &object.details;
    let said = object.own.banner.map(Value::text).filter(|(text, _)| !text.is_empty());
    let (banner, mended) = said.unwrap_or_else(|| joined([details.product, details.version, None]));
    if banner.is_empty() {
        return seen.port(protocol, number, b"open");
    }
    let seen = Common { repaired: seen.repaired || mended, ..*seen };
    let module = details.name.map_or(&b""[..], Value::raw);
    let module = module.strip_suffix(b"-simple-new").unwrap_or(module);
    seen.banner(protocol, number, if module == b"auto" { b"" } else { module }, banner)
}

/// The texts that are there, with blanks between, and whether one had to be mended.
fn joined(parts: [Option<Value<'_>>; 3]) -> (Vec<u8>, bool) {
    let (mut all, mut mended) = (Vec::new(), false);
    for part in parts.into_iter().flatten() {
        let (text, part_mended) = part.text();
        if !all.is_empty() && !text.is_empty() {
            all.push(b' ');
        }
        all.extend(text);
        mended |= part_mended;
    }
    all.truncate(MAX_BANNER_BYTES);
    (all, mended)
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
