use std::{
    fs::{self, File},
    io::{self, Seek},
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
};

/// How much of a file's beginning tells it from another one. Scans begin with their time, or with a random host.
const HEAD_BYTES: u64 = 1024;

/// A file that is read while it grows, and that may be written anew: by `>`, by a scan that starts again, or by a
/// rotation that puts another file in its place.
pub struct GrowingFile {
    path: PathBuf,
    /// Shares its position with the reader.
    file: File,
    /// What the file began with, as far as it has been read.
    head: Vec<u8>,
}

impl GrowingFile {
    /// Looks after `file`, which was opened at `path`. Also gives its reader.
    ///
    /// # Errors
    ///
    /// If the system has no handle left.
    pub fn new(path: PathBuf, file: File) -> io::Result<(Self, File)> {
        let reader = file.try_clone()?;
        Ok((Self { path, file, head: Vec::new() }, reader))
    }

    /// A reader from its start, if the file was written anew since it was read to its end.
    pub(super) fn written_anew(&mut self) -> io::Result<Option<File>> {
        let read = self.file.stream_position()?;
        let own = self.file.metadata()?;
        if own.len() >= read && self.begins_as_before(read)? {
            let replaced = match fs::metadata(&self.path) {
                Ok(named) => (named.dev(), named.ino()) != (own.dev(), own.ino()),
                // It was moved away, and the next one is not there yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(error),
            };
            // Whoever moved it away may have written to it before.
            if !replaced || own.len() > read {
                return Ok(None);
            }
        }
        self.file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        self.head.clear();
        self.file.try_clone().map(Some)
    }

    /// Whether the first bytes are those that were read. A file may be written anew and be longer than before at once.
    fn begins_as_before(&mut self, read: u64) -> io::Result<bool> {
        let mut head = vec![0; usize::try_from(read.min(HEAD_BYTES)).unwrap_or(0)];
        match self.file.read_exact_at(&mut head, 0) {
            Ok(()) => {}
            // It became shorter since its length was asked for.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        let same = head.starts_with(&self.head);
        self.head = head;
        Ok(same)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    struct Followed {
        folder: tempfile::TempDir,
        growing: GrowingFile,
        reader: File,
    }

    impl Followed {
        fn new(content: &str) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("scan.list");
            fs::write(&path, content).expect("written");
            let (growing, reader) =
                GrowingFile::new(path.clone(), File::open(&path).expect("there")).expect("a handle");
            let mut followed = Self { folder, growing, reader };
            assert_eq!((followed.rest(), followed.is_anew()), (content.to_owned(), false));
            followed
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("scan.list")
        }

        fn rest(&mut self) -> String {
            let mut text = String::new();
            self.reader.read_to_string(&mut text).expect("readable");
            text
        }

        /// Goes on as an import does.
        fn is_anew(&mut self) -> bool {
            let anew = self.growing.written_anew().expect("readable");
            let is_anew = anew.is_some();
            self.reader = anew.unwrap_or_else(|| self.reader.try_clone().expect("a handle"));
            is_anew
        }

        fn append(&self, text: &str) {
            let mut file = File::options().append(true).open(self.path()).expect("there");
            file.write_all(text.as_bytes()).expect("written");
        }
    }

    #[test]
    fn a_file_that_grows_is_read_on() {
        let mut followed = Followed::new("1\n2\n");
        followed.append("3\n");
        assert_eq!((followed.is_anew(), followed.rest()), (false, "3\n".to_owned()));
        assert!(!followed.is_anew());
    }

    #[test]
    fn a_file_that_became_shorter_longer_or_another_one_is_read_from_its_start() {
        for content in ["3\n", "3\n4\n", "3\n4\n5\n6\n"] {
            let mut followed = Followed::new("1\n2\n");
            fs::write(followed.path(), content).expect("written");
            assert_eq!((followed.is_anew(), followed.rest()), (true, content.to_owned()), "{content}");
            assert!(!followed.is_anew());
        }
    }

    #[test]
    fn a_file_that_is_moved_away_is_read_to_its_end_first() {
        let mut followed = Followed::new("1\n2\n");
        followed.append("3\n");
        fs::rename(followed.path(), followed.folder.path().join("scan.1")).expect("moved");
        assert_eq!((followed.is_anew(), followed.rest()), (false, "3\n".to_owned()));
        assert!(!followed.is_anew());
        fs::write(followed.path(), "1\n2\n3\n4\n").expect("written");
        assert_eq!((followed.is_anew(), followed.rest()), (true, "1\n2\n3\n4\n".to_owned()));
    }
}
