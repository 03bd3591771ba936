//! `-oX` of masscan and nmap.
//!
//! Tags are split here and not by the XML library: output is cut in the middle of a tag, and the next document
//! begins right there (`--append-output`), which no XML reader survives. A `<` can stand neither in a tag nor in
//! an attribute, so it always says that a tag was cut. Document types and entities are never expanded.

use std::io::Read;

use hostatlas_domain::Timestamp;
use memchr::{memchr, memchr_iter, memmem};
use quick_xml::events::attributes::Attributes;

use crate::{
    Record, ScanError,
    escape::unescape_hex,
    input::Input,
    lines::MAX_LINE_BYTES,
    moment,
    record::{Common, Records, bad_address, date},
};

#[derive(Default)]
pub(crate) struct XmlReader {
    newlines: u64,
    records: Records,
    document: Document,
    cut: bool,
}

/// Where the tag ends that the buffer begins with.
#[derive(Debug, PartialEq, Eq)]
enum End {
    At(usize),
    /// Before its end, another tag begins.
    CutAt(usize),
    Incomplete,
}

impl XmlReader {
    pub(crate) fn next<R: Read>(&mut self, input: &mut Input<R>) -> Result<Option<Record>, ScanError> {
        loop {
            if let Some(record) = self.records.pop_front() {
                return Ok(Some(record));
            }
            let text = memchr(b'<', input.bytes()).unwrap_or(input.bytes().len());
            self.newlines += newlines(input.take(text));
            let line = self.newlines + 1;
            let bytes = input.bytes();
            match if bytes.is_empty() { End::Incomplete } else { end_of_tag(bytes) } {
                End::At(length) => {
                    let tag = input.take(length);
                    self.newlines += newlines(tag);
                    self.document.tag(&tag[1..length - 1], line, &mut self.records);
                    date(&mut self.records, || self.document.started);
                }
                End::CutAt(length) => {
                    self.newlines += newlines(input.take(length));
                    self.document.cut(line, &mut self.records);
                }
                End::Incomplete if bytes.len() > MAX_LINE_BYTES => {
                    self.newlines += newlines(input.take(usize::MAX));
                    let reason = format!("tag is longer than {MAX_LINE_BYTES} bytes");
                    self.records.push_back(Record::Bad { line, reason });
                }
                End::Incomplete => {
                    if !input.fill()? {
                        self.cut |= !input.take(usize::MAX).is_empty();
                        return Ok(None);
                    }
                }
            }
        }
    }

    pub(crate) fn truncated(&self) -> bool {
        self.cut || self.document.open || self.document.host.is_some()
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

fn end_of_tag(bytes: &[u8]) -> End {
    for (begin, end) in [(&b"<!--"[..], &b"-->"[..]), (b"<![CDATA[", b"]]>"), (b"<?", b"?>")] {
        if let Some(inside) = bytes.strip_prefix(begin) {
            return match memmem::find(inside, end) {
                Some(at) => End::At(begin.len() + at + end.len()),
                None => End::Incomplete,
            };
        }
        if begin.starts_with(bytes) {
            return End::Incomplete;
        }
    }
    if bytes.starts_with(b"<!") {
        return end_of_declaration(bytes);
    }
    let mut quote = None;
    for (index, byte) in bytes.iter().enumerate().skip(1) {
        match (byte, quote) {
            (b'<', _) => return End::CutAt(index),
            (b'>', None) => return End::At(index + 1),
            (b'"' | b'\'', None) => quote = Some(*byte),
            (_, Some(open)) if open == *byte => quote = None,
            _ => {}
        }
    }
    End::Incomplete
}

/// A document type, perhaps with declarations in brackets.
fn end_of_declaration(bytes: &[u8]) -> End {
    let Some(end) = memchr(b'>', bytes) else { return End::Incomplete };
    if memchr(b'[', &bytes[..end]).is_none() {
        return End::At(end + 1);
    }
    let Some(bracket) = memmem::find(bytes, b"]") else { return End::Incomplete };
    memchr(b'>', &bytes[bracket..]).map_or(End::Incomplete, |end| End::At(bracket + end + 1))
}

/// What the tags so far have said.
#[derive(Default)]
struct Document {
    open: bool,
    started: Option<Timestamp>,
    host: Option<Host>,
    port: Option<Port>,
}

#[derive(Default)]
struct Host {
    line: u64,
    address: Option<Common>,
    wrong_address: Option<Vec<u8>>,
    time: Option<Vec<u8>>,
    status: Vec<u8>,
    status_reason: Vec<u8>,
    /// nmap's `hosthint` comes before the host and says nothing else.
    is_hint: bool,
    ports: usize,
    sightings: usize,
    /// It was called bad already.
    is_bad: bool,
}

#[derive(Default)]
struct Port {
    line: u64,
    protocol: Vec<u8>,
    number: Vec<u8>,
    state: Vec<u8>,
    service: Vec<u8>,
    banner: Option<Vec<u8>>,
    version: Vec<u8>,
}

impl Document {
    /// Reads what stands between `<` and `>`.
    fn tag(&mut self, tag: &[u8], line: u64, records: &mut Records) {
        if let Some(name) = tag.strip_prefix(b"/") {
            self.end(name.trim_ascii(), records);
            return;
        }
        let closed = tag.strip_suffix(b"/");
        let tag = closed.unwrap_or(tag);
        let name_length = tag.iter().position(u8::is_ascii_whitespace).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(name_length);
        match name {
            b"?xml" | b"nmaprun" => {
                self.finish_cut_host(records);
                self.open = true;
                if name == b"nmaprun" {
                    self.started = start_of_run(attributes);
                }
                return;
            }
            b"host" | b"hosthint" => {
                self.finish_cut_host(records);
                self.host = Some(Host::read(attributes, line, name == b"hosthint"));
            }
            b"address" => self.address(attributes),
            b"status" => self.status(attributes),
            b"port" => self.port = Some(Port::read(attributes, line)),
            b"state" => self.state(attributes),
            b"service" => self.service(attributes),
            _ => return,
        }
        if closed.is_some() {
            self.end(name, records);
        }
    }

    fn end(&mut self, name: &[u8], records: &mut Records) {
        match name {
            b"nmaprun" => {
                self.finish_cut_host(records);
                self.open = false;
            }
            b"port" => self.finish_port(records),
            b"host" => {
                if let Some(host) = self.host.take() {
                    records.extend(host.finish());
                }
            }
            b"hosthint" => self.host = None,
            _ => {}
        }
    }

    fn address(&mut self, attributes: &[u8]) {
        let Some(host) = &mut self.host else { return };
        let mut text = Vec::new();
        let mut is_mac = false;
        each_attribute(attributes, |name, value| match name {
            b"addr" => text = value.to_vec(),
            b"addrtype" => is_mac = value == b"mac",
            _ => {}
        });
        // masscan calls every address ipv4, so only the text is believed.
        if !is_mac && host.address.is_none() {
            host.address = Common::read(host.line, &text, None);
            host.wrong_address = host.address.is_none().then_some(text);
        }
    }

    fn status(&mut self, attributes: &[u8]) {
        let Some(host) = &mut self.host else { return };
        each_attribute(attributes, |name, value| match name {
            b"state" => host.status = value.to_vec(),
            b"reason" => host.status_reason = value.to_vec(),
            _ => {}
        });
    }

    fn state(&mut self, attributes: &[u8]) {
        let Some(port) = &mut self.port else { return };
        each_attribute(attributes, |name, value| {
            if name == b"state" {
                port.state = value.to_vec();
            }
        });
    }

    fn service(&mut self, attributes: &[u8]) {
        let Some(port) = &mut self.port else { return };
        each_attribute(attributes, |name, value| match name {
            b"name" => port.service = value.to_vec(),
            b"banner" => port.banner = Some(unescape_hex(value)),
            b"product" | b"version" | b"extrainfo" => {
                if !port.version.is_empty() {
                    port.version.push(b' ');
                }
                port.version.extend_from_slice(value);
            }
            _ => {}
        });
    }

    fn finish_port(&mut self, records: &mut Records) {
        let Some(port) = self.port.take() else { return };
        let Some(host) = &mut self.host else {
            records
                .push_back(Record::Bad { line: port.line, reason: "port stands outside a host".to_owned() });
            return;
        };
        if host.is_hint {
            return;
        }
        host.ports += 1;
        let Some(seen) = host.seen(port.line) else {
            records.extend(host.bad_address());
            return;
        };
        let said = match port.banner {
            Some(banner) => Some(banner),
            None if port.state == b"open" && !port.version.is_empty() => Some(unescape_hex(&port.version)),
            None => None,
        };
        let record = match said {
            Some(banner) => seen.banner(&port.protocol, &port.number, &port.service, banner),
            None if port.state.is_empty() => {
                Record::Bad { line: port.line, reason: "port has no state".to_owned() }
            }
            None => seen.port(&port.protocol, &port.number, &port.state),
        };
        host.sightings += usize::from(matches!(record, Record::Sighting { .. }));
        records.push_back(record);
    }

    /// A tag was cut, and with it the port or host that it belonged to.
    fn cut(&mut self, line: u64, records: &mut Records) {
        self.port = None;
        if let Some(host) = &mut self.host {
            host.is_bad = true;
        }
        records.push_back(Record::Bad { line, reason: "record is cut off in its middle".to_owned() });
    }

    /// A host that is still open where the next begins was cut.
    fn finish_cut_host(&mut self, records: &mut Records) {
        let port = self.port.take();
        let Some(host) = self.host.take() else { return };
        if !host.is_hint && !host.is_bad && (port.is_some() || host.sightings == 0) {
            let reason = "host is cut off in its middle".to_owned();
            records.push_back(Record::Bad { line: host.line, reason });
        }
    }
}

/// When a run of nmap or masscan began.
fn start_of_run(attributes: &[u8]) -> Option<Timestamp> {
    let mut started = None;
    each_attribute(attributes, |name, value| {
        if name == b"start" {
            started = moment::parse(value);
        }
    });
    started
}

impl Host {
    fn read(attributes: &[u8], line: u64, is_hint: bool) -> Self {
        let mut host = Self { line, is_hint, ..Self::default() };
        each_attribute(attributes, |name, value| match name {
            b"endtime" => host.time = Some(value.to_vec()),
            b"starttime" if host.time.is_none() => host.time = Some(value.to_vec()),
            _ => {}
        });
        host
    }

    fn seen(&self, line: u64) -> Option<Common> {
        let seen_at = self.time.as_deref().and_then(moment::parse);
        let address = self.address?;
        let repaired = address.repaired || (self.time.is_some() && seen_at.is_none());
        Some(Common { line, seen_at, repaired, ..address })
    }

    /// Says once that the address is missing or wrong.
    fn bad_address(&mut self) -> Option<Record> {
        if std::mem::replace(&mut self.is_bad, true) {
            return None;
        }
        Some(match &self.wrong_address {
            Some(text) => bad_address(self.line, text),
            None => Record::Bad { line: self.line, reason: "host has no address".to_owned() },
        })
    }

    /// What the host says beyond its ports.
    fn finish(mut self) -> Option<Record> {
        if self.is_hint || self.is_bad || self.sightings > 0 {
            return None;
        }
        let Some(seen) = self.seen(self.line) else { return self.bad_address() };
        match (self.status.as_slice(), self.status_reason.as_slice()) {
            // `-Pn` calls every address up.
            (b"up", b"user-set") => Some(seen.skipped("host did not answer")),
            (b"", _) if self.ports > 0 => None,
            (b"up" | b"", _) => Some(seen.up()),
            (other, _) => Some(seen.host(other)),
        }
    }
}

impl Port {
    fn read(attributes: &[u8], line: u64) -> Self {
        let mut port = Self { line, ..Self::default() };
        each_attribute(attributes, |name, value| match name {
            b"protocol" => port.protocol = value.to_vec(),
            b"portid" => port.number = value.to_vec(),
            _ => {}
        });
        port
    }
}

/// Calls `each` with every attribute up to the first that is none. The five standard entities and numeric ones
/// are replaced; anything else stays as it is.
fn each_attribute(attributes: &[u8], mut each: impl FnMut(&[u8], &[u8])) {
    let text = String::from_utf8_lossy(attributes);
    let mut iterator = Attributes::new(&text, 0);
    for attribute in iterator.with_checks(false).map_while(Result::ok) {
        let raw = str::from_utf8(&attribute.value).unwrap_or_default();
        match quick_xml::escape::unescape(raw) {
            Ok(value) => each(attribute.key.as_ref(), value.as_bytes()),
            Err(_) => each(attribute.key.as_ref(), raw.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_ends_at_its_own_bracket() {
        assert_eq!(end_of_tag(br#"<a b="x>y" c='"'>z"#), End::At(17));
        assert_eq!(end_of_tag(b"<!-- <a> -- > -->x"), End::At(17));
        assert_eq!(end_of_tag(b"<?x a=\">\"?>"), End::At(11));
        assert_eq!(end_of_tag(b"<!DOCTYPE a [<!ENTITY b \"c\">]>d"), End::At(30));
        assert_eq!(end_of_tag(b"<port protocol=\"tc<?xml"), End::CutAt(18));
        for beginning in
            ["<", "<!", "<!-", "<!-- -", "<![CDATA[ ]]", "<?xml ?", "<a b=\"", "<!DOCTYPE a [<!ENTITY b>"]
        {
            assert_eq!(end_of_tag(beginning.as_bytes()), End::Incomplete, "{beginning}");
        }
    }
}
