use hostatlas_domain::Timestamp;
use memchr::memmem;

use crate::{
    Record,
    escape::unescape_hex,
    grepable,
    lines::{Line, LineEnd, LineFormat, next_word, trim},
    moment,
    record::{Common, Records, bad_address, shown},
};

/// What masscan prints on a screen, captured: `Discovered open port 443/tcp on 192.0.2.12`.
///
/// A capture holds anything; what says nothing of a host is noise and no record.
#[derive(Default)]
pub(crate) struct Stdout {
    /// The last line has no end and says nothing: it may be the beginning of a sentence.
    cut: bool,
    started: Option<Timestamp>,
}

impl LineFormat for Stdout {
    fn line(&mut self, line: &Line<'_>, records: &mut Records) {
        let plain = without_colours(line.bytes);
        let bytes = plain.as_deref().unwrap_or(line.bytes);
        // Progress shares the line: it is overwritten by a carriage return. The first match in a fragment
        // counts, as a banner could hold another.
        let mut fragments = bytes.rsplit(|byte| *byte == b'\r').filter(|fragment| !trim(fragment).is_empty());
        let last = fragments.clone().next().unwrap_or_default();
        let found = fragments.find_map(sentence);
        if found.is_none() {
            self.started = started(last).or(self.started);
        }
        self.cut = line.end == LineEnd::Input && found.is_none() && !last.is_empty() && !is_noise(last);
        records.extend(found.map(|sentence| sentence.record(line)));
    }

    fn believes_unended_line(&self) -> bool {
        false
    }

    fn is_open(&self) -> bool {
        self.cut
    }

    fn started(&self) -> Option<Timestamp> {
        self.started
    }
}

/// When a scan began: `Starting masscan 1.3.2 (http://bit.ly/14GZzcT) at 2026-11-23 11:41:42 GMT`.
fn started(line: &[u8]) -> Option<Timestamp> {
    let line = trim(line).strip_prefix(b"Starting masscan")?;
    let at = memmem::rfind(line, b" at ")?;
    moment::parse(trim(&line[at + 4..]))
}

enum Sentence<'a> {
    Discovered(&'a [u8]),
    Banner(&'a [u8]),
}

const DISCOVERED: &[u8] = b"Discovered ";
const BANNER: &[u8] = b"Banner on port ";

fn sentence(fragment: &[u8]) -> Option<Sentence<'_>> {
    let discovered = memmem::find(fragment, DISCOVERED);
    let banner = memmem::find(fragment, BANNER);
    match (discovered, banner) {
        (Some(at), None) => Some(Sentence::Discovered(&fragment[at + DISCOVERED.len()..])),
        (Some(at), Some(banner)) if at < banner => {
            Some(Sentence::Discovered(&fragment[at + DISCOVERED.len()..]))
        }
        (_, Some(at)) => Some(Sentence::Banner(&fragment[at + BANNER.len()..])),
        (None, None) => None,
    }
}

/// Whether `line` has one of the sentences.
pub(crate) fn is_stdout(line: &[u8]) -> bool {
    let tail =
        line.rsplit(|byte| *byte == b'\r').find(|fragment| !trim(fragment).is_empty()).unwrap_or_default();
    sentence(tail).is_some_and(|sentence| match sentence {
        Sentence::Discovered(rest) => {
            memmem::find(rest, b" port ").is_some() && memmem::find(rest, b" on ").is_some()
        }
        Sentence::Banner(rest) => memmem::find(rest, b" on ").is_some(),
    })
}

impl Sentence<'_> {
    fn record(self, line: &Line<'_>) -> Record {
        let parsed = match self {
            Self::Discovered(rest) => discovered(rest, line.number),
            Self::Banner(rest) => banner(rest, line.number),
        };
        parsed.unwrap_or_else(|| Record::Bad {
            line: line.number,
            reason: format!("{} is no line of masscan's", shown(line.bytes)),
        })
    }
}

/// `open port 443/tcp on 192.0.2.12`
fn discovered(mut rest: &[u8], line: u64) -> Option<Record> {
    let state = next_word(&mut rest)?;
    next_word(&mut rest).filter(|word| *word == b"port")?;
    let (port, protocol) = endpoint(next_word(&mut rest)?)?;
    next_word(&mut rest).filter(|word| *word == b"on")?;
    let text = trim(next_word(&mut rest)?);
    let Some(seen) = Common::read(line, text, None) else { return Some(bad_address(line, text)) };
    Some(seen.port(protocol, port, state))
}

/// `25/tcp on 192.0.2.11: [smtp] 220 mail`
fn banner(mut rest: &[u8], line: u64) -> Option<Record> {
    let (port, protocol) = endpoint(next_word(&mut rest)?)?;
    next_word(&mut rest).filter(|word| *word == b"on")?;
    let text = next_word(&mut rest)?.strip_suffix(b":")?;
    let Some(seen) = Common::read(line, text, None) else { return Some(bad_address(line, text)) };
    let rest = rest.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', rest)?;
    // Blanks at the end only fill the screen's line.
    let said = rest[end + 1..].trim_ascii_end();
    let said = said.strip_prefix(b" ").unwrap_or(said);
    Some(seen.banner(protocol, port, &rest[..end], unescape_hex(said)))
}

fn endpoint(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = memchr::memchr(b'/', text)?;
    Some((&text[..slash], &text[slash + 1..]))
}

/// `bytes` without a terminal's escape sequences, if there are any.
fn without_colours(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(0x1b, bytes)?;
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(sequence) = rest.strip_prefix(b"[") {
            let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte));
            rest = end.map_or(&[], |end| &sequence[end + 1..]);
        }
    }
    plain.extend_from_slice(rest);
    Some(plain)
}

/// Whether a line is what masscan says of itself, which redirection mixes into its output.
pub(crate) fn is_noise(line: &[u8]) -> bool {
    let line = trim(line);
    [
        &b"Starting masscan"[..],
        b"Initiating ",
        b"Scanning ",
        b"rate:",
        b"waiting",
        b"*****",
        b"[+] ",
        b"[-] ",
        b"[hint]",
        b" -- forced options",
        b"-- forced options",
        b"resuming from ",
        b"saving resume file",
        b"# Masscan",
    ]
    .iter()
    .any(|beginning| line.starts_with(beginning))
}

/// `masscan -oU`: `TCP open smtp[   25] from 192.0.2.13  ttl 64`, with tabs and blanks between.
///
/// masscan puts it between the first and the last line of its own list, and writes what is not TCP as its `-oG` does.
#[derive(Default)]
pub(crate) struct Unicornscan {
    open: bool,
}

impl LineFormat for Unicornscan {
    fn line(&mut self, line: &Line<'_>, records: &mut Records) {
        let bytes = trim(line.bytes);
        match bytes {
            b"#masscan" => self.open = true,
            b"# end" => self.open = false,
            [] | [b'#', ..] => {}
            _ if grepable::is_grepable(bytes) => grepable::host(line, records),
            _ if is_noise(bytes) => {}
            _ => records.push_back(unicornscan(line).unwrap_or_else(|| Record::Bad {
                line: line.number,
                reason: format!("{} is no line of unicornscan output", shown(line.bytes)),
            })),
        }
    }

    fn believes_unended_line(&self) -> bool {
        !self.open
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

fn unicornscan(line: &Line<'_>) -> Option<Record> {
    let mut rest = line.bytes;
    let protocol = next_word(&mut rest)?.to_ascii_lowercase();
    let state = next_word(&mut rest)?;
    let open = memchr::memchr(b'[', rest)?;
    let close = open + memchr::memchr(b']', &rest[open..])?;
    let port = trim(&rest[open + 1..close]);
    let mut rest = &rest[close + 1..];
    next_word(&mut rest).filter(|word| *word == b"from")?;
    let text = next_word(&mut rest)?;
    // What ends here is believed only because the time to live follows the address.
    next_word(&mut rest).filter(|word| *word == b"ttl")?;
    let Some(seen) = Common::read(line.number, text, None) else {
        return Some(bad_address(line.number, text));
    };
    Some(seen.port(&protocol, port, state))
}

/// Whether `line` looks like unicornscan's.
pub(crate) fn is_unicornscan(mut line: &[u8]) -> bool {
    let whole = line;
    next_word(&mut line).is_some_and(|word| matches!(word, b"TCP" | b"UDP" | b"SCTP" | b"ICMP" | b"ARP"))
        && memmem::find(whole, b"from ").is_some()
        && memchr::memchr(b'[', whole).is_some()
}
