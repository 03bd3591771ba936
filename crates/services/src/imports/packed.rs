use hostatlas_domain::{Address, PortNumber, Protocol, Sighting, SightingRecord, Timestamp};

/// Stands for "no banner".
pub(super) const NO_TEXT: u32 = u32::MAX;
/// Bytes before the text of a banner: the length of the service's name, and of the banner.
const TEXT_HEAD: usize = 4;

const UP: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;
const BANNER: u8 = 3;
const REPAIRED: u8 = 0x80;

/// One sighting in 32 bytes; its banner, if it has one, stands in an arena beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    key: [u64; 2],
    pub(super) seen_at: i64,
    /// Where its text starts.
    pub(super) text: u32,
    port: u16,
    protocol: u8,
    kind: u8,
}

/// What a record says, beside its address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Up,
    Open,
    Closed,
    Banner,
}

/// What a service said, and what the scanner takes it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) service: String,
    pub(super) banner: Vec<u8>,
}

/// By what sightings are sorted: address, port, protocol. Equal ones stay in the order of the input.
pub(super) type SortKey = (u64, u64, u32);

impl Packed {
    /// Bytes of a record in a spill file, without its text.
    pub(super) const BYTES: usize = 32;

    pub(super) fn sort_key(&self) -> SortKey {
        (self.key[0], self.key[1], u32::from(self.port) << 8 | u32::from(self.protocol))
    }

    /// The same sighting with its text elsewhere.
    pub(super) fn with_text(self, text: u32) -> Self {
        Self { text, ..self }
    }

    pub(super) fn address(&self) -> Address {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.key[0].to_be_bytes());
        key[8..].copy_from_slice(&self.key[1].to_be_bytes());
        Address::from_key(key)
    }

    /// The port and protocol, unless the record is about the host alone.
    pub(super) fn service(&self) -> Option<(PortNumber, Protocol)> {
        let port = PortNumber::try_from(self.port).ok()?;
        Some((port, Protocol::try_from(self.protocol).ok()?))
    }

    pub(super) fn kind(&self) -> Kind {
        match self.kind & !REPAIRED {
            OPEN => Kind::Open,
            CLOSED => Kind::Closed,
            BANNER => Kind::Banner,
            _ => Kind::Up,
        }
    }

    pub(super) fn is_repaired(&self) -> bool {
        self.kind & REPAIRED != 0
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.key[0].to_be_bytes());
        bytes[8..16].copy_from_slice(&self.key[1].to_be_bytes());
        bytes[16..24].copy_from_slice(&self.seen_at.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.text.to_be_bytes());
        bytes[28..30].copy_from_slice(&self.port.to_be_bytes());
        bytes[30] = self.protocol;
        bytes[31] = self.kind;
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|index| bytes[at + index]));
        Self {
            key: [number(0), number(8)],
            seen_at: i64::from_be_bytes(std::array::from_fn(|index| bytes[16 + index])),
            text: u32::from_be_bytes(std::array::from_fn(|index| bytes[24 + index])),
            port: u16::from_be_bytes([bytes[28], bytes[29]]),
            protocol: bytes[30],
            kind: bytes[31],
        }
    }
}

/// Sightings in memory, with their banners.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    records: Vec<Packed>,
    texts: Vec<u8>,
}

impl Buffer {
    /// Takes a sighting in. `read_at` stands in where it has no time.
    pub(super) fn push(&mut self, sighting: &Sighting, repaired: bool, read_at: Timestamp) {
        let (kind, service) = match &sighting.record {
            SightingRecord::Up => (UP, None),
            SightingRecord::Open { port, protocol } => (OPEN, Some((*port, *protocol))),
            SightingRecord::Closed { port, protocol } => (CLOSED, Some((*port, *protocol))),
            SightingRecord::Banner { port, protocol, .. } => (BANNER, Some((*port, *protocol))),
        };
        let text = match &sighting.record {
            SightingRecord::Banner { service, banner, .. } => self.push_text(service, banner),
            _ => NO_TEXT,
        };
        let key = sighting.address.to_key();
        let half = |at: usize| u64::from_be_bytes(std::array::from_fn(|index| key[at + index]));
        self.records.push(Packed {
            key: [half(0), half(8)],
            seen_at: sighting.seen_at.unwrap_or(read_at).as_millis(),
            text,
            port: service.map_or(0, |(port, _)| port.get()),
            protocol: service.map_or(0, |(_, protocol)| protocol.number()),
            kind: kind | if repaired { REPAIRED } else { 0 },
        });
    }

    fn push_text(&mut self, service: &str, banner: &[u8]) -> u32 {
        let at = u32::try_from(self.texts.len()).unwrap_or(NO_TEXT);
        write_text(&mut self.texts, service, banner);
        at
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        self.records.len() * size_of::<Packed>() + self.texts.len()
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Sorts by address, port and protocol; equal ones stay in their order, which tells the earliest and the latest.
    pub(super) fn sort(&mut self) {
        self.records.sort_by_key(Packed::sort_key);
    }

    pub(super) fn get(&self, index: usize) -> Option<&Packed> {
        self.records.get(index)
    }

    /// The bytes of a record's text, head included; none for a record without one.
    pub(super) fn text_bytes(&self, record: &Packed) -> Option<&[u8]> {
        let rest = self.texts.get(record.text as usize..).filter(|_| record.text != NO_TEXT)?;
        let head: &[u8; TEXT_HEAD] = rest.first_chunk()?;
        rest.get(..text_length(*head))
    }

    /// Forgets all, and keeps the memory for the next run.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.texts.clear();
    }
}

impl Text {
    /// Appends it as [`parse_text`] reads it.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        write_text(bytes, &self.service, &self.banner);
    }
}

fn write_text(bytes: &mut Vec<u8>, service: &str, banner: &[u8]) {
    let service = hostatlas_domain::truncate_bytes(service, 255);
    let banner = &banner[..banner.len().min(usize::from(u16::MAX))];
    let length = u16::try_from(banner.len()).unwrap_or(u16::MAX).to_be_bytes();
    let service_length = u8::try_from(service.len()).unwrap_or(u8::MAX);
    bytes.extend([service_length, 0, length[0], length[1]]);
    bytes.extend(service.as_bytes());
    bytes.extend(banner);
}

/// Bytes of a text whose head this is, the head included.
pub(super) fn text_length(head: [u8; TEXT_HEAD]) -> usize {
    TEXT_HEAD + usize::from(head[0]) + usize::from(u16::from_be_bytes([head[2], head[3]]))
}

/// Reads what [`Text::write`] wrote.
pub(super) fn parse_text(bytes: &[u8]) -> Option<Text> {
    let (head, rest) = bytes.split_first_chunk::<TEXT_HEAD>()?;
    let (service, banner) = rest.split_at_checked(usize::from(head[0]))?;
    Some(Text { service: String::from_utf8_lossy(service).into_owned(), banner: banner.to_vec() })
}
