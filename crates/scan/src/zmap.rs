use crate::{
    Record,
    lines::{Line, LineEnd, LineFormat, trim},
    moment, naabu,
    plain::Plain,
    record::{Common, Records, bad_address, shown},
};

/// zmap's CSV, naabu's, and any CSV whose header names a column of addresses. Without a header it is a plain list.
#[derive(Default)]
pub(crate) struct Csv {
    columns: Option<Columns>,
    plain: Plain,
    /// The input ended in its header.
    cut: bool,
}

/// Where in a row is what.
#[derive(Clone, Copy, Default)]
struct Columns {
    address: usize,
    /// What it says of an address that has no port.
    alone: Alone,
    port: Option<usize>,
    protocol: Option<usize>,
    state: Option<usize>,
    classification: Option<usize>,
    success: Option<usize>,
    time: Option<usize>,
    micros: Option<usize>,
    naabu: bool,
}

/// What a row without a port stands for.
#[derive(Clone, Copy, Default)]
enum Alone {
    /// A host that is there.
    #[default]
    Up,
    /// Whatever columns say that are not known.
    Strange,
}

impl LineFormat for Csv {
    fn line(&mut self, line: &Line<'_>, records: &mut Records) {
        if trim(line.bytes).is_empty() || line.bytes.starts_with(b"#") {
            return;
        }
        if let Some(columns) = Columns::read(line.bytes) {
            self.columns = Some(columns);
            self.cut = line.end == LineEnd::Input;
            return;
        }
        match self.columns {
            Some(columns) => records.push_back(columns.record(line)),
            None => self.plain.line(line, records),
        }
    }

    fn left_over(&mut self) -> Option<Record> {
        self.plain.left_over()
    }

    fn believes_unended_line(&self) -> bool {
        self.columns.is_none()
    }

    fn is_open(&self) -> bool {
        self.cut
    }
}

/// Whether `line` is a header with a column of addresses.
pub(crate) fn is_header(line: &[u8]) -> bool {
    Columns::read(line).is_some()
}

/// Whether `line` is the header of naabu, whose columns are always in this order.
pub(crate) fn is_naabu(line: &[u8]) -> bool {
    trim(line).starts_with(b"host,ip,port")
}

impl Columns {
    fn read(line: &[u8]) -> Option<Self> {
        let mut columns = Self::default();
        let (mut address, mut host) = (None, None);
        let (mut strange, mut by_zmap) = (false, false);
        for (index, name) in cells(line).enumerate() {
            let slot = match name.to_ascii_lowercase().as_slice() {
                b"saddr" => {
                    by_zmap = true;
                    &mut address
                }
                b"ip" | b"address" | b"addr" | b"ip_address" => &mut address,
                // naabu writes names there, and the address beside them.
                b"host" => &mut host,
                b"sport" | b"port" => &mut columns.port,
                b"proto" | b"protocol" => &mut columns.protocol,
                b"status" | b"state" => &mut columns.state,
                b"classification" => &mut columns.classification,
                b"success" => &mut columns.success,
                b"timestamp-ts" | b"timestamp_ts" | b"timestamp" => &mut columns.time,
                b"timestamp-str" | b"timestamp_str" | b"time" if columns.time.is_none() => &mut columns.time,
                b"timestamp-us" | b"timestamp_us" => &mut columns.micros,
                _ => {
                    strange = true;
                    continue;
                }
            };
            *slot = Some(index);
        }
        columns.address = address.or(host)?;
        columns.naabu = is_naabu(line);
        if strange && !by_zmap && columns.port.is_none() {
            columns.alone = Alone::Strange;
        }
        Some(columns)
    }

    fn record(&self, line: &Line<'_>) -> Record {
        let cell = |column: Option<usize>| column.and_then(|index| cells(line.bytes).nth(index));
        let Some(text) = cell(Some(self.address)) else {
            return Record::Bad {
                line: line.number,
                reason: format!("{} has too few columns", shown(line.bytes)),
            };
        };
        let Some(mut seen) = Common::read(line.number, text, None) else {
            return bad_address(line.number, text);
        };
        let time = cell(self.time).filter(|text| !text.is_empty());
        seen.seen_at = match (time, cell(self.micros)) {
            (Some(seconds), Some(micros)) => moment::with_micros(seconds, micros),
            (Some(time), None) => moment::parse(time),
            (None, _) => None,
        };
        seen.repaired |= time.is_some() && seen.seen_at.is_none();
        let classification = cell(self.classification);
        if let Some(reason) = failed_probe(cell(self.success), classification) {
            return seen.skipped(reason);
        }
        let state = cell(self.state).unwrap_or_default();
        let Some(port) = cell(self.port).filter(|text| !text.is_empty()) else {
            return match self.alone {
                Alone::Up => seen.host(state),
                Alone::Strange => seen.not_understood("its columns say nothing of a port"),
            };
        };
        let implied = if classification == Some(b"udp") { &b"udp"[..] } else { b"tcp" };
        let protocol = cell(self.protocol).unwrap_or(implied);
        if self.naabu {
            return naabu::csv_port(&seen, protocol, port);
        }
        seen.port(protocol, port, state)
    }
}

/// The cells of a row, without blanks and quotes around them. No cell that matters holds a comma.
fn cells(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b',' | b';' | b'\t')).map(|cell| {
        let cell = trim(cell);
        cell.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(cell)
    })
}

/// Why an answer to zmap is no open port; None if it is one.
pub(crate) fn failed_probe(success: Option<&[u8]>, classification: Option<&[u8]>) -> Option<String> {
    if matches!(success, Some(b"0" | b"false" | b"False")) {
        return Some(format!("probe failed: {}", shown(classification.unwrap_or(b"no success"))));
    }
    let answer = classification?;
    let refused = matches!(answer, b"rst" | b"closed" | b"timeout")
        || answer.starts_with(b"icmp-")
        || answer.starts_with(b"icmp_")
        || answer.starts_with(b"unreach");
    refused.then(|| format!("probe failed: {}", shown(answer)))
}
