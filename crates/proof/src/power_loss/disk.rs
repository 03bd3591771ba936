//! What a disk may hold after the power went: everything that was confirmed, and of the rest whatever it likes.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    path::Path,
};

use hostatlas_proof_shim::Event;
use rand::{Rng, rngs::StdRng};

/// What a disk writes at once: a write that was not confirmed may be there for some sectors and not for others.
const SECTOR: u64 = 512;

/// A file's bytes.
#[derive(Clone, Debug, Default)]
struct File {
    /// What is certainly on the disk.
    confirmed: Vec<u8>,
    /// What was asked since then, in order.
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Truncate { length: u64 },
}

/// A folder on a disk. Files are kept apart from their names, since both reach the disk on their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    /// Which file each name means now.
    names: BTreeMap<OsString, usize>,
    /// Which it means if the power goes, unless a change of the folder happened to reach the disk.
    confirmed_names: BTreeMap<OsString, usize>,
}

/// How much of what was not confirmed is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Survival {
    /// All: the process died and the machine did not.
    All,
    /// Nothing.
    Nothing,
    /// Some writes and not others, later ones before earlier ones.
    Some,
    /// Some sectors of some writes.
    Torn,
    /// All up to some moment, and of the next write some sectors.
    Prefix,
}

/// What is in the folder when the machine is started again.
pub(super) type Image = BTreeMap<OsString, Vec<u8>>;

impl Disk {
    /// A disk that confirmed these files.
    pub(super) fn new(image: &Image) -> Self {
        let file = |bytes: &Vec<u8>| File { confirmed: bytes.clone(), pending: Vec::new() };
        let names: BTreeMap<_, _> = image.keys().cloned().zip(0..).collect();
        Self { files: image.values().map(file).collect(), confirmed_names: names.clone(), names }
    }

    /// Whether anything is not confirmed.
    pub(super) fn is_settled(&self) -> bool {
        self.names == self.confirmed_names
            && self.names.values().all(|file| self.files[*file].pending.is_empty())
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { file, offset, bytes } => {
                let change = Change::Write { offset: *offset, bytes: bytes.clone() };
                self.file(file).pending.push(change);
            }
            Event::Truncate { file, length } => {
                self.file(file).pending.push(Change::Truncate { length: *length });
            }
            Event::Sync { file } if file.is_empty() => self.confirmed_names = self.names.clone(),
            Event::Sync { file } => self.file(file).settle(),
            Event::Unlink { file } => drop(self.names.remove(file)),
            Event::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Event::Mark(_) => {}
        }
    }

    fn file(&mut self, name: &OsStr) -> &mut File {
        let next = self.files.len();
        let at = *self.names.entry(name.to_owned()).or_insert(next);
        if at == next {
            self.files.push(File::default());
        }
        &mut self.files[at]
    }

    /// What may be there if the power goes now.
    pub(super) fn image(&self, survival: Survival, random: &mut StdRng) -> Image {
        let share = [0.1, 0.5, 0.9][random.random_range(0..3)];
        let mut names = match survival {
            Survival::All => self.names.clone(),
            _ => self.confirmed_names.clone(),
        };
        if matches!(survival, Survival::Some | Survival::Torn | Survival::Prefix) {
            for name in self.names.keys().chain(self.confirmed_names.keys()) {
                if random.random_bool(0.5) {
                    match self.names.get(name) {
                        Some(file) => drop(names.insert(name.clone(), *file)),
                        None => drop(names.remove(name)),
                    }
                }
            }
        }
        let surviving = |file: &usize| self.files[*file].surviving(survival, share, random);
        let files: Vec<Vec<u8>> = names.values().map(surviving).collect();
        names.into_keys().zip(files).collect()
    }
}

impl File {
    /// All that was asked is confirmed.
    fn settle(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.confirmed);
        }
    }

    fn surviving(&self, survival: Survival, share: f64, random: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.confirmed.clone();
        let until = random.random_range(0..=self.pending.len());
        for (at, change) in self.pending.iter().enumerate() {
            match survival {
                Survival::All => change.apply(&mut bytes),
                Survival::Some if random.random_bool(share) => change.apply(&mut bytes),
                Survival::Torn => change.tear(&mut bytes, share, random),
                Survival::Prefix if at < until => change.apply(&mut bytes),
                Survival::Prefix if at == until => change.tear(&mut bytes, share, random),
                Survival::Nothing | Survival::Some | Survival::Prefix => {}
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes: written } => put(bytes, *offset, written),
            Self::Truncate { length } => bytes.resize(index(*length), 0),
        }
    }

    /// Some sectors of it. Bytes that a write does not touch stay as they are, as disks have promised for long.
    fn tear(&self, bytes: &mut Vec<u8>, share: f64, random: &mut StdRng) {
        let Self::Write { offset, bytes: written } = self else {
            if random.random_bool(share) {
                self.apply(bytes);
            }
            return;
        };
        let mut from = 0;
        while from < written.len() {
            let at = offset + from as u64;
            let until = written.len().min(from + index(SECTOR - at % SECTOR));
            if random.random_bool(share) {
                put(bytes, at, &written[from..until]);
            }
            from = until;
        }
    }
}

/// Writes into a file's bytes; what lies between its end and `offset` is zero.
fn put(bytes: &mut Vec<u8>, offset: u64, written: &[u8]) {
    let offset = index(offset);
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("recorded files are far smaller than the address space")
}

/// The files of a database in a folder; what the engine rebuilds by itself is left out.
pub(super) fn read(folder: &Path) -> io::Result<Image> {
    let mut image = Image::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_kept(&entry.file_name()) {
            image.insert(entry.file_name(), fs::read(entry.path())?);
        }
    }
    Ok(image)
}

/// Puts an image into an empty folder.
pub(super) fn write(folder: &Path, image: &Image) -> io::Result<()> {
    image.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
}

/// Whether a file holds data: the index of the log (`-shm`) and lock files are made anew by whoever opens a database.
pub(super) fn is_kept(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.ends_with(".db") || name.ends_with(".db-wal") || name.ends_with(".db-journal")
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn write(bytes: &[u8]) -> Event {
        Event::Write { file: "a.db".into(), offset: 0, bytes: bytes.to_vec() }
    }

    fn sync(file: &str) -> Event {
        Event::Sync { file: file.into() }
    }

    #[test]
    fn only_what_was_confirmed_is_certain() {
        let mut random = StdRng::seed_from_u64(1);
        let mut disk = Disk::new(&Image::new());
        let mut nothing =
            |disk: &Disk| disk.image(Survival::Nothing, &mut random).get(OsStr::new("a.db")).cloned();
        disk.apply(&write(b"one"));
        disk.apply(&sync("a.db"));
        assert_eq!(nothing(&disk), None, "its name was not confirmed");
        disk.apply(&sync(""));
        assert_eq!((nothing(&disk), disk.is_settled()), (Some(b"one".to_vec()), true));
        disk.apply(&write(b"two"));
        assert_eq!((nothing(&disk), disk.is_settled()), (Some(b"one".to_vec()), false));
        let all = disk.image(Survival::All, &mut StdRng::seed_from_u64(1));
        assert_eq!(all.get(OsStr::new("a.db")).map(Vec::as_slice), Some(&b"two"[..]));
    }

    #[test]
    fn a_torn_write_is_torn_between_sectors() {
        let mut random = StdRng::seed_from_u64(3);
        let mut disk = Disk::new(&BTreeMap::from([("a.db".into(), vec![0; 2048])]));
        disk.apply(&write(&[1; 2048]));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..500 {
            let image = disk.image(Survival::Torn, &mut random);
            let sectors: Vec<u8> = image[OsStr::new("a.db")]
                .chunks(512)
                .map(|sector| {
                    assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
                    sector[0]
                })
                .collect();
            seen.insert(sectors);
        }
        assert_eq!(seen.len(), 16, "every choice of four sectors comes up");
    }
}
