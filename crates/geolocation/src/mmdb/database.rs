use std::{
    collections::BTreeMap,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hostatlas_domain::{Address, Timestamp, sanitize};
use maxminddb::{MaxMindDbError, Mmap, Reader};
use serde::de::IgnoredAny;

use super::{
    record::Record,
    status::{AddressFamilies, DatabaseStatus, Role},
    table::Table,
    tree::{Mapping, Sample, Tree},
    wire::{Keys, WireRecord},
};
use crate::LookupError;

/// How many records of each family are read before a file is taken into use. Enough to meet every kind of record
/// and damage of any size worth the name; takes about a millisecond.
const SAMPLES: usize = 256;

/// One open, checked database file.
pub struct Database {
    source: PathBuf,
    digest: String,
    mapping: Mapping,
    table: Option<Table>,
    reader: Reader<Mapping>,
    tree: Tree,
    role: Role,
    has_network: bool,
    families: AddressFamilies,
    build: Option<Timestamp>,
    unreadable: AtomicU64,
}

/// Why a file is no database to use: what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The end of a sentence that begins with the path.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Whether trying the same file again may end otherwise.
    pub passing: bool,
}

impl Refusal {
    /// The file is bad and stays so.
    pub fn lasting(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), passing: false }
    }

    /// What is in the way may go away.
    pub fn passing(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), passing: true }
    }
}

/// The remedy for a file that is damaged.
pub const DOWNLOAD_AGAIN: &str = "download it again";

impl Database {
    /// Opens and checks the private `copy` of `source`, whose content has the hash `digest`.
    pub fn open(copy: &File, source: &Path, digest: String) -> Result<Self, Refusal> {
        let damaged =
            |error: MaxMindDbError| Refusal::lasting(format!("is damaged: {error}"), DOWNLOAD_AGAIN);
        let mapping = map(copy).map_err(|error| {
            Refusal::passing(
                format!("could not be mapped into memory: {error}"),
                "free some memory and try again",
            )
        })?;
        let mapping = Mapping(Arc::new(mapping));
        if mapping.as_ref().is_empty() {
            return Err(Refusal::lasting("is empty", DOWNLOAD_AGAIN));
        }
        let reader = Reader::from_source(mapping.clone()).map_err(|error| match error {
            MaxMindDbError::InvalidDatabase { offset: None, message }
                if message.contains("could not find") =>
            {
                Refusal::lasting(
                    "is no MMDB file, or is cut short: it does not end with MMDB metadata",
                    "download it again, as a file that ends in `.mmdb`; archives must be unpacked first",
                )
            }
            other => damaged(other),
        })?;
        let metadata = reader.metadata();
        let tree = Tree::new(mapping.clone(), metadata).ok_or_else(|| {
            Refusal::lasting("is cut short: its search tree ends after the file", DOWNLOAD_AGAIN)
        })?;
        let build =
            i64::try_from(metadata.build_epoch).ok().filter(|&epoch| epoch > 0).map(Timestamp::from_secs);

        let mut keys = Keys::default();
        let holds_v4 = probe(&reader, &tree, true, &mut keys)?;
        let holds_v6 = probe(&reader, &tree, false, &mut keys)?;
        let families = match (holds_v4, holds_v6) {
            (true, true) => AddressFamilies::Both,
            (true, false) => AddressFamilies::Ipv4,
            (false, true) => AddressFamilies::Ipv6,
            (false, false) => {
                return Err(Refusal::lasting("holds no record of any public address", DOWNLOAD_AGAIN));
            }
        };
        let role = match keys {
            Keys { point: true, .. } => Role::City,
            Keys { country: true, .. } => Role::Country,
            Keys { network: true, .. } => Role::Asn,
            _ => return Err(unknown_schema(&reader, &tree)),
        };
        Ok(Self {
            source: source.to_owned(),
            digest,
            mapping,
            table: None,
            tree,
            role,
            has_network: keys.network,
            families,
            build,
            unreadable: AtomicU64::new(0),
            reader,
        })
    }

    /// The operator's file.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// SHA-256 of the content, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether its records name networks. A city or country database may.
    pub fn has_network(&self) -> bool {
        self.has_network
    }

    /// Makes it an ASN database, whatever else its records hold.
    pub fn use_for_networks_alone(&mut self) {
        self.role = Role::Asn;
    }

    /// Whether it holds data of the family.
    pub fn holds(&self, v4: bool) -> bool {
        match self.families {
            AddressFamilies::Both => true,
            AddressFamilies::Ipv4 => v4,
            AddressFamilies::Ipv6 => !v4,
        }
    }

    /// When it was built, if it says so.
    pub fn build(&self) -> Option<Timestamp> {
        self.build
    }

    /// Its search tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.mapping.as_ref()
    }

    /// What it says of IPv4, compiled. Without, lookups walk the tree.
    pub fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// Answers for IPv4 from `table` from now on.
    pub fn use_table(&mut self, table: Table) {
        self.table = Some(table);
    }

    /// Reads the record of `address` as it is. `None` if there is none.
    pub fn wire(&self, address: Address) -> Result<Option<WireRecord<'_>>, MaxMindDbError> {
        decode(&self.reader, address.ip())
    }

    /// Reads the record of `address`. `None` if there is none.
    pub fn record(&self, address: Address) -> Result<Option<Record>, LookupError> {
        self.wire(address).map(|wire| wire.map(Record::from)).map_err(|error| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            LookupError::Malformed { detail: format!("{error}, in `{}`", self.source.display()) }
        })
    }

    /// Adds what is known of this version to the status of its file.
    pub fn describe(&self, status: &mut DatabaseStatus) {
        let metadata = self.reader.metadata();
        status.role = Some(self.role);
        status.families = Some(self.families);
        status.database_type = Some(sanitize(&metadata.database_type, 64));
        status.database_build = self.build;
        status.nodes = Some(metadata.node_count);
        status.bytes = u64::try_from(self.bytes().len()).ok();
        status.unreadable_records = self.unreadable.load(Ordering::Relaxed);
    }
}

fn decode(reader: &Reader<Mapping>, address: IpAddr) -> Result<Option<WireRecord<'_>>, MaxMindDbError> {
    reader.lookup(address)?.decode()
}

/// Reads records all over the tree, notes what kinds of keys they have, and says whether there were any.
///
/// This and not `Reader::verify` is the check: that one refuses sound files for an empty description and takes
/// seconds.
fn probe(reader: &Reader<Mapping>, tree: &Tree, v4: bool, keys: &mut Keys) -> Result<bool, Refusal> {
    let damaged = |what: String| Refusal::lasting(format!("is damaged: {what}"), DOWNLOAD_AGAIN);
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let mut found = false;
    for _ in 0..SAMPLES {
        match tree.sample(v4, &mut random) {
            Sample::Empty => {}
            Sample::TooDeep => {
                return Err(damaged("its search tree is deeper than an address is long".to_owned()));
            }
            Sample::Data(address) => {
                found = true;
                if let Some(wire) = decode(reader, address).map_err(|error| damaged(error.to_string()))? {
                    keys.point |= wire.keys.point;
                    keys.names |= wire.keys.names;
                    keys.country |= wire.keys.country;
                    keys.network |= wire.keys.network;
                }
            }
        }
    }
    Ok(found)
}

/// Names the keys that were found where none is known, so that a person can see what the file is.
#[expect(clippy::zero_sized_map_values, reason = "the values are of no interest")]
fn unknown_schema(reader: &Reader<Mapping>, tree: &Tree) -> Refusal {
    let mut random = 1;
    let mut sample = |v4| {
        (0..SAMPLES).find_map(|_| match tree.sample(v4, &mut random) {
            Sample::Data(address) => Some(address),
            _ => None,
        })
    };
    let address = sample(true).or_else(|| sample(false)).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let record = reader.lookup(address).and_then(|found| found.decode::<BTreeMap<String, IgnoredAny>>());
    let keys = record.ok().flatten().unwrap_or_default().into_keys().collect::<Vec<_>>().join(", ");
    let keys = if keys.is_empty() { "nothing".to_owned() } else { format!("`{}`", sanitize(&keys, 120)) };
    Refusal::lasting(
        format!("has an unknown schema: its records hold {keys}, and no coordinates, country or AS number"),
        "use a city, country or ASN database with the schema of MaxMind, DB-IP, IPinfo or ip-location-db",
    )
}

/// Maps a private file into memory.
#[expect(unsafe_code, reason = "a mapping is the only way to read 70 MB files within the memory budget")]
pub fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file is a private copy or a table beside it, which this program writes once under a temporary name,
    // and then neither changes nor cuts short: a new version is a new file. Other programs have no business in its directory.
    unsafe { Mmap::map(file) }
}

/// The name of an address family in sentences.
pub const fn family_name(v4: bool) -> &'static str {
    if v4 { "IPv4" } else { "IPv6" }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use mmdb_writer::{IpVersion, RecordSize, Value, Writer};
    use proptest::prelude::*;

    use super::{super::tree::Cursor, *};

    fn database(size: RecordSize, version: IpVersion, networks: &[IpNet]) -> Database {
        let mut writer = Writer::builder("test").record_size(size).ip_version(version).build();
        for (number, network) in networks.iter().enumerate() {
            let number = u32::try_from(number + 1).expect("few networks");
            writer.insert_value(*network, Value::map([("asn", number)])).expect("a network of the family");
        }
        let mut file = tempfile::tempfile().expect("a temporary file");
        writer.write_to(&mut file).expect("a database");
        Database::open(&file, Path::new("test.mmdb"), String::new()).expect("a sound database")
    }

    /// Where the crate's reader finds the record of an address, as the number in the tree.
    fn by_reader(database: &Database, address: Address) -> Option<u64> {
        let found = database.reader.lookup(address.ip()).expect("an address of the family");
        found.offset().map(|offset| offset as u64 + u64::from(database.reader.metadata().node_count) + 16)
    }

    fn network() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<[u8; 4]>(), 1..=32_u8).prop_map(|(address, prefix)| (IpAddr::from(address), prefix));
        let v6 = (any::<[u8; 16]>(), 8..=128_u8).prop_map(|(mut address, prefix)| {
            // Apart from 2001::/32 and 2002::/16: the writer keeps those for aliases of IPv4 and refuses records there.
            address[0] = 0x24 | address[0] & 0x03;
            (IpAddr::from(address), prefix)
        });
        prop_oneof![v4, v6]
            .prop_map(|(address, prefix)| IpNet::new(address, prefix).expect("a prefix that fits").trunc())
    }

    proptest! {
        #[test]
        fn a_cursor_finds_what_the_reader_finds_in_any_order(
            networks in prop::collection::vec(network(), 1..24),
            others in prop::collection::vec(any::<[u8; 16]>(), 0..24),
            size in prop_oneof![Just(RecordSize::Bits24), Just(RecordSize::Bits28), Just(RecordSize::Bits32)],
            sorted: bool,
            skip_the_top: bool,
        ) {
            let database = database(size, IpVersion::V6, &networks);
            let inside = networks.iter().flat_map(|network| [network.network(), network.broadcast()]);
            let mut addresses: Vec<Address> =
                inside.map(Address::from).chain(others.into_iter().map(Address::from_key)).collect();
            if sorted {
                addresses.sort_unstable();
            }
            if skip_the_top {
                database.tree().make_top(true);
                database.tree().make_top(false);
            }
            let (mut cursors, tree) = (<[Cursor; 2]>::default(), database.tree());
            for address in addresses {
                let found = cursors[usize::from(address.is_ipv4())].find(tree, address.into()).map(u64::from);
                prop_assert_eq!(found, by_reader(&database, address), "{}", address);
            }
        }
    }

    #[test]
    fn an_ipv4_database_finds_no_ipv6() {
        let database =
            database(RecordSize::Bits24, IpVersion::V4, &["8.8.8.0/24".parse().expect("a network")]);
        let mut find = |text: &str| {
            let address: Address = text.parse().expect("an address");
            Cursor::default().find(database.tree(), address.into()).is_some()
        };
        assert_eq!(["8.8.8.8", "::ffff:8.8.8.8", "2001:4860:4860::8888"].map(&mut find), [true, true, false]);
    }

    #[test]
    fn ipv4_seen_through_its_aliases_is_no_ipv6() {
        let database =
            database(RecordSize::Bits24, IpVersion::V6, &["8.8.8.0/24".parse().expect("a network")]);
        assert_eq!(database.families, AddressFamilies::Ipv4);
    }
}
