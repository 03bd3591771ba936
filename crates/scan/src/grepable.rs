use hostatlas_domain::Timestamp;

use crate::{
    Record,
    escape::unescape_hex,
    lines::{Line, LineFormat, trim},
    moment,
    record::{Common, Records, bad_address, implied_protocol, shown, small_number},
};

/// `-oG` of masscan and nmap: fields separated by tabs, one host a line.
#[derive(Default)]
pub(crate) struct Grepable {
    open: bool,
    started: Option<Timestamp>,
}

impl LineFormat for Grepable {
    fn line(&mut self, line: &Line<'_>, records: &mut Records) {
        let bytes = trim(line.bytes);
        if let Some(comment) = bytes.strip_prefix(b"#") {
            let comment = trim(comment);
            if comment.starts_with(b"Masscan done") || comment.starts_with(b"Nmap done") {
                self.open = false;
            } else if comment.starts_with(b"Masscan") || comment.starts_with(b"Nmap") {
                self.open = true;
                self.started = started(comment).or(self.started);
            }
            return;
        }
        if !bytes.is_empty() {
            host(line, records);
        }
    }

    fn believes_unended_line(&self) -> bool {
        !self.open
    }

    fn is_open(&self) -> bool {
        self.open
    }

    fn started(&self) -> Option<Timestamp> {
        self.started
    }
}

/// When a scan began by its first line: `Nmap 7.93 scan initiated Mon Nov 23 12:00:18 2026 as: nmap -oG -`.
///
/// masscan writes UTC. nmap writes the time of its own machine and not which that is, so what is read of it may be
/// half a day off.
fn started(comment: &[u8]) -> Option<Timestamp> {
    const BEFORE: &[u8] = b" scan initiated ";
    let at = memchr::memmem::find(comment, BEFORE)?;
    moment::of_screen(comment.get(at + BEFORE.len()..)?)
}

#[derive(Default)]
struct Fields<'a> {
    time: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    ports: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    port: Option<&'a [u8]>,
    service: Option<&'a [u8]>,
    banner: Option<&'a [u8]>,
}

fn fields(line: &[u8]) -> Fields<'_> {
    let mut fields = Fields::default();
    for field in line.split(|byte| *byte == b'\t') {
        let Some(colon) = memchr::memchr(b':', field) else { continue };
        let value = field.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let slot = match trim(&field[..colon]) {
            b"Timestamp" => &mut fields.time,
            b"Host" => &mut fields.host,
            b"Ports" => &mut fields.ports,
            b"Status" => &mut fields.status,
            b"Port" => &mut fields.port,
            b"Service" => &mut fields.service,
            b"Banner" => &mut fields.banner,
            _ => continue,
        };
        *slot = Some(value);
    }
    fields
}

pub(crate) fn host(line: &Line<'_>, records: &mut Records) {
    let fields = fields(line.bytes);
    let Some(host) = fields.host.map(trim) else {
        let reason = format!("{} is no line of grepable output", shown(line.bytes));
        records.push_back(Record::Bad { line: line.number, reason });
        return;
    };
    let text = host.split(|byte| *byte == b' ').next().unwrap_or_default();
    let Some(seen) = Common::read(line.number, text, fields.time.map(trim)) else {
        records.push_back(bad_address(line.number, text));
        return;
    };
    if let Some(ports) = fields.ports {
        for port in (Ports { rest: ports }) {
            records.push_back(port_record(&seen, port));
        }
    } else if let (Some(port), Some(banner)) = (fields.port.map(trim), fields.banner) {
        // masscan leaves the protocol out of this line alone.
        let protocol = small_number(port).map_or(&b"tcp"[..], implied_protocol);
        let service = fields.service.map(trim).unwrap_or_default();
        records.push_back(seen.banner(protocol, port, service, unescape_hex(banner)));
    } else {
        records.push_back(match fields.status.map(trim) {
            Some(state) => seen.host(state),
            None => seen.skipped("host without ports"),
        });
    }
}

/// Splits `22/open/tcp//ssh///, 80/open/tcp//http///`: a comma may stand in a version, so only one that is
/// followed by a port and a slash separates.
struct Ports<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Ports<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = trim(self.rest);
        if text.is_empty() {
            return None;
        }
        let end = memchr::memchr_iter(b',', text).find(|comma| {
            let after = trim(&text[comma + 1..text.len().min(comma + 9)]);
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && after.get(digits) == Some(&b'/')
        });
        self.rest = end.map_or(&[], |comma| &text[comma + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    }
}

/// `port/state/protocol/owner/service/rpc/version/`; nmap writes what it found out as the version.
fn port_record(seen: &Common, text: &[u8]) -> Record {
    let mut parts = text.split(|byte| *byte == b'/');
    let mut next = || parts.next().unwrap_or_default();
    let (port, state, protocol, _owner, service, _rpc, version) =
        (next(), next(), next(), next(), next(), next(), next());
    if state.is_empty() {
        return Record::Bad { line: seen.line, reason: format!("{} is no port", shown(text)) };
    }
    if state == b"open" && !version.is_empty() {
        return seen.banner(protocol, port, service, unescape_hex(version));
    }
    seen.port(protocol, port, state)
}

/// Whether `line` names a host as grepable output does.
pub(crate) fn is_grepable(line: &[u8]) -> bool {
    line.starts_with(b"Host: ")
        || (line.starts_with(b"Timestamp: ") && memchr::memmem::find(line, b"Host: ").is_some())
}
