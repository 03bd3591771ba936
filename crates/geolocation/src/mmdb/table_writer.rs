//! Compiles a [`Table`](super::table::Table) from a database.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Seek, Write},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::{Duration, Instant},
};

use hostatlas_domain::{Address, CountryCode, UnlocatedReason};

use super::{
    database::Database,
    record::Record,
    table::{ENTRY_BYTES, HEADER_BYTES, Header, NONE, verdict},
    wire::WireRecord,
};

/// Slots take 8 bytes each: those of 20 bits are 8 MiB, and most of them need no search.
const MOST_SLOT_BITS: u32 = 20;
/// A table is compiled in a second. Records that take so long are made to take long.
const LONGEST: Duration = Duration::from_mins(1);
/// Records lie in this many bytes at most, so that noting which are used takes 32 MiB at most.
const LARGEST_DATA: usize = 256 << 20;
/// Bytes of text, each once: those of a city database with all countries are 3 MiB.
const LARGEST_TEXT: usize = 32 << 20;
/// Numbers in a tree between the count of nodes and the first record.
const GAP: u32 = 16;

/// Writes the table of `database` to `path`. `false` if none is to be had: the tree or the records are not as in any
/// sound file, or too large. Then lookups walk the tree.
pub fn write(database: &Database, path: &Path) -> io::Result<bool> {
    let Some((used, runs)) = Used::of(database) else { return Ok(false) };
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&[0; HEADER_BYTES])?;

    let slot_bits = runs.max(1).ilog2().clamp(8, MOST_SLOT_BITS);
    let order = Order::of(database, &used);
    let mut ranges = Ranges::new(slot_bits, out);
    for_each_run(database, |first, last, number| {
        ranges.add(first, last, used.index(number).map_or(NONE, |index| order.entries[index]));
    });
    let Ranges { slots, pairs, mut out, failure, .. } = ranges;
    failure?;
    slots.iter().flatten().try_for_each(|number| out.write_all(&number.to_le_bytes()))?;
    drop(slots);

    let began = Instant::now();
    let mut texts = Texts { database: database.bytes(), text: Vec::new(), known: HashMap::new() };
    for address in &order.addresses {
        let address = Address::from(IpAddr::V4(Ipv4Addr::from_bits(*address)));
        let Some(entry) = entry(database, address, &mut texts) else { return Ok(false) };
        out.write_all(&entry)?;
        if texts.text.len() > LARGEST_TEXT || began.elapsed() > LONGEST {
            return Ok(false);
        }
    }
    out.write_all(&texts.text)?;
    let counts = [order.addresses.len(), texts.text.len()].map(u32::try_from);
    let [Ok(entries), Ok(text)] = counts else { return Ok(false) };
    out.rewind()?;
    let database_bytes = database.bytes().len() as u64;
    out.write_all(&Header { database_bytes, slot_bits, pairs, entries, text }.to_bytes())?;
    // After a power cut the file must not be there without its content.
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    Ok(true)
}

/// Calls `visit` with the first and last address and the number of each run of addresses that have the same record,
/// ascending. `false` if the tree is none.
fn for_each_run(database: &Database, mut visit: impl FnMut(u32, u32, u32)) -> bool {
    let mut run: Option<(u32, u32)> = None;
    let whole = database.tree().walk_v4(|first, number| match run {
        Some((_, same)) if same == number => {}
        _ => {
            if let Some((begin, before)) = run.replace((first, number)) {
                visit(begin, first - 1, before);
            }
        }
    });
    if let Some((begin, number)) = run {
        visit(begin, u32::MAX, number);
    }
    whole
}

/// Which records are used: one bit for each byte at which one could begin. A record's index is how many begin
/// before it.
struct Used {
    node_count: u32,
    bits: Vec<u64>,
    /// How many there are before every eighth word, and in all.
    before: Vec<u32>,
}

impl Used {
    /// Gives also how many runs there are.
    fn of(database: &Database) -> Option<(Self, u32)> {
        let tree = database.tree();
        let data = database.bytes().len().checked_sub(tree.bytes())?;
        if data > LARGEST_DATA {
            return None;
        }
        let mut used =
            Self { node_count: tree.node_count(), bits: vec![0; data / 64 + 1], before: Vec::new() };
        let (mut runs, mut sound) = (0_u32, true);
        let whole = for_each_run(database, |_, _, number| {
            runs += 1;
            if number != used.node_count {
                let place = used.place(number);
                let word = place.and_then(|place| Some((used.bits.get_mut(place / 64)?, place % 64)));
                sound &= word.map(|(word, bit)| *word |= 1 << bit).is_some();
            }
        });
        let mut count = 0;
        for words in used.bits.chunks(8) {
            used.before.push(count);
            count += words.iter().map(|word| word.count_ones()).sum::<u32>();
        }
        used.before.push(count);
        (whole && sound).then_some((used, runs))
    }

    fn count(&self) -> usize {
        self.before.last().map_or(0, |count| *count as usize)
    }

    fn place(&self, number: u32) -> Option<usize> {
        number.checked_sub(self.node_count)?.checked_sub(GAP).map(|place| place as usize)
    }

    /// The index of a record that was noted; `None` for what is no record.
    fn index(&self, number: u32) -> Option<usize> {
        let place = self.place(number)?;
        let (word, bit) = (place / 64, place % 64);
        let here = self.bits[word] & ((1 << bit) - 1);
        let words = self.bits[word / 8 * 8..word].iter().chain([&here]);
        Some((self.before[word / 8] + words.map(|word| word.count_ones()).sum::<u32>()) as usize)
    }
}

/// In which order the entries of the records stand: first those of many addresses.
struct Order {
    /// The entry of each record, by its index.
    entries: Vec<u32>,
    /// An address that leads to the record of each entry.
    addresses: Vec<u32>,
}

impl Order {
    fn of(database: &Database, used: &Used) -> Self {
        let mut shares = vec![(0_u32, 0_u32); used.count()];
        for_each_run(database, |first, last, number| {
            if let Some(index) = used.index(number) {
                let (share, address) = &mut shares[index];
                *share = share.saturating_add(last - first).saturating_add(1);
                *address = first;
            }
        });
        let mut indexes: Vec<u32> = (0..).take(shares.len()).collect();
        indexes.sort_unstable_by_key(|index| Reverse(shares[*index as usize].0));
        let addresses = indexes.iter().map(|index| shares[*index as usize].1).collect();
        drop(shares);
        let mut entries = vec![0; indexes.len()];
        for (entry, index) in (0..).zip(indexes) {
            entries[index as usize] = entry;
        }
        Self { entries, addresses }
    }
}

/// Writes pairs and notes slots.
struct Ranges<W> {
    shift: u32,
    slots: Vec<[u32; 2]>,
    pairs: u32,
    out: W,
    failure: io::Result<()>,
}

impl<W: Write> Ranges<W> {
    fn new(slot_bits: u32, out: W) -> Self {
        Self { shift: 32 - slot_bits, slots: vec![[NONE, 0]; 1 << slot_bits], pairs: 0, out, failure: Ok(()) }
    }

    fn add(&mut self, first: u32, last: u32, entry: u32) {
        let mut begin = first;
        loop {
            let slot_first = begin >> self.shift << self.shift;
            let slot_last = slot_first | ((1 << self.shift) - 1);
            let end = last.min(slot_last);
            let slot = &mut self.slots[(begin >> self.shift) as usize];
            if begin == slot_first && end == slot_last {
                *slot = [entry, 0];
            } else {
                if slot[1] == 0 {
                    slot[0] = self.pairs;
                }
                slot[1] += 1;
                self.pairs += 1;
                let mut pair = [0; 8];
                pair[..4].copy_from_slice(&begin.to_le_bytes());
                pair[4..].copy_from_slice(&entry.to_le_bytes());
                if self.failure.is_ok() {
                    self.failure = self.out.write_all(&pair);
                }
            }
            if end == last {
                return;
            }
            begin = end + 1;
        }
    }
}

/// The entry of the record of `address`. `None` if there is no room for its text.
fn entry(database: &Database, address: Address, texts: &mut Texts<'_>) -> Option<[u8; ENTRY_BYTES]> {
    let mut bytes = [0; ENTRY_BYTES];
    let Ok(Some(wire)) = database.wire(address) else {
        bytes[19] = verdict::UNREADABLE;
        return Some(bytes);
    };
    let WireRecord { city, region, timezone, as_organization, organization, isp, .. } = wire;
    let record = Record::from(wire);
    let mut put = |at: usize, number: u32| bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
    match &record.place {
        Ok(place) => {
            let (latitude, longitude) = place.coordinate.units();
            put(0, latitude.cast_unsigned());
            put(4, longitude.cast_unsigned());
            put(8, texts.offset(place.city.as_deref(), [city, None])?);
            put(12, texts.offset(place.region.as_deref(), [region, None])?);
            let [first, second] = place.country.map_or([0; 2], CountryCode::bytes);
            put(16, u32::from_le_bytes([first, second, place.precision.number(), verdict::LOCATED]));
        }
        Err(UnlocatedReason::NullIsland) => put(16, u32::from_le_bytes([0, 0, 0, verdict::NULL_ISLAND])),
        Err(_) => put(16, u32::from_le_bytes([0, 0, 0, verdict::NO_RECORD])),
    }
    put(20, record.accuracy_km.map_or(0, u32::from));
    put(24, u32::from(record.network.asn.is_some()));
    put(28, texts.offset(record.timezone.as_deref(), [timezone, None])?);
    put(32, record.network.asn.map_or(0, |asn| asn.0));
    put(36, texts.offset(record.network.organization.as_deref(), [as_organization, organization])?);
    put(40, texts.offset(record.network.isp.as_deref(), [isp, None])?);
    Some(bytes)
}

/// Keeps texts, each once: writers of databases do so, and texts are known by their place there.
struct Texts<'a> {
    database: &'a [u8],
    text: Vec<u8>,
    /// Offsets here by places there.
    known: HashMap<usize, u32>,
}

impl Texts<'_> {
    /// Where `kept` is, which was made of one of `raw`, counted from 1; 0 for none.
    fn offset(&mut self, kept: Option<&str>, raw: [Option<&str>; 2]) -> Option<u32> {
        let Some(kept) = kept else { return Some(0) };
        let place = raw.into_iter().flatten().find(|raw| *raw == kept).and_then(|raw| {
            let place = raw.as_ptr().addr().checked_sub(self.database.as_ptr().addr())?;
            (place < self.database.len()).then_some(place)
        });
        if let Some(offset) = place.and_then(|place| self.known.get(&place)) {
            return Some(*offset);
        }
        let offset = u32::try_from(self.text.len() + 1).ok()?;
        self.text.extend(u16::try_from(kept.len()).ok()?.to_le_bytes());
        self.text.extend(kept.as_bytes());
        if let Some(place) = place {
            self.known.insert(place, offset);
        }
        Some(offset)
    }
}
