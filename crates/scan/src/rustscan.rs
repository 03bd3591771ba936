use crate::{
    Record,
    lines::{Line, LineFormat, trim},
    record::{Common, Records, bad_address, shown},
};

/// `rustscan -g`: `192.0.2.1 -> [22,80]`. It names no protocol, and scans TCP unless it is told to scan UDP.
pub(crate) struct Rustscan;

impl LineFormat for Rustscan {
    fn line(&mut self, line: &Line<'_>, records: &mut Records) {
        let bytes = trim(line.bytes);
        if bytes.is_empty() {
            return;
        }
        let Some((host, ports)) = split(bytes) else {
            let reason = format!("{} is no line of rustscan", shown(bytes));
            records.push_back(Record::Bad { line: line.number, reason });
            return;
        };
        let Some(seen) = Common::read(line.number, host, None) else {
            records.push_back(bad_address(line.number, host));
            return;
        };
        if trim(ports).is_empty() {
            records.push_back(seen.skipped("host without ports"));
            return;
        }
        for port in ports.split(|byte| *byte == b',') {
            records.push_back(seen.port(b"tcp", trim(port), b"open"));
        }
    }

    fn believes_unended_line(&self) -> bool {
        // It ends with a bracket; without one it is no line of this format.
        true
    }
}

/// The address of a line and what stands between its brackets.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    const ARROW: &[u8] = b" -> [";
    let at = memchr::memmem::find(line, ARROW)?;
    Some((trim(&line[..at]), line[at + ARROW.len()..].strip_suffix(b"]")?))
}

/// Whether `line` is one that rustscan writes, or the beginning of one.
pub(crate) fn is_rustscan(line: &[u8]) -> bool {
    memchr::memmem::find(line, b" ->").is_some_and(|at| Common::read(1, trim(&line[..at]), None).is_some())
}
