//! Recognises a format by content: a file's name says little, and a pipe has none.

use std::io::Read;

use hostatlas_domain::ScanFormat;
use memchr::{memchr, memmem};

use crate::{
    ScanError, binary, grepable,
    input::Input,
    json,
    lines::{after_progress, is_blank, next_word, trim},
    list, plain,
    record::shown,
    rustscan, stdout, zmap,
};

/// How much is looked at before the input is given up.
const SNIFF_BYTES: usize = 64 * 1024;
/// A line this long is judged by its beginning.
const LONG_LINE_BYTES: usize = 4096;
/// How many lines that say nothing may come first.
const MAX_STRANGE_LINES: usize = 20;

enum Guess {
    Format(ScanFormat),
    Strange(String),
    /// More bytes decide.
    Open,
}

/// Reads as far as it must, and consumes nothing.
pub(crate) fn sniff<R: Read>(input: &mut Input<R>) -> Result<ScanFormat, ScanError> {
    let mut ended = false;
    loop {
        match guess(input.bytes(), ended || input.bytes().len() >= SNIFF_BYTES) {
            Guess::Format(format) => return Ok(format),
            Guess::Strange(looked_like) => return Err(ScanError::NotAScan { looked_like }),
            Guess::Open if ended => return Ok(ScanFormat::Empty),
            Guess::Open => ended = !input.fill()?,
        }
    }
}

/// What people hand over by mistake, by its first bytes.
const KNOWN_FILES: [(&[u8], &str); 16] = [
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"BZh", "bzip2 data: unpack it first"),
    (b"\xfd7zXZ", "xz data: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"-----BEGIN", "a key or certificate"),
    (b"seed = ", "masscan's paused.conf, which holds settings and no results"),
];

fn guess(bytes: &[u8], ended: bool) -> Guess {
    if bytes.starts_with(binary::MAGIC) {
        return Guess::Format(ScanFormat::MasscanBinary);
    }
    if !bytes.is_empty() && binary::MAGIC.starts_with(bytes) {
        return if ended { Guess::Format(ScanFormat::MasscanBinary) } else { Guess::Open };
    }
    if let Some((_, name)) = KNOWN_FILES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Guess::Strange((*name).to_owned());
    }
    guess_text(bytes, ended)
}

/// What the lines before the deciding one said.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing that was seen, in any combination")]
struct Context<'a> {
    by_nmap: bool,
    noise: bool,
    comment: bool,
    /// The line that masscan's list and its unicornscan output begin with.
    by_masscan: bool,
    strange: usize,
    first_strange: Option<&'a [u8]>,
}

fn guess_text(bytes: &[u8], ended: bool) -> Guess {
    let mut context = Context::default();
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    while !rest.is_empty() {
        let newline = memchr(b'\n', rest);
        if newline.is_none() && !ended && rest.len() < LONG_LINE_BYTES {
            return Guess::Open;
        }
        let end = newline.unwrap_or(rest.len());
        let line = trim(&rest[..end]);
        if line.starts_with(b"<") {
            return xml(rest, ended);
        }
        match by_line(line, &mut context) {
            ByLine::Found(format) => return Guess::Format(format),
            ByLine::Strange(looked_like) => return Guess::Strange(looked_like),
            ByLine::Json(at) => {
                // The object may go on for many lines.
                let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
                return match json::sniff(&rest[blanks + at..], ended) {
                    Some(format) => Guess::Format(format),
                    None => Guess::Open,
                };
            }
            ByLine::Nothing => {}
        }
        if newline.is_none()
            && ended
            && let Some(format) = by_beginning(line, &context)
        {
            return Guess::Format(format);
        }
        if context.strange > MAX_STRANGE_LINES {
            break;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if let Some(line) = context.first_strange {
        let looks_final = ended || context.strange > MAX_STRANGE_LINES;
        if looks_final && context.by_masscan {
            return Guess::Format(ScanFormat::MasscanList);
        }
        return if looks_final { Guess::Strange(description(bytes, line)) } else { Guess::Open };
    }
    match ended {
        true if context.by_masscan => Guess::Format(ScanFormat::MasscanList),
        true if context.by_nmap => Guess::Format(ScanFormat::NmapGrepable),
        true if context.noise => Guess::Format(ScanFormat::MasscanStdout),
        true if context.comment => Guess::Format(ScanFormat::Plain),
        true if bytes.len() >= SNIFF_BYTES => Guess::Strange("a file of blanks".to_owned()),
        _ => Guess::Open,
    }
}

/// What one line says of the format.
enum ByLine {
    Found(ScanFormat),
    /// JSON begins so many bytes into the line.
    Json(usize),
    Strange(String),
    Nothing,
}

fn by_line<'a>(line: &'a [u8], context: &mut Context<'a>) -> ByLine {
    let found = |format| ByLine::Found(format);
    let line = if context.by_masscan { after_progress(line) } else { line };
    match line {
        [] => return ByLine::Nothing,
        [b'#', ..] => return comment(line, context),
        [b'{', ..] => return ByLine::Json(0),
        [b'[', rest @ ..] if matches!(trim(rest), [] | [b'{' | b']' | b',', ..]) => return ByLine::Json(0),
        [b',', rest @ ..] if trim(rest).starts_with(b"{") => return ByLine::Json(0),
        _ => {}
    }
    if stdout::is_stdout(line) {
        return found(ScanFormat::MasscanStdout);
    }
    if stdout::is_noise(line) {
        context.noise = true;
        return ByLine::Nothing;
    }
    let mut words = line;
    let first = next_word(&mut words).unwrap_or_default();
    if list::is_status(first) && words.contains(&b' ') {
        return found(ScanFormat::MasscanList);
    }
    if grepable::is_grepable(line) {
        return found(if context.by_masscan {
            ScanFormat::Unicornscan
        } else if context.by_nmap || memmem::find(line, b"///,").is_some() {
            ScanFormat::NmapGrepable
        } else {
            ScanFormat::MasscanGrepable
        });
    }
    if line.starts_with(b"Starting Nmap") || line.starts_with(b"Nmap scan report") {
        return ByLine::Strange("nmap's normal output: run nmap with -oX or -oG".to_owned());
    }
    if stdout::is_unicornscan(line) {
        return found(ScanFormat::Unicornscan);
    }
    if rustscan::is_rustscan(line) {
        return found(ScanFormat::RustscanGrepable);
    }
    if !context.by_nmap && zmap::is_header(line) {
        return found(if zmap::is_naabu(line) { ScanFormat::NaabuCsv } else { ScanFormat::ZmapCsv });
    }
    if plain::is_entry(line) {
        return found(ScanFormat::Plain);
    }
    if [&b"\"ip\":"[..], b"\"saddr\":"].iter().any(|key| memmem::find(line, key).is_some()) {
        return match memchr(b'{', line) {
            Some(at) => ByLine::Json(at),
            None => found(ScanFormat::MasscanJson),
        };
    }
    context.strange += 1;
    context.first_strange.get_or_insert(line);
    ByLine::Nothing
}

fn comment(line: &[u8], context: &mut Context<'_>) -> ByLine {
    context.comment = true;
    if line.starts_with(b"# Masscan") {
        return ByLine::Found(ScanFormat::MasscanGrepable);
    }
    context.by_masscan |= line.starts_with(b"#masscan");
    context.by_nmap |= line.starts_with(b"# Nmap");
    ByLine::Nothing
}

fn xml(text: &[u8], ended: bool) -> Guess {
    if let Some(at) = memmem::find(text, b"<nmaprun") {
        let root = &text[at..];
        return match memchr(b'>', root) {
            Some(end) if memmem::find(&root[..end], b"masscan").is_some() => {
                Guess::Format(ScanFormat::MasscanXml)
            }
            Some(_) => Guess::Format(ScanFormat::NmapXml),
            None if ended => Guess::Format(ScanFormat::MasscanXml),
            None => Guess::Open,
        };
    }
    let mut rest = text;
    while let Some(at) = memchr(b'<', rest) {
        rest = &rest[at + 1..];
        let Some(first) = rest.first() else { break };
        if matches!(first, b'?' | b'!') {
            if rest.to_ascii_lowercase().starts_with(b"!doctype html") {
                return Guess::Strange("an HTML page".to_owned());
            }
            continue;
        }
        let name = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let (name, whole) = (&rest[..name], name < rest.len());
        return match name {
            b"host" => Guess::Format(ScanFormat::MasscanXml),
            b"html" | b"HTML" => Guess::Strange("an HTML page".to_owned()),
            _ if !whole && !ended => Guess::Open,
            _ if !whole && b"nmaprun".starts_with(name) => Guess::Format(ScanFormat::MasscanXml),
            _ => Guess::Strange(format!("XML that begins with {}", shown(name))),
        };
    }
    if ended { Guess::Format(ScanFormat::MasscanXml) } else { Guess::Open }
}

/// What an input is that was cut in its very first line.
fn by_beginning(line: &[u8], context: &Context<'_>) -> Option<ScanFormat> {
    if context.strange != 1 || line.is_empty() {
        return None;
    }
    let format = [
        (&b"Discovered open port "[..], ScanFormat::MasscanStdout),
        (b"Banner on port ", ScanFormat::MasscanStdout),
        (b"saddr,", ScanFormat::ZmapCsv),
        (b"host,ip,port", ScanFormat::NaabuCsv),
        (b"Timestamp: ", ScanFormat::MasscanGrepable),
        (b"Host: ", if context.by_nmap { ScanFormat::NmapGrepable } else { ScanFormat::MasscanGrepable }),
        (b"open tcp ", ScanFormat::MasscanList),
        (b"banner tcp ", ScanFormat::MasscanList),
        (b"TCP open", ScanFormat::Unicornscan),
    ]
    .into_iter()
    .find_map(|(beginning, format)| {
        (line.starts_with(beginning) || beginning.starts_with(line)).then_some(format)
    });
    let may_be_address = line.len() < 64
        && line.iter().any(u8::is_ascii_digit)
        && line
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'[' | b']' | b'/'));
    format.or(may_be_address.then_some(ScanFormat::Plain))
}

fn description(bytes: &[u8], line: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(512)];
    let hidden = head.iter().filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()).count();
    if head.contains(&0) || hidden * 10 > head.len() {
        "binary data".to_owned()
    } else {
        format!("text that begins with {}", shown(line))
    }
}
