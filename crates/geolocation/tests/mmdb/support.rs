use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use hostatlas_domain::{Address, Located, Timestamp, UnlocatedReason};
use hostatlas_geolocation::{Locator, Lookup, MmdbConfig, MmdbSet, Problem};
use ipnet::IpNet;
use mmdb_writer::{IpVersion, Value, Writer};
use tempfile::TempDir;

/// When the generated databases were built, unless a test says otherwise.
pub const BUILD: u64 = 1_780_000_000;

/// A directory of databases, and one of private copies beside it.
pub struct Site {
    root: TempDir,
}

impl Site {
    pub fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(root.path().join("mmdb")).expect("a directory");
        Self { root }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("mmdb").join(name)
    }

    pub fn copies(&self) -> PathBuf {
        self.root.path().join("copies")
    }

    /// Puts a file there as an operator should: by rename.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let (temporary, path) = (self.path("incoming"), self.path(name));
        fs::write(&temporary, bytes).expect("a new file");
        fs::rename(&temporary, &path).expect("a rename");
        path
    }

    pub fn config(&self) -> MmdbConfig {
        MmdbConfig {
            directory: Some(self.root.path().join("mmdb")),
            private_copy_dir: self.copies(),
            ..MmdbConfig::default()
        }
    }

    pub fn open(&self) -> (Locator, Vec<Problem>) {
        open(&self.config())
    }
}

pub fn open(config: &MmdbConfig) -> (Locator, Vec<Problem>) {
    let (set, problems) = MmdbSet::open(config);
    (Locator::builder().mmdb(set).build(), problems)
}

/// A locator over one database with one schema.
pub fn locator_of(bytes: &[u8]) -> Locator {
    let site = Site::new();
    site.put("one.mmdb", bytes);
    let (locator, problems) = site.open();
    assert_eq!(problems, []);
    locator
}

pub struct Build {
    pub version: IpVersion,
    pub epoch: u64,
}

pub const V4: Build = Build { version: IpVersion::V4, epoch: BUILD };
pub const V6: Build = Build { version: IpVersion::V6, epoch: BUILD };

/// The bytes of a database with these networks. Type string and description say nothing, as in the real files.
pub fn database(build: &Build, networks: &[(&str, Value)]) -> Vec<u8> {
    let mut writer = Writer::builder("city ipv4")
        .ip_version(build.version)
        .languages(Vec::<String>::new())
        .build_epoch(UNIX_EPOCH + Duration::from_secs(build.epoch))
        .build();
    for (network, value) in networks {
        let network: IpNet = network.parse().expect("a network");
        writer.insert_value(network, value.clone()).expect("a network of the family");
    }
    writer.to_bytes().expect("a database")
}

/// ip-location-db's city record: flat, 32-bit floats, every key always there.
pub fn flat(city: &str, state: &str, country: &str, latitude: f32, longitude: f32) -> Value {
    Value::map([
        ("city", Value::from(city)),
        ("country_code", country.into()),
        ("latitude", latitude.into()),
        ("longitude", longitude.into()),
        ("postcode", "".into()),
        ("state1", state.into()),
        ("state2", "".into()),
        ("timezone", "".into()),
    ])
}

pub fn frankfurt() -> Value {
    flat("Frankfurt am Main", "Hesse", "DE", 50.1155, 8.6842)
}

pub fn asn(number: u32, organization: &str) -> Value {
    Value::map([
        ("autonomous_system_number", Value::from(number)),
        ("autonomous_system_organization", organization.into()),
    ])
}

pub fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

pub fn locate(locator: &Locator, text: &str) -> Lookup {
    locator.locate_sorted(&[address(text)]).remove(0)
}

pub fn located(locator: &Locator, text: &str) -> Arc<Located> {
    match locate(locator, text) {
        Lookup::Located(located) => located,
        other => panic!("{text} is not located: {other:?}"),
    }
}

pub fn city(locator: &Locator, text: &str) -> Option<String> {
    locate(locator, text).located().and_then(|located| located.place.city.clone())
}

pub fn reason(locator: &Locator, text: &str) -> Option<UnlocatedReason> {
    locate(locator, text).reason()
}

pub fn built(epoch: u64) -> Timestamp {
    Timestamp::from_secs(i64::try_from(epoch).expect("a time"))
}

pub fn count_copies(directory: &Path) -> usize {
    count_files(directory, "mmdb")
}

pub fn count_files(directory: &Path, extension: &str) -> usize {
    let counts = |path: &Path| path.extension().is_some_and(|found| found == extension);
    fs::read_dir(directory)
        .expect("a directory")
        .filter(|entry| counts(&entry.as_ref().expect("an entry").path()))
        .count()
}
