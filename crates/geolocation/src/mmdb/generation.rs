use std::{net::IpAddr, sync::Arc};

use hostatlas_domain::{Address, Located, ProviderName, Timestamp, UnlocatedReason};

use super::{
    cache::{Cache, Key},
    database::{Database, family_name},
    record::Record,
    status::Role,
    table::{Table, View},
    tree::{Cursor, Path},
};
use crate::{Answer, LookupError};

/// Decoded records that are kept: about 5 MiB when full.
const RECORDS: usize = 16_384;
/// Answers, each one place in one network, that are kept: about 10 MiB when full. The 100 most frequent places hold
/// four in ten random hosts, so this is many more than the hot ones.
const ANSWERS: usize = 24_576;

/// The databases that are in use together, and what was decoded from them. Never changed: new files make a new one.
pub struct Generation {
    files: Vec<Arc<Database>>,
    v4: Route,
    v6: Route,
    records: Cache<Record>,
    answers: Cache<Located>,
}

/// Which files to ask for one address family, by their position, in this order.
struct Route {
    /// City databases, then country databases.
    places: Vec<usize>,
    /// ASN databases, then those of places that name networks too.
    networks: Vec<usize>,
}

impl Route {
    fn new(files: &[Arc<Database>], v4: bool) -> Self {
        let those = |wanted: fn(&Database) -> bool| {
            (0..files.len()).filter(move |&index| files[index].holds(v4) && wanted(&files[index]))
        };
        let cities = those(|file| file.role() == Role::City);
        let countries = those(|file| file.role() == Role::Country);
        let networks = those(|file| file.role() == Role::Asn);
        let others = those(|file| file.role() != Role::Asn && file.has_network());
        Self { places: cities.chain(countries).collect(), networks: networks.chain(others).collect() }
    }
}

impl Generation {
    /// Puts `files` to use; of two files with one role, the earlier is asked first.
    pub fn new(files: Vec<Arc<Database>>) -> Self {
        let (v4, v6) = (Route::new(&files, true), Route::new(&files, false));
        Self { v4, v6, records: Cache::new(RECORDS), answers: Cache::new(ANSWERS), files }
    }

    /// Build time of the newest city database, or country database where there is no city database.
    pub fn build(&self) -> Option<Timestamp> {
        let newest =
            |role| self.files.iter().filter(|file| file.role() == role).filter_map(|file| file.build()).max();
        newest(Role::City).or_else(|| newest(Role::Country))
    }

    /// Reads what was found.
    fn record(&self, found: Found, address: Address) -> Result<Record, LookupError> {
        let file = &self.files[found.file];
        if found.in_table {
            let entry = file.table().and_then(|table| table.view().entry(found.number));
            if let Some(record) = entry.and_then(|entry| entry.record()) {
                return Ok(record);
            }
            return self.decode(found.file, address);
        }
        let key: Key = [found.position(), 0];
        if let Some(record) = self.records.get(key) {
            return Ok(Record::clone(&record));
        }
        let record = self.decode(found.file, address)?;
        self.records.insert(key, Arc::new(record.clone()));
        Ok(record)
    }

    fn decode(&self, file: usize, address: Address) -> Result<Record, LookupError> {
        self.files[file].record(address)?.ok_or_else(|| LookupError::Malformed {
            detail: format!("a record is missing, in `{}`", self.files[file].source().display()),
        })
    }

    /// The file that is asked first for places of IPv4, and its table, if it has one.
    pub fn first_table(&self) -> Option<View<'_>> {
        let file = self.v4.places.first()?;
        self.files[*file].table().map(Table::view)
    }
}

/// Where the record of an address is.
#[derive(Clone, Copy)]
struct Found {
    file: usize,
    /// Of the record in the tree, or of the entry in the table.
    number: u32,
    in_table: bool,
}

impl Found {
    /// Names one record of one file. Never 0, which stands for none: a record's number is above the count of nodes.
    fn position(self) -> u64 {
        (self.file as u64) << 33 | u64::from(self.in_table) << 32 | u64::from(self.number)
    }
}

/// Lookups one after the other in one generation. Ascending addresses are fastest.
pub struct Session {
    generation: Arc<Generation>,
    /// For each file, one for each family.
    cursors: Vec<[Option<Cursor>; 2]>,
    /// The answer given last: neighbours are often at one place in one network.
    last: Option<(Key, Arc<Located>)>,
}

impl Session {
    /// Begins lookups in `generation`.
    pub fn new(generation: Arc<Generation>) -> Self {
        let cursors = generation.files.iter().map(|_| Default::default()).collect();
        Self { generation, cursors, last: None }
    }

    /// The files that it looks into.
    pub fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation)
    }

    /// Where `address` is, and in which network.
    ///
    /// A damaged record of one file does not hide a good one of the next, and never the place for want of a network.
    pub fn lookup(&mut self, address: Address) -> Result<Answer, LookupError> {
        let Self { generation, cursors, last } = self;
        let v4 = address.is_ipv4();
        let route = if v4 { &generation.v4 } else { &generation.v6 };
        if route.places.is_empty() {
            return Err(LookupError::NoDatabase { family: family_name(v4) });
        }
        let mut find = |file: usize| {
            let database = &generation.files[file];
            let (number, in_table) =
                if let (IpAddr::V4(address), Some(table)) = (address.ip(), database.table()) {
                    (table.view().find(address.to_bits())?, true)
                } else {
                    let cursor = cursors[file][usize::from(v4)].get_or_insert_default();
                    (cursor.find(database.tree(), Path::from(address))?, false)
                };
            Some(Found { file, number, in_table })
        };
        let network = route.networks.iter().find_map(|&file| find(file));
        let network_position = network.map_or(0, Found::position);
        let (mut miss, mut failure) = (UnlocatedReason::NoRecord, None);
        for found in route.places.iter().filter_map(|&file| find(file)) {
            let key = [found.position(), network_position];
            if let Some((_, located)) = last.as_ref().filter(|(known, _)| *known == key) {
                return Ok(Answer::Found(Arc::clone(located)));
            }
            if let Some(located) = generation.answers.get(key) {
                *last = Some((key, Arc::clone(&located)));
                return Ok(Answer::Found(located));
            }
            let record = match generation.record(found, address) {
                Ok(record) => record,
                Err(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
            };
            let network = network.and_then(|found| generation.record(found, address).ok());
            match locate(record, network, generation.files[found.file].build()) {
                Ok(located) => {
                    let located = Arc::new(located);
                    generation.answers.insert(key, Arc::clone(&located));
                    *last = Some((key, Arc::clone(&located)));
                    return Ok(Answer::Found(located));
                }
                Err(reason) => {
                    if reason == UnlocatedReason::NullIsland {
                        miss = reason;
                    }
                }
            }
        }
        failure.map_or(Ok(Answer::Miss(miss)), Err)
    }
}

/// Puts the record of a place and the record of a network together.
fn locate(
    record: Record,
    network: Option<Record>,
    database_build: Option<Timestamp>,
) -> Result<Located, UnlocatedReason> {
    let Record { place, network: own, timezone, accuracy_km } = record;
    let place = place?;
    let mut merged = network.map(|record| record.network).unwrap_or_default();
    // The name of a holder belongs to its number, so it is never taken from a file with another.
    if merged.asn.is_none() || own.asn.is_none_or(|asn| merged.asn == Some(asn)) {
        merged.asn = merged.asn.or(own.asn);
        merged.organization = merged.organization.or(own.organization);
    }
    merged.isp = merged.isp.or(own.isp);
    Ok(Located {
        place,
        network: merged,
        timezone,
        provider: ProviderName::Mmdb,
        accuracy_km,
        database_build,
    })
}
