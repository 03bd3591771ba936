use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io,
};

use hostatlas_domain::{LineCounts, Timestamp};
use hostatlas_store::{Observation, ObservedBanner, ObservedPort};

use super::{
    merge::{Entry, Sorted},
    packed::{Kind, Packed, SortKey, Text},
};

/// Records that are remembered over the flushes of a live import: two generations of this many.
const REMEMBERED: usize = 1_000_000;

/// Observations that one batch may have.
pub(super) const MOST_OBSERVATIONS: usize = 10_000;
/// Banners in one batch, in bytes: ten thousand observations could bring 160 MiB of them.
const BATCH_TEXT: usize = 2 * 1024 * 1024;
/// Services that banners of one port are told apart by. More is no service but an attack, and counts as duplicate.
const SERVICES_TOLD_APART: usize = 10_000;

/// Observations made of sorted sightings, and what became of their records.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) observations: Vec<Observation>,
    /// `ok`, `repaired` and `duplicate`; the rest is known to the reader alone.
    pub(super) lines: LineCounts,
}

/// What was seen in earlier flushes of a live import.
///
/// It remembers the last one to two million distinct records, as hashes: an older repeat counts as ok, which changes
/// a count and nothing that is stored.
#[derive(Default)]
pub(super) struct Seen {
    hasher: RandomState,
    current: HashSet<u64>,
    previous: HashSet<u64>,
}

impl Seen {
    /// Whether this is the first record of its kind.
    fn insert(&mut self, key: SortKey, kind: Kind, service: &str) -> bool {
        let hash = self.hasher.hash_one((key, kind, service));
        if self.previous.contains(&hash) || !self.current.insert(hash) {
            return false;
        }
        if self.current.len() >= REMEMBERED {
            self.previous = std::mem::take(&mut self.current);
        }
        true
    }
}

/// The next observations of a sorted sequence, about `size`; an empty batch is the end.
///
/// It ends with the last of a host unless that would be too much: batches that share a host wait for each other.
pub(super) fn next_batch(sorted: &mut Sorted, size: usize, mut seen: Option<&mut Seen>) -> io::Result<Batch> {
    let mut batch = Batch { observations: Vec::with_capacity(size), lines: LineCounts::default() };
    let mut text_bytes = 0;
    let mut host = None;
    while text_bytes < BATCH_TEXT {
        let Some(key) = sorted.peek_key() else { break };
        let most = if host == Some((key.0, key.1)) { MOST_OBSERVATIONS } else { size };
        if batch.observations.len() >= most {
            break;
        }
        host = Some((key.0, key.1));
        let Some(first) = sorted.next()? else { break };
        let mut group = Group::new(key, first.record);
        group.add(first, &mut batch.lines, seen.as_deref_mut());
        while sorted.peek_key() == Some(key) {
            let Some(entry) = sorted.next()? else { break };
            group.add(entry, &mut batch.lines, seen.as_deref_mut());
        }
        text_bytes += group.banner.as_ref().map_or(0, |(_, text)| text.banner.len());
        batch.observations.push(group.finish());
    }
    Ok(batch)
}

/// The records of one address, port and protocol.
struct Group {
    key: SortKey,
    first: Packed,
    earliest: i64,
    latest: i64,
    open: bool,
    banner: Option<(i64, Text)>,
    /// Which of up, open and closed were met.
    met: [bool; 3],
    /// Which services banners named.
    services: HashSet<String>,
}

impl Group {
    fn new(key: SortKey, first: Packed) -> Self {
        Self {
            key,
            first,
            earliest: first.seen_at,
            latest: first.seen_at,
            open: false,
            banner: None,
            met: [false; 3],
            services: HashSet::new(),
        }
    }

    fn add(&mut self, entry: Entry, lines: &mut LineCounts, seen: Option<&mut Seen>) {
        let Entry { record, text } = entry;
        let kind = record.kind();
        let service = text.as_ref().map_or("", |text| text.service.as_str());
        let first =
            self.is_first(kind, service) && seen.is_none_or(|seen| seen.insert(self.key, kind, service));
        if first {
            lines.ok += 1;
            lines.repaired += u64::from(record.is_repaired());
        } else {
            lines.duplicate += 1;
        }
        self.earliest = self.earliest.min(record.seen_at);
        // Later in the input wins among equal times, since records come in the order of the input.
        if record.seen_at >= self.latest {
            self.latest = record.seen_at;
            self.open = kind != Kind::Closed;
        }
        if let Some(text) = text
            && self.banner.as_ref().is_none_or(|(at, _)| record.seen_at >= *at)
        {
            self.banner = Some((record.seen_at, text));
        }
    }

    fn is_first(&mut self, kind: Kind, service: &str) -> bool {
        let met = match kind {
            Kind::Up => &mut self.met[0],
            Kind::Open => &mut self.met[1],
            Kind::Closed => &mut self.met[2],
            Kind::Banner => {
                return self.services.len() < SERVICES_TOLD_APART
                    && !self.services.contains(service)
                    && self.services.insert(service.to_owned());
            }
        };
        !std::mem::replace(met, true)
    }

    fn finish(self) -> Observation {
        let port = self.first.service().map(|(port, protocol)| ObservedPort {
            port,
            protocol,
            open: self.open,
            banner: self.banner.map(|(_, text)| ObservedBanner { service: text.service, bytes: text.banner }),
        });
        Observation {
            address: self.first.address(),
            port,
            first_seen: Timestamp::from_millis(self.earliest),
            last_seen: Timestamp::from_millis(self.latest),
        }
    }
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::{Address, PortNumber, Protocol, Sighting, SightingRecord};
    use proptest::prelude::*;

    use super::*;
    use crate::imports::{
        merge::{Runs, sorted_in_memory},
        packed::Buffer,
    };

    const STARTED: Timestamp = Timestamp::from_secs(1_000);

    fn address(last: u8) -> Address {
        Address::from(std::net::IpAddr::from([203, 0, 113, last]))
    }

    fn port(number: u16) -> PortNumber {
        PortNumber::try_from(number).expect("a port")
    }

    fn open(last: u8, number: u16, at: i64) -> Sighting {
        let record = SightingRecord::Open { port: port(number), protocol: Protocol::Tcp };
        Sighting { address: address(last), seen_at: Some(Timestamp::from_secs(at)), record }
    }

    fn closed(last: u8, number: u16, at: i64) -> Sighting {
        let record = SightingRecord::Closed { port: port(number), protocol: Protocol::Tcp };
        Sighting { record, ..open(last, number, at) }
    }

    fn banner(last: u8, number: u16, at: i64, service: &str, said: &str) -> Sighting {
        let record = SightingRecord::Banner {
            port: port(number),
            protocol: Protocol::Tcp,
            service: service.to_owned(),
            banner: said.as_bytes().to_vec(),
        };
        Sighting { record, ..open(last, number, at) }
    }

    fn batch_of(sightings: &[Sighting], seen: Option<&mut Seen>) -> Batch {
        let mut buffer = Buffer::default();
        for sighting in sightings {
            buffer.push(sighting, false, STARTED);
        }
        let mut sorted = sorted_in_memory(buffer).expect("memory does not fail");
        next_batch(&mut sorted, 10_000, seen).expect("memory does not fail")
    }

    #[test]
    fn records_of_a_port_are_one_observation_with_the_latest_state_and_banner() {
        let batch = batch_of(
            &[
                banner(1, 80, 30, "http", "new"),
                closed(1, 80, 40),
                open(1, 80, 10),
                banner(1, 80, 20, "http", "old"),
                Sighting { address: address(1), seen_at: None, record: SightingRecord::Up },
            ],
            None,
        );
        let host = Observation { address: address(1), port: None, first_seen: STARTED, last_seen: STARTED };
        let banner = Some(ObservedBanner { service: "http".to_owned(), bytes: b"new".to_vec() });
        let service = Observation {
            address: address(1),
            port: Some(ObservedPort { port: port(80), protocol: Protocol::Tcp, open: false, banner }),
            first_seen: Timestamp::from_secs(10),
            last_seen: Timestamp::from_secs(40),
        };
        assert_eq!(batch.observations, [host, service]);
        assert_eq!(batch.lines, LineCounts { ok: 4, duplicate: 1, ..LineCounts::default() });
    }

    #[test]
    fn a_duplicate_has_the_same_address_port_protocol_and_kind() {
        let batch = batch_of(
            &[
                open(1, 80, 1),
                open(1, 80, 2),
                open(1, 81, 1),
                open(2, 80, 1),
                closed(1, 80, 3),
                banner(1, 80, 4, "http", "a"),
                banner(1, 80, 5, "http", "b"),
                banner(1, 80, 6, "title", "b"),
            ],
            None,
        );
        assert_eq!((batch.lines.ok, batch.lines.duplicate, batch.observations.len()), (6, 2, 3));
    }

    #[test]
    fn a_batch_ends_between_hosts() {
        let mut buffer = Buffer::default();
        for (last, number) in [(1, 80), (2, 80), (2, 81), (2, 82), (3, 80), (4, 80)] {
            buffer.push(&open(last, number, 1), false, STARTED);
        }
        let mut sorted = sorted_in_memory(buffer).expect("memory does not fail");
        let mut lengths = Vec::new();
        for _ in 0..3 {
            lengths.push(next_batch(&mut sorted, 2, None).expect("memory does not fail").observations.len());
        }
        assert_eq!(lengths, [4, 2, 0]);
    }

    #[test]
    fn a_host_that_is_too_much_for_one_batch_has_several() {
        let mut buffer = Buffer::default();
        for number in 1..=12_000 {
            buffer.push(&open(1, number, 1), false, STARTED);
        }
        let mut sorted = sorted_in_memory(buffer).expect("memory does not fail");
        let lengths = [(); 3]
            .map(|()| next_batch(&mut sorted, 500, None).expect("memory does not fail").observations.len());
        assert_eq!(lengths, [10_000, 2_000, 0]);
    }

    #[test]
    fn a_live_import_remembers_duplicates_over_its_flushes() {
        let mut seen = Seen::default();
        let first = batch_of(&[open(1, 80, 1)], Some(&mut seen));
        let second = batch_of(&[open(1, 80, 2), open(1, 81, 2)], Some(&mut seen));
        assert_eq!((first.lines.ok, second.lines.ok, second.lines.duplicate), (1, 1, 1));
    }

    fn any_sighting() -> impl Strategy<Value = Sighting> {
        prop_oneof![
            (0..6_u8, 1..4_u16, 0..50_i64).prop_map(|(last, number, at)| open(last, number, at)),
            (0..6_u8, 1..4_u16, 0..50_i64).prop_map(|(last, number, at)| closed(last, number, at)),
            (0..6_u8, 1..4_u16, 0..50_i64, "[a-b]{0,1}", ".{0,8}")
                .prop_map(|(last, number, at, service, said)| banner(last, number, at, &service, &said)),
        ]
    }

    proptest! {
        #[test]
        fn spilled_runs_give_the_same_as_memory(sightings in prop::collection::vec(any_sighting(), 0..150), cut in 1..20_usize) {
            let mut runs = Runs::new(&std::env::temp_dir());
            for (index, sighting) in sightings.iter().enumerate() {
                runs.buffer().push(sighting, false, STARTED);
                if index % cut == 0 {
                    runs.spill().expect("a temporary file");
                }
            }
            let mut sorted = runs.into_sorted().expect("a temporary file");
            let spilled = next_batch(&mut sorted, 10_000, None).expect("a temporary file");
            let memory = batch_of(&sightings, None);
            prop_assert_eq!(spilled.observations, memory.observations);
            prop_assert_eq!(spilled.lines, memory.lines);
            prop_assert_eq!(memory.lines.ok + memory.lines.duplicate, sightings.len() as u64);
        }
    }
}
