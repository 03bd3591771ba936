//! Private copies of database files, shared by the processes of one machine.
//!
//! A mapped file that somebody cuts short kills the process that reads it, and a hard link would be cut short with
//! it. So what is mapped is a copy, in a directory of ours, named by the hash of its content. Beside the copies lies
//! one small note for each of the operator's files, saying which copy was made of which state of it: while size,
//! times and inode are those of the note, nothing is read again, and opening takes milliseconds.
//!
//! Beside a copy with IPv4 lies its [`Table`].
//!
//! Every change is made under an exclusive lock on the directory, and each file appears by rename, whole. Removing a
//! copy that another process has mapped is harmless: the mapping keeps it alive.

use std::{
    fmt::Write as _,
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    path::{Path, PathBuf, absolute},
};

use sha2::{Digest, Sha256};

use super::{
    database::{DOWNLOAD_AGAIN, Database, Refusal},
    table::Table,
    table_writer,
};

/// First line of a note. Notes of another version are not understood, and the copy is made anew.
const NOTE_HEAD: &str = "hostatlas mmdb copy 1";
/// Ends the name of a table. Another version of its format needs no other: it is known by its first bytes.
const TABLE: &str = "ipv4";
/// What is copied and hashed at a time.
const CHUNK: usize = 256 * 1024;

/// What shows that a file was changed, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    modified_ns: i128,
    /// Packages and archives keep an old modification time, even one for all versions; this one they cannot set.
    changed_ns: i128,
    inode: u64,
}

impl Stamp {
    /// Of an open file or a path that was looked at.
    pub fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            size: metadata.len(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// Which copy was made of which state of a file.
struct Note {
    stamp: Stamp,
    digest: String,
    copy: String,
}

/// The directory of the copies.
pub struct PrivateCopies {
    directory: PathBuf,
}

impl PrivateCopies {
    /// Uses `directory`, which is created when the first copy is made.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Opens `source`, which is in the state `stamp`, from its copy; makes and checks the copy if need be.
    pub fn open(&self, source: &Path, stamp: Stamp) -> Result<Database, Refusal> {
        let unwritable = |error: io::Error| {
            Refusal::passing(
                format!("could not be copied to `{}`: {error}", self.directory.display()),
                "make that directory writable and see that its disk has room",
            )
        };
        fs::create_dir_all(&self.directory).map_err(unwritable)?;
        let lock = self.lock().map_err(unwritable)?;
        let note = self.note_of(source);
        if let Some(database) =
            note.as_ref().filter(|note| note.stamp == stamp).and_then(|note| self.noted(source, note))
        {
            return Ok(database);
        }
        let incoming = self.directory.join("incoming.tmp");
        let digest = copy(source, stamp, &incoming).map_err(|error| match error {
            CopyError::Reading(error) => Refusal::passing(
                format!("could not be read: {error}"),
                "make it readable for the user hostatlas runs as",
            ),
            CopyError::Changing => Refusal::passing(
                "is being changed",
                "wait until it is whole; replace a database by renaming the new file over it",
            ),
            CopyError::Writing(error) => {
                let _ = fs::remove_file(&incoming);
                unwritable(error)
            }
        })?;
        let file = File::open(&incoming).map_err(unwritable)?;
        let mut database = Database::open(&file, source, digest.clone()).map_err(|refusal| {
            let refusal = note.and_then(|note| self.cut_short(&note, &incoming)).unwrap_or(refusal);
            let _ = fs::remove_file(&incoming);
            refusal
        })?;
        let name = format!("{}.mmdb", &digest[..32]);
        fs::rename(&incoming, self.directory.join(&name)).map_err(unwritable)?;
        self.put_table(&mut database, &name);
        self.write_note(source, &Note { stamp, digest, copy: name }).map_err(unwritable)?;
        self.prune();
        drop(lock);
        Ok(database)
    }

    /// The copy of the last good state of `source`, whatever the file is now.
    pub fn last_good(&self, source: &Path) -> Option<Database> {
        let _lock = self.lock().ok()?;
        self.noted(source, &self.note_of(source)?)
    }

    fn noted(&self, source: &Path, note: &Note) -> Option<Database> {
        let file = File::open(self.directory.join(&note.copy)).ok()?;
        let whole = file.metadata().ok()?.len() == note.stamp.size;
        let mut database =
            whole.then(|| Database::open(&file, source, note.digest.clone()).ok()).flatten()?;
        self.put_table(&mut database, &note.copy);
        Some(database)
    }

    /// Gives a database its table, which is compiled if it is not there. Where that fails, lookups are slower, and
    /// that is all.
    fn put_table(&self, database: &mut Database, copy: &str) {
        if !database.holds(true) {
            return;
        }
        let path = self.directory.join(copy).with_extension(TABLE);
        let mut table = Table::open(&path, database.bytes().len());
        if table.is_none() {
            let incoming = self.directory.join("table.tmp");
            if matches!(table_writer::write(database, &incoming), Ok(true))
                && fs::rename(&incoming, &path).is_ok()
            {
                table = Table::open(&path, database.bytes().len());
            } else {
                let _ = fs::remove_file(&incoming);
            }
        }
        if let Some(table) = table {
            database.use_table(table);
        }
    }

    /// Waits until no other process changes the directory. A file system without locks is used without.
    fn lock(&self) -> io::Result<File> {
        let file = File::create(self.directory.join("lock"))?;
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(file),
        }
    }

    /// A clear word for the commonest damage: the new file is the beginning of the version before it.
    fn cut_short(&self, note: &Note, incoming: &Path) -> Option<Refusal> {
        let mut whole = File::open(self.directory.join(&note.copy)).ok()?;
        let mut part = File::open(incoming).ok()?;
        let size = part.metadata().ok()?.len();
        if size >= note.stamp.size {
            return None;
        }
        let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            let read = part.read(&mut left).ok()?;
            if read == 0 {
                let what = format!("is cut short: it has {size} of {} bytes", note.stamp.size);
                return Some(Refusal::lasting(what, DOWNLOAD_AGAIN));
            }
            whole.read_exact(&mut right[..read]).ok()?;
            if left[..read] != right[..read] {
                return None;
            }
        }
    }

    fn note_path(&self, source: &Path) -> PathBuf {
        let source = absolute(source).unwrap_or_else(|_| source.to_owned());
        let digest = hexadecimal(&Sha256::digest(source.as_os_str().as_encoded_bytes()));
        self.directory.join(format!("{}.note", &digest[..32]))
    }

    fn note_of(&self, source: &Path) -> Option<Note> {
        read_note(&fs::read_to_string(self.note_path(source)).ok()?).map(|(note, _)| note)
    }

    fn write_note(&self, source: &Path, note: &Note) -> io::Result<()> {
        let Note { stamp: Stamp { size, modified_ns, changed_ns, inode }, digest, copy } = note;
        let source_path = absolute(source).unwrap_or_else(|_| source.to_owned());
        let temporary = self.directory.join("note.tmp");
        fs::write(
            &temporary,
            format!(
                "{NOTE_HEAD}\n{size}\n{modified_ns}\n{changed_ns}\n{inode}\n{digest}\n{copy}\n{}\n",
                source_path.display()
            ),
        )?;
        fs::rename(temporary, self.note_path(source))
    }

    /// Removes notes of files that are gone and copies that no note names. What fails stays for the next time.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let (mut copies, mut noted) = (Vec::new(), Vec::new());
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("mmdb" | TABLE) => copies.push(path),
                Some("note") => match fs::read_to_string(&path).ok().as_deref().and_then(read_note) {
                    Some((note, source)) if fs::exists(&source).unwrap_or(true) => noted.push(note.copy),
                    _ => drop(fs::remove_file(&path)),
                },
                _ => {}
            }
        }
        for path in copies {
            let copy = path.with_extension("mmdb");
            let name = copy.file_name().and_then(|name| name.to_str());
            if !noted.iter().any(|noted| Some(noted.as_str()) == name) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

fn read_note(text: &str) -> Option<(Note, PathBuf)> {
    let mut lines = text.lines();
    if lines.next()? != NOTE_HEAD {
        return None;
    }
    let stamp = Stamp {
        size: lines.next()?.parse().ok()?,
        modified_ns: lines.next()?.parse().ok()?,
        changed_ns: lines.next()?.parse().ok()?,
        inode: lines.next()?.parse().ok()?,
    };
    let (digest, copy) = (lines.next()?.to_owned(), lines.next()?.to_owned());
    // The name is joined to our directory: nothing but a plain name may come from a file.
    let plain = copy.strip_suffix(".mmdb")?.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then_some((Note { stamp, digest, copy }, PathBuf::from(lines.next()?)))
}

enum CopyError {
    Reading(io::Error),
    Writing(io::Error),
    /// The file is no longer in the state it was announced in.
    Changing,
}

/// Copies `source` to `target` and gives the SHA-256 of what was copied.
fn copy(source: &Path, stamp: Stamp, target: &Path) -> Result<String, CopyError> {
    let mut from = File::open(source).map_err(CopyError::Reading)?;
    let mut to = File::create(target).map_err(CopyError::Writing)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Reading(error)),
        };
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(CopyError::Writing)?;
    }
    // After a power cut the note must not outlive the content it vouches for.
    to.sync_data().map_err(CopyError::Writing)?;
    let size = to.metadata().map_err(CopyError::Writing)?.len();
    let now = Stamp::of(&from.metadata().map_err(CopyError::Reading)?);
    if now != stamp || size != stamp.size {
        return Err(CopyError::Changing);
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
