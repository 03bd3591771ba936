use crate::{
    Record,
    escape::unescape_hex,
    lines::{Line, LineFormat, after_progress, next_word, trim},
    record::{Common, Records, bad_address, shown},
    stdout::is_noise,
};

/// `masscan -oL`: `open tcp 80 192.0.2.15 1795434087`.
#[derive(Default)]
pub(crate) struct List {
    open: bool,
}

impl LineFormat for List {
    fn line(&mut self, line: &Line<'_>, records: &mut Records) {
        // Blanks at the end of a line belong to its banner.
        let mut rest = line.bytes;
        let mut status = next_word(&mut rest).unwrap_or_default();
        if !is_status(status) {
            let bytes = after_progress(line.bytes);
            let trimmed = trim(bytes);
            if trimmed.starts_with(b"#") {
                self.comment(trimmed);
                return;
            }
            if trimmed.is_empty() || is_noise(trimmed) {
                return;
            }
            rest = bytes;
            status = next_word(&mut rest).unwrap_or_default();
        }
        records.push_back(record(status, rest, line));
    }

    fn believes_unended_line(&self) -> bool {
        !self.open
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

impl List {
    fn comment(&mut self, comment: &[u8]) {
        match comment {
            b"#masscan" => self.open = true,
            b"# end" => self.open = false,
            _ => {}
        }
    }
}

/// The words that a line of this format begins with.
pub(crate) fn is_status(word: &[u8]) -> bool {
    matches!(word, b"open" | b"closed" | b"up" | b"unknown" | b"banner" | b"filtered")
}

fn record(status: &[u8], mut rest: &[u8], line: &Line<'_>) -> Record {
    let words = (next_word(&mut rest), next_word(&mut rest), next_word(&mut rest));
    let (true, (Some(protocol), Some(port), Some(ip))) = (is_status(status), words) else {
        let reason = format!("{} is no line of a masscan list", shown(line.bytes));
        return Record::Bad { line: line.number, reason };
    };
    let ip = trim(ip);
    let time = next_word(&mut rest).map(trim);
    let Some(seen) = Common::read(line.number, ip, time) else { return bad_address(line.number, ip) };
    if status != b"banner" {
        return seen.port(protocol, port, status);
    }
    let service = next_word(&mut rest).unwrap_or_default();
    seen.banner(protocol, port, service, unescape_hex(rest))
}
