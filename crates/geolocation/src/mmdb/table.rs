//! What a database says of IPv4, compiled when the file is taken into use: one table of ranges and one of answers.
//!
//! A walk through the tree of a city database touches a dozen scattered lines of memory, and decoding a record costs
//! more than the walk. Both are done once, and the outcome is mapped from a file beside the private copy, so that it
//! counts as cache of the system and not as memory of the process. Answers and their texts are ordered by how many
//! addresses have them: what is asked for most lies together.

use std::{fs::File, ops::Range, path::Path, str, sync::LazyLock};

use hostatlas_domain::{Asn, Coordinate, CountryCode, Network, Place, Precision, UnlocatedReason};
use maxminddb::Mmap;

use super::{database::map, record::Record};

/// First bytes of the file. Another version is not understood, and the table is made anew.
pub const MAGIC: [u8; 16] = *b"hostatlas ipv4 1";
/// Bytes of the [`Header`].
pub const HEADER_BYTES: usize = 64;
/// Bytes of one answer. The first 20 are its place, most often in one line of the cache.
pub const ENTRY_BYTES: usize = 48;
/// Stands for "no answer" where the number of one is expected.
pub const NONE: u32 = u32::MAX;

/// How the record of an entry was judged.
pub mod verdict {
    /// It has a place.
    pub const LOCATED: u8 = 0;
    /// It names no place.
    pub const NO_RECORD: u8 = 1;
    /// Its place is 0, 0, or a country that is none.
    pub const NULL_ISLAND: u8 = 2;
    /// It is damaged: the database itself is asked, for its words.
    pub const UNREADABLE: u8 = 3;
}

/// What stands at the beginning of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the database that it was made from.
    pub database_bytes: u64,
    /// Bits of an address that choose its slot, 8 to 20.
    pub slot_bits: u32,
    /// How many pairs there are.
    pub pairs: u32,
    /// How many entries there are.
    pub entries: u32,
    /// Bytes of text.
    pub text: u32,
}

impl Header {
    /// As it is written.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..16].copy_from_slice(&MAGIC);
        bytes[16..24].copy_from_slice(&self.database_bytes.to_le_bytes());
        for (index, number) in [self.slot_bits, self.pairs, self.entries, self.text].into_iter().enumerate() {
            bytes[24 + index * 4..28 + index * 4].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>()?;
        if bytes[..16] != MAGIC {
            return None;
        }
        let database_bytes = u64::from_le_bytes(*bytes[16..].first_chunk()?);
        let [slot_bits, pairs, entries, text] = [24, 28, 32, 36].map(|at| number(bytes, at));
        (8..=20).contains(&slot_bits).then_some(Self { database_bytes, slot_bits, pairs, entries, text })
    }
}

/// A mapped table.
pub struct Table {
    mapping: Mmap,
    shift: u32,
    pairs: Range<usize>,
    slots: Range<usize>,
    entries: Range<usize>,
    text: Range<usize>,
}

impl Table {
    /// Maps the table at `path`. `None` if there is none that was made from a database of so many bytes.
    pub fn open(path: &Path, database_bytes: usize) -> Option<Self> {
        let mapping = map(&File::open(path).ok()?).ok()?;
        let header = Header::read(&mapping)?;
        let mut end = HEADER_BYTES;
        let mut section = |count: usize, size: usize| {
            let begin = end;
            end = count.checked_mul(size)?.checked_add(begin)?;
            Some(begin..end)
        };
        let pairs = section(header.pairs as usize, 8)?;
        let slots = section(1 << header.slot_bits, 8)?;
        let entries = section(header.entries as usize, ENTRY_BYTES)?;
        let text = section(header.text as usize, 1)?;
        let fits = mapping.len() == text.end && database_bytes as u64 == header.database_bytes;
        fits.then_some(Self { mapping, shift: 32 - header.slot_bits, pairs, slots, entries, text })
    }

    /// The table as it is read.
    pub fn view(&self) -> View<'_> {
        View {
            shift: self.shift,
            pairs: self.mapping[self.pairs.clone()].as_chunks().0,
            slots: self.mapping[self.slots.clone()].as_chunks().0,
            entries: self.mapping[self.entries.clone()].as_chunks().0,
            text: &self.mapping[self.text.clone()],
        }
    }
}

/// A table as it is read. Every access is checked, so a damaged file gives wrong answers at worst.
#[derive(Clone, Copy)]
pub struct View<'a> {
    shift: u32,
    pairs: &'a [[u8; 8]],
    slots: &'a [[u8; 8]],
    entries: &'a [[u8; ENTRY_BYTES]],
    text: &'a [u8],
}

/// Where in the pairs an address is to be looked for.
///
/// Either all addresses of the slot have one answer, or `count` pairs from the `first` tell them apart.
#[derive(Clone, Copy, Default)]
pub struct Slot {
    first: u32,
    count: u32,
}

impl<'a> View<'a> {
    /// The first step towards the entry of an address.
    #[inline]
    pub fn slot(&self, bits: u32) -> Slot {
        self.slots.get((bits >> self.shift) as usize).map_or(Slot { first: NONE, count: 0 }, |slot| Slot {
            first: number(slot, 0),
            count: number(slot, 4),
        })
    }

    /// Reads from the middle of a slot's pairs: many slots in a row are so fetched at once, where the searches would
    /// wait one for the other. What it gives is of no use but to be kept.
    #[inline]
    pub fn touch(&self, slot: Slot) -> u32 {
        // Without a branch: guessing it wrongly would undo the gain.
        let middle = (slot.first.wrapping_add(slot.count / 2) as usize).min(self.pairs.len().wrapping_sub(1));
        self.pairs.get(middle).map_or(0, |pair| number(pair, 0))
    }

    /// The entry of an address in its slot. `None` if the database has no record of it.
    #[inline]
    pub fn find_in(&self, slot: Slot, bits: u32) -> Option<u32> {
        let mut entry = slot.first;
        if slot.count > 0 {
            let first = slot.first as usize;
            let pairs = self.pairs.get(first..first + slot.count as usize)?;
            let after = pairs.partition_point(|pair| number(pair, 0) <= bits);
            entry = number(pairs.get(after.checked_sub(1)?)?, 4);
        }
        (entry != NONE).then_some(entry)
    }

    /// The entry of an address. `None` if the database has no record of it.
    #[inline]
    pub fn find(&self, bits: u32) -> Option<u32> {
        self.find_in(self.slot(bits), bits)
    }

    /// Where the names of an entry are, for [`View::touch_text`].
    #[inline]
    pub fn texts(&self, entry: Option<u32>) -> [u32; 2] {
        let entry = entry.map_or(0, |entry| entry as usize);
        self.entries.get(entry).map_or([0; 2], |bytes| [number(bytes, 8), number(bytes, 12)])
    }

    /// As [`View::touch`], for a name.
    #[inline]
    pub fn touch_text(&self, offset: u32) -> u8 {
        self.text.get(offset as usize).copied().unwrap_or(0)
    }

    /// What an entry says.
    #[inline]
    pub fn entry(&self, number: u32) -> Option<Entry<'a>> {
        Some(Entry { bytes: self.entries.get(number as usize)?, text: self.text })
    }
}

/// What one record of the database was judged to say.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    bytes: &'a [u8; ENTRY_BYTES],
    text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Where it is, if it is somewhere.
    #[inline]
    pub fn point(&self) -> Option<(Coordinate, Precision)> {
        if self.bytes[19] != verdict::LOCATED {
            return None;
        }
        let units = [0, 4].map(|at| number(self.bytes, at).cast_signed());
        Some((Coordinate::from_units(units[0], units[1]).ok()?, Precision::from_number(self.bytes[18])?))
    }

    /// The city.
    #[inline]
    pub fn city(&self) -> Option<&'a str> {
        self.text(number(self.bytes, 8))
    }

    /// The region.
    #[inline]
    pub fn region(&self) -> Option<&'a str> {
        self.text(number(self.bytes, 12))
    }

    /// The country.
    #[inline]
    pub fn country(&self) -> Option<CountryCode> {
        country([self.bytes[16], self.bytes[17]])
    }

    /// The record that it was made from, judged. `None` if that could not be read.
    pub fn record(&self) -> Option<Record> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let place = match self.bytes[19] {
            verdict::LOCATED => {
                let (coordinate, precision) = self.point()?;
                let (city, region) = (owned(self.city()), owned(self.region()));
                Ok(Place { coordinate, precision, city, region, country: self.country() })
            }
            verdict::NO_RECORD => Err(UnlocatedReason::NoRecord),
            verdict::NULL_ISLAND => Err(UnlocatedReason::NullIsland),
            _ => return None,
        };
        Some(Record {
            place,
            network: Network {
                asn: (self.bytes[24] == 1).then(|| Asn(number(self.bytes, 32))),
                organization: owned(self.text(number(self.bytes, 36))),
                isp: owned(self.text(number(self.bytes, 40))),
            },
            timezone: owned(self.text(number(self.bytes, 28))),
            accuracy_km: u16::try_from(number(self.bytes, 20)).ok().filter(|radius| *radius > 0),
        })
    }

    #[inline]
    fn text(&self, offset: u32) -> Option<&'a str> {
        // Offsets are counted from 1: 0 is none.
        let rest = self.text.get(offset.checked_sub(1)? as usize..)?;
        let (length, rest) = rest.split_first_chunk()?;
        str::from_utf8(rest.get(..usize::from(u16::from_le_bytes(*length)))?).ok()
    }
}

/// Parsing a code compares it with two hundred others.
fn country(code: [u8; 2]) -> Option<CountryCode> {
    static COUNTRIES: LazyLock<Box<[Option<CountryCode>]>> = LazyLock::new(|| {
        let mut table = vec![None; 26 * 26];
        for country in CountryCode::all() {
            if let Some(place) = position(country.bytes()).and_then(|position| table.get_mut(position)) {
                *place = Some(country);
            }
        }
        table.into()
    });
    fn position(code: [u8; 2]) -> Option<usize> {
        let [first, second] = code.map(|letter| usize::from(letter.wrapping_sub(b'A')));
        (first < 26 && second < 26).then_some(first * 26 + second)
    }
    COUNTRIES.get(position(code)?).copied().flatten()
}

/// Four bytes as a number; 0 where there are no four.
#[inline]
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
